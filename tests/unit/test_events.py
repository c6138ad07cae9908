"""The event log: numbered over restarts, bounded, and never in its caller's way; and the control loop's ring."""

import asyncio
import os

import micropython
from storage_help import MOUNT, Clock, Flash, cut_everywhere, noise, scratch, write
from virtual_time import VirtualTime

from journal import Journal
from wallbox.events import EventLog, Ring


def attached(folder, clock=None, **options):
    log = EventLog(clock or Clock(), **options)
    log.attach(folder)
    return log


def fill(log, count, level="info"):
    """Add `count` entries, no two of them a storm."""
    for i in range(count):
        log.add(level, "s%d" % (i % 50), "code", "entry %d" % i)


def numbers(entries):
    return [entry["seq"] for entry in entries]


def test_an_entry_holds_time_number_words_and_context():
    clock = Clock()
    log = EventLog(clock)
    clock.ms = 1234
    log.add("info", "pilot", "state", "A1 -> B1", volts=9)
    clock.utc = 1767225600
    log.add("error", "rcm", "trip", "DC residual current")
    first, second = log.since(0)
    assert first == {
        "seq": 1,
        "uptime_ms": 1234,
        "utc": None,
        "level": "info",
        "source": "pilot",
        "code": "state",
        "text": "A1 -> B1",
        "volts": 9,
    }, first
    assert second["seq"] == 2 and second["utc"] == "2026-01-01T00:00:00Z", second


def test_since_gives_newer_entries_only():
    log = EventLog(Clock())
    fill(log, 5)
    assert numbers(log.since(3)) == [4, 5]
    assert log.since(5) == []


def test_ram_keeps_the_newest_entries_only():
    log = EventLog(Clock(), capacity=10)
    fill(log, 35)
    assert numbers(log.since()) == list(range(26, 36))


def test_the_beginning_and_the_end_of_a_long_text_are_kept():
    log = EventLog(Clock())
    log.add("info", "s", "c", "begin" + "x" * 5000 + "end")
    text = log.since()[0]["text"]
    assert len(text) <= 200 and text.startswith("begin") and text.endswith("end")


def test_the_same_message_within_a_minute_is_counted_and_told_with_the_next():
    clock = Clock()
    log = EventLog(clock)
    for _ in range(31):
        log.add("warning", "meter", "timeout", "no answer")
        clock.ms += 2000
    entries = log.since()
    assert numbers(entries) == [1, 2], entries
    assert "repeated" not in entries[0]
    assert entries[1]["repeated"] == 29, entries[1]


def test_a_message_that_comes_back_after_another_of_its_source_is_news():
    log = EventLog(Clock())
    for text in ("raised", "gone", "raised"):
        log.add("error", "protection", "fault" if text == "raised" else "cleared", text)
    assert [entry["text"] for entry in log.since()] == ["raised", "gone", "raised"]


def test_the_same_words_of_two_sources_are_two_messages():
    log = EventLog(Clock())
    log.add("info", "a", "c", "t")
    log.add("info", "b", "c", "t")
    assert len(log.since()) == 2


def test_a_code_that_chatters_in_ever_new_words_is_held_down():
    clock = Clock()
    log = EventLog(clock)
    for i in range(600):
        log.add("info", "pilot", "level", "%d mV" % i)
        clock.ms += 100
    assert len(log.since()) == 10, len(log.since())
    log.add("info", "pilot", "level", "quiet")
    assert log.since()[-1]["repeated"] == 590, log.since()[-1]


def test_storms_of_many_codes_take_bounded_memory():
    log = EventLog(Clock(), capacity=4)
    for i in range(1000):
        log.add("info", "s%d" % i, "c", "t")
    assert len(log._storms) <= 24 and len(log._latest) <= 25, (len(log._storms), len(log._latest))


def test_sinks_hear_every_entry():
    log = EventLog(Clock())
    heard = []
    log.sinks.append(heard.append)
    log.add("info", "a", "c", "one")
    log.add("info", "a", "c", "two", amps=6)
    assert heard == log.since(), heard


def test_numbers_go_on_after_a_restart_without_a_write_for_each_entry():
    with Flash() as flash:
        log = attached(MOUNT)
        writes = flash.device.writes
        fill(log, 200)
        assert flash.device.writes == writes, "infos were written"
        highest = log.since()[-1]["seq"]
        for _ in range(5):
            flash.restart()
            log = attached(MOUNT)
            log.add("info", "wallbox", "start", "again")
            assert log.since()[0]["seq"] > highest, (log.since()[0], highest)
            assert log.since()[0]["seq"] <= highest + 1024
            highest = log.since()[-1]["seq"]


