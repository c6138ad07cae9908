"""The store: a value is old or new whole, and nothing found on flash stops the start."""

import os
import struct
from binascii import crc32

from storage_help import MOUNT, Flash, Log, cut_everywhere, noise, read, scratch, write

from wallbox.storage.store import Store, read_copy


def copy(version, sequence, payload):
    """A whole copy, as the store of that version would have written it."""
    fields = struct.pack("<HII", version, sequence, len(payload))
    return b"WBST" + fields + struct.pack("<I", crc32(payload, crc32(fields))) + payload


def stored(name, *values):
    """A folder with a store that saved `values`."""
    folder = scratch("store-" + name)
    store = Store(folder, "s", 1, Log())
    for value in values:
        store.save(value)
    return folder


def load(folder, version=1):
    log = Log()
    return Store(folder, "s", version, log).load(), log


def test_nothing_stored_is_none_and_no_news():
    value, log = load(scratch("store-empty"))
    assert value is None
    assert log.entries == []


def test_a_missing_folder_is_nothing_stored():
    value, log = load(scratch("store-empty") + "/missing")
    assert value is None
    assert log.entries == []


def test_the_last_value_saved_comes_back():
    values = ({"a": 1}, ["b", None, True], "text \u00e9\n", 7, {"a": 1})
    for count in range(1, len(values) + 1):
        value, log = load(stored("last", *values[:count]))
        assert value == values[count - 1], value
        assert log.entries == []


def test_saving_the_same_value_writes_nothing():
    with Flash() as flash:
        store = Store(MOUNT, "s", 1, Log())
        assert store.save({"a": [1, 2, 3]}) is True
        writes = flash.device.writes
        assert store.save({"a": [1, 2, 3]}) is False
        assert Store(MOUNT, "s", 1, Log()).save({"a": [1, 2, 3]}) is False
        assert flash.device.writes == writes


def test_a_small_value_takes_few_flash_writes():
    with Flash() as flash:
        store = Store(MOUNT, "s", 1, Log())
        for value in range(20):
            writes = flash.device.writes
            store.save(value)
            assert flash.device.writes - writes <= 6, flash.device.writes - writes


def test_any_cut_length_of_the_newest_copy_gives_the_older_one():
    folder = stored("short", "old", "new")
    whole = read(folder + "/s.1")
    for length in range(len(whole)):
        write(folder + "/s.1", whole[:length])
        value, log = load(folder)
        assert value == "old", (length, value)
        assert log.codes() == ["copy_lost"], log.entries


