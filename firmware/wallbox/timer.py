"""Timers for the control loop: wrap-safe, allocation-free, and honest about when they are next due."""

from time import ticks_add, ticks_diff


class Timer:
    """A single-shot timer on wrapping ticks; `due` is meaningful only while `running`."""

    def __init__(self):
        self.running = False
        self.due = 0

    def start(self, now: int, ms: int) -> None:
        """Run for `ms` milliseconds from `now` (at most 2**29 - 1, the reach of the ticks)."""
        self.due = ticks_add(now, ms)
        self.running = True

    def stop(self) -> None:
        """Forget the due time."""
        self.running = False

    def expired(self, now: int) -> bool:
        """True once, at the first call at or after the due time; the timer then rests.

        Resting matters: a due time left standing would look like the future again after the ticks
        wrap (6.2 days on a 32-bit port).
        """
        if self.running and ticks_diff(now, self.due) >= 0:
            self.running = False
            return True
        return False

    def left_ms(self, now: int) -> int:
        """Milliseconds until due, 0 when resting or overdue."""
        if not self.running:
            return 0
        return max(0, ticks_diff(self.due, now))


class Dwell:
    """A condition that counts only after it has held without a break for a given time."""

    def __init__(self, ms: int):
        self.ms = ms
        self.running = False
        self.held = False
        self.due = 0

    def update(self, now: int, condition: bool) -> bool:
        """Feed the condition as seen now; True while it has held for `ms`."""
        if not condition:
            self.running = False
            self.held = False
        elif self.running:
            if ticks_diff(now, self.due) >= 0:
                self.running = False
                self.held = True
        elif not self.held:
            self.due = ticks_add(now, self.ms)
            if self.ms > 0:
                self.running = True
            else:
                self.held = True
        return self.held


def next_due_ms(timers, now: int, horizon_ms: int) -> int:
    """Milliseconds until the first of `timers` is due, at most `horizon_ms`; 0 when one is due now."""
    best = horizon_ms
    for timer in timers:
        if timer.running:
            left = ticks_diff(timer.due, now)
            if left < best:
                best = left
    return max(0, best)


def unwatched(_within_ms) -> None:
    """Stands in for `Watch.beat` where no supervisor watches a task."""
