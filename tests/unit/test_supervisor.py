"""The supervisor: who is restarted, who resets the box, and when the watchdog is fed."""

import asyncio

from virtual_time import Log, VirtualTime

from wallbox.supervisor import Supervisor


class Watchdog:
    def __init__(self):
        self.fed = 0

    def feed(self):
        self.fed += 1


class Stopped(BaseException):
    pass


def stop(reason):
    raise Stopped(reason)


def supervise(seconds, *tasks):
    """Run the (name, factory, safety) tasks for a while of virtual time."""
    clock = VirtualTime()
    log, watchdog = Log(), Watchdog()
    supervisor = Supervisor(clock, watchdog, log, stop)
    for name, factory, safety in tasks:
        supervisor.add(name, factory, safety)

    async def scene():
        task = asyncio.create_task(supervisor.run())
        await asyncio.sleep(seconds)
        task.cancel()

    reason = None
    try:
        asyncio.run(scene())
    except Stopped as end:
        reason = end.args[0]
    return supervisor, log, watchdog, reason


async def idle(beat):
    while True:
        beat(1000)
        await asyncio.sleep_ms(500)


def test_a_task_that_dies_is_logged_with_its_traceback_and_restarted_with_back_off():
    starts = []

    async def dies(beat):
        starts.append(1)
        raise ValueError("a broken thing")

    supervisor, log, watchdog, reason = supervise(30, ("dies", dies, False), ("idle", idle, False))
    assert reason is None
    # At 0, 1, 3, 7 and 15 s: the back-off doubles.
    assert len(starts) == 5, starts
    assert supervisor.status() == {"dies": 5, "idle": 0}
    assert "a broken thing" in log.entries[0][2] and "Traceback" in log.entries[0][2]
    assert watchdog.fed >= 100


def test_a_safety_task_that_dies_resets_the_box():
    async def dies(beat):
        await asyncio.sleep(1)
        raise ValueError("x")

    _, _, _, reason = supervise(10, ("loop", dies, True))
    assert reason == "task loop died"


def test_a_safety_task_that_returns_resets_the_box():
    async def returns(beat):
        await asyncio.sleep(1)

    _, _, _, reason = supervise(10, ("loop", returns, True))
    assert reason == "task loop died"


def test_a_safety_task_that_is_late_resets_the_box_before_the_watchdog_is_fed():
    async def hangs(beat):
        beat(50)
        await asyncio.sleep(100)

    _, _, watchdog, reason = supervise(10, ("loop", hangs, True))
    assert reason == "task loop is late"
    assert watchdog.fed == 1


def test_a_task_that_hangs_is_cancelled_and_restarted():
    ended = []

    async def hangs(beat):
        beat(2000)
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(1)

    supervisor, log, _, reason = supervise(11, ("hangs", hangs, False))
    assert reason is None
    assert 4 <= supervisor.status()["hangs"] <= 5
    assert len(ended) == supervisor.status()["hangs"]
    assert log.codes()[0] == "task_late"


def test_a_task_on_time_is_left_alone():
    supervisor, log, _, reason = supervise(60, ("idle", idle, True))
    assert reason is None and not log.entries
    assert supervisor.status() == {"idle": 0}
