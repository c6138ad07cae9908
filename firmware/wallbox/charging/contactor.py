"""The contactor: closing, opening, and the proof after each opening that no pole is welded (R10).

It enters each operation in its health book (R33). Times are measured from the command to the first control step
that sees all poles live or dead, so with the resolution of the loop's 10 ms.
"""

from time import ticks_diff

from micropython import const

from wallbox.charging.health import CLOSING as CLOSING_TIME
from wallbox.charging.health import OPENING as OPENING_TIME
from wallbox.charging.health import Health
from wallbox.protection.faults import NO_CLOSE, WELD
from wallbox.timer import Dwell, Timer

# Contactors of this class close in 20..30 ms and open in 15..25 ms; 200 ms without the output following
# means that it does not close.
_CLOSE_MS = const(200)
# After opening: 100 ms for the contacts and the discharge behind them, then the output must have been dead
# for 100 ms within one second (OpenEVSE looks after 1 s, WARP ignores 1.25 s).
_BLANK_MS = const(100)
_DEAD_MS = const(100)
_WINDOW_MS = const(1_000)
# At rest a voltage behind open contacts for this long is a weld as well.
_REST_MS = const(500)
_DROP_MS = const(100)
# Two closings are at least this far apart, which spares contacts and car, yet with the 0.5 s filter before
# C the box still closes within the 3 s of sequence 4.
_RECLOSE_MS = const(2_000)

IDLE = const(0)
CLOSING = const(1)
CLOSED = const(2)
CHECKING = const(3)


class Contactor:
    """Owner of a hal `Contactor`; `on_switch(closed, current_ma)` tells each operation, allocation-free.

    `timed`: the time of the operation under way will count; False from outside gives it up.
    """

    def __init__(self, hal, faults, on_switch):
        self.hal = hal
        self._faults = faults
        self._on_switch = on_switch
        self._timer = Timer()
        self._blank = Timer()
        self._reclose = Timer()
        self._dead = Dwell(_DEAD_MS)
        self._rest = Dwell(_REST_MS)
        self._drop = Dwell(_DROP_MS)
        self.timers = (self._timer, self._blank, self._reclose, self._dead, self._rest, self._drop)
        self.poles = 0b111
        self.phase = IDLE
        self.commanded = False
        self.health = Health()
        self.timed = False

    @property
    def closed(self) -> bool:
        """Voltage is behind at least one pole."""
        return self.hal.live != 0

    @property
    def ready(self) -> bool:
        """Open, proven dead, and far enough from the last closing."""
        return self.phase == IDLE and not self._rest.running and not self._reclose.running

    def begin(self, now: int) -> None:
        """At start: open, and prove it as after any opening; a power cut may have opened it just now (R38)."""
        self.hal.set(False)
        self._reclose.start(now, _RECLOSE_MS)
        self._check(now)

    def close(self, now: int) -> None:
        """Switch on, unless the last opening is not yet proven or too recent."""
        if not self.ready:
            return
        self.hal.set(True)
        self.commanded = True
        self.phase = CLOSING
        self.health.operations += 1
        self.timed = True
        self._switched_at = now
        self._timer.start(now, _CLOSE_MS)

    def open(self, now: int, current_ma: int) -> None:
        """Open at once; `current_ma` is the highest phase current, for the health book."""
        if not self.commanded:
            return
        # In a red fault hardware may have opened before, or the supply gone: that time says nothing.
        self.timed = self.phase == CLOSED and not self._faults.red
        self.hal.set(False)
        self.commanded = False
        self._reclose.start(now, _RECLOSE_MS)
        self.health.open(current_ma)
        self._check(now)
        self._on_switch(False, current_ma)

    def _check(self, now: int) -> None:
        self.phase = CHECKING
        self._switched_at = now
        self._drop.update(now, False)
        self._dead.update(now, False)
        self._blank.start(now, _BLANK_MS)
        self._timer.start(now, _WINDOW_MS)

    def update(self, now: int, supply_mask: int) -> None:
        """One control step; `supply_mask` tells which phases have voltage in front of the contactor."""
        self.hal.sample()
        self._reclose.expired(now)
        live = self.hal.live
        expected = self.poles & supply_mask
        if self.phase == CLOSING:
            self._update_closing(now, live, expected)
        elif self.phase == CLOSED:
            if self._drop.update(now, live & expected != expected):
                self._faults.report(NO_CLOSE, True, live, now)
        elif self.phase == CHECKING:
            self._update_checking(now, live)
        elif self._rest.update(now, live != 0):
            self._faults.report(WELD, True, live, now)

    def _update_closing(self, now: int, live: int, expected: int) -> None:
        if expected and live & expected == expected:
            self._timer.stop()
            self._time(CLOSING_TIME, now)
            self.phase = CLOSED
            self._on_switch(True, 0)
        elif self._timer.expired(now):
            self._faults.report(NO_CLOSE, True, live, now)

    def _update_checking(self, now: int, live: int) -> None:
        if live == 0:
            self._time(OPENING_TIME, now)
        self._blank.expired(now)
        dead = self._dead.update(now, live == 0 and not self._blank.running)
        if dead:
            self._faults.report(NO_CLOSE, False, 0, now)
            self._timer.stop()
            self.phase = IDLE
        elif self._timer.expired(now):
            self._dead.update(now, False)
            self._faults.report(WELD, True, live, now)
            self.phase = IDLE

    def _time(self, direction: int, now: int) -> None:
        if self.timed:
            self.timed = False
            self.health.time(direction, ticks_diff(now, self._switched_at))
