"""Modbus RTU master for asyncio: sends one request at a time and finds its answer in what the bus brings.

Of the umodbus package only the request builders and the checksum table are used. Its serial module is never
imported: it needs a port module and waits in a busy loop for up to half a second.
"""

import asyncio
from time import ticks_add, ticks_diff

from micropython import const
from umodbus import functions
from umodbus.const import CRC16_TABLE

# Frames: Modbus over Serial Line V1.02, section 2.5.1; exception answers: Application Protocol V1.1b3, 7.
_READ_HOLDING = const(3)
_EXCEPTION = const(0x80)
_REQUEST_BYTES = const(8)
_EXCEPTION_BYTES = const(5)
_OVERHEAD_BYTES = const(5)
_LONGEST_FRAME = const(256)
# Room for one frame behind a burst of noise; more noise pushes out the oldest bytes.
_BUFFER_BYTES = const(320)

# Silence between two frames is 3.5 characters, and 1.75 ms above 19200 baud (section 2.5.1.1). Meters want
# a little more before they listen again: 5 ms covers it at every speed up from 9600 baud.
_GAP_HALF_CHARACTERS = const(7)
_GAP_MIN_MS = const(5)
# After a failure the answer may still be on its way, and RTU answers carry no number that tells them apart:
# silence this long means that the slave has given up (100 ms is the least turnaround of section 2.4.1).
_SETTLE_MS = const(100)

# Start, eight data bits, stop; one more bit when there is a parity bit.
_BITS = const(10)


class RtuError(Exception):
    """The bus brought something that is no valid answer; `code` is the slave's exception code, else 0."""

    def __init__(self, text: str, code: int = 0):
        super().__init__(text)
        self.code = code


class RtuTimeout(RtuError):
    """Nothing at all came in time."""


def crc16(data, count: int) -> int:
    """Checksum of the first `count` bytes; 0 over a whole frame that carries its own checksum."""
    table = CRC16_TABLE
    crc = 0xFFFF
    for index in range(count):
        crc = (crc >> 8) ^ table[(crc ^ data[index]) & 0xFF]
    return crc


class RtuMaster:
    """The one master on an RS-485 bus; `rs485` is the board's `hal.rs485.Rs485`."""

    def __init__(self, rs485, clock):
        self._rs485 = rs485
        self._ticks_ms = clock.ticks_ms
        self._request = bytearray(_REQUEST_BYTES)
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        # A request is under way; whoever else wants the bus waits until it is not.
        self.busy = False
        self._clean = False
        self._last = self._ticks_ms()
        self._character_us = 0
        self._gap_ms = _GAP_MIN_MS

    def configure(self, baud: int, parity: str) -> None:
        """Set the line: `baud` in bit/s, `parity` "N", "E" or "O"; always 8 data bits and 1 stop bit."""
        bits = _BITS if parity == "N" else _BITS + 1
        self._character_us = -(-bits * 1_000_000 // baud)
        self._gap_ms = max(_GAP_MIN_MS, -(-self._character_us * _GAP_HALF_CHARACTERS // 2000))
        self._clean = False
        self._rs485.configure(baud, parity, 1)

    async def read_holding(self, address: int, start: int, count: int, timeout_ms: int):
        """Read `count` (1..125) registers from wire address `start` of slave `address` (1..247).

        `timeout_ms` is the slave's time to think; the time both frames need on the line comes on top.
        Returns a memoryview of 2 * count bytes, valid until the next call. Raises RtuTimeout when nothing
        came, RtuError for anything else that is no valid answer, OSError when the port itself fails.
        """
        if self.busy:
            raise RtuError("the bus is in use by another request")
        self.busy = True
        try:
            return await self._exchange(address, start, count, timeout_ms)
        finally:
            self._last = self._ticks_ms()
            self.busy = False

    async def _exchange(self, address, start, count, timeout_ms):
        request = self._request
        request[0] = address
        request[1:6] = functions.read_holding_registers(start, count)
        crc = crc16(request, 6)
        request[6] = crc & 0xFF
        request[7] = crc >> 8
        await self._wait_for_silence()
        self._clean = False
        self._rs485.write(request)
        line_ms = (_REQUEST_BYTES + _OVERHEAD_BYTES + 2 * count) * self._character_us // 1000
        return await self._answer(address, 2 * count, timeout_ms + line_ms)

    async def _wait_for_silence(self):
        """Keep the gap between frames; after a failure first let late and broken answers run out."""
        if self._clean:
            passed = ticks_diff(self._ticks_ms(), self._last)
            if 0 <= passed < self._gap_ms:
                await asyncio.sleep_ms(self._gap_ms - passed)
        else:
            wait_ms = max(self._gap_ms, _SETTLE_MS)
            give_up = ticks_add(self._ticks_ms(), _LONGEST_FRAME * self._character_us // 1000 + wait_ms)
            while await self._rs485.read(self._view, wait_ms):
                if ticks_diff(give_up, self._ticks_ms()) <= 0:
                    raise RtuError("the bus is never silent")
        self._rs485.discard()

    async def _answer(self, address, data_bytes, wait_ms):
        deadline = ticks_add(self._ticks_ms(), wait_ms)
        wanted = bytes((address, _READ_HOLDING, data_bytes))
        refused = bytes((address, _READ_HOLDING | _EXCEPTION))
        filled = 0
        came = 0
        left = wait_ms
        while left > 0:
            got = await self._rs485.read(self._view[filled:], left)
            filled += got
            came += got
            at = self._find(wanted, _OVERHEAD_BYTES + data_bytes, filled)
            if at >= 0:
                self._clean = True
                return self._view[at + 3 : at + 3 + data_bytes]
            at = self._find(refused, _EXCEPTION_BYTES, filled)
            if at >= 0:
                self._clean = True
                code = self._buffer[at + 2]
                raise RtuError("exception %d from address %d" % (code, address), code)
            if filled == _BUFFER_BYTES:
                filled = _LONGEST_FRAME
                self._buffer[:filled] = self._buffer[_BUFFER_BYTES - filled :]
            left = ticks_diff(deadline, self._ticks_ms())
        if came:
            raise RtuError("%d bytes came, but no whole answer from address %d" % (came, address))
        raise RtuTimeout("no answer from address %d" % address)

    def _find(self, opening, length, filled):
        """Where a whole frame with a right checksum starts that opens with `opening`, or -1.

        Searching, not counting, is what skips noise before the frame, an echo of the request, the second
        half of a doubled answer and the answers of other slaves.
        """
        buffer = self._buffer
        at = buffer.find(opening, 0, filled)
        while 0 <= at <= filled - length:
            if crc16(self._view[at:], length) == 0:
                return at
            at = buffer.find(opening, at + 1, filled)
        return -1
