"""The card list: what is taken in, what is refused, and what survives damage."""

import os

from storage_help import scratch
from virtual_time import Log

from wallbox.access.cards import Cards, masked, parse_uid
from wallbox.storage.store import Store

SETUP = "04A1B2C3D4E5F6"
CARD = "DEADBEEF"
SCRATCH = os.getenv("TEST_TMP") or "/tmp/wallbox-unit"


class Memory:
    """A store in memory that can refuse to save."""

    def __init__(self, value=None):
        self.value = value
        self.saves = 0
        self.broken = False

    def load(self):
        return self.value

    def save(self, value):
        if self.broken:
            raise OSError(5)
        self.saves += 1
        self.value = {"setup": value["setup"], "charging": list(value["charging"])}


def make(value=None):
    store, log = Memory(value), Log()
    return Cards(store, log), store, log


def number(i):
    return "AA%06X" % i


def refused(function, *arguments):
    try:
        function(*arguments)
    except ValueError as error:
        return str(error)
    raise AssertionError("not refused: %r" % (arguments,))


def test_a_new_list_is_empty_and_has_no_setup_card():
    cards, _, _ = make()
    assert cards.status() == {"setup": None, "charging": [], "registration": False}
    assert cards.kind(CARD) == "unknown"


def test_a_uid_is_taken_in_any_usual_spelling():
    for text in ("04a1b2c3d4e5f6", "04:A1:B2:C3:D4:E5:F6", "04-a1-b2-c3-d4-e5-f6", bytes.fromhex(SETUP)):
        assert parse_uid(text) == SETUP, text
    assert parse_uid(bytes.fromhex("00112233445566778899")) == "00112233445566778899"


def test_a_uid_of_wrong_length_or_kind_is_refused_with_what_is_allowed():
    for bad in ("", "04A1", "04A1B2C3D4E5F", "DEADBEEG", "04A1B2C3D4E5F6AA", None, 5, b"abc", ["DEADBEEF"]):
        text = refused(parse_uid, bad)
        assert repr(bad) in text and "allowed: 8, 14 or 20 hexadecimal digits" in text, text


def test_a_card_is_added_saved_and_found():
    cards, store, log = make()
    assert cards.add("dead:beef") == "added"
    assert cards.kind(CARD) == "charging"
    assert store.value["charging"] == [CARD]
    assert Cards(store, log).kind(CARD) == "charging"


def test_a_known_card_is_not_stored_twice():
    cards, store, _ = make()
    cards.add(CARD)
    assert cards.add(CARD) == "known"
    assert cards.charging == [CARD] and store.saves == 1


def test_the_setup_card_never_becomes_a_charging_card():
    cards, _, _ = make()
    cards.set_setup(SETUP)
    assert cards.add(SETUP) == "setup"
    assert cards.charging == []


def test_a_charging_card_cannot_become_the_setup_card():
    cards, _, _ = make()
    cards.add(CARD)
    assert "is a charging card" in refused(cards.set_setup, CARD)
    assert cards.setup is None and cards.kind(CARD) == "charging"


def test_the_list_takes_100_cards_and_refuses_the_101st():
    cards, _, _ = make()
    for i in range(100):
        assert cards.add(number(i)) == "added"
    assert cards.add(number(100)) == "full"
    assert cards.add(number(99)) == "known", "a known card is told so even in a full list"
    assert len(cards.charging) == 100
    assert cards.remove(number(0)) and cards.add(number(100)) == "added"


def test_a_card_with_a_changing_number_is_refused():
    cards, _, _ = make()
    assert cards.add("08123456") == "random"
    assert cards.add("08123456789ABC") == "added", "only single-size UIDs are random"


def test_a_new_setup_card_replaces_the_former_one():
    cards, store, _ = make()
    cards.set_setup(SETUP)
    cards.set_setup("11223344")
    assert cards.kind(SETUP) == "unknown" and cards.kind("11223344") == "setup"
    assert store.value["setup"] == "11223344"


def test_removing_forgets_the_card():
    cards, store, _ = make()
    cards.add(CARD)
    assert cards.remove(CARD) is True
    assert cards.remove(CARD) is False
    assert store.value["charging"] == [] and cards.kind(CARD) == "unknown"


