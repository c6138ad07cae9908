"""Every fault of the control API, injected in each state of the charge (R9 to R14)."""

import pytest

SETUP_DONE = {"meter_model": "none", "load_optimisation": False, "connection_a": 40, "restart_delay_max_s": 0}

# control API name -> (catalogue name, seconds to detection, states in which it can show: A, B, C)
SHOWN = {
    "residual_dc": ("residual_current", 1.0, "C"),
    "residual_ac": ("residual_current", 1.0, "C"),
    "pe": ("pe_lost", 0.3, "ABC"),
    "overvoltage": ("over_voltage", 1.2, "ABC"),
    "undervoltage": ("under_voltage", 2.2, "ABC"),
    "phase_loss": ("phase_loss", 1.2, "ABC"),
    "overcurrent": ("over_current", 14.0, "C"),
    "pilot_short": ("pilot_short", 0.05, "ABC"),
    "temperature_sensor": ("temperature_sensor", 1.2, "ABC"),
}
CLEARS_BY_ITSELF = {"pe", "overvoltage", "undervoltage", "phase_loss", "pilot_short", "temperature_sensor"}


def charging(state):
    return state["pilot"]["state"] == "C2" and state["contactor"]["closed"]


def names(state):
    return [fault["name"] for fault in state["faults"]]


@pytest.fixture
def box(simulator):
    box = simulator(settings=SETUP_DONE)
    box.until(lambda s: s["led"]["pattern"] == "blue", 10)
    return box


def bring_to(box, state):
    if state == "B":
        box.plug(wants=False)
        box.until(lambda s: s["pilot"]["state"] == "B2", 5)
    elif state == "C":
        box.plug()
        box.until(charging, 5)
    box.advance(10)


@pytest.mark.parametrize("state", "ABC")
@pytest.mark.parametrize("fault", SHOWN)
def test_a_fault_stops_the_charge_and_is_shown(box, fault, state):
    name, seconds, visible_in = SHOWN[fault]
    bring_to(box, state)
    box.fault(fault)
    box.advance(seconds + 0.05)
    now = box.state()
    if state not in visible_in:
        assert names(now) == []
        return
    assert names(now) == [name]
    assert now["why"]["code"] == name
    assert not now["contactor"]["commanded"]
    box.advance(0.3)
    assert not box.state()["contactor"]["closed"]
    assert box.state()["led"]["pattern"] == "red"
    box.clear(fault)
    if fault in CLEARS_BY_ITSELF:
        box.until(lambda s: not s["faults"], 40)
        if state == "C":
            box.until(charging, 10)
    else:
        box.advance(60)
        assert names(box.state()) == [name], "must stay latched while the car is plugged in"
        box.unplug()
        box.until(lambda s: not s["faults"], 5)
        box.plug()
        box.until(charging, 6)


def test_residual_current_opens_in_the_next_loop_after_the_monitor_trips(box):
    bring_to(box, "C")
    box.fault("residual_ac", 150)
    state = box.until(lambda s: s["faults"], 0.1, step=0.01)
    assert not state["contactor"]["commanded"]
    assert state["contactor"]["load_openings"] == 1


def test_a_fault_puts_out_state_f_for_300_ms_and_then_12_v_again(box):
    bring_to(box, "C")
    box.fault("pe")
    state = box.until(lambda s: s["faults"], 0.3, step=0.01)
    assert state["pilot"]["state"] == "F"
    box.advance(0.25)
    pilot = box.state()["pilot"]
    assert (pilot["state"], pilot["duty_permille"]) == ("F", 0)
    assert pilot["high_mv"] < -11000
    state = box.until(lambda s: s["pilot"]["state"] in ("B1", "C1"), 0.5, step=0.02)
    assert state["pilot"]["duty_permille"] == 1000
    assert not state["contactor"]["commanded"]


