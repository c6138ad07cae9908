"""Transactions over power cuts, lost links, refusals and clocks that jump: each reaches the central system once."""

import asyncio
import gc

from ocpp_queue_help import NOON, TAG, Central, Point, boot, energy, settle, usual
from storage_help import MOUNT, Flash, cut_everywhere, read, scratch, write

from ocpp.errors import CallError
from ocpp.queue import Full
from ocpp.rare import borrow
from ocpp.timestamps import iso, parse

YEARS_S = 10 * 365 * 24 * 3600


async def charge(point, wh=1000, minutes=3, reason="Local", data=False):
    """A transaction of some minutes with a value each minute."""
    transactions = point.transactions
    transactions.begin(TAG, wh, data=energy(wh) if data else None)
    for _ in range(minutes):
        await asyncio.sleep(60)
        wh += 100
        transactions.values(energy(wh), "Sample.Periodic")
    transactions.end(reason, wh, TAG, energy(wh) if data else None)


def test_an_online_transaction_is_told_with_the_id_that_the_central_system_gave():
    central = Central()

    async def life(point):
        transaction = point.transactions.begin(TAG, 1000, 7)
        assert transaction.stored and transaction.transaction_id is None
        assert point.transactions.current is transaction
        await point.delivered()
        assert transaction.transaction_id == 101 and transaction.authorised is True
        await asyncio.sleep(60)
        point.transactions.values(usual(1100), "Sample.Periodic")
        point.transactions.end("EVDisconnected", 1200)
        assert point.transactions.current is None
        await point.delivered()

    point = boot(scratch("ocpp-online"), central, life)
    start = {"connectorId": 1, "idTag": TAG, "meterStart": 1000, "reservationId": 7, "timestamp": iso(NOON)}
    assert central.of("StartTransaction") == [start]
    value = central.of("MeterValues")[0]
    assert value["connectorId"] == 1 and value["transactionId"] == 101
    sampled = [dict(entry, context="Sample.Periodic") for entry in usual(1100)]
    assert value["meterValue"][0]["sampledValue"] == sampled, value
    stop = central.of("StopTransaction")
    assert len(stop) == 1 and stop[0]["meterStop"] == 1200 and stop[0]["reason"] == "EVDisconnected"
    assert stop[0]["transactionId"] == 101 and "idTag" not in stop[0] and "transactionData" not in stop[0]
    assert point.auth.learnt == [(TAG, "Accepted")]
    assert point.log.entries == []


def test_a_transaction_begun_and_ended_offline_is_told_in_order_with_its_own_times():
    central = Central()

    async def life(point):
        await charge(point)
        await asyncio.sleep(3600)
        await charge(point, 2000)
        assert point.transactions.queue.waiting == 10
        point.go(True)
        await point.delivered()
        assert point.transactions.queue.waiting == 0

    boot(scratch("ocpp-offline"), central, life, online=False)
    first, second = central.transactions()
    assert first[0]["timestamp"] == iso(NOON) and first[2]["timestamp"] == iso(NOON + 180)
    assert second[0]["timestamp"] == iso(NOON + 3780) and len(second[1]) == 3
    assert [part["meterValue"][0]["timestamp"] for part in first[1]] == [iso(NOON + 60 * i) for i in (1, 2, 3)]


def test_what_waits_survives_a_restart_and_keeps_its_order():
    folder, central = scratch("ocpp-restart"), Central()
    boot(folder, central, charge, online=False)
    boot(folder, central, charge, utc=NOON + 1000, online=False)

    async def late(point):
        await asyncio.sleep(1)
        assert point.transactions.queue.waiting == 10, point.transactions.queue.waiting
        point.go(True)
        await point.delivered()

    boot(folder, central, late, utc=NOON + 9000, online=False)
    whole = central.transactions()
    assert [stop["timestamp"] for _, _, stop in whole] == [iso(NOON + 180), iso(NOON + 1180)]


def test_an_interrupted_transaction_ends_with_power_loss_and_the_last_register():
    folder, central = scratch("ocpp-power-loss"), Central()
    waited = []

    async def life(point):
        point.transactions.begin(TAG, 1000)
        await point.delivered()
        waited.append(point.clock.uptime_s())
        for second in range(590):
            point.transactions.checkpoint(1000 + second)
            await asyncio.sleep(1)

    boot(folder, central, life)
    point = boot(folder, central, settle, utc=NOON + 5000)
    stop = central.transactions()[0][2]
    assert stop["reason"] == "PowerLoss" and point.restored.transaction_id is None
    assert 1000 + 530 <= stop["meterStop"] < 1590 and stop["meterStop"] == point.restored.meter_wh, stop
    assert parse(stop["timestamp"]) - NOON == stop["meterStop"] - 1000 + waited[0], stop
    boot(folder, central, settle)
    assert len(central.transactions()) == 1


