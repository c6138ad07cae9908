"""Links of the real board: Ethernet by a W5500, Wi-Fi of the chip, 4G by a modem with PPP; it takes no decision.

ESP-IDF would send everything over Wi-Fi while that is up, so each socket is bound to the interface of its link. What
takes long happens when nothing charges (`slow_start`), in tasks of the chip, or in a task of asyncio.
"""

import asyncio
import socket
import sys
import time
from errno import EHOSTUNREACH, EIO

import network
from cutstream import CutStream, cut_others
from machine import SPI, UART, Pin
from micropython import const

from hal import pins
from hal.expander import Expander

# For the type checker alone, whose stubs know the LAN of another chip.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # noqa: F401

_DNS_PORT = const(53)
_NO_ADDRESS = "0.0.0.0"
# W5500 datasheet 1.1, 5.5.1: reset for 500 us at least, ready 1 ms after it.
_RESET_MS = const(2)
# MicroPython's WLAN.status() tells how the last attempt ended until the next one has; a scan of all channels and an
# association take so long.
_SETTLE_MS = const(8_000)
# After an association or a plugged cable an address comes within this time, or somebody has to be told.
_DHCP_MS = const(30_000)
# 3GPP modems start with this rate, or find it. Buffers for what comes and goes while the event loop is busy for 100 ms.
_MODEM_BAUD = const(115_200)
_MODEM_BUFFER = const(2_048)


class _Stream(CutStream):
    """A connection over one link."""

    def prepare(self, sock) -> None:
        """Bind it to the link's interface."""
        _bind(sock, self.way)


def _bind(sock, link) -> None:
    if link is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.interface())  # type: ignore


def _servers(*addresses) -> tuple:
    found = []
    for address in addresses:
        if address and address != _NO_ADDRESS and (address, _DNS_PORT) not in found:
            found.append((address, _DNS_PORT))
    return tuple(found)


class _Link:
    """What the links have in common; `broken`: the hardware does not answer."""

    name = ""

    def __init__(self):
        self.broken = False
        self._nic = None  # type: Any
        self._running = False
        self._since = 0
        # As the network has told them: lwIP has one list for all links, that of the last one that got an address.
        self._told = ()

    @property
    def slow_start(self) -> bool:
        """Whether the next start holds up the event loop for more than 5 ms."""
        return self._nic is None and not self.broken

    def interface(self) -> str:
        """Name of the interface; OSError when there is none yet."""
        name = None if self._nic is None else self._nic.config("ifname")
        if name is None:
            raise OSError(EHOSTUNREACH, "%s is not there" % self.name)
        return name

    def address(self) -> str:
        """Its IP address, empty without one."""
        found = self._nic.ifconfig()[0] if self._running and self._nic is not None else None
        return "" if found in (None, _NO_ADDRESS) else found

    def signal_dbm(self):
        """Strength of the radio's signal, None where there is none."""
        return

    def servers(self) -> tuple:
        """Name servers as (address, port)."""
        return self._told

    def _up(self) -> str:
        """The state of a link that was given an address once; ESP-IDF takes it away when it cannot be renewed."""
        if not self.address():
            return "no_address"
        if not self._told:
            _, _, gateway, told = self._nic.ifconfig()
            self._told = _servers(told, gateway)
        return "up"

    def _began(self) -> None:
        self._running = True
        self._told = ()
        self._since = time.ticks_ms()

    def _passed(self, ms: int) -> bool:
        return time.ticks_diff(time.ticks_ms(), self._since) >= ms


