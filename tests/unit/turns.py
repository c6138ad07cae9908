"""Measures how long a computation keeps the event loop at a time."""

import asyncio
import time

# Another process may take the processor in any turn, but hardly in the same one each time.
RUNS = 10


async def _turns(work):
    """How long the loop was kept in each turn of a coroutine, in us."""
    turns = []
    task = asyncio.create_task(work)
    while not task.done():
        last = time.ticks_us()
        await asyncio.sleep_ms(0)
        turns.append(time.ticks_diff(time.ticks_us(), last))
    await task
    return turns


async def longest_turn_ms(make):
    """The longest turn of `make()`, each taken from the run in which it was shortest; all runs have the same turns."""
    shortest = await _turns(make())
    for _ in range(RUNS - 1):
        turns = await _turns(make())
        assert len(turns) == len(shortest), (len(turns), len(shortest))
        shortest = [min(pair) for pair in zip(turns, shortest)]
    return max(shortest) / 1000
