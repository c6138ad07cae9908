"""Uploads of logs and updates of the firmware (OCPP 1.6, 5.3 and 5.19; white paper, L01 and N01); loaded for a job."""

import asyncio

from micropython import const

from ocpp import timestamps
from ocpp.errors import CallError, CallTimeout, NotConnected, OcppError
from ocpp.rare import borrow
from ocpp.upkeep import UPDATE, UPLOAD

# 5.3 and 5.19 leave both to us when the central system does not say.
_RETRIES = const(2)
_INTERVAL_S = const(60)
# A central system that asks for more would keep the station busy for ever.
_MOST_RETRIES = const(20)
_LONGEST_INTERVAL_S = const(86_400)
# How often is looked whether a session has ended, a time has come or the clock is known. These may take days.
_LOOK_MS = const(2_000)
# What was told before a restart may take so long to be delivered.
_HEARD_LOOK_MS = const(200)
_HEARD_LOOKS = const(20)
# A job that a restart has interrupted so often has perhaps caused it.
_STARTS = const(3)

# Two jobs tell some 10 states; what is older than that helps nobody.
_MESSAGES = const(12)

IDLE = "Idle"
# Action by kind and whether it is the white paper's form.
_ACTIONS = (
    ("DiagnosticsStatusNotification", "LogStatusNotification"),
    ("FirmwareStatusNotification", "SignedFirmwareStatusNotification"),
)
WAITING = "waiting"
INSTALLING = "installing"


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


def begin(point, job: Job, function, *arguments) -> None:
    """Stop the job of the same kind, and start `function(point, job, *arguments)` after the answer."""
    _take(point.upkeep, job)
    point.later(_work, point, job, function, arguments)


def _take(upkeep, job: Job) -> None:
    former = upkeep.jobs[job.kind]
    upkeep.jobs[job.kind] = job
    upkeep.secure[job.kind] = job.secure
    if former is not None:
        for task in former.tasks:
            task.cancel()


async def _work(point, job: Job, function, arguments: tuple) -> None:
    jobs = point.upkeep.jobs
    if jobs[job.kind] is not job:
        return
    job.tasks.append(asyncio.current_task())
    try:
        await function(point, job, *arguments)
    finally:
        if jobs[job.kind] is job:
            jobs[job.kind] = None


def _keep(point, value) -> None:
    """Keep what an update has to know after a restart, None when there is nothing."""
    try:
        point.upkeep.store.save(value)
    except (OSError, ValueError) as error:
        text = "a firmware update would not outlive a restart: %s" % error
        point.log.add("warning", "ocpp", "not_stored", text)


# -- messages ----------------------------------------------------------------------------------------


def _tell(point, job: Job, status: str) -> None:
    """Send the status of a job to the central system, as soon as it is there; the same only once."""
    if status == job.status:
        return
    job.status = status
    messages = point.upkeep.messages
    if len(messages) == _MESSAGES:
        action, dropped = messages.pop(0)
        point.log.add("warning", "ocpp", "dropped", "%s %s was never sent" % (action, dropped["status"]))
    messages.append(_message(job))
    point.upkeep.news()


async def tell_again(point, what: str, extended: bool = False) -> None:
    """Send the present status for a trigger message.

    In the white paper's form if that was used for the update, or now for the trigger (`extended`).
    """
    kind = UPDATE if what == _ACTIONS[UPDATE][0] else UPLOAD
    job = point.upkeep.jobs[kind]
    secure = what == _ACTIONS[UPLOAD][1] or (kind == UPDATE and (extended or point.upkeep.secure[kind]))
    if job is None or job.secure != secure:
        job = Job(kind, secure, None)
    try:
        await point.call(*_message(job), triggered=True)
    except (NotConnected, CallError, CallTimeout) as error:
        point.log.add("warning", "ocpp", "status_not_told", "%s failed: %s" % (what, error))


def _message(job: Job) -> tuple:
    """(action, payload) that tell the status of a job."""
    payload = {"status": job.status}
    if job.secure and job.request_id is not None:
        payload["requestId"] = job.request_id
    return _ACTIONS[job.kind][job.secure], payload


# -- transfers ---------------------------------------------------------------------------------------


def tls(point):
    """A maker of what `transfer` checks https servers with: the roots of central systems; None when there are none."""
    certificates = borrow("certificates")
    roots = [der for _, der in certificates.Store(point.folder, point.log).roots(certificates.CENTRAL)]
    if not roots:
        return None
    return lambda: borrow("tls").Tls(roots, None, None, point.clock.utc_s)


