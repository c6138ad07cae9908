"""Reading and driving the control pilot."""

from wallbox.charging.pilot import INVALID, UNKNOWN, Pilot, classify, duty_permille
from wallbox.charging.states import LEVEL_A, LEVEL_B, LEVEL_C, LEVEL_D, LEVEL_E


class Line:
    """A pilot whose plateaus the test sets."""

    def __init__(self):
        self.high_mv = 12000
        self.low_mv = -12000
        self.duty_permille = 1000
        self.samples = 0

    def set_duty(self, permille):
        self.duty_permille = permille

    def sample(self):
        self.samples += 1


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
    now = steps(pilot, 2, now)
    assert pilot.level == LEVEL_C, "the glitch must not count"
    now = steps(pilot, 1, now)
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


BOUNDARIES_MV = (10500, 7500, 4500, 1500)


def test_each_boundary_lies_at_its_midpoint_with_a_quarter_volt_of_hysteresis():
    for i, boundary in enumerate(BOUNDARIES_MV):
        upper, lower = i, i + 1
        for before in range(LEVEL_E + 1):
            limit = boundary - 250 if before <= upper else boundary + 250
            assert classify(limit, before) == upper, (limit, before)
            assert classify(limit - 1, before) == lower, (limit, before)
        for before in (INVALID, UNKNOWN):
            assert classify(boundary, before) == upper
            assert classify(boundary - 1, before) == lower


def test_the_ends_of_the_scale_are_13_v_and_minus_1_5_v():
    for mv, level in ((13000, LEVEL_A), (13001, INVALID), (-1500, LEVEL_E), (-1501, INVALID)):
        assert classify(mv, UNKNOWN) == level, mv


def test_every_level_and_what_is_none_has_a_number_of_its_own():
    assert (LEVEL_E, INVALID, UNKNOWN) == (4, 5, 6), "the loop keeps a level in three bits"


def test_the_duty_at_both_ends_and_what_is_steady():
    for ma, permille in ((0, 1000), (5999, 1000), (6000, 100), (6059, 100), (6060, 101), (51000, 850), (52000, 850)):
        assert duty_permille(ma) == permille, ma


MV = {LEVEL_A: 12000, LEVEL_B: 9000, LEVEL_C: 6000, LEVEL_D: 3000, LEVEL_E: 0, INVALID: 15000}


def at_level(level, duty=266):
    line, pilot, now = reader(duty=duty)
    line.high_mv = MV[level]
    now = steps(pilot, 100, now)
    assert pilot.level == level
    return line, pilot, now


def samples_until(pilot, level, now, most=200):
    for count in range(1, most):
        pilot.update(now)
        now += 10
        if pilot.level == level:
            return count
    raise AssertionError("level %d not reached" % level)


def test_each_change_of_level_takes_its_own_time():
    # ms that the new level must hold; it is accepted at the sample after.
    wanted = {
        LEVEL_A: {LEVEL_B: 200, LEVEL_C: 500, LEVEL_D: 500},
        LEVEL_B: {LEVEL_A: 20, LEVEL_C: 500, LEVEL_D: 500},
        LEVEL_C: {LEVEL_A: 20, LEVEL_B: 20, LEVEL_D: 500},
        LEVEL_D: {LEVEL_A: 20, LEVEL_B: 20, LEVEL_C: 500},
        LEVEL_E: {LEVEL_A: 200, LEVEL_B: 200, LEVEL_C: 500, LEVEL_D: 500},
        INVALID: {LEVEL_A: 200, LEVEL_B: 200, LEVEL_C: 500, LEVEL_D: 500},
    }
    for before, row in wanted.items():
        row[INVALID], row[LEVEL_E] = 30, 0
        for after, ms in row.items():
            if after == before:
                continue
            line, pilot, now = at_level(before)
            line.high_mv = MV[after]
            assert samples_until(pilot, after, now) == ms // 10 + 1, (before, after)


def test_the_first_level_is_known_after_100_ms():
    for level in (LEVEL_A, LEVEL_B, LEVEL_C, LEVEL_D):
        line = Line()
        line.high_mv = MV[level]
        pilot = Pilot(line)
        assert pilot.level == UNKNOWN
        assert samples_until(pilot, level, 0) == 11
        assert not pilot.diode_ok


def test_a_new_reader_knows_nothing_and_blames_nothing():
    pilot = Pilot(Line())
    assert (pilot.level, pilot.duty) == (UNKNOWN, 1000)
    assert not (pilot.diode_ok or pilot.diode_lost or pilot.feedback_wrong)
    pilot.update(0)
    assert not pilot.feedback_wrong
    assert [timer.running for timer in pilot.timers] == [True, False, False, False, False]


