"""Contactor output and the voltage sensing behind it.

The coil needs two things: current, from a PWM that is full for the pull-in and holds with less, and a charge pump that
runs only on edges, each made by a call of `sample`. A control loop that hangs makes no edges, and 0.1 s later the coil
is off, whatever its PWM does; an erase of flash, in which nothing runs for 45 ms and more, does not drop it. A trip of
the residual current monitor and the watchdog cut it in hardware besides.
"""

from time import ticks_diff, ticks_ms

from machine import PWM, Pin
from micropython import const

from hal import pins
from hal.expander import Expander

# Above what people hear, and with 11 bits of duty; no other output has this frequency, so the timer is its own.
_HOLD_HZ = const(20_000)
# A contactor of this class needs its full voltage until the armature has arrived, 30 ms at most.
_PULL_IN_MS = const(100)
_FULL = const(65_535)
# Half of the voltage holds it with margin (pazzk/evse holds at 42 % and adds 10).
_HOLD = const(32_768)
# The expander's bits are those of `live`.
_POLES = pins.IN_LIVE_L1 | pins.IN_LIVE_L2 | pins.IN_LIVE_L3


class Contactor:
    """`live` has a bit for each pole with voltage behind the contactor: 0 L1, 1 L2, 2 L3."""

    def __init__(self):
        self._pump = Pin(pins.PUMP, Pin.OUT, value=0)
        self._coil = PWM(Pin(pins.HOLD), freq=_HOLD_HZ, duty_u16=0)
        self._expander = Expander()
        self._closed = False
        self._pulling = False
        self._level = 0
        self._since = 0
        self.live = 0

    def set(self, closed: bool) -> None:
        """Ask for the coil; hardware interlocks may keep it off. Allocates nothing, takes 30 us."""
        if not closed:
            self._pump(0)
            self._coil.duty_u16(0)
            self._closed = False
            self._level = 0
        elif not self._closed:
            self._closed = True
            self._pulling = True
            self._since = ticks_ms()
            self._coil.duty_u16(_FULL)
            self._edge()

    def _edge(self) -> None:
        self._level ^= 1
        self._pump(self._level)

    def sample(self) -> None:
        """Refresh the attributes and, while closed, give the pump its edge. Allocates nothing, takes 0.1 ms.

        The opto-couplers' filters let `live` follow a pole 1 to 15 ms late (README).
        """
        if self._closed:
            self._edge()
            if self._pulling and ticks_diff(ticks_ms(), self._since) >= _PULL_IN_MS:
                self._pulling = False
                self._coil.duty_u16(_HOLD)
        self.live = ~self._expander.inputs() & _POLES
