"""Writes a container into a slot, sector by sector as it comes; the header last, so that half of one is no firmware.

Where flash is encrypted, erased bytes read as anything, and only whole units of 16 bytes can be written. So a sector is
erased whenever it is written, and what is read is compared with what it should be, never with 0xFF.
"""

import asyncio
from binascii import crc32
from hashlib import sha256

from micropython import const

from loader.header import Refused, parse

# Read or compared at a time, about 1 ms of a chip's time.
_PIECE_BYTES = const(1024)


class Writer:
    """`offset` bytes have come, the first `stored` of them are on flash (those of the header in memory, as `head`).

    `crc` is the CRC-32 of these. `judge(header)` is a coroutine that raises Refused for a firmware that must not be
    installed; nothing is erased before. `size` is what the whole container has, None when only its header tells.
    """

    def __init__(self, slots, slot: int, size, judge):
        self._slots = slots
        self._slot = slot
        self._size = size
        self._judge = judge
        self._buf = bytearray(slots.SECTOR)
        self._piece = memoryview(bytearray(_PIECE_BYTES))
        self.offset = 0
        self.stored = 0
        self.crc = 0
        self.head = None
        self.header = None

    @property
    def complete(self) -> bool:
        """Whether all of it has come."""
        return self.header is not None and self.offset == self._size

    async def go_on(self, head: bytes, stored: int, crc: int) -> bool:
        """Take up a container of which the first `stored` bytes were written -> False when these are not there.

        Nothing has changed then. Something else may have been written over it since.
        """
        sector = self._slots.SECTOR
        if stored < sector or (stored % sector and stored != self._size) or stored > self._slots.SLOT_BYTES:
            return False
        found = crc32(head)
        for at in range(sector, stored, _PIECE_BYTES):
            found = crc32(self._read(at, stored), found)
            await asyncio.sleep_ms(0)
        if found != crc:
            return False
        await self._take_head(head)
        self.offset = self.stored = stored
        self.crc = crc
        return True

    async def write(self, data) -> None:
        """Take the next bytes; Refused when they cannot be right, OSError when flash refuses."""
        data = memoryview(data)
        sector = self._slots.SECTOR
        if self._size is not None and self.offset + len(data) > self._size:
            raise Refused("size", "more comes than the %d bytes of the container" % self._size)
        while data:
            start = self.offset % sector
            count = min(len(data), sector - start)
            self._buf[start : start + count] = data[:count]
            data = data[count:]
            self.offset += count
            if start + count == sector or self.offset == self._size:
                await self._sector((self.offset - 1) // sector, start + count)
                if self._size is not None and self.offset + len(data) > self._size:
                    raise Refused("size", "more comes than the %d bytes of the container" % self._size)

    async def _sector(self, number: int, count: int) -> None:
        """The sector in the buffer is complete, or the last one."""
        data = memoryview(self._buf)[:count]
        if number:
            await self._store(number, self._filled(count))
        elif count < self._slots.SECTOR:
            raise Refused("truncated", "the container ends within its header, after %d bytes" % count)
        else:
            await self._take_head(bytes(self._buf))
            # The header that is there goes first, since what it speaks of goes next.
            self._slots.erase(self._slot, 0)
            await asyncio.sleep_ms(0)
        self.crc = crc32(data, self.crc)
        self.stored = self.offset

    def _filled(self, count: int):
        """The first `count` bytes of the buffer, filled up to a whole unit of flash."""
        unit = self._slots.UNIT
        end = (count + unit - 1) // unit * unit
        self._buf[count:end] = b"\xff" * (end - count)
        return memoryview(self._buf)[:end]

    async def _take_head(self, head: bytes) -> None:
        header = parse(head)
        whole = self._slots.SECTOR + header.size
        await self._judge(header)
        if self._size is not None and self._size != whole:
            code = "truncated" if self._size < whole else "size"
            raise Refused(code, "the file has %d bytes; its header says %d" % (self._size, whole))
        self._size = whole
        self.header = header
        self.head = head

    async def _store(self, number: int, data) -> None:
        """Write the first bytes of a sector, unless they are there from before a cut."""
        if await self._has(number, data):
            return
        self._slots.erase(self._slot, number)
        await asyncio.sleep_ms(0)
        at = number * self._slots.SECTOR
        self._slots.write(self._slot, at, data)
        await asyncio.sleep_ms(0)
        if not await self._has(number, data):
            raise OSError("flash did not keep what was written at %d" % at)

    async def _has(self, number: int, data) -> bool:
        start = number * self._slots.SECTOR
        for done in range(0, len(data), _PIECE_BYTES):
            piece = self._read(start + done, start + len(data))
            if piece != data[done : done + len(piece)]:
                return False
            await asyncio.sleep_ms(0)
        return True

    def _read(self, at: int, end: int):
        """What lies at a place, up to `end` or as much as is read at a time."""
        piece = self._piece[: min(_PIECE_BYTES, end - at)]
        self._slots.read(self._slot, at, piece)
        return piece

    async def finish(self, whole=None) -> None:
        """Read all of it back and, when it is whole, write the header; Refused, and then the slot holds no firmware.

        `whole` is the SHA-256 that the container should have.
        """
        header = self.header
        if not self.complete:
            raise Refused("truncated", "the container ends after %d bytes" % self.offset)
        digest, both = sha256(), sha256(self.head)
        for at in range(self._slots.SECTOR, self._size, _PIECE_BYTES):
            piece = self._read(at, self._size)
            digest.update(piece)
            both.update(piece)
            await asyncio.sleep_ms(0)
        if whole is not None and both.digest() != whole:
            raise Refused("sha256", "what was received has another SHA-256 than was announced")
        if digest.digest() != header.sha256:
            raise Refused("damaged", "the firmware is damaged: its SHA-256 is not that of its header")
        await self._store(0, self.head)
