"""Control API server: JSON objects, one a line, over TCP on 127.0.0.1; it never blocks and knows no request.

Many clients may be connected. Requests are served one at a time, in the order in which their lines came.
"""

import json
import random
import select
import socket
from errno import EADDRINUSE, EAGAIN

from micropython import const

LINE_BYTES = const(64 * 1024)
_CLIENTS = const(32)
# Moved at a time, so that neither a large answer nor a large request holds up the firmware.
_READ_BYTES = const(4 * 1024)
_WRITE_BYTES = const(16 * 1024)
_LOW_PORT = const(20_000)  # of the ports tried when any free one will do
_HIGH_PORT = const(32_000)  # below the ports that Linux gives to outgoing connections
_TRIES = const(200)

_LINE_TOO_LONG = "line: more than %d bytes are not allowed; allowed: one JSON object of up to %d bytes" % (
    LINE_BYTES,
    LINE_BYTES,
)


class _Client:
    """One connection: what came and is not served yet, and what is still to be sent."""

    def __init__(self, sock):
        self.sock = sock
        self.data = b""
        self.skipping = False
        self.ended = False
        self.busy = False
        self.out = b""
        self.more = None

    def feed(self, chunk: bytes) -> bool:
        """Take bytes that came -> False when they make a line too long, of which the rest will be skipped."""
        if self.skipping:
            end = chunk.find(b"\n")
            if end < 0:
                return True
            self.skipping = False
            chunk = chunk[end + 1 :]
        self.data += chunk
        if len(self.data) <= LINE_BYTES or 0 <= self.data.find(b"\n") <= LINE_BYTES:
            return True
        end = self.data.find(b"\n")
        self.skipping = end < 0
        self.data = b"" if end < 0 else self.data[end + 1 :]
        return False

    def has_line(self) -> bool:
        return self.data.find(b"\n") >= 0

    def take_line(self) -> bytes:
        line, _, self.data = self.data.partition(b"\n")
        return line


def listen(port: int):
    """A listening socket and its port; 0 picks a free one, since MicroPython cannot ask which one it got."""
    for _ in range(_TRIES):
        number = port or random.randrange(_LOW_PORT, _HIGH_PORT)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(socket.getaddrinfo("127.0.0.1", number)[0][-1])
            sock.listen(_CLIENTS)
        except OSError as error:
            sock.close()
            if port or error.errno != EADDRINUSE:
                raise
            continue
        sock.setblocking(False)
        return sock, number
    raise OSError(EADDRINUSE)


def _answer(request_id, fields: dict) -> bytes:
    """An answer's line; id and ok come first, for people who read along."""
    rest = json.dumps(fields)[1:]
    head = '{"id": %s, "ok": %s' % (json.dumps(request_id), "false" if "error" in fields else "true")
    return (head + (", " if fields else "") + rest + "\n").encode()


