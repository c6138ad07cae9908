"""Communication module of the simulated board: three links, over which the host's network is, in real time only."""

import asyncio
import errno
import random
import socket
import struct
import time
from _thread import start_new_thread

from cutstream import CutStream, cut_others
from micropython import const

from hal import clock
from plant import board

# How often the look-up of a name, which the host does in a thread, is looked at.
_LOOKUP_MS = const(10)
# struct linger of Linux, on and 0 s: closing then drops the connection instead of ending it in good order.
_ABORT = struct.pack("ii", 1, 0)
# Where to look for a free port of the loopback, below those that Linux gives to others.
_PORTS = (20_000, 30_000)
# How long a link takes from its start to the other end: association and DHCP; registration and PPP.
_JOIN_MS = {"lan": 0, "wlan": 3_000, "modem": 10_000}
_DBM = {"lan": None, "wlan": -58, "modem": -83}
_ADDRESS = {"lan": "192.0.2.20", "wlan": "192.0.2.30", "modem": "198.51.100.40"}
_ABSENT = {"lan": "no_cable", "wlan": "no_network", "modem": "no_network"}


class _Stream(CutStream):
    """A connection of the host's."""

    def judge(self, sock, address) -> None:
        """Linux, asked to connect again, tells how the first attempt ended."""
        sock.connect(address)

    def abort(self, sock) -> None:
        """Closing drops the connection."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)


class _Link:
    """One way into the network. `slow_start`: whether the next start holds up the event loop for more than 5 ms."""

    slow_start = False

    def __init__(self, plant, name: str):
        self.name = name
        self._plant = plant
        self._around = plant.surroundings[name]
        self._settings = None
        self._began = 0
        self._drops = 0

    def start(self, settings) -> None:
        """Begin to connect, or begin anew, as `settings` say; `state` tells what comes of it. OSError."""
        self._settings = settings
        self._began = clock.ticks_ms()
        self._drops = self._around.drops

    def stop(self) -> None:
        """End all that goes on."""
        self._settings = None

    def state(self) -> str:
        """off, no_cable, no_network, no_modem, connecting, wrong_password, no_address, broken, up.

        wlan and modem do not go on by themselves once they are lost or refused: they want to be started anew.
        """
        if self._settings is None:
            return "off"
        lost = self.name != "lan" and self._drops != self._around.drops
        if lost or not self._around.up or not self._plant.network_up:
            return _ABSENT[self.name]
        if time.ticks_diff(clock.ticks_ms(), self._began) < _JOIN_MS[self.name]:
            return "connecting"
        if self.name == "wlan" and not self._around.password_ok:
            return "wrong_password"
        static = self.name == "lan" and self._settings["lan_address"]
        return "up" if self._around.dhcp or static else "no_address"

    def address(self) -> str:
        """Its IP address, empty without one."""
        return _ADDRESS[self.name] if self.state() == "up" else ""

    def signal_dbm(self):
        """Strength of the radio's signal, None where there is none."""
        return _DBM[self.name] if self.state() == "up" else None

    def servers(self) -> tuple:
        """Name servers as (address, port); empty: the host's own, for connections only."""
        return self._around.dns

    def leads(self) -> bool:
        """Whether anything answers."""
        return self._around.leads


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
    """The communication module: its links, whether it works, and connections over it."""

    def __init__(self):
        self._plant = board.plant
        self.links = tuple([_Link(self._plant, name) for name in ("lan", "wlan", "modem")])
        self._nowhere = None

    def module_ok(self) -> bool:
        """Whether the module works."""
        return self._plant.network_up

    def use(self, link) -> None:
        """Cut what does not go over `link`, since all goes over that one from now on; None: over none."""
        cut_others(self._plant.links, None if link is None else link.name)

    async def open_connection(self, host: str, port: int, ssl=None, address=None, link=None):
        """Connect to a TCP server -> (reader, writer), as `asyncio.open_connection` does.

        With an SSLContext as `ssl` the server must own a certificate for `host`; the handshake is done by the first
        read or write. `address` is the server's IP address when the name was looked up already, `link` the way to
        take. OSError when there is no network or the server cannot be reached. It may wait for minutes: limit it by
        `asyncio.wait_for`.
        """
        self._need_network(link)
        family, _, _, _, where = await _look_up(address or host, port)
        self._need_network(link)
        stream = _Stream(family, self._plant.links, link and link.name)
        try:
            if link is not None and not link.leads():
                await asyncio.Event().wait()
            await stream.connect(where, ssl, host)
        except BaseException:
            # Cancelled too.
            await stream.wait_closed()
            raise
        return stream, stream

    def open_udp(self, address: str, port: int, link):
        """A socket that talks over `link` to this IP address and port only, and never blocks. OSError."""
        self._need_network(link)
        where = socket.getaddrinfo(address, port, 0, socket.SOCK_DGRAM)[0][-1]
        if not link.leads():
            where = self._silent_port()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.connect(where)
        return sock

    def _silent_port(self):
        """Where datagrams go that nobody answers."""
        while self._nowhere is None:
            where = socket.getaddrinfo("127.0.0.1", random.randint(*_PORTS))[0][-1]
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                sock.bind(where)
            except OSError as error:
                sock.close()
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            self._nowhere = (sock, where)
        return self._nowhere[1]

    def _need_network(self, link=None) -> None:
        if board.poll is not None:
            raise OSError(errno.EHOSTUNREACH, "there is no network in virtual time")
        if not self._plant.network_up:
            raise OSError(errno.EHOSTUNREACH, "the network is down")
        if link is not None and link.state() != "up":
            raise OSError(errno.EHOSTUNREACH, "%s is down" % link.name)
