"""The two slots for the firmware on the simulated board's flash, and what the loader keeps about them."""

import struct
from binascii import crc32
from hashlib import sha256

import loader
from plant import board
from plant.flash import BLOCK_BYTES, RECORD_BLOCKS, SLOT_BLOCKS, SLOTS

BOARD = "simulator"
SECTOR = 4096
UNIT = 16
SLOT_BYTES = 524_288

_RECORD_BYTES = 256
_HEAD = ">IH"
_HEAD_BYTES = 6
_CRC_BYTES = 4


def _area():
    return board.plant.flash_device.slots


def read(slot: int, offset: int, buf) -> None:
    """Fill `buf` from a place in a slot."""
    done = 0
    view = memoryview(buf)
    while done < len(view):
        block, within = divmod(offset + done, BLOCK_BYTES)
        count = min(len(view) - done, BLOCK_BYTES - within)
        _area().read(slot * SLOT_BLOCKS + block, within, view[done : done + count])
        done += count


def erase(slot: int, sector: int) -> None:
    """Erase one sector of a slot; OSError when flash refuses."""
    _area().erase(slot * SLOT_BLOCKS + sector)


def write(slot: int, offset: int, data) -> None:
    """Write whole units within one sector, to bytes that are erased; OSError when flash refuses, ValueError."""
    if offset % UNIT or len(data) % UNIT:
        raise ValueError("slot: %d bytes at %d are not allowed; allowed: multiples of %d" % (len(data), offset, UNIT))
    block, within = divmod(offset, BLOCK_BYTES)
    _area().write(slot * SLOT_BLOCKS + block, within, data)


def map(slot: int):  # noqa: A001
    """A slot as read-only memory."""
    sector = bytearray(SECTOR)
    digest = sha256()
    for at in range(0, SLOT_BYTES, SECTOR):
        read(slot, at, sector)
        digest.update(sector)
    key = digest.digest()
    if key not in board.maps:
        # The interpreter takes names and code from here without a copy, and names live for ever: it must stay.
        board.maps[key] = board.rooms.pop() if board.rooms else bytearray(SLOT_BYTES)
        read(slot, 0, board.maps[key])
    return memoryview(board.maps[key])


def running():
    """The slot whose firmware runs, 0 or 1; None when it was started from the source tree."""
    return loader.running


def _copies():
    """Yield (block, sequence, data) of each copy of the record; sequence -1 and None for none or a damaged one."""
    for number in range(RECORD_BLOCKS):
        block = SLOTS * SLOT_BLOCKS + number
        buf = bytearray(_HEAD_BYTES + _RECORD_BYTES + _CRC_BYTES)
        _area().read(block, 0, buf)
        sequence, length = struct.unpack(_HEAD, buf[:_HEAD_BYTES])
        end = _HEAD_BYTES + length
        if length <= _RECORD_BYTES and buf[end : end + _CRC_BYTES] == struct.pack(">I", crc32(buf[:end])):
            yield block, sequence, bytes(buf[_HEAD_BYTES:end])
        else:
            yield block, -1, None


def load() -> bytes:
    """What `save` has kept, b"" for nothing; old or new after a power cut."""
    newest = max(_copies(), key=lambda copy: copy[1])
    return newest[2] or b""


def save(data: bytes) -> None:
    """Keep up to 256 bytes, whole or not at all; OSError when flash refuses."""
    if len(data) > _RECORD_BYTES:
        raise ValueError("record: %d bytes; allowed: up to %d" % (len(data), _RECORD_BYTES))
    copies = sorted(_copies(), key=lambda copy: copy[1])
    block, newest = copies[0][0], copies[-1][1]
    head = struct.pack(_HEAD, newest + 1, len(data))
    _area().erase(block)
    _area().write(block, 0, head + data + struct.pack(">I", crc32(head + data)))
