"""Runs the self-test of a real board through mpremote, asks the person, and writes a report for the archive.

Exit code 1 when a step failed, 2 when the self-test could not be run.
"""

import argparse
import datetime
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import serial

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "selftest"
EXIT_FAILED, EXIT_NOT_RUN = 1, 2
# The longest part waits 20 s twice.
PART_TIMEOUT_S = 120
STOP_TIMEOUT_S = 20
# A board of which the supply was cut.
PORT_TIMEOUT_S = 60
PORT_LOOK_S = 0.2
ECHO_BAUD = 9600
# Frozen drivers may be loaded already, and those that are tested are this folder's.
START = """\
import sys
for name in list(sys.modules):
    if name.split(".")[0] == "hal":
        del sys.modules[name]
sys.path[:0] = ["/remote/boards/esp32s3", "/remote/firmware/lib"]
import selftest
"""


class SelftestError(Exception):
    """The self-test cannot be run, in one line."""


class Board:
    """The board at a port, reached by mpremote, with this folder mounted; each call starts the interpreter anew."""

    def __init__(self, port: str, mpremote: Sequence[str]):
        self._port = port
        self._command = [*mpremote, "connect", port, "mount", str(ROOT), "exec"]
        self._noise: list[str] = []

    def run(self, code: str, timeout_s: float = PART_TIMEOUT_S) -> Iterator[dict]:
        """Run code behind `import selftest` -> its lines of JSON as they come; SelftestError when it ends in an error.

        What runs on the board is ended, and all its outputs are off, when the reader breaks off.
        """
        self._wait()
        self._noise = []
        # In a session of its own, so that Ctrl-C reaches this program alone, which then stops the board.
        process = subprocess.Popen(
            [*self._command, START + code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        clock = threading.Timer(timeout_s, process.kill)
        clock.start()
        ended = False
        try:
            assert process.stdout
            for line in process.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
                elif line.strip():
                    self._noise.append(line.rstrip())
            ended = process.wait() == 0
            if not ended:
                raise SelftestError(self._noise[-1] if self._noise else f"no answer within {timeout_s:g} s")
        finally:
            clock.cancel()
            if not ended:
                process.kill()
                self.stop()
            process.wait()
            if process.stdout:
                process.stdout.close()

    def stop(self) -> None:
        """End what runs, as Ctrl-C does, and switch everything off; a board that is gone is off by its hardware."""
        code = START + "selftest.safe(selftest.Report())"
        try:
            subprocess.run([*self._command, code], capture_output=True, timeout=STOP_TIMEOUT_S, check=True)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"selftest: the board could not be told to switch off: {error}", file=sys.stderr)

    def _wait(self) -> None:
        """Until the port is there: it goes with the supply."""
        end = time.monotonic() + PORT_TIMEOUT_S
        while self._port.startswith("/") and not Path(self._port).exists():
            if time.monotonic() > end:
                raise SelftestError(f"{self._port} is not there")
            time.sleep(PORT_LOOK_S)


class Echo:
    """A second RS-485 adapter that sends back what it hears, while it is entered."""

    def __init__(self, port: str):
        self._serial = serial.Serial(port, ECHO_BAUD, timeout=PORT_LOOK_S)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.is_set():
            heard = self._serial.read(1)
            if heard:
                # A frame, and time for the board to turn its transceiver round.
                time.sleep(0.05)
                self._serial.write(heard + self._serial.read(self._serial.in_waiting))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()
        self._serial.close()


class Person:
    """Who stands before the board."""

    def __init__(self, ask: Callable[[str], str] = input):
        self._ask = ask

    def _answer(self, text: str) -> str:
        try:
            return self._ask(text).strip()
        except EOFError:
            raise SelftestError("nobody answers") from None

    def ready(self, text: str) -> bool:
        """Whether it was prepared; False: the part is to be left out."""
        return self._answer(f"\n{text}\nEnter to go on, s to skip this part: ").lower() != "s"

    def yes(self, text: str) -> bool:
        """A question until it is answered."""
        while (answer := self._answer(f"{text} (y/n) ").lower()) not in ("y", "n"):
            print("y or n, please")
        return answer == "y"

    def value(self, key: str, text: str) -> str:
        """What is asked for; volts are numbers."""
        while True:
            answer = self._answer(f"{text}: ")
            if not key.startswith("volts_"):
                return answer
            try:
                return f"{float(answer):g}"
            except ValueError:
                print(f"{answer!r} is no number")


def show(step: dict) -> None:
    """A row of the table."""
    mark = "ok  " if step["ok"] else "FAIL"
    measured = " ".join(str(part) for part in (step["measured"], step["unit"]) if part != "")
    print(f"{mark} {step['step']:<28} {measured:<24} expected {step['expected']}")


def run_part(board: Board, part: dict, person: Person, given: dict, echo: str | None) -> list[dict]:
    """Run one part and ask what only a person can see -> its steps; one that breaks off is a step that failed."""
    call = f"selftest.run({part['part']!r}, {given!r})"
    steps = []
    try:
        if echo and part["part"] == "rs485":
            with Echo(echo):
                steps = list(board.run(call))
        else:
            steps = list(board.run(call))
        if not steps:
            raise SelftestError("it told no step")
    except SelftestError as error:
        steps.append(
            {"step": f"{part['part']}.board", "ok": False, "measured": str(error), "expected": "an end", "unit": ""}
        )
    for step in steps:
        question = step.pop("ask", None)
        if step["ok"] is None:
            step["ok"] = person.yes(question)
            step["measured"] = "yes" if step["ok"] else "no"
        show(step)
    return steps


def version() -> str:
    """The state of this folder, from which the drivers come."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (subprocess.SubprocessError, OSError):
        return "unknown"
    return found.stdout.strip()


def now() -> datetime.datetime:
    """UTC."""
    return datetime.datetime.now(datetime.UTC)


def given_for(part: dict, person: Person) -> dict:
    """What the part needs: the time from this computer, the rest from the person."""
    return {
        key: str(int(now().timestamp())) if key == "utc" else person.value(key, question)
        for key, question in part["needs"]
    }


def select(plan: list[dict], only: list[str], skip: list[str]) -> list[dict]:
    """The parts that are asked for; SelftestError for a name that is none."""
    names = [part["part"] for part in plan]
    for name in only + skip:
        if name not in names:
            raise SelftestError(f"part: {name!r} is not allowed; allowed: {', '.join(names)}")
    return [part for part in plan if (not only or part["part"] in only) and part["part"] not in skip]


def test(board: Board, options: argparse.Namespace, person: Person) -> dict:
    """Run what is asked for -> the report."""
    plan, about = [], {}
    for line in board.run("selftest.about(); selftest.plan()"):
        if "part" in line:
            plan.append(line)
        else:
            about = line
    if not plan:
        raise SelftestError("the board tells no part of its self-test")
    wanted = select(plan, options.only, options.skip)
    report = {**about, "software": version(), "by": options.by, "began": now().isoformat(timespec="seconds")}
    steps: list[dict] = []
    done = []
    for part in wanted:
        if part["prepare"] and not person.ready(f"{part['part']}: {part['prepare']}"):
            continue
        done.append(part["part"])
        steps += run_part(board, part, person, given_for(part, person), options.echo)
    report["ended"] = now().isoformat(timespec="seconds")
    report["skipped"] = [part["part"] for part in plan if part["part"] not in done]
    report["failed"] = [step["step"] for step in steps if not step["ok"]]
    report["passed"] = not report["failed"]
    report["steps"] = steps
    return report


def write(report: dict, folder: Path) -> Path:
    """Keep it as a file of its own, never over another."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.get('serial', 'unknown')}-{now():%Y%m%dT%H%M%S}.json"
    with path.open("x") as file:
        json.dump(report, file, indent=1)
        file.write("\n")
    return path


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; wrong options end the program."""
    parser = argparse.ArgumentParser(prog="selftest", description=__doc__)
    parser.add_argument("--port", required=True, help="the board's service port, such as /dev/ttyACM0")
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="this part; may be repeated")
    parser.add_argument("--skip", action="append", default=[], metavar="PART", help="not this part; may be repeated")
    parser.add_argument("--by", default="", metavar="NAME", help="who tests, for the report")
    parser.add_argument("--echo", metavar="PORT", help="an RS-485 adapter of this computer, for the part rs485")
    parser.add_argument("--reports", type=Path, default=REPORTS, metavar="DIR", help=f"({REPORTS.relative_to(ROOT)})")
    options = parser.parse_args(arguments)
    if not options.port:
        parser.error("which port? make selftest PORT=/dev/ttyACM0")
    return options


def main(
    arguments: Sequence[str] | None = None,
    mpremote: Sequence[str] = (sys.executable, "-m", "mpremote"),
    person: Person | None = None,
) -> int:
    """Run the self-test -> exit code."""
    options = parse(arguments)
    try:
        report = test(Board(options.port, mpremote), options, person or Person())
        path = write(report, options.reports)
    except (SelftestError, OSError) as error:
        print(f"selftest: {error}", file=sys.stderr)
        return EXIT_NOT_RUN
    except KeyboardInterrupt:
        print("\nselftest: ended; the board's outputs are off", file=sys.stderr)
        return EXIT_NOT_RUN
    count = len(report["steps"])
    print(f"\n{report.get('serial')}: {count - len(report['failed'])} of {count} steps passed")
    for title in ("failed", "skipped"):
        if report[title]:
            print(f"{title}: {', '.join(report[title])}")
    print(f"report: {path}")
    return 0 if report["passed"] else EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
