"""Solar optimisation (R21): lets the car follow the sun's surplus with few contactor operations.

It sets the limit "solar" of the offer and nothing else, so what load optimisation leaves is never exceeded. The surplus
is what would be exported without the car, in watts of the phases the car really uses. It does not depend on whether or
how fast the car follows, so nothing can swing.

With mode "only" the charge starts once the surplus carries it, and it ends when the sun of a longer while, with a share
that the grid may add, does not carry it any more: clouds pass without a contactor moving. How soon it starts and how
long it is bridged depends on whether there was enough sun on the days before (`days.py`).
"""

from time import ticks_diff

from micropython import const

from wallbox.energy.days import FAIR, NAMES, PLENTY, SCARCE, Days
from wallbox.timer import Dwell, Timer

_LEAST_MA = const(6_000)  # IEC 61851-1 table A.8
_MOST_MA = const(32_000)
# Surplus while charging: as fast as the meter's noise allows; a car may take 5 s to follow anyhow.
_FAST_MS = const(2_000)
# Surplus for starting: longer than a cloud's edge, which lasts 5 to 30 s, and than a kettle's first minute.
_SLOW_MS = const(60_000)
# Sun for ending: clouds last 20 to 300 s and come in hours of their own. What is more than the car's least power builds
# up no credit. 40 minutes with three phases; with one the same energy of the grid bridges three times as long. Where
# the sun is plenty a third of it, without the grid's share: what is not charged now is charged later, by sun alone.
_LONG_MS = (7_200_000, 7_200_000, 2_400_000)
# Where the sun is plenty so much of 6 A starts a charge: enough for clouds to leave most of 6 A.
_PLENTY_PERCENT = const(140)
# Less than wished for starts it too once it has been there for so long, all in all.
_PATIENCE_MS = const(3_600_000)
# Clouds leave more than a tenth of 6 A; less than that for so long is the evening, or the house.
_GONE_PERCENT = const(10)
_GONE_MS = const(600_000)
# A charge goes on down to this part of what is needed to start one.
_STOP_PERCENT = const(75)
_WHOLE = const(1_000)
# The offer moves for no less than this on all phases together, or 0.5 A: a car's current wanders by about so much.
_BAND_MA = const(750)
_BAND_MOST_MA = const(500)
# Readings that come later than this count as if they had come now.
_GAP_MS = const(5_000)
# Once started or ended, a charge stays so for this long: cars give up after a few restarts (evcc #3543).
_ON_MS = const(300_000)
_OFF_MS = const(180_000)
# A permitted charge that the car does not take ends after this when the sun goes: a full car is not bothered by
# every cloud.
_UNUSED_MS = const(600_000)
_MWS_PER_WH = const(3_600_000)
# Without a reading the last one holds for so long.
_BLIND_MS = const(60_000)

_NAME = "solar"
_OWNER = "solar optimisation"
OFF, WAITING, CHARGING = range(3)
_STATES = ("off", "waiting", "charging")


class Mean:
    """Exponential mean `w` of readings that come at any distance; `ms` is its time constant and may change."""

    def __init__(self, ms: int):
        self.ms = ms
        self._mw = None
        self.w = 0

    def clear(self, watts=None) -> None:
        """Forget everything: the next reading counts alone, or moves away from `watts`."""
        self._mw = None if watts is None else watts * 1000
        self.w = watts or 0

    def add(self, low_w: int, high_w: int, since_ms: int) -> None:
        """Take in a reading between two bounds that came `since_ms` after the last one.

        A mean between the bounds may be right already, so only what is certain moves it.
        """
        mw = max(low_w, min(high_w, self.w)) * 1000
        if self._mw is not None:
            mw = self._mw + (mw - self._mw) * since_ms // (since_ms + self.ms)
        self._mw = mw
        self.w = mw // 1000


