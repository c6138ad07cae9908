"""The current that may be offered: the smallest of a few named limits, each with an owner and a reason.

Limits are set by whoever knows them (installer, meter, temperature, backend ...); only this module
compares them, and only the control loop acts on the result.
"""

from time import ticks_diff

from micropython import const

NAMES = (
    "installer",
    "cable",
    "meter",
    "solar",
    "peak_shaving",
    "grid",
    "temperature",
    "check",
    "backend",
    "iso15118",
    "update",
)
UNLIMITED_MA = const(1 << 29)


class Limit:
    """One named limit; `ma` is UNLIMITED_MA while it says nothing, `until` None while it does not expire.

    `since_s` is the uptime at which it got its value, `change_s` at which its owner means to change it, if known.
    """

    def __init__(self, name: str):
        self.name = name
        self.ma = UNLIMITED_MA
        self.reason = ""
        self.owner = ""
        self.until = None
        self.since_s = 0
        self.change_s = None


class Offer:
    """All limits, and their minimum in milliamperes a phase with the name of the winner."""

    def __init__(self, clock, on_change):
        self._clock = clock
        self._on_change = on_change
        self.limits = tuple(Limit(name) for name in NAMES)
        self.winner = self.limits[0]
        self.installer = self.limits[0]

    def limit(self, name: str) -> Limit:
        """The limit called `name`; ValueError when there is none."""
        for limit in self.limits:
            if limit.name == name:
                return limit
        raise ValueError("limit: %r is unknown; allowed: %s" % (name, ", ".join(NAMES)))

    def set(self, name: str, ma: int, reason: str, owner: str, until=None, change_s=None) -> None:
        """Limit the charge to `ma` (0 or more; below 6 A means pause), optionally only until those ticks.

        `change_s` tells people at which uptime in seconds the owner means to look again.
        """
        if ma < 0:
            raise ValueError("limit %s: %d mA is below 0" % (name, ma))
        limit = self.limit(name)
        if limit.ma != ma or limit.reason != reason:
            limit.since_s = self._clock.uptime_s()
        limit.ma = ma
        limit.reason = reason
        limit.owner = owner
        limit.until = until
        limit.change_s = change_s
        self._on_change()

    def clear(self, name: str) -> None:
        """Take the limit away."""
        limit = self.limit(name)
        if limit.ma != UNLIMITED_MA:
            limit.ma = UNLIMITED_MA
            limit.reason = ""
            limit.until = None
            self._on_change()

    def total_ma(self, now: int) -> int:
        """The minimum of all limits that have not expired, in mA; allocates nothing."""
        best = UNLIMITED_MA
        for limit in self.limits:
            if limit.until is not None and ticks_diff(now, limit.until) >= 0:
                limit.ma = UNLIMITED_MA
                limit.until = None
            if limit.ma < best:
                best = limit.ma
                self.winner = limit
        return best

    def due_ms(self, now: int, horizon_ms: int) -> int:
        """Milliseconds until the first limit expires, at most `horizon_ms`."""
        for limit in self.limits:
            if limit.until is not None:
                horizon_ms = min(horizon_ms, ticks_diff(limit.until, now))
        return max(0, horizon_ms)

    def status(self) -> dict:
        """{name: amperes} of every limit in force."""
        return {limit.name: limit.ma / 1000 for limit in self.limits if limit.ma != UNLIMITED_MA}
