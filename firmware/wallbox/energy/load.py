"""Load optimisation (R20): lets the car have only what the house leaves of the connection, phase by phase.

It sets the limit "meter" of the offer and nothing else. A reading lowers the limit at once and raises it only
after it has been there for a while; a missing or unbelievable reading never raises it.
"""

from micropython import const

from wallbox.timer import Dwell, Timer, unwatched

# IEC 61851-1 table A.8: 6 A is the least that can be offered, 32 A the most this box has.
_LEAST_MA = const(6000)
_MOST_MA = const(32_000)
# Down to whole tenths of an ampere: finer than the 0.6 A a duty step of 1 % means, coarser than meter noise.
_STEP_MA = const(100)
# Half an ampere of room, for ten seconds without a break, before the limit rises: IEC 61851-1 gives the car
# 5 s to follow, and meters lag by up to 1 s, so anything quicker would chase its own effect.
_ROOM_MA = const(500)
_STEADY_MS = const(10_000)
# After a pause 1 A above the minimum must be free for half a minute, so that a hob switching every 15 to 45 s
# does not start the car in each of its gaps.
_RESUME_MA = const(7000)
_RESUME_MS = const(30_000)
# A pause that has opened the contactor lasts at least five minutes: contactor wear, and cars that give up
# after a few restarts (evcc #3543).
_OFF_MS = const(300_000)
# Too little for 6 A may be a motor starting; after this long it is a load. A car takes up to 2 s to stop, and an
# overload of a fuse should not last longer than 3 s.
_SHORT_MS = const(800)
# Beyond this part of the connection limit nothing is waited for.
_HARD_PERCENT = const(120)
# A turn lasts 2 s at most while readings are waited for, and _REST_MS else.
_LATE_MS = const(60_000)
# Nothing is watched while load optimisation is off.
_REST_MS = const(15_000)

_PHASES = const(3)
_ANY_MA = const(1 << 29)
_NAME = "meter"
_OWNER = "load optimisation"


