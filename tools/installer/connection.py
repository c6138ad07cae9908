"""One connection to the wallbox from its first frame to its end: requests, answers, events, pieces of transfers."""

import asyncio
import contextlib
import json
from collections.abc import Callable

from installer.errors import LinkLost
from installer.frames import Cutter, Data, FrameError, Joiner
from installer.transports import ATT_HEADER_BYTES, Transport

IDS = 65536
# The smallest MTU of Bluetooth LE is 23.
LEAST_PAYLOAD_BYTES = 20
# A lost frame makes the wallbox complain of each frame after it; the message goes out again when it has said so.
RESEND_AFTER_S = 0.05
RESENDS = 3


class _SendAgain(Exception):
    """The wallbox has not got all frames of the request."""


class Connection:
    """Carries one request at a time; hands events to `on_event`, data frames to `on_data`, its end to `on_lost`.

    The callbacks run in the event loop and may not block. `on_gap` is told that frames sent were not taken.
    """

    def __init__(
        self,
        transport: Transport,
        on_event: Callable[[dict], None],
        on_data: Callable[[Data], None],
        on_gap: Callable[[], None],
        on_lost: Callable[[LinkLost], None],
    ):
        self._transport = transport
        self._cutter = Cutter(transport.payload)
        self._joiner = Joiner()
        self._on_event = on_event
        self._on_data = on_data
        self._on_gap = on_gap
        self._on_lost = on_lost
        self._turn = asyncio.Lock()
        self._last_id = IDS - 1
        self._waiting_id: int | None = None
        self._answer: asyncio.Future | None = None
        self._repair: asyncio.TimerHandle | None = None
        self.lost: LinkLost | None = None
        self._reader = asyncio.create_task(self._read())

    async def close(self) -> None:
        """End the connection; a request under way ends with LinkLost."""
        self._fail(LinkLost("the connection was ended"), tell=False)
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        await self._transport.close()

    async def request(self, do: str, arguments: dict, timeout_s: float) -> dict:
        """Send a request and return its answer, refused or not; LinkLost when none comes within `timeout_s`."""
        async with self._turn:
            self._last_id = (self._last_id + 1) % IDS
            body = json.dumps({"id": self._last_id, "do": do, **arguments}, separators=(",", ":"), ensure_ascii=False)
            self._waiting_id = self._last_id
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._exchange(body.encode())
            except TimeoutError:
                error = LinkLost(f"the wallbox did not answer {do!r} in {timeout_s:g} s")
                self._fail(error)
                raise error from None
            finally:
                if self._answer and self._answer.done() and not self._answer.cancelled():
                    # A send that failed first has told the same already.
                    self._answer.exception()
                self._waiting_id = None
                self._answer = None

    async def send_data(self, transfer: int, offset: int, data: bytes) -> None:
        """Send one data frame."""
        self._check()
        await self._send(self._cutter.data(transfer, offset, data))

    def limit(self, mtu: object) -> None:
        """Keep frames within the MTU that the wallbox knows of."""
        if isinstance(mtu, int) and mtu - ATT_HEADER_BYTES >= LEAST_PAYLOAD_BYTES:
            self._cutter.payload = min(self._cutter.payload, mtu - ATT_HEADER_BYTES)

    def data_room(self) -> int:
        """How many bytes of data one frame carries."""
        return self._cutter.data_room()

    async def _exchange(self, body: bytes) -> dict:
        for _ in range(RESENDS):
            self._check()
            self._answer = asyncio.get_running_loop().create_future()
            for frame in self._cutter.message(body):
                await self._send(frame)
            try:
                return await self._answer
            except _SendAgain:
                continue
        error = LinkLost(f"frames of a request were lost {RESENDS} times in a row")
        self._fail(error)
        raise error

    async def _send(self, frame: bytes) -> None:
        try:
            await self._transport.send(frame)
        except LinkLost as error:
            self._fail(error)
            raise

    def _check(self) -> None:
        if self.lost:
            raise LinkLost(str(self.lost))

    async def _read(self) -> None:
        try:
            while True:
                self._take(await self._transport.receive())
        except LinkLost as error:
            self._fail(error)

    def _take(self, frame: bytes) -> None:
        try:
            taken = self._joiner.feed(frame)
        except FrameError as error:
            # What is missing may be the answer or data: a new connection is the one way to a known state.
            raise LinkLost(f"frames from the wallbox were lost: {error}") from error
        if isinstance(taken, Data):
            self._on_data(taken)
        elif taken is not None:
            self._deliver(taken)

    def _deliver(self, body: bytes) -> None:
        try:
            message = json.loads(body)
        except ValueError as error:
            raise LinkLost(f"the wallbox sent no JSON: {body[:80]!r}") from error
        if not isinstance(message, dict):
            raise LinkLost(f"the wallbox sent no object: {body[:80]!r}")
        if message.get("event") == "frame_error":
            self._frame_error(message)
        elif "event" in message:
            self._on_event(message)
        elif message.get("id") == self._waiting_id and self._answer and not self._answer.done():
            self._answer.set_result(message)
        elif message.get("id") is None and self._answer and not self._answer.done():
            # It could not read the id of what it got, so this can only be the one request under way.
            self._answer.set_result(message)

    def _frame_error(self, message: dict) -> None:
        """A frame of ours was not taken; a mere repetition has cost nothing, a gap makes us send again."""
        expected = message.get("expected")
        if expected == self._cutter.counter or not isinstance(expected, int):
            return
        if self._repair:
            self._repair.cancel()
        self._repair = asyncio.get_running_loop().call_later(RESEND_AFTER_S, self._resume_at, expected)

    def _resume_at(self, expected: int) -> None:
        self._cutter.counter = expected
        self._on_gap()
        if self._answer and not self._answer.done():
            self._answer.set_exception(_SendAgain())

    def _fail(self, error: LinkLost, tell: bool = True) -> None:
        if self.lost:
            return
        self.lost = error
        if self._repair:
            self._repair.cancel()
        if self._answer and not self._answer.done():
            self._answer.set_exception(error)
        if tell:
            self._on_lost(error)
