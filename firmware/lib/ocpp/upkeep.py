"""What runs for long at the central system's request: one upload and one firmware update at most; and their messages.

It stays in memory and is small; `upkeep_jobs` does the work and is loaded for it.
"""

import asyncio

from micropython import const

from ocpp.errors import CallError, CallTimeout, NotConnected
from ocpp.rare import borrow

# A message that could not be sent is tried again after this long.
_AGAIN_MS = const(10_000)
# Two jobs tell some 10 states; what is older than that helps nobody.
_MESSAGES = const(12)

UPLOAD = const(0)
UPDATE = const(1)
IDLE = "Idle"
# Action by kind and whether it is the white paper's form.
_ACTIONS = (
    ("DiagnosticsStatusNotification", "LogStatusNotification"),
    ("FirmwareStatusNotification", "SignedFirmwareStatusNotification"),
)


class Job:
    """One upload or update: `kind`, `secure` (in the white paper's form), its requestId or None, its last status."""

    def __init__(self, kind: int, secure: bool, request_id):
        self.kind = kind
        self.secure = secure
        self.request_id = request_id
        self.status = IDLE
        # What is being installed must not be stopped any more.
        self.installing = False
        self.tasks = []


class Upkeep:
    """Jobs and their messages.

    `point` has call, later, start, log, stores, station, security, clock, transactions, open_connection, reset, sender.
    """

    def __init__(self, point):
        self._point = point
        self._store = point.stores("ocpp_upkeep")
        self._jobs: list = [None, None]
        # Whether the last job of a kind was in the white paper's form: so is what is triggered.
        self._secure = [False, False]
        self._messages = []
        self._turn = point.sender.add(self._step)

    def job(self, kind: int):
        """The job that runs, or None."""
        return self._jobs[kind]

    # -- jobs ----------------------------------------------------------------------------------------

    def begin(self, job: Job, function: str, *arguments) -> None:
        """Stop the job of the same kind, and start `upkeep_jobs.function(point, job, *arguments)` after the answer."""
        self._take(job)
        self._point.later(self._work, job, function, arguments)

    def go_on(self, job: Job, function: str, *arguments) -> None:
        """As `begin`, with no answer to wait for."""
        self._take(job)
        self._point.start(self._work, job, function, arguments)

    def _take(self, job: Job) -> None:
        self.stop(job.kind)
        self._jobs[job.kind] = job
        self._secure[job.kind] = job.secure

    def stop(self, kind: int) -> None:
        """Give up the job of a kind, if there is one."""
        job = self._jobs[kind]
        self._jobs[kind] = None
        if job is not None:
            for task in job.tasks:
                task.cancel()

    async def _work(self, job: Job, function: str, arguments: tuple) -> None:
        if self._jobs[job.kind] is not job:
            return
        job.tasks.append(asyncio.current_task())
        try:
            await getattr(borrow("upkeep_jobs"), function)(self._point, job, *arguments)
        finally:
            if self._jobs[job.kind] is job:
                self._jobs[job.kind] = None

    # -- what outlives a restart ---------------------------------------------------------------------

    def keep(self, value) -> None:
        """Keep what an update has to know after a restart, None when there is nothing."""
        try:
            self._store.save(value)
        except (OSError, ValueError) as error:
            text = "a firmware update would not outlive a restart: %s" % error
            self._point.log.add("warning", "ocpp", "not_stored", text)

    def resume(self) -> None:
        """Go on with what a restart has interrupted."""
        kept = self._store.load()
        if isinstance(kept, dict):
            borrow("upkeep_jobs").resume(self._point, kept)

    # -- messages ------------------------------------------------------------------------------------

    def tell(self, job: Job, status: str) -> None:
        """Send the status of a job to the central system, as soon as it is there; the same only once."""
        if status == job.status:
            return
        job.status = status
        self._send(job)

    async def tell_again(self, what: str, extended: bool = False) -> None:
        """Send the present status for a trigger message.

        In the white paper's form if that was used for the update, or now for the trigger (`extended`).
        """
        kind = UPDATE if what == _ACTIONS[UPDATE][0] else UPLOAD
        job = self._jobs[kind]
        secure = what == _ACTIONS[UPLOAD][1] or (kind == UPDATE and (extended or self._secure[kind]))
        if job is None or job.secure != secure:
            job = Job(kind, secure, None)
        try:
            await self._point.call(*_message(job), triggered=True)
        except (NotConnected, CallError, CallTimeout) as error:
            self._failed(what, error)

    def _send(self, job: Job) -> None:
        if len(self._messages) == _MESSAGES:
            action, dropped = self._messages.pop(0)
            self._point.log.add("warning", "ocpp", "dropped", "%s %s was never sent" % (action, dropped["status"]))
        self._messages.append(_message(job))
        self._turn.wake()

    def _failed(self, action: str, error) -> None:
        self._point.log.add("warning", "ocpp", "status_not_told", "%s failed: %s" % (action, error))

    def link_changed(self) -> None:
        """The central system is there, or is not any more."""
        self._turn.wake()

    async def _step(self):
        """Send the oldest message -> ms until the next may be sent, None when there is none."""
        if not self._messages:
            return None
        message = self._messages[0]
        try:
            await self._point.call(*message)
        except NotConnected:
            return _AGAIN_MS
        except (CallError, CallTimeout) as error:
            self._failed(message[0], error)
        if self._messages and self._messages[0] is message:
            self._messages.pop(0)
        return 0


def _message(job: Job) -> tuple:
    """(action, payload) that tell the status of a job."""
    payload = {"status": job.status}
    if job.secure and job.request_id is not None:
        payload["requestId"] = job.request_id
    return _ACTIONS[job.kind][job.secure], payload
