"""Sleeping cars and what is remembered of each car, whole firmware in virtual time (R40)."""

import pytest
from test_determinism import assert_same, raw_log

SETUP_DONE = {"meter_model": "none", "load_optimisation": False, "connection_a": 40}
SETUP_CARD = "04A1B2C3D4E5F6"
ANN = "04AABBCCDDEE01"
BOB = "DEADBEEF"


def charging(state):
    return state["pilot"]["state"] == "C2" and state["contactor"]["closed"]


def in_state(name):
    return lambda state: state["pilot"]["state"] == name


def ready(box):
    box.until(lambda s: s["led"]["pattern"] == "blue", 10)
    return box


@pytest.fixture
def box(simulator):
    return ready(simulator(settings=SETUP_DONE))


@pytest.fixture
def card_box(simulator):
    box = ready(simulator(settings={**SETUP_DONE, "access_control": True}))
    for uid in (SETUP_CARD, ANN, BOB, SETUP_CARD):
        box.tap(uid)
        box.advance(3)
    return box


def wakes(box):
    """How long state F lasted each time, as the log tells it."""
    return [int(entry["text"].split()[-2]) for entry in box.log(code="wake_up")]


def seconds_until(box, name, limit):
    """Virtual seconds until the pilot is in that state, to 0.1 s."""
    begin = box.state()["plant_ms"]
    return (box.until(in_state(name), limit)["plant_ms"] - begin) / 1000


def test_a_sleeping_car_is_woken_after_30_s_and_charges(box):
    box.plug(asleep="f_4s")
    box.until(in_state("B2"), 5)
    assert seconds_until(box, "F", 40) == pytest.approx(30, abs=0.3)
    assert seconds_until(box, "B1", 10) == pytest.approx(4.1, abs=0.3)
    assert seconds_until(box, "B2", 5) + 0.1 >= 0.75
    state = box.until(charging, 5)
    assert wakes(box) == [4]
    assert len(box.log(code="woken")) == 1
    assert state["contactor"]["operations"] == 1


def test_while_it_is_woken_the_box_says_so_and_shows_standby(box):
    box.plug(asleep="never")
    state = box.until(lambda s: s["why"]["code"] == "car_not_ready", 5)
    assert state["why"]["until_s"] == pytest.approx(state["uptime_ms"] / 1000 + 30, abs=1.5)
    state = box.until(in_state("F"), 40)
    box.advance(1)
    state = box.state()
    assert state["why"]["code"] == "waking"
    assert state["why"]["until_s"] == pytest.approx(state["uptime_ms"] / 1000 + 3, abs=1.2)
    assert state["pilot"]["high_mv"] < -11000 and state["pilot"]["duty_permille"] == 0
    assert state["led"]["pattern"] == "blue" and not state["faults"]
    assert state["session"]["active"] and state["session"]["authorised"]
    assert state["offered_a"] == 0
    assert not state["contactor"]["commanded"]


def test_a_car_that_sleeps_through_both_is_not_bothered_again(box):
    box.plug(asleep="never")
    box.advance(3600)
    assert wakes(box) == [4, 30]
    state = box.state()
    assert state["pilot"]["state"] == "B2" and state["why"]["code"] == "car_not_ready"
    assert state["why"]["until_s"] is None
    assert len(box.log(code="started")) == 1 and not box.log(code="ended")
    assert state["contactor"]["operations"] == 0


def test_a_deep_sleeper_needs_the_long_one_and_is_woken_by_it_at_once_next_time(box):
    box.plug(asleep="f_30s")
    box.until(charging, 120)
    assert wakes(box) == [4, 30]
    box.advance(60)
    box.unplug()
    box.advance(5)
    box.plug(asleep="f_30s")
    box.until(in_state("B2"), 5)
    assert seconds_until(box, "F", 40) == pytest.approx(10, abs=0.3)
    box.until(charging, 60)
    assert wakes(box) == [4, 30, 30]


def test_what_was_learned_outlasts_a_power_cut(box):
    box.plug(phases=1, asleep="f_4s")
    box.until(charging, 60)
    box.advance(20)
    box.settings(rated_a=10)
    box.advance(20)
    box.unplug()
    box.advance(5)
    assert box.state()["car_memory"] is None
    box.power(on=False)
    box.advance(5)
    box.power(on=True)
    ready(box)
    box.plug(phases=1, asleep="f_4s")
    state = box.until(lambda s: s["car_memory"], 5)
    memory = state["car_memory"]
    assert (memory["id_tag"], memory["wake"], memory["woken"], memory["phases"]) == (None, "f_4s", 1, 1)
    assert 250 <= memory["follow_ms"] <= 2000, "the simulated car follows within a second"
    box.until(in_state("B2"), 5)
    assert seconds_until(box, "F", 40) == pytest.approx(10, abs=0.3)


def test_each_card_has_a_memory_of_its_own(card_box):
    box = card_box
    for uid, phases, asleep in ((ANN, 3, "f_4s"), (BOB, 1, "no"), (ANN, 3, "no")):
        box.plug(phases=phases, asleep=asleep)
        box.tap(uid)
        box.until(charging, 60)
        box.advance(10)
        memory = box.state()["car_memory"]
        assert memory["id_tag"] == uid
        assert memory["phases"] == phases
        assert memory["woken"] == (1 if uid == ANN and asleep == "no" else 0)
        box.unplug()
        box.advance(5)


