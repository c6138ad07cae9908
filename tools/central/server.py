"""Serves boxes and people on 127.0.0.1: OCPP at `/NAME`, the page's files, and a WebSocket that keeps pages current."""

import asyncio
import base64
import json
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from panel_server import CONTENT_TYPES, LOCAL_NAMES, PANEL, SOCKET_PATH, WEBAPP, refusal, respond, static_file
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from central.books import Books, utc_now
from central.orders import MEASURED, OrderError, limit
from central.wire import SUBPROTOCOL, CallFailed, Gone, Message, Wire

PAGE = Path(__file__).resolve().parent / "page"
# Colours, type and helpers are the same as in the installer's app, the sign is the panel's.
SHARED = {"/base.css": WEBAPP, "/dom.js": WEBAPP, "/icon.svg": PANEL}
MAX_BYTES = 1 << 20
MAX_UNSENT = 1000
MESSAGES_KEPT = 300
CALL_SECONDS = 30.0
# A box that is gone without a word is noticed after this long.
PING_SECONDS = 30
# Nobody waits longer than this for the other side to agree to the end.
CLOSE_SECONDS = 1.0


def is_box(request: Request) -> bool:
    """Whether a charge point wants to connect; a page's script, which browsers name in Origin, is none."""
    return SUBPROTOCOL in request.headers.get("Sec-WebSocket-Protocol", "") and "Origin" not in request.headers


def name_of(request: Request) -> str:
    """The name with which a charge point connects (OCPP-J 1.6, 3.1.1: the last part of the path)."""
    return unquote(urlsplit(request.path).path.rpartition("/")[2])


