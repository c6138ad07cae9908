"""The client's side of a WebSocket (RFC 6455) for text messages; it knows nothing of what they mean."""

import asyncio
from os import urandom
from time import ticks_ms as _ticks_ms

from micropython import const

from ocpp.errors import OcppError
from ocpp.rare import borrow
from ocpp.stream import Pipe

NORMAL = const(1000)
GOING_AWAY = const(1001)
PROTOCOL_ERROR = const(1002)
NO_CODE = const(1005)
ABNORMAL = const(1006)
BAD_TEXT = const(1007)
TOO_BIG = const(1009)

_CONTINUATION = const(0)
_TEXT = const(1)
_BINARY = const(2)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)
_FIN = const(0x80)
_RESERVED = const(0x70)
_MASK = const(0x80)
# RFC 6455, 5.5: a control frame carries no more.
_CONTROL_BYTES = const(125)
# A message is masked and written in pieces: no second copy of it in memory, and each takes well below 1 ms.
_PIECE_BYTES = const(1024)
# What is too long is read and dropped up to here, some minutes at the rate of a poor radio link; beyond, the peer
# does not mean it, and the link is closed.
DROPPED_BYTES = const(8 * 1024 * 1024)
_HEAD_BYTES = const(200)


class HandshakeError(OcppError):
    """The server does not open a WebSocket; `status` is that of HTTP, 0 when there is none."""

    def __init__(self, text: str, status: int = 0):
        super().__init__(text)
        self.status = status


class Closed(OcppError):
    """The connection has ended; `code` as in RFC 6455, 7.4: 1006 when it was cut."""

    def __init__(self, code: int, reason: str = ""):
        super().__init__("the WebSocket was closed with %d %s" % (code, reason))
        self.code = code
        self.reason = reason


class TooLong(OcppError):
    """A message was longer than allowed and has been dropped; `head` is its beginning, the connection goes on."""

    def __init__(self, size: int, head: str):
        super().__init__("a message of %d bytes was dropped" % size)
        self.size = size
        self.head = head


class Breach(Exception):
    """The peer has broken the protocol; (close code, text)."""


async def connect(
    open_connection,
    url: str,
    *,
    protocols=("ocpp1.6",),
    headers=(),
    ssl=None,
    max_bytes: int = 16384,
    timeout_s: int = 30,
    ticks_ms=_ticks_ms,
):
    """Open a WebSocket -> WebSocket, whose `protocol` is the one of `protocols` that the server has chosen.

    `open_connection(host, port, ssl)` gives (reader, writer) as `asyncio.open_connection` does; `headers` are
    (name, value); `ssl` a `tls.Tls` or an SSLContext, needed for wss. Messages of more than `max_bytes` are dropped.
    `timeout_s` bounds all of this, and later each write. UrlError; OSError when there is no connection; TlsError when
    its certificates are no good; HandshakeError when the server answers anything else than RFC 6455, 4.1 asks for.
    """
    # Loaded for each connection: a link holds for hours.
    return await borrow("handshake").connect(
        open_connection, url, protocols, headers, ssl, max_bytes, timeout_s, ticks_ms
    )


