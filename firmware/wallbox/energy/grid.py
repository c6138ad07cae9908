"""What the grid asks of the charge: peak shaving by a contact (R22), and less current on a weak grid.

Both are limits of the offer that fall at once and come back on a ramp, so that many boxes do not return in one step.
"""

from time import ticks_add, ticks_diff

from micropython import const

from wallbox.timer import Dwell, unwatched

_LOOK_MS = const(250)
_REST_MS = const(15_000)
# A contact bounces for a few ms; with this and two looks the offer follows within 1 s of the 2 s it may take.
_DEBOUNCE_MS = const(400)
_MOST_MA = const(32_000)
_LEAST_MA = const(6_000)
_STEP_MA = const(100)
# After the contact opened or the grid recovered: 0.5 A a second, under a minute from 6 A to 32 A (a proposal).
_RAMP_STEP_MS = const(200)
# A limit in watts is not raised for less than this, so that the voltage's wandering does not move the offer.
_BAND_MA = const(400)
_MW_PER_W = const(1_000)
# No norm was found that binds a load of this size. The bands are proposals: EN 50160 allows 230 V -10 %, at
# -15 % a long cable is in trouble; grid codes lower loads below 49.8 Hz (as VDE-AR-N 4100 is quoted) and shed
# them from 49.0 Hz.
_FULL_PERMILLE = const(900)
_LOW_PERMILLE = const(850)
_FULL_BELOW_MHZ = const(200)
_LOW_BELOW_MHZ = const(800)
# A phase below half its nominal voltage is missing, which protection judges.
_MISSING_PERMILLE = const(500)
_SEEN_MS = const(1_000)


class Ramp:
    """Follows a current in mA: down at once, up by 0.5 A a second; `going` while it is on its way up."""

    def __init__(self, clock):
        self._clock = clock
        self._at = clock.ticks_ms()
        self.ma = _MOST_MA
        self.going = False

    def follow(self, target_ma: int) -> int:
        """The current that is right now on the way to `target_ma`, in steps of 0.1 A."""
        now = self._clock.ticks_ms()
        if not self.going:
            self._at = now
        self.going = target_ma > self.ma
        if not self.going:
            self.ma = target_ma
        else:
            steps = ticks_diff(now, self._at) // _RAMP_STEP_MS
            self._at = ticks_add(self._at, steps * _RAMP_STEP_MS)
            self.ma = min(target_ma, self.ma + steps * _STEP_MA)
        return self.ma


def droop_ma(value: int, full: int, low: int) -> int:
    """32 A at `full` and above, falling in a straight line to 6 A at `low` and below."""
    if value >= full:
        return _MOST_MA
    ma = _LEAST_MA + (_MOST_MA - _LEAST_MA) * max(0, value - low) // (full - low)
    return ma // _STEP_MA * _STEP_MA


class PeakShaving:
    """R22: while the contact says so, all phases together take at most `peak_shaving_w`.

    A limit below what 6 A need gives 6 A, for the charge is never ended by it, unless the setting is 0 W.
    """

    def __init__(self, contact, house, settings, offer, clock, log):
        self._contact = contact
        self._house = house
        self._settings = settings
        self._offer = offer
        self._clock = clock
        self._log = log
        self._stable = Dwell(_DEBOUNCE_MS)
        self._ramp = Ramp(clock)
        self._shown_ma = None
        self._since_s = 0
        self._looked = False
        self.active = False

    def look(self) -> bool:
        """Follow the contact; True while there is something to follow within the next look."""
        asked = self._contact.closed() == (self._settings["peak_shaving_contact"] == "closed")
        # At the start what the contact says counts at once: the box may have been restarted by the grid operator.
        if self._stable.update(self._clock.ticks_ms(), asked != self.active) or (asked and not self._looked):
            self._stable.update(0, False)
            self._switch(asked)
        self._looked = True
        self._apply()
        return self._stable.running or self._ramp.going

    def _switch(self, active):
        self.active = active
        now_s = self._clock.uptime_s()
        if active:
            self._since_s = now_s
            text = "peak shaving begins: at most %d W" % self._settings["peak_shaving_w"]
        else:
            text = "peak shaving ends after %d s: the charge comes back on a ramp" % (now_s - self._since_s)
        self._log.add("warning", "grid", "peak_shaving_" + ("begins" if active else "ends"), text)

    def _apply(self):
        ma = self._ramp.follow(self._allowed_ma() if self.active else _MOST_MA)
        if ma == self._shown_ma:
            return
        self._shown_ma = ma
        if not self.active and ma == _MOST_MA:
            self._offer.clear("peak_shaving")
        elif self.active:
            reason = "the peak shaving contact allows %d W" % self._settings["peak_shaving_w"]
            self._offer.set("peak_shaving", ma, reason, "grid operator")
        else:
            left_s = (_MOST_MA - ma) // _STEP_MA * _RAMP_STEP_MS // 1000
            reason = "peak shaving has ended, the charge comes back on a ramp"
            self._offer.set("peak_shaving", ma, reason, "grid operator", change_s=self._clock.uptime_s() + left_s)

    def _allowed_ma(self):
        watts = self._settings["peak_shaving_w"]
        if not watts:
            return 0
        ma = watts * _MW_PER_W * 1000 // self._house.volts_mv(self._house.phases) // _STEP_MA * _STEP_MA
        last_ma = self._shown_ma
        if last_ma is not None and last_ma < ma < last_ma + _BAND_MA and not self._ramp.going:
            ma = last_ma
        return max(_LEAST_MA, min(_MOST_MA, ma))

    def status(self) -> dict:
        """For people and backends."""
        since_s = self._since_s if self.active else None
        return {"active": self.active, "since_s": since_s, "limit_w": self._settings["peak_shaving_w"]}


