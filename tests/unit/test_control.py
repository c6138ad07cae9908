"""The control loop on the simulated plant: no allocation in any state, and honest about its next due time."""

import micropython

from plant import board
from plant.plant import Plant
from wallbox.charging.control import Control
from wallbox.charging.delay import RestartDelay
from wallbox.charging.offer import Offer
from wallbox.charging.session import Session
from wallbox.charging.snapshot import Snapshot
from wallbox.clock import Clock
from wallbox.events import Ring
from wallbox.protection.faults import Faults

SETTINGS = {
    "phases": 3,
    "nominal_v": 230,
    "nominal_hz": 50,
    "pe_mode": "enable",
    "wizard_complete": True,
    "access_control": False,
    "authorisation_timeout_s": 60,
    "restart_delay_max_s": 0,
}


class Log:
    def add(self, *_words, **_context):
        pass


class Sessions:
    """Keeps nothing; the session is recorded at once."""

    def current(self):
        return None


class System:
    @staticmethod
    def reset_cause():
        return "power_on"


class PlantClock:
    ticker = None

    def __init__(self, plant):
        self._plant = plant

    def ticks_ms(self):
        return self._plant.now_ms

    def utc_ms(self):
        return None


class Board:
    def __init__(self):
        from hal.contactor import Contactor
        from hal.pilot import Pilot
        from hal.rcm import Rcm
        from hal.supply import Supply
        from hal.temperature import Temperature

        self.pilot = Pilot()
        self.contactor = Contactor()
        self.rcm = Rcm()
        self.supply = Supply()
        self.temperature = Temperature()


class Rig:
    def __init__(self):
        self.plant = board.plant = Plant(seed=3)
        self.clock = Clock(PlantClock(self.plant))
        self.snapshot = Snapshot()
        self.ring = Ring(64)
        self.faults = Faults(self.clock, lambda fault, value: None, lambda fault: None)
        self.offer = Offer(self.clock, self.poke)
        self.session = Session(self.clock, SETTINGS, Sessions(), Log(), self.poke)
        delay = RestartDelay(SETTINGS, System, Log())
        self.control = Control(
            self.clock, Board(), self.faults, self.offer, self.session, delay, self.snapshot, self.ring
        )
        self.control.configure(SETTINGS)
        self.offer.set("installer", 16000, "test", "test")
        self.control.begin()
        self.locked = 0

    def poke(self):
        self.control.poke()

    def run(self, seconds):
        """Every 10 ms one step under heap_lock; storing the session is left to the test."""
        step = self.control.step
        for _ in range(int(seconds * 100)):
            self.plant.advance_to(self.plant.now_ms + 10)
            micropython.heap_lock()
            try:
                step()
            finally:
                micropython.heap_unlock()
            self.locked += 1
            while self.ring.get():
                pass
            if self.session.active:
                self.session.recorded = True

    def reach(self, state, seconds):
        for _ in range(int(seconds * 10)):
            if self.snapshot.state == state:
                return
            self.run(0.1)
        raise AssertionError("%s not reached, but %s, faults %r" % (state, self.snapshot.state, self.faults.status()))


def test_a_step_allocates_nothing_from_standby_to_charge_and_back():
    rig = Rig()
    rig.run(3)
    rig.plant.plug()
    rig.reach("C2", 10)
    rig.run(10)
    assert rig.snapshot.contactor_closed
    rig.plant.car(state="D")
    rig.reach("D1", 2)
    rig.run(2)
    rig.plant.car(state="B")
    rig.reach("B2", 10)
    rig.offer.set("meter", 0, "test", "test")
    rig.reach("B1", 1)
    rig.plant.unplug()
    rig.reach("A1", 1)
    assert rig.locked > 1000


def test_a_step_allocates_nothing_while_faults_come_and_go():
    for name in ("residual_dc", "pilot_short", "pe", "overvoltage", "phase_loss", "temperature_sensor", "no_close"):
        rig = Rig()
        rig.run(2)
        rig.plant.plug()
        rig.run(4)
        rig.plant.fault(name)
        rig.run(5)
        rig.plant.clear(name)
        rig.run(1)
        rig.plant.unplug()
        rig.run(40)
        assert not rig.faults.active or name == "no_close", (name, rig.faults.status())


def test_steps_left_out_until_the_next_due_time_change_nothing():
    """Two rigs, the same story: one steps every 10 ms, the other only when something is due or has changed."""

    def story(skip):
        rig = Rig()
        seen = []
        due = changed = 0
        for tick in range(3000):
            if tick == 200:
                rig.plant.plug(soc_wh=20)
            elif tick == 900:
                rig.plant.fault("overvoltage")
            elif tick == 1300:
                rig.plant.clear("overvoltage")
            elif tick == 2900:
                rig.plant.unplug()
            rig.plant.advance_to(rig.plant.now_ms + 10)
            if skip and rig.plant.now_ms < due and rig.plant.changed == changed and rig.control.next_due_ms():
                continue
            changed = rig.plant.changed
            rig.control.step()
            if rig.session.active:
                rig.session.recorded = True
                rig.control.poke()
            due = rig.plant.now_ms + rig.control.next_due_ms()
            event = rig.ring.get()
            while event:
                seen.append((tick,) + event)
                event = rig.ring.get()
        return seen

    exact = story(False)
    assert len(exact) > 10
    assert story(True) == exact


def test_at_rest_nothing_stays_due():
    """A timer left overdue would make every tick count and virtual time crawl."""
    rig = Rig()
    rig.run(3)
    rig.plant.plug()
    rig.reach("C2", 10)
    rig.run(2)
    rig.offer.set("meter", 0, "test", "test")
    rig.run(60)
    assert rig.control.next_due_ms() >= 10
    for fault in ("residual_dc", "residual_dc", "residual_dc"):
        rig.offer.clear("meter")
        rig.run(5)
        rig.plant.fault(fault)
        rig.run(3)
        rig.plant.clear(fault)
        rig.plant.unplug()
        rig.run(5)
        rig.plant.plug()
    rig.plant.unplug()
    rig.run(3605)
    due = [rig.control.next_due_ms()]
    for _ in range(200):
        rig.run(0.01)
        due.append(rig.control.next_due_ms())
    assert max(due) > 500
    assert sum(1 for ms in due if ms == 0) < 20