async def _attempts(point, payload: dict, what: str, attempt) -> bool:
    """Run `await attempt()` until it succeeds, up to `retries` times more, each `retryInterval` s later -> success."""
    retries = min(max(payload.get("retries", _RETRIES), 0), _MOST_RETRIES)
    interval_s = min(max(payload.get("retryInterval", _INTERVAL_S), 0), _LONGEST_INTERVAL_S)
    for number in range(retries + 1):
        if number:
            await asyncio.sleep_ms(interval_s * 1000)
        try:
            await attempt()
            return True
        except (OcppError, OSError, ValueError) as error:
            text = "%s failed, try %d of %d: %s" % (what, number + 1, retries + 1, error)
            point.log.add("warning", "ocpp", "transfer_failed", text)
            event = getattr(error, "event", None)
            if event:
                point.security.event(event, str(error))
    return False


# -- uploads -----------------------------------------------------------------------------------------


async def upload(point, job, payload: dict, location: str, name: str, pieces) -> None:
    """Send a file of `pieces()` called `name` to `location`."""

    async def attempt():
        transfer = borrow("transfer")
        await transfer.upload(point.open_connection, location, pieces, name, tls=tls(point))

    _tell(point, job, "Uploading")
    if await _attempts(point, payload, "upload of " + name, attempt):
        _tell(point, job, "Uploaded")
        point.log.add("info", "ocpp", "uploaded", "%s was sent to the central system" % name)
    else:
        _tell(point, job, "UploadFailure" if job.secure else "UploadFailed")


# -- firmware ----------------------------------------------------------------------------------------


async def update(point, job, payload: dict, verifier=None, starts: int = 1) -> None:
    """Fetch a firmware when its time has come, check whose it is, and install it when no session runs.

    `verifier` (signature.Verifier) has checked the signing certificate of a SignedUpdateFirmware.
    """
    _keep(point, {"stage": WAITING, "secure": job.secure, "payload": payload, "starts": starts})
    place = await _fetch(point, job, payload, verifier)
    if place is not None:
        installed = False
        try:
            installed = await _install(point, job, payload, place)
        finally:
            if not installed:
                place.discard()
        if installed:
            await _heard(point)
            await point.reset(False)
            return
    _keep(point, None)


async def _fetch(point, job, payload: dict, verifier):
    """Download -> the place where the firmware is, None when there is none; the central system has been told why."""
    order = payload["firmware"] if job.secure else payload
    await _until(point, job, order["retrieveDateTime" if job.secure else "retrieveDate"], "DownloadScheduled")
    await _free(point, job)
    _tell(point, job, "Downloading")
    download = _Download(point, order["location"], verifier, payload)
    if not await _attempts(point, payload, "download of the firmware", download.attempt):
        _tell(point, job, "DownloadFailed")
        return None
    _tell(point, job, "Downloaded")
    if job.secure and not await _signed(point, job, download.verifier):
        download.place.discard()
        return None
    return download.place


async def _heard(point) -> None:
    """Give the central system a moment to hear what was told: a restart forgets it."""
    for _ in range(_HEARD_LOOKS):
        if not point.upkeep.messages:
            return
        await asyncio.sleep_ms(_HEARD_LOOK_MS)


async def _free(point, job) -> None:
    """Wait until the station can take a firmware, which it may not while a car charges."""
    waits = point.station.firmware_waits()
    if waits is None:
        return
    point.log.add("info", "ocpp", "update_waits", "the download of the firmware waits: %s" % waits)
    if job.secure:
        _tell(point, job, "DownloadScheduled")
    while point.station.firmware_waits() is not None:
        await asyncio.sleep_ms(_LOOK_MS)


class _Download:
    """Tries to download a firmware; `place` and `verifier` are those of the last try."""

    def __init__(self, point, location: str, verifier, payload: dict):
        self._point = point
        self._location = location
        self._payload = payload
        self._first = verifier
        self.verifier = verifier
        self.place = None

    async def attempt(self) -> None:
        """One try, from the first byte on."""
        point = self._point
        if "firmware" in self._payload:
            self.verifier = self._first or await checked(point, self._payload)
            self._first = None
        place = point.station.firmware()
        done = False
        try:
            transfer = borrow("transfer")
            size = await transfer.download(
                point.open_connection, self._location, self._writer(place), tls=tls(point), max_bytes=place.most_bytes
            )
            done = True
        finally:
            if not done:
                place.discard()
        self.place = place
        point.log.add("info", "ocpp", "downloaded", "a firmware of %d bytes was downloaded" % size)

    def _writer(self, place):
        if self.verifier is None:
            return place.write
        update = self.verifier.update

        def write(piece):
            update(piece)
            return place.write(piece)

        return write


