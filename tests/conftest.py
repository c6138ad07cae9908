"""Teaches pytest to run the unit tests on MicroPython, and gives the other tests a simulator."""

import ast
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import image
import pytest

from simulator import MICROPYTHON, ROOT, RUN, Simulator

UNIT_FOLDER = ROOT / "tests" / "unit"
UNIT_HEAP = "8M"
UNIT_FILE_SECONDS = 240
FILL_SECONDS = 120
FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the wallbox of every test be started from a container of `make image`."""
    parser.addoption("--image", type=Path, help="container of the simulator's firmware (the source tree)")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a container that is not there."""
    path = config.getoption("--image")
    if path is not None and not path.is_file():
        raise pytest.UsageError(f"--image: {path} is not there; allowed: a file that `make image` has made")


class UnitTestError(Exception):
    """A unit test failed on MicroPython; the text is MicroPython's own."""


class UnitFile(pytest.File):
    """One file of unit tests: a single MicroPython process runs it, and its items read their result there."""

    outcomes: dict[str, str | None] | None = None
    printed: dict[str, str]
    ending: str

    def collect(self) -> Iterator[pytest.Item]:
        seen: set[str] = set()
        for node in ast.parse(self.path.read_text()).body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith("test_"):
                continue
            if node.name in seen:
                raise self.CollectError(f"{self.path}: {node.name} stands there twice, the first would never run")
            seen.add(node.name)
            item = UnitTest.from_parent(self, name=node.name)
            item.line = node.lineno - 1
            yield item

    def outcome(self, name: str) -> tuple[str | None, str]:
        """Return a test's error (None when it passed) and what it printed; the first call runs the file."""
        if self.outcomes is None:
            self.run()
        assert self.outcomes is not None
        return self.outcomes.get(name, f"{name} was not run: {self.ending}"), self.printed.get(name, "")

    def run(self) -> None:
        wanted = [item.name for item in self.session.items if item.parent is self]
        names = [item.name for item in self.collect()]
        parts = [] if len(wanted) in (0, len(names)) else wanted
        scratch = self.config._tmp_path_factory.mktemp(self.path.stem)  # pyright: ignore[reportAttributeAccessIssue]
        command = [str(MICROPYTHON), "-X", f"heapsize={UNIT_HEAP}", "tests/unit/run.py"]
        command += [str(self.path.relative_to(ROOT)), *parts]
        firmware = shared(self.config._tmp_path_factory, worker(self.config), "compiled", image.compile_plain)  # pyright: ignore[reportAttributeAccessIssue]
        environment = dict(os.environ, TEST_TMP=str(scratch), FIRMWARE=str(firmware))
        try:
            answer = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=UNIT_FILE_SECONDS,
                text=True,
                errors="replace",
            )
            output, reason = answer.stdout, f"MicroPython ended with code {answer.returncode}"
        except subprocess.TimeoutExpired as late:
            output = late.stdout.decode(errors="replace") if isinstance(late.stdout, bytes) else late.stdout or ""
            reason = f"the file took more than {UNIT_FILE_SECONDS} s"
        self.read_output(output, reason)

    def read_output(self, output: str, reason: str) -> None:
        """Sort the runner's lines.

        What stands before a PASS or FAIL was printed by that test; indented lines after it are its traceback.
        """
        self.outcomes, self.printed = {}, {}
        failed, loose = "", []
        for line in output.splitlines():
            mark, _, name = line.partition(" ")
            if mark in ("PASS", "FAIL") and name.startswith("test_"):
                self.printed[name] = "\n".join(loose)
                self.outcomes[name] = None if mark == "PASS" else ""
                failed, loose = name if mark == "FAIL" else "", []
            elif failed and line.startswith("  "):
                self.outcomes[failed] = f"{self.outcomes[failed]}{line[2:]}\n"
            else:
                failed = ""
                loose.append(line)
        self.ending = "\n".join([reason, *loose[-40:]])


class UnitTest(pytest.Item):
    """One test function of a unit file."""

    line = 0

    def runtest(self) -> None:
        assert isinstance(self.parent, UnitFile)
        error, printed = self.parent.outcome(self.name)
        if printed:
            self.add_report_section("call", "stdout", printed)
        if error is not None:
            raise UnitTestError(error)

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, UnitTestError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, self.line, self.name


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector):
    """Take the files of tests/unit from CPython: they import what only MicroPython has."""
    if module_path.parent == UNIT_FOLDER:
        return UnitFile.from_parent(parent, path=module_path)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Note on the item that its test failed, so that a fixture can say more about it."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[FAILED] = True
    return report


def worker(config: pytest.Config) -> str:
    """Which of the workers of a run this is, "master" when there is only one process."""
    return getattr(config, "workerinput", {}).get("workerid", "master")


def shared(factory: pytest.TempPathFactory, worker_id: str, name: str, fill: Callable[[Path], None]) -> Path:
    """A folder that one of the workers of a run has filled, by `fill`; the others wait for it."""
    base = factory.getbasetemp()
    if worker_id != "master":
        base = base.parent
    folder, done = base / name, base / f"{name}.done"
    try:
        folder.mkdir()
    except FileExistsError:
        end = time.monotonic() + FILL_SECONDS
        while not done.exists():
            assert time.monotonic() < end, f"the worker that makes {name} has not done so"
            time.sleep(0.1)
        return folder
    fill(folder)
    done.touch()
    return folder


@pytest.fixture(scope="session")
def shared_folder(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Callable[[str, Callable[[Path], None]], Path]:
    """Return a function of (name, function that fills a folder): one of the workers of a run calls that function."""
    return lambda name, fill: shared(tmp_path_factory, worker_id, name, fill)


@pytest.fixture(scope="session")
def flashed(shared_folder: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The firmware as it is flashed, with the simulated board."""
    return shared_folder("flashed", image.compile_simulator)


@pytest.fixture(scope="session")
def compiled(shared_folder: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """Firmware and simulated board as they stand, compiled: hundreds of tests start them."""
    return shared_folder("compiled", image.compile_plain)


@pytest.fixture(name="simulator")
def start_simulator(request: pytest.FixtureRequest, compiled: Path) -> Iterator[Callable[..., Simulator]]:
    """Return a function that starts a Simulator with the given options; all are stopped when the test ends.

    On an image, if the tests run on one: but with `source`, with a program of its own, or with a small heap, in which
    an image has no room. When the test fails, the event log of each that still answers is shown with it.
    """
    started: list[Simulator] = []
    image = request.config.getoption("--image")

    def start(source: bool = False, **options) -> Simulator:
        own = source or "program" in options or "heap" in options
        if image is not None and not own and "--image" not in options.get("options", ()):
            options["options"] = ("--image", str(image.resolve()), *options.get("options", ()))
        box = Simulator(**{"program": (str(compiled / RUN),), **options})
        started.append(box)
        return box.start()

    yield start
    for box in started:
        if request.node.stash.get(FAILED, False):
            print(box.last_words())
        box.stop()
