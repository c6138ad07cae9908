"""The central system of `make csms` and a wallbox with the real firmware."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from csms import BOX
from websockets.sync.client import ClientConnection, connect

from simulator import ROOT

SECONDS = 20


class Page:
    """What a browser is to the central system."""

    def __init__(self, socket: ClientConnection):
        self._socket = socket
        self.box: dict = {}
        self.sessions: list[dict] = []

    def _next(self, end: float) -> dict:
        message = json.loads(self._socket.recv(max(0.01, end - time.monotonic())))
        if message["type"] == "box":
            self.box = message["box"]
        elif message["type"] == "sessions":
            self.sessions = message["sessions"]
        return message

    def ask(self, do: str, **arguments) -> dict:
        """Order something of the wallbox -> its answer."""
        self._socket.send(json.dumps({"id": do, "do": do, "box": BOX, **arguments}))
        end = time.monotonic() + SECONDS
        while True:
            message = self._next(end)
            if message["type"] == "answer":
                assert message["ok"], message["error"]
                return message["answer"]

    def current_a(self) -> float:
        """The largest current that the wallbox has measured, 0 without any."""
        phases = self.box["values"].get("Current.Import", {})
        return max((value for value, _unit in phases.values()), default=0)

    def wait(self, condition) -> None:
        """Wait until `condition()` holds; TimeoutError."""
        end = time.monotonic() + SECONDS
        while not condition():
            self._next(end)


@pytest.fixture
def address() -> Iterator[str]:
    """Host and port of a central system."""
    process = subprocess.Popen(
        [sys.executable, "-m", "central", "--port", "0"],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH="tools"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    yield process.stdout.readline().split()[1].split("/")[2]
    process.terminate()
    process.wait(10)
    process.stdout.close()


def test_a_person_follows_limits_and_ends_a_charge(address, station):
    with connect(f"ws://{address}/socket", origin=f"http://{address}") as socket:  # pyright: ignore[reportArgumentType]
        page = Page(socket)
        keys = {"MeterValueSampleInterval": 5, "MeterValuesSampledData": "Energy.Active.Import.Register,Current.Import"}
        box = station(url=f"ws://{address}/", ocpp=keys)
        page.wait(lambda: page.box.get("status", {}).get("1", {}).get("status") == "Available")
        box.plug()
        page.wait(lambda: page.box["status"]["1"]["status"] == "Charging")
        assert page.ask("limit", amps=10) == {"status": "Accepted"}
        box.wait_for(lambda state: 9 < state["car"]["draw_a"][0] <= 10, 10)
        page.wait(
            lambda: (
                9 < max(value for value, _ in page.box["values"].get("Current.Import", {"": [0, "A"]}).values()) <= 10
            )
        )
        assert page.box["limit_a"] == 10
        assert page.ask("limit", amps=None) == {"status": "Accepted"}
        box.wait_for(lambda state: state["car"]["draw_a"][0] > 20, 10)
        number = page.box["session"]["id"]
        payload = {"transactionId": number}
        assert page.ask("call", action="RemoteStopTransaction", payload=payload) == {"status": "Accepted"}
        page.wait(lambda: page.sessions and page.sessions[0]["stop"])
        assert page.sessions[0]["id"] == number and page.sessions[0]["energy_wh"] > 0
        assert page.box["session"] is None
        box.wait_for(lambda state: not state["contactor"]["closed"], 10)
