"""Lets simulated wallboxes live through months of cars, cards, faults, crashes and power cuts, and judges every step.

`make simulate SEEDS=20 HOURS=240` runs 20 boxes for 240 hours each. A seed makes a script, a list of timed requests of
the control API; the simulator follows it in virtual time and looks at the invariants (boards/simulator/invariants.py)
after every step of the control loop. For a violation the seed, the smallest script that still shows it, and the end of
its event log are printed (once a kind), and the exit code is 1. The same seed gives the same run, on any machine.
"""

import argparse
import concurrent.futures
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from generated import write_block

ROOT = Path(__file__).resolve().parent.parent
MICROPYTHON = ROOT / ".venv" / "bin" / "micropython"
RUN = "boards/simulator/run.py"
HEAP = "8M"
MS = 1000
HOUR_S = 3600
DAY_S = 24 * HOUR_S
# A box that needs this much longer than a day a second is taken for hung.
SECONDS_A_DAY = 120

Event = tuple[int, dict[str, Any]]

SETUP_CARD = "04A1B2C3D4E5F6"
CARDS = ("11223344", "04112233445566", "0411223344556677889A", "A0B1C2D3")
SLEEPERS = ("f_4s", "f_30s", "never")
TASKS = ("session", "housekeeping", "log", "led", "buzzer", "reader", "access", "meter", "load", "control")
# Fault of the plant -> values to choose from; None: its default.
FAULTS: dict[str, tuple[Any, ...]] = {
    "residual_dc": (4, 10, 60, 300),
    "residual_ac": (20, 40, 200),
    "weld_l1": (None, True),
    "weld_l2": (None, True),
    "weld_l3": (None, True),
    "no_close": (None,),
    "pe": (None,),
    "overvoltage": (270, 290),
    "undervoltage": (100, 170),
    "phase_loss": (1, 2, 3),
    "overcurrent": (None,),
    "pilot_short": (10, 80, 2000),
    "temperature_sensor": ("open", "short"),
    "meter_silent": (None,),
    "meter_garbage": (None,),
    "rcm_test_fails": (None,),
    "flash_error": (None,),
}


@dataclass
class Result:
    """What one run reported; `failure` is a text when it did not end properly."""

    report: dict[str, Any] = field(default_factory=dict)
    failure: str = ""

    @property
    def broken(self) -> list[dict[str, Any]]:
        """The violations."""
        return self.report.get("violations", [])

    def kind(self) -> str:
        """What a smaller script must show too: the first violation's name, or the failure's first line."""
        return self.broken[0]["name"] if self.broken else self.failure.partition("\n")[0]


# What happens: a seed's story


