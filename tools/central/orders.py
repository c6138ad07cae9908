"""What a person orders of a box, as calls of OCPP 1.6."""

from typing import Any

from central.books import utc_now

# Its own, so that a new limit replaces the old one and lifting it leaves other profiles alone.
PROFILE_ID = 1
LIMIT_A = (0, 80)
# What the page shows has to be measured: set at each box when it registers. One that cannot do it says so.
MEASURED = {
    "MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import,Current.Import",
    "MeterValueSampleInterval": "10",
}


class OrderError(ValueError):
    """An order that cannot be followed; the text says what is allowed."""


def limit(amps: Any) -> tuple[str, dict]:
    """The call that limits the whole box to `amps` A a phase, or lifts the limit for None."""
    if amps is None:
        return "ClearChargingProfile", {"id": PROFILE_ID}
    if isinstance(amps, bool) or not isinstance(amps, int | float) or not LIMIT_A[0] <= amps <= LIMIT_A[1]:
        raise OrderError(f"amps: {amps!r} is not allowed; allowed: {LIMIT_A[0]}..{LIMIT_A[1]} A, or null for no limit")
    schedule = {
        "startSchedule": utc_now(),
        "chargingRateUnit": "A",
        # OCPP 1.6, 7.12: one digit after the point.
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": round(float(amps), 1)}],
    }
    profile = {
        "chargingProfileId": PROFILE_ID,
        "stackLevel": 0,
        "chargingProfilePurpose": "ChargePointMaxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule,
    }
    return "SetChargingProfile", {"connectorId": 0, "csChargingProfiles": profile}
