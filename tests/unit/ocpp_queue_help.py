"""What tests of queue and transactions share: a box that lives from boot to boot, a central system that judges."""

import asyncio
import gc
import json

from storage_help import Log
from virtual_time import VirtualTime

from ocpp import samples
from ocpp.errors import CallError, CallTimeout, NotConnected
from ocpp.timestamps import parse
from ocpp.together import Turns
from ocpp.transactions import Transactions
from wallbox.storage.store import Store

NOON = 1767268800  # 2026-01-01T12:00:00Z
TAG = "04A1B2C3D4E5F6"
# What the tests keep would else lie scattered over the whole heap, and no room for a long list between.
gc.threshold(200000)
LIMIT_S = 40 * 24 * 3600


def energy(wh):
    return [{"value": str(wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}]


def usual(wh):
    """What a three-phase box tells: register, power, three currents, offer."""
    found = energy(wh) + [{"value": "11040", "measurand": "Power.Active.Import", "unit": "W"}]
    for phase in ("L1", "L2", "L3"):
        found.append({"value": "16.0", "measurand": "Current.Import", "unit": "A", "phase": phase})
    return found + [{"value": "16", "measurand": "Current.Offered", "unit": "A"}]


class Clock:
    """Uptime of one boot in virtual time, and a UTC that may be unknown or jump."""

    def __init__(self, time, utc=NOON):
        self._time = time
        self.ticks_ms = time.ticks_ms
        self.offset = None if utc is None else utc

    def uptime_s(self):
        return self._time.now_ms // 1000

    def utc_s(self):
        return None if self.offset is None else self.offset + self.uptime_s()

    def set_utc_s(self, seconds):
        self.offset = seconds - self.uptime_s()


class Auth:
    def __init__(self):
        self.learnt = []

    def learn(self, tag, info):
        self.learnt = self.learnt[-50:] + [(tag, info["status"])]


class Central:
    """A central system over all boots: it keeps what came and answers the same id the same way."""

    def __init__(self):
        self.seen = []
        self.answers = {}
        self.next_id = 100
        self.status = "Accepted"
        # What happens to the next messages: "refuse", "silent", "lost" (link gone before), "unheard" (after), None.
        self.plan = []

    def take(self, action, payload, message_id):
        """Answer a message; what the JSON of a link would refuse fails here."""
        step = self.plan.pop(0) if self.plan else None
        if step == "lost":
            raise NotConnected()
        self.seen.append((message_id, action, json.loads(json.dumps(payload))))
        if step == "refuse":
            raise CallError("InternalError", "no")
        if step == "silent":
            raise CallTimeout()
        if message_id not in self.answers:
            self.answers[message_id] = self._answer(action)
        if step == "unheard":
            raise NotConnected()
        return self.answers[message_id]

    def _answer(self, action):
        if action != "StartTransaction":
            return {}
        self.next_id += 1
        return {"transactionId": self.next_id, "idTagInfo": {"status": self.status}}

    def actions(self):
        return [action for _, action, _ in self.seen]

    def of(self, action):
        return [payload for _, found, payload in self.seen if found == action]

    def unique(self):
        """(action, payload) without those that came again; a repeated id must say the same and come next."""
        found, known = [], {}
        for message_id, action, payload in self.seen:
            assert len(message_id) <= 36
            if message_id in known:
                assert known[message_id] == (action, payload), (message_id, known[message_id], action, payload)
                assert found[-1] == (action, payload), "came again after others: %s" % message_id
                continue
            known[message_id] = action, payload
            found.append((action, payload))
        return found

    def transactions(self):
        """[start, values, stop] of each, after judging that the stream is one of whole transactions in order."""
        whole, start, values = [], None, []
        for action, payload in self.unique():
            if action == "StartTransaction":
                assert start is None, "a start before the last one's stop"
                start, values = payload, []
                number = 101 + len(whole)
            elif "transactionId" in payload:
                assert start is not None, (action, payload)
                assert payload["transactionId"] == number, (payload, number)
                if action == "MeterValues":
                    values.append(payload)
                else:
                    judge(start, values, payload)
                    whole.append((start, values, payload))
                    start = None
        assert start is None, "a start without stop"
        return whole


def judge(start, values, stop):
    """Times and registers of one transaction never go back."""
    when, register = parse(start["timestamp"]), start["meterStart"]
    for message in values:
        value = message["meterValue"][0]
        assert parse(value["timestamp"]) >= when, (start, values, stop)
        when = parse(value["timestamp"])
        wh = samples.register_wh(value["sampledValue"])
        assert wh is None or wh >= register, (start, values, stop)
        register = register if wh is None else wh
    assert parse(stop["timestamp"]) >= when, (start, values, stop)
    assert stop["meterStop"] >= register, (start, values, stop)
    former = parse(start["timestamp"])
    for value in stop.get("transactionData", ()):
        assert former <= parse(value["timestamp"]) <= parse(stop["timestamp"]), stop
        former = parse(value["timestamp"])


class Point:
    """The part of a charge point that transactions need, for one boot."""

    def __init__(self, folder, central, utc=NOON, online=True):
        self.time = VirtualTime()
        self.folder = folder
        self.central = central
        self.clock = Clock(self.time, utc)
        self.log = Log()
        self.auth = Auth()
        self.config = {"TransactionMessageAttempts": 3, "TransactionMessageRetryInterval": 60}
        self.refused = []
        self.sent_ms = []
        self.online = online
        self.sender = Turns(self.time.ticks_ms)
        self.transactions = Transactions(self)
        self.transactions.link(online)

    def stores(self, name):
        return Store(self.folder, name, 1, self.log)

    def go(self, online):
        self.online = online
        self.transactions.link(online)

    async def call(self, action, payload, message_id=None):
        if not self.online:
            raise NotConnected()
        self.sent_ms = self.sent_ms[-50:] + [self.time.now_ms]
        await asyncio.sleep_ms(20)
        try:
            return self.central.take(action, payload, message_id)
        except NotConnected:
            self.go(False)
            raise

    def transaction_refused(self, transaction, status):
        self.refused.append((transaction, status))

    async def delivered(self):
        """Wait until nothing waits any more."""
        for _ in range(LIMIT_S):
            if self.online and self.transactions.queue.head() is None:
                return
            await asyncio.sleep(1)
        raise AssertionError("not delivered: %s" % self.log.text())


def boot(folder, central, life, utc=NOON, online=True):
    """Let a box live from power-on to the end of `life(point)`, its delivery running beside; returns the point.

    A PowerCut of the flash ends it too, and is passed on.
    """
    asyncio.new_event_loop()
    point = Point(folder, central, utc, online)
    point.restored = point.transactions.restore()

    async def main():
        delivery = asyncio.create_task(point.sender.run())
        try:
            await life(point)
        finally:
            delivery.cancel()

    asyncio.run(main())
    return point


async def settle(point):
    """A life that only delivers what is there."""
    await point.delivered()
