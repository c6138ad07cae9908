"""The one source of time: wrapping milliseconds for intervals, uptime, and UTC once it is known.

Every module that needs time takes it from here, so that virtual time moves the whole firmware at once.
"""

import asyncio
from time import ticks_add, ticks_diff

from micropython import const

# A tick that comes later than this after its due time means that the event loop was blocked.
# The supervisor treats the control loop as late then; the pilot must be read within 100 ms (IEC 61851-1
# table A.6, sequence 8.1), of which detection may use 50 ms.
_DEADLINE_MS = const(50)

# Who has told the time, those that are trusted more last. NTP comes from several servers that agree; a central system
# is one clock, which may be wrong; an app has a phone's; what a clock has kept over a restart may be anything.
UNKNOWN = const(0)
KEPT = const(1)
APP = const(2)
CENTRAL = const(3)
NTP = const(4)
SOURCES = ("unknown", "kept", "app", "central", "ntp")
# For so long nobody who is trusted less may set the clock: NTP is asked four times a day, and a crystal of 20 ppm has
# lost 2 s after a day.
_TRUST_S = const(93_600)
_MS = const(1000)
# The year 2100: neither a board's real-time clock nor its two digits of the year go further.
LAST_MS = const(4_102_444_800_000)

_EPOCH_DAYS_TO_1970 = const(719468)
_SECONDS_A_DAY = const(86400)


class Ticker:
    """Wakes a task on a fixed grid; when a wake-up was missed the grid goes on, nothing is made up for."""

    def __init__(self, ticks_ms, period_ms: int):
        self._ticks_ms = ticks_ms
        self._period_ms = period_ms
        self._next = ticks_ms()
        self.deadline_ms = _DEADLINE_MS
        self.late_ms = 0

    async def wait(self) -> None:
        """Sleep until the next grid instant; `late_ms` then tells how late the task came to run."""
        self._next = ticks_add(self._next, self._period_ms)
        left = ticks_diff(self._next, self._ticks_ms())
        if left < 0:
            self._next = self._ticks_ms()
            left = 0
        await asyncio.sleep_ms(left)
        self.late_ms = ticks_diff(self._ticks_ms(), self._next)


class Clock:
    """Time for the firmware, on the board's `hal.clock` module."""

    def __init__(self, hal_clock):
        self._hal = hal_clock
        self.ticks_ms = hal_clock.ticks_ms
        self._last = self.ticks_ms()
        self._uptime_ms = 0
        self._uptime_s = 0
        self._source = KEPT
        self._told_s = 0
        # Called with the source after each setting of the clock.
        self.listeners = []

    def _advance(self) -> None:
        now = self.ticks_ms()
        self._uptime_ms += ticks_diff(now, self._last)
        self._last = now
        whole = self._uptime_ms // 1000
        self._uptime_s += whole
        self._uptime_ms -= whole * 1000

    def uptime_s(self) -> int:
        """Whole seconds since start; never wraps as long as it is asked at least once in six days."""
        self._advance()
        return self._uptime_s

    def uptime_ms(self) -> int:
        """Milliseconds since start, not wrapping; may allocate, so not for the control loop."""
        self._advance()
        return self._uptime_s * 1000 + self._uptime_ms

    def utc_s(self):
        """Seconds since 1970-01-01 UTC, or None while no source has told the time."""
        ms = self._hal.utc_ms()
        return None if ms is None else ms // 1000

    def utc_iso(self):
        """The time as `2026-01-31T12:00:00Z`, or None while unknown."""
        seconds = self.utc_s()
        return None if seconds is None else iso(seconds)

    @property
    def source(self) -> int:
        """Who has told the time: UNKNOWN to NTP."""
        return UNKNOWN if self._hal.utc_ms() is None else self._source

    @property
    def told_of_late(self) -> bool:
        """Whether somebody has set the clock within the last 26 h."""
        return self.uptime_s() - self._told_s < _TRUST_S

    def set_utc_s(self, seconds: int, source: int = CENTRAL) -> bool:
        """Take over a time in seconds since 1970-01-01 UTC.

        False when somebody trusted more has told it of late, or from the year 2100 on.
        """
        return self.set_utc_ms(seconds * _MS, source)

    def set_utc_ms(self, ms: int, source: int) -> bool:
        """As `set_utc_s`, in milliseconds."""
        if ms >= LAST_MS or (source < self.source and self.told_of_late):
            return False
        self._source = source
        self._told_s = self.uptime_s()
        self._hal.set_utc_ms(ms)
        for listener in self.listeners:
            listener(source)
        return True

    def utc_ms(self):
        """Milliseconds since 1970-01-01 UTC, or None while no source has told the time."""
        return self._hal.utc_ms()

    def ticker(self, period_ms: int, next_due_ms):
        """A grid of `period_ms` for one task.

        `next_due_ms()` tells the board in how many milliseconds, inputs unchanged, the task would next
        have something to do; a board without real time to wait for may leave out the ticks in between.
        """
        if self._hal.ticker is not None:
            return self._hal.ticker(period_ms, next_due_ms)
        return Ticker(self.ticks_ms, period_ms)

    def poll(self, period_ms: int, rest_ms: int):
        """Awaitable pause between two looks at something that nobody announces.

        A board whose time is simulated may make it up to `rest_ms` long while nothing happens anywhere.
        """
        if self._hal.poll is not None:
            return self._hal.poll(period_ms, rest_ms)
        return asyncio.sleep_ms(period_ms)


def iso(seconds: int) -> str:
    """`seconds` since 1970-01-01 UTC as ISO 8601 in UTC, for any date after year 0.

    Days to a civil date by counting 400-year eras from 1 March, where leap days come last.
    """
    days, rest = divmod(seconds, _SECONDS_A_DAY)
    days += _EPOCH_DAYS_TO_1970
    era, day_of_era = divmod(days, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    hour, rest = divmod(rest, 3600)
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % (year, month, day, hour, rest // 60, rest % 60)
