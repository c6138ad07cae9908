"""A charge point's surroundings for tests of package ocpp: the station does what it is told."""

import asyncio
import json

from virtual_time import Log, Record, VirtualTime

from ocpp import link as link_module
from ocpp import schema
from ocpp.errors import NotConnected
from ocpp.together import Turns
from ocpp.websocket import Closed

UTC_S = 1_767_225_600  # 2026-01-01T00:00:00Z


class Clock(VirtualTime):
    """Virtual time with a time of day, which may be unknown."""

    def __init__(self):
        super().__init__()
        self.utc_base_s = UTC_S

    def uptime_s(self):
        return self.now_ms // 1000

    def utc_s(self):
        return None if self.utc_base_s is None else self.utc_base_s + self.now_ms // 1000

    def set_utc_s(self, seconds):
        self.utc_base_s = seconds - self.now_ms // 1000


class Station:
    """One connector; tests set what it is."""

    vendor = "maker"
    serial = "S1"

    def __init__(self):
        self.is_plugged = self.active = self.is_permitted = self.is_charging = self.has_charged = False
        self.is_offering = True
        self.is_offered = False
        self.waiting = self.tag = self.wrong = None
        self.register_wh = 1000
        self.measured = {}
        self.calls = []

    def boot_info(self):
        return {"chargePointVendor": "maker", "chargePointModel": "box"}

    def plugged(self):
        return self.is_plugged

    def session_active(self):
        return self.active

    def session_tag(self):
        return self.tag

    def waiting_tag(self):
        return self.waiting

    def permitted(self):
        return self.is_permitted

    def offers(self):
        return self.is_offering

    def offered(self):
        return self.is_offered

    def charging(self):
        return self.is_charging

    def was_charging(self):
        return self.has_charged

    def fault(self):
        return self.wrong

    def phases(self):
        return 3

    def volts(self):
        return 230

    def interruption(self):
        return "PowerLoss"

    def energy_wh(self):
        return self.register_wh

    def keep_energy(self):
        self.calls.append(("keep_energy",))

    def measurand(self, name, phase):
        return self.measured.get((name, phase))

    def changed(self):
        self.calls.append(("changed",))


class Point:
    """Notes what is sent; `answers` holds what `call` returns or raises for an action, {} otherwise."""

    def __init__(self, **config):
        self.clock = Clock()
        self.log = Log()
        self.station = Station()
        self.config = config
        self.sent = []
        self.answers = {}
        self.online = True
        self.operative = self.whole_operative = True
        self.writes = (0, 0, 0)
        self.sender = Turns(self.clock.ticks_ms)
        self.watch = Turns(self.clock.ticks_ms)

    def start(self, function, *arguments):
        asyncio.create_task(function(*arguments))

    async def call(self, action, payload, message_id=None, triggered=False, registering=False):
        if not (self.online or triggered or registering):
            raise NotConnected("not registered")
        schema.check_request(action, payload)
        await asyncio.sleep_ms(1)
        self.sent.append((self.clock.now_ms, action, payload))
        answer = self.answers.get(action, {})
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run(self, steps, *tasks):
        """Run the coroutine `steps` beside the coroutines `tasks`, which end with it."""

        async def all_of_it():
            running = [asyncio.create_task(task) for task in tasks]
            try:
                await steps
            finally:
                for task in running:
                    task.cancel()

        asyncio.run(all_of_it())


class Socket:
    """One WebSocket to a `Central`."""

    def __init__(self, central):
        self._central = central
        self._inbox = []
        self._arrived = asyncio.Event()
        self.last_heard_ms = central.clock.ticks_ms()
        self.code = None
        self.reason = ""

    def put(self, frame):
        """Let a frame, a JSON value, arrive."""
        if self.code is None:
            self.last_heard_ms = self._central.clock.ticks_ms()
            self._inbox.append(json.dumps(frame))
            self._arrived.set()

    async def recv_utf8(self):
        while not self._inbox:
            if self.code is not None:
                raise Closed(self.code)
            self._arrived.clear()
            await self._arrived.wait()
        return self._inbox.pop(0).encode()

    async def send(self, text):
        if self.code is not None:
            raise Closed(self.code)
        await asyncio.sleep_ms(1)
        self._central.heard(self, json.loads(text))

    async def ping(self):
        if self.code is not None:
            raise Closed(self.code)
        self._central.pings.append(self._central.clock.now_ms)
        if self._central.pongs:
            self.last_heard_ms = self._central.clock.ticks_ms()

    async def close(self, code=1000):
        if self.code is None:
            self.code = code
            self._arrived.set()


