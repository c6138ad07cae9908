"""Servers on 127.0.0.1 from which a charge point fetches files and to which it sends some: http and ftp."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer, StreamRequestHandler, ThreadingTCPServer
from typing import Any, Self, TypeVar

# What a server does to one request in place of serving it: besides these, any HTTP status.
CUT, HANG = "cut", "hang"
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.02

T = TypeVar("T")


@dataclass
class Files:
    """What servers serve by path, what they were sent, and how the next requests are treated; shared by both kinds.

    `faults`: an HTTP status, CUT (half of the file, then the connection ends) or HANG (nothing until the end), one for
    each of the next requests. `requests`: (method, path) of each request so far.
    """

    served: dict[str, bytes] = field(default_factory=dict)
    received: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: list[int | str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def note(self, method: str, path: str) -> int | str | None:
        """Write down a request -> the fault that it is to meet, None without one."""
        self.requests.append((method, path))
        return self.faults.pop(0) if self.faults else None

    def wait(self, look: Callable[["Files"], T]) -> T:
        """Wait until `look(self)` is true, and return what it is; AssertionError."""
        end = time.monotonic() + WAIT_SECONDS
        while not (found := look(self)):
            assert time.monotonic() < end, f"not seen; requests: {self.requests}"
            time.sleep(POLL_SECONDS)
        return found


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side may have gone first
        connection.shutdown(socket.SHUT_RDWR)


class _Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def files(self) -> Files:
        return self.server.files  # pyright: ignore[reportAttributeAccessIssue]

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing on stderr."""

    def _answer(self, status: int, body: bytes = b"", cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = True

    def do_GET(self) -> None:
        fault = self.files.note("GET", self.path)
        body = self.files.served.get(self.path)
        if fault == HANG:
            self.files.over.wait()
        elif isinstance(fault, int):
            self._answer(fault)
        elif body is None:
            self._answer(404)
        else:
            self._answer(200, body, fault == CUT)

    def do_PUT(self) -> None:
        fault = self.files.note(self.command, self.path)
        if fault == HANG:
            self.files.over.wait()
            return
        if fault == CUT:
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if isinstance(fault, int):
            self._answer(fault)
            return
        self.files.received[self.path] = body
        self._answer(201)

    do_POST = do_PUT


class _Ftp(StreamRequestHandler):
    @property
    def files(self) -> Files:
        return self.server.files  # pyright: ignore[reportAttributeAccessIssue]

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self) -> None:
        self._say("220 here")
        data: socket.socket | None = None
        for line in self.rfile:
            verb, _, rest = line.decode().strip().partition(" ")
            if verb == "EPSV":
                data = socket.create_server(("127.0.0.1", 0))
                self._say(f"229 go on (|||{data.getsockname()[1]}|)")
            elif verb in ("RETR", "STOR") and data is not None:
                self._transfer(verb, "/" + rest, data)
            else:
                self._say({"USER": "331 password", "PASS": "230 in", "TYPE": "200 so be it"}.get(verb, "502 no"))

    def _transfer(self, verb: str, path: str, listener: socket.socket) -> None:
        fault = self.files.note(verb, path)
        body = self.files.served.get(path, b"")
        with listener:
            connection, _ = listener.accept()
        if isinstance(fault, int) or (verb == "RETR" and path not in self.files.served):
            connection.close()
            self._say("550 no such file")
            return
        self._say("150 it comes")
        with connection:
            if verb == "RETR":
                connection.sendall(body[: len(body) // 2] if fault == CUT else body)
            else:
                self.files.received[path] = b"".join(iter(lambda: connection.recv(65536), b""))
        self._say("426 cut" if fault == CUT else "226 done")


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _FtpServer(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


class FileServers:
    """An http and an ftp server for the same `files`; `http` and `ftp` are their addresses. A context manager."""

    def __init__(self) -> None:
        self.files = Files()
        self._servers: list[BaseServer] = []

    def _start(self, server: ThreadingTCPServer | ThreadingHTTPServer, scheme: str) -> str:
        server.files = self.files  # pyright: ignore[reportAttributeAccessIssue]
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
        return f"{scheme}://127.0.0.1:{server.server_address[1]}"

    def __enter__(self) -> Self:
        self.http = self._start(_HttpServer(("127.0.0.1", 0), _Http), "http")
        self.ftp = self._start(_FtpServer(("127.0.0.1", 0), _Ftp), "ftp")
        return self

    def __exit__(self, *_exception: object) -> None:
        self.files.over.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
