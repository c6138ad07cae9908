"""The wake-up of a car that sleeps through its offer (R40): it says when, and touches neither pilot nor contactor.

IEC 61851-1 A.5.3: state F for a while, +12 V, then the offer again. It is meant for cars that were offered
nothing for long and have gone to sleep, and for nothing else: a car that ended its charge by itself is full.
"""

from micropython import const

from wallbox.charging.states import A1, A2, B2, C2, F
from wallbox.timer import Timer

# In B2 for 30 s without C: the car sleeps (EVerest; SmartEVSE waits as long, WARP 90 s).
_WAIT_MS = const(30_000)
# A car that was woken before needs no such patience. Still more than the 5 s that have to lie between the
# end of state C and state F (WARP keeps the same distance between two states C).
_SOON_MS = const(10_000)
# What keeps a wake-up from beginning, such as a level that just changes, is looked at again after this long.
_AGAIN_MS = const(1_000)
# +12 V before the offer comes back (EVerest: 750 ms in X1).
_PAUSE_MS = const(750)

# Kinds of wake-up. 4 s is the norm's (EVerest, WARP); cars that sleep through it need 30 s (WARP).
NONE = const(0)
SHORT = const(1)
LONG = const(2)
KINDS = (None, "f_4s", "f_30s")
PULSE_S = (0, 4, 30)
# The short one and the long one, each once an offer.
_ATTEMPTS = const(2)

_NO_OFFER = const(0)
_WAIT = const(1)
_PULSE = const(2)
_RELEASE = const(3)  # +12 V is back, its level not read yet
_PAUSE = const(4)
_DONE = const(5)  # the car took the offer, or will not


class WakeUp:
    """One offer at a time; `on_event(kind, woken)` tells each begin and each success and may not allocate.

    `preferred` is the kind that woke this car before (NONE: not known). `allow_long` permits 30 s during
    which the box cannot see whether the car is still the same. `worked` is the last kind that woke it.
    After a power cut it is not known any more whether a car had charged: it may be woken though it is full.
    """

    def __init__(self, on_event):
        self._on_event = on_event
        self._timer = Timer()
        self.timers = (self._timer,)
        self.enabled = True
        self.preferred = NONE
        self.allow_long = False
        self.worked = NONE
        self._phase = _NO_OFFER
        self._kind = NONE
        self._attempts = 0
        self._state = A1
        self._full = False

    @property
    def holds_f(self) -> bool:
        """State F has to be put out."""
        return self._phase == _PULSE

    @property
    def under_way(self) -> bool:
        """From the begin of state F until the offer may come back."""
        return _PULSE <= self._phase <= _PAUSE

    def left_ms(self, now: int) -> int:
        """Milliseconds until the wake-up begins, or until its present part ends; 0 when nothing is awaited."""
        return self._timer.left_ms(now) if self.under_way or self._next_kind() else 0

    def update(self, now: int, state: int, permitted: bool, may_begin: bool) -> bool:
        """One control step in `state`, as the level of this step left it; True when state F has to begin.

        `permitted` tells that everything but the car wants the offer; what ends it ends a wake-up, too.
        `may_begin` tells that the contactor is open and proven so, and that the car is not just changing its level.
        """
        due = self._timer.expired(now)
        before = self._state
        self._state = state
        if state <= A2:
            self._full = False
            permitted = False
        if not permitted:
            self._phase = _NO_OFFER
            self._attempts = 0
            self._timer.stop()
        elif self._phase == _PULSE:
            if due:
                self._phase = _RELEASE
        elif self._phase == _RELEASE:
            if state != F:
                self._phase = _PAUSE
                self._timer.start(now, _PAUSE_MS)
        elif self._phase == _PAUSE:
            if due:
                self._wait(now, _WAIT_MS)
        elif state == C2:
            self._answered()
        elif state == B2:
            self._full |= before == C2
            return self._no_answer(now, due, may_begin)
        return False

    def _wait(self, now: int, ms: int) -> None:
        self._phase = _WAIT
        self._timer.start(now, ms)

    def _answered(self) -> None:
        self._full = False
        if self._phase == _WAIT and self._attempts:
            self.worked = self.preferred = self._kind
            self._on_event(self._kind, True)
        self._phase = _DONE
        self._timer.stop()

    def _no_answer(self, now: int, due: bool, may_begin: bool) -> bool:
        if self._phase == _NO_OFFER and not self._full:
            self._wait(now, _SOON_MS if self.preferred else _WAIT_MS)
        elif due:
            kind = self._next_kind()
            if not kind:
                self._phase = _DONE
            elif not may_begin:
                self._wait(now, _AGAIN_MS)
            else:
                self._begin(now, kind)
                return True
        return False

    def _begin(self, now: int, kind: int) -> None:
        self._phase = _PULSE
        self._kind = kind
        self._attempts += 1
        self._timer.start(now, PULSE_S[kind] * 1000)
        self._on_event(kind, False)

    def _next_kind(self) -> int:
        if not self.enabled or self._attempts == _ATTEMPTS:
            return NONE
        kind = SHORT + LONG - self._kind if self._attempts else self.preferred or SHORT
        if kind == LONG and not self.allow_long:
            kind = NONE if self._attempts else SHORT
        return kind
