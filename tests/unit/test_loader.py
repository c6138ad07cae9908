"""The loader: every state of record and slots, with the supply cut at every write; what is damaged is never started."""

import sys

import vfs
from update_help import Slots, container, content, head, keep, kept, manifest, put, unsigned

import loader
from hal import slots
from loader import record as records
from loader import start
from loader.header import Refused
from plant.board import PowerCut

OLD, NEW = content(3_000, 1), content(5_000, 2)
FORMS = (None, "old", "new", "damaged", "other board", "other mpy", "half")


def fill(slot, form):
    """Bring a slot into one of the forms."""
    if form is None:
        return
    romfs = OLD if form == "old" else NEW
    changes = {"counter": 1 if form == "old" else 2, "version": form}
    if form == "other board":
        changes["board"] = "wallbox-s3-1"
    elif form == "other mpy":
        changes["mpy"] = "6.2"
    data = container(romfs, unsigned, **changes)
    if form == "damaged":
        data = data[:-1] + bytes((data[-1] ^ 1,))
    if form == "half":
        # The header was not written yet.
        data = b"\xff" * slots.SECTOR + data[slots.SECTOR :]
    put(slot, data)


def whole(form):
    return form in ("old", "new")


class Mounts:
    """Stands in for what mounts, since the contents here are no ROMFS."""

    def __enter__(self):
        self.started = []
        self._mount = start.mount
        start.mount = self.mount

    def mount(self, _slots, slot, size):
        self.started.append((slot, size))
        loader.running = slot

    def __exit__(self, kind, value, trace):
        start.mount = self._mount


def states():
    """Every record that there can be, None for none."""
    yield None
    for good in (0, 1):
        yield {"good": good, "counter": 1}
        for tries in (0, 1, 2):
            yield {"good": good, "trial": 1 - good, "tries": tries, "counter": 1, "version": "new"}


def expected(state, forms):
    """(slot that must start, whether it is on trial) by the rules alone."""
    sound = [whole(form) for form in forms]
    if state is None:
        # The higher counter; nobody comes back below it.
        if all(sound):
            return (1 if forms == ("old", "new") else 0), False
        return (0 if sound[0] else 1 if sound[1] else None), False
    good, trial = state["good"], state.get("trial")
    if trial is not None and sound[trial] and (state["tries"] or not sound[good]):
        return trial, True
    if sound[good]:
        return good, False
    return (1 - good if sound[1 - good] else None), False


def test_every_record_with_every_pair_of_slots_starts_what_is_whole_and_nothing_else():
    count = 0
    for state in states():
        for a in FORMS:
            for b in FORMS:
                with Slots(), Mounts():
                    fill(0, a)
                    fill(1, b)
                    if state is not None:
                        keep(**state)
                    slot, on_trial = expected(state, (a, b))
                    found = start.prepare(slots)
                    assert found == slot, (state, a, b, found, slot)
                    assert loader.running == slot
                    record = kept()
                    if slot is None:
                        continue
                    assert record is not None and (record.trial == slot) == on_trial, (state, a, b)
                    if on_trial and state is not None and state["tries"]:
                        assert record.tries == state["tries"] - 1
                    if not on_trial:
                        assert record.good == slot and record.trial is None
                    if state and state.get("trial") is not None and not on_trial:
                        assert record.ended == records.ROLLED_BACK and record.reason and not record.told
                    assert record.counter >= (1 if state else 0)
                    count += 1
    assert count > 200, count


def test_a_cut_at_any_write_of_any_start_leaves_a_box_that_starts():
    cuts = 0
    for state in states():
        for forms in (("old", "new"), ("new", "old"), ("old", "damaged"), ("half", "new"), ("old", None)):
            at = 0
            through = False
            while not through:
                at += 1
                with Slots() as box, Mounts():
                    for slot in (0, 1):
                        fill(slot, forms[slot])
                    if state is not None:
                        keep(**state)
                    box.flash.cut_at_write = at
                    try:
                        start.prepare(slots)
                        through = True
                    except PowerCut:
                        cuts += 1
                    box.restart()
                    found = start.prepare(slots)
                    assert found is not None and whole(forms[found]), (state, forms, at, found)
    assert cuts >= 40, cuts


