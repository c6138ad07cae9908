"""What a day tells of the sun: scarce with a car left unfilled, plenty with more sun to come than the grid gave."""

from virtual_time import Record

from wallbox.energy.days import FAIR, PLENTY, SCARCE, Days

LEAST_W = 4140
HOUR = 60


class Bench:
    def __init__(self):
        self.now_ms = 0
        self.view = Record(car_connected=True, charging=False, offered_ma=0)
        self.days = Days(self.view)

    def minutes(self, count, sun_w, car_w=0, offered_ma=None):
        """Readings a second apart; the car charges when it draws, and is offered 6 A then or as told."""
        self.view.charging = car_w > 0
        self.view.offered_ma = 6000 * (car_w > 0) if offered_ma is None else offered_ma
        for _ in range(count * 60):
            self.now_ms += 1000
            self.days.update(self.now_ms, 1000, sun_w, LEAST_W, car_w)
        return self

    def leave(self):
        self.view.car_connected = False
        self.minutes(1, 0)
        self.view.car_connected = True
        return self.days.sun

    def dusk(self):
        return self.minutes(HOUR + 1, -500).days.sun


def test_before_anything_is_known_the_sun_is_fair():
    bench = Bench()
    assert bench.days.sun == FAIR
    bench.view.car_connected = False
    assert bench.minutes(600, 8000).days.sun == FAIR


def test_a_car_that_leaves_before_it_is_full_found_the_sun_scarce():
    assert Bench().minutes(60, 5000, car_w=5000).leave() == SCARCE


def test_a_car_that_was_never_started_found_it_scarce_too():
    assert Bench().minutes(60, 2000).leave() == SCARCE


def test_a_car_that_is_not_full_at_dusk_found_it_scarce():
    bench = Bench().minutes(60, 5000, car_w=5000)
    assert bench.minutes(HOUR - 2, 400).days.sun == FAIR
    assert bench.minutes(4, 400).days.sun == SCARCE


def test_a_full_car_with_more_sun_to_come_than_the_grid_had_given_found_plenty():
    bench = Bench().minutes(30, 1140, car_w=LEAST_W)
    # 1.5 kWh of the grid; after a minute without current the car is full.
    bench.minutes(1, 6000, offered_ma=6000)
    assert bench.minutes(16, 6000, offered_ma=6000).dusk() == PLENTY


def test_a_full_car_with_less_sun_to_come_found_it_fair():
    bench = Bench().minutes(30, 1140, car_w=LEAST_W)
    assert bench.minutes(14, 6000, offered_ma=6000).dusk() == FAIR


def test_sun_below_6_a_or_that_was_not_offered_is_no_sun_left_over():
    bench = Bench().minutes(30, 1140, car_w=LEAST_W).minutes(2, 4000, offered_ma=6000)
    assert bench.minutes(600, 4000, offered_ma=6000).minutes(600, 9000).dusk() == FAIR


def test_a_car_that_pauses_and_goes_on_is_not_full():
    bench = Bench().minutes(30, 6000, car_w=6000).minutes(5, 6000, offered_ma=6000).minutes(1, 6000, car_w=6000)
    assert bench.dusk() == SCARCE


def test_a_night_and_a_full_car_s_leave_tell_nothing_new():
    bench = Bench().minutes(30, 1140, car_w=LEAST_W).minutes(20, 6000, offered_ma=6000)
    assert bench.dusk() == PLENTY
    assert bench.dusk() == PLENTY
    # The first light of the next day.
    assert bench.minutes(30, 1000).leave() == PLENTY


def test_each_day_is_judged_by_itself():
    bench = Bench().minutes(30, 1140, car_w=LEAST_W).minutes(20, 6000, offered_ma=6000)
    assert bench.leave() == PLENTY
    bench.minutes(30, 1140, car_w=LEAST_W).minutes(14, 6000, offered_ma=6000)
    assert bench.leave() == FAIR
    assert bench.minutes(30, 1140, car_w=LEAST_W).leave() == SCARCE
