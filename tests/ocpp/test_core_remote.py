"""What a central system has the wallbox do: start, stop, unlock, reset, availability, data transfer (R25, R27, R43)."""

import json

import pytest
from bay import CARD, OTHER_CARD, Bay
from csms import SILENCE, CallFailed, Csms

ACCEPTED, REJECTED = {"status": "Accepted"}, {"status": "Rejected"}
TAG = "OPERATOR-1"


def start(csms: Csms, tag: str = TAG, connector: int | None = 1) -> dict:
    """RemoteStartTransaction -> its answer."""
    return csms.call("RemoteStartTransaction", {"idTag": tag, **({"connectorId": connector} if connector else {})})


def stop(csms: Csms, number: int) -> dict:
    """RemoteStopTransaction -> its answer."""
    return csms.call("RemoteStopTransaction", {"transactionId": number})


def availability(csms: Csms, kind: str, connector: int = 1) -> str:
    """ChangeAvailability -> the status of its answer."""
    return csms.call("ChangeAvailability", {"connectorId": connector, "type": kind})["status"]


def reset(bay: Bay, kind: str) -> int:
    """Reset, accepted -> mark() before it."""
    since = bay.csms.mark()
    assert bay.csms.call("Reset", {"type": kind}) == ACCEPTED
    return since


def plugged(bay: Bay) -> Bay:
    """`bay` with a car in it that waits for a permission."""
    bay.box.plug()
    bay.heard("Preparing")
    return bay


# -- start and stop -------------------------------------------------------------------------------------


def test_a_remote_start_asks_about_the_tag_first_when_so_configured(bay, csms):
    """32."""
    here = plugged(bay(ocpp={"AuthorizeRemoteTxRequests": True}))
    assert start(csms) == ACCEPTED
    here.heard("Charging")
    asked = csms.wait_for("Authorize")
    assert asked.payload == {"idTag": TAG} and asked.at <= csms.wait_for("StartTransaction").at
    assert here.running()["idTag"] == TAG and here.contactor_closed()


def test_a_remote_start_with_a_tag_that_is_refused_starts_nothing(bay, csms):
    """32, the other way round; the connector is free for others after that."""
    csms.tags[TAG] = {"status": "Blocked"}
    here = plugged(bay(ocpp={"AuthorizeRemoteTxRequests": True}))
    assert start(csms) == ACCEPTED
    here.logged("tag_refused", "Blocked")
    assert not here.contactor_closed() and not csms.seen("StartTransaction")
    assert start(csms, "OPERATOR-2") == ACCEPTED
    here.heard("Charging")
    assert [one["idTag"] for one in csms.transactions()] == ["OPERATOR-2"]


def test_a_remote_start_needs_no_authorize_otherwise(bay, csms):
    """33."""
    here = plugged(bay())
    assert start(csms) == ACCEPTED
    here.heard("Charging")
    state = here.box.state()
    assert state["contactor"]["closed"] and state["session"]["id_tag"] == TAG
    assert here.running()["idTag"] == TAG and not csms.seen("Authorize")
    assert here.statuses() == ["Available", "Preparing", "Charging"]


def test_a_remote_start_waits_for_the_car(bay, csms):
    """34, and 36: the charge point chooses the connector."""
    here = bay()
    assert start(csms, connector=None) == ACCEPTED
    here.heard("Preparing")
    assert here.box.state()["why"]["code"] == "plug_in"
    # Doubled: the first one is still good.
    assert start(csms) == REJECTED
    assert start(csms, "OPERATOR-2", None) == REJECTED
    here.box.plug()
    here.heard("Charging")
    assert [one["idTag"] for one in csms.transactions()] == [TAG]


def test_a_remote_start_comes_before_the_charge_without_access_control(bay, csms):
    """34: the car that comes charges under the tag that was told."""
    here = bay({"access_control": False})
    assert start(csms) == ACCEPTED
    here.heard("Preparing")
    here.box.plug()
    here.heard("Charging")
    here.leave()
    here.box.plug()
    here.heard("Charging", count=2)
    assert [one["idTag"] for one in csms.transactions()] == [TAG, "FREE"]


def test_the_card_that_was_started_from_afar_takes_the_permission_back(bay, csms):
    """34: idTags are the same in any case (CiString20Type)."""
    here = bay()
    assert start(csms, "04abcdef") == ACCEPTED
    here.heard("Preparing")
    here.tap("04ABCDEF")
    here.heard("Available", count=2)
    here.logged("card_accepted", "is not waited for any more")
    assert not here.box.state()["session"]["waiting"] and not csms.seen("Authorize")


