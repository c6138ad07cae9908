"""Measures the heap that the package `ocpp` takes, on the interpreter that imports it (footprint.mjs: 32-bit objects).

A charge point registers over a stand-in of the network, whose central system then sends long frames. What stands in
for station, flash and network was made before the first figure and counts for nothing.

Peaks are bounds from above: this interpreter collects between two turns of the event loop only, so that a peak is what
was in use when a turn began and all that the turn allocated, garbage included.
"""

import asyncio
import asyncio.core
import gc
import json
import os
import time
from binascii import crc32

from ocpp_host import FOLDER, TIME, Network, charge_point, framed, provide

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
# What the specification's longest messages take in use: a local list of 50 tags, a profile of 24 periods that is
# sent with blanks.
_FRAME_BYTES = 7_000
_TAGS = 50
_PERIODS = 24


# -- turns of the event loop -----------------------------------------------------------------------------


class Turns:
    """Lets the interpreter collect after each turn of a task, and keeps the highest use of the heap in one."""

    def __init__(self):
        self.peak = 0
        self.ignored: asyncio.Task | None = None
        self._iterate = asyncio.core._run_iter  # pyright: ignore[reportAttributeAccessIssue]
        self._first = True
        asyncio.core._run_iter = self._run  # pyright: ignore[reportAttributeAccessIssue]
        asyncio.core.ticks_diff = self._wait  # pyright: ignore[reportAttributeAccessIssue]

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


def _tag(number: int) -> dict:
    info = {
        "status": "Accepted",
        "expiryDate": "2027-06-30T12:00:%02dZ" % number,
        "parentIdTag": "FLEET-%d" % (number % 9),
    }
    return {"idTag": "%08X%06X" % (crc32(b"%d" % number), number * 7919), "idTagInfo": info}


def local_list(version: int) -> dict:
    """SendLocalList of 50 tags, as long as one entry can be."""
    entries = [_tag(number) for number in range(_TAGS)]
    return {"listVersion": version, "updateType": "Full", "localAuthorizationList": entries}


def profile() -> dict:
    """SetChargingProfile of 24 periods."""
    periods = [{"startPeriod": 3600 * hour, "limit": 6.1 + hour, "numberPhases": 3} for hour in range(_PERIODS)]
    schedule = {"duration": 86400, "startSchedule": TIME, "chargingRateUnit": "A", "chargingSchedulePeriod": periods}
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
    _made.append(charge_point(_network.open_connection, "ws://127.0.0.1:9000/ocpp/"))


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


provide()
os.mkdir(FOLDER)
for version in (1, 2):
    write_frame("%s/list%d.frame" % (FOLDER, version), "list%d" % version, "SendLocalList", local_list(version))
write_frame(FOLDER + "/profile.frame", "profile", "SetChargingProfile", profile())
