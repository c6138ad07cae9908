"""The slots of the simulated board as a file beside its flash image: what a box has that was updated before a test."""

import shutil
import struct
import zlib
from pathlib import Path

SLOT_BYTES = 128 * 4096
SECTOR = 4096
NO_TRIAL = 255


def record(
    good: int = 0, trial: int | None = None, tries: int = 0, counter: int = 1, version: str = "", ended: int = 0
) -> bytes:
    """What the loader keeps (firmware/loader/record.py)."""
    text = (version + "\n").encode()
    head = struct.pack(
        ">4sBBBBBIB", b"WBR1", good, NO_TRIAL if trial is None else trial, tries, ended, 1, counter, len(text)
    )
    data = head + text
    return data + struct.pack(">I", zlib.crc32(data))


def write(folder: Path, a: bytes | None, b: bytes | None, kept: bytes) -> Path:
    """Give a flash folder these slots and this record; it is not there yet, or has slots already."""
    folder.mkdir(exist_ok=True)
    head = struct.pack(">IH", 1, len(kept)) + kept
    sector = head + struct.pack(">I", zlib.crc32(head))
    content = b"".join((one or b"").ljust(SLOT_BYTES, b"\xff") for one in (a, b))
    (folder / "slots.bin").write_bytes(content + sector.ljust(2 * SECTOR, b"\xff"))
    return folder


def copy(folder: Path, target: Path) -> Path:
    """A flash folder for one run, like another."""
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(folder, target))