class Central:
    """Stands in for the central system, and for `ocpp.websocket.connect`, of one test.

    `refusals` are what connecting raises after `slow_s`, each a class and its arguments, the last one for ever; when
    there are none it succeeds. `answers` holds for an action what is answered, a list one after the other and the last
    for ever: a payload, an error code as text, or None for silence. `calls` are (ms, action, payload), `tries` and
    `pings` the ms at which they came, `asked` address and options of the last two tries.
    """

    def __init__(self, clock):
        self.clock = clock
        self.refusals = []
        self.slow_s = 0
        self.answers = {"Heartbeat": {"currentTime": "2026-01-01T00:00:00Z"}}
        self.pongs = True
        self.calls = []
        self.replies = []
        self.tries = []
        self.asked = []
        self.pings = []
        self.sockets = []
        link_module.connect = self.connect

    async def connect(self, open_connection, url, **options):
        self.tries.append(self.clock.now_ms)
        self.asked = self.asked[-1:] + [(url, options)]
        await asyncio.sleep(self.slow_s)
        if self.refusals:
            # A new one each time: MicroPython adds to the traceback of an old one.
            kind, arguments = self.refusals.pop(0) if len(self.refusals) > 1 else self.refusals[0]
            raise kind(*arguments)
        self.sockets.append(Socket(self))
        return self.sockets[-1]

    def heard(self, socket, frame):
        if frame[0] != 2:
            self.replies.append(frame)
            return
        _, message_id, action, payload = frame
        self.calls.append((self.clock.now_ms, action, payload))
        answer = self.answers.get(action, {})
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, str):
            socket.put([4, message_id, answer, "", {}])
        elif answer is not None:
            socket.put([3, message_id, answer])

    def times(self, action):
        """Seconds at which an action was called."""
        return [ms // 1000 for ms, name, _payload in self.calls if name == action]


class LinkPoint(Point):
    """A charge point with a real `Link` to a `Central`; `events` are the security events."""

    def __init__(self, **config):
        every = {"MessageTimeout": 30, "WebSocketPingInterval": 0, "HeartbeatInterval": 86_400}
        every.update(config)
        super().__init__(**every)
        self.chance = 0xFFFF
        self.told = []
        self.events = []
        self.handled = []
        self.failures = []
        self.open_connection = None
        self.answer = {}
        self.target = Record(url="ws://central/ocpp/", identity="box 1", password=None, ssl=None)
        self.security = Record(
            target=lambda: self.target,
            link_made=lambda: self.told.append("made"),
            link_failed=lambda error: self.failures.append(type(error)),
            event=lambda kind, text: self.events.append(kind),
        )
        self.central = Central(self.clock)
        self.link = link_module.Link(self)

    def random(self, count):
        return self.chance.to_bytes(count, "big")

    def failed(self, error):
        self.log.add("error", "ocpp", "failed", repr(error))

    def registered(self, interval_s):
        self.told.append(("registered", interval_s))

    def link_changed(self):
        self.told.append(("online", self.link.online))

    def time_set(self):
        self.told.append("time")

    async def handle(self, action, payload):
        self.handled.append((action, self.link.registration))
        return self.answer

    async def call(self, action, payload, message_id=None, triggered=False, registering=False):
        if not (self.link.online or registering or (triggered and self.link.connected)):
            raise NotConnected("not registered")
        answer = await self.link.call(action, payload, message_id)
        schema.check_response(action, answer)
        return answer

    def live(self, steps):
        """Run the coroutine `steps` beside the link."""
        self.run(steps, self.link.run(), self.sender.run(), self.watch.run())
