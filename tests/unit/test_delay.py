"""The random delay before charging resumes after a power failure (R7, R38)."""

from wallbox.charging.delay import RestartDelay


class System:
    def __init__(self, cause="power_on"):
        self.cause = cause
        self.asked = []

    def reset_cause(self):
        return self.cause

    def random(self, least, most):
        self.asked.append((least, most))
        return 17


def made(longest=120, cause="power_on"):
    system = System(cause)
    return RestartDelay({"restart_delay_max_s": longest}, system), system


def test_an_interrupted_session_waits_as_long_as_was_drawn():
    delay, system = made()
    assert not delay.running
    assert delay.drawn_s == 0
    delay.begin(1000, True)
    assert system.asked == [(1, 120)]
    assert delay.running
    assert delay.drawn_s == 17
    delay.update(17_990)
    assert delay.running
    delay.update(18_000)
    assert not delay.running
    assert len(delay.timers) == 1


def test_the_seconds_left_are_rounded_up():
    delay, _ = made()
    delay.begin(1000, True)
    for now, left in ((1000, 17), (1001, 17), (1999, 17), (2000, 16), (17_000, 1), (17_999, 1), (18_000, 0)):
        assert delay.left_s(now) == left, now


def test_without_a_session_only_a_car_that_is_there_already_waits():
    delay, system = made()
    delay.begin(1000, False)
    assert not delay.running
    delay.car_at_start(1200)
    assert delay.running
    assert delay.timers[0].running


def test_a_car_seen_while_the_delay_runs_does_not_draw_again():
    delay, system = made()
    delay.begin(1000, True)
    delay.car_at_start(5000)
    assert len(system.asked) == 1
    assert delay.left_s(5000) == 13


def test_no_delay_when_it_is_set_to_0_or_the_supply_never_failed():
    for longest, cause in ((0, "power_on"), (120, "watchdog")):
        delay, system = made(longest, cause)
        delay.begin(1000, True)
        delay.car_at_start(1000)
        assert not delay.running
        assert system.asked == []
        assert delay.drawn_s == 0


def test_the_shortest_maximum_is_one_second():
    delay, system = made(longest=1)
    delay.begin(0, True)
    assert system.asked == [(1, 1)]
