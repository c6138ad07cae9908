"""The control pilot as a circuit: the box's generator, the car's resistors and diode, a short to PE."""

from micropython import const

_SOURCE_MV = const(12000)  # IEC 61851-1 table A.2; the tolerance of the parts is well inside +-5 %
_SERIES_OHM = const(1000)
_TOLERANCE_PERMILLE = const(10)
_OPEN_OHM = const(100_000_000)  # stands for "no resistor" and is lost in the rounding to 1 mV
_STEADY_HIGH = const(1000)  # permille

# A car takes a plateau below this for no pilot at all: half of state D (about 3 V).
_VISIBLE_MV = const(1500)
# Both plateaus below this are state F (nominal -12 V; a short to PE leaves less).
_STATE_F_MV = const(-10000)

# Table A.8 of IEC 61851-1 as the car reads the duty, in permille.
_LEAST = const(80)
_LINEAR = const(100)
_STEEP = const(850)
_TOP = const(960)
_END = const(970)


def offer_ma(duty_permille: int) -> int:
    """Current in mA that a duty offers to the car; 0 when it offers none (also 5 %: digital only)."""
    if duty_permille < _LEAST or duty_permille > _END:
        return 0
    if duty_permille < _LINEAR:
        return 6000
    if duty_permille <= _STEEP:
        return duty_permille * 60
    if duty_permille <= _TOP:
        return (duty_permille - 640) * 250
    return 80000


class Pilot:
    """Plateau voltages at the box's CP terminal, recomputed only when a part of the circuit changes."""

    def __init__(self, plant, dice):
        self._plant = plant
        self._plus_mv = dice.spread(_SOURCE_MV, _TOLERANCE_PERMILLE)
        self._minus_mv = dice.spread(_SOURCE_MV, _TOLERANCE_PERMILLE)
        self._series_ohm = dice.spread(_SERIES_OHM, _TOLERANCE_PERMILLE)
        self.set_permille = 0
        self._stuck_permille = None
        self._foreign_mv = None
        self._short_ohm = _OPEN_OHM
        self.high_mv = 0
        self.low_mv = 0
        self.duty_permille = 0
        self.offer_ma = 0
        self.state_f = False

    def set_duty(self, permille: int) -> None:
        """Drive the generator: 0 steady -12 V, 1000 steady +12 V, between them PWM."""
        if not 0 <= permille <= _STEADY_HIGH:
            raise ValueError("duty_permille: %r is not allowed; allowed: 0..1000" % permille)
        if permille != self.set_permille:
            self.set_permille = permille
            self.update()

    def stick(self, permille) -> None:
        """Break the generator: its output stays at `permille`, None repairs it."""
        self._stuck_permille = permille
        self.update()

    def short(self, ohm) -> None:
        """Put a resistor between CP and PE; None takes it away."""
        self._short_ohm = _OPEN_OHM if ohm is None else min(max(int(ohm), 0), _OPEN_OHM)
        self.update()

    def foreign(self, millivolts) -> None:
        """Put a voltage from outside on CP, stronger than the generator; None takes it away."""
        self._foreign_mv = millivolts
        self.update()

    def _node_mv(self, source_mv: int) -> int:
        """Voltage at CP for one plateau, from the currents that meet there."""
        if self._foreign_mv is not None:
            return self._foreign_mv
        car = self._plant.vehicle
        series = self._series_ohm
        short = self._short_ohm
        total = series + short
        voltage = (source_mv * short + total // 2) // total
        load = car.load_ohm
        drop = car.diode_mv
        if not load or drop and voltage <= drop:
            return voltage
        total = short * load + series * load + series * short
        return (source_mv * short * load + drop * series * short + total // 2) // total

    def update(self) -> None:
        """Recompute after a change of generator, car, short or supply; tells the car about its offer."""
        plant = self._plant
        high = low = duty = offer = 0
        if plant.powered:
            duty = self.set_permille if self._stuck_permille is None else self._stuck_permille
            high = self._node_mv(self._plus_mv if duty else -self._minus_mv)
            low = self._node_mv(-self._minus_mv) if duty < _STEADY_HIGH else high
            offer = offer_ma(duty) if high >= _VISIBLE_MV else 0
        if high != self.high_mv or low != self.low_mv or duty != self.duty_permille:
            self.high_mv = high
            self.low_mv = low
            self.duty_permille = duty
            plant.changed += 1
        state_f = high <= _STATE_F_MV
        if state_f != self.state_f:
            self.state_f = state_f
            plant.vehicle.heed_state_f(state_f)
        if offer != self.offer_ma:
            self.offer_ma = offer
            plant.vehicle.heed_pilot()