class WebSocket:
    """An open WebSocket. One task may receive; any number may send, each message whole.

    `code` is None while it is open, then the code it was closed with.
    """

    def __init__(self, pipe: Pipe, protocol: str, max_bytes: int):
        self._pipe = pipe
        self._max_bytes = max_bytes
        self._lock = asyncio.Lock()
        # An Event while somebody waits for the end.
        self._ended = None
        self._receiving = False
        self._close_sent = False
        # The message whose frames are coming in: its bytes so far or, once it is too long, its head; its size.
        self._message = bytearray()
        self._size = 0
        self._amid = False
        self._dropping = False
        self.protocol = protocol
        self.code = None
        self.reason = ""

    @property
    def last_heard_ms(self) -> int:
        """Tick of the last byte that came from the peer."""
        return self._pipe.last_heard_ms

    # -- sending -------------------------------------------------------------------------------------

    async def send(self, text) -> None:
        """Send one text message (str, or UTF-8 as bytes); Closed when the connection has ended or ends by it."""
        await self._send(_TEXT, _encoded(text) if isinstance(text, str) else text)

    async def ping(self, data: bytes = b"") -> None:
        """Send a ping of up to 125 bytes; `last_heard_ms` moves when the pong comes."""
        await self._send(_PING, data)

    async def _send(self, opcode: int, data) -> None:
        async with self._lock:
            if self.code is not None or self._close_sent:
                raise Closed(ABNORMAL if self.code is None else self.code, self.reason)
            if opcode == _CLOSE:
                self._close_sent = True
            try:
                await self._write(opcode, data)
            except OSError as error:
                await self._end(ABNORMAL, str(error))
                raise Closed(ABNORMAL, self.reason)
            finally:
                if self._pipe.torn and self.code is None:
                    # Given up amid a frame: whatever followed would be taken for the rest of it.
                    await self._end(ABNORMAL, "sending was given up")

    async def _write(self, opcode: int, data) -> None:
        size = len(data)
        head = bytes((_FIN | opcode,))
        if size < 126:
            head += bytes((_MASK | size,))
        elif size < 0x10000:
            head += bytes((_MASK | 126,)) + size.to_bytes(2, "big")
        else:
            head += bytes((_MASK | 127,)) + size.to_bytes(8, "big")
        mask = urandom(4)
        view = memoryview(data)
        head += mask + _masked(view[:_PIECE_BYTES], mask)
        await self._pipe.write(head)
        for start in range(_PIECE_BYTES, size, _PIECE_BYTES):
            # For lack of room in the heap, too, a frame may end here.
            self._pipe.torn = True
            await self._pipe.write(_masked(view[start : start + _PIECE_BYTES], mask))

    # -- receiving -----------------------------------------------------------------------------------

    async def recv(self) -> str:
        """`recv_utf8` as text."""
        return str(await self.recv_utf8(), "utf-8")

    async def recv_utf8(self) -> bytearray:
        """Wait for the next message -> its text as UTF-8; pings are answered meanwhile, binary counts as text.

        TooLong for one that was dropped: the connection goes on. Closed when the connection has ended; when the peer
        breaks the protocol it is closed with 1002, 1007 or 1009.
        """
        if self.code is not None:
            raise Closed(self.code, self.reason)
        self._receiving = True
        try:
            while True:
                if await self._frame():
                    return self._complete()
        except EOFError:
            await self._end(ABNORMAL, "the other side went away")
        except OSError as error:
            await self._end(ABNORMAL, str(error))
        except Breach as breach:
            await borrow("closing").reject(self, *breach.args)
        finally:
            self._receiving = False
        raise Closed(NO_CODE if self.code is None else self.code, self.reason)

    async def _frame(self) -> bool:
        """Read one frame -> whether it completes a message."""
        # The buffer may hold hundreds, and none of them waits for the network.
        await asyncio.sleep_ms(0)
        # Most of the time it is this that is waited for: with less on the heap than within `exactly`.
        if not await self._pipe.fill():
            raise EOFError
        first, second = await self._pipe.exactly(2)
        opcode = first & 0x0F
        if first & _RESERVED:
            raise Breach(PROTOCOL_ERROR, "reserved bits")
        if second & _MASK:
            raise Breach(PROTOCOL_ERROR, "masked frame")
        if opcode & 8:
            await self._control(first, second)
            return False
        if opcode > _BINARY or (opcode == _CONTINUATION) != self._amid:
            raise Breach(PROTOCOL_ERROR, "frame of kind %d" % opcode)
        length = second
        if length > 125:
            length = int.from_bytes(await self._pipe.exactly(2 if length == 126 else 8), "big")
        if not self._amid:
            self._amid = True
            self._message = bytearray()
            self._size = 0
            self._dropping = False
        await self._take(length)
        return first & _FIN != 0

    async def _take(self, length: int) -> None:
        """Read the payload of a data frame into the message, or drop it when that gets too long."""
        self._size += length
        if self._size > DROPPED_BYTES:
            raise Breach(TOO_BIG, "message too long")
        if not self._dropping and self._size <= self._max_bytes:
            part = self._room(length)
            if part is not None:
                await self._pipe.into(memoryview(part))
                # Mostly the message is one frame: no copy.
                self._message = part if len(part) == self._size else self._message + part
                return
        if not self._dropping:
            self._dropping = True
            self._message = bytearray(self._message[:_HEAD_BYTES])
        wanted = min(length, _HEAD_BYTES - len(self._message))
        self._message += await self._pipe.exactly(wanted)
        await self._pipe.skip(length - wanted)

    @staticmethod
    def _room(length: int):
        """A buffer of so many bytes, None when the heap has none left."""
        try:
            return bytearray(length)
        except MemoryError:
            return None

    def _complete(self) -> bytearray:
        data = self._message
        self._message = bytearray()
        self._amid = False
        if self._dropping:
            raise TooLong(self._size, "".join(chr(b) if 0x20 <= b < 0x7F else "?" for b in data))
        utf8(data)
        return data

    async def _control(self, first: int, length: int) -> None:
        opcode = first & 0x0F
        if not first & _FIN or length > _CONTROL_BYTES or opcode > _PONG:
            raise Breach(PROTOCOL_ERROR, "control frame of kind %d" % opcode)
        data = await self._pipe.exactly(length)
        if opcode == _PING:
            # A pong after our own Close is neither needed nor allowed (RFC 6455, 5.5.1).
            if not self._close_sent:
                await self._send(_PONG, data)
        elif opcode == _CLOSE:
            await borrow("closing").closed_by_peer(self, data)

    # -- closing -------------------------------------------------------------------------------------

    async def close(self, code: int = NORMAL) -> None:
        """Close in order: takes up to a second to tell the peer, and one for its answer; never raises."""
        if self.code is not None:
            return
        try:
            await borrow("closing").close(self, code)
        except MemoryError:
            # No room for a good-bye: the connection is cut.
            return
        finally:
            await self._end(code, "")

    async def _end(self, code: int, reason: str) -> None:
        if self.code is None:
            self.code = code
            self.reason = reason
        self._message = bytearray()
        if self._ended is not None:
            self._ended.set()
        await self._pipe.close()


