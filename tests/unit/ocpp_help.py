"""A charge point's surroundings for tests of package ocpp: the station does what it is told."""

import asyncio

from virtual_time import Log, VirtualTime

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

    async def call(self, action, payload, message_id=None, triggered=False, registering=False):
        from ocpp import schema
        from ocpp.errors import NotConnected

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
