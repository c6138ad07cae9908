"""Load optimisation: what the house leaves, fast down, slow up, pauses, and a meter that cannot be relied on."""

from array import array

from virtual_time import Log, Record, VirtualTime

from wallbox.clock import Clock
from wallbox.energy.house import House
from wallbox.energy.load import LoadLimit

PAUSE_S = 300


class Offer:
    """Stands in for the offer; `ma` is the limit "meter", None when there is none."""

    def __init__(self):
        self.ma = None
        self.reason = ""
        self.sets = 0

    def set(self, name, ma, reason, owner, until=None, change_s=None):
        assert (name, owner, until) == ("meter", "load optimisation", None)
        self.ma, self.reason, self.change_s = ma, reason, change_s
        self.sets += 1

    def clear(self, name):
        assert name == "meter"
        self.ma = None


class Reader:
    """Stands in for the meter reader."""

    def __init__(self):
        self.listeners = []
        self.current_ma = array("i", (0, 0, 0))
        self.power_w = array("i", (0, 0, 0))
        self.valid = False
        self.lost = False
        self.lag_ms = 1300

    def check(self):
        return 1000


class Bench:
    """A house, a car and a meter; `second` lets a second pass with a reading of the meter at its end."""

    def __init__(self, **settings):
        self.time = VirtualTime()
        self.settings = {
            "load_optimisation": True,
            "meter_model": "pro380",
            "connection_a": 25,
            "fallback_a": 6,
            "meter_hold_s": 0,
            "unbalance_a": 0,
            "nominal_v": 230,
            "phases": 3,
        }
        self.settings.update(settings)
        self.reader = Reader()
        self.offer = Offer()
        self.log = Log()
        self.car_ma = array("i", (0, 0, 0))
        self.house_a = [0, 0, 0]
        volts_mv = array("i", (230_000, 230_000, 230_000))
        self.snapshot = Record(currents_ma=self.car_ma, volts_mv=volts_mv, contactor_closed=True, car_connected=True)
        self.clock = Clock(Record(ticks_ms=self.time.ticks_ms, utc_ms=lambda: None, poll=None))
        self.house = House(self.reader, self.settings, self.snapshot, self.clock, Record(entry=None))
        self.load = LoadLimit(self.reader, self.house, self.settings, self.offer, self.snapshot, self.clock, self.log)

    def second(self, count=1, car=True):
        """`car`: it draws what it is offered, up to 16 A."""
        for _ in range(count):
            self.time.now_ms += 1000
            for phase in range(3):
                self.reader.current_ma[phase] = int(self.house_a[phase] * 1000) + self.car_ma[phase]
            self.reader.valid = True
            self.reader.lost = False
            self.house.update(True)
            self.load.update(True)
            if car:
                self.draw(min(16, (self.offer.ma or 0) / 1000))
        return self

    def homes(self, *amps):
        self.house_a = list(amps)
        return self

    def draw(self, *amps):
        for phase in range(3):
            self.car_ma[phase] = int(amps[phase if len(amps) == 3 else 0] * 1000)

    def missed(self, count=1, valid=True, lost=False):
        for _ in range(count):
            self.time.now_ms += 1000
            self.reader.valid = valid
            self.reader.lost = lost
            self.house.update(False)
            self.load.update(False)
        return self


def test_the_car_gets_what_the_most_loaded_phase_leaves():
    for house in ((10, 2, 3), (2, 10, 3), (2, 3, 10)):
        bench = Bench().homes(*house).second()
        assert bench.offer.ma == 15000, bench.offer.ma
        assert "10.0 of 25 A on L%d" % (house.index(10) + 1) in bench.offer.reason


def test_the_car_s_own_current_is_not_taken_for_the_house_s():
    bench = Bench().homes(5, 5, 5).second(60)
    assert bench.car_ma[0] == 16000 and bench.offer.ma == 20000
    assert bench.offer.sets == 1


def test_a_single_phase_box_looks_at_l1_only():
    assert Bench(phases=1).homes(4, 24, 24).second().offer.ma == 21000


def test_sun_on_the_roof_makes_room_but_never_more_than_the_box_has():
    bench = Bench().homes(-3, -4, -2).second()
    assert bench.offer.ma == 27000
    assert Bench().homes(-20, -20, -20).second().offer.ma == 32000


def test_before_the_first_reading_the_fallback_holds_and_then_the_reading_counts_at_once():
    bench = Bench().missed(2, valid=False)
    assert bench.offer.ma == 6000 and "waiting" in bench.offer.reason
    assert bench.homes(5, 5, 5).second().offer.ma == 20000


