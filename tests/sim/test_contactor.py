"""The contactor's health book: measured, kept over power cuts, and a warning before the weld (R33)."""

import pytest

SETUP_DONE = {"meter_model": "none", "load_optimisation": False, "connection_a": 40, "restart_delay_max_s": 0}


def charging(state):
    return state["pilot"]["state"] == "C2" and state["contactor"]["closed"]


def names(state):
    return [fault["name"] for fault in state["faults"]]


def switch(box, times):
    """Let the car stop and go on."""
    for _ in range(times):
        box.car(state="B")
        box.advance(3)
        box.car(state="C")
        box.until(charging, 5, step=0.5)
    return box.state()


@pytest.fixture
def box(simulator):
    box = simulator(settings=SETUP_DONE)
    box.until(lambda s: s["led"]["pattern"] == "blue", 10)
    box.plug(max_a=16)
    box.until(charging, 5)
    return box


def test_a_contactor_that_opens_slowly_is_a_warning_before_it_welds(box):
    state = switch(box, 51)
    contactor = state["contactor"]
    assert contactor["operations"] == state["lifetime"]["contactor_ops"] == 52
    assert contactor["opening"] == {"new_ms": 20, "recent_ms": 20, "worst_ms": 20}
    assert contactor["closing"] == {"new_ms": 30, "recent_ms": 30, "worst_ms": 30}
    assert (contactor["load_openings"], contactor["worn"]) == (0, None)
    box.fault("slow_open", 55)
    state = switch(box, 10)
    assert names(state) == ["contactor_worn"]
    assert state["contactor"]["worn"] == "opening"
    assert 35 < state["contactor"]["opening"]["recent_ms"] < 60
    assert charging(state) and state["led"]["pattern"] == "breathing_blue", "a warning does not stop the charge"
    box.fault("weld_l1")
    box.car(state="B")
    state = box.until(lambda s: "weld" in names(s), 3)
    box.advance(0.5)
    shown = [entry["code"] for entry in box.log() if entry["code"].startswith("fault_")]
    assert shown == ["fault_contactor_worn", "fault_weld"]


def test_the_book_outlives_a_power_cut_and_counts_nothing_twice(box):
    switch(box, 2)
    box.advance(60)
    box.fault("residual_ac", 150)
    box.until(lambda s: s["faults"], 1, step=0.01)
    box.clear("residual_ac")
    box.unplug()
    box.advance(5)
    before = box.state()["contactor"]
    assert before["operations"] == 3
    assert before["load_openings"] == 1
    assert before["load_max_ma"] == before["load_sum_ma"] > 15_000
    assert before["opening"]["worst_ms"] == 20, "the opening by hardware in a trip is no measure of the contactor"
    # The book follows in steps of housekeeping, which looks rarely while nothing happens.
    assert before["closed_s"] >= 45 and before["energy_wh"] > 0
    for _ in range(2):
        box.power(on=False)
        box.advance(5)
        box.power(on=True)
        box.advance(5)
    assert box.state()["contactor"] == before
    box.plug()
    box.until(charging, 10)
    assert box.state()["contactor"]["operations"] == 4


def test_every_opening_of_a_long_session_reaches_flash_in_time(box):
    operations = switch(box, 45)["contactor"]["operations"]
    assert operations == 46
    box.power(on=False)
    box.advance(5)
    box.power(on=True)
    box.advance(0.5)
    found = box.state()["contactor"]["operations"]
    assert operations - 20 <= found <= operations
