"""boards/esp32s3/hal: residual current monitor, temperature, contact, watchdogs and port expander (R9, R12, R22)."""

import math

from esp32s3_help import REST, Board, machine, without_heap

# isort: split
import expander
from contact import Contact
from rcm import Rcm
from temperature import Temperature
from watchdog import Watchdog

# Residual current monitor


def test_the_trip_line_is_high_on_a_trip_and_low_while_all_is_well():
    board = Board()
    rcm = Rcm()
    rcm.sample()
    assert rcm.tripped is False
    board.pin(10).drive(1)
    rcm.sample()
    assert rcm.tripped is True
    rcm.sample()
    assert rcm.tripped is True
    board.pin(10).drive(0)
    rcm.sample()
    assert rcm.tripped is False


def test_a_cut_trip_wire_or_a_module_without_power_trips():
    board = Board()
    rcm = Rcm()
    board.pin(10).drive(None)
    rcm.sample()
    assert rcm.tripped is True


def test_a_trip_shorter_than_a_tick_is_seen_once():
    board = Board()
    rcm = Rcm()
    board.pin(10).drive(1)
    board.pin(10).drive(0)
    rcm.sample()
    assert rcm.tripped is True
    rcm.sample()
    assert rcm.tripped is False


def test_a_pulse_that_comes_while_the_latch_is_read_is_seen_at_the_next_sample():
    class Interrupted(Rcm):
        """The interrupt comes right after the latch was looked at."""

        @property
        def _pulse(self):
            kept = self.kept
            if self.rises:
                self.rises = False
                self.kept = True
            return kept

        @_pulse.setter
        def _pulse(self, value):
            self.kept = value

    Board()
    Interrupted.rises = False
    rcm = Interrupted()
    rcm.rises = True
    rcm.sample()
    assert rcm.tripped is False
    rcm.sample()
    assert rcm.tripped is True
    rcm.sample()
    assert rcm.tripped is False


def test_currents_are_in_microampere():
    board = Board()
    rcm = Rcm()
    for dc_ua, ac_ua in ((0, 0), (1_000, 5_000), (6_000, 30_000), (14_000, 70_000)):
        board.pin(4).analog_uv = 150_000 + dc_ua * 100
        board.pin(6).analog_uv = 150_000 + ac_ua * 20
        rcm.sample()
        assert abs(rcm.dc_ua - dc_ua) <= 10, (dc_ua, rcm.dc_ua)
        assert abs(rcm.ac_ua - ac_ua) <= 50, (ac_ua, rcm.ac_ua)


def test_noise_below_zero_is_no_current_but_a_cut_wire_is_more_than_any_limit():
    board = Board()
    rcm = Rcm()
    board.pin(4).analog_uv = board.pin(6).analog_uv = 140_000
    rcm.sample()
    assert rcm.dc_ua == 0 and rcm.ac_ua == 0
    board.pin(4).analog_uv = 0
    rcm.sample()
    assert rcm.dc_ua > 6_000 and rcm.ac_ua == 0
    board.pin(4).analog_uv, board.pin(6).analog_uv = 150_000, 60_000
    rcm.sample()
    assert rcm.dc_ua == 0 and rcm.ac_ua > 30_000


def test_the_test_output_is_high_for_the_test_and_low_when_made():
    board = Board()
    assert board.pin(36).level() == 0
    rcm = Rcm()
    assert board.pin(36).level() == 0
    rcm.set_test(True)
    assert board.pin(36).level() == 1
    Rcm()
    assert board.pin(36).level() == 0, "a restart ends the test"
    rcm.set_test(True)
    rcm.set_test(False)
    assert board.pin(36).level() == 0


def test_the_monitor_allocates_nothing():
    board = Board()
    rcm = Rcm()
    board.pin(4).analog_uv = 750_000
    board.pin(10).drive(1)
    without_heap(rcm.set_test, True)
    without_heap(rcm.sample)
    assert rcm.tripped and rcm.dc_ua == 6_000
    board.pin(4).analog_uv = 0
    without_heap(rcm.sample)
    without_heap(rcm.set_test, False)


# Temperature


def _divider_uv(celsius):
    ohm = 10_000 * math.exp(3950 / (celsius + 273.15) - 3950 / 298.15)
    return int(3_300_000 * 3_300 / (3_300 + ohm))


def test_temperature_is_right_within_1_degree_over_the_whole_range():
    board = Board()
    sensor = Temperature()
    for celsius in list(range(-40, 133)) + list(range(130, -41, -7)):
        board.pin(5).analog_uv = _divider_uv(celsius)
        sensor.sample()
        # 1 mV of the converter is 0.5 degC at -40, 0.05 at 60 and 0.16 at 130.
        assert abs(sensor.deci_c - celsius * 10) <= (12 if celsius < -25 else 5), (celsius, sensor.deci_c)


def test_the_converters_error_is_below_3_degrees_where_the_board_gets_hot():
    board = Board()
    sensor = Temperature()
    for offset in (-50_000, 50_000):
        machine.ADC.offset_uv = offset
        try:
            for celsius in (66, 70, 80, 83):
                board.pin(5).analog_uv = _divider_uv(celsius)
                sensor.sample()
                assert abs(sensor.deci_c - celsius * 10) <= 30, (celsius, sensor.deci_c)
        finally:
            machine.ADC.offset_uv = 0


