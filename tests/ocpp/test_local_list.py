"""Local list, authorization cache and what decides without the central system (R3, R25, R27)."""

import pytest
from bay import Bay
from csms import SILENCE, CallFailed, Gone

ANN, BEN, CID, DAN, EVE = "04A11A01", "04B22B02", "04C33C03", "04D44D04", "04E55E05"
GOOD = {"status": "Accepted"}
FAMILY = {"status": "Accepted", "parentIdTag": "FAMILY"}
DAY_S = 86_400
PAST = "2020-01-01T00:00:00Z"


def entry(tag: str, info: dict | None = GOOD) -> dict:
    return {"idTag": tag} if info is None else {"idTag": tag, "idTagInfo": info}


def send(here: Bay, version: int, *entries: dict, kind: str = "Full") -> str:
    return here.say("SendLocalList", listVersion=version, updateType=kind, localAuthorizationList=list(entries))


def version(here: Bay) -> int:
    return here.csms.call("GetLocalListVersion")["listVersion"]


def asked(here: Bay, since: int = 0) -> list[str]:
    """Of which cards the central system was asked."""
    return [one.payload["idTag"] for one in here.csms.seen("Authorize", since=since)]


def charges(here: Bay, uid: str) -> None:
    """The card permits a charge; then the car leaves."""
    here.plug()
    here.tap(uid)
    here.until(lambda state: state["contactor"]["closed"])
    here.leave_offline()


# -- the list itself ---------------------------------------------------------------------------------


def test_a_full_list_replaces_what_was_there_and_survives_a_power_cut(bay):
    """65."""
    here = bay()
    assert version(here) == 0
    assert send(here, 7, entry(ANN), entry(BEN)) == "Accepted" and version(here) == 7
    # A full list may have any version, a lower one too (OCPP 1.6, 5.15).
    assert send(here, 4, entry(CID)) == "Accepted" and version(here) == 4
    here.restart()
    assert version(here) == 4
    here.go_offline()
    here.tap(ANN)
    here.refused(ANN, "Invalid")
    charges(here, CID)


def test_a_differential_update_adds_changes_and_removes(bay):
    """65."""
    here = bay()
    assert send(here, 1, entry(ANN), entry(BEN), entry(CID)) == "Accepted"
    changes = (entry(BEN, {"status": "Blocked"}), entry(CID, None), entry(DAN))
    assert send(here, 2, *changes, kind="Differential") == "Accepted" and version(here) == 2
    here.go_offline()
    for uid, why in ((BEN, "Blocked"), (CID, "Invalid")):
        here.tap(uid)
        here.refused(uid, why)
    charges(here, ANN)
    charges(here, DAN)


def test_a_differential_update_of_an_old_version_is_a_mismatch_and_changes_nothing(bay):
    """65."""
    here = bay()
    assert send(here, 5, entry(ANN)) == "Accepted"
    for old in (5, 4):
        assert send(here, old, entry(ANN, None), entry(BEN), kind="Differential") == "VersionMismatch"
    assert version(here) == 5
    here.go_offline()
    here.tap(BEN)
    here.refused(BEN, "Invalid")
    charges(here, ANN)


def test_an_emptied_list_has_version_0(bay):
    """65."""
    here = bay()
    assert send(here, 3, entry(ANN), entry(BEN)) == "Accepted"
    assert send(here, 4, entry(ANN, None), entry(BEN, None), kind="Differential") == "Accepted"
    assert version(here) == 0
    assert send(here, 9, entry(ANN)) == "Accepted" and version(here) == 9
    assert here.say("SendLocalList", listVersion=10, updateType="Full") == "Accepted" and version(here) == 0


