"""How a connection is begun, and what is changed of it from outside: functions of Link, loaded for each."""

from binascii import b2a_base64

from micropython import const

from ocpp.link import CONNECTED, FIRST_MS, WAITING
from ocpp.rare import borrow
from ocpp.websocket import GOING_AWAY

# No message of 1.6 needs more: a list of 100 tags or a profile of 24 periods takes 7 KB.
_MAX_BYTES = const(16_384)
_HANDSHAKE_S = const(30)
# These may stand in a path as a whole, but an identity is one part of it (RFC 3986, 3.3).
_PARTING = "/?%#"


def encoded(identity: str) -> str:
    """`identity` as one part of a path (RFC 3986, 3.3; OCPP-J 1.6, 3.1.1)."""
    escaped = borrow("url").escaped
    return "".join("%%%02X" % ord(char) if char in _PARTING else escaped(char) for char in identity)


async def join(self, connect):
    """Connect to `security.target()` -> the WebSocket."""
    point = self._point
    target = point.security.target()
    url = target.url.rstrip("/") + "/" + encoded(target.identity)
    headers = ()
    if target.password is not None:
        user = target.identity.encode() + b":" + target.password
        headers = (("Authorization", "Basic " + b2a_base64(user).decode().strip()),)
    self.ssl = target.ssl
    return await connect(
        point.open_connection,
        url,
        headers=headers,
        ssl=target.ssl,
        max_bytes=_MAX_BYTES,
        timeout_s=_HANDSHAKE_S,
        ticks_ms=point.clock.ticks_ms,
    )


def made(self) -> None:
    """There is a connection: tell all who wait for it."""
    if self.registration == "Accepted" and self._told != self._point.station.boot_info():
        # OCPP-J 1.6, 5.3: boot again when a field of the BootNotification has changed since the last connection.
        self.registration = None
    self.state = CONNECTED
    self.reason = ""
    self.since_s = self._point.clock.uptime_s()
    self._point.log.add("info", "ocpp", "connected", "connected to the central system")
    self._point.security.link_made()
    self._point.link_changed()
    self._turn.wake()
    self._watch.wake()


def reachable(self) -> None:
    """The station has another way to the central system: the next attempt to connect is made at once."""
    self._wait_ms = FIRST_MS
    if self.state == WAITING:
        self._wake.set()


def reconnect(self) -> None:
    """Connect anew at once, with what may have changed of address, key or profile."""
    self._wait_ms = FIRST_MS
    self.drop("settings of the link have changed")
    self._wake.set()


async def leave(self) -> None:
    """Close the connection in order, since the station is about to restart; takes up to 2 s.

    A restart drops what TCP has not delivered, and a peer that writes to a dead connection what it has not read:
    the answer to the Reset may be among it.
    """
    if self._socket is not None:
        self.reason = "the station restarts"
        await self._socket.close(GOING_AWAY)


def boot(self) -> None:
    """Send the BootNotification again now, while it has not been accepted (TriggerMessage)."""
    self._boot_at_s = 0
    self._turn.wake()


def interval_changed(self) -> None:
    """HeartbeatInterval has another value."""
    self._beat_ms = None
    self._turn.wake()


def timeout_changed(self) -> None:
    """MessageTimeout has another value: it holds from the next CALL on."""
    if self._rpc is not None:
        self._rpc.timeout_s = self._point.config["MessageTimeout"]
