"""The state table and the control loop, explored: every situation, every event, every pair of events.

The table is held against the norm's transitions; the loop runs on the simulated plant with the rules of
`explorer.Rules` asked after every step. Counts are printed.
"""

from exploration_tables import BY_NAME, EVENTS, POWER_ON, SITUATIONS, VARIANTS, WHAT, mend
from explorer import PHASES, UNTIL_RESTART, UNTIL_TESTED, Atlas, Coverage, World, cell

from plant.faults import FAULTS
from wallbox.charging import states as s
from wallbox.charging.contactor import CLOSED
from wallbox.charging.pilot import UNKNOWN
from wallbox.protection.faults import CATALOGUE, COUNT

# -- the table ------------------------------------------------------------------------------------------

# Where the norm lets each state go, with the names of its sequences (annex A, table A.6; facts of the field).
# E and F can come from everywhere (sequence 12), and from both a car is found in whatever state it is, without
# an offer. A state with an offer (2) follows the car with the offer standing, and ends by itself without a car.
# D2 is never offered, as the box has no ventilation input: it is only where a charging car may go by itself.
NORM = {
    "A1": "B1 C1 D1",  # 1.1, 1.2
    "A2": "A1 B2 C2 D2",  # 9.3; 1.1, 1.2 while the offer stands
    "B1": "A1 C1 D1 B2",  # 2.1, car asks without an offer, 3.1
    "B2": "A2 C2 D2 B1",  # 2.1, 4, 9.2
    "C1": "A1 B1 D1 C2",  # 2.2, 8.2, 3.2
    "C2": "A2 B2 D2 C1",  # 2.2, 8.1, 9.1
    "D1": "A1 B1 C1",  # 2.2, 8.2
    "D2": "A2 B2 C2 D1",  # 2.2, 8.1, 9.1
    "E": "A1 B1 C1 D1",
    "F": "A1 B1 C1 D1",
}
LEVELS = (s.LEVEL_A, s.LEVEL_B, s.LEVEL_C, s.LEVEL_D, s.LEVEL_E)
# What the loop never asks of the table: A2 and D2 end in the step that enters them, by a withdrawal; an offer is
# made to a car in B or C alone, and to none while a fault forbids it (Control._may_offer); a car is woken in B2.
NEVER_OFFERED = (s.A1, s.A2, s.D1, s.D2, s.E, s.F)
TRANSIENT = (s.A2, s.D2)


def allowed(old, new):
    return old == new or s.NAMES[new] in NORM[s.NAMES[old]].split() + ["E", "F"]


def one_step(state, fault, level, wish):
    """A step of the loop on the table: fault, then level, then wish; [(state, event)] and the state in the end.

    The wish to wake the car ends the offer; it comes from B2 alone (charging/wakeup.py).
    """
    cells = []

    def go(event):
        nonlocal state
        cells.append((state, event))
        state = s.NEXT[state][event]

    if fault:
        go(s.FAULT)
    elif level is not None:
        go(level)
    if wish == s.WAKE and state == s.B2:
        go(s.WAKE)
    go(s.OFFER if wish == s.OFFER else s.WITHDRAW)
    return cells, state


def steps():
    """Every combination of a step: fault, accepted level or None, and the wish that the loop may have then."""
    for level in LEVELS + (None,):
        yield True, level, s.WITHDRAW
        yield False, level, s.WITHDRAW
        if level == s.LEVEL_B or level == s.LEVEL_C:
            yield False, level, s.OFFER
    yield False, s.LEVEL_B, s.WAKE


