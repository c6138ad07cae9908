"""LED bar of the board: four WS2812B in a chain, S1 first."""

import time

from machine import Pin, bitstream
from micropython import const

from hal import pins

_BYTES = const(12)
# High and low of a 0, high and low of a 1 in ns, in steps of the RMT's 25 ns: within the limits of WS2812 (2012) and of
# WS2812B-V5 alike. The RMT sends all 96 bits in 125 us with interrupts on. Had it no channel free, MicroPython would do
# it by software, with interrupts off for as long; nothing else on this board takes a channel.
_TIMING_NS = (325, 850, 700, 600)
_HIGH_LOW = const(0)
# The line rests this long before the LEDs take over what they got (WS2812B-V5; 50 us in older ones).
_LATCH_US = const(300)


class Leds:
    """Four RGB LEDs S1..S4."""

    def __init__(self):
        self._pin = Pin(pins.LEDS, Pin.OUT, value=0)
        self._chain = bytearray(_BYTES)
        self._written_us = time.ticks_add(time.ticks_us(), -_LATCH_US)

    def write(self, buf) -> None:
        """Show 12 bytes: r, g, b of S1..S4; ValueError for another length. 0.2 ms, after another 0.5 ms."""
        if len(buf) != _BYTES:
            raise ValueError("buf: %d bytes are not allowed; allowed: %d" % (len(buf), _BYTES))
        chain = self._chain
        for at in range(0, _BYTES, 3):
            # They take green first.
            chain[at] = buf[at + 1]
            chain[at + 1] = buf[at]
            chain[at + 2] = buf[at + 2]
        passed_us = time.ticks_diff(time.ticks_us(), self._written_us)
        if 0 <= passed_us < _LATCH_US:
            time.sleep_us(_LATCH_US - passed_us)
        bitstream(self._pin, _HIGH_LOW, _TIMING_NS, chain)
        self._written_us = time.ticks_us()