def test_a_remote_start_without_a_car_expires(bay, csms):
    """34."""
    here = bay(ocpp={"ConnectionTimeOut": 4})
    begin = here.uptime()
    assert start(csms) == ACCEPTED
    here.heard("Preparing")
    here.heard("Available", count=2)
    assert begin + 4 <= here.logged("authorisation_expired")["uptime_ms"] / 1000 < begin + 40
    here.box.plug()
    here.heard("Preparing", count=2)
    state = here.until(lambda state: state["why"]["code"] == "no_card")
    assert not state["contactor"]["closed"] and not csms.transactions()


def test_a_remote_start_is_rejected_where_nothing_can_start(bay, csms):
    """35: a busy connector, one that there is not, and the charge point as a whole."""
    here = bay()
    for connector in (2, -1):
        assert start(csms, connector=connector) == REJECTED
    assert csms.call("RemoteStartTransaction", {"idTag": TAG, "connectorId": 0}) == REJECTED
    number = here.charge()["id"]
    assert start(csms) == REJECTED and start(csms, connector=None) == REJECTED
    assert here.running()["id"] == number and here.contactor_closed()
    assert stop(csms, number) == ACCEPTED
    here.stopped(number)
    assert [one["idTag"] for one in csms.transactions()] == [CARD]


def test_a_remote_start_is_rejected_out_of_service_and_with_a_fault(bay, csms):
    """35 with 42 and 28."""
    here = bay()
    assert availability(csms, "Inoperative") == "Accepted"
    assert start(csms) == REJECTED
    assert availability(csms, "Operative") == "Accepted"
    here.box.fault("phase_loss")
    here.heard("Faulted")
    assert start(csms) == REJECTED
    assert not here.box.state()["session"]["waiting"]


def test_a_remote_start_follows_a_session_that_is_finishing(bay, csms):
    """31 and 33: without unplugging."""
    here = bay()
    first = here.charge()["id"]
    assert stop(csms, first) == ACCEPTED
    here.heard("Finishing")
    here.stopped(first)
    here.until(lambda state: not state["session"]["active"])
    assert start(csms) == ACCEPTED
    here.heard("Charging", count=2)
    assert [one["idTag"] for one in csms.transactions()] == [CARD, TAG]


def test_a_remote_stop_ends_its_transaction_and_no_other(bay, csms):
    """37."""
    here = bay()
    number = here.charge()["id"]
    assert stop(csms, number + 1) == REJECTED
    assert here.contactor_closed() and not csms.seen("StopTransaction")
    assert stop(csms, number) == ACCEPTED
    entry = here.stopped(number)
    assert entry["reason"] == "Remote" and entry["stopTag"] is None
    here.heard("Finishing")
    here.until(lambda state: not state["contactor"]["closed"] and not state["session"]["active"])
    # The permission has ended with it (R43), and what has ended cannot be stopped again.
    assert stop(csms, number) == REJECTED
    here.leave()
    here.box.plug()
    here.heard("Preparing", count=2)
    state = here.until(lambda state: state["why"]["code"] == "no_card")
    assert not state["contactor"]["closed"] and len(csms.transactions()) == 1


def test_a_remote_stop_holds_without_access_control_until_the_car_has_gone(bay, csms):
    """37: the car that is there begins no other session by itself, the next one does."""
    here = bay({"access_control": False})
    here.box.plug()
    here.heard("Charging")
    number = here.running()["id"]
    assert stop(csms, number) == ACCEPTED
    here.stopped(number)
    here.heard("Finishing")
    assert start(csms) == ACCEPTED
    here.heard("Charging", count=2)
    second = here.running()
    here.box.unplug()
    here.stopped(second["id"])
    here.heard("Available", count=2)
    here.box.plug()
    here.heard("Charging", count=3)
    assert [one["idTag"] for one in csms.transactions()] == ["FREE", TAG, "FREE"]


# -- unlock -------------------------------------------------------------------------------------------


def test_a_cable_that_is_fixed_cannot_be_unlocked(bay, csms):
    """38: there is no lock, so neither an idle box nor one in a transaction does anything."""
    here = bay()
    for connector in (1, 0, 2):
        assert csms.call("UnlockConnector", {"connectorId": connector}) == {"status": "NotSupported"}
    number = here.charge()["id"]
    assert csms.call("UnlockConnector", {"connectorId": 1}) == {"status": "NotSupported"}
    assert stop(csms, number) == ACCEPTED
    assert here.stopped(number)["reason"] == "Remote"


# -- reset --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Soft", "Hard"])
def test_a_reset_restarts_the_idle_wallbox(bay, csms, kind):
    """39 and 40."""
    here = bay()
    since = reset(here, kind)
    csms.wait_for("BootNotification", since=since)
    here.heard("Available", since)
    here.logged("reset", f"{kind}Reset asked for by the central system")
    here.logged("start", "starts after software")
    assert not csms.transactions()


