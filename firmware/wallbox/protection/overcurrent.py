"""Over-current: the car draws more than it is offered, with grace for a car that is still following (R11).

The circuit breaker remains the protection against short circuits (IEC 61851-1 clause 13); this one opens
the contactor when the internal measurement shows one.
"""

from micropython import const

from wallbox.protection.faults import OVER_CURRENT, SHORT_CIRCUIT
from wallbox.timer import Dwell, Timer

# The car must follow a new offer within 5 s (sequence 6); for one second more the old offer still counts.
_FOLLOW_MS = const(6_000)
# (I + 0.5 A) * 1.10 for 7 s is EVerest's soft over-current. The two faster steps are a proposal: no public
# curve was found.
_SLIGHT_PERMILLE = const(1_100)
_SLIGHT_MA = const(550)
_SLIGHT_MS = const(7_000)
_CLEAR_PERMILLE = const(1_250)
_CLEAR_MA = const(1_000)
_CLEAR_MS = const(3_000)
_GROSS_PERMILLE = const(1_500)
_GROSS_MA = const(2_000)
_GROSS_MS = const(500)
# Three times the rated 32 A is no car any more.
_SHORT_MA = const(96_000)
_SHORT_MS = const(10)


class OverCurrent:
    """Compares the highest phase current with the offer."""

    def __init__(self, faults):
        self._faults = faults
        self._follow = Timer()
        self._slight = Dwell(_SLIGHT_MS)
        self._clear = Dwell(_CLEAR_MS)
        self._gross = Dwell(_GROSS_MS)
        self._short = Dwell(_SHORT_MS)
        self.timers = (self._follow, self._slight, self._clear, self._gross, self._short)
        self._offer_ma = 0
        self._reference_ma = 0

    def update(self, now: int, offer_ma: int, current_ma: int, closed: bool) -> None:
        """One control step: the offer now (0 = none) and the highest phase current, both in mA."""
        if offer_ma >= self._reference_ma:
            self._reference_ma = offer_ma
            self._follow.stop()
        elif offer_ma < self._offer_ma:
            self._follow.start(now, _FOLLOW_MS)
        if self._follow.expired(now):
            self._reference_ma = offer_ma
        self._offer_ma = offer_ma
        ref = self._reference_ma
        slight = self._slight.update(now, closed and current_ma > ref * _SLIGHT_PERMILLE // 1000 + _SLIGHT_MA)
        clear = self._clear.update(now, closed and current_ma > ref * _CLEAR_PERMILLE // 1000 + _CLEAR_MA)
        gross = self._gross.update(now, closed and current_ma > ref * _GROSS_PERMILLE // 1000 + _GROSS_MA)
        self._faults.report(OVER_CURRENT, slight or clear or gross, current_ma, now)
        self._faults.report(SHORT_CIRCUIT, self._short.update(now, current_ma > _SHORT_MA), current_ma, now)
