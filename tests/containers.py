"""Containers of firmware, signed with the development key, for tests that send them."""

from typing import Any

from sign import container, keys
from sign.__main__ import MPY

SECTOR = container.SECTOR
BUILT = "2026-11-25T12:00:00Z"


def sealed(romfs: bytes, board: str = "simulator", version: str = "9.0.0", counter: int = 1, **changes: Any) -> bytes:
    """A container of `romfs`; `changes` are members of the manifest that are not what they should be."""
    described = {**container.manifest(romfs, board, version, counter, MPY, BUILT), **changes}
    return container.pack(romfs, described, keys.DEVELOPMENT_NUMBER, keys.private(keys.DEVELOPMENT))