class LoadLimit:
    """Keeps house plus car below `connection_a`; its own task also notices when the readings stop coming."""

    def __init__(self, reader, house, settings, offer, snapshot, clock, log):
        self._reader = reader
        self._house = house
        self._settings = settings
        self._offer = offer
        self._snapshot = snapshot
        self._clock = clock
        self._log = log
        self._rise = Dwell(_STEADY_MS)
        self._short = Dwell(_SHORT_MS)
        self._off = Timer()
        self._hold = Timer()
        self._low_ma = _MOST_MA
        self._settled = False
        # The (reason, mA) of the fallback in force, None while readings come.
        self._fallback = None
        self._phase = 0
        self._house_ma = 0
        # The phase's current is lower than what the connection leaves: the unbalance limit counts.
        self._unbalanced = False
        # None while load optimisation is off.
        self.limit_ma = None
        self.paused = False
        reader.listeners.append(self.update)

    async def run(self, beat=unwatched) -> None:
        """Watch the age of the readings, so that the fallback does not depend on the reader's own task."""
        while True:
            beat(_LATE_MS)
            left = self._reader.check()
            if not self._reader.valid:
                self.update(False)
            await self._clock.poll(left, _REST_MS if self.limit_ma is None else left)

    def update(self, fresh: bool) -> None:
        """Follow the reader; `fresh` tells that it has just taken a new believed reading."""
        now = self._clock.ticks_ms()
        self._off.expired(now)
        if not self._settings["load_optimisation"]:
            self._release()
        elif not self._reader.valid:
            if not self._holds(now):
                self._fall_back()
        elif fresh:
            self._fallback = None
            self._hold.stop()
            self._follow(now)
        else:
            # A reading missed is a moment not known: what room there is has to hold anew.
            self._rise.update(now, False)

    def _release(self):
        if self.limit_ma is not None:
            self.limit_ma = None
            self.paused = False
            self._settled = False
            self._off.stop()
            self._offer.clear(_NAME)

    def _holds(self, now):
        """R41: the installer may let the last limit stand for a while once the meter is lost."""
        if self._hold.running:
            return not self._hold.expired(now)
        hold_s = self._settings["meter_hold_s"]
        if not hold_s or self._fallback is not None or not self.limit_ma or not self._reader.lost:
            # Nothing to hold, or it was held already; a meter that is only late holds by itself.
            return False
        self._rise.update(now, False)
        self._hold.start(now, hold_s * 1000)
        text = "%s: the last limit holds for %d s" % (self._why_no_reading(), hold_s)
        self._offer.set(_NAME, self.limit_ma, text, _OWNER, change_s=self._clock.uptime_s() + hold_s)
        return True

    def _fall_back(self):
        """No usable reading: at most the current the installer declared safe, and never more than before."""
        self._rise.update(0, False)
        self._settled = self._settled or self._reader.lost
        fallback_ma = self._settings["fallback_a"] * 1000
        fallback = self._why_no_reading(), fallback_ma
        last = self._fallback
        if fallback == last:
            return
        self._fallback = fallback
        target = fallback_ma
        # Only the installer, by changing the setting, lifts what was lower when the readings stopped.
        if self.limit_ma is not None and (last is None or last[1] == fallback_ma):
            target = min(fallback_ma, self.limit_ma)
        self._set(target, "%s: at most %.1f A" % (fallback[0], target / 1000))

    def _why_no_reading(self):
        if self._settings["meter_model"] == "none":
            return "no meter is chosen"
        return "the meter gives no usable value" if self._reader.lost else "waiting for the meter"

    def _why(self):
        if self._unbalanced:
            text = "L%d may carry %d A more than the phases without the car"
            return text % (self._phase + 1, self._settings["unbalance_a"])
        connection_a = self._settings["connection_a"]
        return "the house takes %.1f of %d A on L%d" % (self._house_ma / 1000, connection_a, self._phase + 1)

    def _follow(self, now):
        allowed_ma = self._allowed()
        if not self._settled or self.limit_ma is None:
            # The first reading after start lowers nothing that was running, so there is nothing to wait for.
            self._settled = True
            self._set(allowed_ma if allowed_ma >= _LEAST_MA else 0, self._why())
        elif not self._lower(now, allowed_ma):
            self._raise(now, allowed_ma)

    def _allowed(self):
        """What the tightest of the car's phases leaves for it, in mA."""
        meter_ma = self._reader.current_ma
        used = self._house.phases
        connection_ma = self._settings["connection_a"] * 1000
        other_ma = self._least_of_others(meter_ma, used)
        best_ma = _ANY_MA
        for phase in range(_PHASES):
            if not used >> phase & 1:
                continue
            house_ma = self._house.house_ma[phase]
            allowed_ma = connection_ma - house_ma
            unbalanced = other_ma - house_ma < allowed_ma
            if unbalanced:
                allowed_ma = other_ma - house_ma
            if allowed_ma < best_ma:
                best_ma = allowed_ma
                self._phase = phase
                self._house_ma = house_ma
                self._unbalanced = unbalanced
        return best_ma

    def _least_of_others(self, meter_ma, used):
        """How high a phase of the car may come above the lowest of the others (VDE-AR-N 4100: 20 A); large without."""
        unbalance_ma = self._settings["unbalance_a"] * 1000
        least_ma = _ANY_MA
        if unbalance_ma:
            for phase in range(_PHASES):
                if self._house.all_phases & ~used & 1 << phase:
                    least_ma = min(least_ma, meter_ma[phase] + unbalance_ma)
        return least_ma

    def _lower(self, now, allowed_ma):
        """Down in the same cycle; True when there was a reason to."""
        if self.paused or allowed_ma >= self.limit_ma:
            self._short.update(now, False)
            return False
        self._rise.update(now, False)
        if allowed_ma >= _LEAST_MA:
            self._short.update(now, False)
            self._set(allowed_ma, self._why())
            return True
        over_ma = self._settings["connection_a"] * (1000 * (_HARD_PERCENT - 100) // 100)
        hard = allowed_ma < _LEAST_MA - over_ma
        self._set(0 if self._short.update(now, True) or hard else _LEAST_MA, self._why())
        return True

    def _raise(self, now, allowed_ma):
        """Up, or out of a pause, once there has been room for long enough; up to the least there was."""
        if self.limit_ma >= _MOST_MA:
            return
        self._rise.ms = _RESUME_MS if self.paused else _STEADY_MS
        if allowed_ma < (_RESUME_MA if self.paused else min(_MOST_MA, self.limit_ma + _ROOM_MA)):
            self._rise.update(now, False)
            return
        waited = self._rise.running or self._rise.held
        self._low_ma = min(self._low_ma, allowed_ma) if waited else allowed_ma
        if not self._rise.update(now, True) or self._off.running:
            return
        self._rise.update(now, False)
        self._set(self._low_ma, self._why())

    def _set(self, ma, reason):
        ma = max(0, min(_MOST_MA, ma // _STEP_MA * _STEP_MA))
        paused = ma < _LEAST_MA
        if paused and not self.paused:
            if self._snapshot.contactor_closed:
                self._off.start(self._clock.ticks_ms(), _OFF_MS)
            self._log.add("warning", _OWNER, "load_pause", "no charging for now: %s" % reason)
        elif self.paused and not paused:
            self._log.add("info", _OWNER, "load_resume", "charging may go on: %s" % reason)
        self.paused = paused
        self.limit_ma = ma
        left_s = self._off.left_ms(self._clock.ticks_ms()) // 1000 if paused else 0
        self._offer.set(_NAME, ma, reason, _OWNER, change_s=self._clock.uptime_s() + left_s if left_s else None)

    def status(self) -> dict:
        """The limit for people and backends; `resume_s` is the least time a pause still lasts."""
        limit_ma = self.limit_ma
        return {
            "active": limit_ma is not None,
            "limit_a": None if limit_ma is None else limit_ma / 1000,
            "paused": self.paused,
            "fallback": self._fallback is not None and limit_ma is not None,
            "house_a": self._house_ma / 1000 if self._reader.valid else None,
            "resume_s": self._off.left_ms(self._clock.ticks_ms()) // 1000,
        }
