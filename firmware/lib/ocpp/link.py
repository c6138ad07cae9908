"""The link to the central system: connects, registers, keeps alive and comes back for ever; it reads no message."""

from binascii import b2a_base64, hexlify
from os import urandom
from time import ticks_diff

from micropython import const

from ocpp import timestamps
from ocpp.errors import CallError, CallTimeout, NotConnected, OcppError
from ocpp.rare import borrow
from ocpp.rpc import MessageIds, Rpc
from ocpp.together import Alarm
from ocpp.websocket import GOING_AWAY, Closed, connect

# Between two tries: doubled each time, each drawn from half of it to all of it, so that a thousand boxes do not come
# back at the same moment (OCPP-J 1.6, 5.3 leaves the figures to us).
_FIRST_MS = const(1_000)
_LONGEST_MS = const(60_000)
# A link that held for so long was a good one: the next try comes soon.
_GOOD_S = const(30)
# Between two BootNotifications when the central system asks for none (interval 0) or gives no answer.
_BOOT_S = const(30)
# No central system makes the box wait longer, be it by mistake; timers wrap after six days.
_LONGEST_BOOT_S = const(86_400)
# A clock that is off by more is set (Heartbeat answers take some time on their way).
_CLOCK_S = const(2)
# Of 2015-10-08, when OCPP 1.6 was published: who tells an earlier time knows none, and it would stand on bills.
_FIRST_S = const(1_444_262_400)
# A jump of the clock by more is told as a security event (white paper, SettingSystemTime).
_JUMP_S = const(10)
# No message of 1.6 needs more: a list of 100 tags or a profile of 24 periods takes 7 KB.
_MAX_BYTES = const(16_384)
_HANDSHAKE_S = const(30)
# Intervals that are changed while something waits for the former one take effect within this time.
_LOOK_MS = const(10_000)
# After a BootNotification; how long the central system lets the next one wait is found out then.
_SOON_MS = const(1_000)
# A link that comes and goes all day must not wear out the flash that keeps warnings: one an hour, the others are info.
_WARN_S = const(3_600)
# Of a peer's reason to close in the log.
_SHOWN = const(60)
# These may stand in a path as a whole, but an identity is one part of it (RFC 3986, 3.3).
_PARTING = "/?%#"

OFF = "off"
CONNECTING = "connecting"
WAITING = "waiting"
CONNECTED = "connected"


def encoded(identity: str) -> str:
    """`identity` as one part of a path (RFC 3986, 3.3; OCPP-J 1.6, 3.1.1)."""
    escaped = borrow("url").escaped
    return "".join("%%%02X" % ord(char) if char in _PARTING else escaped(char) for char in identity)


