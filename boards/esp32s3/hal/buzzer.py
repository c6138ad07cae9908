"""Buzzer of the board: a piezo disc at a PWM of half duty."""

from machine import PWM, Pin
from micropython import const

from hal import pins

# The chip has 4 timers; the buzzer keeps one to itself from its start, so a tone never has to look for one. MicroPython
# lets equal frequencies share a timer, and then loses count of the one that was left (machine_pwm.c, select_timer): no
# tone may have the pitch of control pilot or contactor coil.
_TAKEN_HZ = (1_000, 20_000)
_FIRST_HZ = const(2_700)
_HALF = const(32_768)


class Buzzer:
    """A tone of a given frequency."""

    def __init__(self):
        self._pwm = PWM(Pin(pins.BUZZER, Pin.OUT, value=0), freq=_FIRST_HZ, duty_u16=0)

    def set(self, hz: int) -> None:
        """Sound a tone; 0 is silence, without current in the disc."""
        if not hz:
            self._pwm.duty_u16(0)
            return
        # Nobody hears 1 Hz.
        self._pwm.freq(hz + 1 if hz in _TAKEN_HZ else hz)
        self._pwm.duty_u16(_HALF)
