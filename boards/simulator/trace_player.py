"""Plays house loads and sun to the whole firmware and measures, on the plant's truth, what comes of it.

The file's first line is a JSON object: "controller" ("ours" or one of `references`), "settings" of the installation,
"limit_a" of the connection, "events" as [second, request of plug or unplug]. Each line after it is
`second,l1_ma,l2_ma,l3_ma,sun_w`, in force from that second on. At the end a line of JSON with the figures goes to
stdout and the simulator ends.
"""

import json
import sys
from array import array

from micropython import const

from plant.scheduler import NEVER

_DAY_MS = const(86_400_000)
_LEAST_MA = const(6_000)
_DRAWS_MA = const(500)
# What a meter's last digit and a car's regulation may be off.
_TOLERANCE_MA = const(300)
_MWS_PER_WH = const(3_600_000)
_PHASES = range(3)
# Points of the plot, one a minute: second, W of house, sun and car, and the largest mA of a phase.
_PLOT_MS = const(60_000)
_POINTS = const(1_441)
_COLUMNS = const(5)


class Figures:
    """Integrals over the time of the plant; `note` is called before anything that flows changes."""

    def __init__(self, plant, limit_a: int):
        self._plant = plant
        self._limit_ma = limit_a * 1000
        self._at_ms = 0
        self._over_since = [None] * 3
        self._hard_since = [None] * 3
        self._offered_since = [None] * 3
        self.over_ms = 0
        self.over_a2s = 0.0
        self.longest_ms = 0
        self.longest_hard_ms = 0
        self.longest_offered_ms = 0
        self.house_alone_ms = 0
        self.car_mws = 0
        self.sun_to_car_mws = 0
        self.sun_mws = 0
        self.used_mws = 0
        self.bought_mws = 0
        self.minimum_ms = 0

    def note(self) -> None:
        """Book what has flowed since the last call."""
        plant = self._plant
        passed = plant.now_ms - self._at_ms
        if not passed:
            return
        since = self._at_ms
        self._at_ms = plant.now_ms
        supply = plant.supply
        car_w = sum(supply.power_w)
        house_w = sum([supply.house_ma[i] * supply.volts_mv[i] for i in _PHASES]) // 1_000_000
        sun_w = supply.pv_w
        self._energies(passed, car_w, house_w, sun_w)
        if 0 < plant.pilot.offer_ma <= _LEAST_MA + 60 and car_w:
            self.minimum_ms += passed
        over = False
        for phase in _PHASES:
            over = self._phase(phase, since, passed) or over
        self.over_ms += passed if over else 0

    def _energies(self, passed, car_w, house_w, sun_w):
        left_w = max(0, sun_w - house_w)
        self.car_mws += car_w * passed
        self.sun_to_car_mws += min(car_w, left_w) * passed
        self.sun_mws += sun_w * passed
        self.used_mws += min(sun_w, house_w + car_w) * passed
        self.bought_mws += max(0, house_w + car_w - sun_w) * passed

    def _phase(self, phase, since, passed):
        """Excess that the car has a part in; what the house alone exceeds is nobody's fault here."""
        supply = self._plant.supply
        grid_ma = supply.grid_ma[phase]
        limit_ma = self._limit_ma
        excess = grid_ma > limit_ma + _TOLERANCE_MA
        if excess and grid_ma - supply.current_ma[phase] > limit_ma:
            self.house_alone_ms += passed
        excess = excess and supply.current_ma[phase] > _DRAWS_MA
        if excess:
            amps, limit = grid_ma / 1000, limit_ma / 1000
            self.over_a2s += (amps * amps - limit * limit) * passed / 1000
        self.longest_ms = max(self.longest_ms, self._spell(self._over_since, phase, since, excess))
        hard = excess and grid_ma > limit_ma * 12 // 10
        self.longest_hard_ms = max(self.longest_hard_ms, self._spell(self._hard_since, phase, since, hard))
        # The box's part of it: what it offers is more than the house leaves. The rest is the car on its way.
        left_ma = limit_ma - (grid_ma - supply.current_ma[phase])
        offered = excess and self._plant.pilot.offer_ma > max(0, left_ma) + _TOLERANCE_MA
        self.longest_offered_ms = max(self.longest_offered_ms, self._spell(self._offered_since, phase, since, offered))
        return excess

    def _spell(self, begun, phase, since, on):
        """How long a spell lasts by now."""
        if not on:
            begun[phase] = None
            return 0
        if begun[phase] is None:
            begun[phase] = since
        return self._plant.now_ms - begun[phase]

    def as_dict(self) -> dict:
        """For the report; energies in Wh."""
        return {
            "over_s": self.over_ms / 1000,
            "over_a2s": self.over_a2s,
            "longest_over_s": self.longest_ms / 1000,
            "longest_hard_s": self.longest_hard_ms / 1000,
            "longest_offered_s": self.longest_offered_ms / 1000,
            "house_alone_s": self.house_alone_ms / 1000,
            "car_wh": self.car_mws / _MWS_PER_WH,
            "sun_to_car_wh": self.sun_to_car_mws / _MWS_PER_WH,
            "sun_wh": self.sun_mws / _MWS_PER_WH,
            "used_wh": self.used_mws / _MWS_PER_WH,
            "bought_wh": self.bought_mws / _MWS_PER_WH,
            "minimum_s": self.minimum_ms / 1000,
        }