def test_a_stop_after_a_power_cut_is_not_earlier_than_values_in_whose_taking_a_second_ended():
    folder, central = scratch("ocpp-second"), Central()

    async def life(point):
        point.transactions.begin(TAG, 1000)
        await point.delivered()
        clock = point.clock
        told = clock.utc_s

        def tick():
            clock._time.now_ms += 1000
            return told()

        clock.utc_s = tick
        point.transactions.values(energy(1200), "Sample.Periodic")
        clock.utc_s = told
        await point.delivered()

    boot(folder, central, life)
    boot(folder, central, settle, utc=NOON + 5000)
    _, values, stop = central.transactions()[0]
    assert stop["timestamp"] >= values[-1]["meterValue"][0]["timestamp"], (values, stop)
    assert stop["meterStop"] == 1200


def test_a_reset_that_was_expected_gives_the_reason_and_one_that_never_came_does_not():
    for wait, reason in ((5, "HardReset"), (300, "PowerLoss")):
        folder, central = scratch("ocpp-reset"), Central()

        async def life(point, wait=wait):
            point.transactions.begin(TAG, 1000)
            point.transactions.expect_reset("HardReset")
            for second in range(wait):
                point.transactions.checkpoint(1000 + second)
                await asyncio.sleep(1)

        boot(folder, central, life)
        boot(folder, central, settle)
        assert central.transactions()[0][2]["reason"] == reason


def test_only_what_a_former_boot_left_is_ended_as_interrupted_also_by_the_first_begin():
    folder, central = scratch("ocpp-restore-once"), Central()

    async def life(point):
        point.transactions.begin(TAG, 1000)
        assert point.transactions.restore() is None
        await point.delivered()

    boot(folder, central, life)
    asyncio.new_event_loop()
    transactions = Point(folder, central, NOON + 500).transactions
    running = transactions.begin(TAG, 2000)
    assert transactions.restore() is None and transactions.current is running
    transactions.end("Local", 2100)
    boot(folder, central, settle, utc=NOON + 1000)
    assert [stop["reason"] for _, _, stop in central.transactions()] == ["PowerLoss", "Local"]


def test_an_interrupted_transaction_ends_with_the_register_that_the_box_has_kept_when_that_is_more():
    for kept_wh, register_wh, told_wh in (
        (1_200, 1_250, 1_250),
        (1_200, 1_100, 1_200),
        (0, 1_250, 1_250),
        (0, 0, 1_000),
    ):
        folder, central = scratch("ocpp-restore-register"), Central()

        async def life(point, kept_wh=kept_wh):
            point.transactions.begin(TAG, 1_000)
            if kept_wh:
                point.transactions.values(energy(kept_wh), "Sample.Periodic")
            await point.delivered()

        boot(folder, central, life)
        asyncio.new_event_loop()
        transactions = Point(folder, central, NOON + 500).transactions
        assert transactions.restore(register_wh) is not None
        boot(folder, central, settle, utc=NOON + 1000)
        ((_, _, stop),) = central.transactions()
        assert (stop["reason"], stop["meterStop"]) == ("PowerLoss", told_wh)


def test_a_start_offline_and_a_reset_tell_start_and_stop():
    folder, central = scratch("ocpp-offline-reset"), Central()

    async def life(point):
        point.transactions.begin(TAG, 1000)

    boot(folder, central, life, online=False)
    boot(folder, central, settle)
    start, _, stop = central.transactions()[0]
    assert start["meterStart"] == stop["meterStop"] == 1000 and stop["reason"] == "PowerLoss"


def test_a_message_that_is_refused_is_sent_again_after_the_interval_times_the_attempts_then_given_up():
    central = Central()
    central.plan = ["refuse", "silent", "refuse"]

    async def life(point):
        await charge(point, minutes=1)
        await point.delivered()
        assert point.transactions.queue.waiting == 0

    point = boot(scratch("ocpp-attempts"), central, life)
    starts = [ms for ms, action in zip(point.sent_ms, central.actions()) if action == "StartTransaction"]
    assert [starts[i + 1] - starts[i] for i in (0, 1)] == [60020, 120020], starts
    assert len(starts) == 3 and len({message[0] for message in central.seen[:3]}) == 1
    later = central.of("MeterValues") + central.of("StopTransaction")
    assert [payload["transactionId"] for payload in later] == [-1, -1]
    assert "message_dropped" in point.log.codes()