class Lan(_Link):
    """Ethernet. The driver goes on by itself when the cable comes back."""

    name = "lan"

    def __init__(self):
        super().__init__()
        self._fixed = False
        self._cable = False

    def start(self, settings) -> None:
        """Begin, or begin anew; OSError."""
        if self.broken:
            # Asked again, the driver would register its handlers twice.
            raise OSError(EIO, "the chip does not answer")
        if self._nic is None:
            self._make()
        nic = self._nic
        self._began()
        self._cable = False
        try:
            nic.active(False)
            nic.active(True)
            if settings["lan_address"]:
                address, _, bits = settings["lan_address"].partition("/")
                gateway = settings["lan_gateway"] or _NO_ADDRESS
                nic.ifconfig((address, int(bits), gateway, settings["lan_dns"] or gateway))
                self._fixed = True
            elif self._fixed:
                nic.ipconfig(dhcp4=True)
                self._fixed = False
        except RuntimeError as error:
            # So MicroPython raises what ESP-IDF has no name for.
            raise OSError(EIO, str(error))

    def _make(self) -> None:
        expander = Expander()
        expander.set(pins.OUT_ETH_RESET, False)
        time.sleep_ms(_RESET_MS)
        expander.set(pins.OUT_ETH_RESET, True)
        time.sleep_ms(_RESET_MS)
        spi = SPI(pins.ETH_SPI, sck=Pin(pins.ETH_SCK), mosi=Pin(pins.ETH_MOSI), miso=Pin(pins.ETH_MISO))
        make = network.LAN  # type: Any
        try:
            self._nic = make(
                spi=spi, cs=Pin(pins.ETH_CS), int=Pin(pins.ETH_INT), phy_type=network.PHY_W5500, phy_addr=0
            )
        except OSError:
            self.broken = True
            raise

    def stop(self) -> None:
        """End all that goes on."""
        if self._running:
            self._running = False
            self._nic.active(False)

    def state(self) -> str:
        """off, no_cable, connecting, no_address, broken or up."""
        if self.broken:
            return "broken"
        if not self._running:
            return "off"
        status = self._nic.status()
        cable = status in (network.ETH_CONNECTED, network.ETH_GOT_IP)
        if cable != self._cable:
            self._cable = cable
            self._told = ()
            self._since = time.ticks_ms()
        if not cable:
            return "no_cable"
        if status == network.ETH_GOT_IP:
            return self._up()
        return "no_address" if self._passed(_DHCP_MS) else "connecting"


class Wlan(_Link):
    """Wi-Fi as a station: WPA2 and WPA3, whatever the access point offers. One attempt a start."""

    name = "wlan"

    @property
    def slow_start(self) -> bool:
        """As of any link; a radio that could not be started is started anew."""
        return self._nic is None

    def start(self, settings) -> None:
        """Begin, or begin anew; OSError."""
        self._began()
        try:
            nic = self._nic
            if nic is None:
                nic = network.WLAN(network.WLAN.IF_STA)
                nic.active(True)
                # Bluetooth shares the antenna: without any sleep of Wi-Fi's the chip aborts (espressif/esp-idf#9595).
                nic.config(pm=network.WLAN.PM_PERFORMANCE, reconnects=0)
                self._nic = nic
            else:
                nic.disconnect()
            nic.connect(settings["wifi_ssid"], settings["wifi_password"] or None)
        except (OSError, RuntimeError) as error:
            self.broken = self._nic is None
            raise OSError(EIO, str(error))
        self.broken = False

    def stop(self) -> None:
        """End all that goes on; the radio stays on for the next start, which is quick then."""
        if self._running:
            self._running = False
            if self._nic is not None:
                self._nic.disconnect()

    def state(self) -> str:
        """off, no_network, connecting, wrong_password, no_address, broken or up."""
        if self.broken:
            return "broken"
        if not self._running:
            return "off"
        nic = self._nic
        if nic.isconnected():
            return self._up()
        # An address that is given again may come with other name servers.
        self._told = ()
        if not self._passed(_SETTLE_MS):
            return "connecting"
        status = nic.status()
        if status == network.STAT_WRONG_PASSWORD or status == network.STAT_HANDSHAKE_TIMEOUT:
            return "wrong_password"
        if self.signal_dbm() is not None:
            return "no_address" if self._passed(_DHCP_MS) else "connecting"
        return "connecting" if status == network.STAT_CONNECTING and not self._passed(_DHCP_MS) else "no_network"

    def signal_dbm(self):
        """What the access point is received with, None when there is none."""
        try:
            return self._nic.status("rssi") if self._running and self._nic is not None else None
        except (OSError, RuntimeError):
            return None


