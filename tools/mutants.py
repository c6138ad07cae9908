"""Mutation check of the safety core: changes it in every small way, one at a time, and tells what no test notices.

What is changed, and what is left out and why, is told in tools/mutations.py. Each mutant runs in a private copy of the
firmware: first the unit tests of its module, then those of the whole core, then charging told by the whole firmware in
virtual time; the first test that fails, or takes five times as long as it should, ends it. A mutant that changes
nothing anybody could see may stand in tools/mutants_argued.txt with the reason; it counts as argued, is not run (but
see --argued), and must exist.

Exit code 1: less than 95 % noticed or argued. Results can be kept (--results) and a run so resumed: what was noticed
stays so, what survived runs again when a test changed. A mutant's id is file:line:column:kind.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from generated import write_block
from mutations import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent
CODE = Path("firmware/wallbox")
FOLDERS = ("charging", "protection")
ARGUED = ROOT / "tools" / "mutants_argued.txt"
WANTED_PERCENT = 95.0
HEAP = "8M"
# A test that takes this much longer than on the real firmware hangs.
PATIENCE = 5
LEAST_S = 5.0

# Unit tests of each module, fastest first.
OWN = {
    "charging/contactor.py": ("test_contactor", "test_contactor_times"),
    "charging/control.py": ("test_charge_rules", "test_control_corners"),
    "charging/delay.py": ("test_delay",),
    "charging/offer.py": ("test_offer",),
    "charging/pilot.py": ("test_pilot",),
    "charging/session.py": ("test_session", "test_permission"),
    "charging/snapshot.py": ("test_snapshot",),
    "charging/states.py": ("test_states",),
    "charging/wakeup.py": ("test_wakeup",),
    "charging/why.py": ("test_why",),
    "charging/habits.py": ("test_habits",),
    "charging/health.py": ("test_health",),
    "protection/faults.py": ("test_faults",),
    "protection/overcurrent.py": ("test_overcurrent",),
    "protection/recorder.py": ("test_recorder",),
    "protection/residual.py": ("test_residual", "test_recoveries"),
    "protection/supply.py": ("test_supply_watch",),
    "protection/temperature.py": ("test_temperature",),
}
# Then all of them.
CORE = tuple(sorted({name for names in OWN.values() for name in names}))
# Then what takes longer: the loop on the simulated plant, and the whole firmware, without what takes very long or
# concerns the simulator alone.
PLANT = "test_control"
WHOLE = (
    "test_faults.py",
    "test_charging.py",
    "test_power.py",
    "test_access.py",
    "test_load.py",
    "test_wakeup.py",
    "test_contactor.py",
    "test_trips.py",
)
WHOLE_WITHOUT = "not a_day_of and not any_flash_write and not rated_current_is_offered"
DEPTHS = ("own", "core", "whole")

KILLED, HANGS, SURVIVED, ARGUED_FOR = "killed", "hangs", "survived", "argued"
# Ended with an error, but no test says that it failed: the mutant cannot be imported, or the tests cannot be run.
CRASHED = "crashed"


class MutantsError(Exception):
    """The check cannot be made; the text says why and what to do."""


@dataclass(frozen=True)
class Step:
    """One command that runs tests, and the time that it may take."""

    name: str
    depth: str
    command: tuple[str, ...]
    seconds: float = 600.0


def unit_step(name: str, depth: str) -> Step:
    """One file of unit tests, on MicroPython itself."""
    micropython = (".venv/bin/micropython", "-X", f"heapsize={HEAP}")
    return Step(name, depth, (*micropython, "tests/unit/run.py", f"tests/unit/{name}.py"))


def whole_step() -> Step:
    """The tests of the whole firmware."""
    files = [f"tests/sim/{name}" for name in WHOLE]
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=", "-k", WHOLE_WITHOUT]
    return Step("whole firmware", "whole", (".venv/bin/python", "-m", "pytest", *options, *files))


def steps_for(file: str, depth: str) -> list[Step]:
    """What a mutant of `file` has to pass to survive, at most down to `depth`."""
    own = OWN.get(file, ())
    steps = [unit_step(name, "own") for name in own]
    if depth != "own":
        steps += [unit_step(name, "core") for name in CORE if name not in own]
    if depth == "whole":
        steps += [unit_step(PLANT, "whole"), whole_step()]
    return steps


class Copy:
    """A private copy of firmware and tests in a temporary folder; what no mutant changes is linked."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in ("firmware", "tests"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in (".venv", "boards", "tools", "pyproject.toml"):
            (folder / name).symlink_to(ROOT / name)
        self.scratch = folder / "scratch"

    def run(self, step: Step) -> str:
        """Run a step as the copy is now: "" when its tests pass, else KILLED, HANGS or CRASHED."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        environment = {**os.environ, "TEST_TMP": str(self.scratch), "TMPDIR": str(self.scratch)}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        process = subprocess.Popen(
            step.command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        late = threading.Event()

        def give_up() -> None:
            late.set()
            end(process)

        alarm = threading.Timer(step.seconds, give_up)
        alarm.start()
        failed = False
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if line.startswith(b"FAIL"):
                    failed = True
                    end(process)
                    break
        code = process.wait()
        alarm.cancel()
        end(process)
        if failed:
            return KILLED
        if late.is_set():
            return HANGS
        return CRASHED if code else ""

    def judge(self, mutant: Mutant, steps: Iterable[Step]) -> tuple[str, str]:
        """The verdict on a mutant, and the step that noticed it."""
        for step in steps:
            verdict = self.run_mutant(mutant, step)
            if verdict == CRASHED:
                if self.run(step):
                    raise MutantsError(f"{step.name}: fails without any change now; were its tools removed?")
                verdict = KILLED
            if verdict:
                return verdict, step.name
        return SURVIVED, ""

    def run_mutant(self, mutant: Mutant, step: Step) -> str:
        """Run a step with the mutant in the copy, and take it out again."""
        target = self.folder / CODE / mutant.file
        target.write_bytes(mutant.text)
        try:
            return self.run(step)
        finally:
            target.write_bytes(mutant.source)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process of ours with all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


# -- which mutants ----------------------------------------------------------------------------------------


def core_files() -> list[str]:
    """The modules of the safety core, as paths below firmware/wallbox."""
    return [
        str(path.relative_to(ROOT / CODE))
        for folder in FOLDERS
        for path in sorted((ROOT / CODE / folder).glob("*.py"))
        if path.name != "__init__.py"
    ]


def all_mutants() -> list[Mutant]:
    """Every mutant of the core, in a fixed order."""
    return [mutant for file in core_files() for mutant in mutants(file, (ROOT / CODE / file).read_text())]


def selected(found: list[Mutant], options: argparse.Namespace) -> list[Mutant]:
    """The mutants that the command line asks for; MutantsError when it asks for none that exists."""
    if options.file:
        found = [mutant for mutant in found if any(mutant.file.endswith(name) for name in options.file)]
    if options.only:
        found = [mutant for mutant in found if any(mutant.id == i or fnmatch(mutant.id, i) for i in options.only)]
    if options.sample and options.sample < len(found):
        chosen = set(random.Random(options.seed).sample(range(len(found)), options.sample))
        found = [mutant for i, mutant in enumerate(found) if i in chosen]
    if not found:
        raise MutantsError("no mutant matches; `--list` shows all ids")
    return found


@dataclass(frozen=True)
class Argument:
    """A line of the file of argued mutants."""

    number: int
    file: str
    function: str
    before: str
    after: str
    reason: str

    def matches(self, mutant: Mutant) -> bool:
        """Whether it speaks of this mutant."""
        place = (self.file, self.function, self.before, self.after)
        return place == (mutant.file, mutant.function, mutant.before, mutant.after)


def read_arguments(text: str) -> list[Argument]:
    """The argued mutants: `file :: function :: line before :: line after :: reason`, # begins a comment line."""
    arguments = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = [part.strip() for part in line.split(" :: ")]
        if len(parts) != 5 or not parts[4]:
            raise MutantsError(f"argued, line {number}: wanted is file :: function :: before :: after :: reason")
        arguments.append(Argument(number, *parts))
    return arguments