def test_a_firmware_on_trial_has_two_starts_then_the_former_one_comes_back_with_the_reason():
    with Slots(), Mounts():
        fill(0, "old")
        fill(1, "new")
        record = keep(good=0, counter=1)
        record.begin(1, "new")
        slots.save(record.pack())
        found = []
        for _ in range(4):
            found.append(start.prepare(slots))
        assert found == [1, 1, 0, 0], found
        record = kept()
        assert (record.good, record.trial, record.counter) == (0, None, 1)
        assert record.ended == records.ROLLED_BACK and "did not come to prove" in record.reason


def test_the_reason_that_the_new_firmware_gave_outlives_the_roll_back():
    with Slots(), Mounts():
        fill(0, "old")
        fill(1, "new")
        keep(good=0, trial=1, tries=0, version="new", reason="the control loop is late")
        assert start.prepare(slots) == 0
        assert (kept().reason, kept().version) == ("the control loop is late", "new")


def test_a_commit_makes_the_trial_the_good_one_and_raises_the_counter_for_ever():
    with Slots(), Mounts():
        fill(0, "old")
        fill(1, "new")
        record = keep(good=0, trial=1, tries=1, counter=5, version="new")
        record.commit(2)
        assert (record.good, record.trial, record.counter) == (1, None, 5)
        record.trial = 0
        record.commit(9)
        assert (record.good, record.counter) == (0, 9)


def test_a_trial_whose_tries_cannot_be_counted_is_not_started():
    with Slots() as box, Mounts():
        fill(0, "old")
        fill(1, "new")
        keep(good=0, trial=1, tries=2, version="new")
        box.flash.fails = True
        assert start.prepare(slots) == 0
        box.flash.fails = False
        assert start.prepare(slots) == 1


def test_a_record_that_cannot_be_read_is_not_written_over():
    with Slots(), Mounts():
        fill(0, "old")
        fill(1, "new")
        keep(good=0, counter=1)
        load = slots.load

        def fails():
            raise OSError(5)

        slots.load = fails
        try:
            # Nothing is known: the one with the higher counter may have been kept.
            assert start.prepare(slots) == 1
        finally:
            slots.load = load
        assert kept().counter == 1 and start.prepare(slots) == 0


def test_what_is_read_only_without_a_record_is_tried_no_more_than_it_can_be_counted():
    with Slots(), Mounts():
        fill(0, "old")
        put(1, container(NEW, unsigned, counter=1, version="later", built="2027-01-01T00:00:00Z"))
        load = slots.load

        def fails():
            raise OSError(5)

        slots.load = fails
        try:
            for _ in range(3):
                assert start.prepare(slots) == 0
        finally:
            slots.load = load


def test_a_lost_record_brings_no_firmware_back_that_is_older_than_what_was_kept():
    for newer in (0, 1):
        with Slots(), Mounts():
            fill(newer, "new")
            fill(1 - newer, "old")
            slots.save(b"")
            # However often the supply is cut before it could prove itself.
            for _ in range(5):
                assert start.prepare(slots) == newer
                assert (kept().counter, kept().good, kept().trial) == (2, newer, None)


def test_without_a_record_the_later_built_of_two_that_may_run_has_to_prove_itself():
    for newer in (0, 1):
        with Slots(), Mounts():
            put(newer, container(NEW, unsigned, version="later", built="2027-01-01T00:00:00Z"))
            put(1 - newer, container(OLD, unsigned, version="former"))
            assert [start.prepare(slots) for _ in range(3)] == [newer, newer, 1 - newer]
            assert (kept().version, kept().ended, kept().counter) == ("later", records.ROLLED_BACK, 1)


def test_the_same_firmware_in_both_slots_is_no_trial():
    with Slots(), Mounts():
        fill(0, "old")
        fill(1, "old")
        assert start.prepare(slots) == 0 and kept().trial is None


