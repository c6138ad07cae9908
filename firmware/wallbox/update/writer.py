"""Writes a container into a slot, sector by sector as it comes; the header last, so that half of one is no firmware."""

import asyncio
from hashlib import sha256

from micropython import const

from loader.header import Refused, parse

# Read or compared at a time, about 1 ms of a chip's time.
_PIECE_BYTES = const(1024)


class Writer:
    """`offset` bytes have come, the first `stored` of them are on flash (those of the header in memory, as `head`).

    `judge(header)` is a coroutine that raises Refused for a firmware that must not be installed; nothing is erased
    before. `size` is what the whole container has, None when only its header tells.
    """

    def __init__(self, slots, slot: int, size, judge):
        self._slots = slots
        self._slot = slot
        self._size = size
        self._judge = judge
        self._buf = bytearray(slots.SECTOR)
        self._piece = memoryview(bytearray(_PIECE_BYTES))
        self._blank = b"\xff" * _PIECE_BYTES
        self.offset = 0
        self.stored = 0
        self.head = None
        self.header = None

    async def go_on(self, head: bytes, offset=None) -> None:
        """Take the header of a container of which a part is in the slot; `offset`: how much, None: what is found."""
        await self._take_head(head)
        sector = self._slots.SECTOR
        if offset is None:
            offset = sector
            while offset + sector < self._size and not await self._is_blank(offset + sector):
                # The last one there is may be half of one.
                offset += sector
        self.offset = self.stored = offset

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
        if number:
            await self._store(number * self._slots.SECTOR, memoryview(self._buf)[:count])
        elif count < self._slots.SECTOR:
            raise Refused("truncated", "the container ends within its header, after %d bytes" % count)
        else:
            await self._take_head(bytes(self._buf))
            await self._erase()
        self.stored = self.offset

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

    async def _erase(self) -> None:
        """Make room: the header that is there goes first, since what it speaks of goes next."""
        sector = self._slots.SECTOR
        for number in range((self._size + sector - 1) // sector):
            if not await self._is_blank(number * sector):
                self._slots.erase(self._slot, number)
            await asyncio.sleep_ms(0)

    async def _store(self, at: int, data) -> None:
        """Write within a sector that is blank, or has some of it from before a cut."""
        if await self._has(at, data):
            return
        if not await self._is_blank(at):
            self._slots.erase(self._slot, at // self._slots.SECTOR)
            await asyncio.sleep_ms(0)
        self._slots.write(self._slot, at, data)
        await asyncio.sleep_ms(0)
        if not await self._has(at, data):
            raise OSError("flash did not keep what was written at %d" % at)

    async def _has(self, at: int, data) -> bool:
        return await self._compare(at, data, len(data))

    async def _is_blank(self, at: int) -> bool:
        return await self._compare(at, None, self._slots.SECTOR)

    async def _compare(self, at: int, data, count: int) -> bool:
        for done in range(0, count, _PIECE_BYTES):
            piece = self._piece[: min(_PIECE_BYTES, count - done)]
            self._slots.read(self._slot, at + done, piece)
            if piece != (self._blank[: len(piece)] if data is None else data[done : done + len(piece)]):
                return False
            await asyncio.sleep_ms(0)
        return True

    async def finish(self, whole=None) -> None:
        """Read all of it back and, when it is whole, write the header; Refused, and then the slot holds no firmware.

        `whole` is the SHA-256 that the container should have.
        """
        header = self.header
        if header is None or self.offset < self._size:
            raise Refused("truncated", "the container ends after %d bytes" % self.offset)
        digest, both = sha256(), sha256(self.head)
        for done in range(0, header.size, _PIECE_BYTES):
            piece = self._piece[: min(_PIECE_BYTES, header.size - done)]
            self._slots.read(self._slot, self._slots.SECTOR + done, piece)
            digest.update(piece)
            both.update(piece)
            await asyncio.sleep_ms(0)
        if whole is not None and both.digest() != whole:
            raise Refused("sha256", "what was received has another SHA-256 than was announced")
        if digest.digest() != header.sha256:
            raise Refused("damaged", "the firmware is damaged: its SHA-256 is not that of its header")
        await self._store(0, self.head)