def test_entries_before_storage_is_there_are_kept_and_numbered_on():
    folder = scratch("events-early")
    log = attached(folder)
    fill(log, 3, "error")
    log.flush()
    log = EventLog(Clock())
    log.add("warning", "hal", "early", "before storage")
    assert log.since()[0]["seq"] == 1
    log.attach(folder)
    log.add("info", "hal", "later", "after")
    early, later = log.since()
    assert early["text"] == "before storage" and early["seq"] > 3 and later["seq"] == early["seq"] + 1
    assert [entry["text"] for entry in log.stored()] == ["entry 0", "entry 1", "entry 2", "before storage"]


def test_warnings_and_errors_are_on_flash_and_infos_are_not():
    folder = scratch("events-levels")
    log = attached(folder)
    log.add("info", "a", "c", "info")
    log.add("warning", "b", "c", "warning", amps=16)
    log.add("error", "c", "c", "error")
    assert log.flush() is True
    stored = list(attached(folder).stored())
    assert [entry["text"] for entry in stored] == ["warning", "error"]
    assert stored == log.since()[1:], stored


def test_the_flash_journal_is_bounded():
    folder = scratch("events-bounded")
    log = attached(folder)
    for i in range(1000):
        log.add("error", "s%d" % (i % 50), "code", "entry %d" % i)
        log.flush()
    total = sum(os.stat(folder + "/" + name)[6] for name in os.listdir(folder))
    assert total < 17000, total
    kept = list(log.stored())
    assert len(kept) > 75 and kept[-1]["text"] == "entry 999", len(kept)


def test_what_a_refused_write_brought_twice_is_told_once():
    folder = scratch("events-twice")
    log = attached(folder)
    fill(log, 3, "error")
    log.flush()
    journal = Journal(folder, "events")
    journal.extend(list(journal.records()))
    assert [entry["text"] for entry in log.stored()] == ["entry 0", "entry 1", "entry 2"]


def test_an_entry_too_long_for_flash_is_kept_without_its_context():
    folder = scratch("events-long")
    log = attached(folder)
    log.add("error", "s", "c", "short", much="x" * 3000)
    log.add("error", "s", "c", "\x01" * 200)
    assert log.flush() is True
    first, second = log.stored()
    assert first["text"] == "short" and "much" not in first
    assert len(second["text"]) == 60


def test_a_flash_that_refuses_never_raises_and_is_logged_once():
    with Flash() as flash:
        log = attached(MOUNT)
        flash.device.fails = True
        for i in range(100):
            log.add("error", "s%d" % (i % 50), "code", "entry %d" % i)
            assert log.flush() is False
        refused = [entry for entry in log.since() if entry["code"] == "flash_refused"]
        assert len(refused) <= 1 and log.given_up > 0
        flash.device.fails = False
        assert log.flush() is True
        assert log.since()[-1]["code"] == "flash_works"
        assert list(log.stored())[-1]["text"] == "entry 99"


def test_a_missing_folder_never_raises():
    log = attached(scratch("events-missing") + "/missing")
    log.add("error", "s", "c", "t")
    assert log.flush() is False
    assert [entry["code"] for entry in log.since()] == ["flash_refused", "c"]
    assert list(log.stored()) == []


def test_random_bytes_on_flash_never_stop_the_start_and_are_logged():
    folder = scratch("events-noise")
    for seed in range(30):
        for name in ("events.0", "events.1", "events_seq.0", "events_seq.1"):
            write(folder + "/" + name, noise(seed * 20, seed))
        log = attached(folder)
        codes = [entry["code"] for entry in log.since()]
        assert "value_lost" in codes and ("journal_damaged" in codes or seed == 0), codes
        log.add("error", "s", "c", "works")
        assert log.flush() is True
        assert list(log.stored())[-1]["text"] == "works"


def test_numbers_of_wrong_type_on_flash_start_anew():
    from wallbox.storage.store import Store

    folder = scratch("events-types")
    for value in (None, "12", -5, [1], {"a": 1}, 1.5, True):
        Store(folder, "events_seq", 1, EventLog(Clock())).save(value)
        log = attached(folder)
        log.add("info", "s", "c", "t")
        assert 0 < log.since()[-1]["seq"] < 5000, (value, log.since())


