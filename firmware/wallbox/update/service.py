"""Task `update`: knows what the slots hold and when an update may begin; what does the work is loaded for it (R29)."""

import asyncio
import sys

import hal.slots as slots
from wallbox.storage.store import Store
from wallbox.timer import unwatched

_FOLDER = "wallbox.update"
_LOADED = ("container", "health", "keys", "receiver", "writer")
_LIBRARIES = ("p256", "asn1")

IDLE = "idle"
RECEIVING = "receiving"
RESTART = "restart"
TRIAL = "trial"


class Update:
    """`state` is one of the four above; `slot` the one that runs, None when the firmware is started from source.

    `record` is what the loader knows; without slots it is None. `receiver` takes what comes; `left` is None or
    [SHA-256, bytes stored, CRC-32 of these] of an upload that its link has left.
    """

    def __init__(self, app):
        self._app = app
        self.wake = asyncio.Event()
        self.slot = slots.running()
        self.record = None if self.slot is None else load_record()
        self.state = TRIAL if self.record is not None and self.record.trial == self.slot else IDLE
        Store.trial = self.state == TRIAL
        self.receiver = None
        self.left = None

    def refusal(self):
        """Why no update may begin now, in words, or None."""
        if self.state == TRIAL:
            return "this firmware has to prove itself first; try again in a few minutes"
        if self.state == RECEIVING:
            return "an update is already being received, over %s" % self.receiver.source  # type: ignore
        if self.state == RESTART:
            return "an update is installed and waits for its restart"
        if self._app.session.active:
            return "a car is charging; the update can begin when this session has ended"
        return None

    def receive(self, source: str, size):
        """A Receiver for a container of `size` bytes (None: unknown) that comes over `source`; ValueError why not."""
        why = self.refusal()
        if why is not None:
            raise ValueError(why)
        return load("receiver").Receiver(self._app, self, source, size)

    def result(self):
        """How the last update ended: (committed, reason), None while that is open."""
        if self.state in (TRIAL, RESTART):
            return None
        record = self.record
        if record is None or not record.over:
            return False, "no new firmware was started"
        return record.committed, record.reason

    def status(self) -> dict:
        """{"state", "slot" "a", "b" or None, "source", "percent", "version", "result", "text"}."""
        found = {"state": self.state, "slot": None if self.slot is None else "ab"[self.slot], "text": ""}
        found["source"] = found["percent"] = found["version"] = found["result"] = None
        record = self.record
        if self.receiver is not None:
            self.receiver.tell(found)
        elif record is not None:
            found["version"], found["text"] = record.version or None, record.reason
            if record.over:
                found["result"] = "committed" if record.committed else "rolled_back"
        return found

    async def run(self, beat=unwatched) -> None:
        """Prove a firmware on trial, then wait for updates; ends only by cancellation."""
        if self.record is not None and (self.state == TRIAL or not self.record.told):
            await load("health").run(self._app, self, slots, beat)
            forget()
        while True:
            beat(None)
            await self.wake.wait()
            self.wake.clear()
            await load("receiver").watch(self._app, self)


def load_record():
    """What the loader knows; it is frozen beside the interpreter, and not there where nothing starts from slots."""
    from loader import start

    return start.read(slots)


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
