"""Reservations of the whole wallbox as a central system and the people at the box see them (R25, R27)."""

import pytest
from bay import Bay
from csms import CallFailed

ANN, BEN, CID = "04A11A01", "04B22B02", "04C33C03"
GOOD = {"status": "Accepted"}
FAMILY = {"status": "Accepted", "parentIdTag": "FAMILY"}
OTHERS = {"status": "Accepted", "parentIdTag": "OTHERS"}


def reserve(here: Bay, tag: str = ANN, number: int = 7, seconds: float = 3600, connector: int = 1, **more: str) -> str:
    return here.say(
        "ReserveNow",
        connectorId=connector,
        expiryDate=here.csms.in_seconds(seconds),
        idTag=tag,
        reservationId=number,
        **more,
    )


def reserved(here: Bay, **options) -> int:
    """Reserve, and wait until the central system has heard of it; a mark after that."""
    since = here.csms.mark()
    assert reserve(here, **options) == "Accepted"
    here.heard("Reserved", since)
    return here.csms.mark()


def used_by(here: Bay, tag: str) -> None:
    """Wait for a transaction of that card; it names the reservation."""
    start = here.started()
    assert (start["idTag"], start["reservationId"]) == (tag, 7)


# -- who may charge ----------------------------------------------------------------------------------


def test_the_card_that_reserved_charges_and_uses_the_reservation_up(bay):
    """67."""
    here = bay()
    since = reserved(here)
    here.plug()
    here.tap(ANN)
    assert here.started()["reservationId"] == 7
    here.heard("Charging", since)
    here.leave()
    here.charge(BEN)
    assert "reservationId" not in here.csms.seen("StartTransaction")[-1].payload
    assert "Reserved" not in here.statuses(since)


def test_another_card_is_refused_without_a_question_and_gets_no_current(bay):
    """67: and the connector stays reserved, whoever plugs in."""
    here = bay()
    since = reserved(here)
    here.plug()
    here.tap(BEN)
    here.refused(BEN, "reserved")
    assert not here.csms.seen("Authorize")
    state = here.box.state()
    assert not state["contactor"]["commanded"] and state["offered_a"] == 0 and not state["session"]["active"]
    assert state["backend"]["connector"] == "Reserved" and here.statuses(since) == []
    here.tap(ANN)
    assert here.started()["idTag"] == ANN
    here.heard("Charging", since)
    assert here.statuses(since)[0] == "Preparing"


def test_a_card_of_the_parent_that_reserved_charges(bay):
    """67: whose parent is known is not asked twice; a card of other people is refused."""
    here = bay()
    here.csms.tags.update({BEN: OTHERS, CID: FAMILY})
    reserved(here, parentIdTag="FAMILY")
    here.tap(BEN)
    here.refused(BEN, "reserved")
    here.plug()
    here.tap(CID)
    used_by(here, CID)
    assert [one.payload["idTag"] for one in here.csms.seen("Authorize")] == [BEN, CID]


@pytest.mark.parametrize(("tag", "status"), [(ANN, "Accepted"), (BEN, "Rejected"), (CID, "Accepted")])
def test_a_remote_start_of_the_right_card_or_parent_uses_the_reservation(bay, tag, status):
    """67."""
    here = bay()
    here.csms.tags[BEN] = OTHERS
    here.csms.tags[CID] = FAMILY
    reserved(here, parentIdTag="FAMILY")
    here.plug()
    assert here.say("RemoteStartTransaction", idTag=tag, connectorId=1) == status
    if status == "Accepted":
        used_by(here, tag)
        here.until(lambda state: state["contactor"]["closed"])
    else:
        assert here.box.state()["backend"]["connector"] == "Reserved"
        assert not here.box.state()["session"]["active"]


def test_a_card_that_is_shown_without_a_car_leaves_the_reservation(bay):
    """67: it is used up by a transaction, not by the card."""
    here = bay(ocpp={"ConnectionTimeOut": 5})
    since = reserved(here)
    here.tap(ANN)
    here.heard("Preparing", since)
    here.heard("Reserved", since)
    here.tap(BEN)
    here.refused(BEN, "reserved")
    here.plug()
    here.tap(ANN)
    assert here.started()["reservationId"] == 7


