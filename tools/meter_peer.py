"""A Modbus meter as a real peer: a pymodbus RTU server that answers as an Inepro PRO380-Mod on a pty.

Two ptys and a relay between them stand in for the RS-485 line: the server has the one, the firmware opens the other.
The relay takes the time the bytes would need on the line, and can cut it.

Alone: `python tools/meter_peer.py --amps 5,-3,0.5` prints the path to open and serves until Ctrl-C.
"""

import argparse
import asyncio
import os
import struct
import sys
import threading
import time
import tty
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

ADDRESS = 1
BAUD = 9600
BITS_PER_CHARACTER = 11  # 8E1, the factory's setting
START_SECONDS = 5.0
CHUNK = 512

# First register and count of the blocks of the PRO380-Mod (manual V2.18, appendix A3.2).
IDENTITY, LIVE, ENERGY = 0x4000, 0x5000, 0x6000
COUNTS = {IDENTITY: 11, LIVE: 50, ENERGY: 36}


@dataclass
class Values:
    """What the meter measures on L1..L3: amps positive for import; None as watts means volts times amps."""

    volts: Sequence[float] = (230.0, 230.0, 230.0)
    amps: Sequence[float] = (0.0, 0.0, 0.0)
    watts: Sequence[float] | None = None
    hz: float = 50.0
    import_kwh: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    export_kwh: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def power(self) -> list[float]:
        """W per phase, export negative."""
        if self.watts is not None:
            return list(self.watts)
        return [volts * amps for volts, amps in zip(self.volts, self.amps, strict=True)]


def identity_block() -> bytes:
    """Serial number, meter code, address and baud rate; protocol, software and hardware version."""
    return struct.pack(">IHHHfff", 0x15060001, 0x0102, ADDRESS, BAUD, 3.2, 2.18, 1.03)


def live_block(values: Values) -> bytes:
    """Registers 0x5000 to 0x5031; currents without a sign, powers in kW with theirs."""
    watts = values.power()
    amps = [abs(a) for a in values.amps]
    apparent = [u * i for u, i in zip(values.volts, amps, strict=True)]
    factors = [p / s if s else 1.0 for p, s in zip(watts, apparent, strict=True)]
    total_va = sum(apparent)
    kilo = [
        *(w / 1000 for w in (sum(watts), *watts)),
        *(0.0, 0.0, 0.0, 0.0),
        *(va / 1000 for va in (total_va, *apparent)),
    ]
    factor = sum(watts) / total_va if total_va else 1.0
    return struct.pack(">25f", 0.0, *values.volts, values.hz, 0.0, *amps, *kilo, factor, *factors)


def energy_block(values: Values) -> bytes:
    """Registers 0x6000 to 0x6023: sums, import, export; each total, two tariffs, L1 to L3."""
    bought, sold = values.import_kwh, values.export_kwh
    both = [a + b for a, b in zip(bought, sold, strict=True)]
    numbers = [number for three in (both, bought, sold) for number in (sum(three), sum(three), 0.0, *three)]
    return struct.pack(">18f", *numbers)


