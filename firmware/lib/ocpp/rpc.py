"""Remote procedure calls after OCPP-J 1.6 on one link; it knows no message, and none ends the link."""

import asyncio
import json
from binascii import crc32
from time import ticks_add, ticks_diff

from micropython import const

from ocpp.errors import FORMATION, GENERIC, INTERNAL, CallError, CallTimeout, NotConnected, OcppError, Silent
from ocpp.frames import parse
from ocpp.rare import borrow
from ocpp.together import Alarm, ended, together

_CALL = const(2)
_CALLRESULT = const(3)
_CALLERROR = const(4)
# OCPP-J 1.6, 4.1.4: messageId is a string of up to 36 characters.
_ID_CHARS = const(36)
# Leaves room for a hyphen and a count.
_PREFIX_CHARS = const(24)
_DESCRIPTION = const(255)
# Answers that are remembered for a CALL that comes again, and how long one may be. What changes anything answers
# with a status; longer answers are those of questions, which may be asked twice.
_REMEMBERED = const(8)
_REMEMBERED_CHARS = const(400)
# CALLs that wait while one is handled. A peer may send one at a time (OCPP-J 1.6, 4.1.1); some send a few at once.
_WAITING = const(4)
_WAITING_BYTES = const(16384)
# A handler that takes longer is broken: what takes long is to be done after the answer.
_HANDLER_MS = const(60000)
_SHOWN = const(60)


class MessageIds:
    """Ids of messages; one object for all links of a charge point.

    `prefix`, of up to 24 characters, is drawn at random at each start, so that no other run of the box uses these ids.
    """

    def __init__(self, prefix: str):
        if not 0 < len(prefix) <= _PREFIX_CHARS:
            raise ValueError("prefix: '%s'; allowed: 1 to %d characters" % (prefix, _PREFIX_CHARS))
        self._prefix = prefix
        self._count = 0

    def next(self) -> str:
        """An id of up to 36 characters."""
        self._count += 1
        return "%s-%d" % (self._prefix, self._count)


class _Outstanding:
    """A CALL of ours without an answer yet."""

    def __init__(self, message_id: str, until: int):
        self.message_id = message_id
        self.until = until
        self.done = Alarm()
        self.answer = None
        # Whether its caller still waits for the answer, or has not yet been able to look at it.
        self.wanted = True


class _Call:
    """A CALL of the peer: waiting, in hand (payload is None), or answered."""

    def __init__(self, message_id: str, check: int, action: str, payload: dict, size: int):
        self.message_id = message_id
        self.check = check
        self.action = action
        self.payload = payload
        self.size = size
        self.answer = ""

    def take(self):
        """The payload, which nobody needs after."""
        payload, self.payload = self.payload, None
        return payload


