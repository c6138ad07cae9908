"""The control pilot: from plateau voltages to an accepted level, and from amperes to a duty.

It reads and judges; it never decides whether to charge.
"""

from micropython import const

from wallbox.charging.states import LEVEL_A, LEVEL_B, LEVEL_C, LEVEL_D, LEVEL_E
from wallbox.timer import Dwell, Timer

INVALID = const(5)
UNKNOWN = const(6)

# Midpoints between the nominal 12 / 9 / 6 / 3 / 0 V, with hysteresis around them. Tolerance bands at the
# box are 8.37..9.59, 5.47..6.53 and 2.59..3.28 V (computed from +-5 % supply, +-3 % resistors), so a
# midpoint +-0.25 V leaves every car inside its band. The norm's acceptance bands of +-1 V are quoted, not read.
_BOUNDARIES_MV = (10500, 7500, 4500, 1500)
_HYSTERESIS_MV = const(250)
# Above 13 V or below -1.5 V no car and no short explains the voltage: the level is invalid.
_HIGHEST_MV = const(13000)
_LOWEST_MV = const(-1500)

# Diode check (table A.4 footnote): behind a diode the negative plateau stays at the generator's -12 V.
# Without one it is -8.8 V in B and -5.6 V in C; -10 V parts them (threshold as in the WARP charger).
_DIODE_MV = const(-10000)
_NEGATIVE_LIMIT_MV = const(-13000)
_DIODE_PROVEN_MS = const(100)
_DIODE_LOST_MS = const(100)

# Time a new level must hold before it is accepted. Leaving C must open the contactor in 100 ms
# (sequences 2.2, 8.1), so three samples. Into C 500 ms: some cars pulse to 6 V for 250 ms (BMW iX3, from
# the WARP charger's notes). A short to PE counts at once.
_LEAVE_MS = const(20)
_PLUG_MS = const(200)
_INTO_C_MS = const(500)
_INVALID_MS = const(30)
_FIRST_MS = const(100)
# Peak detectors follow a switched pilot with up to 20 ms; what is read before is the old output.
_SETTLE_MS = const(30)

# The read-back may differ by the resolution and jitter of the capture; more means a broken output.
_READBACK_PERMILLE = const(10)
_READBACK_MS = const(100)

MIN_OFFER_MA = const(6000)
MAX_OFFER_MA = const(51000)
STEADY_PERMILLE = const(1000)


def duty_permille(offer_ma: int) -> int:
    """Duty that offers at most `offer_ma`, in permille; 1000 (no offer) below 6 A.

    IEC 61851-1 table A.7: duty in percent = amperes / 0.6 from 6 to 51 A. Rounded down, so that what the
    car may draw never exceeds what is permitted; exactly 6 A gives exactly 10 %.
    """
    if offer_ma < MIN_OFFER_MA:
        return STEADY_PERMILLE
    return min(offer_ma, MAX_OFFER_MA) // 60


def classify(high_mv: int, level: int) -> int:
    """The level that `high_mv` means to a reader that saw `level` before (hysteresis)."""
    if high_mv > _HIGHEST_MV or high_mv < _LOWEST_MV:
        return INVALID
    found = LEVEL_A
    for i in range(4):
        boundary = _BOUNDARIES_MV[i]
        if level > LEVEL_E:
            limit = boundary
        elif level <= i:
            limit = boundary - _HYSTERESIS_MV
        else:
            limit = boundary + _HYSTERESIS_MV
        if high_mv < limit:
            found = i + 1
    return found


def _dwell_ms(accepted: int, raw: int) -> int:
    if raw == LEVEL_E:
        return 0
    if raw == INVALID:
        return _INVALID_MS
    if accepted == UNKNOWN:
        return _FIRST_MS
    if LEVEL_C <= accepted <= LEVEL_D and raw <= LEVEL_B:
        return _LEAVE_MS
    if accepted == LEVEL_B and raw == LEVEL_A:
        return _LEAVE_MS
    if LEVEL_C <= raw <= LEVEL_D:
        return _INTO_C_MS
    return _PLUG_MS


class Pilot:
    """Drives and reads one control pilot through a hal `Pilot`; call `update` once a control step."""

    def __init__(self, hal):
        self.hal = hal
        self.level = UNKNOWN
        self.duty = STEADY_PERMILLE
        self.diode_ok = False
        self.diode_lost = False
        self.feedback_wrong = False
        self._raw = UNKNOWN
        self._change = Dwell(0)
        self._settle = Timer()
        self._diode_good = Dwell(_DIODE_PROVEN_MS)
        self._diode_bad = Dwell(_DIODE_LOST_MS)
        self._readback = Dwell(_READBACK_MS)
        self.timers = (self._change, self._settle, self._diode_good, self._diode_bad, self._readback)

    def drive(self, permille: int, now: int) -> None:
        """Put out `permille` (0 = state F, 1000 = steady). A change of kind blinds the reader shortly."""
        if permille == self.duty:
            return
        if not (0 < permille < STEADY_PERMILLE and 0 < self.duty < STEADY_PERMILLE):
            self._settle.start(now, _SETTLE_MS)
            self.diode_ok = False
            self._diode_good.update(now, False)
            self._diode_bad.update(now, False)
            if permille == 0:
                self.level = UNKNOWN
                self._raw = UNKNOWN
        self.duty = permille
        self._readback.update(now, False)
        self.hal.set_duty(permille)

    def steady_at(self, level: int) -> bool:
        """The level is accepted, and no other is on its way through the filter."""
        return self.level == level and self._raw == level

    def update(self, now: int) -> None:
        """Take a sample, then refresh `level`, `diode_ok`, `diode_lost` and `feedback_wrong`."""
        hal = self.hal
        hal.sample()
        difference = hal.duty_permille - self.duty
        self.feedback_wrong = self._readback.update(
            now, difference > _READBACK_PERMILLE or difference < -_READBACK_PERMILLE
        )
        self._settle.expired(now)
        if self._settle.running or self.duty == 0:
            # What opens the contactor goes on: the first sample after the switching decides.
            if self.duty == 0 or self._change.ms > _INVALID_MS:
                self._change.update(now, False)
            return
        self._update_level(now, classify(hal.high_mv, self.level))
        self._update_diode(now)

    def _update_level(self, now: int, raw: int) -> None:
        if raw == self.level:
            self._change.update(now, False)
            self._raw = raw
            return
        ms = _dwell_ms(self.level, raw)
        change = self._change
        # The short times share one clock: a voltage that wanders between B, A and the impossible must not
        # restart what opens the contactor.
        if raw != self._raw and (ms > _INVALID_MS or change.ms > _INVALID_MS):
            change.update(now, False)
        change.ms = ms
        self._raw = raw
        if change.update(now, True):
            change.update(now, False)
            self.level = raw

    def _update_diode(self, now: int) -> None:
        modulated = 0 < self.duty < STEADY_PERMILLE
        if not modulated or not LEVEL_B <= self.level <= LEVEL_D:
            self.diode_ok = self._diode_good.update(now, False)
            self.diode_lost = self._diode_bad.update(now, False)
            return
        good = _NEGATIVE_LIMIT_MV <= self.hal.low_mv <= _DIODE_MV
        self.diode_ok = self._diode_good.update(now, good)
        self.diode_lost = self._diode_bad.update(now, not good)