class SolarLimit:
    """Mode "only": sun, and a share of grid energy to bridge what it lacks; mode "minimum": never below 6 A."""

    def __init__(self, reader, house, settings, offer, snapshot, clock, log, budget):
        self._reader = reader
        self._house = house
        self._settings = settings
        self._offer = offer
        self._view = snapshot
        self._clock = clock
        self._log = log
        self._budget = budget
        self._fast = Mean(_FAST_MS)
        self._slow = Mean(_SLOW_MS)
        self._long = Mean(_LONG_MS[FAIR])
        self._days = Days(snapshot)
        self._start = Dwell(0)
        self._unused = Dwell(_UNUSED_MS)
        self._gone = Dwell(_GONE_MS)
        self._blind = Dwell(_BLIND_MS)
        self._on = Timer()
        self._off = Timer()
        self._at = clock.ticks_ms()
        self._limit_ma = None
        self._waited_ms = 0
        # What grid and sun have given to this charge, in mWs.
        self._grid_mws = 0
        self._sun_mws = 0
        self.state = OFF
        reader.listeners.append(self.update)

    def update(self, fresh: bool) -> None:
        """Follow the reader; `fresh` tells that it has just taken a new believed reading."""
        self._budget.look()
        mode = self._settings["solar_mode"]
        if mode == "off":
            self._end()
            return
        now = self._clock.ticks_ms()
        self._on.expired(now)
        self._off.expired(now)
        if self._blind.update(now, not self._reader.valid):
            self._go_blind(mode)
        elif fresh:
            since_ms = max(1, min(_GAP_MS, ticks_diff(now, self._at)))
            self._at = now
            self._measure(since_ms)
            if mode == "minimum":
                self.state = CHARGING
            elif self.state == CHARGING:
                self._account(since_ms)
                self._judge(now)
            else:
                self.state = WAITING
                self._wait(now, since_ms)
            if mode == "only":
                self._days.update(now, since_ms, self._fast.w, self.least_w(), self._house.car_w)
            if self.state == CHARGING:
                self._follow()

    def _end(self):
        if self.state != OFF:
            self.state = OFF
            self._limit_ma = None
            self._slow.clear()
            self._fast.clear()
            self._off.stop()
            self._offer.clear(_NAME)

    def _go_blind(self, mode):
        self._slow.clear()
        self._fast.clear()
        self._start.update(0, False)
        self.state = WAITING
        self._set(_LEAST_MA if mode == "minimum" else 0, "the meter does not tell what the sun leaves")

    def _measure(self, since_ms):
        house = self._house
        self._fast.add(house.surplus_low_w, house.surplus_high_w, since_ms)
        self._slow.add(house.surplus_low_w, house.surplus_high_w, since_ms)

    def least_w(self) -> int:
        """What the car needs at 6 A on its phases; one never seen is thought to have one."""
        return self._house.volts_mv(self._house.likely_phases()) // 1000 * _LEAST_MA // 1000

    def needed_w(self) -> int:
        """What starts a charge: for a while more than 6 A where the sun is plenty, and all phases of a car unknown."""
        watts = self.least_w()
        if self._days.sun == SCARCE:
            watts = watts * self._enough() // _WHOLE
        if self._waited_ms < _PATIENCE_MS:
            if not self._house.knows_phases():
                watts = self._house.volts_mv(self._house.all_phases) // 1000 * _LEAST_MA // 1000
            if self._days.sun == PLENTY:
                watts = watts * _PLENTY_PERCENT // 100
        return watts

    def _enough(self):
        """The sun's part of 6 A that a charge goes on with, in permille."""
        grid_percent = 0 if self._days.sun == PLENTY else self._settings["solar_grid_percent"]
        return (100 - grid_percent) * _STOP_PERCENT // 10

    def _begin(self, now):
        self.state = CHARGING
        self._waited_ms = 0
        self._start.update(now, False)
        self._grid_mws = self._sun_mws = 0
        self._long.clear(_WHOLE)
        self._on.start(now, _ON_MS)
        self._log.add("info", _NAME, "solar_start", "%d W of sun are there for the car" % self._slow.w)

    # -- waiting ---------------------------------------------------------------------------------------

    def _wait(self, now, since_ms):
        if not self._view.car_connected:
            self._waited_ms = 0
        elif self._slow.w >= self.least_w():
            self._waited_ms = min(_PATIENCE_MS, self._waited_ms + since_ms)
        needed_w = self.needed_w()
        self._start.ms = self._settings["solar_start_s"] * 1000
        carried = self._slow.w >= needed_w
        if self._start.update(now, carried) and not self._off.running and not self._budget.wait_s():
            self._begin(now)
        else:
            self._explain(now, carried, needed_w)

    def _explain(self, now, carried, needed_w):
        """Say what is waited for; new words only when something changed in earnest."""
        left_s = self._budget.wait_s()
        if left_s:
            reason = "the switching budget is used up"
        elif self._off.running:
            left_s = self._off.left_ms(now) // 1000
            reason = "a pause between two starts"
        elif carried:
            left_s = max(0, ticks_diff(self._start.due, now)) // 1000
            reason = "enough sun, if it stays"
        else:
            # Hundreds of watts, so that the words do not change with every reading.
            reason = "%d W of sun, %d W are needed" % (max(0, self._slow.w) // 100 * 100, needed_w)
        self._set(0, reason, self._clock.uptime_s() + left_s if left_s else None)

    # -- charging --------------------------------------------------------------------------------------

    def _account(self, since_ms):
        """Book what sun and grid gave to the car since the last reading."""
        car_w = self._house.car_w
        sun_w = max(0, min(car_w, self._fast.w))
        self._sun_mws += sun_w * since_ms
        self._grid_mws += (car_w - sun_w) * since_ms
        # How much of the least power the sun gives, in permille: the phases may show themselves meanwhile.
        permille = min(_WHOLE, self._fast.w * _WHOLE // self.least_w())
        self._long.ms = _LONG_MS[self._days.sun] // self._house.likely_count()
        self._long.add(permille, permille, since_ms)

    def _judge(self, now):
        """End the charge when the sun has not carried it for long, or at once when the car does not take it."""
        least_w = self.least_w()
        if self._unused.update(now, self._fast.w < least_w and not self._view.charging):
            self._stop(now, "the sun is gone and the car does not charge")
            return
        if self._gone.update(now, self._fast.w * 100 < least_w * _GONE_PERCENT) and not self._on.running:
            self._stop(now, "there has been no sun for %d minutes" % (_GONE_MS // 60_000))
            return
        if not self._on.running and self._long.w < self._enough() and self._view.charging:
            text = "the sun gave %d %% of 6 A in the last %d minutes"
            self._stop(now, text % (max(0, self._long.w) // 10, self._long.ms // 60_000))

    def _stop(self, now, why):
        self._unused.update(now, False)
        self._gone.update(now, False)
        self.state = WAITING
        if self._view.contactor_closed:
            self._off.start(now, _OFF_MS)
        self._log.add("info", _NAME, "solar_stop", why)
        self._set(0, why)

    def _follow(self):
        # Until the car has shown its phases it may use all of them.
        volts_mv = self._house.volts_mv(self._house.phases)
        watts = max(0, self._fast.w)
        ma = max(_LEAST_MA, min(_MOST_MA, watts * 1000 // (volts_mv // 100) * 10))
        last_ma = self._limit_ma
        band_ma = min(_BAND_MOST_MA, _BAND_MA // self._house.likely_count())
        if last_ma and ma not in (_LEAST_MA, _MOST_MA) and abs(ma - last_ma) < band_ma:
            return
        self._set(ma, "the sun leaves %d W" % (watts // 100 * 100))

    def _set(self, ma, reason, change_s=None):
        if ma == self._limit_ma and reason == self._offer.limit(_NAME).reason:
            return
        self._limit_ma = ma
        self._offer.set(_NAME, ma, reason, _OWNER, change_s=change_s)

    def status(self) -> dict:
        """For people and backends; watts are None while the meter tells nothing."""
        known = self.state != OFF and self._reader.valid
        return {
            "mode": self._settings["solar_mode"],
            "state": _STATES[self.state],
            "surplus_w": self._fast.w if known else None,
            "needed_w": self.needed_w() if known else None,
            "days": NAMES[self._days.sun],
            "sun_wh": self._sun_mws // _MWS_PER_WH,
            "grid_wh": self._grid_mws // _MWS_PER_WH,
            "switching": self._budget.status(),
        }
