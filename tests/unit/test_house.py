"""What stands behind the meter: the car's share of a late reading, the phases it uses, and the sun's surplus."""

from array import array

from virtual_time import Record, VirtualTime

from wallbox.clock import Clock
from wallbox.energy.house import House

ALL = 0b111


class Bench:
    def __init__(self, phases=3, known=None):
        self.time = VirtualTime()
        self.reader = Record(listeners=[], power_w=array("i", (0, 0, 0)), current_ma=array("i", (0, 0, 0)), lag_ms=1300)
        self.settings = {"phases": phases, "nominal_v": 230}
        self.car_ma = array("i", (0, 0, 0))
        volts_mv = array("i", (230_000, 230_000, 230_000))
        self.view = Record(currents_ma=self.car_ma, volts_mv=volts_mv, car_connected=True)
        clock = Clock(Record(ticks_ms=self.time.ticks_ms, utc_ms=lambda: None, poll=None))
        habits = Record(entry=None if known is None else {"phases": known})
        self.house = House(self.reader, self.settings, self.view, clock, habits)

    def draw(self, *amps):
        for phase in range(3):
            self.car_ma[phase] = amps[phase] * 1000
        return self

    def read(self, ms=400, count=1, house_w=0):
        """Readings of a meter that shows the house's watts on L1 and the car as it is."""
        for _ in range(count):
            self.time.now_ms += ms
            for phase in range(3):
                self.reader.power_w[phase] = self.car_ma[phase] * 230 // 1000
                self.reader.current_ma[phase] = self.car_ma[phase]
            self.reader.current_ma[0] += house_w * 1000 // 230
            self.reader.power_w[0] += house_w
            self.house.update(True)
        return self.house


def test_the_car_s_currents_of_the_meter_s_lag_are_kept():
    for ms in (250, 400):
        bench = Bench()
        bench.draw(16, 0, 0).read(ms=ms, count=8)
        bench.draw(6, 0, 0)
        for _ in range(1300 // ms):
            house = bench.read(ms=ms)
            assert (house.car_high_ma[0], house.car_low_ma[0]) == (16000, 6000)
        house = bench.read(ms=ms)
        assert (house.car_high_ma[0], house.car_low_ma[0]) == (6000, 6000)


def test_a_slow_meter_s_older_readings_do_not_count():
    bench = Bench()
    bench.draw(16, 0, 0).read(ms=1000, count=3)
    house = bench.draw(6, 0, 0).read(ms=1000)
    assert house.car_high_ma[0] == 16000
    assert bench.read(ms=1000).car_high_ma[0] == 6000


def test_of_a_quick_meter_s_lag_less_is_kept():
    bench = Bench()
    bench.reader.lag_ms = 800
    bench.draw(16, 0, 0).read(ms=250, count=8)
    bench.draw(6, 0, 0)
    for _ in range(3):
        assert bench.read(ms=250).car_high_ma[0] == 16000
    assert bench.read(ms=250).car_high_ma[0] == 6000


def test_all_phases_count_until_the_car_has_shown_its_own_for_five_seconds():
    bench = Bench()
    assert bench.read().phases == ALL
    bench.draw(10, 0, 0).read(count=12)
    assert bench.house.phases == ALL
    assert bench.read(count=3).phases == 0b001


def test_a_current_below_4_a_shows_nothing():
    assert Bench().draw(3, 0, 0).read(count=60).phases == ALL


def test_a_phase_joins_at_once_and_leaves_after_five_seconds():
    bench = Bench()
    bench.draw(10, 0, 0).read(count=20)
    assert bench.draw(10, 2, 0).read().phases == 0b011
    bench.draw(10, 0, 0)
    assert bench.read(count=10).phases == 0b011
    assert bench.read(count=5).phases == 0b001


def test_another_car_has_to_show_its_phases_anew():
    bench = Bench()
    bench.draw(10, 0, 0).read(count=20)
    bench.view.car_connected = False
    bench.draw(0, 0, 0).read()
    bench.view.car_connected = True
    assert bench.read().phases == ALL


def test_a_single_phase_installation_has_l1_only():
    bench = Bench(phases=1)
    assert bench.read().phases == 0b001
    assert bench.draw(10, 10, 10).read(count=20).phases == 0b001


def test_before_a_car_shows_its_phases_those_of_the_last_time_are_likely():
    assert Bench().house.likely_phases() == 0b001
    assert Bench(known=3).house.likely_phases() == ALL
    assert Bench(known=2).house.likely_phases() == 0b011
    assert Bench(known=0).house.likely_phases() == 0b001
    assert Bench(known=3, phases=1).house.likely_phases() == 0b001
    bench = Bench(known=3)
    bench.draw(10, 0, 0).read(count=20)
    assert bench.house.likely_phases() == 0b001


def test_phases_are_known_once_shown_now_or_an_earlier_time():
    assert not Bench().house.knows_phases() and not Bench(known=0).house.knows_phases()
    assert Bench(known=3).house.knows_phases()
    assert Bench().draw(10, 0, 0).read(count=20).knows_phases()


def test_the_surplus_is_what_the_car_takes_and_what_is_exported():
    bench = Bench()
    house = bench.draw(10, 10, 10).read(count=5, house_w=-7900)
    assert house.car_w == 6900
    assert house.surplus_low_w == house.surplus_high_w == 7900


def test_while_the_car_moves_the_surplus_lies_between_two_bounds():
    bench = Bench()
    bench.draw(6, 6, 6).read(count=5)
    bench.draw(16, 16, 16)
    bench.time.now_ms += 400
    # The meter has not seen it yet.
    bench.house.update(True)
    assert (bench.house.surplus_low_w, bench.house.surplus_high_w) == (0, 6900)


def test_voltages_that_are_not_measured_count_as_nominal():
    bench = Bench()
    bench.view.volts_mv[1] = 0
    bench.view.volts_mv[2] = 240_000
    assert bench.house.volts_mv(ALL) == 700_000
    assert bench.house.volts_mv(0b100) == 240_000


def test_neither_a_starting_nor_a_stopping_car_looks_like_the_house():
    bench = Bench()
    bench.read(count=3, house_w=2300)
    assert bench.house.house_ma[0] == 10000
    for amps in (16, 0):
        # The box sees the car at once, the meter a second later.
        bench.draw(amps, 0, 0)
        for _ in range(2):
            bench.time.now_ms += 400
            bench.house.update(True)
            assert bench.house.house_ma[0] == 10000
        bench.read(count=6, house_w=2300)
        assert bench.house.house_ma[0] == 10000


def test_a_load_that_comes_while_the_car_moves_is_seen_with_the_first_reading():
    bench = Bench()
    bench.draw(16, 0, 0).read(count=5)
    bench.read(house_w=2300)
    bench.draw(6, 0, 0)
    bench.time.now_ms += 400
    # Still the car of before in the meter, and 10 A more in the house.
    bench.reader.current_ma[0] = 36000
    bench.house.update(True)
    assert bench.house.house_ma[0] == 20000
    assert bench.read(house_w=4600).house_ma[0] == 20000
