"""The socket between the simulated board's radio and whoever plays the radio; one central at a time uses it.

A packet is 1 byte type, 2 bytes length (little endian), payload. It knows neither Bluetooth nor WebSocket.
"""

import asyncio
import json
import struct
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

HEADER = struct.Struct("<BH")
MAX_PAYLOAD = 0xFFFF
READ_BYTES = 64 * 1024
# The firmware listens again a moment after it was restarted.
RETRY_S = 0.05
# How long the firmware may take to say whether a pairing is allowed: its loop may be at a collection of the heap.
ANSWER_S = 5.0


class LinkBusy(Exception):
    """Another central is connected; the text says so."""


class BoxGone(ConnectionError):
    """The firmware is not there, or the connection to it broke."""


@dataclass(frozen=True)
class Profile:
    """What the box wants to be seen as; `info` is its public characteristic."""

    name: str
    passkey: str
    info: bytes


@dataclass(frozen=True)
class Permission:
    """Whether the box allows a pairing now; `text` says why not."""

    allow: bool
    text: str


class Central:
    """One central's connection with the box, from BoxLink.connect() to close().

    `on_frame` gets each frame for the central and must call sent() once the frame has gone out. `on_end` is called once
    when the box ends the connection or is gone. Both run in the event loop and may not block.
    """

    def __init__(self, link: "BoxLink", on_frame: Callable[[bytes], None], on_end: Callable[[str], None]):
        self._link = link
        self.on_frame = on_frame
        self.on_end = on_end

    @property
    def open(self) -> bool:
        """Whether the box still has this central."""
        return self._link.central is self

    def mtu(self, mtu: int) -> None:
        """Tell the box the MTU that was agreed upon."""
        self._tell("M", {"mtu": mtu})

    def secure(self, secure: bool) -> None:
        """Tell the box that the link is encrypted with a key proven by passkey, or is no more."""
        self._tell("S", {"secure": secure})

    async def may_pair(self) -> Permission:
        """Ask the box whether a pairing may begin; BoxGone when it does not answer."""
        if not self.open:
            raise BoxGone("the box has ended the connection")
        return await self._link.ask()

    def pairing_failed(self) -> None:
        """Tell the box that a pairing has failed, so that it counts."""
        self._tell("F")

    async def write(self, frame: bytes) -> None:
        """A frame for the box; waits while the box does not read. BoxGone when it has ended the connection."""
        if not self.open:
            raise BoxGone("the box has ended the connection")
        await self._link.write_frame(frame)

    def sent(self) -> None:
        """Tell the box that one frame has gone out."""
        self._tell("K")

    def close(self) -> None:
        """The central is gone; harmless when it is already."""
        if self.open:
            self._link.release(self)

    def _tell(self, kind: str, content: dict | None = None) -> None:
        if self.open:
            self._link.send(kind, content)


