"""Measures the heap that the package `ocpp` takes, on the interpreter that imports it (footprint.mjs: 32-bit objects).

A charge point registers over a stand-in of the network, whose central system then sends long frames. What stands in
for station, flash and network was made before the first figure and counts for nothing.

Peaks are bounds from above: this interpreter collects between two turns of the event loop only, so that a peak is what
was in use when a turn began and all that the turn allocated, garbage included.
"""

import asyncio
import asyncio.core
import builtins
import gc
import json
import os
import sys
import time
from binascii import b2a_base64, crc32
from hashlib import sha256

FOLDER = "/ocpp"
FIGURES = {}
# (figure, function that is called before it, whether time passes between)
STEPS = (
    ("modules", "load", False),
    ("objects", "build", False),
    ("registered", "start", True),
    ("", "send_list", True),
    ("list", "list_answered", False),
    ("", "send_profile", True),
    ("profile", "profile_answered", False),
    ("", "send_list", True),
    ("again", "list_answered", False),
)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TIME = "2026-01-01T12:00:00Z"
# What the specification's longest messages take in use: a local list of 50 tags, a profile of 24 periods that is
# sent with blanks.
_FRAME_BYTES = 7_000
_TAGS = 50
_PERIODS = 24
_ENOENT = 2
_WASI_ENOENT = 44


class _Sha1:
    """This interpreter has SHA-256 only; the handshake needs a digest of 20 bytes that both sides agree on."""

    def __init__(self, data):
        self._digest = sha256(data).digest()[:20]

    def digest(self):
        return self._digest


def _urandom(count: int) -> bytes:
    return bytes(range(count))


def _numbered(function):
    """A function of files that numbers its errors as a chip does; here they have the numbers of WASI."""

    def call(*arguments):
        try:
            return function(*arguments)
        except OSError as error:
            raise OSError(_ENOENT if error.errno == _WASI_ENOENT else error.errno)

    return call


def _provide() -> None:
    """What MicroPython of a chip has and this one has not."""
    builtins.open = _numbered(open)
    for name in ("remove", "stat", "listdir", "ilistdir", "rename"):
        setattr(os, name, _numbered(getattr(os, name)))
    os.urandom = _urandom  # pyright: ignore[reportAttributeAccessIssue]
    sys.modules["hashlib"] = type("hashlib", (), {"sha1": _Sha1, "sha256": sha256})  # pyright: ignore[reportArgumentType]


# -- turns of the event loop -----------------------------------------------------------------------------


class Turns:
    """Lets the interpreter collect after each turn of a task, and keeps the highest use of the heap in one."""

    def __init__(self):
        self.peak = 0
        self.ignored = None
        self._iterate = asyncio.core._run_iter
        self._first = True
        asyncio.core._run_iter = self._run
        asyncio.core.ticks_diff = self._wait

    def _wait(self, then, now) -> int:
        """How long the event loop has to wait for a task: after the first of an iteration at least 1 ms."""
        left = time.ticks_diff(then, now)
        if self._first:
            self._first = left > 0
            return left
        return max(1, left)

    def _run(self) -> None:
        self._first = True
        task = asyncio.core._task_queue.peek()
        self._iterate()
        if task is not self.ignored:
            self.peak = max(self.peak, gc.mem_alloc())
        gc.collect()


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

    async def open_connection(self, _host, _port, _ssl):
        return self, self

    # As a writer.

    def write(self, data) -> None:
        self._incoming.append(data)
        self._come.set()

    async def drain(self) -> None:
        return

    def close(self) -> None:
        raise AssertionError("the charge point has closed the connection")

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
        self._receive(bytes(byte ^ mask[at & 3] for at, byte in enumerate(data[start : start + size])))
        return start + size

    def _shake_hands(self, request: bytes) -> None:
        start = request.find(b"Sec-WebSocket-Key: ") + 19
        key = request[start : request.find(b"\r\n", start)]
        accept = b2a_base64(_Sha1(key + _GUID).digest()).strip()
        self._send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: ocpp1.6\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def _receive(self, text: bytes) -> None:
        frame = json.loads(text)
        if frame[0] != 2:
            self.answers[frame[1]] = frame[2:]
            return
        answer = {}
        if frame[2] == "BootNotification":
            answer = {"status": "Accepted", "currentTime": _TIME, "interval": 300}
        elif frame[2] == "StatusNotification":
            self.registered = True
        self._send(framed(json.dumps([3, frame[1], answer]).encode()))

    def _send(self, data: bytes) -> None:
        self._out += data
        self._arrived.set()


