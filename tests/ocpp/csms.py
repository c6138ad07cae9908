"""A central system that does what a test tells it, in a thread of its own; everything that passes is kept.

Times: `Message.at` is the host's time.monotonic(). The central system's clock, which it tells its boxes, runs `speed`
times faster, as a simulated board's does that was started with the same speed.
"""

import asyncio
import base64
import socket
import ssl as tls
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import pairwise
from typing import Any, Self, TypeVar
from urllib.parse import unquote

from central.wire import ANSWER_SECONDS, CALL, RESULT, SUBPROTOCOL, CallFailed, Gone, Message, Wire
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

PATH = "/ocpp/"
# Of the tests' wallboxes: how many of the board's seconds pass in one of the host's, and the charge point's name.
SPEED = 10
BOX = "SIM-1"
START_SECONDS = 10.0
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.01
MAX_BYTES = 1 << 22
# struct linger, on and 0 s: closing then drops the connection instead of ending it in good order.
ABORT = struct.pack("ii", 1, 0)

T = TypeVar("T")
__all__ = ("SILENCE", "CallFailed", "Csms", "Delayed", "Gone", "Message", "NotSeen")


class NotSeen(AssertionError):
    """What a test waited for did not come; the text holds the messages that did."""


class Silence:
    """The answer that never comes."""


SILENCE = Silence()


@dataclass
class Delayed:
    """An answer (any of the other kinds) that is given after so many of the host's seconds."""

    seconds: float
    answer: Any


@dataclass
class Handshake:
    """An attempt to connect: the box's name, its headers, and the HTTP status of the answer (101: it is connected)."""

    box: str
    headers: dict[str, str]
    status: int
    at: float


