"""Charging sessions and lifetime counters over power cuts; a session is lost nowhere and counted once."""

import json

from micropython import const

from journal import Journal
from wallbox.storage.store import Store

# A power cut costs at most what came since the last checkpoint. A checkpoint erases one block of flash:
# at 22 kW for 8 h a day these give 350 a day, on 128 blocks of 100,000 erases more than 90 years.
CHECKPOINT_WH = const(500)
CHECKPOINT_S = const(300)
# 8 files of 4,000 bytes hold the newest 150 sessions or more: half a year of a daily charge.
HISTORY_FILES = const(8)
# With what closing adds (a character takes 6 bytes at worst) a record fits into the journal's 1,000 bytes,
# and the open one with all that wait into a Store of 8 KB.
_RECORD_BYTES = const(600)
_REASON_CHARS = const(32)
# Closed sessions that wait while the journal refuses.
_WAITING = const(8)
# Closed sessions that are read at a time: parsing one takes about 1 ms on a chip.
_PAGE = const(4)
# Of damaged data the log shows this much.
_SHOWN_CHARS = const(80)
_COUNTERS = ("total_wh", "sessions")


class SessionStore:
    """The open session, the history and the counters.

    A record is a dict: id (rises by one, never reused), energy_wh, duration_s, stop_reason (None while
    open), id_tag (text or None) and what else `open` was given, such as start_utc.

    One Store holds everything that must change together, and saving it is the moment at which a session
    is opened or closed; the history is written after that and completed at the next start if power failed.
    When flash refuses, everything goes on in RAM, is logged once, and the next write brings it all.
    """

    def __init__(self, folder: str, log, journal=None):
        self._log = log
        self._journal = journal or Journal(folder, "history", HISTORY_FILES)
        self._store = Store(folder, "sessions", 1, log)
        self._refused = False
        self._state = self._checked(self._store.load())
        self._catch_up()
        self._tried = self._figures()

    def _checked(self, found) -> dict:
        """The stored state, or that of a new box when there is none or no sense in it."""
        state = {"next": 1, "open": None, "waiting": []}
        state.update(dict.fromkeys(_COUNTERS, 0))
        if found is None:
            return state
        if isinstance(found, dict):
            state.update(found)
            records = state["waiting"] if isinstance(state["waiting"], list) else [None]
            if state["open"] is not None:
                records = records + [state["open"]]
            if _are_counts(state, ("next",) + _COUNTERS) and all(map(_is_record, records)):
                return state
        text = "open session and counters lost: stored was %s" % repr(found)[:_SHOWN_CHARS]
        self._log.add("error", "sessions", "sessions_damaged", text)
        return self._checked(None)

    def _catch_up(self) -> None:
        """Make state and history agree: a cut or a lost copy can leave either behind the other."""
        state = self._state
        last = 0
        counted = 0
        for record in self._records():
            last = record["id"]
            opened = state["open"]
            if opened and opened["id"] <= last:
                state["next"] = opened["id"]
                state["open"] = None
                if opened["id"] < last:
                    # Its own line in the history is damaged: what the last checkpoint said counts.
                    self._count(opened)
            if last >= state["next"]:
                self._count(record)
                state["next"] = last + 1
                counted += 1
        if self._journal.damaged:
            text = "%d damaged records of the session history left out" % self._journal.damaged
            self._log.add("error", "sessions", "history_damaged", text, records=self._journal.damaged)
        if counted:
            text = "%d sessions counted again from the history; counters may be too low" % counted
            self._log.add("warning", "sessions", "sessions_recounted", text, sessions=counted)
        state["waiting"] = [record for record in state["waiting"] if record["id"] > last]
        for record in state["waiting"] + [state["open"]]:
            if record:
                state["next"] = max(state["next"], record["id"] + 1)
        if counted or state["waiting"]:
            self._write()

    def _records(self):
        """Yield the history, oldest first; a record that a refused write brought twice comes once."""
        last = 0
        for line in self._journal.records():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if _is_record(record) and record["id"] > last:
                last = record["id"]
                yield record

    def mark(self) -> tuple:
        """Changes whenever a session is closed."""
        state = self._state
        return state["sessions"], state["total_wh"]

    def page(self, place: tuple) -> tuple:
        """Some of the closed sessions from `place` on, oldest first from (0, 0), and the next place, None at the end.

        For whoever reads all of them in pieces; a record that a refused write brought twice comes twice.
        """
        lines, place = self._journal.page(place, _PAGE)
        records = []
        for line in lines:
            try:
                records.append(json.loads(line))
            except ValueError:
                continue
        if place is None:
            records += [dict(record) for record in self._state["waiting"]]
        return [record for record in records if _is_record(record)], place

    def _count(self, record: dict) -> None:
        self._state["sessions"] += 1
        self._state["total_wh"] += record["energy_wh"]

    def _figures(self) -> tuple:
        record = self._state["open"]
        return (record["energy_wh"], record["duration_s"]) if record else (0, 0)

    def _write(self) -> None:
        state = self._state
        self._tried = self._figures()
        try:
            self._store.save(state)
            while state["waiting"]:
                self._journal.append(json.dumps(state["waiting"][0]).encode())
                del state["waiting"][0]
        except OSError as error:
            if not self._refused:
                self._refused = True
                self._log.add("error", "sessions", "flash_refused", "sessions kept in RAM only: %s" % error)
            return
        if self._refused:
            self._refused = False
            self._log.add("info", "sessions", "flash_works", "sessions kept on flash again")

    def open(self, record: dict) -> int:
        """Begin a session with the fields of `record` (up to 600 bytes as JSON) and return its id.

        A session that is still open is closed first, with reason "superseded".
        """
        record = dict(record)
        record.setdefault("id_tag", None)
        record.update({"id": 0, "energy_wh": 0, "duration_s": 0, "stop_reason": None})
        size = len(json.dumps(record))
        if size > _RECORD_BYTES:
            raise ValueError("session: %d bytes; allowed: up to %d" % (size, _RECORD_BYTES))
        if self._state["open"]:
            self._log.add("warning", "sessions", "superseded", "a session was still open as the next began")
            self.close("superseded")
        record["id"] = self._state["next"]
        self._state["next"] += 1
        self._state["open"] = record
        self._write()
        return record["id"]

    def checkpoint(self, energy_wh: int, duration_s: int, told: bool = False) -> bool:
        """Take over the figures of the open session; True when it was time to write them to flash.

        Both are of the whole session, so after a restart what `current` said plus what came since; a
        value below the one known is ignored. Cheap, so call it as often as the figures change. `told`: somebody
        outside hears this energy, so that it is written in any case: the register never runs backwards.
        """
        record = self._state["open"]
        if record is None:
            return False
        record["energy_wh"] = max(record["energy_wh"], energy_wh)
        record["duration_s"] = max(record["duration_s"], duration_s)
        grown_wh = record["energy_wh"] - self._tried[0]
        waited_s = record["duration_s"] - self._tried[1]
        if grown_wh == 0 or not told and grown_wh < CHECKPOINT_WH and waited_s < CHECKPOINT_S:
            return False
        self._write()
        return True

    def close(self, reason: str, energy_wh: int = 0, duration_s: int = 0):
        """End the open session for `reason` and count it; returns its record, None when none is open."""
        record = self._state["open"]
        if record is None:
            return None
        record["energy_wh"] = max(record["energy_wh"], energy_wh)
        record["duration_s"] = max(record["duration_s"], duration_s)
        record["stop_reason"] = reason[:_REASON_CHARS]
        self._state["open"] = None
        self._count(record)
        self._state["waiting"].append(record)
        if len(self._state["waiting"]) > _WAITING:
            lost = self._state["waiting"].pop(0)["id"]
            self._log.add("error", "sessions", "history_lost", "session %d left out of the history" % lost)
        self._write()
        return dict(record)

    def forget(self) -> None:
        """Forget open and waiting sessions, in both copies on flash; counters and the next id stay. OSError."""
        self.close("factory_reset")
        self._state["waiting"] = []
        for _ in range(2):
            self._state["next"] += 1
            self._store.save(self._state)

    def current(self):
        """A copy of the open session's record, at start the one a power cut interrupted; None without one."""
        record = self._state["open"]
        return dict(record) if record else None

    def totals(self) -> dict:
        """Lifetime total_wh (with the open session) and sessions closed."""
        totals = {name: self._state[name] for name in _COUNTERS}
        totals["total_wh"] += self._state["open"]["energy_wh"] if self._state["open"] else 0
        return totals

    def history(self, count: int) -> list:
        """Up to `count` closed sessions, newest first."""
        newest = []
        for record in self._records():
            newest.append(record)
            if len(newest) > count:
                del newest[0]
        last = newest[-1]["id"] if newest else 0
        newest += [dict(record) for record in self._state["waiting"] if record["id"] > last]
        newest.reverse()
        return newest[:count]


def _is_record(record) -> bool:
    if not isinstance(record, dict) or not isinstance(record.get("id_tag", 0), (str, type(None))):
        return False
    return _are_counts(record, ("id", "energy_wh", "duration_s"))


def _are_counts(found: dict, names) -> bool:
    for name in names:
        value = found.get(name)
        if type(value) is not int or value < 0:
            return False
    return True
