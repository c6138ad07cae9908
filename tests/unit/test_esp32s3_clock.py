"""boards/esp32s3/hal/clock.py with a model of the PCF8563."""

import time
from errno import ENODEV

import s3_board

from wallbox.clock import Clock, iso

# 2026-11-25T17:12:43Z
_NOW_S = 1_795_626_763
_WRAP = 0x3FFF_FFFF


class _Time:
    """The chip's own clock, and the PCF8563 beside it."""

    def __init__(self, rtc):
        self.rtc = rtc
        self.own_ms = 12_345

    def time_ns(self):
        return self.own_ms * 1_000_000

    def pass_ms(self, ms, ppm=0):
        self.own_ms += ms
        self.rtc.pass_ms(ms, ppm)


def _wired():
    """The circuit with a PCF8563 fresh from the factory -> its time."""
    global machine
    machine, _ = s3_board.chip()
    from pcf8563 import ADDRESS, Pcf8563

    # Clock on GPIO 0, data on GPIO 44.
    return _Time(machine.wire_i2c(0, 44, ADDRESS, Pcf8563()))


def _start(passing):
    """The firmware starts, with the chip's own clock at nearly nothing."""
    clock = s3_board.load("clock")
    passing.own_ms = 700
    clock.time = passing
    clock._shift_ms = clock._trouble = None
    clock._learn()
    return clock


def _near(got_ms, want_ms, most_ms):
    assert got_ms is not None
    assert abs(got_ms - want_ms) <= most_ms, "%d ms off" % (got_ms - want_ms)


def test_a_clock_fresh_from_the_factory_tells_no_time():
    passing = _wired()
    clock = _start(passing)
    assert clock.utc_ms() is None
    assert "battery" in clock.trouble()


def test_a_time_that_was_set_runs_on_to_the_millisecond():
    passing = _wired()
    clock = _start(passing)
    clock.set_utc_ms(_NOW_S * 1000 + 321)
    assert clock.utc_ms() == _NOW_S * 1000 + 321
    passing.pass_ms(12_345_678)
    assert clock.utc_ms() == _NOW_S * 1000 + 321 + 12_345_678
    assert clock.trouble() is None


def test_it_is_kept_over_a_power_cut_to_a_second_whenever_it_is_set_and_read():
    for set_ms in range(0, 1000, 90):
        for cut_ms in range(0, 1000, 90):
            passing = _wired()
            clock = _start(passing)
            clock.set_utc_ms(_NOW_S * 1000 + set_ms)
            passing.pass_ms(40_000 + cut_ms)
            clock = _start(passing)
            _near(clock.utc_ms(), _NOW_S * 1000 + set_ms + 40_000 + cut_ms, 1_010)


def test_dates_of_a_century_are_kept():
    passing = _wired()
    clock = _start(passing)
    # 1 January 2000 and 31 December 2099, each day and some hours of each.
    days = list(range(10_957, 47_482, 11))
    # The last day of each year and the first of the next, and the days around the end of February.
    for year in range(100):
        first = 10_957 + year * 365 + (year + 3) // 4
        days += [first, first + 58, first + 59, first + 60, first + 364, first + 365]
    for day in days[:-1]:
        seconds = day * 86_400 + day % 24 * 3600 + 59 * 60 + 58
        registers = clock._registers(seconds)
        assert clock._seconds(registers) == seconds
        stamp = "20%02x-%02x-%02xT%02x:%02x:%02xZ" % tuple([registers[i] for i in (6, 5, 3, 2, 1, 0)])
        assert stamp == iso(seconds)
    assert clock._registers(946_684_800) == b"\x00\x00\x00\x01\x00\x01\x00"
    assert clock._registers(4_102_444_799) == b"\x59\x59\x23\x31\x00\x12\x99"


def test_a_leap_day_and_a_new_year_pass_without_supply():
    # The last seconds of 28 February 2028, of 31 December 2027 and of 28 February 2027.
    for before in (1_835_395_199, 1_830_297_599, 1_803_859_199):
        passing = _wired()
        clock = _start(passing)
        clock.set_utc_ms(before * 1000)
        passing.pass_ms(3_000)
        clock = _start(passing)
        _near(clock.utc_ms(), before * 1000 + 3_000, 1_010)


def test_months_without_supply_drift_no_more_than_the_crystal():
    passing = _wired()
    clock = _start(passing)
    clock.set_utc_ms(_NOW_S * 1000)
    passing.pass_ms(30 * 86_400_000, ppm=20)
    clock = _start(passing)
    _near(clock.utc_ms(), _NOW_S * 1000 + 30 * 86_400_000, 53_000)