def argued_ids(arguments: list[Argument], found: list[Mutant]) -> set[str]:
    """Ids of the argued mutants; MutantsError when a line matches not just one, for then its reason may be wrong."""
    ids: set[str] = set()
    for argument in arguments:
        matching = [mutant.id for mutant in found if argument.matches(mutant)]
        if len(matching) != 1:
            raise MutantsError(f"argued, line {argument.number}: matches {len(matching)} mutants: {argument.before}")
        ids.add(matching[0])
    return ids


# -- results ----------------------------------------------------------------------------------------------


def digest(*texts: bytes) -> str:
    """A short fingerprint."""
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]


def tests_digest() -> str:
    """Changes when a test does."""
    names = [f"tests/unit/{name}.py" for name in (*CORE, PLANT)] + [f"tests/sim/{name}" for name in WHOLE]
    return digest(*((ROOT / name).read_bytes() for name in names))


class Results:
    """Verdicts of this run and, with a file, of earlier ones: a JSON object a line."""

    def __init__(self, path: Path | None, tests: str, depth: str):
        self._path = path
        self._tests = tests
        self._depth = depth
        self._lock = threading.Lock()
        self.known: dict[str, dict] = {}
        if path and path.exists():
            for line in path.read_text().splitlines():
                entry = json.loads(line)
                self.known[entry["key"]] = entry

    def of(self, mutant: Mutant) -> dict | None:
        """The verdict on a mutant, None when it has to be run (again)."""
        entry = self.known.get(self.key(mutant))
        if entry is None or entry["verdict"] != SURVIVED:
            return entry
        is_deep = DEPTHS.index(entry["depth"]) >= DEPTHS.index(self._depth)
        return entry if is_deep and entry["tests"] == self._tests else None

    @staticmethod
    def key(mutant: Mutant) -> str:
        """What stays the same while the mutant does."""
        return digest(mutant.file.encode(), mutant.text)

    def add(self, mutant: Mutant, verdict: str, by: str, seconds: float) -> None:
        """Note a verdict."""
        entry = {"key": self.key(mutant), "id": mutant.id, "verdict": verdict, "by": by, "seconds": round(seconds, 2)}
        entry |= {"depth": self._depth, "tests": self._tests}
        with self._lock:
            self.known[entry["key"]] = entry
            if self._path:
                with self._path.open("a") as file:
                    file.write(json.dumps(entry) + "\n")


