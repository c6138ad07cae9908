"""Over-current: how much for how long, and what still counts as following the offer (R11)."""

from control_bench import Clock

from wallbox.protection import faults as f
from wallbox.protection.overcurrent import OverCurrent


class Rig:
    def __init__(self, offer_ma=16000):
        self.now = 0
        self.faults = f.Faults(Clock(), lambda fault, value: self.raised.append((fault, value)), lambda _: None)
        self.raised = []
        self.watch = OverCurrent(self.faults)
        self.offer_ma = offer_ma
        self.closed = True

    def run(self, current_ma, ms):
        """Steps with this current; returns the ms until something was raised, None when nothing was."""
        self.raised = []
        for passed in range(0, ms, 10):
            self.watch.update(self.now, self.offer_ma, current_ma, self.closed)
            self.now += 10
            if self.raised:
                return passed
        return None


# Above (offer * factor + allowance) mA for so many ms it is over-current.
STEPS = ((1.10, 550, 7000), (1.25, 1000, 3000), (1.50, 2000, 500))


def test_each_step_begins_at_its_current_and_takes_its_time():
    for offer_ma in (0, 6000, 16000, 32000):
        for factor, allowance, ms in STEPS:
            limit = round(offer_ma * factor) + allowance
            rig = Rig(offer_ma)
            assert rig.run(limit + 1, 10_000) == ms, (offer_ma, ms)
            assert rig.raised == [(f.OVER_CURRENT, limit + 1)]
            slower = [slow for _, _, slow in STEPS if slow > ms]
            assert Rig(offer_ma).run(limit, 10_000) == (min(slower) if slower else None)


def test_a_current_that_falls_in_between_is_counted_anew():
    for factor, allowance, ms in STEPS:
        rig = Rig()
        high = round(16000 * factor) + allowance + 1
        for _ in range(3):
            assert rig.run(high, ms) is None
            assert rig.run(16000, 10) is None


def test_a_current_behind_an_open_contactor_is_no_over_current():
    rig = Rig()
    rig.closed = False
    assert rig.run(60_000, 20_000) is None


def test_a_short_circuit_is_96_a_for_10_ms_whatever_the_contactor():
    for closed in (True, False):
        rig = Rig()
        rig.closed = closed
        assert rig.run(96_000, 400) is None
        assert Rig().run(96_001, 10) is None, "a single sample is a spike"
        rig = Rig()
        rig.closed = closed
        assert rig.run(96_001, 400) == 10
        assert rig.raised == [(f.SHORT_CIRCUIT, 96_001)]


def test_a_lower_offer_counts_only_after_6_s():
    rig = Rig(32000)
    assert rig.run(32000, 1000) is None
    rig.offer_ma = 6000
    # 500 ms above the highest step of the new offer, once the old one does not count any more.
    assert rig.run(32000, 20_000) == 6000 + 500


def test_no_offer_at_all_counts_after_6_s_too():
    rig = Rig(16000)
    assert rig.run(16000, 1000) is None
    rig.offer_ma = 0
    assert rig.run(16000, 20_000) == 6500


def test_each_further_lowering_gives_6_s_from_then():
    rig = Rig(32000)
    rig.run(32000, 1000)
    rig.offer_ma = 20000
    assert rig.run(32000, 4000) is None
    rig.offer_ma = 10000
    assert rig.run(32000, 20_000) == 6500


def test_a_raise_that_stays_below_the_old_offer_does_not_begin_the_time_again():
    rig = Rig(32000)
    rig.run(32000, 1000)
    rig.offer_ma = 6000
    assert rig.run(32000, 4000) is None
    rig.offer_ma = 7000
    assert rig.run(32000, 20_000) == 2000 + 500


def test_a_higher_offer_counts_at_once_and_ends_the_time_of_the_lower_one():
    rig = Rig(16000)
    rig.run(16000, 1000)
    rig.offer_ma = 10000
    assert rig.run(16000, 3000) is None
    rig.offer_ma = 16000
    assert rig.run(16000, 10) is None
    assert not any(timer.running for timer in rig.watch.timers)
    assert rig.run(16000, 20_000) is None
    rig.offer_ma = 10000
    rig.run(16000, 3000)
    rig.offer_ma = 32000
    assert rig.run(32000, 10) is None
    assert not any(timer.running for timer in rig.watch.timers)
    assert rig.run(32000, 20_000) is None


def test_after_the_time_the_lower_offer_is_the_measure_of_the_next():
    rig = Rig(32000)
    rig.run(32000, 1000)
    rig.offer_ma = 16000
    assert rig.run(16000, 7000) is None
    rig.offer_ma = 20000
    assert rig.run(20000, 10_000) is None
    assert not any(timer.running for timer in rig.watch.timers)
    assert rig.run(20000 * 3 // 2 + 2001, 10_000) == 500


def test_nothing_is_due_at_the_start_and_what_runs_is_among_its_timers():
    rig = Rig(0)
    rig.closed = False
    assert rig.run(0, 100) is None
    assert [timer.running for timer in rig.watch.timers] == [False] * 5
    rig = Rig(6000)
    rig.run(97_000, 10)
    assert [timer.running for timer in rig.watch.timers] == [False, True, True, True, True]
    rig.offer_ma = 0
    rig.run(0, 10)
    assert [timer.running for timer in rig.watch.timers] == [True, False, False, False, False]


def test_the_end_of_the_condition_lets_the_fault_end_when_unplugged():
    rig = Rig()
    rig.run(60_000, 1000)
    rig.run(0, 20)
    rig.faults.unplugged()
    assert not rig.faults.active
