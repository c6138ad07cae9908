"""The control API of the whole simulator: every request, bad requests, restarts, power cuts, several clients."""

import json
import os
import time

import pytest

from simulator import Simulator, SimulatorError

SETUP_CARD = "04A1B2C3D4E5F6"
STATE_KEYS = (
    "pilot contactor led beeps offered_a limits faults session cards meter backend temperature_c uptime_ms utc "
    "power car house grid_a plant_ms trips"
)
REQUESTS = (
    "plug unplug car tap fault clear grid house ambient contact network power advance state log settings reset quit "
    "service crash stall utc trip meter scan check_meter ble"
)


class Client:
    """A raw connection of its own."""

    def __init__(self, box: Simulator):
        self.socket = box.connect()
        self.stream = self.socket.makefile("rwb")

    def send(self, data: bytes) -> None:
        self.stream.write(data)
        self.stream.flush()

    def answer(self) -> dict:
        return json.loads(self.stream.readline())

    def ask(self, **request) -> dict:
        self.send(json.dumps(request).encode() + b"\n")
        return self.answer()

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


@pytest.fixture
def box(simulator):
    box = simulator()
    box.advance(5)
    return box


# What the requests do


def test_the_state_holds_what_the_interface_promises(box):
    state = box.state()
    for key in STATE_KEYS.split():
        assert key in state, key
    assert {"state", "duty_permille", "high_mv", "low_mv"} <= set(state["pilot"])
    assert {"commanded", "closed", "phases"} <= set(state["contactor"])
    assert {"pattern", "brightness", "segments"} <= set(state["led"])
    assert state["plant_ms"] == state["uptime_ms"] == 5000
    assert state["utc"] == "2026-01-01T00:00:05Z"


def test_the_default_is_a_finished_installation(box):
    settings = box.settings()
    assert settings["wizard_complete"] and settings["load_optimisation"] and not settings["access_control"]
    assert (settings["phases"], settings["rated_a"], settings["connection_a"]) == (3, 32, 25)
    assert settings["meter_model"] == "pro380"
    state = box.state()
    assert state["cards"]["setup"] == SETUP_CARD and state["cards"]["charging"] == []
    assert state["pilot"]["state"] == "A1" and state["meter"]["valid"]


def test_as_delivered_only_the_setup_card_is_stored(simulator):
    box = simulator(factory=True)
    settings = box.settings()
    assert not settings["wizard_complete"] and settings["rated_a"] == 0 and settings["meter_model"] == "none"
    assert box.state()["cards"]["setup"] == SETUP_CARD


def test_settings_of_the_first_start_replace_single_defaults(simulator):
    box = simulator(settings={"rated_a": 16, "name": "garage"}, options=("--ocpp", "wss://example.org/ocpp"))
    settings = box.settings()
    assert (settings["rated_a"], settings["name"], settings["connection_a"]) == (16, "garage", 25)
    assert settings["ocpp_url"] == "wss://example.org/ocpp"
    assert simulator(factory=True, settings={"rated_a": 6}).settings()["rated_a"] == 6


def test_car_house_and_surroundings_show_in_the_state(box):
    box.plug(phases=1, max_a=16, wants=False, soc_wh=5000)
    box.house(amps=[1.5, 2, 3], pv_w=0)
    box.advance(1)
    state = box.state()
    assert state["car"]["plugged"] and state["car"]["state"] == "B" and state["car"]["soc_wh"] == 5000
    assert state["house"] == {"amps": [1.5, 2, 3], "pv_w": 0}
    assert state["grid_a"] == [1.5, 2, 3]
    assert state["pilot"]["state"] in ("B1", "B2")
    box.car(state="C")
    box.grid(volts=[231, 232, 233], hz=50.1)
    box.ambient(-3)
    box.network(False)
    box.contact(True)
    box.advance(5)
    state = box.state()
    assert state["car"]["state"] == "C"
    assert [round(volts) for volts in state["volts"]] == [231, 232, 233]
    assert "peak_shaving" in state["limits"]
    assert state["led"]["pattern"].endswith("s4_red")
    box.unplug()
    box.advance(1)
    assert box.state()["pilot"]["state"] == "A1"


def test_beeps_are_told_once(box):
    box.tap(SETUP_CARD)
    box.advance(3)
    assert [beep["ms"] > 0 and beep["hz"] > 0 for beep in box.state()["beeps"]] == [True]
    assert box.state()["beeps"] == []


def test_faults_come_and_go(box):
    box.fault("overvoltage", 290)
    box.advance(5)
    assert box.state()["faults"]
    box.clear("overvoltage")
    box.advance(120)
    assert not box.state()["faults"]


def test_the_log_is_read_from_a_number_on(box):
    entries = box.log()
    assert [entry["seq"] for entry in entries] == sorted({entry["seq"] for entry in entries})
    assert entries[0]["code"] == "start" and entries[0]["boot"] == 1
    assert box.log(since=entries[1]["seq"]) == entries[2:]
    assert box.log(since=entries[-1]["seq"]) == []


