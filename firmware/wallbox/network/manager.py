"""Task `network`: chooses among Ethernet, Wi-Fi and 4G, watches the choice, and comes back to a better one (R26).

It is the owner of the board's links. A link that is up proves nothing: what counts is whether the central system, or
without one a time server, is reached over it.
"""

import asyncio
import sys
from binascii import crc32
from errno import EHOSTUNREACH

from micropython import const

from wallbox.storage.store import Store
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
# After the time was told it is asked for again after so long; after a failure sooner.
_TIME_S = const(21_600)
_TIME_RETRY_S = const(60)
_TIME_RETRY_MAX_S = const(3_600)
_FOLDER = "wallbox.network"
_VERSION = const(1)
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
_WORDS = {"lan": "Ethernet", "wlan": "Wi-Fi", "modem": "4G"}
_STATES = {
    "off": "is off",
    "no_cable": "has no cable",
    "no_network": "finds no network",
    "no_modem": "does not answer",
    "connecting": "connects",
    "wrong_password": "is refused: the password is wrong",
    "wrong_pin": "is refused: the PIN of the SIM card is wrong",
    "no_address": "is given no address",
    "broken": "is defective",
    "up": "is up",
}
_PREFIXES = {"lan": "lan_", "wlan": "wifi_", "modem": "modem_ apn sim_"}


