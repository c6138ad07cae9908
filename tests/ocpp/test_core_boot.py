"""Booting and the link: the whole wallbox registers, keeps the link alive and comes back (R25, R27)."""

import time
from datetime import datetime

import pytest
from csms import BOX, SILENCE, SPEED, CallFailed
from hostile import Hostile
from transport import accept

WEEK_S = 7 * 86_400
# For what waits half a minute: the board is quicker still.
FAST = 40
# How much earlier than it was due a message may seem to come, since an earlier one came late.
SLACK = 0.8


def registration(csms, status, interval):
    """An answer to BootNotification."""
    return lambda _payload, _box: {"status": status, "currentTime": csms.time(), "interval": interval}


def settled(csms):
    """Wait until the box has told all that it tells after its first start, and has read the answers."""
    csms.registered()
    csms.wait_for("SecurityEventNotification")
    csms.call("GetLocalListVersion")


def in_order(csms, *actions):
    """Whether the first of these calls came in this order."""
    calls = csms.actions()
    places = [calls.index(action) for action in actions]
    return places == sorted(places)


# 1: a cold boot that is accepted


def test_after_a_boot_it_tells_the_status_of_both_connectors_and_beats_in_the_interval(csms, station):
    csms.interval = 4
    box = station(ocpp={"HeartbeatInterval": 86_400})
    csms.wait_for("Heartbeat", count=2)
    boot = csms.seen("BootNotification")
    assert len(boot) == 1 and boot[0].payload["chargePointVendor"] == "wallbox"
    assert boot[0].payload["chargePointModel"] and boot[0].payload["firmwareVersion"]
    assert csms.actions()[0] == "BootNotification"
    statuses = [one.payload for one in csms.seen("StatusNotification")]
    assert [(one["connectorId"], one["status"], one["errorCode"]) for one in statuses] == [
        (0, "Available", "NoError"),
        (1, "Available", "NoError"),
    ]
    assert all(gap > 4 * SLACK for gap in csms.gaps(csms.seen("Heartbeat")))
    answer = csms.call("GetConfiguration", {"key": ["HeartbeatInterval"]})
    assert answer["configurationKey"] == [{"key": "HeartbeatInterval", "readonly": False, "value": "4"}]
    backend = box.state()["backend"]
    assert backend["connected"] and backend["registration"] == "Accepted" and backend["reason"] == ""


def test_an_interval_of_0_leaves_the_heartbeat_as_it_is_set(csms, station):
    csms.interval = 0
    station(ocpp={"HeartbeatInterval": 3})
    csms.wait_for("Heartbeat", count=2)
    assert csms.shown("HeartbeatInterval") == "3"


@pytest.mark.parametrize("shift_s", [WEEK_S, -WEEK_S])
def test_the_central_system_sets_the_clock_and_that_is_a_security_event(csms, station, shift_s):
    csms.shift_s = shift_s
    box = station()
    told = csms.wait_for("SecurityEventNotification", lambda payload: payload["type"] == "SettingSystemTime")
    assert abs((datetime.fromisoformat(box.state()["utc"]) - csms.now()).total_seconds()) < 60
    assert abs((datetime.fromisoformat(told.payload["timestamp"]) - csms.now()).total_seconds()) < 60
    csms.registered()
    status = csms.heard(None).payload
    assert abs((datetime.fromisoformat(status["timestamp"]) - csms.now()).total_seconds()) < 60


def test_a_heartbeat_sets_a_clock_that_has_gone_wrong(csms, station):
    csms.interval = 2
    box = station()
    csms.registered()
    box.request("utc", seconds=1_500_000_000)
    mark = csms.mark()
    csms.wait_for("SecurityEventNotification", lambda payload: payload["type"] == "SettingSystemTime", since=mark)
    assert abs((datetime.fromisoformat(box.state()["utc"]) - csms.now()).total_seconds()) < 60


# 2 and 3: pending