def framed(text: bytes) -> bytes:
    """A text as a WebSocket's server sends it."""
    if len(text) < 126:
        return bytes((0x81, len(text))) + text
    return bytes((0x81, 126)) + len(text).to_bytes(2, "big") + text


def _tag(number: int) -> dict:
    info = {"status": "Accepted", "expiryDate": "2027-06-30T12:00:%02dZ" % number, "parentIdTag": "FLEET-%d" % (number % 9)}
    return {"idTag": "%08X%06X" % (crc32(b"%d" % number), number * 7919), "idTagInfo": info}


def local_list(version: int) -> dict:
    """SendLocalList of 50 tags, as long as one entry can be."""
    entries = [_tag(number) for number in range(_TAGS)]
    return {"listVersion": version, "updateType": "Full", "localAuthorizationList": entries}


def profile() -> dict:
    """SetChargingProfile of 24 periods."""
    periods = [{"startPeriod": 3600 * hour, "limit": 6.1 + hour, "numberPhases": 3} for hour in range(_PERIODS)]
    schedule = {"duration": 86400, "startSchedule": _TIME, "chargingRateUnit": "A", "chargingSchedulePeriod": periods}
    return {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Recurring",
            "recurrencyKind": "Daily",
            "chargingSchedule": schedule,
        },
    }


def write_frame(path: str, message_id: str, action: str, payload: dict) -> None:
    """Put a CALL into a file, as a frame of at least 7,000 bytes: filled up with the blanks that JSON allows."""
    text = json.dumps([2, message_id, action, payload]).encode()
    spread = (_FRAME_BYTES - len(text)) // text.count(b": ") + 1 if len(text) < _FRAME_BYTES else 0
    text = text.replace(b": ", b": " + b" " * spread)
    with open(path, "wb") as file:
        file.write(framed(text))


# -- the station's side ----------------------------------------------------------------------------------


class Clock:
    """Unknown until the central system tells it."""

    def __init__(self):
        self._ahead = None

    ticks_ms = staticmethod(time.ticks_ms)

    def uptime_s(self):
        return time.ticks_ms() // 1000

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

    def energy_wh(self):
        return 0


# -- steps -----------------------------------------------------------------------------------------------

_made = []
_turns = Turns()
_network = Network()
_number = [0]


def load() -> None:
    """Import what a host imports."""
    __import__("ocpp.charge_point")
    __import__("ocpp.configuration")


def build() -> None:
    """Make the charge point."""
    config = sys.modules["ocpp.configuration"].Configuration(
        Store("ocpp_config"), measurands=("Energy.Active.Import.Register", "Power.Active.Import")
    )
    target = {"url": "ws://127.0.0.1:9000/ocpp/", "identity": "CP-1", "password": ""}
    make = sys.modules["ocpp.charge_point"].ChargePoint
    _made.append(
        make(Station(), config, Clock(), Log(), Store, FOLDER, _network.open_connection, _urandom, target)
    )


def start() -> None:
    """Let it connect and register."""
    _turns.ignored = asyncio.create_task(_network.run())
    asyncio.create_task(_made[0].run())


def _send(name: str) -> None:
    assert _made[0].online and _network.registered
    _turns.peak = 0
    _network.send_file("%s/%s.frame" % (FOLDER, name))


def _answered(message_id: str, figure: str) -> None:
    answer = _network.answers.pop(message_id)
    assert answer == [{"status": "Accepted"}], answer
    FIGURES[figure] = _turns.peak


def send_list() -> None:
    """Let the central system send a local list."""
    _number[0] += 1
    FIGURES["connecting peak"] = FIGURES.get("connecting peak", _turns.peak)
    _send("list%d" % _number[0])


def list_answered() -> None:
    """It must have been taken."""
    _answered("list%d" % _number[0], "list peak")


def send_profile() -> None:
    """Let the central system send a charging profile."""
    _send("profile")


def profile_answered() -> None:
    """It must have been taken."""
    _answered("profile", "profile peak")


def note(name: str) -> None:
    """Keep the heap in use, in bytes, under `name`, see `footprint.note`."""
    if name:
        FIGURES[name] = gc.mem_alloc()


_provide()
os.mkdir(FOLDER)
for version in (1, 2):
    write_frame("%s/list%d.frame" % (FOLDER, version), "list%d" % version, "SendLocalList", local_list(version))
write_frame(FOLDER + "/profile.frame", "profile", "SetChargingProfile", profile())
