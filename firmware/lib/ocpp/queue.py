"""Messages of transactions in one order that survives restarts, power cuts and years offline; it sends nothing.

Flash budget: 36 files of one littlefs block (144 KiB) for starts and stops, 22 (88 KiB) for meter values, of which one
each is being filled. Figures measured by tests/unit/test_ocpp_queue.py and test_ocpp_transactions.py:

- A start takes 70 to 85 bytes and a stop 60 to 70 with an idTag of 14 characters: the 35 files that starts may use
  hold 1,100 transactions without transactionData, three years of one a day. Begin and end values of register, power,
  three currents and offer (twelve values) add 280 bytes: 300 transactions.
- A meter value record takes 50 bytes with a register alone, 115 with power, three currents and offer too: 21 files hold
  1,600 or 720. At one each 15 min of charging for 3 h a day these are 130 or 60 days offline; at one a minute 9 or 4
  such days. Then the oldest 4 KB go; starts and stops stay.

Wear: a record is one erase, as littlefs copies the last block of the file, and now and then one for the folder. The
state of delivery is a file of less than 128 bytes, which littlefs keeps inside the folder: one erase for some twenty
saves. See transactions.py for erases a year.
"""

import json
import os

from micropython import const

from journal import Journal
from ocpp.errors import OcppError
from ocpp.rare import Rare, borrow

TX_BYTES = const(36 * 4096)
VALUES_BYTES = const(22 * 4096)
# Starts leave the last files alone: a stop (up to 1,010 bytes) and marks of time always find room in these.
_SPARE_FILES = const(2)
# Values that an answering central system leaves in RAM: its next answers empty them, a dead one is found by then.
_FRESH = const(8)
# What stays in RAM while flash refuses: 16 records are eight short transactions, about 3 KB.
_UNSAVED = const(16)
# Numbers that are given out between two saves of the state; a restart leaves out what was not used of them.
_NUMBERS_A_SAVE = const(64)
# A clock that is set by less goes on, by more it was wrong: crystals of 50 ppm drift by 4 s a day, networks by less.
DRIFT_S = const(120)
# A central system that turns the clock back and forth must not fill the flash with marks.
_MARKS_A_BOOT = const(4)
_RECORD_BYTES = const(1000)
_ENOENT = const(2)
_ENOMEM = const(12)
_KINDS = ("start", "values", "stop", "mark")
_START = const(0)
_VALUES = const(1)
_STOP = const(2)
_MARK = const(3)
# To open a file takes room in the heap: without it nothing is written, as when flash refuses.
REFUSALS = (OSError, MemoryError)
# No record of this boot carries a time yet.
_UNTOLD = False


class Full(OcppError):
    """There is no room for another start; the stop of a running transaction still has its own."""


def sequence_of(line: bytes) -> int:
    """Sequence number of a record, 0 for one that is none of ours."""
    try:
        return int(line[1 : line.index(b",")])
    except ValueError:
        return 0


def kind_of(line: bytes) -> int:
    """Number of a record's kind: it has one digit, behind the sequence number."""
    place = line.find(b",") + 1
    return line[place] - 0x30 if place else -1


