"""Plays days of house load and sun to the whole firmware and to other projects' rules, and compares (`make energy`).

Each run is the simulator in virtual time with the same plant and car; docs/energy.md says how and what was simplified.
Exit code 1: a limit was missed.
"""

import argparse
import concurrent.futures
import hashlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import energy_traces
from energy_traces import DAY_S, Row, TraceError
from generated import write_block

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from simulator import Simulator  # noqa: E402 the client of the tests

MICROPYTHON = ROOT / ".venv" / "bin" / "micropython"
RUN = "boards/simulator/run.py"
HEAP = "16M"
DAYS = 7
SEED = 1
LIMIT_A = 25
PEAK_W = 10_000
# A run that needs longer for a day is taken for hung.
SECONDS_A_DAY = 900
OURS = "ours"
CONTROLLERS = (OURS, "evcc", "smartevse", "none")
NAMES = {OURS: "this firmware", "evcc": "evcc's rules", "smartevse": "SmartEVSE's rules", "none": "no control"}
# How often the meter has new values, for the reaction and where a scenario does not tell: real ones every 0.25 to 1 s.
REFRESH_MS = 500
# To reach.
LONGEST_OVER_S = 3.0
LONGEST_HARD_S = 1.0
REACTION_S = 2.0
BETTER_POINTS = 3.0
# House steps for the reaction, and how finely they are looked at.
STEPS = 40
TICK_MS = 20


@dataclass(frozen=True)
class Scenario:
    """A week: what runs in the house, which sun, and which car comes when."""

    name: str
    title: str
    phases: int
    max_a: int
    busy: float
    weather: str | None
    arrives_h: float
    leaves_h: float
    need_wh: int
    lag_ms: int = 500
    slope_a: float = 3.0
    refresh_ms: int = REFRESH_MS
    slow: bool = False

    @property
    def solar(self) -> bool:
        """Whether the sun is what is played for."""
        return self.weather is not None

    def controllers(self) -> tuple[str, ...]:
        """Whom it is played to."""
        return CONTROLLERS[:3] if self.solar else CONTROLLERS

    def events(self, days: int) -> list[list[Any]]:
        """The car's comings and goings as [second, request]."""
        found: list[list[Any]] = []
        plug = {"do": "plug", "phases": self.phases, "max_a": self.max_a, "soc_wh": self.need_wh}
        plug |= {"lag_ms": self.lag_ms, "slope_a": self.slope_a}
        for day in range(days):
            found.append([int(day * DAY_S + self.arrives_h * 3600), plug])
            leaves = int(day * DAY_S + self.leaves_h * 3600)
            if leaves < days * DAY_S:
                found.append([leaves, {"do": "unplug"}])
        return found

    def settings(self, controller: str) -> dict[str, Any]:
        """What an installer would have set."""
        ours = controller == OURS
        settings: dict[str, Any] = {"connection_a": LIMIT_A, "rated_a": 32, "restart_delay_max_s": 0}
        if not ours:
            # Others decide: the box only carries out what they say.
            settings |= {"meter_model": "none", "load_optimisation": False, "connection_a": 32}
        elif self.solar:
            settings |= {"solar_mode": "only"}
        return settings


def quick(*fields: Any) -> Scenario:
    """With the quickest meter, and a car that is down in half a second."""
    return Scenario(*fields, lag_ms=250, slope_a=0.0, refresh_ms=250)


def slow(*fields: Any) -> Scenario:
    """With the slowest meter, and a car of 3 A/s: after a step of 10 A that alone is more than the 3 s to reach."""
    return Scenario(*fields, lag_ms=500, slope_a=3.0, refresh_ms=1000, slow=True)


EVENING = (None, 17.0, 31.0)
DAY = (8.0, 20.0)

