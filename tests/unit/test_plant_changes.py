"""The counter of sensed changes, the order of events, and that the same seed gives the same plant."""

from plant_bench import Bench, refusal

from hal import system
from plant import board
from plant.dice import Dice
from plant.faults import FAULTS
from plant.scheduler import Scheduler


def steps(bench, dice):
    """Things that happen to a board, as callables; the values come from the dice."""
    plant = bench.plant

    def charge():
        for name in FAULTS:
            plant.clear(name)
        plant.power_on()
        plant.grid(volts=230)
        bench.rcm.set_test(False)
        bench.pilot.set_duty(266 + dice.between(0, 200))
        bench.contactor.set(True)
        if not plant.vehicle.plugged:
            plant.plug()

    return (
        lambda: plant.plug(phases=(1, 3)[dice.between(0, 1)], soc_wh=(None, 500)[dice.between(0, 1)]),
        plant.unplug,
        lambda: plant.car(state=("B", "C", "D", "auto")[dice.between(0, 3)]),
        lambda: plant.car(diode=bool(dice.between(0, 1)), ignore_pwm=bool(dice.between(0, 1))),
        lambda: plant.car(draw_a=(10, "auto")[dice.between(0, 1)]),
        lambda: plant.house(amps=dice.between(0, 30), pv_w=dice.between(0, 5000)),
        lambda: plant.grid(volts=dice.between(0, 1) * 230, hz=dice.between(49, 51)),
        lambda: plant.ambient(dice.between(-20, 60)),
        lambda: plant.fault(FAULTS[dice.between(0, len(FAULTS) - 1)]),
        lambda: plant.clear(FAULTS[dice.between(0, len(FAULTS) - 1)]),
        plant.power_off,
        plant.power_on,
        lambda: bench.pilot.set_duty((0, 50, 100, 266, 533, 1000)[dice.between(0, 5)]),
        charge,
        charge,
        charge,
        lambda: bench.contactor.set(dice.between(0, 2) > 0),
        lambda: bench.rcm.set_test(dice.between(0, 1) > 0),
    )


def play(seed, count, look):
    """Let `count` random things happen; `look(bench)` is called after each and after every event."""
    bench = Bench(seed)
    dice = Dice(seed + 1000)
    actions = steps(bench, dice)
    look(bench)
    for _ in range(count):
        try:
            actions[dice.between(0, len(actions) - 1)]()
        except ValueError:
            # No car to unplug, or one there already: what is refused must change nothing.
            pass
        look(bench)
        end = bench.plant.now_ms + dice.between(0, 5000)
        while True:
            event = bench.plant.next_event_ms()
            bench.plant.advance_to(end if event is None or event > end else event)
            look(bench)
            if bench.plant.now_ms == end and (event is None or event > end):
                break
    return bench


class Watcher:
    """Compares the counter with what can be sensed, each time it looks."""

    def __init__(self):
        self.sensed = self.changed = None
        self.flowing = self.tripped = 0

    def look(self, bench):
        sensed, changed = bench.sense(), bench.plant.changed
        if self.sensed is not None:
            moved = changed != self.changed
            assert (sensed != self.sensed) == moved, (bench.plant.now_ms, moved, self.sensed, sensed)
        self.sensed, self.changed = sensed, changed
        self.flowing += sensed[3][1][0] > 0
        self.tripped += sensed[2][0]


def test_the_counter_moves_exactly_when_something_sensed_changes():
    flowing = tripped = 0
    for seed in range(40):
        watcher = Watcher()
        play(seed, 150, watcher.look)
        flowing += watcher.flowing
        tripped += watcher.tripped
    assert flowing > 1000 and tripped > 1000, (flowing, tripped)


def test_time_without_events_changes_nothing():
    bench = Bench()
    bench.charge(266)
    bench.after(2 * 3600_000)
    for _ in range(2000):
        before = bench.plant.changed, bench.sense()
        event = bench.plant.next_event_ms()
        if event is None:
            break
        bench.plant.advance_to(event - 1)
        assert (bench.plant.changed, bench.sense()) == before
        bench.plant.advance_to(event)


class History:
    """Keeps all that was sensed, with its time."""

    def __init__(self):
        self.entries = []

    def look(self, bench):
        self.entries.append((bench.plant.now_ms, bench.plant.changed, bench.sense()))


