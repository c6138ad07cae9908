"""Diagnostics, logs and firmware for the central system (OCPP 1.6, 5.3 and 5.19; white paper, L01 and N01)."""

from ocpp import timestamps
from ocpp.errors import NOT_SUPPORTED, CallError
from ocpp.rare import borrow
from ocpp.upkeep import UPDATE, UPLOAD

_jobs = borrow("upkeep_jobs")


def _seconds(text):
    """The time in seconds, None for none."""
    return None if text is None else timestamps.parse(text)


async def _get_diagnostics(point, payload) -> dict:
    name, pieces = point.station.diagnostics(_seconds(payload.get("startTime")), _seconds(payload.get("stopTime")))
    job = _jobs.Job(UPLOAD, False, None)
    _jobs.begin(point, job, _jobs.upload, payload, payload["location"], name, pieces)
    return {"fileName": name}


async def _get_log(point, payload) -> dict:
    log = payload["log"]
    oldest_s, latest_s = _seconds(log.get("oldestTimestamp")), _seconds(log.get("latestTimestamp"))
    if payload["logType"] == "SecurityLog":
        name = "security-%s.log" % point.station.serial

        def pieces():
            return point.security.log_pieces(oldest_s, latest_s)

    else:
        name, pieces = point.station.diagnostics(oldest_s, latest_s)
    status = _accepted(point, UPLOAD)
    job = _jobs.Job(UPLOAD, True, payload["requestId"])
    _jobs.begin(point, job, _jobs.upload, payload, log["remoteLocation"], name, pieces)
    return {"status": status, "filename": name}


def _accepted(point, kind: int) -> str:
    """The status of a new job of `kind`: there is one at a time, the newest (white paper, L01.FR.24 and N01.FR.12)."""
    return "Accepted" if point.upkeep.jobs[kind] is None else "AcceptedCanceled"


def _check_place(point) -> None:
    # Nothing is discarded: it may be the very place of an update that runs, and nothing was written.
    if point.station.firmware() is None:
        raise CallError(NOT_SUPPORTED, "this charge point cannot install a firmware")


def _installing(point) -> bool:
    job = point.upkeep.jobs[UPDATE]
    return job is not None and job.installing


async def _update_firmware(point, payload) -> dict:
    if _installing(point):
        point.log.add("warning", "ocpp", "busy", "an update was asked for while one is installed")
        return {}
    _check_place(point)
    _jobs.begin(point, _jobs.Job(UPDATE, False, None), _jobs.update, payload)
    return {}


async def _signed_update_firmware(point, payload) -> dict:
    if _installing(point):
        return {"status": "Rejected"}
    _check_place(point)
    try:
        verifier = await _jobs.checked(point, payload)
    except _jobs.BadCertificate as error:
        point.log.add("error", "ocpp", "bad_signature", str(error))
        point.security.event(error.event, str(error))
        return {"status": error.status}
    status = _accepted(point, UPDATE)
    _jobs.begin(point, _jobs.Job(UPDATE, True, payload["requestId"]), _jobs.update, payload, verifier)
    return {"status": status}


HANDLERS = {
    "GetDiagnostics": _get_diagnostics,
    "GetLog": _get_log,
    "UpdateFirmware": _update_firmware,
    "SignedUpdateFirmware": _signed_update_firmware,
}
