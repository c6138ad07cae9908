"""Composite schedules, some by hand and many against a slow evaluator that knows nothing of the one under test."""

import asyncio
import random

from ocpp_charging_bench import CONFIG, DAY, T0, VOLTS, Bench, profile

from ocpp.schema import check_request, check_response

CASES = 80
SEED = 20260101


async def test_without_a_profile_the_stations_own_maximum_stands():
    bench = Bench()
    assert await bench.schedule() == [(0, 32)]
    assert await bench.schedule(unit="W") == [(0, 22080)]


async def test_gaps_show_the_stations_maximum():
    bench = Bench()
    bench.set(start=T0 + 100, duration=100, periods=((0, 10),))
    assert await bench.schedule(300) == [(0, 32), (100, 10), (200, 32)]


async def test_the_default_shows_without_a_transaction():
    # OCTT TC_056 as told in matth-x/MicroOcpp #360: the answer had no trace of the limit that had been set.
    bench = Bench()
    bench.set(start=T0 - 3, duration=304, valid=(T0 - 3, T0 + 305), periods=((0, 6, 1),))
    answer = await bench.charging.composite(1, 300, "A")
    assert answer["chargingSchedule"] == {
        "duration": 300,
        "startSchedule": "2026-01-01T00:00:00Z",
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6, "numberPhases": 1}],
    }, answer


async def test_stacked_profiles_follow_each_other_without_doubled_periods():
    bench = Bench()
    bench.set(ident=1, level=0, start=T0, duration=400, periods=((0, 6), (50, 10), (200, 8)))
    bench.set(ident=2, level=1, start=T0 + 40, duration=100, periods=((0, 10), (60, 7)))
    expected = [(0, 6), (40, 10), (100, 7), (140, 10), (200, 8), (400, 32)]
    assert await bench.schedule(500) == expected
    bench.clear({"id": 2})
    assert await bench.schedule(500) == [(0, 6), (50, 10), (200, 8), (400, 32)]


async def test_the_smaller_of_purposes_is_shown_in_the_unit_asked_for():
    bench = Bench()
    bench.set(0, ident=1, purpose="ChargePointMaxProfile", unit="W", start=T0, periods=((0, 11040), (100, 6900.5)))
    bench.set(1, ident=2, start=T0, periods=((0, 20), (50, 12.5)))
    assert await bench.schedule(200) == [(0, 16), (50, 12.5), (100, 10)]
    assert await bench.schedule(200, "W") == [(0, 11040), (50, 8625), (100, 6900.5)]
    assert await bench.schedule(200, connector=0) == [(0, 16), (50, 12.5), (100, 10)]


async def test_limits_in_watts_come_back_as_they_were_set():
    bench = Bench()
    for tenths in (0, 1, 38405, 73333, 110000, 220799):
        bench.set(unit="W", periods=((0, tenths / 10),))
        assert await bench.schedule(60, "W") == [(0, tenths / 10)], tenths


async def test_a_relative_schedule_goes_on_from_where_the_transaction_is():
    bench = Bench()
    bench.set(kind="Relative", periods=((0, 16), (100, 10)))
    assert await bench.schedule(200) == [(0, 16), (100, 10)]
    bench.begin()
    bench.pass_s(70)
    assert await bench.schedule(200) == [(0, 16), (30, 10)]


async def test_no_more_periods_than_allowed_and_the_rest_is_left_out_whole():
    bench = Bench()
    periods = [(1800 * i, 6 + i % 2) for i in range(24)]
    bench.set(kind="Recurring", every="Daily", start=T0, periods=periods)
    answer = (await bench.charging.composite(1, 3 * DAY, "A"))["chargingSchedule"]
    assert len(answer["chargingSchedulePeriod"]) == CONFIG["ChargingScheduleMaxPeriods"]
    assert answer["duration"] == DAY, answer
    bench.config["ChargingScheduleMaxPeriods"] = 3
    answer = (await bench.charging.composite(1, 3 * DAY, "A"))["chargingSchedule"]
    assert len(answer["chargingSchedulePeriod"]) == 3 and answer["duration"] == 5400, answer


async def test_it_is_refused_without_the_time_or_a_duration():
    bench = Bench()
    for duration in (0, -1):
        assert await bench.charging.composite(1, duration, "A") == {"status": "Rejected"}
    bench.utc = None
    assert await bench.charging.composite(1, 60, "A") == {"status": "Rejected"}
    assert [entry[2] for entry in bench.log.entries] == [
        "composite schedule refused: duration: 0; allowed: 1 to 1073741823",
        "composite schedule refused: duration: -1; allowed: 1 to 1073741823",
        "composite schedule refused: the time is unknown",
    ]


