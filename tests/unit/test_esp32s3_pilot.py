"""boards/esp32s3/hal/pilot.py with generator, car and peak detectors behind the chip (R1, R13)."""

from esp32s3_help import Board, machine, without_heap

# isort: split
from pilot import Pilot

# Resistance of a car behind its diode in states B, C and D, with their worst tolerances.
B, C, D = 2740, 882, 246


def _made():
    board = Board()
    return board, Pilot()


def _run(pilot, ms, step_us=50):
    machine.advance_us(ms * 1000, step_us)
    pilot.sample()


def test_before_and_after_it_is_made_the_output_is_steady_and_no_offer():
    board = Board()
    assert board.pin(7).level() == 1, "the pull-up"
    Pilot()
    assert board.pin(7).level() == 1
    assert board.pin(7).pwm_hz == 1000


def test_no_duty_offers_more_than_asked_nor_becomes_steady():
    board, pilot = _made()
    for permille in range(1, 1000):
        pilot.set_duty(permille)
        raw = board.pin(7).pwm_raw
        assert board.pin(7).pwm_bits == 13
        assert 0 < raw < 8192, permille
        assert raw * 1000 <= permille * 8192, "%d permille became more" % permille
        assert (raw + 1) * 1000 > permille * 8192, "%d permille lost more than a step" % permille


def test_the_ends_are_steady_levels_without_a_pulse():
    board, pilot = _made()
    pilot.set_duty(0)
    assert board.pin(7).level() == 0
    pilot.set_duty(1000)
    assert board.pin(7).level() == 1


def test_a_duty_outside_is_refused_and_changes_nothing():
    board, pilot = _made()
    pilot.set_duty(266)
    for permille in (-1, 1001):
        try:
            pilot.set_duty(permille)
        except ValueError as error:
            assert "duty_permille" in str(error) and str(permille) in str(error) and "0..1000" in str(error)
        else:
            raise AssertionError("accepted %d" % permille)
    assert board.pin(7).pwm_raw == 266 * 8192 // 1000


def test_a_restarted_driver_leaves_a_steady_output_behind():
    board, pilot = _made()
    pilot.set_duty(500)
    Pilot()
    assert board.pin(7).level() == 1


def test_steady_levels_are_read_with_both_plateaus_equal():
    board, pilot = _made()
    for car, expected in ((0, 12_000), (B, 8_980), (C, 5_996), (D, 2_931)):
        board.pilot.car_ohm = car
        _run(pilot, 200)
        assert abs(pilot.high_mv - expected) < 60, (car, pilot.high_mv)
        assert pilot.low_mv == pilot.high_mv
        assert pilot.duty_permille == 1000
    pilot.set_duty(0)
    _run(pilot, 200)
    assert abs(pilot.high_mv + 12_000) < 40
    assert pilot.low_mv == pilot.high_mv
    assert pilot.duty_permille == 0


def test_every_offer_is_read_back_and_both_plateaus_with_it():
    board, pilot = _made()
    board.pilot.car_ohm = C
    for amperes in range(6, 33):
        permille = amperes * 1000 // 60
        pilot.set_duty(permille)
        _run(pilot, 60)
        assert pilot.duty_permille == permille
        assert abs(pilot.high_mv - 5_996) < 130, (amperes, pilot.high_mv)
        assert abs(pilot.low_mv + 12_000) < 260, (amperes, pilot.low_mv)


def test_droop_is_within_its_budget_at_any_moment_of_the_period():
    board, pilot = _made()
    board.pilot.car_ohm = B
    pilot.set_duty(100)
    machine.advance_us(100_000, 50)
    worst = 0
    for _ in range(40):
        machine.advance_us(1_050, 50)
        pilot.sample()
        worst = max(worst, abs(pilot.high_mv - 8_980))
    assert 100 < worst < 220, worst


def test_leaving_c_shows_in_the_next_sample_at_the_smallest_offer():
    board, pilot = _made()
    board.pilot.car_ohm = C
    pilot.set_duty(100)
    _run(pilot, 100)
    assert pilot.high_mv < 6_300
    board.pilot.car_ohm = B
    _run(pilot, 10)
    assert pilot.high_mv > 8_600, "the firmware takes more than 7.75 V for B"
    board.pilot.car_ohm = 0
    _run(pilot, 10)
    assert pilot.high_mv > 11_500


