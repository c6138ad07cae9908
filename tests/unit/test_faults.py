"""The fault catalogue and its register."""

from wallbox.protection import faults as f


class Clock:
    def uptime_s(self):
        return 7


def register():
    raised, cleared = [], []
    return f.Faults(Clock(), lambda fault, value: raised.append((fault, value)), cleared.append), raised, cleared


def test_every_row_is_complete_and_every_name_its_own():
    names = [row[0] for row in f.CATALOGUE]
    assert len(set(names)) == len(names) == f.COUNT
    assert f.COUNT < 30, "masks must stay small integers on a 32-bit port"
    for name, severity, latch, recovery_ms, state_f, _unit, text in f.CATALOGUE:
        assert severity in (f.WARNING, f.PAUSE, f.RED), name
        assert latch in (f.SELF, f.UNPLUG, f.UNPLUG_AND_TEST, f.POWER, f.SERVICE), name
        assert recovery_ms == 0 or latch == f.SELF, name
        assert text and isinstance(state_f, bool), name


def test_a_fault_is_raised_once_and_named():
    faults, raised, _ = register()
    faults.report(f.PE_LOST, True, 5, 0)
    faults.report(f.PE_LOST, True, 6, 10)
    assert raised == [(f.PE_LOST, 5)]
    assert faults.status()[0]["name"] == "pe_lost"
    assert faults.blocking and faults.red


def test_a_self_clearing_fault_waits_its_time_without_a_break():
    faults, _, cleared = register()
    faults.report(f.PE_LOST, True, 0, 0)
    faults.report(f.PE_LOST, False, 0, 100)
    faults.report(f.PE_LOST, False, 0, 20_000)
    faults.report(f.PE_LOST, True, 0, 20_010)
    faults.report(f.PE_LOST, False, 0, 20_020)
    faults.report(f.PE_LOST, False, 0, 50_010)
    assert cleared == []
    faults.report(f.PE_LOST, False, 0, 50_020)
    assert cleared == [f.PE_LOST]


def test_unplugging_clears_only_what_waits_for_it_and_is_gone():
    faults, _, _ = register()
    for fault in (f.OVER_CURRENT, f.WELD, f.RESIDUAL_CURRENT, f.SHORT_CIRCUIT):
        faults.report(fault, True, 0, 0)
    faults.unplugged()
    assert faults.is_active(f.OVER_CURRENT), "the condition is still there"
    faults.report(f.OVER_CURRENT, False, 0, 10)
    faults.unplugged()
    assert [fault["name"] for fault in faults.status()] == ["residual_current", "weld", "short_circuit"]


def test_unplugging_leaves_faults_with_another_end_even_when_their_cause_is_gone():
    faults, _, cleared = register()
    for fault in (f.WELD, f.RESIDUAL_CURRENT, f.PE_LOST, f.OVER_CURRENT):
        faults.report(fault, True, 0, 0)
        faults.report(fault, False, 0, 10)
    faults.unplugged()
    assert cleared == [f.OVER_CURRENT]


def test_only_weld_and_residual_current_are_remembered_over_a_power_cut():
    faults, raised, _ = register()
    faults.restore((1 << f.COUNT) - 1)
    assert [fault for fault, _ in raised] == [f.RESIDUAL_CURRENT, f.WELD]


def test_a_warning_does_not_stop_the_charge():
    faults, _, _ = register()
    faults.report(f.METER, True, 0, 0)
    assert faults.active and not faults.blocking


def test_the_red_fault_is_named_first():
    faults, _, _ = register()
    faults.report(f.OVER_TEMPERATURE, True, 0, 0)
    faults.report(f.DIODE, True, 0, 0)
    assert faults.worst() == f.DIODE


def test_state_f_is_asked_for_once_a_fault():
    faults, _, _ = register()
    faults.report(f.PILOT_SHORT, True, 0, 0)
    assert not faults.take_f_request()
    faults.report(f.DIODE, True, 0, 0)
    assert faults.take_f_request()
    assert not faults.take_f_request()