def _masked(data, mask: bytes) -> bytes:
    """`data` masked (RFC 6455, 5.3): as one long integer, since a loop in Python would hold up all other tasks."""
    size = len(data)
    key = (mask * ((size + 3) // 4))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def _encoded(text: str) -> bytes:
    """`text` as UTF-8.

    MicroPython's json makes two surrogates of an escaped character beyond U+FFFF. Sent back so, as a part of an
    idTag for instance, they would end the connection each time: they are joined, and one alone becomes U+FFFD.
    """
    data = text.encode()
    if len(data) == len(text) or _is_shortest(data):
        return data
    return borrow("escapes").mended(text)


def utf8(data) -> str:
    """`data` as text; Breach 1007 when it is no UTF-8."""
    try:
        text = str(data, "utf-8")
    except UnicodeError:
        raise Breach(BAD_TEXT, "no UTF-8")
    if len(text) != len(data) and not _is_shortest(data):
        raise Breach(BAD_TEXT, "no UTF-8")
    return text


def _is_shortest(data) -> bool:
    """Whether UTF-8 is free of what MicroPython lets through: long forms, surrogates, beyond U+10FFFF (RFC 3629, 4)."""
    # Lead byte, lowest and highest second byte that may follow.
    for lead, low, high in ((0xE0, 0xA0, 0xBF), (0xED, 0x80, 0x9F), (0xF0, 0x90, 0xBF), (0xF4, 0x80, 0x8F)):
        at = data.find(bytes((lead,)))
        while at >= 0:
            if not low <= data[at + 1] <= high:
                return False
            at = data.find(bytes((lead,)), at + 1)
    return all(data.find(bytes((lead,))) < 0 for lead in (0xC0, 0xC1, 0xF5, 0xF6, 0xF7))
