"""Pseudo-random numbers of the plant, the same for the same seed on every host."""

from micropython import const

_MASK = const(0xFFFFFFFF)


class Dice:
    """Marsaglia's xorshift with 32 bits of state (Journal of Statistical Software 8/14, 2003)."""

    def __init__(self, seed: int):
        # Knuth's multiplicative hash spreads neighbouring seeds; the state must not be 0.
        self._state = ((seed * 2654435761 + 0x9E3779B9) & _MASK) or 1
        for _ in range(8):
            self._draw()

    def _draw(self) -> int:
        x = self._state
        x ^= (x << 13) & _MASK
        x ^= x >> 17
        x ^= (x << 5) & _MASK
        self._state = x
        return x

    def between(self, low: int, high: int) -> int:
        """An int in low..high inclusive, each as likely; the span must be below 2**32."""
        span = high - low + 1
        if not 0 < span <= _MASK:
            raise ValueError("random: %d..%d is not allowed; allowed: low <= high, less than 2**32 apart" % (low, high))
        limit = _MASK - _MASK % span
        value = self._draw()
        while value >= limit:
            value = self._draw()
        return low + value % span

    def spread(self, nominal: int, permille: int) -> int:
        """`nominal` with a tolerance of +-`permille`."""
        return nominal + nominal * self.between(-permille, permille) // 1000
