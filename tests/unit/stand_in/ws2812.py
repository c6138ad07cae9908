"""A chain of WS2812B at a pin, fed by machine.bitstream; a test aid.

Times in ns are the limits that the data sheets of WS2812 (2012, all +-150) and of WS2812B-V5 have in common: high and
low of a 0, high and low of a 1.
"""

_LIMITS_NS = ((220, 380), (650, 950), (580, 850), (580, 750))
_RESET_US = 280
_LED_BYTES = 3
# Set-up and removal of the RMT channel around the bits; a guess.
_DRIVER_US = 60


class Chain:
    """`colours` are what the LEDs show, (r, g, b) each; `now_us` is the time, which writing and sleeping lets pass."""

    def __init__(self, pin, count):
        self.now_us = 5_000
        self._pin = pin
        self._count = count
        self._end_us = -_RESET_US
        self._got = b""
        self.busy_us = 0
        self.colours = None

    def bitstream(self, pin, encoding, timing, buf):
        """In place of machine.bitstream."""
        if encoding:
            raise ValueError("encoding")
        assert pin.number == self._pin, "a wrong pin"
        assert pin.use == "gpio" and pin.mode == pin.OUT and pin.out == 0, "the line does not rest low"
        for index in range(4):
            least, most = _LIMITS_NS[index]
            assert least <= timing[index] <= most, "a wrong time"
        if self.now_us - self._end_us >= _RESET_US:
            self._got = b""
        bits = bytes(buf)
        self._got += bits
        for byte in bits:
            for bit in range(8):
                one = byte >> bit & 1
                self.busy_us += (timing[2 * one] + timing[2 * one + 1]) / 1000
        self.now_us += _DRIVER_US + int(self.busy_us)
        self._end_us = self.now_us
        chain = [self._got[at : at + _LED_BYTES] for at in range(0, len(self._got), _LED_BYTES)]
        # What comes after the last LED's bytes leaves the chain at its end.
        self.colours = [(led[1], led[0], led[2]) for led in chain[: self._count]]

    # -- in place of the module time -----------------------------------------------------------------------

    def ticks_us(self):
        return self.now_us

    def ticks_add(self, early, us):
        return early + us

    def ticks_diff(self, late, early):
        return late - early

    def sleep_us(self, us):
        self.now_us += us