async def test_a_unit_that_is_not_allowed_is_refused():
    bench = Bench()
    for allowed, unit, other in ((("Current",), "W", "A"), (("Power",), "A", "W")):
        bench.config["ChargingScheduleAllowedChargingRateUnit"] = allowed
        assert bench.set(unit=unit) == "Rejected"
        assert await bench.charging.composite(1, 60, unit) == {"status": "Rejected"}
        assert bench.set(unit=other) == "Accepted"
        assert (await bench.charging.composite(1, 60, other))["status"] == "Accepted"
    assert bench.log.entries[0][2] == "charging profile 1 refused: chargingRateUnit: W; allowed: Current"


async def test_a_schedule_of_years_ends_and_gives_way_to_other_tasks():
    bench = Bench()
    bench.set(0, ident=1, purpose="ChargePointMaxProfile", periods=((0, 6),))
    bench.set(1, ident=2, kind="Recurring", every="Daily", start=T0, periods=[(3600 * i, 7 + i % 2) for i in range(24)])
    turns = 0

    async def other():
        nonlocal turns
        while True:
            await asyncio.sleep_ms(0)
            turns += 1

    task = asyncio.create_task(other())
    answer = (await bench.charging.composite(1, 30 * 365 * DAY, "A"))["chargingSchedule"]
    task.cancel()
    assert len(answer["chargingSchedulePeriod"]) == 1
    assert answer["duration"] == 1000 * 3600
    assert turns > 300, turns


async def test_profiles_that_change_meanwhile_do_not_mix():
    bench = Bench()
    for ident, amperes in ((1, 10), (2, 12)):
        bench.set(ident=ident, level=1, start=T0, periods=[(60 * i, amperes + i % 2) for i in range(24)])
        task = asyncio.create_task(bench.schedule(23 * 60))
        await asyncio.sleep_ms(0)
        bench.clear({})
        assert [limit for _start, limit in await task] == [amperes + i % 2 for i in range(23)]


# Many cases against a slow evaluator: it paints each period of each profile, second by second, into one array for the
# whole and one for the transaction, the weaker profile first.


def some_periods(tenths):
    span = random.choice((7200, DAY))
    places = sorted({random.randint(1, span) for _ in range(random.randint(0, 9))})
    periods = []
    for start in [0] + places:
        limit = (random.randint(0, tenths) if random.randint(0, 7) else random.choice((0, 60))) / 10
        periods.append((start, limit) if random.randint(0, 2) else (start, limit, random.randint(1, 3)))
    return periods


def some_profile(ident, transaction):
    """(connector, ChargingProfile fields) at random."""
    purpose = random.choice(("ChargePointMaxProfile", "TxDefaultProfile", "TxDefaultProfile", "TxProfile"))
    if purpose == "TxProfile" and not transaction:
        purpose = "ChargePointMaxProfile"
    connector = {"ChargePointMaxProfile": 0, "TxProfile": 1}.get(purpose, random.randint(0, 1))
    unit = random.choice("AW")
    fields = {"ident": ident, "level": random.randint(0, 8), "purpose": purpose, "unit": unit}
    fields["periods"] = some_periods(320 if unit == "A" else 220000)
    fields["kind"] = random.choice(("Absolute", "Relative", "Recurring", "Recurring"))
    if fields["kind"] == "Recurring":
        fields["every"] = random.choice(("Daily", "Daily", "Weekly"))
        fields["start"] = T0 + random.randint(-20 * DAY, DAY)
    elif random.randint(0, 3):
        fields["start"] = T0 + random.randint(-2 * DAY, DAY)
    if random.randint(0, 3):
        fields["duration"] = random.choice((random.randint(1, 7200), random.randint(1, 2 * DAY)))
    if not random.randint(0, 3):
        begin = T0 + random.randint(-DAY, DAY)
        fields["valid"] = random.choice(((begin, None), (None, begin), (begin, begin + random.randint(1, DAY))))
    return connector, fields