SCENARIOS = (
    quick("load3", "busy house, 25 A, quick car 3 x 32 A in the evening", 3, 32, 1.5, *EVENING, 60_000),
    quick("load1", "busy house, 25 A, quick car 1 x 32 A in the evening", 1, 32, 1.5, *EVENING, 30_000),
    slow("slow3", "busy house, 25 A, slow car 3 x 32 A and slow meter", 3, 32, 1.5, *EVENING, 60_000),
    Scenario("spring3", "10 kWp, broken clouds, car 3 x 16 A at home", 3, 16, 0.7, "spring", *DAY, 30_000),
    Scenario("spring1", "10 kWp, broken clouds, car 1 x 16 A at home", 1, 16, 0.7, "spring", *DAY, 30_000),
    Scenario("flapping3", "sun as in evcc #32760, car 3 x 16 A at home", 3, 16, 0.7, "flapping", *DAY, 30_000),
    Scenario("summer3", "10 kWp, summer, car 3 x 16 A at home", 3, 16, 0.7, "summer", *DAY, 30_000),
)


def write_trace(folder: Path, scenario: Scenario, controller: str, rows: Iterator[Row], days: int) -> Path:
    """The file that the simulator plays."""
    path = folder / f"{scenario.name}-{controller}.trace"
    about = {
        "controller": controller,
        "limit_a": LIMIT_A,
        "solar": scenario.solar,
        "phases": scenario.phases,
        "max_a": scenario.max_a,
        "refresh_ms": scenario.refresh_ms,
        "events": [[max(5, at), request] for at, request in scenario.events(days)],
        "plot_day": 1 if days > 1 else 0,
    }
    with path.open("w") as file:
        file.write(json.dumps(about) + "\n")
        for row in rows:
            file.write(",".join(map(str, row)) + "\n")
    return path


class Results:
    """Reports of runs, kept in a file if there is one, so that a long run that was cut short goes on where it was."""

    def __init__(self, path: Path | None):
        self._path = path
        self._known: dict[str, dict[str, Any]] = {}
        if path and path.exists():
            for line in path.read_text().splitlines():
                self._known.update(json.loads(line))

    @staticmethod
    def key(trace: Path, settings: dict[str, Any]) -> str:
        """Stays the same while nothing changes that a run depends on."""
        digest = hashlib.sha256(trace.read_bytes() + json.dumps(settings, sort_keys=True).encode())
        for folder in ("firmware", "boards/simulator"):
            for path in sorted((ROOT / folder).rglob("*.py")):
                digest.update(path.read_bytes())
        return digest.hexdigest()[:24]

    def get(self, key: str) -> dict[str, Any] | None:
        """The report of a run like this, if it was made before."""
        return self._known.get(key)

    def add(self, key: str, report: dict[str, Any]) -> None:
        """Keep a report."""
        if self._path:
            with self._path.open("a") as file:
                file.write(json.dumps({key: report}) + "\n")


def play(folder: Path, scenario: Scenario, controller: str, trace: Path, days: int) -> dict[str, Any]:
    """Run the simulator over a trace; its report. SystemExit when it fails."""
    settings = folder / f"{scenario.name}-{controller}.json"
    settings.write_text(json.dumps(scenario.settings(controller)))
    command = [str(MICROPYTHON), "-X", f"heapsize={HEAP}", RUN, "--virtual", "--quiet", "--seed", str(SEED)]
    command += ["--trace", str(trace), "--settings", str(settings)]
    begun = time.monotonic()
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_A_DAY * days + 60)
    lines = answer.stdout.splitlines()
    if answer.returncode or not lines:
        raise SystemExit(f"energy: {scenario.name}, {controller} failed:\n{answer.stderr[-3000:]}")
    report = json.loads(lines[-1])
    if report["violations"]:
        raise SystemExit(f"energy: {scenario.name}, {controller}: {report['violations']}")
    report["took_s"] = time.monotonic() - begun
    print(f"energy: {scenario.name}, {NAMES[controller]}: {report['took_s']:.0f} s", file=sys.stderr, flush=True)
    return report


# The tables


def load_row(controller: str, report: dict[str, Any]) -> tuple[str, ...]:
    """A row of the scenarios without sun."""
    return (
        NAMES[controller],
        f"{report['over_s']:,.0f} s",
        f"{report['longest_over_s']:.1f} s",
        f"{report['longest_hard_s']:.1f} s",
        f"{report['longest_offered_s']:.1f} s",
        f"{report['over_a2s']:,.0f}",
        f"{report['car_wh'] / report['days'] / 1000:.1f} kWh",
        f"{report['closings'] / report['days']:.1f}",
    )


