"""idTags on flash: found in any place of the file, whole after a power cut, and out of the heap."""

import gc

from ocpp_tags_help import LATER, NOW
from storage_help import MOUNT, Flash, Log, cut_everywhere, noise, read, scratch, write

from ocpp.rare import borrow
from ocpp.tagfile import TagFile
from ocpp.taglook import key
from ocpp.tagstore import erase, key_of, line, lines, write_now
from ocpp.tagstore import write as writing_of


def tags(count, status="Accepted", first=0):
    return [line("TAG%05d" % i, {"status": status}) for i in range(first, first + count)]


def filled(folder, version, content):
    file = TagFile(folder + "/t.", Log())
    write_now(file, version, content)
    return file


def opened(folder):
    log = Log()
    return TagFile(folder + "/t.", log), log


def test_nothing_stored_is_empty_and_no_news():
    for folder in (scratch("tags"), scratch("tags") + "/missing"):
        file, log = opened(folder)
        assert (file.version, file.count) == (0, 0)
        assert file.find("A", NOW) is None
        assert list(lines(file)) == []
        assert log.entries == []


def test_what_was_written_is_found_again():
    folder = scratch("tags")
    infos = {
        "A1": {"status": "Accepted"},
        "B2": {"status": "Blocked", "parentIdTag": "Group"},
        "C3": {"status": "Accepted", "expiryDate": LATER},
        "D4": {"status": "ConcurrentTx", "expiryDate": LATER, "parentIdTag": "Group"},
    }
    filled(folder, 7, [line(tag, infos[tag]) for tag in infos])
    file, log = opened(folder)
    assert (file.version, file.count) == (7, 4)
    for tag, info in infos.items():
        assert file.find(tag, NOW) == info, tag
        assert file.find(tag.lower(), NOW) == info, tag
    for tag in ("", "A", "A11", "1", "Group", "Accepted", "E5"):
        assert file.find(tag, NOW) is None, tag
    assert log.entries == []


def test_every_tag_is_found_wherever_it_stands_in_the_file():
    folder = scratch("tags")
    for length in range(1, 21):
        names = ["%0*d" % (length, i) for i in range(100) if len(str(i)) <= length]
        file = filled(folder, 1, [line(name, {"status": "Accepted"}) for name in names])
        for name in names:
            assert file.find(name, NOW) == {"status": "Accepted"}, name
        assert file.find("x" * length, NOW) is None


def test_a_tag_of_any_characters_is_found_and_no_other_for_it():
    folder = scratch("tags")
    names = ('a"b', "a\\b", 'a\\"b', '"', "\\", '",', '\\",', "a b", "a,b", "[", "\t", "\n", "\x01", "\xe9", "#000001")
    file = filled(folder, 1, [line(name, {"status": "Blocked", "parentIdTag": name}) for name in names])
    file, _log = opened(folder)
    assert file.count == len(names)
    for name in names:
        assert file.find(name, NOW) == {"status": "Blocked", "parentIdTag": name}, name
    assert [key_of(text) for text in lines(file)] == [key(name) for name in names]
    assert file.find("a", NOW) is None and file.find("b", NOW) is None


def test_an_expiry_comes_at_its_second_and_only_with_a_known_time():
    file = filled(scratch("tags"), 1, [line("A", {"status": "Accepted", "expiryDate": LATER, "parentIdTag": "G"})])
    for utc_s in (NOW, None):
        assert file.find("A", utc_s) == {"status": "Accepted", "expiryDate": LATER, "parentIdTag": "G"}, utc_s
    for utc_s in (NOW + 1, NOW + 99999):
        assert file.find("A", utc_s) == {"status": "Expired"}, utc_s


def test_an_expiry_with_an_offset_is_given_back_in_utc():
    file = filled(scratch("tags"), 1, [line("A", {"status": "Accepted", "expiryDate": "2026-01-31T14:00:00.5+01:00"})])
    assert file.find("A", NOW)["expiryDate"] == "2026-01-31T13:00:00Z"


def test_an_expiry_before_1970_has_come():
    file = filled(scratch("tags"), 1, [line("A", {"status": "Accepted", "expiryDate": "0001-01-01T00:00:00Z"})])
    assert file.find("A", NOW) == {"status": "Expired"}


def test_an_expiry_that_is_no_date_is_refused():
    try:
        line("A", {"status": "Accepted", "expiryDate": "tomorrow"})
    except ValueError as error:
        assert "tomorrow" in str(error), error
        return
    raise AssertionError("taken")


def test_the_newest_of_many_lists_counts():
    folder = scratch("tags")
    for version in range(1, 8):
        filled(folder, version, tags(version))
        file, log = opened(folder)
        assert (file.version, file.count, log.entries) == (version, version, [])


def test_any_cut_length_of_the_newest_copy_gives_the_older_one():
    folder = scratch("tags")
    filled(folder, 1, tags(3))
    filled(folder, 2, tags(5))
    whole = read(folder + "/t.0")
    for length in range(len(whole)):
        write(folder + "/t.0", whole[:length])
        file, log = opened(folder)
        assert (file.version, file.count) == (1, 3), length
        assert log.codes() == (["tags_copy_lost"] if length else []), log.entries