class Lane(Journal):
    """A journal that is read from its oldest record on, and behind it what is not on flash yet.

    `passed` is the sequence number up to which all is delivered, `first` the number of the oldest file, `keep` that of
    a file to be kept although it is delivered, `lost` counts the records that went undelivered for want of room.
    """

    def __init__(self, folder: str, name: str, files: int, passed: int):
        self.first = 0
        super().__init__(folder, name, files)
        self.passed = passed
        self.unsaved = []
        self.keep = None
        self.lost = 0
        self._place = (self.first, 0)
        self._head = None
        self.newest = 0

    def _numbers(self) -> list:
        numbers = super()._numbers()
        self.first = numbers[0] if numbers else 0
        return numbers

    def records_of(self, number: int):
        """Yield the records of one file."""
        try:
            with open(self._path + str(number), "rb") as file:
                yield from self._lines(file)
        except OSError as error:
            self._unreadable(error)

    def spare(self) -> int:
        """How many files may still be begun."""
        return self._files - (self._number - self.first + 1)

    def head(self):
        """(sequence, line, place behind it) of the oldest that is not passed, None without one."""
        if self._head is None:
            if self.newest > self.passed:
                self._head = self._after()
                if self._head is None:
                    # What was there is damaged.
                    self.newest = self.passed
            if self._head is None and self.unsaved:
                sequence, line = self.unsaved[0]
                self._head = sequence, line, None
        return self._head

    def _after(self):
        first, offset = self._place
        for number in range(max(first, self.first), self._number + 1):
            try:
                with open(self._path + str(number), "rb") as file:
                    file.seek(offset if number == first else 0)
                    for line in self._lines(file):
                        sequence = sequence_of(line)
                        if sequence > self.passed:
                            return sequence, line, (number, file.tell())
            except OSError as error:
                self._unreadable(error)
        return None

    def in_ram(self) -> bool:
        """Whether the head was never written to flash."""
        return bool(self.unsaved) and self.unsaved[0][0] == self._head[0]

    def passes(self) -> None:
        """Leave the head behind."""
        sequence = self._head[0]
        place = self._head[2]
        self._head = None
        self.passed = sequence
        if self.unsaved and self.unsaved[0][0] == sequence:
            del self.unsaved[0]
        if place:
            self._place = place

    def write(self) -> bool:
        """Bring to flash what is not there; False when that is nothing.

        OSError: all of it stays in RAM, and what of it was written all the same will be there twice.
        """
        if not self.unsaved:
            return False
        number = self._number
        self.extend([line for _, line in self.unsaved])
        self.newest = self.unsaved[-1][0]
        for _, line in self.unsaved:
            kind = kind_of(line)
            if kind == _START:
                # What is needed to end a transaction that a power cut interrupts.
                self.keep = number
            elif kind == _STOP:
                self.keep = None
        self.unsaved = []
        return True

    def trim(self) -> None:
        """Remove the files of which all is delivered and nothing is kept; OSError when flash refuses."""
        end = self._place[0] if self.keep is None else min(self._place[0], self.keep)
        while self.first < end:
            self._remove_first()

    def _remove_first(self) -> None:
        try:
            os.remove(self._path + str(self.first))
        except OSError as error:
            if error.errno != _ENOENT:
                raise
        self.first += 1

    def _rotate(self) -> None:
        """As in Journal, without listing the folder; undelivered records that go are counted."""
        self._number += 1
        self._size = 0
        while self.first <= self._number - self._files:
            lost = 0
            for line in self.records_of(self.first):
                lost += sequence_of(line) > self.passed
            self._remove_first()
            self.lost += lost

    def unread(self) -> tuple:
        """Where `page` finds what is not passed."""
        return self._place