def test_an_open_sensor_reads_below_and_a_shorted_one_above_what_there_is():
    board = Board()
    sensor = Temperature()
    for offset in (-10_000, 0, 10_000):
        machine.ADC.offset_uv = offset
        try:
            board.pin(5).analog_uv = 0
            sensor.sample()
            assert sensor.deci_c < -550
            board.pin(5).analog_uv = _divider_uv(-39)
            sensor.sample()
            assert -550 <= sensor.deci_c < -300, (offset, sensor.deci_c)
        finally:
            machine.ADC.offset_uv = 0
    board.pin(5).analog_uv = 3_300_000
    sensor.sample()
    assert sensor.deci_c > 1_500
    board.pin(5).analog_uv = _divider_uv(25)
    sensor.sample()
    assert abs(sensor.deci_c - 250) <= 5


def test_the_sensor_allocates_nothing():
    board = Board()
    sensor = Temperature()
    for celsius in (-40, 120, 25, 80):
        board.pin(5).analog_uv = _divider_uv(celsius)
        without_heap(sensor.sample)
        assert abs(sensor.deci_c - celsius * 10) <= 12


# Contact and expander


def test_the_contact_is_closed_when_its_input_is_low():
    board = Board()
    contact = Contact()
    assert contact.closed() is False
    board.expander.lines = REST & ~0x10
    assert contact.closed() is True
    for other in (0x01, 0x02, 0x04, 0x08, 0x20):
        board.expander.lines = REST & ~other
        assert contact.closed() is False, other


def test_outputs_hold_the_resets_from_the_first_moment_and_change_one_at_a_time():
    board = Board()
    assert [board.expander.output(bit) for bit in (1, 2, 4)] == [None] * 3, "resistors decide"
    outputs = expander.Expander()
    assert [board.expander.output(bit) for bit in (1, 2, 4)] == [0, 0, 0]
    outputs.set(1, True)
    outputs.set(4, True)
    assert [board.expander.output(bit) for bit in (1, 2, 4)] == [1, 0, 1]
    expander.Expander()
    outputs.set(4, False)
    assert [board.expander.output(bit) for bit in (1, 2, 4)] == [1, 0, 0], "a second object changes nothing"
    assert board.expander.output(8) is None


def test_an_expander_that_has_lost_its_power_gets_its_outputs_back():
    board = Board()
    outputs = expander.Expander()
    outputs.set(2, True)
    board.expander.power_on()
    outputs.set(2, True)
    assert board.expander.output(2) == 1


def test_a_garbled_frame_moves_no_other_output():
    # All ones would press the modem's key, all zeros hold the W5500 in its reset until the next restart.
    for garbage in (0xFF, 0x00, 0x05):
        board = Board()
        outputs = expander.Expander()
        outputs.set(2, True)
        chip = board.expander
        read = chip._read
        spoiled = []

        def once(register, read=read, spoiled=spoiled, garbage=garbage):
            if register == 0x15 and not spoiled:
                spoiled.append(True)
                return garbage
            return read(register)

        chip._read = once
        outputs.set(1, True)
        assert spoiled and [chip.output(bit) for bit in (1, 2, 4)] == [1, 1, 0], garbage


def test_an_expander_that_does_not_answer_is_left_as_it_is():
    board = Board()
    outputs = expander.Expander()
    outputs.set(2, True)
    chip = board.expander
    # It hears, but nobody hears it.
    read = chip._read
    chip._read = lambda register: 0xFF
    outputs.set(1, True)
    chip._read = read
    assert [chip.output(bit) for bit in (1, 2, 4)] == [0, 1, 0]


def test_the_expander_is_read_without_allocating():
    Board()
    inputs = expander.Expander()
    assert without_heap(inputs.inputs) == REST


# Watchdogs


def test_the_first_feed_may_come_at_once_and_then_each_250_ms():
    board = Board()
    watchdog = Watchdog()
    assert not board.watchdog.content, "nobody has fed it yet"
    for _ in range(40):
        watchdog.feed()
        machine.advance_ms(250)
    assert board.watchdog.content


def test_a_feed_too_early_is_a_fault():
    board = Board()
    watchdog = Watchdog()
    watchdog.feed()
    machine.advance_ms(50)
    watchdog.feed()
    assert board.watchdog.fault == "early" and not board.watchdog.content


def test_without_feeds_the_contactor_may_go_after_2_s_and_the_chip_resets_after_4():
    board = Board()
    watchdog = Watchdog()
    watchdog.feed()
    machine.advance_ms(1_900)
    assert board.watchdog.content
    machine.advance_ms(200)
    assert board.watchdog.fault == "late"
    try:
        machine.advance_ms(2_500)
    except machine.Reset:
        assert machine.reset_cause() == machine.WDT_RESET
        assert 4_000 <= machine.ticks_ms() < 4_100
        return
    raise AssertionError("the chip runs on")


def test_feeding_allocates_nothing():
    board = Board()
    watchdog = Watchdog()
    without_heap(watchdog.feed)
    assert board.watchdog.content
