"""Clock of the board: the chip's own while it runs, and a PCF8563 with a battery that keeps UTC without supply.

Registers, bits and times of the PCF8563 are those of NXP's data sheet, Rev. 10 of 3 April 2012. It is read once, at
the start, and written when somebody sets the time; in between the chip's crystal (10 ppm) keeps better time than
the PCF8563's (20 ppm at 25 degrees, and some 50 ppm less in a warm box). What it tells at a start is right to a second.
"""

import time

import machine
from micropython import const

from hal import pins

# Milliseconds since the chip started, wrapping.
ticks_ms = time.ticks_ms
# No time of a simulation.
ticker = None
poll = None

_NS_PER_MS = const(1_000_000)

_ADDRESS = const(0x51)
# It takes 400 kHz. A bus that hangs is given up within the 5 ms that a call may take.
_HZ = const(400_000)
_TIMEOUT_US = const(2_000)

_CONTROL_1 = const(0x00)
_SECONDS = const(0x02)
_CLOCK_OUT = const(0x0D)
# Control_status_1: the clock stands still, which here also says that there is no time to keep. Others are for tests.
_STOP = const(0x20)
# VL_seconds: the supply was too low to keep the time. Century_months: it has run into 2100.
_VOLTAGE_LOW = const(0x80)
_CENTURY = const(0x80)
_READ_BYTES = const(9)
# Between STOP let go and the first second: 0.5078 to 0.5079 s (8.10). When the chip is read its second is half over.
_FIRST_MS = const(508)
_HALF_MS = const(500)

_DAYS_TO_2000 = const(10_957)
_DAYS_4_YEARS = const(1461)
_DAYS_LEAP_YEAR = const(366)
_DAYS_YEAR = const(365)
_SECONDS_A_DAY = const(86_400)
_MONTH_DAYS = b"\x1f\x1c\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"
# What the registers seconds to years may hold: bits in use, least and most. The day of the week is not used.
_MASKS = b"\x7f\x7f\x3f\x3f\x00\x1f\xff"
_LEAST = b"\x00\x00\x00\x01\x00\x01\x00"
_MOST = b"\x3b\x3b\x17\x1f\x00\x0c\x63"

_bus = machine.I2C(
    pins.I2C_PORT, scl=machine.Pin(pins.I2C_SCL), sda=machine.Pin(pins.I2C_SDA), freq=_HZ, timeout=_TIMEOUT_US
)
# UTC less the chip's own time; None: unknown.
_shift_ms = None
_trouble = None


def _own_ms() -> int:
    return time.time_ns() // _NS_PER_MS


def utc_ms():
    """Milliseconds since 1970 in UTC, None once the clock has forgotten it."""
    return None if _shift_ms is None else _own_ms() + _shift_ms


def set_utc_ms(ms: int) -> None:
    """Set the real-time clock, to a time from 2000 to 2099; it survives restarts and power cuts.

    `trouble` tells when the PCF8563 does not take it; the time is then kept until the next restart.
    """
    global _shift_ms
    _shift_ms = ms - _own_ms()
    # The second that the chip has to show so that its next one begins as near as can be to a true one.
    _tell(_registers((ms + _FIRST_MS + _HALF_MS) // 1000 - 1), True)


def trouble():
    """Why the PCF8563 has no time, or does not keep it; None: all is well."""
    return _trouble


def forget() -> None:
    """Lose the time until it is set again, over restarts too."""
    global _shift_ms
    _shift_ms = None
    _tell(None, False)


def _tell(registers, run: bool) -> None:
    """Stop the PCF8563, and with `run` start it with these registers; a power cut in between leaves it stopped."""
    global _trouble
    try:
        _bus.writeto_mem(_ADDRESS, _CONTROL_1, bytes((_STOP,)))
        if run:
            # Its square wave for others would empty the battery in half the time.
            _bus.writeto_mem(_ADDRESS, _CLOCK_OUT, b"\x00")
            _bus.writeto_mem(_ADDRESS, _SECONDS, registers)
            _bus.writeto_mem(_ADDRESS, _CONTROL_1, b"\x00")
        _trouble = None
    except OSError as error:
        _trouble = "the real-time clock does not answer: %s" % error


def _learn() -> None:
    """Take over the time that the PCF8563 has kept."""
    global _shift_ms, _trouble
    try:
        registers = _bus.readfrom_mem(_ADDRESS, _CONTROL_1, _READ_BYTES)
    except OSError as error:
        _trouble = "the real-time clock does not answer: %s" % error
        return
    if registers[_CONTROL_1] & _STOP:
        _trouble = "the real-time clock was never set"
    elif registers[_SECONDS] & _VOLTAGE_LOW:
        _trouble = "the real-time clock has lost the time: its battery is empty or missing"
    else:
        seconds = _seconds(registers[_SECONDS:])
        if seconds is None:
            _trouble = "the real-time clock tells no time"
        else:
            _shift_ms = seconds * 1000 + _HALF_MS - _own_ms()


def _registers(seconds: int) -> bytes:
    """Seconds since 1970 as registers VL_seconds to years."""
    days, rest = divmod(seconds, _SECONDS_A_DAY)
    years, day = divmod(days - _DAYS_TO_2000, _DAYS_4_YEARS)
    years *= 4
    leap = day < _DAYS_LEAP_YEAR
    if not leap:
        more, day = divmod(day - _DAYS_LEAP_YEAR, _DAYS_YEAR)
        years += 1 + more
    month = 0
    while day >= _length(month, leap):
        day -= _length(month, leap)
        month += 1
    parts = (rest % 60, rest // 60 % 60, rest // 3600, day + 1, 0, month + 1, years)
    return bytes([part // 10 << 4 | part % 10 for part in parts])


def _seconds(registers):
    """Seconds since 1970 of registers VL_seconds to years, None when they are no date."""
    parts = []
    for index in range(len(_MASKS)):
        value = registers[index] & _MASKS[index]
        ten, one = value >> 4, value & 0x0F
        value = ten * 10 + one
        if one > 9 or ten > 9 or not _LEAST[index] <= value <= _MOST[index]:
            return None
        parts.append(value)
    second, minute, hour, day, _, month, year = parts
    leap = year % 4 == 0
    if registers[5] & _CENTURY or day > _length(month - 1, leap):
        return None
    days = _DAYS_TO_2000 + year * _DAYS_YEAR + (year + 3) // 4 + day - 1
    for index in range(month - 1):
        days += _length(index, leap)
    return days * _SECONDS_A_DAY + hour * 3600 + minute * 60 + second


def _length(month: int, leap: bool) -> int:
    return _MONTH_DAYS[month] + (leap and month == 1)


_learn()
