"""Reads in and writes the files of `tagfile`, whole or not at all; borrowed for one use, as changes are rare.

`tags` is a TagFile. OSError when flash refuses: then everything is as it was.
"""

import json
import os
from binascii import crc32

from micropython import const

from ocpp.rare import borrow
from ocpp.timestamps import parse

key = borrow("taglook").key

# The last line: "#", six digits, a blank, eight hex digits, the end of the line.
_END_BYTES = const(17)
_CRC_AT = const(8)
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


def key_of(text: bytes) -> bytes:
    """The `key` that a line begins with."""
    return key(json.loads(text)[0])


def lines(tags):
    """Yield the lines of a list."""
    if tags.slot is None:
        return
    with open(tags.path + str(tags.slot), "rb") as file:
        file.readline()
        for _ in range(tags.count):
            yield file.readline()


# -- reading in ------------------------------------------------------------------------------------------


def restore(tags) -> None:
    """Find the newest whole copy."""
    lost = [slot for slot in (0, 1) if not _take(tags, slot)]
    if not lost:
        return
    if tags.slot is None:
        tags.log.add("error", "ocpp", "tags_lost", "%s: no copy is whole; it is empty now" % tags.path)
    else:
        text = "%s: copy %d is not whole; the other is used" % (tags.path, lost[0])
        tags.log.add("warning", "ocpp", "tags_copy_lost", text)


def _take(tags, slot: int) -> bool:
    """Make a copy the one in use if it is whole and the newest; False when it is there but not whole."""
    try:
        with open(tags.path + str(slot), "rb") as file:
            if not file.seek(0, 2):
                # Made, and power was cut before anything was in it.
                return True
            end = _end(file)
            if end is None:
                return False
            file.seek(0)
            sequence, version = json.loads(file.readline())
    except OSError as error:
        return error.errno == _ENOENT
    if sequence > tags.sequence:
        tags.sequence, tags.version, tags.count, tags.slot = sequence, version, int(end[1 : _CRC_AT - 1]), slot
    return True


def _end(file):
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


# -- writing ---------------------------------------------------------------------------------------------


def write(tags, version: int, new):
    """Generator that replaces the list by the lines `new`; done only when it has ended, till then the old one counts.

    It yields now and then, so that a task can let others run. Whoever gives it up must close it.
    """
    slot = 1 - (tags.slot or 0)
    sequence = tags.sequence + 1
    crc = count = 0
    data = b"[%d,%d]\n" % (sequence, version)
    with open(tags.path + str(slot), "wb") as file:
        for text in new:
            data += text
            count += 1
            if count % _SLICE == 0:
                file.write(data)
                crc = crc32(data, crc)
                data = b""
                yield
        data += b"#%06d " % count
        file.write(data + b"%08x\n" % crc32(data, crc))
    tags.sequence, tags.version, tags.count, tags.slot = sequence, version, count, slot


def write_now(tags, version: int, new) -> None:
    """`write` in one go, for short lists."""
    for _ in write(tags, version, new):
        continue


def erase(tags) -> None:
    """Remove the list for good."""
    used = tags.slot or 0
    # The copy in use goes last, or power lost in between would bring the other back.
    for slot in (1 - used, used):
        try:
            os.remove(tags.path + str(slot))
        except OSError as error:
            if error.errno != _ENOENT:
                raise
    tags.slot = None
    tags.version = tags.count = 0


def remember(tags, id_tag: str, info: dict, most: int) -> None:
    """Put a tag into the list as its newest; one that is in the way goes when there are `most` already.

    Nothing is written when it is known so. ValueError when the expiry is no date-time.
    """
    start = key(id_tag)
    new = line(id_tag, info)
    old = None
    for text in lines(tags):
        if text.startswith(start):
            old = text
    if old != new:
        full = old is None and tags.count >= most
        write_now(tags, 0, _with(tags, new, _dispensable(tags) if full else start))


def _with(tags, new: bytes, gone: bytes):
    """The lines but the one that begins with `gone`, and `new` as the newest."""
    for text in lines(tags):
        if not text.startswith(gone):
            yield text
    yield new


def _dispensable(tags) -> bytes:
    """The oldest line that permits nothing, else the oldest: cards of strangers must not push out good ones."""
    oldest = refused = b""
    for text in lines(tags):
        oldest = oldest or text
        if b', "Accepted"' not in text:
            refused = refused or text
    return refused or oldest