def test_an_empty_battery_is_noticed_and_the_next_set_ends_it():
    passing = _wired()
    clock = _start(passing)
    clock.set_utc_ms(_NOW_S * 1000)
    passing.rtc.registers[2] |= 0x80
    clock = _start(passing)
    assert clock.utc_ms() is None
    assert "battery" in clock.trouble()
    clock.set_utc_ms(_NOW_S * 1000)
    assert clock.trouble() is None
    assert _start(passing).utc_ms() is not None


def test_what_is_forgotten_stays_forgotten_over_restarts_until_it_is_set():
    passing = _wired()
    clock = _start(passing)
    clock.set_utc_ms(_NOW_S * 1000)
    clock.forget()
    assert clock.utc_ms() is None
    passing.pass_ms(5_000)
    clock = _start(passing)
    assert clock.utc_ms() is None
    assert "never set" in clock.trouble()
    clock.set_utc_ms(_NOW_S * 1000)
    passing.pass_ms(5_000)
    _near(_start(passing).utc_ms(), _NOW_S * 1000 + 5_000, 1_010)


def test_a_power_cut_while_the_time_is_set_never_leaves_a_wrong_one():
    for writes in range(1, 5):
        passing = _wired()
        clock = _start(passing)
        clock.set_utc_ms(_NOW_S * 1000)
        rtc = passing.rtc
        whole = rtc.write
        left = [writes]

        def cut(data, whole=whole, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(ENODEV)
            # The last write before the cut comes through in part.
            whole(data if left[0] else data[: 1 + len(data) // 2])

        rtc.write = cut
        later_ms = _NOW_S * 1000 + 86_400_000 * 40
        clock.set_utc_ms(later_ms)
        rtc.write = whole
        clock = _start(passing)
        found = clock.utc_ms()
        if found is not None:
            _near(found, later_ms, 1_010)
            assert writes == 4, "only the last write makes it valid"


def test_the_square_wave_does_not_empty_the_battery():
    passing = _wired()
    clock = _start(passing)
    assert passing.rtc.clock_out()
    clock.set_utc_ms(_NOW_S * 1000)
    assert not passing.rtc.clock_out()


def test_a_chip_that_does_not_answer_costs_the_time_at_the_next_restart_only():
    passing = _wired()
    passing.rtc.dead = True
    clock = _start(passing)
    assert clock.utc_ms() is None
    assert "does not answer" in clock.trouble()
    clock.set_utc_ms(_NOW_S * 1000)
    passing.pass_ms(1_000)
    assert clock.utc_ms() == _NOW_S * 1000 + 1_000
    assert "does not answer" in clock.trouble()
    clock.forget()
    assert clock.utc_ms() is None


def test_registers_that_are_no_date_tell_no_time():
    good = b"\x43\x12\x17\x25\x03\x11\x26"
    for index, value in ((0, 0x60), (0, 0x4A), (1, 0x60), (2, 0x24), (3, 0x00), (3, 0x31), (5, 0x00), (5, 0x13)):
        passing = _wired()
        passing.rtc.registers[0] = 0
        passing.rtc.registers[2:9] = good
        assert _start(passing).utc_ms() // 1000 == _NOW_S
        passing.rtc.registers[2 + index] = value
        clock = _start(passing)
        assert clock.utc_ms() is None, (index, value)
        assert "no time" in clock.trouble()
    passing.rtc.registers[2:9] = b"\x43\x12\x17\x25\x03\x91\x26"
    assert _start(passing).utc_ms() is None


def test_the_day_of_the_week_does_not_matter():
    passing = _wired()
    passing.rtc.registers[0] = 0
    passing.rtc.registers[2:9] = b"\x43\x12\x17\x25\x06\x11\x26"
    assert _start(passing).utc_ms() // 1000 == _NOW_S


def test_milliseconds_are_those_of_the_chip_and_wrap_with_it():
    _wired()
    clock = s3_board.load("clock")
    before = time.ticks_ms()
    assert time.ticks_diff(clock.ticks_ms(), before) in range(2)
    assert 0 <= clock.ticks_ms() <= _WRAP


async def test_the_firmware_takes_it_for_its_clock():
    passing = _wired()
    board = _start(passing)
    clock = Clock(board)
    clock.set_utc_s(_NOW_S)
    assert clock.utc_iso() == "2026-11-25T17:12:43Z"
    ticker = clock.ticker(1, lambda: 1)
    await ticker.wait()
    await clock.poll(1, 1000)
