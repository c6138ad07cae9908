"""A name server on the loopback for unit tests, which answers as a test wants, right or wrong."""

import asyncio
import errno
import random
import socket
import struct
from asyncio import core


def name_bytes(name):
    """A name as it goes over the wire, without compression."""
    return b"".join([bytes((len(part),)) + part.encode() for part in name.split(".")]) + b"\x00"


def record(owner, kind, ttl_s, value, group=1):
    """A resource record; `owner` as bytes of the wire, or a name."""
    owner = owner if isinstance(owner, bytes) else name_bytes(owner)
    return owner + struct.pack(">HHIH", kind, group, ttl_s, len(value)) + value


def address(owner, text, ttl_s=60):
    return record(owner, 1, ttl_s, bytes([int(part) for part in text.split(".")]))


def alias(owner, target, ttl_s=60):
    return record(owner, 5, ttl_s, target if isinstance(target, bytes) else name_bytes(target))


def answer(query, records, code=0, flags=0x8180, count=None):
    """A whole message that answers `query`."""
    head = query[:2] + struct.pack(">HHHHH", flags | code, 1, len(records) if count is None else count, 0, 0)
    return head + query[12:] + b"".join(records)


def asked(query):
    """The name that a query asks for."""
    at, parts = 12, []
    while query[at]:
        parts.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(parts)


def _readable(sock):
    yield core._io_queue.queue_read(sock)


def _bound():
    """A socket on a free port of the loopback, and the port."""
    while True:
        port = random.randrange(20_000, 30_000)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
        except OSError as error:
            sock.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        sock.setblocking(False)
        return sock, port


class UdpServer:
    """`reply(query)` gives the datagrams to send back; `queries` are those that came, `senders` from where."""

    def __init__(self, reply):
        self.reply = reply
        self.queries = []
        self.senders = []
        self.sock, self.port = _bound()
        self.task = asyncio.create_task(self._serve())

    async def _serve(self):
        while True:
            await _readable(self.sock)
            query, sender = self.sock.recvfrom(1024)
            self.queries.append(query)
            self.senders.append(sender)
            for datagram in self.reply(query):
                self.sock.sendto(datagram, sender)

    @property
    def place(self):
        """(address, port) as a resolver wants it."""
        return "127.0.0.1", self.port

    async def close(self):
        self.task.cancel()
        try:
            await self.task
        except asyncio.CancelledError:
            pass
        self.sock.close()
