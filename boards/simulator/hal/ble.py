"""Bluetooth LE of the simulated board: one connection at a time, the service of docs/installer-protocol.md.

The radio refuses just-works and legacy pairing and asks `may_pair` before it lets a central pair.
"""

import asyncio
from errno import ENOTCONN

from micropython import const

from plant import board

# Notifications under way before a sender has to wait.
QUEUE = const(8)
# Writes that wait to be taken; more are dropped, as by a stack without buffers. It takes what a client may send
# beyond the last acknowledgement of an upload, and a request.
_WAITING_BYTES = const(12_288)


class Link:
    """One connection. `secure` is true once it is encrypted with a key that the passkey has proven."""

    def __init__(self, radio, peer: str, mtu: int, secure: bool):
        self.peer = peer
        self.mtu = mtu
        self.secure = secure
        self.open = True
        # Notifications under way.
        self.queued = 0
        self._radio = radio
        self._frames = []
        self._bytes = 0
        self._came = asyncio.Event()
        self._went = asyncio.Event()

    async def receive(self):
        """The next frame that was written, None when the connection is gone."""
        while self.open and not self._frames:
            self._came.clear()
            await self._came.wait()
        if not self.open:
            return None
        frame = self._frames.pop(0)
        self._bytes -= len(frame)
        return frame

    async def send(self, frame: bytes) -> None:
        """Notify, as soon as fewer than 8 notifications are under way; OSError when the connection is gone."""
        while self.open and self.queued >= QUEUE:
            self._went.clear()
            await self._went.wait()
        if not self.open:
            raise OSError(ENOTCONN)
        self.queued += 1
        self._radio.notify(bytes(frame))

    def disconnect(self) -> None:
        """End the connection; harmless when it is gone."""
        if self.open:
            self.end()
            self._radio.hang_up()

    def take(self, frame: bytes) -> None:
        """Called by the radio: a frame was written."""
        if self._bytes + len(frame) > _WAITING_BYTES:
            return
        self._frames.append(frame)
        self._bytes += len(frame)
        self._came.set()

    def went(self) -> None:
        """Called by the radio: a notification is out."""
        if self.queued:
            self.queued -= 1
        self._went.set()

    def end(self) -> None:
        """Called by the radio: the central is gone."""
        self.open = False
        self._frames = []
        self._came.set()
        self._went.set()


class Ble:
    """The radio. Before the first `configure` nobody can connect.

    `may_pair()` is asked before a central may try the passkey; `paired(ok)` is told how it went. Neither may wait.
    """

    def __init__(self):
        self.may_pair = lambda: False
        self.paired = lambda _ok: None
        self._radio = board.plant.radio
        self._radio.listen(self)
        self._link = None
        self._current = Link(self._radio, "", 0, False)
        self._current.end()
        self._came = asyncio.Event()

    def configure(self, name: str, passkey: str, info: bytes) -> None:
        """Advertise under `name` from now on, with `info` to read before pairing and `passkey`, six digits."""
        self._radio.advertise(name, passkey, info)

    @property
    def on_air(self) -> bool:
        """Whether a central can find the box, or is connected."""
        return self._radio.on_air

    async def accept(self) -> Link:
        """Wait until a central is connected."""
        while self._link is None or not self._link.open:
            self._came.clear()
            await self._came.wait()
        link = self._link
        self._link = None
        return link

    def forget_bonds(self) -> None:
        """Forget the keys of all centrals; each has to pair again."""
        self._radio.forget()

    # -- called by the radio -----------------------------------------------------------------------------

    def connected(self, peer: str, mtu: int, secure: bool) -> None:
        """A central is connected."""
        self._current.end()
        self._current = self._link = Link(self._radio, peer, mtu, secure)
        self._came.set()

    def resized(self, mtu: int) -> None:
        """Larger or smaller frames were agreed on."""
        self._current.mtu = mtu

    def secured(self, secure: bool) -> None:
        """The link is encrypted with a key proven by passkey, or is not any more."""
        self._current.secure = secure

    def wrote(self, frame: bytes) -> None:
        """The central has written to `request`."""
        self._current.take(frame)

    def sent(self) -> None:
        """A notification is out."""
        self._current.went()

    def gone(self) -> None:
        """The connection has ended."""
        self._current.end()
