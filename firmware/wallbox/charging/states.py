"""The IEC 61851-1 states as a table: (state, event) -> state, and what each state puts out.

Nothing here touches hardware; `control.py` feeds the events and carries out the outputs. Suffix 1 is the
steady pilot (no offer), suffix 2 the modulated one (IEC 61851-1 annex A, table A.4 as quoted in the field).
"""

from micropython import const

A1 = const(0)
A2 = const(1)
B1 = const(2)
B2 = const(3)
C1 = const(4)
C2 = const(5)
D1 = const(6)
D2 = const(7)
E = const(8)
F = const(9)
NAMES = ("A1", "A2", "B1", "B2", "C1", "C2", "D1", "D2", "E", "F")

# Events: a pilot level that the filter has accepted, the box's own wish, a fault that asks for F, and the
# wake-up of a car that does not take the offer (R40).
LEVEL_A = const(0)
LEVEL_B = const(1)
LEVEL_C = const(2)
LEVEL_D = const(3)
LEVEL_E = const(4)
OFFER = const(5)
WITHDRAW = const(6)
FAULT = const(7)
WAKE = const(8)
EVENTS = ("level A", "level B", "level C", "level D", "level E", "offer", "withdraw", "fault", "wake")

# One row a state, one column an event. No offer without a car (A1), none during a short (E), none to a
# car that wants ventilation (D1). From F the way out is a level read after the pilot is back at +12 V.
# A wake-up begins with an offered, open output alone: B2.
NEXT = (
    # A   B   C   D   E  offer withdraw fault wake
    bytes((A1, B1, C1, D1, E, A1, A1, F, A1)),  # A1
    bytes((A2, B2, C2, D2, E, A2, A1, F, A2)),  # A2
    bytes((A1, B1, C1, D1, E, B2, B1, F, B1)),  # B1
    bytes((A2, B2, C2, D2, E, B2, B1, F, F)),  # B2
    bytes((A1, B1, C1, D1, E, C2, C1, F, C1)),  # C1
    bytes((A2, B2, C2, D2, E, C2, C1, F, C2)),  # C2
    bytes((A1, B1, C1, D1, E, D1, D1, F, D1)),  # D1
    bytes((A2, B2, C2, D2, E, D2, D1, F, D2)),  # D2
    bytes((A1, B1, C1, D1, E, E, E, F, E)),  # E
    bytes((A1, B1, C1, D1, E, F, F, F, F)),  # F
)

# Pilot output of each state.
STEADY = const(0)
PWM = const(1)
NEGATIVE = const(2)
PILOT = bytes((STEADY, PWM, STEADY, PWM, STEADY, PWM, STEADY, PWM, STEADY, NEGATIVE))

# Contactor of each state: open at once, stay as it is (the car has up to 6 s to open S2, sequence 10.2),
# or close when every interlock allows it.
OPEN = const(0)
HOLD = const(1)
CLOSE = const(2)
CONTACTOR = bytes((OPEN, OPEN, OPEN, OPEN, HOLD, CLOSE, OPEN, OPEN, OPEN, OPEN))
