"""Meter values: the whole wallbox samples in time, and its register never runs backwards (R7, R25)."""

from datetime import datetime

import pytest

REGISTER = "Energy.Active.Import.Register"
ALL = {
    "Current.Import": ("A", ["L1", "L2", "L3"]),
    "Current.Offered": ("A", [None]),
    REGISTER: ("Wh", [None]),
    "Frequency": (None, [None]),
    "Power.Active.Import": ("W", [None]),
    "Power.Offered": ("W", [None]),
    "Temperature": ("Celsius", [None]),
    "Voltage": ("V", ["L1-N", "L2-N", "L3-N"]),
}
PERIODIC, ALIGNED, BEGIN, END = "Sample.Periodic", "Sample.Clock", "Transaction.Begin", "Transaction.End"
FAST = 30


def seconds(text):
    return datetime.fromisoformat(text).timestamp()


def context_of(payload):
    """The one context of all values of a MeterValues."""
    contexts = {value["context"] for entry in payload["meterValue"] for value in entry["sampledValue"]}
    assert len(contexts) == 1
    return contexts.pop()


def is_in(context):
    return lambda payload: context_of(payload) == context


def times(messages):
    return [seconds(one.payload["meterValue"][0]["timestamp"]) for one in messages]


def names(message):
    return [value["measurand"] for value in message.payload["meterValue"][0]["sampledValue"]]


def change(csms, key, value):
    assert csms.change(key, value) == "Accepted"


def charging(csms, box, amperes=16):
    """Plug in a car, and wait until it charges and the central system knows the transaction."""
    csms.registered()
    box.plug(max_a=amperes)
    box.wait_for(lambda state: state["car"]["draw_a"][0] > 6, 10)
    csms.wait_for("StartTransaction")
    box.wait_for(lambda state: state["backend"]["transaction_id"], 10)


def reading(value):
    assert value["measurand"] == REGISTER
    return int(value["value"])


def turned_off(csms, key):
    """Set an interval to 0, and see that no more values come: a heartbeat that is due later shows it."""
    change(csms, key, "0")
    mark = csms.mark()
    change(csms, "HeartbeatInterval", "3")
    csms.wait_for("Heartbeat", since=mark)
    assert not csms.seen("MeterValues", since=mark)


def registers(csms):
    """Every reading of the register in the order in which the central system heard it."""
    found = []
    for one in csms.messages:
        if one.out or one.kind != "call":
            continue
        if one.action == "StartTransaction":
            found.append(one.payload["meterStart"])
        elif one.action == "MeterValues":
            found += map(reading, one.payload["meterValue"][0]["sampledValue"])
        elif one.action == "StopTransaction":
            found.append(one.payload["meterStop"])
    return found


# 50: sampled


def test_every_measurand_is_sampled_in_the_interval_with_unit_phase_and_context(csms, station):
    box = station(ocpp={"MeterValueSampleInterval": 2, "MeterValuesSampledData": ",".join(ALL)})
    charging(csms, box)
    # By the third sample the car draws all that it wants.
    last = csms.wait_for("MeterValues", count=4)
    number = csms.seen("StartTransaction")[0]
    messages = csms.seen("MeterValues")
    assert {one.payload["transactionId"] for one in messages} == {1}
    assert {one.payload["connectorId"] for one in messages} == {1}
    assert all(context_of(one.payload) == PERIODIC for one in messages)
    start = seconds(number.payload["timestamp"])
    # Times are told in whole seconds.
    assert [round(at - start) for at in times(messages)[:4]] == pytest.approx([2, 4, 6, 8], abs=1)
    sampled = last.payload["meterValue"][0]["sampledValue"]
    found = {}
    for value in sampled:
        assert isinstance(value["value"], str)
        assert value["location"] == ("Body" if value["measurand"] == "Temperature" else "Outlet")
        found.setdefault(value["measurand"], []).append((value.get("unit"), value.get("phase"), float(value["value"])))
    assert {name: (rows[0][0], [row[1] for row in rows]) for name, rows in found.items()} == ALL
    assert [row[2] for row in found["Current.Import"]] == pytest.approx([16] * 3, abs=0.5)
    assert [row[2] for row in found["Voltage"]] == pytest.approx([230] * 3, abs=8)
    assert found["Power.Active.Import"][0][2] == pytest.approx(3 * 16 * 230, rel=0.05)
    assert found["Power.Offered"][0][2] == pytest.approx(found["Current.Offered"][0][2] * 3 * 230)
    assert found["Frequency"][0][2] == pytest.approx(50, abs=0.1)
    assert 10 < found["Temperature"][0][2] < 60
    assert 0 < found[REGISTER][0][2] < 100