def test_a_refusing_flash_changes_nothing_and_is_logged():
    cards, store, log = make()
    cards.set_setup(SETUP)
    cards.add(CARD)
    before = cards.status()
    store.broken = True
    for change in (
        lambda: cards.add("11223344"),
        lambda: cards.remove(CARD),
        lambda: cards.set_setup("11223344"),
    ):
        try:
            change()
            raise AssertionError("the error was hidden")
        except OSError:
            assert cards.status() == before
            assert log.codes()[-1] == "cards_not_saved"


def test_damaged_entries_are_left_out_and_logged_once():
    cards, _, log = make({"setup": "xyz", "charging": [CARD, 17, CARD, "04", "11223344"]})
    assert cards.status() == {"setup": None, "charging": [CARD, "11223344"], "registration": False}
    assert log.codes() == ["cards_damaged"] and "4 damaged" in log.entries[0][2]


def test_a_setup_card_among_the_stored_charging_cards_is_dropped():
    cards, _, log = make({"setup": SETUP, "charging": [SETUP, CARD]})
    assert cards.charging == [CARD] and cards.kind(SETUP) == "setup"
    assert log.codes() == ["cards_damaged"]


def test_a_stored_value_of_any_other_form_gives_an_empty_list():
    for value in ([], 5, "cards", {"charging": {}}, {"charging": 5}, {"setup": []}):
        cards, _, log = make(value)
        assert cards.charging == [] and cards.setup is None, value
        assert log.codes() == ["cards_damaged"], value
    assert make({})[2].entries == [], "a form without cards is no damage"


def test_a_full_list_of_long_uids_fits_into_the_real_store():
    for part in (SCRATCH, SCRATCH + "/cards-full"):
        try:
            os.mkdir(part)
        except OSError as error:
            assert error.errno == 17, error
    log = Log()
    cards = Cards(Store(SCRATCH + "/cards-full", "cards", 1, log), log)
    uids = ["04112233445566%06X" % i for i in range(100)]
    for uid in uids:
        assert cards.add(uid) in ("added", "known")
    again = Cards(Store(SCRATCH + "/cards-full", "cards", 1, log), log)
    assert again.charging == uids


def test_the_log_never_shows_a_whole_uid():
    cards, _, log = make()
    cards.set_setup(SETUP)
    cards.add(CARD)
    cards.remove(CARD)
    assert len(log.entries) == 3
    for _, _, text in log.entries:
        assert SETUP not in text and CARD not in text, text
    assert masked(CARD) == "...BEEF"


def test_all_cards_are_replaced_at_once_and_kept():
    folder = scratch("cards-replace")
    log = Log()
    cards = Cards(Store(folder, "cards", 1, log), log)
    cards.add("04AA0001")
    cards.replace("04AA0009", [("04AA0002", "Anna", False), ("04AA0003", "", True)])
    for found in (cards, Cards(Store(folder, "cards", 1, log), log)):
        assert found.setup == "04AA0009" and found.charging == ["04AA0002", "04AA0003"]
        assert found.names == {"04AA0002": "Anna"} and found.blocked == ["04AA0003"]
    assert "cards_replaced" in log.codes() and all("AA0002" not in entry[2] for entry in log.entries)


def test_cards_that_are_not_allowed_replace_none():
    folder = scratch("cards-replace-wrong")
    cards = Cards(Store(folder, "cards", 1, Log()), Log())
    cards.add("04AA0001")
    good = ("04AA0002", "Anna", False)
    many = [("04AA%04d" % number, "", False) for number in range(101)]
    for setup, entries in (
        ("xyz", []),
        ("08112233", []),
        (None, [good, good]),
        ("04AA0002", [good]),
        (None, [("08112233", "", False)]),
        (None, [("04AA0002", "ä" * 21, False)]),
        (None, [("04AA0002", "two\nlines", False)]),
        (None, [("04AA0002", None, False)]),
        (None, many),
    ):
        for call in (cards.judge, cards.replace):
            try:
                call(setup, entries)
            except ValueError as error:
                assert "card" in str(error)
            else:
                raise AssertionError("took %r, %r" % (setup, entries))
    assert cards.charging == ["04AA0001"]
    assert len(cards.judge(None, many[:100])[1]) == 100
