"""What runs for long at the central system's request: one upload and one firmware update at most; and their messages.

It stays in memory and is small; `upkeep_jobs` does the work and is loaded for it.
"""

from micropython import const

from ocpp.errors import CallError, CallTimeout, NotConnected
from ocpp.rare import borrow

# A message that could not be sent is tried again after this long.
_AGAIN_MS = const(10_000)

UPLOAD = const(0)
UPDATE = const(1)


class Upkeep:
    """What is known of jobs, and the messages that wait. `point` has call, log, stores, sender and what jobs need.

    `jobs` are those that run, by kind, `secure` whether the last one of a kind was in the white paper's form: so is
    what is triggered. `store` keeps what an update has to know after a restart.
    """

    def __init__(self, point):
        self._point = point
        self.store = point.stores("ocpp_upkeep")
        self.jobs: list = [None, None]
        self.secure = [False, False]
        # (action, payload), the oldest first.
        self.messages = []
        self._turn = point.sender.add(self._step)

    @property
    def installing(self) -> bool:
        """Whether a firmware that the central system has ordered is being installed or on trial."""
        job = self.jobs[UPDATE]
        return job is not None and job.installing

    def resume(self) -> None:
        """Go on with what a restart has interrupted."""
        kept = self.store.load()
        if isinstance(kept, dict):
            borrow("upkeep_jobs").resume(self._point, kept)

    def news(self) -> None:
        """A message waits; or the central system is there, or is not any more."""
        self._turn.wake()

    async def _step(self):
        """Send the oldest message -> ms until the next may be sent, None when there is none."""
        if not self.messages:
            return None
        message = self.messages[0]
        try:
            await self._point.call(*message)
        except NotConnected:
            return _AGAIN_MS
        except (CallError, CallTimeout) as error:
            self._point.log.add("warning", "ocpp", "status_not_told", "%s failed: %s" % (message[0], error))
        if self.messages and self.messages[0] is message:
            self.messages.pop(0)
        return 0
