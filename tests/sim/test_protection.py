"""Residual current monitor, welds and supply in the whole firmware, told as stories (R9, R10, R11, R13)."""

import pytest

SETUP_DONE = {"meter_model": "none", "load_optimisation": False, "connection_a": 40, "restart_delay_max_s": 0}
HOUR_S = 3600
DAY_S = 24 * HOUR_S
NOMINAL_V = 230


def charging(state):
    return state["pilot"]["state"] == "C2" and state["contactor"]["closed"]


def names(state):
    return [fault["name"] for fault in state["faults"]]


def ready(box):
    box.until(lambda s: s["led"]["pattern"] == "blue", 10)
    return box


@pytest.fixture
def box(simulator):
    return ready(simulator(settings=SETUP_DONE))


def charge(box, **car):
    box.plug(**car)
    box.until(charging, 8)
    box.advance(5)


def restart(box, seconds=5):
    box.power(on=False)
    box.advance(seconds)
    box.power(on=True)
    box.advance(5)


def passed_tests(box):
    return box.log(code="self_test_passed")


def never_closes(box, seconds=60):
    """A car asks for current for a while, and the contactor does not move."""
    before = box.state()["contactor"]["operations"]
    if not box.state()["car"]["plugged"]:
        box.plug()
    box.car(state="C")
    box.advance(seconds)
    state = box.state()
    return state["contactor"]["operations"] == before and not state["contactor"]["commanded"]


# -- the residual current monitor (R9) ----------------------------------------------------------------


def test_each_car_is_charged_only_after_a_self_test_of_its_own(box):
    for _ in range(4):
        # The log counts what repeats within a minute instead of repeating it.
        box.advance(70)
        charge(box)
        box.unplug()
    box.advance(1)
    since_plugged, closings = None, 0
    for entry in box.log():
        if entry["code"] == "state" and entry["text"].startswith("A1 -> "):
            since_plugged = []
        elif since_plugged is not None:
            since_plugged.append(entry["code"])
        if entry["code"] == "closed":
            closings += 1
            assert since_plugged is not None
            assert since_plugged.count("self_test_passed") == 1
    assert closings == 4
    assert len(passed_tests(box)) == 5, "one more at the start"


@pytest.mark.parametrize("car", [None, {"wants": False}])
def test_at_rest_the_monitor_is_tested_every_24_h(box, car):
    if car is not None:
        box.plug(**car)
        box.until(lambda s: s["pilot"]["state"] == "B2", 5)
    box.advance(3 * DAY_S + 60)
    at_s = [entry["uptime_ms"] / 1000 for entry in passed_tests(box)]
    gaps = [after - before for before, after in zip(at_s, at_s[1:], strict=False)]
    assert len([gap for gap in gaps if gap > HOUR_S]) == 3
    assert max(gaps) < DAY_S + 5
    state = box.state()
    assert state["pilot"]["state"] == ("A1" if car is None else "B2")
    assert state["contactor"]["operations"] == 0


def test_a_charge_of_more_than_a_day_is_tested_when_it_ends_and_not_under_current(box):
    charge(box, max_a=6, phases=1)
    done = len(passed_tests(box))
    box.advance(26 * HOUR_S)
    assert charging(box.state())
    assert len(passed_tests(box)) == done, "a test would have opened the contactor"
    box.car(state="B")
    box.advance(3)
    assert len(passed_tests(box)) == done + 1
    box.car(state="C")
    box.until(charging, 5)


def test_a_cut_trip_wire_is_found_by_the_next_self_test(box):
    box.fault("rcm_wire")
    box.plug()
    state = box.until(lambda s: s["faults"], 3)
    assert names(state) == ["rcm_self_test"]
    assert state["contactor"]["operations"] == 0
    assert never_closes(box)
    box.clear("rcm_wire")
    assert names(box.state()) == ["rcm_self_test"], "it ends with the supply switched off and on alone (R14)"
    box.unplug()
    restart(box)
    charge(box)


