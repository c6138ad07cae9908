"""The central system of `make csms`: what it answers, knows, serves and orders, with boxes made of PyPI's ocpp."""

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
from typing import Any
from urllib.parse import quote

import pytest
from central.books import Books, number_of
from central.orders import MEASURED, OrderError, limit
from central.server import CentralServer
from central.wire import CALL, Message, fault_of
from ocpp_box import CHARGED_WH, START_WH, ObedientBox
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ocpp.v16 import call
from ocpp.v16.enums import ChargePointStatus
from simulator import ROOT

NOON = "2026-01-01T12:00:00Z"
SECONDS = 10


class Page:
    """A page's WebSocket: what it was told, and what it asks."""

    def __init__(self, socket: ClientConnection):
        self._socket = socket
        self._last = 0
        self.told: list[dict] = []

    async def next(self, kind: str, where=lambda message: True) -> dict:
        """The next message of a kind that is as wanted."""
        async with asyncio.timeout(SECONDS):
            while True:
                message = json.loads(await self._socket.recv())
                self.told.append(message)
                if message["type"] == kind and where(message):
                    return message

    async def ask(self, do: str, **arguments: Any) -> dict:
        """Ask something -> the answer's message."""
        self._last += 1
        await self._socket.send(json.dumps({"id": self._last, "do": do, **arguments}))
        return await self.next("answer", lambda message: message["id"] == self._last)


class World:
    """A server with a page; boxes come and go in `async with box(name)`."""

    def __init__(self, password: str | None = None):
        self.server = CentralServer(password)

    async def __aenter__(self):
        self.port = await self.server.open(0)
        self._connect = connect(f"ws://127.0.0.1:{self.port}/socket", origin=self.origin, max_queue=None)
        self.page = Page(await self._connect.__aenter__())
        self.hello = await self.page.next("hello")
        return self

    @property
    def origin(self) -> Any:
        return f"http://127.0.0.1:{self.port}"

    async def __aexit__(self, *exception):
        await self._connect.__aexit__(*exception)
        await self.server.close()

    def box(self, name: str = "b1", **options: Any) -> "Visit":
        return Visit(self.server.url + quote(name), name, options)


class Visit:
    """A box's connection for the time of an `async with`."""

    def __init__(self, url: str, name: str, options: dict):
        self._connect = connect(url, subprotocols=["ocpp1.6"], **options)  # pyright: ignore[reportArgumentType]
        self._name = name

    async def __aenter__(self) -> ObedientBox:
        box = ObedientBox(self._name, await self._connect.__aenter__())
        self._task = asyncio.create_task(box.start())
        return box

    async def __aexit__(self, *exception) -> None:
        await self._connect.__aexit__(*exception)
        with pytest.raises(ConnectionClosed):
            await self._task


def play(story, password: str | None = None) -> None:
    async def run():
        async with World(password) as world:
            await story(world)

    asyncio.run(run())


def test_a_page_sees_a_box_come_charge_and_go():
    async def story(world: World):
        assert world.hello["boxes"] == [] and world.hello["url"] == f"ws://127.0.0.1:{world.port}/"
        async with world.box() as box:
            await box.begin()
            seen = await world.page.next("box", lambda message: "1" in message["box"]["status"])
            assert seen["box"]["connected"] and seen["box"]["about"]["chargePointModel"] == "Simulated 32"
            assert seen["box"]["status"]["1"]["status"] == "Available"
            await box.charge("ANN")
            charging = (await world.page.next("box", lambda message: message["box"]["values"]))["box"]
            assert charging["values"]["Power.Active.Import"] == {"": [11100, "W"]}
            assert charging["values"]["Current.Import"]["L2"] == [16.1, "A"]
            assert charging["session"]["energy_wh"] == CHARGED_WH and charging["session"]["tag"] == "ANN"
            await box.end()
            sessions = await world.page.next("sessions", lambda message: message["sessions"][0]["stop"])
            assert [(one["box"], one["energy_wh"], one["reason"]) for one in sessions["sessions"]] == [
                ("b1", CHARGED_WH, "Remote")
            ]
            after = (await world.page.next("box"))["box"]
            assert after["session"] is None and "Power.Active.Import" not in after["values"]
        gone = await world.page.next("box", lambda message: not message["box"]["connected"])
        assert gone["box"]["name"] == "b1"

    play(story)


