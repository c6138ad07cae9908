"""Reaches somebody over one link: names, connections, datagrams, the time; loaded for one use."""

import asyncio


class Reach:
    """`manager` and one of its ways."""

    def __init__(self, manager, way):
        self.manager = manager
        self.way = way

    async def connect(self, host: str, port: int, ssl=None):
        """As `asyncio.open_connection`. OSError."""
        manager = self.manager
        addresses = await self.look_up(host)
        # The next attempt takes the next one.
        manager.turn += 1
        address = addresses[manager.turn % len(addresses)] if addresses else None
        return await manager.net.open_connection(host, port, ssl, address=address, link=self.way.link)

    async def look_up(self, host: str) -> list:
        """Addresses of `host`; none where the board itself has to know. OSError."""
        manager = self.manager
        servers = self.way.link.servers()
        dns = manager.borrow("dns")
        if not servers and not dns.is_address(host):
            return []
        return await dns.resolve(
            host,
            servers,
            cache=manager.cache if self.way is manager.current else None,
            now_s=manager.now,
            open_udp=self._udp,
        )

    def _udp(self, address: str, port: int):
        return self.manager.net.open_udp(address, port, self.way.link)

    async def ask(self, address: str, port: int, request: bytes, accept):
        """Send a datagram, and give what comes back to `accept` until it is not None -> that. OSError."""
        sock = self._udp(address, port)
        try:
            return await self.manager.borrow("dns").exchange(sock, request, accept)
        finally:
            sock.close()

    async def trial(self, wait_ms: int) -> bool:
        """Whether the central system, or without one a time server, is reached within that time."""
        try:
            await asyncio.wait_for_ms(self._somebody(), wait_ms)
            return True
        except asyncio.TimeoutError:
            why = "no answer"
        except OSError as error:
            why = self._told().error_text(error)
        self._told().untrue(self.manager, self.way, why)
        return False

    def _told(self):
        return self.manager.borrow("wallbox.network.told")

    async def _somebody(self) -> None:
        url = self.manager.app.settings["ocpp_url"]
        if not url:
            await self.manager.borrow("wallbox.network.ntp").set_clock(self)
            return
        _, writer = await self.connect(*place(url))
        writer.close()
        await writer.wait_closed()

    async def time(self):
        """Set the clock by time servers -> seconds until it is worth doing again, None when that has failed."""
        manager = self.manager
        try:
            wait_s = await manager.borrow("wallbox.network.ntp").set_clock(self)
        except OSError as error:
            if manager.time_told is not False:
                text = "no time server was reached: %s" % self._told().error_text(error)
                manager.log.add("info", "network", "no_time", text)
            manager.time_told = False
            return None
        manager.time_told = True
        return wait_s


def place(url: str) -> tuple:
    """(host, port) of a URL that the settings have allowed (RFC 6455, 3)."""
    scheme, _, rest = url.partition("://")
    found = rest.split("/", 1)[0].split("?", 1)[0]
    port = 443 if scheme == "wss" else 80
    host, colon, digits = found.rpartition(":")
    if colon and digits.isdigit() and (":" not in host or host.endswith("]")):
        found, port = host, int(digits)
    return found.strip("[]"), port
