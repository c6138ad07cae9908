"""TCP connections as asyncio has them, which somebody else can cut; it decides nothing and looks nothing up.

An asyncio stream whose socket another task closes leaves its reader waiting for ever. Here that reader gets OSError.
"""

import asyncio
import errno
import io
import socket
from asyncio import core

from micropython import const

_IOCTL_POLL = const(3)  # MP_STREAM_POLL of MicroPython's py/stream.h


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


class CutStream(asyncio.StreamReader):
    """A connection for reading and writing; it is in `all_open`, a list, until it is closed or cut.

    `way` is whatever the owner tells connections apart by.
    """

    def __init__(self, family: int, all_open: list, way=None):
        # Beneath TLS, if there is any.
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        super().__init__(self._socket)
        self._socket.setblocking(False)
        self._all_open = all_open
        self.way = way
        all_open.append(self)

    def prepare(self, sock) -> None:
        """Set options before the connection is made; for a board."""

    def judge(self, sock, address) -> None:
        """Raise OSError when the attempt to connect has failed, for a board that can tell.

        Otherwise the first read or write does.
        """

    def abort(self, sock) -> None:
        """Have the peer see a reset when `sock` is closed, for a board that can."""

    async def connect(self, address, ssl, host: str) -> None:
        """Connect without keeping the event loop waiting; OSError with the network's reason.

        `address` is as `socket.getaddrinfo` gives it. With an SSLContext as `ssl` the server must own a certificate
        for `host`.
        """
        self.prepare(self._socket)
        try:
            self._socket.connect(address)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
            await _writable(self._socket)  # type: ignore
            if type(self.s) is _Gone:
                raise OSError(errno.ECONNABORTED)
            self.judge(self._socket, address)
        if ssl is not None:
            self.s = ssl.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)

    async def wait_closed(self) -> None:
        """Close the connection; whoever waits for it gets OSError."""
        if self in self._all_open:
            self._all_open.remove(self)
            self._leave().close()

    def cut(self) -> None:
        """Drop the connection: whoever waits for it, or uses it later, gets OSError."""
        if self in self._all_open:
            self._all_open.remove(self)
        self._leave()
        self.abort(self._socket)
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


def cut_others(all_open: list, way) -> None:
    """Cut every connection that does not go over `way`."""
    for stream in [stream for stream in all_open if stream.way is not way]:
        stream.cut()
