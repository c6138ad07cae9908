"""Clock of the simulated board: the host's, or the virtual one that the simulator sets in `plant.board`."""

import time

from micropython import const

from plant import board

_EPOCH_MS = const(1_767_225_600_000)  # 2026-01-01T00:00:00Z, when virtual time starts
_NS_PER_MS = const(1_000_000)

# Virtual time only: a callable for ticks_ms(), a factory f(period_ms, next_due_ms) for the control loop's
# ticker, and a pause f(period_ms, rest_ms) that grows while nothing happens. None: host time.
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
        return _EPOCH_MS + board.plant.now_ms
    return time.time_ns() // _NS_PER_MS


def utc_ms():
    """Milliseconds since 1970 in UTC; the simulated board always knows it."""
    return _reference_ms() + board.utc_shift_ms


def set_utc_ms(ms: int) -> None:
    """Set the real-time clock; it survives restarts."""
    board.utc_shift_ms = ms - _reference_ms()
