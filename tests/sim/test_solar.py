"""The car follows the sun (R21, R39): starts, clouds, few contactor operations, never above the other limits."""

import pytest


def charging(state):
    return state["pilot"]["state"] == "C2" and state["contactor"]["closed"]


def sunny(state):
    return state["solar"]["state"] == "charging"


@pytest.fixture
def start(simulator):
    """Return a function that starts a box in a solar mode with a car at the cable and the house at 0.5 A a phase."""

    def begin(mode="only", phases=3, max_a=16, pv_w=0, **settings):
        box = simulator(settings={"solar_mode": mode, **settings})
        box.house(amps=[0.5, 0.5, 0.5], pv_w=pv_w)
        box.until(lambda s: s["led"]["pattern"] == "blue", 10)
        box.plug(phases=phases, max_a=max_a)
        box.advance(30)
        return box

    return begin


def grid_w(state):
    return sum(a * v for a, v in zip(state["grid_a"], state["volts"], strict=True))


def test_without_enough_sun_the_car_waits_and_the_box_says_why(start):
    box = start(pv_w=1420)
    box.advance(600)
    state = box.state()
    assert not charging(state) and state["contactor"]["operations"] == 0
    assert state["limited_by"] == "solar" and state["why"]["code"] == "limit_solar"
    assert "1000 W of sun, 4140 W are needed" in state["why"]["text"]


def test_a_car_never_seen_is_tried_once_and_its_phases_are_remembered(start):
    box = start(pv_w=3000)
    # One phase's 6 A for an hour.
    box.advance(3500)
    assert not charging(box.state())
    box.until(charging, 300, step=1)
    # Three phases of 6 A are more than the sun gives: after a while it waits for enough.
    box.house(pv_w=2300)
    box.until(lambda s: not s["contactor"]["closed"], 7200, step=1)
    box.advance(1800)
    assert box.state()["contactor"]["operations"] == 1
    assert "1900 W of sun, 4140 W are needed" in box.state()["why"]["text"]
    box.unplug()
    box.advance(10)
    box.plug(phases=3, max_a=16)
    box.advance(1800)
    assert box.state()["contactor"]["operations"] == 1


def test_enough_sun_for_a_minute_starts_the_charge_and_it_takes_what_the_sun_leaves(start):
    box = start(pv_w=7000)
    box.until(charging, 120, step=1)
    box.advance(40)
    state = box.state()
    # 7,000 W less 345 W of the house.
    assert sum(state["currents_a"]) * 230 == pytest.approx(6655, abs=250)
    assert abs(grid_w(state)) < 250
    assert state["limited_by"] == "solar"


def test_a_single_phase_car_needs_a_third_of_it(start):
    box = start(phases=1, pv_w=5000)
    box.until(charging, 120, step=1)
    box.advance(60)
    box.unplug()
    box.advance(10)
    box.house(pv_w=2600)
    box.plug(phases=1, max_a=16)
    box.until(charging, 120, step=1)
    box.advance(60)
    state = box.state()
    assert charging(state)
    assert state["currents_a"][0] == pytest.approx((2600 - 345) / 230, abs=0.5)


def test_the_offer_does_not_hunt_in_steady_sun(start):
    box = start(pv_w=8000)
    box.until(charging, 120, step=1)
    box.advance(60)
    before = box.state()["offered_a"]
    offers = len(box.log(code="offer"))
    box.advance(1800)
    assert box.state()["offered_a"] == before
    assert len(box.log(code="offer")) == offers


def test_it_follows_the_sun_down_within_seconds_and_up_a_little_later(start):
    box = start(pv_w=10_000)
    box.until(charging, 120, step=1)
    box.advance(60)
    box.house(pv_w=6000)
    box.advance(10)
    assert grid_w(box.state()) == pytest.approx(0, abs=350)
    box.house(pv_w=9000)
    box.advance(20)
    assert grid_w(box.state()) == pytest.approx(0, abs=350)


def test_clouds_of_five_minutes_do_not_open_the_contactor(start):
    box = start(pv_w=8000)
    box.until(charging, 120, step=1)
    box.advance(600)
    for _ in range(4):
        box.house(pv_w=2000)
        box.advance(300)
        box.house(pv_w=8000)
        box.advance(400)
    state = box.state()
    assert charging(state) and state["contactor"]["operations"] == 1


def test_when_the_sun_goes_the_charge_ends_without_load_and_stays_off_for_a_while(start):
    box = start(pv_w=8000)
    box.until(charging, 120, step=1)
    box.advance(600)
    box.house(pv_w=0)
    begun = box.state()["uptime_ms"]
    state = box.until(lambda s: not s["contactor"]["closed"], 900, step=1)
    assert state["contactor"]["load_openings"] == 0
    (stop,) = box.log(code="solar_stop")
    assert 598_000 < stop["uptime_ms"] - begun < 612_000
    assert "no sun for 10 minutes" in stop["text"]
    box.house(pv_w=8000)
    box.advance(100)
    assert not charging(box.state())
    box.until(charging, 200, step=1)


