"""The socket of a radio process in real time: what goes over it in both directions (README, --ble)."""

import json
import socket
import time

import pytest

SECONDS = 20


class RadioProcess:
    """The radio's end of the socket."""

    def __init__(self, box):
        port = None
        end = time.monotonic() + SECONDS
        while port is None and time.monotonic() < end:
            lines = [line for line in box.output if line.startswith("ble 127.0.0.1:")]
            port = int(lines[0].rpartition(":")[2]) if lines else None
            time.sleep(0.01)
        assert port, "the simulator did not announce the radio's port"
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.pending = b""

    def send(self, kind: str, payload: bytes | dict = b""):
        if isinstance(payload, dict):
            payload = json.dumps(payload).encode()
        self.socket.sendall(kind.encode() + len(payload).to_bytes(2, "little") + payload)

    def receive(self):
        while len(self.pending) < 3 or len(self.pending) < 3 + int.from_bytes(self.pending[1:3], "little"):
            data = self.socket.recv(4096)
            assert data, "the simulator has closed the socket"
            self.pending += data
        end = 3 + int.from_bytes(self.pending[1:3], "little")
        kind, payload = chr(self.pending[0]), self.pending[3:end]
        self.pending = self.pending[end:]
        return kind, payload

    def expect(self, kind):
        found, payload = self.receive()
        assert found == kind, (found, payload)
        return payload

    def pair(self):
        self.send("C", {"peer": "aa:bb", "mtu": 247})
        self.send("Q")
        assert json.loads(self.expect("P")) == {"allow": True}
        self.send("S", {"secure": True})


@pytest.fixture
def radio(simulator):
    process = RadioProcess(simulator(virtual=False, options=("--ble", "0")))
    yield process
    process.socket.close()


def hello(number, counter=0):
    return bytes((0x30, counter)) + json.dumps({"id": number, "do": "hello"}).encode()


def test_the_firmware_tells_the_radio_what_to_advertise(radio):
    told = json.loads(radio.expect("A"))
    assert told["name"] == "wallbox" and len(told["passkey"]) == 6
    assert json.loads(told["info"])["serial"] == "SIM0000001"


def test_a_paired_central_is_answered(radio):
    radio.expect("A")
    radio.pair()
    radio.send("W", hello(5))
    answer = b""
    for _ in range(2):
        frame = radio.expect("N")
        answer += frame[2:]
        radio.send("K")
        if frame[0] & 0x20:
            break
    assert json.loads(answer)["id"] == 5


def test_what_an_unsecured_central_writes_is_not_taken(radio):
    radio.expect("A")
    radio.send("C", {"peer": "aa:bb", "mtu": 247})
    radio.send("W", hello(5))
    frame = radio.expect("N")
    assert b"frame_error" in frame


def test_not_more_than_8_notifications_are_under_way(radio):
    radio.expect("A")
    radio.send("C", {"peer": "aa:bb", "mtu": 23})
    radio.send("S", {"secure": True})
    request = json.dumps({"id": 1, "do": "hello"}).encode()
    for at in range(0, len(request), 18):
        head = (0 if at else 0x10) | (0x20 if at + 18 >= len(request) else 0)
        radio.send("W", bytes((head, at // 18)) + request[at : at + 18])
    for _ in range(8):
        radio.expect("N")
    radio.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        radio.receive()
    radio.socket.settimeout(SECONDS)
    radio.send("K")
    radio.expect("N")


def test_failed_pairings_are_counted_and_then_refused(radio):
    radio.expect("A")
    radio.send("C", {"peer": "aa:bb", "mtu": 247})
    for _ in range(3):
        radio.send("Q")
        assert json.loads(radio.expect("P")) == {"allow": True}
        radio.send("F")
    radio.send("Q")
    assert json.loads(radio.expect("P")) == {"allow": False}


def test_a_restart_hangs_up_and_advertises_again(radio, simulator):
    radio.expect("A")
    radio.pair()
    request = {"id": 1, "do": "login", "role": "owner", "password": ""}
    radio.send("W", bytes((0x30, 0)) + json.dumps(request).encode())
    radio.expect("N")
    radio.send("K")
    radio.send("W", bytes((0x30, 1)) + json.dumps({"id": 2, "do": "restart", "confirm": True}).encode())
    radio.expect("N")
    radio.send("K")
    radio.expect("X")
    radio.send("D")
    radio.expect("O")
    radio.expect("A")
    radio.pair()
    radio.send("W", hello(3))
    assert b'"role"' in radio.expect("N")


def test_a_packet_that_makes_no_sense_ends_the_radio_process_alone(radio):
    radio.expect("A")
    radio.send("?", b"x")
    assert radio.socket.recv(10) == b""
