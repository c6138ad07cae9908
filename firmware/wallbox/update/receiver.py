"""Takes a container from whoever sends it; loaded while one comes."""

import hal.slots as slots
from loader.header import Refused
from wallbox.update.container import check
from wallbox.update.keys import KEYS
from wallbox.update.writer import Writer

_INSTALLED = "firmware %s is verified and in slot %s; the wallbox restarts into it and keeps it when it is healthy"
_WRITTEN = "firmware %s is verified and in slot %s; it takes no effect, as this wallbox was not started from a slot"


class Receiver:
    """Made by `Update.receive`; used until `finish` has ended or `close` was called."""

    def __init__(self, app, update, source: str, size):
        self.source = source
        self._app = app
        self._update = update
        self._size = size
        self._open = True
        self.installed = False
        self.writer = Writer(slots, update.target, size, self._judge)

    @property
    def percent(self):
        """How much has come, None while nobody knows of how much."""
        whole = self._size
        if self.writer.header is not None:
            whole = slots.SECTOR + self.writer.header.size
        return None if whole is None else self.writer.offset * 100 // whole

    @property
    def version(self):
        """The version that comes, None until that is known."""
        header = self.writer.header
        return None if header is None else header.version

    async def _judge(self, header) -> None:
        record = self._update.record
        await check(header, slots, 0 if record is None else record.counter, KEYS)
        text = "firmware %s comes over %s, for slot %s" % (header.version, self.source, "ab"[self._update.target])
        self._app.log.add("info", "update", "receiving", text)

    async def go_on(self, head: bytes, offset) -> None:
        """Go on with what is in the slot already, see `Writer.go_on`; Refused."""
        self._check()
        await self.writer.go_on(head, offset)

    async def write(self, data) -> None:
        """Take the next bytes; Refused, OSError. After either it is over."""
        self._check()
        self._update.alive()
        try:
            await self.writer.write(data)
        except (Refused, OSError) as error:
            self._failed(error)
            raise

    async def finish(self, sha256=None) -> bool:
        """Verify all of it and let it be tried at the next start -> whether it will be; Refused, OSError.

        It is over then. `sha256` is that of the whole container, if somebody has told it.
        """
        self._check()
        self._update.alive()
        try:
            await self.writer.finish(sha256)
            self.installed = self._update.activate(self.writer.header)
        except (Refused, OSError) as error:
            self._failed(error)
            raise
        self._app.log.add("warning", "update", "installed" if self.installed else "written", self.text())
        self.close()
        return self.installed

    def text(self) -> str:
        """What has become of it, for people."""
        text = _INSTALLED if self.installed else _WRITTEN
        return text % (self.version, "ab"[self._update.target])

    def _check(self) -> None:
        if not self._open:
            raise OSError("the update was given up")

    def _failed(self, error) -> None:
        self._app.log.add("error", "update", "refused", "firmware over %s: %s" % (self.source, error))
        self.close()

    def close(self) -> None:
        """Let go; what is in the slot stays. Harmless when it is over."""
        if self._open:
            self._open = False
            self._update.end()
