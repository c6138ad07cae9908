"""Virtual time: order of tasks, left-out ticks, and how a run of the firmware ends."""

import asyncio
import time
from asyncio import core

from virtual import VirtualTime

PERIOD = 10


class End(BaseException):
    """Granted time is used up."""


class FakePlant:
    """Events at given times; each may change what is sensed or call something."""

    def __init__(self, events=()):
        self.now_ms = 0
        self.changed = self.drifted = 0
        self.events = sorted(events, key=lambda event: event[0])

    def next_event_ms(self):
        return self.events[0][0] if self.events else None

    def advance_to(self, ms):
        assert ms >= self.now_ms, "time runs backwards"
        while self.events and self.events[0][0] <= ms:
            at, happens = self.events.pop(0)
            self.now_ms = at
            if happens is None:
                self.changed += 1
            else:
                happens()
        self.now_ms = ms


def end():
    raise End


class Loop:
    """Virtual time on a fake plant; `run` runs a main coroutine for some milliseconds."""

    def __init__(self, events=(), exact=False):
        self.plant = FakePlant(events)
        self.time = VirtualTime(self.plant, end, exact)
        core.ticks = self.time.ticks_ms
        core.IOQueue = self.time.make_queue
        asyncio.new_event_loop()

    def run(self, coroutine, ms):
        self.time.advance(ms, lambda: None)
        try:
            asyncio.run(coroutine)
        except End:
            return self.plant.now_ms
        raise AssertionError("the main task ended before its time")


async def for_ever():
    while True:
        await asyncio.sleep_ms(1_000_000)


def test_a_wait_lasts_exactly_as_long_as_asked_and_takes_no_real_time():
    loop = Loop()
    woken = []

    async def main():
        for _ in range(1000):
            await asyncio.sleep_ms(3_600_000)
            woken.append(loop.plant.now_ms)
        await for_ever()

    start = time.ticks_ms()
    loop.run(main(), 1001 * 3_600_000)
    assert woken == [3_600_000 * n for n in range(1, 1001)], woken[:3]
    assert time.ticks_diff(time.ticks_ms(), start) < 2000


def order_of_ties(pause_ms):
    """The order in which tasks run that became ready at the same moment, with a host that stops at times."""
    loop = Loop()
    order = []
    event = asyncio.Event()

    async def sleeper(name, ms):
        await asyncio.sleep_ms(ms)
        order.append(name)
        time.sleep_ms(pause_ms)
        await asyncio.sleep_ms(0)
        order.append(name + "'")
        await asyncio.sleep_ms(100 - ms)
        order.append(name + '"')

    async def waiter(name):
        await event.wait()
        order.append(name)
        await asyncio.sleep_ms(0)
        order.append(name + "'")

    async def main():
        for n in range(4):
            asyncio.create_task(waiter("w%d" % n))
            asyncio.create_task(sleeper("s%d" % n, 50 if n % 2 else 40))
            time.sleep_ms(pause_ms)
        await asyncio.sleep_ms(50)
        event.set()
        order.append("main")
        await for_ever()

    loop.run(main(), 1000)
    return order


def test_ties_run_in_the_order_of_falling_asleep_however_slow_the_host_is():
    quick = order_of_ties(0)
    assert len(quick) == 4 * 3 + 4 * 2 + 1, quick
    assert order_of_ties(2) == quick
    assert order_of_ties(1) == quick


def test_a_cancelled_sleeper_runs_before_the_sleepers_that_are_due():
    loop = Loop()
    order = []

    async def sleeper(name, ms):
        try:
            await asyncio.sleep_ms(ms)
        except asyncio.CancelledError:
            name += " cancelled"
        order.append((name, loop.plant.now_ms))

    async def main():
        far = asyncio.create_task(sleeper("far", 5000))
        await asyncio.sleep_ms(20)
        asyncio.create_task(sleeper("near", 0))
        far.cancel()
        await for_ever()

    loop.run(main(), 100)
    assert order == [("far cancelled", 20), ("near", 20)], order


