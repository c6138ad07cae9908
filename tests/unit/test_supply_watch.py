"""The supply side: each limit at its value, each fault after its time, and back again (R11)."""

from control_bench import Clock, Supply

from wallbox.protection import faults as f
from wallbox.protection.supply import SupplyWatch

NOMINAL_MV = 230_000


class Rig:
    def __init__(self, phases=3, nominal_v=230, nominal_hz=50, pe_mode="enable"):
        self.now = 0
        self.told = []
        self.hal = Supply()
        self.faults = f.Faults(
            Clock(),
            lambda fault, value: self.told.append((self.now, f.CATALOGUE[fault][0], value)),
            lambda fault: self.told.append((self.now, "-" + f.CATALOGUE[fault][0])),
        )
        self.watch = SupplyWatch(self.hal, self.faults)
        self.watch.configure(phases, nominal_v, nominal_hz, pe_mode)
        self.volts(nominal_v * 1000, *(nominal_v * 1000 * (phases == 3),) * 2)

    def volts(self, *mv):
        for i in range(3):
            self.hal.volts_mv[i] = mv[i] if len(mv) > 1 else mv[0]

    def run(self, ms):
        """Steps from now until so many ms later, both included; returns what was raised and cleared."""
        self.told = []
        end = self.now + ms
        while True:
            self.watch.update(self.now)
            if self.now >= end:
                return self.told
            self.now += 10

    def then(self, ms):
        """Go on after run(): the next step comes 10 ms later."""
        self.now += 10
        return self.run(ms)


def test_a_good_supply_is_live_on_all_its_phases_and_no_fault():
    rig = Rig()
    assert rig.run(5000) == []
    assert rig.watch.live_mask == 0b111
    assert rig.hal.samples == 501
    assert not any(timer.running for timer in rig.watch.timers)
    assert len(rig.watch.timers) == 7


def test_without_being_told_it_takes_three_phases_of_230_v_at_50_hz_with_pe_watched():
    rig = Rig()
    watch = SupplyWatch(rig.hal, rig.faults)
    assert watch.live_mask == 0
    rig.watch = watch
    rig.hal.pe_ok = False
    assert rig.run(200) == [(100, "pe_lost", 0)]
    rig.volts(264_501, 230_000, 0)
    rig.hal.frequency_mhz = 47_000
    assert [entry[1] for entry in rig.then(1000)] == ["over_voltage", "phase_loss"]
    rig.hal.frequency_mhz = 46_999
    assert [entry[1] for entry in rig.then(1000)] == ["frequency"]


def test_over_voltage_is_15_percent_for_1_s_or_20_percent_for_200_ms():
    for mv, told in (
        (264_500, []),
        (264_501, [(1000, "over_voltage", 264_501)]),
        (276_000, [(1000, "over_voltage", 276_000)]),
        (276_001, [(200, "over_voltage", 276_001)]),
    ):
        rig = Rig()
        rig.volts(230_000, mv, 230_000)
        assert rig.run(5000) == told, mv


def test_over_voltage_ends_3_v_inside_the_limit_after_30_s():
    rig = Rig()
    rig.volts(264_501)
    rig.run(1000)
    rig.volts(261_501)
    assert rig.then(40_000) == []
    rig.volts(261_500)
    began = rig.now + 10
    assert rig.then(40_000) == [(began + 30_000, "-over_voltage")]


def test_under_voltage_is_20_percent_for_2_s():
    for mv, told in ((184_000, []), (183_999, [(2000, "under_voltage", 183_999)])):
        rig = Rig()
        rig.volts(230_000, 230_000, mv)
        assert rig.run(5000) == told, mv
        rig = Rig()
        rig.volts(mv, 230_000, 230_000)
        assert rig.run(5000) == told, mv


def test_under_voltage_ends_3_v_inside_the_limit_after_30_s():
    rig = Rig()
    rig.volts(183_999)
    rig.run(2000)
    rig.volts(186_999)
    assert rig.then(40_000) == []
    rig.volts(187_000)
    began = rig.now + 10
    assert rig.then(40_000) == [(began + 30_000, "-under_voltage")]


def test_a_supply_gone_on_all_phases_is_an_under_voltage_alone():
    rig = Rig()
    rig.volts(114_999)
    assert rig.run(5000) == [(2000, "under_voltage", 114_999)]
    assert rig.watch.live_mask == 0
    rig = Rig()
    rig.volts(0)
    assert rig.run(5000) == [(2000, "under_voltage", 0)]
    rig = Rig(phases=1)
    rig.volts(20_000, 0, 0)
    assert rig.run(5000) == [(2000, "under_voltage", 20_000)]


def test_all_phases_just_there_are_an_under_voltage_with_the_lowest_told():
    rig = Rig()
    rig.volts(120_000, 116_000, 115_000)
    assert rig.run(5000) == [(2000, "under_voltage", 115_000)]
    assert rig.watch.live_mask == 0b111