LOAD_HEADS = (
    "controller",
    "above the limit",
    "longest",
    "longest above 1.2 x",
    "longest that the box offered too much",
    "A²s above",
    "car a day",
    "contactor closings a day",
)


def possible(scenario: Scenario, rows: Iterable[Row], days: int) -> float:
    """The self-consumption in percent that nothing can exceed: all sun that the car could take by power and need."""
    most_w = scenario.phases * scenario.max_a * energy_traces.VOLTS
    sun = used = 0.0
    taken = [0.0] * days
    last: Row | None = None
    for row in [*rows, (days * DAY_S, 0, 0, 0, 0)]:
        if last is not None:
            hours = (row[0] - last[0]) / 3600
            house_w = sum(last[1:4]) * energy_traces.VOLTS / 1000
            sun += last[4] * hours
            used += min(last[4], house_w) * hours
            if scenario.arrives_h <= last[0] % DAY_S / 3600 < scenario.leaves_h:
                taken[last[0] // DAY_S] += min(most_w, max(0.0, last[4] - house_w)) * hours
        last = row
    return 100 * (used + sum(min(wh, scenario.need_wh) for wh in taken)) / max(1.0, sun)


def own_use(report: dict[str, Any]) -> float:
    """Self-consumption in percent: what of the sun's energy stayed in the house and its car."""
    return 100 * report["used_wh"] / max(1.0, report["sun_wh"])


def sun_row(controller: str, report: dict[str, Any]) -> tuple[str, ...]:
    """A row of the scenarios with sun."""
    days = report["days"]
    grid_wh = report["car_wh"] - report["sun_to_car_wh"]
    return (
        NAMES[controller],
        f"{own_use(report):.1f} %",
        f"{report['sun_to_car_wh'] / days / 1000:.1f} kWh",
        f"{grid_wh / days / 1000:.1f} kWh",
        f"{report['bought_wh'] / days / 1000:.1f} kWh",
        f"{report['minimum_s'] / days / 3600:.1f} h",
        f"{report['closings'] / days:.1f}",
        f"{report['offers'] / days:.0f}",
    )


SUN_HEADS = (
    "controller",
    "self-consumption",
    "car from the sun a day",
    "car from the grid a day",
    "grid import a day",
    "time at 6 A a day",
    "contactor closings a day",
    "offers moved by 0.5 A a day",
)


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a Markdown table."""
    return ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)] + [
        "| " + " | ".join(row) + " |" for row in rows
    ]


@dataclass
class Verdicts:
    """The limits and whether they were kept."""

    rows: list[tuple[str, str, str, str]]

    def add(self, what: str, measured: str, wanted: str, kept: bool) -> None:
        """A line of the last table."""
        self.rows.append((what, measured, wanted, "kept" if kept else "**missed**"))

    @property
    def missed(self) -> int:
        """How many were not kept."""
        return sum(row[3] != "kept" for row in self.rows)


def judge(scenario: Scenario, reports: dict[str, dict[str, Any]], verdicts: Verdicts, most: float) -> None:
    """Compare with what is to be reached; `most` is the self-consumption that is possible at all."""
    ours = reports.get(OURS)
    if ours is None:
        return
    if not scenario.solar:
        judge_load(scenario, ours, verdicts)
        return
    others = [report for name, report in reports.items() if name != OURS]
    if not others:
        return
    best = max(others, key=own_use)
    better = own_use(ours) - own_use(best)
    what = f"{scenario.name}: self-consumption above the better reference"
    measured = f"{better:+.1f} points; {most - own_use(best):+.1f} are possible"
    verdicts.add(what, measured, f">= {BETTER_POINTS:.0f} points", better >= BETTER_POINTS)
    what = f"{scenario.name}: contactor closings"
    verdicts.add(
        what, str(ours["closings"]), f"<= {best['closings']} of that one", ours["closings"] <= best["closings"]
    )


def judge_load(scenario: Scenario, ours: dict[str, Any], verdicts: Verdicts) -> None:
    """The scenarios without sun; with a slow car only what the box can do about an overload."""
    if scenario.slow:
        offered = ours["longest_offered_s"]
        what = f"{scenario.name}: longest that the box offered too much"
        verdicts.add(what, f"{offered:.1f} s", f"<= {LONGEST_OVER_S:.0f} s", offered <= LONGEST_OVER_S)
        return
    longest, hard = ours["longest_over_s"], ours["longest_hard_s"]
    what = f"{scenario.name}: longest overload"
    verdicts.add(what, f"{longest:.1f} s", f"<= {LONGEST_OVER_S:.0f} s", longest <= LONGEST_OVER_S)
    what = f"{scenario.name}: longest above 1.2 x the limit"
    verdicts.add(what, f"{hard:.1f} s", f"<= {LONGEST_HARD_S:.0f} s", hard <= LONGEST_HARD_S)


def reaction() -> tuple[list[str], float]:
    """From a meter's answer that shows 10 A more in the house to the lower offer; lines, and the longest time in s."""
    settings = {"connection_a": LIMIT_A, "restart_delay_max_s": 0}
    steps = []
    chance = random.Random(SEED)
    with Simulator(settings=settings) as box:
        box.request("meter", refresh_ms=REFRESH_MS)
        box.advance(3)
        box.plug(max_a=32)
        box.advance(60)
        for _ in range(STEPS):
            steps.append(step(box, chance))
    offers = sorted(step["offer_ms"] for step in steps)
    cars = sorted(step["car_ms"] for step in steps)
    middle = len(steps) // 2
    answer_ms = max(step["answer_ms"] for step in steps)
    line = (
        f"{len(steps)} steps of 10 A at chance moments: the offer falls {offers[middle]} ms (longest {offers[-1]} ms) "
        f"after the step itself, and {answer_ms} ms at most after the meter's answer that shows it; the car is down "
        f"{cars[middle]} ms (longest {cars[-1]} ms) after the step."
    )
    return [line], answer_ms / 1000


def step(box: Simulator, chance: random.Random) -> dict[str, int]:
    """10 A more in the house, and less again; times from the step, and from the meter's answer, in ms."""
    box.advance(chance.randrange(20_000, 30_000) / 1000)
    before = box.state()
    box.house(amps=[10, 10, 10])
    seen = {}
    for ms in range(TICK_MS, 10_000, TICK_MS):
        box.advance(TICK_MS / 1000)
        state = box.state()
        if "meter" not in seen and state["meter"]["currents_a"][0] > before["meter"]["currents_a"][0] + 8:
            seen["meter"] = ms
        if "offer" not in seen and state["offered_a"] < before["offered_a"] - 8:
            seen["offer"] = ms
        if state["currents_a"][0] < before["offered_a"] - 8:
            break
    box.house(amps=[0, 0, 0])
    # Both are seen in steps of TICK_MS.
    return {"offer_ms": seen["offer"], "answer_ms": seen["offer"] - seen["meter"] + TICK_MS, "car_ms": ms}


def plot(path: Path, scenario: Scenario, reports: dict[str, dict[str, Any]]) -> None:
    """A day of each controller as SVG or PNG."""
    # Only `make energy` installs it.
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]

    figure = Figure(figsize=(10, 2.6 * len(reports)))
    axes = figure.subplots(len(reports), 1, sharex=True, sharey=True)
    for axis, (controller, report) in zip(axes, reports.items(), strict=True):
        points = report["plot"]
        hours = [point[0] % DAY_S / 3600 for point in points[:-1]]
        series = [[point[i] / 1000 for point in points[:-1]] for i in (1, 2, 3)]
        axis.fill_between(hours, series[1], color="#f2c14e", alpha=0.55, linewidth=0, label="sun")
        axis.plot(hours, series[0], color="#555555", linewidth=0.9, label="house")
        axis.plot(hours, series[2], color="#1b6ca8", linewidth=1.1, label="car")
        axis.set_title(NAMES[controller], loc="left", fontsize=10)
        axis.set_ylabel("kW")
        axis.grid(color="#dddddd", linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(loc="upper right", frameon=False, ncols=3, fontsize=9)
    axes[-1].set_xlabel("hour of the day")
    axes[-1].set_xlim(0, 24)
    axes[-1].set_xticks(range(0, 25, 3))
    figure.suptitle(scenario.title, x=0.01, ha="left", fontsize=11)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(s.name for s in SCENARIOS) + "; without: all")
    add("--days", type=int, default=DAYS, help=f"days to play ({DAYS})")
    add("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes (2)")
    add(
        "--trace",
        type=Path,
        metavar="CSV",
        help=f"your own loads and sun instead, columns {','.join(energy_traces.HEAD)}",
    )
    add(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw the second day of the first scenario with sun (or the first), .svg or .png",
    )
    add("--results", type=Path, metavar="FILE", help="keep finished runs here, and take up a cut one from it")
    add("--write", type=Path, metavar="FILE", help="put the tables into this document, between its markers")
    options = parser.parse_args()
    names = {scenario.name for scenario in SCENARIOS}
    for name in options.scenarios:
        if name not in names:
            parser.error(f"scenario: {name!r} is not known; allowed: {', '.join(sorted(names))}")
    if not 1 <= options.days <= 366:
        parser.error(f"--days: {options.days} is not allowed; allowed: 1..366")
    chosen = [s for s in SCENARIOS if not options.scenarios or s.name in options.scenarios]
    with tempfile.TemporaryDirectory(prefix="wallbox-energy-") as name:
        try:
            lines, missed = compare(Path(name), chosen, options)
        except TraceError as error:
            parser.error(str(error))
    print("\n".join(lines))
    if options.write:
        write_block(options.write, "energy", lines)
    return 1 if missed else 0


