"""Runs tools/simulate.py as a user would, on free ports."""

import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
SIMULATE = ROOT / "tools" / "simulate.py"
START_SECONDS = 30.0
STOP_SECONDS = 15.0
LOOK_SECONDS = 0.05


class Launched:
    """One run of tools/simulate.py on free ports, with what it printed."""

    def __init__(self, *options: str):
        self.output: list[str] = []
        command = [sys.executable, str(SIMULATE), *options]
        for name in ("--control", "--web"):
            command += [] if name in options else [name, "0"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line.rstrip("\n"))

    def found(self, pattern: str) -> str:
        """The first group of `pattern` in what was printed, waited for; AssertionError when it does not come."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            for line in tuple(self.output):
                match = re.match(pattern, line)
                if match:
                    return match[1]
            assert self.process.poll() is None, f"simulate ended with {self.process.returncode}: {self.errors()}"
            time.sleep(LOOK_SECONDS)
        raise AssertionError(f"{pattern!r} did not come in {START_SECONDS} s: {self.output}")

    @property
    def url(self) -> str:
        """The panel's address."""
        return self.found(r"panel (http://\S+)")

    @property
    def web(self) -> int:
        """The panel's port."""
        return int(self.found(r"panel http://127\.0\.0\.1:(\d+)/"))

    @property
    def control(self) -> int:
        """The control API's port."""
        return int(self.found(r"control 127\.0\.0\.1:(\d+)"))

    def errors(self) -> str:
        """What it wrote to stderr, once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def close(self) -> None:
        """End it, if it still runs, and its pipes."""
        if self.process.poll() is None:
            try:
                self.end()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(STOP_SECONDS)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error) -> None:
        self.close()
