"""The fault recorder in the whole firmware: what is left of a trip, read without a network (R34)."""

import pytest

from simulator import SimulatorError

SETUP_DONE = {"meter_model": "none", "load_optimisation": False, "connection_a": 40, "restart_delay_max_s": 0}
ALL_POLES = 7


def charging(state):
    return state["pilot"]["state"] == "C2" and state["contactor"]["closed"]


def trip(box, index=0):
    """A trip with its samples as dicts."""
    found = box.request("trip", index=index)["trip"]
    return {**found, "samples": [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]}


def at(samples, ms):
    """The sample that stands `ms` after the trigger."""
    return [sample for sample in samples if sample["ms"] <= ms][-1]


def charge(box):
    box.until(lambda s: s["led"]["pattern"] == "blue", 10)
    box.plug(max_a=16)
    box.until(charging, 5)
    box.advance(60)


def test_a_residual_trip_shows_what_flowed_before_and_that_it_opened(simulator):
    box = simulator(settings=SETUP_DONE)
    charge(box)
    assert box.state()["trips"] == []
    with pytest.raises(SimulatorError, match="none is recorded"):
        trip(box)
    box.fault("residual_ac", 27)
    box.advance(2)
    assert [found["fault"] for found in box.state()["trips"]] == ["residual_current"]
    record = trip(box)
    samples = record["samples"]
    assert samples[0]["ms"] <= -2000 and 1000 <= samples[-1]["ms"] <= 1250
    times = [sample["ms"] for sample in samples]
    assert times == sorted(set(times)) and 0 in times
    before, then, after = at(samples, -1000), at(samples, 0), at(samples, 500)
    assert (before["state"], before["commanded"], before["live"]) == ("C2", 1, ALL_POLES)
    assert (before["ac_ua"], before["offered_ma"]) == (0, 32_000)
    assert before["high_mv"] == pytest.approx(6000, abs=600) and before["low_mv"] < -11_000
    assert all(before[phase] == pytest.approx(16_000, rel=0.05) for phase in ("l1_ma", "l2_ma", "l3_ma"))
    # The monitor takes 250 ms to trip on so little.
    assert (at(samples, -300)["ac_ua"], at(samples, -200)["ac_ua"]) == (0, 27_000)
    assert (then["state"], then["commanded"]) == ("F", 0)
    assert (after["live"], after["l1_ma"], after["offered_ma"], after["ac_ua"]) == (0, 0, 0, 0)
    uptime_ms = box.log(code="fault_residual_current")[0]["uptime_ms"]
    assert uptime_ms - 250 <= record["uptime_ms"] <= uptime_ms


def test_a_trip_that_was_written_outlives_a_power_cut_and_newer_trips_come_first(simulator):
    box = simulator(settings=SETUP_DONE)
    charge(box)
    box.fault("residual_ac", 40)
    box.advance(1.6)
    kept = trip(box)
    box.power(on=False)
    box.advance(10)
    box.clear("residual_ac")
    box.power(on=True)
    box.advance(5)
    assert trip(box) == kept, "the latched fault of before the cut is no new trip"
    for _ in range(4):
        box.fault("pilot_short")
        box.advance(3)
        box.clear("pilot_short")
        box.advance(60)
    trips = box.state()["trips"]
    assert [found["fault"] for found in trips] == ["pilot_short"] * 4
    assert [found["sequence"] for found in trips] == [5, 4, 3, 2]
    assert at(trip(box, 3)["samples"], 0)["state"] == "E"
    with pytest.raises(SimulatorError, match="index: "):
        trip(box, 4)


def test_ticks_left_out_hide_nothing_of_a_trip(simulator):
    records = []
    for options in ((), ("--exact",)):
        box = simulator(settings=SETUP_DONE, seed=5, options=options)
        charge(box)
        box.car(draw_a=14)
        box.advance(1)
        box.fault("pilot_short")
        box.advance(2)
        records.append(trip(box))
    skipping, exact = records
    assert len(exact["samples"]) > len(skipping["samples"]) > 5
    assert len(exact["samples"]) > 145
    assert skipping["uptime_ms"] == exact["uptime_ms"]
    # Nothing changes within the 20 ms of a sample before these instants.
    for ms in range(-1950, 1000, 100):
        ours, theirs = at(skipping["samples"], ms), at(exact["samples"], ms)
        assert {**ours, "ms": 0} == {**theirs, "ms": 0}, ms


def test_a_flash_that_refuses_keeps_the_trip_in_ram_until_it_works(simulator):
    box = simulator(settings=SETUP_DONE)
    charge(box)
    box.fault("flash_error")
    box.fault("residual_ac", 40)
    box.advance(30)
    assert len(trip(box)["samples"]) > 5
    refused = [entry for entry in box.log(code="flash_refused") if entry["source"] == "recorder"]
    assert len(refused) == 1
    box.clear("flash_error")
    box.advance(70)
    kept = trip(box)
    box.power(on=False)
    box.advance(5)
    box.power(on=True)
    box.advance(5)
    assert trip(box) == kept
