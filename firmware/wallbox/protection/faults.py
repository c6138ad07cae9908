"""The fault catalogue and the register of what is wrong now: a fault is data, its rules are one table.

Severity says what the box does (R14, R15), latch says what ends the fault. Detectors report a condition at
each control step; the register turns conditions into faults and back.
"""

from time import ticks_add, ticks_diff

from micropython import const

# Severity.
WARNING = const(0)  # shown and logged, the charge goes on
PAUSE = const(1)  # no charge, comes back by itself: temporarily out of use
RED = const(2)  # no charge, red bar

# Latch.
SELF = const(0)  # clears when the condition has been gone for the recovery time
UNPLUG = const(1)  # clears when the car is unplugged
UNPLUG_AND_TEST = const(2)  # clears when unplugged and the residual current self-test passes (R9)
POWER = const(3)  # clears when the supply is switched off and on (R14)
SERVICE = const(4)  # survives power cycles; cleared by service only (R10)

RESIDUAL_CURRENT = const(0)
RCM_SELF_TEST = const(1)
WELD = const(2)
NO_CLOSE = const(3)
PE_LOST = const(4)
OVER_VOLTAGE = const(5)
UNDER_VOLTAGE = const(6)
PHASE_LOSS = const(7)
PHASE_COUNT = const(8)
FREQUENCY = const(9)
OVER_CURRENT = const(10)
SHORT_CIRCUIT = const(11)
OVER_TEMPERATURE = const(12)
TEMPERATURE_SENSOR = const(13)
PILOT_SHORT = const(14)
PILOT_LEVEL = const(15)
DIODE = const(16)
PILOT_FEEDBACK = const(17)
VENTILATION = const(18)
COMMUNICATION = const(19)
METER = const(20)
STORAGE = const(21)
CONTACTOR_WORN = const(22)
PE_MONITOR = const(23)

# Self-clearing supply faults wait 30 s (UK open-PEN practice for reclosing; a proposal for the others).
_SUPPLY_MS = const(30_000)
# After a pilot short the car may ask for current again after 30 s (as the WARP charger does).
_PILOT_MS = const(30_000)
_SHORTLY_MS = const(3_000)

# (name, severity, latch, recovery time in ms, asks for state F, unit of the logged value, what a person reads)
CATALOGUE = (
    ("residual_current", RED, UNPLUG_AND_TEST, 0, True, "uA", "current leaks to earth"),
    ("rcm_self_test", RED, POWER, 0, True, "", "the residual current monitor failed its self-test"),
    ("weld", RED, SERVICE, 0, True, "poles", "the contactor is welded"),
    ("no_close", RED, UNPLUG, 0, True, "poles", "the contactor does not close"),
    ("pe_lost", RED, SELF, _SUPPLY_MS, True, "", "the protective earth is missing"),
    ("over_voltage", RED, SELF, _SUPPLY_MS, True, "mV", "the supply voltage is too high"),
    ("under_voltage", RED, SELF, _SUPPLY_MS, True, "mV", "the supply voltage is too low"),
    ("phase_loss", RED, SELF, _SUPPLY_MS, True, "phases", "a phase of the supply is missing"),
    ("phase_count", RED, SELF, _SUPPLY_MS, True, "phases", "the supply has other phases than were set up"),
    ("frequency", RED, SELF, _SUPPLY_MS, True, "mHz", "the supply frequency is out of range"),
    ("over_current", RED, UNPLUG, 0, True, "mA", "the car draws more than it was offered"),
    ("short_circuit", RED, POWER, 0, True, "mA", "short circuit behind the wallbox"),
    ("over_temperature", PAUSE, SELF, 0, False, "0.1 C", "too hot; charging goes on after cooling"),
    ("temperature_sensor", RED, SELF, _SHORTLY_MS, True, "0.1 C", "the temperature sensor is broken"),
    ("pilot_short", RED, SELF, _PILOT_MS, False, "mV", "the control pilot is shorted; check plug and cable"),
    ("pilot_level", RED, SELF, _PILOT_MS, False, "mV", "impossible pilot voltage; check plug and cable"),
    ("diode", RED, UNPLUG, 0, True, "mV", "the diode in the car's pilot circuit is missing"),
    ("pilot_feedback", RED, POWER, 0, True, "permille", "the control pilot output is defective"),
    ("ventilation", PAUSE, SELF, _SHORTLY_MS, False, "", "the car asks for ventilation, which is not there"),
    ("communication", WARNING, SELF, 0, False, "", "the communication module does not answer"),
    ("meter", WARNING, SELF, 0, False, "", "the energy meter does not answer plausibly"),
    ("storage", WARNING, SELF, 0, False, "", "the flash memory refuses to write"),
    ("contactor_worn", WARNING, SELF, 0, False, "operations", "the contactor is worn; replace it before it welds"),
    ("pe_monitor", WARNING, SELF, _SUPPLY_MS, False, "", "the protective earth is missing, and only watched"),
)
# What a person has to do about a fault with each latch (R14).
_REMEDY = (
    "",
    "; unplug the car",
    "; unplug the car and have it checked",
    "; switch the supply off, unplug the car, switch it on again",
    "; switch the supply off and call service",
)
COUNT = len(CATALOGUE)


