"""Sessions: lost nowhere and counted once, whenever the power fails and whatever flash does."""

import json
import os

from storage_help import MOUNT, Flash, Log, cut_everywhere, noise, read, scratch, write

from journal import Journal
from wallbox.storage.sessions import CHECKPOINT_S, CHECKPOINT_WH, SessionStore
from wallbox.storage.store import Store


def sessions(folder, log=None):
    return SessionStore(folder, log or Log())


def charge(store, wh, seconds=600, tag=None):
    store.open({"id_tag": tag})
    return store.close("unplugged", wh, seconds)


def ids(records):
    return [record["id"] for record in records]


def test_a_new_box_has_no_sessions():
    store = sessions(scratch("sessions-new"))
    assert store.current() is None
    assert store.history(10) == []
    assert store.totals() == {"total_wh": 0, "sessions": 0}
    assert store.close("nothing") is None
    assert store.checkpoint(1000, 1000) is False


def test_a_session_is_kept_with_what_it_was_opened_with():
    folder = scratch("sessions-one")
    store = sessions(folder)
    assert store.open({"id_tag": "04A1B2C3", "start_utc": 1767225600}) == 1
    closed = store.close("unplugged", 4321, 900)
    expected = {
        "id": 1,
        "id_tag": "04A1B2C3",
        "start_utc": 1767225600,
        "energy_wh": 4321,
        "duration_s": 900,
        "stop_reason": "unplugged",
    }
    assert closed == expected, closed
    assert sessions(folder).history(5) == [expected]
    assert sessions(folder).totals() == {"total_wh": 4321, "sessions": 1}


def test_an_interrupted_session_is_found_at_the_next_start_and_goes_on():
    folder = scratch("sessions-resume")
    sessions(folder).open({"id_tag": None})
    store = sessions(folder)
    store.checkpoint(2000, 700)
    store = sessions(folder)
    record = store.current()
    assert record["id"] == 1 and record["energy_wh"] == 2000 and record["duration_s"] == 700, record
    assert store.totals()["total_wh"] == 2000
    store.close("unplugged", 3000, 900)
    store = sessions(folder)
    assert store.current() is None
    assert store.totals() == {"total_wh": 3000, "sessions": 1}


def test_figures_never_go_back():
    store = sessions(scratch("sessions-back"))
    store.open({})
    store.checkpoint(2000, 700)
    store.checkpoint(5, 5)
    assert store.close("unplugged")["energy_wh"] == 2000


def test_energy_that_is_told_is_written_at_once_and_only_if_it_grew():
    folder = scratch("sessions-told")
    store = sessions(folder)
    store.open({})
    assert store.checkpoint(0, 100, told=True) is False
    assert store.checkpoint(1, 100, told=True) is True
    assert store.checkpoint(1, 200, told=True) is False
    assert sessions(folder).current()["energy_wh"] == 1


def test_checkpoints_are_written_by_energy_or_by_time_only():
    with Flash() as flash:
        store = sessions(MOUNT)
        store.open({})
        written = []
        for second in range(1, 3601):
            writes = flash.device.writes
            if store.checkpoint(second, second):
                written.append(second)
                assert flash.device.writes > writes
            else:
                assert flash.device.writes == writes
        assert written == list(range(CHECKPOINT_S, 3601, CHECKPOINT_S)), written
        assert store.checkpoint(3600 + CHECKPOINT_WH - 1, 3601) is False
        assert store.checkpoint(3600 + CHECKPOINT_WH, 3602) is True


def test_a_paused_car_costs_no_flash_writes():
    with Flash() as flash:
        store = sessions(MOUNT)
        store.open({})
        store.checkpoint(600, 100)
        writes = flash.device.writes
        for second in range(100, 40000, 100):
            assert store.checkpoint(600, second) is False
        assert flash.device.writes == writes
        assert store.close("unplugged")["duration_s"] == 39900


def test_a_session_costs_few_flash_writes():
    with Flash() as flash:
        store = sessions(MOUNT)
        charge(store, 1)
        for _ in range(10):
            writes = flash.device.writes
            charge(store, 1000)
            assert flash.device.writes - writes < 40, flash.device.writes - writes


