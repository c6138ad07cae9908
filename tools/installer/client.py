"""The wallbox as an asyncio client: requests, events, live data and transfers that survive a cut of the connection."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from installer.connection import Connection
from installer.errors import InstallerError, LinkLost, NoConnection, Refused, TransferFailed
from installer.frames import Data
from installer.transports import Transport

PROTOCOL = 1
REQUEST_TIMEOUT_S = 15.0
# PBKDF2 of a password, flash pages to erase, a signature to verify: the chip takes its time for these.
SLOW_TIMEOUT_S = {"login": 30.0, "password": 60.0, "done": 180.0, "get": 60.0, "put": 60.0, "factory_reset": 60.0}
# A restart of the wallbox takes some seconds.
RECONNECT_S = 30.0
RECONNECT_PAUSE_S = 0.5
READ_BYTES = 16_384
WINDOW_BYTES = 8_192
# Nothing stored for this long: the upload is taken up anew.
STORED_TIMEOUT_S = 20.0
# Cuts of one transfer that bring nothing new between them.
BARREN_CUTS = 5
# So often a download begins anew because its content changed while it was read.
CHANGES = 5
# Live data that nobody fetches: the newest matter.
EVENTS_KEPT = 64
# Asking twice for these changes nothing.
READING = frozenset(
    ("hello", "login", "status", "why", "schema", "cards", "log", "trips", "faults", "transfers", "get", "put", "read")
)
# These read as long as none of their arguments that change something is there.
CHANGING_ARGUMENTS = {
    "settings": ("set",),
    "wizard": ("set", "confirm"),
    "scan": ("start",),
    "check_meter": ("start",),
}

Progress = Callable[[int, int | None], None]


def no_progress(_done: int, _size: int | None) -> None:
    """Nobody watches."""


def is_reading(do: str, arguments: dict) -> bool:
    """Whether a request may be sent again when nobody knows whether the first one arrived."""
    if do in CHANGING_ARGUMENTS:
        return not any(name in arguments for name in CHANGING_ARGUMENTS[do])
    return do in READING


class Client:
    """A wallbox behind `connect`, which opens a transport; use it as an async context manager.

    A connection that breaks is opened again within `reconnect_s` and the role regained; only a request that changes
    something is not repeated by itself. `on_notice` is told of cuts and returns, in words.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Transport]],
        *,
        reconnect_s: float = RECONNECT_S,
        pause_s: float = RECONNECT_PAUSE_S,
        stored_timeout_s: float = STORED_TIMEOUT_S,
        on_notice: Callable[[str], None] = lambda _text: None,
    ):
        self._connect = connect
        self._reconnect_s = reconnect_s
        self._pause_s = pause_s
        self._stored_timeout_s = stored_timeout_s
        self._notice = on_notice
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()
        self._login: dict | None = None
        self._live_ms = 0
        self._listeners: set[asyncio.Queue] = set()
        self._download: _Download | None = None
        self._upload: _Upload | None = None
        self.hello: dict = {}

    async def __aenter__(self) -> "Client":
        await self._open()
        return self

    async def __aexit__(self, *_error) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        if connection:
            await connection.close()

    # -- requests -----------------------------------------------------------------------------------------

    async def request(self, do: str, /, *, timeout_s: float | None = None, **arguments: Any) -> dict:
        """Do a request and return its answer without `id` and `ok`. Arguments that are None are left out.

        Refused when the wallbox says no. LinkLost when the connection broke and the request is none that may be
        repeated: then nobody knows whether it was done.
        """
        arguments = {name: value for name, value in arguments.items() if value is not None}
        try:
            return await self._once(do, arguments, timeout_s)
        except LinkLost as error:
            if not is_reading(do, arguments):
                text = f"{error}; whether {do!r} was done is not known, look before you repeat it"
                raise LinkLost(text) from error
        return await self._once(do, arguments, timeout_s)

    async def login(self, role: str, password: str) -> None:
        """Take a role, and take it again after every cut; Refused when the password is wrong."""
        login: dict[str, Any] = {"role": role, "password": password}
        await self.request("login", **login)
        self._login = login

    async def logout(self) -> None:
        """Give the role back."""
        self._login = None
        await self.request("logout")

    async def gone(self, within_s: float) -> None:
        """Wait until the wallbox has ended the connection, as it does when it restarts; else TimeoutError."""
        connection = self._connection
        async with asyncio.timeout(within_s):
            while connection and not connection.lost:
                await asyncio.sleep(self._pause_s / 10)

    async def _once(self, do: str, arguments: dict, timeout_s: float | None) -> dict:
        connection = await self._connected()
        return await self._ask(connection, do, arguments, timeout_s)

    async def _ask(self, connection: Connection, do: str, arguments: dict, timeout_s: float | None = None) -> dict:
        answer = await connection.request(do, arguments, timeout_s or SLOW_TIMEOUT_S.get(do, REQUEST_TIMEOUT_S))
        if not answer.pop("ok", False):
            raise Refused(answer.get("error") or {})
        answer.pop("id", None)
        return answer

    # -- the connection -----------------------------------------------------------------------------------

    async def _connected(self) -> Connection:
        async with self._opening:
            if self._connection and not self._connection.lost:
                return self._connection
            if not self._connection:
                raise NoConnection("not connected")
            self._notice(f"connection lost ({self._connection.lost}); connecting again")
            await self._connection.close()
            await self._reopen()
            self._notice("connected again")
            return self._connection

    async def _reopen(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._reconnect_s
        while True:
            try:
                return await self._open()
            except (NoConnection, LinkLost) as error:
                if loop.time() + self._pause_s >= end:
                    raise LinkLost(f"the connection was lost and did not come back: {error}") from error
                await asyncio.sleep(self._pause_s)

    async def _open(self) -> None:
        transport = await self._connect()
        connection = Connection(transport, self._event, self._data, self._gap, self._lost)
        try:
            hello = await self._ask(connection, "hello", {})
            if hello.get("protocol") != PROTOCOL:
                text = f"the wallbox speaks version {hello.get('protocol')} of the protocol, this program {PROTOCOL}"
                raise InstallerError(text + "; use the program that belongs to its firmware")
            connection.limit(hello.get("mtu"))
            if self._login:
                await self._ask(connection, "login", self._login)
            if self._live_ms:
                await self._ask(connection, "live", {"period_ms": self._live_ms})
        except BaseException:
            await connection.close()
            raise
        self.hello = hello
        self._connection = connection

    def _lost(self, error: LinkLost) -> None:
        for transfer in (self._download, self._upload):
            if transfer:
                transfer.cut(error)
        for queue in self._listeners:
            _put_newest(queue, None)

    def _gap(self) -> None:
        if self._upload:
            self._upload.rewind()

    # -- events -------------------------------------------------------------------------------------------

    async def live(self, period_ms: int) -> AsyncGenerator[dict, None]:
        """The events `live`, one each `period_ms` (200..10000), over cuts as well, until the caller stops."""
        queue: asyncio.Queue[dict | None] = asyncio.Queue(EVENTS_KEPT)
        self._listeners.add(queue)
        try:
            await self.request("live", period_ms=period_ms)
            self._live_ms = period_ms
            while True:
                event = await queue.get()
                if event is None:
                    await self._connected()
                elif event["event"] == "live":
                    yield event
        finally:
            self._listeners.discard(queue)
            begun, self._live_ms = self._live_ms, 0
            if begun and self._connection and not self._connection.lost:
                # The wallbox is asked to stop; when the connection ends just now it stops all the same.
                with contextlib.suppress(LinkLost, Refused):
                    await self._ask(self._connection, "live", {"period_ms": 0})

    def _event(self, event: dict) -> None:
        if event["event"] == "received" and self._upload:
            self._upload.received(event)
        elif event["event"] == "transfer_failed" and self._upload:
            self._upload.ended(event)
        for queue in self._listeners:
            _put_newest(queue, event)

    def _data(self, data: Data) -> None:
        if self._download:
            self._download.take(data)

    # -- transfers ----------------------------------------------------------------------------------------

    async def download(self, name: str, arguments: dict | None = None, progress: Progress = no_progress) -> bytes:
        """Fetch `name` whole; after a cut it goes on where it was, as long as the content is the same."""
        download = self._download = _Download(name, arguments)
        try:
            cuts = _Cuts(name)
            changes = 0
            while True:
                try:
                    return await self._fetch(download, progress)
                except LinkLost as error:
                    cuts.count(len(download.content), error)
                except _Changed as change:
                    changes += 1
                    if changes > CHANGES:
                        raise change.refused from None
        finally:
            self._download = None

    async def _fetch(self, download: "_Download", progress: Progress) -> bytes:
        connection = await self._connected()
        opened = await self._get(connection, download, len(download.content))
        if download.content and opened.get("etag") != download.etag:
            # Another content under the same name: what there is of the old one is worth nothing.
            download.content.clear()
            await self._ask(connection, "done", {"transfer": opened["transfer"], "cancel": True})
            opened = await self._get(connection, download, 0)
        download.begin(opened)
        progress(len(download.content), download.size)
        end = False
        while not end:
            before = len(download.content)
            ask = {"transfer": download.transfer, "offset": before, "count": READ_BYTES}
            try:
                answer = await self._ask(connection, "read", ask)
            except Refused as error:
                await self._ask(connection, "done", {"transfer": download.transfer, "cancel": True})
                if error.code != "not_now":
                    raise
                download.content.clear()
                raise _Changed(error) from error
            if download.error:
                raise download.error
            end = bool(answer.get("end")) and answer.get("offset") == len(download.content)
            if not end and len(download.content) == before:
                raise TransferFailed(f"{download.name}: the wallbox sends nothing from byte {before} on")
            progress(len(download.content), download.size)
        await self._ask(connection, "done", {"transfer": download.transfer})
        return bytes(download.content)

    async def _get(self, connection: Connection, download: "_Download", offset: int) -> dict:
        ask: dict[str, Any] = {"name": download.name}
        if download.arguments:
            ask["arguments"] = download.arguments
        if offset:
            ask["offset"] = offset
        try:
            return await self._ask(connection, "get", ask)
        except Refused as error:
            if not offset or error.code != "bad_value":
                raise
            # It has become shorter than what there is of it.
            download.content.clear()
            return await self._get(connection, download, 0)

    async def upload(self, name: str, content: bytes, progress: Progress = no_progress, **arguments: Any) -> dict:
        """Send `content` as `name` and let the wallbox verify and take it; returns the answer to `done`.

        `arguments` go with `done`. After a cut it goes on from what the wallbox has stored.
        """
        digest = hashlib.sha256(content).hexdigest()
        cuts = _Cuts(name)
        upload = self._upload = _Upload(name, content)
        try:
            while True:
                try:
                    await self._send(upload, digest, progress)
                    break
                except LinkLost as error:
                    cuts.count(upload.stored, error)
        finally:
            self._upload = None
        return await self.finish(upload.transfer, **arguments)

    async def finish(self, transfer: int, **arguments: Any) -> dict:
        """End a transfer: an upload is verified and taken."""
        return await self.request("done", transfer=transfer, **arguments)

    async def _send(self, upload: "_Upload", digest: str, progress: Progress) -> None:
        connection = await self._connected()
        size = len(upload.content)
        opened = await self._ask(connection, "put", {"name": upload.name, "size": size, "sha256": digest})
        upload.begin(opened)
        progress(upload.stored, size)
        room = connection.data_room()
        while upload.stored < size:
            while upload.sent < size and upload.sent - upload.stored + room <= WINDOW_BYTES:
                if upload.error:
                    raise upload.error
                offset = upload.sent
                piece = upload.content[offset : offset + room]
                # Counted first: the wallbox may tell of it as stored before the transport says that it is sent.
                upload.sent += len(piece)
                await connection.send_data(upload.transfer, offset, piece)
            try:
                await upload.news(self._stored_timeout_s)
            except TimeoutError:
                await connection.close()
                raise LinkLost(f"{upload.name}: nothing was stored for {self._stored_timeout_s:g} s") from None
            progress(upload.stored, size)


def _put_newest(queue: asyncio.Queue, item: dict | None) -> None:
    """Queue an item; the oldest makes room."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(item)


class _Changed(Exception):
    """What is being fetched is no longer what was opened."""

    def __init__(self, refused: Refused):
        super().__init__(str(refused))
        self.refused = refused


class _Cuts:
    """Counts the cuts of one transfer, and gives up when they bring nothing new between them."""

    def __init__(self, name: str):
        self._name = name
        self._barren = 0
        self._best = -1

    def count(self, got: int, error: LinkLost) -> None:
        """Note a cut after `got` bytes; LinkLost when it is one too many."""
        self._barren = 0 if got > self._best else self._barren + 1
        self._best = max(self._best, got)
        if self._barren >= BARREN_CUTS:
            raise LinkLost(f"{self._name}: given up after {self._barren} cuts without progress: {error}") from error


class _Download:
    """What there is of a download."""

    def __init__(self, name: str, arguments: dict | None):
        self.name = name
        self.arguments = arguments
        self.content = bytearray()
        self.etag: object = None
        self.size: int | None = None
        self.transfer = -1
        self.error: LinkLost | None = None

    def begin(self, opened: dict) -> None:
        """Note the wallbox's answer to `get`."""
        self.transfer = opened["transfer"]
        self.etag = opened.get("etag")
        self.size = opened.get("size")
        self.error = None

    def take(self, data: Data) -> None:
        """Append a piece; one that does not follow is left out and asked for again."""
        if data.transfer == self.transfer and data.offset == len(self.content):
            self.content += data.data

    def cut(self, error: LinkLost) -> None:
        """The connection is gone."""
        self.error = error


class _Upload:
    """How far an upload is: `sent` bytes, of which the wallbox has stored `stored`."""

    def __init__(self, name: str, content: bytes):
        self.name = name
        self.content = content
        self.transfer = -1
        self.sent = 0
        self.stored = 0
        self.error: InstallerError | None = None
        self._rewound = False
        self._news = asyncio.Event()

    def begin(self, opened: dict) -> None:
        """Note the wallbox's answer to `put`: it may have some of it already."""
        offset = opened.get("offset", 0)
        if not isinstance(offset, int) or not 0 <= offset <= len(self.content):
            raise TransferFailed(f"{self.name}: the wallbox wants to go on from {offset!r} of {len(self.content)}")
        self.transfer = opened["transfer"]
        self.sent = self.stored = offset
        self.error = None
        self._rewound = False
        self._news.clear()

    def received(self, event: dict) -> None:
        """Note what is stored; it may be more than was sent since the last rewinding."""
        offset = event.get("offset")
        if event.get("transfer") != self.transfer or not isinstance(offset, int):
            return
        if self.stored < offset <= len(self.content):
            self.stored = offset
            self.sent = max(self.sent, offset)
            self._rewound = False
            self._news.set()
        elif offset == self.stored and not self._rewound:
            # Said again: a piece before what it gets is missing. What is under way brings more of the same.
            self._rewound = True
            self.rewind()

    def ended(self, event: dict) -> None:
        """The wallbox has given the transfer up and says why."""
        if event.get("transfer") == self.transfer:
            self.error = Refused(event)
            self._news.set()

    def rewind(self) -> None:
        """Frames were lost: send again what is not stored."""
        self.sent = self.stored
        self._news.set()

    def cut(self, error: LinkLost) -> None:
        """The connection is gone."""
        self.error = error
        self._news.set()

    async def news(self, timeout_s: float) -> None:
        """Wait until more is stored or must be sent again; the error that ended it, TimeoutError without news."""
        async with asyncio.timeout(timeout_s):
            await self._news.wait()
        self._news.clear()
        if self.error:
            raise self.error
