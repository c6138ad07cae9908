"""A connection whose every wait and every buffer has a bound; `http` has what is needed before it is used."""

import asyncio
from time import ticks_ms as _ticks_ms

from micropython import const

from ocpp.together import Alarm

# Takes a frame's header or most of an HTTP line at once, and costs little beside the connection's own buffers.
_BUFFER_BYTES = const(512)
_ETIMEDOUT = const(110)


class Pipe:
    """A stream pair as `asyncio.open_connection` gives it.

    What waits raises OSError: ETIMEDOUT after `timeout_s`, or what the connection failed with. Where more bytes are
    needed than come, EOFError. `last_heard_ms` is the tick of the last byte that came in.
    """

    def __init__(self, streams, timeout_s: int, ticks_ms=_ticks_ms, buffer_bytes: int = _BUFFER_BYTES):
        self._reader, self._writer = streams
        self._timeout_s = timeout_s
        self._ticks_ms = ticks_ms
        self._buffer = bytearray(buffer_bytes)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0
        self.closed = False
        self.torn = False
        self.last_heard_ms = ticks_ms()

    async def _read(self, view) -> int:
        """Read what there is, at least one byte unless the peer has ended: then 0."""
        while True:
            count = await self._reader.readinto(view)
            # None: TLS has taken bytes in, but no whole record yet.
            if count is not None:
                break
        if count:
            self.last_heard_ms = self._ticks_ms()
        return count

    async def fill(self) -> bool:
        """Have bytes in the buffer, more only if it is empty; False when the peer has ended."""
        if self._start < self._end:
            return True
        self._start = 0
        self._end = 0
        self._end = await self._read(self._view)
        return self._end > 0

    async def some(self, most: int):
        """Up to `most` bytes, at least one, empty when the peer has ended; valid until the next read only."""
        if not await self.fill():
            return self._view[:0]
        start = self._start
        self._start = min(self._end, start + most)
        return self._view[start : self._start]

    async def into(self, view) -> None:
        """Fill `view` (a memoryview) wholly."""
        done = 0
        while done < len(view):
            if self._start < self._end or len(view) - done < len(self._buffer):
                part = await self.some(len(view) - done)
                count = len(part)
                view[done : done + count] = part
            else:
                count = await self._read(view[done:])
            if not count:
                raise EOFError
            done += count

    async def exactly(self, count: int) -> bytes:
        """`count` bytes; for few only."""
        data = bytearray(count)
        await self.into(memoryview(data))
        return bytes(data)

    async def skip(self, count: int) -> None:
        """Read `count` bytes and forget them."""
        while count:
            part = len(await self.some(count))
            if not part:
                raise EOFError
            count -= part

    async def write(self, data) -> None:
        """Send all of `data`; when that fails or is cancelled nobody knows what arrived: `torn` is then True."""
        self.torn = True
        self._writer.write(data)
        # MicroPython's stream keeps what the connection did not take at once; mostly that is nothing.
        if getattr(self._writer, "out_buf", True):
            await self._drained()
        else:
            await self._writer.drain()
        self.torn = False

    async def _drained(self) -> None:
        """Wait until all is sent, and close when that takes too long or is cancelled.

        A task that waits for a stream must not be cancelled: MicroPython's asyncio then forgets the other task that
        waits for the same stream, and whoever reads would wait for ever. Closing wakes both.
        """
        done = Alarm()
        outcomes = []

        async def drain():
            try:
                await self._writer.drain()
                outcomes.append(None)
            except (OSError, ValueError) as error:
                outcomes.append(error)
            done.set()

        asyncio.create_task(drain())
        try:
            await done.rest(self._timeout_s * 1000)
        finally:
            if not outcomes:
                await self.close()
        outcome = outcomes[0] if outcomes else OSError(_ETIMEDOUT, "the other side takes nothing")
        if outcome is not None:
            raise outcome

    async def close(self) -> None:
        """Close the connection at once; whoever waits for bytes is woken."""
        if self.closed:
            return
        self.closed = True
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            # It is gone, which is what was wanted; TLS may still have wished to say good-bye.
            return