class MeterPeer:
    """The meter on its line, in a thread of its own; a context manager.

    `source`, when given, is called for each request, from that thread, and returns {"volts", "amps", "watts", "hz"} or
    part of it; else the values are those of the last `set`. `paced` lets the line take its time. OSError when there is
    no pty to be had, RuntimeError when the server does not start.
    """

    def __init__(self, source: Callable[[], dict] | None = None, *, paced: bool = True):
        self.silent = False  # the line is cut while True
        self.garbage = False  # a bit of each answer is turned while True
        self.requests = 0
        self.path = ""
        self._source = source
        self._paced = paced
        self._values = Values()
        self._counted_at = time.monotonic()
        self._lock = threading.Lock()
        self._files: list[int] = []
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def set(self, **values) -> None:
        """Change any of the fields of Values; ValueError for other names and for anything but three numbers."""
        for name in values:
            if name not in Values.__dataclass_fields__:
                raise ValueError(f"{name} is unknown; allowed: {', '.join(Values.__dataclass_fields__)}")
            if name != "hz" and values[name] is not None and len(values[name]) != 3:
                raise ValueError(f"{name}: {values[name]!r} is not allowed; allowed: three numbers")
        with self._lock:
            self._count()
            for name, value in values.items():
                setattr(self._values, name, list(value) if name.endswith("kwh") else value)

    def _count(self) -> None:
        """Add the energy since the last call, at the power it had."""
        now = time.monotonic()
        hours = (now - self._counted_at) / 3600
        self._counted_at = now
        for phase, watts in enumerate(self._values.power()):
            counters = self._values.import_kwh if watts > 0 else self._values.export_kwh
            counters[phase] += abs(watts) / 1000 * hours

    # Life

    def start(self) -> str:
        """Start serving and return the path that the firmware opens."""
        firmware_side, path = self._pty()
        server_side, server_path = self._pty()
        ends = firmware_side, server_side, server_path
        self._thread = threading.Thread(target=self._run, args=ends, name="meter", daemon=True)
        self._thread.start()
        started = self._ready.wait(START_SECONDS)
        if not started or self._error is not None:
            self.stop()
            raise RuntimeError(f"the meter does not start: {self._error or 'time is up'}")
        self.path = path
        return path

    def _pty(self) -> tuple[int, str]:
        master, slave = os.openpty()
        # The slave stays open here too, so that the master never sees a hang-up while nobody else has it open.
        self._files += [master, slave]
        tty.setraw(slave)
        os.set_blocking(master, False)
        return master, os.ttyname(slave)

    def stop(self) -> None:
        """End the server; harmless when it has ended."""
        if self._thread is not None and self._loop is not None and self._stop is not None:
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(START_SECONDS)
        self._thread = None
        for number in self._files:
            os.close(number)
        self._files = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error) -> None:
        self.stop()

    # The meter's thread

    def _run(self, firmware_side: int, server_side: int, server_path: str) -> None:
        try:
            asyncio.run(self._serve(firmware_side, server_side, server_path))
        except Exception as error:
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self, firmware_side: int, server_side: int, server_path: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        blocks = [
            SimData(start, values=[0] * count, datatype=DataType.REGISTERS, readonly=True)
            for start, count in COUNTS.items()
        ]
        server = ModbusSerialServer(
            SimDevice(ADDRESS, simdata=blocks, action=self._answer),
            framer=FramerType.RTU,
            port=server_path,
            baudrate=BAUD,
            # A pty knows no parity bit, and refuses to be asked for one; the relay counts its time.
            parity="N",
            ignore_missing_devices=True,
        )
        if not await server.listen():
            raise RuntimeError(f"pymodbus cannot open {server_path}")
        relays = [
            asyncio.create_task(self._relay(firmware_side, server_side, False)),
            asyncio.create_task(self._relay(server_side, firmware_side, True)),
        ]
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            for relay in relays:
                relay.cancel()
            await asyncio.gather(*relays, return_exceptions=True)
            await server.shutdown()

    async def _relay(self, source: int, sink: int, answers: bool) -> None:
        """Carry bytes one way, each chunk after the time that it needs on the line."""
        while True:
            await self._readable(source)
            data = os.read(source, CHUNK)
            if self._paced:
                await asyncio.sleep(len(data) * BITS_PER_CHARACTER / BAUD)
            if self.silent:
                continue
            if self.garbage and answers:
                data = data[:-1] + bytes([data[-1] ^ 0x10])
            try:
                os.write(sink, data)
            except BlockingIOError:
                # Nobody reads at the other end: a line does not keep what nobody hears.
                continue

    async def _readable(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        arrived = loop.create_future()
        loop.add_reader(number, lambda: arrived.done() or arrived.set_result(None))
        try:
            await arrived
        finally:
            loop.remove_reader(number)

    async def _answer(self, _function, start, _address, _count, registers, _set_values) -> None:
        """Refresh all registers; pymodbus calls this before it answers. `start` is the first one's address."""
        self.requests += 1
        if self._source is not None:
            self.set(**self._source())
        with self._lock:
            self._count()
            blocks = {IDENTITY: identity_block(), LIVE: live_block(self._values), ENERGY: energy_block(self._values)}
        for first, data in blocks.items():
            words = struct.unpack(f">{COUNTS[first]}H", data)
            registers[first - start : first - start + len(words)] = words


def three_numbers(text: str) -> list[float]:
    """Parse `a,b,c`."""
    numbers = [float(part) for part in text.split(",")]
    if len(numbers) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed: three numbers as in 5,-3,0.5")
    return numbers


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="An Inepro PRO380-Mod on a pty: Modbus RTU, address 1, 9600 8E1.")
    parser.add_argument("--amps", type=three_numbers, default=[0.0] * 3, metavar="L1,L2,L3", help="export negative")
    parser.add_argument("--volts", type=three_numbers, default=[230.0] * 3, metavar="L1,L2,L3")
    parser.add_argument("--hz", type=float, default=50.0)
    options = parser.parse_args()
    with MeterPeer() as peer:
        peer.set(amps=options.amps, volts=options.volts, hz=options.hz)
        print(peer.path, flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return 0


if __name__ == "__main__":
    sys.exit(main())
