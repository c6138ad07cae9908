"""Takes a container from whoever sends it, and restarts into it; loaded while one comes."""

import asyncio
from time import ticks_add, ticks_diff

from micropython import const

import hal.slots as slots
from loader.header import Refused
from wallbox.installer.security import SecurityLog
from wallbox.update.container import check
from wallbox.update.keys import KEYS
from wallbox.update.service import IDLE, RECEIVING, RESTART, forget, load_record
from wallbox.update.writer import Writer

# A link that has gone silent must not keep cars waiting.
_SILENT_MS = const(120_000)
_LOOK_MS = const(1_000)
_LOOK_REST_MS = const(10_000)
# Whoever sent the update hears of its end before the restart.
_ANSWER_MS = const(5_000)
_LIMIT = "update"
# Refused since it is not what somebody with a key has signed.
_FORGED = ("key", "signature", "damaged")
_HOLD = "a firmware update is under way; charging goes on after it"
_INSTALLED = "firmware %s is verified and in slot %s; the wallbox restarts into it and keeps it when it is healthy"
_WRITTEN = "firmware %s is verified and in slot %s; it takes no effect, as this wallbox was not started from a slot"


class Receiver:
    """Made by `Update.receive`; used until `finish` has ended or `close` was called. So long no car charges.

    Flash that is erased stops the control loop for longer than it may be late.
    """

    def __init__(self, app, update, source: str, size):
        self.source = source
        self.installed = False
        self.heard_ms = 0
        self._app = app
        self._update = update
        self._size = size
        self._open = True
        self._slot = 1 if update.slot is None else 1 - update.slot
        self.writer = Writer(slots, self._slot, size, self._judge)
        update.receiver = self
        update.state = RECEIVING
        self._alive()
        app.snapshot.updating = True
        app.snapshot.changed.set()
        update.wake.set()

    @property
    def version(self):
        """The version that comes, None until that is known."""
        header = self.writer.header
        return None if header is None else header.version

    def tell(self, status: dict) -> None:
        """Add to the update's status how far it is."""
        whole = self._size
        if self.writer.header is not None:
            whole = slots.SECTOR + self.writer.header.size
        status["source"] = self.source
        status["version"] = self.version
        status["percent"] = None if whole is None else self.writer.offset * 100 // whole

    def text(self) -> str:
        """What has become of it, for people."""
        text = _INSTALLED if self.installed else _WRITTEN
        return text % (self.version, "ab"[self._slot])

    def _alive(self) -> None:
        """Something of the update has come."""
        self.heard_ms = now = self._app.clock.ticks_ms()
        self._app.offer.set(_LIMIT, 0, _HOLD, "update", ticks_add(now, _SILENT_MS))

    async def _judge(self, header) -> None:
        record = self._record()
        await check(header, slots, 0 if record is None else record.counter, KEYS)
        if record is not None and record.over:
            record.reopen()
            self._keep(record)
        text = "firmware %s comes over %s, for slot %s" % (header.version, self.source, "ab"[self._slot])
        self._app.log.add("info", "update", "receiving", text)

    def _record(self):
        """What is kept about the slots, None when nothing starts from them here; OSError."""
        if self._update.slot is None:
            return None
        record = load_record()
        if record is None:
            # Without it nothing says how old a firmware may be.
            raise OSError("what is kept about the slots cannot be read")
        return record

    def _keep(self, record) -> None:
        slots.save(record.pack())
        self._update.record = record

    async def go_on(self, head: bytes, stored: int, crc: int) -> bool:
        """Go on with what is in the slot already, if it is, see `Writer.go_on`; Refused, OSError. Then it is over."""
        self._check()
        self._alive()
        try:
            return await self.writer.go_on(head, stored, crc)
        except (Refused, OSError) as error:
            self._failed(error)
            raise

    async def write(self, data) -> None:
        """Take the next bytes; Refused, OSError. After either it is over."""
        self._check()
        self._alive()
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
        self._alive()
        try:
            await self.writer.finish(sha256)
            self.installed = self._activate()
        except (Refused, OSError) as error:
            self._failed(error)
            raise
        self._app.log.add("warning", "update", "installed" if self.installed else "written", self.text())
        if self.installed:
            SecurityLog(self._app).add("firmware", self.source, "installed %s" % self.version)
        self.close()
        return self.installed

    def _activate(self) -> bool:
        """Have the next start try it -> False when nothing starts from slots here; OSError."""
        update = self._update
        if update.slot is None:
            return False
        record = self._record()
        # What runs is what comes back, also when the loader could not keep that it had to start the other slot.
        record.good = update.slot
        record.begin(self._slot, self.writer.header.version)
        self._keep(record)
        update.state = RESTART
        return True

    def _check(self) -> None:
        if not self.look():
            raise OSError("the update was given up")

    def look(self) -> bool:
        """Give it up when nothing has come for too long, since cars may charge then -> whether it goes on."""
        if self._open and ticks_diff(self._app.clock.ticks_ms(), self.heard_ms) >= _SILENT_MS:
            self._app.log.add("warning", "update", "silent", "no more of the firmware has come")
            self.close()
        return self._open

    def _failed(self, error) -> None:
        self._app.log.add("error", "update", "refused", "firmware over %s: %s" % (self.source, error))
        if isinstance(error, Refused):
            SecurityLog(self._app).add("firmware", self.source, "refused: %s" % error)
            if error.code in _FORGED:
                self._app.backend.security_event("InvalidFirmwareSignature", str(error))
        self.close()

    def close(self) -> None:
        """Let go; what is in the slot stays. Harmless when it is over."""
        if not self._open:
            return
        self._open = False
        update = self._update
        update.receiver = None
        if update.state == RECEIVING:
            update.state = IDLE
        self._app.offer.clear(_LIMIT)
        self._app.snapshot.updating = False
        self._app.snapshot.changed.set()
        forget()


async def watch(app, update) -> None:
    """Give up what goes silent; restart into what was installed once the sender has its answer and no session is there.

    Returns when there is nothing to watch.
    """
    while update.state == RECEIVING:
        update.receiver.look()
        await app.clock.poll(_LOOK_MS, _LOOK_REST_MS)
    if update.state == RESTART:
        await asyncio.sleep_ms(_ANSWER_MS)
        while app.session.active:
            await app.clock.poll(_LOOK_MS, _LOOK_REST_MS)
        app.backend.keep()
        app.restart("firmware update")
    forget()
