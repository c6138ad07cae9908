"""Loads of a house and sun on its roof at steps of a second: made from seeds and published figures, or from a file.

Nothing here was measured. Base load 150 to 400 W a phase with noise; kettle 2 kW for 3 minutes, hob 1.8 kW switching
every 15 to 45 s, oven 2.2 kW switching, washing machine 2 kW for 20 minutes, heat pump 3 kW on three phases: the sizes
of usual appliances, come by chance (Poisson) at the hours people use them. Sun: a bell between sunrise and sunset times
a two-state cloud (0.25 to 1, dwell 20 to 300 s, edges 5 to 30 s).
"""

import csv
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VOLTS = 230
DAY_S = 86_400
HEAD = ("second", "l1_a", "l2_a", "l3_a", "pv_w")
# A row is written when a phase moved by this much, or the sun by that.
STEP_MA = 100
STEP_W = 20
MOST_A = 120.0
MOST_W = 60_000.0
# Levels within minutes that a user reported in evcc #32760.
FLAPPING_W = (12_432, 6_485, 12_637, 4_002, 11_501)

# Sunrise and sunset in hours, and the part of the time that is covered.
WEATHERS = {"summer": (5.5, 21.0, 0.15), "spring": (7.0, 19.0, 0.55), "flapping": (7.0, 19.0, 0.2)}

Row = tuple[int, int, int, int, int]


class TraceError(Exception):
    """A file cannot be used; the text names line and field."""


@dataclass(frozen=True)
class Appliance:
    """Something that switches on now and then: uses a day, watts, phases, and how it runs."""

    name: str
    a_day: float
    watts: int
    phases: int
    seconds: tuple[int, int]
    hours: tuple[float, float]
    on_s: tuple[int, int] | None = None  # switching while it runs: on and off for so long


APPLIANCES = (
    Appliance("kettle", 5, 2_000, 1, (150, 210), (6.5, 22)),
    Appliance("hob", 2, 1_800, 1, (900, 2_400), (11, 19.5), (15, 45)),
    Appliance("second hob", 2, 1_400, 1, (600, 1_800), (11, 19.5), (15, 45)),
    Appliance("oven", 0.6, 2_200, 1, (1_800, 4_200), (11, 20), (60, 180)),
    Appliance("washing machine", 0.8, 2_000, 1, (1_000, 1_500), (8, 18)),
    Appliance("tumble dryer", 0.5, 2_400, 1, (2_400, 4_200), (9, 21), (120, 300)),
    Appliance("heat pump", 8, 3_000, 3, (1_200, 2_700), (0, 24)),
)


def appliance_loads(chance: random.Random, days: int, busy: float) -> list[list[tuple[int, int, int]]]:
    """For each phase the (from second, to second, mA) of everything that runs."""
    loads: list[list[tuple[int, int, int]]] = [[], [], []]
    for appliance in APPLIANCES:
        phase = chance.randrange(3)
        ma = appliance.watts * 1000 // (VOLTS * appliance.phases)
        for day in range(days):
            for _ in range(poisson(chance, appliance.a_day * busy)):
                first, last = appliance.hours
                at = day * DAY_S + int(chance.uniform(first, last) * 3600)
                end = at + chance.randint(*appliance.seconds)
                for begin, stop in spells(chance, at, end, appliance.on_s):
                    for p in range(3) if appliance.phases == 3 else (phase,):
                        loads[p].append((begin, stop, ma))
    return loads


def poisson(chance: random.Random, mean: float) -> int:
    """How often something with this mean happens."""
    limit, count, product = math.exp(-mean), 0, chance.random()
    while product > limit:
        count += 1
        product *= chance.random()
    return count


def spells(chance: random.Random, at: int, end: int, switching: tuple[int, int] | None) -> Iterator[tuple[int, int]]:
    """When it draws between `at` and `end`."""
    if switching is None:
        yield at, end
        return
    while at < end:
        on = chance.randint(*switching)
        yield at, min(end, at + on)
        at += on + chance.randint(*switching)


def clear_sky_w(second: int, peak_w: float, rise_h: float, set_h: float) -> float:
    """The bell of a day without clouds."""
    hour = second % DAY_S / 3600
    if not rise_h < hour < set_h:
        return 0.0
    return peak_w * math.sin(math.pi * (hour - rise_h) / (set_h - rise_h)) ** 1.3