def test_a_leak_behind_a_cut_trip_wire_opens_by_the_measured_value(box):
    charge(box)
    box.fault("rcm_wire")
    box.fault("residual_ac", 29)
    box.advance(5)
    assert charging(box.state()), "below 30 mA only the module trips, and its wire is cut"
    box.fault("residual_ac", 30)
    state = box.until(lambda s: s["faults"], 0.03, step=0.01)
    assert names(state) == ["residual_current"]
    assert not state["contactor"]["commanded"]
    box.clear("residual_ac")
    box.unplug()
    state = box.until(lambda s: len(s["faults"]) == 2, 5)
    assert set(names(state)) == {"residual_current", "rcm_self_test"}, "the test that would end the trip fails"


@pytest.mark.parametrize("ms", [300, 350, 400, 450])
def test_a_reset_in_the_middle_of_a_self_test_is_no_leak(box, ms):
    box.plug()
    box.advance(ms / 1000)
    box.reset()
    box.until(lambda s: s["contactor"]["closed"], 30)
    assert box.state()["faults"] == [] and not box.log(code="fault_residual_current")


def test_a_trip_output_that_sticks_after_the_test_fails_it(box):
    box.fault("rcm_stuck")
    box.plug()
    state = box.until(lambda s: s["faults"], 3)
    assert set(names(state)) == {"rcm_self_test", "residual_current"}, "and the output that stays high is a trip"
    assert never_closes(box)
    assert not box.state()["session"]["energy_wh"]


def test_a_trip_output_stuck_high_opens_and_never_recovers_by_itself(box):
    charge(box)
    box.fault("rcm_stuck", True)
    state = box.until(lambda s: s["faults"], 0.03, step=0.01)
    assert names(state) == ["residual_current"]
    assert not state["contactor"]["commanded"]
    box.unplug()
    done = len(passed_tests(box))
    box.advance(2 * HOUR_S)
    assert names(box.state()) == ["residual_current"]
    assert len(passed_tests(box)) == done, "a test says nothing while the output is high"
    box.clear("rcm_stuck")
    box.until(lambda s: not s["faults"], 3)
    charge(box)


def test_a_real_trip_during_the_self_test_is_not_taken_for_its_answer(box):
    box.fault("residual_ac", 300)
    box.plug()
    box.until(lambda s: s["why"]["code"] == "self_test", 1, step=0.02)
    box.fault("weld_l1", True)
    state = box.until(lambda s: len(s["faults"]) == 3, 5)
    assert set(names(state)) == {"weld", "rcm_self_test", "residual_current"}
    assert not box.log(code="self_test_passed")[1:], "only the one at the start"
    assert never_closes(box)


# -- welds (R10) ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pole", [1, 2, 3])
def test_a_pole_welded_at_rest_is_found_and_only_service_ends_it(box, pole):
    box.fault(f"weld_l{pole}", True)
    state = box.until(lambda s: s["faults"], 0.7, step=0.05)
    assert (names(state), state["faults"][0]["value"]) == (["weld"], 1 << (pole - 1))
    box.until(lambda s: s["led"]["pattern"] == "red", 1)
    box.advance(2)
    box.clear(f"weld_l{pole}")
    for _ in range(2):
        restart(box)
        assert names(box.state()) == ["weld"]
        assert never_closes(box, 20)
        box.unplug()
        box.advance(2)
    box.request("service")
    box.until(lambda s: not s["faults"], 1)
    charge(box)


@pytest.mark.parametrize("pole", [1, 2, 3])
def test_a_pole_that_welds_while_the_supply_is_away_is_found_before_anything_closes(box, pole):
    charge(box)
    box.power(on=False)
    box.fault(f"weld_l{pole}", True)
    box.advance(5)
    box.power(on=True)
    state = box.until(lambda s: s["faults"], 3, step=0.05)
    assert names(state) == ["weld"]
    assert state["contactor"]["phases"] == [pole == 1, pole == 2, pole == 3]
    box.advance(1)
    opened = box.state()["contactor"]["operations"]
    box.advance(60)
    assert box.state()["contactor"]["operations"] == opened
    assert never_closes(box)


