"""The control loop on a board whose every reading the test sets itself, and the words to tell a charge with it."""

from array import array

from virtual_time import Record

from wallbox.charging import states
from wallbox.charging.control import EVENT_STATE, PERIOD_MS, Control
from wallbox.charging.offer import Offer
from wallbox.charging.snapshot import Snapshot
from wallbox.events import Ring
from wallbox.protection.faults import CATALOGUE, COUNT, Faults

SETTINGS = {
    "phases": 3,
    "nominal_v": 230,
    "nominal_hz": 50,
    "pe_mode": "enable",
    "wizard_complete": True,
    "wake_up": False,
}
HIGH_MV = {"A": 12000, "B": 9000, "C": 6000, "D": 3000, "E": 0}


class Clock:
    def __init__(self, now_ms=1000):
        self.now_ms = now_ms
        self.seconds = 0

    def ticks_ms(self):
        return self.now_ms

    def uptime_s(self):
        return self.seconds


class Device:
    """A device of the hal: counts its samples; `follow` is what it does at each."""

    def __init__(self, **readings):
        self.samples = 0
        for name, value in readings.items():
            setattr(self, name, value)

    def sample(self):
        self.samples += 1
        self.follow()

    def follow(self):
        pass


class Pilot(Device):
    """A car's resistor behind its diode."""

    def __init__(self):
        super().__init__(high_mv=12000, low_mv=12000, duty_permille=1000)
        self.commands = []
        self.car = "A"
        self.diode = True

    def set_duty(self, permille):
        self.duty_permille = permille
        self.commands.append(permille)
        self.follow()

    def follow(self):
        self.high_mv = HIGH_MV[self.car] if self.duty_permille else -12000
        self.low_mv = -12000 if self.diode else -8800
        if self.duty_permille == 1000:
            self.low_mv = self.high_mv


class Contactor(Device):
    """Poles that follow at the next sample, unless they are welded or do not close."""

    def __init__(self):
        super().__init__(live=0)
        self.commands = []
        self.on = False
        self.welded = 0
        self.closes = 0b111

    def set(self, on):
        self.on = on
        self.commands.append(on)

    def follow(self):
        self.live = self.closes | self.welded if self.on else self.welded


class Rcm(Device):
    """A monitor that trips at the sample after the test coil is on."""

    def __init__(self):
        super().__init__(tripped=False, dc_ua=0, ac_ua=0)
        self.testing = False
        self.tests = 0
        self.deaf = False
        self.leak = False

    def set_test(self, on):
        self.testing = on
        self.tests += on

    def follow(self):
        self.tripped = self.leak or (self.testing and not self.deaf)


class Supply(Device):
    def __init__(self):
        super().__init__(frequency_mhz=50_000, pe_ok=True, energy_mwh=0)
        self.volts_mv = array("i", (230_000, 230_000, 230_000))
        self.current_ma = array("i", (0, 0, 0))
        self.power_w = array("i", (0, 0, 0))


class Session:
    """Permits what the test says and notes what the loop tells."""

    def __init__(self):
        self.active = True
        self.authorised = True
        self.recorded = True
        self.held = None
        self.timers = ()
        self.begun = []
        self.updates = []

    def begin(self, now):
        self.begun.append(now)

    def update(self, *told):
        self.updates.append(told)


class Delay:
    def __init__(self):
        self.running = False
        self.timers = ()
        self.calls = []

    def begin(self, now, interrupted):
        self.calls.append(("begin", now, interrupted))

    def car_at_start(self, now):
        self.calls.append(("car", now))

    def update(self, now):
        self.calls.append(("update", now))


class Rig:
    """`step` runs the loop; `trace` is what its ring told, as (ms since the start, what)."""

    def __init__(self, offer_ma=16000, begin=True, **settings):
        self.clock = Clock()
        self.pilot = Pilot()
        self.contactor = Contactor()
        self.rcm = Rcm()
        self.supply = Supply()
        self.temperature = Device(deci_c=250)
        hal = Record(
            pilot=self.pilot, contactor=self.contactor, rcm=self.rcm, supply=self.supply, temperature=self.temperature
        )
        self.faults = Faults(self.clock, self._raised, self._cleared)
        self.offer = Offer(self.clock, lambda: None)
        self.offer.set("installer", offer_ma, "rated", "installer")
        self.session = Session()
        self.delay = Delay()
        self.snapshot = Snapshot()
        self.ring = Ring(64)
        self.trace = []
        self.start_ms = self.clock.now_ms
        self.control = Control(
            self.clock, hal, self.faults, self.offer, self.session, self.delay, self.snapshot, self.ring
        )
        self.settings = dict(SETTINGS)
        self.settings.update(settings)
        if begin:
            self.control.configure(self.settings)
            self.control.begin()

    def _raised(self, fault, value):
        self.trace.append((self.ms, "+" + CATALOGUE[fault][0], value))

    def _cleared(self, fault):
        self.trace.append((self.ms, "-" + CATALOGUE[fault][0]))

    @property
    def ms(self):
        return self.clock.now_ms - self.start_ms

    @property
    def state(self):
        return states.NAMES[self.control.state]

    @property
    def active(self):
        return [CATALOGUE[fault][0] for fault in range(COUNT) if self.faults.is_active(fault)]

    def step(self, count=1):
        """So many steps of the loop, 10 ms apart."""
        for _ in range(count):
            self.clock.now_ms += PERIOD_MS
            self.control.step()
            event = self.ring.get()
            while event:
                code, a, b = event
                told = states.NAMES[a] + ">" + states.NAMES[b] if code == EVENT_STATE else event
                self.trace.append((self.ms, told))
                event = self.ring.get()

    def until(self, state, steps=400):
        """Step until the state is reached; return the ms that it took."""
        for count in range(steps):
            if self.state == state:
                return count * PERIOD_MS
            self.step()
        raise AssertionError("%s not reached but %s; %r" % (state, self.state, self.trace[-12:]))

    def told(self):
        """The trace since the last call."""
        trace, self.trace = self.trace, []
        return trace

    def charging(self, amps=16):
        """Bring a car to the full charge and forget the trace."""
        self.step(60)
        self.pilot.car = "B"
        self.step(100)
        self.pilot.car = "C"
        self.step(100)
        assert self.snapshot.charging, self.trace
        self.draw(amps)
        self.step(10)
        self.told()
        return self

    def draw(self, *amps):
        """What the car draws, on all phases or one after the other."""
        for i in range(3):
            self.supply.current_ma[i] = 1000 * (amps[i] if len(amps) > 1 else amps[0])