class Modem(_Link):
    """4G. The module `hal.dial` brings it up, and is loaded for that alone."""

    name = "modem"

    @property
    def slow_start(self) -> bool:
        """Nothing here takes long."""
        return False

    def __init__(self):
        super().__init__()
        self._uart = None
        self._task = None
        self._state = "off"
        self._dbm = None

    def start(self, settings) -> None:
        """Begin, or begin anew."""
        if self._uart is None:
            self._uart = UART(
                pins.MODEM_UART,
                _MODEM_BAUD,
                tx=pins.MODEM_TX,
                rx=pins.MODEM_RX,
                txbuf=_MODEM_BUFFER,
                rxbuf=_MODEM_BUFFER,
            )
            self._nic = network.PPP(self._uart)
        self.stop()
        self._began()
        self._state = "connecting"
        self._task = asyncio.create_task(self._run(settings))

    def stop(self) -> None:
        """End all that goes on."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._running:
            self._running = False
            self._nic.disconnect()
        self._state = "off"

    async def _run(self, settings) -> None:
        dial = __import__("hal.dial", None, None, ("x",))
        sys.modules.pop("hal.dial", None)
        expander = Expander()
        try:
            modem = dial.Dial(self._uart, self._nic, lambda on: expander.set(pins.OUT_MODEM_KEY, on))
            self._state = await modem.up(settings)
            self._dbm = modem.dbm
        except OSError as error:
            # The second argument is the state in `hal.dial`; MicroPython's PPP has one argument only.
            self._state = error.args[1] if len(error.args) > 1 else "no_network"
        except (MemoryError, ValueError):
            # No room in the heap, or PPP is closed meanwhile: it is dialled again, as when there is no network.
            self._state = "no_network"
        self.broken = self._state == "no_modem"

    def state(self) -> str:
        """off, no_modem, wrong_pin, no_network, connecting, no_address or up."""
        if self._state == "up" and not self._nic.isconnected():
            self._state = "no_network"
        if self._state == "up" and not self._told:
            # The order of a PPP's ifconfig() is another: address, peer, mask, name server.
            self._told = _servers(self._nic.ifconfig()[3])
        return self._state

    def signal_dbm(self):
        """As it was when the modem dialled: afterwards its line is taken."""
        return self._dbm if self._state == "up" else None


class Net:
    """The communication module: its links, whether it works, and connections over it."""

    def __init__(self):
        self.links = (Lan(), Wlan(), Modem())
        self._open = []

    def module_ok(self) -> bool:
        """Whether all hardware that was asked so far has answered (R15)."""
        return not any(link.broken for link in self.links)

    def use(self, link) -> None:
        """Cut what does not go over `link`, since all goes over that one from now on; None: over none."""
        cut_others(self._open, link)

    async def open_connection(self, host: str, port: int, ssl=None, address=None, link=None):
        """Connect to a TCP server -> (reader, writer), as `asyncio.open_connection` does.

        With an SSLContext as `ssl` the server must own a certificate for `host`; the handshake is done by the first
        read or write, which also tells of a refusal. `address` is the server's IP address unless `host` is one already,
        `link` the way to take. OSError. It may wait for minutes: limit it by `asyncio.wait_for`.
        """
        family, _, _, _, where = _numeric(address or host, port, socket.SOCK_STREAM)
        stream = _Stream(family, self._open, link)
        try:
            await stream.connect(where, ssl, host)
        except BaseException:
            # Cancelled too.
            await stream.wait_closed()
            raise
        return stream, stream

    def open_udp(self, address: str, port: int, link):
        """A socket that talks over `link` to this IP address and port only, and never blocks. OSError."""
        family, _, _, _, where = _numeric(address, port, socket.SOCK_DGRAM)
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            _bind(sock, link)
            sock.connect(where)
        except OSError:
            sock.close()
            raise
        return sock


def _numeric(address: str, port: int, kind: int):
    """What `socket.getaddrinfo` gives for an IP address, at once; for a name it would block for seconds."""
    if ":" not in address and not address.replace(".", "").isdigit():
        raise OSError(EHOSTUNREACH, "%s: no name server is known" % address)
    return socket.getaddrinfo(address, port, 0, kind)[0]