class Runner:
    """Runs mutants on private copies, one each thread."""

    def __init__(self, folder: Path, depth: str, results: Results, jobs: int):
        self._folder = folder
        self._depth = depth
        self._results = results
        self._jobs = jobs
        self._seconds: dict[str, float] = {}
        self._copies: list[Copy] = []
        self._lock = threading.Lock()
        self._done = 0

    def rehearse(self, files: Collection[str]) -> None:
        """Run the needed tests on the firmware as it is: they must pass, and their times limit those of mutants."""
        copy = self._take()
        for step in {step.name: step for file in files for step in steps_for(file, self._depth)}.values():
            began = time.monotonic()
            if copy.run(step):
                raise MutantsError(f"{step.name}: fails without any change; mend that first")
            self._seconds[step.name] = max(LEAST_S, PATIENCE * (time.monotonic() - began))
        self._copies.append(copy)

    def _take(self) -> Copy:
        with self._lock:
            if self._copies:
                return self._copies.pop()
        return Copy(Path(tempfile.mkdtemp(dir=self._folder)))

    def run(self, wanted: list[Mutant]) -> None:
        """Judge all of them."""
        with ThreadPoolExecutor(self._jobs) as pool:
            for _ in pool.map(lambda mutant: self._judge(mutant, len(wanted)), wanted):
                pass

    def _judge(self, mutant: Mutant, count: int) -> None:
        copy = self._take()
        began = time.monotonic()
        steps = steps_for(mutant.file, self._depth)
        timed = [Step(step.name, step.depth, step.command, self._seconds[step.name]) for step in steps]
        verdict, by = copy.judge(mutant, timed)
        self._results.add(mutant, verdict, by, time.monotonic() - began)
        with self._lock:
            self._copies.append(copy)
            self._done += 1
            print(f"{self._done}/{count} {verdict} {mutant.id} {by}", file=sys.stderr, flush=True)


# -- report -----------------------------------------------------------------------------------------------


