"""Availability, configuration, cache, data transfer, unlocking and reset (OCPP 1.6, chapter 5)."""

from ocpp.authorisation import masked
from ocpp.errors import OCCURRENCE, PROPERTY, CallError
from ocpp.rare import borrow

# These two are changed by the link's security, which has to prove them (white paper, A01 to A05).
_SECURED = ("AuthorizationKey", "SecurityProfile")
# An idTag, and as such nothing for the log.
_TAG = "FreeChargingIdTag"


async def _change_availability(point, payload) -> dict:
    connector = payload["connectorId"]
    if connector not in (0, 1):
        raise CallError(PROPERTY, "connectorId: %d is not allowed; allowed: 0, 1" % connector)
    operative = payload["type"] == "Operative"
    wanted = [operative, operative if connector == 0 else point.whole_operative]
    later = not operative and point.station.session_active()
    value = [point.operative, point.whole_operative, wanted] if later else wanted + [None]
    if (point.stores("ocpp_point").load() or [True, True, None]) == value:
        return {"status": "Scheduled" if later else "Accepted"}
    if not borrow("wear").permits(point, "ChangeAvailability"):
        return {"status": "Rejected"}
    return {"status": point.change_availability(connector, operative)}


async def _get_configuration(point, payload) -> dict:
    keys = payload.get("key")
    most = point.config["GetConfigurationMaxKeys"]
    if keys is not None and len(keys) > most:
        raise CallError(OCCURRENCE, "key: %d keys are not allowed; allowed: up to %d" % (len(keys), most))
    return point.config.listing(keys)


async def _change_configuration(point, payload) -> dict:
    key, value = payload["key"], payload["value"]
    for secured in _SECURED:
        if key.lower() == secured.lower():
            return {"status": point.security.change(secured, value)}
    try:
        status = point.config.change(key, value, lambda: borrow("wear").permits(point, "ChangeConfiguration"))
    except OSError as error:
        point.log.add("error", "ocpp", "not_stored", "%s could not be stored: %s" % (key[:50], error))
        return {"status": "Rejected"}
    if status in ("Accepted", "RebootRequired"):
        shown = masked(value) if key.lower() == _TAG.lower() else value[:100]
        point.log.add("info", "ocpp", "configured", "the central system set %s=%s" % (key, shown))
    return {"status": status}


async def _clear_cache(point, _payload) -> dict:
    return {"status": "Accepted" if point.auth.clear_cache() else "Rejected"}


async def _data_transfer(point, payload) -> dict:
    if payload["vendorId"] != point.station.vendor:
        return {"status": "UnknownVendorId"}
    data = point.station.data_transfer(payload.get("messageId", ""), payload.get("data", ""))
    if data is None:
        return {"status": "UnknownMessageId"}
    return {"status": "Accepted", "data": data}


async def _unlock(point, payload) -> dict:
    if payload["connectorId"] != 1:
        return {"status": "NotSupported"}
    return {"status": point.station.unlock()}


async def _reset(point, payload) -> dict:
    point.later(point.reset, payload["type"] == "Hard")
    return {"status": "Accepted"}


HANDLERS = {
    "ChangeAvailability": _change_availability,
    "GetConfiguration": _get_configuration,
    "ChangeConfiguration": _change_configuration,
    "ClearCache": _clear_cache,
    "DataTransfer": _data_transfer,
    "UnlockConnector": _unlock,
    "Reset": _reset,
}
