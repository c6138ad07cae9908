"""The wallbox without link, without supply and without the right time: what the central system's books show after."""

import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from bay import QUIET, Bay
from csms import SILENCE, CallFailed, Csms

from simulator import MICROPYTHON, ROOT, Simulator

TAG, OTHER = "04112233", "04AABBCC"
SAMPLE_S = 1
KEYS = {
    "ConnectionTimeOut": 30,
    "HeartbeatInterval": 60,
    "MeterValueSampleInterval": SAMPLE_S,
    "TransactionMessageRetryInterval": 1,
}
DAY_S = 24 * 3600
# Most of what happens here is waiting.
FAST, FASTER = 20, 50

Station = Callable[..., Simulator]


def live(
    csms: Csms, station: Station, ocpp: dict[str, Any] | None = None, since: int | None = 0, **options: Any
) -> Bay:
    """Start a wallbox that belongs to `csms`, at its speed."""
    settings = {"access_control": True, **QUIET}
    box = station(settings, {**KEYS, **(ocpp or {})}, url=csms.url, speed=csms.speed, **options)
    return Bay(csms, box, since)


def forget_time(one: Bay) -> None:
    """As with an empty battery of the real-time clock."""
    assert one.box.exchange({"do": "utc", "seconds": None})["ok"]


def utc(one: Bay) -> float:
    """What the wallbox's clock shows: on a busy host it is late against that of the central system."""
    return seconds(one.box.state()["utc"])


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def times(entry: dict[str, Any]) -> list[float]:
    """Of start, values and stop, as they were sent."""
    return [seconds(text) for text in (entry["start"], *(one["timestamp"] for one in entry["values"]), entry["stop"])]


def register(payload: dict[str, Any]) -> int:
    return int(payload["meterValue"][0]["sampledValue"][0]["value"])


def registers(entry: dict[str, Any]) -> list[int]:
    values = [int(one["sampledValue"][0]["value"]) for one in entry["values"]]
    return [entry["meterStart"], *values, entry["meterStop"]]


def whole(csms: Csms, count: int, again: bool = False) -> list[dict[str, Any]]:
    """The books: so many transactions, each begun and ended once, with times and registers that never go back.

    With `again` a message may have come twice, under the same id.
    """
    books = csms.transactions()
    assert len(books) == count, books
    for entry in books:
        assert entry["start"] and entry["stop"] and entry["id"] > 0, entry
        assert again or (entry["starts"], entry["stops"]) == (1, 1), entry
        assert times(entry) == sorted(times(entry)), entry
        assert registers(entry) == sorted(registers(entry)), entry
    marks = [wh for entry in books for wh in (entry["meterStart"], entry["meterStop"])]
    assert marks == sorted(marks), books
    assert len({entry["id"] for entry in books}) == count
    order = {(one.id, one.action): None for one in csms.messages if not one.out and one.kind == "call"}
    steps = [action for _, action in order if action in ("StartTransaction", "StopTransaction")]
    assert steps == ["StartTransaction", "StopTransaction"] * count
    return books


def on_flash(folder: Path, what: str) -> int:
    """Do something to the flash image of a box that is off, see ocpp_on_flash.py -> the number it prints."""
    command = [
        str(MICROPYTHON),
        "-X",
        "heapsize=8M",
        str(ROOT / "tests" / "unit" / "ocpp_on_flash.py"),
        str(folder),
        what,
    ]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stderr
    return int(answer.stdout)


@pytest.fixture
def csms(central: Callable[..., Csms]) -> Csms:
    return central(speed=FAST)


@pytest.fixture
def life(csms: Csms, station: Station) -> Callable[..., Bay]:
    def start(ocpp: dict[str, Any] | None = None, **options: Any) -> Bay:
        return live(csms, station, ocpp, **options)

    return start


# 54


@pytest.mark.parametrize("how", ["network", "fin", "rst", "close"])
def test_a_charge_goes_on_without_link_and_its_values_come_later_with_their_own_times(life, csms, how):
    one = life()
    one.begin()
    csms.wait_for("MeterValues")
    if how == "network":
        one.go_offline()
    else:
        csms.refuse()
        csms.drop(how)
        csms.wait_gone()
    one.until(lambda state: state["backend"]["waiting"] >= 3)
    assert one.box.state()["contactor"]["closed"]
    csms.admit()
    one.go_online()
    one.end()
    one.rest()
    entry = whole(csms, 1)[0]
    assert len(entry["values"]) >= 4
    apart = [later - earlier for earlier, later in zip(times(entry)[:-1], times(entry)[1:-1], strict=False)]
    assert all(abs(gap - SAMPLE_S) <= 1 for gap in apart), times(entry)
    assert entry["meterStop"] > entry["meterStart"] and entry["reason"] == "Local"
    assert one.codes("closed", "opened") == ["closed", "opened"]
    assert len(csms.seen("BootNotification")) == 1