def test_a_list_that_is_too_long_fails_and_the_old_one_stays(bay):
    """65: too many in one message, too many in all; a faulty update is taken no better."""
    here = bay(ocpp={"SendLocalListMaxLength": 2, "LocalAuthListMaxLength": 3})
    assert send(here, 1, entry(ANN), entry(BEN)) == "Accepted"
    assert send(here, 2, entry(CID), entry(DAN), entry(EVE)) == "Failed"
    assert send(here, 2, entry(CID), entry(DAN), kind="Differential") == "Failed"
    assert send(here, 2, entry(CID), entry(CID.lower(), {"status": "Blocked"})) == "Failed"
    assert send(here, 2, entry(CID, None)) == "Failed"
    assert version(here) == 1
    assert send(here, 2, entry(CID), entry(BEN, None), kind="Differential") == "Accepted"
    here.go_offline()
    here.tap(BEN)
    here.refused(BEN, "Invalid")
    charges(here, ANN)


@pytest.mark.parametrize("keys", [{"LocalAuthListEnabled": False}, {"SupportedFeatureProfiles": "Core,RemoteTrigger"}])
def test_without_a_list_the_version_is_minus_1_and_an_update_is_not_supported(bay, keys):
    """65."""
    here = bay(ocpp=keys)
    assert version(here) == -1
    assert send(here, 1, entry(ANN)) == "NotSupported"
    here.go_offline()
    here.tap(ANN)
    here.refused(ANN, "Invalid")


def test_a_list_that_is_switched_off_counts_no_more_and_is_there_when_it_is_back(bay):
    """65."""
    here = bay()
    assert send(here, 6, entry(ANN)) == "Accepted"
    assert here.csms.change("LocalAuthListEnabled", "false") == "Accepted"
    assert version(here) == -1
    assert here.csms.change("LocalAuthListEnabled", "true") == "Accepted"
    assert version(here) == 6
    here.go_offline()
    charges(here, ANN)


def test_flash_that_refuses_fails_an_update_and_the_old_list_stays(bay):
    """65."""
    here = bay()
    assert send(here, 1, entry(ANN)) == "Accepted"
    here.box.fault("flash_error")
    assert send(here, 2, entry(BEN)) == "Failed"
    here.box.clear("flash_error")
    assert version(here) == 1
    assert send(here, 3, entry(CID)) == "Accepted" and version(here) == 3


def test_a_power_cut_amid_an_update_leaves_the_old_list_or_the_new_one(bay):
    """65: at each write to flash that an update takes."""
    here = bay()
    old = [entry(f"0400{number:04X}") for number in range(20)]
    seen = set()
    for write in range(1, 9):
        now = 2 * write
        assert send(here, now, *old) == "Accepted"
        here.box.power(at_write=write)
        try:
            assert send(here, now + 1, entry(BEN)) == "Accepted"
        except (Gone, TimeoutError):
            since = here.csms.mark()
            here.box.power(True)
            here.csms.registered(since=since)
        else:
            # The update takes fewer writes: no cut from now on.
            here.box.power(at_write=1000)
            break
        seen.add(version(here) - now)
    assert seen and seen <= {0, 1} and version(here) == now + 1
    here.go_offline()
    charges(here, BEN)


def test_cards_are_listed_whatever_the_case_of_their_letters(bay):
    """65: idTags are CiStrings (OCPP 1.6, 7.22)."""
    here = bay()
    assert send(here, 1, entry(ANN.lower())) == "Accepted"
    here.go_offline()
    charges(here, ANN)
    here.go_online()
    assert here.started()["idTag"].upper() == ANN


def test_a_list_as_long_as_allowed_comes_in_two_messages_and_its_last_card_is_known(bay):
    """65: a hundred cards with everything that can be said of them."""
    here = bay()
    info = {"status": "Accepted", "parentIdTag": "P" * 20, "expiryDate": here.csms.in_seconds(DAY_S)}
    cards = [entry(f"04{number:012X}", info) for number in range(100)]
    assert send(here, 1, *cards[:50]) == "Accepted"
    assert send(here, 2, *cards[50:], kind="Differential") == "Accepted"
    assert send(here, 3, entry(ANN), kind="Differential") == "Failed"
    assert version(here) == 2
    here.go_offline()
    here.tap(ANN)
    here.refused(ANN, "Invalid")
    charges(here, cards[-1]["idTag"])


# -- offline ---------------------------------------------------------------------------------------