# What each fault does, as the requirements have it: severity, latch, recovery time in ms, state F.
RULES = {
    "residual_current": (f.RED, f.UNPLUG_AND_TEST, 0, True),
    "rcm_self_test": (f.RED, f.POWER, 0, True),
    "weld": (f.RED, f.SERVICE, 0, True),
    "no_close": (f.RED, f.UNPLUG, 0, True),
    "pe_lost": (f.RED, f.SELF, 30_000, True),
    "over_voltage": (f.RED, f.SELF, 30_000, True),
    "under_voltage": (f.RED, f.SELF, 30_000, True),
    "phase_loss": (f.RED, f.SELF, 30_000, True),
    "phase_count": (f.RED, f.SELF, 30_000, True),
    "frequency": (f.RED, f.SELF, 30_000, True),
    "over_current": (f.RED, f.UNPLUG, 0, True),
    "short_circuit": (f.RED, f.POWER, 0, True),
    "over_temperature": (f.PAUSE, f.SELF, 0, False),
    "temperature_sensor": (f.RED, f.SELF, 3_000, True),
    "pilot_short": (f.RED, f.SELF, 30_000, False),
    "pilot_level": (f.RED, f.SELF, 30_000, False),
    "diode": (f.RED, f.UNPLUG, 0, True),
    "pilot_feedback": (f.RED, f.POWER, 0, True),
    "ventilation": (f.PAUSE, f.SELF, 3_000, False),
    "communication": (f.WARNING, f.SELF, 0, False),
    "meter": (f.WARNING, f.SELF, 0, False),
    "storage": (f.WARNING, f.SELF, 0, False),
    "contactor_worn": (f.WARNING, f.SELF, 0, False),
    "pe_monitor": (f.WARNING, f.SELF, 30_000, False),
}
UNTRUSTED = ("weld", "rcm_self_test", "pilot_feedback", "short_circuit")


def test_every_fault_does_what_the_requirements_say():
    assert {row[0]: row[1:5] for row in f.CATALOGUE} == RULES
    # A cut may have stored the mask: a number or a bit that moves would restore another fault.
    assert (f.WARNING, f.PAUSE, f.RED) == (0, 1, 2)
    assert (f.SELF, f.UNPLUG, f.UNPLUG_AND_TEST, f.POWER, f.SERVICE) == (0, 1, 2, 3, 4)


def test_each_number_names_its_own_row():
    for i, row in enumerate(f.CATALOGUE):
        if row[0].upper() in dir(f):
            assert getattr(f, row[0].upper()) == i, row[0]
        else:
            raise AssertionError("no number is called " + row[0].upper())


def test_a_fault_blocks_is_red_and_asks_for_f_by_its_row():
    for fault, (name, severity, _latch, _recovery, state_f, _unit, _text) in enumerate(f.CATALOGUE):
        faults, _, _ = register()
        assert not faults.red and not faults.blocking and not faults.stay_f
        faults.report(fault, True, 0, 0)
        assert faults.active == faults.condition == 1 << fault
        assert faults.red == (1 << fault if severity == f.RED else 0), name
        assert faults.blocking == (1 << fault if severity != f.WARNING else 0), name
        assert faults.take_f_request() == state_f, name
        assert faults.stay_f == (name in UNTRUSTED), name
        assert faults.worst() == fault
        assert [faults.is_active(i) for i in range(f.COUNT)] == [i == fault for i in range(f.COUNT)]


def test_each_fault_clears_by_its_latch_alone():
    for fault, (name, _severity, latch, recovery, _f, _unit, _text) in enumerate(f.CATALOGUE):
        faults, _, cleared = register()
        faults.report(fault, True, 0, 0)
        faults.report(fault, False, 0, 100)
        if latch == f.SELF and recovery:
            assert faults.clears_in_ms(fault, 100) == recovery, name
            assert faults.due_ms(100, 100_000) == recovery
            faults.report(fault, False, 0, 100 + recovery - 1)
            assert cleared == [], name
            faults.report(fault, False, 0, 100 + recovery)
        assert cleared == ([fault] if latch == f.SELF else []), name
        assert faults.clears_in_ms(fault, 100 + recovery) is None
        faults.unplugged()
        assert cleared == ([fault] if latch in (f.SELF, f.UNPLUG) else []), name
        faults.clear(fault)
        assert cleared == [fault] and faults.active == faults.condition == 0


def test_a_new_register_knows_no_fault():
    faults, raised, cleared = register()
    assert (faults.active, faults.condition, faults.asks_for_f) == (0, 0, False)
    assert faults.since_s == faults.value == [0] * f.COUNT
    assert faults.worst() is None
    assert faults.due_ms(0, 5000) == 5000
    faults.report(f.PE_LOST, False, 0, 0)
    faults.clear(f.PE_LOST)
    faults.unplugged()
    assert raised == cleared == [] and faults.active == 0
    assert faults.clears_in_ms(f.PE_LOST, 0) is None


def test_since_when_and_with_what_value_is_kept_from_the_first_report():
    faults, _, _ = register()
    faults.report(f.PE_LOST, True, 5, 0)
    faults.report(f.PE_LOST, True, 9, 10)
    assert faults.value[f.PE_LOST] == 5
    assert faults.since_s[f.PE_LOST] == 7


def test_a_condition_that_returns_stops_the_recovery_and_its_due_time():
    faults, _, cleared = register()
    faults.report(f.PE_LOST, True, 0, 0)
    assert faults.due_ms(0, 100_000) == 100_000
    faults.report(f.PE_LOST, False, 0, 100)
    assert faults.due_ms(40_000, 100_000) == 0
    faults.report(f.PE_LOST, True, 0, 200)
    assert faults.due_ms(200, 100_000) == 100_000
    assert faults.clears_in_ms(f.PE_LOST, 200) is None
    faults.report(f.PE_LOST, True, 0, 90_000)
    assert cleared == []
    assert faults.condition == 1 << f.PE_LOST


