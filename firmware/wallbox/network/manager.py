"""Task `network`: chooses among Ethernet, Wi-Fi and 4G, watches the choice, and comes back to a better one (R26).

It is the owner of the board's links. A link that is up proves nothing: what counts is whether the central system, or
without one a time server, is reached over it.
"""

import asyncio
import sys
from errno import EHOSTUNREACH

from micropython import const

from wallbox.timer import unwatched

_LOOK_MS = const(1_000)
_REST_MS = const(15_000)
# A link that says what is missing gets this long until the next in order is started, one that is on its way so long:
# DHCP alone may take 10 s, the association with an access point 5 s.
_PATIENCE_S = const(3)
_JOIN_S = const(20)
# For so long the central system may stay away before the link is doubted. It restarts, and our own attempts to connect
# are up to a minute apart at first.
_NOWHERE_S = const(180)
# A doubted link is left alone for so long, twice as long the next time, and so on up to the second.
_DOUBT_S = const(300)
_DOUBT_MAX_S = const(3_600)
# A better link has to be up for so long before it is gone back to; twice as long after each loss within the third.
_HOLD_S = const(60)
_HOLD_MAX_S = const(3_600)
_SHAKY_S = const(600)
# A worse link runs on for so long after a better one has taken over.
_SETTLED_S = const(60)
# How long a trial over a better link may take.
_TRIAL_MS = const(15_000)
# The time is asked for again after a failure.
_TIME_RETRY_S = const(60)
_TIME_RETRY_MAX_S = const(3_600)
# Of the links behind the one that is looked at in their order: stop them, leave them as they are, start the next.
_NO_MORE = const(0)
_AS_THEY_ARE = const(1)
_ONE_MORE = const(2)

# What a link says of itself -> seconds until it is started anew, at first and at most. Others come back by themselves,
# or, as a refused PIN, only by somebody's doing: the third wrong one locks the SIM card.
_RETRY_S = {
    "no_network": (4, 120),
    "no_address": (60, 600),
    "no_modem": (60, 1_800),
    "wrong_password": (60, 3_600),
}
# Those that will not change within seconds.
_CLEAR = ("off", "no_cable", "no_modem", "wrong_password", "wrong_pin", "broken")
_PREFIXES = {"lan": "lan_", "wlan": "wifi_", "modem": "modem_ apn sim_"}


class Way:
    """A link and what is known of it; times are uptimes in s. `state` is the hal's word when it was last looked at."""

    def __init__(self, link):
        self.link = link
        self.name = link.name
        self.state = "off"
        self.renew(0)

    def renew(self, now: int) -> None:
        """Forget the past, as after a change of settings."""
        self.running = False
        # When the state was last another, and when it last ceased to be up or was started.
        self.since_s = self.down_s = now
        self.retry_at_s = None
        self.retry_s = 0
        self.doubted_until_s = 0
        self.doubt_s = _DOUBT_S
        self.hold_s = _HOLD_S
        self.told = ""
        # Whether it was up with these settings: then a password is not wrong, a handshake has only failed.
        self.known = False

    @property
    def up(self) -> bool:
        """Whether it has an address."""
        return self.state == "up"

    def doubted(self, now: int) -> bool:
        """Whether it has led nowhere a short while ago."""
        return now < self.doubted_until_s

    def patient(self, now: int) -> bool:
        """Whether it may still come up before the next is worth a try."""
        return not self.up and now - self.down_s < (_PATIENCE_S if self.state in _CLEAR else _JOIN_S)