def test_a_weld_behind_a_missing_phase_is_found_when_the_phase_is_back(box):
    charge(box)
    box.fault("phase_loss", 2)
    box.fault("weld_l2")
    state = box.until(lambda s: s["faults"], 2)
    box.advance(5)
    assert names(box.state()) == ["phase_loss"], "without voltage before it the pole cannot be judged"
    box.clear("phase_loss")
    state = box.until(lambda s: "weld" in names(s), 1, step=0.05)
    assert never_closes(box)
    assert state["contactor"]["phases"] == [False, True, False]


def test_in_a_single_phase_installation_the_weld_of_l1_is_found(simulator):
    box = simulator(settings={**SETUP_DONE, "phases": 1})
    box.grid(volts=[NOMINAL_V, 0, 0])
    ready(box)
    charge(box, phases=1)
    box.fault("weld_l1")
    box.car(state="B")
    state = box.until(lambda s: s["faults"], 2)
    assert (names(state), state["faults"][0]["value"]) == (["weld"], 1)


# -- supply and earth (R11) -----------------------------------------------------------------------------


def trips_and_recovers(box, name, seconds, back):
    """The fault opens within its time, shows F, stays for 30 s after it is gone, and the charge goes on."""
    state = box.until(lambda s: s["faults"], seconds, step=0.02)
    assert names(state) == [name]
    assert not state["contactor"]["commanded"]
    back()
    box.advance(29)
    assert names(box.state()) == [name]
    assert not box.state()["contactor"]["commanded"]
    box.until(lambda s: not s["faults"], 3)
    box.until(charging, 10)


@pytest.mark.parametrize("phase", [1, 2, 3])
def test_the_loss_of_any_phase_stops_a_three_phase_installation(box, phase):
    charge(box)
    box.fault("phase_loss", phase)
    trips_and_recovers(box, "phase_loss", 1.1, lambda: box.clear("phase_loss"))


def test_the_loss_of_its_phase_is_an_under_voltage_in_a_single_phase_installation(simulator):
    box = simulator(settings={**SETUP_DONE, "phases": 1})
    box.grid(volts=[NOMINAL_V, 0, 0])
    ready(box)
    charge(box, phases=1)
    box.fault("phase_loss", 1)
    state = box.until(lambda s: s["faults"], 2.2, step=0.02)
    assert names(state) == ["under_voltage"], "an output that is dead for want of supply is no fault of the contactor"
    assert not state["contactor"]["commanded"]


@pytest.mark.parametrize("phases, volts", [(1, [NOMINAL_V] * 3), (3, [NOMINAL_V, 0, 0])])
def test_a_supply_with_other_phases_than_were_set_up_forbids_charging(simulator, phases, volts):
    box = simulator(settings={**SETUP_DONE, "phases": phases})
    box.grid(volts=volts)
    state = box.until(lambda s: s["faults"], 5)
    assert names(state) == ["phase_count"]
    assert never_closes(box)
    assert box.state()["why"]["code"] == "phase_count"
    box.grid(volts=[NOMINAL_V, 0, 0] if phases == 1 else [NOMINAL_V] * 3)
    box.until(lambda s: not s["faults"], 35)
    box.until(charging, 10)


@pytest.mark.parametrize("phase", [0, 1, 2])
@pytest.mark.parametrize(
    "bad, good, name, seconds",
    [(265, 264, "over_voltage", 1.1), (277, 264, "over_voltage", 0.3), (183, 185, "under_voltage", 2.1)],
)
def test_a_voltage_out_of_limits_on_any_phase_opens_in_its_time(box, phase, bad, good, name, seconds):
    def volts(value):
        box.grid(volts=[value if i == phase else NOMINAL_V for i in range(3)])

    charge(box)
    volts(good)
    box.advance(10)
    assert charging(box.state()) and not box.state()["faults"]
    volts(bad)
    trips_and_recovers(box, name, seconds, lambda: volts(NOMINAL_V))