def test_a_soft_reset_ends_the_session_and_tells_so_before_the_restart(bay, csms):
    """39."""
    here = bay()
    number = here.charge()["id"]
    since = reset(here, "Soft")
    entry = here.stopped(number)
    assert entry["reason"] == "SoftReset"
    boot = csms.wait_for("BootNotification", since=since)
    stopping = csms.seen("StopTransaction")
    assert len(stopping) == 1 and stopping[0].at < boot.at
    # The car is still there and would need a card (R43).
    here.heard("Preparing", since)
    state = here.until(lambda state: state["why"]["code"] == "no_card")
    assert not state["contactor"]["closed"] and entry["stops"] == 1 and len(csms.transactions()) == 1


def test_a_hard_reset_ends_the_session_too(bay, csms):
    """40: its end is told before or after the restart, and once."""
    here = bay()
    number = here.charge()["id"]
    since = reset(here, "Hard")
    csms.wait_for("BootNotification", since=since)
    entry = here.stopped(number)
    assert entry["reason"] == "HardReset" and entry["meterStop"] >= entry["meterStart"]
    here.heard("Preparing", since)
    state = here.until(lambda state: state["why"]["code"] == "no_card")
    assert not state["contactor"]["closed"] and len(csms.transactions()) == 1


def test_a_reset_of_a_car_that_does_not_let_go_still_comes(bay, csms):
    """40: a car that ignores the pilot is cut off, and its transaction ends as a reset."""
    here = bay()
    number = here.charge()["id"]
    here.box.car(ignore_pwm=True)
    since = reset(here, "Hard")
    csms.wait_for("BootNotification", since=since)
    assert here.stopped(number)["reason"] == "HardReset"
    here.heard("Preparing", since)
    assert not here.contactor_closed() and len(csms.transactions()) == 1


def test_without_access_control_the_charge_goes_on_after_a_reset(bay, csms):
    """39: as a transaction of its own."""
    here = bay({"access_control": False})
    here.box.plug()
    here.heard("Charging")
    number = here.running()["id"]
    since = reset(here, "Soft")
    assert here.stopped(number)["reason"] == "SoftReset"
    here.heard("Charging", since)
    second = here.running()
    assert second["id"] != number and second["meterStart"] >= here.stopped(number)["meterStop"]
    assert here.contactor_closed()


def test_a_stop_without_an_answer_is_delivered_after_the_reset(bay, csms):
    """41: the same message with the same id."""
    here = bay()
    number = here.charge()["id"]
    csms.answer("StopTransaction", SILENCE, None)
    since = reset(here, "Soft")
    csms.wait_for("StopTransaction", since=since)
    boot = csms.wait_for("BootNotification", since=since)
    again = csms.wait_for("StopTransaction", since=since, count=2)
    assert again.at > boot.at and again.id == csms.seen("StopTransaction")[0].id
    entry = here.stopped(number)
    assert entry["reason"] == "SoftReset" and entry["stops"] == 2 and len(csms.transactions()) == 1
    here.until(lambda state: state["backend"]["waiting"] == 0)


# -- availability -----------------------------------------------------------------------------------------


def test_a_connector_out_of_service_stays_so_over_a_restart(bay, csms):
    """42."""
    here = bay()
    assert availability(csms, "Inoperative") == "Accepted"
    here.heard("Unavailable")
    assert availability(csms, "Inoperative") == "Accepted"
    since = csms.mark()
    here.box.power(on=False)
    here.box.power(on=True)
    here.heard("Unavailable", since)
    assert here.statuses(since) == ["Unavailable"]
    csms.heard("Available", since, connector=0)
    here.box.plug()
    here.tap()
    here.logged("card_refused", "out of service")
    state = here.box.state()
    assert state["why"]["code"] == "held" and not state["contactor"]["closed"] and not csms.seen("Authorize")
    assert availability(csms, "Operative") == "Accepted"
    here.heard("Preparing", since)
    here.tap(OTHER_CARD)
    here.heard("Charging", since)


def test_a_connector_goes_out_of_service_when_its_session_has_ended(bay, csms):
    """43: Scheduled."""
    here = bay()
    number = here.charge()["id"]
    assert availability(csms, "Inoperative") == "Scheduled"
    assert here.contactor_closed() and "Unavailable" not in here.statuses()
    here.tap()
    here.stopped(number)
    here.heard("Unavailable")
    since = csms.mark()
    here.box.unplug()
    here.until(lambda state: state["pilot"]["state"] == "A1")
    assert availability(csms, "Operative") == "Accepted"
    here.heard("Available", since)
    assert here.statuses(since) == ["Available"]