def test_a_level_that_is_interrupted_begins_its_time_again():
    line, pilot, now = at_level(LEVEL_B)
    for _ in range(3):
        line.high_mv = 6000
        now = steps(pilot, 50, now)
        line.high_mv = 9000
        now = steps(pilot, 1, now)
    assert pilot.level == LEVEL_B
    line.high_mv = 6000
    assert samples_until(pilot, LEVEL_C, now) == 51


def test_a_change_between_two_levels_of_one_time_begins_it_again_unless_it_opens():
    line, pilot, now = at_level(LEVEL_B)
    line.high_mv = 6000
    now = steps(pilot, 40, now)
    line.high_mv = 3000
    assert samples_until(pilot, LEVEL_D, now) == 51
    for level in (LEVEL_C, LEVEL_D):
        line, pilot, now = at_level(level)
        line.high_mv = 9000
        now = steps(pilot, 1, now)
        line.high_mv = 12000
        assert samples_until(pilot, LEVEL_A, now) == 2, "leaving C goes on counting"


def test_what_opens_lends_no_time_to_a_level_that_does_not():
    for level, high_mv, after in ((LEVEL_C, 9000, LEVEL_D), (LEVEL_D, 12000, LEVEL_C), (LEVEL_B, 12000, LEVEL_C)):
        line, pilot, now = at_level(level)
        line.high_mv = high_mv
        now = steps(pilot, 2, now)
        line.high_mv = MV[after]
        assert samples_until(pilot, after, now) == 51, level


def test_a_change_of_another_time_begins_at_its_own():
    line, pilot, now = at_level(LEVEL_C)
    line.high_mv = 15000
    now = steps(pilot, 2, now)
    line.high_mv = 9000
    assert samples_until(pilot, LEVEL_B, now) == 2, "what opens shares one clock"
    line.high_mv = 6000
    now = steps(pilot, 45, now)
    line.high_mv = 15000
    assert samples_until(pilot, INVALID, now) == 4


def test_the_way_back_after_an_accepted_change_takes_its_whole_time():
    line, pilot, now = at_level(LEVEL_C)
    line.high_mv = 12000
    now = steps(pilot, 3, now)
    assert pilot.level == LEVEL_A
    line.high_mv = 9000
    assert samples_until(pilot, LEVEL_B, now) == 21


def test_switching_the_pilot_on_or_off_blinds_the_reader_for_30_ms():
    for before, after in ((1000, 266), (266, 1000)):
        line, pilot, now = at_level(LEVEL_B, duty=before)
        pilot.drive(after, now)
        assert line.duty_permille == pilot.duty == after
        assert pilot.timers[1].running
        line.high_mv = 0
        steps(pilot, 3, now)
        assert pilot.level == LEVEL_B
        pilot.update(now + 30)
        assert pilot.level == LEVEL_E


def test_a_change_under_way_is_forgotten_when_the_pilot_is_switched():
    line, pilot, now = at_level(LEVEL_B, duty=1000)
    line.high_mv = 6000
    now = steps(pilot, 45, now)
    pilot.drive(266, now)
    assert samples_until(pilot, LEVEL_C, now) == 3 + 51


def test_another_duty_blinds_nobody_and_keeps_the_proof_of_the_diode():
    line, pilot, now = at_level(LEVEL_C)
    assert pilot.diode_ok
    for duty in (1, 999, 100):
        pilot.drive(duty, now)
        assert line.duty_permille == duty
        assert not pilot.timers[1].running
        pilot.update(now)
        assert pilot.diode_ok
    line.high_mv = 0
    pilot.update(now)
    assert pilot.level == LEVEL_E


def test_the_same_duty_again_is_not_sent():
    line, pilot, now = at_level(LEVEL_B)
    line.duty_permille = 5
    pilot.drive(266, now)
    assert line.duty_permille == 5
    pilot.drive(267, now)
    assert line.duty_permille == 267


def test_switching_the_pilot_ends_the_proof_of_the_diode_and_it_is_given_anew():
    line, pilot, now = at_level(LEVEL_C)
    assert pilot.diode_ok
    pilot.drive(1000, now)
    assert not pilot.diode_ok
    now = steps(pilot, 30, now)
    assert not pilot.diode_ok
    pilot.drive(266, now)
    now = steps(pilot, 3 + 10, now)
    assert not pilot.diode_ok
    now = steps(pilot, 1, now)
    assert pilot.diode_ok