class Rpc:
    """CALLs in both directions on one open WebSocket.

    `handle(action, payload)` is a coroutine function that returns the payload of the answer or raises CallError, or
    Silent when there is to be no answer. It is awaited for one CALL of the peer at a time, in order, and cancelled when
    the link ends or after 60 s.
    `timeout_s` is how long an answer is waited for. `sent` holds functions that are called, once, after the answer to
    the CALL in hand has been sent; they are forgotten when it cannot be.
    """

    def __init__(self, websocket, clock, log, handle, timeout_s: int, ids: MessageIds):
        self.timeout_s = timeout_s
        self.sent = []
        self._websocket = websocket
        self._clock = clock
        self._log = log
        self._handle = handle
        self._ids = ids
        self._turn = asyncio.Lock()
        self._open = True
        self._over = asyncio.Event()
        # What handles and answers while there is something to handle, and the error that it broke with.
        self._worker = self._broken = None
        self._outstanding = None
        # The CALL of ours that was answered last, until its caller has looked at the answer.
        self._settled = None
        # CALLs that wait to be handled, and texts that wait to be sent between them.
        self._waiting = []
        self._calls = self._bytes = 0
        # CALLs that were taken lately, the oldest first.
        self._lately = []
        self.complained_at = None
        self.unsaid = 0

    async def run(self) -> None:
        """Read until the link ends; CALLs of ours that wait then raise NotConnected."""
        try:
            await together(self._receive(), over=self._over)
        finally:
            self._open = False
            if self._worker is not None:
                await ended(self._worker)
            self._settle(None)
        if self._broken is not None:
            # A link that looks alive and answers nothing is none.
            raise self._broken

    def end(self) -> None:
        """Let `run` end."""
        self._over.set()

    async def _receive(self) -> None:
        """Take messages until the link has ended."""
        while True:
            try:
                # No variable, which would keep the last one until the next comes.
                self._take(await self._websocket.recv_utf8())
            except OSError:
                return
            except OcppError as error:
                # Only a message that was too long has a head.
                head = getattr(error, "head", None)
                if head is None:
                    return
                self._refuse("message too long", None, head.encode())

    async def call(self, action: str, payload: dict, message_id=None) -> dict:
        """Send a CALL when all earlier ones are answered or given up, and return the payload of its answer.

        CallError when the peer refuses, CallTimeout when it does not answer within `timeout_s`, NotConnected when the
        link ends. A caller that is cancelled leaves its CALL outstanding: no other is sent before it is answered or
        its time is up.
        """
        async with self._turn:
            if self._outstanding:
                await self._answered(self._outstanding)
            if not self._open:
                raise NotConnected("no link")
            return await self._exchange(message_id or self._ids.next(), action, payload)

    async def _exchange(self, message_id: str, action: str, payload: dict):
        outstanding = self._outstanding = _Outstanding(message_id, self._deadline())
        try:
            await self._ask(outstanding, action, payload)
        finally:
            outstanding.wanted = False
            if self._settled is outstanding:
                self._settled = None
        answer = outstanding.answer
        if answer is None:
            raise NotConnected("link ended before %s was answered" % action)
        if answer[0] == _CALLERROR:
            raise borrow("complaints").peer_error(answer)
        if len(answer) != 3 or not isinstance(answer[2], dict):
            raise CallError(FORMATION, "answer to %s: no object" % action)
        return answer[2]

    async def _ask(self, outstanding: _Outstanding, action: str, payload: dict) -> None:
        try:
            await self._websocket.send(_dump([_CALL, outstanding.message_id, action, payload]))
        except (OSError, OcppError, MemoryError) as error:
            self._outstanding = None
            raise NotConnected("%s not sent: %r" % (action, error))
        outstanding.until = self._deadline()
        if not await self._answered(outstanding):
            raise CallTimeout("%s: no answer within %d s" % (action, self.timeout_s))

    def _deadline(self) -> int:
        return ticks_add(self._clock.ticks_ms(), self.timeout_s * 1000)

    async def _answered(self, outstanding: _Outstanding) -> bool:
        """Wait until a CALL is answered or the link has ended; False when its time is up first."""
        done = await outstanding.done.rest(max(0, ticks_diff(outstanding.until, self._clock.ticks_ms())))
        self._outstanding = None
        return done

    def _settle(self, answer) -> None:
        """The CALL outstanding, if any, has its answer, or None when the link has ended."""
        outstanding = self._outstanding
        if outstanding:
            self._outstanding = None
            self._settled = outstanding
            outstanding.answer = answer
            outstanding.done.set()

    def _take(self, data) -> None:
        try:
            frame = parse(data)
        except ValueError as error:
            self._refuse(str(error), None, data)
            return
        kind = frame[0] if isinstance(frame, list) and frame else None
        if type(kind) is not int or len(frame) < 2 or not isinstance(frame[1], str):
            self._complain("frame without type or id", None)
        elif kind == _CALL:
            self._take_call(frame, data)
        elif kind in (_CALLRESULT, _CALLERROR):
            self._take_answer(frame)
        else:
            # OCPP-J 1.6, 4.1.3: a message of an unknown type is to be ignored.
            self._complain("frame of unknown type", frame[1])

    def _take_answer(self, frame: list) -> None:
        if self._outstanding and frame[1] == self._outstanding.message_id:
            self._settle(frame)
        else:
            self._complain("answer to no CALL that waits for one", frame[1])

    def _take_call(self, frame: list, data) -> None:
        message_id = frame[1]
        if not 0 < len(message_id) <= _ID_CHARS:
            self._refuse("id of %d characters; allowed: 1 to %d" % (len(message_id), _ID_CHARS), message_id)
        elif len(frame) != 4 or not isinstance(frame[2], str) or not isinstance(frame[3], dict):
            self._refuse("CALL is not [2, id, action, object]", message_id)
        else:
            check = crc32(data)
            if self._is_new(message_id, check):
                self._queue_call(_Call(message_id, check, frame[2], frame[3], len(data)))

    def _is_new(self, message_id: str, check: int) -> bool:
        """False when this very CALL came before; its answer, if it is known already, is sent once more."""
        for known in self._lately:
            if known.message_id == message_id and known.check == check:
                if known.answer:
                    self._queue_text(known.answer)
                return False
        return True

    def _queue_call(self, call: _Call) -> None:
        if self._calls >= _WAITING or self._bytes + call.size > _WAITING_BYTES:
            self._complain("one CALL too many at a time", call.message_id)
            self._queue_text(error_text(call.message_id, GENERIC, "busy; send one CALL at a time"))
            return
        if len(self._lately) == _REMEMBERED:
            self._lately.pop(0)
        self._lately.append(call)
        self._calls += 1
        self._bytes += call.size
        self._queue(call)

    def _queue_text(self, text: str) -> None:
        if len(self._waiting) - self._calls >= _WAITING:
            self._complain("more errors than can be answered", "")
            return
        self._queue(text)

    def _queue(self, item) -> None:
        """Let a CALL be handled, or a text be sent."""
        self._waiting.append(item)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())

    def _refuse(self, why: str, message_id=None, data=None) -> None:
        """Answer a broken CALL, or only log it when its id is not known nor to be found in `data`."""
        self._complain(why, message_id, data, True)

    def _complain(self, why: str, message_id, data=None, answered: bool = False) -> None:
        """Log what was wrong with a frame, without its content, which may be secret; once a minute at most."""
        try:
            borrow("complaints").complain(self, why, message_id, data, answered)
        except MemoryError:
            # It is counted, and told of with the next one.
            self.unsaid += 1

    async def _work(self) -> None:
        """Handle the peer's CALLs one after the other, and send every answer, so that reading never waits."""
        try:
            while self._waiting:
                item = self._waiting.pop(0)
                if isinstance(item, str):
                    await self._send(item)
                else:
                    await self._serve(item)
        except Exception as error:
            self._broken = error
            self._over.set()
        finally:
            self._worker = None

    async def _serve(self, call: _Call) -> None:
        self._calls -= 1
        self._bytes -= call.size
        while self._settled and self._settled.wanted:
            # What was answered before this CALL came counts for it: a registration, for instance.
            await asyncio.sleep_ms(0)
        text = await self._result(call)
        if not text:
            self.sent = []
            self._lately.remove(call)
            return
        if len(text) <= _REMEMBERED_CHARS:
            call.answer = text
        else:
            self._lately.remove(call)
        functions = self.sent
        self.sent = []
        if await self._send(text):
            for function in functions:
                self._call_back(function)

    def _call_back(self, function) -> None:
        try:
            function()
        except Exception as error:
            self._log.add("error", "ocpp", "handler_failed", "after an answer: %r" % error)

    async def _result(self, call: _Call) -> str:
        """The text of the answer to a CALL, "" for none."""
        action = call.action
        try:
            answer = await asyncio.wait_for_ms(self._handle(action, call.take()), _HANDLER_MS)
            return _dump([_CALLRESULT, call.message_id, answer])
        except CallError as error:
            refusal = error
        except Silent:
            return ""
        except Exception as error:
            self._log.add("error", "ocpp", "handler_failed", "%s: %r" % (action[:_SHOWN], error))
            refusal = CallError(INTERNAL, "%s failed" % action[:_SHOWN])
        self.sent = []
        return error_text(call.message_id, refusal.code, refusal.description, refusal.details)

    async def _send(self, text: str) -> bool:
        try:
            await self._websocket.send(text)
        except (OSError, OcppError, MemoryError) as error:
            self._log.add("warning", "ocpp", "answer_lost", "answer not sent: %r" % error)
            return False
        return True


def _dump(frame: list) -> str:
    return json.dumps(frame, separators=(",", ":"))


def error_text(message_id: str, code: str, description: str, details=None) -> str:
    """A CALLERROR."""
    return _dump([_CALLERROR, message_id, code, description[:_DESCRIPTION], details or {}])
