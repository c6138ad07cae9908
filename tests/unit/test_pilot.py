"""Reading and driving the control pilot."""

from wallbox.charging.pilot import INVALID, UNKNOWN, Pilot, classify, duty_permille
from wallbox.charging.states import LEVEL_A, LEVEL_B, LEVEL_C, LEVEL_D, LEVEL_E


class Line:
    """A pilot whose plateaus the test sets."""

    def __init__(self):
        self.high_mv = 12000
        self.low_mv = -12000
        self.duty_permille = 1000

    def set_duty(self, permille):
        self.duty_permille = permille

    def sample(self):
        pass


def steps(pilot, count, now):
    for _ in range(count):
        pilot.update(now)
        now += 10
    return now


def reader(duty=266, high_mv=12000):
    line = Line()
    line.high_mv = high_mv
    pilot = Pilot(line)
    pilot.drive(duty, 0)
    return line, pilot, steps(pilot, 30, 10)


def test_duty_is_exact_at_6_a_and_never_offers_more():
    assert duty_permille(6000) == 100
    for ma in range(6000, 51001, 7):
        permille = duty_permille(ma)
        assert permille * 60 <= ma, ma
        assert permille * 60 > ma - 60, ma


def test_below_6_a_nothing_is_offered_and_above_51_a_51_a():
    assert duty_permille(5999) == 1000
    assert duty_permille(0) == 1000
    assert duty_permille(80000) == 850


def test_every_voltage_of_the_tolerance_bands_is_recognised_from_every_level():
    bands = ((LEVEL_A, 11400, 12600), (LEVEL_B, 8360, 9590), (LEVEL_C, 5470, 6530), (LEVEL_D, 2590, 3280))
    for level, low, high in bands + ((LEVEL_E, -1000, 1000),):
        for before in (LEVEL_A, LEVEL_B, LEVEL_C, LEVEL_D, LEVEL_E, INVALID, UNKNOWN):
            for mv in range(low, high + 1, 10):
                assert classify(mv, before) == level, (mv, before)


def test_a_voltage_at_a_boundary_does_not_flutter():
    assert classify(7600, LEVEL_C) == LEVEL_C
    assert classify(7600, LEVEL_B) == LEVEL_B
    assert classify(7760, LEVEL_C) == LEVEL_B
    assert classify(7240, LEVEL_B) == LEVEL_C


def test_impossible_voltages_are_no_level():
    for mv in (13001, 15000, -1501, -12000):
        assert classify(mv, LEVEL_B) == INVALID


def test_leaving_c_is_accepted_after_three_samples_and_a_glitch_is_not():
    line, pilot, now = reader(high_mv=6000)
    now = steps(pilot, 60, now)
    assert pilot.level == LEVEL_C
    line.high_mv = 9000
    now = steps(pilot, 2, now)
    assert pilot.level == LEVEL_C
    line.high_mv = 6000
    now = steps(pilot, 1, now)
    line.high_mv = 9000
    now = steps(pilot, 3, now)
    assert pilot.level == LEVEL_B


def test_a_wandering_voltage_does_not_delay_leaving_c():
    line, pilot, now = reader(high_mv=6000)
    now = steps(pilot, 60, now)
    for mv in (9000, 12000, 9000):
        line.high_mv = mv
        now = steps(pilot, 1, now)
    assert pilot.level in (LEVEL_A, LEVEL_B)


def test_a_250_ms_pulse_into_c_does_not_close():
    line, pilot, now = reader(high_mv=9000)
    now = steps(pilot, 60, now)
    line.high_mv = 6000
    now = steps(pilot, 25, now)
    line.high_mv = 9000
    now = steps(pilot, 60, now)
    assert pilot.level == LEVEL_B


def test_a_short_counts_at_the_first_sample():
    line, pilot, now = reader(high_mv=6000)
    now = steps(pilot, 60, now)
    line.high_mv = 500
    steps(pilot, 1, now)
    assert pilot.level == LEVEL_E


def test_the_diode_is_proven_only_by_the_negative_plateau():
    line, pilot, now = reader(high_mv=9000)
    now = steps(pilot, 60, now)
    assert pilot.diode_ok
    line.low_mv = -8800
    now = steps(pilot, 1, now)
    assert not pilot.diode_ok
    now = steps(pilot, 20, now)
    assert pilot.diode_lost


def test_without_modulation_the_diode_is_not_judged():
    line, pilot, now = reader(duty=1000, high_mv=9000)
    line.low_mv = 9000
    steps(pilot, 60, now)
    assert not pilot.diode_ok
    assert not pilot.diode_lost


def test_a_wrong_read_back_is_noticed():
    line, pilot, now = reader(high_mv=9000)
    line.duty_permille = 1000
    steps(pilot, 12, now)
    assert pilot.feedback_wrong


def test_in_state_f_no_level_is_known():
    line, pilot, now = reader(high_mv=9000)
    pilot.drive(0, now)
    line.high_mv = -12000
    steps(pilot, 60, now)
    assert pilot.level == UNKNOWN
