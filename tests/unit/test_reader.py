"""The meter reader: its cycle, what it believes, and how a meter is lost and found again."""

import asyncio
import struct

from virtual_time import Log, Record, VirtualTime

from wallbox.clock import Clock
from wallbox.energy.reader import MeterReader
from wallbox.energy.rtu import RtuError, RtuTimeout

TIMEOUT_S = 8


def live(amps=(1.0, 2.0, 3.0), volts=230.0):
    kw = [volts * i / 1000 for i in amps]
    values = [0.0, volts, volts, volts, 50.0, 0.0] + [abs(i) for i in amps] + [sum(kw)] + kw
    return struct.pack(">25f", *(values + [0.0] * 8 + [1.0] * 4))


class Master:
    """Stands in for RtuMaster: `trouble` is raised, or given as the live block when it is bytes."""

    def __init__(self):
        self.asked = []
        self.lines = []
        self.trouble = None
        self.energy_trouble = None
        self.amps = (1.0, 2.0, 3.0)
        self.answer_ms = 150
        # Answers of other registers: bytes, or an error to raise.
        self.others = {0x4000: bytes((0x15, 0x06, 0, 1))}

    def configure(self, baud, parity):
        self.lines.append((baud, parity))

    async def read_holding(self, address, start, count, timeout_ms):
        self.asked.append((address, start, count))
        await asyncio.sleep_ms(timeout_ms if self.trouble else self.answer_ms)
        trouble = self.trouble if start == 0x5000 else self.energy_trouble
        if start in self.others and not self.trouble:
            trouble = self.others[start]
        if isinstance(trouble, bytes):
            return trouble
        if trouble:
            raise trouble
        return live(self.amps) if start == 0x5000 else struct.pack(">7f", 12.5, 0, 0, 0, 0, 0, 0.5)


class Bench:
    def __init__(self, **settings):
        self.time = VirtualTime()
        self.master = Master()
        self.log = Log()
        self.settings = {
            "meter_model": "pro380",
            "meter_address": 1,
            "meter_baud": 9600,
            "meter_parity": "E",
            "meter_timeout_s": TIMEOUT_S,
        }
        self.settings.update(settings)
        clock = Clock(Record(ticks_ms=self.time.ticks_ms, utc_ms=lambda: None, poll=None))
        self.view = Record(contactor_closed=False)
        self.reader = MeterReader(self.master, self.settings, self.view, clock, self.log)
        self.told = []
        self.reader.listeners.append(self.told.append)

    def run(self, *steps):
        """Run the reader; steps are seconds to let pass or functions to call."""

        async def play():
            task = asyncio.create_task(self.reader.run())
            for step in steps:
                if callable(step):
                    step()
                else:
                    await asyncio.sleep_ms(int(step * 1000))
            task.cancel()

        asyncio.run(play())

    def fail(self, trouble):
        self.master.trouble = trouble


def test_reads_once_a_second_and_the_energies_once_a_minute():
    bench = Bench()
    bench.run(119.9)
    asked = bench.master.asked
    assert asked.count((1, 0x5000, 50)) == 120
    assert asked.count((1, 0x600C, 14)) == 2
    assert bench.master.lines == [(9600, "E")]
    assert bench.told == [True] * 120


def test_gives_the_values_and_tells_people_in_amperes():
    bench = Bench()
    bench.master.amps = (5.0, -6.0, 7.5)
    bench.run(1.9)
    reader = bench.reader
    assert reader.valid and not reader.lost
    assert list(reader.current_ma) == [5000, -6000, 7500]
    assert list(reader.power_w) == [1150, -1380, 1725]
    assert list(reader.volts_mv) == [230000] * 3 and reader.frequency_mhz == 50000
    assert (reader.import_wh, reader.export_wh) == (12500, 500)
    status = reader.status()
    assert status["currents_a"] == [5.0, -6.0, 7.5] and status["valid"] is True
    assert status["age_ms"] == 750 and status["response_ms"] == 150, status


def test_before_the_first_answer_nothing_is_valid():
    bench = Bench()
    assert not bench.reader.valid and bench.reader.status()["currents_a"] is None


def test_a_few_lost_answers_change_nothing_but_the_statistics():
    bench = Bench()
    bench.run(3, lambda: bench.fail(RtuTimeout("no answer")), 5, lambda: bench.fail(None), 2)
    assert bench.reader.valid and bench.log.entries == []
    assert bench.reader.timeouts == 5 and bench.told.count(False) == 5


