"""Dates, uptime over the wrap, and the grid of a ticker."""

import asyncio
from time import ticks_add

from wallbox.clock import APP, CENTRAL, KEPT, NTP, SOURCES, UNKNOWN, Clock, Ticker, iso


class HalClock:
    ticker = poll = None

    def __init__(self):
        self.now = 0
        self.utc = None

    def ticks_ms(self):
        return self.now

    def utc_ms(self):
        return self.utc

    def set_utc_ms(self, ms):
        self.utc = ms


def test_dates_are_those_of_the_calendar():
    for seconds, text in (
        (0, "1970-01-01T00:00:00Z"),
        (951782400, "2000-02-29T00:00:00Z"),
        (1767225600, "2026-01-01T00:00:00Z"),
        (4107542399, "2100-02-28T23:59:59Z"),
        (4107542400, "2100-03-01T00:00:00Z"),
    ):
        assert iso(seconds) == text, (seconds, iso(seconds))


def test_the_time_is_unknown_until_told():
    hal = HalClock()
    clock = Clock(hal)
    assert clock.utc_s() is None
    assert clock.utc_iso() is None
    clock.set_utc_s(1767225600)
    assert clock.utc_iso() == "2026-01-01T00:00:00Z"


def test_uptime_goes_on_over_the_wrap():
    hal = HalClock()
    hal.now = ticks_add(0, -500)
    clock = Clock(hal)
    hal.now = ticks_add(hal.now, 1500)
    assert clock.uptime_s() == 1
    assert clock.uptime_ms() == 1500
    hal.now = ticks_add(hal.now, 700)
    assert clock.uptime_s() == 2


def test_a_ticker_keeps_its_grid_and_makes_up_for_nothing():
    now = [0]
    slept = []

    async def sleep_ms(ms):
        slept.append(ms)
        now[0] += ms

    async def scene():
        real = asyncio.sleep_ms
        asyncio.sleep_ms = sleep_ms
        try:
            ticker = Ticker(lambda: now[0], 10)
            await ticker.wait()
            now[0] += 4
            await ticker.wait()
            now[0] += 35
            await ticker.wait()
            await ticker.wait()
        finally:
            asyncio.sleep_ms = real

    asyncio.run(scene())
    assert slept == [10, 6, 0, 10]


def test_who_is_trusted_less_does_not_set_a_clock_that_somebody_trusted_more_has_set_of_late():
    for first in (APP, CENTRAL, NTP):
        for second in (APP, CENTRAL, NTP):
            clock = Clock(HalClock())
            assert clock.set_utc_s(1_800_000_000, first) is True
            done = clock.set_utc_s(1_800_000_100, second)
            assert done is (second >= first), (first, second)
            assert clock.utc_s() == (1_800_000_100 if done else 1_800_000_000)
            assert clock.source == (second if done else first)


def test_trust_in_a_source_that_falls_silent_ends_after_a_day():
    hal = HalClock()
    clock = Clock(hal)
    clock.set_utc_s(1_800_000_000, NTP)
    hal.now = 93_599_000
    assert clock.set_utc_s(1, CENTRAL) is False
    hal.now = 93_600_000
    assert clock.set_utc_s(1_800_093_600, CENTRAL) is True
    assert clock.source == CENTRAL


def test_a_time_that_was_kept_or_is_unknown_is_worth_less_than_any_that_is_told():
    hal = HalClock()
    clock = Clock(hal)
    assert clock.source == UNKNOWN
    hal.utc = 1_800_000_000_000
    assert clock.source == KEPT
    assert clock.set_utc_s(1_800_000_100, APP) is True
    clock.set_utc_s(1_800_000_100, NTP)
    hal.utc = None
    assert clock.source == UNKNOWN
    assert clock.set_utc_s(1_800_000_200, APP) is True, "a clock that has lost the time takes it from anybody"
    assert SOURCES[clock.source] == "app"


def test_a_time_that_no_board_can_keep_is_refused_whoever_tells_it():
    hal = HalClock()
    clock = Clock(hal)
    for seconds in (4_102_444_800, 5_995_814_400, 253_402_300_799):
        assert clock.set_utc_s(seconds, NTP) is False and clock.source == UNKNOWN
    assert clock.set_utc_s(4_102_444_799, NTP) is True


def test_listeners_hear_who_has_set_the_clock_once_it_is_set():
    clock = Clock(HalClock())
    heard = []
    clock.listeners.append(lambda source: heard.append((source, clock.utc_s())))
    clock.set_utc_s(1_800_000_000)
    clock.set_utc_ms(1_800_000_007_999, NTP)
    clock.set_utc_s(1_900_000_000, APP)
    assert heard == [(CENTRAL, 1_800_000_000), (NTP, 1_800_000_007)]
    assert clock.utc_ms() == 1_800_000_007_999