class Queue(Rare):
    """Records of kind "start", "values" or "stop" in the order in which they were appended.

    A record is a list that begins with a stamp (see `stamp`). Starts and stops are in the journal "otx", which loses
    nothing: when it is full, no start is taken. Values are in "omv", whose oldest file goes first. `store` keeps
    what is delivered, with a `note` of whoever delivers: a list of numbers, together less than 60 characters.
    While `online`, values stay in RAM as long as few wait. A flash that refuses is logged once; what it has not got
    stays in RAM and goes with the next write.
    What only a start needs stands in `queue_start.py`, the times of former boots in `queue_time.py`.
    `last` is the newest sequence number. `waiting` counts records; after a start of the firmware it is right as soon
    as `count` is through.
    """

    RARE = "queue_time utc earliest\nqueue_start unfinished count"

    def __init__(self, folder: str, store, clock, log, bytes_kept=(TX_BYTES, VALUES_BYTES)):
        self._store = store
        self._clock = clock
        self._log = log
        self.online = False
        self.note = []
        self.waiting = 0
        self._refused = False
        borrow("queue_start").start(self, folder, bytes_kept)
        self._told = _UNTOLD
        self._marks = 0
        self._former = None
        self._damage_told = False

    # Time

    def stamp(self, utc=None) -> list:
        """[boot, uptime in s, UTC in s or 0] of now, or of the UTC near now that a sample was taken for."""
        uptime = self._clock.uptime_s()
        now = self._clock.utc_s()
        if self._told is _UNTOLD:
            self._told = None if now is None else now - uptime
        if now is None:
            return [self._boot, uptime, utc or 0]
        if utc is None or abs(utc - now) > DRIFT_S:
            utc = now
        return [self._boot, uptime + utc - now, utc]

    def _keep_time(self) -> None:
        """Write down what time this boot's records were of, once that is known or known better."""
        now = self._clock.utc_s()
        if self._told is _UNTOLD or now is None or self._marks == _MARKS_A_BOOT:
            return
        offset = now - self._clock.uptime_s()
        if self._told is not None and abs(offset - self._told) <= DRIFT_S:
            return
        self._told = offset
        if self._tx.spare():
            self._marks += 1
            self._put(self._tx, _MARK, [self._boot, offset])
            self._attempt(False)

    # Writing

    def room(self) -> bool:
        """Whether a start would be taken."""
        return self._tx.spare() >= _SPARE_FILES and len(self._tx.unsaved) < _UNSAVED

    def append(self, kind: str, record: list) -> int:
        """Queue a record and return its sequence number.

        Full for a start without room, ValueError for more than 1,000 bytes as JSON; then it is not queued. OSError
        when flash refuses: it is queued, in RAM.
        """
        if kind == "start" and not self.room():
            raise Full("no room for another start, %d messages wait" % self.waiting)
        number = _KINDS.index(kind)
        lane = self._values if number == _VALUES else self._tx
        self._put(lane, number, record)
        sequence = self.last
        self.waiting += 1
        if number == _VALUES and self.online and len(lane.unsaved) <= _FRESH:
            return sequence
        self._bound()
        self._write(number == _VALUES or not self.online)
        self._keep_time()
        return sequence

    def _put(self, lane, kind: int, record: list) -> None:
        line = json.dumps([self.last + 1, kind] + record, separators=(",", ":")).encode()
        if len(line) > _RECORD_BYTES:
            raise ValueError("record: %d bytes; allowed: up to %d" % (len(line), _RECORD_BYTES))
        self.last += 1
        if self.last > self._ceiling:
            self._save()
        lane.unsaved.append((self.last, line))

    def _bound(self) -> None:
        """Bound the values in RAM when flash refuses; the oldest stays, as it may be on its way."""
        values = self._values
        if len(values.unsaved) > _UNSAVED:
            del values.unsaved[1]
            values.lost += 1

    def _write(self, values: bool) -> None:
        """Bring starts and stops to flash, values too if so wanted; OSError."""
        try:
            wrote = self._tx.write()
            if values:
                wrote = self._values.write() or wrote
        except REFUSALS as error:
            self.refused(error)
            raise error if isinstance(error, OSError) else OSError(_ENOMEM)
        if wrote:
            self._works()
            self._tell_lost()

    def _attempt(self, values: bool) -> None:
        """As `_write`, for whoever goes on without."""
        try:
            self._write(values)
        except OSError:
            # Logged; it stays in RAM.
            return

    def refused(self, error) -> None:
        """Log once that flash refuses."""
        if not self._refused:
            self._refused = True
            self._log.add("error", "ocpp", "flash_refused", "messages kept in RAM only: %s" % error)

    def _works(self) -> None:
        if self._refused:
            self._refused = False
            self._log.add("info", "ocpp", "flash_works", "messages kept on flash again")

    def _tell_lost(self) -> None:
        lost = self._values.lost
        if not lost:
            return
        self._values.lost = 0
        self.waiting = max(0, self.waiting - lost)
        text = "%d meter values dropped for want of room, the oldest first" % lost
        self._log.add("warning", "ocpp", "values_dropped", text)

    def flush(self) -> None:
        """Bring all to flash that is in RAM, for the link is down; a refusal is logged."""
        self._attempt(True)

    def saved(self) -> bool:
        """Whether all starts and stops are on flash."""
        return not self._tx.unsaved

    def _save(self) -> None:
        self._ceiling = self.last + _NUMBERS_A_SAVE
        try:
            self._store.save([self._done, self._box, self._ceiling, self._boot, self.note])
        except REFUSALS as error:
            self.refused(error)

    # Reading

    def _lane(self):
        """The lane whose head is the oldest, None when there is none."""
        tx, values = self._tx.head(), self._values.head()
        if tx and (not values or tx[0] < values[0]):
            return self._tx
        return self._values if values else None

    def head(self):
        """(sequence, kind, record) of the oldest record that is not delivered, None without one."""
        self._keep_time()
        while True:
            lane = self._lane()
            self._tell_damage()
            if lane is None:
                self.waiting = 0
                return None
            record = json.loads(lane.head()[1])
            if record[1] != _MARK:
                return record[0], _KINDS[record[1]], record[2:]
            lane.passes()

    def _tell_damage(self) -> None:
        if self._damage_told or not self._tx.damaged + self._values.damaged:
            return
        self._damage_told = True
        self._log.add("error", "ocpp", "queue_damaged", "damaged records of messages left out")

    def done(self, sequence: int, note=None) -> None:
        """The head, if it has this number, is delivered or given up: never bring it again.

        Saved before this returns, together with the `note`; values that were never on flash cost no write. A flash
        that refuses is logged: after a restart the record would come again, with the same message id.
        """
        lane = self._lane()
        if lane is None or lane.head()[0] != sequence:
            return
        fresh = lane is self._values and lane.in_ram()
        if not fresh:
            # A start that flash refused must be there before its transaction is known to the central system.
            self._attempt(False)
        lane.passes()
        self._done = sequence
        self.waiting = max(0, self.waiting - 1)
        if note is not None:
            self.note = note
        if fresh:
            return
        self._save()
        try:
            self._tx.trim()
            self._values.trim()
        except REFUSALS as error:
            self.refused(error)

    def keep(self, note: list) -> None:
        """Save the `note` alone."""
        self.note = note
        self._save()

    def message_id(self, sequence: int) -> str:
        """The id under which a record is sent, each time: up to 20 characters, unique over boxes and restarts."""
        return "%s-%d" % (self._box, sequence)
