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


# R38: the countdown, and guards that a cut neither adds up nor shortens.


def drawn_s(box):
    return int(box.log(code="delay_drawn")[-1]["text"].split()[-2])


def test_the_restart_delay_counts_down_visibly(simulator):
    box = simulator(settings=SETUP_DONE, seed=5)
    charge(box, 10)
    cut(box)
    box.advance(0.5)
    seconds = drawn_s(box)
    assert seconds > 10, "the seed has drawn too short a delay for this test"
    for passed in range(seconds - 1):
        state = box.state()
        left = int(state["why"]["text"].split(" s (")[0].split()[-1])
        assert state["why"]["code"] == "restart_delay"
        assert left == seconds - passed
        assert state["why"]["until_s"] == pytest.approx(seconds, abs=1)
        assert state["led"]["pattern"] == "running_blue"
        assert state["pilot"]["state"] != "C2" and not state["contactor"]["commanded"]
        box.advance(1)
    state = box.until(charging, 8)
    assert seconds <= state["uptime_ms"] / 1000 <= seconds + 5


def test_repeated_cuts_draw_anew_and_neither_add_up_nor_shorten_the_delay(simulator):
    box = simulator(settings=SETUP_DONE, seed=2)
    charge(box, 10)
    delays = []
    for _ in range(12):
        cut(box, 3)
        box.advance(0.5)
        seconds = drawn_s(box)
        delays.append(seconds)
        assert 1 <= seconds <= 120
        # The next cut comes when the delay is all but over.
        box.advance(max(0, seconds - 1.5))
        state = box.state()
        assert state["pilot"]["state"] == "B1" and not state["contactor"]["commanded"]
    assert len(set(delays)) > 6
    cut(box, 3)
    box.advance(0.5)
    seconds = drawn_s(box)
    state = box.until(charging, 130)
    assert seconds <= state["uptime_ms"] / 1000 <= seconds + 5
    assert state["session"]["resumed"]
    box.unplug()
    box.advance(2)
    assert len(box.log(code="ended")) == 1


@pytest.mark.parametrize("dark_s", [0.02, 0.3, 1])
def test_a_cut_does_not_shorten_the_time_between_two_closings(simulator, dark_s):
    box = simulator(settings={**SETUP_DONE, "restart_delay_max_s": 0})
    charge(box, 10)
    box.power(on=False)
    box.advance(dark_s)
    box.power(on=True)
    back_ms = box.state()["plant_ms"]
    state = box.until(lambda s: s["contactor"]["commanded"], 10, step=0.02)
    assert state["plant_ms"] - back_ms >= 2000


def trip(box):
    """A leak while charging; the car is unplugged after it."""
    box.plug()
    box.until(charging, 10)
    box.fault("residual_dc", 60)
    box.until(lambda s: s["faults"], 2)
    box.clear("residual_dc")
    box.unplug()


def recover(box):
    trip(box)
    box.until(lambda s: not s["faults"], 10)


@pytest.mark.parametrize("cut_after", [1, 2, 3])
def test_a_cut_gives_no_further_recovery_from_residual_current(simulator, cut_after):
    box = simulator(settings={**SETUP_DONE, "restart_delay_max_s": 0})
    box.advance(3)
    for done in range(1, 4):
        recover(box)
        box.advance(5)
        if done == cut_after:
            cut(box, 60)
            box.advance(3)
    trip(box)
    for _ in range(3):
        box.advance(60)
        cut(box, 1)
    box.advance(3500)
    assert [fault["name"] for fault in box.state()["faults"]] == ["residual_current"]
    box.until(lambda s: not s["faults"], 200, step=5)


def test_a_cut_between_a_recovery_and_its_storing_does_not_hide_it(simulator):
    box = simulator(settings={**SETUP_DONE, "restart_delay_max_s": 0})
    box.advance(3)
    for _ in range(3):
        trip(box)
        box.advance(1)
        box.until(lambda s: not s["faults"], 10, step=0.01)
        box.power(on=False)
        box.power(on=True)
        box.advance(5)
    trip(box)
    box.advance(120)
    assert [fault["name"] for fault in box.state()["faults"]] == ["residual_current"]


def test_recoveries_of_hours_ago_do_not_add_up_over_cuts(simulator):
    box = simulator(settings={**SETUP_DONE, "restart_delay_max_s": 0})
    box.advance(3)
    for _ in range(5):
        recover(box)
        box.advance(3700)
        cut(box, 60)
        box.advance(3)
    recover(box)
    recover(box)
    recover(box)
