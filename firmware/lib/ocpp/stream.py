"""A connection whose every wait and every buffer has a bound, and what HTTP's header looks like on it."""

import asyncio
from time import ticks_ms as _ticks_ms

from micropython import const

from ocpp.together import Alarm

# Takes a frame's header or most of an HTTP line at once, and costs little beside the connection's own buffers.
_BUFFER_BYTES = const(512)
# A proxy's error page may bring long lines; what is longer is an attack or no HTTP.
_LINE_BYTES = const(1024)
_HEADER_LINES = const(64)
# All of them are kept until the last has come.
_HEADER_BYTES = const(8192)
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

    async def line(self) -> str:
        """One line without its end; ValueError when it is longer than 1,024 bytes or not printable ASCII."""
        line = b""
        while True:
            if not await self.fill():
                raise EOFError
            end = self._buffer.find(b"\n", self._start, self._end)
            stop = self._end if end < 0 else end
            line += self._view[self._start : stop]
            if len(line) > _LINE_BYTES:
                raise ValueError("a line of more than %d bytes" % _LINE_BYTES)
            if end >= 0:
                self._start = end + 1
                return _ascii(line)
            self._start = stop

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


def _ascii(line: bytes) -> str:
    text = line.decode()
    if len(text) != len(line):
        raise ValueError("a line that is not ASCII")
    if text[-1:] == "\r":
        text = text[:-1]
    # Parts of it may be logged; a terminal that shows the log must not obey them.
    if any((char < " " and char != "\t") or char == "\x7f" for char in text):
        raise ValueError("a line with a control character")
    return text


async def response(pipe: Pipe) -> tuple:
    """(status, headers by lower-case name) of an HTTP response; ValueError when it is none (RFC 9112, 4 and 5)."""
    line = await pipe.line()
    parts = line.split(" ", 2)
    if len(parts) < 2 or parts[0][:7] != "HTTP/1." or len(parts[1]) != 3 or not parts[1].isdigit():
        raise ValueError("'%s' is no answer of HTTP/1.1" % line[:40])
    headers = {}
    room = _HEADER_BYTES
    for _ in range(_HEADER_LINES):
        line = await pipe.line()
        room -= len(line)
        if room < 0:
            raise ValueError("headers of more than %d bytes" % _HEADER_BYTES)
        if not line:
            return int(parts[1]), headers
        name, found, value = line.partition(":")
        name = name.lower()
        if not found or not name or name != name.strip():
            raise ValueError("'%s' is no header" % line[:40])
        value = value.strip()
        headers[name] = headers[name] + ", " + value if name in headers else value
    raise ValueError("more than %d headers" % _HEADER_LINES)


async def within(coroutine, timeout_s: int):
    """Wait for `coroutine`; after `timeout_s` it is cancelled and OSError(ETIMEDOUT) raised."""
    try:
        return await asyncio.wait_for(coroutine, timeout_s)
    except asyncio.TimeoutError:
        raise OSError(_ETIMEDOUT, "no answer within %d s" % timeout_s)


async def trusting(attempt, ssl):
    """`await attempt()`, a second time when `ssl` (a `tls.Tls`) asks for it: see `tls.Tls.judge`."""
    if not hasattr(ssl, "judge"):
        return await attempt()
    try:
        return await attempt()
    except (OSError, ValueError) as error:
        if not ssl.judge(error):
            raise
    try:
        return await attempt()
    except (OSError, ValueError) as error:
        ssl.judge(error)
        raise
