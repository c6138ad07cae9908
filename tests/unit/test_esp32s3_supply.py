"""boards/esp32s3/hal/supply.py with a metering chip at register level (R11)."""

from esp32s3_help import REST, Board, machine, without_heap

# isort: split
import supply
from supply import Supply

TURNS = 7


def _made():
    board = Board()
    supply.sleep_ms = machine.advance_ms
    board.meter.volts_mv = [230_000, 231_000, 229_000]
    board.meter.frequency_mhz = 50_020
    return board, Supply()


def _round(driver, turns=TURNS):
    for _ in range(turns):
        machine.advance_us(10_000, 10_000)
        driver.sample()


def test_all_quantities_are_on_their_phase_in_their_unit():
    board, driver = _made()
    board.meter.current_ma = [6_000, 16_000, 32_000]
    board.meter.power_mw = [1_380_000, 3_696_000, 7_328_000]
    _round(driver)
    assert list(driver.volts_mv) == [230_000, 231_000, 229_000]
    assert list(driver.current_ma) == [6_000, 16_000, 32_000]
    for phase, watts in enumerate((1_380, 3_696, 7_328)):
        assert abs(driver.power_w[phase] - watts) <= 1, (phase, driver.power_w[phase])
    assert driver.frequency_mhz == 50_020


def test_power_that_flows_back_is_negative():
    board, driver = _made()
    board.meter.power_mw = [-2_300_000, -1_000, 0]
    _round(driver)
    assert abs(driver.power_w[0] + 2_300) <= 1, driver.power_w[0]
    assert driver.power_w[1] in (-1, 0) and driver.power_w[2] == 0


def test_currents_are_new_at_every_sample_and_all_else_within_70_ms():
    board, driver = _made()
    _round(driver)
    for turn in range(TURNS):
        board.meter.current_ma = [10_000 + 2 * turn] * 3
        _round(driver, 1)
        assert list(driver.current_ma) == [10_000 + 2 * turn] * 3
    for shift in range(TURNS):
        # One sample more each time, so that a round begins at each turn.
        _round(driver, 1)
        board.meter.volts_mv = [200_000 + shift * 100] * 3
        board.meter.power_mw = [1_000_000 + shift * 10_000] * 3
        board.meter.frequency_mhz = 49_000 + shift * 10
        _round(driver)
        assert list(driver.volts_mv) == [200_000 + shift * 100] * 3
        assert min(driver.power_w) >= 999 + shift * 10
        assert driver.frequency_mhz == 49_000 + shift * 10


def test_a_short_circuit_of_100_a_does_not_overflow():
    board, driver = _made()
    board.meter.current_ma = [100_000, 0, 0]
    board.meter.power_mw = [23_000_000, 0, 0]
    _round(driver)
    assert driver.current_ma[0] == 100_000
    assert abs(driver.power_w[0] - 23_000) <= 2


def test_a_sample_reads_no_more_than_five_registers():
    board, driver = _made()
    for _ in range(2 * TURNS):
        before = board.meter.reads
        driver.sample()
        assert board.meter.reads - before <= 5


def test_energy_is_counted_without_loss():
    board, driver = _made()
    board.meter.current_ma = [32_000] * 3
    board.meter.power_mw = [7_360_000, -7_360_000, 7_360_000]
    for _ in range(5_000):
        machine.advance_us(70_000, 70_000)
        for _turn in range(TURNS):
            driver.sample()
    expected = 2 * 7_360_000 * 350 // 3_600
    assert expected - 20 < driver.energy_mwh <= expected, driver.energy_mwh


def test_energy_wraps_at_2_to_the_30():
    board, driver = _made()
    driver.energy_mwh = (1 << 30) - 1
    board.meter.pulses = [0, 8, 0]
    _round(driver)
    assert driver.energy_mwh == 49


def test_protective_earth_is_there_while_its_input_is_low():
    board, driver = _made()
    driver.sample()
    assert driver.pe_ok is True
    board.expander.lines = REST | 0x08
    driver.sample()
    assert driver.pe_ok is False
    board.expander.lines = REST
    board.expander.powered = False
    driver.sample()
    assert driver.pe_ok is False, "an expander that does not answer"


def test_a_chip_that_does_not_answer_has_an_impossible_voltage_and_counts_no_energy():
    board, driver = _made()
    board.meter.powered = False
    _round(driver, 3 * TURNS)
    assert min(driver.volts_mv) > 600_000
    assert driver.energy_mwh == 0


def test_a_chip_that_has_lost_its_power_is_set_up_again():
    board, driver = _made()
    board.meter.current_ma = [10_000] * 3
    _round(driver)
    board.meter.power_on()
    _round(driver, 2 * TURNS)
    assert list(driver.volts_mv) == [230_000, 231_000, 229_000]
    assert list(driver.current_ma) == [10_000] * 3
    assert not board.meter.open, "the configuration is closed again"


def test_the_chip_is_reset_and_every_register_of_its_set_up_written():
    board, driver = _made()
    assert board.meter.resets == 1
    expected = {0x00: 1, 0x31: 0x0861, 0x32: 0xC468, 0x33: 0x0087, 0x34: 0, 0x35: 0x0EA6, 0x38: 0x0177}
    for phase in range(3):
        expected[0x61 + 4 * phase] = 0x8000
        expected[0x62 + 4 * phase] = 0x4000
    assert board.meter.config == expected
    for register in board.meter.config:
        board.meter.config[register] = 0x1111
    _round(driver)
    assert board.meter.config == expected


def test_a_garbled_power_is_left_out():
    board, driver = _made()
    board.meter.power_mw = [1_000_000] * 3
    _round(driver)
    read = driver._read
    driver._read = lambda register: 0x7FFF if register == 0xB2 else read(register)
    _round(driver)
    assert abs(driver.power_w[1] - 1_000) <= 1


def test_sampling_allocates_nothing_not_even_while_setting_up_again():
    board, driver = _made()
    board.meter.current_ma = [32_000] * 3
    board.meter.power_mw = [7_360_000, -7_360_000, 20_000_000]
    board.meter.pulses = [20_000, 0, 40_000]
    for _ in range(TURNS):
        without_heap(driver.sample)
    assert driver.energy_mwh == 375_000
    machine.advance_ms(1)
    board.meter.config[0x33] = 0
    for _ in range(TURNS):
        without_heap(driver.sample)
    assert board.meter.config[0x33] == 0x87
