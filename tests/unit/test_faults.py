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