def test_any_flipped_bit_in_the_newest_copy_gives_the_older_one():
    folder = scratch("tags")
    filled(folder, 1, tags(3))
    filled(folder, 2, tags(5))
    whole = read(folder + "/t.0")
    for at in range(len(whole) * 8):
        spoilt = bytearray(whole)
        spoilt[at // 8] ^= 1 << at % 8
        write(folder + "/t.0", spoilt)
        file, log = opened(folder)
        assert (file.version, file.count) == (1, 3), (at, file.version, file.count)
        assert log.codes() == ["tags_copy_lost"], log.entries


def test_noise_in_both_copies_is_empty_with_an_error_and_can_be_written_again():
    folder = scratch("tags")
    for seed in range(1, 60):
        for slot in (0, 1):
            write(folder + "/t.%d" % slot, noise(seed * 11, seed + slot))
        file, log = opened(folder)
        assert (file.version, file.count) == (0, 0)
        assert file.find("A", NOW) is None
        assert log.codes() == ["tags_lost"] and log.entries[0][0] == "error", log.entries
        write_now(file, 9, tags(2))
        file, log = opened(folder)
        assert (file.version, file.count) == (9, 2)


def test_a_file_unreadable_at_a_lookup_is_logged_and_knows_nobody():
    folder = scratch("tags")
    file = filled(folder, 1, tags(3))
    log = file.log
    scratch("tags")
    assert file.find("TAG00001", NOW) is None
    assert log.codes() == ["tags_unreadable"], log.entries


def test_a_write_given_up_leaves_the_old_list():
    folder = scratch("tags")
    file = filled(folder, 1, tags(3))
    writing = writing_of(file, 2, iter(tags(60)))
    for _ in range(3):
        next(writing)
        assert (file.version, file.count) == (1, 3)
        assert file.find("TAG00002", NOW) and not file.find("TAG00003", NOW)
    writing.close()
    for left in (file, opened(folder)[0]):
        assert (left.version, left.count) == (1, 3)
        assert left.find("TAG00002", NOW) and not left.find("TAG00003", NOW)
    write_now(file, 3, tags(60))
    assert opened(folder)[0].version == 3


def test_flash_that_refuses_raises_and_leaves_the_old_list():
    with Flash() as flash:
        file = filled(MOUNT, 1, tags(3))
        flash.device.fails = True
        for act in (lambda: write_now(file, 2, tags(60)), lambda: erase(file)):
            try:
                act()
                raise AssertionError("a refusal must raise")
            except OSError:
                assert file.find("TAG00002", NOW)
                assert (file.version, file.count) == (1, 3)
        flash.device.fails = False
        assert opened(MOUNT)[0].version == 1
        write_now(file, 2, tags(60))
        assert opened(MOUNT)[0].version == 2


def test_erased_it_is_empty_and_stays_so_at_any_power_cut():
    def prepare(folder):
        filled(folder, 1, tags(3))
        return {"file": filled(folder, 2, tags(5)), "done": False}

    def run(folder, state):
        erase(state["file"])
        assert (state["file"].version, state["file"].count) == (0, 0)
        assert state["file"].find("TAG00001", NOW) is None
        state["done"] = True

    def check(folder, state):
        file, log = opened(folder)
        # The older list never comes back.
        assert (file.version, file.count) in ((0, 0), (2, 5)), file.version
        assert not state["done"] or file.count == 0
        assert log.entries == []

    assert cut_everywhere(prepare, run, check) >= 2


def test_a_power_cut_at_any_write_leaves_the_old_or_the_new_list_whole():
    def prepare(folder):
        filled(folder, 1, tags(100))
        return {"done": 1}

    def run(folder, state):
        file = TagFile(folder + "/t.", Log())
        for version in (2, 3, 4, 5):
            write_now(file, version, tags(10 * version, "Blocked", version * 100))
            state["done"] = version

    def check(folder, state):
        file, log = opened(folder)
        version = file.version
        assert version - state["done"] in (0, 1), (version, state)
        expected = tags(100) if version == 1 else tags(10 * version, "Blocked", version * 100)
        assert list(lines(file)) == expected, version
        assert "tags_lost" not in log.codes(), log.entries
        write_now(file, 9, tags(1))
        assert opened(folder)[0].version == 9

    cuts = cut_everywhere(prepare, run, check)
    assert cuts > 20, cuts


def test_a_lookup_keeps_nothing_in_the_heap_and_needs_little():
    folder = scratch("tags")
    file = filled(folder, 1, tags(1000))
    # Without what it takes to load it, which are sources here.
    find = borrow("taglook").find
    find(file, "TAG00999", NOW)
    gc.collect()
    before = gc.mem_alloc()
    find(file, "TAG00999", NOW)
    needed = gc.mem_alloc() - before
    gc.collect()
    assert gc.mem_alloc() <= before, gc.mem_alloc() - before
    # 1,000 tags are 24 KB on flash.
    assert needed < 6000, needed


def test_the_key_of_a_line_is_its_beginning():
    for name in ("Ab1", 'a"b', "\\", "\xe9"):
        assert line(name, {"status": "Accepted"}).startswith(key(name))
