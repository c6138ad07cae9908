"""The tests' own central system, tried with a charge point made of PyPI's ocpp."""

import asyncio
import base64
import json
import ssl
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from certificates import Authority
from csms import SILENCE, CallFailed, Csms, Delayed, Gone, NotSeen
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from ocpp.exceptions import InternalError, OCPPError
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import (
    Action,
    ChargePointErrorCode,
    ChargePointStatus,
    RegistrationStatus,
    ResetStatus,
    ResetType,
)

NOON = "2026-01-01T12:00:00Z"


class Box(ChargePoint):
    """A charge point that answers resets."""

    def __init__(self, name: str, socket: ClientConnection):
        super().__init__(name, socket)
        self.resets: list[str] = []

    async def ask(self, payload: Any, seconds: float = 5) -> Any:
        """Call the central system -> its answer; OCPPError, TimeoutError."""
        self._response_timeout = seconds  # pyright: ignore[reportAttributeAccessIssue]
        return await self.call(payload, suppress=False)

    @on(Action.reset)
    def reset(self, type: str):  # noqa: A002
        self.resets.append(type)
        if type == ResetType.hard:
            raise InternalError("stuck")
        return call_result.Reset(ResetStatus.accepted)


class Client:
    """A box's connection for the time of a `async with`."""

    def __init__(self, csms: Csms, name: str = "b1", **options):
        self._connect = connect(csms.url + quote(name), **{"subprotocols": ["ocpp1.6"], **options})
        self._name = name

    async def __aenter__(self) -> Box:
        self.socket = await self._connect.__aenter__()
        self.box = Box(self._name, self.socket)
        self._task = asyncio.create_task(self.box.start())
        return self.box

    async def __aexit__(self, *exception) -> None:
        await self._connect.__aexit__(*exception)
        with pytest.raises(ConnectionClosed):
            await self._task


def thread(function, *arguments, **named):
    return asyncio.to_thread(function, *arguments, **named)


BOOT = call.BootNotification("model", "vendor")


def start(tag: str = "A", meter: int = 100) -> call.StartTransaction:
    return call.StartTransaction(connector_id=1, id_tag=tag, meter_start=meter, timestamp=NOON)


def test_it_answers_what_a_box_says_and_keeps_it(csms):
    csms.tags["B"] = {"status": "Blocked"}

    async def talk():
        async with Client(csms) as box:
            boot = await box.ask(BOOT)
            assert boot.status == RegistrationStatus.accepted and boot.interval == 300
            assert (await box.ask(call.Authorize("A"))).id_tag_info == {"status": "Accepted"}
            assert (await box.ask(call.Authorize("B"))).id_tag_info == {"status": "Blocked"}
            first = await box.ask(start())
            second = await box.ask(start("B"))
            assert (first.transaction_id, second.transaction_id) == (1, 2)
            assert second.id_tag_info["status"] == "Blocked"
            await box.ask(call.StatusNotification(1, ChargePointErrorCode.no_error, ChargePointStatus.available))
            await box.ask(call.Heartbeat())

    asyncio.run(talk())
    assert csms.wait_for("BootNotification").payload == {"chargePointModel": "model", "chargePointVendor": "vendor"}
    assert csms.wait_for("Authorize", lambda payload: payload["idTag"] == "B").box == "b1"
    assert csms.wait_for("Authorize", count=2).payload["idTag"] == "B"
    assert [one.payload["idTag"] for one in csms.seen("StartTransaction")] == ["A", "B"]
    assert not csms.seen("Authorize", since=csms.mark()) and not csms.seen("Authorize", box="b2")
    csms.wait_gone()


def test_its_clock_runs_as_fast_as_the_boards(central):
    csms = central(speed=10)
    begin = csms.now(), time.monotonic()
    assert abs((begin[0] - datetime.now(UTC)).total_seconds()) < 10
    csms.shift_s = -3600

    async def talk():
        async with Client(csms) as box:
            first = datetime.fromisoformat((await box.ask(BOOT)).current_time)
            await asyncio.sleep(0.5)
            return first, datetime.fromisoformat((await box.ask(call.Heartbeat())).current_time)

    first, second = asyncio.run(talk())
    assert -3600 <= (first - begin[0]).total_seconds() < -3500
    assert (second - first).total_seconds() >= 5


