"""Stands in for station, flash and network of a charge point of package `ocpp` whose heap or speed is measured."""

import asyncio
import builtins
import json
import os
import sys
import time
from binascii import b2a_base64
from hashlib import sha256

# Whether this is the WebAssembly port, which lacks some of what MicroPython of a chip has.
BARE = not hasattr(os, "urandom")
FOLDER = "/ocpp" if BARE else os.getenv("MEASURE_FOLDER") + "/ocpp"
TIME = "2026-01-01T12:00:00Z"
MEASURANDS = ("Energy.Active.Import.Register", "Power.Active.Import")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_ENOENT = 2
_TEXT = 1
_PING = 9
_PONG = b"\x8a"
_WASI_ENOENT = 44


class _Sha1:
    """For an interpreter with SHA-256 only: the handshake needs a digest of 20 bytes that both sides agree on."""

    def __init__(self, data):
        self._digest = sha256(data).digest()[:20]

    def digest(self):
        return self._digest


def urandom(count: int) -> bytes:
    """Bytes that are anything but random."""
    return bytes(range(count))


def _numbered(function):
    """A function of files that numbers its errors as a chip does; here they have the numbers of WASI."""

    def call(*arguments):
        try:
            return function(*arguments)
        except OSError as error:
            raise OSError(_ENOENT if error.errno == _WASI_ENOENT else error.errno)

    return call


def provide() -> None:
    """Give the WebAssembly port what MicroPython of a chip has."""
    if not BARE:
        return
    builtins.open = _numbered(open)
    for name in ("remove", "stat", "listdir", "ilistdir", "rename"):
        setattr(os, name, _numbered(getattr(os, name)))
    os.urandom = urandom  # pyright: ignore[reportAttributeAccessIssue]
    # Loaded for a look-up, and then not needed: the address is a number.
    sys.modules["socket"] = type("socket", (), {})  # pyright: ignore[reportArgumentType]
    sys.modules["hashlib"] = type("hashlib", (), {"sha1": _Sha1, "sha256": sha256})  # pyright: ignore[reportArgumentType]


# -- the station's side ----------------------------------------------------------------------------------


class Clock:
    """Unknown until the central system tells it."""

    def __init__(self):
        self._ahead = None

    ticks_ms = staticmethod(time.ticks_ms)

    def uptime_s(self):
        return time.ticks_diff(time.ticks_ms(), 0) // 1000

    def utc_s(self):
        return None if self._ahead is None else self._ahead + self.uptime_s()

    def set_utc_s(self, seconds):
        self._ahead = seconds - self.uptime_s()


class Log:
    """Keeps nothing; an error ends the measure."""

    def add(self, level, source, code, text, **_context):
        print(level, source, code, text)
        assert level == "info", text


class Store:
    """A value in a file."""

    def __init__(self, name):
        self._path = FOLDER + "/" + name + ".json"

    def load(self):
        try:
            with open(self._path) as file:
                return json.load(file)
        except OSError:
            return None

    def save(self, value):
        with open(self._path, "w") as file:
            json.dump(value, file)


class Station:
    """No car, no session."""

    vendor = "example"
    serial = "0001"

    def boot_info(self):
        return {"chargePointVendor": "example", "chargePointModel": "measure"}

    def nothing(self, *_arguments):
        return None

    def never(self, *_arguments):
        return False

    fault = waiting_tag = session_tag = measurand = set_limit = set_operative = suspend = changed = nothing
    plugged = session_active = charging = was_charging = offers = offered = permitted = knows = never

    def phases(self):
        return 3

    def volts(self):
        return 230

    def max_ma(self):
        return 32_000

    def interruption(self):
        return "PowerLoss"

    def energy_wh(self):
        return 0


