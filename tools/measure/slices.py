"""Starts the simulator so that it notes how long each task keeps the event loop between two switches.

micropython tools/measure/slices.py FIGURES COLLECT --virtual [further options of boards/simulator/run.py]

COLLECT: the heap is collected between two slices, after so many; 0: when MicroPython does it by itself, in the midst
of one. FIGURES.bin gets a pair of unsigned 32-bit numbers for each slice: index of the task, microseconds of the host
without the time in simulated devices. FIGURES gets a JSON object at the end: names of the tasks, and how long a
collection of the heap takes. Every tick of the control loop runs. In virtual time two runs with the same requests
do the same in the same order, so the minimum over runs of a slice is free of what else the host did.
"""

import gc
import json
import sys
import time
from array import array
from asyncio import core

import vfs

_HERE = "tools/measure/slices.py"
_FOLDERS = ("firmware", "firmware/lib", "boards/simulator")
_PAIRS = 1024
_COLLECTIONS = 5
_CALLS = 1000
_RAM_BLOCKS = 32
_RAM_BLOCK_BYTES = 4096
_RAM_FILES = 20
_MAIN = "supervisor"


class Slices:
    """Durations on their way to a file."""

    def __init__(self, path: str, collect_every: int):
        self._collect_every = collect_every
        self._count = 0
        self._file = open(path, "wb")  # noqa: SIM115 as long as the process
        self._pairs = array("I", [0] * (2 * _PAIRS))
        self._used = 0
        self.names = []
        self.running = -1
        self.starting = None
        self.device_us = 0
        self.device_calls = 0
        self.flash_calls = 0
        self.call_ns = 0
        self.flash_ns = 0
        self.inside = False

    def outside_us(self) -> int:
        """Time in simulated devices so far, with what it takes to measure it, and with littlefs at work on its own.

        One change of a file may ask the flash thousands of times. On a chip that is C on both sides, here each goes
        through Python; what flash costs there is another matter (docs/timing.md).
        """
        return self.device_us + (self.device_calls * self.call_ns + self.flash_calls * self.flash_ns) // 1000

    def calibrate(self) -> None:
        """Find what the measuring of one call of a device takes by itself; littlefs calls thousands of times."""
        measured = _outside(self, lambda _self, _block, _buf, _offset: None)
        best_us = 1 << 30
        for _ in range(_COLLECTIONS):
            counted_us = self.device_us
            begin = time.ticks_us()
            for _ in range(_CALLS):
                # As a block device is called.
                measured(None, 0, None, 0)
            us = time.ticks_diff(time.ticks_us(), begin) - (self.device_us - counted_us)
            best_us = min(best_us, us)
        self.call_ns = best_us * 1000 // _CALLS
        self._calibrate_flash()
        self.device_us = self.device_calls = self.flash_calls = 0

    def _calibrate_flash(self) -> None:
        """Find what littlefs takes for one call of the flash, besides the call: by listing a folder."""
        volume = _volume(self)
        best_ns = 1 << 40
        for _ in range(_COLLECTIONS):
            calls, counted_us = self.flash_calls, self.device_us
            begin = time.ticks_us()
            for _entry in volume.ilistdir("/"):
                continue
            us = time.ticks_diff(time.ticks_us(), begin) - (self.device_us - counted_us)
            calls = self.flash_calls - calls
            best_ns = min(best_ns, us * 1000 // calls - self.call_ns)
        self.flash_ns = max(0, best_ns)

    def index(self, name: str) -> int:
        """The number of a task."""
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def prepare(self) -> None:
        """Before a slice."""
        self._count += 1
        if self._collect_every and self._count % self._collect_every == 0:
            gc.collect()

    def note(self, task: int, us: int) -> None:
        """Keep one slice."""
        at = 2 * self._used
        self._pairs[at] = task
        self._pairs[at + 1] = max(0, us)
        self._used += 1
        if self._used == _PAIRS:
            self.write()

    def write(self) -> None:
        """Bring what is kept to the file."""
        self._file.write(memoryview(self._pairs)[: 2 * self._used])
        self._file.flush()
        self._used = 0


class Sliced:
    """A coroutine that is timed each time the event loop runs it."""

    def __init__(self, coro, slices, task: int):
        self._coro = coro
        self._slices = slices
        self._task = task

    def send(self, value):
        """As a coroutine's."""
        return self._run(self._coro.send, value)

    def throw(self, value):
        """As a coroutine's."""
        return self._run(self._coro.throw, value)

    def close(self):
        """As a coroutine's."""
        return self._coro.close()

    def _run(self, resume, value):
        slices = self._slices
        slices.prepare()
        slices.running = self._task
        devices_us = slices.outside_us()
        begin = time.ticks_us()
        try:
            return resume(value)
        finally:
            us = time.ticks_diff(time.ticks_us(), begin) - (slices.outside_us() - devices_us)
            slices.running = -1
            slices.note(self._task, us)


class _Ram:
    """A small flash in memory."""

    def __init__(self):
        self._content = bytearray(_RAM_BLOCKS * _RAM_BLOCK_BYTES)

    def readblocks(self, block, buf, offset=0):
        """As a block device's."""
        at = block * _RAM_BLOCK_BYTES + offset
        buf[:] = memoryview(self._content)[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=0):
        """As a block device's."""
        at = block * _RAM_BLOCK_BYTES + offset
        self._content[at : at + len(buf)] = buf

    def ioctl(self, operation, _argument):
        """As a block device's."""
        return {4: _RAM_BLOCKS, 5: _RAM_BLOCK_BYTES}.get(operation, 0)


def _volume(slices):
    """A file system with a few files whose device counts as flash."""
    _leave_out(slices, _Ram, "readblocks", "writeblocks", "ioctl", flash=True)
    ram = _Ram()
    vfs.VfsLfs2.mkfs(ram)  # type: ignore
    volume = vfs.VfsLfs2(ram)  # type: ignore
    for number in range(_RAM_FILES):
        with volume.open("file%d" % number, "w") as file:
            file.write("0123456789" * 10)
    return volume


def _time_tasks(slices) -> None:
    """Let every task be a timed one, under the name that the supervisor gives it; children count as their parents."""
    import asyncio

    from wallbox.supervisor import Supervisor

    create_task = asyncio.create_task
    start = Supervisor._start

    def create_timed(coro):
        task = slices.running
        if slices.starting is not None:
            task = slices.index(slices.starting)
        elif task < 0:
            task = slices.index(_MAIN)
        # MicroPython takes for a coroutine what has its methods.
        return create_task(Sliced(coro, slices, task))  # type: ignore

    def start_named(self, watch):
        slices.starting = watch.name
        try:
            start(self, watch)
        finally:
            slices.starting = None

    core.create_task = create_timed  # type: ignore
    asyncio.create_task = create_timed
    Supervisor._start = start_named


def _time_requests(slices) -> None:
    """What a task will do one day is done by requests here: change a setting, tell the status."""
    from bench import Bench
    from commands import Commands

    def timed(name, original):
        def request(self, *arguments, **named):
            begin, devices_us = time.ticks_us(), slices.outside_us()
            try:
                return original(self, *arguments, **named)
            finally:
                us = time.ticks_diff(time.ticks_us(), begin) - (slices.outside_us() - devices_us)
                slices.note(slices.index(name), us)

        return request

    Commands._settings = timed("request settings", Commands._settings)
    Bench.state = timed("request status", Bench.state)


def _leave_out(slices, cls, *methods: str, flash: bool = False) -> None:
    """Take the time in methods of a simulated device out of the slices."""
    for method in methods:
        setattr(cls, method, _outside(slices, getattr(cls, method), flash))


def _outside(slices, original, flash=False):
    def timed(self, *arguments):
        if slices.inside:
            return original(self, *arguments)
        slices.inside = True
        begin = time.ticks_us()
        try:
            return original(self, *arguments)
        finally:
            slices.inside = False
            slices.device_calls += 1
            slices.flash_calls += flash
            slices.device_us += time.ticks_diff(time.ticks_us(), begin)

    return timed


def _leave_out_devices(slices) -> None:
    from record import Record

    from plant.contactor import Contactor
    from plant.flash import Handle
    from plant.meter import MeterSlave
    from plant.mfrc522_chip import Mfrc522Chip
    from plant.panel import Panel
    from plant.pilot import Pilot
    from plant.rcm import Rcm

    _leave_out(slices, Handle, "readblocks", "writeblocks", "ioctl", flash=True)
    _leave_out(slices, Mfrc522Chip, "spi", "reset")
    _leave_out(slices, MeterSlave, "feed", "take", "due_ms", "master_line")
    _leave_out(slices, Contactor, "command")
    _leave_out(slices, Pilot, "set_duty")
    _leave_out(slices, Rcm, "set_test")
    _leave_out(slices, Panel, "light", "sound")
    # Not a device: the simulator's own copy of the event log.
    _leave_out(slices, Record, "add")


def _run_every_tick() -> None:
    """Put the firmware's own ticker in the place of the one that leaves out idle ticks."""
    import bench

    from plant import board

    run = bench.Bench.run

    def run_exact(self):
        board.ticker = None
        run(self)

    bench.Bench.run = run_exact


def _collection_us() -> int:
    """The shortest of a few collections of the heap as it is now."""
    best = 1 << 30
    for _ in range(_COLLECTIONS):
        begin = time.ticks_us()
        gc.collect()
        best = min(best, time.ticks_diff(time.ticks_us(), begin))
    return best


def main() -> None:
    """Run the simulator to its end, then write the figures."""
    root = __file__[: -len(_HERE)]
    path = sys.argv.pop(1)
    sys.path[:0] = [root + folder for folder in _FOLDERS]
    slices = Slices(path + ".bin", int(sys.argv.pop(1)))
    slices.calibrate()
    _time_tasks(slices)
    _time_requests(slices)
    _leave_out_devices(slices)
    _run_every_tick()
    try:
        __import__("run")
    finally:
        slices.write()
        with open(path, "w") as file:
            json.dump({"tasks": slices.names, "collection_us": _collection_us()}, file)


main()
