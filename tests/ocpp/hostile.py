"""A raw server for one charge point: it answers as a central system does, unless a test has it do otherwise."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from transport import accept, frame

WAIT_SECONDS = 10.0
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
CALL, RESULT, ERROR = 2, 3, 4

T = TypeVar("T")


def result(message: list, payload: Any) -> bytes:
    """The frame that answers a CALL."""
    return frame(TEXT, json.dumps([RESULT, message[1], payload]).encode())


def good_answer(message: list) -> bytes:
    """What a central system answers that lets everybody in."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    accepted = {"idTagInfo": {"status": "Accepted"}}
    payloads: dict[str, dict] = {
        "BootNotification": {"status": "Accepted", "currentTime": now, "interval": 300},
        "Heartbeat": {"currentTime": now},
        "Authorize": accepted,
        "StartTransaction": {"transactionId": 77, **accepted},
    }
    return result(message, payloads.get(message[2], {}))


class Connection:
    """One connection of the box; `messages` are the frames of OCPP-J that came, `closed` its close code."""

    def __init__(self, peer: "Hostile", sock: socket.socket):
        self._peer = peer
        self._socket = sock
        self._file = sock.makefile("rb")
        self._lock = threading.Lock()
        self.request = b""
        self.messages: list[list] = []
        self.pongs: list[bytes] = []
        self.open = False
        self.over = False
        self.closed: int | None = None

    def raw(self, data: bytes) -> None:
        """Send bytes; a box that has gone does not matter."""
        with self._lock, contextlib.suppress(OSError):
            self._socket.sendall(data)

    def slowly(self, data: bytes, seconds: float) -> None:
        """Send byte by byte, `seconds` apart; what is to be sent meanwhile comes after."""
        with self._lock, contextlib.suppress(OSError):
            for at in range(len(data)):
                self._socket.sendall(data[at : at + 1])
                time.sleep(seconds)

    def send(self, text: str | bytes, opcode: int = TEXT) -> None:
        """Send a whole WebSocket message."""
        self.raw(frame(opcode, text.encode() if isinstance(text, str) else text))

    def cut(self) -> None:
        """End the connection without a word."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Speak with the box until one of both has enough."""
        with contextlib.suppress(OSError, EOFError):
            self._serve()
        self.over = True
        self._file.close()
        self._socket.close()
        self._peer.tell()

    def _serve(self) -> None:
        while not self.request.endswith(b"\r\n\r\n"):
            line = self._file.readline()
            if not line:
                return
            self.request += line
        if not self._peer.greet(self):
            return
        self.open = True
        self._peer.tell()
        while True:
            self._frame()

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def _frame(self) -> None:
        first, second = self._exactly(2)
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
        mask = self._exactly(4)
        data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self._exactly(size)))
        opcode = first & 0x0F
        if opcode == PING:
            self._peer.on_ping(self, data)
        elif opcode == PONG:
            self.pongs.append(data)
        elif opcode == CLOSE:
            self.closed = int.from_bytes(data[:2], "big")
            self.raw(frame(CLOSE, data[:2]))
            raise EOFError
        else:
            self._take(json.loads(data))
        self._peer.tell()

    def _take(self, message: list) -> None:
        self.messages.append(message)
        if message[0] == CALL:
            answer = self._peer.answer(message)
            if answer:
                self.raw(answer)


class Hostile:
    """The server; `url` is what a box is given. `answer(message)`: the bytes in answer to a CALL, None for none.

    `greet(connection)`: what it does with a handshake -> whether there is a WebSocket then. A context manager.
    """

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.answer: Callable[[list], bytes | None] = good_answer
        self.greet: Callable[[Connection], bool] = self.welcome
        self.on_ping: Callable[[Connection, bytes], None] = lambda one, data: one.raw(frame(PONG, data))
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}/ocpp/"
        self._numbers = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._listener.close()
        for one in self.connections:
            one.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one = Connection(self, self._listener.accept()[0])
                self.connections.append(one)
                threading.Thread(target=one.serve, daemon=True).start()

    def welcome(self, connection: Connection) -> bool:
        """The handshake of a good server."""
        connection.raw(accept(connection.request))
        return True

    def tell(self) -> None:
        """Something has happened."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, look: Callable[[], T]) -> T:
        """Wait until `look()` is true, and return what it is; AssertionError."""
        end = time.monotonic() + WAIT_SECONDS
        with self._changed:
            while not (found := look()):
                left = end - time.monotonic()
                assert left > 0, f"not seen; {[(one.closed, one.messages[-10:]) for one in self.connections[-3:]]}"
                self._changed.wait(min(left, 0.1))
        return found

    @property
    def now(self) -> Connection:
        """The newest connection with a WebSocket, waited for."""
        return self.wait(lambda: [one for one in self.connections if one.open and not one.over])[-1]

    def calls(self, action: str) -> list[list]:
        """What the box has called so far, in all connections."""
        return [
            message
            for one in self.connections
            for message in one.messages
            if message[0] == CALL and message[2] == action
        ]

    def answers(self, number: str) -> list[list]:
        """The box's answers to a CALL."""
        return [
            message
            for one in self.connections
            for message in one.messages
            if message[:2][1:] == [number] and message[0] != CALL
        ]

    def call(self, action: str, payload: dict | None = None) -> list:
        """Call the box as a good central system would -> its answer's frame."""
        self._numbers += 1
        number = f"good-{self._numbers}"
        self.now.send(json.dumps([CALL, number, action, payload or {}]))
        return self.wait(lambda: self.answers(number))[0]
