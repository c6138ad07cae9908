"""Plays short tone patterns on the buzzer, one after the other; it never makes its caller wait."""

import asyncio

from micropython import const

_GAP_MS = const(90)  # silence between two tones
_REST_MS = const(300)  # silence between two patterns, so that they are heard as two
_QUEUE_MAX = const(4)

# Tones as Hz, ms, Hz, ms, ... R16: the high signals are the manual's (8.5.1), a refusal is low.
# R42: each light code has its tune: rising = current comes, falling = it ends, a low last note = the
# communication module (S4); the fault sounds deep and long.
_PATTERNS = {
    "registration_on": (2700, 120),
    "card_registered": (2700, 120, 2700, 120),
    "registration_off": (2700, 800),
    "reject": (700, 180, 700, 180, 700, 180),
    "accepted": (2000, 80, 2700, 120),
    "fault": (450, 500, 350, 500, 450, 500, 350, 500),
    "running_blue": (1200, 60, 1500, 60, 1200, 60, 1500, 60),
    "blue": (1800, 80, 1200, 80),
    "breathing_blue": (1200, 80, 1500, 80, 1800, 80),
    "blue_s4_red": (1800, 80, 1200, 80, 450, 300),
    "breathing_blue_s4_red": (1200, 80, 1500, 80, 1800, 80, 450, 300),
    "running_blue_s4_red": (1200, 60, 1500, 60, 1200, 60, 450, 300),
}


class Buzzer:
    """Plays named patterns on `hal.set(hz)`; the light code `red` sounds as `fault`."""

    def __init__(self, hal):
        self._hal = hal
        self._queue = []
        self._wake = asyncio.Event()

    def play(self, name: str) -> None:
        """Have a pattern played as soon as those before it are over; does not wait.

        What does not fit into the queue of 4 is dropped; a fault goes first and drops what waits.
        Raises ValueError for an unknown name.
        """
        if name not in _PATTERNS:
            raise ValueError("sound: %r is not allowed; allowed: %s" % (name, ", ".join(sorted(_PATTERNS))))
        if name == "fault":
            self._queue.clear()
        if len(self._queue) < _QUEUE_MAX:
            self._queue.append(_PATTERNS[name])
            self._wake.set()

    async def run(self) -> None:
        """Play what is asked for, for ever; leaves the buzzer silent when it is cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    await self._sound(self._queue.pop(0))
                    await asyncio.sleep_ms(_REST_MS)
        finally:
            self._hal.set(0)

    async def _sound(self, tones: tuple) -> None:
        for i in range(0, len(tones), 2):
            if i:
                await asyncio.sleep_ms(_GAP_MS)
            self._hal.set(tones[i])
            await asyncio.sleep_ms(tones[i + 1])
            self._hal.set(0)