class Painter:
    """The slow evaluator: what is set is painted over `seconds` from T0 on; code 0 is no limit."""

    def __init__(self, seconds, elapsed, phases):
        self.seconds = seconds
        self.elapsed = elapsed
        self.phases = phases
        self.codes = [None]
        self.whole = bytearray(seconds)
        self.use = bytearray(seconds)

    def paint_all(self, wanted):
        order = []
        for connector, fields in wanted:
            weight = {"TxProfile": 200, "TxDefaultProfile": 100 * connector}.get(fields["purpose"], 0)
            order.append((weight + fields["level"], fields["ident"], fields))
        for _weight, _ident, fields in sorted(order, key=lambda entry: entry[:2]):
            self.paint(fields)

    def paint(self, fields):
        canvas = self.whole if fields["purpose"] == "ChargePointMaxProfile" else self.use
        begin = -self.elapsed
        if fields["kind"] != "Relative" and "start" in fields:
            begin = fields["start"] - T0
        every = {"Daily": DAY, "Weekly": 7 * DAY}.get(fields.get("every"))
        length = min(fields.get("duration", 1000 * DAY), every or 1000 * DAY)
        low, high = fields.get("valid", (None, None))
        low = max(0, 0 if low is None else low - T0)
        high = min(self.seconds, self.seconds if high is None else high - T0)
        codes = [self.code(fields["unit"], period) for period in fields["periods"]]
        while begin < self.seconds:
            for place, period in enumerate(fields["periods"]):
                following = fields["periods"][place + 1][0] if place + 1 < len(codes) else length
                first = max(low, begin + period[0])
                last = min(high, begin + min(following, length))
                if last > first:
                    canvas[first:last] = bytes((codes[place],)) * (last - first)
            if every is None:
                break
            begin += every

    def code(self, unit, period):
        phases = min(period[2] if len(period) == 3 else 3, self.phases)
        entry = (unit, int(period[1] * 10 + 0.5), phases)
        if entry not in self.codes:
            self.codes.append(entry)
        return self.codes.index(entry)

    def value(self, pair, unit):
        """(limit in tenths of `unit`, phases) where codes `pair` hold; unit "mA": mA a phase."""
        limits = [self.codes[code] for code in pair if code]
        if not limits:
            amperes = {"A": 320, "W": 32 * VOLTS * self.phases * 10, "mA": None}
            return amperes[unit], None if unit == "mA" else self.phases
        phases = min(limit[2] for limit in limits)
        # Compared without division: power of all phases, brought to six phases.
        kind, tenths, of = min(limits, key=lambda e: e[1] * VOLTS * 6 if e[0] == "A" else e[1] * 6 // e[2])
        if unit == "W":
            return tenths * VOLTS * phases if kind == "A" else tenths * phases // of, phases
        if unit == "A":
            return tenths if kind == "A" else tenths // (VOLTS * of), phases
        if kind == "A":
            return tenths * 100, phases
        return tenths * 100 // (VOLTS * of) * phases // self.phases, phases

    def schedule(self, unit, most):
        """([(startPeriod, tenths, phases)], seconds covered)."""
        found = []
        whole, use = self.whole, self.use
        a = b = -1
        for second in range(self.seconds):
            if whole[second] == a and use[second] == b:
                continue
            a, b = whole[second], use[second]
            value = self.value((a, b), unit)
            if found and found[-1][1:] == value:
                continue
            if len(found) == most:
                return found, second
            found.append((second,) + value)
        return found, self.seconds


def check_limit(bench, painter, second):
    """What is offered at `second` is what was painted, and stays so for as long as it says."""
    ma, phases, change, _text = bench.charging.limit(T0 + second, bench.uptime + second)
    pair = painter.whole[second], painter.use[second]
    assert (ma, phases) == painter.value(pair, "mA"), (second, ma, phases, pair)
    end = painter.seconds if change is None else min(painter.seconds, second + change)
    for canvas, code in zip((painter.whole, painter.use), pair):
        assert canvas[second:end] == bytes((code,)) * (end - second), (second, end)


async def run_case(number):
    random.seed(SEED + number)
    bench = Bench(phases=random.choice((1, 3, 3)))
    elapsed = random.randint(0, 7200) if random.randint(0, 1) else None
    if elapsed is not None:
        bench.begin(7)
        bench.uptime += elapsed
    wanted = []
    for ident in range(random.randint(1, 10)):
        connector, fields = some_profile(ident, elapsed is not None)
        place = connector, fields["purpose"], fields["level"]
        wanted = [w for w in wanted if (w[0], w[1]["purpose"], w[1]["level"]) != place]
        wanted.append((connector, fields))
        check_request("SetChargingProfile", {"connectorId": connector, "csChargingProfiles": profile(**fields)})
        assert bench.charging.set(connector, profile(**fields)) == "Accepted", bench.log.entries
    seconds = random.choice((random.randint(1, DAY), random.randint(DAY, 3 * DAY)))
    painter = Painter(seconds, elapsed or 0, bench.station.phases())
    painter.paint_all(wanted)
    bench.config["ChargingScheduleMaxPeriods"] = most = random.choice((8, 24, 24))
    for unit in "AW":
        answer = await bench.charging.composite(1, seconds, unit)
        check_response("GetCompositeSchedule", answer)
        schedule = answer["chargingSchedule"]
        got = [
            (p["startPeriod"], int(p["limit"] * 10 + 0.5), p["numberPhases"])
            for p in schedule["chargingSchedulePeriod"]
        ]
        expected, covered = painter.schedule(unit, most)
        assert got == expected, (number, unit, got, expected, wanted)
        assert schedule["duration"] == covered, (number, unit)
    if elapsed is not None:
        for _ in range(20):
            check_limit(bench, painter, random.randint(0, seconds - 1))
    return len(expected), covered < seconds


async def test_random_profiles_give_what_a_second_by_second_evaluator_gives():
    lengths = []
    cut = 0
    for number in range(CASES):
        length, shortened = await run_case(number)
        lengths.append(length)
        cut += shortened
    # The cases are worth something: most have several periods, some more than allowed.
    assert len([length for length in lengths if length > 3]) > CASES // 2, lengths
    assert cut > 10, cut