def test_a_link_that_is_frozen_is_found_dead_and_the_charge_never_notices(life, csms):
    one = life({"WebSocketPingInterval": 4, "MessageTimeout": 5})
    one.begin()
    mark = csms.mark()
    csms.drop("freeze")
    csms.wait_handshakes(2)
    csms.wait_for("MeterValues", since=mark, count=3)
    one.end()
    one.rest()
    # What was sent into the void is sent again under its id, so that it is one message.
    entry = csms.transactions()[0]
    assert len(csms.transactions()) == 1 and entry["stops"] == 1
    assert times(entry) == sorted(times(entry)) and one.codes("closed") == ["closed"]


# 55


def test_without_link_the_local_list_and_the_rule_for_unknown_tags_decide(life, csms):
    one = life()
    tags = [
        {"idTag": TAG, "idTagInfo": {"status": "Accepted"}},
        {"idTag": OTHER, "idTagInfo": {"status": "Blocked"}},
    ]
    update = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": tags}
    assert csms.call("SendLocalList", update) == {"status": "Accepted"}
    one.go_offline()
    one.box.plug()
    one.until(lambda state: state["why"]["code"] == "no_card")
    for refused, tag in enumerate((OTHER, "DEADBEEF"), 1):
        one.box.tap(tag)
        one.until(lambda _state, count=refused: len(one.codes("card_refused")) == count)
    assert not one.box.state()["session"]["active"] and one.box.state()["backend"]["waiting"] == 0
    one.begin(TAG)
    one.end(TAG)
    one.go_online()
    assert whole(csms, 1)[0]["idTag"] == TAG
    assert csms.seen("Authorize") == []


def test_an_unknown_tag_charges_without_link_when_that_is_allowed_but_a_blocked_one_does_not(life, csms):
    one = life({"AllowOfflineTxForUnknownId": True})
    tags = [{"idTag": OTHER, "idTagInfo": {"status": "Blocked"}}]
    csms.call("SendLocalList", {"listVersion": 1, "updateType": "Full", "localAuthorizationList": tags})
    one.go_offline()
    one.box.plug()
    one.until(lambda state: state["why"]["code"] == "no_card")
    one.box.tap(OTHER)
    one.until(lambda _state: one.codes("card_refused"))
    one.begin("DEADBEEF")
    one.end("DEADBEEF")
    one.go_online()
    assert whole(csms, 1)[0]["idTag"] == "DEADBEEF"


# 56


def test_a_charge_that_began_offline_with_a_tag_that_is_invalid_is_stopped_when_the_link_is_back(life, csms):
    one = life({"AllowOfflineTxForUnknownId": True})
    csms.tags[TAG] = {"status": "Invalid"}
    one.go_offline()
    one.begin()
    one.go_online()
    one.until(lambda state: not state["session"]["active"] and not state["contactor"]["closed"])
    one.rest()
    entry = whole(csms, 1)[0]
    assert entry["reason"] == "DeAuthorized" and entry["stopTag"] is None
    one.heard("Finishing")
    # The tag is known now: it does not begin another.
    mark = csms.mark()
    one.box.tap(TAG)
    csms.wait_for("Authorize", since=mark)
    one.until(lambda _state: one.codes("card_refused"))
    assert len(csms.transactions()) == 1


@pytest.mark.parametrize("allowed_wh", [0, 40])
def test_or_it_gets_no_more_energy_than_is_allowed_until_the_driver_ends_it(life, csms, allowed_wh):
    keys = {"StopTransactionOnInvalidId": False, "MaxEnergyOnInvalidId": allowed_wh}
    one = life({"AllowOfflineTxForUnknownId": True, **keys})
    csms.tags[TAG] = {"status": "Blocked"}
    one.go_offline()
    one.begin()
    begin_wh = one.box.state()["session"]["energy_wh"]
    one.go_online()
    one.until(lambda state: not state["contactor"]["closed"])
    one.heard("SuspendedEVSE")
    state = one.box.state()
    assert state["session"]["active"] and "refuses the card" in state["why"]["text"]
    assert state["session"]["energy_wh"] - begin_wh >= allowed_wh
    one.end()
    one.rest()
    assert whole(csms, 1)[0]["reason"] == "Local"


