"""ReserveNow and CancelReservation (OCPP 1.6, 5.13 and 5.2)."""

from ocpp.errors import PROPERTY, CallError
from ocpp.rare import borrow
from ocpp.timestamps import parse

_CONNECTORS = (0, 1)


async def _reserve(point, payload) -> dict:
    status = _refusal(point, payload)
    if status is None:
        status = _hold(point, payload)
    return {"status": status}


def _refusal(point, payload):
    """Why the connector cannot be reserved now, None: it can."""
    connector = payload["connectorId"]
    if connector not in _CONNECTORS:
        raise CallError(PROPERTY, "connectorId: %d; allowed: 0, 1" % connector)
    config = point.config
    if "Reservation" not in config["SupportedFeatureProfiles"]:
        return "Rejected"
    if connector == 0 and not config["ReserveConnectorZeroSupported"]:
        return "Rejected"
    return _state(point, payload["reservationId"])


def _state(point, reservation_id: int):
    status = point.status.connector()[0]
    if status == "Faulted":
        return status
    if "Unavailable" in (status, point.status.whole()):
        return "Unavailable"
    held = point.reservations.reserved_for(1)
    if held is not None:
        return None if held["reservationId"] == reservation_id else "Occupied"
    # Whose remote start is being decided has come first.
    return None if status == "Available" and point.remote_tag is None else "Occupied"


def _hold(point, payload) -> str:
    expiry = parse(payload["expiryDate"])
    utc_s = point.clock.utc_s()
    if utc_s is not None and expiry <= utc_s:
        text = "expiryDate %s has gone by" % payload["expiryDate"]
        borrow("wear").complain(point, "reservation_refused", text)
        return "Rejected"
    reservation = {name: payload[name] for name in payload if name != "expiryDate"}
    reservation["expiry"] = expiry
    if reservation == point.reservations.reserved_for(1):
        return "Accepted"
    if not borrow("wear").permits(point, "ReserveNow"):
        return "Rejected"
    try:
        point.reservations.reserve(reservation)
    except OSError as error:
        point.log.add("error", "ocpp", "reservation_refused", "a reservation cannot be stored (%s)" % error)
        return "Rejected"
    return "Accepted"


async def _cancel(point, payload) -> dict:
    reservations = point.reservations
    number = payload["reservationId"]
    held = reservations.reserved_for(1)
    known = held is not None and held["reservationId"] == number
    done = known and borrow("wear").permits(point, "CancelReservation") and reservations.cancel(number)
    return {"status": "Accepted" if done else "Rejected"}


HANDLERS = {"ReserveNow": _reserve, "CancelReservation": _cancel}
