"""The ways to a wallbox: simulator's WebSocket, virtual radio, real Bluetooth adapter. They carry frames, no more.

Each module is imported only when its way is used, since each needs a library of its own.
"""

import json
from dataclasses import dataclass
from typing import Protocol

SERVICE = "5e2a0001-7c1b-4b64-9f0e-3d6c8a51e7f2"
INFO = "5e2a0002-7c1b-4b64-9f0e-3d6c8a51e7f2"
REQUEST = "5e2a0003-7c1b-4b64-9f0e-3d6c8a51e7f2"
RESPONSE = "5e2a0004-7c1b-4b64-9f0e-3d6c8a51e7f2"
# An opcode and a handle stand in front of what a write or a notification carries.
ATT_HEADER_BYTES = 3


class Transport(Protocol):
    """An open, paired connection."""

    # The largest frame, in bytes.
    payload: int

    async def send(self, frame: bytes) -> None:
        """Send one frame; LinkLost when the connection is gone."""
        ...

    async def receive(self) -> bytes:
        """The next frame; LinkLost when the connection is gone."""
        ...

    async def close(self) -> None:
        """End the connection; harmless when it is gone already."""
        ...


@dataclass(frozen=True)
class Found:
    """A wallbox that a scan has found; `info` is what it tells everybody, {} when it was not asked."""

    address: str
    name: str
    rssi_dbm: int | None
    info: dict


class Way(Protocol):
    """How a wallbox is reached; it may be opened again after a cut."""

    async def open(self) -> Transport:
        """Connect and pair; NoConnection when nothing answers, PairingRefused with the wallbox's reason."""
        ...

    async def scan(self, seconds: float) -> list[Found]:
        """The wallboxes within reach; nothing is paired."""
        ...

    async def close(self) -> None:
        """Let go of the adapter."""
        ...


def read_info(data: bytes) -> dict:
    """The characteristic `info` as a dict; {} for what is no JSON object."""
    try:
        info = json.loads(data)
    except ValueError:
        return {}
    return info if isinstance(info, dict) else {}