def test_every_transition_of_the_table_is_one_of_the_norm_and_every_row_is_reached():
    reached, front, transitions = {s.A1}, [s.A1], set()
    while front:
        state = front.pop(0)
        for event in range(len(s.EVENTS)):
            after = s.NEXT[state][event]
            assert allowed(state, after), "%s -> %s on %s" % (s.NAMES[state], s.NAMES[after], s.EVENTS[event])
            transitions.add((state, after))
            if after not in reached:
                reached.add(after)
                front.append(after)
    rows = [name for state, name in enumerate(s.NAMES) if state not in reached]
    assert not rows, "never reached: %r" % rows
    assert len(s.NAMES) == len(NORM) == 10
    possible = {(old, new) for old in range(10) for new in range(10) if allowed(old, new)}
    assert possible == transitions, "the norm knows what the table does not: %r" % (possible - transitions)
    print("table: %d states, %d cells, %d transitions" % (len(reached), 10 * len(s.EVENTS), len(transitions)))


def test_every_ordered_pair_of_events_from_every_state_stays_within_the_norm():
    pairs = 0
    for first in range(len(s.EVENTS)):
        for second in range(len(s.EVENTS)):
            for state in range(10):
                between = s.NEXT[state][first]
                after = s.NEXT[between][second]
                pairs += 1
                assert allowed(state, between) and allowed(between, after)
                words = "%s: %s, then %s" % (s.NAMES[state], s.EVENTS[first], s.EVENTS[second])
                assert second != s.WITHDRAW or s.PILOT[after] != s.PWM, words
                assert second != s.FAULT or after == s.F, words
                if s.CONTACTOR[after] == s.CLOSE:
                    # Closing needs an offer, now or standing, and a car in C, now or before.
                    assert s.OFFER in (first, second) or s.PILOT[state] == s.PWM, words
                    assert s.LEVEL_C in (first, second) or state in (s.C1, s.C2), words
    print("table: %d ordered pairs of events" % pairs)


def test_as_the_loop_applies_events_only_the_cells_of_passing_states_stay_unused():
    reached, front, cells = {s.A1}, [s.A1], set()
    combinations = 0
    while front:
        state = front.pop(0)
        for fault, level, wish in steps():
            used, after = one_step(state, fault, level, wish)
            combinations += 1
            cells.update(used)
            assert not (fault and after != s.F)
            assert wish == s.OFFER or s.PILOT[after] != s.PWM
            if after not in reached:
                reached.add(after)
                front.append(after)
    assert reached == set(range(10)) - set(TRANSIENT), "a passing state lasts, or one that lasts is never reached"
    unused = {(state, event) for state in range(10) for event in range(len(s.EVENTS))} - cells
    expected = {(state, event) for state in TRANSIENT for event in range(len(s.EVENTS)) if event != s.WITHDRAW}
    expected |= {(state, s.OFFER) for state in NEVER_OFFERED}
    expected |= {(state, s.WAKE) for state in range(10) if state != s.B2}
    assert all(s.NEXT[state][s.WAKE] == state for state in range(10) if state != s.B2), "it wakes from B2 alone"
    assert unused == expected, sorted(unused ^ expected)
    print("table as the loop uses it: %d states that last, %d combinations" % (len(reached), combinations))


def test_the_loop_applies_fault_then_level_then_wish():
    world = World(Coverage())
    world.every_tick(1000)
    control = world.rig.control
    checked = 0
    for state in range(10):
        for fault, level, wish in steps():
            control.state = state
            control._f.stop()
            world.rig.faults.asks_for_f = fault
            control.pilot.level = UNKNOWN if level is None else level
            control._may_offer = lambda _now, wish=wish: wish == s.OFFER
            control.wake.update = lambda _now, state, _permitted, _may, wish=wish: wish == s.WAKE and state == s.B2
            control._step_table(world.now)
            assert control.state == one_step(state, fault, level, wish)[1], (s.NAMES[state], fault, level, wish)
            checked += 1
    assert checked == 150
    for level in LEVELS:
        control.state = s.F
        control._f.start(world.now, 300)
        control.pilot.level = level
        control._step_table(world.now)
        assert control.state == s.F, "a level ends F before its time"


# -- the loop -------------------------------------------------------------------------------------------

