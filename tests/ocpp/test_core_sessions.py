"""Sessions of the whole wallbox as a central system sees them (R3, R25, R43)."""

import pytest
from bay import CARD, OTHER_CARD, THIRD_CARD
from csms import SILENCE, Csms

SAME_GROUP = {"status": "Accepted", "parentIdTag": "FAMILY"}


# -- begin --------------------------------------------------------------------------------------------


def test_a_car_and_then_a_card_make_a_session_from_preparing_to_available(bay, csms):
    """17."""
    here = bay()
    number = here.charge()["id"]
    state = here.box.state()
    assert state["contactor"]["closed"] and state["pilot"]["state"] == "C2"
    assert state["backend"]["transaction_id"] == number and state["backend"]["connector"] == "Charging"
    assert state["why"]["code"].startswith("charging_") and state["session"]["id_tag"] == CARD
    here.tap()
    entry = here.stopped(number)
    here.heard("Finishing")
    state = here.until(lambda state: not state["session"]["active"] and not state["contactor"]["closed"])
    assert state["offered_a"] == 0 and state["backend"]["transaction_id"] is None
    here.until(lambda state: state["backend"]["waiting"] == 0)
    here.leave()
    assert here.statuses() == ["Available", "Preparing", "Charging", "Finishing", "Available"]
    assert entry["idTag"] == entry["stopTag"] == CARD and entry["reason"] == "Local" and entry["connector"] == 1
    assert entry["meterStop"] >= entry["meterStart"] and entry["stop"] > entry["start"]
    assert len(csms.seen("Authorize")) == 1
    assert csms.wait_for("Authorize").at < csms.wait_for("StartTransaction").at < csms.wait_for("StopTransaction").at


def test_a_card_and_then_a_car_make_a_session(bay, csms):
    """18."""
    here = bay()
    here.tap()
    here.heard("Preparing")
    state = here.box.state()
    assert state["session"]["waiting"] and state["why"]["code"] == "plug_in"
    assert not csms.seen("StartTransaction")
    here.box.plug()
    here.heard("Charging")
    assert here.running()["idTag"] == CARD
    assert here.contactor_closed()
    assert here.statuses() == ["Available", "Preparing", "Charging"]


def test_a_card_without_a_car_expires_after_the_connection_time_out(bay, csms):
    """19."""
    here = bay(ocpp={"ConnectionTimeOut": 5})
    begin = here.uptime()
    here.tap()
    here.heard("Preparing")
    here.heard("Available", count=2)
    assert begin + 5 <= here.logged("authorisation_expired")["uptime_ms"] / 1000 < begin + 40
    here.box.plug()
    here.heard("Preparing", count=2)
    state = here.box.state()
    assert state["why"]["code"] == "no_card" and not state["contactor"]["closed"]
    assert not csms.transactions()


def test_a_car_without_a_card_is_finishing_after_the_connection_time_out(bay, csms):
    """20, transition B6."""
    here = bay(ocpp={"ConnectionTimeOut": 5})
    begin = here.uptime()
    here.box.plug()
    here.heard("Preparing")
    here.heard("Finishing")
    assert begin + 5 <= here.uptime() < begin + 40
    assert not here.contactor_closed()
    here.leave()
    assert here.statuses() == ["Available", "Preparing", "Finishing", "Available"]
    assert not csms.seen("Authorize") and not csms.transactions()


def test_a_card_still_starts_a_car_that_has_waited_too_long(bay):
    """20 and then 31: Finishing leads to a session as Preparing does."""
    here = bay(ocpp={"ConnectionTimeOut": 2})
    here.box.plug()
    here.heard("Finishing")
    here.tap()
    here.heard("Charging")
    assert here.running()["idTag"] == CARD
    assert here.contactor_closed()


def test_a_card_that_is_shown_while_finishing_begins_another_transaction(bay):
    """31, transition F2."""
    here = bay()
    first = here.charge()["id"]
    here.tap()
    here.heard("Finishing")
    assert here.stopped(first)["reason"] == "Local"
    here.tap(OTHER_CARD)
    here.heard("Charging", count=2)
    second = here.running()
    assert second["idTag"] == OTHER_CARD and second["id"] != first
    assert second["meterStart"] >= here.stopped(first)["meterStop"]
    assert here.contactor_closed()
    statuses = here.statuses()
    assert statuses[:4] == ["Available", "Preparing", "Charging", "Finishing"] and statuses[-1] == "Charging"
    assert "Available" not in statuses[1:]


