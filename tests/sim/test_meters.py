"""The external meter (R19, R36) in virtual time: eight maps, the search for an unknown one, and the self-check."""

import pytest

THREE = ("pro380", "b23", "b23_float", "iem3150", "pac1600")
ONE = ("pro2", "b21", "b21_float")
# Line settings other than 9600 8N1.
LINES = {"iem3150": (19200, "E"), "pro380": (9600, "E"), "pro2": (9600, "E")}
EXPORTS = {"pro380", "pro2", "b23", "b21", "b23_float", "b21_float", "pac1600"}


def charging(state):
    return state["pilot"]["state"] == "C2" and state["contactor"]["closed"]


@pytest.mark.parametrize("model", THREE + ONE)
def test_each_model_is_read_with_volts_amperes_signs_and_counters(simulator, model):
    phases = 3 if model in THREE else 1
    line = LINES.get(model, (9600, "N"))
    settings = {"meter_model": model, "phases": phases, "meter_baud": line[0], "meter_parity": line[1]}
    box = simulator(settings=settings)
    box.grid(volts=[229, 230, 231], hz=49.9)
    box.house(amps=[5, 6, 7.5][:phases] + [0] * (3 - phases), pv_w=0)
    box.advance(4)
    meter = box.state()["meter"]
    assert meter["valid"], meter
    assert meter["currents_a"][:phases] == [pytest.approx(a, abs=0.02) for a in (5, 6, 7.5)[:phases]]
    assert meter["volts"][:phases] == [pytest.approx(v, abs=0.1) for v in (229, 230, 231)[:phases]]
    box.house(pv_w=9000)
    box.advance(3600)
    meter = box.state()["meter"]
    assert meter["currents_a"][0] == pytest.approx(5 - 3000 / 229, abs=0.1)
    assert meter["power_w"][0] == pytest.approx(5 * 229 - 3000, abs=10)
    assert (meter["errors"], meter["implausible"], meter["timeouts"]) == (0, 0, 0)
    # A PRO2 refuses blocks over the registers of L2 and L3, once each.
    assert meter["exceptions"] == (2 if model == "pro2" else 0)
    if model in EXPORTS:
        assert meter["export_wh"] == pytest.approx(-sum(meter["power_w"]), rel=0.03)
    else:
        assert meter["export_wh"] is None
    assert meter["import_wh"] is not None
    assert (meter["serial"] is not None) == (model in ("pro380", "pro2", "b23", "b21", "iem3150"))


@pytest.mark.parametrize("model", THREE + ONE)
def test_each_model_is_read_four_times_a_second_on_its_line_while_the_car_charges(simulator, model):
    line = LINES.get(model, (9600, "N"))
    phases = 3 if model in THREE else 1
    settings = {"meter_model": model, "phases": phases, "meter_baud": line[0], "meter_parity": line[1]}
    box = simulator(settings=settings)
    box.grid(volts=[230, 230, 230] if phases == 3 else [230, 0, 0])
    box.advance(5)
    box.plug(phases=phases)
    box.until(charging, 20)
    box.advance(5)
    begun = box.state()["meter"]
    box.advance(120)
    meter = box.state()["meter"]
    # Counters and serial number, once a minute each, need their place too.
    assert begun["cycle_ms"] == 250 and meter["response_ms"] < 250
    questions = {"iem3150": 2, "pro2": 5}.get(model, 1)
    extras = 4 + (2 if model == "pro2" else 0)
    assert meter["reads"] - begun["reads"] == pytest.approx(4 * 120 * questions, abs=questions + extras)


def test_the_wrong_model_is_noticed_and_said(simulator):
    box = simulator(settings={"meter_model": "b23", "meter_parity": "N"})
    box.request("meter", model="b21")
    box.advance(12)
    state = box.state()
    assert state["meter"]["lost"] and "says B21" in state["meter"]["problem"]
    assert state["limits"]["meter"] == 6


@pytest.mark.parametrize("model", ["pro380", "b23", "b23_float", "iem3150", "pac1600"])
def test_a_map_of_another_meter_never_gives_values(simulator, model):
    box = simulator(settings={"meter_model": model, "meter_parity": "N"})
    for other in THREE:
        if other == model:
            continue
        box.request("meter", model=other, baud=9600, parity="N")
        box.advance(12)
        assert not box.state()["meter"]["valid"], other


def test_another_meter_on_the_bus_is_logged(simulator):
    box = simulator()
    box.advance(5)
    box.request("meter", serial=4711)
    box.advance(65)
    (entry,) = box.log(code="meter_exchanged")
    assert "15060001" in entry["text"] and "00001267" in entry["text"]


def test_a_meter_that_restarts_is_back_with_its_first_answer(simulator):
    box = simulator()
    box.advance(5)
    box.power(on=False)
    box.power(on=True)
    box.until(lambda s: s["meter"].get("valid"), 6)


