"""Remote start and stop (OCPP 1.6, 5.11 and 5.12), and messages that are triggered (5.17, white paper)."""

from ocpp.rare import borrow

_ACCEPTED = {"status": "Accepted"}
_REJECTED = {"status": "Rejected"}


async def _remote_start(point, payload) -> dict:
    id_tag = payload["idTag"]
    why = await _start_refused(point, payload, id_tag)
    if why is not None:
        point.log.add("warning", "ocpp", "not_started", "remote start refused: " + why)
        return _REJECTED
    # Loaded first: the heap may have no room for it.
    start = point.remote_start
    point.remote_tag = id_tag
    point.later(start, id_tag)
    return _ACCEPTED


async def _start_refused(point, payload, id_tag: str):
    """Why a remote start is refused, in words; None: it is not, and its profile waits for the transaction."""
    if payload.get("connectorId", 1) != 1:
        return "there is no such connector to start"
    if not await point.reservations.permits(id_tag):
        return "it is reserved for another"
    station = point.station
    if station.session_active() or station.waiting_tag() is not None or point.remote_tag is not None:
        return "the connector is in use"
    why = point.closed()
    profile = payload.get("chargingProfile")
    if why is None and profile is not None:
        if point.charging.set(1, profile, remote=True) != "Accepted":
            return "its profile is not allowed"
        point.remote_profile = id_tag
    return why


async def _remote_stop(point, payload) -> dict:
    current = point.transactions.current
    if current is None or current.transaction_id != payload["transactionId"]:
        return _REJECTED

    async def stop():
        point.station.stop("Remote")

    point.later(stop)
    return _ACCEPTED


async def _trigger(point, payload, extended=False) -> dict:
    """Each of the two has its own kinds, which the check of the payload knows."""
    what = payload["requestedMessage"]
    connector = payload.get("connectorId")
    if connector not in (None, 0, 1) or (what == "MeterValues" and connector == 0):
        return _REJECTED
    if what == "BootNotification":
        if point.link.registration == "Accepted":
            return _REJECTED

        async def boot():
            point.link.boot()

        point.later(boot)
    elif what == "Heartbeat":
        point.later(point.link.heartbeat)
    elif what == "MeterValues":
        if not point.config["MeterValuesSampledData"]:
            return _REJECTED
        point.later(point.metering.trigger)
    elif what == "StatusNotification":
        point.later(point.status.tell_again, connector)
    elif what in ("DiagnosticsStatusNotification", "FirmwareStatusNotification", "LogStatusNotification"):
        point.later(borrow("upkeep_jobs").tell_again, point, what, extended)
    elif not borrow("wear").permits(point, what):
        return _REJECTED
    else:
        point.later(point.security.sign_certificate, True)
    return _ACCEPTED


async def _extended_trigger(point, payload) -> dict:
    return await _trigger(point, payload, True)


HANDLERS = {
    "RemoteStartTransaction": _remote_start,
    "RemoteStopTransaction": _remote_stop,
    "TriggerMessage": _trigger,
    "ExtendedTriggerMessage": _extended_trigger,
}
