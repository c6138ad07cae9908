"""What happened: a log numbered over restarts and a ring for the control loop; neither ever stops its caller."""

import asyncio
import json
from array import array

from micropython import const

from journal import Journal
from wallbox.clock import iso
from wallbox.timer import unwatched

# The same message within this time is a storm, not news: it is counted, not repeated.
_STORM_S = const(60)
# Messages of one code whose words differ may all matter (a car going through A, B, C), up to this many in
# the time above; a code that chatters more would push everything else out of the log.
_STORM_BURST = const(10)
# Storms watched at a time: more than the sources that can fail at once, and a bound for memory.
_STORMS = const(24)
# A trip brings several entries at once. Waiting this long puts them in one flash write, and the contactor
# has opened and been checked before flash (erase of a sector: tens of ms) can hold up the event loop.
_FLUSH_MS = const(1000)
# When flash refuses, the next try comes after this time, so that a broken chip does not block the loop often.
_RETRY_MS = const(60_000)
# Warnings and errors that wait for flash; older ones are given up first (about 4 KB while flash is broken).
_WAITING = const(24)
# Numbers reserved with one small write: at most this many are skipped by a restart, and a reserved block
# lasts for days of ordinary running.
_RESERVE = const(512)
# 4 files of 4,000 bytes hold the newest 75 to 100 warnings and errors.
_FILES = const(4)
# Entries that are read at a time: parsing one takes about 1 ms on a chip.
_PAGE = const(4)
# Text for people; of a longer one, such as a traceback, the beginning and the end are kept.
_TEXT_CHARS = const(200)
_HEAD_CHARS = const(40)
_TAIL_CHARS = const(150)
# What the journal takes; text that must be shortened to fit keeps this much (6 bytes a character at worst).
_RECORD_BYTES = const(1000)
_SHORT_CHARS = const(60)


