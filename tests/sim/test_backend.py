"""The wallbox with a central system that it cannot reach: charging goes on, and nothing of it is lost (R25, R30)."""

URL = ("--ocpp", "ws://127.0.0.1:9/ocpp/")


def backend(box):
    return box.state()["backend"]


def test_without_a_central_system_there_is_no_backend_and_one_may_be_set_up_at_any_time(simulator):
    box = simulator()
    assert backend(box) == {"connected": False, "url": ""}
    box.request("settings", set={"ocpp_url": "ws://127.0.0.1:9/ocpp"})
    box.until(lambda state: state["backend"].get("state") == "waiting", 10)
    assert backend(box)["reason"] == "there is no network in virtual time"
    box.request("settings", set={"ocpp_url": ""})
    box.until(lambda state: "state" not in state["backend"], 10)
    assert not [entry for entry in box.log() if entry["code"] == "task_died"]


def test_a_charge_without_link_waits_to_be_told_over_a_power_cut(simulator):
    box = simulator(options=URL)
    box.advance(2)
    box.request("plug", max_a=16)
    box.until(lambda state: state["contactor"]["closed"], 60)
    assert backend(box)["waiting"] >= 1
    box.advance(600)
    box.request("unplug")
    box.until(lambda state: not state["session"]["active"], 60)
    waiting = backend(box)["waiting"]
    assert waiting >= 2 + 9, "start, values each minute, and stop"
    box.request("power", on=False)
    box.request("power", on=True)
    box.until(lambda state: state["power"] and state["backend"].get("waiting") == waiting, 60)


def test_with_access_control_a_card_that_nobody_knows_starts_nothing_offline(simulator):
    box = simulator(options=URL, settings={"access_control": True})
    box.advance(2)
    box.request("plug", max_a=16)
    box.request("tap", uid="DEADBEEF")
    box.until(lambda _state: [entry for entry in box.log() if entry["code"] == "card_refused"], 60)
    assert not box.state()["session"]["active"]


def test_a_card_of_the_box_starts_offline_as_before(simulator):
    box = simulator(options=URL, settings={"access_control": True})
    box.advance(2)
    for uid in ("04A1B2C3D4E5F6", "DEADBEEF", "04A1B2C3D4E5F6"):
        box.request("tap", uid=uid)
        box.advance(3)
    box.request("plug", max_a=16)
    box.request("tap", uid="DEADBEEF")
    box.until(lambda state: state["contactor"]["closed"], 60)
    assert box.state()["session"]["id_tag"] == "DEADBEEF"


def test_a_session_goes_on_as_a_transaction_of_the_central_system_that_is_set_up_meanwhile(simulator):
    box = simulator()
    box.advance(2)
    box.request("plug", max_a=16)
    box.until(lambda state: state["contactor"]["closed"], 60)
    box.request("settings", set={"ocpp_url": "ws://127.0.0.1:9/ocpp"})
    box.until(lambda state: state["backend"].get("waiting") == 1, 10)
    assert backend(box)["connector"] == "Charging"
    assert box.state()["contactor"]["closed"]
