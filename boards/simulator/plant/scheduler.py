"""The plant's time and its coming events; no fixed step, time jumps from event to event."""

from micropython import const

NEVER = const(1 << 60)


class Scheduler:
    """Named slots instead of a queue: each part has a few events of which one at a time can be due.

    Setting a slot allocates nothing, so that the firmware's control loop may cause it under a heap lock.
    """

    def __init__(self):
        self.now_ms = 0
        self._next_ms = NEVER
        self._due = []
        self._handlers = []

    def slot(self, handler) -> int:
        """Reserve a slot for `handler()`; of events at the same time the lower slot comes first."""
        self._due.append(NEVER)
        self._handlers.append(handler)
        return len(self._due) - 1

    def at(self, slot: int, ms: int) -> None:
        """Let the slot's event happen at `ms`, now at the earliest, instead of when it was due before."""
        if ms < self.now_ms:
            ms = self.now_ms
        due = self._due
        before = due[slot]
        due[slot] = ms
        if ms < self._next_ms:
            self._next_ms = ms
        elif before == self._next_ms:
            self._next_ms = min(due)

    def off(self, slot: int) -> None:
        """Forget the slot's event."""
        if self._due[slot] != NEVER:
            self.at(slot, NEVER)

    def waits(self, slot: int) -> bool:
        """Whether the slot's event is still to come."""
        return self._due[slot] != NEVER

    def next_event_ms(self):
        """Time of the next event in ms since the plant's start, or None."""
        return None if self._next_ms == NEVER else self._next_ms

    def advance_to(self, ms: int) -> None:
        """Let everything happen that is due up to and including `ms`, in order.

        When an event raises (a reset), time stands at that event. ValueError when `ms` is in the past.
        """
        while self._next_ms <= ms:
            now = self._next_ms
            due = self._due
            slot = due.index(now)
            due[slot] = NEVER
            self._next_ms = min(due)
            self.now_ms = now
            self._handlers[slot]()
        if ms < self.now_ms:
            raise ValueError("advance_to: %d ms is in the past; allowed: from %d ms" % (ms, self.now_ms))
        self.now_ms = ms
