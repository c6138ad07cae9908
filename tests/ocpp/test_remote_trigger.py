"""Messages that a central system triggers (OCPP 1.6, 5.17, and the security whitepaper) (R25)."""

import pytest
from csms import SILENCE, Csms

ACCEPTED, REJECTED, NOT_IMPLEMENTED = {"status": "Accepted"}, {"status": "Rejected"}, {"status": "NotImplemented"}
# The answer comes first, then the message; each kind with what its message says of an idle wallbox.
KINDS = [
    ("TriggerMessage", "DiagnosticsStatusNotification", {"status": "Idle"}),
    ("TriggerMessage", "FirmwareStatusNotification", {"status": "Idle"}),
    ("TriggerMessage", "Heartbeat", {}),
    ("TriggerMessage", "MeterValues", {"connectorId": 1}),
    ("TriggerMessage", "StatusNotification", {"connectorId": 0, "status": "Available"}),
    ("ExtendedTriggerMessage", "FirmwareStatusNotification", {"status": "Idle"}),
    ("ExtendedTriggerMessage", "Heartbeat", {}),
    ("ExtendedTriggerMessage", "LogStatusNotification", {"status": "Idle"}),
    ("ExtendedTriggerMessage", "MeterValues", {"connectorId": 1}),
    ("ExtendedTriggerMessage", "SignChargePointCertificate", {}),
    ("ExtendedTriggerMessage", "StatusNotification", {"connectorId": 0, "status": "Available"}),
]
SENT_AS = {
    "SignChargePointCertificate": "SignCertificate",
    ("ExtendedTriggerMessage", "FirmwareStatusNotification"): "SignedFirmwareStatusNotification",
}


def trigger(csms: Csms, what: str, action: str = "TriggerMessage", **more) -> dict:
    """The answer to a trigger; what is against the schema goes out too."""
    return csms.call(action, {"requestedMessage": what, **more}, check=False)


def sent_as(action: str, what: str) -> str:
    """The action of the message that a trigger brings."""
    return SENT_AS.get((action, what), SENT_AS.get(what, what))


def test_each_kind_is_answered_first_and_sent_then(bay, csms):
    """44."""
    here = bay(ocpp={"CpoName": "Operator"})
    here.passes(1)
    for action, what, wanted in KINDS:
        since = csms.mark()
        assert trigger(csms, what, action) == ACCEPTED, (action, what)
        message = csms.wait_for(sent_as(action, what), since=since)
        assert wanted.items() <= message.payload.items(), (action, what)
        answer = next(one for one in csms.messages[since:] if not one.out and one.action == action)
        assert answer.at <= message.at, (action, what)
    # At the start, and once with each trigger for all connectors.
    here.heard("Available", count=3)


def test_a_connector_may_be_named(bay, csms):
    """44."""
    here = bay()
    here.charge()
    since = csms.mark()
    assert trigger(csms, "StatusNotification", connectorId=1) == ACCEPTED
    assert csms.wait_for("StatusNotification", since=since).payload["status"] == "Charging"
    assert trigger(csms, "MeterValues", connectorId=1) == ACCEPTED
    values = csms.wait_for("MeterValues", since=since).payload
    assert values["transactionId"] == here.running()["id"]
    [value] = values["meterValue"][0]["sampledValue"]
    assert value["context"] == "Trigger" and value["measurand"] == "Energy.Active.Import.Register"
    assert len(csms.seen("StatusNotification", since=since)) == 1


@pytest.mark.parametrize("action", ["TriggerMessage", "ExtendedTriggerMessage"])
def test_what_cannot_be_sent_is_said_to_be_so(bay, csms, action):
    """44: unknown, a connector that there is not, and a boot that has been accepted."""
    bay()
    since = csms.mark()
    for unknown in ("Authorize", "Dance"):
        assert trigger(csms, unknown, action) == NOT_IMPLEMENTED
    assert trigger(csms, "StatusNotification", action, connectorId=2) == REJECTED
    assert trigger(csms, "MeterValues", action, connectorId=-1) == REJECTED
    assert trigger(csms, "BootNotification", action) == REJECTED
    # Something that comes after all of these shows that none of them did.
    assert trigger(csms, "Heartbeat", action) == ACCEPTED
    csms.wait_for("Heartbeat", since=since)
    sent = {one.action for one in csms.messages[since:] if not one.out}
    # Events of the start may still come.
    assert sent - {"SecurityEventNotification"} == {action, "Heartbeat"}


def test_values_of_which_there_are_none_are_rejected(bay, csms):
    """44: with an empty MeterValuesSampledData there is nothing to send."""
    bay(ocpp={"MeterValuesSampledData": ""})
    assert trigger(csms, "MeterValues") == REJECTED
    assert trigger(csms, "Heartbeat") == ACCEPTED
    csms.wait_for("Heartbeat")
    assert not csms.seen("MeterValues")


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("TriggerMessage", "LogStatusNotification"),
        ("TriggerMessage", "SignChargePointCertificate"),
        ("ExtendedTriggerMessage", "DiagnosticsStatusNotification"),
    ],
)
def test_each_of_the_two_triggers_has_its_own_kinds(bay, csms, action, what):
    """44 and the whitepaper's A02 and N01: what only the other one knows is unknown."""
    bay()
    assert trigger(csms, what, action) == NOT_IMPLEMENTED
    assert not csms.seen(sent_as(action, what))


def test_a_registration_that_is_pending_may_be_hurried(csms, station):
    """2 and 44: then only what is triggered leaves."""
    pending = {"status": "Pending", "currentTime": csms.time(), "interval": 3600}
    csms.answer("BootNotification", pending, pending, None)
    station()
    csms.wait_for("BootNotification")
    assert trigger(csms, "Heartbeat") == ACCEPTED
    csms.wait_for("Heartbeat")
    assert trigger(csms, "StatusNotification", connectorId=1) == ACCEPTED
    assert csms.wait_for("StatusNotification").payload["connectorId"] == 1
    for count in (2, 3):
        assert trigger(csms, "BootNotification") == ACCEPTED
        csms.wait_for("BootNotification", count=count)
    csms.wait_for("StatusNotification", lambda payload: payload["connectorId"] == 0)
    assert len(csms.seen("StatusNotification", lambda payload: payload["connectorId"] == 0)) == 1


def test_values_may_be_triggered_while_others_wait_for_an_answer(bay, csms):
    """44: messages of transactions keep their order, others may overtake them."""
    here = bay(ocpp={"MessageTimeout": 5})
    csms.answer("StartTransaction", SILENCE, None)
    here.box.plug()
    here.tap()
    csms.wait_for("StartTransaction")
    here.until(lambda state: state["contactor"]["closed"])
    assert trigger(csms, "MeterValues") == ACCEPTED
    values = csms.wait_for("MeterValues").payload
    assert "transactionId" not in values