class Link:
    """One connection after the other to `point.security.target()`.

    `state` is OFF, CONNECTING, WAITING (for the next try) or CONNECTED; `registration` the status of the last
    BootNotification of this start, None before; `reason` why there is no link, for people.
    """

    def __init__(self, point):
        self._point = point
        self._turn = point.sender.add(self._step)
        self._watch = point.watch.add(self._keep_alive)
        self._wake = Alarm()
        self._ids = MessageIds(hexlify(urandom(6)).decode())
        self._wait_ms = _FIRST_MS
        self._rpc = None
        self._socket = None
        self._ssl = None
        # What the central system has accepted, and the uptime before which it wants no further BootNotification.
        self._told = None
        self._boot_at_s = 0
        # Tick from which the HeartbeatInterval runs, and that of the last byte before a ping.
        self._beat_ms = self._pinged_ms = None
        self.state = OFF
        self.registration = None
        self.reason = ""
        self.since_s = 0
        self._warned_s = None

    @property
    def online(self) -> bool:
        """Whether messages may be sent: connected and registered."""
        return self._rpc is not None and self.registration == "Accepted"

    @property
    def connected(self) -> bool:
        """Whether there is a WebSocket."""
        return self._rpc is not None

    async def call(self, action: str, payload: dict, message_id=None) -> dict:
        """Send a CALL and wait for its answer; NotConnected, CallTimeout or CallError.

        After a time-out in which nothing at all was heard the link is given up.
        """
        rpc = self._rpc
        if rpc is None:
            raise NotConnected("no link")
        began = self._point.clock.ticks_ms()
        try:
            return await rpc.call(action, payload, message_id)
        except CallTimeout:
            if rpc is self._rpc and ticks_diff(self._socket.last_heard_ms, began) <= 0:
                self.drop("%s and all else was not answered" % action)
            raise

    def after_answer(self, function) -> None:
        """Call `function` once the answer to the CALL in hand has been sent; not at all when it cannot be."""
        if self._rpc is not None:
            self._rpc.sent.append(function)

    def drop(self, reason: str) -> None:
        """Give up the connection, and make the next."""
        if self._rpc is not None:
            self.reason = reason
            self._rpc.end()

    def reconnect(self) -> None:
        """Connect anew at once, with what may have changed of address, key or profile."""
        self._wait_ms = _FIRST_MS
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

    async def run(self) -> None:
        """Keep a link for ever."""
        while True:
            self.state = CONNECTING
            try:
                await self._serve()
            except (OSError, OcppError, ValueError) as error:
                self._failed(error)
            except Exception as error:
                # A full heap, or a mistake of ours: it costs this connection. Ended for it, the whole charge point
                # would end its transaction, too.
                self._point.failed(error)
                self._failed(error)
            self.state = WAITING
            await self._pause()

    def _failed(self, error) -> None:
        """Log why there is no link, once for each reason in a row."""
        words = [str(part) for part in error.args if isinstance(part, str)]
        text = words[-1] if words else repr(error)
        self._point.security.link_failed(error)
        if text != self.reason:
            self.reason = text
            self._warn("no_link", "no link to the central system: %s" % text)

    def _warn(self, code: str, text: str) -> None:
        now_s = self._point.clock.uptime_s()
        often = self._warned_s is not None and now_s - self._warned_s < _WARN_S
        if not often:
            self._warned_s = now_s
        self._point.log.add("info" if often else "warning", "ocpp", code, text)

    async def _pause(self) -> None:
        wait_ms = self._wait_ms
        self._wait_ms = min(_LONGEST_MS, wait_ms * 2)
        chance = int.from_bytes(self._point.random(2), "big")
        await self._wake.rest(wait_ms // 2 + wait_ms // 2 * chance // 0xFFFF)

    # -- one connection ------------------------------------------------------------------------------

    async def _connect(self):
        """Open a WebSocket -> it, and its `tls.Tls` or None."""
        point = self._point
        target = point.security.target()
        url = target.url.rstrip("/") + "/" + encoded(target.identity)
        headers = ()
        if target.password is not None:
            user = target.identity.encode() + b":" + target.password
            headers = (("Authorization", "Basic " + b2a_base64(user).decode().strip()),)
        socket = await connect(
            point.open_connection,
            url,
            headers=headers,
            ssl=target.ssl,
            max_bytes=_MAX_BYTES,
            timeout_s=_HANDSHAKE_S,
            ticks_ms=point.clock.ticks_ms,
        )
        return socket, target.ssl

    async def _serve(self) -> None:
        """Connect, and stay until the link ends."""
        point = self._point
        socket, self._ssl = await self._connect()
        rpc = Rpc(socket, point.clock, point.log, point.handle, point.config["MessageTimeout"], self._ids)
        self._rpc = rpc
        self._socket = socket
        self._beat_ms = self._pinged_ms = None
        try:
            self._connected()
            await rpc.run()
        finally:
            self._rpc = self._socket = None
            try:
                self._ended(socket)
            finally:
                await socket.close()

    def _connected(self) -> None:
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

    def _ended(self, socket) -> None:
        """Log why the link has ended: what we wanted, or what the WebSocket was closed with, by whichever side."""
        if self._point.clock.uptime_s() - self.since_s >= _GOOD_S:
            self._wait_ms = _FIRST_MS
        why = self.reason
        if not why:
            why = "closed with %d %s" % (socket.code or 0, socket.reason[:_SHOWN] or "by the other side")
        self._warn("disconnected", "the link to the central system ended: %s" % why)
        self._point.link_changed()

    async def _keep_alive(self):
        """Ping what has been silent for half of WebSocketPingInterval; give up what is silent for all of it.

        Returns ms until that is to be looked at again, None while there is no link.
        """
        socket = self._socket
        if socket is None:
            return None
        interval_ms = self._point.config["WebSocketPingInterval"] * 1000
        silent_ms = ticks_diff(self._point.clock.ticks_ms(), socket.last_heard_ms)
        if not interval_ms or silent_ms < interval_ms // 2:
            return min(_LOOK_MS, interval_ms // 2 - silent_ms if interval_ms else _LOOK_MS)
        if self._pinged_ms != socket.last_heard_ms:
            self._pinged_ms = socket.last_heard_ms
            self._point.start(self._ping, socket)
        elif silent_ms >= interval_ms:
            self.drop("no answer to a ping")
            return None
        return max(0, interval_ms - silent_ms)

    @staticmethod
    async def _ping(socket) -> None:
        try:
            await socket.ping()
        except Closed:
            # Whoever reads from it ends the link.
            return

    async def _step(self):
        """Register, or send the heartbeat that is due -> ms until there may be more to do, None without a link."""
        rpc = self._rpc
        if rpc is None or self.reason:
            # There is none, or it is being given up.
            return None
        try:
            if self.registration != "Accepted":
                return await self._register()
            return await self._beat()
        except Exception as error:
            # As in `run`: it costs this connection.
            self._point.failed(error)
            if rpc is self._rpc:
                self.drop("%r" % error)
            return None

    async def _beat(self) -> int:
        """Send a heartbeat if it is time -> ms until it is again."""
        interval_ms = self._point.config["HeartbeatInterval"] * 1000
        now = self._point.clock.ticks_ms()
        if self._beat_ms is None:
            self._beat_ms = now
        left_ms = interval_ms - ticks_diff(now, self._beat_ms)
        if left_ms > 0:
            return left_ms
        await self.heartbeat()
        self._beat_ms = self._point.clock.ticks_ms()
        return interval_ms

    async def heartbeat(self) -> None:
        """Send a Heartbeat, and take over the time of its answer."""
        try:
            answer = await self._point.call("Heartbeat", {}, triggered=True)
        except (CallError, CallTimeout, NotConnected) as error:
            self._point.log.add("warning", "ocpp", "no_heartbeat", "a heartbeat was not answered: %s" % error)
        else:
            self.take_time(answer["currentTime"])

    async def _register(self) -> int:
        """Send a BootNotification, but not before the time that the last answer asked for (4.2) -> ms until the next.

        That time is kept over connections: a central system that rejects a charge point may also close its link.
        """
        left_s = self._boot_at_s - self._point.clock.uptime_s()
        if left_s > 0:
            # Uptime is in whole seconds: not too early by a part of one.
            return left_s * 1000 + 1000
        await self._boot()
        if self.registration == "Accepted":
            self._point.link_changed()
            return 0
        return _SOON_MS

    async def _boot(self) -> None:
        """Send one BootNotification, and keep when the next may be sent."""
        point = self._point
        info = point.station.boot_info()
        wait_s = _BOOT_S
        try:
            answer = await point.call("BootNotification", info, registering=True)
        except NotConnected as error:
            self._warn("not_registered", "BootNotification failed: %s" % error)
            return
        except (CallError, CallTimeout) as error:
            point.log.add("warning", "ocpp", "not_registered", "BootNotification failed: %s" % error)
            if self.reason:
                # The link was dead: on the next one nothing is to be waited for.
                return
        else:
            self._booted(answer, info)
            wait_s = min(max(0, answer["interval"]), _LONGEST_BOOT_S) or _BOOT_S
            if self.registration == "Accepted":
                wait_s = 0
        self._boot_at_s = point.clock.uptime_s() + wait_s

    def _booted(self, answer: dict, info: dict) -> None:
        """Take over what the central system answers to a BootNotification with `info`."""
        point = self._point
        self.registration = answer["status"]
        self.take_time(answer["currentTime"])
        point.log.add("info", "ocpp", "registered", "the central system answers %s" % self.registration)
        if self.registration == "Accepted":
            self._told = info
            point.registered(max(0, answer["interval"]))

    def take_time(self, text: str) -> None:
        """Take over the central system's time when the clock is unknown or off."""
        point = self._point
        try:
            utc_s = timestamps.parse(text)
            if utc_s < _FIRST_S:
                raise ValueError("%s is older than OCPP 1.6" % timestamps.iso(utc_s))
        except ValueError as error:
            point.log.add("warning", "ocpp", "bad_time", "the central system's time is none: %s" % error)
            return
        known = point.clock.utc_s()
        if known is not None and abs(known - utc_s) < _CLOCK_S:
            return
        if self._locks_out(utc_s, known):
            text = "the central system's time is ignored: its own certificate is not valid at "
            self._warn("bad_time", text + timestamps.iso(utc_s))
            return
        point.clock.set_utc_s(utc_s)
        point.time_set()
        if known is None or abs(known - utc_s) >= _JUMP_S:
            point.security.event("SettingSystemTime", "set by the central system")

    def _locks_out(self, utc_s: int, known) -> bool:
        """Whether a time would end all connections, since at it the certificates of this very one are not valid.

        A clock that has stopped says 1970 or 2000. Who does not know the time takes one after their end, which comes.
        """
        ssl = self._ssl
        if ssl is None or ssl.since_s is None:
            return False
        return utc_s < ssl.since_s or (known is not None and utc_s > ssl.until_s)
