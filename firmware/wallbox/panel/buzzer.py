"""Plays short tone patterns on the buzzer, one after the other; it never makes its caller wait."""

import asyncio

from micropython import const

from wallbox.timer import unwatched

_GAP_MS = const(90)  # silence between two tones
_REST_MS = const(300)  # silence between two patterns, so that they are heard as two
_QUEUE_MAX = const(4)
_LATE_MS = const(10_000)  # the longest pattern takes below three seconds

# Tones as pairs of bytes, pitch in 50 Hz and length in 20 ms. R16: the high signals (2.7 kHz) are the
# manual's (8.5.1), a refusal is low. R42: each light code has its tune: rising = current comes, falling =
# it ends, a low last note = the communication module (S4); the fault sounds deep and long.
_HZ = const(50)
_MS = const(20)
_PATTERNS = {
    "registration_on": b"\x36\x06",
    "card_registered": b"\x36\x06\x36\x06",
    "registration_off": b"\x36\x28",
    "reject": b"\x0e\x09\x0e\x09\x0e\x09",
    "accepted": b"\x28\x04\x36\x06",
    "fault": b"\x09\x19\x07\x19\x09\x19\x07\x19",
    "running_blue": b"\x18\x03\x1e\x03\x18\x03\x1e\x03",
    "blue": b"\x24\x04\x18\x04",
    "breathing_blue": b"\x18\x04\x1e\x04\x24\x04",
    "blue_s4_red": b"\x24\x04\x18\x04\x09\x0f",
    "breathing_blue_s4_red": b"\x18\x04\x1e\x04\x24\x04\x09\x0f",
    "running_blue_s4_red": b"\x18\x03\x1e\x03\x18\x03\x09\x0f",
}


class Buzzer:
    """Plays named patterns on `hal.set(hz)`; those of the LED bar have its names, but `red` is `fault`."""

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

    async def run(self, beat=unwatched) -> None:
        """Play what is asked for, for ever; leaves the buzzer silent when it is cancelled."""
        try:
            while True:
                beat(None)
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    beat(_LATE_MS)
                    await self._sound(self._queue.pop(0))
                    await asyncio.sleep_ms(_REST_MS)
        finally:
            self._hal.set(0)

    async def _sound(self, tones: bytes) -> None:
        for i in range(0, len(tones), 2):
            if i:
                await asyncio.sleep_ms(_GAP_MS)
            self._hal.set(tones[i] * _HZ)
            await asyncio.sleep_ms(tones[i + 1] * _MS)
            self._hal.set(0)