def test_more_load_lowers_the_limit_with_the_same_reading():
    bench = Bench().homes(5, 5, 5).second(5)
    assert bench.homes(5, 15, 5).second().offer.ma == 10000
    assert bench.second().homes(5, 15.7, 5).second().offer.ma == 9300


def test_house_and_car_together_stay_below_the_connection_limit_as_soon_as_the_car_follows():
    bench = Bench().homes(0, 0, 0).second(3)
    for load in (3, 12, 7, 18.9, 2, 14.35, 9, 0, 17):
        bench.homes(load, 0, 0).second()
        for _ in range(25):
            bench.second()
            total = bench.house_a[0] * 1000 + bench.car_ma[0]
            assert total <= 25000, (load, total)


def test_less_load_raises_the_limit_only_after_ten_seconds_of_room():
    bench = Bench().homes(15, 0, 0).second(5).homes(5, 0, 0).second(10)
    assert bench.offer.ma == 10000
    assert bench.second().offer.ma == 20000


def test_the_limit_rises_to_the_least_room_of_the_ten_seconds():
    bench = Bench().homes(15, 0, 0).second(5).homes(5, 0, 0).second(4).homes(9, 0, 0).second(1)
    bench.homes(5, 0, 0).second(6)
    assert bench.offer.ma == 16000


def test_room_that_comes_and_goes_does_not_move_the_limit():
    bench = Bench().homes(12, 0, 0).second(3)
    sets = bench.offer.sets
    for _ in range(60):
        bench.homes(4, 0, 0).second(8).homes(12, 0, 0).second(2)
    assert bench.offer.sets == sets and bench.offer.ma == 13000


def test_noise_below_half_an_ampere_does_not_move_the_limit_for_long():
    bench = Bench()
    for i in range(600):
        bench.homes(10 + ((i * 7919) % 9 - 4) / 20, 0, 0).second()
    assert bench.offer.ma == 14800 and bench.offer.sets <= 4, (bench.offer.ma, bench.offer.sets)


def test_a_car_that_stops_by_itself_is_no_house_load_in_a_meter_that_lags():
    bench = Bench().homes(5, 5, 5).second(5)
    bench.reader.current_ma[0] = 21000
    bench.draw(0)
    bench.time.now_ms += 1000
    bench.load.update(True)
    assert bench.offer.ma == 20000


def test_a_car_that_starts_is_no_room_in_a_meter_that_lags():
    bench = Bench().homes(20, 0, 0).second(20, car=False)
    for _ in range(2):
        bench.draw(10)
        bench.reader.current_ma[0] = 20000
        bench.time.now_ms += 1000
        bench.load.update(True)
        assert bench.offer.ma <= 6000, bench.offer.ma


def test_less_than_six_amperes_goes_to_six_with_the_first_reading_and_pauses_with_the_second():
    bench = Bench().homes(5, 5, 5).second(5)
    assert bench.homes(21, 0, 0).second(car=False).offer.ma == 6000 and not bench.load.paused
    assert bench.second().offer.ma == 0 and bench.load.paused
    assert bench.log.codes() == ["load_pause"]
    assert "21.0 of 25 A on L1" in bench.log.entries[0][2]


def test_a_car_that_follows_at_once_delays_the_pause_by_two_readings_at_most():
    bench = Bench().homes(5, 5, 5).second(5)
    assert bench.homes(21, 0, 0).second(4).offer.ma == 0


def test_a_motor_starting_does_not_pause():
    bench = Bench().homes(5, 5, 5).second(5).homes(24, 5, 5).second().homes(10, 5, 5).second(30)
    assert bench.log.entries == [] and bench.offer.ma == 15000


def test_exactly_six_amperes_are_offered():
    assert Bench().homes(19, 0, 0).second(5).offer.ma == 6000


def test_a_pause_that_opened_the_contactor_lasts_five_minutes_and_then_ends_with_half_a_minute_of_room():
    bench = Bench().homes(5, 0, 0).second(3).homes(22, 0, 0).second(2, car=False)
    bench.draw(0)
    assert bench.load.paused
    bench.homes(5, 0, 0).second(PAUSE_S - 1)
    assert bench.offer.ma == 0 and bench.load.status()["resume_s"] == 1
    assert bench.second(2).offer.ma == 20000
    assert bench.log.codes() == ["load_pause", "load_resume"]