class Way:
    """A link and what is known of it; times are uptimes in s. `state` is the hal's word when it was last looked at."""

    def __init__(self, link):
        self.link = link
        self.name = link.name
        self.words = _WORDS[link.name]
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
        self._app = app
        self._net = net
        self._ways = {link.name: Way(link) for link in net.links}
        self.current = None
        self.since_s = 0
        self._proof_s = 0
        self._cache = {}
        self._turn = 0
        self.clock = app.clock
        self.log = app.log
        self._time_at_s = 0
        self._time_wait_s = _TIME_RETRY_S
        # Whether the last time server was reached, None before any was asked; and those that do not want to be asked.
        self.time_told = None
        self.refused = []
        self._chosen = asyncio.Event()
        # The check sum of a PIN that the SIM card has refused, None until it is read from flash.
        self._bad_pin = None
        app.settings.listeners.append(self._settings_changed)

    # -- what others use ------------------------------------------------------------------------------

    async def open_connection(self, host: str, port: int, ssl=None):
        """As `asyncio.open_connection`, over the link that is in use. OSError, also when there is none."""
        if self.current is None and any(way.running and way.patient(self._now()) for way in self._ways.values()):
            try:
                await asyncio.wait_for_ms(self._chosen.wait(), _JOIN_S * 1000)
            except asyncio.TimeoutError:
                pass
        if self.current is None:
            raise OSError(EHOSTUNREACH, self._why())
        return await self._connect(self.current, host, port, ssl)

    async def _connect(self, way, host: str, port: int, ssl=None):
        addresses = await self.look_up(host, way)
        # The next attempt takes the next one.
        self._turn += 1
        address = addresses[self._turn % len(addresses)] if addresses else None
        return await self._net.open_connection(host, port, ssl, address=address, link=way.link)

    async def look_up(self, host: str, way) -> list:
        """Addresses of `host` as they are known over `way`; none where the board itself has to know. OSError."""
        servers = way.link.servers()
        dns = _borrow("dns")
        if not servers and not dns.is_address(host):
            return []
        return await dns.resolve(
            host,
            servers,
            cache=self._cache if way is self.current else None,
            now_s=self._now,
            open_udp=lambda address, port: self._net.open_udp(address, port, way.link),
        )

    async def ask(self, address: str, port: int, request: bytes, accept, way):
        """Send a datagram over `way`, and give what comes back to `accept` until it is not None -> that. OSError."""
        sock = self._net.open_udp(address, port, way.link)
        try:
            return await _borrow("dns").exchange(sock, request, accept)
        finally:
            sock.close()

    def status(self) -> dict:
        """{"link", "since_s", "reason", "time_told", "links": {name: {"state", "address", "signal_dbm"}}}."""
        links = {}
        for way in self._ways.values():
            link = way.link
            links[way.name] = {
                "state": way.state,
                "address": link.address() if way.up else "",
                "signal_dbm": link.signal_dbm() if way.up else None,
                "doubted": way.doubted(self._now()),
            }
        return {
            "link": None if self.current is None else self.current.name,
            "since_s": self.since_s,
            "reason": "" if self.current else self._why(),
            "time_told": self.time_told,
            "links": links,
        }

    def _why(self) -> str:
        """Why there is no network, for people."""
        ways = [self._ways[name] for name in self._app.settings["network_order"].split() if self._wanted(name)]
        words = ["%s %s" % (way.words, _STATES[way.state]) for way in ways]
        return "there is no network: %s" % (", ".join(words) or "no link is set up")

    # -- settings -------------------------------------------------------------------------------------

    def _settings_changed(self, keys) -> None:
        for way in self._ways.values():
            if any(key.startswith(prefix) for key in keys for prefix in _PREFIXES[way.name].split()):
                self._stop(way)
                way.renew(self._now())
        if "sim_pin_password" in keys:
            # Whoever sets it means it.
            self._keep_bad_pin(0)
        if "ntp_servers" in keys:
            self.refused = []
            self.time_told = None
            self._time_at_s = 0
            self._time_wait_s = _TIME_RETRY_S
        if "ocpp_url" in keys:
            self._proof_s = self._now()
            self._cache.clear()

    def _wanted(self, name: str) -> bool:
        """Whether a link is set up at all."""
        settings = self._app.settings
        if name == "lan":
            return settings["lan_on"]
        if name == "wlan":
            return settings["wifi_on"] and bool(settings["wifi_ssid"])
        return settings["modem_use"] != "off" and bool(settings["apn"])

    def _barred(self, way) -> bool:
        """Whether the SIM card has refused this PIN before: the third wrong one locks it, restarts or not."""
        pin = self._app.settings["sim_pin_password"]
        if way.name != "modem" or not pin:
            return False
        if self._bad_pin is None:
            kept = self._pin_store().load()
            self._bad_pin = kept if isinstance(kept, int) else 0
        return crc32(pin.encode()) == self._bad_pin

    def _keep_bad_pin(self, check: int) -> None:
        self._bad_pin = check
        try:
            self._pin_store().save(check)
        except OSError as error:
            self.log.add("error", "network", "not_stored", "that a PIN is refused was not stored: %s" % _words(error))

    def _pin_store(self) -> Store:
        return Store(self._app.folder, "sim", _VERSION, self.log)

    # -- the task -------------------------------------------------------------------------------------

    async def run(self, beat=unwatched) -> None:
        """Look after the links for ever."""
        while True:
            beat(_REST_MS * 2 + _TRIAL_MS * 4)
            better = self.look()
            if better is not None:
                await self._try(better)
            elif self._time_due():
                await self._ask_time()
            await self.clock.poll(_LOOK_MS, _REST_MS)

    def look(self):
        """Start, stop and choose, as things are now -> a better Way that is worth a trial, or None."""
        now = self._now()
        ways = [self._ways[name] for name in self._app.settings["network_order"].split()]
        self._start_and_stop(ways, now)
        for way in ways:
            self._see(way, now)
        self._judge(now)
        return self._choose([way for way in ways if way.running], now)

    def _now(self) -> int:
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
        retry = _RETRY_S.get(state)
        way.retry_at_s = None
        if retry is not None and way.running:
            way.retry_s = min(retry[1], max(retry[0], way.retry_s * 2))
            way.retry_at_s = now + way.retry_s
        if state == "wrong_pin" and way.running:
            self._keep_bad_pin(crc32(self._app.settings["sim_pin_password"].encode()))
        if state not in ("connecting", "off") and state != way.told:
            way.told = state
            level = "info" if way.up or state == "no_cable" else "warning"
            words = "%s %s" % (way.words, _STATES[state])
            self.log.add(level, "network", state, words + (": %s" % way.link.address() if way.up else ""))

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
            way.doubted_until_s = now + way.doubt_s
            way.doubt_s = min(_DOUBT_MAX_S, way.doubt_s * 2)
            what = "the central system" if self._app.settings["ocpp_url"] else "a time server"
            text = "%s is up, but %s was not reached over it for %d s" % (way.words, what, _NOWHERE_S)
            self.log.add("warning", "network", "leads_nowhere", text)
            self._proof_s = now
            if not self._others(way):
                # It may be our own end that hangs.
                self._restart(way, now)

    def _proven(self) -> bool:
        """Whether somebody at the other end is reached, or nobody is asked for."""
        if self._app.settings["ocpp_url"]:
            return self._app.backend.connected()
        return self.time_told is not False

    def _works(self) -> bool:
        """Whether somebody was reached over the link in use."""
        return bool(self._app.backend.connected() if self._app.settings["ocpp_url"] else self.time_told)

    def _others(self, way) -> bool:
        return any(self._wanted(other.name) for other in self._ways.values() if other is not way)

    def _choose(self, ways, now: int):
        """Take what works into use -> a better Way that is to be tried first, or None."""
        current = self.current
        if current is not None and (not current.running or (not current.up and not current.patient(now))):
            self._use(None, "%s %s" % (current.words, _STATES[current.state]), now)
            current = None
        fit = [way for way in ways if way.up and not way.doubted(now)]
        if current is None:
            fit = fit or [way for way in ways if way.up]
            if fit:
                self._use(fit[0], "%s is up" % fit[0].words, now)
        elif current.up and current.doubted(now):
            if fit:
                self._use(fit[0], "%s leads nowhere" % current.words, now)
        elif fit and current in ways and ways.index(fit[0]) < ways.index(current):
            if now - fit[0].since_s >= fit[0].hold_s:
                if self._works():
                    return fit[0]
                self._use(fit[0], "%s is up again" % fit[0].words, now)
        return None

    def _use(self, way, reason: str, now: int) -> None:
        """All goes over `way` from now on; None: over none."""
        self.current = way
        self.since_s = self._proof_s = now
        self._cache.clear()
        self._net.use(None if way is None else way.link)
        if way is None:
            self._chosen.clear()
            self.log.add("warning", "network", "no_link", "there is no network: %s" % reason)
            return
        self.log.add("info", "network", "link", "the network is reached over %s: %s" % (way.words, reason))
        if self.time_told is not True:
            self._time_at_s = now
            self._time_wait_s = _TIME_RETRY_S
        self._chosen.set()
        self._app.backend.reachable()

    def _start_and_stop(self, ways, now: int) -> None:
        """Have those links running that are needed, and those that are better than the one in use."""
        need = _ONE_MORE
        for way in ways:
            if not self._wanted(way.name) or (need == _NO_MORE and not self._kept(way)):
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
        return way.name == "modem" and self._app.settings["modem_use"] == "always"

    def _restart(self, way, now: int) -> None:
        """Start a link, anew if it runs already."""
        if way.link.slow_start and self._app.snapshot.contactor_closed:
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
            way.link.start(self._app.settings)
        except OSError as error:
            way.state = way.link.state()
            retry_s = way.retry_s = min(_RETRY_S["no_modem"][1], max(_RETRY_S["no_modem"][0], way.retry_s * 2))
            way.retry_at_s = now + retry_s
            self.log.add("error", "network", "not_started", "%s cannot be started: %s" % (way.words, _words(error)))

    def _stop(self, way) -> None:
        if not way.running:
            return
        way.link.stop()
        way.running = False
        way.state = "off"
        way.since_s = way.down_s = self._now()
        way.retry_at_s = None

    # -- trials ---------------------------------------------------------------------------------------

    async def _try(self, way) -> None:
        """Go back to a better link when it leads somewhere."""
        reason = "%s works again" % way.words
        try:
            await asyncio.wait_for_ms(self._reach(way), _TRIAL_MS)
        except (asyncio.TimeoutError, OSError) as error:
            now = self._now()
            way.doubted_until_s = now + way.doubt_s
            way.doubt_s = min(_DOUBT_MAX_S, way.doubt_s * 2)
            why = "no answer" if isinstance(error, asyncio.TimeoutError) else _words(error)
            text = "%s is up, but leads nowhere: %s" % (way.words, why)
            self.log.add("warning", "network", "leads_nowhere", text)
            return
        if way.link.state() == "up":
            self._use(way, reason, self._now())

    async def _reach(self, way) -> None:
        """Reach the central system, or without one a time server, over `way`; OSError."""
        url = self._app.settings["ocpp_url"]
        if not url:
            await self._time_over(way)
            return
        _, writer = await self._connect(way, *_place(url))
        writer.close()
        await writer.wait_closed()

    # -- the time -------------------------------------------------------------------------------------

    def time_servers(self) -> list:
        """Hosts, each perhaps with :port."""
        return self._app.settings["ntp_servers"].split()

    def _time_due(self) -> bool:
        way = self.current
        if way is None or not way.up or self._now() < self._time_at_s:
            return False
        return bool(self.time_servers()) and bool(way.link.servers())

    async def _ask_time(self) -> None:
        """Ask the time servers, and set the clock by what they agree on."""
        try:
            wait_s = await self._time_over(self.current)
        except OSError as error:
            if self.time_told is not False:
                self.time_told = False
                self.log.add("info", "network", "no_time", "no time server was reached: %s" % _words(error))
            wait_s = self._time_wait_s
            self._time_wait_s = min(_TIME_RETRY_MAX_S, wait_s * 2)
        else:
            self.time_told = True
            self._time_wait_s = _TIME_RETRY_S
        self._time_at_s = self._now() + wait_s

    async def _time_over(self, way) -> int:
        """Set the clock over `way` -> seconds until the next time; OSError when no server has answered."""
        ntp = _borrow(_FOLDER + ".ntp")
        return await ntp.set_clock(self, way)


def _words(error) -> str:
    """What an OSError says, without its number where there are words."""
    return str(error.args[-1]) if error.args else repr(error)


def _place(url: str) -> tuple:
    """(host, port) of a URL that the settings have allowed (RFC 6455, 3)."""
    scheme, _, rest = url.partition("://")
    place = rest.split("/", 1)[0].split("?", 1)[0]
    port = 443 if scheme == "wss" else 80
    host, colon, digits = place.rpartition(":")
    if colon and digits.isdigit() and (":" not in host or host.endswith("]")):
        place, port = host, int(digits)
    return place.strip("[]"), port


def _borrow(name: str):
    """A module for one use, let go when the last who uses it has done so."""
    module = __import__(name, None, None, ("x",))
    sys.modules.pop(name, None)
    package, _, last = name.rpartition(".")
    if package and hasattr(sys.modules[package], last):
        delattr(sys.modules[package], last)
    return module