class EventLog:
    """Entries of level "info", "warning" and "error".

    All are kept in RAM, the newest `capacity` of them; warnings and errors also on flash once `attach` has
    been called. `sinks`, which may not raise, are called with each entry as it is made.
    """

    def __init__(self, clock, capacity: int = 64):
        self._clock = clock
        self._capacity = capacity
        self._entries = []
        self._waiting = []
        self._storms = {}
        self._latest = {}
        self._sequence = 0
        self._reserved = 0
        self._store = None
        self._journal = None
        self._refused = False
        self._wake = asyncio.Event()
        self.given_up = 0
        self.sinks = []

    def add(self, level: str, source: str, code: str, text: str, **context) -> None:
        """Record what happened; never raises for time, flash or storms. Not for interrupts.

        `text` (up to 200 characters) is for people, `code` for programs; `context` holds JSON values.
        What repeats within 60 s is counted, and the next entry of that source and code has it as "repeated".
        """
        now_ms = self._clock.uptime_ms()
        hidden = self._hide(now_ms // 1000, source, code, text)
        if hidden is None:
            return
        if hidden:
            context["repeated"] = hidden
        self._sequence += 1
        if len(text) > _TEXT_CHARS:
            text = text[:_HEAD_CHARS] + " ... " + text[-_TAIL_CHARS:]
        entry = (self._sequence, now_ms, self._clock.utc_s(), level, source, code, text, context or None)
        self._entries.append(entry)
        if len(self._entries) > self._capacity:
            del self._entries[0]
        if level != "info":
            self._waiting.append(entry)
            if len(self._waiting) > _WAITING:
                del self._waiting[0]
                self.given_up += 1
        if self._flash_due():
            self._wake.set()
        if self.sinks:
            told = _as_dict(entry)
            for sink in self.sinks:
                sink(told)

    def _hide(self, now_s: int, source: str, code: str, text: str):
        """None when the entry belongs to a storm, else how many before it were hidden."""
        key = (source, code)
        storm = self._storms.get(key)
        same = self._latest.get(source) == (code, text)
        if storm and now_s - storm[0] < _STORM_S:
            if same or storm[1] >= _STORM_BURST:
                storm[2] += 1
                return None
            storm[1] += 1
            hidden = storm[2]
            storm[2] = 0
        else:
            hidden = storm[2] if storm else 0
            if not storm and len(self._storms) >= _STORMS:
                # What they hid is not told any more; rare, as it takes that many codes.
                self._storms.clear()
                self._latest.clear()
            self._storms[key] = [now_s, 1, 0]
        self._latest[source] = (code, text)
        return hidden

    def since(self, sequence: int = 0) -> list:
        """The entries in RAM with a number above `sequence`, oldest first, as dicts."""
        return [_as_dict(entry) for entry in self._entries if entry[0] > sequence]

    @property
    def sequence(self) -> int:
        """The number of the newest entry."""
        return self._sequence

    def page(self, place: tuple) -> tuple:
        """Some entries from `place` on, (0, 0) at first, as dicts, and the next place, None at the end.

        First what flash has from before the oldest in RAM, then what is in RAM, each oldest first; for whoever reads
        all of it in pieces. Numbers may come twice.
        """
        number, after = place
        entries = self._entries
        if number >= 0:
            records, following = self._journal.page(place, _PAGE) if self._journal else ((), None)
            first = entries[0][0] if entries else self._sequence + 1
            found = [entry for entry in map(_parse, records) if entry and entry["seq"] < first]
            return found, following or (-1, 0)
        found = [entry for entry in entries if entry[0] > after][:_PAGE]
        return [_as_dict(entry) for entry in found], (-1, found[-1][0]) if found else None

    def stored(self):
        """Yield the warnings and errors on flash, of former starts too, oldest first, as dicts."""
        last = 0
        for record in self._journal.records() if self._journal else ():
            entry = _parse(record)
            # A write that failed half-way is repeated whole, so the first of it may be there twice.
            if entry and entry["seq"] > last:
                last = entry["seq"]
                yield entry

    def attach(self, folder: str) -> None:
        """Keep warnings and errors in `folder` from now on and continue the numbers of the last start.

        Entries made before are numbered again, so sinks belong after it. Never raises.
        """
        from wallbox.storage.store import Store

        self._journal = Journal(folder, "events", _FILES)
        self._store = Store(folder, "events_seq", 1, self)
        reserved = self._store.load()
        base = reserved if type(reserved) is int and reserved > 0 else 0
        newest = _parse(self._journal.last())
        if newest and newest["seq"] > base:
            # The reservation is lost: infos may have used any number of the block after the last on flash.
            base = newest["seq"] + _RESERVE
        self._entries = [(entry[0] + base,) + entry[1:] for entry in self._entries]
        self._waiting = [(entry[0] + base,) + entry[1:] for entry in self._waiting]
        self._sequence += base
        self._reserved = base
        if self._journal.damaged:
            text = "%d damaged records left out" % self._journal.damaged
            self.add("warning", "events", "journal_damaged", text, records=self._journal.damaged)
        self.flush()

    def _flash_due(self) -> bool:
        return bool(self._store and (self._waiting or self._sequence + _RESERVE // 2 > self._reserved))

    def flush(self) -> bool:
        """Write what waits for flash now, as before a reset; False when flash refused and it waits on."""
        if not self._flash_due():
            return True
        try:
            if self._sequence + _RESERVE // 2 > self._reserved:
                reserved = self._sequence + _RESERVE
                self._store.save(reserved)
                self._reserved = reserved
            if self._waiting:
                self._journal.extend([_record(entry) for entry in self._waiting])
                self._waiting = []
        except OSError as error:
            if not self._refused:
                self._refused = True
                self.add("error", "events", "flash_refused", "log kept in RAM only: %s" % error)
            return False
        if self._refused:
            self._refused = False
            self.add("info", "events", "flash_works", "log kept on flash again", given_up=self.given_up)
        return True

    async def run(self, beat=unwatched) -> None:
        """Task: write to flash what was added, bundled."""
        while True:
            beat(None)
            await self._wake.wait()
            beat(_RETRY_MS * 2)
            await asyncio.sleep_ms(_FLUSH_MS)
            self._wake.clear()
            while not self.flush():
                beat(_RETRY_MS * 2)
                await asyncio.sleep_ms(_RETRY_MS)


def _as_dict(entry: tuple) -> dict:
    sequence, uptime_ms, utc_s, level, source, code, text, context = entry
    found = dict(context) if context else {}
    found.update(
        {
            "seq": sequence,
            "uptime_ms": uptime_ms,
            "utc": None if utc_s is None else iso(utc_s),
            "level": level,
            "source": source,
            "code": code,
            "text": text,
        }
    )
    return found


def _record(entry: tuple) -> bytes:
    record = json.dumps(_as_dict(entry)).encode()
    if len(record) > _RECORD_BYTES:
        record = json.dumps(_as_dict(entry[:6] + (entry[6][:_SHORT_CHARS], None))).encode()
    return record


def _parse(record):
    """The entry of a journal record as a dict with a number, or None."""
    try:
        entry = json.loads(record or b"null")
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and type(entry.get("seq")) is int else None


class Ring:
    """Events of the control loop, three numbers of up to 31 bits each, until a task takes them."""

    def __init__(self, size: int):
        """Room for `size` events."""
        self._numbers = array("i", bytes(12 * size))
        self._size = size
        self._first = 0
        self.waiting = 0
        self.lost = 0

    def put(self, code: int, a: int = 0, b: int = 0) -> None:
        """Add an event without allocating; when full it is counted in `lost`, as what came first explains most."""
        if self.waiting == self._size:
            self.lost += 1
            return
        at = (self._first + self.waiting) % self._size * 3
        numbers = self._numbers
        numbers[at] = code
        numbers[at + 1] = a
        numbers[at + 2] = b
        self.waiting += 1

    def get(self):
        """The oldest event as (code, a, b), or None."""
        if not self.waiting:
            return None
        at = self._first * 3
        self._first = (self._first + 1) % self._size
        self.waiting -= 1
        return self._numbers[at], self._numbers[at + 1], self._numbers[at + 2]