def test_a_lost_reservation_skips_numbers_that_may_have_been_used():
    folder = scratch("events-lost")
    log = attached(folder)
    log.add("error", "s", "c", "on flash")
    log.flush()
    fill(log, 200)
    highest = log.since()[-1]["seq"]
    for slot in "01":
        if "events_seq." + slot in os.listdir(folder):
            os.remove(folder + "/events_seq." + slot)
    log = attached(folder)
    log.add("info", "s", "c", "t")
    assert log.since()[-1]["seq"] > highest


async def test_the_task_writes_what_comes_together_in_one_go():
    VirtualTime()
    log = attached(scratch("events-task"))
    task = asyncio.create_task(log.run())
    for i in range(3):
        log.add("error", "s%d" % i, "c", "t")
    await asyncio.sleep_ms(500)
    assert list(log.stored()) == [], "flash was busy while the contactor may still be opening"
    await asyncio.sleep_ms(1000)
    assert len(list(log.stored())) == 3
    task.cancel()


async def test_the_task_tries_again_when_flash_refused():
    time = VirtualTime()
    with Flash() as flash:
        log = attached(MOUNT)
        task = asyncio.create_task(log.run())
        flash.device.fails = True
        log.add("error", "s", "c", "t")
        await asyncio.sleep_ms(10_000)
        flash.device.fails = False
        await asyncio.sleep_ms(60_000)
        assert [entry["code"] for entry in log.stored()] == ["c", "flash_refused"], time.now_ms
        task.cancel()


def test_a_power_cut_at_any_write_never_gives_a_number_twice():
    def prepare(folder):
        return {"used": 0, "flushed": 0}

    def use(log, state):
        for entry in log.since():
            state["used"] = max(state["used"], entry["seq"])

    def run(folder, state):
        for start in range(2):
            log = attached(folder)
            for i in range(20):
                fill(log, 30)
                log.add("error", "e%d" % i, "code", "error %d.%d" % (start, i))
                use(log, state)
                log.flush()
                state["flushed"] += 1

    def check(folder, state):
        log = attached(folder)
        log.add("info", "s", "c", "after the cut")
        assert log.since()[0]["seq"] > state["used"], (log.since()[0], state)
        stored = list(log.stored())
        assert len(stored) - state["flushed"] in (0, 1), (len(stored), state)
        assert numbers(stored) == sorted(set(numbers(stored)))

    cuts = cut_everywhere(prepare, run, check)
    assert cuts > 80, cuts


def test_the_ring_gives_back_in_order_what_was_put():
    ring = Ring(4)
    assert ring.get() is None
    for turn in range(10):
        for i in range(3):
            ring.put(i, -turn, 1000000 * turn)
        for i in range(3):
            assert ring.get() == (i, -turn, 1000000 * turn)
        assert ring.get() is None


def test_a_full_ring_keeps_what_came_first_and_counts_the_rest():
    ring = Ring(3)
    for i in range(8):
        ring.put(i)
    assert ring.waiting == 3 and ring.lost == 5
    assert [ring.get()[0] for _ in range(3)] == [0, 1, 2]
    ring.put(9)
    assert ring.get() == (9, 0, 0)


def test_putting_into_the_ring_allocates_nothing():
    ring = Ring(8)

    def put():
        for i in range(20):
            ring.put(i, -i, 70000 + i)

    micropython.heap_lock()
    try:
        put()
    finally:
        micropython.heap_unlock()
    assert ring.waiting == 8 and ring.lost == 12


def paged(log):
    found, place = [], (0, 0)
    while place is not None:
        entries, place = log.page(place)
        assert len(entries) <= 4
        found += entries
    return found


def test_pages_bring_what_flash_kept_of_former_starts_and_then_all_in_ram():
    folder = scratch("events-pages")
    log = attached(folder)
    fill(log, 9, "warning")
    log.flush()
    log = attached(folder)
    fill(log, 3)
    for number in range(3):
        log.add("error", "t%d" % number, "code", "error %d" % number)
    log.flush()
    entries = paged(log)
    assert [entry["level"] for entry in entries] == ["warning"] * 9 + ["info"] * 3 + ["error"] * 3, entries
    assert numbers(entries) == sorted(set(numbers(entries)))
    assert entries[-1]["seq"] == log.sequence


def test_pages_of_a_log_without_flash_bring_what_is_in_ram():
    log = EventLog(Clock())
    assert paged(log) == []
    fill(log, 10)
    assert paged(log) == log.since(0)
