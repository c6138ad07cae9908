"""Watchdogs: an external one with a window, which lets the contactor go, and the chip's own, which resets it.

The external one (100 ms to 2 s, set by its parts) takes a feed that comes too early for a fault too: a program that
runs wild in a loop does not feed it by chance.
"""

from machine import WDT, Pin
from micropython import const

from hal import pins

# Later than the external one, so that the contactor is open before pins change at a reset.
_RESET_MS = const(4_000)


class Watchdog:
    """Runs from the moment it is made; not fed for 2 s it drops the contactor, for 4 s it resets the board."""

    def __init__(self):
        # No edge yet: the first feed may follow within the time that is too early.
        self._feed = Pin(pins.WATCHDOG, Pin.OUT, value=0)
        self._wdt = WDT(timeout=_RESET_MS)

    def feed(self) -> None:
        """Give another 2 s, 100 ms after the last feed at the earliest; takes 10 us."""
        self._feed(1)
        self._feed(0)
        self._wdt.feed()