@pytest.mark.parametrize("bad, good", [(46.9, 47.0), (52.1, 52.0)])
def test_a_frequency_out_of_limits_opens_after_a_second(box, bad, good):
    charge(box)
    box.grid(hz=good)
    box.advance(10)
    assert charging(box.state()) and not box.state()["faults"]
    box.grid(hz=bad)
    trips_and_recovers(box, "frequency", 1.1, lambda: box.grid(hz=50))


def test_a_lost_earth_opens_within_150_ms_and_comes_back_by_itself(box):
    charge(box)
    box.fault("pe")
    trips_and_recovers(box, "pe_lost", 0.15, lambda: box.clear("pe"))


def test_a_lost_earth_that_is_only_watched_is_told_and_the_charge_goes_on(simulator):
    box = ready(simulator(settings={**SETUP_DONE, "pe_mode": "monitor"}))
    charge(box)
    box.fault("pe")
    box.advance(60)
    state = box.state()
    assert charging(state) and state["led"]["pattern"] == "breathing_blue"
    assert [(fault["name"], fault["severity"]) for fault in state["faults"]] == [("pe_monitor", "warning")]
    assert len(box.log(code="fault_pe_monitor")) == 1
    box.settings(pe_mode="enable")
    state = box.until(lambda s: "pe_lost" in names(s), 0.2, step=0.02)
    assert not state["contactor"]["commanded"]
    box.clear("pe")
    box.until(lambda s: not s["faults"], 35)
    box.until(charging, 10)


def test_an_earth_that_is_not_watched_says_nothing(simulator):
    box = ready(simulator(settings={**SETUP_DONE, "pe_mode": "off"}))
    box.fault("pe")
    charge(box)
    box.advance(60)
    assert charging(box.state()) and not box.state()["faults"]


# -- the pilot (R13) ------------------------------------------------------------------------------------


@pytest.mark.parametrize("volts", [15, -5])
def test_an_impossible_pilot_voltage_opens_in_50_ms_and_clears_by_itself(box, volts):
    charge(box)
    box.fault("pilot_voltage", volts)
    state = box.until(lambda s: s["faults"], 0.05, step=0.01)
    assert names(state) == ["pilot_level"]
    assert not state["contactor"]["commanded"]
    assert never_closes(box)
    box.clear("pilot_voltage")
    box.until(lambda s: not s["faults"], 35)
    box.until(charging, 10)


def test_a_pilot_output_that_does_not_follow_stays_in_f_until_the_supply_is_switched(box):
    charge(box)
    box.fault("pilot_stuck", 533)
    box.advance(5)
    assert charging(box.state()), "32 A are asked of it, and 32 A are what it puts out"
    box.settings(rated_a=10)
    state = box.until(lambda s: s["faults"], 0.5, step=0.01)
    assert names(state) == ["pilot_feedback"]
    assert not state["contactor"]["commanded"]
    box.clear("pilot_stuck")
    box.advance(120)
    state = box.state()
    assert names(state) == ["pilot_feedback"]
    assert (state["pilot"]["state"], state["pilot"]["duty_permille"]) == ("F", 0)
    box.unplug()
    restart(box)
    charge(box)


def test_a_hot_day_settles_at_a_current_and_does_not_swing(simulator):
    box = simulator(settings={"meter_model": "none", "load_optimisation": False, "connection_a": 40})
    box.advance(2)
    box.ambient(62)
    box.plug()
    box.advance(3600)
    offered = box.state()["offered_a"]
    assert 15 < offered < 32 and box.state()["limited_by"] == "temperature"
    seen = set()
    for _ in range(60):
        box.advance(120)
        seen.add(box.state()["offered_a"])
    # It may still creep down while the board comes to its final temperature, but never comes up again.
    assert max(seen) <= offered and max(seen) - min(seen) <= 1