def trace_rows(scenario: Scenario, seed: int, options: argparse.Namespace) -> Iterator[Row]:
    """What is played: the user's file, or a synthetic house."""
    if options.trace:
        rows = energy_traces.read(options.trace)
    else:
        rows = energy_traces.made(seed, options.days, scenario.busy, scenario.weather, PEAK_W)
    return itertools.takewhile(lambda row: row[0] < options.days * DAY_S, energy_traces.thinned(rows))


def compare(folder: Path, chosen: list[Scenario], options: argparse.Namespace) -> tuple[list[str], int]:
    """Play everything; the document's lines and how many limits were missed."""
    jobs = []
    most = {}
    for number, scenario in enumerate(chosen):
        rows = list(trace_rows(scenario, SEED + 10 * number, options))
        most[scenario.name] = possible(scenario, rows, options.days) if scenario.solar else 0.0
        for controller in scenario.controllers():
            jobs.append((scenario, controller, write_trace(folder, scenario, controller, iter(rows), options.days)))
    # The longest first.
    jobs.sort(key=lambda job: job[1] != OURS)
    results = Results(options.results)

    def run(scenario: Scenario, controller: str, trace: Path) -> dict[str, Any]:
        key = Results.key(trace, scenario.settings(controller))
        report = results.get(key)
        if report is None:
            report = play(folder, scenario, controller, trace, options.days)
            results.add(key, report)
        return report

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = {
            (scenario.name, controller): pool.submit(run, scenario, controller, trace)
            for scenario, controller, trace in jobs
        }
        reports = {key: future.result() for key, future in futures.items()}
    verdicts = Verdicts([])
    lines = []
    plotted = next((scenario for scenario in chosen if scenario.solar), chosen[0])
    for scenario in chosen:
        found = {name: reports[scenario.name, name] for name in scenario.controllers()}
        lines += [f"**{scenario.name}**: {scenario.title}; {options.days} days.", ""]
        if scenario.solar:
            lines[-2] += f" At most {most[scenario.name]:.1f} % of the sun could be used."
            lines += table(SUN_HEADS, [sun_row(name, report) for name, report in found.items()])
        else:
            lines += table(LOAD_HEADS, [load_row(name, report) for name, report in found.items()])
        lines.append("")
        judge(scenario, found, verdicts, most[scenario.name])
        if options.plot and scenario is plotted:
            plot(options.plot, scenario, found)
    words, longest_s = reaction()
    verdicts.add(
        "reaction from the meter's answer", f"{longest_s:.2f} s", f"< {REACTION_S:.0f} s", longest_s < REACTION_S
    )
    lines += [*words, "", *table(("to reach", "measured", "wanted", ""), verdicts.rows)]
    return lines, verdicts.missed


if __name__ == "__main__":
    sys.exit(main())
