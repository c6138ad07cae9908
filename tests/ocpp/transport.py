"""The transports of the package `ocpp` on MicroPython, driven from CPython, and the loop of the tests' servers."""

import asyncio
import base64
import hashlib
import itertools
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from simulator import MICROPYTHON, ROOT

DEADLINE_S = 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Refused(Exception):
    """A command ended in an error of the package; `answer` has its type as `error`, its `text` and attributes."""

    def __init__(self, answer: dict[str, Any]):
        super().__init__(answer)
        self.answer = answer


class Device:
    """One MicroPython process for many tests, and a loop on which the servers of a test run."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.numbers = itertools.count(1)
        self.waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.servers: list[asyncio.Server] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            str(MICROPYTHON),
            "-X",
            "heapsize=16M",
            "tests/unit/ocpp_transport.py",
            "firmware/lib",
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self.listener = self.loop.create_task(self._listen())

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            answer = json.loads(line)
            self.waiting.pop(answer["id"]).set_result(answer)

    def close(self) -> None:
        """End the process and the loop."""
        self.loop.run_until_complete(self._close())
        self.loop.close()

    async def _close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        await asyncio.wait_for(self.process.wait(), DEADLINE_S)
        await self.listener

    def run(self, test: Coroutine[Any, Any, Any]) -> Any:
        """Run one test's coroutine to its end, and close the servers that it has opened."""

        async def bounded() -> Any:
            try:
                return await asyncio.wait_for(test, DEADLINE_S)
            finally:
                for writer in self.writers:
                    writer.transport.abort()
                for server in self.servers:
                    server.close()
                self.writers.clear()
                self.servers.clear()
                # Tasks of the servers' connections end with them.
                rest = asyncio.all_tasks() - {asyncio.current_task(), self.listener}
                for task in rest:
                    task.cancel()
                await asyncio.gather(*rest, return_exceptions=True)

        return self.loop.run_until_complete(bounded())

    def start(self, do: str, escaped: bool = False, **arguments: Any) -> asyncio.Future[dict[str, Any]]:
        """Send a command; the future has its answer."""
        number = next(self.numbers)
        future: asyncio.Future[dict[str, Any]] = self.loop.create_future()
        self.waiting[number] = future
        assert self.process.stdin is not None
        self.process.stdin.write(
            json.dumps({"id": number, "do": do, **arguments}, ensure_ascii=escaped).encode() + b"\n"
        )
        return future

    async def do(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Run a command to its end; Refused when it has raised an error."""
        answer = await self.start(do, **arguments)
        if not answer["ok"]:
            raise Refused(answer)
        return answer

    async def refused(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Run a command that has to fail -> what it has raised."""
        answer = await self.start(do, **arguments)
        assert not answer["ok"], answer
        return answer

    async def serve(self, handler: Handler, ssl: Any = None, buffer_bytes: int = 0) -> int:
        """Start a raw server -> its port; a client that goes away ends the handler quietly, as does the test's end."""

        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.writers.append(writer)
            try:
                await handler(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        listener = socket.socket()
        if buffer_bytes:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        listener.bind(("127.0.0.1", 0))
        server = await asyncio.start_server(guarded, sock=listener, ssl=ssl)
        self.servers.append(server)
        return server.sockets[0].getsockname()[1]


def accept(request: bytes, protocol: str | None = "ocpp1.6") -> bytes:
    """The answer of a good server to a WebSocket's request."""
    key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    digest = base64.b64encode(hashlib.sha1(key.partition(b":")[2].strip() + GUID).digest())
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + digest,
    ]
    if protocol:
        lines.append(b"Sec-WebSocket-Protocol: " + protocol.encode())
    return b"\r\n".join([*lines, b"", b""])


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, reserved: int = 0, mask: bytes = b"") -> bytes:
    """A frame of a server (RFC 6455, 5.2), well formed or not."""
    first = opcode | (0x80 if fin else 0) | reserved << 4
    flag = 0x80 if mask else 0
    if len(data) < 126:
        head = bytes((first, flag | len(data)))
    elif len(data) < 0x10000:
        head = bytes((first, flag | 126)) + struct.pack(">H", len(data))
    else:
        head = bytes((first, flag | 127)) + struct.pack(">Q", len(data))
    return head + mask + (bytes(b ^ mask[i % 4] for i, b in enumerate(data)) if mask else data)


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One whole frame of a client -> (first byte, payload); it has to be masked."""
    first, second = await reader.readexactly(2)
    assert second & 0x80, "a client's frame has to be masked"
    size = second & 0x7F
    if size >= 126:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4)
    data = await reader.readexactly(size)
    return first, bytes(b ^ mask[i % 4] for i, b in enumerate(data))