def test_a_power_cut_raised_in_any_task_ends_the_loop_at_once():
    class Cut(BaseException):
        pass

    async def cut():
        await asyncio.sleep_ms(5)
        raise Cut

    async def swallow():
        while True:
            try:
                await asyncio.wait_for_ms(cut(), 50)
            except Exception as error:
                raise AssertionError("swallowed %r" % error)

    async def gathered():
        await asyncio.gather(cut(), cut(), return_exceptions=True)

    for task in (cut, swallow, gathered):
        loop = Loop()
        later = []

        async def main(task=task, later=later):
            asyncio.create_task(task())
            await asyncio.sleep_ms(6)
            later.append(1)

        try:
            loop.run(main(), 100)
        except Cut:
            assert loop.plant.now_ms == 5, loop.plant.now_ms
            assert later == [], "another task ran after the cut"
        else:
            raise AssertionError("the cut did not end the loop")


def test_time_goes_on_when_all_tasks_wait_for_events_of_the_plant():
    woken = []
    event = asyncio.Event()
    loop = Loop([(70, lambda: event.set()), (150, None)])

    async def main():
        await event.wait()
        woken.append(loop.plant.now_ms)
        event.clear()
        await event.wait()

    assert loop.run(main(), 1000) == 1000
    assert woken == [70], woken


# The ticker


def ticks_of(loop, next_due, ms, others=None):
    """Plant times at which a task on a ticker ran."""
    ran = []

    async def main():
        ticker = loop.time.ticker(PERIOD, next_due)
        if others is not None:
            asyncio.create_task(others())
        while True:
            await ticker.wait()
            ran.append(loop.plant.now_ms)

    loop.run(main(), ms)
    return ran


def test_exact_time_runs_every_tick():
    assert ticks_of(Loop(exact=True), lambda: 1_000_000, 100) == list(range(10, 101, 10))


def test_ticks_in_which_nothing_is_due_are_left_out():
    # The first tick always runs: nobody has looked at the plant before it.
    assert ticks_of(Loop(), lambda: 1_000_000, 100_000) == [10]


def test_a_due_time_between_ticks_is_met_at_the_next_tick():
    loop = Loop()
    assert ticks_of(loop, lambda: max(0, 1234 - loop.plant.now_ms) or 500_000, 2000) == [10, 1240]


def test_a_change_of_the_plant_wakes_at_the_next_tick_and_on_a_tick_at_once():
    loop = Loop([(33, None), (50, None), (61, None), (62, None)])
    assert ticks_of(loop, lambda: 1_000_000, 1000) == [10, 40, 50, 70]


def test_a_change_made_by_the_task_itself_brings_one_more_tick():
    loop = Loop()
    ran = []

    async def main():
        ticker = loop.time.ticker(PERIOD, lambda: 1_000_000)
        while True:
            await ticker.wait()
            ran.append(loop.plant.now_ms)
            if len(ran) < 3:
                loop.plant.changed += 1

    loop.run(main(), 1000)
    assert ran == [10, 20, 30], ran


def test_a_request_of_another_task_wakes_at_the_next_tick():
    loop = Loop()
    dirty = []

    def next_due():
        return 0 if dirty.pop() else 1_000_000

    async def others():
        for ms in (25, 15, 20):
            await asyncio.sleep_ms(ms)
            dirty.append(True)

    dirty.extend([False] * 100)
    assert ticks_of(loop, next_due, 200, others) == [10, 30, 50, 70]


def test_the_ticker_runs_before_all_other_tasks_of_its_instant():
    for exact in (False, True):
        loop = Loop([(40, None)], exact)
        order = []

        async def other(order=order, loop=loop):
            while True:
                await asyncio.sleep_ms(20)
                order.append(("other", loop.plant.now_ms))

        async def main(order=order, loop=loop, other=other):
            asyncio.create_task(other())
            ticker = loop.time.ticker(PERIOD, lambda: 1_000_000)
            while True:
                await ticker.wait()
                order.append(("ticker", loop.plant.now_ms))

        loop.run(main(), 45)
        assert order.index(("ticker", 40)) < order.index(("other", 40)), order