def test_offline_an_unknown_card_charges_only_if_it_is_allowed_to_and_a_bad_one_never(bay):
    """65 and 55: what the list says of a card counts more than AllowOfflineTxForUnknownId."""
    here = bay(ocpp={"AllowOfflineTxForUnknownId": True})
    blocked, old = {"status": "Blocked"}, {"status": "Accepted", "expiryDate": PAST}
    assert send(here, 1, entry(BEN, blocked), entry(CID, old)) == "Accepted"
    here.go_offline()
    here.plug()
    for uid, why in ((BEN, "Blocked"), (CID, "Expired")):
        here.tap(uid)
        here.refused(uid, why)
        assert not here.box.state()["contactor"]["commanded"]
    here.tap(DAN)
    here.until(lambda state: state["contactor"]["closed"])
    here.go_online()
    assert here.started()["idTag"] == DAN
    assert asked(here) == []


def test_offline_a_listed_card_expires_as_the_clock_goes_on(bay):
    """65."""
    here = bay()
    assert send(here, 1, entry(ANN, {"status": "Accepted", "expiryDate": here.csms.in_seconds(3600)})) == "Accepted"
    here.go_offline()
    charges(here, ANN)
    here.pass_hours(2)
    here.tap(ANN)
    here.refused(ANN, "Expired")


def test_without_local_authorize_offline_no_list_permits_a_charge(bay):
    """65."""
    here = bay(ocpp={"LocalAuthorizeOffline": False})
    assert send(here, 1, entry(ANN)) == "Accepted"
    here.go_offline()
    here.plug()
    here.tap(ANN)
    here.refused(ANN, "Invalid")
    here.go_online()
    here.tap(ANN)
    assert here.started()["idTag"] == ANN
    assert asked(here) == [ANN]


def test_a_card_of_the_box_itself_counts_offline_alone(bay):
    """65: cards registered with the setup card are the box's own list (R17); online the central system decides."""
    here = bay()
    here.tap("04A1B2C3D4E5F6")
    here.logged("registration_on")
    here.tap(ANN)
    here.logged("card_added", ANN[-4:])
    here.tap("04A1B2C3D4E5F6")
    here.logged("registration_off")
    here.csms.tags[ANN] = {"status": "Blocked"}
    here.tap(ANN)
    here.refused(ANN, "Blocked")
    here.csms.call("ClearCache")
    here.go_offline()
    charges(here, ANN)


@pytest.mark.parametrize("answer", [SILENCE, CallFailed("InternalError")], ids=["silence", "error"])
def test_an_authorize_without_an_answer_is_decided_as_if_offline(bay, answer):
    """65."""
    here = bay(ocpp={"MessageTimeout": 5})
    assert send(here, 1, entry(ANN)) == "Accepted"
    here.csms.answer("Authorize", answer)
    here.tap(BEN)
    here.refused(BEN, "Invalid")
    here.plug()
    here.tap(ANN)
    assert here.started()["idTag"] == ANN
    # A link on which nothing at all was heard is made anew.
    here.until(lambda state: state["backend"]["connected"])


# -- before the central system is asked --------------------------------------------------------------


def test_a_listed_card_starts_at_once_where_that_is_wanted(bay):
    """24: LocalPreAuthorize waits for no Authorize; a listed card that is not Accepted is asked about."""
    here = bay(ocpp={"LocalPreAuthorize": True})
    assert send(here, 1, entry(ANN), entry(BEN, {"status": "Blocked"})) == "Accepted"
    here.csms.answer("Authorize", SILENCE)
    here.charge(ANN)
    assert asked(here) == []
    here.leave()
    here.csms.answer("Authorize")
    here.csms.tags[BEN] = {"status": "Blocked"}
    here.tap(BEN)
    here.refused(BEN, "Blocked")
    assert asked(here) == [BEN]


def test_without_local_pre_authorize_a_listed_card_is_asked_about(bay):
    """24: and nothing charges before the answer."""
    here = bay()
    assert send(here, 1, entry(ANN)) == "Accepted"
    here.csms.answer("Authorize", SILENCE)
    here.plug()
    here.tap(ANN)
    here.csms.wait_for("Authorize")
    here.passes(3)
    assert not here.csms.seen("StartTransaction")
    state = here.box.state()
    assert state["why"]["code"] == "no_card" and not state["contactor"]["commanded"]