def test_the_messages_are_shown_as_they_pass_and_kept_for_a_page_that_comes_later():
    async def story(world: World):
        async with world.box("a b") as box:
            await box.ask(call.Authorize("ANN"))
            answer = await world.page.next("message", lambda message: message["message"]["kind"] == "result")
            assert answer["message"]["payload"] == {"idTagInfo": {"status": "Accepted"}}
            assert answer["message"]["out"] and answer["message"]["action"] == "Authorize"
            await box._connection.send("nonsense")
            breach = await world.page.next("message", lambda message: message["message"]["kind"] == "breach")
            assert breach["message"]["box"] == "a b" and "nonsense" in breach["message"]["error"]
        async with connect(f"ws://127.0.0.1:{world.port}/socket", origin=world.origin) as socket:
            hello = await Page(socket).next("hello")
        assert [message["kind"] for message in hello["messages"]] == ["call", "result", "breach"]
        assert [box["name"] for box in hello["boxes"]] == ["a b"]

    play(story)


def test_a_page_starts_and_stops_a_charge_and_reads_and_sets_keys():
    async def story(world: World):
        async with world.box() as box:
            page = world.page
            started = await page.ask("call", box="b1", action="RemoteStartTransaction", payload={"idTag": "APP"})
            assert started["answer"] == {"status": "Accepted"}
            seen = await page.next("box", lambda message: message["box"]["session"])
            number = seen["box"]["session"]["id"]
            stopped = await page.ask(
                "call", box="b1", action="RemoteStopTransaction", payload={"transactionId": number}
            )
            assert stopped["answer"] == {"status": "Accepted"}
            await page.next("sessions", lambda message: message["sessions"][0]["stop"])
            keys = await page.ask("call", box="b1", action="GetConfiguration", payload={})
            assert {"key": "HeartbeatInterval", "readonly": False, "value": "300"} in keys["answer"]["configurationKey"]
            change = {"key": "HeartbeatInterval", "value": "60"}
            changed = await page.ask("call", box="b1", action="ChangeConfiguration", payload=change)
            assert changed["ok"] and box.keys["HeartbeatInterval"] == "60"

    play(story)


def test_each_box_that_registers_is_asked_to_measure_what_the_page_shows():
    async def story(world: World):
        async with world.box() as box:
            await box.begin()
            asked = []
            for _ in MEASURED:
                told = await world.page.next(
                    "message",
                    lambda m: m["message"]["action"] == "ChangeConfiguration" and m["message"]["kind"] == CALL,
                )
                asked.append((told["message"]["payload"]["key"], told["message"]["payload"]["value"]))
            assert asked == list(MEASURED.items())

    play(story)