def test_any_flipped_bit_in_the_newest_copy_gives_the_older_one():
    folder = stored("flip", "old", "new")
    whole = read(folder + "/s.1")
    for at in range(len(whole) * 8):
        spoilt = bytearray(whole)
        spoilt[at // 8] ^= 1 << at % 8
        write(folder + "/s.1", spoilt)
        value, log = load(folder)
        assert value == "old", (at, value)
        assert "save 1" in log.text(), log.text()


def test_longer_than_it_should_be_is_damaged():
    folder = stored("long", "old", "new")
    write(folder + "/s.1", read(folder + "/s.1") + b"x")
    assert load(folder)[0] == "old"
    write(folder + "/s.1", bytes(20000))
    value, log = load(folder)
    assert value == "old" and "too long" in log.text()


def test_both_copies_damaged_is_none_with_an_error_and_can_be_saved_again():
    folder = stored("both", "old", "new")
    for seed in range(30):
        for slot in (0, 1):
            write(folder + "/s.%d" % slot, noise(seed * 7, seed + slot))
        log = Log()
        store = Store(folder, "s", 1, log)
        assert store.load() is None
        assert log.codes() == ["value_lost"] and log.entries[0][0] == "error", log.entries
        store.save(seed)
        assert load(folder)[0] == seed


def test_a_whole_copy_that_is_no_json_is_given_up():
    folder = stored("json", "old")
    for payload in (b"", b"{", b"\xff\xfe", b"[1,2", b"nonsense"):
        write(folder + "/s.1", copy(1, 9, payload))
        value, log = load(folder)
        assert value == "old", (payload, value)
        assert "not JSON" in log.text()


def test_newer_and_older_versions_are_not_read_and_named_in_the_log():
    folder = stored("version", "old")
    for version in (0, 2, 65535):
        write(folder + "/s.1", copy(version, 9, b'"other"'))
        value, log = load(folder)
        assert value == "old"
        assert "version %d, not 1" % version in log.text(), log.text()
    write(folder + "/s.0", copy(2, 8, b'"older still"'))
    value, log = load(folder)
    assert value is None
    assert log.codes() == ["value_lost"]


def test_after_a_roll_back_the_newer_copy_is_replaced_only_by_a_newer_save():
    folder = stored("rollback", "mine")
    write(folder + "/s.1", copy(2, 9, b'"newer"'))
    store = Store(folder, "s", 1, Log())
    store.save("again")
    assert load(folder)[0] == "again"
    assert read(folder + "/s.0") == copy(1, 1, b'"mine"'), "the copy that could be read was given up"
    folder = scratch("store-rollback")
    write(folder + "/s.0", copy(2, 8, b'"older"'))
    write(folder + "/s.1", copy(2, 9, b'"newer"'))
    Store(folder, "s", 1, Log()).save("again")
    assert load(folder, 2)[0] == "newer"
    assert load(folder)[0] == "again"


def test_a_copy_damaged_after_loading_is_written_again():
    folder = stored("again", "old", "new")
    store = Store(folder, "s", 1, Log())
    store.load()
    spoilt = bytearray(read(folder + "/s.1"))
    spoilt[5] ^= 1
    write(folder + "/s.1", spoilt)
    assert store.save("new") is True
    assert load(folder)[0] == "new"


def test_a_folder_in_place_of_a_copy_is_unreadable_and_no_reason_to_stop():
    folder = stored("folder", "old")
    os.mkdir(folder + "/s.1")
    try:
        value, log = load(folder)
        assert value == "old"
        assert log.codes() == ["copy_lost"]
    finally:
        os.rmdir(folder + "/s.1")


def test_a_value_too_long_is_refused_and_the_former_stays():
    folder = stored("big", "old")
    try:
        Store(folder, "s", 1, Log()).save("x" * 9000)
        raise AssertionError("accepted 9000 bytes")
    except ValueError as error:
        assert "8192" in str(error), error
    assert load(folder)[0] == "old"


def test_a_flash_that_refuses_raises_and_keeps_the_former_value():
    with Flash() as flash:
        store = Store(MOUNT, "s", 1, Log())
        store.save("old")
        flash.device.fails = True
        for _ in range(3):
            try:
                store.save("new")
                raise AssertionError("a refusal must raise")
            except OSError:
                assert load(MOUNT)[0] == "old"
        flash.device.fails = False
        assert store.save("new") is True
        assert load(MOUNT)[0] == "new"


def test_a_power_cut_at_any_write_leaves_the_old_or_the_new_value_whole():
    def prepare(folder):
        Store(folder, "s", 1, Log()).save([0] * 50)
        return {"done": 0}

    def run(folder, state):
        store = Store(folder, "s", 1, Log())
        for i in range(1, 9):
            store.save([i] * (50 * i))
            state["done"] = i

    def check(folder, state):
        log = Log()
        store = Store(folder, "s", 1, log)
        value = store.load()
        i = value[0]
        assert value == [i] * (50 * i or 50), value
        assert i - state["done"] in (0, 1), (i, state)
        store.save("next")
        assert load(folder)[0] == "next"

    cuts = cut_everywhere(prepare, run, check)
    assert cuts > 50, cuts


def test_a_firmware_on_trial_leaves_the_value_that_the_former_one_reads():
    folder = scratch("trial")
    log = Log()
    for value in (["old", 1], ["old", 2]):
        Store(folder, "x", 1, log).save(value)
    newer = Store(folder, "x", 2, log)
    Store.trial = True
    try:
        assert newer.load() is None
        for number in range(5):
            newer.save({"new": number})
            assert Store(folder, "x", 1, log).load() in (["old", 1], ["old", 2]), number
            assert newer.load() == {"new": number}
    finally:
        Store.trial = False
    # Once it stays both copies are its own.
    for number in range(5, 8):
        newer.save({"new": number})
    assert Store(folder, "x", 1, log).load() is None and newer.load() == {"new": 7}


def test_a_firmware_on_trial_that_keeps_the_form_takes_turns_as_ever():
    folder = scratch("turns")
    store = Store(folder, "x", 1, Log())
    Store.trial = True
    try:
        for number in range(4):
            store.save(number)
            assert Store(folder, "x", 1, Log()).load() == number
    finally:
        Store.trial = False
    assert read_copy(folder + "/x.0")[1] != read_copy(folder + "/x.1")[1]
