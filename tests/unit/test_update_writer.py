"""Writing a container into a slot: whole or no firmware at all, whatever piece sizes, cuts and refusals of flash."""

import asyncio

from update_help import KEYS, Slots, container, content, keep, kept, put, run, unsigned

from hal import slots
from loader import record as records
from loader import start
from loader.header import Refused
from plant.board import PowerCut
from wallbox.update.container import check
from wallbox.update.writer import Writer

OLD, NEW = content(6_000, 1), content(9_000, 2)
# Signed once: it takes its time.
FIRST, SECOND = container(OLD, version="1"), container(NEW, version="2", counter=2)
PIECE = 240


async def judge(header):
    await check(header, slots, 0, KEYS)


async def trusting(_header):
    """Judges nothing, for what is about writing alone."""


def writer(data=None, slot=1, judge=trusting):
    return Writer(slots, slot, None if data is None else len(data), judge)


def send(target, data, piece=PIECE):
    while target.offset < len(data):
        run(target.write(data[target.offset : target.offset + piece]))


def refusal(call, *arguments):
    try:
        run(call(*arguments))
    except Refused as error:
        return error.code
    raise AssertionError("nothing was refused")


def stored(slot=1):
    """The version that a slot holds, None for none that is whole."""
    found = start.sound(slots, slot)
    return None if found is None else found.version


def test_a_container_lies_in_the_slot_as_it_was_sent_in_pieces_of_any_size():
    for piece in (1, 7, PIECE, 4_095, 4_096, 4_097, 8_192, len(SECOND)):
        for size in (SECOND, None):
            with Slots():
                target = writer(size, judge=judge if piece == PIECE else trusting)
                send(target, SECOND, piece)
                assert target.offset == target.stored == len(SECOND)
                assert stored() is None, "a firmware before all was verified"
                run(target.finish())
                assert stored() == "2"
                found = bytearray(len(SECOND))
                slots.read(1, 0, found)
                assert found == SECOND


def test_what_was_in_the_slot_before_is_no_firmware_from_the_first_erased_sector_on():
    with Slots() as box:
        put(1, FIRST)
        target = writer(SECOND)
        run(target.write(SECOND[:4_095]))
        assert stored() == "1", "nothing is touched before the header is judged"
        box.flash.cut_at_write = 2
        try:
            run(target.write(SECOND[4_095:4_096]))
        except PowerCut:
            box.restart()
        assert stored() is None


def test_a_container_that_is_refused_leaves_what_was_there():
    wrong = container(NEW, unsigned)
    with Slots():
        put(1, FIRST)
        target = writer(wrong, judge=judge)
        assert refusal(target.write, wrong[:4_096]) == "signature"
        assert stored() == "1"
        target = writer(judge=judge)
        assert refusal(target.write, b"no firmware" * 1_000) == "magic"
        assert stored() == "1"


def test_a_file_of_another_length_than_its_header_says_is_refused():
    with Slots():
        assert refusal(writer(SECOND[:-1]).write, SECOND[:4_096]) == "truncated"
        assert refusal(writer(SECOND + b"x").write, SECOND[:4_096]) == "size"
        assert refusal(writer(b"x" * 100).write, SECOND[:100]) == "truncated"
        assert refusal(writer(SECOND[:5]).write, SECOND[:6]) == "size"
        target = writer()
        assert refusal(target.write, SECOND + b"x") == "size"


def test_what_is_not_complete_is_not_taken():
    with Slots():
        for count in (0, 100, 4_096, len(SECOND) - 1):
            target = writer()
            send(target, SECOND[:count])
            assert refusal(target.finish) == "truncated", count
            assert stored() is None


def test_a_content_that_is_not_what_was_signed_is_not_taken():
    for at in (4_096, 9_000, len(SECOND) - 1):
        spoilt = SECOND[:at] + bytes((SECOND[at] ^ 1,)) + SECOND[at + 1 :]
        with Slots():
            target = writer(spoilt)
            send(target, spoilt)
            assert refusal(target.finish) == "damaged"
            assert stored() is None


def test_a_cut_of_the_link_goes_on_from_what_is_stored():
    with Slots():
        target = writer(SECOND)
        send(target, SECOND[:9_000])
        assert target.stored == 8_192
        again = writer(SECOND, judge=judge)
        assert run(again.go_on(target.head, target.stored, target.crc))
        assert again.offset == again.stored == 8_192
        send(again, SECOND)
        run(again.finish())
        assert stored() == "2"


def test_what_was_written_over_meanwhile_is_not_gone_on_with():
    with Slots():
        target = writer(SECOND)
        send(target, SECOND[:8_192])
        slots.erase(1, 1)
        slots.write(1, 4_096, bytes(4_096))
        again = writer(SECOND)
        assert not run(again.go_on(target.head, target.stored, target.crc))
        assert (again.offset, again.stored, again.head, again.header) == (0, 0, None, None)
        send(again, SECOND)
        run(again.finish())
        assert stored() == "2"
        # Nor is what belongs to another header, or to no place that there can be.
        for head, at, crc in (
            (FIRST[:4_096], target.stored, target.crc),
            (target.head, 4_095, target.crc),
            (target.head, 0, target.crc),
            (target.head, -4_096, target.crc),
            (target.head, slots.SLOT_BYTES + 4_096, target.crc),
            (target.head, target.stored, target.crc ^ 1),
        ):
            assert not run(writer(SECOND).go_on(head, at, crc)), at