SINGLE_MS = 8_000
PAIR_MS = 1_100
# Every so many single events is run with all ticks as well, to compare.
EXACT_EVERY = 8
EXACT_MS = 3_000
# The longest recovery is 30 s, the restart delay here 120 s; then a car charges within 8 s.
RECOVER_MS, DELAY_MS, CHARGE_MS = 35_000, 125_000, 8_000
# Faults of bus and memory never reach the loop; what the app makes of them is an event of its own.
OUTSIDE_THE_LOOP = {"meter_silent", "meter_garbage", "flash_error"}


class Exploration(Atlas):
    """The situations of the table and what happened in them; each part is run once, whoever asks first."""

    def __init__(self):
        super().__init__(POWER_ON, SITUATIONS, WHAT, BY_NAME)
        self.ran_singles = False

    def run(self, situation, events, ms):
        """Put the situation back, let the events happen at once, and let `ms` pass; False when a rule broke."""
        self.memory.put_back(self.kept[situation])
        self.coverage.runs += 1
        try:
            for _, _, happens in events:
                happens(self.world)
            self.world.run(ms)
        except AssertionError as breach:
            self.breach(situation, ", ".join([name for name, _, _ in events]), breach)
            return False
        return True

    def singles(self):
        """Every event in every situation, and after each: mended and with another car, does the box charge?"""
        if self.ran_singles:
            return
        self.ran_singles = True
        for name in self.kept:
            for event in EVENTS:
                if self.run(name, (event,), SINGLE_MS):
                    self._recovers(name, event)

    def _recovers(self, situation, event):
        world = self.world
        control = world.rig.control
        active = 0
        try:
            mend(world)
            if world.plant.vehicle.plugged:
                world.plant.unplug()
            world.run(RECOVER_MS)
            if control._delay.running:
                world.run(DELAY_MS)
            world.plant.plug()
            world.run(CHARGE_MS)
            active = world.rig.faults.active
            if active & UNTIL_RESTART or active & UNTIL_TESTED and not control.residual.may_recover:
                return
            assert control.state == s.C2 and control.contactor.phase == CLOSED, "it does not charge any more"
        except AssertionError as breach:
            self.breach(situation, event[0] + ", then mended", breach)

    def check(self):
        """Fail with the breaches found so far."""
        shown, count = self.breaches, self.breach_count
        self.breaches, self.breach_count = [], 0
        assert not count, "%d breaches of the rules, of which:\n%s" % (count, "\n".join(shown))


_found = []


def exploration():
    """The exploration that the tests share."""
    if not _found:
        _found.append(Exploration())
    return _found[0]


def test_every_situation_can_be_reached_within_the_rules():
    found = exploration()
    names = [row[0] for row in SITUATIONS]
    assert len(set(names)) == len(names) and len({row[0] for row in EVENTS}) == len(EVENTS)
    unused = set(WHAT) - {row[5] for row in SITUATIONS}
    assert not unused, unused
    assert not found.unreached, found.unreached
    found.check()
    print("loop: %d situations, %d events" % (len(SITUATIONS), len(EVENTS)))


def test_every_injectable_fault_is_an_event():
    used = set()
    for _, _, happens in EVENTS:
        world = World(Coverage())
        world.plant.plug()
        happens(world)
        used.update(world.plant.faults)
    assert used | OUTSIDE_THE_LOOP == set(FAULTS), set(FAULTS) ^ (used | OUTSIDE_THE_LOOP)


def test_a_world_that_was_put_back_tells_the_same_story_again():
    found = exploration()
    world = found.world
    stories = []
    for _ in range(2):
        for event in EVENTS:
            world.trace = []
            found.run("charging", (event,), SINGLE_MS)
            stories.append(world.trace)
        found.run("welded", (EVENTS[0],), SINGLE_MS)
    world.trace = None
    half = len(stories) // 2
    assert stories[:half] == stories[half:]
    assert len([story for story in stories if story]) > half