def test_one_phase_of_a_measurand_may_be_asked_for(csms, station):
    names_wanted = "Voltage.L2-N,Current.Import.L1,Power.Active.Import.L3"
    box = station(ocpp={"MeterValueSampleInterval": 1, "MeterValuesSampledData": names_wanted})
    charging(csms, box)
    sampled = csms.wait_for("MeterValues").payload["meterValue"][0]["sampledValue"]
    assert [(one["measurand"], one["phase"]) for one in sampled] == [
        ("Voltage", "L2-N"),
        ("Current.Import", "L1"),
        ("Power.Active.Import", "L3-N"),
    ]


def test_interval_and_list_may_change_while_a_car_charges(csms, station):
    box = station(ocpp={"MeterValueSampleInterval": 3_600})
    charging(csms, box)
    change(csms, "MeterValuesSampledData", "Voltage.L1")
    change(csms, "MeterValueSampleInterval", "1")
    first = csms.wait_for("MeterValues")
    assert names(first) == ["Voltage"]
    change(csms, "MeterValuesSampledData", f"Current.Import.L1,{REGISTER}")
    csms.wait_for("MeterValues", lambda payload: len(payload["meterValue"][0]["sampledValue"]) == 2)
    turned_off(csms, "MeterValueSampleInterval")


# 51: clock-aligned


def test_aligned_values_lie_on_the_grid_and_name_the_transaction_that_ran(csms, station):
    box = station(
        ocpp={
            "ClockAlignedDataInterval": 3,
            "MeterValueSampleInterval": 2,
            "MeterValuesAlignedData": "Frequency,Voltage.L1",
            "MeterValuesSampledData": REGISTER,
        }
    )
    csms.registered()
    csms.wait_for("MeterValues", lambda payload: "transactionId" not in payload)
    box.plug(max_a=16)
    begin = csms.wait_for("StartTransaction").payload["timestamp"]
    csms.wait_for("MeterValues", is_in(PERIODIC), count=3)
    box.unplug()
    end = csms.wait_for("StopTransaction").payload["timestamp"]
    mark = csms.mark()
    csms.wait_for("MeterValues", since=mark)
    aligned = csms.seen("MeterValues", is_in(ALIGNED))
    assert all(at % 3 == 0 for at in times(aligned))
    # When the clock is set at the start, an instant may be left out.
    assert all(after - before == 3 for before, after in zip(times(aligned)[1:], times(aligned)[2:], strict=False))
    for one, at in zip(aligned, times(aligned), strict=True):
        assert names(one) == ["Frequency", "Voltage"] and one.payload["connectorId"] == 1
        # At the very second of begin or end it may be either.
        if at not in (seconds(begin), seconds(end)):
            assert ("transactionId" in one.payload) == (seconds(begin) < at < seconds(end)), (begin, at, end)
    sampled = csms.seen("MeterValues", is_in(PERIODIC))
    assert all(names(one) == [REGISTER] and one.payload["transactionId"] == 1 for one in sampled)
    assert [at - seconds(begin) for at in times(sampled)[:3]] == pytest.approx([2, 4, 6], abs=1)


def test_the_aligned_stream_is_turned_on_and_off_live(csms, station):
    station()
    csms.registered()
    change(csms, "ClockAlignedDataInterval", "2")
    csms.wait_for("MeterValues", count=2)
    turned_off(csms, "ClockAlignedDataInterval")


# 52: data of the stop


def test_a_stop_carries_what_was_sampled_from_begin_to_end(csms, station):
    box = station(
        ocpp={
            "MeterValueSampleInterval": 2,
            "MeterValuesSampledData": "",
            "StopTxnSampledData": f"{REGISTER},Voltage.L1",
            "ClockAlignedDataInterval": 3,
            "MeterValuesAlignedData": "",
            "StopTxnAlignedData": "Frequency",
        }
    )
    charging(csms, box)
    box.wait_for(lambda state: state["session"]["duration_s"] >= 7, 10)
    box.unplug()
    stop = csms.wait_for("StopTransaction").payload
    data = stop["transactionData"]
    contexts = [entry["sampledValue"][0]["context"] for entry in data]
    assert contexts[0] == BEGIN and contexts[-1] == END
    assert {PERIODIC, ALIGNED} == set(contexts[1:-1])
    assert [seconds(entry["timestamp"]) for entry in data] == sorted(seconds(entry["timestamp"]) for entry in data)
    for entry, context in zip(data, contexts, strict=True):
        assert all(isinstance(value["value"], str) and value["context"] == context for value in entry["sampledValue"])
        wanted = {
            BEGIN: [REGISTER, "Voltage", "Frequency"],
            END: [REGISTER, "Voltage", "Frequency"],
            PERIODIC: [REGISTER, "Voltage"],
            ALIGNED: ["Frequency"],
        }[context]
        assert [value["measurand"] for value in entry["sampledValue"]] == wanted
        if context == ALIGNED:
            assert seconds(entry["timestamp"]) % 3 == 0
    assert data[0]["sampledValue"][0]["value"] == str(csms.seen("StartTransaction")[0].payload["meterStart"])
    assert data[-1]["sampledValue"][0]["value"] == str(stop["meterStop"])
    assert seconds(data[0]["timestamp"]) == seconds(csms.seen("StartTransaction")[0].payload["timestamp"])
    assert seconds(data[-1]["timestamp"]) == seconds(stop["timestamp"])
    assert not csms.seen("MeterValues"), "empty lists send nothing"


