"""The journal: what was appended is there, in order, whatever happens to the files."""

import os

from storage_help import MOUNT, Flash, cut_everywhere, noise, read, scratch, write

from journal import Journal


def numbered(first, last):
    return [b"record %d" % i for i in range(first, last + 1)]


def test_records_come_back_in_order_after_a_restart():
    folder = scratch("journal-order")
    journal = Journal(folder, "j")
    journal.append(b"record 1")
    journal.extend(numbered(2, 5))
    assert list(journal.records()) == numbered(1, 5)
    again = Journal(folder, "j")
    again.append(b"record 6")
    assert list(again.records()) == numbered(1, 6), list(again.records())
    assert again.last() == b"record 6"
    assert again.damaged == 0


def test_an_empty_or_missing_folder_is_an_empty_journal():
    journal = Journal(scratch("journal-empty") + "/missing", "j")
    assert list(journal.records()) == []
    assert journal.last() is None
    try:
        journal.append(b"x")
        raise AssertionError("append without a folder must raise")
    except OSError:
        assert journal.damaged == 0


def test_an_empty_record_is_a_record():
    journal = Journal(scratch("journal-nothing"), "j")
    journal.append(b"")
    assert list(journal.records()) == [b""]


def test_too_long_records_and_newlines_are_refused_with_a_reason():
    journal = Journal(scratch("journal-refuse"), "j")
    for record in (bytes(1001), b"two\nlines"):
        try:
            journal.append(record)
            raise AssertionError("accepted %d bytes" % len(record))
        except ValueError as error:
            assert "1000" in str(error)
    journal.append(b"x" * 1000)
    assert journal.last() == b"x" * 1000


def test_the_oldest_file_goes_when_the_journal_is_full():
    folder = scratch("journal-rotate")
    journal = Journal(folder, "j", files=3, file_bytes=200)
    for record in numbered(1, 100):
        journal.append(record)
    kept = list(journal.records())
    assert kept == numbered(101 - len(kept), 100)
    assert 2 * 200 // 20 <= len(kept) <= 3 * 200 // 18, len(kept)
    assert len(os.listdir(folder)) == 3, os.listdir(folder)
    assert all(os.stat(folder + "/" + name)[6] <= 200 for name in os.listdir(folder))


def test_a_batch_longer_than_a_file_is_spread_over_files():
    folder = scratch("journal-batch")
    journal = Journal(folder, "j", files=4, file_bytes=100)
    journal.extend(numbered(1, 12))
    assert list(journal.records()) == numbered(1, 12)
    assert len(os.listdir(folder)) > 1


def test_a_torn_tail_costs_the_torn_record_only():
    folder = scratch("journal-torn")
    Journal(folder, "j").extend(numbered(1, 3))
    whole = read(folder + "/j.0")
    for cut in range(1, len(whole) + 1):
        write(folder + "/j.0", whole[:-cut])
        journal = Journal(folder, "j")
        before = list(journal.records())
        assert before == numbered(1, len(before)), before
        journal.append(b"new")
        assert list(journal.records()) == before + [b"new"], (cut, list(journal.records()))


def test_a_flipped_bit_costs_one_record_and_is_counted():
    folder = scratch("journal-flip")
    Journal(folder, "j").extend(numbered(1, 3))
    whole = read(folder + "/j.0")
    for at in range(len(whole)):
        spoilt = bytearray(whole)
        spoilt[at] ^= 0x10
        write(folder + "/j.0", spoilt)
        journal = Journal(folder, "j")
        records = list(journal.records())
        # A spoilt newline joins two lines.
        assert len(records) >= (1 if whole[at] == 0x0A else 2), (at, records)
        assert all(record in numbered(1, 3) for record in records), (at, records)
        assert journal.damaged >= 1


def test_random_bytes_never_raise():
    folder = scratch("journal-noise")
    for seed in range(40):
        write(folder + "/j.%d" % (seed % 2), noise(seed * 100, seed))
        write(folder + "/j.notes", b"not a file of the journal")
        journal = Journal(folder, "j")
        assert list(journal.records()) == []
        assert seed == 0 or journal.damaged > 0
        journal.append(b"after")
        assert journal.last() == b"after"
        os.remove(folder + "/j.%d" % (seed % 2))


def test_a_flash_that_refuses_loses_nothing_written_before():
    with Flash() as flash:
        journal = Journal(MOUNT, "j")
        journal.append(b"before")
        flash.device.fails = True
        try:
            journal.append(b"refused")
            raise AssertionError("a refusal must raise")
        except OSError:
            flash.device.fails = False
        journal.append(b"after")
        records = list(journal.records())
        assert records[0] == b"before" and records[-1] == b"after", records


def test_a_power_cut_at_any_write_leaves_every_appended_record():
    def prepare(folder):
        Journal(folder, "j", 3, 200).extend(numbered(1, 3))
        return {"done": 3}

    def run(folder, state):
        journal = Journal(folder, "j", 3, 200)
        for i in range(4, 40):
            journal.append(b"record %d" % i)
            state["done"] = i

    def check(folder, state):
        journal = Journal(folder, "j", 3, 200)
        kept = list(journal.records())
        last = int(kept[-1][7:])
        assert kept == numbered(last + 1 - len(kept), last), kept
        assert last - state["done"] in (0, 1), (last, state)
        assert len(kept) >= min(last, 18), "fewer than two full files: %d" % len(kept)
        assert journal.damaged == 0
        journal.append(b"next")
        assert journal.last() == b"next"

    cuts = cut_everywhere(prepare, run, check)
    assert cuts > 80, cuts


def paged(journal, count):
    found, place = [], (0, 0)
    while place is not None:
        records, place = journal.page(place, count)
        assert len(records) <= count
        found += records
    return found


def test_pages_bring_every_record_once_in_order():
    folder = scratch("journal-pages")
    journal = Journal(folder, "j", 3, 100)
    journal.extend([b"record %d" % number for number in range(12)])
    kept = list(journal.records())
    assert len(kept) > 6, kept
    for count in (1, 2, 5, 100):
        assert paged(journal, count) == kept, count
    assert Journal(folder, "none").page((0, 0), 5) == ([], None)


def test_pages_go_on_while_the_journal_grows_and_rotates():
    folder = scratch("journal-pages-grow")
    journal = Journal(folder, "j", 2, 60)
    journal.extend([b"record %d" % number for number in range(6)])
    first, place = journal.page((0, 0), 2)
    journal.append(b"record 6")
    found = list(first)
    while place is not None:
        records, place = journal.page(place, 1)
        found += records
        if found[-1] == b"record 4":
            # The file that is being read goes away with all before it.
            journal.extend([b"later %d" % number for number in range(6)])
    assert found == sorted(set(found), key=found.index), found
    assert found[-1] == b"later 5", found


def test_a_page_leaves_out_a_damaged_record_alone():
    folder = scratch("journal-pages-damage")
    journal = Journal(folder, "j", 2, 400)
    journal.extend([b"one", b"two", b"three"])
    path = folder + "/j.0"
    data = bytearray(read(path))
    data[data.index(b"two")] = 0x58
    write(path, bytes(data))
    assert paged(journal, 1) == [b"one", b"three"]
