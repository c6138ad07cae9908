"""Uploads received to flash: they go on after cuts and restarts, and are taken only when their SHA-256 is right."""

import asyncio
import hashlib
import os
from binascii import hexlify

from micropython import const

from wallbox.installer.errors import CommandError, refuse
from wallbox.storage.store import Store

# After so many bytes what came is safe from power cuts, and the app hears of it.
STORED_BYTES = const(4096)
# Read at a time; on a chip flash and hash take about 1 ms for it.
_SLICE_BYTES = const(2048)
# What settings, cards, history, logs and trips may still grow to, twice where they are written anew as a whole; an
# upload may not take it from them.
_RESERVE_BLOCKS = const(32)
_HEX = "0123456789abcdef"
_SHA256_CHARS = const(64)
_VERSION = const(1)
_BLOCK_BYTES = const(0)
_FREE_BLOCKS = const(3)
_ENOENT = const(2)
_SIZE = const(6)


def size_of(path: str):
    """The size of a file in bytes, None when there is none; OSError when flash does not tell."""
    try:
        return os.stat(path)[_SIZE]
    except OSError as error:
        if error.errno == _ENOENT:
            return None
        raise


def remove(path: str) -> None:
    """Remove a file that may be there; OSError when flash refuses."""
    if size_of(path) is not None:
        os.remove(path)


async def digest_of(path: str) -> str:
    """The SHA-256 of a file in hex, read in slices between which the event loop runs."""
    digest = hashlib.sha256()
    buffer = bytearray(_SLICE_BYTES)
    view = memoryview(buffer)
    with open(path, "rb") as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return hexlify(digest.digest()).decode()
            digest.update(view[:count])
            await asyncio.sleep_ms(0)


class Upload:
    """A file of `size` bytes with that `sha256` (hex) on its way to flash, as `folder/name.part`.

    `offset` bytes are here; a file that was begun before, also before a restart, goes on. A subclass has its `NAME`
    and `MOST_BYTES`, `_taken(arguments)` to answer what it does with the verified file.
    CommandError "bad_value" for a size or digest that cannot be, at `begin` "flash" without room for it.
    """

    NAME = ""
    MOST_BYTES = 0

    def __init__(self, link, size, sha256, _arguments):
        if type(size) is not int or not 1 <= size <= self.MOST_BYTES:
            refuse("size", size, "whole numbers 1..%d" % self.MOST_BYTES)
        if not isinstance(sha256, str) or len(sha256) != _SHA256_CHARS or any(char not in _HEX for char in sha256):
            refuse("sha256", sha256, "64 lower-case hexadecimal digits")
        self.size = size
        self.sha256 = sha256
        self._link = link
        self._log = link.app.log
        self._folder = link.app.folder
        self.path = self._folder + "/" + self.NAME + ".part"
        self.offset = 0
        self._file = None

    @property
    def stored(self) -> int:
        """Up to where all is stored: the file system writes as it comes."""
        return self.offset

    async def begin(self) -> None:
        """Find what is here already, and make room; CommandError, and then nothing was changed."""
        try:
            self.offset = await self._begun()
        except OSError as error:
            raise CommandError("flash", "%s: the flash memory refused (%s); nothing was changed" % (self.NAME, error))

    async def _begun(self) -> int:
        marks = Store(self._folder, "uploads", _VERSION, self._log)
        begun = marks.load() or {}
        part = size_of(self.path) or 0
        have = part if begun.get(self.NAME) == self.sha256 and part <= self.size else 0
        # To count the free blocks littlefs reads all of its metadata.
        await asyncio.sleep_ms(0)
        if have < self.size:
            self._check_room(have, part - have)
        await asyncio.sleep_ms(0)
        if not have:
            remove(self.path)
            begun[self.NAME] = self.sha256
            marks.save(begun)
        self._file = open(self.path, "ab")  # noqa: SIM115 as long as the upload
        return have

    def _check_room(self, have: int, freed: int) -> None:
        found = os.statvfs(self._folder)
        block = found[_BLOCK_BYTES]
        room = (found[_FREE_BLOCKS] - _RESERVE_BLOCKS) * block + have + freed
        if self.size > room:
            text = "size: %d bytes are too many; the flash memory has room for %d" % (self.size, max(0, room))
            raise CommandError("flash", text, "size")

    async def write(self, data) -> None:
        """Add `data` at `offset`; CommandError when it is too much, or when flash refuses, and then it is given up."""
        if self.offset + len(data) > self.size:
            raise CommandError("bad_value", "offset: more than the %d bytes of size" % self.size, "offset")
        before = self.offset
        try:
            self._file.write(data)
            self.offset += len(data)
            if self.offset // STORED_BYTES != before // STORED_BYTES or self.offset == self.size:
                self._file.flush()
        except OSError as error:
            self._give_up()
            raise CommandError("flash", "%s: the flash memory refused (%s); nothing of it is kept" % (self.NAME, error))

    async def finish(self, arguments: dict) -> dict:
        """Verify and take what was received -> the answer to `done`; CommandError when it is not right."""
        if self.offset < self.size:
            text = "%s: %d of %d bytes are here; send the rest first" % (self.NAME, self.offset, self.size)
            raise CommandError("not_now", text)
        try:
            self._file.close()
            digest = await digest_of(self.path)
            if digest != self.sha256:
                self._give_up()
                text = "sha256: what was received has another one, %s; send it again" % digest
                raise CommandError("bad_value", text, "sha256")
            return await self._taken(arguments)
        except OSError as error:
            raise CommandError("flash", "%s: the flash memory refused (%s)" % (self.NAME, error))

    async def _taken(self, _arguments) -> dict:
        """What is done with the verified file, and answered."""
        raise NotImplementedError

    def close(self) -> None:
        """Keep what is here for the next try."""
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:
            self._log.add("error", "installer", "upload_lost", "%s: %s" % (self.NAME, error))

    def cancel(self) -> None:
        """Give up the upload and what is here of it."""
        self._give_up()

    def _give_up(self) -> None:
        self.close()
        try:
            remove(self.path)
        except OSError as error:
            self._log.add("error", "installer", "upload_left", "%s could not be removed: %s" % (self.path, error))
        self.offset = 0
