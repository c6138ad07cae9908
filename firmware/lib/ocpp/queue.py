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

import asyncio
import json
import os
from binascii import hexlify

from micropython import const

from journal import Journal
from ocpp.errors import OcppError

_BLOCK_BYTES = const(4096)
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
# Records that are read in a go; each takes about 0.5 ms on a chip.
_PAGE = const(8)
_RECORD_BYTES = const(1000)
_ENOENT = const(2)
_KINDS = ("start", "values", "stop", "mark")
_START = const(0)
_VALUES = const(1)
_STOP = const(2)
_MARK = const(3)
# No record of this boot carries a time yet.
_UNTOLD = False


class Full(OcppError):
    """There is no room for another start; the stop of a running transaction still has its own."""


def _sequence(line: bytes) -> int:
    """Sequence number of a record, 0 for one that is none of ours."""
    try:
        return int(line[1 : line.index(b",")])
    except ValueError:
        return 0


def _kind(line: bytes) -> int:
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
        self.newest = self._newest()

    def _numbers(self) -> list:
        numbers = super()._numbers()
        self.first = numbers[0] if numbers else 0
        return numbers

    def _records_of(self, number: int):
        try:
            with open(self._path + str(number), "rb") as file:
                yield from self._lines(file)
        except OSError as error:
            self._unreadable(error)

    def _newest(self) -> int:
        for number in range(self._number, self.first - 1, -1):
            found = 0
            for line in self._records_of(number):
                found = max(found, _sequence(line))
            if found:
                return found
        return 0

    def newest_boot(self) -> int:
        """Number of the boot that wrote the newest readable record, 0 without one."""
        for number in range(self._number, self.first - 1, -1):
            found = [line for line in self._records_of(number) if _sequence(line) == self.newest]
            if found:
                return json.loads(found[-1])[2]
        return 0

    def unfinished(self):
        """The newest start that no stop follows, as the line on flash, and keep its file; None without one."""
        for number in range(self._number, self.first - 1, -1):
            start = stop = None
            for line in self._records_of(number):
                kind = _kind(line)
                if kind == _START:
                    start, stop = line, None
                elif kind == _STOP:
                    stop = line
            if stop:
                return None
            if start:
                self.keep = number
                return start
        return None

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
                        sequence = _sequence(line)
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
            kind = _kind(line)
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
            for line in self._records_of(self.first):
                lost += _sequence(line) > self.passed
            self._remove_first()
            self.lost += lost

    def unread(self) -> tuple:
        """Where `page` finds what is not passed."""
        return self._place


