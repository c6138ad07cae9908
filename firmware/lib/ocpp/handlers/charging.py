"""Smart charging: SetChargingProfile, ClearChargingProfile, GetCompositeSchedule (OCPP 1.6, 5.4, 5.7, 5.16)."""

from ocpp import errors


def _check_connector(point, connector: int) -> None:
    """CallError for a connector that does not exist (errata, 3.39)."""
    count = point.config["NumberOfConnectors"]
    if not 0 <= connector <= count:
        raise errors.CallError(errors.PROPERTY, "connectorId: %d; allowed: 0 to %d" % (connector, count))


async def set_charging_profile(point, payload: dict) -> dict:
    """Install or replace a profile (5.16)."""
    connector = payload["connectorId"]
    _check_connector(point, connector)
    return {"status": point.charging.set(connector, payload["csChargingProfiles"])}


async def clear_charging_profile(point, payload: dict) -> dict:
    """Remove the profiles named (5.4); a connector that does not exist has none."""
    return {"status": point.charging.clear(payload)}


async def get_composite_schedule(point, payload: dict) -> dict:
    """What the profiles allow from now on (5.7), in A when no unit is asked for."""
    connector = payload["connectorId"]
    _check_connector(point, connector)
    return await point.charging.composite(connector, payload["duration"], payload.get("chargingRateUnit", "A"))


HANDLERS = {
    "SetChargingProfile": set_charging_profile,
    "ClearChargingProfile": clear_charging_profile,
    "GetCompositeSchedule": get_composite_schedule,
}
