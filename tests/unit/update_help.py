"""What the tests of updates share: containers made and signed here, and the slots of a simulated board."""

import asyncio
import json
from binascii import hexlify
from hashlib import sha256

import loader
import p256
from hal import slots
from loader import header as headers
from loader import record as records
from plant import board
from plant.flash import FlashDevice

# No secret: it signs in these tests only.
SECRET = 0x1F2E3D4C5B6A79880123456789ABCDEF0011223344556677889900AABBCCDDEE
HALF = p256.N >> 1


def run(coroutine):
    asyncio.new_event_loop()
    return asyncio.run(coroutine)


POINT = run(p256.public(SECRET))
KEYS = {7: POINT}


def content(count, seed):
    """Bytes that have no sector of 0xFF."""
    return bytes([(seed * 31 + at * 7 + at // 251) & 0x7F for at in range(count)])


def manifest(romfs, **changes):
    found = {
        "board": "simulator",
        "built": "2026-11-25T12:00:00Z",
        "counter": 1,
        "mpy": headers.mpy(),
        "sha256": hexlify(sha256(romfs).digest()).decode(),
        "size": len(romfs),
        "version": "1.0.0",
    }
    found.update(changes)
    return found


def head(described, number=7, sign=None):
    """A header of 4,096 bytes; `sign(digest)` gives the signature."""
    if not isinstance(described, bytes):
        described = json.dumps(described).encode()
    signed = b"WBX1" + len(described).to_bytes(2, "big") + described + bytes((number,))
    data = signed + (sign or signature)(sha256(signed).digest())
    return data + b"\xff" * (4096 - len(data))


def signature(digest):
    r, s = run(p256.sign(SECRET, digest))
    s = min(s, p256.N - s)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def unsigned(_digest):
    """For what looks at no signature; signing takes its time."""
    return bytes(64)


def container(romfs, sign=None, **changes):
    return head(manifest(romfs, **changes), sign=sign) + romfs


class Slots:
    """A blank flash with slots, used as the board's; `flash` is the device."""

    def __enter__(self):
        self.flash = FlashDevice()
        self._before = board.plant
        board.plant = self
        self.flash_device = self.flash
        return self

    def __exit__(self, kind, value, trace):
        board.plant = self._before
        loader.running = None

    def restart(self):
        """Power comes back."""
        self.flash.cut_at_write = 0
        self.flash.power(True)


def filled(data):
    """Up to a whole unit of flash."""
    return data + b"\xff" * (-len(data) % slots.UNIT)


def put(slot, data):
    """Write a container as a programmer does."""
    for at in range(0, len(data), slots.SECTOR):
        slots.erase(slot, at // slots.SECTOR)
        slots.write(slot, at, filled(data[at : at + slots.SECTOR]))


def keep(**fields):
    """Save a record with these fields."""
    record = records.Record()
    for name, value in fields.items():
        setattr(record, name, value)
    slots.save(record.pack())
    return record


def kept():
    return records.unpack(slots.load())
