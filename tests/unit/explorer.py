"""Explores the control loop: a world that can be kept and put back, and the rules that hold after every step."""

import sys
from array import array

import micropython
from test_control import SETTINGS, Rig

from wallbox.charging import control as loop
from wallbox.charging import states as s
from wallbox.charging.contactor import IDLE
from wallbox.protection import faults as f

PERIOD_MS = 10
PHASES = ("idle", "closing", "closed", "checking")
INSTALLED = dict(SETTINGS, restart_delay_max_s=120)

# The limits the rules check, written down anew from the norms and the product's requirements.
ASK_MS = 6_000  # sequence 10.2: a car that does not answer may be cut off after 6 s, and R8 not before
OPEN_MS = 100  # sequences 2.2 and 8.1: contacts open after the car has left C
DROP_MS = 20  # of these the contacts of the simulated contactor take 18 ms, less than two steps
REFUSE_D_MS = 3_000  # sequence 12: nothing keeps a car that wants ventilation on the mains for longer
STATE_F_MS = 300  # table A.5 as EVerest has it
WAKE_F_MS = 30_000  # the longest pulse that wakes a car (R40)
FIRST_LEVEL_MS = 200  # to read the level after state F
DIODE_MS = 100  # the negative plateau is watched this long before anything closes
RECLOSE_MS = 2_000
WELD_MS = 1_100  # a second to see a weld on opening, half a second at rest (R10)
LEAST_MA, MOST_MA = 6_000, 32_000
HOUR_MS = 3_600_000
# What the filters of pilot levels can make of a car in C at the worst: midpoints with their hysteresis.
C_MV = (4_250, 7_750)
D_MV = (1_250, 4_250)
DIODE_MV = (-13_000, -10_000)
# A loop that wants every tick for this many ticks in a row does not rest any more.
RESTLESS_STEPS = 60
LONGEST_WAIT_MS = 10_000
MOST_SHOWN = 8


def mask(column, values):
    """The fault mask of the catalogue rows that hold one of `values` in `column`."""
    found = 0
    for i in range(f.COUNT):
        if f.CATALOGUE[i][column] in values:
            found |= 1 << i
    return found


RED = mask(1, (f.RED,))
PAUSE = mask(1, (f.PAUSE,))
ASKS_FOR_F = mask(4, (True,))
UNTIL_UNPLUGGED = mask(2, (f.UNPLUG, f.UNPLUG_AND_TEST))
UNTIL_TESTED = mask(2, (f.UNPLUG_AND_TEST,))
UNTIL_RESTART = mask(2, (f.POWER, f.SERVICE))
NOT_TRUSTED = 1 << f.WELD | 1 << f.RCM_SELF_TEST | 1 << f.PILOT_FEEDBACK | 1 << f.SHORT_CIRCUIT


def _grid(ms):
    return (ms + PERIOD_MS - 1) // PERIOD_MS * PERIOD_MS


class Coverage:
    """What was seen by any world: masks over states, catalogue rows and (state, contactor phase) pairs."""

    def __init__(self):
        self.states = 0
        self.transitions = set()
        self.phases = set()
        self.raised = 0
        self.cleared = 0
        self.tests = set()
        self.steps = 0
        self.runs = 0


