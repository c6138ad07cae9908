"""Reactions of the whole firmware, measured in virtual time to 1 ms at the terminals of the simulated board.

`make bench` and `make timing` use it; it knows no limit.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from simulator import Simulator  # noqa: E402 the client stands beside the tests that use it most

EDGES = "tools/measure/edges.py"
# The control loop's period.
LOOP_MS = 10
NO_FLASH_TIME = (0, 0)

Edge = tuple[int, str, Any]


class Traced(Simulator):
    """A simulator whose `edges` grow with each state(): (plant ms, terminal, value) of every change.

    Terminals: "command" (the firmware's wish for the contactor), "coil", "live" (bits of the phases behind the
    contactor), "duty" (permille), "trip" and "test" of the residual current monitor, "car" (its state), "flash"
    ([pages, erases] of one write) and "reset" (its cause).
    `late_ms`: each tick of the control loop comes 0 to that many ms late, by chance; None: no tick is late, and
    idle ones are left out. `flash_us`: what a page program and a block erase take.
    """

    def __init__(self, *, late_ms: int | None = None, flash_us: tuple[int, int] = NO_FLASH_TIME, **options):
        late = "-" if late_ms is None else str(late_ms)
        super().__init__(program=(EDGES, late, f"{flash_us[0]}:{flash_us[1]}"), **options)
        self.edges: list[Edge] = []

    def state(self) -> dict[str, Any]:
        """Return the snapshot, after taking over its edges."""
        state = super().state()
        self.edges += [(ms, name, value) for ms, name, value in state.pop("edges")]
        return state

    def forget(self) -> int:
        """Forget all edges so far; return the plant time in ms."""
        now = self.state()["plant_ms"]
        self.edges.clear()
        return now

    def times(self, terminal: str, wanted: Callable[[Any], object]) -> list[int]:
        """Plant times in ms at which a terminal changed to a wanted value, since the last forget()."""
        return [ms for ms, name, value in self.edges if name == terminal and wanted(value)]

    def pause(self, ms: int) -> None:
        """Block the firmware's event loop for `ms` from now on; time passes with the next advance()."""
        self.request("pause", ms=ms)

    def stick(self, permille: int) -> None:
        """Break the pilot generator: its output stays there."""
        self.request("stick", permille=permille)


def ready(box: Simulator) -> None:
    """Wait for the end of the start-up tests."""
    box.advance(2)
    box.until(lambda state: state["led"]["pattern"] == "blue", 10)


def charge(box: Simulator) -> None:
    """Plug in a car and wait until it charges."""
    box.advance(2)
    box.plug()
    box.advance(4)
    box.until(lambda state: state["contactor"]["closed"] and min(state["car"]["draw_a"]) > 0, 60)


def reaction_ms(
    box: Traced,
    offset_ms: int,
    act: Callable[[Any], object],
    terminal: str,
    wanted: Callable[[Any], object],
    within_s: float,
) -> int | None:
    """Plant time in ms from `act` to the terminal's change to what is wanted; None when there is none.

    The act comes `offset_ms` after a tick of the control loop, which starts at a multiple of its period.
    """
    wait_ms = -box.forget() % LOOP_MS + offset_ms
    if wait_ms:
        box.advance(wait_ms / 1000)
    begin = box.forget()
    act(box)
    box.advance(within_s)
    box.state()
    times = box.times(terminal, wanted)
    return times[0] - begin if times else None