class Queue:
    """Records of kind "start", "values" or "stop" in the order in which they were appended.

    A record is a list that begins with a stamp (see `stamp`). Starts and stops are in the journal "otx", which loses
    nothing: when it is full, no start is taken. Values are in "omv", whose oldest file goes first. `store` keeps
    what is delivered, with a `note` of whoever delivers: a list of numbers, together less than 60 characters.
    While `online`, values stay in RAM as long as few wait. A flash that refuses is logged once; what it has not got
    stays in RAM and goes with the next write.
    `last` is the newest sequence number. `waiting` counts records; after a start of the firmware it is right as soon
    as `count` is through.
    """

    def __init__(self, folder: str, store, clock, log, bytes_kept=(TX_BYTES, VALUES_BYTES)):
        self._store = store
        self._clock = clock
        self._log = log
        self.online = False
        self.note = []
        self.waiting = 0
        self._refused = False
        self._done, self._box, self._ceiling, boot = self._loaded(store.load())
        self._tx = Lane(folder, "otx", bytes_kept[0] // _BLOCK_BYTES, self._done)
        self._values = Lane(folder, "omv", bytes_kept[1] // _BLOCK_BYTES, self._done)
        self.last = max(self._done, self._ceiling, self._tx.newest, self._values.newest)
        self._newest = self.last
        self._uncounted = [(self._tx, self._tx.unread()), (self._values, self._values.unread())]
        # The state must be saved before the next number is given out.
        self._ceiling = self.last
        self._boot = max(boot, self._tx.newest_boot(), self._values.newest_boot()) + 1
        self._told = _UNTOLD
        self._marks = 0
        self._former = None
        self._damage_told = False

    def _loaded(self, found) -> tuple:
        """(done, box id, highest number that may be in use, boot) of the stored state, fresh ones without it."""
        if isinstance(found, list) and len(found) == 5 and isinstance(found[4], list) and isinstance(found[1], str):
            if all(type(part) is int and part >= 0 for part in (found[0], found[2], found[3])):
                self.note = found[4]
                return found[0], found[1], found[2], found[3]
        if found is not None:
            text = "state of delivery lost, messages may come twice: stored was %s" % repr(found)[:80]
            self._log.add("error", "ocpp", "queue_state", text)
        return 0, hexlify(os.urandom(4)).decode(), 0, 0

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

    async def utc(self, stamp):
        """UTC in s of a stamp by what is known now, None when nothing is."""
        boot, uptime, utc = stamp
        offset = (await self._of_boot(boot))[1]
        if offset is None:
            return utc or None
        known = uptime + offset
        return utc if utc and abs(known - utc) <= DRIFT_S else known

    async def earliest(self, stamp, last: int):
        """A UTC in s for a stamp of a former boot of which nothing is known; None while now is unknown too.

        That of the message before (`last`, 0 without one), but never so late that the boot, with all that was
        recorded in it, would not have ended before this one began.
        """
        now = self._clock.utc_s()
        if now is None:
            return None
        boot, uptime, _ = stamp
        latest = now - self._clock.uptime_s() - max(0, (await self._of_boot(boot))[2] - uptime)
        return min(last, latest) if last else latest

    async def _of_boot(self, boot: int) -> tuple:
        """(boot, UTC of its start in s or None, uptime in s of its last start or stop)."""
        if boot == self._boot:
            now = self._clock.utc_s()
            uptime = self._clock.uptime_s()
            return boot, None if now is None else now - uptime, uptime
        if self._former is None or self._former[0] != boot:
            self._former = await self._read_boot(boot)
        return self._former

    async def _read_boot(self, boot: int) -> tuple:
        offset = None
        uptime = 0
        place = self._tx.unread()
        while place is not None:
            lines, place = self._tx.page(place, _PAGE)
            for line in lines:
                record = json.loads(line)
                if record[2] > boot:
                    return boot, offset, uptime
                if record[2] < boot:
                    continue
                if record[1] == _MARK:
                    offset = record[3]
                else:
                    uptime = record[3]
            await asyncio.sleep_ms(0)
        return boot, offset, uptime

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
        except OSError as error:
            self.refused(error)
            raise
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
        except OSError as error:
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
        except OSError as error:
            self.refused(error)

    def keep(self, note: list) -> None:
        """Save the `note` alone."""
        self.note = note
        self._save()

    def message_id(self, sequence: int) -> str:
        """The id under which a record is sent, each time: up to 20 characters, unique over boxes and restarts."""
        return "%s-%d" % (self._box, sequence)

    def unfinished(self):
        """(sequence, record) of the newest start that no stop follows, to be asked for at start; None without one."""
        line = self._tx.unfinished()
        if line is None:
            return None
        record = json.loads(line)
        return record[0], record[2:]

    def count(self) -> bool:
        """Count some of what an earlier boot left -> whether there is more; before that is counted nothing may leave.

        It takes a few ms, and after months offline seconds until all is counted.
        """
        if not self._uncounted:
            return False
        lane, place = self._uncounted.pop()
        lines, place = lane.page(place, _PAGE)
        for line in lines:
            fresh = self._done < _sequence(line) <= self._newest
            self.waiting += fresh and _kind(line) != _MARK
        if place is not None:
            self._uncounted.append((lane, place))
        return bool(self._uncounted)
