"""The two slots for the firmware in the chip's flash, and what the loader keeps about them in NVS.

Writing stops everything that runs from flash for the time of it, erasing a sector for 45 ms and more. On a chip with
flash encryption all is read and written in plain, but for erased bytes: these read as anything.
"""

import esp32
import slots as memory

import loader
from hal import nvs

BOARD = "wallbox-s3-1"
SECTOR = 4096
# Encrypted flash is written in whole units of this at whole addresses (ESP-IDF, esp_flash_write_encrypted); so is any
# here, that a board without encryption takes nothing which one with it refuses.
UNIT = 16
# As in partitions.csv.
SLOT_BYTES = 786_432

_LABELS = ("slot_a", "slot_b")
_KEY = "slots"
# Of the block device protocol (os.AbstractBlockDev).
_ERASE = 6


def _partition(slot: int):
    return esp32.Partition(_LABELS[slot])


def read(slot: int, offset: int, buf) -> None:
    """Fill `buf` from a place in a slot; OSError when flash fails."""
    sector, within = divmod(offset, SECTOR)
    _partition(slot).readblocks(sector, buf, within)


def erase(slot: int, sector: int) -> None:
    """Erase one sector of a slot; OSError when flash refuses."""
    _partition(slot).ioctl(_ERASE, sector)


def write(slot: int, offset: int, data) -> None:
    """Write whole units within one sector, to bytes that are erased; OSError when flash refuses, ValueError."""
    if offset % UNIT or len(data) % UNIT:
        raise ValueError("slot: %d bytes at %d are not allowed; allowed: multiples of %d" % (len(data), offset, UNIT))
    sector, within = divmod(offset, SECTOR)
    # With an offset nothing is erased.
    _partition(slot).writeblocks(sector, data, within)


def map(slot: int):  # noqa: A001
    """A slot as read-only memory; OSError when there is no such partition."""
    return memory.map(_LABELS[slot])


def running():
    """The slot whose firmware runs, 0 or 1; None when it was started from elsewhere."""
    return loader.running


def load() -> bytes:
    """What `save` has kept, b"" for nothing; old or new after a power cut. OSError when flash fails."""
    return nvs.load(_KEY) or b""


def save(data: bytes) -> None:
    """Keep up to 256 bytes, whole or not at all; OSError when flash refuses."""
    nvs.save(_KEY, data)
