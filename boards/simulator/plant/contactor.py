"""The four-pole contactor: coil, delays, poles that weld, and what a voltage sensor behind it sees."""

from micropython import const

_CLOSE_MS = const(25)  # typical for a 40 A installation contactor, within 15..30 ms
_OPEN_MS = const(18)  # facts of the field: 20..30 ms budget with a fast coil decay
_NEUTRAL = const(8)
_ALL = const(15)


class Contactor:
    """Poles are bits: 0..2 are L1..L3, 3 is N.

    The coil gets current only while the firmware asks for it and hardware lets it: supply, no trip of
    the residual current monitor, watchdog content.
    """

    def __init__(self, plant):
        self._plant = plant
        self._slot = plant.slot(self._moved)
        self.commanded = False
        self.coil = False
        self.poles = 0
        self.live = 0
        self._moved_in = False
        self._no_close = False
        self._open_ms = _OPEN_MS
        self._weld_mask = 0
        self._stuck = 0

    @property
    def closed(self) -> bool:
        """Whether all four poles are closed."""
        return self.poles == _ALL

    @property
    def neutral(self) -> bool:
        """Whether the N pole is closed, without which no load current flows."""
        return bool(self.poles & _NEUTRAL)

    def command(self, closed: bool) -> None:
        """What the firmware asks of the coil."""
        self.commanded = bool(closed)
        self.update_coil()

    def update_coil(self) -> None:
        """Energise or release the coil as the firmware and the hardware interlocks say."""
        plant = self._plant
        coil = self.commanded and plant.powered and not plant.rcm.tripped and not plant.watchdog.expired
        if coil == self.coil:
            return
        self.coil = coil
        plant.at(self._slot, plant.now_ms + (_CLOSE_MS if coil else self._open_ms))

    def _moved(self) -> None:
        """The armature has arrived; without a coil that can pull, it stays open."""
        self._moved_in = self.coil and (self._moved_in or not self._no_close)
        if self._moved_in:
            self._stuck |= self._weld_mask
        self._set_poles()

    def _set_poles(self) -> None:
        poles = _ALL if self._moved_in else self._stuck
        if poles != self.poles:
            self.poles = poles
            self._plant.supply.update()

    def weld(self, pole: int, at_rest: bool) -> None:
        """Weld pole 0..2: now if it is closed or `at_rest`, otherwise at its next closing."""
        bit = 1 << pole
        self._weld_mask |= bit
        if at_rest or self.poles & bit:
            self._stuck |= bit
        self._set_poles()

    def free(self, pole: int) -> None:
        """Repair a welded pole; it opens at once when the armature is open."""
        self._weld_mask &= ~(1 << pole)
        self._stuck &= ~(1 << pole)
        self._set_poles()

    def slow(self, open_ms) -> None:
        """Let every opening from now on take `open_ms`, as of contacts that stick; None is as new."""
        self._open_ms = _OPEN_MS if open_ms is None else int(open_ms)

    def block(self, blocked: bool) -> None:
        """Let the coil pull no more (it holds what it has), or repair it."""
        plant = self._plant
        self._no_close = blocked
        if not blocked and self.coil and not self._moved_in:
            plant.at(self._slot, plant.now_ms + _CLOSE_MS)