# 57


def test_a_stop_without_link_is_told_with_the_id_of_its_start_when_the_link_is_back(life, csms):
    one = life()
    one.begin()
    csms.wait_for("StartTransaction")
    one.go_offline()
    before = utc(one)
    one.end()
    after = utc(one)
    one.go_online()
    assert before <= seconds(whole(csms, 1)[0]["stop"]) <= after


@pytest.mark.parametrize("restart", ["reset", "power"])
def test_charges_of_many_days_without_link_are_told_once_in_order_and_with_their_own_times(central, station, restart):
    csms = central(speed=FASTER)
    one = live(csms, station, {"AllowOfflineTxForUnknownId": True})
    one.go_offline()
    days = 6
    begun, ended = [], []
    for day in range(days):
        csms.shift_s += DAY_S
        # A day without supply, or one on which the firmware has started anew.
        if restart == "power":
            one.box.power(False)
        one.box.request("utc", seconds=int(csms.now().timestamp()))
        if restart == "power":
            one.box.power(True)
        else:
            one.box.reset()
        one.until(lambda state: state["power"] and state["why"]["code"] == "no_car")
        one.begin(f"0411220{day}")
        begun.append(utc(one))
        one.end(f"0411220{day}")
        ended.append(utc(one))
    assert csms.transactions() == []
    # What the wallbox is late by on a busy host, its last charge is dated on by when the central system sets its clock.
    late = max(0, csms.now().timestamp() - utc(one)) + 1
    one.go_online()
    books = whole(csms, days)
    assert [entry["idTag"] for entry in books] == [f"0411220{day}" for day in range(days)]
    for entry, first, last in zip(books, begun, ended, strict=True):
        assert first - 30 <= seconds(entry["start"]) <= first + late, late
        assert first <= seconds(entry["stop"]) <= last + late, late
    assert one.box.state()["lifetime"]["total_wh"] == books[-1]["meterStop"]


# 58


def test_a_power_cut_ends_the_transaction_with_power_loss_and_the_charge_goes_on_as_a_new_one(life, csms):
    one = life()
    one.begin()
    known = csms.wait_for("MeterValues", lambda payload: register(payload) >= 3)
    one.dark()
    one.light()
    one.until(lambda state: state["power"] and state["contactor"]["closed"] and state["backend"]["transaction_id"] == 2)
    one.end()
    one.rest()
    first, second = whole(csms, 2)
    assert first["reason"] == "PowerLoss" and first["stopTag"] is None and second["reason"] == "Local"
    assert first["meterStop"] >= register(known.payload)
    assert first["idTag"] == second["idTag"] == TAG and second["meterStart"] == first["meterStop"]
    assert one.codes("transaction_restored") == ["transaction_restored"]


def test_with_the_car_gone_meanwhile_only_the_stop_is_sent(life, csms):
    one = life()
    one.begin()
    csms.wait_for("MeterValues")
    one.dark()
    one.box.unplug()
    mark = csms.mark()
    one.light()
    one.heard("Available", mark)
    one.rest()
    assert whole(csms, 1)[0]["reason"] == "PowerLoss"
    assert not one.box.state()["session"]["active"]
    # The next driver is one of his own.
    one.begin(OTHER)
    one.end(OTHER)
    one.rest()
    assert whole(csms, 2)[1]["idTag"] == OTHER


# 59