def _mask(column: int, values) -> int:
    return sum(1 << i for i in range(COUNT) if CATALOGUE[i][column] in values)


_RED_MASK = _mask(1, (RED,))
_BLOCKING_MASK = _mask(1, (RED, PAUSE))
_UNPLUG_MASK = _mask(2, (UNPLUG,))
_STATE_F_MASK = _mask(4, (True,))
# These mean that the box itself cannot be trusted: it stays in F instead of showing +12 V again.
_STAY_F_MASK = 1 << WELD | 1 << RCM_SELF_TEST | 1 << PILOT_FEEDBACK | 1 << SHORT_CIRCUIT
# Remembered over power cuts: a weld, and a leak whose car may still be plugged in.
PERSISTENT_MASK = _mask(2, (SERVICE, UNPLUG_AND_TEST))


def text(fault: int) -> str:
    """What a person reads of a fault: what is wrong, and what to do about it."""
    row = CATALOGUE[fault]
    return row[6] + _REMEDY[row[2]]


class Faults:
    """Register of active faults; all masks have bit i for catalogue row i.

    `on_raise(id, value)` and `on_clear(id)` are called at each change and may not allocate.
    """

    def __init__(self, clock, on_raise, on_clear):
        self._clock = clock
        self._on_raise = on_raise
        self._on_clear = on_clear
        self.active = 0
        self.condition = 0
        self.asks_for_f = False
        self._clearing = 0
        self._clear_due = [0] * COUNT
        self.since_s = [0] * COUNT
        self.value = [0] * COUNT

    @property
    def red(self) -> int:
        """Active faults that a person must see as such."""
        return self.active & _RED_MASK

    @property
    def blocking(self) -> int:
        """Active faults that forbid charging."""
        return self.active & _BLOCKING_MASK

    @property
    def stay_f(self) -> bool:
        """The box cannot be trusted and stays in state F."""
        return self.active & _STAY_F_MASK != 0

    def is_active(self, fault: int) -> bool:
        """Whether the fault of this catalogue row is active."""
        return self.active & (1 << fault) != 0

    def restore(self, mask: int) -> None:
        """At start: faults that were latched when the supply went away."""
        for fault in range(COUNT):
            if mask & PERSISTENT_MASK & (1 << fault):
                self._raise(fault, 0)

    def report(self, fault: int, present: bool, value: int, now: int) -> None:
        """What a detector sees of one fault at this step."""
        bit = 1 << fault
        if present:
            self.condition |= bit
            self._clearing &= ~bit
            if not self.active & bit:
                self._raise(fault, value)
            return
        if not self.active & bit:
            return
        self.condition &= ~bit
        if CATALOGUE[fault][2] != SELF:
            return
        if not self._clearing & bit:
            self._clearing |= bit
            self._clear_due[fault] = ticks_add(now, CATALOGUE[fault][3])
        if ticks_diff(now, self._clear_due[fault]) >= 0:
            self.clear(fault)

    def _raise(self, fault: int, value: int) -> None:
        self.active |= 1 << fault
        self.since_s[fault] = self._clock.uptime_s()
        self.value[fault] = value
        if _STATE_F_MASK & (1 << fault):
            self.asks_for_f = True
        self._on_raise(fault, value)

    def clear(self, fault: int) -> None:
        """End a fault, whatever its latch says; the caller has applied the rule."""
        bit = 1 << fault
        if not self.active & bit:
            return
        self.active &= ~bit
        self._clearing &= ~bit
        self.condition &= ~bit
        self._on_clear(fault)

    def unplugged(self) -> None:
        """No car is there: end what was latched until then and is not seen any more."""
        over = self.active & _UNPLUG_MASK & ~self.condition
        fault = 0
        while over:
            if over & 1:
                self.clear(fault)
            over >>= 1
            fault += 1

    def take_f_request(self) -> bool:
        """True once after a fault that asks for state F was raised."""
        asked = self.asks_for_f
        self.asks_for_f = False
        return asked

    def due_ms(self, now: int, horizon_ms: int) -> int:
        """Milliseconds until the first recovery time ends, at most `horizon_ms`."""
        if self._clearing:
            for fault in range(COUNT):
                if self._clearing & (1 << fault):
                    horizon_ms = min(horizon_ms, ticks_diff(self._clear_due[fault], now))
        return max(0, horizon_ms)

    def clears_in_ms(self, fault: int, now: int):
        """Milliseconds until the fault clears by itself; None while that is not known."""
        if self._clearing & (1 << fault):
            return max(0, ticks_diff(self._clear_due[fault], now))
        return None

    def worst(self):
        """Id of the fault to name first (red before pause before warning), None without any."""
        for severity in (RED, PAUSE, WARNING):
            for fault in range(COUNT):
                if self.active & (1 << fault) and CATALOGUE[fault][1] == severity:
                    return fault
        return None

    def status(self) -> list:
        """Active faults as [{name, severity, text, value, unit, since_s}]."""
        found = []
        for fault in range(COUNT):
            if self.active & (1 << fault):
                row = CATALOGUE[fault]
                found.append(
                    {
                        "name": row[0],
                        "severity": ("warning", "pause", "red")[row[1]],
                        "text": text(fault),
                        "value": self.value[fault],
                        "unit": row[5],
                        "since_s": self.since_s[fault],
                    }
                )
        return found