class Story:
    """Draws the life of one wallbox; every method yields timed requests from `at` seconds on."""

    def __init__(self, seed: int, hours: float):
        self.dice = random.Random(seed)
        # Dice of its own for what sleeps, so that everything else of a seed happens as it would without.
        self.sleep = random.Random(f"sleepers of {seed}")
        self.end_s = hours * HOUR_S
        self.metered = self.dice.random() < 0.1
        self.phases = self.dice.choice((3, 3, 1))

    def settings(self) -> dict[str, Any]:
        """The installation."""
        dice = self.dice
        connection = dice.choice((16, 20, 25, 35, 63))
        settings = {
            "phases": self.phases,
            "connection_a": connection,
            "rated_a": min(dice.choice((6, 10, 16, 20, 32)), connection // 2 * 2 if connection < 32 else 32),
            "access_control": dice.random() < 0.5,
            "restart_delay_max_s": dice.choice((0, 10, 120, 600)),
            "pe_mode": dice.choice(("enable", "enable", "monitor", "off")),
            "led_brightness_percent": dice.randint(5, 100),
            "meter_model": "pro380" if self.metered else "none",
            "load_optimisation": self.metered,
        }
        if settings["rated_a"] not in (0, 6, 10, 12, 16, 20, 24, 32):
            settings["rated_a"] = 12
        return settings

    def script(self) -> list[Event]:
        """All requests in the order of their times."""
        events: list[tuple[float, int, dict[str, Any]]] = []
        for index, (tale, a_day) in enumerate(TALES):
            # The cards are known from the first minute on; everything else comes when it comes.
            at = 5.0 if tale is Story.registration else self.dice.expovariate(a_day / DAY_S)
            while at < self.end_s:
                told = list(tale(self, at))
                events += [(when, index, request) for when, request in told]
                at = max(when for when, _ in told) + self.dice.expovariate(a_day / DAY_S)
        events.append((0.0, -1, {"do": "grid", "volts": self.volts(230, 230)}))
        events.sort(key=lambda event: event[0])
        return [(round(when * MS), request) for when, _, request in events if when < self.end_s]

    def volts(self, low: float, high: float) -> list[float]:
        """Voltages of a supply as it was set up; seldom one that was not."""
        phases = self.phases if self.dice.random() < 0.97 else 4 - self.phases
        return [self.dice.uniform(low, high) if phase < phases else 0.0 for phase in range(3)]

    def visit(self, at: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """A car comes, with a card before or after or none, charges, perhaps behaves oddly, and leaves."""
        dice = self.dice
        card = dice.choice((*CARDS, CARDS[0], CARDS[0], SETUP_CARD))
        if dice.random() < 0.3:
            yield at - dice.uniform(0, 90), {"do": "tap", "uid": card}
        wants = dice.random() < 0.9
        car = {"phases": dice.choice((1, 3, 3)), "max_a": dice.choice((6, 10, 16, 32)), "wants": wants}
        if dice.random() < 0.5:
            car["soc_wh"] = dice.choice((500, 5_000, 20_000, 60_000))
        if self.sleep.random() < 0.2:
            car["asleep"] = self.sleep.choice(SLEEPERS)
        yield at, {"do": "plug", **car}
        if dice.random() < 0.6:
            yield at + dice.uniform(0, 60), {"do": "tap", "uid": card}
        stay = dice.choice((dice.uniform(0.1, 20), dice.uniform(60, HOUR_S), dice.uniform(HOUR_S, 12 * HOUR_S)))
        for _ in range(dice.choice((0, 0, 1, 1, 2, 5))):
            yield at + dice.uniform(0, stay), dice.choice(self.antics(card))
        if self.sleep.random() < 0.1:
            yield at + self.sleep.uniform(0, stay), {"do": "car", "asleep": self.sleep.choice((*SLEEPERS, "no"))}
        yield at + stay, {"do": "unplug"}

    def antics(self, card: str) -> list[dict[str, Any]]:
        """What a car, or its driver, may do while it is plugged in."""
        dice = self.dice
        return [
            {"do": "car", "state": "B"},
            {"do": "car", "state": "C"},
            {"do": "car", "state": "D"},
            {"do": "car", "state": "auto"},
            {"do": "car", "state": "auto"},
            {"do": "car", "ignore_pwm": dice.random() < 0.5},
            {"do": "car", "diode": dice.random() < 0.5},
            {"do": "car", "draw_a": dice.choice(("auto", "auto", 0, 5, 20, 40, 99))},
            {"do": "tap", "uid": card},
            {"do": "tap", "uid": dice.choice(CARDS)},
        ]

    def registration(self, at: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """The setup card, new cards, the setup card again."""
        yield at, {"do": "tap", "uid": SETUP_CARD}
        for card in self.dice.sample(CARDS, self.dice.randint(1, 3)):
            at += self.dice.uniform(1, 20)
            yield at, {"do": "tap", "uid": card}
        if self.dice.random() < 0.7:
            yield at + self.dice.uniform(1, 30), {"do": "tap", "uid": SETUP_CARD}

    def fault(self, at: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """Something breaks, and is mended; often during a charge, since that is when it matters."""
        name = self.dice.choice(tuple(FAULTS))
        value = self.dice.choice(FAULTS[name])
        yield at, {"do": "fault", "name": name} if value is None else {"do": "fault", "name": name, "value": value}
        lasts = self.dice.choice((self.dice.uniform(0.01, 1), self.dice.uniform(1, 60), self.dice.uniform(60, 1800)))
        yield at + lasts, {"do": "clear", "name": name}
        if name.startswith("weld"):
            yield at + lasts + self.dice.uniform(60, 7200), {"do": "service"}
        if name in ("rcm_test_fails", "overcurrent"):
            # Such a fault ends with the supply (R14).
            off = at + lasts + self.dice.uniform(60, 7200)
            yield off, {"do": "power", "on": False}
            yield off + self.dice.uniform(1, 60), {"do": "power", "on": True}

    def outage(self, at: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """The supply fails, now or in the middle of a flash write, sometimes several times in a row."""
        for _ in range(self.dice.choice((1, 1, 1, 3))):
            if self.dice.random() < 0.5:
                yield at, {"do": "power", "at_write": self.dice.randint(1, 12)}
                at += self.dice.uniform(1, 3 * HOUR_S)
            yield at, {"do": "power", "on": False}
            at += self.dice.choice((0.05, 1.0, 30.0, HOUR_S))
            yield at, {"do": "power", "on": True}
            at += self.dice.choice((0.3, 3.0, 40.0))

    def software(self, at: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """A task dies or hogs the loop, the firmware restarts, a time source tells a wrong time."""
        dice = self.dice
        yield (
            at,
            dice.choice(
                (
                    {"do": "crash", "task": dice.choice(TASKS)},
                    {"do": "crash", "task": dice.choice(TASKS)},
                    {"do": "stall", "ms": dice.choice((5, 20, 40, 80, 500))},
                    {"do": "reset"},
                    {"do": "utc", "seconds": dice.randint(0, (1 << 32) - 1)},
                )
            ),
        )

    def weather(self, at: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """House, sun, temperature, grid, peak shaving contact and network change."""
        dice = self.dice
        yield (
            at,
            dice.choice(
                (
                    {
                        "do": "house",
                        "amps": [dice.uniform(0, 30) for _ in range(3)],
                        "pv_w": dice.choice((0, 2000, 9000)),
                    },
                    {"do": "house", "amps": [dice.uniform(0, 8) for _ in range(3)]},
                    {"do": "ambient", "celsius": dice.choice((-25, 0, 20, 35, 50, 65, 75))},
                    {"do": "contact", "closed": dice.random() < 0.4},
                    {"do": "network", "up": dice.random() < 0.7},
                    {"do": "grid", "volts": self.volts(205, 255), "hz": dice.uniform(49.5, 50.5)},
                    {"do": "grid", "volts": self.volts(230, 230), "hz": 50},
                )
            ),
        )

    def installer(self, at: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """Settings change; combinations that are not allowed are refused, which is part of the story."""
        dice = self.dice
        change: dict[str, Any] = dice.choice(
            (
                {"rated_a": dice.choice((0, 6, 10, 12, 16, 32))},
                {"access_control": dice.random() < 0.5},
                {"pe_mode": dice.choice(("enable", "monitor", "off"))},
                {"fallback_a": dice.choice((0, 6, 10))},
                {"peak_shaving_w": dice.choice((1380, 4200, 11000))},
                {"wizard_complete": dice.random() < 0.8},
            )
        )
        if self.sleep.random() < 0.2:
            change["wake_up"] = self.sleep.random() < 0.7
        yield at, {"do": "settings", "set": change}
        if change.get("rated_a") == 0 or change.get("wizard_complete") is False:
            yield at + dice.uniform(10, 3600), {"do": "settings", "set": {"rated_a": 16, "wizard_complete": True}}

    def energy(self, at: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """Sun, unbalance, peak shaving and a meter that is searched for, checked, exchanged or wired wrongly."""
        dice = self.dice
        yield (
            at,
            dice.choice(
                (
                    {"do": "settings", "set": {"solar_mode": dice.choice(("off", "only", "minimum"))}},
                    {"do": "settings", "set": {"unbalance_a": dice.choice((0, 10, 20))}},
                    {"do": "settings", "set": {"meter_hold_s": dice.choice((0, 60, 300))}},
                    {"do": "settings", "set": {"peak_shaving_w": dice.choice((0, 4200))}},
                    {"do": "scan", "start": dice.random() < 0.8},
                    {"do": "check_meter"},
                    {"do": "meter", "serial": dice.randrange(1 << 20), "refresh_ms": dice.choice((0, 500, 1000))},
                    {"do": "meter", "order": dice.choice(([1, 2, 3], [2, 1, 3])), "elsewhere": dice.random() < 0.2},
                )
            ),
        )


# Tale and how often a day it is told.
TALES = (
    (Story.visit, 8.0),
    (Story.registration, 0.3),
    (Story.fault, 4.0),
    (Story.outage, 0.4),
    (Story.software, 1.0),
    (Story.weather, 6.0),
    (Story.installer, 0.5),
    (Story.energy, 2.0),
)


# Running


def play(seed: int, settings: dict[str, Any], script: list[Event]) -> Result:
    """Run one box through a script."""
    with tempfile.TemporaryDirectory(prefix="wallbox-campaign-") as scratch:
        script_path, settings_path = Path(scratch) / "script", Path(scratch) / "settings"
        script_path.write_text("".join(json.dumps(event) + "\n" for event in script))
        settings_path.write_text(json.dumps(settings))
        command = [str(MICROPYTHON), "-X", f"heapsize={HEAP}", RUN, "--virtual", "--quiet", "--seed", str(seed)]
        command += ["--settings", str(settings_path), "--script", str(script_path)]
        days = script[-1][0] / MS / DAY_S if script else 0
        try:
            answer = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=60 + days * SECONDS_A_DAY, errors="replace"
            )
        except subprocess.TimeoutExpired:
            return Result(failure="the run hangs")
    lines = answer.stdout.splitlines()
    if not lines or answer.returncode > 1:
        return Result(failure=f"the simulator ended with code {answer.returncode}\n{answer.stderr[-3000:]}")
    result = Result(report=json.loads(lines[-1]))
    if answer.returncode and not result.broken:
        result.failure = f"the simulator ended with code 1\n{answer.stderr[-3000:]}"
    return result


def tell(seed: int, hours: float) -> tuple[dict[str, Any], list[Event]]:
    """The installation and the script of a seed; its last request comes at the end of the time."""
    story = Story(seed, hours)
    settings = story.settings()
    return settings, [*story.script(), (round(hours * HOUR_S * MS), {"do": "contact", "closed": False})]


def shrink(
    seed: int, settings: dict[str, Any], script: list[Event], result: Result, most: int
) -> tuple[list[Event], Result, int]:
    """Leave out requests as long as the same violation shows; the smallest script, its result, and the runs it took."""
    kind = result.kind()
    runs = 0

    def shows(candidate: list[Event]) -> Result | None:
        nonlocal runs
        runs += 1
        found = play(seed, settings, candidate)
        return found if found.kind() == kind else None

    if result.broken and most:
        at_ms = result.broken[0]["plant_ms"]
        ended = [event for event in script if event[0] <= at_ms] + [(at_ms + 1, {"do": "network", "up": True})]
        found = shows(ended)
        if found:
            script, result = ended, found
    pieces = 2
    while len(script) > 1 and runs < most:
        size = max(1, len(script) // pieces)
        for start in range(0, len(script), size):
            candidate = script[:start] + script[start + size :]
            found = shows(candidate) if candidate else None
            if found:
                script, result = candidate, found
                pieces = max(2, pieces - 1)
                break
            if runs >= most:
                break
        else:
            if size == 1:
                break
            pieces = min(len(script), pieces * 2)
    return script, result, runs


# Reporting


def one(seed: int, hours: float) -> tuple[int, Result]:
    """Run a seed, for a worker process."""
    settings, script = tell(seed, hours)
    return seed, play(seed, settings, script)


def describe(seed: int, hours: float, result: Result, most: int) -> None:
    """Print all that somebody needs who is to find the cause."""
    settings, script = tell(seed, hours)
    print(f"\nseed {seed}: {result.kind()}", flush=True)
    smallest, shown, runs = shrink(seed, settings, script, result, most)
    print(f"  smallest script that shows it: {len(smallest)} of {len(script)} requests ({runs} runs)")
    print(f"  settings: {json.dumps(settings)}")
    for at_ms, request in smallest:
        print(f"  {at_ms / MS:14.3f} s  {json.dumps(request)}")
    for broken in shown.broken:
        print(f"  violated at {broken['plant_ms'] / MS:.3f} s: {broken['name']}: {broken['text']}")
    if shown.failure:
        print("  " + shown.failure.replace("\n", "\n  "))
    for entry in shown.report.get("log", [])[-30:]:
        print(
            f"    {entry['boot']}:{entry['uptime_ms'] / MS:12.3f}  {entry['level']:<8} {entry['code']}: {entry['text']}"
        )


def campaign(seeds: list[int], hours: float, jobs: int, document: Path | None = None, most: int = 0) -> int:
    """Run all seeds, print figures (into `document`, too) and violations; the number of violated seeds."""
    began = time.monotonic()
    codes: Counter[str] = Counter()
    figures: Counter[str] = Counter()
    bad: list[tuple[int, Result]] = []
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        for seed, result in pool.map(one, seeds, [hours] * len(seeds)):
            report = result.report
            codes.update(report.get("codes", {}))
            for name in ("hours", "requests", "boots", "steps"):
                figures[name] += report.get(name, 0)
            figures["refused"] += len(report.get("refused", ()))
            if result.broken or result.failure:
                bad.append((seed, result))
    took = time.monotonic() - began
    faults = sum(count for code, count in codes.items() if code.startswith("fault_"))
    print(f"seeds {seeds[0]} to {seeds[-1]}, {hours:g} h each, {jobs} processes, {took:.0f} s")
    rows = (
        ("charger-hours", round(figures["hours"])),
        ("charger-days", round(figures["hours"] / 24, 1)),
        ("requests (cars, cards, faults, cuts, ...)", figures["requests"]),
        ("control steps judged", figures["steps"]),
        ("sessions", codes["ended"]),
        ("contactor closings", codes["closed"]),
        ("faults raised by the firmware", faults),
        ("kinds of fault raised", sum(1 for code in codes if code.startswith("fault_"))),
        ("task crashes survived", codes["task_died"]),
        ("starts of the firmware (cuts and resets survived)", figures["boots"]),
        ("violations", len(bad)),
    )
    for name, value in rows:
        print(f"  {name:<52} {value:>12,}")
    if document is not None:
        head = [f"Seeds {seeds[0]} to {seeds[-1]}, {hours:g} h each:", "", "| | |", "|---|---|"]
        write_block(document, "simulate", head + [f"| {name} | {value:,} |" for name, value in rows])
    told: set[str] = set()
    for seed, result in bad:
        if result.kind() in told:
            print(f"\nseed {seed}: {result.kind()}, as above")
            continue
        told.add(result.kind())
        describe(seed, hours, result, most)
    return len(bad)


def parse_seeds(text: str) -> list[int]:
    """`20` means seeds 1 to 20, `5-9` these, `7,` the one."""
    if "-" in text:
        first, _, last = text.partition("-")
        return list(range(int(first), int(last) + 1))
    if "," in text:
        return [int(part) for part in text.split(",") if part]
    return list(range(1, int(text) + 1))


def main() -> int:
    """Run the campaign named on the command line; 1 when an invariant was violated."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", default="20", help="20: seeds 1 to 20; 5-9: these; 7,: one (default: 20)")
    parser.add_argument("--hours", type=float, default=240, help="hours each box lives (default: 240)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--shrink", type=int, default=250, help="most runs spent on making a script shorter")
    parser.add_argument("--write", type=Path, help="put the figures between the markers of this document")
    options = parser.parse_args()
    try:
        seeds = parse_seeds(options.seeds)
    except ValueError:
        seeds = []
    if not seeds or options.hours <= 0 or options.jobs < 1:
        parser.error("--seeds: a number, a range 5-9 or a list 7,8; --hours and --jobs: above 0")
    return 1 if campaign(seeds, options.hours, options.jobs, options.write, options.shrink) else 0


if __name__ == "__main__":
    sys.exit(main())
