"""The queue of messages: one order over restarts, little flash, and whatever is damaged costs itself only."""

import asyncio
import os

from ocpp_queue_help import NOON, Clock
from storage_help import MOUNT, Flash, Log, noise, read, scratch, write
from virtual_time import VirtualTime

from ocpp.queue import VALUES_BYTES, Full, Queue
from wallbox.storage.store import Store

START = ["04A1B2C3D4E5F6", 1234567, None, 0]


def queue(folder, log=None, online=False, utc=NOON, **options):
    log = log or Log()
    made = Queue(folder, Store(folder, "ocpp_queue", 1, log), Clock(VirtualTime(), utc), log, **options)
    made.online = online
    return made


def put(target, kind, *fields):
    return target.append(kind, target.stamp() + list(fields))


def drain(target):
    """All that waits, delivered."""
    found = []
    head = target.head()
    while head:
        found.append((head[1], head[2][3:]))
        target.done(head[0])
        head = target.head()
    return found


async def counted(target):
    while target.count():
        pass
    return target.waiting


def test_kinds_keep_their_order_over_a_restart_and_what_is_done_stays_done():
    folder = scratch("oq-order")
    first = queue(folder)
    expected = []
    for number in range(20):
        for kind in ("values", "start", "values", "stop"):
            put(first, kind, number)
            expected.append((kind, [number]))
    assert first.waiting == 80
    for _ in range(30):
        first.done(first.head()[0])
    assert first.waiting == 50
    second = queue(folder)
    assert asyncio.run(counted(second)) == 50
    put(second, "start", 99)
    assert second.waiting == 51
    assert drain(second) == expected[30:] + [("start", [99])]
    assert second.waiting == 0 and queue(folder).head() is None


def test_only_the_head_can_be_done():
    target = queue(scratch("oq-done"))
    put(target, "start", 1)
    put(target, "stop", 2)
    target.done(target.head()[0] + 1)
    target.done(target.head()[0] - 1)
    assert drain(target) == [("start", [1]), ("stop", [2])]
    target.done(5)


def test_ids_are_the_same_after_a_restart_and_never_given_twice():
    folder = scratch("oq-ids")
    used = set()
    kept = None
    for turn in range(20):
        target = queue(folder, online=True)
        if turn % 2:
            sequence, _, record = target.head()
            assert record[3] == turn - 1 and target.message_id(sequence) == kept
        for _ in range(turn):
            sequence = put(target, "values", 0)
            message_id = target.message_id(sequence)
            assert message_id not in used and len(message_id) <= 36
            used.add(message_id)
        drain(target)
        sequence = put(target, "start", turn)
        kept = target.message_id(sequence)
        assert kept not in used
        used.add(kept)
    assert queue(scratch("oq-other")).message_id(1) != queue(folder).message_id(1)


def test_values_of_an_online_box_never_touch_the_flash():
    with Flash() as flash:
        target = queue(MOUNT, online=True)
        put(target, "start", 1)
        drain(target)
        writes = flash.device.writes
        for _ in range(60):
            put(target, "values", 5)
            drain(target)
        assert flash.device.writes == writes, flash.device.writes - writes


def test_values_are_written_when_the_link_is_lost_and_keep_their_ids():
    folder = scratch("oq-lost")
    target = queue(folder, online=True)
    for number in range(3):
        put(target, "values", number)
    sequence = target.head()[0]
    assert not os.listdir(folder) or not any(name.startswith("omv") for name in os.listdir(folder))
    target.online = False
    target.flush()
    put(target, "values", 3)
    again = queue(folder)
    assert again.head()[0] == sequence and again.message_id(sequence) == target.message_id(sequence)
    assert drain(again) == drain(target) == [("values", [number]) for number in range(4)]


def test_values_that_nobody_takes_are_written_though_the_link_seems_to_be_up():
    folder = scratch("oq-dead")
    target = queue(folder, online=True)
    for number in range(12):
        put(target, "values", number)
    assert len(drain(queue(folder))) >= 8
    assert len(drain(target)) == 12


def test_an_answer_that_comes_after_the_values_were_written_ends_them_all_the_same():
    folder = scratch("oq-late")
    target = queue(folder, online=True)
    put(target, "values", 1)
    put(target, "values", 2)
    sequence = target.head()[0]
    target.flush()
    target.done(sequence)
    assert target.head()[2][3:] == [2]
    assert drain(queue(folder)) == [("values", [2])]


def test_files_of_delivered_messages_go():
    folder = scratch("oq-files")
    target = queue(folder)
    for number in range(400):
        put(target, "start", *START)
        put(target, "values", number)
        put(target, "stop", number)
    assert len(os.listdir(folder)) > 15
    drain(target)
    assert len(os.listdir(folder)) <= 4, os.listdir(folder)


