"""What is sampled when, and how it is written (OCPP 1.6, 3.16, 7.33 and 9.1.5)."""

import asyncio

from ocpp_help import UTC_S, Point
from virtual_time import Record

from ocpp import metering, rare
from ocpp.errors import CallTimeout
from ocpp.metering import Metering
from ocpp.sampling import sample, split, to_grid_s


def rig(**config):
    every = {"MeterValueSampleInterval": 0, "ClockAlignedDataInterval": 0, "MeterValuesSampledData": ("Voltage",)}
    every.update({"MeterValuesAlignedData": ("Frequency",), "StopTxnSampledData": (), "StopTxnAlignedData": ()})
    every.update(config)
    point = Point(**every)
    point.kept = []
    point.station.measured = {("Voltage", n): "23%d.0" % n for n in (1, 2, 3)}
    point.station.measured.update({("Frequency", 0): "50.000", ("Energy.Active.Import.Register", 0): "1000"})

    def keep(kind):
        def keeper(values, context, utc_s):
            entry = values[0]
            assert entry["context"] == context
            point.kept.append((point.clock.now_ms // 1000, kind, entry["measurand"], context, utc_s))

        return keeper

    point.transactions = Record(current=None, values=keep("values"), stop_data=keep("stop"))
    point.metering = Metering(point)
    return point


def test_the_phases_of_a_measurand_are_told_each_and_values_are_text():
    point = rig()
    values = sample(point.station, ("Voltage", "Energy.Active.Import.Register"), "Sample.Periodic")
    assert [(entry["value"], entry.get("phase"), entry.get("unit")) for entry in values] == [
        ("231.0", "L1-N", "V"),
        ("232.0", "L2-N", "V"),
        ("233.0", "L3-N", "V"),
        ("1000", None, "Wh"),
    ]
    assert all(entry["context"] == "Sample.Periodic" and entry["location"] == "Outlet" for entry in values)


def test_a_phase_in_the_name_asks_for_that_phase_alone():
    point = rig()
    assert [entry["phase"] for entry in sample(point.station, ("Voltage.L2",), "Trigger")] == ["L2-N"]
    assert split("Voltage.L3") == ("Voltage", 3) and split("Voltage") == ("Voltage", 0)
    assert split("Voltage.L3-N") == ("Voltage", 3), "as the phase of a value to neutral is written (7.33)"
    assert [entry["phase"] for entry in sample(point.station, ("Voltage.L1-N",), "Trigger")] == ["L1-N"]


def test_what_has_no_value_is_left_out():
    point = rig()
    assert sample(point.station, ("Temperature", "Frequency"), "Trigger") == [
        {"value": "50.000", "context": "Trigger", "measurand": "Frequency", "location": "Outlet"}
    ]
    point.station.measured[("Temperature", 0)] = "31.5"
    entry = sample(point.station, ("Temperature",), "Trigger")[0]
    assert (entry["unit"], entry["location"]) == ("Celsius", "Body")


def test_the_grid_begins_at_midnight_and_every_midnight():
    assert to_grid_s(UTC_S, 900) == 900
    assert to_grid_s(UTC_S + 899, 900) == 1
    assert to_grid_s(UTC_S + 86_399, 900) == 1
    assert to_grid_s(UTC_S + 86_400 - 100, 7_000) == 100, "an interval that does not divide the day"


def test_samples_come_in_each_interval_from_the_start_of_the_transaction():
    point = rig(MeterValueSampleInterval=60, StopTxnSampledData=("Energy.Active.Import.Register",))

    async def steps():
        await asyncio.sleep_ms(100_000)
        assert point.kept == [], "without a transaction nothing is sampled"
        point.transactions.current = object()
        point.metering.changed()
        await asyncio.sleep_ms(121_000)
        point.transactions.current = None
        point.metering.changed()
        await asyncio.sleep_ms(300_000)

    point.run(steps(), point.watch.run())
    assert point.kept == [
        (160, "values", "Voltage", "Sample.Periodic", None),
        (160, "stop", "Energy.Active.Import.Register", "Sample.Periodic", None),
        (220, "values", "Voltage", "Sample.Periodic", None),
        (220, "stop", "Energy.Active.Import.Register", "Sample.Periodic", None),
    ]
    assert ("keep_energy",) in point.station.calls, "what is told is on flash before"


def test_what_samples_is_loaded_only_while_there_is_something_to_sample():
    point = rig(MeterValueSampleInterval=60)
    loaded = []

    def borrow(name):
        loaded.append(name)
        return rare.borrow(name)

    metering.borrow = borrow

    async def steps():
        await asyncio.sleep_ms(100_000)
        assert loaded == []
        point.transactions.current = object()
        point.metering.changed()
        await asyncio.sleep_ms(200_000)
        assert loaded == ["sampling"] and len(point.kept) == 3, "kept while it is needed"
        point.transactions.current = None
        point.metering.changed()
        await asyncio.sleep_ms(1)
        point.transactions.current = object()
        point.metering.changed()
        await asyncio.sleep_ms(1)
        assert loaded == ["sampling"] * 2, "and let go then"

    try:
        point.run(steps(), point.watch.run())
    finally:
        metering.borrow = rare.borrow


def test_interval_and_list_may_change_in_a_transaction():
    point = rig(MeterValueSampleInterval=60)
    point.transactions.current = object()

    async def steps():
        await asyncio.sleep_ms(30_000)
        point.config["MeterValueSampleInterval"] = 10
        point.config["MeterValuesSampledData"] = ("Frequency",)
        point.metering.changed()
        await asyncio.sleep_ms(20_500)
        point.config["MeterValueSampleInterval"] = 0
        point.metering.changed()
        await asyncio.sleep_ms(100_000)

    point.run(steps(), point.watch.run())
    assert [(at, name) for at, _kind, name, _context, _utc in point.kept] == [(40, "Frequency"), (50, "Frequency")]


def test_aligned_values_lie_on_the_grid_with_and_without_a_transaction():
    point = rig(ClockAlignedDataInterval=900, MeterValueSampleInterval=600)
    point.clock.set_utc_s(UTC_S + 800)

    async def steps():
        await asyncio.sleep_ms(200_000)
        point.transactions.current = object()
        point.metering.changed()
        await asyncio.sleep_ms(1_000_000)

    point.run(steps(), point.watch.run())
    assert point.kept == [
        (100, "values", "Frequency", "Sample.Clock", UTC_S + 900),
        (800, "values", "Voltage", "Sample.Periodic", None),
        (1000, "values", "Frequency", "Sample.Clock", UTC_S + 1800),
    ]


def test_a_clock_that_is_set_does_not_stop_the_grid():
    for jump_s in (-3600, 3600, -400, 10 * 365 * 86400):
        point = rig(ClockAlignedDataInterval=900)

        async def steps(jump_s=jump_s, point=point):
            await asyncio.sleep_ms(10_000)
            point.clock.set_utc_s(point.clock.utc_s() + jump_s)
            point.metering.changed()
            await asyncio.sleep_ms(950_000)

        point.run(steps(), point.watch.run())
        grid = [utc for _at, _kind, _name, _context, utc in point.kept]
        assert grid and all((utc - UTC_S) % 900 == 0 for utc in grid), (jump_s, grid)
        late = [abs(UTC_S + jump_s + at - utc) for at, _kind, _name, _context, utc in point.kept if at > 10]
        assert len(late) >= 1 and max(late) < 900, (jump_s, late)


def test_an_instant_that_a_clock_jumped_over_is_left_out():
    for jump_s, first_s in ((86_400, 86_400 + 900), (891, 900), (896, 1_800)):
        point = rig(ClockAlignedDataInterval=900)

        async def steps(jump_s=jump_s, point=point):
            await asyncio.sleep_ms(10_000)
            point.clock.set_utc_s(point.clock.utc_s() + jump_s)
            point.metering.changed()
            await asyncio.sleep_ms(950_000)

        point.run(steps(), point.watch.run())
        assert point.kept[0][4] == UTC_S + first_s, (jump_s, point.kept)


def test_without_a_clock_the_grid_waits_for_one():
    point = rig(ClockAlignedDataInterval=60)
    point.clock.utc_base_s = None

    async def steps():
        await asyncio.sleep_ms(200_000)
        assert point.kept == []
        point.clock.set_utc_s(UTC_S + 30)
        point.metering.changed()
        await asyncio.sleep_ms(31_000)

    point.run(steps(), point.watch.run())
    assert [utc for _at, _kind, _name, _context, utc in point.kept] == [UTC_S + 60]


def test_nothing_is_sampled_for_an_empty_list():
    point = rig(MeterValueSampleInterval=10, MeterValuesSampledData=())
    point.transactions.current = object()

    async def steps():
        await asyncio.sleep_ms(50_000)

    point.run(steps(), point.watch.run())
    assert point.kept == []


def test_data_of_a_stop_has_each_measurand_once():
    point = rig(StopTxnSampledData=("Frequency",), StopTxnAlignedData=("Frequency", "Energy.Active.Import.Register"))
    keys = ("StopTxnSampledData", "StopTxnAlignedData")
    names = [entry["measurand"] for entry in point.metering.data(keys, "Transaction.Begin")]
    assert names == ["Frequency", "Energy.Active.Import.Register"]
    assert rig().metering.data(keys, "Transaction.Begin") == []


def test_triggered_values_wait_for_no_bogus_time():
    point = rig()
    point.clock.utc_base_s = None

    async def steps():
        await point.metering.trigger()

    point.run(steps())
    assert point.sent == [] and point.log.codes() == ["values_not_told"]


def test_a_trigger_tells_no_energy_that_a_power_cut_would_take_back():
    point = rig(MeterValuesSampledData=("Energy.Active.Import.Register",))
    kept = []
    point.station.keep_energy = lambda: kept.append(len(point.sent))

    async def steps():
        await point.metering.trigger()

    point.run(steps())
    assert len(point.sent) == 1 and kept == [0], "what leaves is on flash before"


def test_a_trigger_sends_values_at_once_with_the_transaction_that_runs():
    point = rig()

    async def steps():
        await point.metering.trigger()
        point.transactions.current = Record(transaction_id=7)
        await point.metering.trigger()
        point.answers["MeterValues"] = CallTimeout("late")
        await point.metering.trigger()

    point.run(steps())
    assert [payload.get("transactionId") for _at, _action, payload in point.sent] == [None, 7, 7]
    assert point.sent[0][2]["meterValue"][0]["sampledValue"][0]["context"] == "Trigger"
    assert point.log.codes() == ["values_not_told"]