def test_while_pending_it_answers_and_sends_only_what_is_triggered_until_it_is_accepted(csms, station):
    csms.answer("BootNotification", registration(csms, "Pending", 10), None)
    station()
    csms.wait_for("BootNotification")
    assert csms.shown("NumberOfConnectors") == "1"
    assert csms.change("MeterValueSampleInterval", "77") == "Accepted"
    for wanted in ("Heartbeat", "StatusNotification", "MeterValues"):
        payload = {"requestedMessage": wanted, "connectorId": 1}
        assert csms.call("TriggerMessage", payload) == {"status": "Accepted"}
        csms.wait_for(wanted)
    boots = [csms.wait_for("BootNotification"), csms.wait_for("BootNotification", count=2)]
    before = csms.messages.index(boots[1])
    called = [one.action for one in csms.messages[:before] if not one.out and one.kind == "call"]
    assert called == ["BootNotification", "Heartbeat", "StatusNotification", "MeterValues"]
    assert csms.gaps(boots)[0] > 10 * SLACK
    csms.heard(None, before)
    csms.wait_for("SecurityEventNotification")
    assert csms.shown("MeterValueSampleInterval") == "77"


def test_while_pending_a_boot_notification_may_be_triggered_before_its_time(csms, station):
    csms.answer("BootNotification", registration(csms, "Pending", 3_000), None)
    station()
    csms.wait_for("BootNotification")
    trigger = {"requestedMessage": "BootNotification"}
    assert csms.call("TriggerMessage", trigger) == {"status": "Accepted"}
    csms.registered()
    assert csms.call("TriggerMessage", trigger) == {"status": "Rejected"}


def test_while_pending_no_remote_start_or_stop_is_followed(csms, station):
    csms.answer("BootNotification", registration(csms, "Pending", 3_000))
    box = station(settings={"access_control": True})
    csms.wait_for("BootNotification")
    box.plug()
    box.wait_for(lambda state: state["car"]["state"] == "B", 10)
    assert csms.call("RemoteStartTransaction", {"idTag": "A", "connectorId": 1}) == {"status": "Rejected"}
    assert csms.call("RemoteStopTransaction", {"transactionId": 1}) == {"status": "Rejected"}
    csms.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
    csms.wait_for("Heartbeat")
    state = box.state()
    assert not state["session"]["active"] and not state["session"]["waiting"] and not state["contactor"]["closed"]
    assert csms.actions() == ["BootNotification", "Heartbeat"]


# 4, 5 and 6: rejected, no interval, errors


def test_after_a_rejection_it_is_silent_for_the_interval_and_then_boots_again(csms, station):
    csms.answer("BootNotification", registration(csms, "Rejected", 10), None)
    station()
    csms.wait_for("BootNotification")
    with pytest.raises(TimeoutError):
        csms.call("GetConfiguration", {}, seconds=0.2)
    csms.registered()
    boots = csms.seen("BootNotification")
    assert len(boots) == 2 and csms.gaps(boots)[0] > 10 * SLACK
    assert csms.actions()[:2] == ["BootNotification", "BootNotification"]
    assert csms.shown("NumberOfConnectors") == "1"


def test_a_connection_that_ends_does_not_shorten_the_interval(csms, station):
    csms.answer("BootNotification", registration(csms, "Rejected", 8), None)
    station()
    csms.wait_for("BootNotification")
    csms.drop("close")
    csms.wait_handshakes(2)
    csms.registered()
    boots = csms.seen("BootNotification")
    assert len(boots) == 2 and csms.gaps(boots)[0] > 8 * SLACK
    assert csms.actions()[:2] == ["BootNotification", "BootNotification"]


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "Pending", "interval": 0},
        {"status": "Rejected", "interval": 0},
        CallFailed("InternalError", "out of order"),
        {"status": "Maybe", "interval": 1},
    ],
    ids=["pending", "rejected", "error", "nonsense"],
)
def test_without_an_interval_it_boots_again_after_a_time_of_its_own(central, station, answer):
    csms = central(speed=FAST)
    if isinstance(answer, dict):
        answer["currentTime"] = csms.time()
    csms.answer("BootNotification", answer, None)
    box = station(url=csms.url, speed=FAST)
    csms.registered()
    boots = csms.seen("BootNotification")
    assert len(boots) == 2 and csms.gaps(boots)[0] > 20
    assert csms.actions()[:2] == ["BootNotification", "BootNotification"]
    assert box.state()["backend"]["registration"] == "Accepted"


# 7: no answer