def test_a_limit_in_amperes_is_set_shown_and_lifted():
    async def story(world: World):
        async with world.box() as box:
            assert (await world.page.ask("limit", box="b1", amps=10))["answer"] == {"status": "Accepted"}
            assert box.profile is not None
            schedule = box.profile["charging_schedule"]
            assert schedule["charging_rate_unit"] == "A"
            assert [float(period["limit"]) for period in schedule["charging_schedule_period"]] == [10.0]
            assert world.server.books.box("b1").limit_a == 10
            assert (await world.page.ask("limit", box="b1", amps=None))["answer"] == {"status": "Accepted"}
            # Even when the box has nothing to lift.
            assert (await world.page.ask("limit", box="b1", amps=None))["answer"] == {"status": "Unknown"}
            assert box.profile is None and world.server.books.box("b1").limit_a is None

    play(story)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"do": "call", "box": "b2", "action": "Reset", "payload": {"type": "Soft"}}, "b2 is not connected"),
        ({"do": "call", "box": "b1", "action": "Reset", "payload": {"type": "Warm"}}, "Warm"),
        ({"do": "call", "box": "b1", "action": "Dance", "payload": {}}, "Dance"),
        ({"do": "call", "box": "b1", "action": "Reset"}, "payload"),
        ({"do": "limit", "box": "b1", "amps": 81}, "allowed: 0..80"),
        ({"do": "dance", "box": "b1"}, "allowed: call, limit"),
        ({"do": "call", "box": "b1", "action": "GetDiagnostics", "payload": {"location": "ftp://x/"}}, "NotImpl"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(asked, reason):
    async def story(world: World):
        async with world.box():
            await world.page.next("box")
            answer = await world.page.ask(**asked)
            assert not answer["ok"] and reason in answer["error"]

    play(story)


def test_a_box_that_comes_back_takes_the_place_of_its_old_connection():
    async def story(world: World):
        async with world.box() as old:
            await old.begin()
            async with world.box() as new:
                await new.ask(new.status(ChargePointStatus.available))
                reset = await world.page.ask("call", box="b1", action="Reset", payload={"type": "Soft"})
                assert reset["ok"] and (old.asked, new.asked) == ([], ["Soft"])
                assert world.server.books.box("b1").connected

    play(story)


def test_boxes_need_the_password_if_there_is_one():
    async def story(world: World):
        with pytest.raises(InvalidStatus, match="401"):
            await world.box().__aenter__()
        token = base64.b64encode(b"b1:secret").decode()
        async with world.box(additional_headers={"Authorization": f"Basic {token}"}) as box:
            await box.begin()

    play(story, "secret")


def test_pages_of_others_and_boxes_that_are_pages_are_kept_out():
    async def story(world: World):
        base = f"ws://127.0.0.1:{world.port}"
        attempts: tuple[tuple[str, dict[str, Any]], ...] = (
            ("/socket", {"origin": "http://evil.example"}),
            ("/socket", {}),
            ("/b1", {"origin": "http://evil.example", "subprotocols": ["ocpp1.6"]}),
            ("/b1", {"additional_headers": {"Host": "evil.example"}, "subprotocols": ["ocpp1.6"]}),
            ("/", {"subprotocols": ["ocpp1.6"]}),
        )
        for path, options in attempts:
            with pytest.raises(InvalidStatus):
                await connect(base + path, **options)
        assert world.server.books.boxes == {}

    play(story)


async def fetch(port: int, path: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return text


def test_the_page_s_files_are_served_and_nothing_else():
    async def story(world: World):
        page = await fetch(world.port, "/")
        assert "200 OK" in page and "Content-Security-Policy" in page
        for path in re.findall(r'(?:href|src)="([a-z.]+)"', page):
            assert "200 OK" in await fetch(world.port, "/" + path), path
        for path in ("/dom.js", "/orders.js"):
            assert "text/javascript" in await fetch(world.port, path)
        for path in ("/server.py", "/../server.py", "/%2e%2e/server.py", "/cards.js"):
            assert "404" in await fetch(world.port, path), path

    play(story)


def test_a_start_that_is_sent_again_is_the_same_transaction_and_ids_outlive_a_restart():
    books = Books()
    payload = {"connectorId": 1, "idTag": "A", "meterStart": START_WH, "timestamp": NOON}
    first, again, other = (
        books.answer(Message("b1", False, CALL, number, "StartTransaction", payload))["transactionId"]
        for number in ("m1", "m1", "m2")
    )
    assert first == again and other == first + 1
    assert [session.id for session in books.sessions] == [first, other] and first > 1_000_000


def test_measurements_are_read_in_one_unit_with_the_standard_s_defaults():
    assert number_of({"value": "1.5"}) == ("Energy.Active.Import.Register", "", [1.5, "Wh"])
    assert number_of({"value": "1.5", "unit": "kWh"}) == ("Energy.Active.Import.Register", "", [1500, "Wh"])
    voltage = {"value": "230", "measurand": "Voltage", "phase": "L1-N", "unit": "V"}
    assert number_of(voltage) == ("Voltage", "L1-N", [230, "V"])
    assert number_of({"value": "a1b2", "format": "SignedData"}) is None


@pytest.mark.parametrize("amps", [0, 6, 16.25, 32, 80])
def test_every_limit_makes_a_call_that_the_schema_allows(amps):
    action, payload = limit(amps)
    assert fault_of(CALL, action, payload) is None
    assert fault_of(CALL, *limit(None)) is None


@pytest.mark.parametrize("amps", [-1, 81, "16", True])
def test_a_limit_that_is_none_is_refused(amps):
    with pytest.raises(OrderError, match="allowed: 0..80 A"):
        limit(amps)


def test_the_program_prints_its_page_and_how_to_connect_a_box_and_ends_on_ctrl_c():
    process = subprocess.Popen(
        [sys.executable, "-m", "central", "--port", "0"],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH="tools"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        page = re.fullmatch(r"page http://127\.0\.0\.1:(\d+)/\n", process.stdout.readline())
        assert page
        assert process.stdout.readline() == f'box  make run ARGS="--ocpp ws://127.0.0.1:{page[1]}/"\n'
        taken = subprocess.run(
            [sys.executable, "-m", "central", "--port", page[1]],
            cwd=ROOT,
            env=dict(os.environ, PYTHONPATH="tools"),
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert taken.returncode == 1 and "--port" in taken.stderr and "Traceback" not in taken.stderr
    finally:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "", "")
