"""A small app of the installer's link for tests: frames and requests over the control API's `ble`."""

import hashlib
import json
import time
from typing import Any

from simulator import Simulator

MESSAGE, DATA, FIRST, LAST = 0, 1, 0x10, 0x20
ATT_BYTES = 3
POLL_SECONDS = 0.01


class Refused(Exception):
    """The box answered a request with an error; `code` and `error` are its."""

    def __init__(self, error: dict[str, Any]):
        super().__init__(json.dumps(error))
        self.error = error
        self.code = error["code"]


class InstallerClient:
    """One central of the simulated radio. `events` are those that came and were not taken with `take_events`."""

    def __init__(self, box: Simulator, mtu: int = 247):
        self.box = box
        self.mtu = mtu
        self.counter = 0
        self.expected = 0
        self.events: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.data: dict[int, dict[int, bytes]] = {}
        self.connected = False
        self._message = b""
        self._id = 0

    # The connection

    def label(self) -> dict[str, Any]:
        """What can be read on the box and on the air: name, passkey, info."""
        found = self.box.request("ble", label=True)
        return {"name": found["name"], "passkey": found["passkey"], "info": json.loads(found["info"])}

    def connect(self, passkey: str | None = None, **options) -> bool:
        """Connect and pair, with the label's passkey unless another is given; False when pairing failed."""
        passkey = self.label()["passkey"] if passkey is None else passkey
        return self.connect_bonded(passkey=passkey, **options)

    def connect_bonded(self, **options) -> bool:
        """Connect without a passkey, as a central does that has paired before; False when there is no bond."""
        self.counter = self.expected = 0
        self._message = b""
        self.connected = True
        return self.box.request("ble", connect={"mtu": self.mtu, **options})["paired"]

    def disconnect(self) -> None:
        """End the connection from this side."""
        self.box.request("ble", disconnect=True)
        self.connected = False

    # Frames

    def frames(self, message: bytes) -> list[bytes]:
        """Split a message into frames, with the counters that are next; each must then be sent."""
        room = self.mtu - ATT_BYTES - 2
        found = []
        for at in range(0, len(message), room):
            head = (0 if at else FIRST) | (LAST if at + room >= len(message) else 0)
            found.append(bytes((head, self.counter)) + message[at : at + room])
            self.counter = (self.counter + 1) % 256
        return found

    def write(self, frame: bytes) -> None:
        """Write one frame as it is."""
        self.box.request("ble", write=frame.hex())

    def send_data(self, transfer: int, offset: int, content: bytes) -> None:
        """Write one data frame."""
        head = bytes((DATA | FIRST | LAST, self.counter, transfer)) + offset.to_bytes(4, "little")
        self.counter = (self.counter + 1) % 256
        self.write(head + content)

    def collect(self) -> None:
        """Take what the box has sent, and sort it into `answers`, `events` and `data`."""
        found = self.box.request("ble", read=True)
        self.connected = found["connected"]
        for text in found["frames"]:
            self._take(bytes.fromhex(text))

    def _take(self, frame: bytes) -> None:
        assert 3 <= len(frame) <= self.mtu - ATT_BYTES, frame
        assert frame[1] == self.expected, f"counter {frame[1]}, expected {self.expected}"
        self.expected = (self.expected + 1) % 256
        kind = frame[0] & 0x0F
        if kind == DATA:
            self.data.setdefault(frame[2], {})[int.from_bytes(frame[3:7], "little")] = frame[7:]
            return
        assert kind == MESSAGE, frame
        if frame[0] & FIRST:
            assert not self._message, "a message began in another"
        self._message += frame[2:]
        if frame[0] & LAST:
            message = json.loads(self._message)
            self._message = b""
            (self.events if "event" in message else self.answers).append(message)

    def take_events(self, name: str) -> list[dict[str, Any]]:
        """Take the events of one kind that have come."""
        self.collect()
        found = [event for event in self.events if event["event"] == name]
        self.events = [event for event in self.events if event["event"] != name]
        return found

    # Requests

    def send(self, do: str, **arguments) -> int:
        """Send a request and return its id, without waiting for the answer."""
        self._id = (self._id + 1) % 65536
        for frame in self.frames(json.dumps({"id": self._id, "do": do, **arguments}).encode()):
            self.write(frame)
        return self._id

    def take_answer(self, number: int) -> dict[str, Any] | None:
        """The answer to a request if it has come, else None; Refused when it is an error."""
        self.collect()
        for at, answer in enumerate(self.answers):
            if answer["id"] == number:
                del self.answers[at]
                if not answer["ok"]:
                    raise Refused(answer["error"])
                return answer
        return None

    def answer(self, number: int, seconds: float = 30.0) -> dict[str, Any]:
        """Wait for the answer to a request in virtual time; Refused when it is an error."""
        passed = 0.0
        while True:
            answer = self.take_answer(number)
            if answer is not None:
                return answer
            if passed >= seconds or not self.connected:
                raise AssertionError(f"no answer to request {number} in {passed} s; connected: {self.connected}")
            self.box.advance(0.1)
            passed += 0.1

    def ask(self, do: str, **arguments) -> dict[str, Any]:
        """Send a request and return its answer; Refused when it is an error."""
        return self.answer(self.send(do, **arguments))

    def login(self, role: str = "expert", password: str | None = None) -> None:
        """Log in, with the factory's password unless another is given."""
        factory = {"owner": "", "expert": "1916"}
        self.ask("login", role=role, password=factory[role] if password is None else password)

    # Transfers

    def download(self, name: str, piece: int = 16_384, **arguments) -> bytes:
        """Fetch a transfer whole."""
        opened = self.ask("get", name=name, **({"arguments": arguments} if arguments else {}))
        number = opened["transfer"]
        content, end = b"", False
        while not end:
            self.data.pop(number, None)
            answer = self.ask("read", transfer=number, offset=len(content), count=piece)
            pieces = self.data.get(number, {})
            for offset in sorted(pieces):
                assert offset == len(content), f"a piece at {offset}, {len(content)} expected"
                content += pieces[offset]
            assert answer["offset"] == len(content), answer
            end = answer["end"]
        self.ask("done", transfer=number)
        return content

    def send_from(self, opened: dict[str, Any], content: bytes, count: int | None = None) -> int:
        """Send up to `count` bytes of an upload, from the offset of the answer to `put` on.

        Returns up to where the box has told to have stored it.
        """
        at = told = opened["offset"]
        end = len(content) if count is None else min(len(content), at + count)
        room = self.mtu - ATT_BYTES - 7
        while at < end:
            piece = content[at : min(end, at + room)]
            self.send_data(opened["transfer"], at, piece)
            at += len(piece)
            if at - told > 4_096 or at == end:
                self.box.advance(0.2)
                told = max([told] + [event["offset"] for event in self.take_events("received")])
        return told

    def put(self, name: str, content: bytes) -> dict[str, Any]:
        """Open an upload, or go on with it; the answer has `transfer` and `offset`."""
        return self.ask("put", name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())

    def upload(self, name: str, content: bytes, **done) -> dict[str, Any]:
        """Send a transfer whole and end it; the answer to `done`."""
        opened = self.put(name, content)
        stored = self.send_from(opened, content)
        assert stored == len(content), f"{stored} of {len(content)} bytes are stored"
        return self.ask("done", transfer=opened["transfer"], **done)


class LiveClient(InstallerClient):
    """One central of a simulator that runs in real time."""

    def answer(self, number: int, seconds: float = 10.0) -> dict[str, Any]:
        """Wait for the answer to a request; Refused when it is an error."""
        end = time.monotonic() + seconds
        while True:
            answer = self.take_answer(number)
            if answer is not None:
                return answer
            assert time.monotonic() < end and self.connected, f"no answer to request {number} in {seconds} s"
            time.sleep(POLL_SECONDS)