def test_a_restart_without_news_writes_nothing():
    with Flash() as flash:
        store = sessions(MOUNT)
        charge(store, 1000)
        writes = flash.device.writes
        assert ids(sessions(MOUNT).history(9)) == [1]
        assert flash.device.writes == writes
        store.open({})
        writes = flash.device.writes
        assert sessions(MOUNT).current()["id"] == 2
        assert flash.device.writes == writes


def test_opening_while_one_is_open_closes_that_one_first():
    log = Log()
    store = sessions(scratch("sessions-superseded"), log)
    store.open({"id_tag": "A"})
    store.checkpoint(700, 60)
    assert store.open({"id_tag": "B"}) == 2
    assert store.history(5)[0]["stop_reason"] == "superseded"
    assert store.current()["id_tag"] == "B" and store.current()["energy_wh"] == 0
    assert log.codes() == ["superseded"]
    assert store.totals() == {"total_wh": 700, "sessions": 1}


def test_too_long_a_record_is_refused_and_the_open_session_stays():
    store = sessions(scratch("sessions-long"))
    store.open({"id_tag": "A"})
    try:
        store.open({"id_tag": "x" * 700})
        raise AssertionError("accepted 700 characters")
    except ValueError as error:
        assert "600" in str(error)
    assert store.current()["id_tag"] == "A"


def test_what_is_given_out_is_a_copy():
    store = sessions(scratch("sessions-copy"))
    store.open({})
    store.current()["energy_wh"] = 99
    assert store.current()["energy_wh"] == 0


def test_history_is_newest_first_bounded_and_counters_outlive_it():
    folder = scratch("sessions-history")
    store = sessions(folder)
    for _ in range(400):
        charge(store, 10)
    assert ids(store.history(3)) == [400, 399, 398]
    kept = len(store.history(1000))
    assert kept >= 150, kept
    assert len(os.listdir(folder)) <= 10
    assert sessions(folder).totals() == {"total_wh": 4000, "sessions": 400}


def test_a_lost_newest_copy_counts_nothing_twice_and_loses_nothing():
    folder = scratch("sessions-copy-lost")
    store = sessions(folder)
    charge(store, 100)
    charge(store, 200)
    expected = store.totals()
    for slot in (0, 1):
        whole = read(folder + "/sessions.%d" % slot)
        write(folder + "/sessions.%d" % slot, whole[:-1])
        log = Log()
        store = sessions(folder, log)
        assert store.totals() == expected, (slot, store.totals())
        assert store.current() is None
        assert "copy_lost" in log.codes()
        assert ids(store.history(9)) == [2, 1]
        write(folder + "/sessions.%d" % slot, whole)


def test_both_copies_lost_counts_again_from_the_history_and_says_so():
    folder = scratch("sessions-both-lost")
    store = sessions(folder)
    charge(store, 100)
    charge(store, 200)
    store.open({"id_tag": None})
    for slot in (0, 1):
        write(folder + "/sessions.%d" % slot, noise(50, slot))
    log = Log()
    store = sessions(folder, log)
    assert store.totals() == {"total_wh": 300, "sessions": 2}
    assert log.codes() == ["value_lost", "sessions_recounted"], log.entries
    assert store.open({}) == 3


def test_a_lost_history_leaves_the_counters():
    folder = scratch("sessions-history-lost")
    store = sessions(folder)
    for _ in range(5):
        charge(store, 100)
    write(folder + "/history.0", noise(500, 1))
    log = Log()
    store = sessions(folder, log)
    assert store.totals() == {"total_wh": 500, "sessions": 5}
    assert "history_damaged" in log.codes()
    assert charge(store, 1)["id"] == 6
    assert ids(sessions(folder).history(9))[0] == 6