def test_what_is_given_up_is_logged_without_the_whole_id_tag():
    central = Central()
    central.plan = ["refuse"] * 9

    async def life(point):
        await charge(point, minutes=1)
        await point.delivered()

    point = boot(scratch("ocpp-masked"), central, life)
    dropped = [text for _level, _source, code, text in point.log.entries if code == "message_dropped"]
    assert [text.split()[0] for text in dropped] == ["start", "values", "stop"]
    assert "...%s" % TAG[-4:] in dropped[0] and "...%s" % TAG[-4:] in dropped[2], dropped
    assert not any(TAG in text for text in dropped), dropped


def test_a_retry_interval_of_a_day_waits_no_longer_than_timers_reach():
    central = Central()
    central.plan = ["refuse"] * 3
    waits = []

    async def life(point):
        await asyncio.sleep_ms(10)
        point.config["TransactionMessageRetryInterval"] = 86400
        point.config["TransactionMessageAttempts"] = 100
        for attempt in (2, 8):
            point.transactions._attempts = 1, attempt - 1
            error = CallError("InternalError")
            borrow("delivery")._failed(point.transactions, 1, "start", [0, 0, 0, TAG, 0], NOON, error)
            waits.append(await point.transactions._step() // 86_400_000)

    boot(scratch("ocpp-days"), central, life)
    assert waits == [2, 6], "2**29 ms, which timers of a chip reach, are 6.2 days"


def test_the_transaction_after_one_whose_start_was_given_up_has_an_id_again():
    central = Central()
    central.plan = ["refuse"] * 3

    async def life(point):
        transaction = point.transactions.begin(TAG, 1000)
        while transaction.transaction_id is None:
            await asyncio.sleep(1)
        assert transaction.transaction_id == -1
        point.transactions.end("Local", 1000)
        await charge(point)
        await point.delivered()

    boot(scratch("ocpp-after-drop"), central, life)
    assert [stop["transactionId"] for stop in central.of("StopTransaction")] == [-1, 101]


def test_a_lost_link_is_no_attempt_and_the_same_id_comes_again():
    central = Central()
    central.plan = ["unheard", "lost", "unheard", "lost", "unheard"]

    async def life(point):
        point.transactions.begin(TAG, 1000)
        for _ in range(5):
            await asyncio.sleep(5)
            assert not point.online
            point.go(True)
        await point.delivered()
        assert point.transactions.current.transaction_id == 101
        point.transactions.end("Local", 1000)
        await point.delivered()

    point = boot(scratch("ocpp-lost"), central, life)
    assert len(central.of("StartTransaction")) == 4
    assert len(central.transactions()) == 1
    assert point.log.entries == []


def test_a_start_that_is_not_accepted_is_told_to_the_point_and_learnt():
    central = Central()
    central.status = "Blocked"

    async def life(point):
        news = []
        transaction = point.transactions.begin(TAG, 1000)
        point.transactions.changed.append(lambda: news.append(transaction.refused))
        await point.delivered()
        assert point.refused == [(transaction, "Blocked")] and transaction.refused == "Blocked"
        assert transaction.authorised is False and news == ["Blocked"]
        point.transactions.end("DeAuthorized", 1001)
        await point.delivered()

    point = boot(scratch("ocpp-refused"), central, life)
    assert point.auth.learnt == [(TAG, "Blocked")]
    assert central.transactions()[0][2]["reason"] == "DeAuthorized"


def test_a_refused_start_of_a_transaction_that_is_over_is_learnt_only():
    central = Central()
    central.status = "Invalid"

    async def life(point):
        await charge(point)
        point.go(True)
        await point.delivered()

    point = boot(scratch("ocpp-refused-late"), central, life, online=False)
    assert point.refused == [] and point.auth.learnt[0] == (TAG, "Invalid")


def test_a_stop_may_tell_of_its_id_tag():
    central = Central()
    central._answer = lambda action: {"transactionId": 101, "idTagInfo": {"status": "Expired"}}

    async def life(point):
        point.transactions.begin(TAG, 1000)
        point.transactions.end("Local", 1000, "OTHER")
        await point.delivered()

    point = boot(scratch("ocpp-stop-tag"), central, life)
    assert central.of("StopTransaction")[0]["idTag"] == "OTHER"
    assert point.auth.learnt == [(TAG, "Expired"), ("OTHER", "Expired")]


def test_values_without_a_transaction_stay_in_order_and_carry_no_id():
    central = Central()

    async def life(point):
        transactions = point.transactions
        transactions.values(energy(5), "Sample.Clock", NOON)
        transactions.begin(TAG, 1000)
        transactions.values(energy(6), "Sample.Clock", NOON, connector=0)
        transactions.values(energy(1007), "Sample.Clock", NOON)
        transactions.end("Local", 1008)
        transactions.values(energy(9), "Sample.Clock", NOON, connector=0)
        point.go(True)
        await point.delivered()

    boot(scratch("ocpp-aligned"), central, life, online=False)
    order = ["MeterValues", "StartTransaction", "MeterValues", "MeterValues", "StopTransaction", "MeterValues"]
    assert central.actions() == order, central.actions()
    ids = [payload.get("transactionId") for payload in central.of("MeterValues")]
    assert ids == [None, None, 101, None], ids
    assert [payload["connectorId"] for payload in central.of("MeterValues")] == [1, 0, 1, 0]


def test_many_values_are_spread_over_messages_of_the_same_time():
    central = Central()
    sampled = [
        {"value": "%d.5" % i, "measurand": "Energy.Reactive.Export.Interval", "phase": "L1-N", "unit": "kvarh"}
        for i in range(80)
    ]

    async def life(point):
        point.transactions.values(sampled, "Trigger")
        await point.delivered()

    boot(scratch("ocpp-many"), central, life)
    messages = central.of("MeterValues")
    assert len(messages) > 1 and len({m["meterValue"][0]["timestamp"] for m in messages}) == 1
    found = [value for m in messages for value in m["meterValue"][0]["sampledValue"]]
    assert found == [dict(value, context="Trigger") for value in sampled]


# transactionData


def test_transaction_data_keeps_begin_and_end_and_drops_the_oldest_between():
    central = Central()

    async def life(point):
        transactions = point.transactions
        transactions.begin(TAG, 0, data=usual(0))
        for minute in range(1, 200):
            await asyncio.sleep(60)
            transactions.stop_data(usual(minute), "Sample.Periodic")
        await asyncio.sleep(60)
        transactions.end("Local", 200, data=usual(200))
        await point.delivered()

    boot(scratch("ocpp-data"), central, life)
    data = central.transactions()[0][2]["transactionData"]
    contexts = [entry["sampledValue"][0]["context"] for entry in data]
    assert contexts[0] == "Transaction.Begin" and contexts[-1] == "Transaction.End", contexts
    assert set(contexts[1:-1]) == {"Sample.Periodic"} and len(data) >= 5, len(data)
    minutes = [int(entry["sampledValue"][0]["value"]) for entry in data]
    assert minutes == [0] + list(range(202 - len(data), 201)), minutes
    assert [parse(entry["timestamp"]) - NOON for entry in data] == [60 * minute for minute in minutes]


def test_begin_values_survive_a_power_cut():
    folder, central = scratch("ocpp-data-cut"), Central()

    async def life(point):
        point.transactions.begin(TAG, 1000, data=usual(1000))
        await point.delivered()

    boot(folder, central, life)
    boot(folder, central, settle, utc=NOON + 500)
    data = central.transactions()[0][2]["transactionData"]
    expected = [dict(value, context="Transaction.Begin") for value in usual(1000)]
    assert [entry["sampledValue"] for entry in data] == [expected]
    assert data[0]["timestamp"] == iso(NOON)


def test_begin_and_end_of_many_values_keep_the_first_ones():
    central = Central()
    many = [{"value": str(i), "measurand": "Voltage", "phase": "L1", "unit": "V"} for i in range(100)]

    async def life(point):
        point.transactions.begin("\x01" * 20, 1000, 2147483647, data=many)
        point.transactions.stop_data(many, "Sample.Clock")
        point.transactions.end("EVDisconnected", 1000, "\x01" * 20, data=many)
        await point.delivered()

    boot(scratch("ocpp-data-many"), central, life)
    data = central.transactions()[0][2]["transactionData"]
    assert len(data) == 2 and min(len(entry["sampledValue"]) for entry in data) >= 20, data
    assert data[0]["sampledValue"][0]["value"] == "0"


# Time


def test_a_start_before_the_clock_is_known_gets_its_true_time():
    folder, central = scratch("ocpp-unknown"), Central()

    async def life(point):
        await asyncio.sleep(100)
        await charge(point)
        await asyncio.sleep(20)
        point.clock.set_utc_s(NOON)
        point.go(True)
        await point.delivered()

    boot(folder, central, life, utc=None, online=False)
    start, values, stop = central.transactions()[0]
    assert start["timestamp"] == iso(NOON - 200) and stop["timestamp"] == iso(NOON - 20)
    assert values[0]["meterValue"][0]["timestamp"] == iso(NOON - 140)


def test_time_learnt_before_a_restart_still_counts_after_it():
    folder, central = scratch("ocpp-mark"), Central()

    async def life(point):
        await charge(point)
        point.clock.set_utc_s(NOON)
        # Anything that is written brings the mark along.
        point.transactions.values(energy(1), "Sample.Clock")

    boot(folder, central, life, utc=None, online=False)
    for _ in range(3):
        boot(folder, central, charge, utc=None, online=False)

    async def later(point):
        await charge(point)
        point.clock.set_utc_s(NOON + 90000)
        point.go(True)
        await point.delivered()

    boot(folder, central, later, utc=None, online=False)
    whole = central.transactions()
    assert whole[0][0]["timestamp"] == iso(NOON - 180) and whole[0][2]["timestamp"] == iso(NOON)
    for start, _, stop in whole:
        assert parse(stop["timestamp"]) - parse(start["timestamp"]) == 180
    times = [parse(start["timestamp"]) for start, _, _ in whole]
    assert times == sorted(times), times
    assert times[-1] == NOON + 90000 - 180 and times[1] >= NOON, times


def test_a_time_that_nobody_knows_is_the_earliest_that_keeps_the_order_and_never_1970():
    folder, central = scratch("ocpp-never"), Central()

    async def idle(point):
        await asyncio.sleep(50)
        await charge(point, minutes=10)

    boot(folder, central, idle, utc=None, online=False)
    boot(folder, central, settle, utc=NOON)
    start, _, stop = central.transactions()[0]
    assert NOON - 601 <= parse(start["timestamp"]) <= NOON - 600, start
    assert parse(stop["timestamp"]) - parse(start["timestamp"]) == 600
    boot(folder, central, idle, utc=None, online=False)
    boot(folder, central, settle, utc=NOON + 86400)
    start, _, stop = central.transactions()[1]
    assert parse(start["timestamp"]) == parse(central.transactions()[0][2]["timestamp"]), start
    assert parse(stop["timestamp"]) - parse(start["timestamp"]) == 600


def test_nothing_of_unknown_time_leaves_while_the_clock_is_unknown():
    folder, central = scratch("ocpp-wait"), Central()
    boot(folder, central, charge, utc=None, online=False)

    async def life(point):
        await asyncio.sleep(30)
        assert central.seen == [] and point.log.codes().count("no_time") == 1
        point.clock.set_utc_s(NOON)
        point.go(True)
        await point.delivered()

    boot(folder, central, life, utc=None)
    assert len(central.transactions()) == 1


def test_a_clock_that_jumps_leaves_the_times_of_a_transaction_ordered_and_its_duration_right():
    for jump in (3600, -3600, YEARS_S, -YEARS_S):
        for online in (True, False):
            central = Central()

            async def life(point, jump=jump):
                transactions = point.transactions
                transactions.begin(TAG, 1000, data=energy(1000))
                for minute in range(1, 9):
                    await asyncio.sleep(60)
                    transactions.values(energy(1000 + minute), "Sample.Periodic")
                    transactions.stop_data(energy(1000 + minute), "Sample.Periodic")
                    if minute in (3, 6):
                        point.clock.offset += jump
                        jump = -jump
                transactions.end("Local", 1009, data=energy(1009))
                point.go(True)
                await point.delivered()

            boot(scratch("ocpp-jump"), central, life, online=online)
            start, values, stop = central.transactions()[0]
            assert len(values) == 8
            assert parse(stop["timestamp"]) - parse(start["timestamp"]) == 480, (jump, online, start, stop)
            assert start["timestamp"] == iso(NOON), (jump, online)


def test_a_clock_found_wrong_before_delivery_corrects_the_whole_transaction():
    central = Central()

    async def life(point):
        await charge(point)
        point.clock.offset += YEARS_S
        point.go(True)
        await point.delivered()

    boot(scratch("ocpp-wrong"), central, life, utc=NOON - YEARS_S, online=False)
    start, _, stop = central.transactions()[0]
    assert start["timestamp"] == iso(NOON) and stop["timestamp"] == iso(NOON + 180)


def test_a_clock_that_drifts_a_little_is_followed():
    central = Central()

    async def life(point):
        point.transactions.begin(TAG, 1000)
        await point.delivered()
        point.clock.offset += 30
        await asyncio.sleep(60)
        point.transactions.end("Local", 1009)
        await point.delivered()

    boot(scratch("ocpp-drift"), central, life)
    assert parse(central.transactions()[0][2]["timestamp"]) >= NOON + 90


def test_a_clock_that_is_turned_back_and_forth_fills_no_flash():
    with Flash():
        central = Central()

        async def life(point):
            point.transactions.begin(TAG, 1000)
            for turn in range(500):
                point.clock.offset += YEARS_S if turn % 2 else -YEARS_S
                point.transactions.values(energy(1000), "Sample.Periodic")
                await asyncio.sleep(1)
            assert point.transactions.queue._tx.spare() == 35
            point.transactions.end("Local", 1000)
            point.go(True)
            await point.delivered()

        boot(MOUNT, central, life, online=False)
        assert len(central.transactions()) == 1


class Forgetful(Central):
    """Counts the messages, which have to come in turns, and looks at the heap at each 250th."""

    def __init__(self):
        super().__init__()
        self.told = 0
        self.started = 0
        self.heap = []

    def take(self, action, payload, message_id):
        self.told += 1
        if self.told % 250 == 0:
            gc.collect()
            self.heap.append(gc.mem_alloc())
        if action != "StartTransaction":
            assert payload["transactionId"] == self.started, payload
            return {}
        self.started += 1
        return {"transactionId": self.started, "idTagInfo": {"status": "Accepted"}}


# Power cuts


def judged(central, state):
    """The stream holds what was accepted, as it was accepted."""
    whole = central.transactions()
    assert len(whole) - state["ended"] in (0, 1), (len(whole), state)
    assert len(whole) >= state["begun"], (len(whole), state)
    for index, (start, values, stop) in enumerate(whole):
        assert start["meterStart"] == index * 1000
        if index < state["ended"]:
            assert stop["meterStop"] == index * 1000 + 300 and stop["reason"] == "Local", stop
            assert len(stop["transactionData"]) >= 2
            assert len(values) == 3, (index, values)
        else:
            assert stop["reason"] == "PowerLoss" or stop["meterStop"] == index * 1000 + 300, (stop, state)
        begin = stop["transactionData"][0]["sampledValue"][0]
        assert begin["context"] == "Transaction.Begin" and begin["value"] == str(index * 1000)
    ids = [message_id for message_id, _, _ in central.seen]
    assert len(ids) - len(set(ids)) <= state["boots"] - 1, "more came twice than boots were"


def lives(state, online, switch_on):
    async def life(point):
        transactions = point.transactions
        for turn in range(3):
            wh = 1000 * turn
            transactions.begin(TAG, wh, data=energy(wh))
            state["begun"] += 1
            if online:
                await point.delivered()
            for _ in range(3):
                await asyncio.sleep(61)
                wh += 100
                transactions.checkpoint(wh)
                transactions.values(energy(wh), "Sample.Periodic")
                if online:
                    await point.delivered()
            transactions.end("Local", wh, TAG, energy(wh))
            state["ended"] += 1
            if online and turn % 2:
                await point.delivered()
        if switch_on:
            point.go(True)
            await point.delivered()

    return life


def cut(online, switch_on=True):
    def prepare(folder):
        return {"begun": 0, "ended": 0, "central": Central(), "boots": 2}

    def run(folder, state):
        boot(folder, state["central"], lives(state, online, switch_on), online=online)

    def check(folder, state):
        point = boot(folder, state["central"], settle, utc=NOON + 9000)
        assert "queue_damaged" not in point.log.codes(), point.log.entries
        judged(state["central"], state)

    return cut_everywhere(prepare, run, check)


def test_a_power_cut_at_any_write_online_leaves_each_transaction_once_and_whole():
    cuts = cut(True)
    assert cuts > 40, cuts


def test_a_power_cut_at_any_write_offline_and_in_the_delivery_leaves_each_transaction_once_and_whole():
    cuts = cut(False)
    assert cuts > 60, cuts


def test_a_second_cut_at_any_write_of_the_recovery_changes_nothing():
    def prepare(folder):
        state = {"begun": 3, "ended": 2, "central": Central(), "boots": 4}

        async def life(point):
            for turn in range(3):
                wh = 1000 * turn
                point.transactions.begin(TAG, wh, data=energy(wh))
                for _ in range(3):
                    await asyncio.sleep(61)
                    wh += 100
                    point.transactions.values(energy(wh), "Sample.Periodic")
                if turn < 2:
                    point.transactions.end("Local", wh, TAG, energy(wh))

        boot(folder, state["central"], life, online=False)
        return state

    def run(folder, state):
        boot(folder, state["central"], settle, utc=NOON + 5000)

    def check(folder, state):
        boot(folder, state["central"], settle, utc=NOON + 9000)
        judged(state["central"], state)

    cuts = cut_everywhere(prepare, run, check)
    assert cuts > 20, cuts


# Flash that is damaged, refuses, or is full


def spoil(folder, kind):
    """Flip a bit in the first record of a kind in the first file of starts and stops."""
    data = bytearray(read(folder + "/otx.0"))
    place = 0
    for line in bytes(data).split(b"\n"):
        if line[9:].split(b",")[1] == kind:
            break
        place += len(line) + 1
    data[place + 20] ^= 1
    write(folder + "/otx.0", data)


def three(folder, central):
    async def life(point):
        for turn in range(3):
            await charge(point, 1000 * turn)

    boot(folder, central, life, online=False)


def test_a_stop_that_damage_took_is_replaced_before_the_next_start():
    folder, central = scratch("ocpp-no-stop"), Central()
    three(folder, central)
    spoil(folder, b"2")
    central.plan = ["lost", None, None, None, None, "unheard"]

    async def life(point):
        await asyncio.sleep(5)
        point.go(True)
        await asyncio.sleep(5)
        point.go(True)
        await point.delivered()

    point = boot(folder, central, life, utc=NOON + 9000)
    whole = central.transactions()
    assert len(whole) == 3 and whole[0][2]["meterStop"] == 1000 and whole[0][2]["reason"] == "Other", whole[0]
    assert point.log.codes() == ["queue_damaged", "stop_replaced"], point.log.entries
    assert len(central.seen) == 16


def test_a_start_that_damage_took_leaves_its_messages_without_id_and_the_rest_whole():
    folder, central = scratch("ocpp-no-start"), Central()
    three(folder, central)
    spoil(folder, b"0")
    boot(folder, central, settle, utc=NOON + 9000)
    assert central.actions()[:4] == ["MeterValues"] * 3 + ["StopTransaction"]
    assert {payload["transactionId"] for _, _, payload in central.seen[:4]} == {-1}
    del central.seen[:4]
    assert len(central.transactions()) == 2


def test_a_flash_that_refuses_any_write_keeps_the_transaction_in_ram_and_writes_it_later():
    with Flash() as flash:
        central = Central()

        async def life(point):
            flash.device.fails = True
            transaction = point.transactions.begin(TAG, 1000)
            assert transaction.stored is False and point.transactions.current is transaction
            point.transactions.values(energy(1001), "Sample.Periodic")
            point.transactions.end("Local", 1002)
            flash.device.fails = False
            point.transactions.begin(TAG, 2000)
            assert point.transactions.queue.saved()
            assert point.log.codes() == ["flash_refused", "flash_works"], point.log.entries

        boot(MOUNT, central, life, online=False)
        boot(MOUNT, central, settle)
        first, second = central.transactions()
        assert first[2]["meterStop"] == 1002 and second[2]["reason"] == "PowerLoss"
        assert len(first[1]) == 1


def test_a_flash_that_refuses_for_good_still_delivers_and_bounds_memory():
    with Flash() as flash:
        central = Central()

        async def life(point):
            flash.device.fails = True
            for _ in range(3):
                await charge(point)
            await point.delivered()
            assert len(central.transactions()) == 3
            point.go(False)
            full = 0
            for _ in range(40):
                try:
                    await charge(point)
                except Full:
                    full += 1
            queue = point.transactions.queue
            assert len(queue._tx.unsaved) == 16 and full == 32, (full, len(queue._tx.unsaved))
            assert len(queue._values.unsaved) <= 17, len(queue._values.unsaved)
            point.go(True)
            await point.delivered()
            flash.device.fails = False
            await charge(point)
            await point.delivered()

        point = boot(MOUNT, central, life)
        assert len(central.transactions()) == 12, (len(central.transactions()), point.log.entries)
        assert point.log.codes().count("flash_refused") == 1


def test_a_full_journal_refuses_the_next_start_never_a_stop_and_takes_starts_again_later():
    with Flash():
        central = Central()
        held = []

        async def life(point):
            transactions = point.transactions
            begun = 0
            while True:
                try:
                    transactions.begin(TAG, begun)
                except Full:
                    break
                begun += 1
                transactions.end("Local", begun)
            assert transactions.current is None
            held.append(begun)
            # The next boots have their stops and marks too.

        boot(MOUNT, central, life, online=False)
        print("transactions without data on flash:", held[0])
        assert held[0] >= 800, held

        async def later(point):
            try:
                point.transactions.begin(TAG, 0)
                raise AssertionError("accepted")
            except Full as error:
                assert "wait" in str(error)
            point.go(True)
            await point.delivered()
            await charge(point, 10000)
            await point.delivered()

        boot(MOUNT, central, later, online=False)
        assert len(central.transactions()) == held[0] + 1


def test_an_online_transaction_costs_few_erases():
    with Flash() as flash:
        central = Forgetful()
        costs = []
        device = flash.device

        def spent(what, act):
            before = device.writes, device.pages, device.erases
            act()
            after = device.writes, device.pages, device.erases
            costs.append((what, [a - b for a, b in zip(after, before)]))

        async def life(point):
            transactions = point.transactions
            for turn in range(5):
                before = device.writes, device.pages, device.erases
                wh = turn * 50000
                spent("begin", lambda wh=wh: transactions.begin(TAG, wh, data=usual(wh)))
                await point.delivered()
                for _ in range(480):
                    await asyncio.sleep(60)
                    wh += 100
                    spent("value", lambda wh=wh: transactions.values(usual(wh), "Sample.Periodic"))
                    await point.delivered()
                spent("end", lambda wh=wh: transactions.end("Local", wh, TAG, usual(wh)))
                await point.delivered()
                after = device.writes, device.pages, device.erases
                costs.append(("all", [a - b for a, b in zip(after, before)]))

        boot(MOUNT, central, life)
        assert central.told == 5 * 482, central.told
        for what in ("begin", "value", "end", "all"):
            found = [cost for name, cost in costs if name == what]
            mean = [sum(column) / len(found) for column in zip(*found)]
            print(what, "writes, pages, erases on average", mean, "at most", max(found, key=lambda cost: cost[2]))
        erases = [cost[2] for name, cost in costs if name == "all"]
        assert max(erases) < 90, erases
        assert max(cost[2] for name, cost in costs if name == "begin") <= 6, costs


def test_a_thousand_transactions_offline_are_replayed_without_growth_of_the_heap():
    central = Forgetful()

    async def life(point):
        queue = point.transactions.queue
        for turn in range(1000):
            point.transactions.begin(TAG, turn)
            await asyncio.sleep(1)
            point.transactions.values(energy(turn), "Sample.Periodic")
            point.transactions.end("Local", turn)
        point.go(True)
        await point.delivered()
        assert queue.waiting == 0

    with Flash():
        boot(MOUNT, central, life, online=False)
    assert central.told == 3000, central.told
    heap = central.heap
    print("heap in use during the replay:", heap)
    assert len(heap) == 12 and max(heap[1:]) - min(heap[1:]) < 1000, heap


# -- a heap without room for a file -----------------------------------------------------------------------


def full_once(target, name):
    """The next call of a method finds no room in the heap for the file that it opens."""
    real = getattr(target, name)
    state = [True]

    def method(*arguments):
        if state.pop() if state else False:
            raise MemoryError("no room for a file")
        return real(*arguments)

    setattr(target, name, method)
    return state


def test_a_begin_or_end_that_finds_no_room_for_its_file_happens_once():
    central = Central()

    async def life(point):
        transactions = point.transactions
        spent = full_once(transactions.queue._tx, "extend")
        transaction = transactions.begin(TAG, 1000)
        assert not spent and transactions.current is transaction and not transaction.stored
        await point.delivered()
        spent = full_once(transactions.queue._tx, "extend")
        transactions.end("Local", 2000, TAG, energy(2000))
        assert not spent and transactions.current is None
        await point.delivered()

    point = boot(scratch("ocpp-full-file"), central, life)
    assert len(central.transactions()) == 1 and len(central.of("StopTransaction")) == 1
    assert [entry[2] for entry in point.log.entries].count("flash_refused") == 2


def test_an_answer_whose_note_finds_no_room_for_its_file_is_heard_all_the_same():
    central = Central()
    central.status = "Blocked"

    async def life(point):
        transaction = point.transactions.begin(TAG, 1000)
        spent = full_once(point.transactions.queue._store, "save")
        await point.delivered()
        assert not spent and transaction.transaction_id == 101 and transaction.refused == "Blocked"
        assert point.refused == [(transaction, "Blocked")]
        point.transactions.end("DeAuthorized", 1000)
        await point.delivered()

    boot(scratch("ocpp-full-note"), central, life)
    assert len(central.transactions()) == 1


def test_a_stop_that_flash_refused_while_offline_is_there_a_minute_later():
    folder, central = scratch("ocpp-full-offline"), Central()

    async def life(point):
        point.transactions.begin(TAG, 1000)
        await asyncio.sleep(5)
        spent = full_once(point.transactions.queue._tx, "extend")
        point.transactions.end("Local", 2000, TAG)
        assert not spent and not point.transactions.queue.saved()
        await asyncio.sleep(70)
        assert point.transactions.queue.saved()

    boot(folder, central, life, online=False)
    boot(folder, central, settle, utc=NOON + 1000)
    (_, _, stop), *others = central.transactions()
    assert not others and (stop["reason"], stop["meterStop"], stop["idTag"]) == ("Local", 2000, TAG)
