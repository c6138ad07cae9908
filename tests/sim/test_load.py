"""The car gives way when the house draws more (R20), with the simulated meter on the same bus, in virtual time."""

import pytest


def charging(state):
    return state["pilot"]["state"] == "C2" and state["contactor"]["closed"]


@pytest.fixture
def box(simulator):
    box = simulator()
    box.until(lambda s: s["led"]["pattern"] == "blue", 10)
    box.advance(5)
    return box


def test_the_meter_is_read_from_the_start(box):
    box.house(amps=[3, 5, 7], pv_w=0)
    box.advance(3)
    meter = box.state()["meter"]
    assert meter["valid"]
    assert meter["currents_a"] == [pytest.approx(a, abs=0.05) for a in (3, 5, 7)]


def test_house_and_car_together_stay_at_the_connection_limit(box):
    box.house(amps=[2, 10, 4])
    box.plug()
    box.until(charging, 8)
    state = box.until(lambda s: min(s["currents_a"]) > 14, 20)
    assert state["limited_by"] == "meter"
    box.advance(30)
    assert max(box.state()["grid_a"]) <= 25.05


def test_a_new_load_in_the_house_lowers_the_offer_at_the_next_reading(box):
    box.plug()
    box.until(charging, 8)
    box.advance(30)
    box.house(amps=[12, 0, 0])
    box.until(lambda s: s["offered_a"] <= 13, 2, step=0.1)
    box.advance(3)
    assert box.state()["grid_a"][0] <= 25.05


def test_pauses_below_6_a_and_resumes_when_the_house_is_quiet_again(box):
    box.plug()
    box.until(charging, 8)
    box.advance(30)
    box.house(amps=[22, 0, 0])
    state = box.until(lambda s: not s["contactor"]["closed"], 15)
    assert state["why"]["code"] == "limit_meter"
    assert state["contactor"]["load_openings"] == 0
    box.house(amps=[2, 0, 0])
    box.advance(60)
    assert not charging(box.state()), "the pause has a minimum length"
    box.until(charging, 600, step=5)


@pytest.mark.parametrize("fault", ["meter_silent", "meter_garbage"])
def test_a_meter_that_is_silent_or_talks_nonsense_lowers_to_the_fallback_in_10_s(box, fault):
    box.plug()
    box.until(charging, 8)
    box.advance(30)
    assert box.state()["offered_a"] == 25
    box.fault(fault)
    state = box.until(lambda s: s["offered_a"] == 6, 10)
    assert charging(state)
    box.advance(5)
    assert [f["name"] for f in box.state()["faults"]] == ["meter"]
    box.clear(fault)
    state = box.until(lambda s: s["offered_a"] == 25, 60)
    assert not state["faults"]


def test_without_a_meter_chosen_no_meter_limit_exists(simulator):
    box = simulator(settings={"meter_model": "none", "load_optimisation": False, "rated_a": 16})
    box.advance(20)
    state = box.state()
    assert "meter" not in state["limits"]
    assert not state["faults"]


def test_a_single_phase_car_is_limited_by_its_own_phase_only(box):
    box.house(amps=[0, 17, 0])
    box.plug(phases=1)
    box.until(charging, 8)
    # Before the car has shown its phases all of them count.
    box.until(lambda s: s["currents_a"][0] > 6, 10)
    box.until(lambda s: s["currents_a"][0] > 24, 40)
    assert box.state()["grid_a"][1] == pytest.approx(17, abs=0.1)


def test_a_phase_that_the_car_starts_to_use_counts_at_once(box):
    box.house(amps=[0, 17, 0])
    box.plug(phases=1)
    box.until(charging, 8)
    box.advance(60)
    assert box.state()["offered_a"] == 25
    box.car(draw_a=[16, 16, 0])
    box.advance(2)
    assert box.state()["offered_a"] <= 8


def test_one_phase_carries_20_a_more_than_the_others_at_most(box):
    box.settings(unbalance_a=20)
    box.plug(phases=1)
    box.until(charging, 8)
    box.advance(60)
    state = box.state()
    assert state["currents_a"][0] == pytest.approx(20, abs=0.2)
    assert "20 A more" in state["why"]["text"]
    box.house(amps=[3, 0, 0])
    box.advance(5)
    assert box.state()["currents_a"][0] == pytest.approx(17, abs=0.2)


def test_a_three_phase_car_makes_no_imbalance(box):
    box.settings(unbalance_a=20)
    box.plug()
    box.until(charging, 8)
    box.advance(30)
    assert box.state()["offered_a"] == 25


def test_the_last_limit_of_a_lost_meter_holds_as_long_as_the_installer_wants(box):
    box.settings(meter_hold_s=60)
    box.plug()
    box.until(charging, 8)
    box.advance(30)
    box.fault("meter_silent")
    box.advance(20)
    state = box.state()
    assert state["offered_a"] == 25 and state["meter"]["lost"]
    assert "holds for 60 s" in state["why"]["text"]
    state = box.until(lambda s: s["offered_a"] == 6, 60, step=0.5)
    assert state["limited_by"] == "meter"


def test_the_fallback_may_be_to_stop(box):
    box.settings(fallback_a=0)
    box.plug()
    box.until(charging, 8)
    box.fault("meter_silent")
    state = box.until(lambda s: not s["contactor"]["closed"], 25)
    assert state["contactor"]["load_openings"] == 0


def test_a_load_that_leaves_nothing_for_the_car_overloads_the_fuse_for_less_than_3_s(box):
    box.plug(max_a=16)
    box.until(charging, 8)
    box.advance(30)
    box.house(amps=[24, 0, 0])
    over_s = 0
    for _ in range(100):
        box.advance(0.1)
        over_s += box.state()["grid_a"][0] > 25.05
    assert over_s * 0.1 <= 3