def test_a_firmware_below_the_counter_that_was_kept_is_not_started_though_the_good_one_is_damaged():
    with Slots(), Mounts():
        fill(0, "old")
        fill(1, "damaged")
        keep(good=1, counter=2)
        assert start.prepare(slots) is None and loader.running is None
        # Nor is one that somebody has put on trial.
        fill(1, "new")
        keep(good=1, trial=0, tries=2, counter=2)
        assert start.prepare(slots) == 1


def test_a_damaged_record_is_as_good_as_none():
    record = records.Record(1, 7)
    record.begin(0, "1.2.3")
    record.reason = "grün"
    data = record.pack()
    again = records.unpack(data)
    assert (again.good, again.trial, again.tries, again.counter) == (1, 0, 2, 7)
    assert (again.version, again.reason, again.told) == ("1.2.3", "grün", True)
    for at in range(len(data)):
        for bit in (1, 0x80):
            spoilt = bytearray(data)
            spoilt[at] ^= bit
            assert records.unpack(bytes(spoilt)) is None, at
    for end in range(len(data)):
        assert records.unpack(data[:end]) is None
    assert records.unpack(data + b"x") is None


def test_a_record_with_slots_that_cannot_be_is_none():
    for good, trial in ((2, 255), (0, 0), (1, 1), (0, 2), (0, 254)):
        record = records.Record(good)
        record.trial = trial
        assert records.unpack(record.pack()) is None, (good, trial)


def test_a_long_reason_is_shortened_and_still_read():
    record = records.Record()
    record.version = "1.0"
    record.reason = "ä" * 300
    assert len(record.pack()) <= 256
    again = records.unpack(record.pack())
    assert again.version == "1.0" and again.reason == "ä" * 98, len(again.reason)


def test_a_header_tells_why_a_slot_cannot_be_started():
    for form, code in ((None, "magic"), ("half", "magic"), ("other board", "board"), ("other mpy", "mpy")):
        with Slots():
            fill(0, form)
            try:
                start.header(slots, 0)
            except Refused as error:
                assert error.code == code, (form, error.code)
            else:
                raise AssertionError(form)


def test_a_size_beyond_the_slot_is_never_read():
    with Slots():
        put(0, head(manifest(OLD, size=slots.SLOT_BYTES - slots.SECTOR + 1), sign=unsigned))
        assert start.sound(slots, 0) is None


def test_what_is_mounted_is_the_slots_content_and_comes_first():
    # The smallest ROMFS: its magic, and a length; in it a file m.py.
    name, text = b"m.py", b"where = 'slot'\n"
    data = bytes((2, len(text))) + text
    file = bytes((5, 1 + len(name) + len(data), len(name))) + name + data
    romfs = b"\xd2\xcd1" + bytes((len(file),)) + file
    romfs += b"\x00" * (len(romfs) % 2)
    with Slots():
        put(1, container(romfs, unsigned))
        keep(good=1)
        path = list(sys.path)
        try:
            assert start.prepare(slots) == 1
            assert sys.path[0] == "/rom" and slots.running() == 1
            assert __import__("m").where == "slot"
        finally:
            sys.path[:] = path
            sys.modules.pop("m", None)
            vfs.umount("/rom")


def test_the_record_on_flash_is_old_or_new_after_a_cut_at_any_write():
    for at in (1, 2):
        for before in (b"", b"first", b"x" * 256):
            with Slots() as box:
                if before:
                    slots.save(before)
                box.flash.cut_at_write = at
                try:
                    slots.save(b"second")
                except PowerCut:
                    box.restart()
                else:
                    raise AssertionError("no cut")
                assert slots.load() == before
                slots.save(b"third")
                assert slots.load() == b"third"


def test_a_slot_takes_bytes_only_where_it_is_erased():
    with Slots():
        slots.write(0, 112, b"abcd" * 8)
        try:
            slots.write(0, 128, b"d" * 16)
        except ValueError as error:
            assert "not erased" in str(error)
        else:
            raise AssertionError("written twice")
        slots.erase(0, 0)
        buf = bytearray(3)
        slots.read(0, 100, buf)
        assert buf == b"\xff\xff\xff"