def test_a_damaged_line_of_a_session_still_open_counts_its_last_checkpoint():
    folder = scratch("sessions-line")
    opened = {"id": 2, "energy_wh": 40, "duration_s": 9, "id_tag": None}
    state = {"next": 3, "open": opened, "waiting": [], "total_wh": 7, "sessions": 1}
    Store(folder, "sessions", 1, Log()).save(state)
    history = Journal(folder, "history", 8)
    for number, wh in ((1, 7), (3, 100)):
        record = {"id": number, "energy_wh": wh, "duration_s": 1, "id_tag": None, "stop_reason": "x"}
        history.append(json.dumps(record).encode())
    store = sessions(folder)
    assert store.current() is None
    assert store.totals() == {"total_wh": 147, "sessions": 3}, store.totals()
    assert store.open({}) == 4


def test_stored_state_of_any_shape_never_stops_the_start():
    good = {"id": 4, "energy_wh": 5, "duration_s": 6, "id_tag": None}
    for bad in (5, "text", [], {}, None, True, [[]], {"id": "4"}, {"id": 4, "energy_wh": -1, "duration_s": 1}, 1.5):
        states = [bad, {"open": bad}, {"waiting": bad}, {"waiting": [bad, good]}, {"next": bad}, {"total_wh": bad}]
        states.append({"open": {"id": 4, "energy_wh": 5, "duration_s": 6, "id_tag": bad}})
        for state in states:
            folder = scratch("sessions-shape")
            Store(folder, "sessions", 1, Log()).save(state)
            store = sessions(folder)
            before = store.totals()["sessions"]
            charge(store, 10)
            assert store.totals()["sessions"] >= before + 1
            assert sessions(folder).current() is None


def test_a_state_without_sense_is_logged_and_the_history_counts():
    folder = scratch("sessions-parts")
    charge(sessions(folder), 100)
    for wrong in ({"next": "x"}, {"open": 7}, {"waiting": [1]}, {"total_wh": -3}, {"waiting": 5}, 7, "all"):
        Store(folder, "sessions", 1, Log()).save(wrong)
        log = Log()
        store = sessions(folder, log)
        assert log.codes() == ["sessions_damaged", "sessions_recounted"], log.entries
        assert store.totals() == {"total_wh": 100, "sessions": 1}


def test_a_counter_that_is_not_stored_yet_begins_at_0():
    folder = scratch("sessions-counter")
    Store(folder, "sessions", 1, Log()).save({"next": 5, "open": None, "waiting": [], "total_wh": 9, "sessions": 4})
    log = Log()
    assert sessions(folder, log).totals() == {"total_wh": 9, "sessions": 4}
    assert log.entries == []


def test_random_bytes_never_stop_the_start():
    folder = scratch("sessions-noise")
    for seed in range(20):
        for name in ("sessions.0", "sessions.1", "history.0", "history.1"):
            write(folder + "/" + name, noise(seed * 40, seed + len(name)))
        store = sessions(folder)
        assert charge(store, 10)["id"] == 1
        assert sessions(folder).totals()["sessions"] == 1


def test_a_flash_that_refuses_never_raises_and_what_happened_meanwhile_is_stored_later():
    with Flash() as flash:
        log = Log()
        store = sessions(MOUNT, log)
        charge(store, 100)
        flash.device.fails = True
        charge(store, 200)
        charge(store, 300)
        store.open({"id_tag": "A"})
        for second in range(0, 3000, 60):
            store.checkpoint(second, second)
        assert log.codes() == ["flash_refused"], log.entries
        assert ids(store.history(9)) == [3, 2, 1]
        flash.device.fails = False
        store.close("unplugged", 3000, 3000)
        assert log.codes() == ["flash_refused", "flash_works"]
        again = sessions(MOUNT)
        assert ids(again.history(9)) == [4, 3, 2, 1]
        assert again.totals() == {"total_wh": 3600, "sessions": 4}


def test_a_flash_that_refuses_for_long_keeps_memory_bounded_and_the_counters_right():
    with Flash() as flash:
        log = Log()
        store = sessions(MOUNT, log)
        flash.device.fails = True
        for _ in range(30):
            store.open({"id_tag": "x" * 500})
            store.close("\x01" * 99, 10, 10)
        assert "history_lost" in log.codes()
        flash.device.fails = False
        charge(store, 10)
        again = sessions(MOUNT)
        assert again.totals() == {"total_wh": 310, "sessions": 31}
        assert ids(again.history(99)) == list(range(31, 22, -1)), ids(again.history(99))