def test_the_first_recovery_to_end_is_the_next_due():
    faults, _, _ = register()
    for fault in (f.PE_LOST, f.VENTILATION, f.PHASE_LOSS):
        faults.report(fault, True, 0, 0)
    faults.report(f.PHASE_LOSS, False, 0, 10)
    faults.report(f.VENTILATION, False, 0, 100)
    faults.report(f.PE_LOST, False, 0, 20)
    assert faults.due_ms(100, 100_000) == 3000
    assert faults.due_ms(100, 2000) == 2000
    assert faults.due_ms(3100, 100_000) == 0
    assert faults.due_ms(3200, 100_000) == 0
    assert faults.clears_in_ms(f.VENTILATION, 3200) == 0
    assert faults.clears_in_ms(f.PHASE_LOSS, 3100) == 30_000 + 10 - 3100


def test_a_fault_that_is_cleared_is_not_seen_any_more():
    faults, _, _ = register()
    faults.report(f.RESIDUAL_CURRENT, True, 0, 0)
    faults.clear(f.RESIDUAL_CURRENT)
    assert faults.condition == 0


def test_clearing_one_fault_leaves_the_others():
    faults, _, cleared = register()
    for fault in (f.PE_LOST, f.PHASE_LOSS):
        faults.report(fault, True, 0, 0)
        faults.report(fault, False, 0, 10)
    faults.report(f.WELD, True, 0, 10)
    faults.report(f.OVER_CURRENT, True, 0, 10)
    faults.clear(f.PE_LOST)
    assert cleared == [f.PE_LOST]
    assert faults.active == 1 << f.PHASE_LOSS | 1 << f.WELD | 1 << f.OVER_CURRENT
    assert faults.condition == 1 << f.WELD | 1 << f.OVER_CURRENT
    assert faults.clears_in_ms(f.PHASE_LOSS, 10) == 30_000
    assert faults.clears_in_ms(f.PE_LOST, 10) is None
    faults.report(f.PE_LOST, True, 0, 20)
    assert faults.is_active(f.PE_LOST)


def test_a_fault_raised_again_after_a_clear_during_its_recovery_waits_its_whole_time():
    faults, _, cleared = register()
    faults.report(f.PE_LOST, True, 0, 0)
    faults.report(f.PE_LOST, False, 0, 10)
    faults.clear(f.PE_LOST)
    faults.report(f.PE_LOST, True, 0, 29_000)
    faults.report(f.PE_LOST, False, 0, 29_010)
    faults.report(f.PE_LOST, False, 0, 30_100)
    assert cleared == [f.PE_LOST]


def test_unplugging_ends_every_fault_that_waits_for_it():
    faults, _, cleared = register()
    for fault in (f.NO_CLOSE, f.OVER_CURRENT, f.DIODE):
        faults.report(fault, True, 0, 0)
        faults.report(fault, False, 0, 10)
    faults.unplugged()
    assert cleared == [f.NO_CLOSE, f.OVER_CURRENT, f.DIODE]
    assert not faults.active


def test_only_what_was_latched_is_restored():
    for mask, found in ((0, 0), (1 << f.WELD, 1 << f.WELD), (1 << f.PE_LOST | 1, 1)):
        faults, raised, _ = register()
        faults.restore(mask)
        assert faults.active == found
        assert all(value == 0 for _, value in raised)
    assert 1 << f.WELD | 1 << f.RESIDUAL_CURRENT == f.PERSISTENT_MASK
    faults, _, _ = register()
    faults.restore(1 << f.WELD)
    assert faults.take_f_request(), "a restored weld asks for F too"


def test_red_comes_before_pause_before_warning_and_then_the_first_row():
    faults, _, _ = register()
    faults.report(f.STORAGE, True, 0, 0)
    faults.report(f.METER, True, 0, 0)
    assert faults.worst() == f.METER
    faults.report(f.VENTILATION, True, 0, 0)
    assert faults.worst() == f.VENTILATION
    faults.report(f.DIODE, True, 0, 0)
    faults.report(f.WELD, True, 0, 0)
    assert faults.worst() == f.WELD


def test_a_person_reads_what_is_wrong_and_what_to_do():
    assert f.text(f.PE_LOST) == "the protective earth is missing"
    assert f.text(f.NO_CLOSE) == "the contactor does not close; unplug the car"
    assert f.text(f.WELD).endswith("call service")
    assert f.text(f.RESIDUAL_CURRENT).endswith("have it checked")
    assert f.text(f.SHORT_CIRCUIT).endswith("switch it on again")
