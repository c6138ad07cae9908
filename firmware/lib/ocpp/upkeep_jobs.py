"""Uploads of logs and updates of the firmware (OCPP 1.6, 5.3 and 5.19; white paper, L01 and N01); loaded for a job."""

import asyncio

from micropython import const

from ocpp import timestamps
from ocpp.errors import OcppError
from ocpp.rare import borrow
from ocpp.upkeep import UPDATE, Job

# 5.3 and 5.19 leave both to us when the central system does not say.
_RETRIES = const(2)
_INTERVAL_S = const(60)
# A central system that asks for more would keep the station busy for ever.
_MOST_RETRIES = const(20)
_LONGEST_INTERVAL_S = const(86_400)
# How often is looked whether a session has ended, a time has come or the clock is known. These may take days.
_LOOK_MS = const(2_000)
# A job that a restart has interrupted so often has perhaps caused it.
_STARTS = const(3)

WAITING = "waiting"
INSTALLING = "installing"


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

    point.upkeep.tell(job, "Uploading")
    if await _attempts(point, payload, "upload of " + name, attempt):
        point.upkeep.tell(job, "Uploaded")
        point.log.add("info", "ocpp", "uploaded", "%s was sent to the central system" % name)
    else:
        point.upkeep.tell(job, "UploadFailure" if job.secure else "UploadFailed")


# -- firmware ----------------------------------------------------------------------------------------


async def update(point, job, payload: dict, verifier=None, starts: int = 1) -> None:
    """Fetch a firmware when its time has come, check whose it is, and install it when no session runs.

    `verifier` (signature.Verifier) has checked the signing certificate of a SignedUpdateFirmware.
    """
    upkeep = point.upkeep
    upkeep.keep({"stage": WAITING, "secure": job.secure, "payload": payload, "starts": starts})
    place = await _fetch(point, job, payload, verifier)
    if place is not None:
        installed = False
        try:
            installed = await _install(point, job, payload, place)
        finally:
            if not installed:
                place.discard()
        if installed:
            await point.reset(False)
            return
    upkeep.keep(None)


async def _fetch(point, job, payload: dict, verifier):
    """Download -> the place where the firmware is, None when there is none; the central system has been told why."""
    upkeep = point.upkeep
    order = payload["firmware"] if job.secure else payload
    await _until(point, job, order["retrieveDateTime" if job.secure else "retrieveDate"], "DownloadScheduled")
    upkeep.tell(job, "Downloading")
    download = _Download(point, order["location"], verifier, payload)
    if not await _attempts(point, payload, "download of the firmware", download.attempt):
        upkeep.tell(job, "DownloadFailed")
        return None
    upkeep.tell(job, "Downloaded")
    if job.secure and not await _signed(point, job, download.verifier):
        download.place.discard()
        return None
    return download.place


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
        point.upkeep.tell(job, "InvalidSignature")
        return False
    point.upkeep.tell(job, status)
    return True


async def _until(point, job, text, status: str) -> None:
    """Wait until the time `text` has come, and tell `status` (white paper) if it has not yet."""
    due_s = timestamps.parse(text)
    while True:
        now_s = point.clock.utc_s()
        if now_s is not None and now_s >= due_s:
            return
        if job.secure and now_s is not None:
            point.upkeep.tell(job, status)
        await asyncio.sleep_ms(_LOOK_MS)


async def _install(point, job, payload: dict, place) -> bool:
    """Install what is at `place` after the running session -> whether a restart will run it."""
    upkeep = point.upkeep
    if job.secure and "installDateTime" in payload["firmware"]:
        await _until(point, job, payload["firmware"]["installDateTime"], "InstallScheduled")
    while point.transactions.current is not None or point.station.session_active():
        await asyncio.sleep_ms(_LOOK_MS)
    job.installing = True
    version = point.station.boot_info().get("firmwareVersion")
    upkeep.keep({"stage": INSTALLING, "secure": job.secure, "request": job.request_id, "version": version})
    upkeep.tell(job, "Installing")
    try:
        await place.install()
    except (OcppError, OSError, ValueError) as error:
        point.log.add("error", "ocpp", "not_installed", "the firmware could not be installed: %s" % error)
        upkeep.tell(job, "InstallationFailed")
        return False
    if job.secure:
        upkeep.tell(job, "InstallRebooting")
    return True


# -- after a restart ---------------------------------------------------------------------------------


def resume(point, kept: dict) -> None:
    """Go on with an update that a restart has interrupted, or tell how installing has ended."""
    upkeep = point.upkeep
    secure = bool(kept.get("secure"))
    if kept.get("stage") == INSTALLING:
        upkeep.keep(None)
        _tell_end(point, Job(UPDATE, secure, kept.get("request")), kept.get("version"))
        return
    payload, starts = kept.get("payload"), kept.get("starts")
    if kept.get("stage") != WAITING or not isinstance(payload, dict) or not isinstance(starts, int):
        upkeep.keep(None)
        return
    job = Job(UPDATE, secure, payload.get("requestId"))
    place = point.station.firmware()
    if starts >= _STARTS or place is None:
        upkeep.keep(None)
        if place is not None:
            place.discard()
        upkeep.tell(job, "DownloadFailed")
        return
    upkeep.go_on(job, "update", payload, None, starts + 1)


def _tell_end(point, job, version) -> None:
    """Another version runs than before: it is installed."""
    now = point.station.boot_info().get("firmwareVersion")
    if now == version:
        point.log.add("error", "ocpp", "not_installed", "after installing, firmware %s still runs" % now)
        point.upkeep.tell(job, "InstallationFailed")
        return
    point.log.add("info", "ocpp", "installed", "firmware %s was installed" % now)
    point.security.event("FirmwareUpdated", "%s after %s" % (now, version))
    point.upkeep.tell(job, "Installed")