def test_one_phase_below_half_the_voltage_is_a_lost_phase_after_1_s():
    for i in range(3):
        rig = Rig()
        volts = [230_000] * 3
        volts[i] = 114_999
        rig.volts(*volts)
        assert rig.run(5000) == [(1000, "phase_loss", 2)], i
        assert rig.watch.live_mask == 0b111 & ~(1 << i)
        volts[i] = 230_000
        rig.volts(*volts)
        began = rig.now + 10
        assert rig.then(40_000) == [(began + 30_000, "-phase_loss")]


def test_two_phases_missing_are_a_wrong_set_up_after_2_s():
    rig = Rig()
    rig.volts(230_000, 0, 0)
    assert rig.run(5000) == [(2000, "phase_count", 0b001)]


def test_a_box_set_to_one_phase_that_has_more_is_a_wrong_set_up():
    for volts, live in (((230_000, 230_000, 0), 0b011), ((230_000, 0, 230_000), 0b101), ((230_000,) * 3, 0b111)):
        rig = Rig(phases=1)
        rig.volts(*volts)
        assert rig.run(5000) == [(2000, "phase_count", live)]


def test_a_box_set_to_one_phase_judges_l1_alone():
    rig = Rig(phases=1)
    assert rig.run(5000) == []
    assert rig.watch.live_mask == 0b001
    rig.volts(230_000, 114_000, 100_000)
    assert rig.run(5000) == []
    for volts in ((230_000, 160_000, 0), (230_000, 0, 160_000), (230_000, 300_000, 0), (230_000, 0, 300_000)):
        rig = Rig(phases=1)
        rig.volts(*volts)
        assert [entry[1] for entry in rig.run(5000)] == ["phase_count"], volts


def test_the_frequency_may_be_47_to_52_hz_for_50_and_57_to_62_for_60():
    for nominal, low, high in ((50, 47_000, 52_000), (60, 57_000, 62_000)):
        for mhz, wrong in ((low, False), (low - 1, True), (high, False), (high + 1, True)):
            rig = Rig(nominal_hz=nominal)
            rig.hal.frequency_mhz = mhz
            assert rig.run(3000) == ([(1000, "frequency", mhz)] if wrong else []), mhz


def test_without_any_voltage_there_is_no_frequency_to_judge():
    rig = Rig()
    rig.volts(0)
    rig.hal.frequency_mhz = 0
    assert [entry[1] for entry in rig.run(5000)] == ["under_voltage"]


def test_other_nominal_voltages_have_limits_of_their_own():
    rig = Rig(nominal_v=120)
    rig.volts(138_001)
    assert rig.run(3000) == [(1000, "over_voltage", 138_001)]
    rig = Rig(nominal_v=120)
    rig.volts(95_999)
    assert rig.run(3000) == [(2000, "under_voltage", 95_999)]


def test_a_lost_pe_is_seen_after_100_ms_and_counts_as_was_chosen():
    for mode, told in (
        ("enable", [(100, "pe_lost", 0)]),
        ("monitor", [(100, "pe_monitor", 0)]),
        ("off", []),
    ):
        rig = Rig(pe_mode=mode)
        rig.hal.pe_ok = False
        assert rig.run(90) == []
        rig = Rig(pe_mode=mode)
        rig.hal.pe_ok = False
        assert rig.run(500) == told, mode


def test_a_pe_that_is_not_watched_is_not_timed_until_it_is():
    rig = Rig(pe_mode="off")
    rig.hal.pe_ok = False
    rig.run(50)
    assert not any(timer.running for timer in rig.watch.timers)
    rig.then(450)
    rig.watch.configure(3, 230, 50, "enable")
    began = rig.now + 10
    assert rig.then(500) == [(began + 100, "pe_lost", 0)]


def test_a_short_disturbance_is_no_fault():
    rig = Rig()
    for volts, ms in (((300_000,), 190), ((270_000,), 990), ((150_000,), 1990), ((230_000, 230_000, 0), 990)):
        rig.volts(*volts)
        assert rig.then(ms) == [], volts
        rig.volts(230_000)
        assert rig.then(0) == []
    rig.volts(230_000, 0, 0)
    assert rig.then(1990) == []
    rig.volts(230_000)
    rig.hal.frequency_mhz = 40_000
    assert rig.then(990) == []
    assert [timer.running for timer in rig.watch.timers] == [False] * 5 + [True, False]


def test_what_runs_is_among_its_timers():
    rig = Rig()
    rig.volts(280_000, 230_000, 0)
    rig.hal.pe_ok = False
    rig.run(0)
    assert [timer.running for timer in rig.watch.timers] == [True, True, False, True, False, False, True]
    rig.volts(160_000, 0, 0)
    rig.hal.pe_ok = True
    rig.then(0)
    assert [timer.running for timer in rig.watch.timers] == [False, False, True, False, True, False, False]