def clouds(chance: random.Random, days: int, share: float) -> Iterator[float]:
    """The factor of each second: clear or covered, with edges; `share` of the time covered."""
    factor = target = 1.0
    left = edge = 0
    for _ in range(days * DAY_S):
        if left <= 0:
            covered = chance.random() < share
            target = chance.uniform(0.25, 0.6) if covered else chance.uniform(0.9, 1.0)
            left = chance.randint(20, 300)
            edge = chance.randint(5, 30)
        factor += (target - factor) / max(1, edge)
        left -= 1
        yield factor


def sun_rows(chance: random.Random, days: int, weather: str, peak_w: float) -> Iterator[int]:
    """Watts of the roof, second by second; weather "summer", "spring" (broken clouds) or "flapping" (evcc #32760)."""
    rise, fall, share = {"summer": (5.5, 21.0, 0.15), "spring": (7.0, 19.0, 0.55), "flapping": (7.0, 19.0, 0.2)}[
        weather
    ]
    cover = clouds(chance, days, share)
    level, until = 0, 0
    for second in range(days * DAY_S):
        factor = next(cover)
        watts = clear_sky_w(second, peak_w, rise, fall) * factor
        hour = second % DAY_S / 3600
        if weather == "flapping" and 10 <= hour < 16:
            if second >= until:
                level = (level + 1) % len(FLAPPING_W)
                until = second + chance.randint(60, 240)
            watts = FLAPPING_W[level] * peak_w / 13_000
        yield int(watts)


def made(seed: int, days: int, busy: float, weather: str | None, peak_w: float = 10_000) -> Iterator[Row]:
    """Rows of a synthetic house; `busy` multiplies how often appliances run, weather None is no sun at all."""
    chance = random.Random(seed)
    loads = appliance_loads(chance, days, busy)
    changes: dict[int, list[tuple[int, int]]] = {}
    for phase in range(3):
        for begin, end, ma in loads[phase]:
            changes.setdefault(begin, []).append((phase, ma))
            changes.setdefault(end, []).append((phase, -ma))
    running = [0, 0, 0]
    base = [chance.uniform(150, 400) * 1000 / VOLTS for _ in range(3)]
    sun = sun_rows(chance, days, weather, peak_w) if weather else None
    noise = random.Random(seed + 1)
    for second in range(days * DAY_S):
        for phase, ma in changes.get(second, ()):
            running[phase] += ma
        house = [0, 0, 0]
        for phase in range(3):
            if second % 300 == 0:
                base[phase] = min(1_740, max(650, base[phase] + noise.uniform(-150, 150)))
            house[phase] = int(base[phase] + running[phase] * (1 + noise.gauss(0, 0.005)) + noise.gauss(0, 30))
        yield second, *house, next(sun) if sun else 0  # type: ignore[misc]


def read(path: Path) -> Iterator[Row]:
    """Rows of a user's CSV with the columns of HEAD; TraceError names line and field."""
    with path.open(newline="") as file:
        reader = csv.reader(file)
        head = next(reader, None)
        if head is None or tuple(name.strip() for name in head) != HEAD:
            raise TraceError(f"{path}: line 1: {head} is not allowed; allowed: {','.join(HEAD)}")
        last = -1
        for number, words in enumerate(reader, 2):
            if len(words) != len(HEAD):
                raise TraceError(f"{path}: line {number}: {len(words)} fields; allowed: {len(HEAD)}")
            values = []
            for name, word in zip(HEAD, words, strict=True):
                try:
                    value = float(word)
                except ValueError:
                    raise TraceError(f"{path}: line {number}: {name}: {word!r} is no number") from None
                most = {"second": 366.0 * DAY_S, "pv_w": MOST_W}.get(name, MOST_A)
                least = 0.0 if name in ("second", "pv_w") else -MOST_A
                if not least <= value <= most:
                    raise TraceError(f"{path}: line {number}: {name}: {word} is not allowed; allowed: {least}..{most}")
                values.append(value)
            second = int(values[0])
            if second <= last:
                raise TraceError(f"{path}: line {number}: second: {second} is not after {last}")
            last = second
            yield second, *(int(a * 1000) for a in values[1:4]), int(values[4])  # type: ignore[misc]


def thinned(rows: Iterator[Row]) -> Iterator[Row]:
    """Only rows that differ from the last one kept by as much as a meter would notice."""
    kept: Row | None = None
    for row in rows:
        if kept is not None:
            small = all(abs(row[i] - kept[i]) < STEP_MA for i in (1, 2, 3)) and abs(row[4] - kept[4]) < STEP_W
            if small:
                continue
        kept = row
        yield row
