"""Charging told through the control API, whole firmware in virtual time (R1, R2, R4, R5, R6, R8)."""

import pytest

SETUP_DONE = {"meter_model": "none", "load_optimisation": False, "connection_a": 40}


def charging(state):
    return state["pilot"]["state"] == "C2" and state["contactor"]["closed"]


def ready(box):
    """Wait for the end of the start-up tests."""
    box.until(lambda s: s["led"]["pattern"] == "blue", 10)
    return box


@pytest.fixture
def box(simulator):
    return ready(simulator(settings=SETUP_DONE))


def test_plugging_in_starts_a_charge_by_itself(box):
    box.plug(max_a=32)
    state = box.until(charging, 5)
    assert state["offered_a"] == 32
    assert state["pilot"]["duty_permille"] == 533
    state = box.until(lambda s: s["currents_a"][2] > 31, 6)
    assert max(state["currents_a"]) <= 32
    assert state["led"]["pattern"] == "breathing_blue"
    assert state["session"]["active"]


def test_nothing_is_offered_without_a_car(box):
    box.advance(30)
    state = box.state()
    assert state["pilot"] == {
        "state": "A1",
        "duty_permille": 1000,
        **{k: state["pilot"][k] for k in ("high_mv", "low_mv")},
    }
    assert not state["contactor"]["commanded"]
    assert state["why"]["code"] == "no_car"


def test_opens_within_100_ms_when_car_leaves_state_c(box):
    box.plug()
    box.until(charging, 5)
    box.advance(10)
    box.car(state="B")
    state = box.until(lambda s: not s["contactor"]["closed"], 0.1, step=0.01)
    assert not state["contactor"]["commanded"]


def test_opens_within_100_ms_when_unplugged_while_charging(box):
    box.plug()
    box.until(charging, 5)
    box.advance(10)
    box.unplug()
    box.until(lambda s: not s["contactor"]["closed"], 0.1, step=0.01)
    box.advance(2)
    state = box.state()
    assert state["pilot"]["state"] == "A1"
    assert not state["session"]["active"]


def test_closes_within_3_s_of_the_car_asking(box):
    box.plug(wants=False)
    box.until(lambda s: s["pilot"]["state"] == "B2", 5)
    box.advance(20)
    box.car(state="C")
    box.until(charging, 3, step=0.05)


def test_a_car_that_ignores_the_stop_is_cut_off_under_load_after_6_s(box):
    box.plug()
    box.until(charging, 5)
    box.advance(10)
    box.car(ignore_pwm=True)
    box.settings(rated_a=0)
    state = box.until(lambda s: s["pilot"]["state"] == "C1", 1, step=0.02)
    box.advance(5.5)
    assert box.state()["contactor"]["closed"], "opened before the 6 s of sequence 10.2"
    state = box.until(lambda s: not s["contactor"]["closed"], 0.7, step=0.02)
    assert state["contactor"]["load_openings"] == 1


def test_a_car_that_obeys_is_never_switched_off_under_load(box):
    box.plug()
    box.until(charging, 5)
    box.advance(10)
    box.settings(rated_a=0)
    state = box.until(lambda s: not s["contactor"]["closed"], 6)
    assert state["contactor"]["load_openings"] == 0
    assert state["why"]["code"] == "rated_0"


@pytest.mark.parametrize("rated, duty", [(6, 100), (10, 166), (12, 200), (16, 266), (20, 333), (24, 400), (32, 533)])
def test_the_rated_current_is_offered_rounded_down(simulator, rated, duty):
    box = ready(simulator(settings={**SETUP_DONE, "rated_a": rated}))
    box.plug()
    state = box.until(charging, 5)
    assert (state["offered_a"], state["pilot"]["duty_permille"]) == (rated, duty)


def test_a_car_without_a_diode_is_never_energised(box):
    box.plug()
    box.car(diode=False)
    state = box.until(lambda s: s["faults"], 10)
    assert state["faults"][0]["name"] == "diode"
    box.advance(60)
    assert box.state()["contactor"]["operations"] == 0
    box.unplug()
    box.until(lambda s: not s["faults"], 5)


def test_ventilation_is_refused(box):
    box.plug()
    box.until(charging, 5)
    box.car(state="D")
    state = box.until(lambda s: not s["contactor"]["closed"], 1)
    state = box.until(lambda s: s["pilot"]["state"] == "D1", 1)
    assert state["why"]["code"] == "ventilation"


def test_without_the_wizard_nothing_charges(simulator):
    box = simulator(factory=True)
    box.advance(5)
    box.plug()
    box.advance(20)
    state = box.state()
    assert state["contactor"]["operations"] == 0
    assert state["pilot"]["state"] == "B1"
    assert state["why"]["code"] == "not_set_up"
    assert state["led"]["pattern"] == "running_blue"


def test_a_single_phase_installation_uses_l1_only(simulator):
    box = simulator(settings={**SETUP_DONE, "phases": 1})
    box.grid(volts=[230, 0, 0])
    ready(box)
    box.plug(phases=1, max_a=16)
    box.until(charging, 5)
    state = box.until(lambda s: s["currents_a"][0] > 15, 10)
    assert state["contactor"]["phases"] == [True, False, False]
    assert state["currents_a"][1:] == [0, 0]
    assert not state["faults"]


def test_a_full_car_ends_its_charge_and_the_energy_is_right(box):
    box.plug(phases=3, max_a=16, soc_wh=2000)
    box.until(charging, 5)
    state = box.until(lambda s: s["pilot"]["state"] == "B2", 1200, step=5)
    assert state["session"]["energy_wh"] == pytest.approx(2000, abs=15)
    assert not state["contactor"]["closed"]
    assert state["why"]["code"] == "car_not_ready"
    box.unplug()
    box.advance(1)
    assert box.log(code="ended")[-1]["energy_wh"] == state["session"]["energy_wh"]


def test_a_day_of_charging_loses_and_invents_nothing(box):
    wanted = [3000, 7000, 500, 12000]
    for wh in wanted:
        box.plug(soc_wh=wh)
        box.advance(3 * 3600)
        assert box.state()["pilot"]["state"] == "B2"
        box.unplug()
        box.advance(3 * 3600)
    ended = box.log(code="ended")
    assert [entry["energy_wh"] for entry in ended] == [pytest.approx(wh, abs=25) for wh in wanted]
    assert not box.state()["faults"]
    assert box.state()["contactor"]["load_openings"] == 0


def test_a_higher_limit_waits_5_s_and_a_lower_one_does_not(box):
    box.plug()
    box.until(charging, 5)
    box.advance(20)
    box.settings(rated_a=10)
    box.until(lambda s: s["offered_a"] == 10, 0.1, step=0.02)
    box.settings(rated_a=16)
    box.advance(4)
    assert box.state()["offered_a"] == 10
    box.until(lambda s: s["offered_a"] == 16, 2)
