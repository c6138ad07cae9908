"""What the person sees and types: results as text or JSON on stdout, progress and questions on the terminal."""

import asyncio
import json
import os
import sys
import termios
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from installer.client import Progress
from installer.errors import InstallerError, UsageError

BAR_CELLS = 24
# Often enough to see movement, rarely enough for a slow terminal.
REDRAW_S = 0.1
READ_BYTES = 4096
# Place of the flags in what termios tells of a terminal.
LOCAL_FLAGS = 3


def _harmless(text: str) -> str:
    """`text` without characters that a terminal obeys: some of it was written by a backend, a car, or a server."""
    return "".join("\ufffd" if unicodedata.category(char) == "Cc" and char not in "\n\t" else char for char in text)


class Terminal:
    """stdout carries the result alone, stderr the rest; a bar is drawn only when stderr is a terminal."""

    def __init__(self, as_json: bool):
        self.as_json = as_json
        self._stdin, self._out, self._err = sys.stdin, sys.stdout, sys.stderr
        self._typed = b""

    def result(self, data: Any, lines: Iterable[str]) -> None:
        """Show a result: with --json one line of `data`, else `lines`."""
        if self.as_json:
            print(json.dumps(data, ensure_ascii=False), file=self._out, flush=True)
            return
        for line in lines:
            print(_harmless(line), file=self._out, flush=True)

    def fail(self, error: InstallerError) -> None:
        """Show an error in one line: as JSON on stdout, for people on stderr."""
        if self.as_json:
            print(json.dumps({"error": error.as_dict()}, ensure_ascii=False), file=self._out, flush=True)
        else:
            print(_harmless(f"wallbox: {' '.join(str(error).split())}"), file=self._err)

    def note(self, text: str) -> None:
        """Tell something by the way."""
        print(_harmless(f"wallbox: {text}"), file=self._err, flush=True)

    def raw(self, content: bytes) -> None:
        """Write a file's content to stdout as it is."""
        self._out.buffer.write(content)
        self._out.flush()

    @property
    def interactive(self) -> bool:
        """Whether somebody can be asked."""
        return self._stdin.isatty() and self._err.isatty()

    async def ask(self, question: str) -> str:
        """A line from the person; EOFError when input ends. The connection lives on meanwhile."""
        self._err.write(question)
        self._err.flush()
        while b"\n" not in self._typed:
            await self._readable()
            data = os.read(self._stdin.fileno(), READ_BYTES)
            if not data:
                raise EOFError
            self._typed += data
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")

    async def _readable(self) -> None:
        """Wait for input without keeping the event loop; a plain file is always ready."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        try:
            loop.add_reader(self._stdin.fileno(), ready.set)
        except (PermissionError, NotImplementedError):
            return
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._stdin.fileno())

    def say(self, text: str = "") -> None:
        """A line of a dialogue, which is no result."""
        print(_harmless(text), file=self._err, flush=True)

    async def secret(self, what: str, options: str) -> str:
        """Ask for a secret without echo; UsageError, naming `options`, when nobody can be asked."""
        if not self.interactive:
            raise UsageError(f"{what} is needed; give it by {options}")
        with _no_echo(self._stdin.fileno()):
            try:
                return await self.ask(f"{what}: ")
            finally:
                # The person's own line end was not shown.
                self.say()

    async def confirm(self, question: str, yes: bool) -> None:
        """Go on only with `yes` or when the person says so; UsageError else."""
        if yes:
            return
        if not self.interactive:
            raise UsageError(f"{question} Confirm with --yes")
        if (await self.ask(f"{question} [y/N] ")).strip().lower() not in ("y", "yes"):
            raise UsageError("not confirmed; nothing was done")

    @contextmanager
    def progress(self, label: str, unit: str = "B") -> Iterator[Progress]:
        """A function that draws how far something is: (done, all or None)."""
        if not self._err.isatty():
            yield lambda _done, _all: None
            return
        bar = _Bar(self._err, label, unit)
        try:
            yield bar.draw
        finally:
            bar.end()


@contextmanager
def _no_echo(descriptor: int) -> Iterator[None]:
    """A terminal that does not show what is typed; as it was afterwards."""
    before = termios.tcgetattr(descriptor)
    quiet = termios.tcgetattr(descriptor)
    quiet[LOCAL_FLAGS] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, quiet)
    try:
        yield
    finally:
        # What was typed ahead belongs to the next question.
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class _Bar:
    """One line that is drawn over itself."""

    def __init__(self, stream, label: str, unit: str):
        self._stream = stream
        self._label = label
        self._unit = unit
        self._started = time.monotonic()
        self._drawn = 0.0

    def draw(self, done: int, size: int | None) -> None:
        """Show `done` of `size`."""
        now = time.monotonic()
        if now - self._drawn < REDRAW_S and done != size:
            return
        self._drawn = now
        rate = ""
        if self._unit == "B":
            rate = f"  {done / max(now - self._started, 0.001) / 1000:.1f} kB/s"
        if size:
            cells = min(BAR_CELLS, done * BAR_CELLS // size)
            shown = f"[{'#' * cells}{'.' * (BAR_CELLS - cells)}] {min(100, done * 100 // size):3d} %  {done}/{size}"
        else:
            shown = f"{done}"
        self._stream.write(f"\r\x1b[K{self._label} {shown} {self._unit}{rate}")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._drawn:
            self._stream.write("\n")
            self._stream.flush()