def test_settings_are_written_as_an_installer_would(box):
    assert box.settings(rated_a=10)["rated_a"] == 10
    assert box.state()["limits"]["installer"] == 10
    with pytest.raises(SimulatorError, match=r"rated_a.*15.*allowed: 0, 6, 10") as refusal:
        box.settings(rated_a=15, phases=2)
    assert "phases" in str(refusal.value)
    assert box.settings()["rated_a"] == 10


def test_virtual_time_stands_still_between_requests(box):
    before = box.state()["plant_ms"]
    time.sleep(0.3)
    assert box.state()["plant_ms"] == before
    box.advance(0.001)
    assert box.state()["plant_ms"] == before + 1
    box.advance(0)
    assert box.state()["plant_ms"] == before + 1


def test_virtual_time_cannot_be_advanced_in_real_time(simulator):
    box = simulator(virtual=False)
    with pytest.raises(SimulatorError, match="--virtual"):
        box.advance(1)
    first = box.state()["plant_ms"]
    time.sleep(0.2)
    assert 150 <= box.state()["plant_ms"] - first <= 2000


def test_the_firmware_runs_and_charges_in_real_time(simulator):
    box = simulator(virtual=False, settings={"meter_model": "none", "load_optimisation": False, "connection_a": 40})
    box.wait_for(lambda s: s["led"]["pattern"] == "blue", 5)
    box.plug(max_a=16)
    box.wait_for(lambda s: s["pilot"]["state"] == "C2" and s["contactor"]["closed"], 10)
    box.wait_for(lambda s: s["currents_a"][0] > 10, 10)


# Bad requests


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({}, "do:"),
        ({"do": None}, "do:"),
        ({"do": "fly"}, "do: 'fly'"),
        ({"do": "plug", "phases": 2}, "phases: 2"),
        ({"do": "plug", "max_a": "16"}, "max_a: '16'"),
        ({"do": "plug", "max_a": 1000}, "max_a: 1000"),
        ({"do": "plug", "wants": 1}, "wants: 1"),
        ({"do": "plug", "soc_wh": -1}, "soc_wh: -1"),
        ({"do": "plug", "colour": "red"}, "colour"),
        ({"do": "unplug"}, "unplug:"),
        ({"do": "car", "state": "C"}, "car:"),
        ({"do": "tap", "uid": "xyz"}, "uid: 'xyz'"),
        ({"do": "tap"}, "uid"),
        ({"do": "fault", "name": "rain"}, "rain"),
        ({"do": "fault", "name": ["pe"]}, "pe"),
        ({"do": "fault", "name": "overvoltage", "value": "much"}, "much"),
        ({"do": "clear", "name": None}, "None"),
        ({"do": "grid", "volts": [230, 230]}, "volts"),
        ({"do": "grid", "volts": [230, 230, None]}, "volts[2]"),
        ({"do": "grid", "hz": 500}, "hz: 500"),
        ({"do": "house", "amps": {"a": 1}}, "amps"),
        ({"do": "house", "pv_w": -5}, "pv_w: -5"),
        ({"do": "ambient", "celsius": "hot"}, "celsius: 'hot'"),
        ({"do": "ambient"}, "celsius"),
        ({"do": "contact", "closed": 1}, "closed: 1"),
        ({"do": "network", "up": "yes"}, "up: 'yes'"),
        ({"do": "power"}, "on, at_write"),
        ({"do": "power", "at_write": 0}, "at_write: 0"),
        ({"do": "advance", "seconds": -1}, "seconds: -1"),
        ({"do": "advance", "seconds": 1e300}, "seconds"),
        ({"do": "state", "of": "mind"}, "of"),
        ({"do": "log", "since": "now"}, "since: 'now'"),
        ({"do": "settings", "set": [1]}, "set: [1]"),
        ({"do": "settings", "set": {"rated_amps": 16}}, "rated_a"),
        ({"do": "settings", "set": {"phases": "3"}}, "phases"),
        ({"do": "settings", "set": {"connection_a": 5}}, "connection_a"),
    ],
)
def test_a_bad_request_is_refused_with_what_is_allowed_and_changes_nothing(shared, request_, words):
    client, before = shared
    answer = client.ask(id="bad", **request_)
    assert answer["ok"] is False and answer["id"] == "bad"
    assert words in answer["error"], answer["error"]
    assert client.ask(do="state")["state"] == before
    assert client.ask(do="settings")["settings"]["rated_a"] == 32


@pytest.fixture(scope="module")
def shared():
    """One simulator for all bad requests, none of which may change it."""
    with Simulator() as box:
        box.advance(5)
        client = Client(box)
        client.ask(do="state")
        yield client, client.ask(do="state")["state"]
        client.close()