def test_the_file_of_a_running_transaction_is_kept_until_it_ends():
    folder = scratch("oq-keep")
    target = queue(folder)
    sequence = put(target, "start", *START)
    for number in range(400):
        # What else is written to the journal meanwhile, only faster.
        target._put(target._tx, 3, [target._boot, number])
        target._write(False)
    drain(target)
    put(target, "values", 1)
    drain(target)
    again = queue(folder)
    found = again.unfinished()
    assert found[0] == sequence and found[1][3:] == START
    put(again, "stop", 5)
    drain(again)
    assert queue(folder).unfinished() is None
    assert len(os.listdir(folder)) <= 4, os.listdir(folder)


def test_the_oldest_values_go_first_and_starts_and_stops_stay():
    folder = scratch("oq-drop")
    log = Log()
    target = queue(folder, log)
    put(target, "start", *START)
    count = 0
    while "values_dropped" not in log.codes():
        put(target, "values", 1, 1, 5, [[1234567, 1, 1]])
        count += 1
    print("value records with a register alone:", count)
    assert count > 1300, count
    put(target, "stop", 7)
    waiting = target.waiting
    again = queue(folder)
    assert asyncio.run(counted(again)) == waiting, (waiting, again.waiting)
    found = drain(again)
    assert len(found) == waiting and [found[0][0], found[-1][0]] == ["start", "stop"]
    size = sum(os.stat(folder + "/" + name)[6] for name in os.listdir(folder) if name.startswith("omv"))
    assert size <= VALUES_BYTES


def test_a_day_of_usual_values_is_as_long_as_promised():
    log = Log()
    target = queue(scratch("oq-usual"), log)
    count = 0
    packed = [[1234567, 1, 1], [11040, 2, 2], ["16.0", 3, 3, 1], ["16.0", 3, 3, 2], ["16.0", 3, 3, 3], [16, 5, 3]]
    while "values_dropped" not in log.codes():
        put(target, "values", 1, 1, 5, packed)
        count += 1
    print("usual value records:", count)
    assert count > 650, count


def test_full_is_told_before_anything_is_queued():
    target = queue(scratch("oq-full"), bytes_kept=(5 * 4096, 4096))
    last = None
    try:
        while True:
            put(target, "start", *START)
            last = target.last
            put(target, "stop", "x" * 900)
    except Full:
        assert target.last == last + 1
    assert target._tx.spare() >= 1
    assert not target.room()
    drain(target)
    assert target.room()


def test_a_record_that_is_too_long_is_refused_with_the_limit():
    target = queue(scratch("oq-long"))
    try:
        put(target, "stop", "x" * 1000)
        raise AssertionError("accepted")
    except ValueError as error:
        assert "1000" in str(error)
    assert target.head() is None and target.waiting == 0


# Damage


def filled(folder):
    target = queue(folder)
    for number in range(60):
        put(target, "start", number)
        put(target, "values", number)
        put(target, "stop", number)
    return target


def rest_is_kept(folder, name, kinds):
    log = Log()
    target = queue(folder, log)
    while target.count():
        pass
    found = drain(target)
    for kind in ("start", "values", "stop"):
        numbers = [fields[0] for found_kind, fields in found if found_kind == kind]
        assert numbers == sorted(set(numbers)), numbers
        if kind not in kinds:
            assert numbers == list(range(60)), (name, kind, numbers)
    put(target, "start", 99)
    assert drain(target) == [("start", [99])]
    return log, found


def test_a_file_that_was_cut_short_keeps_the_rest():
    for name, kinds in (("otx.0", ("start", "stop")), ("otx.1", ("start", "stop")), ("omv.0", ("values",))):
        for tenths in range(10):
            folder = scratch("oq-short")
            filled(folder)
            whole = read(folder + "/" + name)
            left = len(whole) * tenths // 10
            write(folder + "/" + name, whole[:left])
            _, found = rest_is_kept(folder, name, kinds)
            assert 60 <= len(found) < 180, (name, left, len(found))


def test_a_file_of_garbage_is_told_and_keeps_the_rest():
    for name, kinds in (("otx.0", ("start", "stop")), ("otx.1", ("start", "stop")), ("omv.0", ("values",))):
        for seed in range(3):
            folder = scratch("oq-garbage")
            filled(folder)
            write(folder + "/" + name, noise(4000, seed))
            log, found = rest_is_kept(folder, name, kinds)
            assert log.codes() == ["queue_damaged"], log.entries
            assert 60 <= len(found) < 180, (name, len(found))


def test_a_flipped_bit_costs_one_record():
    folder = scratch("oq-flip")
    filled(folder)
    spoilt = bytearray(read(folder + "/otx.0"))
    spoilt[500] ^= 0x10
    write(folder + "/otx.0", spoilt)
    _, found = rest_is_kept(folder, "otx.0", ("start", "stop"))
    assert len(found) >= 178, len(found)


