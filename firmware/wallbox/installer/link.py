"""One connection of an app: frames in, commands one after the other, answers and events out."""

import asyncio
import io
import json
import sys

from micropython import const

from wallbox.installer import commands, frames
from wallbox.installer.errors import CommandError

# Bad frames after which a connection ends (docs/installer-protocol.md).
_BAD_FRAMES = const(20)
_ID_MAX = const(65535)
# Notifications under way in all (contract of hal.ble).
_QUEUE = const(8)
# A restart waits this long for its answer to go out.
_DRAIN_MS = const(2_000)
_DRAIN_STEP_MS = const(20)


class Link:
    """`role` is what the app may do; `radio` the board's connection, `installer` what outlives this one.

    `closers` are called when the connection has ended. `after`, a function, is called once the answer is out.
    """

    def __init__(self, app, radio, installer):
        self.app = app
        self.radio = radio
        self.installer = installer
        self.role = "paired"
        self.closers = []
        self.after = _nothing
        # What commands keep for as long as the connection lasts, by name.
        self.parts = {}
        self._in = frames.Assembler()
        self._out = frames.Splitter()
        self._sending = asyncio.Lock()
        self._bad = 0

    def limit(self) -> int:
        """Bytes of the largest frame."""
        return self.radio.mtu - frames.ATT_BYTES

    async def serve(self) -> None:
        """Answer until the connection ends, which this does after too many bad frames."""
        try:
            while self._bad < _BAD_FRAMES:
                frame = await self.radio.receive()
                if frame is None:
                    return
                await self._take(frame)
                # A burst of frames must not keep other tasks waiting.
                await asyncio.sleep_ms(0)
            self.app.log.add("warning", "installer", "bad_frames", "an app sent too many bad frames and was cut off")
        except OSError as error:
            # The central went while something was sent to it, which is no fault of anybody.
            self.app.log.add("info", "installer", "gone", "an app is gone: %s" % error)

    def close(self) -> None:
        """End what goes on for this connection."""
        self.role = "paired"
        while self.closers:
            self.closers.pop()()

    # -- in --------------------------------------------------------------------------------------------------

    async def _take(self, frame: bytes) -> None:
        if not self.radio.secure:
            await self._complain("the link is not encrypted with a key proven by passkey")
            return
        try:
            found = self._in.take(frame, self.limit())
        except frames.FrameError as error:
            await self._complain(str(error))
            return
        except frames.TooLongError as error:
            await self._refuse(None, CommandError("bad_request", str(error)))
            return
        if found is None:
            return
        kind, content = found
        if kind == frames.DATA:
            await self._data(content)
        else:
            await self._request(content)

    async def _complain(self, text: str) -> None:
        self._bad += 1
        await self.send({"event": "frame_error", "expected": self._in.expected, "text": text})

    async def _data(self, content: bytes) -> None:
        transfers = self.parts.get("transfers")
        try:
            taken = transfers is not None and await transfers.take(content)
        except CommandError as error:
            await self._fail(content[0], error.answer)
        except OSError as error:
            if not self.radio.open:
                raise
            await self._fail(content[0], {"code": "flash", "text": "the flash memory refused: %s" % error})
        except Exception as error:
            self.report(error)
            await self._fail(content[0], {"code": "internal", "text": "a mistake of the firmware, logged: %r" % error})
        else:
            if not taken:
                await self._complain("data of the transfer %d, which is not open for sending" % content[0])

    async def _fail(self, transfer: int, error: dict) -> None:
        """An upload cannot go on; what it has stored stays."""
        self.parts["transfers"].fail(transfer)
        await self.send(dict(error, event="transfer_failed", transfer=transfer))

    async def _request(self, message: bytes) -> None:
        number = None
        try:
            request = _parse(message)
            number = _number(request)
            answer = await self._do(request)
        except CommandError as error:
            await self._refuse(number, error)
            return
        except OSError as error:
            if not self.radio.open:
                raise
            await self._refuse(
                number, CommandError("flash", "the flash memory refused: %s; nothing was changed" % error)
            )
            return
        except Exception as error:
            self.report(error)
            await self._refuse(number, CommandError("internal", "a mistake of the firmware, logged: %r" % error))
            return
        answer = dict(answer or {})
        answer["id"] = number
        answer["ok"] = True
        await self.send(answer)
        if self.after is not _nothing:
            await self._finish()

    async def _do(self, request: dict):
        name = request.pop("do", None)
        if not isinstance(name, str):
            raise CommandError("bad_request", "do: missing or no text", "do")
        role, handler = commands.find(name)
        commands.demand(self, role)
        answer = handler(self, request)
        # A coroutine, in MicroPython a generator.
        if hasattr(answer, "send"):
            answer = await answer
        return answer

    def report(self, error) -> None:
        """Log a mistake of the firmware."""
        text = io.StringIO()
        sys.print_exception(error, text)
        self.app.log.add("error", "installer", "command_failed", text.getvalue())

    async def _refuse(self, number, error: CommandError) -> None:
        await self.send({"id": number, "ok": False, "error": error.answer})

    async def _finish(self) -> None:
        """What follows an answer; the app should have that first."""
        for _ in range(_DRAIN_MS // _DRAIN_STEP_MS):
            if not self.radio.queued or not self.radio.open:
                break
            await asyncio.sleep_ms(_DRAIN_STEP_MS)
        self.after()

    # -- out -------------------------------------------------------------------------------------------------

    async def send(self, message: dict) -> None:
        """Send a message, waiting for room; OSError when the connection is gone."""
        text = json.dumps(message).encode()
        async with self._sending:
            for frame in self._out.message(text, self.limit()):
                await self.radio.send(frame)

    async def event(self, message: dict) -> bool:
        """Send an event, or leave it out (False) while the queue has no room for it; OSError."""
        text = json.dumps(message).encode()
        queued = self.radio.queued
        if self._sending.locked() or queued and queued + frames.count_frames(len(text), self.limit()) > _QUEUE:
            return False
        async with self._sending:
            for frame in self._out.message(text, self.limit()):
                await self.radio.send(frame)
        return True

    async def send_data(self, transfer: int, offset: int, piece) -> None:
        """Send a data frame, waiting for room; OSError when the connection is gone."""
        async with self._sending:
            await self.radio.send(self._out.data(transfer, offset, piece))


def _nothing() -> None:
    """No answer has a consequence yet."""


def _parse(message: bytes) -> dict:
    """The request in a message; CommandError when it is none."""
    try:
        request = json.loads(str(message, "utf-8"))
    except (UnicodeError, ValueError):
        raise CommandError("bad_request", "no JSON in UTF-8; allowed: one JSON object")
    if not isinstance(request, dict):
        raise CommandError("bad_request", "no JSON object")
    return request


def _number(request: dict) -> int:
    """Take the id out of a request; CommandError when it is none."""
    number = request.pop("id", None)
    if type(number) is not int or not 0 <= number <= _ID_MAX:
        raise CommandError("bad_request", "id: missing or not allowed; allowed: whole numbers 0..%d" % _ID_MAX, "id")
    return number