def test_a_silent_meter_is_lost_exactly_after_the_set_time_and_logged_once_with_the_cause():
    bench = Bench()
    seen = []

    def watch():
        bench.reader.check()
        seen.append(bench.reader.valid)

    # The last good value is of 2.150 s.
    bench.run(
        2.5,
        lambda: bench.fail(RtuTimeout("no answer from address 1")),
        2.15 + TIMEOUT_S - 2.5 - 0.001,
        watch,
        0.001,
        watch,
        600,
    )
    assert seen == [True, False]
    assert bench.log.codes() == ["meter_lost"]
    level, _, text = bench.log.entries[0]
    assert level == "error"
    for part in ("PRO380", "address 1", "9600", "8 s", "no answer from address 1"):
        assert part in text, text
    status = bench.reader.status()
    assert status["currents_a"] is None and status["lost"] and "no answer" in status["problem"]
    assert abs(status["age_ms"] - 608000) <= 1000, status["age_ms"]


def test_check_tells_when_to_look_again():
    bench = Bench()
    bench.run(3, lambda: bench.fail(RtuTimeout("no answer")), TIMEOUT_S - 2)
    # Age 6.85 s of 8 s.
    assert bench.reader.check() == 1150, bench.reader.check()


def test_a_meter_that_never_answered_is_lost_too_and_found_again():
    bench = Bench()
    bench.fail(RtuTimeout("no answer"))
    bench.run(9, lambda: bench.fail(None), 5, lambda: bench.fail(RtuTimeout("no answer")), 9)
    assert bench.log.codes() == ["meter_lost", "meter_back", "meter_lost"]


def test_implausible_and_broken_answers_lose_the_meter_like_silence():
    nan = struct.pack(">25f", *[float("nan")] * 25)
    for trouble, counter in (
        (nan, "implausible"),
        (live((300.0, 0.0, 0.0)), "implausible"),
        (RtuError("9 bytes came"), "errors"),
        (OSError(5), "errors"),
    ):
        bench = Bench()
        bench.run(3, lambda trouble=trouble, bench=bench: bench.fail(trouble), 20)
        assert bench.log.codes() == ["meter_lost"], trouble
        assert not bench.reader.valid and getattr(bench.reader, counter) == 20, (trouble, bench.reader.status())
        assert list(bench.reader.current_ma) == [1000, 2000, 3000], "an unbelievable reading was taken over"


def test_a_meter_stays_lost_however_long_it_is_silent():
    bench = Bench()
    days = 7  # longer than the ticks reach
    bench.run(2, lambda: bench.fail(RtuTimeout("no answer")), 60)
    step_ms = 24 * 3600 * 1000
    for _ in range(days):
        bench.time.now_ms += step_ms
        bench.reader.check()
        bench.reader.status()
        assert not bench.reader.valid
    assert bench.log.codes() == ["meter_lost"]
    assert bench.reader.status()["age_ms"] >= days * step_ms


def test_energies_that_cannot_be_read_do_not_stop_the_readings():
    bench = Bench()
    bench.master.energy_trouble = RtuError("exception 2 from address 1", 2)
    bench.run(89.9)
    assert bench.told == [True] * 90 and bench.reader.errors == 2, bench.reader.errors
    assert bench.reader.import_wh == -1 and bench.reader.status()["import_wh"] is None


def test_changed_settings_are_used_from_the_next_cycle_on_and_the_old_value_is_forgotten():
    bench = Bench()
    bench.run(2, lambda: bench.settings.update({"meter_address": 7, "meter_baud": 1200, "meter_parity": "N"}), 2)
    assert bench.master.lines == [(9600, "E"), (1200, "N")]
    assert bench.master.asked[-1][0] == 7
    bench.run(lambda: bench.settings.update({"meter_address": 8}), lambda: bench.fail(RtuTimeout("no answer")), 1)
    assert not bench.reader.valid


def test_without_a_meter_nothing_is_sent_and_nothing_is_wrong():
    bench = Bench(meter_model="none")
    bench.run(60)
    assert bench.master.asked == [] and bench.log.entries == []
    assert bench.told == [False] * 60
    status = bench.reader.status()
    assert status["model"] == "none" and status["valid"] is False and status["age_ms"] is None


def test_a_meter_slower_than_the_cycle_is_read_as_fast_as_it_can():
    bench = Bench(meter_baud=300)
    bench.master.answer_ms = 4400
    bench.run(60)
    assert bench.reader.valid and 10 <= bench.told.count(True) <= 14, bench.told


