"""Communication module of the simulated board: the host's network, in real time only."""

import asyncio
import errno
import io
import socket
import struct
from _thread import start_new_thread
from asyncio import core

from micropython import const

from plant import board

# How often the look-up of a name, which the host does in a thread, is looked at.
_LOOKUP_MS = const(10)
_IOCTL_POLL = const(3)  # MP_STREAM_POLL of MicroPython's py/stream.h
# struct linger of Linux, on and 0 s: closing then drops the connection instead of ending it in good order.
_ABORT = struct.pack("ii", 1, 0)


class _Gone(io.IOBase):
    """What stands in the place of a socket that is gone: always ready, and every use fails."""

    def ioctl(self, request, argument):
        return argument if request == _IOCTL_POLL else 0

    def read(self, *_arguments):
        raise OSError(errno.ECONNABORTED)

    readinto = readline = write = read


def _writable(stream):
    """Awaitable that waits until `stream` can be written to."""
    yield core._io_queue.queue_write(stream)


class _Link(asyncio.StreamReader):
    """A connection as asyncio has it, for reading and writing, that the loss of the network cuts.

    It is in `links` until it is closed or cut.
    """

    def __init__(self, family: int, links: list):
        # Beneath TLS, if there is any.
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        super().__init__(self._socket)
        self._socket.setblocking(False)
        self._links = links
        links.append(self)

    async def connect(self, address, ssl, host: str) -> None:
        """Connect without keeping the event loop waiting; OSError with the network's reason."""
        try:
            self._socket.connect(address)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
            await _writable(self._socket)  # type: ignore
            if type(self.s) is _Gone:
                raise OSError(errno.ECONNABORTED)
            # Asked again, Linux tells how the first attempt ended.
            self._socket.connect(address)
        if ssl is not None:
            self.s = ssl.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)

    async def wait_closed(self) -> None:
        """Close the connection; whoever waits for it gets OSError."""
        if self in self._links:
            self._links.remove(self)
            self._leave().close()

    def cut(self) -> None:
        """Drop the connection: whoever waits for it, or uses it later, gets OSError. The peer sees a reset."""
        self._leave()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self._socket.close()

    def _leave(self):
        """Part with the stream, waking the tasks that wait for it -> the stream."""
        stream = self.s
        self.s = _Gone()
        queue = core._io_queue
        if id(stream) in queue.map:
            for task in queue.map[id(stream)][:2]:
                if task is not None:
                    core._task_queue.push(task)
            queue._dequeue(stream)
        return stream


async def _look_up(host: str, port: int):
    """What `socket.getaddrinfo` gives first; it may take seconds, so that a thread waits for it. OSError."""
    found = []

    def ask():
        try:
            found.append(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0])
        except OSError as error:
            found.append(error)

    start_new_thread(ask, ())
    while not found:
        await asyncio.sleep_ms(_LOOKUP_MS)
    if isinstance(found[0], OSError):
        raise OSError(errno.EHOSTUNREACH, "%s: the name is not known: %s" % (host, found[0]))
    return found[0]


class Net:
    """Health of the module that carries the backend links, and connections over it."""

    def __init__(self):
        self._plant = board.plant

    def module_ok(self) -> bool:
        """Whether the module works."""
        return self._plant.network_up

    async def open_connection(self, host: str, port: int, ssl=None):
        """Connect to a TCP server -> (reader, writer), as `asyncio.open_connection` does.

        With an SSLContext as `ssl` the server must own a certificate for `host`; the handshake is done by the first
        read or write. OSError when there is no network or the server cannot be reached. It may wait for minutes: limit
        it by `asyncio.wait_for`.
        """
        self._need_network()
        family, _, _, _, address = await _look_up(host, port)
        self._need_network()
        link = _Link(family, self._plant.links)
        try:
            await link.connect(address, ssl, host)
        except BaseException:
            # Cancelled too.
            await link.wait_closed()
            raise
        return link, link

    def _need_network(self) -> None:
        if board.poll is not None:
            raise OSError(errno.EHOSTUNREACH, "there is no network in virtual time")
        if not self._plant.network_up:
            raise OSError(errno.EHOSTUNREACH, "the network is down")