def test_a_test_overrides_answers_one_after_the_other(csms):
    pending = {"status": "Pending", "currentTime": NOON, "interval": 1}
    csms.answer("BootNotification", pending, CallFailed("GenericError", "no"), None)
    csms.answer("Authorize", lambda payload, box: {"idTagInfo": {"status": "Invalid", "parentIdTag": box}})
    csms.answer("Heartbeat", Delayed(0.3, lambda payload, box: None))

    async def talk():
        async with Client(csms) as box:
            assert (await box.ask(BOOT)).status == "Pending"
            with pytest.raises(OCPPError, match="no"):
                await box.ask(BOOT)
            assert (await box.ask(BOOT)).status == "Accepted"
            assert (await box.ask(BOOT)).status == "Accepted"
            assert (await box.ask(call.Authorize("A"))).id_tag_info["parent_id_tag"] == "b1"
            begin = time.monotonic()
            await box.ask(call.Heartbeat())
            assert time.monotonic() - begin >= 0.3
            csms.answer("Authorize")
            assert (await box.ask(call.Authorize("A"))).id_tag_info == {"status": "Accepted"}
            csms.answer("Authorize", SILENCE)
            with pytest.raises(asyncio.TimeoutError):
                await box.ask(call.Authorize("A"), 0.3)

    asyncio.run(talk())


def test_it_calls_a_box_and_gets_its_answer_or_error(csms):
    async def talk():
        async with Client(csms) as box:
            assert await thread(csms.call, "Reset", {"type": "Soft"}) == {"status": "Accepted"}
            assert box.resets == ["Soft"]
            with pytest.raises(CallFailed) as failed:
                await thread(csms.call, "Reset", {"type": "Hard"}, box="b1")
            assert failed.value.code == "InternalError" and failed.value.description == "stuck"
            with pytest.raises(ValueError, match="Reset type"):
                await thread(csms.call, "Reset", {"type": "Warm"})
            with pytest.raises(CallFailed):
                await thread(csms.call, "Reset", {"type": "Warm"}, check=False)

    asyncio.run(talk())
    with pytest.raises(Gone):
        csms.call("Reset", {"type": "Soft"})


def test_breaches_of_the_protocol_by_a_box_are_found(csms):
    frames: list[tuple[object, str]] = [
        ([2, "1", "Heartbeat", {"x": 1}], "FormationViolation"),
        ([2, "2", "Authorize", {}], "OccurrenceConstraintViolation"),
        ([2, "3", "Authorize", {"idTag": 1}], "TypeConstraintViolation"),
        ([2, "4", "Authorize", {"idTag": "x" * 21}], "PropertyConstraintViolation"),
        ([2, "5", "Dance", {}], "NotImplemented"),
        (
            [2, "6", "StartTransaction", {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "noon"}],
            "TypeConstraintViolation",
        ),
    ]

    async def talk():
        async with connect(csms.url + "b1", subprotocols=["ocpp1.6"]) as socket:  # pyright: ignore[reportArgumentType]
            for frame, code in frames:
                await socket.send(json.dumps(frame))
                assert json.loads(await socket.recv())[2] == code
            for text in ("{", "[]", "{}", '[9, "1", {}]', '[2, "' + "x" * 37 + '", "Heartbeat", {}]', '[3, "7", {}]'):
                await socket.send(text)
            await socket.send('[2, "8", "Heartbeat", {}]')
            assert json.loads(await socket.recv())[1] == "8"

    asyncio.run(talk())
    assert len(csms.violations) == len(frames) + 6, csms.violations
    csms.violations.clear()


@pytest.mark.parametrize("how", ["close", "fin", "rst"])
def test_it_ends_a_connection_in_every_way(csms, how):
    async def talk():
        async with Client(csms):
            await thread(csms.wait_connected, "b1")
            await thread(csms.drop, how)
            await thread(csms.wait_gone, "b1")

    asyncio.run(talk())


def test_a_frozen_connection_stays_but_hears_nothing(csms):
    async def talk():
        async with Client(csms, close_timeout=0.2, ping_interval=None) as box:
            await box.ask(BOOT)
            csms.drop("freeze")
            with pytest.raises(asyncio.TimeoutError):
                await box.ask(call.Heartbeat(), 0.5)
            assert csms.connected("b1")
            # It comes back while the old connection still seems to be there.
            async with Client(csms) as again:
                await again.ask(BOOT)
                assert csms.connected("b1")

    asyncio.run(talk())
    assert len(csms.seen("Heartbeat")) == 0 and len(csms.handshakes) == 2


def test_it_refuses_connections_and_lets_them_in_again(csms):
    async def talk():
        csms.refuse(404)
        with pytest.raises(InvalidStatus):
            await Client(csms).__aenter__()
        await thread(csms.refuse, "tcp")
        with pytest.raises(OSError):
            await Client(csms).__aenter__()
        await thread(csms.admit)
        async with Client(csms) as box:
            await box.ask(BOOT)

    asyncio.run(talk())
    assert [one.status for one in csms.wait_handshakes(2)] == [404, 101]


