"""Large things in pieces, to the app and from it (docs/installer-protocol.md, transfers); what they are others know.

A download is a class with the constructor (link, arguments), the attributes `size` in bytes or None while unknown
and `etag`, `async read(offset, count)` -> up to `count` bytes, b"" only at the end, and `close()`.
An upload has (link, size, sha256, arguments), `async begin()`, after which `offset` tells where to go on and `stored`
up to where nothing can be lost any more, `async write(data)` at `offset`, `async finish(arguments)` -> dict for the
answer, `cancel()`, which gives up what is stored, and `close()`.
All may raise CommandError, and OSError when flash refuses.
"""

from micropython import const

from wallbox.installer import commands, errors, frames
from wallbox.installer.server import forget, load

# name -> (least role, module of wallbox.installer, class)
DOWNLOADS = {
    "settings-schema": ("paired", "schema", "SchemaDownload"),
    "history.csv": ("owner", "history", "Csv"),
    "history.json": ("owner", "history", "Json"),
    "diagnostics.json": ("owner", "diagnostics", "Diagnostics"),
    "log.csv": ("owner", "logs", "Log"),
    "security.csv": ("expert", "logs", "Security"),
    "trip.csv": ("owner", "trips", "Csv"),
    "report": ("expert", "report", "Report"),
    "backup": ("expert", "backup", "Backup"),
}
UPLOADS = {
    "firmware": ("expert", "image", "Image"),
    "restore": ("expert", "restore", "Restore"),
}

# Modules that only these need.
_HELPERS = ("streams", "uploads", "sealed", "public")

# Read with one request, and stored before the next `received` (docs/installer-protocol.md).
_READ_BYTES = const(16_384)
_RECEIVED_BYTES = const(4_096)
_OFFSET_MAX = const((1 << 30) - 1)
_SHA256_CHARS = const(64)
_HEX = "0123456789abcdef"
# Open at a time; each may hold a file or a buffer.
_OPEN = const(2)
_NUMBERS = const(256)


class Transfers:
    """The open transfers of one connection."""

    def __init__(self, link):
        self._link = link
        self._next = 0
        self._downloads = {}
        # [upload, size, what the last `received` told was stored]
        self._uploads = {}
        # The upload that could not go on last.
        self._failed = None

    def close(self) -> None:
        """The connection has ended: everything open is let go; what an upload has stored stays."""
        for number in list(self._downloads) + list(self._uploads):
            self.end(number)

    def end(self, number: int) -> None:
        """Let go of one transfer; what an upload has stored stays."""
        if number in self._downloads:
            self._downloads.pop(number).close()
        else:
            self._uploads.pop(number)[0].close()
        if not self._downloads and not self._uploads:
            # Heap is scarce, and the next one may need others.
            forget([row[1] for row in list(DOWNLOADS.values()) + list(UPLOADS.values())])
            forget(_HELPERS)

    def fail(self, number: int) -> None:
        """End an upload that cannot go on; what the app still sends of it is passed over."""
        self.end(number)
        self._failed = number

    def _number(self) -> int:
        if len(self._downloads) + len(self._uploads) >= _OPEN:
            raise errors.CommandError("not_now", "%d transfers are open; end one with `done` first" % _OPEN)
        number = self._next
        self._next = (number + 1) % _NUMBERS
        if number == self._failed:
            self._failed = None
        return number

    def open_download(self, name: str, arguments: dict, offset: int) -> dict:
        """Begin a download -> its answer; it can be read from any offset up to its size."""
        number = self._number()
        found = _made(self._link, DOWNLOADS, name)(self._link, arguments)
        if found.size is not None and offset > found.size:
            found.close()
            errors.refuse("offset", offset, "whole numbers 0..%d" % found.size)
        self._downloads[number] = found
        return {"transfer": number, "size": found.size, "etag": found.etag}

    async def open_upload(self, name: str, size: int, sha256: str, arguments: dict) -> dict:
        """Begin an upload, or go on with one that a cut has interrupted -> its answer."""
        maker = _made(self._link, UPLOADS, name)
        for other in list(self._uploads):
            if isinstance(self._uploads[other][0], maker):
                # It is begun anew or gone on with: two would write one file.
                self.end(other)
        number = self._number()
        found = maker(self._link, size, sha256, arguments)
        await found.begin()
        self._uploads[number] = [found, size, found.stored]
        return {"transfer": number, "offset": found.offset}

    async def read(self, number: int, offset: int, count: int) -> dict:
        """Send data frames from `offset` on, `count` bytes at most."""
        if number not in self._downloads:
            errors.refuse("transfer", number, "one that `get` has opened")
        download = self._downloads[number]
        link = self._link
        room = link.limit() - frames.DATA_HEADER_BYTES
        end = offset + count
        while offset < end:
            piece = await download.read(offset, min(room, end - offset))
            if not piece:
                return {"offset": offset, "end": True}
            await link.send_data(number, offset, piece)
            offset += len(piece)
        return {"offset": offset, "end": offset == download.size}

    async def take(self, content: bytes) -> bool:
        """Take a data frame's content; False when there is no such upload."""
        number = content[0]
        if number == self._failed:
            # The app sends on until it hears that the transfer has ended.
            return True
        if number not in self._uploads:
            return False
        upload, size, told = self._uploads[number]
        data = memoryview(content)[frames.DATA_HEADER_BYTES - frames.HEADER_BYTES :]
        offset = int.from_bytes(content[1:5], "little")
        if offset != upload.offset or offset + len(data) > size:
            # A piece is missing or too much: tell where to go on.
            await self._received(number, upload.offset)
            return True
        await upload.write(data)
        if upload.stored - told >= _RECEIVED_BYTES or upload.stored == size:
            self._uploads[number][2] = upload.stored
            await self._received(number, upload.stored)
        return True

    async def _received(self, number: int, offset: int) -> None:
        await self._link.send({"event": "received", "transfer": number, "offset": offset})

    async def done(self, number: int, cancel: bool, arguments: dict) -> dict:
        """End a transfer; an upload is taken unless it is cancelled."""
        if number not in self._downloads and number not in self._uploads:
            errors.refuse("transfer", number, "one that is open")
        try:
            if number in self._downloads:
                return {}
            upload, size, _ = self._uploads[number]
            if cancel:
                upload.cancel()
                return {}
            if upload.offset != size:
                text = "%d of %d bytes are there; open it again to send the rest" % (upload.offset, size)
                raise errors.CommandError("not_now", text)
            return await upload.finish(arguments)
        finally:
            self.end(number)