def test_a_file_that_is_missing_keeps_the_rest():
    folder = scratch("oq-missing")
    filled(folder)
    os.remove(folder + "/otx.0")
    rest_is_kept(folder, "otx.0", ("start", "stop"))


def test_a_state_without_sense_or_lost_brings_messages_again_under_new_ids():
    for state in (5, [], [1, 2, 3], [-1, "a", 5, 5, []], [1, "a", 5, 5, 6], {}, "x", [True, "a", 1, 1, []]):
        folder = scratch("oq-state")
        target = queue(folder)
        old = target.message_id(put(target, "start", 1))
        drain(target)
        Store(folder, "ocpp_queue", 1, Log()).save(state)
        log = Log()
        target = queue(folder, log)
        assert log.codes() == ["queue_state"], (state, log.entries)
        head = target.head()
        assert head[2][3:] == [1] and target.message_id(head[0]) != old


def test_the_note_is_kept_with_what_is_done():
    folder = scratch("oq-note")
    target = queue(folder)
    put(target, "start", 1)
    put(target, "stop", 1)
    target.done(target.head()[0], [1, 2, 3, 4, 5])
    assert queue(folder).note == [1, 2, 3, 4, 5]
    target.done(target.head()[0])
    assert queue(folder).note == [1, 2, 3, 4, 5]


def test_the_state_costs_no_erase_for_most_saves():
    with Flash() as flash:
        target = queue(MOUNT)
        target.note = [1234567, 2147483647, NOON, 1234, NOON]
        for number in range(200):
            put(target, "stop", number)
        erases = flash.device.erases
        for _ in range(200):
            target.done(target.head()[0], target.note)
        print("erases of 200 saves:", flash.device.erases - erases)
        assert flash.device.erases - erases <= 40, flash.device.erases - erases


def test_a_flash_that_refuses_a_start_writes_it_with_the_next_record():
    with Flash() as flash:
        log = Log()
        target = queue(MOUNT, log)
        flash.device.fails = True
        try:
            put(target, "start", 1)
            raise AssertionError("no error")
        except OSError:
            assert target.head()[2][3:] == [1] and not target.saved()
        flash.device.fails = False
        put(target, "stop", 1)
        assert target.saved() and log.codes() == ["flash_refused", "flash_works"]
        assert drain(queue(MOUNT)) == [("start", [1]), ("stop", [1])]


def test_a_record_that_a_refused_write_brought_twice_comes_once():
    folder = scratch("oq-twice")
    target = queue(folder)
    put(target, "start", 1)
    put(target, "stop", 1)
    whole = read(folder + "/otx.0")
    write(folder + "/otx.0", whole + whole)
    assert drain(queue(folder)) == [("start", [1]), ("stop", [1])]


# Time


def test_a_stamp_for_an_aligned_sample_keeps_its_instant():
    target = queue(scratch("oq-stamp"))
    assert target.stamp()[1:] == [0, NOON]
    assert target.stamp(NOON - 3)[1:] == [-3, NOON - 3]
    assert target.stamp(NOON - 100000)[1:] == [0, NOON], "no instant near now"
    unknown = queue(scratch("oq-stamp"), utc=None)
    assert unknown.stamp()[1:] == [0, 0]


def test_marks_are_written_once_and_no_message_of_their_own():
    folder = scratch("oq-marks")
    target = queue(folder, utc=None)
    put(target, "start", 1)
    put(target, "stop", 1)
    target._clock.set_utc_s(NOON)
    for _ in range(5):
        assert target.head()[1] == "start"
    assert read(folder + "/otx.0").count(b"\n") == 3
    again = queue(folder)
    assert asyncio.run(counted(again)) == 2
    assert asyncio.run(again.utc(again.head()[2][:3])) == NOON
    assert len(drain(again)) == 2


def test_boots_are_told_apart_though_nothing_was_delivered():
    folder = scratch("oq-boots")
    boots = []
    for _ in range(5):
        target = queue(folder, utc=None)
        put(target, "values", 1)
        boots.append(target.stamp()[0])
    assert len(set(boots)) == 5 and boots == sorted(boots), boots


def test_the_queue_reads_in_short_steps_after_months_offline():
    folder = scratch("oq-steps")
    target = queue(folder)
    for number in range(600):
        put(target, "start", *START)
        put(target, "stop", number)
    again = queue(folder)
    steps = [0]
    while again.count():
        steps.append(again.waiting)
    steps.append(again.waiting)
    assert again.waiting == 1200
    assert max(later - sooner for sooner, later in zip(steps, steps[1:])) <= 8, steps