def test_garbage_is_refused_and_the_connection_goes_on(box):
    client = Client(box)
    for garbage in (
        b"",
        b"hello",
        b'{"do":',
        b"[1]",
        b'"state"',
        b"\xff\xfe\x00",
        b'{"do": "\xc3\x28"}',
        os.urandom(99),
    ):
        client.send(garbage.replace(b"\n", b"") + b"\n")
        answer = client.answer()
        assert answer["ok"] is False and answer["id"] is None and answer["error"].startswith("line: ")
    client.send(b"x" * 200_000 + b"\n")
    assert "65536" in client.answer()["error"]
    assert client.ask(id=1, do="state")["ok"]
    client.close()


def test_all_requests_are_named_to_who_asks_for_an_unknown_one(box):
    text = box.exchange({"do": "help"})["error"]
    assert sorted(text.partition("allowed: ")[2].split(", ")) == sorted(REQUESTS.split())


def test_lines_may_come_in_pieces_and_many_at_once(box):
    client = Client(box)
    for part in (b'{"id": 1,', b' "do":', b'"log"}', b"\n"):
        client.send(part)
        time.sleep(0.02)
    assert client.answer()["id"] == 1
    client.send(b"".join(b'{"id": %d, "do": "settings"}\n' % n for n in range(200)))
    assert [client.answer()["id"] for _ in range(200)] == list(range(200))
    client.close()


def test_several_clients_get_their_own_answers_while_one_advances_time(box):
    clients = [Client(box) for _ in range(8)]
    clients[0].send(b'{"id": "long", "do": "advance", "seconds": 600}\n')
    for n, client in enumerate(clients[1:]):
        client.send(b'{"id": %d, "do": "state"}\n' % n)
    for n, client in enumerate(clients[1:]):
        answer = client.answer()
        assert answer["id"] == n and answer["state"]["plant_ms"] in (5000, 605_000)
    assert clients[0].answer() == {"id": "long", "ok": True}
    clients[0].close()
    assert clients[1].ask(id=2, do="state")["state"]["plant_ms"] == 605_000
    for client in clients[1:]:
        client.close()


def test_a_client_that_leaves_during_its_advance_does_not_stop_it(box):
    client = Client(box)
    client.send(b'{"do": "advance", "seconds": 60}\n')
    client.close()
    deadline = time.monotonic() + 5
    while box.state()["plant_ms"] < 65_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert box.state()["plant_ms"] == 65_000


# Restarts and the supply


def test_a_restart_keeps_plant_connections_and_log(box):
    box.plug()
    box.advance(20)
    before = box.log()
    box.reset()
    box.advance(1)
    state = box.state()
    assert state["car"]["plugged"] and state["uptime_ms"] == 1000 and state["plant_ms"] == 26_000
    log = box.log()
    assert log[: len(before)] == before
    assert [entry["boot"] for entry in log if entry["code"] == "start"] == [1, 2]
    assert log[-1]["seq"] > before[-1]["seq"]


def test_without_supply_every_request_is_still_answered(box):
    box.plug()
    box.advance(20)
    box.power(on=False)
    state = box.state()
    assert state["power"] is False and state["car"]["plugged"] and state["car"]["draw_a"] == [0, 0, 0]
    assert "pilot" not in state
    box.advance(60)
    assert box.state()["plant_ms"] == 85_000
    box.unplug()
    box.house(amps=[1, 1, 1])
    box.tap(SETUP_CARD)
    box.fault("pe")
    box.clear("pe")
    box.power(on=False)
    for refused in ("settings", "reset"):
        with pytest.raises(SimulatorError, match="no supply"):
            box.request(refused)
    assert box.log(code="start")
    box.power(on=True)
    box.power(on=True)
    box.advance(5)
    state = box.state()
    assert state["power"] is True and state["uptime_ms"] == 5000
    assert len(box.log(code="start")) == 2


def test_a_start_without_the_time_is_told_in_the_log(box):
    assert not box.log(code="no_clock")
    box.power(on=False)
    client = Client(box)
    assert client.ask(id=1, do="utc", seconds=None)["ok"]
    client.close()
    box.power(on=True)
    box.advance(5)
    (entry,) = box.log(code="no_clock")
    assert entry["level"] == "warning" and "has lost the time" in entry["text"]
    assert box.state()["utc"] is None


def test_time_advances_over_a_power_cut_to_its_end(box):
    box.power(at_write=1)
    box.plug()
    box.advance(100)
    state = box.state()
    assert state["plant_ms"] == 105_000 and state["power"] is False
    box.power(on=True)
    box.advance(5)
    assert box.state()["power"] is True


def test_a_power_cut_at_any_write_of_a_change_leaves_the_old_or_the_new_setting(box):
    wanted = 6
    for n in range(1, 40):
        before = box.settings()["rated_a"]
        wanted = 16 if before == 6 else 6
        box.power(at_write=n)
        answer = box.exchange({"do": "settings", "set": {"rated_a": wanted}})
        if box.state()["power"]:
            assert answer["ok"]
            break
        assert "PowerCut" in answer["error"]
        box.power(on=True)
        box.advance(1)
        assert box.settings()["rated_a"] in (before, wanted)
        assert box.settings()["connection_a"] == 25 and box.settings()["wizard_complete"]
    assert 3 < n < 39
    assert box.settings()["rated_a"] == wanted
