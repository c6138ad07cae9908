"""boards/esp32s3/hal/contactor.py with coil, pump, interlocks and voltage sense behind the chip (R8, R10)."""

from esp32s3_help import Board, machine, without_heap

# isort: split
import contactor

contactor.ticks_ms = machine.ticks_ms
TICK_MS = 10


def _made():
    board = Board()
    return board, contactor.Contactor()


def _loop(driver, ms):
    """The control loop for a while."""
    for _ in range(ms // TICK_MS):
        machine.advance_ms(TICK_MS)
        driver.sample()


def _closed():
    board, driver = _made()
    board.watchdog.satisfy()
    driver.set(True)
    _loop(driver, 200)
    assert board.coil.closed
    return board, driver


def test_at_reset_and_when_made_the_coil_has_neither_current_nor_pump():
    board = Board()
    board.watchdog.satisfy()
    assert board.pin(8).level() == 0 and board.pin(9).level() == 0, "the pull-downs"
    contactor.Contactor()
    assert board.pin(8).level() == 0 and board.pin(9).level() == 0
    assert board.pin(9).pwm_hz == 20_000
    machine.advance_ms(500)
    assert not board.coil.closed


def test_it_closes_within_40_ms_with_full_coil_and_then_holds_with_half():
    board, driver = _made()
    board.watchdog.satisfy()
    driver.set(True)
    assert board.pin(8).level() == 1, "the pump's first edge does not wait for a tick"
    _loop(driver, 40)
    assert board.coil.closed
    assert board.coil.permille() == 1000
    _loop(driver, 50)
    assert board.coil.permille() == 1000, "full for 100 ms"
    _loop(driver, 20)
    assert board.coil.permille() == 500
    _loop(driver, 3_000)
    assert board.coil.closed


def test_asking_again_for_what_is_does_not_begin_a_new_pull_in():
    board, driver = _closed()
    driver.set(True)
    assert board.coil.permille() == 500
    driver.set(False)
    driver.set(False)
    _loop(driver, 200)
    assert not board.coil.closed


def test_it_opens_within_20_ms_and_stays_open():
    board, driver = _closed()
    driver.set(False)
    assert board.pin(8).level() == 0 and board.pin(9).level() == 0
    _loop(driver, 20)
    assert not board.coil.closed
    _loop(driver, 1_000)
    assert not board.coil.closed


def test_a_loop_that_hangs_lets_the_contactor_open_90_to_150_ms_later_whatever_level_the_pump_has():
    for ticks in (20, 21):
        board, driver = _made()
        board.watchdog.satisfy()
        driver.set(True)
        _loop(driver, ticks * TICK_MS)
        hung_us = machine.chip.now_us
        machine.advance_ms(500)
        assert not board.coil.closed
        assert board.coil.permille() == 500, "the PWM goes on by itself"
        assert 90_000 < board.coil.opened_us - hung_us < 150_000, board.coil.opened_us - hung_us


def test_a_loop_that_is_late_by_a_flash_erase_does_not_let_it_open():
    board, driver = _closed()
    for _ in range(5):
        machine.advance_ms(70)
        driver.sample()
        _loop(driver, 20)
    assert board.coil.closed


def test_a_pump_pin_that_sticks_at_either_level_opens():
    for level in (0, 1):
        board, driver = _closed()
        driver._pump = lambda _level: None
        board.pin(8).value(level)
        _loop(driver, 200)
        assert not board.coil.closed


def test_a_stuck_hold_pwm_alone_does_not_close():
    board, driver = _made()
    board.watchdog.satisfy()
    driver._coil.duty_u16(65_535)
    _loop(driver, 500)
    assert not board.coil.closed


def test_a_reset_of_the_chip_opens():
    board, _ = _closed()
    machine.restart()
    machine.advance_ms(30)
    assert not board.coil.closed


def test_monitor_and_watchdog_open_in_hardware_while_the_firmware_goes_on():
    board, driver = _closed()
    board.pin(10).drive(None)
    _loop(driver, 20)
    assert not board.coil.closed
    board, driver = _closed()
    board.watchdog.content = False
    _loop(driver, 20)
    assert not board.coil.closed


def test_each_pole_has_its_bit_and_a_welded_one_shows_after_opening():
    board, driver = _closed()
    _loop(driver, 20)
    assert driver.live == 0b111
    for pole in range(3):
        board.coil.welded = 1 << pole
        driver.set(False)
        _loop(driver, 100)
        assert driver.live == 1 << pole
    board.coil.welded = 0
    _loop(driver, 20)
    assert driver.live == 0


def test_an_expander_that_does_not_answer_counts_as_all_poles_live():
    board, driver = _made()
    _loop(driver, 20)
    assert driver.live == 0
    board.expander.powered = False
    _loop(driver, 20)
    assert driver.live == 0b111
    board.expander.powered = True
    board.expander.lines = 0
    driver.sample()
    assert driver.live == 0b111, "a bus that is stuck low"


def test_sampling_and_setting_allocate_nothing():
    board, driver = _made()
    board.watchdog.satisfy()
    for closed in (True, True, False, True):
        without_heap(driver.set, closed)
        for _ in range(15):
            machine.advance_ms(TICK_MS)
            without_heap(driver.sample)
    assert board.coil.closed and driver.live == 0b111
