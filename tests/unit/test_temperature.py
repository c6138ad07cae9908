"""Board temperature: derated first, stopped when too hot, back after cooling, a broken sensor seen (R12)."""

from control_bench import Clock, Device

from wallbox.protection import faults as f
from wallbox.protection.temperature import TemperatureWatch, derated_ma


class Rig:
    def __init__(self):
        self.now = 0
        self.told = []
        self.hal = Device(deci_c=250)
        self.faults = f.Faults(
            Clock(),
            lambda fault, value: self.told.append((f.CATALOGUE[fault][0], value)),
            lambda fault: self.told.append(("-" + f.CATALOGUE[fault][0],)),
        )
        self.watch = TemperatureWatch(self.hal, self.faults)

    def at(self, deci_c):
        """A value that holds for half a second; returns what was told in the meantime."""
        self.told = []
        self.hal.deci_c = deci_c
        for _ in range(2):
            self.now += 500
            self.watch.update(self.now)
        return self.told


def test_the_current_falls_from_32_a_at_70_c_to_6_a_at_80_c_in_steps_of_1_a():
    for deci_c, amps in ((-400, 32), (700, 32), (701, 31), (703, 31), (704, 30), (750, 19), (800, 6), (2000, 6)):
        assert derated_ma(deci_c) == amps * 1000, deci_c
    for deci_c in range(700, 801):
        assert derated_ma(deci_c) == (32_000 - 260 * (deci_c - 700)) // 1000 * 1000


def test_it_begins_with_the_full_current():
    watch = Rig().watch
    assert (watch.deci_c, watch.limit_ma, watch.changed) == (250, 32_000, False)


def test_a_reading_beyond_a_limit_counts_after_half_a_second():
    for deci_c, told in ((830, "over_temperature"), (2000, "temperature_sensor")):
        rig = Rig()
        for now in range(0, 500, 10):
            rig.hal.deci_c = deci_c
            rig.watch.update(now)
        assert rig.told == [], now
        rig.hal.deci_c = 250
        rig.watch.update(500)
        rig.hal.deci_c = deci_c
        for now in range(510, 1020, 10):
            assert rig.told == [], now
            rig.watch.update(now)
        assert rig.told == [(told, deci_c)]
        assert rig.hal.samples == 50 + 1 + 51


def test_a_warm_board_lowers_the_limit_and_tells_so():
    rig = Rig()
    assert rig.at(699) == []
    assert not rig.watch.changed
    assert rig.at(750) == []
    assert (rig.watch.deci_c, rig.watch.limit_ma, rig.watch.changed) == (750, 19_000, True)
    rig.watch.changed = False
    rig.at(750)
    assert not rig.watch.changed


def test_the_limit_rises_only_after_2_degrees_of_cooling():
    rig = Rig()
    rig.at(750)
    rig.watch.changed = False
    for deci_c, amps in ((731, 19), (730, 19), (727, 19), (726, 20), (740, 20), (700, 26), (681, 31), (680, 32)):
        rig.at(deci_c)
        assert rig.watch.limit_ma == amps * 1000, deci_c
    assert rig.watch.changed


def test_it_stops_at_83_c_and_goes_on_below_66_c():
    rig = Rig()
    assert rig.at(829) == []
    assert rig.at(830) == [("over_temperature", 830)]
    assert rig.at(660) == []
    assert rig.faults.is_active(f.OVER_TEMPERATURE)
    assert rig.at(659) == [("-over_temperature",)]
    assert rig.at(829) == []


def test_beyond_minus_55_and_150_c_the_sensor_is_broken_and_its_value_is_not_used():
    for deci_c, broken in ((-550, False), (-551, True), (1500, False), (1501, True)):
        rig = Rig()
        rig.at(250)
        told = rig.at(deci_c)
        assert (("temperature_sensor", deci_c) in told) == broken, deci_c
        assert (rig.watch.deci_c == 250) == broken
        assert not broken or len(told) == 1


def test_a_sensor_that_breaks_while_it_gets_too_hot_leaves_no_timer_behind():
    rig = Rig()
    rig.hal.deci_c = 900
    rig.watch.update(0)
    assert [timer.running for timer in rig.watch.timers] == [False, True]
    rig.hal.deci_c = 2000
    rig.watch.update(10)
    assert [timer.running for timer in rig.watch.timers] == [True, False]


def test_a_mended_sensor_is_believed_after_3_s():
    rig = Rig()
    rig.at(2000)
    assert [rig.at(250) for _ in range(4)] == [[], [], [], [("-temperature_sensor",)]]
