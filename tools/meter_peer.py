"""A Modbus meter as a real peer: a pymodbus RTU server that answers as one of the models of meter_models on a pty.

Two ptys and a relay between them stand in for the RS-485 line: the server has the one, the firmware opens the other.
The relay takes the time the bytes would need on the line, can cut it, and carries nothing at another baud rate than the
meter's; a pty knows no parity.

Alone: `python tools/meter_peer.py --amps 5,-3,0.5` prints the path to open and serves until Ctrl-C.
"""

import argparse
import asyncio
import contextlib
import os
import struct
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable
from typing import Self

from meter_models import MODELS, Registers, Values
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

ADDRESS = 1
START_SECONDS = 5.0
CHUNK = 512
# Index of the output speed in what tcgetattr gives.
OSPEED = 5


class MeterPeer:
    """The meter on its line, in a thread of its own; a context manager.

    `source`, when given, is called for each request, from that thread, and returns {"volts", "amps", "watts", "hz"} or
    part of it; else the values are those of the last `set`. `paced` lets the line take its time. `model` is a key of
    meter_models.MODELS; without `baud` it has its factory's. OSError when there is no pty to be had, RuntimeError when
    the server does not start.
    """

    def __init__(
        self,
        source: Callable[[], dict] | None = None,
        *,
        paced: bool = True,
        model: str = "pro380",
        address: int = ADDRESS,
        baud: int | None = None,
    ):
        self.silent = False  # the line is cut while True
        self.garbage = False  # a bit of each answer is turned while True
        self.requests = 0
        self.path = ""
        self.model = MODELS[model]
        self.address = address
        self.baud = baud or self.model.baud
        self._bits = 10 if self.model.parity == "N" else 11
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

    def disturb(self, data: bytes) -> None:
        """Put bytes of somebody else on the line, to be heard by the firmware."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._files[0], data)

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
            SimData(start, values=[0] * (len(data) // 2), datatype=DataType.REGISTERS, readonly=True)
            for start, data in sorted(self._registers().items())
        ]
        server = ModbusSerialServer(
            SimDevice(self.address, simdata=blocks, action=self._answer),
            framer=FramerType.RTU,
            port=server_path,
            baudrate=self.baud,
            # A pty knows no parity bit, and refuses to be asked for one; the relay counts its time.
            parity="N",
            ignore_missing_devices=True,
        )
        if not await server.listen():
            raise RuntimeError(f"pymodbus cannot open {server_path}")
        relays = [
            asyncio.create_task(self._relay(firmware_side, server_side, firmware_side)),
            asyncio.create_task(self._relay(server_side, firmware_side, firmware_side)),
        ]
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            for relay in relays:
                relay.cancel()
            await asyncio.gather(*relays, return_exceptions=True)
            await server.shutdown()

    def _same_speed(self, firmware_side: int) -> bool:
        """Whether the firmware has set the meter's baud rate; what comes at another one is noise to both."""
        return termios.tcgetattr(firmware_side)[OSPEED] == getattr(termios, f"B{self.baud}")

    async def _relay(self, source: int, sink: int, firmware_side: int) -> None:
        """Carry bytes one way, each chunk after the time that it needs on the line."""
        while True:
            await self._readable(source)
            data = os.read(source, CHUNK)
            if self._paced:
                await asyncio.sleep(len(data) * self._bits / self.baud)
            if self.silent or not self._same_speed(firmware_side):
                continue
            if source == firmware_side and data[0] != self.address:
                # pymodbus would refuse what is meant for another slave, where a meter keeps silent.
                continue
            if self.garbage and sink == firmware_side:
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
        for first, data in self._registers().items():
            words = struct.unpack(f">{len(data) // 2}H", data)
            registers[first - start : first - start + len(words)] = words

    def _registers(self) -> Registers:
        """All registers of now, {first: bytes}."""
        with self._lock:
            self._count()
            return self.model.registers(self._values) | self.model.identity(self.address, self.baud)


def three_numbers(text: str) -> list[float]:
    """Parse `a,b,c`."""
    numbers = [float(part) for part in text.split(",")]
    if len(numbers) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed: three numbers as in 5,-3,0.5")
    return numbers


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A Modbus RTU meter on a pty, with the line settings of its factory.")
    parser.add_argument("--model", choices=sorted(MODELS), default="pro380")
    parser.add_argument("--address", type=int, default=ADDRESS)
    parser.add_argument("--amps", type=three_numbers, default=[0.0] * 3, metavar="L1,L2,L3", help="export negative")
    parser.add_argument("--volts", type=three_numbers, default=[230.0] * 3, metavar="L1,L2,L3")
    parser.add_argument("--hz", type=float, default=50.0)
    options = parser.parse_args()
    with MeterPeer(model=options.model, address=options.address) as peer:
        peer.set(amps=options.amps, volts=options.volts, hz=options.hz)
        print(peer.path, flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return 0


if __name__ == "__main__":
    sys.exit(main())