def test_a_pause_without_a_closed_contactor_needs_only_half_a_minute_of_room():
    bench = Bench().homes(22, 0, 0)
    bench.snapshot.contactor_closed = False
    bench.second(3).homes(5, 0, 0).second(30)
    assert bench.offer.ma == 0
    assert bench.second().offer.ma == 20000


def test_a_pause_does_not_end_with_less_than_seven_amperes_of_room():
    bench = Bench().homes(22, 0, 0).second(3).homes(18.1, 0, 0).second(PAUSE_S + 600)
    assert bench.offer.ma == 0
    bench.homes(18, 0, 0).second(29).homes(22, 0, 0).second().homes(18, 0, 0).second(30)
    assert bench.offer.ma == 0
    assert bench.second().offer.ma == 7000


def test_a_hob_that_switches_every_half_minute_does_not_switch_the_car():
    bench = Bench().homes(5, 0, 0).second(3)
    for _ in range(60):
        bench.homes(22, 0, 0).second(20).homes(5, 0, 0).second(25)
    assert bench.log.codes() == ["load_pause"]


def test_a_lost_meter_means_the_fallback_at_once_and_says_so():
    bench = Bench().homes(5, 5, 5).second(5).missed(1, valid=False, lost=True)
    assert bench.offer.ma == 6000 and "no usable value" in bench.offer.reason
    assert bench.load.status()["fallback"] is True
    assert bench.missed(600, valid=False, lost=True).offer.sets == 2


def test_a_fallback_of_zero_pauses():
    bench = Bench(fallback_a=0).homes(5, 5, 5).second(5).missed(1, valid=False, lost=True)
    assert bench.offer.ma == 0 and bench.load.paused


def test_a_lost_meter_never_raises_the_limit():
    bench = Bench(fallback_a=10).homes(18, 0, 0).second(5).missed(3600, valid=False, lost=True)
    assert bench.offer.ma == 7000
    bench = Bench().homes(22, 0, 0).second(5).missed(3600, valid=False, lost=True)
    assert bench.offer.ma == 0


def test_the_installer_can_change_the_fallback_while_the_meter_is_lost():
    bench = Bench(fallback_a=0).missed(20, valid=False, lost=True)
    bench.settings["fallback_a"] = 10
    assert bench.missed(1, valid=False, lost=True).offer.ma == 10000
    bench.settings["fallback_a"] = 8
    assert bench.missed(1, valid=False, lost=True).offer.ma == 8000


def test_after_the_meter_is_back_the_limit_rises_slowly_and_falls_at_once():
    bench = Bench().homes(5, 5, 5).second(5).missed(9, valid=False, lost=True).second(10)
    assert bench.offer.ma == 6000
    assert bench.second().offer.ma == 20000
    bench.missed(9, valid=False, lost=True).homes(20, 0, 0).second(4)
    assert bench.offer.ma == 0


def test_missed_readings_neither_change_the_limit_nor_count_as_room():
    bench = Bench().homes(15, 0, 0).second(5).homes(5, 0, 0)
    for _ in range(10):
        bench.second(8).missed()
        assert bench.offer.ma == 10000
    assert bench.second(11).offer.ma == 20000


def test_without_load_optimisation_there_is_no_limit():
    bench = Bench(load_optimisation=False).homes(24, 24, 24).second(5).missed(60, valid=False, lost=True)
    assert bench.offer.ma is None and bench.offer.sets == 0
    assert bench.load.status()["active"] is False and bench.load.status()["limit_a"] is None


def test_switched_off_the_limit_is_taken_away():
    bench = Bench().homes(15, 0, 0).second(5)
    bench.settings.update({"load_optimisation": False, "meter_model": "none"})
    assert bench.missed(1, valid=False).offer.ma is None


def test_switched_on_without_a_meter_the_box_stays_at_the_fallback():
    bench = Bench(meter_model="none").missed(60, valid=False)
    assert bench.offer.ma == 6000 and "no meter" in bench.offer.reason


def test_its_own_task_falls_back_even_if_the_reader_s_task_is_dead():
    import asyncio

    bench = Bench().homes(5, 5, 5).second(5)

    async def play():
        task = asyncio.create_task(bench.load.run())
        await asyncio.sleep_ms(3000)
        assert bench.offer.ma == 20000
        bench.reader.valid = False
        bench.reader.lost = True
        await asyncio.sleep_ms(1001)
        task.cancel()

    asyncio.run(play())
    assert bench.offer.ma == 6000
