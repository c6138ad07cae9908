"""An append-only journal of short records in a few small files; it knows nothing of what the records mean."""

import os
from binascii import crc32

from micropython import const

# One littlefs block of the usual 4,096 bytes, less room for its pointers: an append copies the last block
# of the file, so a file of one block is the cheapest to append to (littlefs DESIGN.md, "CTZ skip-lists").
_FILE_BYTES = const(4000)
_RECORD_BYTES = const(1000)
_FRAME_BYTES = const(10)
_ENOENT = const(2)


def _frame(record: bytes) -> bytes:
    if len(record) > _RECORD_BYTES or b"\n" in record:
        raise ValueError("record: %d bytes; allowed: up to %d, no newline" % (len(record), _RECORD_BYTES))
    return b"%08x %s\n" % (crc32(record), record)


def _unframe(line: bytes):
    """The record of a line, None when it is damaged; only its newline may be missing."""
    record = line[9:-1] if line[-1] == 0x0A else line[9:]
    return record if line[:9] == b"%08x " % crc32(record) else None


class Journal:
    """Records of up to 1,000 bytes, kept over power cuts until newer ones push them out.

    A record is a line with its CRC-32, so a damaged one costs itself only. Files are numbered and never
    reused: when the newest is full the next is started and the oldest beyond `files` is removed.
    At least `files - 1` full files of `file_bytes` are kept. A missing or unreadable folder is an empty
    journal; only writing raises.
    """

    def __init__(self, folder: str, name: str, files: int = 2, file_bytes: int = _FILE_BYTES):
        self._prefix = name + "."
        self._path = folder + "/" + self._prefix
        self._folder = folder
        self._files = files
        self._file_bytes = file_bytes
        self.damaged = 0
        numbers = self._numbers()
        self._number = numbers[-1] if numbers else 0
        self._size = None

    def _numbers(self) -> list:
        try:
            names = os.listdir(self._folder)
        except OSError:
            return []
        start = len(self._prefix)
        numbers = [n[start:] for n in names if n.startswith(self._prefix)]
        return sorted(int(n) for n in numbers if n.isdigit())

    def append(self, record: bytes) -> None:
        """Write one record. OSError when flash refuses, ValueError when it is too long or has a newline."""
        self.extend((record,))

    def extend(self, records) -> None:
        """Write several records with as few flash operations as possible; errors as in `append`."""
        pending = b""
        for record in records:
            frame = _frame(record)
            if self._size is None:
                pending = self._measure()
            size = self._size + len(pending)
            if size and size + len(frame) > self._file_bytes:
                self._write(pending)
                pending = b""
                self._rotate()
            pending += frame
        self._write(pending)

    def _measure(self) -> bytes:
        """Take the newest file's size; returns what must be written to end a line that was torn."""
        try:
            with open(self._path + str(self._number), "rb") as file:
                self._size = file.seek(0, 2)
                if not self._size:
                    return b""
                file.seek(-1, 2)
                return b"" if file.read(1) == b"\n" else b"\n"
        except OSError:
            self._size = 0
            return b""

    def _write(self, data: bytes) -> None:
        if not data:
            return
        size = self._size
        self._size = None
        with open(self._path + str(self._number), "ab") as file:
            file.write(data)
        self._size = size + len(data)

    def _rotate(self) -> None:
        self._number += 1
        self._size = 0
        for number in self._numbers():
            if number <= self._number - self._files:
                os.remove(self._path + str(number))

    def records(self):
        """Yield the records, oldest first; `damaged` then counts the lines that could not be read."""
        self.damaged = 0
        for number in self._kept():
            try:
                with open(self._path + str(number), "rb") as file:
                    yield from self._lines(file)
            except OSError as error:
                self._unreadable(error)

    def _kept(self):
        """The numbers that files may have; to list the folder takes littlefs thousands of reads."""
        return range(max(0, self._number - self._files), self._number + 1)

    def _unreadable(self, error) -> None:
        if error.errno != _ENOENT:
            self.damaged += 1

    def _lines(self, file):
        limit = _RECORD_BYTES + _FRAME_BYTES
        while True:
            line = file.readline(limit)
            if not line:
                return
            record = _unframe(line)
            if record is not None:
                yield record
            elif line != b"\n":
                self.damaged += 1

    def page(self, place: tuple, count: int) -> tuple:
        """Up to `count` records from `place` on, (0, 0) being the oldest, and the next place, None at the end.

        No file stays open in between, so the journal may grow and rotate; what was removed meanwhile is passed over.
        """
        first, offset = place
        records = []
        for number in self._kept():
            if number < first:
                continue
            try:
                with open(self._path + str(number), "rb") as file:
                    file.seek(offset if number == first else 0)
                    for record in self._lines(file):
                        records.append(record)
                        if len(records) == count:
                            return records, (number, file.tell())
            except OSError as error:
                self._unreadable(error)
        return records, None

    def last(self):
        """The newest readable record, or None."""
        newest = None
        for record in self.records():
            newest = record
        return newest