def _made(link, registry: dict, name: str):
    role, module, maker = registry[name]
    commands.demand(link, role)
    return getattr(load(module), maker)


def of(link) -> Transfers:
    """The transfers of a connection."""
    if "transfers" not in link.parts:
        link.parts["transfers"] = Transfers(link)
        link.closers.append(link.parts["transfers"].close)
    return link.parts["transfers"]


def _object(arguments: dict) -> dict:
    found = arguments.get("arguments", {})
    if not isinstance(found, dict):
        errors.refuse("arguments", found, "an object")
    return found


async def get(link, arguments):
    """Command `get`: open a download."""
    name = errors.choice(arguments, "name", sorted(DOWNLOADS))
    offset = errors.whole(arguments, "offset", 0, _OFFSET_MAX, 0)
    return of(link).open_download(name, _object(arguments), offset)


async def _read(link, arguments):
    number = errors.whole(arguments, "transfer", 0, _NUMBERS - 1)
    offset = errors.whole(arguments, "offset", 0, _OFFSET_MAX)
    count = errors.whole(arguments, "count", 1, _READ_BYTES)
    return await of(link).read(number, offset, count)


async def _put(link, arguments):
    name = errors.choice(arguments, "name", sorted(UPLOADS))
    size = errors.whole(arguments, "size", 1, _OFFSET_MAX)
    sha256 = arguments.get("sha256")
    if not isinstance(sha256, str) or len(sha256) != _SHA256_CHARS or [1 for char in sha256 if char not in _HEX]:
        errors.refuse("sha256", sha256, "%d lower-case hexadecimal digits" % _SHA256_CHARS)
    return await of(link).open_upload(name, size, sha256, _object(arguments))


async def _done(link, arguments):
    number = errors.whole(arguments, "transfer", 0, _NUMBERS - 1)
    cancel = errors.flag(arguments, "cancel", False)
    return await of(link).done(number, cancel, arguments)


COMMANDS = {
    "get": ("paired", get),
    "read": ("paired", _read),
    "put": ("paired", _put),
    "done": ("paired", _done),
}
