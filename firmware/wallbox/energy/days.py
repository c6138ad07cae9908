"""Learns from each day whether the sun is scarce or plenty for what the car needs (R21); sets no limit.

Nobody tells the box what the car needs. But one that was not full when it left, or at dusk, could have used all sun
there was, with some of the grid beside it; and where more sun came after the car was full than the grid had given to
it, it could have waited for that.
"""

from micropython import const

from wallbox.timer import Dwell

# A car that is offered current and takes none for so long is full.
_FULL_MS = const(60_000)
# Less than this part of 6 A for so long is the evening.
_DUSK_PERCENT = const(10)
_DUSK_MS = const(3_600_000)

SCARCE = const(0)
FAIR = const(1)
PLENTY = const(2)
NAMES = ("scarce", "fair", "plenty")


class Days:
    """`sun` is how much the last day had, since the firmware's start."""

    def __init__(self, snapshot):
        self._view = snapshot
        self._connected = False
        self._full = False
        self._idle = Dwell(_FULL_MS)
        self._dusk = Dwell(_DUSK_MS)
        # There was sun since the last judgement.
        self._sunny = False
        # Sun that came when the car was full, less what the grid gave before, in mWs.
        self._left_mws = 0
        self.sun = FAIR

    def update(self, now: int, since_ms: int, surplus_w: int, least_w: int, car_w: int) -> None:
        """Take in a reading: the sun's surplus, the car's power at 6 A, and its power now."""
        gone = surplus_w * 100 < least_w * _DUSK_PERCENT
        dusk = self._dusk.update(now, gone)
        if not self._view.car_connected:
            if self._connected:
                self._judge()
            self._connected = self._full = False
            return
        self._connected = True
        self._sunny = self._sunny or not gone
        charging = self._view.charging
        idle = self._idle.update(now, not charging and self._view.offered_ma > 0)
        if charging:
            self._full = False
            self._left_mws -= max(0, car_w - max(0, surplus_w)) * since_ms
        elif idle:
            self._full = True
            if surplus_w >= least_w:
                self._left_mws += surplus_w * since_ms
        if dusk:
            self._judge()

    def _judge(self):
        if not self._sunny:
            return
        self._sunny = False
        if not self._full:
            self.sun = SCARCE
        elif self._left_mws:
            self.sun = PLENTY if self._left_mws > 0 else FAIR
        self._left_mws = 0