def test_in_state_f_nothing_is_read_and_after_it_the_level_is_found_anew():
    line, pilot, now = at_level(LEVEL_C)
    pilot.drive(0, now)
    assert pilot.level == UNKNOWN
    assert not pilot.diode_ok
    line.high_mv = 6000
    now = steps(pilot, 100, now)
    assert pilot.level == UNKNOWN
    assert not pilot.timers[0].running
    pilot.drive(1000, now)
    assert samples_until(pilot, LEVEL_C, now) == 3 + 11
    assert pilot.level == LEVEL_C


def test_a_change_under_way_is_forgotten_in_state_f():
    line, pilot, now = at_level(LEVEL_C)
    line.high_mv = 9000
    now = steps(pilot, 1, now)
    assert pilot.timers[0].running
    pilot.drive(0, now)
    now = steps(pilot, 1, now)
    assert not pilot.timers[0].running
    now = steps(pilot, 30, now)
    pilot.drive(1000, now)
    line.high_mv = 15000
    assert samples_until(pilot, INVALID, now) == 3 + 4


def test_a_diode_is_proven_by_100_ms_between_minus_10_and_minus_13_v():
    for low_mv, good in ((-9999, False), (-10000, True), (-12000, True), (-13000, True), (-13001, False)):
        line, pilot, now = at_level(LEVEL_B, duty=1000)
        line.low_mv = low_mv
        pilot.drive(266, now)
        now = steps(pilot, 3 + 10, now)
        assert not pilot.diode_ok and not pilot.diode_lost, low_mv
        assert pilot.timers[2 if good else 3].running
        now = steps(pilot, 1, now)
        assert pilot.diode_ok == good, low_mv
        assert pilot.diode_lost == (not good), low_mv


def test_a_bad_sample_ends_the_proof_at_once_and_100_ms_of_them_lose_the_diode():
    line, pilot, now = at_level(LEVEL_B)
    line.low_mv = -5000
    now = steps(pilot, 1, now)
    assert not pilot.diode_ok
    line.low_mv = -12000
    now = steps(pilot, 10, now)
    assert not pilot.diode_ok
    for level in (LEVEL_C, LEVEL_D):
        line, pilot, now = at_level(level)
        line.low_mv = -5000
        now = steps(pilot, 10, now)
        assert not pilot.diode_ok and not pilot.diode_lost, level
        line.low_mv = -12000
        now = steps(pilot, 1, now)
        line.low_mv = -5000
        now = steps(pilot, 10, now)
        assert not pilot.diode_lost
        now = steps(pilot, 1, now)
        assert not pilot.diode_ok and pilot.diode_lost
        line.low_mv = -12000
        now = steps(pilot, 1, now)
        assert not pilot.diode_lost


def test_without_a_car_or_during_a_short_the_diode_is_not_judged():
    for level in (LEVEL_A, LEVEL_E, INVALID):
        line, pilot, now = at_level(level)
        assert not pilot.diode_ok
        line.low_mv = -5000
        now = steps(pilot, 30, now)
        assert not pilot.diode_lost and not pilot.diode_ok, level
    line, pilot, now = at_level(LEVEL_B)
    line.high_mv = 12000
    steps(pilot, 3, now)
    assert not pilot.diode_ok


def test_the_read_back_may_differ_by_10_permille_and_else_is_wrong_after_100_ms():
    for read, wrong in ((276, False), (277, True), (256, False), (255, True)):
        line, pilot, now = at_level(LEVEL_B)
        line.duty_permille = read
        now = steps(pilot, 10, now)
        assert not pilot.feedback_wrong
        now = steps(pilot, 1, now)
        assert pilot.feedback_wrong == wrong, read


def test_a_new_duty_gives_the_read_back_its_time_again():
    line, pilot, now = at_level(LEVEL_B)
    line.duty_permille = 500
    now = steps(pilot, 8, now)
    pilot.drive(300, now)
    line.duty_permille = 500
    now = steps(pilot, 10, now)
    assert not pilot.feedback_wrong
    now = steps(pilot, 1, now)
    assert pilot.feedback_wrong


def test_the_read_back_is_watched_in_state_f_too():
    line, pilot, now = at_level(LEVEL_B)
    pilot.drive(0, now)
    line.duty_permille = 266
    steps(pilot, 11, now)
    assert pilot.feedback_wrong
    assert pilot.timers[4].held


def test_each_step_takes_one_sample_and_a_level_at_rest_waits_for_nothing():
    for level in (LEVEL_A, LEVEL_B, LEVEL_C, LEVEL_D):
        line, pilot, now = at_level(level)
        before = line.samples
        for _ in range(100):
            now = steps(pilot, 1, now)
            assert not pilot.timers[0].running
        assert line.samples == before + 100