# -- end ----------------------------------------------------------------------------------------------


def test_a_card_of_the_same_group_ends_the_session(bay, csms):
    """21."""
    csms.tags.update({CARD: SAME_GROUP, OTHER_CARD: SAME_GROUP})
    here = bay()
    number = here.charge()["id"]
    here.tap(OTHER_CARD)
    entry = here.stopped(number)
    assert entry["reason"] == "Local" and entry["stopTag"] == OTHER_CARD
    here.heard("Finishing")
    here.opens()


def test_a_foreign_card_does_not_end_the_session(bay, csms):
    """21: neither one without a group nor one of another."""
    csms.tags.update({CARD: SAME_GROUP, THIRD_CARD: {"status": "Accepted", "parentIdTag": "NEIGHBOURS"}})
    here = bay()
    number = here.charge()["id"]
    for card in (OTHER_CARD, THIRD_CARD):
        here.tap(card)
        here.refused(card, "another card or the backend started this session")
    assert here.contactor_closed() and here.box.state()["session"]["authorised"]
    here.tap()
    assert here.stopped(number)["stopTag"] == CARD


def test_unplugging_ends_the_session_and_shows_finishing_for_a_moment(bay):
    """22. The cable is fixed: there is nothing to be unplugged from the wallbox after that."""
    here = bay()
    number = here.charge()["id"]
    here.box.unplug()
    entry = here.stopped(number)
    assert entry["reason"] == "EVDisconnected" and entry["stopTag"] is None
    here.heard("Available", count=2)
    assert here.statuses() == ["Available", "Preparing", "Charging", "Finishing", "Available"]
    assert not here.contactor_closed()


def test_a_session_cannot_be_configured_to_outlive_its_car(bay, csms):
    """23: StopTransactionOnEVSideDisconnect is read only, since no car may charge on another's permission (R43)."""
    key = "StopTransactionOnEVSideDisconnect"
    here = bay()
    listed = csms.call("GetConfiguration", {"key": [key]})["configurationKey"]
    assert listed == [{"key": key, "readonly": True, "value": "true"}]
    assert csms.change(key, "false") == "Rejected"
    number = here.charge()["id"]
    since = csms.mark()
    here.box.unplug()
    assert here.stopped(number)["reason"] == "EVDisconnected"
    here.box.plug()
    here.heard("Preparing", since)
    state = here.until(lambda state: state["why"]["code"] == "no_card")
    assert not state["contactor"]["closed"] and not state["session"]["active"]


# -- who may --------------------------------------------------------------------------------------------


def test_a_known_card_starts_without_asking_when_so_configured(bay, csms):
    """24: the card is known from its former answer."""
    here = bay(ocpp={"LocalPreAuthorize": True})
    here.charge()
    here.leave()
    csms.answer("Authorize", SILENCE)
    second = here.charge()
    assert second["idTag"] == CARD and here.contactor_closed()
    assert len(csms.seen("Authorize")) == 1


def test_a_listed_card_starts_without_asking_when_so_configured(bay, csms):
    """24."""
    here = bay(ocpp={"LocalPreAuthorize": True})
    entry = {"idTag": CARD, "idTagInfo": {"status": "Accepted"}}
    sent = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [entry]}
    assert csms.call("SendLocalList", sent) == {"status": "Accepted"}
    csms.answer("Authorize", SILENCE)
    assert here.charge()["idTag"] == CARD
    assert here.contactor_closed() and not csms.seen("Authorize")


def test_without_that_a_known_card_waits_for_the_answer(bay, csms):
    """24, the other way round."""
    here = bay()
    here.charge()
    here.leave()
    csms.tags[CARD] = {"status": "Blocked"}
    here.box.plug()
    here.tap()
    here.refused(CARD, "Blocked")
    assert len(csms.seen("StartTransaction")) == 1 and not here.contactor_closed()


