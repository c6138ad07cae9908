"""A client of the simulator: starts the firmware on its simulated board and speaks the control API with it."""

import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
MICROPYTHON = ROOT / ".venv" / "bin" / "micropython"
RUN = "boards/simulator/run.py"

START_SECONDS = 20.0
ANSWER_SECONDS = 120.0  # an `advance` over a day of virtual time is the longest answer
STOP_SECONDS = 5.0
ANNOUNCEMENT = "control 127.0.0.1:"


class SimulatorError(Exception):
    """The simulator refused a request or does not run any more."""


class SimulatorTimeout(AssertionError):
    """What a test waited for did not come in time; the text holds the last state."""


class InvariantBroken(AssertionError):
    """Something that must hold after every control step did not; the text says what and when."""


class Simulator:
    """One simulator process and a connection to its control API.

    `virtual`: virtual time, which moves only in advance() and until(); without it, real time and wait_for(), in which
    the board runs `speed` (1..100) times faster than the host.
    `settings`: settings of the first boot. `data`: folder of the flash image, kept between runs.
    `heap`: MicroPython's heap. `options`: further options of boards/simulator/run.py.
    `program`: what to start in the place of that file, with its own arguments.
    Use it as a context manager, or call start() and stop().
    """

    def __init__(
        self,
        *,
        virtual: bool = True,
        speed: int = 1,
        seed: int = 1,
        factory: bool = False,
        settings: dict[str, Any] | None = None,
        data: Path | str | None = None,
        rs485: Path | str | None = None,
        heap: str = "8M",
        options: tuple[str, ...] = (),
        program: tuple[str, ...] = (RUN,),
    ):
        self.virtual = virtual
        self.output: deque[str] = deque(maxlen=400)
        self.port = 0
        self._scratch = tempfile.TemporaryDirectory(prefix="wallbox-test-")
        self._command = [str(MICROPYTHON), "-X", f"heapsize={heap}", *program]
        self._command += ["--control", "0", "--seed", str(seed)]
        if virtual:
            self._command.append("--virtual")
        if speed != 1:
            self._command += ["--speed", str(speed)]
        if factory:
            self._command.append("--factory")
        if settings is not None:
            path = Path(self._scratch.name) / "settings.json"
            path.write_text(json.dumps(settings))
            self._command += ["--settings", str(path)]
        if data is not None:
            self._command += ["--data", str(data)]
        if rs485 is not None:
            self._command += ["--rs485", str(rs485)]
        self._command += options
        self._errors = Path(self._scratch.name) / "stderr"
        self._announced = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._socket: socket.socket | None = None
        self._pending = b""
        self._id = 0

    # Life

    def start(self) -> Self:
        """Start the process and connect; SimulatorError with its stderr when it does not announce its port."""
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=dict(os.environ, PYTHONUNBUFFERED="1"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                errors="replace",
            )
        threading.Thread(target=self._read_output, daemon=True).start()
        if not self._announced.wait(START_SECONDS) or not self.port:
            reason = self._obituary("the simulator did not announce its control port")
            self.stop()
            raise SimulatorError(reason)
        self._socket = self.connect()
        return self

    def stop(self) -> None:
        """End the process; harmless when it ended already."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None
        self._scratch.cleanup()

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(self, *_exception) -> None:
        self.stop()

    def connect(self) -> socket.socket:
        """Return a further raw connection to the control API, for tests of the API itself."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS)

    def announced(self, words: str, seconds: float = START_SECONDS) -> int:
        """Return the number behind `words` on a line of stdout; SimulatorError when it does not come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in tuple(self.output):
                if line.startswith(words):
                    return int(line[len(words) :])
            time.sleep(0.01)
        raise SimulatorError(self._obituary(f"{words!r} was not announced"))

    def stderr(self) -> str:
        """Return what the process wrote to stderr so far."""
        return self._errors.read_text(errors="replace") if self._errors.exists() else ""

    def wait_exit(self, seconds: float = STOP_SECONDS) -> int:
        """Wait until the process ends by itself and return its exit code."""
        if self._process is None:
            raise SimulatorError("the simulator is not running")
        return self._process.wait(seconds)

    def last_words(self) -> str:
        """Return the event log for a failed test's report, or the process's end when it does not answer."""
        try:
            entries = self.log()
        except (SimulatorError, OSError) as error:
            return f"simulator: {error}"
        return "simulator's event log:\n" + "\n".join(json.dumps(entry) for entry in entries[-60:])

    def _read_output(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self.output.append(line.rstrip("\n"))
                if line.startswith(ANNOUNCEMENT):
                    self.port = int(line[len(ANNOUNCEMENT) :])
                    self._announced.set()
        except ValueError as error:  # stop() closed the pipe while a line was awaited
            self.output.append(f"(output ended: {error})")
        self._announced.set()

    def _obituary(self, what: str) -> str:
        code = None
        if self._process is not None:
            try:
                code = self._process.wait(1)
            except subprocess.TimeoutExpired:
                code = None
        state = "it still runs" if code is None else f"it ended with code {code}"
        output = "\n".join(list(self.output)[-20:])
        return (
            f"{what}; {state}\ncommand: {' '.join(self._command)}\nstdout:\n{output}\nstderr:\n{self.stderr()[-4000:]}"
        )

    # Requests

    def request(self, do: str, **arguments) -> dict[str, Any]:
        """Send one request and return its answer; SimulatorError when it is refused. None arguments are left out."""
        answer = self.exchange({"do": do, **{key: value for key, value in arguments.items() if value is not None}})
        if not answer.get("ok"):
            raise SimulatorError(f"{do} {arguments}: {answer.get('error', answer)}")
        broken = answer.get("violations") or answer.get("state", {}).get("violations")
        if broken:
            raise InvariantBroken(json.dumps(broken))
        return answer

    def exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send one message with an id of its own and return the raw answer, refused or not."""
        if self._socket is None:
            raise SimulatorError("the simulator is not running")
        self._id += 1
        try:
            self._socket.sendall(json.dumps({"id": self._id, **message}).encode() + b"\n")
            line = self._read_line()
        except TimeoutError as error:
            raise SimulatorError(self._obituary(f"no answer to {message} in {ANSWER_SECONDS} s")) from error
        except OSError as error:
            raise SimulatorError(self._obituary(f"connection lost at {message}: {error}")) from error
        answer = json.loads(line)
        if answer.get("id") != self._id:
            raise SimulatorError(f"answer to request {self._id} {message} carries another id: {answer}")
        return answer

    def _read_line(self) -> bytes:
        assert self._socket is not None
        while b"\n" not in self._pending:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("closed by the simulator")
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def plug(
        self,
        phases: int | None = None,
        max_a: int | None = None,
        wants: bool | None = None,
        soc_wh: int | None = None,
        asleep: str | None = None,
    ) -> None:
        """Plug in a car (default: three phases, 32 A, wants to charge, never full, awake)."""
        self.request("plug", phases=phases, max_a=max_a, wants=wants, soc_wh=soc_wh, asleep=asleep)

    def unplug(self) -> None:
        """Pull the plug out of the car."""
        self.request("unplug")

    def car(
        self,
        state: str | None = None,
        draw_a: float | None = None,
        diode: bool | None = None,
        ignore_pwm: bool | None = None,
        asleep: str | None = None,
    ) -> None:
        """Force what the car does: pilot state B, C or D, its current, a shorted diode, deaf to the pilot, asleep."""
        self.request("car", state=state, draw_a=draw_a, diode=diode, ignore_pwm=ignore_pwm, asleep=asleep)

    def tap(self, uid: str) -> None:
        """Hold a card (UID in hex) to the reader for 0.5 s."""
        self.request("tap", uid=uid)

    def fault(self, name: str, value: float | str | None = None) -> None:
        """Inject a fault."""
        self.request("fault", name=name, value=value)

    def clear(self, name: str) -> None:
        """Remove an injected fault."""
        self.request("clear", name=name)

    def grid(self, volts: list[float] | None = None, hz: float | None = None) -> None:
        """Set the supply's phase voltages and frequency."""
        self.request("grid", volts=volts, hz=hz)

    def house(self, amps: list[float] | None = None, pv_w: float | None = None) -> None:
        """Set the house's load per phase and its solar power."""
        self.request("house", amps=amps, pv_w=pv_w)

    def ambient(self, celsius: float) -> None:
        """Set the temperature around the wallbox."""
        self.request("ambient", celsius=celsius)

    def contact(self, closed: bool) -> None:
        """Close or open the peak-shaving contact."""
        self.request("contact", closed=closed)

    def network(self, up: bool | None = None, link: str | None = None, **changes) -> None:
        """Cut or restore every link to the outside, or change what one of them finds."""
        self.request("network", up=up, link=link, **changes)

    def power(self, on: bool | None = None, at_write: int | None = None) -> None:
        """Cut or restore the supply, or cut it at the n-th flash write from now."""
        self.request("power", on=on, at_write=at_write)

    def reset(self) -> None:
        """Restart the firmware."""
        self.request("reset")

    def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.request("advance", seconds=seconds)

    def state(self) -> dict[str, Any]:
        """Return the snapshot."""
        return self.request("state")["state"]

    def log(self, since: int | None = None, code: str | None = None) -> list[dict[str, Any]]:
        """Return the event log's entries after `since`, or only those with `code`."""
        entries = self.request("log", since=since)["log"]
        return [entry for entry in entries if code is None or entry["code"] == code]

    def settings(self, **changes) -> dict[str, Any]:
        """Change the given settings as an installer would, and return all of them."""
        return self.request("settings", set=changes or None)["settings"]

    # Waiting

    def until(self, predicate: Callable[[dict[str, Any]], object], seconds: float, step: float = 0.1) -> dict[str, Any]:
        """Let virtual time pass in steps until `predicate(state)` holds; return that state.

        SimulatorTimeout with the last state when it does not hold within `seconds`.
        """
        passed = 0.0
        state = self.state()
        while not predicate(state):
            if passed >= seconds:
                raise SimulatorTimeout(f"not reached in {seconds} s of virtual time; last state: {json.dumps(state)}")
            self.advance(step)
            passed += step
            state = self.state()
        return state

    def wait_for(
        self, condition: Callable[[dict[str, Any]], object], deadline: float, poll: float = 0.05
    ) -> dict[str, Any]:
        """Wait in real time until `condition(state)` holds; return that state.

        SimulatorTimeout with the last state when it does not hold within `deadline` seconds.
        """
        end = time.monotonic() + deadline
        state = self.state()
        while not condition(state):
            if time.monotonic() >= end:
                raise SimulatorTimeout(f"not reached in {deadline} s; last state: {json.dumps(state)}")
            time.sleep(poll)
            state = self.state()
        return state
