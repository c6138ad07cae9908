"""The supply side: voltage, frequency, phases and protective earth, each with its own time (R11).

No norm was found for the trip points of a load; the figures are proposals around EN 50160's 230 V +-10 %
and are all here, so that they are easy to correct.
"""

from micropython import const

from wallbox.protection.faults import (
    FREQUENCY,
    OVER_VOLTAGE,
    PE_LOST,
    PE_MONITOR,
    PHASE_COUNT,
    PHASE_LOSS,
    UNDER_VOLTAGE,
)
from wallbox.timer import Dwell

# Parts of the nominal voltage, in permille: +15 % for 1 s, +20 % for 0.2 s, -20 % for 2 s.
_HIGH_PERMILLE = const(1150)
_HIGHEST_PERMILLE = const(1200)
_LOW_PERMILLE = const(800)
_HIGH_MS = const(1_000)
_HIGHEST_MS = const(200)
_LOW_MS = const(2_000)
# A fault that is active ends only 3 V inside the limit.
_RETURN_MV = const(3_000)
# Below half the nominal voltage a phase counts as missing.
_MISSING_PERMILLE = const(500)
_MISSING_MS = const(1_000)
_COUNT_MS = const(2_000)
_FREQUENCY_BELOW_MHZ = const(3_000)
_FREQUENCY_ABOVE_MHZ = const(2_000)
_FREQUENCY_MS = const(1_000)
# A PE monitor on a 50 Hz signal needs a few periods; WARP uses 250 ms windows for it.
_PE_MS = const(100)


class SupplyWatch:
    """Owner of a hal `Supply`; `configure` again whenever the settings change."""

    def __init__(self, hal, faults):
        self.hal = hal
        self._faults = faults
        self._high = Dwell(_HIGH_MS)
        self._highest = Dwell(_HIGHEST_MS)
        self._low = Dwell(_LOW_MS)
        self._missing = Dwell(_MISSING_MS)
        self._count = Dwell(_COUNT_MS)
        self._frequency = Dwell(_FREQUENCY_MS)
        self._pe = Dwell(_PE_MS)
        self.timers = (
            self._high,
            self._highest,
            self._low,
            self._missing,
            self._count,
            self._frequency,
            self._pe,
        )
        self.live_mask = 0
        self.configure(3, 230, 50, "enable")

    def configure(self, phases: int, nominal_v: int, nominal_hz: int, pe_mode: str) -> None:
        """Take over the installation: 1 or 3 phases, volts, hertz, PE mode `enable`, `monitor` or `off`."""
        self._phases = phases
        self._nominal_mv = nominal_v * 1000
        self._low_mhz = nominal_hz * 1000 - _FREQUENCY_BELOW_MHZ
        self._high_mhz = nominal_hz * 1000 + _FREQUENCY_ABOVE_MHZ
        self._pe_mode = pe_mode

    def update(self, now: int) -> None:
        """One control step: sample and report every condition."""
        hal = self.hal
        hal.sample()
        faults = self._faults
        nominal = self._nominal_mv
        missing_mv = nominal * _MISSING_PERMILLE // 1000
        highest = 0
        lowest = 1 << 29
        missing = 0
        live = 0
        volts = hal.volts_mv
        for i in range(3):
            mv = volts[i]
            if mv >= missing_mv:
                live |= 1 << i
            if i < self._phases:
                if mv < missing_mv:
                    missing += 1
                elif mv < lowest:
                    lowest = mv
                if mv > highest:
                    highest = mv
        self.live_mask = live
        self._update_voltage(now, highest, lowest)
        # One or two of three are lost; all three gone together are an under-voltage, one that was never
        # there with the other missing too is a wrong set-up.
        lost = self._missing.update(now, missing == 1 and self._phases == 3)
        faults.report(PHASE_LOSS, lost, 3 - missing, now)
        unset = missing == 2 if self._phases == 3 else live & 0b110 != 0
        faults.report(PHASE_COUNT, self._count.update(now, unset), live, now)
        hz_wrong = not self._low_mhz <= hal.frequency_mhz <= self._high_mhz and live != 0
        faults.report(FREQUENCY, self._frequency.update(now, hz_wrong), hal.frequency_mhz, now)
        lost = self._pe.update(now, not hal.pe_ok and self._pe_mode != "off")
        faults.report(PE_LOST, lost and self._pe_mode == "enable", 0, now)
        faults.report(PE_MONITOR, lost and self._pe_mode == "monitor", 0, now)

    def _update_voltage(self, now: int, highest: int, lowest: int) -> None:
        faults = self._faults
        nominal = self._nominal_mv
        back = _RETURN_MV if faults.is_active(OVER_VOLTAGE) else 0
        high = self._high.update(now, highest > nominal * _HIGH_PERMILLE // 1000 - back)
        very_high = self._highest.update(now, highest > nominal * _HIGHEST_PERMILLE // 1000)
        faults.report(OVER_VOLTAGE, high or very_high, highest, now)
        back = _RETURN_MV if faults.is_active(UNDER_VOLTAGE) else 0
        gone = highest < nominal * _MISSING_PERMILLE // 1000
        if gone:
            lowest = highest
        low = self._low.update(now, gone or lowest < nominal * _LOW_PERMILLE // 1000 + back)
        faults.report(UNDER_VOLTAGE, low, lowest, now)