def test_a_card_that_the_central_system_refuses_starts_nothing(bay, csms):
    """25 and 26."""
    here = bay()
    here.box.plug()
    here.heard("Preparing")
    for number, status in enumerate(("Invalid", "Blocked", "Expired", "ConcurrentTx")):
        card = f"0400000{number}"
        csms.tags[card] = {"status": status}
        here.tap(card)
        here.refused(card, status)
        state = here.box.state()
        assert not state["contactor"]["closed"] and not state["session"]["active"]
    # A good one starts after that, so nothing more came of the others.
    here.tap()
    here.heard("Charging")
    assert [one["idTag"] for one in csms.transactions()] == [CARD]
    assert here.statuses() == ["Available", "Preparing", "Charging"]


@pytest.mark.parametrize("status", ["ConcurrentTx", "Invalid"])
def test_a_transaction_that_is_refused_is_stopped(bay, csms, status):
    """26 and 27: StopTransactionOnInvalidId."""
    csms.answer("StartTransaction", {"transactionId": 7, "idTagInfo": {"status": status}})
    here = bay()
    here.box.plug()
    here.heard("Preparing")
    here.tap()
    entry = here.stopped(7)
    assert entry["reason"] == "DeAuthorized" and entry["stopTag"] is None
    here.heard("Finishing")
    here.logged("tag_refused", status)
    state = here.opens()
    assert not state["session"]["active"] and state["offered_a"] == 0
    here.leave()


def test_a_transaction_that_is_refused_goes_on_without_energy_when_so_configured(bay, csms):
    """27: StopTransactionOnInvalidId is false."""
    csms.answer("StartTransaction", {"transactionId": 7, "idTagInfo": {"status": "Blocked"}})
    here = bay(ocpp={"StopTransactionOnInvalidId": False})
    here.box.plug()
    here.heard("Preparing")
    here.tap()
    here.heard("SuspendedEVSE")
    state = here.until(lambda state: state["why"]["code"] == "limit_backend")
    assert state["session"]["active"] and not state["contactor"]["closed"] and state["offered_a"] == 0
    assert "refuses the card" in state["why"]["text"]
    assert not csms.seen("StopTransaction")
    csms.answer("StartTransaction")
    here.box.unplug()
    assert here.stopped(7)["reason"] == "EVDisconnected"
    # The next car is not held by the former one's refusal.
    assert here.charge(OTHER_CARD)["idTag"] == OTHER_CARD
    assert here.contactor_closed()


def test_a_refused_transaction_gets_the_energy_that_is_allowed(bay, csms):
    """27: MaxEnergyOnInvalidId."""
    csms.answer("StartTransaction", {"transactionId": 7, "idTagInfo": {"status": "Invalid"}})
    here = bay(ocpp={"StopTransactionOnInvalidId": False, "MaxEnergyOnInvalidId": 10})
    here.box.plug()
    here.heard("Preparing")
    here.tap()
    here.heard("Charging")
    here.heard("SuspendedEVSE")
    here.opens()
    here.box.unplug()
    entry = here.stopped(7)
    # 25 A on three phases are 5 Wh in a second, and the car has some time to stop.
    assert 10 <= entry["meterStop"] - entry["meterStart"] <= 60
    assert entry["reason"] == "EVDisconnected"


# -- without access control -----------------------------------------------------------------------------


def test_without_access_control_a_car_charges_under_the_configured_tag(bay, csms):
    """FreeChargingIdTag."""
    here = bay({"access_control": False}, {"FreeChargingIdTag": "GARAGE"})
    here.box.plug()
    here.heard("Charging")
    entry = here.running()
    assert entry["idTag"] == "GARAGE" and here.contactor_closed()
    here.tap()
    here.logged("card_not_needed")
    here.box.unplug()
    assert here.stopped(entry["id"])["reason"] == "EVDisconnected"
    assert not csms.seen("Authorize")


def test_without_access_control_the_tag_may_be_refused_too(bay, csms):
    """27 with FreeChargingIdTag: the session ends, and the same car begins no other."""
    csms.tags["FREE"] = {"status": "Invalid"}
    here = bay({"access_control": False}, {"ConnectionTimeOut": 3})
    here.box.plug()
    assert here.stopped(1)["reason"] == "DeAuthorized"
    here.heard("Finishing")
    here.until(lambda state: not state["contactor"]["closed"] and not state["session"]["active"])
    csms.tags.clear()
    here.leave()
    since = csms.mark()
    here.box.plug()
    here.heard("Charging", since)
    assert [one["idTag"] for one in csms.transactions()] == ["FREE", "FREE"]