def test_a_cached_card_starts_at_once_until_the_cache_is_cleared(bay):
    """24."""
    here = bay(ocpp={"LocalPreAuthorize": True})
    here.charge(ANN)
    here.leave()
    here.charge(ANN)
    here.leave()
    assert asked(here) == [ANN]
    assert here.say("ClearCache") == "Accepted"
    here.charge(ANN)
    assert asked(here) == [ANN, ANN]


def test_without_a_cache_nothing_is_remembered_and_there_is_nothing_to_clear(bay):
    """24, and errata 3.23 of OCPP 1.6."""
    here = bay(ocpp={"LocalPreAuthorize": True, "AuthorizationCacheEnabled": False})
    here.charge(ANN)
    here.leave()
    assert here.say("ClearCache") == "Rejected"
    here.go_offline()
    here.tap(ANN)
    here.refused(ANN, "Invalid")
    here.go_online()
    here.charge(ANN)
    assert asked(here) == [ANN, ANN]


def test_the_cache_survives_a_power_cut(bay):
    """24."""
    here = bay()
    here.charge(ANN)
    here.leave()
    here.restart()
    here.go_offline()
    charges(here, ANN)


def test_a_card_that_a_start_found_blocked_is_refused_offline(bay):
    """24: the cache learns from every answer, for better and worse."""
    here = bay(ocpp={"AllowOfflineTxForUnknownId": True})
    here.csms.answer("Authorize", {"idTagInfo": GOOD})
    here.csms.tags[ANN] = {"status": "Blocked"}
    since = here.csms.mark()
    here.plug()
    here.tap(ANN)
    assert here.csms.wait_for("StopTransaction", since=since).payload["reason"] == "DeAuthorized"
    here.leave()
    here.go_offline()
    here.tap(ANN)
    here.refused(ANN, "Blocked")


def test_a_listed_card_never_enters_the_cache(bay):
    """65: OCPP 1.6, 3.5.3."""
    here = bay()
    here.charge(BEN)
    here.leave()
    assert send(here, 1, entry(ANN), entry(BEN)) == "Accepted"
    here.charge(ANN)
    here.leave()
    assert here.say("SendLocalList", listVersion=2, updateType="Full") == "Accepted"
    here.go_offline()
    for uid in (ANN, BEN):
        here.tap(uid)
        here.refused(uid, "Invalid")


# -- list and central system contradict each other -----------------------------------------------------


def conflict(here: Bay, since: int = 0) -> None:
    told = here.csms.wait_for(
        "StatusNotification", lambda payload: payload["errorCode"] == "LocalListConflict", since=since
    )
    assert told.payload["connectorId"] == 0 and told.payload["status"] == "Available"


def test_a_card_that_is_listed_as_good_and_refused_is_told_as_a_conflict(bay):
    """66: by an Authorize."""
    here = bay()
    assert send(here, 1, entry(ANN), entry(BEN, {"status": "Blocked"})) == "Accepted"
    here.csms.tags[ANN] = {"status": "Invalid"}
    here.plug()
    here.tap(ANN)
    conflict(here)
    here.refused(ANN, "Invalid")
    assert not here.csms.seen("StartTransaction") and not here.box.state()["contactor"]["commanded"]
    # And the other way round: the central system has the last word.
    since = here.csms.mark()
    here.tap(BEN)
    conflict(here, since)
    assert here.started(since)["idTag"] == BEN


def test_a_start_that_contradicts_the_list_is_told_and_ends_the_charge(bay):
    """66: by a StartTransaction, of a charge that began offline."""
    here = bay()
    assert send(here, 1, entry(ANN)) == "Accepted"
    here.csms.tags[ANN] = {"status": "Blocked"}
    here.go_offline()
    here.plug()
    here.tap(ANN)
    here.until(lambda state: state["contactor"]["closed"])
    here.go_online()
    conflict(here)
    assert here.csms.wait_for("StopTransaction").payload["reason"] == "DeAuthorized"
    here.until(lambda state: not state["contactor"]["closed"])