class Player:
    """Stands in for `control.Server`: it lets time pass until the file has been played."""

    port = 0
    waiting = True

    def __init__(self, bench, path: str):
        """OSError when the file cannot be read."""
        self._bench = bench
        self._file = open(path)  # noqa: SIM115 it is read until the simulator ends
        about = json.loads(self._file.readline())
        plant = bench.plant
        self._plant = plant
        plant.meter.change(refresh_ms=about["refresh_ms"])
        self.figures = Figures(plant, about["limit_a"])
        # All of it at once: what grows while a day passes lies about everywhere and leaves no large piece of the heap.
        self._plot = array("i", bytes(4 * _POINTS * _COLUMNS))
        self._plotted = 0
        self._plot_from_ms = about.get("plot_day", -1) * _DAY_MS
        self._offers = 0
        self._offer_ma = 0
        self._row = None
        self._events = about["events"]
        self._controller = None
        if about["controller"] != "ours":
            self._controller = __import__("references").make(about["controller"], plant, about)
        bench.followers.append(self._follow)
        update = plant.supply.update

        def booked():
            self.figures.note()
            update()

        plant.supply.update = booked
        self._slot = plant.slot(self._next)
        self._event_slot = plant.slot(self._happen)
        self._control_slot = plant.slot(self._control)
        self._plot_slot = plant.slot(self._draw)
        self._read()
        if self._events:
            plant.at(self._event_slot, self._events[0][0] * 1000)
        if self._plot_from_ms >= 0:
            plant.at(self._plot_slot, self._plot_from_ms)

    def wait(self, _timeout_ms: int) -> None:
        """Nothing to wait for."""

    def serve(self) -> None:
        """Let a day pass, or end."""
        self._bench.virtual.advance(_DAY_MS, self._passed)

    def _passed(self) -> None:
        """A day has passed."""

    def _follow(self, app) -> None:
        """The firmware has started: a reference begins to control it, and its offers are counted."""
        if self._controller is not None:
            self._controller.attach(app)
            self._plant.at(self._control_slot, self._plant.now_ms + self._controller.cycle_ms)

    def _control(self):
        self._controller.step()
        self._plant.at(self._control_slot, self._plant.now_ms + self._controller.cycle_ms)

    def _read(self):
        line = self._file.readline()
        if not line:
            self._row = None
            self._plant.at(self._slot, self._plant.now_ms + 1000)
            return
        self._row = [int(word) for word in line.split(",")]
        self._plant.at(self._slot, self._row[0] * 1000)

    def _next(self):
        if self._row is None:
            self._end()
        supply = self._plant.supply
        row = self._row
        self.figures.note()
        for phase in _PHASES:
            supply.house_ma[phase] = row[1 + phase]
        supply.pv_w = row[4]
        supply.update()
        self._count_offer()
        self._read()

    def _count_offer(self):
        offer_ma = self._plant.pilot.offer_ma
        if abs(offer_ma - self._offer_ma) > _DRAWS_MA:
            self._offer_ma = offer_ma
            self._offers += 1

    def _happen(self):
        _, request = self._events.pop(0)
        arguments = dict(request)
        getattr(self._plant, arguments.pop("do"))(**arguments)
        if self._events:
            self._plant.at(self._event_slot, self._events[0][0] * 1000)

    def _draw(self):
        plant = self._plant
        supply = plant.supply
        house_w = sum([supply.house_ma[i] * supply.volts_mv[i] for i in _PHASES]) // 1_000_000
        point = (plant.now_ms // 1000, house_w, supply.pv_w, sum(supply.power_w), max(supply.grid_ma))
        for i in range(_COLUMNS):
            self._plot[self._plotted + i] = point[i]
        self._plotted += _COLUMNS
        later = plant.now_ms + _PLOT_MS
        plant.at(self._plot_slot, later if later <= self._plot_from_ms + _DAY_MS else NEVER)

    def _end(self):
        bench = self._bench
        self.figures.note()
        app = bench.app
        report = self.figures.as_dict()
        report["days"] = self._plant.now_ms / _DAY_MS
        report["offers"] = self._offers
        report["closings"] = 0 if app is None else app.health.operations
        report["violations"] = bench.violations()
        report["codes"] = bench.record.codes
        write = sys.stdout.write
        write(json.dumps(report)[:-1] + ', "plot": [')
        for start in range(0, self._plotted, _COLUMNS):
            write("," if start else "")
            write(json.dumps([self._plot[start + i] for i in range(_COLUMNS)]))
        write("]}\n")
        bench.finish(0)