class CentralServer:
    """The server; with a `password` boxes must give it (OCPP security white paper, profile 1)."""

    def __init__(self, password: str | None = None):
        self.books = Books()
        self._password = password
        self._port = 0
        self._wires: dict[str, Wire] = {}
        self._messages: deque[dict] = deque(maxlen=MESSAGES_KEPT)
        self._pages: set[Callable[[dict], None]] = set()
        self._server: Server | None = None
        self._tasks: set[asyncio.Task] = set()

    async def open(self, port: int) -> int:
        """Listen on 127.0.0.1:`port` (0: any free one) -> the port; OSError when it is taken."""
        self._server = await serve(
            self._connected,
            "127.0.0.1",
            port,
            process_request=self._admit,
            select_subprotocol=lambda _socket, offered: Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=CLOSE_SECONDS,
            max_size=MAX_BYTES,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        return self._port

    async def close(self) -> None:
        """End all connections and stop listening."""
        if not self._server:
            return
        self._server.close()
        try:
            await asyncio.wait_for(self._server.wait_closed(), CLOSE_SECONDS)
        except TimeoutError:
            # Browsers keep connections at the ready on which they never ask anything; they end with the program.
            return

    @property
    def url(self) -> str:
        """What a box is given; it appends its name."""
        return f"ws://127.0.0.1:{self._port}/"

    def _admit(self, _connection: ServerConnection, request: Request) -> Response | None:
        host = request.headers.get("Host", "")
        if is_box(request) and urlsplit(f"//{host}").hostname in LOCAL_NAMES:
            return self._admit_box(request)
        reason = refusal(request)
        if reason:
            return respond(HTTPStatus.FORBIDDEN, (reason + "\n").encode())
        path = urlsplit(request.path).path
        if path == SOCKET_PATH:
            return None
        file = static_file(path, SHARED.get(path, PAGE))
        if file is None:
            return respond(HTTPStatus.NOT_FOUND, b"no such page\n")
        return respond(HTTPStatus.OK, file.read_bytes(), CONTENT_TYPES[file.suffix])

    def _admit_box(self, request: Request) -> Response | None:
        name = name_of(request)
        if not name:
            return respond(HTTPStatus.NOT_FOUND, b"a charge point's name must follow the address\n")
        if self._password is None:
            return None
        token = base64.b64encode(f"{name}:{self._password}".encode()).decode()
        if request.headers.get("Authorization") == f"Basic {token}":
            return None
        response = respond(HTTPStatus.UNAUTHORIZED, b"wrong name or password\n")
        response.headers["WWW-Authenticate"] = 'Basic realm="ocpp"'
        return response

    async def _connected(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        if socket.subprotocol == SUBPROTOCOL:
            await self._serve_box(socket, name_of(socket.request))
        else:
            await self._serve_page(socket)

    # Boxes

    async def _serve_box(self, socket: ServerConnection, name: str) -> None:
        wire = Wire(socket, name, self._answer, self._note, self._complain)
        before = self._wires.get(name)
        self._wires[name] = wire
        if before:
            # It has lost its link and is back before that was noticed here.
            before.socket.transport.abort()
        box = self.books.box(name)
        box.connected, box.seen = True, utc_now()
        self._tell_box(name)
        try:
            await wire.serve()
        finally:
            if self._wires.get(name) is wire:
                del self._wires[name]
                box.connected = False
                self._tell_box(name)

    async def _answer(self, wire: Wire, message: Message) -> dict:
        if message.action == "BootNotification":
            task = asyncio.create_task(self._configure(wire))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self.books.answer(message)

    async def _configure(self, wire: Wire) -> None:
        """Have a box measure what the page shows; what goes wrong is among the messages."""
        for key, value in MEASURED.items():
            try:
                await wire.call("ChangeConfiguration", {"key": key, "value": value}, CALL_SECONDS)
            except (CallFailed, Gone, TimeoutError):
                return

    def _note(self, message: Message) -> None:
        self.books.learn(message)
        self._log(
            {
                "box": message.box,
                "out": message.out,
                "kind": message.kind,
                "id": message.id,
                "action": message.action,
                "payload": message.payload,
                "error": f"{message.code} {message.description}".strip(),
            }
        )
        self._tell_box(message.box)

    def _complain(self, text: str) -> None:
        box, _, words = text.partition(": ")
        self._log({"box": box, "out": False, "kind": "breach", "id": "", "action": "", "payload": None, "error": words})

    def _log(self, entry: dict) -> None:
        entry = {"at": utc_now(), **entry}
        self._messages.append(entry)
        self._tell({"type": "message", "message": entry})

    # Pages

    def _tell_box(self, name: str) -> None:
        self._tell({"type": "box", "box": self.books.shown(name)})
        self._tell({"type": "sessions", "sessions": self._sessions()})

    def _sessions(self) -> list[dict]:
        return [session.shown() for session in reversed(self.books.sessions)]

    def _tell(self, message: dict) -> None:
        for page in tuple(self._pages):
            page(message)

    def _hello(self) -> dict:
        return {
            "type": "hello",
            "url": self.url,
            "boxes": [self.books.shown(name) for name in self.books.boxes],
            "sessions": self._sessions(),
            "messages": list(self._messages),
        }

    async def _serve_page(self, socket: ServerConnection) -> None:
        outgoing: asyncio.Queue[dict] = asyncio.Queue()
        outgoing.put_nowait(self._hello())
        hung = asyncio.Event()

        def queue(message: dict) -> None:
            # A page that reads nothing any more is hung; it reconnects when it wakes up.
            if outgoing.qsize() >= MAX_UNSENT:
                hung.set()
            else:
                outgoing.put_nowait(message)

        self._pages.add(queue)
        tasks = [
            asyncio.create_task(self._send(socket, outgoing)),
            asyncio.create_task(self._receive(socket, queue)),
            asyncio.create_task(hung.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pages.discard(queue)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, socket: ServerConnection, outgoing: asyncio.Queue[dict]) -> None:
        try:
            while True:
                await socket.send(json.dumps(await outgoing.get()))
        except ConnectionClosed:
            return

    async def _receive(self, socket: ServerConnection, queue: Callable[[dict], None]) -> None:
        running: set[asyncio.Task] = set()
        try:
            async for text in socket:
                task = asyncio.create_task(self._relay(text, queue))
                running.add(task)
                task.add_done_callback(running.discard)
        except ConnectionClosed:
            return
        finally:
            for task in running:
                task.cancel()

    async def _relay(self, text: str | bytes, queue: Callable[[dict], None]) -> None:
        """Do what a page asks.

        {"id", "do": "call", "box", "action", "payload"} or {"id", "do": "limit", "box", "amps"}.
        """
        number = None
        try:
            request = json.loads(text)
            if not isinstance(request, dict):
                raise OrderError("a request is a JSON object")
            number = request.get("id")
            answer = await self._order(request)
            queue({"type": "answer", "id": number, "ok": True, "answer": answer})
        except TimeoutError:
            queue({"type": "answer", "id": number, "ok": False, "error": f"no answer in {CALL_SECONDS:.0f} s"})
        except (CallFailed, Gone, ValueError) as error:
            queue({"type": "answer", "id": number, "ok": False, "error": str(error)})

    async def _order(self, request: dict[str, Any]) -> dict:
        do, name = request.get("do"), request.get("box")
        if not isinstance(name, str) or name not in self._wires:
            raise OrderError(f"{name} is not connected")
        if do == "call":
            action, payload = request.get("action"), request.get("payload")
            if not isinstance(action, str) or not isinstance(payload, dict):
                raise OrderError("a call has an action and a payload, which is an object")
        elif do == "limit":
            action, payload = limit(request.get("amps"))
        else:
            raise OrderError(f"do: {do!r} is not known; allowed: call, limit")
        answer = await self._wires[name].call(action, payload, CALL_SECONDS)
        # A box that has no such profile any more (Unknown) is not limited either.
        if do == "limit" and (answer["status"] == "Accepted" or request.get("amps") is None):
            self.books.box(name).limit_a = request.get("amps")
            self._tell_box(name)
        return answer