def test_a_fall_to_c_and_a_short_to_pe_show_soon():
    board, pilot = _made()
    board.pilot.car_ohm = B
    pilot.set_duty(533)
    _run(pilot, 100)
    board.pilot.car_ohm = C
    _run(pilot, 10)
    assert pilot.high_mv < 7_250
    board.pilot.short_ohm = 80
    _run(pilot, 45)
    assert pilot.high_mv < 1_250
    board.pilot.short_ohm = 1
    _run(pilot, 200)
    assert -100 <= pilot.low_mv <= 0 <= pilot.high_mv < 100


def test_a_lost_diode_shows_in_the_negative_plateau():
    board, pilot = _made()
    board.pilot.car_ohm = B
    pilot.set_duty(266)
    _run(pilot, 100)
    assert pilot.low_mv < -11_500
    board.pilot.diode_mv = 0
    _run(pilot, 30)
    assert -9_300 < pilot.low_mv < -8_400, "the firmware asks for -10 V"


def test_a_generator_that_sticks_is_read_back_as_it_is():
    board, pilot = _made()
    board.pilot.car_ohm = C
    pilot.set_duty(266)
    _run(pilot, 100)
    board.pilot.stuck = 1
    _run(pilot, 100)
    assert pilot.duty_permille == 1000
    board.pilot.stuck = 0
    _run(pilot, 100)
    assert pilot.duty_permille == 0
    assert pilot.high_mv < -10_000


def test_a_pwm_that_goes_on_after_steady_was_asked_for_is_read_back_as_wrong():
    board, pilot = _made()
    board.pilot.car_ohm = C
    pilot.set_duty(266)
    _run(pilot, 100)
    # The latch takes the new duty, the pin goes on as before.
    read = pilot._pwm.duty_u16

    class Stale:
        def duty_u16(self, value=None):
            return 65_535 if value is None else None

    pilot._pwm = Stale()
    pilot.set_duty(1000)
    _run(pilot, 100)
    assert read() < 65_535
    assert abs(pilot.duty_permille - 1000) > 10


def test_levels_hold_within_the_firmwares_limits_with_all_tolerances_at_their_worst():
    # Divider 0.1 %, op amp 2 mV, converter 10 mV: as in the error budget of the board's README.
    for sign in (-1, 1):
        board, pilot = _made()
        pilot.set_duty(100)
        circuit = board.pilot
        circuit.bottom_ohm = 10_000 * (1 + sign * 0.001)
        circuit.top_ohm = 75_000 * (1 - sign * 0.001)
        circuit.offset_uv = sign * 2_000
        machine.ADC.offset_uv = sign * 10_000
        try:
            # (car, source, least, most): the norm's extremes of resistors and +-5 % of the source.
            for car, source, least, most in (
                (0, 11_400, 10_750, 13_000),
                (0, 12_600, 10_750, 13_000),
                (1_870, 12_000, 7_750, 10_750),
                (4_610, 12_000, 7_750, 10_750),
                (882 * 0.97, 11_400, 4_750, 7_250),
                (882 * 1.03, 12_600, 4_750, 7_250),
                (246 * 1.03, 12_600, 1_750, 4_250),
            ):
                circuit.car_ohm = int(car)
                circuit.plus_mv = circuit.minus_mv = float(source)
                machine.advance_us(200_000, 50)
                for _ in range(20):
                    machine.advance_us(1_050, 50)
                    pilot.sample()
                    assert least < pilot.high_mv < most, (car, source, pilot.high_mv)
                    assert -13_000 < pilot.low_mv < -10_000, (car, source, pilot.low_mv)
        finally:
            machine.ADC.offset_uv = 0


def test_a_car_with_the_largest_resistance_is_told_from_none_before_the_offer():
    board, pilot = _made()
    machine.ADC.offset_uv = 10_000
    try:
        board.pilot.offset_uv = 2_000
        board.pilot.bottom_ohm = 10_010
        board.pilot.car_ohm = 4_610
        _run(pilot, 200)
        assert 9_900 < pilot.high_mv < 10_250, pilot.high_mv
    finally:
        machine.ADC.offset_uv = 0


def test_sampling_and_setting_allocate_nothing():
    board, pilot = _made()
    for permille in (1000, 100, 533, 0):
        without_heap(pilot.set_duty, permille)
        machine.advance_us(100_000, 50)
        without_heap(pilot.sample)
        assert pilot.duty_permille == permille
