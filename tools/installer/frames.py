"""Cuts messages into frames and joins frames to messages, as docs/installer-protocol.md says; knows no transport."""

from collections.abc import Iterator
from dataclasses import dataclass

KIND_MESSAGE = 0
KIND_DATA = 1
KIND_MASK = 0x0F
FIRST = 0x10
LAST = 0x20
HEADER_BYTES = 2
DATA_HEADER_BYTES = HEADER_BYTES + 1 + 4
MESSAGE_MAX_BYTES = 4096  # to the wallbox; towards the client a message may be longer
# A wallbox that never ends a message must not fill the memory of this computer.
ANSWER_MAX_BYTES = 1 << 20
COUNTERS = 256


class FrameError(Exception):
    """A frame that cannot be taken; `lost` is true when frames before it are missing."""

    def __init__(self, text: str, lost: bool = False):
        super().__init__(text)
        self.lost = lost


@dataclass(frozen=True)
class Data:
    """A data frame's content."""

    transfer: int
    offset: int
    data: bytes


class Cutter:
    """Makes the frames of one direction; `counter` is that of the next frame.

    `payload` is the largest frame in bytes: MTU - 3.
    """

    def __init__(self, payload: int):
        if payload <= DATA_HEADER_BYTES:
            raise ValueError(f"payload: {payload} bytes are not allowed; allowed: {DATA_HEADER_BYTES + 1} and more")
        self.payload = payload
        self.counter = 0

    def message(self, body: bytes) -> Iterator[bytes]:
        """The frames of one message; ValueError when it is empty or longer than the wallbox takes."""
        if not 0 < len(body) <= MESSAGE_MAX_BYTES:
            raise ValueError(f"message: {len(body)} bytes are not allowed; allowed: 1..{MESSAGE_MAX_BYTES}")
        room = self.payload - HEADER_BYTES
        for start in range(0, len(body), room):
            first = FIRST if start == 0 else 0
            last = LAST if start + room >= len(body) else 0
            yield self._frame(KIND_MESSAGE | first | last, body[start : start + room])

    def data_room(self) -> int:
        """How many bytes of data one frame carries."""
        return self.payload - DATA_HEADER_BYTES

    def data(self, transfer: int, offset: int, data: bytes) -> bytes:
        """A data frame: a piece of a transfer, at most `data_room()` bytes."""
        if not 0 < len(data) <= self.data_room():
            raise ValueError(f"data: {len(data)} bytes are not allowed; allowed: 1..{self.data_room()}")
        return self._frame(KIND_DATA | FIRST | LAST, bytes((transfer,)) + offset.to_bytes(4, "little") + data)

    def _frame(self, head: int, content: bytes) -> bytes:
        frame = bytes((head, self.counter)) + content
        self.counter = (self.counter + 1) % COUNTERS
        return frame


class Joiner:
    """Takes the frames of one direction; `counter` is that of the frame it waits for."""

    def __init__(self):
        self.counter = 0
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, frame: bytes) -> bytes | Data | None:
        """A whole message, a piece of a transfer, or None while a message is not complete or a frame came twice.

        FrameError for a frame that cannot be taken. What there was of the message is then dropped; after a gap the
        next frame is expected to follow this one.
        """
        if len(frame) <= HEADER_BYTES:
            self._drop()
            raise FrameError(f"a frame of {len(frame)} bytes; allowed: 3 and more")
        head, counter = frame[0], frame[1]
        if counter != self.counter:
            return self._out_of_order(counter)
        self.counter = (counter + 1) % COUNTERS
        kind = head & KIND_MASK
        if kind == KIND_DATA:
            return self._data(frame)
        if kind != KIND_MESSAGE:
            self._drop()
            raise FrameError(f"kind {kind} is not known; allowed: 0, 1")
        return self._message(head, frame[HEADER_BYTES:])

    def _out_of_order(self, counter: int) -> None:
        if (counter + 1) % COUNTERS == self.counter:
            return
        missing = (counter - self.counter) % COUNTERS
        expected = self.counter
        self._drop()
        self.counter = (counter + 1) % COUNTERS
        raise FrameError(f"{missing} frames are missing before counter {counter} (expected {expected})", lost=True)

    def _data(self, frame: bytes) -> Data:
        if len(frame) <= DATA_HEADER_BYTES:
            raise FrameError(f"a data frame of {len(frame)} bytes; allowed: {DATA_HEADER_BYTES + 1} and more")
        return Data(frame[2], int.from_bytes(frame[3:DATA_HEADER_BYTES], "little"), frame[DATA_HEADER_BYTES:])

    def _message(self, head: int, piece: bytes) -> bytes | None:
        if head & FIRST:
            self._drop()
        elif not self._parts:
            raise FrameError("a middle frame without a first one")
        self._parts.append(piece)
        self._size += len(piece)
        if self._size > ANSWER_MAX_BYTES:
            self._drop()
            raise FrameError(f"a message above {ANSWER_MAX_BYTES} bytes")
        if not head & LAST:
            return None
        message = b"".join(self._parts)
        self._drop()
        return message

    def _drop(self) -> None:
        self._parts.clear()
        self._size = 0
