"""idTags with what is known of them, on flash: looked up in pieces, replaced whole or not at all; it judges no tag.

Of two files the newer whole one counts, and the other is the next to be written. A file is a line of JSON
[sequence, version], a line [idTag, status, expiry in s since 1970, parentIdTag] for each tag, the last two left out
where there @
"""

import json
import os
from binascii import crc32

from micropython import const

from ocpp.timestamps import iso, parse

# The last line: "#", six digits, a blank, eight hex digits, the end of the line.
_END_BYTES = const(17)
_CRC_AT = const(8)
# Read in one go: a page of usual NOR flash twice, so that a lookup takes little heap and few reads.
_PIECE_BYTES = const(512)
# Lines between two yields, so that a step stays short.
_SLICE = const(8)
_ENOENT = const(2)


def line(id_tag: str, info: dict) -> bytes:
    """The line of an idTag with its idTagInfo (OCPP 1.6, 7.27); ValueError when the expiry is no date-time."""
    entry = [id_tag.upper(), info["status"]]
    expiry, parent = info.get("expiryDate"), info.get("parentIdTag")
    if expiry is not None or parent is not None:
        entry.append(None if expiry is None else parse(expiry))
    if parent is not None:
        entry.append(parent)
    return json.dumps(entry).encode() + b"\n"


def key(id_tag: str) -> bytes:
    """How the line of an idTag begins; idTags are the same whatever their case (CiString20Type, 7.22)."""
    return b"[" + json.dumps(id_tag.upper()).encode() + b","


def tag_of(text: bytes) -> str:
    """The idTag of a line."""
    return json.loads(text)[0]


def _info(text: bytes, utc_s) -> dict:
    """What a line says as idTagInfo; with a known time (`utc_s` not None) an expiry that has come makes it Expired."""
    entry = json.loads(text)
    info = {"status": entry[1]}
    if len(entry) > 2 and entry[2] is not None:
        if utc_s is not None and utc_s >= entry[2]:
            return {"status": "Expired"}
        info["expiryDate"] = iso(entry[2])
    if len(entry) > 3:
        info["parentIdTag"] = entry[3]
    return info


class TagFile:
    """The list `name` in `folder`; `version` and `count` tell what is in it.

    What had to be given up is logged; a list that cannot be read is empty.
    """

    def __init__(self, folder: str, name: str, log):
        self._path = folder + "/" + name + "."
        self._name = name
        self._log = log
        self._slot = None
        self._sequence = 0
        self.version = 0
        self.count = 0
        lost = [slot for slot in (0, 1) if not self._take(slot)]
        if lost and self._slot is None:
            log.add("error", "ocpp", "tags_lost", "%s: no copy is whole; it is empty now" % name)
        elif lost:
            log.add(
                "warning", "ocpp", "tags_copy_lost", "%s: copy %d is not whole; the other is used" % (name, lost[0])
            )

    def _take(self, slot: int) -> bool:
        """Make a copy the one in use if it is whole and the newest; False when it is there but not whole."""
        try:
            with open(self._path + str(slot), "rb") as file:
                if not file.seek(0, 2):
                    # Made, and power was cut before anything was in it.
                    return True
                end = self._end(file)
                if end is None:
                    return False
                file.seek(0)
                sequence, version = json.loads(file.readline())
        except OSError as error:
            return error.errno == _ENOENT
        if sequence > self._sequence:
            self._sequence, self.version, self.count, self._slot = sequence, version, int(end[1 : _CRC_AT - 1]), slot
        return True

    def _end(self, file):
        """The last line of a copy if it fits to what stands before it, else None."""
        left = file.seek(0, 2) - _END_BYTES
        file.seek(0)
        crc = 0
        piece = memoryview(bytearray(_PIECE_BYTES))
        while left > 0:
            size = file.readinto(piece[: min(left, _PIECE_BYTES)])
            crc = crc32(piece[:size], crc)
            left -= size
        end = file.read(_END_BYTES)
        return end if end[_CRC_AT:] == b"%08x\n" % crc32(end[:_CRC_AT], crc) else None

    def find(self, id_tag: str, utc_s):
        """What is known of an idTag as idTagInfo, None: it is not listed; `utc_s` is the time, None when unknown."""
        try:
            text = self.line_of(key(id_tag))
        except OSError as error:
            self._log.add("error", "ocpp", "tags_unreadable", "%s cannot be read (%s)" % (self._name, error))
            return None
        return None if text is None else _info(text, utc_s)

    def line_of(self, start: bytes):
        """The line that begins with a tag's `key`, None when there is none; OSError when flash cannot be read."""
        if self._slot is None:
            return None
        with open(self._path + str(self._slot), "rb") as file:
            return self._search(file, b"\n" + start)

    def _search(self, file, wanted: bytes):
        """The line that begins with `wanted`, which itself begins with the end of the line before."""
        keep = len(wanted) - 1
        piece = bytearray(keep + _PIECE_BYTES)
        free = memoryview(piece)[keep:]
        start = -keep
        while True:
            size = file.readinto(free)
            if not size:
                return None
            at = piece.find(wanted, 0, keep + size)
            if at >= 0:
                file.seek(start + at + 1)
                return file.readline()
            piece[:keep] = piece[size : size + keep]
            start += size

    def lines(self):
        """Yield the lines; OSError when flash cannot be read."""
        if self._slot is None:
            return
        with open(self._path + str(self._slot), "rb") as file:
            file.readline()
            for _ in range(self.count):
                yield file.readline()

    def write(self, version: int, lines):
        """Generator that replaces the list by `lines`; done only when it has ended, until then the old one counts.

        It yields now and then, so that a task can let others run. Whoever gives it up must close it. OSError when
        flash refuses: the old list is still there.
        """
        slot = 1 - (self._slot or 0)
        sequence = self._sequence + 1
        crc = count = 0
        data = b"[%d,%d]\n" % (sequence, version)
        with open(self._path + str(slot), "wb") as file:
            for text in lines:
                data += text
                count += 1
                if count % _SLICE == 0:
                    file.write(data)
                    crc = crc32(data, crc)
                    data = b""
                    yield
            data += b"#%06d " % count
            file.write(data + b"%08x\n" % crc32(data, crc))
        self._sequence, self.version, self.count, self._slot = sequence, version, count, slot

    def write_now(self, version: int, lines) -> None:
        """`write` in one go, for short lists."""
        for _ in self.write(version, lines):
            continue

    def erase(self) -> None:
        """Remove the list for good; OSError when flash refuses: then the list is as it was."""
        used = self._slot or 0
        # The copy in use goes last, or power lost in between would bring the other back.
        for slot in (1 - used, used):
            try:
                os.remove(self._path + str(slot))
            except OSError as error:
                if error.errno != _ENOENT:
                    raise
        self._slot = None
        self.version = self.count = 0
