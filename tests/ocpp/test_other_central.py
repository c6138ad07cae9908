"""A wallbox that its owner gives to another central system: what is of the former one stays with it (R25)."""

from bay import CARD, OTHER_CARD

OPERATOR = "Operator A"


def elsewhere(csms) -> str:
    """The same machine under another name, which is another host."""
    assert "127.0.0.1" in csms.url
    return csms.url.replace("127.0.0.1", "localhost")


def test_another_central_system_gets_nothing_of_the_former_ones(bay, central, csms):
    here = bay(ocpp={"ConnectionTimeOut": 77})
    listed = [{"idTag": OTHER_CARD, "idTagInfo": {"status": "Accepted"}}]
    assert here.say("SendLocalList", listVersion=4, updateType="Full", localAuthorizationList=listed) == "Accepted"
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7}]}
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
    }
    assert here.say("SetChargingProfile", connectorId=0, csChargingProfiles=profile) == "Accepted"
    assert csms.change("ConnectionTimeOut", "55") == csms.change("CpoName", OPERATOR) == "Accepted"
    here.go_offline()
    here.begin(OTHER_CARD)
    here.end(OTHER_CARD)
    waiting = here.box.state()["backend"]["waiting"]
    assert waiting >= 2
    other = central()
    here.box.settings(ocpp_url=elsewhere(other))
    here.box.network(True)
    other.registered()
    text = here.logged("other_central")["text"]
    assert text.startswith(f"{waiting} undelivered messages") and "127.0.0.1" in text and "localhost" in text
    assert other.call("GetLocalListVersion", {}) == {"listVersion": 0}
    assert other.shown("CpoName") == "" and other.shown("ConnectionTimeOut") == "77"
    # The first thing that it hears of a transaction is its own.
    here.csms = other
    entry = here.charge(CARD)
    assert entry["idTag"] == CARD
    assert [one.payload["idTag"] for one in other.seen("StartTransaction")] == [CARD]
    assert here.until(lambda state: state["offered_a"])["offered_a"] > 7
    assert not csms.seen("StartTransaction")


def test_another_port_and_path_of_the_same_host_are_the_same_central_system(bay, central, csms):
    here = bay(ocpp={"AllowOfflineTxForUnknownId": True})
    here.go_offline()
    here.begin()
    here.end()
    other = central()
    here.box.settings(ocpp_url=other.url + "another/path")
    here.box.network(True)
    other.registered()
    assert other.wait_for("StopTransaction").payload["idTag"] == CARD
    assert other.seen("StartTransaction")[0].payload["idTag"] == CARD
    assert not here.box.log(code="other_central")