def test_a_power_cut_at_any_write_loses_no_session_and_counts_none_twice():
    def prepare(folder):
        store = sessions(folder)
        charge(store, 1000)
        return {"closed": {1: 1000}, "opened": 1, "known_wh": 0, "closing": None}

    def run(folder, state):
        for turn in range(5):
            store = sessions(folder)
            state["opened"] = store.open({"id_tag": "04A1B2C3D4E5F6", "start_utc": 1767225600 + turn})
            state["known_wh"] = 0
            for step in range(1, 4):
                if store.checkpoint(step * 600, step * 90):
                    state["known_wh"] = step * 600
            if turn % 2:
                store = sessions(folder)
            state["closing"] = (state["opened"], 2000 + turn)
            store.close("unplugged", 2000 + turn, 400)
            state["closed"][state["opened"]] = 2000 + turn
            state["closing"] = None

    def check(folder, state):
        log = Log()
        store = sessions(folder, log)
        assert log.entries == [], log.entries
        history = {record["id"]: record["energy_wh"] for record in store.history(99)}
        assert len(history) == len(store.history(99))
        for number, wh in state["closed"].items():
            assert history[number] == wh, (number, history, state)
        extra = set(history) - set(state["closed"])
        assert extra <= ({state["closing"][0]} if state["closing"] else set()), (extra, state)
        current = store.current()
        if state["opened"] not in history:
            assert current["id"] == state["opened"], (current, state)
            assert current["energy_wh"] >= state["known_wh"], (current, state)
        if current:
            assert current["id"] not in history and current["id"] - state["opened"] in (0, 1)
            history[current["id"]] = current["energy_wh"]
        assert store.totals()["total_wh"] == sum(history.values()), (store.totals(), history)
        store.close("power_loss")
        again = sessions(folder)
        assert again.current() is None
        assert again.totals()["sessions"] == len(history)
        assert again.totals()["total_wh"] == sum(history.values())
        assert sorted(ids(again.history(99))) == sorted(history)
        assert again.open({}) == max(history) + 1

    cuts = cut_everywhere(prepare, run, check)
    assert cuts > 120, cuts


def test_a_second_power_cut_during_recovery_loses_nothing_either():
    def prepare(folder):
        store = sessions(folder)
        charge(store, 1000)
        store.open({"id_tag": "A"})
        # As a cut between the two writes of a close leaves it.
        state = dict(store._state)
        record = dict(state["open"])
        record.update({"energy_wh": 500, "stop_reason": "unplugged"})
        state.update({"open": None, "waiting": [record], "sessions": 2, "total_wh": 1500})
        Store(folder, "sessions", 1, Log()).save(state)
        return

    def run(folder, _state):
        sessions(folder)

    def check(folder, _state):
        for _ in range(2):
            store = sessions(folder)
            assert ids(store.history(9)) == [2, 1]
            assert store.totals() == {"total_wh": 1500, "sessions": 2}

    cuts = cut_everywhere(prepare, run, check)
    assert cuts >= 1, cuts


def paged(store):
    found, place = [], (0, 0)
    while place is not None:
        records, place = store.page(place)
        found += records
    return found


def test_pages_bring_the_whole_history_oldest_first():
    folder = scratch("sessions-pages")
    store = sessions(folder)
    for number in range(30):
        charge(store, 1000 + number)
    assert paged(store) == list(reversed(store.history(99)))
    assert len(paged(store)) == 30


def test_pages_bring_sessions_that_the_journal_refused_and_the_mark_tells_of_each_closed_one():
    class Refusing(Journal):
        refuses = False

        def extend(self, records):
            if self.refuses:
                raise OSError(5)
            super().extend(records)

    folder = scratch("sessions-pages-refused")
    journal = Refusing(folder, "history", 2)
    store = SessionStore(folder, Log(), journal)
    before = store.mark()
    charge(store, 1000)
    closed = store.mark()
    assert closed != before
    store.open({"id_tag": None})
    assert store.mark() == closed
    journal.refuses = True
    store.close("unplugged", 5, 5)
    assert ids(paged(store)) == [1, 2]
    assert store.mark() != closed