# -- suspended ------------------------------------------------------------------------------------------


def test_a_car_that_wants_no_energy_is_suspended_by_the_car(bay, csms):
    """A8 and back: D3, C4."""
    here = bay()
    here.box.plug(wants=False)
    here.heard("Preparing")
    here.tap()
    here.heard("SuspendedEV")
    number = here.running()["id"]
    state = here.box.state()
    assert not state["contactor"]["closed"] and state["why"]["code"] == "car_not_ready"
    here.box.car(state="C")
    here.heard("Charging")
    assert here.contactor_closed()
    here.box.car(state="B")
    here.heard("SuspendedEV", count=2)
    here.opens()
    assert not csms.seen("StopTransaction") and here.running()["id"] == number
    assert here.statuses() == ["Available", "Preparing", "SuspendedEV", "Charging", "SuspendedEV"]


def limit(csms: Csms, amps: float) -> None:
    """Let the central system allow so much to every car."""
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}],
        },
    }
    assert csms.call("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile}) == {"status": "Accepted"}


def test_a_charge_that_begins_suspended_and_one_that_is_resumed_are_not_prepared_again(bay, csms):
    """B5, E3: there is no way back from SuspendedEVSE to Preparing, nor does the car suspend what it has just got."""
    here = bay()
    limit(csms, 0)
    here.box.plug()
    here.heard("Preparing")
    here.tap()
    here.heard("SuspendedEVSE")
    limit(csms, 16)
    here.heard("Charging")
    limit(csms, 5)
    here.heard("SuspendedEVSE", count=2)
    here.opens()
    limit(csms, 10)
    here.heard("Charging", count=2)
    assert here.statuses() == ["Available", "Preparing", *["SuspendedEVSE", "Charging"] * 2]
    state = here.box.state()
    assert state["contactor"]["closed"] and state["offered_a"] == 10


def test_a_limit_below_6_a_suspends_the_charge_and_beats_the_car(bay, csms):
    """C5, E4; SuspendedEVSE beats SuspendedEV."""
    here = bay()
    here.charge()
    limit(csms, 5.9)
    here.heard("SuspendedEVSE")
    state = here.opens()
    assert state["offered_a"] == 0 and state["why"]["code"] == "limit_backend" and state["session"]["active"]
    since = csms.mark()
    here.box.car(state="B")
    here.passes(4)
    assert here.statuses(since) == []
    assert csms.call("ClearChargingProfile", {"id": 1}) == {"status": "Accepted"}
    here.heard("SuspendedEV", since)
    here.box.car(state="C")
    here.heard("Charging", since)
    assert here.contactor_closed() and not csms.seen("StopTransaction")


# -- faults and flicker ---------------------------------------------------------------------------------


def test_a_wallbox_with_a_fault_refuses_cards(bay, csms):
    """28. There is no lock that could fail; a fault that is there before the session stands for it."""
    here = bay()
    here.box.fault("temperature_sensor")
    here.heard("Faulted", errorCode="HighTemperature", vendorErrorCode="temperature_sensor", vendorId="wallbox")
    here.box.plug()
    here.tap()
    here.refused(CARD, "there is a fault")
    state = here.box.state()
    assert not state["contactor"]["closed"] and not state["session"]["active"]
    assert not csms.seen("Authorize") and not csms.seen("StartTransaction")
    here.box.clear("temperature_sensor")
    here.heard("Preparing", errorCode="NoError")
    here.tap()
    here.heard("Charging")
    assert here.statuses() == ["Available", "Faulted", "Preparing", "Charging"]


def test_a_contactor_that_does_not_close_ends_in_faulted(bay):
    """28: what fails at the start is not a lock here, but the contactor."""
    here = bay()
    here.box.fault("no_close")
    here.box.plug()
    here.heard("Preparing")
    here.tap()
    here.heard("Faulted", errorCode="PowerSwitchFailure")
    number = here.running()["id"]
    assert not here.contactor_closed()
    here.box.clear("no_close")
    here.box.unplug()
    entry = here.stopped(number)
    assert entry["reason"] == "EVDisconnected" and entry["meterStop"] == entry["meterStart"]
    here.heard("Available", count=2, errorCode="NoError")


def test_a_fault_in_the_charge_is_told_and_the_charge_goes_on_after_it(bay, csms):
    """29: the fault ends by itself, and the transaction has lived on."""
    here = bay()
    number = here.charge()["id"]
    here.box.fault("temperature_sensor")
    here.heard("Faulted", errorCode="HighTemperature", vendorErrorCode="temperature_sensor")
    state = here.opens()
    assert state["why"]["code"] == "temperature_sensor" and state["session"]["active"]
    here.box.clear("temperature_sensor")
    here.heard("Charging", count=2, errorCode="NoError")
    assert here.contactor_closed() and here.running()["id"] == number
    assert not csms.seen("StopTransaction")


def test_a_fault_that_asks_for_unplugging_ends_with_the_session(bay):
    """29: leakage stands until the car has gone (R9)."""
    here = bay()
    number = here.charge()["id"]
    here.box.fault("residual_ac", 60)
    here.heard("Faulted", errorCode="GroundFailure")
    assert here.opens()["session"]["active"]
    here.box.clear("residual_ac")
    here.box.unplug()
    assert here.stopped(number)["reason"] == "EVDisconnected"
    here.heard("Available", count=2)


def test_what_pauses_the_charge_by_itself_is_suspended_by_the_wallbox_with_its_error_code(bay, csms):
    """29: a car that asks for ventilation is no fault of the wallbox."""
    here = bay()
    number = here.charge()["id"]
    here.box.car(state="D")
    here.heard("SuspendedEVSE", errorCode="OtherError", vendorErrorCode="ventilation")
    here.opens()
    here.box.car(state="C")
    here.heard("Charging", count=2, errorCode="NoError")
    assert here.running()["id"] == number and not csms.seen("StopTransaction")


def test_a_status_that_does_not_last_is_not_told(bay, csms):
    """30: MinimumStatusDuration."""
    here = bay(ocpp={"MinimumStatusDuration": 5})
    here.box.plug()
    here.until(lambda state: state["backend"]["connector"] == "Preparing")
    here.box.unplug()
    here.until(lambda state: state["backend"]["connector"] == "Available")
    here.passes(5)
    begin = here.uptime()
    here.box.plug()
    here.heard("Preparing")
    assert here.uptime() >= begin + 5
    assert here.statuses() == ["Available", "Preparing"]


# -- cards ----------------------------------------------------------------------------------------------


def test_the_same_card_again_takes_the_permission_back(bay, csms):
    """A second card ends Preparing (transition B1)."""
    here = bay()
    here.tap()
    here.heard("Preparing")
    here.tap()
    here.heard("Available", count=2)
    here.logged("card_accepted", "is not waited for any more")
    here.box.plug()
    here.heard("Preparing", count=2)
    state = here.until(lambda state: state["why"]["code"] == "no_card")
    assert not state["contactor"]["closed"] and not csms.transactions()


def test_another_card_takes_over_the_permission(bay, csms):
    """The car belongs to whoever came last before it."""
    here = bay()
    here.tap()
    here.heard("Preparing")
    here.tap(OTHER_CARD)
    here.until(lambda state: state["session"]["id_tag"] == OTHER_CARD)
    here.box.plug()
    here.heard("Charging")
    assert [one["idTag"] for one in csms.transactions()] == [OTHER_CARD]


def test_cards_of_the_box_itself_are_asked_for_too(bay, csms):
    """While the central system is there it decides, also about a card that was registered at the box."""
    here = bay()
    setup = here.box.state()["cards"]["setup"]
    here.tap(setup)
    here.logged("registration_on")
    here.tap(CARD)
    here.logged("card_added")
    here.tap(setup)
    here.logged("registration_off")
    assert not csms.seen("Authorize")
    csms.tags[CARD] = {"status": "Blocked"}
    here.box.plug()
    here.tap(CARD)
    here.refused(CARD, "Blocked")
    assert not here.contactor_closed()
    csms.tags.clear()
    assert csms.wait_for("Authorize").payload == {"idTag": CARD}
    here.tap(CARD)
    here.heard("Charging")
    here.tap(setup)
    here.refused(setup, "a car is connected")
    assert here.running()["idTag"] == CARD and len(csms.seen("Authorize")) == 2
