"""A connection to the simulator's control API for asyncio programs; it knows the line format only."""

import asyncio
import json
from typing import Any

# A whole run's event log comes back as one line, far beyond asyncio's 64 KiB default.
LINE_LIMIT_BYTES = 32 * 1024 * 1024
# The simulator accepts connections a moment after its process started.
CONNECT_PAUSE_S = 0.05


class ControlError(Exception):
    """The simulator refused a request; the text is its own."""


class ControlLink:
    """One TCP connection; any number of requests may be under way, told apart by their id."""

    def __init__(self, port: int):
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future] = {}
        self._last_id = 0
        self._reading: asyncio.Task | None = None

    async def open(self, timeout_s: float = 10) -> None:
        """Connect, trying again for `timeout_s` seconds; TimeoutError when nothing answers."""
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    reader, self._writer = await asyncio.open_connection(
                        "127.0.0.1", self._port, limit=LINE_LIMIT_BYTES
                    )
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(CONNECT_PAUSE_S)
        self._reading = asyncio.create_task(self._read(reader))

    async def close(self) -> None:
        """Close the connection; requests under way end with ConnectionError."""
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._writer:
            self._writer.close()

    async def request(self, do: str, /, **arguments: Any) -> dict:
        """Send one request and return the answer without `id` and `ok`.

        Raises ControlError when the simulator refuses, ConnectionError when the connection is lost.
        """
        if self._writer is None or self._reading is None or self._reading.done():
            raise ConnectionError("the simulator is not connected")
        self._last_id += 1
        number = self._last_id
        answer = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(json.dumps({**arguments, "id": number, "do": do}).encode() + b"\n")
            await self._writer.drain()
            result = await answer
        finally:
            self._waiting.pop(number, None)
        if not result.pop("ok", False):
            raise ControlError(str(result.get("error", "refused without a reason")))
        result.pop("id", None)
        return result

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._deliver(line)
        except (ConnectionError, ValueError) as error:
            self._fail(f"the connection to the simulator failed: {error}")
        finally:
            self._fail("the simulator closed the connection")

    def _deliver(self, line: bytes) -> None:
        message = json.loads(line)
        answer = self._waiting.get(message.get("id"))
        if answer and not answer.done():
            answer.set_result(message)

    def _fail(self, reason: str) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionError(reason))