def test_every_event_in_every_situation_keeps_the_rules_and_leaves_a_box_that_can_be_mended():
    found = exploration()
    before = found.coverage.steps
    found.singles()
    found.check()
    print("loop: %d events in situations, %d steps" % (len(found.kept) * len(EVENTS), found.coverage.steps - before))


def test_ticks_left_out_change_nothing_in_any_situation():
    found = exploration()
    world = found.world
    compared = 0
    for i, name in enumerate(found.kept):
        for event in [EVENTS[j] for j in range(i % EXACT_EVERY, len(EVENTS), EXACT_EVERY)]:
            world.trace = left_out = []
            found.run(name, (event,), EXACT_MS)
            world.trace = exact = []
            found.memory.put_back(found.kept[name])
            event[2](world)
            world.every_tick(EXACT_MS)
            world.trace = None
            assert left_out == exact, "%s + %s: %r, with every tick %r" % (name, event[0], left_out, exact)
            compared += 1
    assert compared > 400
    print("loop: %d runs compared tick by tick" % compared)


def test_every_pair_of_events_in_every_situation_keeps_the_rules():
    found = exploration()
    before = found.coverage.steps
    events = [event for event in EVENTS if event[0] not in VARIANTS]
    assert len(events) == len(EVENTS) - len(VARIANTS)
    pairs = [(one, two) for i, one in enumerate(events) for two in events[i + 1 :] if one[1] != two[1]]
    for name in found.kept:
        for pair in pairs:
            found.run(name, pair, PAIR_MS)
    found.check()
    total = len(found.kept) * len(pairs)
    print("loop: %d pairs, %d pairs in situations, %d steps" % (len(pairs), total, found.coverage.steps - before))


def test_situations_that_nobody_named_keep_the_rules_too():
    """From every situation that differs in its cell from all before, every event: until nothing new turns up."""
    found = exploration()
    world = found.world
    seen, front = set(), []

    def look():
        here = cell(world)
        if here not in seen:
            seen.add(here)
            front.append(found.memory.keep())

    for name in found.kept:
        found.memory.put_back(found.kept[name])
        look()
    named = len(seen)
    world.watch = look
    explored = 0
    while front:
        found.kept["unnamed"] = front.pop()
        explored += 1
        for event in EVENTS:
            found.run("unnamed", (event,), PAIR_MS)
    world.watch = None
    del found.kept["unnamed"]
    found.check()
    assert explored == len(seen) > named
    print("loop: %d cells, %d of them named" % (explored, named))


def test_no_state_phase_or_fault_was_left_unvisited():
    found = exploration()
    found.singles()
    coverage = found.coverage
    assert coverage.states == (1 << 10) - 1, [name for i, name in enumerate(s.NAMES) if not coverage.states >> i & 1]
    never = [CATALOGUE[i][0] for i in range(COUNT) if not coverage.raised >> i & 1]
    assert not never, "never raised: %r" % never
    # What ends by itself or by a person at the plug ends somewhere; what needs a restart nowhere.
    kept = [CATALOGUE[i][0] for i in range(COUNT) if not (coverage.cleared | UNTIL_RESTART) >> i & 1]
    assert not kept, "never cleared: %r" % kept
    assert not coverage.cleared & UNTIL_RESTART
    assert coverage.tests == {0, 1}
    phases = {here & 3 for here in coverage.phases}
    assert phases == set(range(len(PHASES)))
    for old, new in coverage.transitions:
        assert allowed(old, new), (s.NAMES[old], s.NAMES[new])
    possible = {(old, new) for old in range(10) for new in range(10) if old != new and allowed(old, new)}
    possible -= {pair for pair in possible if pair[0] in TRANSIENT and pair[1] not in (s.A1, s.D1)}
    never = ["%s -> %s" % (s.NAMES[old], s.NAMES[new]) for old, new in possible - coverage.transitions]
    assert not never, never
    print("loop: %d transitions, %d faults raised" % (len(coverage.transitions), COUNT))
    print("loop: %d runs, %d steps in all" % (coverage.runs, coverage.steps))
