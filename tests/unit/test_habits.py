"""What is learned of the car at the cable (R40)."""

from array import array

from virtual_time import Record

from wallbox.charging.habits import Habits
from wallbox.charging.wakeup import LONG, NONE, SHORT

LOOK_MS = 250


class Memory:
    def __init__(self):
        self.kept = {}

    def recall(self, id_tag):
        empty = {"id_tag": id_tag, "wake": None, "woken": 0, "follow_ms": None, "phases": None}
        return dict(self.kept.get(id_tag, empty))

    def keep(self, entry):
        self.kept[entry["id_tag"]] = dict(entry)


class Box:
    """A charge as housekeeping sees it."""

    def __init__(self, memory=None, id_tag=None):
        self.now = 0
        self.view = Record(charging=False, offered_ma=0, currents_ma=array("i", (0, 0, 0)))
        self.session = Record(listeners=[], id_tag=id_tag)
        self.wake = Record(preferred=NONE, worked=NONE, allow_long=False)
        self.memory = memory or Memory()
        clock = Record(ticks_ms=lambda: self.now)
        self.habits = Habits(clock, self.view, self.session, self.wake, self.memory)
        self.tell(True)

    def tell(self, begun):
        for listener in self.session.listeners:
            listener(begun)

    def look(self, amps, offer_a, looks=1):
        self.view.charging = True
        self.view.offered_ma = round(offer_a * 1000)
        for _ in range(looks):
            for phase in range(3):
                self.view.currents_ma[phase] = round(amps[phase] * 1000)
            self.now += LOOK_MS
            self.habits.look()

    def end(self):
        self.tell(False)
        return self.memory.kept.get(self.session.id_tag)


def test_the_phases_with_more_than_1_a_count():
    for amps, phases in (((16, 0, 0), 1), ((16, 16, 0.3), 2), ((6, 6, 6), 3), ((1, 1, 1), None)):
        box = Box()
        box.look(amps, 16)
        box.look((0, 0, 0), 16)
        kept = box.end()
        assert (kept and kept["phases"]) == phases, (amps, kept)


def test_the_phases_of_the_last_charge_replace_those_of_an_earlier_one():
    box = Box()
    box.look((16, 16, 16), 16)
    memory = box.memory
    assert box.end()["phases"] == 3
    box = Box(memory)
    box.look((16, 0, 0), 16)
    assert box.end()["phases"] == 1


def test_the_time_from_a_lower_offer_until_the_car_is_down_is_measured():
    box = Box()
    box.look((16, 16, 16), 16, 8)
    box.look((16, 16, 16), 10, 5)
    box.look((13, 13, 13), 10, 2)
    box.look((10.2, 10.2, 10.2), 10)
    assert box.end()["follow_ms"] == 7 * LOOK_MS


def test_the_time_from_a_higher_offer_until_the_car_uses_it_is_measured():
    box = Box()
    box.look((9.8, 0, 0), 10, 8)
    box.look((9.8, 0, 0), 32, 13)
    box.look((12, 0, 0), 32)
    assert box.end()["follow_ms"] == 13 * LOOK_MS


def test_the_measure_settles_on_what_is_usual():
    box = Box()
    for slow in (4, 4, 20, 4, 4, 4, 4, 4, 4, 4, 4):
        box.look((16, 16, 16), 16, 4)
        box.look((16, 16, 16), 8, slow)
        box.look((8, 8, 8), 8)
        box.view.charging = False
        box.habits.look()
    assert 1_000 <= box.end()["follow_ms"] <= 1_300


def test_a_car_at_its_own_limit_tells_nothing_about_how_it_follows():
    box = Box()
    box.look((10, 10, 10), 32, 8)
    box.look((10, 10, 10), 16, 400)
    box.look((10, 10, 10), 32, 400)
    assert box.end()["follow_ms"] is None


def test_a_car_that_does_not_move_within_a_minute_tells_nothing():
    box = Box()
    box.look((16, 16, 16), 16, 8)
    box.look((16, 16, 16), 10, 260)
    box.look((10, 10, 10), 10, 8)
    assert box.end()["follow_ms"] is None


def test_a_pause_of_the_charge_is_no_measure():
    box = Box()
    box.look((16, 16, 16), 16, 8)
    box.look((16, 16, 16), 10)
    box.view.charging = False
    box.habits.look()
    box.look((0, 0, 0), 6, 8)
    assert box.end()["follow_ms"] is None


def test_the_wake_up_that_worked_is_counted_and_tried_first_next_time():
    memory = Memory()
    for times in (1, 2, 3):
        box = Box(memory)
        assert box.wake.preferred == (NONE if times == 1 else LONG)
        box.wake.worked = LONG
        kept = box.end()
        assert (kept["wake"], kept["woken"]) == ("f_30s", times)
        assert box.wake.worked == box.wake.preferred == NONE
    box = Box(memory)
    box.wake.worked = SHORT
    assert (box.end()["wake"], memory.kept[None]["woken"]) == ("f_4s", 1)


def test_each_card_has_its_own_memory():
    memory = Memory()
    box = Box(memory, "AA")
    box.wake.worked = SHORT
    box.end()
    assert Box(memory, "BB").wake.preferred == NONE
    assert Box(memory, "AA").wake.preferred == SHORT


