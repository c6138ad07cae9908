"""The event log of a whole run, over restarts of the firmware, kept in a file without a name."""

import json
import os
from array import array

from micropython import const

_PIECE_BYTES = const(8 * 1024)


class Record:
    """Entries as the firmware made them, each with "boot", the number of the firmware's start (1, 2, ...)."""

    def __init__(self, folder: str = "/tmp"):
        path = "%s/wallbox-log-%s" % (folder, "".join(["%02x" % byte for byte in os.urandom(8)]))
        self._file = open(path, "w+b")  # noqa: SIM115 - it stays open as long as the process runs
        # A file without a name goes with the process, however that ends.
        os.unlink(path)
        self._size = 0
        self._sequences = array("q")
        self._places = array("q")
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
        self._sequences.append(entry["seq"])
        self._places.append(self._size)
        self._size += len(data)

    def last(self) -> int:
        """The number of the newest entry, 0 when there is none."""
        return self._sequences[-1] if self._sequences else 0

    def tail(self, count: int) -> list:
        """The last entries as dicts, oldest first."""
        if not self._places:
            return []
        self._file.seek(self._places[max(0, len(self._places) - count)] + 1)
        return json.loads("[" + self._file.read().decode() + "]")

    def answer(self, since: int):
        """Yield, in pieces, the rest of an answer with the entries whose number is above `since`."""
        index = len(self._sequences)
        while index and self._sequences[index - 1] > since:
            index -= 1
        # Entries made while the answer is on its way belong to the next one.
        end = self._size
        place = self._places[index] + 1 if index < len(self._places) else end
        yield b'"log": ['
        while place < end:
            self._file.seek(place)
            piece = self._file.read(min(_PIECE_BYTES, end - place))
            place += len(piece)
            yield piece
        yield b"]}\n"
