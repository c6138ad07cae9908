"""Clock of the simulated board: the host's, or the virtual or faster one that the simulator sets in `plant.board`."""

import time

from micropython import const

from plant import board

_NS_PER_MS = const(1_000_000)

# A callable for ticks_ms(); in virtual time also a factory f(period_ms, next_due_ms) for the control loop's ticker,
# and a pause f(period_ms, rest_ms) that grows while nothing happens. None: host time.
virtual_ticks = board.virtual_ticks
ticker = board.ticker
poll = board.poll

_start_ticks = time.ticks_ms()


def ticks_ms() -> int:
    """Milliseconds since the board started, wrapping as time.ticks_ms() does."""
    if virtual_ticks is not None:
        return virtual_ticks()
    return time.ticks_diff(time.ticks_ms(), _start_ticks)


def _reference_ms() -> int:
    if virtual_ticks is not None:
        board.plant.sync()
        return board.epoch_ms + board.plant.now_ms
    return time.time_ns() // _NS_PER_MS


def utc_ms():
    """Milliseconds since 1970 in UTC, None once the clock has forgotten it."""
    return None if board.utc_shift_ms is None else _reference_ms() + board.utc_shift_ms


def set_utc_ms(ms: int) -> None:
    """Set the real-time clock; it survives restarts."""
    board.utc_shift_ms = ms - _reference_ms()


def trouble():
    """Why the real-time clock has no time, or does not keep it; None: all is well."""
    return "the real-time clock has lost the time" if board.utc_shift_ms is None else None


def forget() -> None:
    """Lose the time until it is set again, as a clock does whose battery is empty."""
    board.utc_shift_ms = None
