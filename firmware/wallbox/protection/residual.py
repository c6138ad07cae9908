"""Residual current: watches the monitor's trip output and value, and tests it before it is relied upon (R9).

The trip output opens the contactor in hardware; what happens here comes on top of that.
"""

from micropython import const

from wallbox.protection.faults import RCM_SELF_TEST, RESIDUAL_CURRENT
from wallbox.timer import Timer

# Upper ends of the trip bands: 3..6 mA DC, 15..30 mA AC (product data; IEC 62955 and RCD practice). The
# module trips inside the bands; the analogue value is the second opinion for a module that does not.
_DC_TRIP_UA = const(6_000)
_AC_TRIP_UA = const(30_000)

# Test pulse: modules want 30 ms..1.2 s (Bender RCMB104); ours ends as soon as the trip output shows.
_TEST_SHOWS_MS = const(800)
# The output stays high until the module has settled: 1.2 s on the slowest (WARP's sequence), with margin.
_TEST_ENDS_MS = const(1_500)
# R9: a test at least every 24 h.
_TEST_AGAIN_MS = const(24 * 3600 * 1000)
# R9: at most 3 automatic recoveries an hour.
_RECOVERIES = const(3)
_HOUR_MS = const(3_600_000)

_IDLE = const(0)
_PULSE = const(1)
_RELEASE = const(2)
_CLEARING = const(3)


class ResidualCurrent:
    """Owner of a hal `Rcm`; `on_test(passed)` tells each finished self-test and may not allocate.

    `trip_ms` is how long the last test took from the test current to the trip output, 0 when it did not come.
    """

    def __init__(self, hal, faults, on_test):
        self.hal = hal
        self._faults = faults
        self._on_test = on_test
        self._phase = _IDLE
        self._timer = Timer()
        self._again = Timer()
        # Each runs for the hour after one recovery.
        self._hours = tuple([Timer() for _ in range(_RECOVERIES)])
        self.passed = False
        self.trip_ms = 0
        self.timers = (self._timer, self._again) + self._hours

    @property
    def testing(self) -> bool:
        """A self-test is under way."""
        return self._phase != _IDLE

    @property
    def test_due(self) -> bool:
        """The last passed test is more than 24 h old, or there was none."""
        return not self._again.running

    def begin(self, now: int) -> None:
        """Before the first step: a reset may have cut a test short, and what that has tripped is no leak.

        The contactor is open, and stays so until a test has passed; a trip that lasts longer than a test's counts.
        """
        self.hal.set_test(False)
        self._phase = _CLEARING
        self._timer.start(now, _TEST_ENDS_MS)

    def start_test(self, now: int) -> None:
        """Begin a self-test; only with an open contactor, for the test trips it."""
        self.passed = False
        self._phase = _PULSE
        self.trip_ms = 0
        self._timer.start(now, _TEST_SHOWS_MS)
        self.hal.set_test(True)

    def update(self, now: int) -> None:
        """One control step: sample, judge, go on with a test."""
        hal = self.hal
        hal.sample()
        self._again.expired(now)
        for hour in self._hours:
            hour.expired(now)
        tripped = hal.tripped or hal.dc_ua >= _DC_TRIP_UA or hal.ac_ua >= _AC_TRIP_UA
        if self._phase == _CLEARING and (not tripped or self._timer.expired(now)):
            self._phase = _IDLE
            self._timer.stop()
        if self._phase == _IDLE:
            if tripped:
                self.passed = False
            self._faults.report(RESIDUAL_CURRENT, tripped, max(hal.dc_ua, hal.ac_ua), now)
        elif self._phase == _PULSE:
            if hal.tripped:
                hal.set_test(False)
                self.trip_ms = _TEST_SHOWS_MS - self._timer.left_ms(now)
                self._phase = _RELEASE
                self._timer.start(now, _TEST_ENDS_MS)
            elif self._timer.expired(now):
                hal.set_test(False)
                self._end(now, False)
        elif self._phase == _RELEASE:
            if not hal.tripped:
                self._end(now, True)
            elif self._timer.expired(now):
                self._end(now, False)

    def _end(self, now: int, passed: bool) -> None:
        self._phase = _IDLE
        self._timer.stop()
        self.passed = passed
        if passed:
            self._again.start(now, _TEST_AGAIN_MS)
        else:
            self._faults.report(RCM_SELF_TEST, True, 0, now)
        self._on_test(passed)

    @property
    def recoveries(self) -> int:
        """Automatic recoveries of the last hour; allocates nothing."""
        count = 0
        for hour in self._hours:
            count += hour.running
        return count

    @property
    def may_recover(self) -> bool:
        """Whether a latched trip may be cleared after a passed test: not more than 3 times an hour."""
        return self.recoveries < _RECOVERIES

    def recovered(self, now: int) -> None:
        """Note an automatic recovery."""
        for hour in self._hours:
            if not hour.running:
                hour.start(now, _HOUR_MS)
                return

    def restore(self, recoveries: int, now: int) -> None:
        """At start: recoveries before a power cut count for a whole hour more, as nobody knows how long it took."""
        for hour in self._hours[:recoveries]:
            hour.start(now, _HOUR_MS)
