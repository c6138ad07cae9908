"""Rare work that an installer starts: its module takes heap only while it is under way, one job at a time."""

import asyncio
import sys

from wallbox.timer import unwatched

_FOLDER = "wallbox.energy"
_IDLE = {
    "scan": {"running": False, "percent": 0, "trying": None, "found": []},
    "selfcheck": {"running": False, "percent": 0, "result": None},
}


class Jobs:
    """Jobs are modules of `wallbox.energy` with a class Job; `parts` are the arguments of all of them."""

    def __init__(self, *parts):
        self._parts = parts
        self._wake = asyncio.Event()
        self._name = ""
        self._job = None
        self._last = dict(_IDLE)

    def start(self, name: str) -> None:
        """Begin the job "scan" or "selfcheck"; ValueError when it cannot begin now."""
        if self._job is not None:
            raise ValueError("%s: not possible now; %s is under way" % (name, self._name))
        job = __import__(_FOLDER + "." + name, None, None, ("Job",)).Job(*self._parts)
        try:
            job.check()
        except ValueError:
            _forget(name)
            raise
        self._name = name
        self._job = job
        self._wake.set()

    def cancel(self, name: str) -> None:
        """End the job soon; harmless when it is not under way."""
        if self._job is not None and self._name == name:
            self._job.running = False

    def status(self, name: str) -> dict:
        """How far the job is, or how it ended the last time."""
        if self._job is not None and self._name == name:
            return self._job.status()
        return self._last[name]

    async def run(self, beat=unwatched) -> None:
        """Wait for a start and do the work; ends only by cancellation."""
        while True:
            beat(None)
            await self._wake.wait()
            self._wake.clear()
            job = self._job
            try:
                if job is not None:
                    await job.run()
            finally:
                self._end(job)

    def _end(self, job):
        if job is not None:
            job.running = False
            self._last[self._name] = job.status()
        self._job = None
        _forget(self._name)


def _forget(name):
    """Let go of a job's module."""
    sys.modules.pop(_FOLDER + "." + name, None)
    package = sys.modules[_FOLDER]
    if hasattr(package, name):
        delattr(package, name)
