"""How work runs side by side: coroutines that end as one, parts that share one task, and a sleep that can be ended."""

import asyncio
from time import ticks_add, ticks_diff

from micropython import const

# What waits for news only is asked again after this long all the same: timers of a chip reach 6 days.
_LONGEST_MS = const(86_400_000)
# A full heap is looked at again after this long.
_FULL_MS = const(10_000)


async def together(*coroutines, over=None) -> None:
    """Run all until one returns or raises, cancel the others, and raise what the first has raised.

    Cancelling the caller cancels all, and so does the event `over`, which is set at the end in any case. It returns
    only after every one of them has ended.
    """
    outcomes = []
    over = over or asyncio.Event()

    async def guard(coroutine):
        try:
            await coroutine
            outcomes.append(None)
        except Exception as error:
            outcomes.append(error)
        finally:
            over.set()

    tasks = [asyncio.create_task(guard(coroutine)) for coroutine in coroutines]
    try:
        await over.wait()
    finally:
        await ended(*tasks)
    if outcomes and outcomes[0] is not None:
        raise outcomes[0]


async def ended(*tasks) -> None:
    """Cancel tasks, and return after every one of them has ended.

    One that is cancelled meanwhile still waits for them, and then ends so: MicroPython hands a cancel on to the task
    that is awaited, where it would be taken for the end of that one.
    """
    for task in tasks:
        task.cancel()
    over = asyncio.Event()
    cancelled = None

    async def wait():
        try:
            for task in tasks:
                try:
                    await task
                except asyncio.CancelledError:
                    # This is how a task of ours ends.
                    continue
        finally:
            over.set()

    asyncio.create_task(wait())
    while not over.is_set():
        try:
            await over.wait()
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


class Alarm:
    """Ends the sleep of one task early.

    `asyncio.wait_for_ms(event.wait(), ms)` does so too, but takes two more tasks for it, and 600 bytes.
    """

    def __init__(self):
        self._set = False
        self._sleeper = None

    def set(self) -> None:
        """End the sleep, or the next one when nobody sleeps."""
        self._set = True
        task = self._sleeper
        # One that is cancelled has its CancelledError there, which being queued would take from it; it is on its way.
        if task is not None and task.data is None:
            # As asyncio itself does with a sleeping task that is cancelled; one that is due already stays so.
            queue = asyncio.core._task_queue
            queue.remove(task)
            queue.push(task)

    async def rest(self, ms: int) -> bool:
        """Sleep until `set`, at most `ms` -> whether it was set since the last sleep; other tasks always get a turn."""
        self._sleeper = asyncio.current_task()
        try:
            await asyncio.sleep_ms(0 if self._set else ms)
        finally:
            self._sleeper = None
        was_set = self._set
        self._set = False
        return was_set


class Turn:
    """The turn of one part, see `Turns`."""

    def __init__(self, step, alarm: Alarm):
        self.step = step
        self.woken = True
        self.due = 0
        self._alarm = alarm

    def wake(self) -> None:
        """Take the next turn at once."""
        self.woken = True
        self._alarm.set()


class Turns:
    """Gives parts their turns in one task, one after the other, so that none has a task of its own.

    A part is a coroutine function without arguments: it does what is due, and returns after how many ms it wants its
    next turn, None when only for news. It gets it earlier when it is woken. One that finds no room in the heap, for
    what it loads for its turn, is tried again; `failed(error)` is told.
    """

    def __init__(self, ticks_ms, failed=None):
        self._ticks_ms = ticks_ms
        self._failed = failed
        self._alarm = Alarm()
        self._turns = []

    def add(self, step) -> Turn:
        """Let a part take turns, the first as soon as this runs."""
        turn = Turn(step, self._alarm)
        self._turns.append(turn)
        return turn

    async def run(self) -> None:
        """Give turns for ever; what a part raises ends it."""
        while True:
            for turn in self._turns:
                if turn.woken or ticks_diff(turn.due, self._ticks_ms()) <= 0:
                    turn.woken = False
                    try:
                        wait_ms = await turn.step()
                    except MemoryError as error:
                        if self._failed is None:
                            raise
                        self._failed(error)
                        wait_ms = _FULL_MS
                    wait_ms = _LONGEST_MS if wait_ms is None else min(wait_ms, _LONGEST_MS)
                    turn.due = ticks_add(self._ticks_ms(), wait_ms)
            now = self._ticks_ms()
            # Who has been woken meanwhile has set the alarm.
            await self._alarm.rest(max(0, min([ticks_diff(turn.due, now) for turn in self._turns])))