def charge_point(open_connection, url: str):
    """A charge point of the package, which is imported by that."""
    __import__("ocpp.charge_point")
    __import__("ocpp.configuration")
    config = sys.modules["ocpp.configuration"].Configuration(Store("ocpp_config"), measurands=MEASURANDS)
    target = {"url": url, "identity": "CP-1", "password": ""}
    make = sys.modules["ocpp.charge_point"].ChargePoint
    return make(Station(), config, Clock(), Log(), Store, FOLDER, open_connection, os.urandom, target)


# -- the other side --------------------------------------------------------------------------------------


class Network:
    """A connection whose other end is a central system that accepts everything."""

    def __init__(self):
        self._incoming = []
        self._arrived = asyncio.Event()
        self._come = asyncio.Event()
        self._frame = None
        self._out = b""
        self.out_buf = b""
        self.answers = {}
        self.registered = False

    async def open_connection(self, _host, _port, _ssl=None, address=None, link=None):
        return self, self

    # As a writer.

    def write(self, data) -> None:
        self._incoming.append(data)
        self._come.set()

    async def drain(self) -> None:
        return

    def close(self) -> None:
        self.registered = False

    async def wait_closed(self) -> None:
        return

    # As a reader.

    async def readinto(self, view) -> int:
        while not self._out and self._frame is None:
            self._arrived.clear()
            await self._arrived.wait()
        if self._out:
            count = min(len(view), len(self._out))
            view[:count] = self._out[:count]
            self._out = self._out[count:]
            return count
        count = self._frame.readinto(view)
        if not count:
            self._frame.close()
            self._frame = None
            return await self.readinto(view)
        return count

    # As a central system.

    def send_file(self, path: str) -> None:
        """Send what is in a file; it takes no heap."""
        self._frame = open(path, "rb")  # noqa: SIM115
        self._arrived.set()

    async def run(self) -> None:
        """Answer what comes."""
        data = b""
        while True:
            self._come.clear()
            while self._incoming:
                data += self._incoming.pop(0)
            while True:
                count = self._take(data)
                if not count:
                    break
                data = data[count:]
            await self._come.wait()

    def _take(self, data: bytes) -> int:
        """Take a request of HTTP or a frame from the begin of `data` -> how many bytes that were."""
        if data[:4] == b"GET ":
            end = data.find(b"\r\n\r\n") + 4
            if end >= 4:
                self._shake_hands(data[:end])
                return end
            return 0
        if len(data) < 2:
            return 0
        size, start = data[1] & 0x7F, 6
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 8
        if len(data) < start + size:
            return 0
        mask = data[start - 4 : start]
        text = bytes(byte ^ mask[at & 3] for at, byte in enumerate(data[start : start + size]))
        if data[0] & 0x0F == _TEXT:
            self._receive(text)
        elif data[0] & 0x0F == _PING:
            self._send(_PONG + bytes((len(text),)) + text)
        return start + size

    def _shake_hands(self, request: bytes) -> None:
        start = request.find(b"Sec-WebSocket-Key: ") + 19
        key = request[start : request.find(b"\r\n", start)]
        accept = b2a_base64(__import__("hashlib").sha1(key + _GUID).digest()).strip()
        self._send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: ocpp1.6\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def _receive(self, text: bytes) -> None:
        frame = json.loads(text)
        if frame[0] != 2:
            self.answers[frame[1]] = frame[2:]
            return
        if frame[2] == "StatusNotification":
            self.registered = True
        self._send(framed(json.dumps([3, frame[1], self.answer(frame[2])]).encode()))

    def answer(self, action: str) -> dict:
        """What is answered to a CALL."""
        return {"status": "Accepted", "currentTime": TIME, "interval": 300} if action == "BootNotification" else {}

    def _send(self, data: bytes) -> None:
        self._out += data
        self._arrived.set()


def framed(text: bytes) -> bytes:
    """A text as a WebSocket's server sends it."""
    if len(text) < 126:
        return bytes((0x81, len(text))) + text
    return bytes((0x81, 126)) + len(text).to_bytes(2, "big") + text