class WeakGrid:
    """Less current while the grid sags: below 90 % of its voltage, or 0.2 Hz below its frequency."""

    def __init__(self, settings, offer, snapshot, clock):
        self._settings = settings
        self._offer = offer
        self._view = snapshot
        self._clock = clock
        self._seen = Dwell(_SEEN_MS)
        self._ramp = Ramp(clock)
        self._shown_ma = _MOST_MA

    def look(self) -> bool:
        """Follow voltage and frequency; True while there is something to follow within the next look."""
        allowed_ma, reason = self._judge()
        # A dip shorter than a second is a motor that starts somewhere.
        low = self._seen.update(self._clock.ticks_ms(), allowed_ma < self._ramp.ma)
        if allowed_ma >= self._ramp.ma or low:
            ma = self._ramp.follow(allowed_ma)
            if ma != self._shown_ma:
                self._show(ma, reason)
        return self._seen.running or self._ramp.going

    def _show(self, ma, reason):
        self._shown_ma = ma
        if ma == _MOST_MA:
            self._offer.clear("grid")
        else:
            self._offer.set("grid", ma, reason or "the grid has recovered, the charge comes back on a ramp", "grid")

    def _judge(self):
        """(mA, why) for the voltage and frequency of now."""
        settings = self._settings
        nominal_v = settings["nominal_v"]
        permille = _FULL_PERMILLE
        for phase in range(settings["phases"]):
            part = self._view.volts_mv[phase] // nominal_v
            if part >= _MISSING_PERMILLE:
                permille = min(permille, part)
        by_volts = droop_ma(permille, _FULL_PERMILLE, _LOW_PERMILLE)
        mhz = self._view.frequency_mhz
        below = settings["nominal_hz"] * 1000 - mhz
        by_hertz = droop_ma(-below, -_FULL_BELOW_MHZ, -_LOW_BELOW_MHZ) if mhz else _MOST_MA
        if min(by_volts, by_hertz) == _MOST_MA:
            return _MOST_MA, ""
        if by_volts <= by_hertz:
            return by_volts, "the grid's voltage is low (%d %% of %d V)" % (permille // 10, nominal_v)
        return by_hertz, "the grid's frequency is low (%.2f Hz)" % (mhz / 1000)


class GridWatch:
    """The task that keeps looking at both, and at the phases that the car uses."""

    def __init__(self, house, peak_shaving, weak_grid, clock):
        self._house = house
        self._peak_shaving = peak_shaving
        self._weak_grid = weak_grid
        self._clock = clock

    async def run(self, beat=unwatched) -> None:
        """Look for ever; ends only by cancellation."""
        while True:
            busy = self._house.learn()
            busy |= self._peak_shaving.look()
            busy |= self._weak_grid.look()
            beat(_REST_MS * 2)
            await self._clock.poll(_LOOK_MS, _LOOK_MS if busy else _REST_MS)
