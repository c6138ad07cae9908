"""Serves panel and installer's app on 127.0.0.1: files, and two WebSockets.

One relays the control API to the panel's own pages, the other is the installer's link, as over Bluetooth.
"""

import asyncio
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from control_link import ControlError, ControlLink
from panel_feed import Feed
from radio.web_link import WebLink
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from world import World

PANEL = Path(__file__).resolve().parent / "panel"
WEBAPP = PANEL.parent / "webapp"
# The scope of the app's service worker, which may not reach the panel.
WEBAPP_PATH = "/app/"
SOCKET_PATH = "/socket"
INSTALLER_PATH = "/installer"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
# What a page may ask for. `state` and `log` are pushed, `quit` belongs to whoever started the simulator.
ALLOWED = frozenset(
    (
        "plug",
        "unplug",
        "car",
        "tap",
        "fault",
        "clear",
        "grid",
        "house",
        "ambient",
        "contact",
        "network",
        "power",
    )
    + ("advance", "settings", "reset")
)
LOCAL_NAMES = ("127.0.0.1", "localhost")
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
MAX_REQUEST_BYTES = 64 * 1024
NO_INSTALLER = "the installer's link needs real time; start the simulator without --virtual"
# A page that reads nothing for so many messages is hung; it reconnects when it wakes up.
MAX_UNSENT = 400


def static_file(path: str, root: Path = PANEL) -> Path | None:
    """The file behind a request path, or None when it is not a file of a served kind inside `root`."""
    relative = unquote(urlsplit(path).path).lstrip("/")
    if not relative or relative.endswith("/"):
        relative += "index.html"
    if "\0" in relative:
        return None
    wanted = (root / relative).resolve()
    if not wanted.is_relative_to(root) or wanted.suffix not in CONTENT_TYPES or not wanted.is_file():
        return None
    return wanted


def refusal(request: Request) -> str | None:
    """Why this request is refused, or None.

    The Host check stops a foreign name that was pointed at 127.0.0.1; the Origin check stops a foreign page,
    since browsers send it with every WebSocket. Programs send none: they may speak as installers, who need the passkey.
    """
    host = request.headers.get("Host", "")
    if urlsplit(f"//{host}").hostname not in LOCAL_NAMES:
        return f"host: {host!r} is not served here; allowed: {', '.join(LOCAL_NAMES)}"
    origin = request.headers.get("Origin")
    path = urlsplit(request.path).path
    program = origin is None and path == INSTALLER_PATH
    if path in (SOCKET_PATH, INSTALLER_PATH) and origin != f"http://{host}" and not program:
        return f"origin: {origin!r} may not drive this wallbox; allowed: http://{host}"
    return None


def respond(
    status: HTTPStatus, body: bytes, content_type: str = "text/plain; charset=utf-8", location: str = ""
) -> Response:
    """An HTTP answer that ends the connection."""
    headers = Headers(SECURITY_HEADERS)
    if location:
        headers["Location"] = location
    headers["Content-Type"] = content_type
    headers["Content-Length"] = str(len(body))
    headers["Connection"] = "close"
    return Response(status.value, status.phrase, headers, body)


def file_behind(path: str) -> Path | None:
    """The panel's or the app's file behind a request path, None when there is none."""
    if path.startswith(WEBAPP_PATH):
        return static_file(path[len(WEBAPP_PATH) :], WEBAPP)
    return static_file(path)


def answer_http(_connection: ServerConnection, request: Request) -> Response | None:
    """Serve a file or refuse; None lets the WebSocket handshake go on."""
    reason = refusal(request)
    if reason:
        return respond(HTTPStatus.FORBIDDEN, (reason + "\n").encode())
    path = urlsplit(request.path).path
    if path in (SOCKET_PATH, INSTALLER_PATH):
        return None
    if path + "/" == WEBAPP_PATH:
        return respond(HTTPStatus.PERMANENT_REDIRECT, b"", location=WEBAPP_PATH)
    file = file_behind(path)
    if file is None:
        return respond(HTTPStatus.NOT_FOUND, b"no such page\n")
    return respond(HTTPStatus.OK, file.read_bytes(), CONTENT_TYPES[file.suffix])


class PanelServer:
    """The HTTP and WebSocket server; requests of all panels share one control connection.

    `installer` is the installer's link, None when there is none, as in virtual time.
    """

    def __init__(self, link: ControlLink, feed: Feed, virtual: bool, installer: WebLink | None = None):
        self._link = link
        self._feed = feed
        self._virtual = virtual
        self._installer = installer
        self._world = World()
        self._server: Server | None = None

    async def open(self, port: int) -> int:
        """Listen on 127.0.0.1:`port` (0: any free one) and return the port; OSError when it is taken."""
        self._server = await serve(
            self._connected, "127.0.0.1", port, process_request=answer_http, max_size=MAX_REQUEST_BYTES
        )
        return next(iter(self._server.sockets)).getsockname()[1]

    async def close(self) -> None:
        """End all pages' connections and stop listening."""
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    async def _connected(self, socket: ServerConnection) -> None:
        if not socket.request or urlsplit(socket.request.path).path == SOCKET_PATH:
            await self._page(socket)
        elif self._installer:
            await self._installer.serve(socket)
        else:
            await socket.send(json.dumps({"paired": False, "text": NO_INSTALLER}))

    async def _page(self, socket: ServerConnection) -> None:
        outgoing: asyncio.Queue[dict] = asyncio.Queue(MAX_UNSENT)
        outgoing.put_nowait(self._hello())
        hung = asyncio.Event()

        def queue(message: dict) -> None:
            if outgoing.full():
                hung.set()
            else:
                outgoing.put_nowait(message)

        forget = self._feed.listen(queue)
        tasks = [
            asyncio.create_task(self._send(socket, outgoing)),
            asyncio.create_task(self._receive(socket, queue)),
            asyncio.create_task(hung.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            forget()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _hello(self) -> dict:
        feed = self._feed
        return {
            "type": "hello",
            "virtual": self._virtual,
            "state": feed.state,
            "world": vars(self._world),
            "history": list(feed.history),
            "entries": list(feed.entries),
        }

    async def _send(self, socket: ServerConnection, outgoing: asyncio.Queue[dict]) -> None:
        try:
            while True:
                await socket.send(json.dumps(await outgoing.get()))
        except ConnectionClosed:
            return

    async def _receive(self, socket: ServerConnection, queue: Any) -> None:
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

    async def _relay(self, text: str | bytes, queue: Any) -> None:
        number = None
        try:
            request = json.loads(text)
            if not isinstance(request, dict):
                raise ControlError("a request is a JSON object")
            number = request.pop("id", None)
            do = request.pop("do", None)
            if not isinstance(do, str) or do not in ALLOWED:
                raise ControlError(f"do: {do!r} is not for the panel; allowed: {', '.join(sorted(ALLOWED))}")
            answer = await self._link.request(do, **request)
            if self._world.note(do, request):
                self._feed.tell({"type": "world", "world": vars(self._world)})
            queue({"type": "answer", "id": number, "ok": True, "answer": answer})
        except (ControlError, ConnectionError, ValueError) as error:
            queue({"type": "answer", "id": number, "ok": False, "error": str(error)})
        self._feed.hurry()
