"""Looks up an idTag in the file of a list, in pieces; a function of TagFile, loaded for it."""

import json

from micropython import const

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