@pytest.mark.parametrize("action", ["StartTransaction", "StopTransaction"])
@pytest.mark.parametrize("step", ["before it is sent", "before the reply", "after the reply"])
def test_a_power_cut_at_any_step_of_delivery_leaves_one_transaction(life, csms, action, step):
    one = life({"AllowOfflineTxForUnknownId": True})
    begins = action == "StartTransaction"
    if begins:
        one.box.plug()
    else:
        one.begin()
        csms.wait_for("StartTransaction")
    if step == "before it is sent":
        one.go_offline()
    elif step == "before the reply":
        csms.answer(action, SILENCE)
    one.box.tap(TAG)
    if step == "before it is sent":
        one.until(lambda state: state["session"]["active"] == begins)
    else:
        csms.wait_for(action)
    if step == "after the reply":
        one.until(lambda state: state["backend"]["transaction_id"] if begins else not state["backend"]["waiting"])
    one.dark()
    csms.answer(action)
    one.box.network(True)
    one.light()
    if begins:
        one.until(lambda state: state["power"] and state["session"]["energy_wh"] >= 3)
        one.end()
    one.rest()
    reasons = ["PowerLoss", "Local"] if begins else ["Local"]
    books = whole(csms, len(reasons), again=True)
    assert [entry["reason"] for entry in books] == reasons
    # What was not answered came again as the same message.
    assert books[0]["starts" if begins else "stops"] == (2 if step == "before the reply" else 1)


# 60


