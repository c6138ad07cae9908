"""RS-485 port of the simulated board: the plant's own meter, or a real peer on a pty."""

import asyncio
import termios
import time

from micropython import const

from plant import board

# Indices in what termios.tcgetattr() gives, and in its list of control characters (termios.h of Linux).
_CC = const(6)
_VTIME = const(5)
_VMIN = const(6)
_SPEEDS = (4, 5)
# Baud rates as the kernel numbers them (asm-generic/termbits.h).
_BAUD = {
    300: 7,
    600: 8,
    1200: 9,
    2400: 11,
    4800: 12,
    9600: 13,
    19200: 14,
    38400: 15,
    57600: 0x1001,
    115200: 0x1002,
}
_SCRATCH_BYTES = const(64)
_WRONG_BIT = const(0x10)


class _MeterLine:
    """The plant's meter on the line; all times are the plant's, so virtual time jumps from frame to frame.

    The meter's side: `master_line(baud, parity, stop_bits)`, `feed(bytes)` with the time of the first bit,
    `due_ms()` -> when the next bytes of an answer are there in full, or None, and `take(buf)` -> count of
    the bytes there by now that it put into `buf`; None as buffer drops them.
    """

    def __init__(self, plant):
        self._plant = plant
        self._meter = plant.meter

    def configure(self, baud: int, parity: str, stop_bits: int) -> None:
        self._meter.master_line(baud, parity, stop_bits)

    def write(self, buf) -> None:
        self._plant.sync()
        self._meter.feed(bytes(buf))

    def discard(self) -> None:
        self._plant.sync()
        self._meter.take(None)

    async def read(self, buf, timeout_ms: int) -> int:
        plant = self._plant
        plant.sync()
        deadline = plant.now_ms + timeout_ms
        while True:
            count = self._meter.take(buf)
            if count or plant.now_ms >= deadline:
                return count
            due = self._meter.due_ms()
            wake = deadline if due is None or due > deadline else due
            await asyncio.sleep_ms(wake - plant.now_ms)
            plant.sync()


class _PtyLine:
    """A pty, which knows the baud rate but no parity; the plant's meter faults cut or disturb it."""

    def __init__(self, path: str, plant):
        self._faults = plant.faults
        self._port = open(path, "r+b")  # noqa: SIM115 as long as the board
        number = self._port.fileno()
        termios.setraw(number)
        settings = termios.tcgetattr(number)
        # A read gives what is there, at once: the loop waits for input before.
        settings[_CC][_VMIN] = 0
        settings[_CC][_VTIME] = 0
        termios.tcsetattr(number, termios.TCSANOW, settings)
        self._stream = asyncio.StreamReader(self._port)
        self._scratch = bytearray(_SCRATCH_BYTES)

    def configure(self, baud: int, parity: str, stop_bits: int) -> None:
        number = self._port.fileno()
        settings = termios.tcgetattr(number)
        for index in _SPEEDS:
            settings[index] = _BAUD[baud]
        termios.tcsetattr(number, termios.TCSANOW, settings)

    def write(self, buf) -> None:
        # What the meter does not hear it does not answer.
        if "meter_silent" not in self._faults:
            self._port.write(buf)

    def discard(self) -> None:
        while self._port.readinto(self._scratch):
            continue

    async def read(self, buf, timeout_ms: int) -> int:
        begin = time.ticks_ms()
        try:
            count = await asyncio.wait_for_ms(self._stream.readinto(buf), timeout_ms)
        except asyncio.TimeoutError:
            return 0
        if not count:
            # The peer hung up: input is reported for ever without a byte.
            passed = time.ticks_diff(time.ticks_ms(), begin)
            await asyncio.sleep_ms(max(0, timeout_ms - passed))
        elif "meter_garbage" in self._faults:
            buf[count - 1] ^= _WRONG_BIT
        return count or 0


class Rs485:
    """Half-duplex port. One reader at a time."""

    def __init__(self):
        path = board.rs485_path
        self._line = _PtyLine(path, board.plant) if path else _MeterLine(board.plant)

    def configure(self, baud: int, parity: str, stop_bits: int) -> None:
        """Set the line: baud in bit/s, parity "N", "E" or "O", stop bits 1 or 2; ValueError for others."""
        if parity not in ("N", "E", "O"):
            raise ValueError("parity: %r is not allowed; allowed: N, E, O" % parity)
        if stop_bits not in (1, 2):
            raise ValueError("stop_bits: %r is not allowed; allowed: 1, 2" % stop_bits)
        self._line.configure(baud, parity, stop_bits)

    def write(self, buf) -> None:
        """Send bytes; OSError when the port fails."""
        self._line.write(buf)

    async def read(self, buf, timeout_ms: int) -> int:
        """Wait for bytes, fill `buf` from its start -> their count as soon as one is there, 0 on time-out."""
        return await self._line.read(buf, timeout_ms)

    def discard(self) -> None:
        """Drop what waits."""
        self._line.discard()