def test_it_wants_a_password_and_the_subprotocol(central):
    csms = central(password="secret")

    async def talk():
        async def attempt(password: str) -> None:
            token = base64.b64encode(f"b1:{password}".encode()).decode()
            async with Client(csms, additional_headers={"Authorization": f"Basic {token}"}) as box:
                await box.ask(BOOT)

        with pytest.raises(InvalidStatus):
            await attempt("wrong")
        await attempt("secret")
        csms.password = b"\x00\xff"
        with pytest.raises(InvalidStatus):
            await attempt("secret")
        csms.password = None
        csms.subprotocol = None
        client = Client(csms)
        async with client:
            assert client.socket.subprotocol is None

    asyncio.run(talk())
    assert [one.status for one in csms.handshakes] == [401, 101, 401, 101]


def test_tls_with_and_without_the_client_s_certificate(central, tmp_path):
    ours, foreign = Authority(tmp_path), Authority(tmp_path, "Another CA")
    csms = central(ssl=ours.server(ask_client=True))

    async def attempt(context: ssl.SSLContext) -> None:
        async with Client(csms, ssl=context) as box:
            await box.ask(BOOT)

    asyncio.run(attempt(ours.client("b1")))
    with pytest.raises(ssl.SSLCertVerificationError):
        asyncio.run(attempt(foreign.client("b1")))
    with pytest.raises((ssl.SSLError, InvalidMessage, ConnectionClosed, OSError)):
        asyncio.run(attempt(ours.client()))
    assert [one.status for one in csms.handshakes] == [101]


def test_several_boxes_are_kept_apart(csms):
    async def talk():
        async with Client(csms, "b1") as one, Client(csms, "b 2") as two:
            await two.ask(BOOT)
            with pytest.raises(Gone, match="b1, b 2"):
                await thread(csms.call, "Reset", {"type": "Soft"})
            await thread(csms.call, "Reset", {"type": "Soft"}, box="b 2")
            assert (one.resets, two.resets) == ([], ["Soft"])

    asyncio.run(talk())
    assert csms.wait_for("BootNotification").box == "b 2"


def stop(number: int, at: str = NOON, meter: int = 900) -> dict:
    return {"transactionId": number, "meterStop": meter, "timestamp": at, "reason": "Remote"}


def test_the_books_merge_repeated_messages_and_show_doubled_transactions(csms):
    begin = {"connectorId": 1, "idTag": "A", "meterStart": 100, "timestamp": NOON}
    values = [{"timestamp": NOON, "sampledValue": [{"value": "500"}]}]
    frames = [
        ("s1", "StartTransaction", begin),
        ("s1", "StartTransaction", begin),
        ("v1", "MeterValues", {"connectorId": 1, "transactionId": 1, "meterValue": values}),
        ("v1", "MeterValues", {"connectorId": 1, "transactionId": 1, "meterValue": values}),
        ("v2", "MeterValues", {"connectorId": 1, "meterValue": values}),
        ("e1", "StopTransaction", stop(1)),
        ("e1", "StopTransaction", stop(1)),
        ("s2", "StartTransaction", begin),
        ("e2", "StopTransaction", stop(1)),
        ("e3", "StopTransaction", stop(-1)),
    ]
    csms.answer("StartTransaction", SILENCE, None)

    async def talk():
        async with connect(csms.url + "b1", subprotocols=["ocpp1.6"]) as socket:  # pyright: ignore[reportArgumentType]
            for number, action, payload in frames:
                await socket.send(json.dumps([2, number, action, payload]))
            for _ in frames[1:]:
                await socket.recv()

    asyncio.run(talk())
    books = csms.transactions()
    shown = [(one["id"], one["starts"], one["stops"], one["idTag"], len(one["values"])) for one in books]
    assert shown == [(1, 2, 2, "A", 1), (2, 1, 0, "A", 0), (1, 0, 1, None, 0), (-1, 0, 1, None, 0)]
    assert (books[0]["meterStart"], books[0]["meterStop"], books[0]["reason"]) == (100, 900, "Remote")
    assert csms.wait_transaction(lambda one: one["stop"] is None)["id"] == 2


def test_what_does_not_come_is_reported_with_what_did(csms):
    async def talk():
        async with Client(csms) as box:
            await box.ask(call.Authorize("A"))

    asyncio.run(talk())
    begin = time.monotonic()
    with pytest.raises(NotSeen, match="Authorize"):
        csms.wait_for("BootNotification", seconds=0.2)
    assert 0.2 <= time.monotonic() - begin < 2