def test_a_stop_of_many_samples_keeps_begin_and_end(central, station):
    csms = central(speed=FAST)
    box = station(
        url=csms.url,
        speed=FAST,
        ocpp={"MeterValueSampleInterval": 1, "MeterValuesSampledData": "", "StopTxnSampledData": ",".join(ALL)},
    )
    charging(csms, box)
    box.wait_for(lambda state: state["session"]["duration_s"] >= 20, 10)
    box.unplug()
    stop = csms.wait_for("StopTransaction").payload
    contexts = [entry["sampledValue"][0]["context"] for entry in stop["transactionData"]]
    assert contexts[0] == BEGIN and contexts[-1] == END and 2 < len(contexts) < 20
    assert {value["measurand"] for value in stop["transactionData"][-1]["sampledValue"]} == set(ALL)


def test_without_lists_a_stop_carries_no_data(csms, station):
    box = station(ocpp={"MeterValueSampleInterval": 1, "ClockAlignedDataInterval": 1})
    charging(csms, box)
    csms.wait_for("MeterValues", count=2)
    box.unplug()
    assert "transactionData" not in csms.wait_for("StopTransaction").payload


# 53: the register


def test_the_register_never_runs_backwards_over_power_cuts(central, station):
    csms = central(speed=FAST)
    box = station(url=csms.url, speed=FAST, settings={"restart_delay_max_s": 0}, ocpp={"MeterValueSampleInterval": 1})
    charging(csms, box, 32)

    def has_grown(number, least):
        return lambda one: (
            one.get("transactionId") == number and reading(one["meterValue"][0]["sampledValue"][0]) > least
        )

    # Cuts at different writes: of the session's energy, of the transaction's register, later ones; and one at any time.
    for count, write in enumerate((1, 2, 5, None), 1):
        csms.wait_for("MeterValues", has_grown(count, registers(csms)[-1] + 5))
        if write is None:
            box.power(on=False)
        else:
            box.power(at_write=write)
            box.wait_for(lambda state: not state["power"], 10)
        csms.wait_gone()
        box.power(on=True)
        csms.wait_for("StartTransaction", count=count + 1)
    csms.wait_for("MeterValues", has_grown(5, registers(csms)[-1] + 5))
    box.unplug()
    csms.wait_for("StopTransaction", count=5)
    readings = registers(csms)
    assert readings == sorted(readings)
    books = csms.transactions()
    assert [(one["id"], one["reason"], one["stops"]) for one in books] == [
        *((number, "PowerLoss", 1) for number in (1, 2, 3, 4)),
        (5, "EVDisconnected", 1),
    ]
    assert all(one["meterStop"] > one["meterStart"] + 5 for one in books)
    # Nothing between two transactions is lost or told twice.
    assert all(after["meterStart"] == before["meterStop"] for before, after in zip(books, books[1:], strict=False))
    assert box.state()["lifetime"]["total_wh"] == books[-1]["meterStop"]


def test_energy_that_no_value_told_is_in_the_stop_after_a_power_cut(central, station):
    csms = central(speed=FAST)
    box = station(url=csms.url, speed=FAST, settings={"restart_delay_max_s": 0}, ocpp={"MeterValueSampleInterval": 0})
    charging(csms, box, 32)
    # After a minute the register is kept, whether anybody hears of it or not.
    kept = box.wait_for(lambda state: state["session"]["duration_s"] >= 65, 10)["session"]["energy_wh"]
    box.power(on=False)
    csms.wait_gone()
    box.unplug()
    box.power(on=True)
    stop = csms.wait_for("StopTransaction").payload
    assert stop["reason"] == "PowerLoss" and stop["meterStop"] > kept * 0.4
    csms.registered(2)
    box.plug(max_a=32)
    assert csms.wait_for("StartTransaction", count=2).payload["meterStart"] == stop["meterStop"]