def test_the_grid_s_share_says_with_how_much_sun_a_charge_goes_on(start):
    box = start(pv_w=8000, solar_grid_percent=20)
    box.until(charging, 120, step=1)
    box.advance(900)
    # 2,700 W for the car of 4,140 W: more than three quarters of what is left without the grid's fifth.
    box.house(pv_w=3045)
    box.advance(7200)
    assert charging(box.state()) and box.state()["offered_a"] == 6
    box.house(pv_w=2600)
    box.until(lambda s: not s["contactor"]["closed"], 4 * 3600, step=10)
    (stop,) = box.log(code="solar_stop")
    assert "in the last 40 minutes" in stop["text"]
    solar = box.state()["solar"]
    assert solar["sun_wh"] > 2 * solar["grid_wh"] > 0


def test_the_switching_budget_bounds_the_starts_of_an_hour(start):
    box = start(pv_w=8000, solar_starts_hour=2, solar_start_s=10, solar_grid_percent=0)
    for _ in range(3):
        box.house(pv_w=8000)
        box.advance(420)
        box.house(pv_w=0)
        box.advance(700)
    state = box.state()
    closings = state["contactor"]["operations"]
    assert closings == 2 and state["solar"]["switching"]["hour"] == 2
    box.house(pv_w=8000)
    box.advance(60)
    state = box.state()
    assert "switching budget" in state["why"]["text"] and state["why"]["until_s"] > state["uptime_ms"] / 1000
    box.until(charging, 1200, step=10)


def test_minimum_mode_never_goes_below_6_a_and_adds_the_sun(start):
    box = start(mode="minimum")
    box.until(charging, 10)
    box.advance(30)
    assert box.state()["offered_a"] == 6
    box.house(pv_w=8000)
    box.advance(40)
    assert sum(box.state()["currents_a"]) * 230 == pytest.approx(7655, abs=250)
    box.house(pv_w=0)
    box.advance(600)
    state = box.state()
    assert charging(state) and state["offered_a"] == 6


def test_the_sun_never_lifts_what_load_optimisation_leaves(start):
    box = start(mode="minimum", phases=1, max_a=32, pv_w=9000)
    box.until(charging, 10)
    box.house(amps=[19, 0, 0])
    box.advance(30)
    # Sun on all phases, 13 A each; L1 carries the house's 19 A too.
    state = box.state()
    assert state["grid_a"][0] <= 25.05


def test_a_lost_meter_pauses_sun_only_and_leaves_the_minimum_otherwise(start):
    box = start(pv_w=8000)
    box.until(charging, 120, step=1)
    box.fault("meter_silent")
    box.until(lambda s: not s["contactor"]["closed"], 100, step=1)
    assert "meter" in box.state()["why"]["text"]
    box.settings(solar_mode="minimum")
    box.advance(20)
    assert box.state()["offered_a"] == 6


@pytest.mark.parametrize(("phases", "minutes"), [(1, 120), (3, 40)])
def test_half_the_sun_is_bridged_for_as_long_as_the_same_energy_lasts(start, phases, minutes):
    box = start(phases=phases, pv_w=8000)
    box.until(charging, 120, step=1)
    box.advance(900)
    box.house(pv_w=345 + phases * 690)
    begun = box.state()["uptime_ms"]
    box.until(lambda s: not s["contactor"]["closed"], 4 * 3600, step=10)
    (stop,) = box.log(code="solar_stop")
    # The mean falls from 100 % towards 50 %, and to 60 % in 1.6 times its constant.
    assert (stop["uptime_ms"] - begun) / 60_000 == pytest.approx(1.6 * minutes, rel=0.1)
    assert f"in the last {minutes} minutes" in stop["text"]


def test_a_car_that_does_not_draw_is_not_offered_anything_when_the_sun_has_been_gone_for_a_while(start):
    box = start(pv_w=8000, max_a=16)
    box.until(charging, 120, step=1)
    box.car(state="B")
    box.advance(10)
    box.house(pv_w=0)
    box.advance(560)
    assert sunny(box.state()), "a cloud does not trouble a full car"
    state = box.until(lambda s: not sunny(s), 120, step=1)
    assert state["offered_a"] == 0


def test_a_sun_mode_needs_a_meter(simulator):
    box = simulator(settings={"meter_model": "none", "load_optimisation": False, "rated_a": 16})
    answer = box.exchange({"do": "settings", "set": {"solar_mode": "only"}})
    assert not answer["ok"] and "solar_mode" in answer["error"] and "meter_model" in answer["error"]


def test_sun_left_over_by_a_full_car_makes_the_next_start_wait_for_more_and_a_car_left_unfilled_for_less(start):
    box = start(pv_w=8000)
    box.unplug()
    box.advance(10)
    box.plug(phases=3, max_a=16, soc_wh=300)
    box.until(charging, 120, step=1)
    box.until(lambda s: not charging(s), 600, step=1)
    box.advance(300)
    box.unplug()
    box.house(pv_w=0)
    box.advance(700)
    box.house(pv_w=5000)
    box.plug(phases=3, max_a=16)
    box.advance(10)
    solar = box.state()["solar"]
    assert (solar["days"], solar["needed_w"]) == ("plenty", 5796)
    box.advance(600)
    assert not charging(box.state())
    box.unplug()
    box.advance(10)
    box.plug(phases=3, max_a=16)
    box.advance(10)
    solar = box.state()["solar"]
    assert (solar["days"], solar["needed_w"]) == ("scarce", 2484)
    box.house(pv_w=345 + 2600)
    box.until(charging, 240, step=1)
