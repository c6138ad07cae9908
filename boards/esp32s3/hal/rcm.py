"""Residual current monitor: trip line with a latch, analogue values, test input."""

from machine import ADC, Pin
from micropython import const

from hal import pins

# The module's outputs: 0.15 V at no current, so that a cut wire (a pull-down) shows, then 100 mV/mA of DC and 20 mV/mA
# of rectified AC: 14.5 mA and 72 mA at the end of the converter's range of 6 dB.
_ZERO_UV = const(150_000)
_DC_UV_PER_UA = const(100)
_AC_UV_PER_UA = const(20)
# Half of the zero: nobody drives the wire. It counts as more than any limit.
_CUT_UV = const(75_000)
_CUT_DC_UA = const(15_000)
_CUT_AC_UA = const(75_000)


class Rcm:
    """`tripped` is the module's trip output, `dc_ua` and `ac_ua` its analogue value in microampere.

    The module pulls the line low while all is well; a trip, a module without power and a cut wire let it go high. A
    pulse that ends between two samples is latched by the pin's interrupt.
    """

    def __init__(self):
        self._line = Pin(pins.RCM_TRIP, Pin.IN)
        self._test = Pin(pins.RCM_TEST, Pin.OUT, value=0)
        self._dc = ADC(Pin(pins.RCM_DC), atten=ADC.ATTN_6DB)
        self._ac = ADC(Pin(pins.RCM_AC), atten=ADC.ATTN_6DB)
        self._pulse = False
        self.tripped = False
        self.dc_ua = 0
        self.ac_ua = 0
        self._line.irq(self._rose, Pin.IRQ_RISING)

    def _rose(self, _line) -> None:
        self._pulse = True

    def set_test(self, on: bool) -> None:
        """Drive the test input: high makes the test current flow. Allocates nothing, takes 2 us."""
        self._test(1 if on else 0)

    def sample(self) -> None:
        """Refresh the attributes. Allocates nothing; two conversions of some 50 us each, 0.15 ms in all."""
        pulse = self._pulse
        if pulse:
            # Only then, or a pulse that comes right now would be lost.
            self._pulse = False
        self.tripped = pulse or self._line() == 1
        self.dc_ua = _current(self._dc.read_uv(), _DC_UV_PER_UA, _CUT_DC_UA)
        self.ac_ua = _current(self._ac.read_uv(), _AC_UV_PER_UA, _CUT_AC_UA)


def _current(uv: int, uv_per_ua: int, cut_ua: int) -> int:
    if uv < _CUT_UV:
        return cut_ua
    return max(0, uv - _ZERO_UV) // uv_per_ua
