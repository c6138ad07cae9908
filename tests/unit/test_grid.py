"""Ramps, droops and the switching budget."""

from virtual_time import Record, VirtualTime

from wallbox.clock import Clock
from wallbox.energy.budget import SwitchingBudget
from wallbox.energy.grid import Ramp, droop_ma
from wallbox.energy.solar import Mean


def clock_of(time):
    return Clock(Record(ticks_ms=time.ticks_ms, utc_ms=lambda: None, poll=None))


def test_a_ramp_falls_at_once_and_rises_by_half_an_ampere_a_second():
    time = VirtualTime()
    ramp = Ramp(clock_of(time))
    assert ramp.follow(6000) == 6000 and not ramp.going
    for second in range(1, 53):
        assert ramp.follow(32000) == 6000 + (second - 1) * 500 and ramp.going
        time.now_ms += 1000
    assert ramp.follow(32000) == 32000
    ramp.follow(32000)
    assert not ramp.going


def test_a_ramp_looked_at_often_is_no_slower():
    time = VirtualTime()
    ramp = Ramp(clock_of(time))
    ramp.follow(10000)
    ramp.follow(20000)
    for _ in range(40):
        time.now_ms += 250
        ramp.follow(20000)
    assert ramp.ma == 15000


def test_a_ramp_that_is_stopped_half_way_falls_at_once():
    time = VirtualTime()
    ramp = Ramp(clock_of(time))
    ramp.follow(6000)
    ramp.follow(32000)
    time.now_ms += 10_000
    assert ramp.follow(32000) == 11000
    assert ramp.follow(8000) == 8000 and not ramp.going


def test_a_droop_is_a_straight_line_between_two_ends():
    assert [droop_ma(v, 900, 850) for v in (1000, 900, 875, 850, 700)] == [32000, 32000, 19000, 6000, 6000]


def budget(hour, day):
    time = VirtualTime()
    view = Record(contactor_closed=False)
    budget = SwitchingBudget({"solar_starts_hour": hour, "solar_starts_day": day}, view, clock_of(time))

    def close():
        for closed in (True, True, False):
            view.contactor_closed = closed
            budget.look()

    return time, budget, close


def test_a_closing_counts_once_and_for_an_hour():
    time, used, close = budget(2, 100)
    assert used.wait_s() == 0
    close()
    time.now_ms += 600_000
    assert used.wait_s() == 0 and used.status() == {"hour": 1, "day": 1, "wait_s": 0}
    close()
    assert used.wait_s() == 3000
    time.now_ms += 3_000_000
    assert used.wait_s() == 0 and used.status() == {"hour": 1, "day": 2, "wait_s": 0}


def test_the_day_has_a_budget_of_its_own():
    time, used, close = budget(30, 3)
    for _ in range(3):
        close()
        time.now_ms += 7_200_000
    assert used.wait_s() == 86_400 - 3 * 7200
    time.now_ms += used.wait_s() * 1000
    assert used.wait_s() == 0


def test_no_more_closings_are_kept_than_the_largest_budget_needs():
    time, used, close = budget(30, 100)
    for _ in range(150):
        close()
        time.now_ms += 1000
    assert used.status()["day"] == 100


def test_a_mean_moves_towards_what_is_certain_only():
    mean = Mean(2000)
    mean.add(1000, 1000, 1000)
    assert mean.w == 1000
    mean.add(500, 1500, 1000)
    assert mean.w == 1000
    mean.add(2500, 4000, 1000)
    assert mean.w == 1500
    mean.add(-3000, 0, 1000)
    assert mean.w == 1000
    mean.clear()
    mean.add(7000, 7000, 1)
    assert mean.w == 7000


def test_a_mean_is_independent_of_how_often_it_is_fed():
    seldom, often = Mean(30_000), Mean(30_000)
    for mean in (seldom, often):
        mean.add(0, 0, 1)
    for _ in range(30):
        seldom.add(6000, 6000, 1000)
    for _ in range(75):
        often.add(6000, 6000, 400)
    assert abs(seldom.w - often.w) < 60 and 3500 < seldom.w < 4000
