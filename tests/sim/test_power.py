"""Power failures: random delay, resumed sessions, cuts at any flash write (R7, R30, R38)."""

import contextlib

import pytest

from simulator import SimulatorError

SETUP_DONE = {"meter_model": "none", "load_optimisation": False, "connection_a": 40}


def charging(state):
    return state["pilot"]["state"] == "C2" and state["contactor"]["closed"]


def charge(box, seconds=600):
    box.until(lambda s: s["led"]["pattern"] == "blue", 10)
    box.plug()
    box.until(charging, 6)
    box.advance(seconds)
    return box.state()["session"]["energy_wh"]


def cut(box, seconds=30):
    box.power(on=False)
    box.advance(seconds)
    box.power(on=True)


def test_charging_resumes_by_itself_after_a_random_delay(simulator):
    box = simulator(settings=SETUP_DONE)
    before = charge(box)
    cut(box)
    box.advance(1)
    state = box.state()
    assert state["why"]["code"] == "restart_delay"
    assert 0 < state["why"]["until_s"] <= 121
    assert state["led"]["pattern"] == "running_blue"
    state = box.until(charging, 125, step=1)
    assert state["session"]["resumed"]
    box.advance(60)
    box.unplug()
    box.advance(2)
    ended = box.log(code="ended")
    assert len(ended) == 1, "one session, not two"
    # A cut costs at most what came since the last checkpoint: 0.5 kWh.
    assert before - 500 <= ended[0]["energy_wh"] <= before + 23 * 1000


def test_the_delay_differs_and_stays_within_its_maximum(simulator):
    box = simulator(settings=SETUP_DONE)
    charge(box, 10)
    drawn = []
    for _ in range(8):
        cut(box, 5)
        box.advance(1)
        drawn.append(box.log(code="delay_drawn")[-1]["text"])
    assert len(set(drawn)) > 4
    assert all(1 <= int(text.split()[-2]) <= 120 for text in drawn)


def test_no_delay_for_a_car_plugged_in_later(simulator):
    box = simulator(settings=SETUP_DONE)
    box.advance(5)
    cut(box)
    box.advance(2)
    box.plug()
    box.until(charging, 6)


def test_a_session_whose_car_left_during_the_cut_ends_once(simulator):
    box = simulator(settings={**SETUP_DONE, "access_control": True, "restart_delay_max_s": 0})
    box.advance(3)
    for uid in ("04A1B2C3D4E5F6", "DEADBEEF", "04A1B2C3D4E5F6"):
        box.tap(uid)
        box.advance(3)
    box.plug()
    box.tap("DEADBEEF")
    box.until(charging, 8)
    box.advance(300)
    box.power(on=False)
    box.unplug()
    box.power(on=True)
    box.advance(10)
    assert [entry["reason"] for entry in box.log(code="ended")] == ["power_loss"]
    box.plug()
    box.advance(30)
    assert not charging(box.state()), "the next car must not charge on the last one's card"


@pytest.mark.parametrize("write", range(1, 16))
def test_a_cut_at_any_flash_write_loses_no_settings_cards_or_sessions(simulator, write):
    box = simulator(settings={**SETUP_DONE, "restart_delay_max_s": 0})
    charge(box, 60)
    box.power(at_write=write)
    with contextlib.suppress(SimulatorError):  # the cut may come before the answer
        box.settings(led_brightness_percent=33)
    for _ in range(20):
        if not box.state().get("power", True):
            break
        box.advance(120)
    if box.state().get("power", True):
        box.power(on=False)
    box.advance(5)
    box.power(on=True)
    box.until(charging, 10)
    settings = box.settings()
    assert settings["led_brightness_percent"] in (33, 80)
    assert settings["rated_a"] == 32 and settings["wizard_complete"]
    assert box.state()["cards"]["setup"] == "04A1B2C3D4E5F6"
    box.unplug()
    box.advance(3)
    ended = list(box.log(code="ended"))
    assert len(ended) == 1


def test_a_firmware_reset_while_charging_goes_on_without_delay(simulator):
    box = simulator(settings=SETUP_DONE)
    charge(box, 60)
    box.reset()
    box.until(charging, 10)
    assert box.state()["session"]["resumed"]


def test_flash_that_refuses_does_not_stop_the_charge(simulator):
    box = simulator(settings=SETUP_DONE)
    box.advance(3)
    box.fault("flash_error")
    box.plug()
    box.until(charging, 8)
    box.advance(900)
    assert charging(box.state())
    assert [entry for entry in box.log() if entry["code"] == "flash_refused"]
    box.clear("flash_error")
    box.advance(900)
    box.unplug()
    box.advance(5)
    assert len(box.log(code="ended")) == 1
