"""Meter values: what is sampled when, as OCPP 1.6 (3.16, MeterValues) tells it; it measures nothing itself.

Borrowed by `metering`: nobody needs it while there is nothing to sample.
"""

from time import ticks_add, ticks_diff

from micropython import const

from ocpp import timestamps
from ocpp.errors import OcppError

_DAY_S = const(86_400)
# An unknown clock is asked for again after this long; a grid needs the time of day.
_CLOCK_MS = const(10_000)

# A clock-aligned sample that is later than this was missed by a clock that was set: it is no value of that instant.
_LATE_S = const(5)

PERIODIC = "Sample.Periodic"
ALIGNED = "Sample.Clock"
TRIGGER = "Trigger"

# measurand: (unit, whether it has phases when three are measured, whether a phase is to neutral)
_UNITS = {
    "Energy.Active.Import.Register": ("Wh", False, False),
    "Energy.Active.Import.Interval": ("Wh", False, False),
    "Power.Active.Import": ("W", False, True),
    "Power.Offered": ("W", False, False),
    "Current.Import": ("A", True, False),
    "Current.Offered": ("A", False, False),
    "Voltage": ("V", True, True),
    "Frequency": ("", False, False),
    "Temperature": ("Celsius", False, False),
}
_LOCATION = {"Temperature": "Body"}


def sample(station, names, context: str) -> list:
    """The sampledValue entries of `names` (measurands, each perhaps with a phase such as ".L1"), values as text."""
    values = []
    for name in names:
        measurand, phase = split(name)
        unit, phased, neutral = _UNITS[measurand]
        phases = (phase,) if phase else tuple(range(1, station.phases() + 1)) if phased else (0,)
        for number in phases:
            value = station.measurand(measurand, number)
            if value is not None:
                values.append(_entry(measurand, number, value, unit, neutral, context))
    return values


def _entry(measurand: str, phase: int, value: str, unit: str, neutral: bool, context: str) -> dict:
    entry = {"value": value, "context": context, "measurand": measurand, "location": _LOCATION.get(measurand, "Outlet")}
    if phase:
        entry["phase"] = "L%d%s" % (phase, "-N" if neutral else "")
    if unit:
        entry["unit"] = unit
    return entry


def split(name: str) -> tuple:
    """(measurand, phase number or 0) of an entry in a list of measurands such as "Voltage.L1" or "Voltage.L1-N"."""
    for number in (1, 2, 3):
        for ending in (".L%d" % number, ".L%d-N" % number):
            if name.endswith(ending):
                return name[: -len(ending)], number
    return name, 0


def has_phases(measurand: str) -> bool:
    """Whether a list may ask for a single phase of `measurand`."""
    _unit, phased, neutral = _UNITS.get(measurand, ("", False, False))
    return phased or neutral


def to_grid_s(utc_s: int, interval_s: int) -> int:
    """Seconds until the next instant of the grid that begins at each midnight UTC (9.1.5, ClockAlignedDataInterval)."""
    of_day = utc_s % _DAY_S
    return min((of_day // interval_s + 1) * interval_s, _DAY_S) - of_day


def data(point, keys, context: str) -> list:
    """The sampled values of the measurands that the lists `keys` of the configuration name, each once."""
    names = []
    for key in keys:
        names += [name for name in point.config[key] if name not in names]
    return sample(point.station, names, context)


class Sampler:
    """Takes samples in time and hands them to the transactions. `point`: station, config, clock, transactions."""

    def __init__(self, point):
        self._point = point
        self._periodic_at = None
        self._interval_s = 0
        self._aligned_at_s = None
        self._aligned_interval_s = 0

    def step(self):
        """Sample if it is time -> ms until it is again, None when never."""
        wait_ms = self._due_ms()
        if wait_ms is None or wait_ms > 0:
            return wait_ms
        self._take()
        return self._due_ms()

    def _due_ms(self):
        waits = [ms for ms in (self._periodic_ms(), self._aligned_ms()) if ms is not None]
        return min(waits) if waits else None

    def _periodic_ms(self):
        """Ms until the next periodic sample: counted from the transaction's start."""
        point = self._point
        interval_s = point.config["MeterValueSampleInterval"]
        if point.transactions.current is None or not interval_s:
            self._periodic_at = None
            return None
        now = point.clock.ticks_ms()
        if self._periodic_at is None or interval_s != self._interval_s:
            self._periodic_at = ticks_add(now, interval_s * 1000)
            self._interval_s = interval_s
        return ticks_diff(self._periodic_at, now)

    def _aligned_ms(self):
        interval_s = self._point.config["ClockAlignedDataInterval"]
        if not interval_s:
            self._aligned_at_s = None
            return None
        now_s = self._point.clock.utc_s()
        if now_s is None:
            return _CLOCK_MS
        left_s = to_grid_s(now_s, interval_s)
        ahead_s = None if self._aligned_at_s is None else self._aligned_at_s - now_s
        if ahead_s is None or interval_s != self._aligned_interval_s or not -_LATE_S <= ahead_s <= left_s:
            # New, or the clock was set back, or past it.
            self._aligned_at_s = now_s + left_s
            self._aligned_interval_s = interval_s
        return max(0, self._aligned_at_s - now_s) * 1000

    def _take(self) -> None:
        point = self._point
        if self._periodic_at is not None and ticks_diff(self._periodic_at, point.clock.ticks_ms()) <= 0:
            self._periodic_at = ticks_add(self._periodic_at, self._interval_s * 1000)
            self._keep("MeterValuesSampledData", "StopTxnSampledData", PERIODIC, None)
        now_s = point.clock.utc_s()
        if self._aligned_at_s is not None and now_s is not None and now_s >= self._aligned_at_s:
            at_s = self._aligned_at_s
            self._aligned_at_s = None
            self._keep("MeterValuesAlignedData", "StopTxnAlignedData", ALIGNED, at_s)

    def _keep(self, key: str, stop_key: str, context: str, utc_s) -> None:
        point = self._point
        point.station.keep_energy()
        for name, keep in ((key, point.transactions.values), (stop_key, point.transactions.stop_data)):
            values = sample(point.station, point.config[name], context)
            if values:
                keep(values, context, utc_s)


async def trigger(point) -> None:
    """Send the values of MeterValuesSampledData now (TriggerMessage)."""
    point.station.keep_energy()
    values = sample(point.station, point.config["MeterValuesSampledData"], TRIGGER)
    if not values:
        return
    utc_s = point.clock.utc_s()
    if utc_s is None:
        text = "triggered MeterValues cannot be told without a clock"
        point.log.add("warning", "ocpp", "values_not_told", text)
        return
    payload = {"connectorId": 1, "meterValue": [{"timestamp": timestamps.iso(utc_s), "sampledValue": values}]}
    current = point.transactions.current
    if current is not None and current.transaction_id is not None:
        payload["transactionId"] = current.transaction_id
    try:
        await point.call("MeterValues", payload, triggered=True)
    except OcppError as error:
        point.log.add("warning", "ocpp", "values_not_told", "triggered MeterValues failed: %s" % error)