def test_a_refused_card_cannot_use_its_reservation(bay):
    """67: who has reserved must still be allowed to charge."""
    here = bay()
    here.csms.tags[ANN] = {"status": "Blocked"}
    reserved(here)
    here.tap(ANN)
    here.refused(ANN, "Blocked")
    assert here.box.state()["backend"]["connector"] == "Reserved"


# -- its end -------------------------------------------------------------------------------------------


def test_a_reservation_expires_and_others_may_charge(bay):
    """67."""
    here = bay()
    since = reserved(here)
    here.tap(BEN)
    here.refused(BEN, "reserved")
    # The same one, for a shorter time.
    assert reserve(here, seconds=8) == "Accepted"
    here.heard("Available", since)
    state = here.box.state()
    assert state["backend"]["connector"] == "Available"
    here.charge(BEN)
    assert "reservationId" not in here.started()


def test_a_cancelled_reservation_is_over_and_an_unknown_one_is_none(bay):
    """67."""
    here = bay()
    assert here.say("CancelReservation", reservationId=7) == "Rejected"
    since = reserved(here)
    assert here.say("CancelReservation", reservationId=8) == "Rejected"
    assert here.box.state()["backend"]["connector"] == "Reserved"
    assert here.say("CancelReservation", reservationId=7) == "Accepted"
    here.heard("Available", since)
    assert here.say("CancelReservation", reservationId=7) == "Rejected"
    here.charge(BEN)


@pytest.mark.parametrize("how", ["fault", "out of service"])
def test_a_reservation_ends_when_the_connector_is_faulted_or_unavailable(bay, how):
    """67: OCPP 1.6, 5.13."""
    here = bay()
    since = reserved(here)
    if how == "fault":
        here.box.fault("pe")
        here.heard("Faulted", since)
        here.logged("reservation", "Faulted")
    else:
        assert here.say("ChangeAvailability", connectorId=1, type="Inoperative") == "Accepted"
        here.heard("Unavailable", since)
        here.logged("reservation", "Unavailable")
        assert here.say("ChangeAvailability", connectorId=1, type="Operative") == "Accepted"
        here.heard("Available", since)
    assert here.say("CancelReservation", reservationId=7) == "Rejected"
    assert "Reserved" not in here.statuses(since)


# -- what cannot be reserved ---------------------------------------------------------------------------


def test_a_connector_in_use_is_occupied(bay):
    """67: with a car, in a session, after it, or waiting for the car of a card that was accepted."""
    here = bay(ocpp={"ConnectionTimeOut": 60})
    here.tap(BEN)
    here.heard("Preparing")
    assert reserve(here) == "Occupied"
    since = here.csms.mark()
    here.box.plug()
    here.heard("Charging", since)
    assert reserve(here) == "Occupied"
    here.tap(BEN)
    here.heard("Finishing", since)
    assert reserve(here) == "Occupied"
    here.leave()
    assert reserve(here) == "Accepted"


def test_a_faulted_or_unavailable_connector_answers_so(bay):
    """67."""
    here = bay()
    assert here.say("ChangeAvailability", connectorId=0, type="Inoperative") == "Accepted"
    assert reserve(here) == "Unavailable"
    assert here.say("ChangeAvailability", connectorId=0, type="Operative") == "Accepted"
    here.box.fault("pe")
    here.heard("Faulted")
    assert reserve(here) == "Faulted"


def test_a_reserved_connector_is_occupied_for_others_and_changed_by_its_own_number(bay):
    """67: the same reservationId replaces."""
    here = bay()
    reserved(here)
    assert reserve(here, BEN, number=8) == "Occupied"
    assert reserve(here, BEN, number=7) == "Accepted"
    here.tap(ANN)
    here.refused(ANN, "reserved")
    here.plug()
    here.tap(BEN)
    used_by(here, BEN)


