"""The switching budget (R39): how often the solar control may close the contactor in an hour and in a day."""

from micropython import const

_HOUR_S = const(3_600)
_DAY_S = const(86_400)
# The day's largest setting; older closings need not be known.
_KEPT = const(100)


class SwitchingBudget:
    """Counts every closing of the contactor, whoever asked for it, since the firmware's start."""

    def __init__(self, settings, snapshot, clock):
        self._settings = settings
        self._view = snapshot
        self._clock = clock
        self._closed = False
        self._closings_s = []

    def look(self) -> None:
        """Notice a closing; call it at least once while the contactor stays closed or open."""
        closed = self._view.contactor_closed
        if closed and not self._closed:
            self._closings_s.append(self._clock.uptime_s())
            if len(self._closings_s) > _KEPT:
                del self._closings_s[0]
        self._closed = closed

    def wait_s(self) -> int:
        """Seconds until the next closing is within the budget, 0 when it is now."""
        now_s = self._clock.uptime_s()
        hour = self._until(now_s, self._settings["solar_starts_hour"], _HOUR_S)
        return max(hour, self._until(now_s, self._settings["solar_starts_day"], _DAY_S))

    def _until(self, now_s, allowed, window_s):
        if len(self._closings_s) < allowed:
            return 0
        return max(0, self._closings_s[-allowed] + window_s - now_s)

    def status(self) -> dict:
        """Closings of the last hour and day, and the seconds to wait for the next."""
        now_s = self._clock.uptime_s()
        ages = [now_s - at for at in self._closings_s]
        return {
            "hour": sum([age < _HOUR_S for age in ages]),
            "day": sum([age < _DAY_S for age in ages]),
            "wait_s": self.wait_s(),
        }