def test_what_is_scheduled_is_taken_back_by_the_opposite(bay, csms):
    """43."""
    here = bay()
    number = here.charge()["id"]
    assert availability(csms, "Inoperative") == "Scheduled"
    assert availability(csms, "Operative") == "Accepted"
    here.box.unplug()
    here.stopped(number)
    here.heard("Available", count=2)
    assert "Unavailable" not in here.statuses()


def test_what_is_scheduled_survives_a_power_cut(bay, csms):
    """43 and 60: the interrupted session goes on, and the connector goes out of service after it."""
    here = bay()
    here.charge()
    assert availability(csms, "Inoperative") == "Scheduled"
    since = csms.mark()
    here.box.power(on=False)
    here.box.power(on=True)
    here.heard("Charging", since)
    here.box.unplug()
    here.heard("Unavailable", since)
    assert here.statuses(since)[-1] == "Unavailable"


def test_a_car_that_waits_is_no_reason_to_schedule(bay, csms):
    """43: in Preparing nothing runs yet, neither with a car nor with a card."""
    here = plugged(bay())
    assert availability(csms, "Inoperative") == "Accepted"
    here.heard("Unavailable")
    here.box.unplug()
    here.until(lambda state: state["pilot"]["state"] == "A1")
    assert availability(csms, "Operative") == "Accepted"
    here.heard("Available", count=2)
    here.tap()
    here.heard("Preparing", count=2)
    assert availability(csms, "Inoperative") == "Accepted"
    here.heard("Unavailable", count=2)
    state = here.until(lambda state: not state["session"]["waiting"])
    assert state["why"]["code"] == "held"
    here.box.plug()
    here.until(lambda state: state["pilot"]["state"] == "B1")
    assert not csms.transactions()


def test_without_access_control_a_car_that_waits_charges_as_soon_as_it_may(bay, csms):
    """42 and 43."""
    here = bay({"access_control": False})
    assert availability(csms, "Inoperative") == "Accepted"
    here.heard("Unavailable")
    here.box.plug()
    state = here.until(lambda state: state["pilot"]["state"] == "B1")
    assert state["why"]["code"] == "held" and not csms.transactions()
    since = csms.mark()
    assert availability(csms, "Operative") == "Accepted"
    here.heard("Charging", since)
    assert here.running()["idTag"] == "FREE" and here.contactor_closed()


def test_connector_0_stands_for_all_of_them(bay, csms):
    """43."""
    here = bay()
    assert availability(csms, "Inoperative", 0) == "Accepted"
    csms.heard("Unavailable", connector=0)
    here.heard("Unavailable")
    since = csms.mark()
    assert availability(csms, "Operative", 0) == "Accepted"
    csms.heard("Available", since, connector=0)
    here.heard("Available", since)


def test_the_availability_of_a_connector_that_there_is_not_cannot_be_changed(bay, csms):
    """42."""
    bay()
    with pytest.raises(CallFailed) as failed:
        availability(csms, "Inoperative", 2)
    assert failed.value.code == "PropertyConstraintViolation" and "connectorId" in failed.value.description


# -- data transfer, heartbeat -----------------------------------------------------------------------------


def test_data_for_others_is_refused_and_why_is_answered(bay, csms):
    """45; our own message tells why it charges or not (R32)."""
    here = bay()

    def ask(**payload) -> dict:
        return csms.call("DataTransfer", payload)

    assert ask(vendorId="com.example", messageId="why") == {"status": "UnknownVendorId"}
    assert ask(vendorId="wallbox", messageId="how") == {"status": "UnknownMessageId"}
    assert ask(vendorId="wallbox") == {"status": "UnknownMessageId"}
    here.box.plug()
    here.heard("Preparing")
    answer = ask(vendorId="wallbox", messageId="why", data="now")
    assert answer["status"] == "Accepted"
    assert json.loads(answer["data"]) == here.box.state()["why"]
    assert json.loads(answer["data"])["code"] == "no_card"


def test_another_heartbeat_interval_counts_at_once(bay, csms):
    """1 and 16: the interval of the registration is replaced, without a new connection."""
    here = bay()
    assert not csms.seen("Heartbeat")
    begin = here.uptime()
    assert csms.change("HeartbeatInterval", "2") == "Accepted"
    csms.wait_for("Heartbeat", count=3)
    assert here.uptime() >= begin + 6
    assert csms.change("HeartbeatInterval", "3600") == "Accepted"
    count = len(csms.seen("Heartbeat"))
    here.passes(6)
    assert len(csms.seen("Heartbeat")) <= count + 1 and len(csms.handshakes) == 1
    assert csms.change("HeartbeatInterval", "0") == "Rejected"
