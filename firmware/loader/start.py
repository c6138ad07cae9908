"""Chooses the slot to start and mounts it. The same on every board; only `slots` (a board's `hal.slots`) differs.

Of a slot it believes what it can prove by itself: header, board, size, form of the code, and the SHA-256 of the
content. The signature was checked before the header was written.
"""

import sys
from hashlib import sha256

import vfs
from micropython import const

import loader
from loader.header import SECTOR, Refused, mpy, parse
from loader.record import Record, unpack

PLACE = "/rom"
_SLOTS = const(2)
# Read at a time, about 1 ms of a chip's time.
_PIECE_BYTES = const(2048)


def header(slots, slot: int):
    """The Header of a slot, Refused when there is none or it is not for this board."""
    sector = bytearray(SECTOR)
    slots.read(slot, 0, sector)
    found = parse(sector)
    if found.board != slots.BOARD:
        raise Refused("board", "the firmware is for the board %s, not %s" % (found.board, slots.BOARD))
    if found.mpy != mpy():
        raise Refused("mpy", "the firmware is compiled for mpy %s, not %s" % (found.mpy, mpy()))
    if found.size > slots.SLOT_BYTES - SECTOR:
        raise Refused("size", "the firmware has %d bytes, more than a slot" % found.size)
    return found


def sound(slots, slot: int):
    """The Header of a slot whose content is whole, None when it is not."""
    try:
        found = header(slots, slot)
        digest = sha256()
        buf = memoryview(bytearray(_PIECE_BYTES))
        done = 0
        while done < found.size:
            piece = buf[: min(_PIECE_BYTES, found.size - done)]
            slots.read(slot, SECTOR + done, piece)
            digest.update(piece)
            done += len(piece)
    except (Refused, OSError):
        return None
    return found if digest.digest() == found.sha256 else None


def read(slots):
    """The Record as it is kept, None when there is none that can be read."""
    try:
        return unpack(slots.load())
    except OSError:
        return None


def rebuilt(heads) -> Record:
    """A Record for slots of which nothing is known any more; `heads` are the Headers of what is whole, or None.

    The highest counter counts as kept: losing the record brings no older firmware back. Of two that may run the later
    built one has to prove itself again.
    """
    ages = [(-1, "") if head is None else (head.counter, head.built) for head in heads]
    newer = 1 if ages[1] > ages[0] else 0
    record = Record(newer, max(0, ages[newer][0]))
    if ages[0][0] == ages[1][0] >= 0 and heads[0].sha256 != heads[1].sha256:
        record.good = 1 - newer
        record.begin(newer, heads[newer].version)
    return record


def choose(record: Record, is_sound):
    """The slot to start, None when `is_sound(slot)` of neither; `record` becomes what must be kept before the start."""
    trial, good = record.trial, record.good
    if trial is not None:
        if not is_sound(trial):
            record.roll_back("the new firmware is damaged")
        elif record.tries:
            record.tries -= 1
            return trial
        elif is_sound(good):
            record.roll_back(record.reason or "the new firmware did not come to prove itself healthy")
        else:
            # An unproven firmware is more than none.
            return trial
    if is_sound(good):
        return good
    other = 1 - good
    if not is_sound(other):
        return None
    record.good = other
    record.roll_back("the firmware in slot %s is damaged" % "ab"[good])
    return other


def prepare(slots):
    """Choose a slot, note a try, mount it and put it on the import path -> the slot, None when neither may run.

    It may when it is whole and no older than what was kept.
    """
    heads = {}

    def head(slot):
        if slot not in heads:
            heads[slot] = sound(slots, slot)
        return heads[slot]

    def may_run(slot):
        return head(slot) is not None and head(slot).counter >= record.counter

    loader.running = None
    try:
        kept = slots.load()
    except OSError:
        # It may be there all the same: nothing is written over it.
        kept = None
    record = None if kept is None else unpack(kept)
    if record is None:
        record = rebuilt([head(slot) for slot in range(_SLOTS)])
    good = record.good
    slot = choose(record, may_run)
    if slot is None:
        return None
    # A trial whose tries cannot be counted would never end.
    if not _kept(slots, record, kept) and slot == record.trial and may_run(good):
        slot = good
    mount(slots, slot, head(slot).size)
    return slot


def _kept(slots, record: Record, kept) -> bool:
    """Keep the record unless it is what `kept` holds -> whether it is kept; `kept` None: nothing may be written."""
    data = record.pack()
    if data == kept:
        return True
    if kept is None:
        return False
    try:
        slots.save(data)
    except OSError:
        return False
    return True


def mount(slots, slot: int, size: int) -> None:
    """Make the slot's content the first place from which modules are taken."""
    vfs.mount(vfs.VfsRom(slots.map(slot)[SECTOR : SECTOR + size]), PLACE)  # type: ignore
    sys.path.insert(0, PLACE)
    loader.running = slot
