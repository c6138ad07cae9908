"""The board "wallbox-s3-1" around the stand-in of its chip, for tests of boards/esp32s3/hal.

The wiring stands here once more, as numbers, so that a wrong number in hal/pins.py fails a test.
"""

import sys

_ROOT = __file__[: -len("tests/unit/esp32s3_help.py")]
sys.path[:0] = [_ROOT + "boards/esp32s3", _ROOT + "boards/esp32s3/hal", _ROOT + "tests/unit/stand_in"]

import machine  # noqa: E402
import micropython  # noqa: E402
import parts  # noqa: E402

SAFE_BUS = (21, 40, 47)
# Expander port A with nothing live: L1..L3 dark, PE there, contact open, known bits.
REST = 0b1001_0111


class Board:
    """A powered board; `expander`, `meter`, `pilot`, `coil`, `watchdog` are its parts, `pin(n)` its lines."""

    def __init__(self):
        machine.power_on()
        self.expander = parts.Expander(*SAFE_BUS, 37, REST)
        self.meter = parts.Meter(*SAFE_BUS, 14)
        self.pilot = parts.ControlPilot(7, 1, 2)
        self.watchdog = parts.WindowWatchdog(38)
        # The monitor holds its line low while all is well.
        self.pin(10).resistor = 1
        self.pin(10).drive(0)
        self.pin(36).resistor = 0
        self.pin(4).analog_uv = self.pin(6).analog_uv = 150_000
        self.pin(5).analog_uv = 819_000
        self.coil = parts.Coil(8, 9, 10, self.expander, (1, 2, 4), self.watchdog)

    def pin(self, number):
        return machine.Pin(number)


def without_heap(function, argument=None):
    """Call it, with an argument or none, with the heap locked: MemoryError when it allocates."""
    micropython.heap_lock()
    try:
        return function() if argument is None else function(argument)
    finally:
        micropython.heap_unlock()