class BoxLink:
    """Keeps a connection to the firmware's radio port, over restarts of the firmware.

    `on_change` callables are told when profile or central changed, `on_forget` when the box forgets its bonds.
    """

    def __init__(self, port: int):
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self._outgoing = bytearray()
        self._questions: deque[asyncio.Future[Permission]] = deque()
        self._running: asyncio.Task | None = None
        self._there = asyncio.Event()
        self.profile: Profile | None = None
        self.central: Central | None = None
        self.on_change: list[Callable[[], None]] = []
        self.on_forget: list[Callable[[], None]] = []

    async def open(self, timeout_s: float = 10) -> None:
        """Connect and wait until the box has told its profile; TimeoutError when it does not."""
        self._running = asyncio.create_task(self._run())
        async with asyncio.timeout(timeout_s):
            await self._there.wait()

    async def close(self) -> None:
        """Disconnect from the box."""
        if self._running:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def connect(self, peer: str, mtu: int, on_frame: Callable[[bytes], None], on_end: Callable[[str], None]) -> Central:
        """A central has connected; LinkBusy when there is one already, BoxGone without a box."""
        if self.central is not None:
            raise LinkBusy("another app is connected to the wallbox; end that connection first")
        if self._writer is None or self.profile is None:
            raise BoxGone("the wallbox is not there: it has no supply or is starting")
        self.central = Central(self, on_frame, on_end)
        self.send("C", {"peer": peer, "mtu": mtu})
        self._changed()
        return self.central

    # For Central

    def send(self, kind: str, content: dict | None = None) -> None:
        """Send a packet; nothing happens without a box, whose end on_end has told."""
        payload = b"" if content is None else json.dumps(content).encode()
        self._put(kind, payload)

    async def write_frame(self, frame: bytes) -> None:
        """Send a frame and wait while too much is unread."""
        if self._writer is None:
            raise BoxGone("the wallbox is not there")
        if len(frame) > MAX_PAYLOAD:
            raise ValueError(f"frame: {len(frame)} bytes are not allowed; allowed: 0..{MAX_PAYLOAD}")
        self._put("W", frame)
        await self._writer.drain()

    def _put(self, kind: str, payload: bytes) -> None:
        """Have a packet sent with all others of this turn of the event loop: each send costs more than its packet."""
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing += HEADER.pack(ord(kind), len(payload)) + payload

    def _flush(self) -> None:
        packets, self._outgoing = self._outgoing, bytearray()
        if self._writer:
            self._writer.write(packets)

    async def ask(self) -> Permission:
        """Ask for a pairing and return the answer."""
        answer: asyncio.Future[Permission] = asyncio.get_running_loop().create_future()
        self._questions.append(answer)
        self.send("Q")
        try:
            async with asyncio.timeout(ANSWER_S):
                return await asyncio.shield(answer)
        except TimeoutError:
            raise BoxGone(f"the wallbox did not say within {ANSWER_S} s whether a pairing is allowed") from None

    def release(self, central: Central) -> None:
        """Let the box know that its central is gone."""
        if self.central is central:
            self.central = None
            self.send("D")
            self._changed()

    # The box's side

    async def _run(self) -> None:
        while True:
            try:
                reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                # It is starting, or will not come back; whoever started it watches its process.
                await asyncio.sleep(RETRY_S)
                continue
            try:
                await self._read(reader)
            except ConnectionError:
                # Its end is told below, as that of a connection which was closed.
                pass
            finally:
                self._lost()
            await asyncio.sleep(RETRY_S)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        pending = b""
        while chunk := await reader.read(READ_BYTES):
            pending += chunk
            start = 0
            while len(pending) - start >= HEADER.size:
                kind, size = HEADER.unpack_from(pending, start)
                end = start + HEADER.size + size
                if end > len(pending):
                    break
                self._understand(chr(kind), pending[start + HEADER.size : end])
                start = end
            pending = pending[start:]

    def _understand(self, kind: str, payload: bytes) -> None:
        try:
            self._take(kind, payload)
        except (ValueError, KeyError, TypeError) as error:
            print(f"radio: the firmware sent a packet {kind!r} that makes no sense: {error!r}", file=sys.stderr)

    def _take(self, kind: str, payload: bytes) -> None:
        central = self.central
        if kind == "N":
            if central:
                central.on_frame(payload)
        elif kind == "A":
            content = json.loads(payload)
            info = content["info"]
            info = (info if isinstance(info, str) else json.dumps(info, separators=(",", ":"))).encode()
            self.profile = Profile(content["name"], content["passkey"], info)
            self._there.set()
            self._changed()
        elif kind == "P":
            content = json.loads(payload)
            if self._questions:
                answer = self._questions.popleft()
                answer.set_result(Permission(content["allow"], content.get("text", "")))
        elif kind == "X":
            self._end("the wallbox has ended the connection")
        elif kind == "O":
            self.profile = None
            self._changed()
        elif kind == "U":
            for forget in self.on_forget:
                forget()
        else:
            raise ValueError(f"its type is not known; allowed: {', '.join('ANPXOU')}")

    def _end(self, reason: str) -> None:
        central = self.central
        if central:
            self.release(central)
            central.on_end(reason)

    def _lost(self) -> None:
        writer, self._writer = self._writer, None
        self._outgoing = bytearray()
        if writer:
            writer.close()
        self.profile = None
        while self._questions:
            self._questions.popleft().set_exception(BoxGone("the wallbox is gone"))
        self._end("the wallbox is gone")
        self._changed()

    def _changed(self) -> None:
        for changed in self.on_change:
            changed()
