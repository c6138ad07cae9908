"""idTags with what is known of them, looked up on flash in pieces; `tagstore` writes them, and here nobody is judged.

Of two files the newer whole one counts, and the other is the next to be written. A file is a line of JSON
[sequence, version], a line [idTag, status, expiry in s since 1970, parentIdTag] for each tag, the last two left out
where there are none, and a line with the count of tags and the CRC-32 of all before it. Without that last line it is
nothing, so power may be cut at any write.
"""

import json

from micropython import const

from ocpp.rare import borrow
from ocpp.timestamps import iso

# Read in one go: two pages of usual NOR flash, so that a lookup takes little heap and few reads.
_PIECE_BYTES = const(512)


def key(id_tag: str) -> bytes:
    """How the line of an idTag begins; idTags are the same whatever their case (CiString20Type, 7.22)."""
    return b"[" + json.dumps(id_tag.upper()).encode() + b","


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


def _search(file, wanted: bytes):
    """The line that begins with `wanted`, which itself begins with the end of the line before, or None."""
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


class TagFile:
    """The list in the files `path` + 0 and 1: its `version` and `count` of tags, the file in use or None, its number.

    What had to be given up is logged; a list that cannot be read is empty.
    """

    def __init__(self, path: str, log):
        self.path = path
        self.log = log
        self.slot = None
        self.sequence = self.version = self.count = 0
        borrow("tagstore").restore(self)

    def find(self, id_tag: str, utc_s):
        """What is known of an idTag as idTagInfo, None: it is not listed; `utc_s` is the time, None when unknown."""
        if self.slot is None:
            return None
        try:
            with open(self.path + str(self.slot), "rb") as file:
                text = _search(file, b"\n" + key(id_tag))
        except OSError as error:
            self.log.add("error", "ocpp", "tags_unreadable", "%s cannot be read (%s)" % (self.path, error))
            return None
        return None if text is None else _info(text, utc_s)