def test_a_boot_that_is_never_answered_is_sent_again_while_a_car_charges(csms, station):
    csms.answer("BootNotification", SILENCE, SILENCE, None)
    box = station(ocpp={"MessageTimeout": 5})
    csms.wait_for("BootNotification")
    box.plug()
    box.wait_for(lambda state: state["contactor"]["closed"], 10)
    assert not csms.seen("StartTransaction")
    csms.wait_for("StartTransaction")
    assert len(csms.seen("BootNotification")) == 3
    assert csms.actions()[:3] == ["BootNotification"] * 3
    assert all(gap > 5 * SLACK for gap in csms.gaps(csms.seen("BootNotification")))
    assert box.state()["contactor"]["closed"]


# 8: a queue


def test_what_was_queued_leaves_only_after_the_registration(csms, station):
    csms.refuse("tcp")
    csms.answer("BootNotification", registration(csms, "Pending", 3_000), None)
    box = station()
    box.wait_for(lambda state: state["backend"].get("state") == "waiting", 10)
    box.plug()
    box.wait_for(lambda state: state["contactor"]["closed"], 10)
    box.unplug()
    box.wait_for(lambda state: state["backend"]["waiting"] == 2, 10)
    csms.admit()
    csms.wait_for("BootNotification")
    csms.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
    csms.wait_for("Heartbeat")
    assert csms.actions() == ["BootNotification", "Heartbeat"]
    csms.call("TriggerMessage", {"requestedMessage": "BootNotification"})
    done = csms.wait_transaction(lambda one: one["stop"] is not None)
    assert (done["starts"], done["stops"], done["reason"]) == (1, 1, "EVDisconnected")
    assert in_order(csms, "BootNotification", "StartTransaction", "StopTransaction")
    box.wait_for(lambda state: state["backend"]["waiting"] == 0, 10)


# 9: reconnecting


@pytest.mark.parametrize("how", ["close", "rst"])
def test_after_a_lost_link_it_neither_boots_nor_tells_what_is_known(csms, station, how):
    station()
    settled(csms)
    mark = csms.mark()
    csms.drop(how)
    csms.wait_handshakes(2)
    csms.insist("TriggerMessage", {"requestedMessage": "Heartbeat"})
    csms.wait_for("Heartbeat", since=mark)
    assert csms.actions(mark) == ["Heartbeat"]


def test_after_a_lost_link_it_tells_the_present_status_alone(csms, station):
    box = station()
    settled(csms)
    box.network(False)
    csms.wait_gone()
    mark = csms.mark()
    box.plug()
    box.wait_for(lambda state: state["contactor"]["closed"], 10)
    box.network(True)
    csms.wait_for("StatusNotification", lambda payload: payload["status"] == "Charging")
    csms.wait_for("StartTransaction")
    seen = [(one.payload["connectorId"], one.payload["status"]) for one in csms.seen("StatusNotification", since=mark)]
    assert seen == [(1, "Charging")]
    assert not csms.seen("BootNotification", since=mark)


def test_it_boots_again_when_what_the_notification_says_has_changed(csms, station):
    box = station()
    before = csms.wait_for("BootNotification").payload
    csms.registered()
    box.settings(meter_model="b23")
    mark = csms.mark()
    csms.drop()
    after = csms.wait_for("BootNotification", since=mark).payload
    assert (before["meterType"], after["meterType"]) == ("pro380", "b23")
    csms.registered(2)


# 10, 11 and 12: handshakes


def test_a_server_that_does_not_agree_to_ocpp_is_left_and_tried_again(csms, station):
    csms.subprotocol = None
    box = station()
    tries = csms.wait_handshakes(3)
    assert csms.gaps(tries)[1] > csms.gaps(tries)[0] * 0.5
    assert "sub-protocol" in box.state()["backend"]["reason"]
    assert csms.actions() == []
    csms.subprotocol = "ocpp1.6"
    csms.registered()


@pytest.mark.parametrize("status", [404, 503, 301])
def test_a_server_that_lets_nobody_in_is_tried_ever_more_rarely(csms, station, status):
    csms.refuse(status)
    box = station()
    tries = csms.wait_handshakes(3)
    assert [one.status for one in tries] == [status] * 3
    # At least half of 1 and 2 s, or a little less when the host was late to see the try before.
    assert all(gap > least * 0.4 for gap, least in zip(csms.gaps(tries), (0.5, 1), strict=True))
    assert box.state()["backend"]["reason"] == f"the server answers HTTP {status}"
    assert len(box.log(code="no_link")) == 1
    csms.admit()
    csms.registered()
    state = box.state()
    assert state["backend"]["connected"] and state["restarts"]["backend"] == 0