def test_out_of_service_stays_out_of_service_over_a_power_cut(life, csms):
    one = life()
    assert csms.call("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}) == {"status": "Accepted"}
    one.heard("Unavailable")
    one.dark()
    mark = csms.mark()
    one.light()
    one.heard("Unavailable", mark)
    one.box.plug()
    one.until(lambda state: state["power"] and state["pilot"]["state"][0] == "B")
    one.box.tap(TAG)
    one.until(lambda _state: one.codes("card_refused"))
    assert csms.transactions() == [] and csms.seen("Authorize") == []
    mark = csms.mark()
    assert csms.call("ChangeAvailability", {"connectorId": 0, "type": "Operative"}) == {"status": "Accepted"}
    one.heard("Preparing", mark)


# 61


@pytest.mark.parametrize("link", ["online", "offline"])
def test_with_a_flash_that_refuses_a_charge_is_told_all_the_same(life, csms, link):
    one = life({"AllowOfflineTxForUnknownId": True})
    if link == "offline":
        one.go_offline()
    one.box.fault("flash_error")
    one.begin()
    one.end()
    assert one.codes("flash_refused") and not one.box.state()["backend"]["reason"].startswith("flash")
    one.box.clear("flash_error")
    one.begin(OTHER)
    assert one.box.state()["backend"]["waiting"] == 0 or link == "offline"
    if link == "offline":
        # What was in RAM went to flash with the next record.
        one.restart_offline()
        one.until(lambda state: state["session"]["energy_wh"] >= 3 and state["contactor"]["closed"])
    one.end(OTHER)
    one.go_online()
    books = whole(csms, 3 if link == "offline" else 2)
    assert [entry["idTag"] for entry in books] == [TAG, OTHER, OTHER][: len(books)]
    assert one.codes("task_died") == []


def test_a_file_that_is_cut_short_costs_no_more_than_its_last_record(csms, station, tmp_path):
    live(csms, station, data=tmp_path).box.stop()
    assert on_flash(tmp_path, "torn") == 2
    one = live(csms, station, since=csms.mark(), data=tmp_path)
    one.rest()
    first, second = whole(csms, 2)
    # The second one has lost its stop: it ends as if the supply had failed then.
    assert (first["reason"], second["reason"]) == ("Local", "PowerLoss")
    assert (first["meterStart"], first["meterStop"], second["meterStart"]) == (0, 1, 1)
    assert one.codes("task_died") == [] and one.codes("queue_damaged")
    one.begin()
    one.end()
    one.rest()
    assert len(csms.transactions()) == 3


def test_when_the_memory_is_full_no_card_is_taken_until_some_of_it_is_delivered(csms, station, tmp_path):
    live(csms, station, {"AllowOfflineTxForUnknownId": True}, data=tmp_path).box.stop()
    count = on_flash(tmp_path, "fill")
    assert count > 50
    csms.refuse()
    one = live(csms, station, since=None, data=tmp_path)
    one.box.plug()
    one.until(lambda state: state["power"] and state["why"]["code"] == "no_card" and state["backend"]["waiting"])
    one.box.tap(TAG)
    refused = one.until(lambda _state: one.codes("card_refused"))
    assert not refused["session"]["active"]
    text = next(entry["text"] for entry in one.box.log() if entry["code"] == "card_refused")
    assert text.endswith("the memory for transactions is full")
    csms.admit()
    csms.wait_for("StopTransaction", count=count // 2)
    one.begin(TAG)
    one.end(TAG)
    one.rest()
    books = csms.transactions()
    assert len(books) == count + 1 and books[-1]["idTag"] == TAG
    assert [entry["meterStop"] for entry in books[:-1]] == list(range(1, count + 1))
    assert all((entry["starts"], entry["stops"]) == (1, 1) for entry in books)


# 62


def test_a_charge_without_a_clock_is_dated_back_once_the_time_is_known(life, csms):
    one = life({"AllowOfflineTxForUnknownId": True})
    one.go_offline()
    one.box.power(False)
    forget_time(one)
    one.box.power(True)
    one.until(lambda state: state["power"] and state["why"]["code"] == "no_car")
    assert one.box.state()["utc"] is None
    marks = [one.uptime()]
    for step in (one.begin, one.end):
        step()
        marks.append(one.uptime())
    one.begin(OTHER)
    one.go_online()
    started = utc(one) - one.uptime()
    one.end(OTHER)
    one.rest()
    first, second = whole(csms, 2)
    for text, begin, end in zip((first["start"], first["stop"]), marks[:-1], marks[1:], strict=True):
        assert begin - 2 <= seconds(text) - started <= end + 2
    assert seconds(first["stop"]) <= seconds(second["start"]) and first["values"] and second["values"]


def test_a_charge_whose_time_nobody_ever_knew_is_dated_before_the_next_start_of_the_box(life, csms):
    one = life({"AllowOfflineTxForUnknownId": True})
    one.begin()
    one.end()
    one.rest()
    told = csms.transactions()[0]["stop"]
    one.go_offline()
    forget_time(one)
    one.restart_offline()
    one.begin()
    one.end()
    one.restart_offline()
    restarted = csms.now()
    one.go_online()
    _, second = whole(csms, 2)
    assert seconds(told) <= seconds(second["start"]) <= seconds(second["stop"]) <= restarted.timestamp()


# 63


@pytest.mark.parametrize("jump_s", [3600, -3600, 10 * 365 * DAY_S, -10 * 365 * DAY_S])
def test_a_jump_of_the_central_systems_clock_disturbs_no_transaction(life, csms, jump_s):
    csms.interval = 1
    one = life()
    one.begin()
    csms.wait_for("MeterValues")
    csms.shift_s = jump_s
    csms.wait_for("SecurityEventNotification", lambda payload: payload["type"] == "SettingSystemTime")
    mark, before = csms.mark(), one.box.state()
    csms.wait_for("MeterValues", since=mark, count=3)
    after = one.box.state()
    assert after["session"]["duration_s"] - before["session"]["duration_s"] <= 10 and after["contactor"]["closed"]
    one.end()
    one.rest()
    entry = whole(csms, 1)[0]
    # All of it keeps the clock with which it began.
    assert times(entry)[-1] - times(entry)[0] < 60, entry
    # The next one has the new time.
    before = utc(one)
    one.begin(OTHER)
    after = utc(one)
    one.end(OTHER)
    one.rest()
    assert before <= seconds(csms.transactions()[1]["start"]) <= after
    assert abs(after - csms.now().timestamp()) < abs(jump_s) / 2


# 64


@pytest.mark.parametrize("refusal", [CallFailed("InternalError", "no"), SILENCE], ids=["CALLERROR", "silence"])
def test_a_start_that_is_never_processed_is_given_up_and_what_follows_carries_minus_one(life, csms, refusal):
    # The host has a second for a pong; a link that was given up would not count as an attempt.
    timeout_s = 20
    one = life({"TransactionMessageAttempts": 3, "MessageTimeout": timeout_s, "WebSocketPingInterval": timeout_s})
    csms.answer("StartTransaction", refusal, refusal, refusal, None)
    one.begin()
    csms.wait_for("StartTransaction", count=3)
    sent = csms.wait_for("MeterValues")
    assert sent.payload["transactionId"] == -1
    assert one.box.state()["backend"]["transaction_id"] == -1 and one.box.state()["contactor"]["closed"]
    one.end()
    stop = csms.wait_for("StopTransaction")
    assert stop.payload["transactionId"] == -1 and stop.payload["reason"] == "Local"
    tries = csms.seen("StartTransaction")
    assert len(tries) == 3 and len({message.id for message in tries}) == 1
    gaps = [(later.at - earlier.at) * FAST for earlier, later in zip(tries, tries[1:], strict=False)]
    # The intervals, less what a board may run faster for a moment.
    rest_s = timeout_s - 1 if refusal is SILENCE else 0
    assert gaps[0] >= rest_s + 0.5 and gaps[1] >= rest_s + 1.5, gaps
    assert one.codes("message_dropped") == ["message_dropped"]
    one.begin(OTHER)
    one.end(OTHER)
    one.rest()
    assert csms.transactions()[-1]["id"] == 1 and csms.transactions()[-1]["stops"] == 1


# What users of other clients report: impossible here. The numbers are those of the issues.


@pytest.mark.parametrize("cut", ["power", "reset"])
def test_a_start_without_link_survives_a_restart_and_is_told_before_its_stop(life, csms, cut):
    """MicroOcpp 454: only the StopTransaction was sent."""
    one = life({"AllowOfflineTxForUnknownId": True})
    one.go_offline()
    one.begin()
    if cut == "power":
        one.restart_offline()
    else:
        one.box.reset()
        one.until(lambda state: state["power"] and state["session"]["resumed"])
    one.until(lambda state: state["session"]["energy_wh"] >= 6 and state["contactor"]["closed"])
    one.end()
    one.go_online()
    first, second = whole(csms, 2)
    assert first["reason"] == ("PowerLoss" if cut == "power" else "Reboot") and second["reason"] == "Local"
    assert first["idTag"] == second["idTag"] == TAG


def test_no_power_cut_leaves_a_session_open_or_gives_it_another_reason(life, csms):
    """MicroOcpp 100 and 174, openevse_esp32_firmware 787, libocpp 475."""
    one = life({"AllowOfflineTxForUnknownId": True})
    one.begin()
    for _ in range(3):
        one.dark()
        one.light()
        one.until(lambda state: state["power"] and state["contactor"]["closed"])
    one.dark()
    one.box.unplug()
    mark = csms.mark()
    one.light()
    one.heard("Available", mark)
    one.rest()
    books = whole(csms, 4)
    assert [entry["reason"] for entry in books] == ["PowerLoss"] * 4
    assert not one.box.state()["session"]["active"]


def test_a_stop_outlives_errors_of_the_server(life, csms):
    """openevse_esp32_firmware 756: the StopTransaction was dropped after a server error."""
    one = life({"TransactionMessageAttempts": 10, "TransactionMessageRetryInterval": 0})
    one.begin()
    csms.wait_for("StartTransaction")
    broken = CallFailed("InternalError", "database is down")
    csms.answer("StopTransaction", broken, CallFailed("GenericError", ""), broken, {"idTagInfo": 5}, None)
    one.end()
    one.rest()
    csms.violations.clear()
    entry = whole(csms, 1, again=True)[0]
    assert entry["stops"] == 5 and entry["reason"] == "Local"


def test_a_charge_that_began_without_link_ends_with_the_id_that_its_start_got_later(life, csms):
    """libocpp 495: its StopTransaction carried -1, so that it ran for ever at the central system."""
    one = life({"AllowOfflineTxForUnknownId": True})
    one.go_offline()
    one.begin()
    one.go_online()
    mark = csms.mark()
    one.end()
    assert csms.wait_for("StopTransaction", since=mark).payload["transactionId"] == 1
    whole(csms, 1)


def test_the_link_comes_back_from_whatever_befalls_it_and_no_session_ends_with_it(life, csms):
    """SmartEVSE-3.5 345 and SmartEVSE-3 99: it stayed away, the box believed in it, and sessions ended."""
    one = life({"WebSocketPingInterval": 10, "MessageTimeout": 20, "MeterValueSampleInterval": 30})
    one.begin()
    for how in ("freeze", "rst", "fin", 503, "tcp", 404):
        mark = csms.mark()
        if isinstance(how, int) or how == "tcp":
            csms.refuse(how)
            csms.drop("rst")
        elif how == "freeze":
            csms.drop(how)
        else:
            csms.refuse()
            csms.drop(how)
        # It does not believe that it is connected.
        one.until(lambda state: not state["backend"]["connected"])
        csms.admit()
        one.until(lambda state: state["backend"]["connected"])
        assert csms.insist("TriggerMessage", {"requestedMessage": "Heartbeat"}) == {"status": "Accepted"}
        csms.wait_for("Heartbeat", since=mark)
    one.end()
    one.rest()
    one.opens()
    entry = whole(csms, 1)[0]
    assert entry["reason"] == "Local" and one.codes("closed", "opened") == ["closed", "opened"]
