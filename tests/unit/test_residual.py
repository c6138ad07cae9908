"""Residual current: trips, self-tests and their times, and at most three recoveries an hour (R9)."""

from time import ticks_add

from control_bench import Clock, Rcm

from wallbox.protection import faults as f
from wallbox.protection.residual import ResidualCurrent

HOUR_MS = 3_600_000


class Rig:
    def __init__(self):
        self.now = 0
        self.raised = []
        self.tested = []
        self.rcm = Rcm()
        self.faults = f.Faults(Clock(), self._note, lambda _: None)
        self.watch = ResidualCurrent(self.rcm, self.faults, lambda passed: self.tested.append((self.now, passed)))

    def _note(self, fault, value):
        self.raised.append((self.now, fault, value))

    def run(self, ms):
        for _ in range(ms // 10):
            self.now += 10
            self.watch.update(self.now)

    def test(self):
        self.watch.start_test(self.now)
        return self


def test_it_begins_without_a_test_and_asks_for_one():
    rig = Rig()
    assert not rig.watch.passed
    assert not rig.watch.testing
    assert rig.watch.test_due
    assert rig.watch.may_recover
    rig.run(100)
    assert rig.raised == [] and rig.tested == [] and rig.rcm.tests == 0
    assert rig.rcm.samples == 10


def test_a_trip_or_a_value_at_the_end_of_its_band_is_a_fault():
    for name, value, wanted in (
        ("dc_ua", 5_999, []),
        ("dc_ua", 6_000, [(10, f.RESIDUAL_CURRENT, 6_000)]),
        ("ac_ua", 29_999, []),
        ("ac_ua", 30_000, [(10, f.RESIDUAL_CURRENT, 30_000)]),
        ("leak", True, [(10, f.RESIDUAL_CURRENT, 0)]),
    ):
        rig = Rig()
        rig.watch.passed = True
        setattr(rig.rcm, name, value)
        rig.run(10)
        assert rig.raised == wanted, name
        assert rig.watch.passed == (not wanted), name


def test_the_larger_of_both_currents_is_told():
    rig = Rig()
    rig.rcm.dc_ua = 6_500
    rig.rcm.ac_ua = 20_000
    rig.run(10)
    assert rig.raised == [(10, f.RESIDUAL_CURRENT, 20_000)]


def test_the_condition_ends_with_the_leak():
    rig = Rig()
    rig.rcm.leak = True
    rig.run(10)
    rig.rcm.leak = False
    rig.run(10)
    assert rig.faults.condition == 0
    assert rig.faults.is_active(f.RESIDUAL_CURRENT)


def test_a_self_test_trips_the_monitor_and_waits_until_it_has_settled():
    rig = Rig()
    rig.watch.passed = True
    rig.test()
    assert rig.rcm.testing
    assert rig.watch.testing
    assert not rig.watch.passed
    rig.run(10)
    assert not rig.rcm.testing
    assert rig.watch.testing
    rig.rcm.leak = True
    rig.run(200)
    assert rig.watch.testing and rig.tested == []
    rig.rcm.leak = False
    rig.run(10)
    assert rig.tested == [(220, True)]
    assert rig.watch.passed
    assert not rig.watch.testing
    assert not rig.watch.test_due
    assert rig.raised == []


def test_a_monitor_that_does_not_trip_in_800_ms_fails():
    rig = Rig()
    rig.rcm.deaf = True
    rig.test().run(790)
    assert rig.tested == []
    assert rig.rcm.testing
    rig.run(10)
    assert rig.tested == [(800, False)]
    assert rig.raised == [(800, f.RCM_SELF_TEST, 0)]
    assert not rig.rcm.testing
    assert not rig.watch.testing
    assert not rig.watch.passed
    assert rig.watch.test_due


def test_a_monitor_that_trips_late_passes():
    rig = Rig()
    rig.rcm.deaf = True
    rig.test().run(780)
    rig.rcm.deaf = False
    rig.run(20)
    assert rig.tested == [(800, True)]


def test_the_time_from_test_current_to_trip_is_kept_until_the_next_test():
    rig = Rig()
    assert rig.watch.trip_ms == 0
    rig.now = 1 << 20
    rig.rcm.deaf = True
    rig.test().run(780)
    assert rig.watch.trip_ms == 0
    rig.rcm.deaf = False
    rig.run(10)
    rig.rcm.leak = True
    rig.run(200)
    rig.rcm.leak = False
    rig.run(100)
    assert rig.watch.passed and rig.watch.trip_ms == 790
    rig.test()
    assert rig.watch.trip_ms == 0
    rig.run(20)
    assert rig.watch.trip_ms == 10
    rig.rcm.deaf = True
    rig.test().run(900)
    assert not rig.watch.passed and rig.watch.trip_ms == 0


def test_a_test_across_the_wrap_of_the_clock_has_its_time():
    rig = Rig()
    rig.rcm.deaf = True
    rig.watch.start_test(ticks_add(0, -20))
    for at in (-10, 0, 10):
        rig.watch.update(ticks_add(0, at))
    rig.rcm.deaf = False
    rig.watch.update(20)
    assert rig.watch.trip_ms == 40


def test_a_monitor_that_stays_tripped_for_1500_ms_fails():
    rig = Rig()
    rig.rcm.leak = True
    rig.test().run(1500)
    assert rig.tested == []
    rig.run(10)
    assert rig.tested == [(1510, False)]
    assert rig.raised == [(1510, f.RCM_SELF_TEST, 0)]
    assert not rig.watch.testing


def test_a_test_that_failed_does_not_prove_the_next():
    rig = Rig()
    rig.test().run(20)
    assert rig.watch.passed
    rig.rcm.deaf = True
    rig.test().run(900)
    assert not rig.watch.passed


def test_a_test_is_due_again_after_24_h():
    rig = Rig()
    rig.test().run(20)
    passed_at = rig.tested[0][0]
    rig.now = passed_at + 24 * HOUR_MS - 20
    rig.run(10)
    assert not rig.watch.test_due
    rig.run(10)
    assert rig.watch.test_due


def test_a_finished_test_leaves_no_timer_but_the_24_h():
    rig = Rig()
    rig.test()
    assert [timer.running for timer in rig.watch.timers] == [True] + 4 * [False]
    rig.run(20)
    assert [timer.running for timer in rig.watch.timers] == [False, True] + 3 * [False]


def test_after_three_recoveries_the_next_waits_until_the_first_is_an_hour_old():
    rig = Rig()
    for minute in (0, 10, 20):
        rig.now = minute * 60_000
        assert rig.watch.may_recover
        rig.watch.recovered(rig.now)
    assert not rig.watch.may_recover
    assert rig.watch.timers[2].running
    rig.now = HOUR_MS - 20
    rig.run(10)
    assert not rig.watch.may_recover
    rig.run(10)
    assert rig.watch.may_recover
    rig.watch.recovered(rig.now)
    assert not rig.watch.may_recover
    rig.now = HOUR_MS + 600_000 - 20
    rig.run(10)
    assert not rig.watch.may_recover
    rig.run(10)
    assert rig.watch.may_recover


def test_one_millisecond_short_of_an_hour_waits():
    for third, may in ((HOUR_MS - 1, False), (HOUR_MS, True)):
        rig = Rig()
        for now in (0, 10, 20):
            rig.watch.recovered(now)
        rig.watch.update(third)
        assert rig.watch.may_recover == may, third


def test_recoveries_more_than_an_hour_apart_never_wait():
    rig = Rig()
    for hours in (0, 1, 2, 3, 4):
        rig.now = hours * HOUR_MS // 2
        rig.watch.update(rig.now)
        rig.watch.recovered(rig.now)
        assert rig.watch.may_recover, hours
        assert rig.watch.recoveries == min(hours + 1, 2)


def begun(name, value):
    """A monitor that shows something when the firmware starts."""
    rig = Rig()
    setattr(rig.rcm, name, value)
    rig.watch.begin(rig.now)
    return rig


def test_what_a_test_has_tripped_that_a_reset_cut_short_is_no_leak():
    for name, value, calm in (("leak", True, False), ("dc_ua", 6_000, 0), ("ac_ua", 30_000, 0)):
        rig = begun(name, value)
        rig.run(1_490)
        assert rig.watch.testing and rig.raised == [], name
        setattr(rig.rcm, name, calm)
        rig.run(10)
        assert not rig.watch.testing, name
        rig.run(2_000)
        assert rig.raised == [] and rig.tested == [] and not rig.watch.passed, name
        # From now on it counts again at once.
        at = rig.now
        setattr(rig.rcm, name, value)
        rig.run(10)
        assert [when for when, _, _ in rig.raised] == [at + 10], name


def test_a_trip_at_the_start_that_outlasts_a_test_counts():
    rig = begun("leak", True)
    rig.run(1_490)
    assert rig.raised == []
    rig.run(10)
    assert rig.raised == [(1_500, f.RESIDUAL_CURRENT, 0)] and not rig.watch.testing


def test_the_start_takes_the_test_current_away_and_leaves_no_timer_overdue():
    rig = Rig()
    rig.rcm.set_test(True)
    rig.watch.begin(0)
    assert not rig.rcm.testing
    rig.run(10)
    assert not any(timer.running for timer in rig.watch.timers)
