"""Task `update`: knows what the slots hold and when an update may begin; what does the work is loaded for it (R29)."""

import asyncio
import sys
from time import ticks_add, ticks_diff

from micropython import const

import hal.slots as slots
from loader import start
from loader.record import COMMITTED, NOTHING
from wallbox.storage.store import Store
from wallbox.timer import unwatched

_FOLDER = "wallbox.update"
_LOADED = ("container", "health", "keys", "receiver", "writer")
_LIBRARIES = ("p256", "asn1")
# A link that has gone silent must not keep cars waiting.
_SILENT_MS = const(120_000)
_LOOK_MS = const(1_000)
_LOOK_REST_MS = const(10_000)
# Whoever sent the update hears of its end before the restart.
_ANSWER_MS = const(2_000)
_HOLD = "a firmware update is under way; charging goes on after it"

IDLE = "idle"
RECEIVING = "receiving"
RESTART = "restart"
TRIAL = "trial"


class Update:
    """`state` is one of the four above; `slot` the one that runs, None when the firmware is started from source.

    `record` is what the loader knows; without slots it is None.
    """

    def __init__(self, app):
        self._app = app
        self._wake = asyncio.Event()
        self._heard_ms = 0
        self.slot = slots.running()
        self.record = None if self.slot is None else start.read(slots)
        self.state = TRIAL if self.record is not None and self.record.trial == self.slot else IDLE
        Store.trial = self.on_trial
        self.receiver = None
        # [SHA-256, bytes stored] of an upload that its link has left.
        self.left = None

    @property
    def on_trial(self) -> bool:
        """Whether this firmware still has to prove itself."""
        return self.state == TRIAL

    @property
    def target(self) -> int:
        """The slot that an update goes to."""
        return 1 if self.slot is None else 1 - self.slot

    def refusal(self):
        """Why no update may begin now, in words, or None."""
        if self.state == TRIAL:
            return "this firmware has to prove itself first; try again in a few minutes"
        if self.state == RECEIVING:
            return "an update is already being received, over %s" % self.receiver.source
        if self.state == RESTART:
            return "an update is installed and waits for its restart"
        if self._app.session.active:
            return "a car is charging; the update can begin when this session has ended"
        return None

    def result(self):
        """How the last update ended: (committed, reason), None while that is open."""
        if self.state in (TRIAL, RESTART):
            return None
        record = self.record
        if record is None or record.ended == NOTHING:
            return False, "no new firmware was started"
        return record.ended == COMMITTED, record.reason

    def status(self) -> dict:
        """{"state", "slot" "a", "b" or None, "source", "percent", "version", "result", "text"}."""
        receiver, record = self.receiver, self.record
        found = {"state": self.state, "slot": None if self.slot is None else "ab"[self.slot], "source": None}
        found["percent"] = found["version"] = found["result"] = None
        found["text"] = ""
        if receiver is not None:
            found["source"], found["percent"], found["version"] = receiver.source, receiver.percent, receiver.version
        elif record is not None and record.version:
            found["version"] = record.version
            found["text"] = record.reason
            if record.ended != NOTHING:
                found["result"] = "committed" if record.ended == COMMITTED else "rolled_back"
        return found

    # -- receiving ------------------------------------------------------------------------------------

    def receive(self, source: str, size):
        """A Receiver for a container of `size` bytes (None: unknown) that comes over `source`; ValueError why not."""
        why = self.refusal()
        if why is not None:
            raise ValueError(why)
        self.receiver = load("receiver").Receiver(self._app, self, source, size)
        self.state = RECEIVING
        self.alive()
        self._app.snapshot.updating = True
        self._app.snapshot.changed.set()
        self._wake.set()
        return self.receiver

    def alive(self) -> None:
        """Something of the update has come; so long no car charges (flash that is erased stops the control loop)."""
        now = self._app.clock.ticks_ms()
        self._heard_ms = now
        self._app.offer.set("update", 0, _HOLD, "update", ticks_add(now, _SILENT_MS))

    def end(self) -> None:
        """What was received is complete, or given up."""
        self.receiver = None
        if self.state == RECEIVING:
            self.state = IDLE
        self._app.offer.clear("update")
        self._app.snapshot.updating = False
        self._app.snapshot.changed.set()
        forget()

    def activate(self, header) -> bool:
        """Have the next start try what was received; False when nothing starts from slots here; OSError."""
        if self.slot is None:
            return False
        record = start.read(slots)
        record.begin(self.target, header.version)
        slots.save(record.pack())
        self.record = record
        self.state = RESTART
        return True

    def committed(self, record) -> None:
        """The firmware that runs has proven itself."""
        self.record = record
        self.state = IDLE
        Store.trial = False

    def restart(self) -> None:
        """Restart into what was installed, as soon as no session is there and the sender has its answer."""
        self._wake.set()

    # -- the task --------------------------------------------------------------------------------------

    async def run(self, beat=unwatched) -> None:
        """Prove a firmware on trial, then wait for updates; ends only by cancellation."""
        if self.record is not None and (self.on_trial or not self.record.told):
            await load("health").run(self._app, self, slots, beat)
            forget()
        while True:
            beat(None)
            await self._wake.wait()
            self._wake.clear()
            while self.state == RECEIVING:
                if ticks_diff(self._app.clock.ticks_ms(), self._heard_ms) >= _SILENT_MS:
                    self._app.log.add("warning", "update", "silent", "no more of the firmware has come")
                    self.receiver.close()
                await self._app.clock.poll(_LOOK_MS, _LOOK_REST_MS)
            if self.state == RESTART:
                await asyncio.sleep_ms(_ANSWER_MS)
                while self._app.session.active:
                    await self._app.clock.poll(_LOOK_MS, _LOOK_REST_MS)
                self._app.restart("firmware update")


def load(name: str):
    """The module `name` of this package, which `forget` lets go of."""
    return __import__(_FOLDER + "." + name, None, None, ("x",))


def forget() -> None:
    """Let go of the modules that only an update needs."""
    package = sys.modules[_FOLDER]
    for name in _LOADED:
        sys.modules.pop(_FOLDER + "." + name, None)
        if hasattr(package, name):
            delattr(package, name)
    for name in _LIBRARIES:
        sys.modules.pop(name, None)
