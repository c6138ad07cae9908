"""A firmware that an app sends: straight into the slot that does not run, and after a cut on from there (R29)."""

from binascii import unhexlify

from micropython import const

import hal.slots as slots
from loader.header import Refused
from wallbox.installer.errors import CommandError, refuse
from wallbox.installer.uploads import remove, size_of
from wallbox.storage.store import Store

# The header, since it goes into the slot last.
_HEAD = "/firmware.head"
# [SHA-256, bytes stored, CRC-32 of these]: up to where an upload goes on after a cut of the supply.
_MARK = "firmware"
_VERSION = const(1)
# The mark is written again after so many bytes: a few seconds of the radio's, two dozen times for a slot.
_MARKED_BYTES = const(32_768)
_SIZE_MAX = const((1 << 30) - 1)
# Which argument is at fault; else it is the file.
_FIELDS = {"size": "size", "truncated": "size", "damaged": "sha256", "sha256": "sha256"}


class Image:
    """The upload `firmware`, a container (docs/update.md); see `transfers` for the contract of an upload.

    `stored` bytes are kept over cuts. CommandError "not_now" while no update may begin, "bad_value" for a container
    that this box does not take, "flash" without room, or when flash refuses.
    """

    def __init__(self, link, size, sha256, _arguments):
        if type(size) is not int or not 1 <= size <= _SIZE_MAX:
            refuse("size", size, "whole numbers 1..%d" % _SIZE_MAX)
        self.size = size
        self.sha256 = sha256
        self._app = link.app
        self._head = link.app.folder + _HEAD
        self._mark = Store(link.app.folder, _MARK, _VERSION, link.app.log)
        self._marked = 0
        self._receiver = None

    @property
    def offset(self) -> int:
        """Bytes that have come."""
        return 0 if self._receiver is None else self._receiver.writer.offset

    @property
    def stored(self) -> int:
        """Bytes that a cut of the link cannot take away any more."""
        return 0 if self._receiver is None else self._receiver.writer.stored

    async def begin(self) -> None:
        """Find what is here already; CommandError, and then nothing was changed."""
        if self.size > slots.SLOT_BYTES:
            text = "size: %d bytes are too many; a slot has room for %d" % (self.size, slots.SLOT_BYTES)
            raise CommandError("flash", text, "size")
        try:
            self._receiver = self._app.update.receive("Bluetooth", self.size)
        except ValueError as error:
            raise CommandError("not_now", "firmware: %s" % error)
        try:
            await self._go_on()
        except (OSError, ValueError) as error:
            self._receiver.close()
            raise self._told(error)

    async def _go_on(self) -> None:
        left = self._app.update.left or self._mark.load()
        if not _is_mark(left) or left[0] != self.sha256 or size_of(self._head) != slots.SECTOR:
            return
        with open(self._head, "rb") as file:
            head = file.read()
        if await self._receiver.go_on(head, left[1], left[2]):
            self._marked = self.stored

    async def write(self, data) -> None:
        """Add `data` at `offset`; CommandError, and then it is given up."""
        writer = self._receiver.writer
        had_head = writer.head is not None
        try:
            if not had_head:
                # From here on what was in the slot before is no part of anything.
                self._forget()
            await self._receiver.write(data)
            if not had_head and writer.head is not None:
                with open(self._head, "wb") as file:
                    file.write(writer.head)
                self._keep_mark()
            elif writer.stored - self._marked >= _MARKED_BYTES:
                self._keep_mark()
        except (OSError, ValueError) as error:
            self._receiver.close()
            raise self._told(error)

    def _keep_mark(self) -> None:
        writer = self._receiver.writer
        self._mark.save([self.sha256, writer.stored, writer.crc])
        self._marked = writer.stored

    def _forget(self) -> None:
        self._app.update.left = None
        remove(self._head)

    async def finish(self, _arguments: dict) -> dict:
        """Verify it and have it tried at the next start -> the answer to `done`; CommandError when it is not right."""
        receiver = self._receiver
        try:
            self._forget()
            installed = await receiver.finish(unhexlify(self.sha256))
        except (OSError, ValueError) as error:
            receiver.close()
            raise self._told(error)
        self._receiver = None
        answer = {"size": self.size, "sha256": self.sha256, "installed": installed, "version": receiver.version}
        answer["text"] = receiver.text()
        return answer

    def _told(self, error) -> CommandError:
        if isinstance(error, Refused):
            return CommandError("bad_value", "firmware: %s" % error, _FIELDS.get(error.code, "firmware"))
        if isinstance(error, OSError):
            return CommandError("flash", "firmware: the flash memory refused (%s)" % error)
        return CommandError("not_now", "firmware: %s" % error)

    def close(self) -> None:
        """The link goes: what is stored stays for the next try."""
        if self._receiver is None:
            return
        if self._receiver.writer.head is not None:
            self._app.update.left = [self.sha256, self.stored, self._receiver.writer.crc]
        self._receiver.close()

    def cancel(self) -> None:
        """Give up the upload and what is here of it."""
        self._receiver.close()
        try:
            self._forget()
        except OSError as error:
            self._app.log.add("error", "installer", "upload_left", "%s could not be removed: %s" % (self._head, error))
        self._receiver = None


def _is_mark(found) -> bool:
    """Whether a mark has its form, as one that was read may have another."""
    return isinstance(found, list) and [type(part) for part in found] == [str, int, int]