def test_while_the_car_charges_it_reads_every_250_ms():
    bench = Bench()
    bench.view.contactor_closed = True
    bench.run(19.9)
    assert bench.master.asked.count((1, 0x5000, 50)) == 80
    assert bench.reader.status()["cycle_ms"] == 250


def test_a_meter_with_news_three_times_running_is_a_quick_one_until_it_is_lost():
    bench = Bench()
    bench.view.contactor_closed = True
    amps = iter(range(100))
    bench.reader.listeners.append(lambda fresh: setattr(bench.master, "amps", (1.0 + next(amps), 2.0, 3.0)))
    seen = []
    bench.run(0.4, lambda: seen.append(bench.reader.lag_ms), 3, lambda: seen.append(bench.reader.lag_ms))
    assert seen == [1300, 800]
    bench.run(lambda: bench.fail(RtuTimeout("no answer")), 9)
    assert bench.reader.lag_ms == 1300


def test_a_meter_that_renews_its_values_now_and_then_is_no_quick_one():
    bench = Bench()
    bench.view.contactor_closed = True
    count = iter(range(1000))
    bench.reader.listeners.append(lambda fresh: setattr(bench.master, "amps", (1.0 + next(count) // 2, 2.0, 3.0)))
    bench.run(20)
    assert bench.reader.lag_ms == 1300


def test_news_once_a_second_show_no_quick_meter():
    bench = Bench()
    amps = iter(range(100))
    bench.reader.listeners.append(lambda fresh: setattr(bench.master, "amps", (1.0 + next(amps), 2.0, 3.0)))
    bench.run(20)
    assert bench.reader.lag_ms == 1300


def test_a_reading_is_told_before_counters_and_serial_number_are_asked_for():
    bench = Bench()
    told = []
    bench.reader.listeners.append(lambda fresh: told.append((bench.time.now_ms, len(bench.master.asked))))
    begun = bench.time.now_ms
    bench.run(1.9)
    # The counters come after the first reading, the serial number after the second.
    assert told == [(begun + 150, 1), (begun + 1150, 3)], told


def test_the_serial_number_is_read_with_the_counters_and_another_one_is_logged_once():
    bench = Bench()
    other = bytes((0x15, 0x06, 0, 2))
    bench.run(61, lambda: bench.master.others.update({0x4000: other}), 200)
    assert bench.reader.serial == "15060002"
    assert bench.log.codes().count("meter_exchanged") == 1
    assert "15060001" in bench.log.entries[-1][2]


def test_a_meter_that_keeps_its_serial_number_to_itself_is_read_all_the_same():
    for error in (RtuError("exception 2", 2), RtuTimeout("no answer")):
        bench = Bench()
        bench.master.others[0x4000] = error
        bench.run(5)
        assert bench.reader.valid and bench.reader.serial is None


def test_a_block_with_registers_that_the_meter_lacks_is_read_row_by_row():
    bench = Bench(meter_model="pro2")
    values = {0x5002: 230.0, 0x5008: 50.0, 0x500C: 2.0, 0x5012: 0.46, 0x502A: 1.0}
    for start, value in values.items():
        bench.master.others[start] = struct.pack(">f", value)
    bench.master.others[0x5000] = RtuError("exception 2 from address 1", 2)
    bench.run(5)
    assert bench.reader.valid and bench.reader.current_ma[0] == 2000
    assert [asked[1:] for asked in bench.master.asked].count((0x5000, 44)) == 1
    assert bench.reader.exceptions == 1


def test_a_meter_that_says_it_is_another_is_never_believed_and_the_problem_says_so():
    bench = Bench(meter_model="b23")
    bench.master.others[0x8960] = b"B21 "
    bench.run(20)
    reader = bench.reader
    assert reader.lost and not reader.valid
    assert "it is no Janitza B23 312-10J: asked for its type it says B21" in reader.status()["problem"]
    assert {asked[1] for asked in bench.master.asked} == {0x8960}


def test_a_meter_that_does_not_know_the_question_for_its_type_is_no_b23():
    bench = Bench(meter_model="b23")
    bench.master.others[0x8960] = RtuError("exception 2 from address 1", 2)
    bench.run(20)
    assert not bench.reader.valid and "says nothing" in bench.reader.status()["problem"]


def test_while_somebody_else_has_the_bus_nothing_is_asked_and_the_reading_ages():
    bench = Bench()

    def pause():
        bench.reader.paused = True
        bench.asked = len(bench.master.asked)

    bench.run(3.5, pause, 12)
    assert len(bench.master.asked) == bench.asked and bench.reader.lost