def test_a_box_that_cannot_be_trusted_stays_in_f(box):
    bring_to(box, "C")
    box.fault("weld_l2")
    box.car(state="B")
    box.until(lambda s: s["faults"], 2)
    box.advance(60)
    pilot = box.state()["pilot"]
    assert (pilot["state"], pilot["duty_permille"]) == ("F", 0)


def test_pilot_short_opens_in_the_next_loop(box):
    bring_to(box, "C")
    box.fault("pilot_short")
    box.advance(0.01)
    state = box.state()
    assert state["pilot"]["state"] == "E"
    assert not state["contactor"]["commanded"]


def test_a_residual_trip_recovers_by_itself_at_most_three_times_an_hour(box):
    for _ in range(3):
        box.plug()
        box.until(charging, 8)
        box.fault("residual_dc", 60)
        box.until(lambda s: s["faults"], 2)
        box.clear("residual_dc")
        box.unplug()
        box.until(lambda s: not s["faults"], 10)
    box.plug()
    box.until(charging, 8)
    box.fault("residual_dc", 60)
    box.until(lambda s: s["faults"], 2)
    box.clear("residual_dc")
    box.unplug()
    box.advance(3000)
    assert names(box.state()) == ["residual_current"]
    box.until(lambda s: not s["faults"], 900, step=10)


def test_a_failing_self_test_forbids_the_session(box):
    box.fault("rcm_test_fails")
    box.plug()
    state = box.until(lambda s: s["faults"], 5)
    assert names(state) == ["rcm_self_test"]
    box.advance(30)
    assert box.state()["contactor"]["operations"] == 0
    box.clear("rcm_test_fails")
    box.unplug()
    box.power(on=False)
    box.advance(5)
    box.power(on=True)
    box.plug()
    box.until(charging, 10)


@pytest.mark.parametrize("pole", [1, 2, 3])
def test_a_weld_of_any_pole_is_found_and_survives_the_power_switch(box, pole):
    bring_to(box, "C")
    box.fault(f"weld_l{pole}")
    box.car(state="B")
    state = box.until(lambda s: s["faults"], 2)
    assert names(state) == ["weld"]
    assert state["faults"][0]["value"] == 1 << (pole - 1)
    box.clear(f"weld_l{pole}")
    box.unplug()
    box.advance(5)
    box.power(on=False)
    box.advance(5)
    box.power(on=True)
    box.advance(5)
    box.plug()
    box.advance(20)
    state = box.state()
    assert names(state) == ["weld"]
    assert not state["contactor"]["commanded"]
    assert state["led"]["pattern"] == "red"


def test_a_contactor_that_does_not_close_is_told_apart(box):
    box.fault("no_close")
    box.plug()
    state = box.until(lambda s: s["faults"], 6)
    assert names(state) == ["no_close"]
    assert not state["contactor"]["commanded"]


def test_heat_lowers_the_current_then_stops_and_cooling_brings_it_back(box):
    bring_to(box, "C")
    box.ambient(60)
    state = box.until(lambda s: s["limited_by"] == "temperature", 7200, step=10)
    assert 6 <= state["offered_a"] < 32
    box.ambient(85)
    state = box.until(lambda s: names(s) == ["over_temperature"], 7200, step=10)
    assert state["led"]["pattern"] == "running_blue"
    box.until(lambda s: not s["contactor"]["closed"], 10)
    box.ambient(20)
    box.until(charging, 7200, step=10)
    box.until(lambda s: s["offered_a"] == 32, 7200, step=10)
    assert box.state()["contactor"]["load_openings"] == 0


def test_a_lost_communication_module_turns_s4_red_and_the_charge_goes_on(box):
    bring_to(box, "C")
    box.network(False)
    state = box.until(lambda s: s["led"]["pattern"] == "breathing_blue_s4_red", 10)
    assert charging(state)
    box.network(True)
    box.until(lambda s: s["led"]["pattern"] == "breathing_blue", 10)
    box.unplug()
    box.network(False)
    box.until(lambda s: s["led"]["pattern"] == "blue_s4_red", 10)
