"""The wake-up of a sleeping car: when state F begins, how long it lasts, and when it must not be (R40)."""

from wallbox.charging.states import A1, A2, B1, B2, C1, C2, F
from wallbox.charging.wakeup import KINDS, LONG, NONE, PULSE_S, SHORT, WakeUp

STEP_MS = 10
# From +12 V until its level is accepted, as in pilot.py: 30 ms of blindness, 100 ms of filter.
READ_MS = 130


class Box:
    """The control loop as far as the wake-up knows it; `log` holds (ms, what)."""

    def __init__(self, **attributes):
        self.log = []
        self.wake = WakeUp(lambda kind, woken: self.log.append((self.now, "woken" if woken else "begins", kind)))
        for name, value in attributes.items():
            setattr(self.wake, name, value)
        self.now = 0
        self.state = B2
        self.permitted = True
        self.may_begin = True
        self.dark_ms = 0

    def step(self):
        """One step as in control.py: level, wake-up, then the box's wish."""
        self.now += STEP_MS
        if self.state == F and not self.wake.holds_f:
            self.dark_ms += STEP_MS
            if self.dark_ms > READ_MS:
                self.dark_ms = 0
                self.state = B1
        if self.wake.update(self.now, self.state, self.permitted, self.may_begin):
            assert self.state == B2
            self.state = F
        offers = self.permitted and not self.wake.under_way
        if self.state in (B1, B2):
            self.state = B2 if offers else B1
        elif self.state in (C1, C2):
            self.state = C2 if offers else C1

    def run(self, ms):
        """Let `ms` pass -> {state: ms spent in it, F as long as -12 V is put out}."""
        spent = {}
        for _ in range(ms // STEP_MS):
            self.step()
            if self.state != F or self.wake.holds_f:
                spent[self.state] = spent.get(self.state, 0) + STEP_MS
        return spent

    def begins(self):
        return [(entry[0], entry[2]) for entry in self.log if entry[1] == "begins"]


def test_after_30_s_without_c_comes_state_f_for_4_s_and_12_v_for_750_ms():
    box = Box()
    assert F not in box.run(30_000)
    spent = box.run(5_000)
    assert spent[F] == 4_000
    assert spent[B1] == 750
    assert box.begins() == [(30_010, SHORT)]
    assert box.state == B2


def test_there_is_one_wake_up_an_offer():
    box = Box()
    box.run(3_600_000)
    assert len(box.begins()) == 1


def test_the_long_one_follows_once_where_it_is_allowed():
    box = Box(allow_long=True)
    spent = box.run(3_600_000)
    assert [kind for _, kind in box.begins()] == [SHORT, LONG]
    assert spent[F] == 34_000
    first, second = [ms for ms, _ in box.begins()]
    assert second - first == 4_000 + READ_MS + STEP_MS + 750 + 30_000, "the car has 30 s to answer the first"


def test_an_offer_that_comes_back_after_a_pause_may_wake_again():
    box = Box()
    box.run(60_000)
    box.permitted = False
    box.run(1_000)
    box.permitted = True
    box.run(60_000)
    assert len(box.begins()) == 2


def test_a_car_that_took_the_offer_is_left_alone():
    box = Box()
    box.run(20_000)
    box.state = C2
    box.run(20_000)
    box.state = B2
    box.run(3_600_000)
    assert box.log == []


def test_a_car_that_ended_its_charge_is_not_woken_by_a_later_offer_either():
    box = Box()
    box.state = C2
    box.run(10_000)
    box.state = B2
    box.run(10_000)
    for _ in range(3):
        box.permitted = False
        box.run(1_000)
        box.permitted = True
        box.run(120_000)
    assert box.log == []


def test_a_car_that_asks_again_after_it_was_full_may_sleep_again():
    box = Box()
    for state in (C2, B2, C2):
        box.state = state
        box.run(1_000)
    box.permitted = False
    box.run(1_000)
    box.state = B1
    box.run(1_000)
    box.permitted = True
    box.run(40_000)
    assert len(box.begins()) == 1


def test_the_next_car_is_not_taken_for_the_full_one():
    box = Box()
    for state in (C2, B2):
        box.state = state
        box.run(1_000)
    box.permitted = False
    box.state = A1
    box.run(1_000)
    box.state = B1
    box.permitted = True
    box.run(40_000)
    assert len(box.begins()) == 1


def test_whatever_ends_the_offer_ends_the_wake_up():
    for after_ms in (30_100, 33_000, 34_100, 34_700):
        box = Box()
        box.run(after_ms)
        assert box.wake.under_way, after_ms
        box.permitted = False
        box.step()
        assert not box.wake.under_way and not box.wake.holds_f, after_ms
        assert not box.wake.timers[0].running, "it would be due for ever"
        box.run(100_000)
        assert box.state == B1 and len(box.begins()) == 1


def test_nothing_begins_before_contactor_and_level_allow_it():
    box = Box()
    box.may_begin = False
    box.run(30_010)
    assert box.wake.left_ms(box.now) == 1_000
    assert F not in box.run(120_000)
    # It is looked at once a second.
    begin = box.now
    box.may_begin = True
    assert box.run(6_000)[F] == 4_000
    assert 0 < box.begins()[0][0] - begin <= 1_000
    assert (box.begins()[0][0] - 30_010) % 1_000 == 0


def test_it_can_be_turned_off():
    box = Box(enabled=False)
    assert F not in box.run(120_000)
    assert box.wake.left_ms(box.now) == 0


def test_state_f_never_comes_within_5_s_of_state_c():
    for preferred in (NONE, SHORT, LONG):
        box = Box(preferred=preferred, allow_long=True)
        box.state = C2
        box.run(1_000)
        # The box withdraws the offer, the car leaves C, and the offer is back at once.
        box.permitted = False
        box.run(1_000)
        box.state = B1
        box.step()
        left_c = box.now
        box.permitted = True
        box.run(60_000)
        assert box.begins()[0][0] - left_c >= 5_000


def test_what_worked_before_comes_first_and_after_10_s():
    box = Box(preferred=LONG, allow_long=True)
    box.run(300_000)
    assert box.begins()[0] == (10_010, LONG)
    assert [kind for _, kind in box.begins()] == [LONG, SHORT]
    box = Box(preferred=LONG)
    box.run(300_000)
    assert box.begins() == [(10_010, SHORT)], "30 s are not allowed"


def test_a_success_is_told_once_and_preferred_from_then_on():
    box = Box()
    box.run(37_000)
    box.state = C2
    box.run(1_000)
    assert box.wake.worked == box.wake.preferred == SHORT
    assert [entry[1:] for entry in box.log] == [("begins", SHORT), ("woken", SHORT)]
    box.permitted = False
    box.run(1_000)
    box.state = B1
    box.permitted = True
    box.run(12_000)
    assert len(box.begins()) == 2


def test_a_car_that_comes_much_later_was_not_woken():
    box = Box()
    box.run(3_600_000)
    box.state = C2
    box.run(1_000)
    assert box.wake.worked == NONE


def test_a_car_that_answers_12_v_at_once_still_gets_its_pause():
    box = Box()
    box.run(34_010)
    assert box.state == F
    box.step()
    box.state = C1
    spent = box.run(2_000)
    assert 740 <= spent[C1] <= 800
    assert box.state == C2 and box.wake.worked == SHORT


def test_the_time_until_it_changes_is_told():
    box = Box()
    box.run(10_010)
    assert box.wake.left_ms(box.now) == 20_000
    box.run(21_000)
    assert box.wake.under_way and box.wake.left_ms(box.now) == 3_000
    box.run(100_000)
    assert box.wake.left_ms(box.now) == 0


def test_a_car_that_goes_ends_everything_even_while_the_box_would_still_offer():
    for level_a in (A1, A2):
        box = Box()
        for state in (C2, B2):
            box.state = state
            box.run(1_000)
        box.state = level_a
        box.wake.update(box.now, level_a, True, True)
        box.state = B2
        assert F in box.run(31_000), "another car came"


def test_the_wait_begins_with_the_offer():
    box = Box()
    box.state = B1
    box.wake.update(0, B1, True, True)
    assert not box.wake.timers[0].running


def test_a_car_that_took_the_offer_leaves_no_timer_running():
    box = Box()
    box.run(10_000)
    assert box.wake.timers[0].running
    box.state = C2
    box.step()
    assert not box.wake.timers[0].running


def test_after_the_last_attempt_nothing_is_announced():
    box = Box()
    box.run(40_000)
    assert box.wake.timers[0].running
    assert box.wake.left_ms(box.now) == 0


def test_every_kind_has_a_name_and_a_length():
    assert KINDS[NONE] is None and PULSE_S[NONE] == 0
    assert KINDS[SHORT] == "f_4s" and PULSE_S[SHORT] == 4
    assert KINDS[LONG] == "f_30s" and PULSE_S[LONG] == 30