def test_the_promise_to_be_back_reaches_over_the_ticks_left_out():
    loop = Loop()
    ticker = loop.time.ticker(PERIOD, lambda: 60_000)
    assert ticker.deadline_ms == 60_060, ticker.deadline_ms
    assert ticker.late_ms == 0


def test_a_cancelled_task_leaves_its_ticker():
    loop = Loop()
    ran = []

    async def ticked(ticker):
        while True:
            await ticker.wait()
            ran.append(loop.plant.now_ms)

    async def main():
        ticker = loop.time.ticker(PERIOD, lambda: 0)
        task = asyncio.create_task(ticked(ticker))
        await asyncio.sleep_ms(25)
        task.cancel()
        await asyncio.sleep_ms(25)
        asyncio.create_task(ticked(ticker))
        await for_ever()

    loop.run(main(), 75)
    assert ran == [10, 20, 60, 70], ran


def test_waiting_for_a_tick_allocates_nothing():
    import micropython

    loop = Loop()
    count = [0]

    async def main():
        ticker = loop.time.ticker(PERIOD, due)
        await ticker.wait()
        micropython.heap_lock()
        try:
            for _ in range(50):
                await ticker.wait()
                count[0] += 1
        finally:
            micropython.heap_unlock()
        await for_ever()

    def due():
        return 20

    loop.run(main(), 5000)
    assert count[0] == 50, count


def test_advance_ends_exactly_where_it_was_asked_to_and_says_so():
    loop = Loop([(30, None), (60, None)])
    ended = []

    async def main():
        while True:
            await asyncio.sleep_ms(7)

    loop.time.advance(50, lambda: ended.append(loop.plant.now_ms))
    try:
        asyncio.run(main())
    except End:
        assert ended == [50] and loop.plant.now_ms == 50, ended
    else:
        raise AssertionError("time did not stand still")


def test_time_passes_for_the_plant_while_no_firmware_runs():
    loop = Loop([(30, None), (60, None)])
    ended = []
    loop.time.advance(45, lambda: ended.append(loop.plant.now_ms))
    while not ended:
        loop.time.rest()
    assert ended == [45] and loop.plant.changed == 1, ended
    try:
        loop.time.rest()
    except End:
        assert loop.plant.now_ms == 45
    else:
        raise AssertionError("time did not stand still")


# Polls


def looks_of(loop, ms, cancel_ms=None):
    """Plant times at which a task looked that polls every 250 ms, or every 15 s at rest, beside a ticker."""
    looked = []

    async def looking():
        while True:
            await loop.time.poll(250, 15_000)
            looked.append(loop.plant.now_ms)

    async def ticking():
        ticker = loop.time.ticker(PERIOD, lambda: 1_000_000)
        while True:
            await ticker.wait()

    async def main():
        asyncio.create_task(ticking())
        task = asyncio.create_task(looking())
        if cancel_ms is not None:
            await asyncio.sleep_ms(cancel_ms)
            task.cancel()
        await for_ever()

    loop.run(main(), ms)
    return looked


def test_a_poll_is_short_after_something_happened_and_long_at_rest():
    # The first tick of the control loop happens at 10 ms; what comes of it is looked for during 5 s.
    looked = looks_of(Loop(), 40_000)
    assert looked[:20] == [250 * (i + 1) for i in range(20)], looked
    assert looked[20:] == [5250, 15_000, 30_000], looked


def test_a_change_of_the_plant_ends_a_long_poll_at_its_next_usual_instant():
    looked = looks_of(Loop([(20_101, None)]), 21_000)
    assert looked[-4:] == [20_250, 20_500, 20_750, 21_000], looked
    assert looked[-5] == 15_000, looked


def test_a_cancelled_task_leaves_its_poll():
    loop = Loop([(20_101, None)])
    looked = looks_of(loop, 30_000, cancel_ms=16_000)
    assert looked[-1] == 15_000, looked
    assert not [poll for poll in loop.time.polls if poll.sleeps()]
