"""The event log of a whole run, over restarts of the firmware, kept in files without a name.

In memory it would lie about everywhere after a while and leave no large piece of the heap to anybody.
"""

import json
import os
import struct

from micropython import const

_PIECE_BYTES = const(8 * 1024)
# An entry's number, and where it begins in the file of entries.
_INDEX = "<qq"
_INDEX_BYTES = const(16)


def _nameless(folder: str):
    """A new file that goes with the process, however that ends."""
    path = "%s/wallbox-log-%s" % (folder, "".join(["%02x" % byte for byte in os.urandom(8)]))
    file = open(path, "w+b")  # noqa: SIM115 - it stays open as long as the process runs
    os.unlink(path)
    return file


class Record:
    """Entries as the firmware made them, each with "boot", the number of the firmware's start (1, 2, ...)."""

    def __init__(self, folder: str = "/tmp"):
        self._file = _nameless(folder)
        self._index = _nameless(folder)
        self._size = 0
        self._count = 0
        self.boot = 0
        # How often each code came.
        self.codes = {}

    def add(self, entry: dict) -> None:
        """Take over an entry of the firmware's log."""
        line = dict(entry)
        line["boot"] = self.boot
        self.codes[entry["code"]] = self.codes.get(entry["code"], 0) + 1
        data = ("," + json.dumps(line)).encode()
        self._file.seek(self._size)
        self._file.write(data)
        self._index.seek(self._count * _INDEX_BYTES)
        self._index.write(struct.pack(_INDEX, entry["seq"], self._size))
        self._count += 1
        self._size += len(data)

    def _entry(self, number: int) -> tuple:
        """The (sequence number, place) of the entry `number` of this run, from 0."""
        self._index.seek(number * _INDEX_BYTES)
        return struct.unpack(_INDEX, self._index.read(_INDEX_BYTES))

    def last(self) -> int:
        """The number of the newest entry, 0 when there is none."""
        return self._entry(self._count - 1)[0] if self._count else 0

    def tail(self, count: int) -> list:
        """The last entries as dicts, oldest first."""
        if not self._count:
            return []
        self._file.seek(self._entry(max(0, self._count - count))[1] + 1)
        return json.loads("[" + self._file.read().decode() + "]")

    def answer(self, since: int):
        """Yield, in pieces, the rest of an answer with the entries whose number is above `since`."""
        index = self._count
        while index and self._entry(index - 1)[0] > since:
            index -= 1
        # Entries made while the answer is on its way belong to the next one.
        end = self._size
        place = self._entry(index)[1] + 1 if index < self._count else end
        yield b'"log": ['
        while place < end:
            self._file.seek(place)
            piece = self._file.read(min(_PIECE_BYTES, end - place))
            place += len(piece)
            yield piece
        yield b"]}\n"
