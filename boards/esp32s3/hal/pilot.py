"""Control pilot generator and sampler: LEDC at 1 kHz, and a peak detector for each plateau.

The detectors hold a plateau over the other one, so that one conversion at any moment shows it. README.md has the error
budget; its result is what the figures here rest on.
"""

from machine import ADC, PWM, Pin
from micropython import const

from hal import pins

# IEC 61851-1 table A.2: 1000 Hz +-2 %; from the crystal. The timer then has 13 bits (machine_pwm.c), a step is 7 mA.
_HZ = const(1_000)
_STEPS = const(8_192)
_UNUSED_BITS = const(3)
_STEADY = const(1_000)

# Divider in front of each detector: 13.5 V become 1.59 V, just within the range of 6 dB, where the calibrated converter
# is good for 10 mV (at 11 dB for 50 mV).
_TOP_OHM = const(75_000)
_BOTTOM_OHM = const(10_000)
_RATIO_X10 = const((_TOP_OHM + _BOTTOM_OHM) * 10 // _BOTTOM_OHM)
# The detectors' discharge: 220 kOhm with 100 nF.
_HOLD_US = const(22_000)
_PERIOD_US = const(1_000)
# A plateau below half of state D's 3 V is none.
_SEEN_MV = const(1_500)
# What stands for "modulated, though a steady level was asked for".
_MODULATED = const(500)


def _filled(mv: int, gap_us: int) -> int:
    """`mv` plus half of what the detector has lost at the end of a gap: the moment in it is not known."""
    return mv + mv * gap_us // (2 * _HOLD_US)


class Pilot:
    """`high_mv` and `low_mv` are the plateau levels at CP (equal when static), `duty_permille` the output.

    `duty_permille` is read back from the timer, but where the plateaus seen at CP speak against it, from them: 1000 or
    0 when there is only one, 500 when there are two that nobody asked for.
    """

    def __init__(self):
        # Steady +12 V, as the pull-up gave before.
        self._pwm = PWM(Pin(pins.CP_PWM), freq=_HZ, duty_u16=65_535)
        self._plus = ADC(Pin(pins.CP_HIGH), atten=ADC.ATTN_6DB)
        self._minus = ADC(Pin(pins.CP_LOW), atten=ADC.ATTN_6DB)
        self.high_mv = 0
        self.low_mv = 0
        self.duty_permille = 0

    def set_duty(self, permille: int) -> None:
        """1000 is steady +12 V, 0 steady -12 V, between them PWM; ValueError outside 0..1000.

        Rounded down to the timer's steps, and 1 to 999 never become steady. Allocates nothing, takes 20 us; it holds
        from the next period on.
        """
        if not 0 <= permille <= _STEADY:
            raise ValueError("duty_permille: %r is not allowed; allowed: 0..1000" % permille)
        if permille == _STEADY:
            self._pwm.duty_u16(65_535)
        else:
            self._pwm.duty_u16(permille * _STEPS // _STEADY << _UNUSED_BITS)

    def sample(self) -> None:
        """Refresh the attributes. Allocates nothing; two conversions of some 50 us each, 0.15 ms in all."""
        plus = self._plus.read_uv() // 100 * _RATIO_X10 // 100
        minus = self._minus.read_uv() // 100 * _RATIO_X10 // 100
        duty = self._pwm.duty_u16() * _STEADY + 32_768 >> 16
        if plus >= _SEEN_MV and minus < _SEEN_MV:
            self._show(plus, plus, _STEADY)
        elif minus >= _SEEN_MV and plus < _SEEN_MV:
            self._show(-minus, -minus, 0)
        elif 0 < duty < _STEADY:
            self._show(_filled(plus, _PERIOD_US - duty), -_filled(minus, duty), duty)
        else:
            self._show(plus, -minus, duty if plus < _SEEN_MV else _MODULATED)

    def _show(self, high_mv: int, low_mv: int, duty: int) -> None:
        self.high_mv = high_mv
        self.low_mv = low_mv
        self.duty_permille = duty
