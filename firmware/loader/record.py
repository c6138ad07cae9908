"""What is known of the two slots over restarts: which is good, which is on trial, and how the last update ended."""

import struct
from binascii import crc32

from micropython import const

_MAGIC = b"WBR1"
# Magic, good slot, slot on trial, tries left, how the last update ended, whether that was told, highest counter.
_FORM = ">4sBBBBBIB"
_FORM_BYTES = const(14)
_CRC_BYTES = const(4)
_NONE = const(255)
# `hal.slots.save` takes 256 bytes.
_TEXT_BYTES = const(200)
_SLOTS = const(2)
# An update has so many starts in which to prove itself (R29).
TRIES = const(2)

# The firmware in a slot is compiled apart and reads these here.
NOTHING = 0
COMMITTED = 1
ROLLED_BACK = 2


class Record:
    """`good` is the slot to start, `trial` the one to try instead while `tries` are left, None without.

    `counter` is the highest that a committed firmware had: no older one is accepted. `ended` tells how the last update
    went, `version` of what, `reason` why it was rolled back or is not healthy yet; `told` once people have heard of it.
    """

    def __init__(self, good: int = 0, counter: int = 0):
        self.good = good
        self.trial: int | None = None
        self.tries = 0
        self.counter = counter
        self.ended = NOTHING
        self.told = True
        self.version = ""
        self.reason = ""

    @property
    def over(self) -> bool:
        """Whether the last update has ended, one way or the other."""
        return self.ended != NOTHING

    @property
    def committed(self) -> bool:
        """Whether it has ended well."""
        return self.ended == COMMITTED

    def pack(self) -> bytes:
        """The record as at most 256 bytes."""
        # A character that the end would cut in two goes as a whole: only so is it read again.
        text = _shortened(self.version + "\n" + self.reason)
        trial = _NONE if self.trial is None else self.trial
        data = struct.pack(
            _FORM, _MAGIC, self.good, trial, self.tries, self.ended, bool(self.told), self.counter, len(text)
        )
        data += text
        return data + struct.pack(">I", crc32(data))

    def begin(self, slot: int, version: str) -> None:
        """The slot holds a new firmware, to be tried at the next start."""
        self.trial = slot
        self.tries = TRIES
        self.ended = NOTHING
        self.told = True
        self.version = version
        self.reason = ""

    def reopen(self) -> None:
        """A firmware is being received: how the update before has ended says nothing about this one."""
        self.ended = NOTHING
        self.told = True
        self.reason = ""

    def commit(self, counter: int) -> None:
        """The firmware on trial is healthy: from now on it is the good one, and nothing older is accepted."""
        if self.trial is not None:
            self.good = self.trial
        self.trial = None
        self.tries = 0
        self.counter = max(self.counter, counter)
        self.ended = COMMITTED
        self.told = False
        self.reason = ""

    def roll_back(self, reason: str) -> None:
        """The firmware on trial is given up."""
        self.trial = None
        self.tries = 0
        self.ended = ROLLED_BACK
        self.told = False
        self.reason = reason


def _shortened(text: str) -> bytes:
    while len(text.encode()) > _TEXT_BYTES:
        text = text[:-1]
    return text.encode()


def unpack(data):
    """The Record in `data`, None when there is none or it is damaged."""
    if len(data) < _FORM_BYTES + _CRC_BYTES:
        return None
    magic, good, trial, tries, ended, told, counter, length = struct.unpack(_FORM, data[:_FORM_BYTES])
    end = _FORM_BYTES + length
    if magic != _MAGIC or len(data) != end + _CRC_BYTES or data[end:] != struct.pack(">I", crc32(data[:end])):
        return None
    if good >= _SLOTS or trial not in (0, 1, _NONE) or trial == good:
        return None
    record = Record(good, counter)
    record.trial = None if trial == _NONE else trial
    record.tries = tries
    record.ended = ended
    record.told = bool(told)
    record.version, _, record.reason = str(data[_FORM_BYTES:end], "utf-8").partition("\n")
    return record