def test_a_short_at_the_very_first_sample_counts():
    line = Line()
    line.high_mv = 0
    pilot = Pilot(line)
    pilot.update(0)
    assert pilot.level == LEVEL_E


def test_a_level_just_accepted_lends_no_time_to_the_next():
    line, pilot, now = at_level(LEVEL_C)
    line.high_mv = 9000
    now = steps(pilot, 3, now)
    line.high_mv = 12000
    now = steps(pilot, 2, now)
    assert pilot.level == LEVEL_B
    now = steps(pilot, 1, now)
    assert pilot.level == LEVEL_A


def test_from_state_f_to_modulation_blinds_the_reader_too():
    line, pilot, now = at_level(LEVEL_C)
    pilot.drive(0, now)
    now = steps(pilot, 10, now)
    pilot.drive(266, now)
    assert pilot.timers[1].running


def test_modulation_that_was_away_between_two_samples_gives_the_diode_its_time_again():
    for low_mv in (-12000, -5000):
        line, pilot, now = at_level(LEVEL_B, duty=1000)
        line.low_mv = low_mv
        pilot.drive(266, now)
        now = steps(pilot, 9, now)
        pilot.drive(1000, now)
        pilot.drive(266, now)
        now = steps(pilot, 3 + 10, now)
        assert not pilot.diode_ok and not pilot.diode_lost
        now = steps(pilot, 1, now)
        assert pilot.diode_ok or pilot.diode_lost


def test_a_lost_diode_is_not_blamed_without_modulation():
    line, pilot, now = at_level(LEVEL_B)
    line.low_mv = -5000
    now = steps(pilot, 20, now)
    assert pilot.diode_lost
    pilot.drive(1000, now)
    steps(pilot, 4, now)
    assert not pilot.diode_lost


def test_a_disturbance_in_c_does_not_cost_the_proof_when_the_car_goes_to_b():
    line, pilot, now = at_level(LEVEL_C)
    line.low_mv = -5000
    now = steps(pilot, 1, now)
    line.low_mv = -12000
    line.high_mv = 9000
    steps(pilot, 4, now)
    assert pilot.level == LEVEL_B


def test_a_voltage_that_wanders_between_b_a_and_the_impossible_leaves_c_in_time():
    line, pilot, now = reader(high_mv=6000)
    now = steps(pilot, 60, now)
    assert pilot.level == LEVEL_C
    for tick in range(5):
        line.high_mv = (9000, 15000, 12000)[tick % 3]
        now = steps(pilot, 1, now)
    assert pilot.level != LEVEL_C


def test_a_level_is_steady_only_while_no_other_is_on_its_way():
    line, pilot, now = reader(high_mv=6000)
    now = steps(pilot, 60, now)
    assert pilot.steady_at(LEVEL_C) and not pilot.steady_at(LEVEL_B)
    line.high_mv = 3000
    now = steps(pilot, 1, now)
    assert pilot.level == LEVEL_C and not pilot.steady_at(LEVEL_C)
    assert not pilot.steady_at(LEVEL_D), "it is not accepted yet"
    line.high_mv = 6000
    steps(pilot, 1, now)
    assert pilot.steady_at(LEVEL_C)


def test_the_proof_of_the_diode_ends_with_the_first_bad_sample_in_c_too():
    line, pilot, now = reader(high_mv=6000)
    now = steps(pilot, 80, now)
    assert pilot.diode_ok
    line.low_mv = -5600
    now = steps(pilot, 1, now)
    assert not pilot.diode_ok and not pilot.diode_lost
    line.low_mv = -12000
    now = steps(pilot, 8, now)
    assert not pilot.diode_ok
    steps(pilot, 4, now)
    assert pilot.diode_ok


def test_a_car_that_leaves_c_as_the_offer_ends_is_seen_with_the_first_sample_after_the_switching():
    for high_mv, before in ((9000, 1), (15000, 1), (15000, 2)):
        line, pilot, now = reader(high_mv=6000)
        now = steps(pilot, 60, now)
        assert pilot.level == LEVEL_C
        line.high_mv = high_mv
        now = steps(pilot, before, now)
        pilot.drive(1000, now)
        # 30 ms without samples, and the one that decides.
        now = steps(pilot, 4, now)
        assert pilot.level != LEVEL_C, (high_mv, before)
    line, pilot, now = reader(high_mv=6000)
    now = steps(pilot, 60, now)
    line.high_mv = 9000
    now = steps(pilot, 1, now)
    pilot.drive(1000, now)
    line.high_mv = 6000
    steps(pilot, 20, now)
    assert pilot.level == LEVEL_C, "what was there before the switching alone decides nothing"
