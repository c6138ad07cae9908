"""Starts the simulator so that it tells each change at its terminals with its time, and so that time can be lost.

micropython tools/measure/edges.py LATE FLASH --virtual [further options of boards/simulator/run.py]

LATE: "-", or how many ms at most each tick of the control loop comes late, by chance; from "0" on the firmware's
own ticker runs, which leaves out no tick. FLASH: microseconds that a page program and a block erase take, "0:0" none.

The answer to `state` has "edges" too: [plant ms, terminal, value] of each change since the last answer. Two requests
are new: `pause` {"ms"} blocks the event loop from now on (not with LATE "-"), `stick` {"permille"} breaks the pilot
generator.
"""

import asyncio
import sys

_HERE = "tools/measure/edges.py"
_FOLDERS = ("firmware", "firmware/lib", "boards/simulator")
_EDGES = 4000  # more than any measure makes between two questions
_US_PER_MS = 1000


class Trace:
    """The changes seen; a value that was told already is no change."""

    def __init__(self):
        self._edges = []
        self._last = {}
        self.now_ms = None

    def note(self, name: str, value) -> None:
        """What a terminal shows now."""
        if self._last.get(name) != value:
            self._last[name] = value
            self.event(name, value)

    def event(self, name: str, value) -> None:
        """Something that counts each time."""
        if len(self._edges) < _EDGES:
            self._edges.append((self.now_ms(), name, value))  # type: ignore

    def take(self) -> list:
        """The changes since the last call."""
        edges = self._edges
        self._edges = []
        return edges


def _watch(trace, cls, method: str, name: str, read) -> None:
    """Note `read(object)` as terminal `name` after each call of a method."""
    original = getattr(cls, method)

    def watched(self, *arguments):
        original(self, *arguments)
        trace.note(name, read(self))

    setattr(cls, method, watched)


def _watch_terminals(trace) -> None:
    from plant.car import Car
    from plant.contactor import Contactor
    from plant.pilot import Pilot
    from plant.plant import Plant
    from plant.rcm import Rcm
    from plant.supply import Supply

    _watch(trace, Contactor, "command", "command", lambda contactor: int(contactor.commanded))
    _watch(trace, Contactor, "update_coil", "coil", lambda contactor: int(contactor.coil))
    _watch(trace, Supply, "update", "live", lambda supply: supply._plant.contactor.live)
    _watch(trace, Pilot, "set_duty", "duty", lambda pilot: pilot.set_permille)
    _watch(trace, Rcm, "_output", "trip", lambda rcm: int(rcm.tripped))
    _watch(trace, Rcm, "set_test", "test", lambda rcm: int(rcm.test_input))
    _watch(trace, Car, "_show", "car", lambda car: car.state)
    view = Plant.view
    restart = Plant.restart

    def view_with_edges(self):
        shown = view(self)
        shown["edges"] = trace.take()
        return shown

    def noted_restart(self, cause):
        trace.event("reset", cause)
        restart(self, cause)

    Plant.view = view_with_edges
    Plant.restart = noted_restart


class Loop:
    """Time that the event loop loses: late ticks, pauses, writes to flash."""

    def __init__(self, trace, late_ms: int, page_us: int, erase_us: int):
        from plant import board
        from plant.dice import Dice

        self._board = board
        self._trace = trace
        self._late_ms = late_ms
        self._page_us = page_us
        self._erase_us = erase_us
        self._rest_us = 0
        self._pause_ms = 0
        self._wake = asyncio.Event()
        self._dice = Dice(1)

    def lose(self, ms: int) -> None:
        """Let time pass as if the caller were busy."""
        plant = self._board.plant
        plant.advance_to(plant.now_ms + ms)

    def ticker(self, period_ms: int, _next_due_ms):
        """The firmware's own ticker, with ticks that come late."""
        from wallbox.clock import Ticker

        loop = self

        class Late(Ticker):
            async def wait(self):
                await Ticker.wait(self)
                if loop._late_ms:
                    loop.lose(loop._dice.between(0, loop._late_ms))

        self._wake = asyncio.Event()
        asyncio.create_task(self._run())
        return Late(self._board.virtual_ticks, period_ms)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self.lose(self._pause_ms)

    def pause(self, ms: int) -> None:
        """Block the event loop from now on."""
        self._pause_ms = ms
        self._wake.set()

    def on_flash(self, pages: int, erases: int) -> None:
        """A write to flash: what the chip takes for it is lost to the loop."""
        self._trace.event("flash", (pages, erases))
        self._rest_us += pages * self._page_us + erases * self._erase_us
        ms = self._rest_us // _US_PER_MS
        if ms:
            self._rest_us -= ms * _US_PER_MS
            self.lose(ms)


def _install(trace, loop, own_ticker: bool) -> None:
    """Put the loop's losses in once the simulator stands, and give the control API its new requests."""
    import bench
    import commands

    from plant import board

    run = bench.Bench.run

    def run_with_losses(self):
        if own_ticker:
            board.ticker = loop.ticker  # type: ignore
        self.judges = False
        board.plant.flash_device.on_busy = loop.on_flash
        run(self)

    def pause(_self, _later, ms):
        loop.pause(ms)
        return {}, None

    def stick(_self, _later, permille):
        board.plant.pilot.stick(permille)
        return {}, None

    bench.Bench.run = run_with_losses
    trace.now_ms = lambda: board.plant.now_ms if board.plant else 0
    for name, argument, method in (("pause", "ms", pause), ("stick", "permille", stick)):
        commands._TABLE[name] = ((argument,), ())
        setattr(commands.Commands, "_" + name, method)


def main() -> None:
    """Prepare the simulator and start it."""
    root = __file__[: -len(_HERE)]
    late = sys.argv.pop(1)
    page_us, erase_us = [int(number) for number in sys.argv.pop(1).split(":")]
    sys.path[:0] = [root + folder for folder in _FOLDERS]
    trace = Trace()
    _watch_terminals(trace)
    own_ticker = late != "-"
    _install(trace, Loop(trace, int(late) if own_ticker else 0, page_us, erase_us), own_ticker)
    __import__("run")


main()