def test_list_and_central_system_that_agree_are_no_conflict(bay):
    """66."""
    here = bay()
    assert send(here, 1, entry(ANN), entry(BEN, {"status": "Blocked"})) == "Accepted"
    here.csms.tags[BEN] = {"status": "Expired"}
    here.tap(BEN)
    here.refused(BEN, "Expired")
    here.charge(ANN)
    here.leave()
    assert not here.csms.seen("StatusNotification", lambda payload: payload["errorCode"] != "NoError")


# -- groups ------------------------------------------------------------------------------------------


def test_another_card_of_the_same_parent_ends_a_charge_and_a_stranger_does_not(bay):
    """65: parents as the central system tells them; the stop names who ended it."""
    here = bay()
    here.csms.tags.update({ANN: FAMILY, BEN: FAMILY, CID: {"status": "Accepted", "parentIdTag": "OTHERS"}})
    here.charge(ANN)
    for stranger in (CID, DAN):
        here.tap(stranger)
        here.refused(stranger)
    assert here.box.state()["contactor"]["closed"]
    here.tap(BEN)
    stop = here.csms.wait_for("StopTransaction").payload
    assert stop["idTag"] == BEN and stop.get("reason", "Local") == "Local"
    here.until(lambda state: not state["contactor"]["closed"])


def test_a_blocked_card_of_the_same_parent_ends_nothing(bay):
    """65."""
    here = bay()
    here.csms.tags.update({ANN: FAMILY, BEN: {**FAMILY, "status": "Blocked"}})
    here.charge(ANN)
    here.tap(BEN)
    here.refused(BEN)
    assert here.box.state()["session"]["authorised"]


def test_offline_parents_of_the_list_end_a_charge(bay):
    """65."""
    here = bay()
    others = {"status": "Accepted", "parentIdTag": "OTHERS"}
    assert send(here, 1, entry(ANN, FAMILY), entry(BEN, FAMILY), entry(CID, others)) == "Accepted"
    here.go_offline()
    here.plug()
    here.tap(ANN)
    here.until(lambda state: state["contactor"]["closed"])
    here.tap(CID)
    here.refused(CID)
    here.tap(BEN)
    here.until(lambda state: not state["session"]["active"])
    here.go_online()
    assert here.csms.wait_for("StopTransaction").payload["idTag"] == BEN


# -- a card that charges elsewhere -------------------------------------------------------------------


def test_a_card_that_charges_elsewhere_begins_nothing(bay):
    """26: by an Authorize."""
    here = bay()
    here.csms.tags[ANN] = {"status": "ConcurrentTx"}
    here.plug()
    here.tap(ANN)
    here.refused(ANN, "ConcurrentTx")
    assert not here.csms.seen("StartTransaction") and not here.box.state()["contactor"]["commanded"]
    # When it does so no more it charges.
    here.csms.tags[ANN] = GOOD
    here.tap(ANN)
    assert here.started()["idTag"] == ANN


@pytest.mark.parametrize("stop", [True, False])
def test_a_start_of_a_card_that_charges_elsewhere_ends_or_gives_no_energy(bay, stop):
    """26: by a StartTransaction."""
    here = bay(ocpp={"StopTransactionOnInvalidId": stop})
    here.csms.answer("Authorize", {"idTagInfo": GOOD})
    here.csms.tags[ANN] = {"status": "ConcurrentTx"}
    since = here.csms.mark()
    here.plug()
    here.tap(ANN)
    if stop:
        assert here.csms.wait_for("StopTransaction", since=since).payload["reason"] == "DeAuthorized"
    else:
        here.heard("SuspendedEVSE", since)
        assert here.box.state()["session"]["active"] and not here.csms.seen("StopTransaction")
    here.until(lambda state: not state["contactor"]["closed"] and state["offered_a"] == 0)


def test_a_card_that_charges_elsewhere_does_so_no_more_for_all_we_know_offline(bay):
    """26: what the cache heard then is no refusal for good."""
    here = bay()
    here.csms.tags[ANN] = {"status": "ConcurrentTx"}
    here.tap(ANN)
    here.refused(ANN, "ConcurrentTx")
    here.go_offline()
    charges(here, ANN)
