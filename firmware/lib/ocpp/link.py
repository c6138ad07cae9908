"""The link to the central system: connects, registers, keeps alive and comes back for ever; it reads no message."""

from binascii import hexlify
from os import urandom
from time import ticks_diff

from micropython import const

from ocpp.errors import CallError, CallTimeout, NotConnected, OcppError
from ocpp.rare import Rare, borrow
from ocpp.rpc import MessageIds, Rpc
from ocpp.together import Alarm
from ocpp.websocket import Closed, connect

# Between two tries: doubled each time, each drawn from half of it to all of it, so that a thousand boxes do not come
# back at the same moment (OCPP-J 1.6, 5.3 leaves the figures to us).
FIRST_MS = const(1_000)
_LONGEST_MS = const(60_000)
# A link that held for so long was a good one: the next try comes soon.
_GOOD_S = const(30)
# Intervals that are changed while something waits for the former one take effect within this time.
_LOOK_MS = const(10_000)
# A link that comes and goes all day must not wear out the flash that keeps warnings: one an hour, the others are info.
_WARN_S = const(3_600)
# Of a peer's reason to close in the log.
_SHOWN = const(60)

OFF = "off"
CONNECTING = "connecting"
WAITING = "waiting"
CONNECTED = "connected"


class Link(Rare):
    """One connection after the other to `point.security.target()`.

    `state` is OFF, CONNECTING, WAITING (for the next try) or CONNECTED; `registration` the status of the last
    BootNotification of this start, None before; `reason` why there is no link, for people.
    """

    RARE = """
joining made reconnect reachable leave boot interval_changed timeout_changed
registration take_time
"""

    def __init__(self, point):
        self._point = point
        self._turn = point.sender.add(self._step)
        self._watch = point.watch.add(self._keep_alive)
        self._wake = Alarm()
        self._ids = MessageIds(hexlify(urandom(6)).decode())
        self._wait_ms = FIRST_MS
        self._rpc = None
        self._socket = None
        self.ssl = None
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
        try:
            self._point.security.link_failed(error)
        except MemoryError as full:
            self._point.failed(full)
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

    async def _serve(self) -> None:
        """Connect, and stay until the link ends."""
        point = self._point
        socket = await borrow("joining").join(self, connect)
        rpc = Rpc(socket, point.clock, point.log, point.handle, point.config["MessageTimeout"], self._ids)
        self._rpc = rpc
        self._socket = socket
        self._beat_ms = self._pinged_ms = None
        try:
            self.made()
            await rpc.run()
        finally:
            self._rpc = self._socket = None
            try:
                self._ended(socket)
            finally:
                await socket.close()

    def _ended(self, socket) -> None:
        """Log why the link has ended: what we wanted, or what the WebSocket was closed with, by whichever side."""
        if self._point.clock.uptime_s() - self.since_s >= _GOOD_S:
            self._wait_ms = FIRST_MS
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
            self._point.start(self._ping, socket)
            self._pinged_ms = socket.last_heard_ms
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
                return await borrow("registration").register(self)
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
