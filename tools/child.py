"""A process that the simulator starts, reads and ends; it knows nothing of what the process does."""

import asyncio
import ctypes
import signal
from collections import deque
from pathlib import Path

START_TIMEOUT_S = 15
STOP_TIMEOUT_S = 3
STDERR_LINES = 60
# prctl(2): the signal that the kernel sends to a process when its parent dies.
PR_SET_PDEATHSIG = 1


class ChildError(Exception):
    """The process did not get ready or ended by itself; the text holds its last words."""


def end_with_parent() -> None:
    """Run in a child: the kernel ends it when the simulator dies without having been able to do so."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """A process in a session of its own, so that Ctrl-C reaches the simulator alone, which then ends it."""

    def __init__(self, name: str, command: list[str], folder: Path):
        self.name = name
        self._folder = folder
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._tail: deque[str] = deque(maxlen=STDERR_LINES)
        self._readers: list[asyncio.Task] = []
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()

    async def start(self) -> None:
        """Start it; its output is read from now on."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=self._folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        self._readers = [asyncio.create_task(self._read_stdout()), asyncio.create_task(self._read_stderr())]

    async def announced(self, word: str) -> str:
        """What follows `word` on the line of stdout that starts with it; ChildError when it never comes."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while (line := await self._lines.get()) is not None:
                    if line.startswith(word + " "):
                        return line[len(word) + 1 :]
        except TimeoutError:
            raise ChildError(f"{self.name} did not get ready in {START_TIMEOUT_S} s\n{self.tail()}") from None
        raise await self.death()

    async def death(self) -> ChildError:
        """Wait for the end of the process and return it as an error."""
        assert self._process
        code = await self._process.wait()
        await asyncio.gather(*self._readers, return_exceptions=True)
        return ChildError(f"{self.name} ended with exit code {code}\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of its error output."""
        return "\n".join(self._tail) or "(it wrote nothing to stderr)"

    async def stop(self) -> None:
        """End it, by force after STOP_TIMEOUT_S."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def _read_stdout(self) -> None:
        assert self._process and self._process.stdout
        async for line in self._process.stdout:
            self._lines.put_nowait(line.decode(errors="replace").rstrip())
        self._lines.put_nowait(None)

    async def _read_stderr(self) -> None:
        assert self._process and self._process.stderr
        async for line in self._process.stderr:
            self._tail.append(line.decode(errors="replace").rstrip())
