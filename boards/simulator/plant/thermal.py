"""Temperature of the board: first order towards ambient plus the heat of the current."""

import math

from micropython import const

_TAU_MS = const(600_000)
_HEAT_K = const(18)  # at the rated current, in the steady state
_RATED_MA = const(32_000)
_START_C = const(20)
_OPEN_DECI_C = const(-999)  # what the converter reads with a broken or a shorted sensor
_SHORT_DECI_C = const(2000)
_NEAR_K = 0.001  # the end of an exponential approach, where no further step comes


class Thermal:
    """`deci_c` is the sensor's value in 0.1 degC; the next step is foreseen analytically."""

    def __init__(self, plant):
        self._plant = plant
        self._slot = plant.slot(self._stepped)
        self._ambient_c = _START_C
        self._load_ma = 0
        self._board_c = float(_START_C)
        self._target_c = float(_START_C)
        self._since_ms = 0
        self._steps = _START_C * 10
        self._sensor = None
        self.deci_c = self._steps

    def set_ambient(self, celsius) -> None:
        """Change the temperature around the box."""
        self._ambient_c = celsius
        self._retarget()

    def load(self, milliamps: int) -> None:
        """The highest phase current has changed, or not."""
        if milliamps != self._load_ma:
            self._load_ma = milliamps
            self._retarget()

    def break_sensor(self, kind) -> None:
        """kind: "open", "short", or None for a sound sensor."""
        self._sensor = kind
        self._show()

    def board_c(self) -> float:
        """True temperature of the board in degC at this moment."""
        elapsed = self._plant.now_ms - self._since_ms
        return self._target_c + (self._board_c - self._target_c) * math.exp(-elapsed / _TAU_MS)

    def _retarget(self) -> None:
        self._board_c = self.board_c()
        self._since_ms = self._plant.now_ms
        self._target_c = self._ambient_c + _HEAT_K * (self._load_ma / _RATED_MA) ** 2
        self._foresee()

    def _stepped(self) -> None:
        self._steps += 1 if self._target_c > self._board_c else -1
        self._show()
        self._foresee()

    def _foresee(self) -> None:
        """Schedule the crossing of the next boundary between two sensor steps."""
        plant = self._plant
        rising = self._target_c > self._board_c
        boundary = (self._steps + (0.5 if rising else -0.5)) / 10
        left = self._target_c - boundary if rising else boundary - self._target_c
        if left < _NEAR_K:
            plant.off(self._slot)
            return
        way = abs(self._target_c - self._board_c)
        crossing = self._since_ms + math.ceil(_TAU_MS * math.log(way / left))
        plant.at(self._slot, max(plant.now_ms, crossing))

    def _show(self) -> None:
        value = self._steps
        if self._sensor is not None:
            value = _OPEN_DECI_C if self._sensor == "open" else _SHORT_DECI_C
        if value != self.deci_c:
            drift = -1 <= value - self.deci_c <= 1
            self.deci_c = value
            self._plant.changed += 1
            self._plant.drifted += drift
