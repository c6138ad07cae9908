"""The meter self-check (R36): steps the charge and looks whether the meter sees it, on which phase, with which sign.

It sets the limit "check" of the offer and nothing else; every other limit stays in force meanwhile.
"""

import asyncio
from array import array
from time import ticks_diff

from micropython import const

_LOW_MA = const(6_000)
_HIGH_MA = const(16_000)
# The box's own limits may leave less; a smaller step could be a load in the house.
_STEP_MA = const(3_000)
_STEPS = const(6)
_PHASES = const(3)
# IEC 61851-1 gives a car 5 s to follow, an offer rises 5 s after the last change, and the meter lags by 1 s.
_FOLLOW_MS = const(14_000)
_READINGS = const(4)
_LOOK_MS = const(250)
# A phase is the car's when it moves by this part of the car's step.
_PART_PERCENT = const(60)
# Phases whose voltages differ by less cannot be told apart by them.
_APART_MV = const(1_000)
_NAME = "check"
_TEXTS = {
    "right": "L%d: the meter sees the car on this phase, in the right direction",
    "reversed": "L%d: the meter sees the car in the wrong direction; turn the current's direction round",
    "unseen": "L%d: the meter does not see the car; it is in another place of the installation",
    "unused": "L%d: the car does not use this phase, so nothing can be said",
    "swapped": "L%d: the meter sees the car on L%d instead; exchange the phases",
}


class CheckFailed(Exception):
    """The check cannot go on; the text says why."""


def median(values) -> int:
    """The middle one of an odd or even number of values."""
    return sorted(values)[len(values) // 2]


class Job:
    """One check; `result` is None until it has ended, then a dict with a row for each phase."""

    def __init__(self, _master, reader, _house, settings, offer, snapshot, clock, log):
        self._reader = reader
        self._settings = settings
        self._offer = offer
        self._view = snapshot
        self._clock = clock
        self._log = log
        self._fresh = 0
        self._step = 0
        self.running = True
        self.result = None

    def _read(self, fresh):
        self._fresh += fresh

    def check(self) -> None:
        """ValueError when it cannot begin: the car has to charge, and the meter to give values."""
        if not self._view.charging:
            raise ValueError("check_meter: not possible now; a car has to charge")
        if not self._reader.valid:
            raise ValueError("check_meter: not possible now; the meter gives no values")

    async def run(self) -> None:
        """Check; whatever happens the limit is taken away again."""
        self._reader.listeners.append(self._read)
        try:
            rows = await self._check()
            good = all(row["verdict"] in ("right", "unused") for row in rows)
            self._conclude(good, rows, "the meter sees the car as it should" if good else "the meter is not right")
        except CheckFailed as failure:
            self._conclude(None, [], "the check was not finished: %s" % failure)
        finally:
            self._reader.listeners.remove(self._read)
            self._offer.clear(_NAME)

    def _conclude(self, good, rows, text):
        self.result = {"good": good, "text": text, "phases": rows, "at_s": self._clock.uptime_s()}
        level = "info" if good else "warning"
        self._log.add(level, "meter", "meter_check", text + "".join(["; " + row["text"] for row in rows]))

    async def _check(self):
        """Steps down and up in turn; the median of them is free of what the house does meanwhile."""
        phases = self._settings["phases"]
        steps = [[] for _ in range(_PHASES * 2)]
        before = await self._settled(_LOW_MA)
        for self._step in range(1, _STEPS + 1):
            after = await self._settled(_HIGH_MA if self._step & 1 else _LOW_MA)
            sign = 1 if self._step & 1 else -1
            for index in range(_PHASES * 2):
                steps[index].append(sign * (after[index] - before[index]))
            before = after
        moved = [median(values) for values in steps]
        car_ma, meter_ma = moved[:phases], moved[_PHASES : _PHASES + phases]
        if max(car_ma) < _STEP_MA:
            raise CheckFailed("the car moved by %d mA only" % max(car_ma))
        return [self._judge(phase, car_ma, meter_ma) for phase in range(phases)]

    async def _settled(self, ma):
        """Offer `ma` and, once the car has followed, the mean currents of car and meter of a few readings."""
        self._offer.set(_NAME, ma, "the meter is being checked", "installer")
        begun = self._clock.ticks_ms()
        while ticks_diff(self._clock.ticks_ms(), begun) < _FOLLOW_MS:
            await self._pause()
        sums = array("i", (0,) * (_PHASES * 2))
        for _ in range(_READINGS):
            seen = self._fresh
            while self._fresh == seen:
                await self._pause()
            for phase in range(_PHASES):
                sums[phase] += self._view.currents_ma[phase]
                sums[_PHASES + phase] += self._reader.current_ma[phase]
        return [value // _READINGS for value in sums]

    async def _pause(self):
        if not self.running:
            raise CheckFailed("it was ended")
        if not self._view.charging:
            raise CheckFailed("the car stopped charging")
        if not self._reader.valid:
            raise CheckFailed("the meter gave no values any more")
        await asyncio.sleep_ms(_LOOK_MS)

    def _judge(self, phase, car_ma, meter_ma):
        """What the meter says of the car's step on `phase`."""
        step_ma = car_ma[phase]
        verdict, seen = "unused", phase
        if step_ma >= _STEP_MA:
            part_ma = step_ma * _PART_PERCENT // 100
            seen = self._seen_on(phase, car_ma, meter_ma, part_ma)
            if seen is None:
                verdict, seen = "unseen", phase
            elif seen != phase:
                verdict = "swapped"
            else:
                verdict = "right" if meter_ma[phase] > 0 else "reversed"
        words = (phase + 1, seen + 1) if verdict == "swapped" else (phase + 1,)
        return {"verdict": verdict, "seen_on": seen + 1, "meter_ma": meter_ma[phase], "text": _TEXTS[verdict] % words}

    def _seen_on(self, phase, car_ma, meter_ma, part_ma):
        """The meter's phase that moves with the car's, None when none does.

        A car that steps on all phases alike moves all of them; then the voltages tell which is which.
        """
        moving = [index for index in range(len(meter_ma)) if abs(meter_ma[index]) >= part_ma]
        if not moving:
            return None
        alike = [index for index in range(len(car_ma)) if car_ma[index] >= _STEP_MA]
        if len(alike) > 1:
            return self._by_voltage(phase, moving)
        return phase if phase in moving else moving[0]

    def _by_voltage(self, phase, moving):
        own_mv = self._view.volts_mv
        others = [abs(own_mv[phase] - own_mv[index]) for index in range(_PHASES) if index != phase]
        if phase in moving and min(others) < _APART_MV:
            return phase
        off = [(abs(self._reader.volts_mv[index] - own_mv[phase]), index) for index in moving]
        return min(off)[1]

    def status(self) -> dict:
        """Progress in percent, and the last result."""
        percent = self._step * 100 // (_STEPS + 1) if self.running else 0
        return {"running": self.running, "percent": percent, "result": self.result}
