"""Measures the heap that the package `ocpp` takes, on the interpreter that imports it (footprint.mjs: 32-bit objects).

A charge point registers over a stand-in of the network, whose central system then sends long frames. What stands in
for station, flash and network was made before the first figure and counts for nothing.

Peaks are bounds from above: this interpreter collects between two turns of the event loop only, so that a peak is what
was in use when a turn began and all that the turn allocated, garbage included.
"""

import asyncio
import asyncio.core
import gc
import os
import time

from ocpp_frames import write_frames
from ocpp_host import FOLDER, Network, charge_point, provide

FIGURES = {}
# (figure, function that is called before it, whether time passes between)
STEPS = (
    ("modules", "load", False),
    ("objects", "build", False),
    ("registered", "start", True),
    ("", "send_list", True),
    ("list", "list_answered", False),
    ("", "send_profile", True),
    ("profile", "profile_answered", False),
    ("", "send_list", True),
    ("again", "list_answered", False),
)

# -- turns of the event loop -----------------------------------------------------------------------------


class Turns:
    """Lets the interpreter collect after each turn of a task, and keeps the highest use of the heap in one."""

    def __init__(self):
        self.peak = 0
        self.ignored: asyncio.Task | None = None
        self._iterate = asyncio.core._run_iter  # pyright: ignore[reportAttributeAccessIssue]
        self._first = True
        asyncio.core._run_iter = self._run  # pyright: ignore[reportAttributeAccessIssue]
        asyncio.core.ticks_diff = self._wait  # pyright: ignore[reportAttributeAccessIssue]

    def _wait(self, then, now) -> int:
        """How long the event loop has to wait for a task: after the first of an iteration at least 1 ms."""
        left = time.ticks_diff(then, now)
        if self._first:
            self._first = left > 0
            return left
        return max(1, left)

    def _run(self) -> None:
        self._first = True
        task = asyncio.core._task_queue.peek()
        self._iterate()
        if task is not self.ignored:
            self.peak = max(self.peak, gc.mem_alloc())
        gc.collect()


# -- steps -----------------------------------------------------------------------------------------------

_made = []
_turns = Turns()
_network = Network()
_number = [0]


def load() -> None:
    """Import what a host imports."""
    __import__("ocpp.charge_point")
    __import__("ocpp.configuration")


def build() -> None:
    """Make the charge point."""
    _made.append(charge_point(_network.open_connection, "ws://127.0.0.1:9000/ocpp/"))


def start() -> None:
    """Let it connect and register."""
    _turns.ignored = asyncio.create_task(_network.run())
    asyncio.create_task(_made[0].run())


def _send(name: str) -> None:
    assert _made[0].online and _network.registered
    _turns.peak = 0
    _network.send_file("%s/%s.frame" % (FOLDER, name))


def _answered(message_id: str, figure: str) -> None:
    answer = _network.answers.pop(message_id)
    assert answer == [{"status": "Accepted"}], answer
    FIGURES[figure] = _turns.peak


def send_list() -> None:
    """Let the central system send a local list."""
    _number[0] += 1
    FIGURES["connecting peak"] = FIGURES.get("connecting peak", _turns.peak)
    _send("list%d" % _number[0])


def list_answered() -> None:
    """It must have been taken."""
    _answered("list%d" % _number[0], "list peak")


def send_profile() -> None:
    """Let the central system send a charging profile."""
    _send("profile")


def profile_answered() -> None:
    """It must have been taken."""
    _answered("profile", "profile peak")


def note(name: str) -> None:
    """Keep the heap in use, in bytes, under `name`, see `footprint.note`."""
    if name:
        FIGURES[name] = gc.mem_alloc()


provide()
os.mkdir(FOLDER)
write_frames(FOLDER)