def test_with_a_card_30_s_in_state_f_are_too_long_for_the_permission(card_box):
    box = card_box
    box.plug(asleep="f_30s")
    box.tap(ANN)
    box.advance(600)
    assert wakes(box) == [4]
    state = box.state()
    assert state["session"]["id_tag"] == ANN and state["session"]["authorised"]


def test_an_awake_car_is_never_woken(box):
    box.plug(soc_wh=500)
    box.until(charging, 5)
    box.until(in_state("B2"), 600, step=1)
    box.advance(3600)
    assert wakes(box) == []
    # Full, then paused: the offer comes back and the car is still full.
    for rated_a in (0, 16, 0, 32):
        box.settings(rated_a=rated_a)
        box.advance(300)
    assert wakes(box) == []


def test_a_car_that_fell_asleep_during_a_pause_is_woken_when_the_offer_comes_back(box):
    box.plug()
    box.until(charging, 5)
    box.advance(60)
    box.settings(rated_a=0)
    box.advance(600)
    box.car(asleep="f_4s")
    box.settings(rated_a=16)
    box.advance(25)
    assert wakes(box) == []
    box.until(charging, 20)
    assert wakes(box) == [4]
    assert box.state()["contactor"]["load_openings"] == 0


def test_a_car_whose_offer_was_gone_for_a_second_has_5_s_between_c_and_f(box):
    box.plug()
    box.until(charging, 5)
    box.advance(10)
    box.settings(rated_a=0)
    box.until(in_state("B1"), 10)
    box.car(asleep="never")
    box.settings(rated_a=16)
    assert seconds_until(box, "F", 60) >= 5


def test_it_can_be_turned_off(box):
    box.settings(wake_up=False)
    box.plug(asleep="f_4s")
    box.advance(600)
    assert wakes(box) == []
    box.settings(wake_up=True)
    box.unplug()
    box.advance(3)
    box.plug(asleep="f_4s")
    box.until(charging, 60)


@pytest.mark.parametrize("rated_a, seconds", [(0, 0), (16, 60)])
def test_nothing_is_woken_without_an_offer(box, rated_a, seconds):
    box.settings(rated_a=rated_a)
    box.plug(asleep="never")
    if seconds:
        box.fault("pe")
    box.advance(120)
    assert wakes(box) == []


def test_nothing_is_woken_during_the_restart_delay(simulator):
    box = ready(simulator(settings={**SETUP_DONE, "restart_delay_max_s": 1800}, seed=3))
    box.plug()
    box.until(charging, 5)
    box.car(asleep="f_4s")
    box.advance(5)
    box.power(on=False)
    box.advance(5)
    box.power(on=True)
    box.advance(1)
    left = box.state()["why"]["until_s"]
    assert left > 60, "the seed has drawn too short a delay for this test"
    box.advance(left - 5)
    assert wakes(box) == []
    box.until(charging, 60)
    assert wakes(box) == [4]


@pytest.mark.parametrize("fault", ["pe", "overvoltage", "pilot_short", "temperature_sensor"])
def test_a_fault_ends_the_wake_up_and_is_shown(box, fault):
    box.plug(asleep="f_30s")
    box.until(in_state("F"), 40)
    box.advance(1)
    box.fault(fault)
    if fault == "pilot_short":
        # Nobody sees a short while -12 V is put out; it shows with +12 V.
        box.advance(3.5)
    state = box.until(lambda s: s["faults"], 3)
    box.advance(0.5)
    state = box.state()
    assert state["pilot"]["state"] in ("B1", "E")
    assert state["led"]["pattern"] == "red"
    assert not state["contactor"]["commanded"]
    box.clear(fault)
    box.until(lambda s: not s["faults"], 40)
    box.until(charging, 120)


def test_a_pause_during_state_f_ends_it_and_12_v_comes_back(box):
    box.plug(asleep="never")
    box.until(in_state("F"), 40)
    box.advance(1)
    box.settings(rated_a=0)
    box.until(in_state("B1"), 0.5)
    box.advance(60)
    state = box.state()
    assert state["pilot"]["state"] == "B1" and state["why"]["code"] == "rated_0"


def test_a_car_unplugged_during_state_f_is_noticed_when_12_v_is_back(box):
    box.plug(asleep="never")
    box.until(in_state("F"), 40)
    box.unplug()
    box.until(in_state("A1"), 5)
    box.advance(1)
    assert [entry["reason"] for entry in box.log(code="ended")] == ["unplugged"]
    box.plug()
    box.until(charging, 6)


def test_a_power_cut_during_state_f_does_no_harm(box):
    box.settings(restart_delay_max_s=0)
    box.plug(asleep="f_4s")
    box.until(in_state("F"), 40)
    box.advance(1)
    box.power(on=False)
    box.advance(10)
    box.power(on=True)
    box.until(charging, 60)
    assert len(box.log(code="started")) == 1


def sleepers_day(box):
    """Cars of every kind, each with a pause; the whole event log."""
    for asleep in ("f_4s", "f_30s", "never", "no"):
        box.plug(asleep=asleep, soc_wh=3000)
        box.advance(200)
        box.settings(rated_a=0)
        box.advance(100)
        box.settings(rated_a=16)
        box.advance(400)
        box.unplug()
        box.advance(30)
    return raw_log(box)


def test_ticks_left_out_change_nothing(simulator):
    fast = sleepers_day(simulator(settings=SETUP_DONE))
    exact = sleepers_day(simulator(settings=SETUP_DONE, options=("--exact",)))
    assert_same(fast, exact)
