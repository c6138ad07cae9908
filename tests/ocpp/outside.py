"""The network outside, on the loopback: a name server, time servers, and a relay that delays and hangs."""

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Self

TO_1970_S = 2_208_988_800


class Udp:
    """A server for datagrams in a thread; `reply(datagram)` gives the answer, or None.

    Of what comes, the first `lose` datagrams are lost; each answer is `delay_s` on its way.
    """

    def __init__(self, reply: Callable[[bytes], bytes | None], lose: int = 0, delay_s: float = 0):
        self.reply = reply
        self.lose = lose
        self.delay_s = delay_s
        self.came = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self._ends.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._ends.is_set():
            try:
                data, sender = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            self.came += 1
            if self.came <= self.lose:
                continue
            answer = self.reply(data)
            if answer is not None:
                self._ends.wait(self.delay_s)
                self._socket.sendto(answer, sender)


def names(hosts: dict[str, str]) -> Callable[[bytes], bytes | None]:
    """What a name server answers that knows these hosts (RFC 1035); others do not exist."""

    def reply(query: bytes) -> bytes:
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        address = hosts.get(".".join(labels))
        head = query[:2] + struct.pack(">HHHHH", 0x8180 if address else 0x8183, 1, bool(address), 0, 0)
        record = b"\xc0\x0c\0\1\0\1\0\0\0\x05\0\4" + socket.inet_aton(address) if address else b""
        return head + query[12:] + record

    return reply


def clock(off_s: float = 0) -> Callable[[bytes], bytes | None]:
    """What a time server answers whose clock is off by so much (RFC 5905)."""

    def reply(request: bytes) -> bytes:
        now = time.time() + off_s
        stamp = struct.pack(">II", int(now) + TO_1970_S, int(now % 1 * (1 << 32)))
        return struct.pack(">BBbbiI", 0x24, 2, 6, -20, 256, 256) + b"GPS\0" + stamp + request[40:48] + stamp + stamp

    return reply


class Relay:
    """Passes TCP connections on to a port of the loopback, each piece `delay_s` late; `hangs`: nothing goes through.

    A relay that hangs still takes connections in: the worst that a network can do.
    """

    def __init__(self, port: int, delay_s: float = 0):
        self.delay_s = delay_s
        self.hangs = False
        self.taken = 0
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_exception) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        self._listener.settimeout(0.05)
        while not self._ends.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.taken += 1
            far = socket.create_connection(("127.0.0.1", self._target))
            thread = threading.Thread(target=self._carry, args=(near, far))
            self._threads.append(thread)
            thread.start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with near, far:
            pairs = {near: far, far: near}
            while not self._ends.is_set():
                for one in select.select(list(pairs), [], [], 0.02)[0]:
                    if self.hangs:
                        self._ends.wait(0.02)
                        continue
                    with contextlib.suppress(ConnectionError):
                        data = one.recv(65536)
                        self._ends.wait(self.delay_s)
                        if data and not self.hangs:
                            pairs[one].sendall(data)
                            continue
                    return
