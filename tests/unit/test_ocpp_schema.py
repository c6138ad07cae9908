"""What an error of the message tables says, and what checking costs; tests/ocpp compares the tables themselves."""

import asyncio
import gc
import struct
import sys

from ocpp import schema
from ocpp.errors import CallError

PERIODS_7_KB = 115


def refusal(action, payload, check=schema.check_request):
    try:
        check(action, payload)
    except CallError as error:
        return error.code, error.description
    return None


def profile(periods):
    return {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": periods},
        },
    }


def test_an_error_names_field_value_and_what_is_allowed():
    for action, payload, code, text in (
        ("Nothing", {}, "NotImplemented", "action: 'Nothing'; no such message in OCPP 1.6"),
        ("Heartbeat", [], "FormationViolation", "payload: an array; allowed: an object"),
        ("Heartbeat", {"a": 1}, "FormationViolation", "payload: 'a'; allowed: no field"),
        ("Authorize", {"idTag": "A", "x": 1}, "FormationViolation", "payload: 'x'; allowed: no field but idTag"),
        ("Authorize", {}, "OccurrenceConstraintViolation", "idTag: missing"),
        ("Authorize", {"idTag": 5}, "TypeConstraintViolation", "idTag: 5; allowed: a string"),
        ("Authorize", {"idTag": {}}, "TypeConstraintViolation", "idTag: an object; allowed: a string"),
        (
            "Authorize",
            {"idTag": "x" * 45},
            "TypeConstraintViolation",
            "idTag: '%s...'; allowed: up to 20 characters, not 45" % ("x" * 40),
        ),
        ("Reset", {"type": "hard"}, "PropertyConstraintViolation", "type: 'hard'; allowed: Hard, Soft"),
        (
            "ReserveNow",
            {"connectorId": 1, "expiryDate": "soon", "idTag": "A", "reservationId": 1},
            "TypeConstraintViolation",
            "expiryDate: 'soon'; allowed: a dateTime such as 2026-01-31T12:00:00Z",
        ),
        ("UnlockConnector", {"connectorId": 1.0}, "TypeConstraintViolation", "connectorId: 1.0; allowed: an integer"),
    ):
        assert refusal(action, payload) == (code, text), refusal(action, payload)


def test_an_error_deep_inside_is_found_by_its_path():
    periods = [{"startPeriod": 0, "limit": 16}, {"startPeriod": 60, "limit": 16.15}]
    inner = "csChargingProfiles.chargingSchedule.chargingSchedulePeriod"
    assert refusal("SetChargingProfile", profile(periods)) == (
        "PropertyConstraintViolation",
        inner + "[1].limit: 16.15; allowed: one decimal digit",
    )
    periods[1] = 5
    assert refusal("SetChargingProfile", profile(periods))[1] == inner + "[1]: 5; allowed: an object"
    assert refusal("SetChargingProfile", profile([]))[1] == inner + ": empty; allowed: at least one"


def test_a_description_is_never_longer_than_a_callerror_takes():
    status = {"connectorId": 1, "errorCode": "x" * 500, "status": "Available"}
    assert len(refusal("StatusNotification", status)[1]) == 255


def test_one_decimal_digit_is_one_in_the_floats_of_a_chip_too():
    for value in (0.1, 0.7, 5.9, 16.1, 31.9, 63.3, 1234.6, 11040.7, 22080.3, 43999.9):
        single = struct.unpack("f", struct.pack("f", value))[0]
        assert refusal("SetChargingProfile", profile([{"startPeriod": 0, "limit": single}])) is None, value
    for value in (0.15, 5.95, 16.05, 31.99, 1234.56):
        single = struct.unpack("f", struct.pack("f", value))[0]
        assert refusal("SetChargingProfile", profile([{"startPeriod": 0, "limit": single}])), value


def test_infinity_and_what_is_no_number_are_refused():
    for value in (float("inf"), -float("inf"), float("nan")):
        assert refusal("SetChargingProfile", profile([{"startPeriod": 0, "limit": value}])), value


def test_tables_are_let_go_after_use():
    assert refusal("GetLocalListVersion", {}) is None
    assert refusal("GetInstalledCertificateIds", {"certificateType": "ManufacturerRootCertificate"}) is None
    for name in ("schema_core", "schema_csms", "schema_upkeep"):
        assert "ocpp." + name not in sys.modules
        assert not hasattr(sys.modules["ocpp"], name)


async def test_a_long_payload_can_be_checked_without_holding_up_others():
    turns = []

    async def other():
        while True:
            turns.append(1)
            await asyncio.sleep_ms(0)

    task = asyncio.create_task(other())
    periods = [{"startPeriod": i, "limit": 16} for i in range(PERIODS_7_KB)]
    await schema.check_in_slices("SetChargingProfile", profile(periods), True)
    assert len(turns) >= PERIODS_7_KB // 4
    periods[-1] = {}
    try:
        await schema.check_in_slices("SetChargingProfile", profile(periods), True)
        raise AssertionError("not refused")
    except CallError as error:
        assert error.code == "OccurrenceConstraintViolation"
    await schema.check_in_slices("Heartbeat", {"currentTime": "2026-01-31T12:00:00Z"}, False)
    task.cancel()


def test_checking_holds_little_heap_whatever_the_length():
    payload = profile([{"startPeriod": i, "limit": 16} for i in range(5000)])
    steps = schema._steps("SetChargingProfile>", payload)
    for _ in range(10):
        next(steps)
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(2000):
        next(steps)
    gc.collect()
    assert gc.mem_alloc() - before < 512, gc.mem_alloc() - before
