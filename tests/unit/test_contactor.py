"""The contactor: closes only when proven dead, finds a weld and a pole that does not follow, each in its time (R10)."""

from control_bench import Clock
from control_bench import Contactor as Poles

from wallbox.charging.contactor import CHECKING, CLOSED, CLOSING, IDLE, Contactor
from wallbox.protection import faults as f


class Rig:
    """Time in ms since the start; `rest` begins a contactor that has been proven open."""

    def __init__(self, rest=True):
        self.now = 5000
        self.raised = []
        self.switched = []
        self.poles = Poles()
        self.faults = f.Faults(Clock(), self._note, lambda _: None)
        self.contactor = Contactor(self.poles, self.faults, lambda *told: self.switched.append((self.now,) + told))
        self.contactor.begin(self.now)
        self.supply = 0b111
        if rest:
            self.run(2000)
            assert self.contactor.ready
            self.poles.commands = []

    def _note(self, fault, value):
        self.raised.append((self.now, fault, value))

    def run(self, ms):
        """Steps until so many ms are over."""
        for _ in range(ms // 10):
            self.now += 10
            self.contactor.update(self.now, self.supply)

    def until(self, test, ms=5000):
        began = self.now
        while not test():
            assert self.now - began < ms, "never"
            self.run(10)
        return self.now - began

    def close(self):
        self.contactor.close(self.now)

    def open(self, current_ma=0):
        self.contactor.open(self.now, current_ma)

    def closed(self):
        self.close()
        self.run(100)
        assert self.contactor.phase == CLOSED
        self.switched = []
        return self


def counts(contactor):
    """Operations, and openings under load."""
    return contactor.health.operations, contactor.health.status()["load_openings"]


def worst(contactor):
    """The worst closing and opening time in ms."""
    book = contactor.health.status()
    return book["closing"]["worst_ms"], book["opening"]["worst_ms"]


def test_at_the_start_it_is_opened_and_proven_dead_after_200_ms():
    rig = Rig(rest=False)
    assert rig.poles.commands == [False]
    assert not rig.contactor.commanded
    assert counts(rig.contactor) == (0, 0)
    assert worst(rig.contactor) == (0, 0)
    assert rig.contactor.poles == 0b111
    assert rig.contactor.phase == CHECKING
    assert rig.until(lambda: rig.contactor.phase == IDLE) == 200
    assert not rig.contactor.ready, "a power cut may have opened it just now"
    assert rig.until(lambda: rig.contactor.ready) == 1800
    assert worst(rig.contactor) == (0, 0), "the proof at the start is no opening"
    assert rig.raised == []


def test_a_contactor_that_has_not_begun_is_at_rest():
    rig = Rig()
    fresh = Contactor(rig.poles, rig.faults, None)
    assert (fresh.phase, fresh.commanded, fresh.timed) == (IDLE, False, False)
    assert counts(fresh) == (0, 0)
    assert len(fresh.timers) == 6


def test_every_phase_has_a_number_of_its_own_below_four():
    assert sorted((IDLE, CLOSING, CLOSED, CHECKING)) == [0, 1, 2, 3]


def test_while_it_is_checked_it_does_not_close():
    rig = Rig(rest=False)
    rig.run(190)
    rig.close()
    assert rig.poles.commands == [False]
    assert not rig.contactor.commanded
    assert counts(rig.contactor) == (0, 0)


def test_closing_is_told_and_measured_when_every_pole_follows():
    rig = Rig()
    rig.poles.closes = 0b011
    rig.close()
    assert rig.poles.commands == [True]
    assert rig.contactor.commanded
    assert rig.contactor.phase == CLOSING
    assert counts(rig.contactor) == (1, 0)
    rig.run(30)
    assert rig.contactor.phase == CLOSING
    assert rig.contactor.closed
    assert rig.switched == []
    rig.poles.closes = 0b111
    rig.run(10)
    assert rig.contactor.phase == CLOSED
    assert worst(rig.contactor) == (40, 0)
    assert rig.switched == [(7040, True, 0)]
    rig.run(1000)
    assert rig.raised == []


def test_a_pole_that_does_not_follow_in_200_ms_is_reported():
    rig = Rig()
    rig.poles.closes = 0b101
    rig.close()
    rig.run(190)
    assert rig.raised == []
    rig.run(10)
    assert rig.raised == [(7200, f.NO_CLOSE, 0b101)]


def test_without_supply_nothing_counts_as_closed():
    rig = Rig()
    rig.supply = 0
    rig.poles.closes = 0
    rig.close()
    rig.run(300)
    assert rig.contactor.phase == CLOSING
    assert not rig.contactor.closed
    assert rig.raised == [(7200, f.NO_CLOSE, 0)]


def test_a_single_phase_box_expects_l1_alone():
    rig = Rig()
    rig.contactor.poles = 0b001
    rig.poles.closes = 0b001
    rig.close()
    rig.run(10)
    assert rig.contactor.phase == CLOSED


def test_a_phase_without_supply_is_not_expected_behind_the_contactor():
    rig = Rig()
    rig.supply = 0b011
    rig.poles.closes = 0b011
    rig.close()
    rig.run(10)
    assert rig.contactor.phase == CLOSED
    rig.supply = 0b111
    rig.poles.closes = 0b111
    rig.run(10)
    rig.supply = 0b110
    rig.poles.closes = 0b110
    rig.run(1000)
    assert rig.raised == []


def test_a_pole_that_drops_for_100_ms_is_reported():
    rig = Rig().closed()
    rig.poles.closes = 0b110
    rig.run(90)
    rig.poles.closes = 0b111
    rig.run(10)
    rig.poles.closes = 0b110
    rig.run(100)
    assert rig.raised == []
    rig.run(10)
    assert rig.raised == [(rig.now, f.NO_CLOSE, 0b110)]


def test_a_drop_is_counted_anew_at_each_closing():
    rig = Rig().closed()
    rig.poles.closes = 0b110
    rig.run(60)
    rig.open()
    rig.poles.closes = 0b111
    rig.run(2500)
    rig.closed()
    rig.poles.closes = 0b110
    rig.run(100)
    assert rig.raised == []


def test_opening_is_told_with_its_current_and_counted_under_load_above_1_a():
    rig = Rig().closed()
    rig.open(1000)
    assert rig.switched == [(rig.now, False, 1000)]
    assert rig.poles.commands == [True, False]
    assert not rig.contactor.commanded
    assert counts(rig.contactor) == (1, 0)
    rig.open(9000)
    assert len(rig.switched) == 1, "it is open already"
    rig.run(3000)
    rig.closed().open(1001)
    assert counts(rig.contactor) == (2, 1)
    rig.run(3000)
    rig.closed().open(5000)
    assert counts(rig.contactor) == (3, 2)


def test_the_opening_time_is_that_of_the_last_pole():
    rig = Rig().closed()
    rig.poles.welded = 0b100
    rig.open()
    rig.run(20)
    assert worst(rig.contactor)[1] == 0
    rig.poles.welded = 0
    rig.run(10)
    assert worst(rig.contactor)[1] == 30
    rig.run(500)
    assert worst(rig.contactor)[1] == 30


def test_two_closings_need_2_s_between_them():
    rig = Rig().closed()
    rig.open()
    rig.run(1990)
    assert rig.contactor.phase == IDLE
    assert not rig.contactor.ready
    rig.close()
    assert not rig.contactor.commanded
    rig.run(10)
    rig.close()
    assert rig.contactor.commanded


def opened_with_weld_until(ms):
    """A pole goes on conducting for so long after the opening; returns the rig one second after it."""
    rig = Rig().closed()
    rig.poles.welded = 0b010
    rig.open()
    rig.run(ms)
    rig.poles.welded = 0
    rig.run(1000 - ms)
    return rig


def test_an_output_dead_for_100_ms_within_a_second_is_no_weld():
    assert opened_with_weld_until(890).raised == []
    rig = opened_with_weld_until(900)
    assert [entry[1:] for entry in rig.raised] == [(f.WELD, 0)]
    assert rig.contactor.phase == IDLE


def test_a_weld_is_reported_a_second_after_the_opening_with_its_poles():
    rig = Rig().closed()
    rig.poles.welded = 0b010
    rig.open()
    began = rig.now
    rig.run(990)
    assert rig.raised == []
    rig.run(10)
    assert rig.raised == [(began + 1000, f.WELD, 0b010)]
    assert rig.contactor.phase == IDLE


def test_the_first_100_ms_after_an_opening_prove_nothing():
    rig = Rig().closed()
    rig.open()
    began = rig.now
    rig.run(50)
    rig.poles.welded = 0b001
    rig.run(50)
    rig.poles.welded = 0
    assert rig.until(lambda: rig.contactor.phase == IDLE) + 100 == 210
    assert rig.now - began == 210


def test_a_proof_begins_anew_at_each_opening():
    rig = Rig().closed()
    rig.open()
    rig.run(150)
    rig.contactor.begin(rig.now)
    assert rig.until(lambda: rig.contactor.phase == IDLE) == 200


def test_the_proof_of_one_opening_does_not_count_for_the_next():
    rig = Rig().closed()
    rig.open()
    rig.run(2500)
    rig.closed().open()
    assert rig.until(lambda: rig.contactor.phase == IDLE) == 200


def test_a_voltage_behind_open_contacts_for_500_ms_is_a_weld():
    rig = Rig()
    rig.poles.welded = 0b100
    rig.run(490)
    rig.poles.welded = 0
    rig.run(10)
    rig.poles.welded = 0b100
    rig.run(500)
    assert rig.raised == []
    assert not rig.contactor.ready, "what has voltage is not closed"
    rig.run(10)
    assert rig.raised == [(rig.now, f.WELD, 0b100)]


def test_a_contactor_that_opened_and_was_proven_dead_ends_the_condition_of_no_close():
    rig = Rig()
    rig.poles.closes = 0
    rig.close()
    rig.run(200)
    assert rig.faults.condition & (1 << f.NO_CLOSE)
    rig.open()
    rig.run(190)
    assert rig.faults.condition & (1 << f.NO_CLOSE)
    rig.run(10)
    assert not rig.faults.condition
    rig.faults.unplugged()
    assert not rig.faults.active


def test_a_late_step_after_an_opening_proves_nothing():
    rig = Rig().closed()
    rig.open()
    rig.now += 140
    rig.run(10)
    assert rig.contactor.phase == CHECKING
    rig.run(90)
    assert rig.contactor.phase == CHECKING
    rig.run(10)
    assert rig.contactor.phase == IDLE


def test_a_proof_that_came_too_late_is_not_awaited_any_more():
    rig = opened_with_weld_until(950)
    assert len(rig.raised) == 1
    rig.run(1500)
    assert not any(timer.running for timer in rig.contactor.timers)


def test_no_timer_of_it_stays_overdue():
    rig = Rig().closed()
    rig.open()
    rig.run(3000)
    assert not any(timer.running for timer in rig.contactor.timers)
    rig.poles.welded = 0b111
    rig.run(3000)
    assert not any(timer.running for timer in rig.contactor.timers)
    rig.poles.welded = 0
    rig.poles.closes = 0
    rig.run(100)
    rig.close()
    rig.run(1000)
    assert not any(timer.running for timer in rig.contactor.timers)


def test_every_timer_is_among_those_that_the_loop_asks():
    rig = Rig().closed()
    rig.open()
    rig.run(10)
    running = [timer.running for timer in rig.contactor.timers]
    assert running == [True, True, True, False, False, False]
    rig.run(100)
    assert [timer.running for timer in rig.contactor.timers] == [True, False, True, True, False, False]
    rig.run(2500)
    rig.closed()
    rig.poles.closes = 0
    rig.run(10)
    assert [timer.running for timer in rig.contactor.timers] == [False, False, False, False, False, True]
    rig.open()
    rig.run(2500)
    rig.poles.welded = 1
    rig.run(10)
    assert [timer.running for timer in rig.contactor.timers] == [False, False, False, False, True, False]
