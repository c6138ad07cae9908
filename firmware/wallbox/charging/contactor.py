"""The contactor: closing, opening, and the proof after each opening that no pole is welded (R10)."""

from time import ticks_diff

from micropython import const

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
# Opening above this current counts as opening under load; a car that obeys is below 1 A (sequence 7).
_LOAD_MA = const(1_000)

IDLE = const(0)
CLOSING = const(1)
CLOSED = const(2)
CHECKING = const(3)


class Contactor:
    """Owner of a hal `Contactor`; `on_switch(closed, current_ma)` tells each operation, allocation-free."""

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
        self.operations = 0
        self.load_openings = 0
        self.closing_ms = 0
        self.opening_ms = 0
        self._switched_at = 0

    @property
    def closed(self) -> bool:
        """Voltage is behind at least one pole."""
        return self.hal.live != 0

    @property
    def ready(self) -> bool:
        """Open, proven dead, and far enough from the last closing."""
        return self.phase == IDLE and not self._rest.running and not self._reclose.running

    def begin(self, now: int) -> None:
        """At start: open, and prove it as after any opening."""
        self.hal.set(False)
        self._check(now)

    def close(self, now: int) -> None:
        """Switch on, unless the last opening is not yet proven or too recent."""
        if not self.ready:
            return
        self.hal.set(True)
        self.commanded = True
        self.phase = CLOSING
        self.operations += 1
        self._switched_at = now
        self._timer.start(now, _CLOSE_MS)

    def open(self, now: int, current_ma: int) -> None:
        """Open at once; `current_ma` is the highest phase current, for the count of openings under load."""
        if not self.commanded:
            return
        self.hal.set(False)
        self.commanded = False
        self._switched_at = now
        self._reclose.start(now, _RECLOSE_MS)
        if current_ma > _LOAD_MA:
            self.load_openings += 1
        self._check(now)
        self._on_switch(False, current_ma)

    def _check(self, now: int) -> None:
        self.phase = CHECKING
        self.opening_ms = 0
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
            self.closing_ms = ticks_diff(now, self._switched_at)
            self.phase = CLOSED
            self._on_switch(True, 0)
        elif self._timer.expired(now):
            self._faults.report(NO_CLOSE, True, live, now)

    def _update_checking(self, now: int, live: int) -> None:
        if live == 0 and self.opening_ms == 0:
            self.opening_ms = max(1, ticks_diff(now, self._switched_at))
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
