"""The control loop on the simulated plant: no allocation in any state, and honest about its next due time."""

import micropython

from plant import board
from plant.plant import Plant
from wallbox.charging.contactor import CLOSED
from wallbox.charging.control import EVENT_WAKE, Control
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
    "wake_up": True,
}


class Log:
    def add(self, *_words, **_context):
        pass


class Sessions:
    """Keeps why each session ended."""

    def __init__(self):
        self.ended = []

    def current(self):
        return None

    def open(self, _record):
        return len(self.ended) + 1

    def close(self, reason, _energy_wh, _duration_s):
        self.ended.append(reason)


class System:
    @staticmethod
    def reset_cause():
        return "power_on"

    @staticmethod
    def random(_low, high):
        return high


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
    def __init__(self, settings=SETTINGS):
        self.plant = board.plant = Plant(seed=3)
        self.clock = Clock(PlantClock(self.plant))
        self.snapshot = Snapshot()
        self.ring = Ring(64)
        self.faults = Faults(self.clock, lambda fault, value: None, lambda fault: None)
        self.offer = Offer(self.clock, self.poke)
        self.store = Sessions()
        self.session = Session(self.clock, settings, self.store, Log(), self.poke)
        delay = RestartDelay(settings, System)
        self.control = Control(
            self.clock, Board(), self.faults, self.offer, self.session, delay, self.snapshot, self.ring
        )
        self.control.configure(settings)
        self.offer.set("installer", 16000, "test", "test")
        self.control.begin()
        self.locked = 0

    def poke(self):
        self.control.poke()

    def run(self, seconds):
        """Every 10 ms one step under heap_lock, and then what the session's task would do."""
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
            self.session._store_changes()

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


def test_a_step_allocates_nothing_while_a_car_is_woken():
    rig = Rig()
    rig.run(2)
    rig.plant.plug(asleep="f_30s")
    rig.control.wake.allow_long = True
    rig.reach("F", 40)
    rig.run(1)
    assert not rig.snapshot.faulted and rig.snapshot.car_connected and rig.session.authorised
    rig.reach("C2", 120)
    rig.offer.set("meter", 0, "test", "test")
    rig.run(5)
    rig.plant.car(asleep="never")
    rig.offer.clear("meter")
    rig.reach("F", 40)
    rig.offer.set("meter", 0, "test", "test")
    rig.run(0.2)
    assert rig.snapshot.state == "F", "state F lasts 300 ms at least"
    rig.run(0.4)
    assert rig.snapshot.state == "B1"


def test_a_residual_current_recovery_allocates_nothing():
    rig = Rig()
    rig.run(2)
    for trip in range(1, 4):
        rig.plant.plug()
        rig.reach("C2", 10)
        rig.plant.fault("residual_dc")
        rig.run(2)
        rig.plant.clear("residual_dc")
        rig.plant.unplug()
        rig.run(5)
        assert rig.control.residual.recoveries == trip
        assert not rig.faults.active


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


def test_steps_left_out_during_a_wake_up_change_nothing():
    def story(skip):
        rig = Rig()
        seen = []
        due = changed = steps = 0
        for tick in range(12_000):
            if tick == 200:
                rig.plant.plug(asleep="f_4s")
            elif tick == 6_000:
                rig.offer.set("meter", 0, "test", "test")
            elif tick == 7_000:
                rig.plant.car(asleep="never")
                rig.offer.clear("meter")
            rig.plant.advance_to(rig.plant.now_ms + 10)
            if skip and rig.plant.now_ms < due and rig.plant.changed == changed and rig.control.next_due_ms():
                continue
            steps += 1
            changed = rig.plant.changed
            rig.control.step()
            if rig.session.active and not rig.session.recorded:
                rig.session.recorded = True
                rig.control.poke()
            due = rig.plant.now_ms + rig.control.next_due_ms()
            event = rig.ring.get()
            while event:
                seen.append((tick,) + event)
                event = rig.ring.get()
        return seen, steps

    exact, every = story(False)
    left_out, some = story(True)
    assert [event[1:] for event in exact if event[1] == EVENT_WAKE] == [(EVENT_WAKE, 1, 0), (EVENT_WAKE, 1, 1)] + [
        (EVENT_WAKE, 1, 0)
    ]
    assert left_out == exact
    assert some < every // 10


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


class Enough(Exception):
    """The contactor has closed."""


class Grid:
    """Ticks every 10 ms; the first after the contactor was told to close comes `late_ms` late."""

    deadline_ms = 50

    def __init__(self, rig, late_ms):
        self._rig = rig
        self._late_ms = late_ms
        self.late_ms = 0

    async def wait(self):
        rig = self._rig
        self.late_ms = 0
        if rig.control.contactor.commanded:
            self.late_ms, self._late_ms = self._late_ms, 0
        rig.plant.advance_to(rig.plant.now_ms + 10 + self.late_ms)
        rig.session.recorded = rig.session.active
        if rig.control.contactor.phase == CLOSED:
            raise Enough
        assert rig.plant.now_ms < 10_000


async def test_a_late_loop_gives_up_the_time_that_the_contactor_takes():
    for late_ms, closing_ms in ((0, 30), (10, 30), (20, 0)):
        rig = Rig()
        rig.plant.plug()
        grid = Grid(rig, late_ms)
        rig.clock.ticker = lambda period_ms, next_due_ms, grid=grid: grid
        try:
            await rig.control.run(lambda within_ms: None)
        except Enough:
            pass
        assert rig.control.contactor.health.status()["closing"]["worst_ms"] == closing_ms, late_ms
        assert rig.control.late == (1 if late_ms > 10 else 0)
