"""Board temperature: a thermistor of 10 kOhm at 25 degC from 3.3 V to the converter, 3.3 kOhm from there to ground."""

from array import array

from machine import ADC, Pin
from micropython import const

from hal import pins

# Millivolts at -50, -45, ... 135 degC: 3300 * 3300 / (3300 + R), R = 10000 * exp(3950 / T - 3950 / 298.15).
_FIRST_DECI_C = const(-500)
_STEP_DECI_C = const(50)
_TABLE_MV = array(
    "H",
    (13, 19, 27, 38, 54, 74, 100, 134, 177, 230, 295, 373, 464, 569, 688, 819, 961, 1111, 1266, 1424, 1581, 1735, 1882)
    + (2022, 2152, 2273, 2383, 2483, 2572, 2653, 2724, 2788, 2844, 2894, 2938, 2976, 3011, 3041),
)
_LAST = const(36)  # of the steps, counted from 0
# Outside: an open sensor leaves 0 V +-10 mV; with a shorted one the converter is at its end, of 3.1 V.
_OPEN_MV = const(12)
_SHORTED_MV = const(3_050)
_OPEN_DECI_C = const(-999)
_SHORTED_DECI_C = const(2_000)
# Up to here the range of 6 dB serves, good for 10 mV, which the cold end needs; above it that of 11 dB, good for 50 mV:
# 2.5 K at 80 degC.
_SWITCH_MV = const(1_500)


class Temperature:
    """`deci_c` in 0.1 degC; an open sensor reads below -550, a shorted one above 1500."""

    def __init__(self):
        self._adc = ADC(Pin(pins.NTC), atten=ADC.ATTN_6DB)
        self._step = 0
        self.deci_c = 0

    def sample(self) -> None:
        """Refresh the attribute. Allocates nothing; one or two conversions of some 50 us each, 0.2 ms at most."""
        adc = self._adc
        mv = adc.read_uv() // 1000
        if mv >= _SWITCH_MV:
            adc.atten(ADC.ATTN_11DB)
            mv = adc.read_uv() // 1000
            adc.atten(ADC.ATTN_6DB)
        if mv < _OPEN_MV:
            self.deci_c = _OPEN_DECI_C
        elif mv >= _SHORTED_MV:
            self.deci_c = _SHORTED_DECI_C
        else:
            self.deci_c = self._interpolated(mv)

    def _interpolated(self, mv: int) -> int:
        """Between two entries, which are those of the last time or near them."""
        table = _TABLE_MV
        step = self._step
        while step > 0 and mv < table[step]:
            step -= 1
        while step < _LAST and mv >= table[step + 1]:
            step += 1
        self._step = step
        low = table[step]
        return _FIRST_DECI_C + step * _STEP_DECI_C + (mv - low) * _STEP_DECI_C // (table[step + 1] - low)
