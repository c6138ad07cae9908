"""Frames of the installer's link: messages are split and put together again here; what they say is not looked at."""

from micropython import const

MESSAGE = const(0)
DATA = const(1)
# Longest message to the box (docs/installer-protocol.md).
MESSAGE_BYTES = const(4_096)
# Kind and counter, and of a data frame transfer and offset.
HEADER_BYTES = const(2)
DATA_HEADER_BYTES = const(7)
# ATT: operation and handle, in front of what a write or notification carries.
ATT_BYTES = const(3)
_SHORTEST = const(3)
_KIND_MASK = const(0x0F)
_KNOWN_MASK = const(0x3F)
_FIRST = const(0x10)
_LAST = const(0x20)
_COUNTER_MASK = const(0xFF)


class FrameError(Exception):
    """A frame that was not taken; the text says why."""


class TooLongError(Exception):
    """A message of more than MESSAGE_BYTES came to its end; its frames were taken, its text was not kept."""


class Assembler:
    """What comes. `expected` is the counter of the frame it waits for."""

    def __init__(self):
        self.expected = 0
        self._message = bytearray()
        # Between the first frame of a message and its last.
        self._going_on = False
        self._too_long = False

    def take(self, frame: bytes, limit: int):
        """Take one frame of at most `limit` bytes -> (MESSAGE, bytes) or (DATA, bytes), None while a message goes on.

        FrameError for a frame that is not taken; what there was of the message is then dropped. TooLongError.
        """
        try:
            return self._take(frame, limit)
        except FrameError:
            self._forget()
            raise

    def _take(self, frame: bytes, limit: int):
        if not _SHORTEST <= len(frame) <= limit:
            raise FrameError("a frame of %d bytes; allowed: %d..%d" % (len(frame), _SHORTEST, limit))
        head = frame[0]
        kind = head & _KIND_MASK
        if kind > DATA or head & ~_KNOWN_MASK:
            raise FrameError("a frame of the unknown kind 0x%02x" % head)
        if frame[1] != self.expected:
            raise FrameError("a frame with counter %d in the place of %d" % (frame[1], self.expected))
        if kind == DATA:
            if len(frame) < DATA_HEADER_BYTES:
                raise FrameError("a data frame of %d bytes; allowed: from %d" % (len(frame), DATA_HEADER_BYTES))
            self._count()
            return DATA, frame[HEADER_BYTES:]
        if head & _FIRST:
            self._forget()
            self._going_on = True
            self._too_long = False
        elif not self._going_on:
            raise FrameError("a frame in the middle of a message without its first one")
        self._count()
        return self._add(frame, head & _LAST)

    def _forget(self) -> None:
        self._message = bytearray()
        self._going_on = False

    def _count(self) -> None:
        self.expected = (self.expected + 1) & _COUNTER_MASK

    def _add(self, frame: bytes, last: int):
        message = self._message
        if len(message) + len(frame) - HEADER_BYTES > MESSAGE_BYTES:
            self._too_long = True
        if not self._too_long:
            message.extend(memoryview(frame)[HEADER_BYTES:])
        if not last:
            return None
        self._forget()
        if self._too_long:
            raise TooLongError("a message of more than %d bytes" % MESSAGE_BYTES)
        return MESSAGE, bytes(message)


class Splitter:
    """What goes; it counts."""

    def __init__(self):
        self._counter = 0

    def _head(self, first: int) -> bytes:
        head = bytes((first, self._counter))
        self._counter = (self._counter + 1) & _COUNTER_MASK
        return head

    def message(self, text: bytes, limit: int):
        """Yield the frames of a message, each of at most `limit` bytes."""
        room = limit - HEADER_BYTES
        view = memoryview(text)
        for at in range(0, len(text), room):
            head = (0 if at else _FIRST) | (_LAST if at + room >= len(text) else 0)
            yield self._head(MESSAGE | head) + view[at : at + room]

    def data(self, transfer: int, offset: int, piece) -> bytes:
        """One data frame; the caller keeps `piece` within the frame's limit."""
        head = self._head(DATA | _FIRST | _LAST)
        return head + bytes((transfer,)) + offset.to_bytes(4, "little") + piece


def count_frames(size: int, limit: int) -> int:
    """How many frames a message of `size` bytes takes."""
    room = limit - HEADER_BYTES
    return (size + room - 1) // room
