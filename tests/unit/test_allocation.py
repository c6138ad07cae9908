"""A control step allocates nothing: proven in every state, contactor phase and fault, under heap_lock.

A step that allocates raises MemoryError, for `explorer.World` locks the heap around each.
"""

from exploration_tables import BY_NAME, POWER_ON, SITUATIONS, WHAT, mend
from explorer import PHASES, Atlas, Coverage, World

from wallbox.charging import states as s
from wallbox.protection import faults as f

# One way to each fault: the situation, what happens in it, and the longest time until the fault is raised.
RAISED_BY = {
    f.RESIDUAL_CURRENT: ("charging", ("DC leak",), 1_000),
    f.RCM_SELF_TEST: ("standby", ("monitor deaf to its test", "car shows C"), 3_000),
    f.WELD: ("charging", ("L2 welds", "car shows B"), 2_000),
    f.NO_CLOSE: ("closing", ("contactor does not close",), 1_000),
    f.PE_LOST: ("charging", ("PE lost",), 1_000),
    f.OVER_VOLTAGE: ("charging", ("over-voltage",), 1_000),
    f.UNDER_VOLTAGE: ("charging", ("under-voltage",), 3_000),
    f.PHASE_LOSS: ("charging", ("L3 lost",), 2_000),
    f.PHASE_COUNT: ("charging", ("set up for one phase",), 3_000),
    f.FREQUENCY: ("charging", ("45 Hz",), 2_000),
    f.OVER_CURRENT: ("charging", ("car draws too much",), 20_000),
    f.SHORT_CIRCUIT: ("charging", ("car draws 100 A",), 1_000),
    f.OVER_TEMPERATURE: ("charging", ("too hot",), 2_000),
    f.TEMPERATURE_SENSOR: ("charging", ("sensor shorted",), 2_000),
    f.PILOT_SHORT: ("charging", ("pilot short",), 1_000),
    f.PILOT_LEVEL: ("charging", ("pilot at 15 V",), 1_000),
    f.DIODE: ("offered", ("diode shorted",), 1_000),
    f.PILOT_FEEDBACK: ("charging", ("pilot stuck at 32 A", "limit 10 A"), 1_000),
    f.VENTILATION: ("charging", ("car shows D",), 1_000),
    f.COMMUNICATION: ("charging", ("module lost",), 100),
    f.METER: ("charging", ("meter lost",), 100),
    f.STORAGE: ("charging", ("flash refuses",), 100),
    f.CONTACTOR_WORN: ("charging", ("contactor worn",), 100),
    f.PE_MONITOR: ("charging", ("set up to watch PE only", "PE lost"), 1_000),
}
# The longest recovery takes 30 s, a trip and a self-test less.
GONE_MS = 35_000

_built = []


def atlas():
    if not _built:
        _built.append(Atlas(POWER_ON, SITUATIONS, WHAT, BY_NAME))
    return _built[0]


def test_a_step_that_allocates_is_caught():
    world = World(Coverage())
    world.every_tick(100)
    publish = world.rig.control._publish
    world.rig.control._publish = lambda now: publish(now) or [now, now]
    try:
        world.every_tick(10)
    except MemoryError:
        return
    raise AssertionError("the heap was not locked")


def test_a_step_allocates_nothing_in_any_state_and_any_phase_of_the_contactor():
    found = atlas()
    assert not found.unreached and not found.breaches, found.unreached + found.breaches
    never = [name for state, name in enumerate(s.NAMES) if not found.coverage.states >> state & 1]
    assert not never, "never entered: %r" % never
    phases = {here & 3 for here in found.coverage.phases}
    never = [name for phase, name in enumerate(PHASES) if phase not in phases]
    assert not never, "never entered: %r" % never
    assert found.coverage.tests == {0, 1}, "no self-test that passed, or none that failed"
    # From each of them everything goes on for a while, so that timers run out under the lock, too.
    for name in found.kept:
        found.memory.put_back(found.kept[name])
        found.world.every_tick(1_500)


def test_a_step_allocates_nothing_while_any_fault_comes_stays_and_goes():
    found = atlas()
    world = found.world
    missing = [row[0] for fault, row in enumerate(f.CATALOGUE) if fault not in RAISED_BY]
    assert not missing, "no way to raise %r" % missing
    for fault, (situation, events, ms) in RAISED_BY.items():
        name = f.CATALOGUE[fault][0]
        found.memory.put_back(found.kept[situation])
        for event in events:
            BY_NAME[event](world)
        for _ in range(ms // 10):
            world.every_tick(10)
            if world.rig.faults.is_active(fault):
                break
        assert world.rig.faults.is_active(fault), "%s was not raised: %s" % (name, world.describe())
        world.every_tick(1_000)
        mend(world)
        world.every_tick(1_000)
        if world.plant.vehicle.plugged:
            world.plant.unplug()
        world.every_tick(GONE_MS)
        if f.CATALOGUE[fault][2] in (f.POWER, f.SERVICE):
            assert world.rig.faults.is_active(fault), "%s went by itself" % name
        else:
            assert not world.rig.faults.active, "%s stays: %s" % (name, world.describe())


def test_a_step_allocates_nothing_after_service_has_ended_a_fault():
    found = atlas()
    world = found.world
    for situation in ("welded", "monitor failed", "output broken", "short circuit"):
        found.memory.put_back(found.kept[situation])
        mend(world)
        world.every_tick(1_000)
        for fault in range(f.COUNT):
            world.rig.faults.clear(fault)
        # What a restart would do is no step's doing, so the rules are told.
        world.rules.active = 0
        world.rules.f_since = world.now - 1_000
        world.rig.control.poke()
        world.every_tick(3_000)
        assert not world.rig.faults.active, world.describe()
