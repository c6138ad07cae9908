"""Board temperature: lower the offer first, stop when too hot, come back after cooling (R12).

The bands are a proposal: the product promises the full current up to 50 C around it, the board then runs
about 18 K warmer, and field chargers stop between 65 and 78 C measured at cooler places.
"""

from micropython import const

from wallbox.protection.faults import OVER_TEMPERATURE, TEMPERATURE_SENSOR
from wallbox.timer import Dwell

_DERATE_FROM_DECI_C = const(700)
_MINIMUM_AT_DECI_C = const(800)
_STOP_DECI_C = const(830)
_RESUME_DECI_C = const(660)
# The limit rises again only after this much cooling, so that it does not follow its own effect.
_HYSTERESIS_DECI_C = const(20)
# Beyond these the sensor is open or shorted (the product works from -40 C).
_OPEN_DECI_C = const(-550)
_SHORTED_DECI_C = const(1_500)
# A single reading beyond a limit may be noise; a board of this mass warms by less than 0.1 K in this time.
_SEEN_MS = const(500)
_FULL_MA = const(32_000)
_MINIMUM_MA = const(6_000)
_STEP_MA = const(1_000)


def derated_ma(deci_c: int) -> int:
    """Current the board may carry at this temperature: 32 A falling in 1 A steps to 6 A."""
    if deci_c <= _DERATE_FROM_DECI_C:
        return _FULL_MA
    span = _MINIMUM_AT_DECI_C - _DERATE_FROM_DECI_C
    ma = _FULL_MA - (_FULL_MA - _MINIMUM_MA) * (deci_c - _DERATE_FROM_DECI_C) // span
    return max(_MINIMUM_MA, ma // _STEP_MA * _STEP_MA)


class TemperatureWatch:
    """Owner of a hal `Temperature`; `limit_ma` is what it allows, `changed` tells that the limit moved."""

    def __init__(self, hal, faults):
        self._hal = hal
        self._faults = faults
        self._broken = Dwell(_SEEN_MS)
        self._hot = Dwell(_SEEN_MS)
        self.timers = (self._broken, self._hot)
        self.deci_c = 250
        self.limit_ma = _FULL_MA
        self.changed = False

    def update(self, now: int) -> None:
        """One control step."""
        self._hal.sample()
        deci_c = self._hal.deci_c
        faults = self._faults
        strange = not _OPEN_DECI_C <= deci_c <= _SHORTED_DECI_C
        faults.report(TEMPERATURE_SENSOR, self._broken.update(now, strange), deci_c, now)
        if strange:
            self._hot.update(now, False)
            return
        self.deci_c = deci_c
        stop = _RESUME_DECI_C if faults.is_active(OVER_TEMPERATURE) else _STOP_DECI_C
        faults.report(OVER_TEMPERATURE, self._hot.update(now, deci_c >= stop), deci_c, now)
        limit = derated_ma(deci_c)
        if limit > self.limit_ma:
            limit = max(self.limit_ma, derated_ma(deci_c + _HYSTERESIS_DECI_C))
        if limit != self.limit_ma:
            self.limit_ma = limit
            self.changed = True
