"""What the queue of messages has to find out after a start, about what former boots left; loaded for that.

Functions of Queue and, with `lane`, of its lanes.
"""

import json
import os
from binascii import hexlify

from micropython import const

from ocpp.queue import Lane, kind_of, sequence_of

_BLOCK_BYTES = const(4096)
# Records that are read in a go; each takes about 0.5 ms on a chip.
_PAGE = const(8)
_START = const(0)
_STOP = const(2)
_MARK = const(3)


def _newest(lane) -> int:
    """Sequence number of the newest readable record, 0 without one."""
    for number in range(lane._number, lane.first - 1, -1):
        found = 0
        for line in lane.records_of(number):
            found = max(found, sequence_of(line))
        if found:
            return found
    return 0


def _newest_boot(lane) -> int:
    """Number of the boot that wrote the newest readable record, 0 without one."""
    for number in range(lane._number, lane.first - 1, -1):
        found = [line for line in lane.records_of(number) if sequence_of(line) == lane.newest]
        if found:
            return json.loads(found[-1])[2]
    return 0


def _unfinished(lane):
    """The newest start that no stop follows, as the line on flash, and keep its file; None without one."""
    for number in range(lane._number, lane.first - 1, -1):
        start = stop = None
        for line in lane.records_of(number):
            kind = kind_of(line)
            if kind == _START:
                start, stop = line, None
            elif kind == _STOP:
                stop = line
        if stop:
            return None
        if start:
            lane.keep = number
            return start
    return None


def _lane(folder: str, name: str, bytes_kept: int, passed: int):
    lane = Lane(folder, name, bytes_kept // _BLOCK_BYTES, passed)
    lane.newest = _newest(lane)
    return lane


def start(self, folder: str, bytes_kept) -> None:
    """Take up what is on flash."""
    self._done, self._box, self._ceiling, boot = _loaded(self, self._store.load())
    self._tx = _lane(folder, "otx", bytes_kept[0], self._done)
    self._values = _lane(folder, "omv", bytes_kept[1], self._done)
    self.last = max(self._done, self._ceiling, self._tx.newest, self._values.newest)
    self._newest = self.last
    self.uncounted = [(self._tx, self._tx.unread()), (self._values, self._values.unread())]
    # The state must be saved before the next number is given out.
    self._ceiling = self.last
    self._boot = max(boot, _newest_boot(self._tx), _newest_boot(self._values)) + 1


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


def unfinished(self):
    """(sequence, record) of the newest start that no stop follows, to be asked for at start; None without one."""
    line = _unfinished(self._tx)
    if line is None:
        return None
    record = json.loads(line)
    return record[0], record[2:]


def count(self) -> bool:
    """Count some of what an earlier boot left -> whether there is more; before that is counted nothing may leave.

    It takes a few ms, and after months offline seconds until all is counted.
    """
    if not self.uncounted:
        return False
    lane, place = self.uncounted.pop()
    lines, place = lane.page(place, _PAGE)
    for line in lines:
        fresh = self._done < sequence_of(line) <= self._newest
        self.waiting += fresh and kind_of(line) != _MARK
    if place is not None:
        self.uncounted.append((lane, place))
    return bool(self.uncounted)
