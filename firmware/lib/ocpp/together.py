"""Runs coroutines side by side as one: when the first ends, all end."""

import asyncio


async def together(*coroutines) -> None:
    """Run all until one returns or raises, cancel the others, and raise what the first has raised.

    Cancelling the caller cancels all. It returns only after every one of them has ended.
    """
    ended = []
    over = asyncio.Event()

    async def guard(coroutine):
        try:
            await coroutine
            ended.append(None)
        except Exception as error:
            ended.append(error)
        finally:
            over.set()

    tasks = [asyncio.create_task(guard(coroutine)) for coroutine in coroutines]
    try:
        await over.wait()
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            try:
                await task
            except asyncio.CancelledError:
                # This is how a task of ours ends.
                continue
    if ended and ended[0] is not None:
        raise ended[0]