def percent(part: int, whole: int) -> float:
    """A share, 100 of nothing."""
    return 100.0 * part / whole if whole else 100.0


def table(verdicts: dict[str, Counter[str]]) -> list[str]:
    """Lines of the table by file, with a total."""
    rows: list[tuple[str, ...]] = [
        ("file", "mutants", KILLED, HANGS, SURVIVED, ARGUED_FOR, "noticed %", "with argued %")
    ]
    total: Counter[str] = sum(verdicts.values(), Counter())
    for file, count in [*verdicts.items(), ("all", total)]:
        noticed = count[KILLED] + count[HANGS]
        numbers = [count[name] for name in (KILLED, HANGS, SURVIVED, ARGUED_FOR)]
        shares = [percent(noticed, count.total()), percent(noticed + count[ARGUED_FOR], count.total())]
        rows.append((file, str(count.total()), *map(str, numbers), *(f"{share:.1f}" for share in shares)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


def report(wanted: list[Mutant], argued: set[str], results: Results, document: Path | None = None) -> float:
    """Print table and survivors, the table into `document`, too; return the percentage noticed or argued."""
    verdicts: dict[str, Counter[str]] = {}
    survivors = []
    for mutant in wanted:
        entry = results.known.get(Results.key(mutant))
        verdict = ARGUED_FOR if mutant.id in argued else entry["verdict"] if entry else "not run"
        verdicts.setdefault(mutant.file, Counter())[verdict] += 1
        if verdict == SURVIVED:
            survivors.append(mutant)
    for mutant in survivors:
        print(f"survived {mutant.id}  {mutant.function}\n  - {mutant.before}\n  + {mutant.after}")
    lines = table(verdicts)
    print("\n".join(lines))
    if document is not None:
        write_block(document, "mutants", ["```", *lines, "```"])
    total: Counter[str] = sum(verdicts.values(), Counter())
    return percent(total[KILLED] + total[HANGS] + total[ARGUED_FOR], total.total())


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="mutants", description="mutation check of the safety core")
    add = parser.add_argument
    add("--jobs", type=int, default=2, metavar="N", help="processes at a time (2)")
    add("--file", action="append", metavar="NAME", help="only mutants of files whose path ends so")
    add("--only", action="append", metavar="ID", help="only this id; * and ? stand for any text and character")
    add("--sample", type=int, default=0, metavar="N", help="only N of them, drawn by --seed")
    add("--seed", type=int, default=1, metavar="N", help="draws the sample (1)")
    add(
        "--depth",
        choices=DEPTHS,
        default="whole",
        help="own unit tests only, those of the core, all (whole)",
    )
    add("--results", type=Path, metavar="FILE", help="keep verdicts here, and take up a run from it")
    add("--write", type=Path, metavar="FILE", help="put the table between the markers of this document")
    add("--argued", action="store_true", help="run the argued ones instead: none of them may be noticed")
    add("--list", action="store_true", help="show the mutants and run nothing")
    return parser.parse_args(arguments)


def check(options: argparse.Namespace) -> int:
    """Run what the options ask for and return the exit code."""
    found = all_mutants()
    argued = argued_ids(read_arguments(ARGUED.read_text()), found)
    wanted = selected(found, options)
    if options.list:
        for mutant in wanted:
            print(f"{mutant.id}  {mutant.function}\n  - {mutant.before}\n  + {mutant.after}")
        return 0
    results = Results(options.results, tests_digest(), options.depth)
    if options.argued:
        wanted, argued = [mutant for mutant in wanted if mutant.id in argued], set()
    open_ones = [mutant for mutant in wanted if mutant.id not in argued and results.of(mutant) is None]
    with tempfile.TemporaryDirectory(prefix="wallbox-mutants-") as folder:
        runner = Runner(Path(folder), options.depth, results, max(1, options.jobs))
        runner.rehearse({mutant.file for mutant in open_ones})
        runner.run(open_ones)
    share = report(wanted, argued, results, options.write)
    return int(share > 0) if options.argued else int(share < WANTED_PERCENT)


def main() -> int:
    """Entry of the program."""
    try:
        return check(parse(sys.argv[1:]))
    except MutantsError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