@pytest.mark.parametrize(
    ("model", "address", "baud", "parity"),
    [
        ("pro380", 1, 9600, "E"),
        ("pro2", 2, 1200, "E"),
        ("b23", 5, 38400, "N"),
        ("b21", 16, 115200, "N"),
        ("b23_float", 1, 19200, "N"),
        ("b21_float", 3, 9600, "O"),
        ("iem3150", 1, 19200, "E"),
        ("pac1600", 9, 9600, "N"),
    ],
)
def test_the_search_finds_model_address_baud_rate_and_parity(simulator, model, address, baud, parity):
    box = simulator(settings={"meter_model": "none", "load_optimisation": False, "rated_a": 16})
    box.request("meter", model=model, address=address, baud=baud, parity=parity)
    box.advance(2)
    box.request("scan", start=True)
    percents = []
    for _ in range(300):
        box.advance(1)
        scan = box.state()["meter_scan"]
        percents.append(scan["percent"])
        if not scan["running"]:
            break
        assert scan["trying"]
    assert percents == sorted(percents) and percents[-1] == 100
    (found,) = scan["found"]
    assert (found["model"], found["address"], found["baud"], found["parity"]) == (model, address, baud, parity)
    assert box.settings()["meter_model"] == "none"
    # What was found works.
    box.settings(
        phases=3 if model in THREE else 1,
        meter_model=found["model"],
        meter_address=found["address"],
        meter_baud=found["baud"],
        meter_parity=found["parity"],
    )
    box.until(lambda s: s["meter"]["valid"], 20)


def test_the_search_ends_without_a_meter_and_can_be_ended(simulator):
    box = simulator(settings={"meter_model": "none", "load_optimisation": False, "rated_a": 16})
    box.fault("meter_silent")
    box.advance(2)
    box.request("scan", start=True)
    assert not box.exchange({"do": "scan", "start": True})["ok"]
    box.until(lambda s: not s["meter_scan"]["running"], 200, step=1)
    assert box.state()["meter_scan"]["found"] == []
    box.request("scan", start=True)
    box.advance(3)
    box.request("scan", start=False)
    box.until(lambda s: not s["meter_scan"]["running"], 1)


def test_while_the_search_has_the_bus_the_fallback_holds_and_afterwards_the_meter_is_back(simulator):
    box = simulator(settings={"meter_timeout_s": 2})
    box.advance(2)
    box.plug()
    box.until(charging, 10)
    box.advance(20)
    assert box.state()["offered_a"] == 25
    box.request("scan", start=True)
    box.until(lambda s: s["offered_a"] == 6, 10)
    box.until(lambda s: not s["meter_scan"]["running"], 200, step=1)
    (found,) = box.state()["meter_scan"]["found"]
    assert found["model"] == "pro380"
    box.until(lambda s: s["offered_a"] == 25, 60, step=1)


# The self-check


def checked(simulator, phases=3, house=(2, 3, 1), noise=False, **wiring):
    """Start a charge with a meter wired like this and return the box and the check's result."""
    box = simulator()
    box.grid(volts=[228, 230, 232])
    if wiring:
        box.request("meter", **wiring)
    box.house(amps=list(house))
    box.advance(3)
    box.plug(phases=phases)
    box.until(charging, 10)
    box.advance(15)
    box.request("check_meter")
    for second in range(400):
        box.advance(1)
        if noise and second % 11 == 5:
            box.house(amps=[house[0] + second % 5, house[1] + second % 3, house[2] + second % 4])
        check = box.state()["meter_check"]
        if not check["running"]:
            break
    return box, check["result"]


def verdicts(result):
    return [row["verdict"] for row in result["phases"]]


@pytest.mark.parametrize("noise", [False, True])
def test_right_wiring_is_confirmed_also_in_a_restless_house(simulator, noise):
    box, result = checked(simulator, noise=noise)
    assert result["good"] and verdicts(result) == ["right"] * 3, result
    assert "check" not in box.state()["limits"]


def test_exchanged_phases_are_found(simulator):
    _, result = checked(simulator, order=[2, 1, 3])
    assert verdicts(result) == ["swapped", "swapped", "right"] and not result["good"]
    assert "L1: the meter sees the car on L2" in result["phases"][0]["text"]


def test_a_reversed_phase_is_found(simulator):
    _, result = checked(simulator, reversed=[False, True, False])
    assert verdicts(result) == ["right", "reversed", "right"]


def test_a_meter_in_the_wrong_place_is_found(simulator):
    _, result = checked(simulator, elsewhere=True)
    assert verdicts(result) == ["unseen"] * 3


def test_a_single_phase_car_tells_its_phase_only(simulator):
    _, result = checked(simulator, phases=1)
    assert verdicts(result) == ["right", "unused", "unused"] and result["good"]
    _, result = checked(simulator, phases=1, order=[3, 2, 1])
    assert verdicts(result) == ["swapped", "unused", "unused"]
    assert result["phases"][0]["seen_on"] == 3


def test_a_check_ends_with_the_charge_and_says_so(simulator):
    box = simulator()
    box.advance(2)
    box.plug()
    box.until(charging, 10)
    box.advance(15)
    box.request("check_meter")
    box.advance(20)
    box.unplug()
    box.advance(3)
    check = box.state()["meter_check"]
    assert not check["running"] and "stopped charging" in check["result"]["text"]
    assert "check" not in box.state()["limits"]


def test_without_a_charge_no_check_begins(simulator):
    box = simulator()
    box.advance(3)
    answer = box.exchange({"do": "check_meter"})
    assert not answer["ok"] and "a car has to charge" in answer["error"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"model": "pro381"}, "model"),
        ({"address": 0}, "address"),
        ({"parity": "X"}, "parity"),
        ({"order": [1, 1, 3]}, "order"),
        ({"reversed": [True]}, "reversed"),
        ({"refresh_ms": -1}, "refresh_ms"),
    ],
)
def test_impossible_meters_are_refused(simulator, changes, text):
    answer = simulator().exchange({"do": "meter", **changes})
    assert not answer["ok"] and answer["error"].startswith(text)