def test_a_server_that_does_not_prove_the_handshake_is_left(station, csms):
    def forged(connection):
        head, name, rest = accept(connection.request).partition(b"Sec-WebSocket-Accept: ")
        connection.raw(head + name + bytes([rest[0] ^ 1]) + rest[1:])
        return True

    with Hostile() as server:
        server.greet = forged
        box = station(url=server.url)
        server.wait(lambda: sum(one.over for one in server.connections) >= 2)
        assert box.state()["backend"]["reason"] == "the server's Sec-WebSocket-Accept is wrong"
        assert all(one.messages == [] and one.closed is None for one in server.connections), "it left without a word"
        box.settings(ocpp_url=csms.url)
        csms.registered()


# 13: identities


@pytest.mark.parametrize("name", ["two words", "100%41 a/b?c#d", "Straße+a&b"])
def test_an_identity_is_encoded_in_the_address_and_plain_in_the_login(central, station, name):
    csms = central(password="secret password!")
    station(url=csms.url, name=name, settings={"ocpp_password": "secret password!"})
    # The last part of the path is all of the name, else it would be another box, or another path.
    assert csms.wait_for("BootNotification").box == name
    assert [one.status for one in csms.handshakes] == [101]


# 14 and 15: pings


def test_a_pong_that_is_missing_ends_the_link_and_the_next_is_made(csms, station):
    box = station(ocpp={"WebSocketPingInterval": 4, "HeartbeatInterval": 3_600})
    csms.registered()
    csms.drop("freeze")
    csms.wait_handshakes(2)
    assert [entry["text"] for entry in box.log(code="disconnected")] == [
        "the link to the central system ended: no answer to a ping"
    ]
    csms.insist("TriggerMessage", {"requestedMessage": "Heartbeat"})
    csms.wait_for("Heartbeat")


def test_pings_keep_a_link_on_which_nothing_else_is_said(csms, station):
    csms.interval = 12
    station(ocpp={"WebSocketPingInterval": 2})
    csms.wait_for("Heartbeat")
    assert len(csms.handshakes) == 1


def test_the_ping_interval_takes_effect_at_once_and_is_never_negative(csms, station):
    station(ocpp={"WebSocketPingInterval": 0, "HeartbeatInterval": 3_600})
    csms.registered()
    assert csms.change("WebSocketPingInterval", "-1") == "Rejected"
    assert csms.change("WebSocketPingInterval", "2") == "Accepted"
    csms.drop("freeze")
    began = time.monotonic()
    csms.wait_handshakes(2)
    assert (time.monotonic() - began) * SPEED > 1


def test_a_link_that_a_router_has_forgotten_is_found_by_the_heartbeat(csms, station):
    csms.interval = 3
    box = station(ocpp={"WebSocketPingInterval": 0, "MessageTimeout": 5})
    csms.registered()
    csms.drop("freeze")
    csms.wait_handshakes(2)
    reason = box.log(code="disconnected")[0]["text"]
    assert reason == "the link to the central system ended: Heartbeat and all else was not answered"
    mark = csms.mark()
    csms.wait_for("Heartbeat", since=mark)


def test_a_link_that_is_slow_to_answer_one_call_is_kept(csms, station):
    csms.interval = 3
    # A second of the host's for a pong: it may be busy.
    box = station(ocpp={"WebSocketPingInterval": 10, "MessageTimeout": 15})
    csms.registered()
    csms.answer("Heartbeat", SILENCE, None)
    csms.wait_for("Heartbeat", count=2)
    assert len(csms.handshakes) == 1
    box.wait_for(lambda _state: box.log(code="no_heartbeat"), 5)


# 16: nothing to do


def test_an_idle_box_sends_heartbeats_and_nothing_else(csms, station):
    csms.interval = 2
    station(ocpp={"MeterValueSampleInterval": 1})
    settled(csms)
    mark = csms.mark()
    csms.wait_for("Heartbeat", since=mark, count=3)
    assert set(csms.actions(mark)) == {"Heartbeat"}
    assert csms.connected(BOX)