class Csms:
    """A central system on 127.0.0.1. Use it as a context manager; `url` is what a box is given, without its own name.

    `ssl`: a server's SSLContext, None without TLS; another one counts from the next `refuse("tcp")` and `admit()` on.
    `password`: what every box must give (OCPP-J 1.6 basic authentication), may be changed
    at any time; None lets everybody in. `subprotocol`: what it agrees to, None for nothing.

    `tags`: {idTag: idTagInfo} for those that are not just accepted. `interval`: that of BootNotification's answer, s.
    `violations` holds, in words, each breach of the protocol that a box was found in.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        speed: int = 1,
        ssl: tls.SSLContext | None = None,
        password: str | bytes | None = None,
        subprotocol: str | None = SUBPROTOCOL,
    ):
        self.port = port
        self.speed = speed
        self.password = password
        self.subprotocol = subprotocol
        self.interval = 300
        self.tags: dict[str, dict] = {}
        self.messages: list[Message] = []
        self.handshakes: list[Handshake] = []
        self.violations: list[str] = []
        # By how many seconds its clock is wrong.
        self.shift_s = 0.0
        self.ssl = ssl
        self._answers: dict[str, list[Any]] = {}
        self._wires: dict[str, Wire] = {}
        self._refuse = 0
        self._last_transaction = 0
        self._transactions: dict[tuple[str, str], int] = {}
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="csms", daemon=True)
        self._server: Server | None = None
        self._begin = time.monotonic()
        self._begin_utc = datetime.now(UTC)

    # Life

    def start(self) -> Self:
        """Listen; OSError when the port is taken."""
        self._thread.start()
        self._await(self._listen(), START_SECONDS)
        return self

    def stop(self) -> None:
        """Drop everything and end the thread; harmless when it has ended."""
        if not self._thread.is_alive():
            return
        self._await(self._end(), START_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address to give to a box, which appends its own name."""
        return f"wss://localhost:{self.port}{PATH}" if self.ssl else f"ws://127.0.0.1:{self.port}{PATH}"

    def _await(self, coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    async def _listen(self) -> None:
        self._server = await serve(
            self._connected,
            "127.0.0.1",
            self.port,
            ssl=self.ssl,
            process_request=self._admit,
            select_subprotocol=self._select,
            # The boxes' own pings are what is tested; a central system that pings would hide a box that does not.
            ping_interval=None,
            max_size=MAX_BYTES,
            compression=None,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def _unlisten(self) -> None:
        if self._server:
            # The listening socket alone; WebSockets that are open stay.
            self._server.server.close()
            self._server = None

    async def _end(self) -> None:
        await self._unlisten()
        # Let who was accepted just now become a task, which closes its socket when it is cancelled.
        await asyncio.sleep(0)
        for wire in self._wires.values():
            _drop(wire, "rst")
        mine = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not mine]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Its clock

    def now(self) -> datetime:
        """What its clock shows."""
        return self._begin_utc + timedelta(seconds=(time.monotonic() - self._begin) * self.speed + self.shift_s)

    def time(self) -> str:
        """What its clock shows, as OCPP writes it."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    # Connections

    def refuse(self, how: int | str = 503) -> None:
        """Let nobody in from now on: with an HTTP status, or "tcp" as if there were no server."""
        if how == "tcp":
            self._await(self._unlisten(), START_SECONDS)
        else:
            self._refuse = int(how)

    def admit(self) -> None:
        """Let boxes in again."""
        self._refuse = 0
        if self._server is None:
            self._await(self._listen(), START_SECONDS)

    def drop(self, how: str = "fin", box: str | None = None) -> None:
        """End a box's connection.

        "close": WebSocket's way; "fin": the bare TCP stream ends; "rst": TCP reset; "freeze": it stays, but nothing is
        read or answered any more, as when a router has forgotten it.
        """
        wire = self._wire(box)
        if how == "close":
            self._await(wire.socket.close(), START_SECONDS)
        else:
            self._loop.call_soon_threadsafe(_drop, wire, how)

    def connected(self, box: str | None = None) -> bool:
        """Whether a box (any, without a name) is connected."""
        return bool(self._wires) if box is None else box in self._wires

    def certificate(self, box: str | None = None) -> dict:
        """The certificate that a box has shown, as ssl.SSLSocket.getpeercert() tells it; {} for none. Gone."""
        return self._wire(box).socket.transport.get_extra_info("peercert") or {}

    def wait_connected(self, box: str | None = None, seconds: float = WAIT_SECONDS) -> None:
        """Wait until a box is connected; NotSeen."""
        self._wait(lambda: self.connected(box) or None, seconds, f"{box or 'a box'} is connected")

    def wait_gone(self, box: str | None = None, seconds: float = WAIT_SECONDS) -> None:
        """Wait until a box, or every one, is not connected; NotSeen."""
        self._wait(lambda: not self.connected(box) or None, seconds, f"{box or 'every box'} has gone")

    def wait_handshakes(self, count: int, seconds: float = WAIT_SECONDS) -> list[Handshake]:
        """Wait until there were so many attempts to connect; NotSeen."""
        self._wait(lambda: len(self.handshakes) >= count or None, seconds, f"{count} attempts to connect")
        return self.handshakes[:count]

    def _wire(self, box: str | None) -> Wire:
        if box is None and len(self._wires) == 1:
            return next(iter(self._wires.values()))
        if box not in self._wires:
            raise Gone(f"{box or 'the one box'} is not connected; connected: {', '.join(self._wires) or 'none'}")
        return self._wires[box]

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        box = unquote(request.path.rpartition("/")[2])
        status = self._status(box, request)
        self.handshakes.append(Handshake(box, dict(request.headers.raw_items()), status, time.monotonic()))
        self._tell()
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            return None
        response = connection.respond(status, "")
        if status == HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = 'Basic realm="ocpp"'
        return response

    def _status(self, box: str, request: Request) -> int:
        if self._refuse:
            return self._refuse
        if not request.path.startswith(PATH) or not box:
            return HTTPStatus.NOT_FOUND
        if self.password is not None:
            password = self.password.encode() if isinstance(self.password, str) else self.password
            wanted = "Basic " + base64.b64encode(box.encode() + b":" + password).decode()
            if request.headers.get("Authorization") != wanted:
                return HTTPStatus.UNAUTHORIZED
        return HTTPStatus.SWITCHING_PROTOCOLS

    def _select(self, _connection: ServerConnection, offered) -> Subprotocol | None:
        if self.subprotocol is None or self.subprotocol not in offered:
            return None
        return Subprotocol(self.subprotocol)

    async def _connected(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        box = unquote(connection.request.path.rpartition("/")[2])
        before = self._wires.get(box)
        wire = self._wires[box] = Wire(connection, box, self._answer, self._note, self._complain)
        if before is not None:
            # A box that has lost its link comes back before the old one is known to be dead.
            _drop(before, "rst")
        self._tell()
        try:
            await wire.serve()
        finally:
            if self._wires.get(box) is wire:
                del self._wires[box]
            self._tell()

    # Messages

    def answer(self, action: str, *answers: Any) -> None:
        """Answer an action of the boxes otherwise from now on; without answers as by default.

        Several are given one after the other, the last one for good. Each is a payload, a function of (payload, box)
        that gives one of the others, CallFailed, SILENCE, Delayed, or None for the default.
        """
        with self._changed:
            if answers:
                self._answers[action] = list(answers)
            else:
                self._answers.pop(action, None)

    def call(
        self,
        action: str,
        payload: dict | None = None,
        box: str | None = None,
        seconds: float = ANSWER_SECONDS,
        check: bool = True,
        message_id: str = "",
    ) -> dict:
        """Call a box -> its answer; CallFailed, TimeoutError, Gone. Without `check` the payload may be wrong."""
        call = self._wire(box).call(action, payload or {}, seconds, check, message_id)
        return self._await(call, seconds + START_SECONDS)

    def send(self, text: str | bytes, box: str | None = None) -> None:
        """Send any WebSocket message."""
        self._await(self._wire(box).socket.send(text), START_SECONDS)

    def mark(self) -> int:
        """The number of messages so far, for `since` of `wait_for` and `seen`."""
        return len(self.messages)

    def seen(
        self,
        action: str,
        where: Callable[[dict], object] | None = None,
        *,
        since: int = 0,
        box: str | None = None,
        kind: str = CALL,
    ) -> list[Message]:
        """What boxes have sent so far: calls of `action` whose payload is as `where` wants it."""
        return [
            one
            for one in self.messages[since:]
            if not one.out
            and one.kind == kind
            and one.action == action
            and box in (None, one.box)
            and (where is None or where(one.payload))
        ]

    def wait_for(
        self,
        action: str,
        where: Callable[[dict], object] | None = None,
        seconds: float = WAIT_SECONDS,
        *,
        since: int = 0,
        box: str | None = None,
        count: int = 1,
    ) -> Message:
        """The `count`-th call of `action` by a box as `where(payload)` wants it, waited for; NotSeen.

        Of all that came, or of what came after `since` = mark().
        """

        def look() -> Message | None:
            found = self.seen(action, where, since=since, box=box)
            return found[count - 1] if len(found) >= count else None

        return self._wait(look, seconds, f"{action} ({count})")

    def heard(self, status: str | None, since: int = 0, count: int = 1, connector: int = 1, **fields: Any) -> Message:
        """Wait for the `count`-th StatusNotification of a connector with that status (None: any) and these fields."""
        wanted = {"connectorId": connector, **({"status": status} if status else {}), **fields}
        return self.wait_for(
            "StatusNotification", lambda payload: wanted.items() <= payload.items(), since=since, count=count
        )

    def statuses(self, since: int = 0) -> list[str]:
        """What connector 1 has told of itself, in order."""
        told = self.seen("StatusNotification", lambda payload: payload["connectorId"] == 1, since=since)
        return [one.payload["status"] for one in told]

    def registered(self, count: int = 1, since: int = 0) -> None:
        """Wait until a box has registered `count` times and then told the status of connector 1."""
        boot = self.wait_for("BootNotification", since=since, count=count)
        self.heard(None, self.messages.index(boot))

    def actions(self, since: int = 0) -> list[str]:
        """What boxes have called, by name."""
        return [one.action for one in self.messages[since:] if not one.out and one.kind == CALL]

    def gaps(self, moments: Sequence[Message | Handshake]) -> list[float]:
        """The seconds of its clock between messages or handshakes."""
        return [(after.at - before.at) * self.speed for before, after in pairwise(moments)]

    # Calls that several tests make

    def insist(self, action: str, payload: dict | None = None, seconds: float = WAIT_SECONDS) -> dict:
        """Call a box, over the connection that is about to be made if there is none now -> its answer."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.call(action, payload)
            except Gone:
                if time.monotonic() >= end:
                    raise
                time.sleep(POLL_SECONDS)

    def say(self, action: str, **payload: Any) -> str:
        """Call a box -> the status of its answer."""
        return self.call(action, payload)["status"]

    def change(self, key: str, value: str) -> str:
        """Change a configuration key -> the status of the answer."""
        return self.say("ChangeConfiguration", key=key, value=value)

    def shown(self, key: str) -> str | None:
        """The value of a configuration key, None for one without."""
        return self.call("GetConfiguration", {"key": [key]})["configurationKey"][0].get("value")

    def in_seconds(self, seconds: float) -> str:
        """What its clock will show in so many seconds, as OCPP writes it."""
        return (self.now() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def wait_transaction(self, where: Callable[[dict], object], seconds: float = WAIT_SECONDS) -> dict:
        """The first of `transactions()` that is as `where` wants it, waited for; NotSeen."""
        return self._wait(lambda: next(filter(where, self.transactions()), None), seconds, "a transaction")

    def _wait(self, look: Callable[[], T | None], seconds: float, what: str) -> T:
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                found = look()
                if found is not None:
                    return found
                left = end - time.monotonic()
                if left <= 0:
                    raise NotSeen(f"not seen in {seconds} s: {what}\n{self.story()}")
                self._changed.wait(left)

    def story(self, last: int = 40) -> str:
        """The newest messages in words, for a failed test."""
        lines = [
            f"{one.at - self._begin:8.2f} {one.box} {'<-' if one.out else '->'} {one.kind} {one.id} {one.action} "
            f"{one.code} {one.payload}"
            for one in self.messages[-last:]
        ]
        return "\n".join([f"handshakes: {[(one.box, one.status) for one in self.handshakes[-10:]]}", *lines])

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _note(self, message: Message) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def _complain(self, text: str) -> None:
        self.violations.append(text)

    # Answers

    async def _answer(self, _wire: Wire, message: Message) -> dict | None:
        with self._changed:
            left = self._answers.get(message.action, [None])
            answer: Any = left.pop(0) if len(left) > 1 else left[0]
        while True:
            if callable(answer):
                answer = answer(message.payload, message.box)
            elif isinstance(answer, Delayed):
                await asyncio.sleep(answer.seconds)
                answer = answer.answer
            else:
                break
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Silence):
            return None
        return self._default(message) if answer is None else answer

    def _default(self, message: Message) -> dict:
        payload, action = message.payload, message.action
        if action == "BootNotification":
            return {"status": "Accepted", "currentTime": self.time(), "interval": self.interval}
        if action == "Heartbeat":
            return {"currentTime": self.time()}
        if action == "Authorize":
            return {"idTagInfo": self._info(payload["idTag"])}
        if action == "StartTransaction":
            return {
                "transactionId": self._transaction_id(message),
                "idTagInfo": self._info(payload["idTag"]),
            }
        if action == "StopTransaction":
            return {"idTagInfo": self._info(payload["idTag"])} if "idTag" in payload else {}
        if action == "DataTransfer":
            return {"status": "UnknownVendorId"}
        if action == "SignCertificate":
            return {"status": "Accepted"}
        return {}

    def _info(self, tag: str) -> dict:
        return self.tags.get(tag, {"status": "Accepted"})

    def _transaction_id(self, message: Message) -> int:
        """The same for a message that is sent again."""
        key = message.box, message.id
        if key not in self._transactions:
            self._last_transaction += 1
            self._transactions[key] = self._last_transaction
        return self._transactions[key]

    # Judges

    def transactions(self, box: str | None = None) -> list[dict]:
        """What an operator's books would show: a dict for each start, with everything that named its transaction.

        id (None: never given), box, idTag, connector, start and stop (times as sent), meterStart, meterStop, reason,
        stopTag, values (meterValue entries of MeterValues), data (transactionData of the stop), starts and stops (how
        often the message was sent). Messages with the same id are one message. A stop or values of a transaction
        that nobody started make an entry without a start; a second stop of one adds an entry too.
        """
        with self._changed:
            return _books([one for one in self.messages if box in (None, one.box)])


def _drop(wire: Wire, how: str) -> None:
    transport = wire.socket.transport
    if how == "freeze":
        transport.pause_reading()
        return
    if how not in ("fin", "rst"):
        raise ValueError(f"drop: {how!r} is not known; allowed: close, fin, rst, freeze")
    if how == "rst":
        if transport.is_closing():
            return
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        transport.abort()
    else:
        transport.close()


def _books(messages: list[Message]) -> list[dict]:
    answers = {(one.box, one.id): one.payload for one in messages if one.out and one.kind == RESULT}
    books: list[dict] = []
    sent: dict[tuple[str, str], int] = {}
    first: list[Message] = []
    for one in messages:
        if one.out or one.kind != CALL or one.action not in ("StartTransaction", "MeterValues", "StopTransaction"):
            continue
        key = one.box, one.id
        sent[key] = sent.get(key, 0) + 1
        if sent[key] == 1:
            first.append(one)
    for one in first:
        times = sent[one.box, one.id]
        if one.action == "StartTransaction":
            known = answers.get((one.box, one.id), {}).get("transactionId")
            books.append(_started(one, known, times))
        elif one.action == "StopTransaction":
            _stopped(_entry(books, one, True), one.payload, times)
        elif "transactionId" in one.payload:
            _entry(books, one, False)["values"] += one.payload["meterValue"]
    return books


def _entry(books: list[dict], message: Message, stops: bool) -> dict:
    number = message.payload["transactionId"]
    for entry in books:
        if entry["box"] == message.box and entry["id"] == number and not (stops and entry["stops"]):
            return entry
    entry = {"id": number, "box": message.box, "idTag": None, "connector": None, "start": None, "meterStart": None}
    entry.update(_OPEN, values=[], data=[], starts=0)
    books.append(entry)
    return entry


_OPEN = {"stop": None, "meterStop": None, "reason": None, "stopTag": None, "stops": 0}


def _started(message: Message, number: int | None, times: int) -> dict:
    payload = message.payload
    return {
        "id": number,
        "box": message.box,
        "idTag": payload["idTag"],
        "connector": payload["connectorId"],
        "start": payload["timestamp"],
        "meterStart": payload["meterStart"],
        **_OPEN,
        "reservation": payload.get("reservationId"),
        "values": [],
        "data": [],
        "starts": times,
    }


def _stopped(entry: dict, payload: dict, times: int) -> None:
    entry["stop"] = payload["timestamp"]
    entry["meterStop"] = payload["meterStop"]
    # OCPP 1.6, 6.49: a stop without a reason is a local one.
    entry["reason"] = payload.get("reason", "Local")
    entry["stopTag"] = payload.get("idTag")
    entry["data"] = payload.get("transactionData", [])
    entry["stops"] = times