def test_the_long_state_f_is_for_sessions_without_a_permission():
    assert not Box(id_tag="AA").wake.allow_long
    box = Box()
    assert box.wake.allow_long
    box.end()
    assert not box.wake.allow_long


def test_a_car_of_which_nothing_was_learned_pushes_no_other_out():
    box = Box(id_tag="AA")
    assert box.end() is None
    assert box.habits.entry is None


def follows(*parts):
    """What is measured of a charge told as (amps, offer, looks)."""
    box = Box()
    for amps, offer_a, looks in parts:
        box.look((amps, amps, amps), offer_a, looks)
    return box.habits.entry["follow_ms"]


def test_1_ma_more_than_1_a_is_a_phase():
    box = Box()
    box.look((1.001, 1.001, 1), 16)
    assert box.habits.entry["phases"] == 2


def test_changes_of_less_than_2_a_are_not_measured():
    assert follows((16, 16, 8), (16, 14.001, 4), (14, 14.001, 4)) is None
    assert follows((10, 10, 8), (10, 11.999, 4), (11.9, 11.999, 4)) is None
    assert follows((16, 16, 8), (16, 14, 4), (14, 14, 4)) == 4 * LOOK_MS
    assert follows((10, 10, 8), (10, 12, 4), (12, 12, 4)) == 4 * LOOK_MS


def test_down_is_within_1_a_of_the_offer_and_up_is_1_a_more_than_before():
    assert follows((16, 16, 8), (16, 10, 4), (11.001, 10, 4), (11, 10, 4)) == 8 * LOOK_MS
    assert follows((10, 10, 8), (10, 16, 4), (10.999, 16, 4), (11, 16, 4)) == 8 * LOOK_MS


def test_only_a_car_that_uses_its_offer_shows_that_it_follows():
    assert follows((8.999, 10, 8), (8.999, 16, 4), (16, 16, 4)) is None
    assert follows((9, 10, 8), (9, 16, 4), (16, 16, 4)) == 4 * LOOK_MS
    assert follows((11, 16, 8), (11, 10, 4), (6, 10, 4)) is None
    assert follows((11.001, 16, 8), (11.001, 10, 4), (6, 10, 4)) == 4 * LOOK_MS


def test_it_has_a_minute():
    assert follows((16, 16, 8), (16, 10, 240), (10, 10, 1)) == 240 * LOOK_MS
    assert follows((16, 16, 8), (16, 10, 242), (10, 10, 1)) is None
    assert follows((10, 10, 8), (10, 16, 242), (16, 16, 1)) is None


def test_each_change_is_measured_once():
    assert follows((16, 16, 8), (16, 10, 4), (10, 10, 100)) == 4 * LOOK_MS
    assert follows((10, 10, 8), (10, 16, 4), (16, 16, 100)) == 4 * LOOK_MS


def test_the_next_change_ends_the_measure_of_the_last():
    assert follows((16, 16, 8), (16, 10, 4), (16, 9, 4), (9, 9, 8)) is None


def test_a_new_figure_counts_for_a_quarter():
    assert follows((16, 16, 8), (16, 10, 4), (10, 10, 8), (10, 6, 12), (6, 6, 8)) == (3 * 4 + 12) * LOOK_MS // 4


def test_one_session_leaves_nothing_to_the_next():
    box = Box()
    box.look((16, 16, 16), 16, 4)
    assert box.end()["phases"] == 3
    assert box.habits.entry is None
    box.look((16, 16, 16), 16)
    box.tell(True)
    box.look((16, 0, 0), 16, 4)
    assert box.habits.entry["phases"] == 1
    assert box.end()["phases"] == 1


def test_a_session_without_a_wake_up_forgets_none():
    memory = Memory()
    box = Box(memory)
    box.wake.worked = SHORT
    box.end()
    box.tell(True)
    box.look((16, 0, 0), 16)
    kept = box.end()
    assert (kept["wake"], kept["woken"], kept["phases"]) == ("f_4s", 1, 1)


def test_a_session_that_is_told_twice_is_learned_once():
    box = Box()
    box.wake.worked = SHORT
    box.tell(True)
    assert box.memory.kept == {}
    assert box.end() is None
    box.tell(False)
    assert box.memory.kept == {}


def test_a_kind_of_wake_up_that_is_not_known_is_none():
    memory = Memory()
    memory.keep({"id_tag": None, "wake": "horn", "woken": 3, "follow_ms": None, "phases": 3})
    assert Box(memory).wake.preferred == NONE


def test_a_car_that_takes_just_a_minute_is_measured_and_one_that_takes_longer_is_not():
    for looks, took in ((240, 60_000), (241, 60_250), (242, None)):
        box = Box()
        box.look((16, 16, 16), 16, 4)
        box.look((16, 16, 16), 10, looks)
        box.look((10, 10, 10), 10)
        assert box.end()["follow_ms"] == took, looks


def test_a_rising_offer_is_never_timed_as_a_fall():
    box = Box()
    # It takes more than it is offered, so a rise to less than that is no goal.
    box.look((14, 14, 14), 6, 4)
    box.look((14, 14, 14), 10, 4)
    box.look((10, 10, 10), 10, 4)
    assert box.end()["follow_ms"] is None
