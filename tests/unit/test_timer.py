"""Timers over the wrap of the ticks."""

from time import ticks_add

from wallbox.timer import Dwell, Timer, next_due_ms


def test_a_timer_expires_once_and_then_rests():
    timer = Timer()
    timer.start(1000, 50)
    assert not timer.expired(1049)
    assert timer.left_ms(1010) == 40
    assert timer.expired(1050)
    assert not timer.expired(1050)
    assert timer.left_ms(5000) == 0


def test_a_timer_runs_over_the_wrap_of_the_ticks():
    last = ticks_add(0, -1)
    timer = Timer()
    timer.start(last, 20)
    assert not timer.expired(ticks_add(last, 19))
    assert timer.expired(ticks_add(last, 20))


def test_a_dwell_holds_only_without_a_break():
    dwell = Dwell(30)
    assert not dwell.update(0, True)
    assert not dwell.update(20, True)
    dwell.update(25, False)
    assert not dwell.update(30, True)
    assert not dwell.update(50, True)
    assert dwell.update(60, True)
    assert dwell.update(10_000, True)
    assert not dwell.update(10_010, False)


def test_a_dwell_of_no_time_holds_at_once():
    assert Dwell(0).update(5, True)


def test_the_next_due_time_is_that_of_the_first_running_timer():
    early, late, resting = Timer(), Timer(), Timer()
    early.start(0, 100)
    late.start(0, 500)
    assert next_due_ms((late, resting, early), 40, 1000) == 60
    assert next_due_ms((resting,), 40, 1000) == 1000
    assert next_due_ms((early,), 400, 1000) == 0