def test_the_same_seed_gives_the_same_history():
    histories = []
    for seed in (7, 7, 8):
        history = History()
        play(seed, 100, history.look)
        histories.append(history.entries)
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]


def test_one_long_step_ends_where_many_short_ones_do():
    results = []
    for step in (1, 60_000):
        bench = Bench()
        bench.plant.plug(soc_wh=30)
        bench.pilot.set_duty(266)
        bench.contactor.set(True)
        bench.plant.ambient(35)
        while bench.plant.now_ms < 60_000:
            bench.plant.advance_to(bench.plant.now_ms + step)
        results.append((bench.sense(), bench.plant.changed, bench.plant.view()))
    assert results[0] == results[1]


def test_events_come_in_the_order_of_time_and_then_of_slots():
    scheduler = Scheduler()
    seen = []
    first = scheduler.slot(lambda: seen.append(("first", scheduler.now_ms)))
    second = scheduler.slot(lambda: seen.append(("second", scheduler.now_ms)))
    scheduler.at(second, 10)
    scheduler.at(first, 10)
    assert scheduler.next_event_ms() == 10
    scheduler.advance_to(9)
    assert seen == []
    scheduler.advance_to(20)
    assert seen == [("first", 10), ("second", 10)], seen
    assert scheduler.next_event_ms() is None and scheduler.now_ms == 20


def test_an_event_in_the_past_comes_now():
    scheduler = Scheduler()
    seen = []
    slot = scheduler.slot(lambda: seen.append(scheduler.now_ms))
    scheduler.advance_to(9)
    scheduler.at(slot, 5)
    scheduler.advance_to(20)
    assert seen == [9], seen


def test_a_cancelled_event_does_not_come():
    scheduler = Scheduler()
    seen = []
    slot = scheduler.slot(lambda: seen.append(1))
    scheduler.at(slot, 10)
    assert scheduler.waits(slot)
    scheduler.off(slot)
    scheduler.advance_to(100)
    assert seen == [] and not scheduler.waits(slot)


def test_time_never_goes_back():
    scheduler = Scheduler()
    scheduler.advance_to(100)
    text = refusal(scheduler.advance_to, 99)
    assert "99 ms" in text and "100 ms" in text, text


def test_unknown_faults_and_values_are_refused():
    plant = Bench().plant
    text = refusal(plant.fault, "earthquake")
    assert "earthquake" in text and "residual_dc" in text and "flash_error" in text, text
    assert "earthquake" in refusal(plant.clear, "earthquake")
    for name, value, allowed in (
        ("residual_dc", -1, "0..500 mA"),
        ("phase_loss", 4, "1, 2, 3"),
        ("weld_l1", "yes", "True"),
        ("temperature_sensor", "cold", "open, short"),
        ("pe", 3, "True"),
        ("pilot_short", None, None),
        ("overcurrent", 500, "0..100 A"),
    ):
        if allowed is None:
            plant.fault(name, value)
            continue
        text = refusal(plant.fault, name, value)
        assert name in text and str(value) in text and allowed in text, text
    assert list(plant.faults) == ["pilot_short"]


def test_a_fault_that_is_not_there_can_be_cleared():
    bench = Bench()
    before = bench.sense(), bench.plant.changed
    for name in FAULTS:
        bench.plant.clear(name)
    assert (bench.sense(), bench.plant.changed) == before


def test_every_fault_goes_without_a_trace():
    for name in FAULTS:
        bench = Bench()
        before = bench.sense()
        bench.plant.fault(name)
        bench.plant.clear(name)
        bench.after(1000)
        assert bench.sense() == before, name


def test_a_bad_seed_is_refused():
    for seed in (-1, 1.5, "1", 1 << 40):
        text = refusal(Bench, seed)
        assert "seed" in text and repr(seed) in text, text


def test_random_numbers_stay_in_their_range_and_differ_between_seeds():
    Bench(3)
    first = [system.random(1, 120) for _ in range(500)]
    assert min(first) == 1 or min(first) < 5
    assert max(first) <= 120 and max(first) > 115
    Bench(4)
    assert first != [system.random(1, 120) for _ in range(500)]
    Bench(3)
    assert first == [system.random(1, 120) for _ in range(500)]
    assert system.random(5, 5) == 5
    assert "low <= high" in refusal(system.random, 2, 1)


def test_the_serial_number_tells_the_seed():
    Bench(12)
    assert system.serial() == "SIM0000012"
    assert board.plant.seed == 12
