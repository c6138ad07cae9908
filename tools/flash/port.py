"""Streams a container into a wallbox whose MicroPython answers at its service port."""

import base64
import json
from collections.abc import Callable
from typing import Protocol

PIECE_BYTES = 4096
# The chip's own watchdog was started by the firmware, which stands still now; nobody feeds it.
WATCHDOG_MS = 600_000

# Runs on the wallbox. What verifies a container is the firmware itself, so its slot is mounted, without a try.
BEGIN = f"""
import machine
if hasattr(machine, "WDT"):
    machine.WDT(timeout={WATCHDOG_MS})
from hal import slots
from loader import start
_record = start.read(slots)
_good = None if _record is None else start.sound(slots, _record.good)
if _good is not None:
    start.mount(slots, _record.good, _good.size)
    from wallbox.update.serial import Serial
"""
# A wallbox without a firmware has nothing that could verify one; who is at its service port of a new board may do all.
BEGIN_BARE = """
from loader.record import Record
class Serial:
    def __init__(self, slots, size):
        self.slots, self.size, self.at = slots, size, 0
        for sector in range((size + slots.SECTOR - 1) // slots.SECTOR):
            slots.erase(0, sector)
    def take(self, text):
        from binascii import a2b_base64
        data = a2b_base64(text)
        if self.at:
            self.slots.write(0, self.at, data + b"\\xff" * (-len(data) % self.slots.UNIT))
        else:
            self.head = data
        self.at += len(data)
        return self.at
    def finish(self):
        self.slots.write(0, 0, self.head)
        head = start.sound(self.slots, 0)
        if head is None:
            raise ValueError("slot a does not hold what was sent")
        self.slots.save(Record(0, head.counter).pack())
        return "firmware %s is in slot a and will be started" % head.version
"""


class FlashError(Exception):
    """The wallbox cannot be reached, or does not take the firmware; the text says why."""


class Transport(Protocol):
    """What of mpremote's transport is needed: code runs on the wallbox, and what it prints comes back."""

    def exec(self, command: str) -> bytes:
        """Run code -> what it printed."""
        ...


def said(transport: Transport, code: str) -> object:
    """What an expression on the wallbox gives, by way of JSON."""
    return json.loads(transport.exec(f"import json\nprint(json.dumps({code}))"))


def send(transport: Transport, container: bytes, bare: bool, progress: Callable[[int, int], None]) -> str:
    """Send a container -> what the wallbox says; whatever `transport` raises when it is refused.

    `bare` allows a wallbox without a firmware, on which nothing is verified but that the slot holds what was sent.
    """
    transport.exec(BEGIN)
    if said(transport, "_good is None"):
        if not bare:
            raise FlashError("the wallbox has no firmware that could verify this one; --bare writes it as it is")
        transport.exec(BEGIN_BARE)
    transport.exec(f"_serial = Serial(slots, {len(container)})")
    for at in range(0, len(container), PIECE_BYTES):
        piece = base64.b64encode(container[at : at + PIECE_BYTES]).decode()
        progress(int(str(said(transport, f"_serial.take({piece!r})"))), len(container))
    return str(said(transport, "_serial.finish()"))
