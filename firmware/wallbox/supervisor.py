"""The supervisor: starts every task, watches it, restarts what may be restarted, and feeds the watchdog.

The watchdog is fed only while every watched task keeps its promise; a safety task that dies or is late
opens the contactor and resets the box.
"""

import asyncio
import io
import sys
from time import ticks_add, ticks_diff

from micropython import const

_PERIOD_MS = const(250)
# The window watchdog of the board wants to be fed within 2 s.
_REST_MS = const(1_500)
# Restart back-off of a task that dies: doubling from 1 s to 60 s, back to 1 s after ten quiet minutes.
_FIRST_MS = const(1_000)
_LONGEST_MS = const(60_000)
_QUIET_MS = const(600_000)


class Watch:
    """One task's promise to be heard of again."""

    def __init__(self, clock, name: str, factory, safety: bool):
        self._clock = clock
        self.name = name
        self.factory = factory
        self.safety = safety
        self.task: asyncio.Task | None = None
        self.due = None
        self.restarts = 0
        self.backoff_ms = _FIRST_MS
        self.started = 0

    def beat(self, within_ms) -> None:
        """The task is alive and promises its next beat within that time; allocates nothing.

        None while it waits for something that may never happen: then nothing is promised.
        """
        self.due = None if within_ms is None else ticks_add(self._clock.ticks_ms(), within_ms)

    def late(self, now: int) -> bool:
        """True when the promised beat is overdue."""
        return self.due is not None and ticks_diff(now, self.due) > 0


class Supervisor:
    """Owner of all tasks. `stop(reason)` must make the box safe and reset it; it does not return."""

    def __init__(self, clock, watchdog, log, stop):
        self._clock = clock
        self._watchdog = watchdog
        self._log = log
        self._stop = stop
        self.watches = []

    def add(self, name: str, factory, safety: bool = False) -> None:
        """Watch the coroutine that `factory(beat)` makes; `beat` is that of its Watch."""
        self.watches.append(Watch(self._clock, name, factory, safety))

    def status(self) -> dict:
        """{task: restarts}."""
        return {watch.name: watch.restarts for watch in self.watches}

    async def run(self) -> None:
        """Start all tasks, then look after them for ever."""
        for watch in self.watches:
            self._start(watch)
        while True:
            now = self._clock.ticks_ms()
            for watch in self.watches:
                self._look_after(watch, now)
            self._watchdog.feed()
            await self._clock.poll(_PERIOD_MS, _REST_MS)
            # Whatever held up the loop (a flash erase) is over now: who was due meanwhile goes first, or a
            # sound control loop would be found late by a supervisor that was no earlier itself.
            await asyncio.sleep_ms(0)

    def _start(self, watch: Watch) -> None:
        watch.due = None
        watch.started = self._clock.ticks_ms()
        watch.task = asyncio.create_task(self._guard(watch))

    async def _guard(self, watch: Watch) -> None:
        """Run the task; whatever ends it is logged here, once."""
        try:
            await watch.factory(watch.beat)
            what = "it returned"
        except Exception as error:
            text = io.StringIO()
            sys.print_exception(error, text)
            what = text.getvalue()
        self._log.add("error", "supervisor", "task_died", "task %s died: %s" % (watch.name, what))
        if watch.safety:
            self._stop("task %s died" % watch.name)
        watch.due = None
        watch.restarts += 1
        if ticks_diff(self._clock.ticks_ms(), watch.started) > _QUIET_MS:
            watch.backoff_ms = _FIRST_MS
        delay_ms = watch.backoff_ms
        watch.backoff_ms = min(_LONGEST_MS, delay_ms * 2)
        await asyncio.sleep_ms(delay_ms)
        self._start(watch)

    def _look_after(self, watch: Watch, now: int) -> None:
        if not watch.late(now):
            return
        if watch.safety:
            self._stop("task %s is late" % watch.name)
        self._log.add("error", "supervisor", "task_late", "task %s hangs and is restarted" % watch.name)
        if watch.task is not None:
            watch.task.cancel()
        watch.restarts += 1
        self._start(watch)