def test_what_is_complete_is_gone_on_with_too():
    with Slots():
        target = writer(SECOND)
        send(target, SECOND)
        again = writer(SECOND)
        assert run(again.go_on(target.head, target.stored, target.crc)) and again.complete
        run(again.finish())
        assert stored() == "2"


def test_a_cut_of_the_supply_at_any_write_never_makes_half_a_firmware_and_what_was_marked_is_kept():
    cuts = 0
    through = False
    while not through:
        cuts += 1
        with Slots() as box:
            put(1, FIRST)
            put(0, FIRST)
            keep(good=0, counter=1)
            target = writer(SECOND)
            box.flash.cut_at_write = cuts
            mark = None
            try:
                while target.offset < len(SECOND):
                    run(target.write(SECOND[target.offset : target.offset + PIECE]))
                    if target.stored:
                        mark = target.head, target.stored, target.crc
                run(target.finish())
                through = True
            except PowerCut:
                box.restart()
            # Before the record says so nothing of it is started.
            assert kept().good == 0 and kept().trial is None and stored(0) == "1"
            assert stored() in (None, "1", "2")
            again = writer(SECOND)
            if mark:
                assert run(again.go_on(*mark)), cuts
                assert again.offset == mark[1]
            send(again, SECOND)
            run(again.finish())
            assert stored() == "2", cuts
    # The header erased; each of three sectors, and then the header, erased and written.
    assert cuts - 1 == 9, cuts


def test_what_is_there_already_is_not_written_again():
    with Slots() as box:
        put(1, FIRST)
        before = box.flash.writes
        target = writer(FIRST)
        send(target, FIRST)
        run(target.finish())
        # The header goes, and comes.
        assert box.flash.writes - before == 3, box.flash.writes - before


def test_a_cut_at_any_write_of_a_whole_update_leaves_a_box_that_starts():
    """Received, tried, committed or rolled back: after each cut the loader finds the old or the new firmware whole."""
    for healthy in (True, False):
        through = False
        cuts = 0
        seen = set()
        while not through:
            cuts += 1
            with Slots() as box:
                put(0, FIRST)
                put(1, FIRST)
                keep(good=0, counter=1)
                box.flash.cut_at_write = cuts
                try:
                    target = writer(SECOND)
                    send(target, SECOND, 4_096)
                    run(target.finish())
                    record = kept()
                    record.begin(1, "2")
                    slots.save(record.pack())
                    for _ in range(3):
                        slot = chosen()
                        record = kept()
                        if healthy and slot == record.trial:
                            record.commit(2)
                            slots.save(record.pack())
                    through = True
                except PowerCut:
                    pass
                box.restart()
                slot = chosen()
                assert slot is not None, cuts
                seen.add(stored(slot))
                if through:
                    assert (stored(slot), kept().counter) == (("2", 2) if healthy else ("1", 1))
                else:
                    assert kept().counter in (1, 2)
        assert cuts > 12 and seen == {"1", "2"}, (cuts, seen)


def chosen():
    """What the loader would start, without starting it."""
    record = kept()
    slot = start.choose(record, lambda slot: start.sound(slots, slot) is not None)
    slots.save(record.pack())
    return slot


def test_a_flash_that_refuses_or_forgets_is_told():
    with Slots() as box:
        target = writer(SECOND)
        box.flash.fails = True
        try:
            send(target, SECOND)
        except OSError as error:
            assert error.errno == 5
        else:
            raise AssertionError("written to a broken flash")
        box.flash.fails = False
        target = writer(SECOND)
        write = slots.write
        slots.write = lambda slot, at, data: write(slot, at, b"\x00" + bytes(data[1:]))
        try:
            send(target, SECOND)
        except OSError as error:
            assert "did not keep" in str(error)
        else:
            raise AssertionError("not read back")
        finally:
            slots.write = write


def test_writing_and_verifying_give_the_event_loop_its_turn_after_each_sector():
    with Slots():
        put(1, FIRST)
        turns = []

        async def count():
            while True:
                turns.append(1)
                await asyncio.sleep_ms(0)

        async def work():
            task = asyncio.create_task(count())
            target = writer(SECOND)
            for at in range(0, len(SECOND), slots.SECTOR):
                before = len(turns)
                await target.write(SECOND[at : at + slots.SECTOR])
                # Of the header nothing is written yet.
                assert len(turns) - before >= (3 if at else 1), at
            before = len(turns)
            await target.finish()
            assert len(turns) - before >= len(NEW) // 1_024
            task.cancel()

        run(work())
        assert stored() == "2"


def test_a_record_that_begins_a_trial_has_no_memory_of_the_last_one():
    with Slots():
        record = keep(good=0, ended=records.ROLLED_BACK, told=False, reason="it hangs", version="1")
        record.begin(1, "2")
        assert (record.ended, record.reason, record.version, record.tries) == (records.NOTHING, "", "2", 2)