class Manager:
    """`app` is the composition root; `current` the Way that is in use, None while there is none."""

    def __init__(self, app, net):
        self.app = app
        self.net = net
        self.borrow = borrow
        self.ways = {link.name: Way(link) for link in net.links}
        self.current = None
        self.since_s = 0
        self._proof_s = 0
        self.cache = {}
        self.turn = 0
        self.clock = app.clock
        self.log = app.log
        self._time_at_s = 0
        self._time_wait_s = _TIME_RETRY_S
        # Whether the last time server was reached, None before any was asked; and those that do not want to be asked.
        self.time_told = None
        self.refused = []
        self._chosen = asyncio.Event()
        # Whether the SIM card has refused the PIN of the settings, None until it is read from flash.
        self.pin_refused = None
        app.settings.listeners.append(self._settings_changed)

    # -- what others use ------------------------------------------------------------------------------

    async def open_connection(self, host: str, port: int, ssl=None):
        """As `asyncio.open_connection`, over the link that is in use. OSError, also when there is none."""
        if self.current is None and any(way.running and way.patient(self.now()) for way in self.ways.values()):
            try:
                await asyncio.wait_for_ms(self._chosen.wait(), _JOIN_S * 1000)
            except asyncio.TimeoutError:
                pass
        if self.current is None:
            raise OSError(EHOSTUNREACH, self._told().why(self))
        return await self._reach(self.current).connect(host, port, ssl)

    def _reach(self, way):
        """What can be done over a link; its module is let go with it."""
        return self.borrow("wallbox.network.reach").Reach(self, way)

    def status(self) -> dict:
        """{"link", "since_s", "reason", "time_told", "links"}: of each "state", "address", "signal_dbm", "doubted"."""
        return self._told().status(self)

    def _told(self):
        """What is told of the links."""
        return self.borrow("wallbox.network.told")

    # -- settings -------------------------------------------------------------------------------------

    def _settings_changed(self, keys) -> None:
        for way in self.ways.values():
            if any(key.startswith(prefix) for key in keys for prefix in _PREFIXES[way.name].split()):
                self._stop(way)
                way.renew(self.now())
        if "sim_pin_password" in keys:
            # Whoever sets it means it.
            self.pin_refused = False
            self.borrow("wallbox.network.pin").keep(self.app, False)
        if "ntp_servers" in keys:
            self._forget_time_servers()
        if "ocpp_url" in keys:
            self._proof_s = self.now()
            self.cache.clear()

    def _forget_time_servers(self) -> None:
        """Ask those of the settings as if none had been asked."""
        self.refused = []
        self.time_told = None
        self._time_at_s = 0
        self._time_wait_s = _TIME_RETRY_S

    def wanted(self, name: str) -> bool:
        """Whether a link is set up at all."""
        settings = self.app.settings
        if name == "lan":
            return settings["lan_on"]
        if name == "wlan":
            return settings["wifi_on"] and bool(settings["wifi_ssid"])
        return settings["modem_use"] != "off" and bool(settings["apn"])

    def _barred(self, way) -> bool:
        """Whether the SIM card has refused this PIN before: the third wrong one locks it, restarts or not."""
        if way.name != "modem" or not self.app.settings["sim_pin_password"]:
            return False
        if self.pin_refused is None:
            self.pin_refused = self.borrow("wallbox.network.pin").refused(self.app)
        return self.pin_refused

    # -- the task -------------------------------------------------------------------------------------

    async def run(self, beat=unwatched) -> None:
        """Look after the links for ever."""
        while True:
            beat(_REST_MS * 2 + _TRIAL_MS * 4)
            better = self.look()
            if better is not None:
                works = await self._reach(better).trial(_TRIAL_MS)
                # Settings may have stopped it meanwhile.
                if better.running and not works:
                    self._doubt(better)
                elif better.running and better.link.state() == "up":
                    self.use(better, "works again")
            elif self._time_due():
                await self._ask_time()
            await self.clock.poll(_LOOK_MS, _REST_MS)

    def look(self):
        """Start, stop and choose, as things are now -> a better Way that is worth a trial, or None."""
        now = self.now()
        ways = [self.ways[name] for name in self.app.settings["network_order"].split()]
        self._start_and_stop(ways, now)
        for way in ways:
            self._see(way, now)
        self._judge(now)
        return self._choose([way for way in ways if way.running], now)

    def now(self) -> int:
        """Uptime in s."""
        return self.clock.uptime_s()

    def _see(self, way, now: int) -> None:
        """Note what a link says of itself."""
        state = way.link.state() if way.running else "wrong_pin" if self._barred(way) else "off"
        if state == way.state:
            if way.up and now - way.since_s >= _SETTLED_S:
                way.retry_s = 0
            return
        was_up = way.up
        way.state = state
        if was_up:
            way.down_s = now
            if way is self.current and now - self.since_s < _SHAKY_S:
                way.hold_s = min(_HOLD_MAX_S, way.hold_s * 2)
        way.since_s = now
        if way.up:
            way.known = True
        retry = _RETRY_S.get("no_network" if way.known and state == "wrong_password" else state)
        way.retry_at_s = None
        if retry is not None and way.running:
            way.retry_s = min(retry[1], max(retry[0], way.retry_s * 2))
            way.retry_at_s = now + way.retry_s
        if state == "wrong_pin" and way.running:
            self.pin_refused = bool(self.app.settings["sim_pin_password"])
            self.borrow("wallbox.network.pin").keep(self.app, self.pin_refused)
        if state not in ("connecting", "off") and state != way.told:
            way.told = state
            self._told().state(self, way)

    def _judge(self, now: int) -> None:
        """Doubt the link in use when it has led nowhere for long."""
        way = self.current
        if way is None or not way.up:
            return
        if self._proven():
            self._proof_s = now
            way.doubted_until_s = 0
            way.doubt_s = _DOUBT_S
            if now - self.since_s >= _SHAKY_S:
                way.hold_s = _HOLD_S
        elif now - max(self._proof_s, self.since_s) >= _NOWHERE_S and not way.doubted(now):
            self._doubt(way)
            self._told().nowhere(self, way, _NOWHERE_S)
            self._proof_s = now
            if not self._others(way):
                # It may be our own end that hangs.
                self._restart(way, now)

    def _doubt(self, way) -> None:
        way.doubted_until_s = self.now() + way.doubt_s
        way.doubt_s = min(_DOUBT_MAX_S, way.doubt_s * 2)

    def _proven(self) -> bool:
        """Whether somebody at the other end is reached, or nobody is asked for."""
        if self.app.settings["ocpp_url"]:
            return self.app.backend.connected()
        return self.time_told is not False

    def _works(self) -> bool:
        """Whether somebody was reached over the link in use."""
        return bool(self.app.backend.connected() if self.app.settings["ocpp_url"] else self.time_told)

    def _others(self, way) -> bool:
        return any(self.wanted(other.name) for other in self.ways.values() if other is not way)

    def _choose(self, ways, now: int):
        """Take what works into use -> a better Way that is to be tried first, or None."""
        current = self.current
        if current is not None and (not current.running or (not current.up and not current.patient(now))):
            self.use(None, current.state)
            current = None
        fit = [way for way in ways if way.up and not way.doubted(now)]
        if current is None:
            fit = fit or [way for way in ways if way.up]
            if fit:
                self.use(fit[0], "is up")
        elif current.up and current.doubted(now):
            if fit:
                self.use(fit[0], "the other leads nowhere")
        elif fit and current in ways and ways.index(fit[0]) < ways.index(current):
            if now - fit[0].since_s >= fit[0].hold_s:
                if self._works():
                    return fit[0]
                self.use(fit[0], "is up again")
        return None

    def use(self, way, reason: str) -> None:
        """All goes over `way` from now on; None: over none, since what was used is in the state `reason`."""
        former = self.current
        self.current = way
        self.since_s = self._proof_s = now = self.now()
        self.cache.clear()
        self.net.use(None if way is None else way.link)
        if way is None:
            self._chosen.clear()
        else:
            if self.time_told is not True:
                self._time_at_s = now
                self._time_wait_s = _TIME_RETRY_S
            self._chosen.set()
            self.app.backend.reachable()
        # Last: it may find no room in the heap.
        self._told().used(self, way or former, way is None, reason)

    def _start_and_stop(self, ways, now: int) -> None:
        """Have those links running that are needed, and those that are better than the one in use."""
        need = _ONE_MORE
        for way in ways:
            if not self.wanted(way.name) or (need == _NO_MORE and not self._kept(way)):
                self._stop(way)
                continue
            due = way.retry_at_s is not None and now >= way.retry_at_s
            if (due and way.running) or (not way.running and (need == _ONE_MORE or self._kept(way))):
                self._restart(way, now)
            if way.up and not way.doubted(now):
                settled = way is self.current and now - self.since_s >= _SETTLED_S
                need = _NO_MORE if settled else min(need, _AS_THEY_ARE)
            elif way.running and way.patient(now):
                need = min(need, _AS_THEY_ARE)

    def _kept(self, way) -> bool:
        return way.name == "modem" and self.app.settings["modem_use"] == "always"

    def _restart(self, way, now: int) -> None:
        """Start a link, anew if it runs already."""
        if way.link.slow_start and self.app.snapshot.contactor_closed:
            # It would hold up the control loop.
            return
        if self._barred(way):
            return
        way.retry_at_s = None
        if not way.running:
            way.running = True
            way.down_s = way.since_s = now
        if way.up:
            way.down_s = now
        # Whatever it says next is news.
        way.state = "connecting"
        try:
            way.link.start(self.app.settings)
        except (OSError, MemoryError) as error:
            way.state = way.link.state()
            retry_s = way.retry_s = min(_RETRY_S["no_modem"][1], max(_RETRY_S["no_modem"][0], way.retry_s * 2))
            way.retry_at_s = now + retry_s
            self._told().not_started(self, way, error)

    def _stop(self, way) -> None:
        if not way.running:
            return
        way.link.stop()
        way.running = False
        way.state = "off"
        way.since_s = way.down_s = self.now()
        way.retry_at_s = None

    def time_servers(self) -> list:
        """Hosts, each perhaps with :port."""
        return self.app.settings["ntp_servers"].split()

    def _time_due(self) -> bool:
        way = self.current
        if way is None or not way.up or self.now() < self._time_at_s:
            return False
        return bool(self.time_servers()) and bool(way.link.servers())

    async def _ask_time(self) -> None:
        """Ask the time servers, now and then."""
        servers = self.time_servers()
        wait_s = await self._reach(self.current).time()
        if self.time_servers() != servers:
            # What has come of it is not about these.
            self._forget_time_servers()
            return
        if wait_s is None:
            wait_s = self._time_wait_s
            self._time_wait_s = min(_TIME_RETRY_MAX_S, wait_s * 2)
        else:
            self._time_wait_s = _TIME_RETRY_S
        self._time_at_s = self.now() + wait_s


def borrow(name: str):
    """A module for one use, let go when the last who uses it has done so."""
    module = __import__(name, None, None, ("x",))
    sys.modules.pop(name, None)
    package, _, last = name.rpartition(".")
    if package and hasattr(sys.modules[package], last):
        delattr(sys.modules[package], last)
    return module