def test_a_time_that_has_gone_by_and_a_feature_that_is_missing_are_rejected(bay):
    """67."""
    here = bay(ocpp={"SupportedFeatureProfiles": "Core,Reservation", "ReserveConnectorZeroSupported": False})
    assert reserve(here, seconds=-60) == "Rejected"
    assert reserve(here, connector=0) == "Rejected"
    with pytest.raises(CallFailed) as refused:
        reserve(here, connector=2)
    assert refused.value.code == "PropertyConstraintViolation"
    assert here.statuses() == ["Available"]


def test_without_the_reservation_profile_all_is_rejected(bay):
    """67."""
    here = bay(ocpp={"SupportedFeatureProfiles": "Core,SmartCharging"})
    assert reserve(here) == "Rejected"
    here.charge(BEN)


def test_a_reservation_of_the_whole_charge_point_holds_its_one_connector(bay):
    """67: connector 0."""
    here = bay()
    since = reserved(here, connector=0)
    here.tap(BEN)
    here.refused(BEN, "reserved")
    here.plug()
    here.tap(ANN)
    assert here.started()["reservationId"] == 7
    here.heard("Charging", since)
    assert not here.csms.seen("StatusNotification", lambda one: one["connectorId"] == 0 and one["status"] == "Reserved")


# -- power, link, and a box without access control -----------------------------------------------------


def test_a_reservation_survives_a_power_cut(bay):
    """67."""
    here = bay()
    since = reserved(here)
    here.restart()
    assert here.statuses(since) == ["Reserved"]
    here.tap(BEN)
    here.refused(BEN, "reserved")
    here.plug()
    here.tap(ANN)
    assert here.started()["reservationId"] == 7
    here.heard("Charging", since)
    since = here.csms.mark()
    here.restart()
    assert "Reserved" not in here.statuses(since)


def test_a_reservation_that_expired_while_the_power_was_away_is_over(bay):
    """67."""
    here = bay()
    reserved(here, seconds=1800)
    here.box.power(False)
    since = here.csms.mark()
    here.csms.shift_s = 3600
    here.box.power(True)
    here.heard("Available", since)
    assert here.box.state()["backend"]["connector"] == "Available"
    here.charge(BEN)
    assert "reservationId" not in here.started(since)


def test_offline_a_reservation_holds_for_the_right_card_alone(bay):
    """67: its number is told when the link is back."""
    here = bay()
    listed = [{"idTag": tag, "idTagInfo": GOOD} for tag in (ANN, BEN)]
    assert here.say("SendLocalList", listVersion=1, updateType="Full", localAuthorizationList=listed) == "Accepted"
    reserved(here)
    here.go_offline()
    here.plug()
    here.tap(BEN)
    here.refused(BEN, "reserved")
    here.tap(ANN)
    here.until(lambda state: state["contactor"]["closed"])
    here.go_online()
    used_by(here, ANN)


def test_flash_that_refuses_lets_nothing_be_reserved(bay):
    """67."""
    here = bay()
    here.box.fault("flash_error")
    assert reserve(here) == "Rejected"
    here.box.clear("flash_error")
    assert here.statuses() == ["Available"]
    reserved(here)


def test_a_box_without_access_control_charges_nobody_while_it_is_reserved(bay):
    """67: and says why; when the reservation is over, the car that waits charges."""
    here = bay({"access_control": False})
    since = reserved(here)
    here.plug()
    state = here.until(lambda state: state["why"]["code"] == "held")
    assert "reserved" in state["why"]["text"] and state["why"]["who"] == "backend"
    assert not state["session"]["active"] and not state["contactor"]["commanded"]
    assert here.say("CancelReservation", reservationId=7) == "Accepted"
    here.heard("Charging", since)
    assert here.started()["idTag"] == "FREE"


@pytest.mark.parametrize("how", ["card", "remote"])
def test_a_box_without_access_control_charges_who_has_reserved_it(bay, how):
    """67."""
    here = bay({"access_control": False})
    reserved(here)
    here.plug()
    if how == "remote":
        assert here.say("RemoteStartTransaction", idTag=ANN) == "Accepted"
    else:
        here.tap(BEN)
        here.refused(BEN, "reserved")
        here.tap(ANN)
    used_by(here, ANN)
    here.until(lambda state: state["contactor"]["closed"])