class Server:
    """`handle(request, later)` does a request, a dict, and returns (fields of the answer, what to do next).

    Fields: a dict; a generator of bytes with the rest of an answer after id and ok; or None when
    `later(fields)` will be called. What to do next is called once the answer was handed to the network, or
    None. ValueError refuses the request with its text. `waiting` are the clients with a request to serve.
    """

    def __init__(self, port: int, handle, report):
        """Listen on `port` (0: any free one). `report(error)` is told of errors that are no refusals.

        OSError when the port cannot be had.
        """
        self._sock, self.port = listen(port)
        self._handle = handle
        self._report = report
        self._clients = {}
        # Sockets of others in the same poll set: {id(socket): (socket, function to call, events waited for)}.
        self._others = {}
        self._noted = []
        self.waiting = []
        self._poller = select.poll()
        self.use(self._poller)

    def use(self, poller) -> None:
        """Wait in another poll set from now on."""
        self._poller = poller
        poller.register(self._sock, select.POLLIN)
        for client in self._clients.values():
            self._arm(client)
        for sock, _work, events in self._others.values():
            poller.register(sock, events)

    def add(self, sock, work, events: int) -> None:
        """Wait for `events` on a socket of somebody else's too, and call `work()` when they come."""
        self._others[id(sock)] = sock, work, events
        self._poller.register(sock, events)

    def remove(self, sock) -> None:
        """Wait for a socket of `add` no longer."""
        self._others.pop(id(sock), None)
        self._poller.unregister(sock)

    def wait(self, timeout_ms: int) -> None:
        """Wait up to `timeout_ms` (below 0: for ever) for the network, and do what it is ready for."""
        for sock, _events in self._poller.ipoll(timeout_ms):
            self.note(sock)
        self.work()

    def note(self, sock) -> None:
        """Remember what is ready: a poll set must not grow while it is looked through."""
        self._noted.append(sock)

    def work(self) -> None:
        """Move what is ready on the noted sockets."""
        while self._noted:
            sock = self._noted.pop(0)
            if sock is self._sock:
                self._accept()
                continue
            if id(sock) in self._others:
                self._others[id(sock)][1]()
                continue
            client = self._clients.get(id(sock))
            if client is None:
                continue
            try:
                if client.out or client.more is not None:
                    self._flush(client)
                else:
                    self._receive(client)
            except OSError:
                # The peer is gone: nobody is left to tell.
                self._drop(client)

    def serve(self) -> None:
        """Serve the request that has waited longest."""
        client = self.waiting.pop(0)
        client.busy = True
        line = client.take_line()
        request_id = None
        action = None
        try:
            request = _parse(line)
            request_id = _id_of(request)
            fields, action = self._handle(request, lambda fields: self._finish(client, request_id, fields))
        except ValueError as error:
            fields = {"error": str(error)}
        except Exception as error:
            self._report(error)
            fields = {"error": "simulator: %r" % error}
        except BaseException as end:
            # The firmware ends in the middle of the request, as by a power cut at a flash write.
            self._finish(client, request_id, {"error": "the firmware has ended: %r" % end})
            raise
        if fields is not None:
            self._finish(client, request_id, fields)
        if action is not None:
            action()

    # -- one client ------------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except OSError as error:
            if error.errno != EAGAIN:
                self._report(error)
            return
        sock.setblocking(False)
        client = _Client(sock)
        self._clients[id(sock)] = client
        if len(self._clients) > _CLIENTS:
            client.ended = True
            self._send(client, _answer(None, {"error": "clients: more than %d are not allowed" % _CLIENTS}))
            return
        self._arm(client)

    def _receive(self, client) -> None:
        chunk = client.sock.read(_READ_BYTES)
        if chunk is None:
            return
        if not chunk:
            client.ended = True
            if client.data:
                self._send(client, _answer(None, {"error": "line: it ended without a newline and was not served"}))
            else:
                self._drop(client)
            return
        if not client.feed(chunk):
            self._send(client, _answer(None, {"error": _LINE_TOO_LONG}))
        else:
            self._arm(client)

    def _finish(self, client, request_id, fields) -> None:
        client.busy = False
        if id(client.sock) not in self._clients:
            return
        if isinstance(fields, dict):
            self._send(client, _answer(request_id, fields))
        else:
            client.more = fields
            self._send(client, ('{"id": %s, "ok": true, ' % json.dumps(request_id)).encode())

    def _send(self, client, data: bytes) -> None:
        client.out = data
        try:
            self._flush(client)
        except OSError:
            # The peer is gone before its answer; the request has been done all the same.
            self._drop(client)

    def _flush(self, client) -> None:
        """Send a piece of what is to be sent."""
        if len(client.out) < _WRITE_BYTES and client.more is not None:
            piece = next(client.more, None)
            if piece is None:
                client.more = None
            else:
                client.out = bytes(client.out) + piece
        sent = client.sock.write(memoryview(client.out)[:_WRITE_BYTES])
        if sent:
            client.out = memoryview(client.out)[sent:]
        if client.more is None and not client.out and client.ended:
            self._drop(client)
        else:
            self._arm(client)

    def _arm(self, client) -> None:
        """Wait for what the client needs next: room to send, its turn to be served, or more bytes."""
        poller = self._poller
        if client.out or client.more is not None:
            poller.register(client.sock, select.POLLOUT)
            return
        if not client.busy and client not in self.waiting:
            if not client.has_line():
                poller.register(client.sock, select.POLLIN)
                return
            self.waiting.append(client)
        poller.unregister(client.sock)

    def _drop(self, client) -> None:
        self._poller.unregister(client.sock)
        self._clients.pop(id(client.sock), None)
        if client in self.waiting:
            self.waiting.remove(client)
        client.sock.close()


def _id_of(request: dict):
    """What the answer has to repeat; ValueError when it is no text or whole number."""
    request_id = request.get("id")
    if request_id is not None and type(request_id) not in (int, str):
        raise ValueError("id: %r is not allowed; allowed: text, whole numbers, null" % (request_id,))
    return request_id


def _parse(line: bytes) -> dict:
    """The request of a line; ValueError says what is wrong with it."""
    try:
        text = str(line, "utf-8")
    except UnicodeError:
        raise ValueError("line: it is not UTF-8; allowed: one JSON object")
    try:
        request = json.loads(text)
    except ValueError:
        raise ValueError("line: it is not JSON; allowed: one JSON object")
    if not isinstance(request, dict):
        raise ValueError("line: %s is not allowed; allowed: one JSON object" % type(request).__name__)
    return request
