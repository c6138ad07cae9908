"""One charge point's connection as OCPP-J 1.6 has it: messages with an id, checked by the schemas both ways.

It decides nothing: what comes is handed to `answer`, and everything that passes is handed to `note`.
"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from jsonschema.exceptions import ValidationError
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ocpp.messages import MessageType, get_validator

SUBPROTOCOL = "ocpp1.6"
VERSION = "1.6"
CALL, RESULT, ERROR = "call", "result", "error"
NUMBERS = {MessageType.Call: CALL, MessageType.CallResult: RESULT, MessageType.CallError: ERROR}
# OCPP-J 1.6, 4.1.4.
MAX_ID = 36
ANSWER_SECONDS = 30.0
# What the schema library calls a mistake, and what OCPP-J 1.6, 4.2.3 calls it.
CODES = {
    "type": "TypeConstraintViolation",
    "required": "OccurrenceConstraintViolation",
    "additionalProperties": "FormationViolation",
}
# RFC 3339, 5.6; the schemas accept any text as a time.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
TIME_FIELDS = (
    "timestamp",
    "expiryDate",
    "currentTime",
    "retrieveDate",
    "startTime",
    "stopTime",
    "validFrom",
    "validTo",
)


class CallFailed(Exception):
    """A CALLERROR, received or to be sent."""

    def __init__(self, code: str, description: str = "", details: dict | None = None):
        super().__init__(f"{code}: {description}" if description else code)
        self.code, self.description, self.details = code, description, details or {}


class Gone(Exception):
    """The charge point is not connected (any more)."""


@dataclass
class Message:
    """One message of the wire. `at` is in seconds of time.monotonic(); `out` is what the central system has sent."""

    box: str
    out: bool
    kind: str
    id: str
    action: str
    payload: Any
    code: str = ""
    description: str = ""
    at: float = field(default_factory=time.monotonic)


def fault_of(kind: str, action: str, payload: Any) -> CallFailed | None:
    """What is wrong with a payload by schema or by the form of its times, None when nothing is."""
    number = MessageType.Call if kind == CALL else MessageType.CallResult
    try:
        # Limits with one digit are no multiples of 0.1 in binary.
        validator = get_validator(number, f"{action}", VERSION, parse_float=Decimal)
        exact = json.loads(json.dumps(payload), parse_float=Decimal)
    except OSError:
        return CallFailed("NotImplemented", f"{action} is no action of OCPP {VERSION}")
    try:
        validator.validate(exact)
    except ValidationError as error:
        code = CODES.get(str(error.validator), "PropertyConstraintViolation")
        return CallFailed(code, f"{action} {'.'.join(str(part) for part in error.path)}: {error.message}"[:255])
    for name, value in times(payload):
        if not isinstance(value, str) or not TIME.fullmatch(value):
            return CallFailed("TypeConstraintViolation", f"{action} {name}: {value!r} is no time of RFC 3339")
    return None


def times(payload: Any):
    """Yield (name, value) of every field that holds a time, nested ones too."""
    if isinstance(payload, list):
        for part in payload:
            yield from times(part)
    if isinstance(payload, dict):
        for name, value in payload.items():
            if name in TIME_FIELDS:
                yield name, value
            yield from times(value)


class Wire:
    """The connection `socket` of the charge point `box`.

    `await answer(wire, message)` gives the payload for a CALL, None to stay silent, or raises CallFailed.
    `note(message)` hears of every message in both directions, `complain(text)` of every breach of the protocol by the
    charge point.
    """

    def __init__(
        self,
        socket: ServerConnection,
        box: str,
        answer: Callable[["Wire", Message], Awaitable[dict | None]],
        note: Callable[[Message], None],
        complain: Callable[[str], None],
    ):
        self.socket = socket
        self.box = box
        self._answer = answer
        self._note = note
        self._complain = complain
        self._waiting: dict[str, tuple[str, asyncio.Future[dict]]] = {}
        self._turn = asyncio.Lock()
        self._last_id = 0
        self._tasks: set[asyncio.Task] = set()

    async def serve(self) -> None:
        """Handle what comes until the connection ends."""
        try:
            async for text in self.socket:
                self._take(text)
        except ConnectionClosed:
            return
        finally:
            for task in self._tasks:
                task.cancel()
            for _, future in self._waiting.values():
                if not future.done():
                    future.set_exception(Gone(f"{self.box} has gone"))

    async def call(
        self, action: str, payload: dict, seconds: float = ANSWER_SECONDS, check: bool = True, message_id: str = ""
    ) -> dict:
        """Send a CALL, one at a time -> the answer's payload.

        CallFailed for a CALLERROR, TimeoutError, Gone; ValueError when `check` finds the payload against the schema.
        """
        wrong = fault_of(CALL, action, payload) if check else None
        if wrong:
            raise ValueError(str(wrong))
        async with self._turn:
            self._last_id += 1
            # The charge point's own ids are another matter; a reader of logs is glad of the difference.
            number = message_id or f"cs-{self._last_id}"
            future: asyncio.Future[dict] = asyncio.get_running_loop().create_future()
            self._waiting[number] = action, future
            try:
                await self.send(Message(self.box, True, CALL, number, action, payload))
                return await asyncio.wait_for(future, seconds)
            finally:
                del self._waiting[number]

    async def send(self, message: Message) -> None:
        """Send a message; Gone when the connection has ended."""
        if message.kind == CALL:
            frame: list = [MessageType.Call, message.id, message.action, message.payload]
        elif message.kind == RESULT:
            frame = [MessageType.CallResult, message.id, message.payload]
        else:
            frame = [MessageType.CallError, message.id, message.code, message.description, message.payload]
        self._note(message)
        try:
            await self.socket.send(json.dumps(frame, separators=(",", ":")))
        except ConnectionClosed as error:
            raise Gone(f"{self.box} has gone") from error

    def _take(self, text: str | bytes) -> None:
        try:
            frame = json.loads(text)
            kind = NUMBERS[frame[0]]
            if not isinstance(frame[1], str) or not 0 < len(frame[1]) <= MAX_ID:
                raise ValueError("the id")
            message = self._message(kind, *frame[1:])
        except (ValueError, TypeError, KeyError, IndexError) as error:
            self._complain(f"{self.box}: no message of OCPP-J ({error!r}): {text[:200]!r}")
            return
        self._note(message)
        if kind == CALL:
            task = asyncio.create_task(self._reply(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._settle(message)

    def _message(self, kind: str, number: str, *rest) -> Message:
        if kind == CALL:
            action, payload = rest
            return Message(self.box, False, kind, number, action, payload)
        action = self._waiting[number][0] if number in self._waiting else ""
        if kind == RESULT:
            (payload,) = rest
            return Message(self.box, False, kind, number, action, payload)
        code, description, details = rest
        return Message(self.box, False, kind, number, action, details, code, description)

    async def _reply(self, call: Message) -> None:
        try:
            wrong = fault_of(CALL, call.action, call.payload)
            if wrong:
                self._complain(f"{self.box}: {wrong}")
                raise wrong
            payload = await self._answer(self, call)
            if payload is not None:
                await self.send(Message(self.box, True, RESULT, call.id, call.action, payload))
        except CallFailed as failed:
            error = Message(
                self.box, True, ERROR, call.id, call.action, failed.details, failed.code, failed.description
            )
            try:
                await self.send(error)
            except Gone:
                return
        except Gone:
            return

    def _settle(self, message: Message) -> None:
        if message.id not in self._waiting:
            self._complain(f"{self.box}: an answer to {message.id!r}, which was not asked or came too late")
            return
        action, future = self._waiting[message.id]
        if future.done():
            return
        if message.kind == ERROR:
            future.set_exception(CallFailed(message.code, message.description, message.payload))
            return
        wrong = fault_of(RESULT, action, message.payload)
        if wrong:
            self._complain(f"{self.box}: answer to {wrong}")
            future.set_exception(wrong)
        else:
            future.set_result(message.payload)