class Rules:
    """What must hold after every step, judged from plant and outputs; a breach is an AssertionError."""

    def __init__(self, rig, coverage):
        self.rig = rig
        self.coverage = coverage
        self.state = s.A1
        self.coil = False
        self.test = False
        self.active = 0
        self.connected = False
        self.tested = False
        self.left_c2 = 0
        self.left_c = None
        self.asked_d = None
        self.opened = None
        self.diode_since = None
        self.live_since = None
        self.answered = False
        self.f_since = 0
        self.restless = 0
        self.recovered = ()

    def after_step(self, now, events):
        """`events` are those that the step put into the ring."""
        control = self.rig.control
        plant = self.rig.plant
        state = control.state
        active = self.rig.faults.active
        coil = plant.contactor.commanded
        assert coil == control.contactor.commanded, "the loop does not know what it asks of the coil"
        for code, a, b in events:
            if code == loop.EVENT_STATE:
                self.coverage.states |= 1 << b
                self.coverage.transitions.add((a, b))
            elif code == loop.EVENT_SELF_TEST:
                self.coverage.tests.add(a)
                self.tested = bool(a)
                assert not a or self.answered and not plant.rcm.tripped, "a test passes that was not answered"
        connected = self.rig.snapshot.car_connected
        if connected != self.connected:
            self.tested = False
        assert connected or not self.rig.session.authorised, "an authorisation outlives its car (R43)"
        self._note_diode(now, control)
        if state != s.C2 and self.state == s.C2:
            self.left_c2 = now
        self._car(now, plant, coil)
        if coil:
            self._energised(now, state, active, control)
        if coil != self.coil:
            if coil:
                self._closing(now, plant, control)
            else:
                self._opening(now, state, active)
        self._offer(now, state, control)
        self._self_test(plant, coil)
        self._weld(now, plant, coil, active)
        if active != self.active:
            self._faults(now, state, active, connected, events)
        self._state_f(now, state, active, control, events)
        assert self.rig.snapshot.faulted == (active & RED != 0), "the bar does not show what is wrong"
        self.coverage.phases.add(state << 2 | control.contactor.phase)
        self.state = state
        self.coil = coil
        self.active = active
        self.connected = connected

    def _note_diode(self, now, control):
        hal = control.pilot.hal
        if not 0 < control.pilot.duty < 1000 or not DIODE_MV[0] <= hal.low_mv <= DIODE_MV[1]:
            self.diode_since = None
        elif self.diode_since is None:
            self.diode_since = now

    def _car(self, now, plant, coil):
        """A car that leaves C, or asks for ventilation, is off the mains in time."""
        high_mv = plant.pilot.high_mv
        if not coil or C_MV[0] <= high_mv <= C_MV[1]:
            self.left_c = self.asked_d = None
            return
        if D_MV[0] <= high_mv <= D_MV[1]:
            self.left_c = None
            if self.asked_d is None:
                self.asked_d = now
            assert now - self.asked_d < REFUSE_D_MS - OPEN_MS, "ventilation is asked for and the coil is on"
            return
        if self.left_c is None:
            # The change came after the step before.
            self.left_c = now - PERIOD_MS
        assert now - self.left_c < OPEN_MS - DROP_MS, "the car left C %d ms ago" % (now - self.left_c)

    def _energised(self, now, state, active, control):
        assert state == s.C2 or state == s.C1, "coil on in " + s.NAMES[state]
        assert not active & RED, "coil on with a red fault"
        assert self.tested, "coil on without a self-test since the car came"
        if state == s.C1:
            assert now - self.left_c2 < ASK_MS, "coil on %d ms after C2" % (now - self.left_c2)
            return
        session = self.rig.session
        assert not active & PAUSE, "coil on in C2 with a fault that forbids charging"
        assert session.active and session.authorised, "coil on without authorisation"
        assert session.recorded, "coil on before the session is stored"
        assert SETTINGS["wizard_complete"], "coil on before the wizard is complete"
        assert not control._delay.running, "coil on during the delay after a power failure"

    def _closing(self, now, plant, control):
        assert control.state == s.C2, "closes in " + s.NAMES[control.state]
        assert C_MV[0] <= plant.pilot.high_mv <= C_MV[1], "closes on %d mV" % plant.pilot.high_mv
        since = self.diode_since
        assert since is not None and now - since >= DIODE_MS, "closes before the diode is proven"
        assert plant.contactor.live == 0, "closes on a live output"
        assert self.opened is None or now - self.opened >= RECLOSE_MS, "closes too soon"

    def _opening(self, now, state, active):
        self.opened = now
        if active & RED:
            return
        if state == s.C1:
            assert now - self.left_c2 >= ASK_MS, "opens after %d ms in C1 (R8)" % (now - self.left_c2)
        else:
            assert state != s.C2, "opens in C2 without a red fault (R8)"

    def _offer(self, now, state, control):
        offered = control.offered_ma
        duty = control.pilot.duty
        if s.PILOT[state] == s.PWM:
            assert LEAST_MA <= offered <= MOST_MA, "%d mA offered" % offered
            assert offered <= self.rig.offer.total_ma(now), "more offered than allowed"
            assert duty == offered // 60, "%d mA offered with a duty of %d" % (offered, duty)
            assert state in (s.B2, s.C2), "an offer stays in " + s.NAMES[state]
        else:
            assert offered == 0, "%d mA offered in %s" % (offered, s.NAMES[state])
            assert duty == 1000 or duty == 0 and state == s.F, "duty %d in %s" % (duty, s.NAMES[state])

    def _self_test(self, plant, coil):
        test = plant.rcm.test_input
        if test:
            assert not coil, "self-test with the coil on"
            assert self.test or plant.contactor.live == 0, "self-test begins on a live output"
            if not self.test:
                self.answered = False
        if (test or self.test) and plant.rcm.tripped:
            self.answered = True
        self.test = test

    def _weld(self, now, plant, coil, active):
        """An output that stays live without the coil is a weld (R10)."""
        if coil or not plant.contactor.live:
            self.live_since = None
        elif self.live_since is None:
            self.live_since = now
        else:
            found = active & (1 << f.WELD)
            assert found or now - self.live_since < WELD_MS, "a live output is not taken for a weld"

    def _faults(self, now, state, active, connected, events):
        new = active & ~self.active
        gone = self.active & ~active
        self.coverage.raised |= new
        self.coverage.cleared |= gone
        if new & ASKS_FOR_F:
            assert state == s.F, "fault without state F"
            self.f_since = now
        if new & (1 << f.PILOT_SHORT):
            assert state == s.E or state == s.F, "a short does not lead to E"
        assert not gone & UNTIL_RESTART, "a fault ends that only a restart may end"
        if gone & UNTIL_UNPLUGGED:
            assert not (connected and self.connected), "a latched fault ends with the car plugged in"
        if gone & UNTIL_TESTED:
            assert (loop.EVENT_SELF_TEST, True, 0) in events, "a trip ends without a self-test"
            assert len(self.recovered) < 3 or now - self.recovered[0] >= HOUR_MS, "a fourth recovery in an hour"
            self.recovered = (self.recovered + (now,))[-3:]

    def _state_f(self, now, state, active, control, events):
        if state == s.F:
            if self.state != s.F and not active & ~self.active & ASKS_FOR_F:
                assert self.state == s.B2 and control.contactor.phase == IDLE, "state F without a fault"
                assert (loop.EVENT_WAKE, control.wake._kind, False) in events, "state F without a reason"
                self.f_since = now
            # Put out, or over and no level to be read yet.
            asked = active & ASKS_FOR_F or control.pilot.duty and control.pilot.level > s.LEVEL_E
            assert asked or now - self.f_since <= WAKE_F_MS + FIRST_LEVEL_MS, "state F for ever"
            held = now - self.f_since < STATE_F_MS or active & NOT_TRUSTED
            assert not held or control.pilot.duty == 0, "state F without -12 V"
        elif self.state == s.F:
            assert now - self.f_since >= STATE_F_MS, "state F for %d ms" % (now - self.f_since)
            assert not active & NOT_TRUSTED, "state F left by a box that cannot be trusted"

    def rests(self, due_ms):
        """`due_ms` is when the loop wants its next step; a timer left overdue would make it want every tick."""
        if due_ms > 0:
            self.restless = 0
            return
        self.restless += 1
        assert self.restless < RESTLESS_STEPS, "the loop never rests"


