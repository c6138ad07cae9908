"""First code after a reset, before a slot is looked at: the lines that can hurt somebody are made safe."""

from machine import Pin

from hal import pins

# No pulses and no current for the contactor's coil, no test current.
for line in (pins.PUMP, pins.HOLD, pins.RCM_TEST):
    Pin(line, Pin.OUT, value=0)
# Steady +12 V: a car is there or not, and is offered nothing.
Pin(pins.CP_PWM, Pin.OUT, value=1)