async def checked(point, payload: dict):
    """A Verifier whose certificate is good; OcppError with the security event to report when it is not."""
    order = payload["firmware"]
    signature = borrow("signature")
    roots = signature.maker_roots(point)
    verifier = signature.Verifier(order["signingCertificate"], order["signature"], roots, point.clock.utc_s())
    status = await verifier.check_certificate()
    if status:
        raise BadCertificate(status, verifier.reason, signature.EVENTS[status])
    return verifier


class BadCertificate(OcppError):
    """The certificate that a firmware is signed with is not trusted."""

    def __init__(self, status: str, reason: str, event: str):
        super().__init__("the signing certificate is not trusted: %s" % reason)
        self.status = status
        self.event = event


async def _signed(point, job, verifier) -> bool:
    """Whether the signature over what was downloaded is right; the central system is told."""
    status = await verifier.finish()
    if status != "SignatureVerified":
        point.log.add("error", "ocpp", "bad_signature", "the firmware is not installed: %s" % verifier.reason)
        point.security.event(borrow("signature").EVENTS[status], verifier.reason)
        _tell(point, job, "InvalidSignature")
        return False
    _tell(point, job, status)
    return True


async def _until(point, job, text, status: str) -> None:
    """Wait until the time `text` has come, and tell `status` (white paper) if it has not yet."""
    due_s = timestamps.parse(text)
    while True:
        now_s = point.clock.utc_s()
        if now_s is not None and now_s >= due_s:
            return
        if job.secure and now_s is not None:
            _tell(point, job, status)
        await asyncio.sleep_ms(_LOOK_MS)


async def _install(point, job, payload: dict, place) -> bool:
    """Install what is at `place` after the running session -> whether a restart will run it."""
    if job.secure and "installDateTime" in payload["firmware"]:
        await _until(point, job, payload["firmware"]["installDateTime"], "InstallScheduled")
    while point.transactions.current is not None or point.station.session_active():
        await asyncio.sleep_ms(_LOOK_MS)
    job.installing = True
    version = point.station.boot_info().get("firmwareVersion")
    _keep(point, {"stage": INSTALLING, "secure": job.secure, "request": job.request_id, "version": version})
    _tell(point, job, "Installing")
    try:
        await place.install()
    except (OcppError, OSError, ValueError) as error:
        point.log.add("error", "ocpp", "not_installed", "the firmware could not be installed: %s" % error)
        _tell(point, job, "InstallationFailed")
        return False
    if job.secure:
        _tell(point, job, "InstallRebooting")
    return True


# -- after a restart ---------------------------------------------------------------------------------


def resume(point, kept: dict) -> None:
    """Go on with an update that a restart has interrupted, or tell how installing has ended."""
    secure = bool(kept.get("secure"))
    if kept.get("stage") == INSTALLING:
        job = Job(UPDATE, secure, kept.get("request"))
        job.installing = True
        # What a trigger message hears meanwhile; it was told before the restart.
        job.status = "Installing"
        _take(point.upkeep, job)
        point.start(_work, point, job, settle, (kept.get("version"),))
        return
    payload, starts = kept.get("payload"), kept.get("starts")
    if kept.get("stage") != WAITING or not isinstance(payload, dict) or not isinstance(starts, int):
        _keep(point, None)
        return
    job = Job(UPDATE, secure, payload.get("requestId"))
    place = point.station.firmware()
    if starts >= _STARTS or place is None:
        _keep(point, None)
        if place is not None:
            place.discard()
        _tell(point, job, "DownloadFailed")
        return
    _take(point.upkeep, job)
    point.start(_work, point, job, update, (payload, None, starts + 1))


async def settle(point, job, version) -> None:
    """Tell how installing has ended, as soon as the new firmware is kept or given up; `version` ran before."""
    result = point.station.firmware_result()
    while result is None:
        await asyncio.sleep_ms(_LOOK_MS)
        result = point.station.firmware_result()
    installed, reason = result
    now = point.station.boot_info().get("firmwareVersion")
    _keep(point, None)
    if not installed:
        point.log.add("error", "ocpp", "not_installed", "firmware %s runs as before: %s" % (now, reason))
        _tell(point, job, "InstallationFailed")
        return
    point.log.add("info", "ocpp", "installed", "firmware %s was installed" % now)
    point.security.event("FirmwareUpdated", "%s after %s" % (now, version))
    _tell(point, job, "Installed")