def cell(world):
    """State, contactor phase, worst kind of fault, and what runs: equal for situations that are alike."""
    control = world.rig.control
    active = world.rig.faults.active
    kind = 0
    for i, faults in enumerate((PAUSE, RED, UNTIL_UNPLUGGED, UNTIL_TESTED, UNTIL_RESTART)):
        if active & faults:
            kind = i + 1
    runs = control.wake.under_way << 2 | control.residual.testing << 1 | control._f.running
    return control.state | control.contactor.phase << 4 | kind << 6 | runs << 9 | control._delay.running << 12


class Store:
    """Sessions in memory; `record` is what a power cut left behind."""

    def __init__(self):
        self.record = None

    def current(self):
        return self.record

    def open(self, _record):
        return 1

    def close(self, _reason, _wh, _seconds):
        self.record = None


class World:
    """The control loop on the simulated plant, and what the tasks around it would do.

    Every step runs under heap_lock and is checked against the rules.
    """

    def __init__(self, coverage):
        SETTINGS.update(INSTALLED)
        self.rig = Rig()
        self.coverage = coverage
        self.rules = Rules(self.rig, coverage)
        self.store = Store()
        self.tasks_stall = False
        self.trace = None
        self.watch = None
        self.seen = -1
        self.due_ms = 0
        self.rig.session._store = self.store
        self.rig.offer.set("installer", 32_000, "", "")
        self.rig.offer.set("cable", 32_000, "", "")

    @property
    def plant(self):
        return self.rig.plant

    @property
    def now(self):
        return self.rig.plant.now_ms

    def step(self):
        """One control step, then the session's task; the rules are asked in between."""
        rig = self.rig
        self.seen = rig.plant.changed
        micropython.heap_lock()
        try:
            rig.control.step()
        finally:
            micropython.heap_unlock()
        events = ()
        event = rig.ring.get()
        while event:
            events += (event,)
            event = rig.ring.get()
        self.coverage.steps += 1
        self.rules.after_step(rig.plant.now_ms, events)
        if self.trace is not None and events:
            self.trace.append((rig.plant.now_ms, events))
        self._tasks()
        self.due_ms = rig.control.next_due_ms()
        self.rules.rests(self.due_ms)
        if self.watch is not None:
            self.watch()

    def _tasks(self):
        """What the session's task would do now."""
        session = self.rig.session
        if not self.tasks_stall and session._wake.is_set():
            session._wake.clear()
            session._store_changes()

    def every_tick(self, ms):
        """Let `ms` pass with a step every 10 ms."""
        plant = self.rig.plant
        self._tasks()
        for _ in range(ms // PERIOD_MS):
            plant.advance_to(plant.now_ms + PERIOD_MS)
            self.step()

    def run(self, ms):
        """Let `ms` pass, leaving out the ticks that virtual time would leave out (boards/simulator/virtual.py)."""
        plant = self.rig.plant
        end = plant.now_ms + ms
        self._tasks()
        self.due_ms = self.rig.control.next_due_ms()
        while plant.now_ms < end:
            target = plant.now_ms + PERIOD_MS
            if plant.changed == self.seen:
                target = plant.now_ms + max(PERIOD_MS, _grid(self.due_ms))
                event = plant.next_event_ms()
                while event is not None and event < target and event <= end:
                    plant.advance_to(event)
                    if plant.changed != self.seen:
                        target = _grid(event)
                    event = plant.next_event_ms()
            if target > end:
                plant.advance_to(end)
                return
            plant.advance_to(target)
            self.step()

    def until(self, state, phase, what, ms):
        """Step every 10 ms until state and contactor phase are these and `what(control)`; False: not within `ms`."""
        control = self.rig.control
        for _ in range(ms // PERIOD_MS):
            if control.state == state and control.contactor.phase == phase and what(control):
                return True
            self.every_tick(PERIOD_MS)
        return False

    def describe(self):
        """State, contactor and faults in words."""
        control = self.rig.control
        names = [f.CATALOGUE[i][0] for i in range(f.COUNT) if self.rig.faults.active >> i & 1]
        return "%s, contactor %s, faults %s" % (s.NAMES[control.state], PHASES[control.contactor.phase], names)


PLAIN = (int, str, bytes, float, bool, type(None))
CODE = (type, type(sys), type(len), type(lambda: None), type([].append))
# Chips and memories that the loop does not reach, and what must not go back.
ELSEWHERE = ("reader_chip", "flash_device", "meter", "panel", "coverage", "trace", "watch")
# The one attribute that changes from one object to another; all others name the same object for ever.
MOVING = ("winner",)


class Memory:
    """Keeps all that can change in a world, and puts it back: objects, lists, dicts and arrays below it."""

    def __init__(self, world):
        self._objects = []
        self._fixed = []
        self._lists = []
        self._dicts = []
        self._arrays = []
        self._known = set()
        self._walk(world)
        self._known = set()

    def _walk(self, thing):
        kind = type(thing)
        if kind in PLAIN or kind in CODE or isinstance(thing, type) or id(thing) in self._known:
            return
        self._known.add(id(thing))
        if kind is array or kind is bytearray:
            self._arrays.append(thing)
        elif kind is dict:
            self._dicts.append(thing)
            self._walk_all(thing.values())
        elif kind is list or kind is tuple:
            if kind is list:
                self._lists.append(thing)
            self._walk_all(thing)
        elif hasattr(thing, "__dict__"):
            self._walk_object(thing)

    def _walk_all(self, things):
        for thing in things:
            self._walk(thing)

    def _walk_object(self, thing):
        values = []
        for name, value in thing.__dict__.items():
            if name in ELSEWHERE:
                continue
            if type(value) in PLAIN or type(value) is tuple or name in MOVING:
                values.append(name)
            else:
                self._fixed.append((thing, name, value))
            self._walk(value)
        self._objects.append((thing, tuple(values)))

    def keep(self):
        """Return a copy of everything as it is now."""
        for thing, name, value in self._fixed:
            assert getattr(thing, name) is value, "%s.%s is another object now" % (type(thing).__name__, name)
        return (
            tuple([getattr(thing, name) for thing, names in self._objects for name in names]),
            [tuple(values) for values in self._lists],
            [tuple(values.items()) for values in self._dicts],
            [values[:] for values in self._arrays],
        )

    def put_back(self, kept):
        """Make everything as it was when `kept` was made."""
        values, lists, dicts, arrays = kept
        i = 0
        for thing, names in self._objects:
            for name in names:
                setattr(thing, name, values[i])
                i += 1
        for i in range(len(lists)):
            self._lists[i][:] = lists[i]
        for i in range(len(dicts)):
            self._dicts[i].clear()
            self._dicts[i].update(dicts[i])
        for i in range(len(arrays)):
            memoryview(self._arrays[i])[:] = arrays[i]


class Atlas:
    """A world and its situations: each reached by its own story and kept, or told in `unreached` and `breaches`."""

    def __init__(self, power_on, situations, what, events):
        """`power_on` names the world before its first step, `what` are predicates of the control loop by name."""
        self.coverage = Coverage()
        self.world = World(self.coverage)
        self.memory = Memory(self.world)
        self.kept = {power_on: self.memory.keep()}
        self.unreached = []
        self.breaches = []
        self.breach_count = 0
        for name, base, story, state, phase, rest in situations:
            self.memory.put_back(self.kept[base])
            try:
                for event, ms in story:
                    if event:
                        events[event](self.world)
                    self.world.every_tick(ms)
                if not self.world.until(state, phase, what[rest], LONGEST_WAIT_MS):
                    self.unreached.append("%s: %s" % (name, self.world.describe()))
            except AssertionError as breach:
                self.breach(name, "its own story", breach)
            self.kept[name] = self.memory.keep()

    def breach(self, situation, events, error):
        """Note what broke a rule."""
        self.breach_count += 1
        if len(self.breaches) < MOST_SHOWN:
            self.breaches.append("%s + %s: %s (%s)" % (situation, events, error, self.world.describe()))
