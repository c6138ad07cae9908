"""Coroutines that end as one, a sleep that is ended early, and parts that share one task."""

import asyncio

from virtual_time import VirtualTime

from ocpp.together import Alarm, Turns, together

DAY_MS = 86_400_000


def run(main):
    """Run `main(time)` in virtual time."""
    time = VirtualTime()
    asyncio.run(main(time))


async def forever(ended, name):
    try:
        await asyncio.sleep(1_000_000)
    finally:
        ended.append(name)


async def after(ms, error=None):
    await asyncio.sleep_ms(ms)
    if error is not None:
        raise error


# -- together --------------------------------------------------------------------------------------------


def test_all_end_with_the_first_and_its_error_is_raised():
    async def main(time):
        ended = []
        await together(after(100), forever(ended, 1), forever(ended, 2))
        assert ended == [1, 2] and time.now_ms == 100
        try:
            await together(forever(ended, 3), after(100, ValueError("why")))
        except ValueError as error:
            assert error.args == ("why",)
        else:
            raise AssertionError("the error is lost")
        assert ended == [1, 2, 3]

    run(main)


def test_the_event_over_ends_all():
    async def main(time):
        ended = []
        over = asyncio.Event()

        async def ends():
            await asyncio.sleep_ms(100)
            over.set()

        task = asyncio.create_task(ends())
        await together(forever(ended, 1), forever(ended, 2), over=over)
        assert ended == [1, 2] and time.now_ms == 100
        await task

    run(main)


def test_who_cancels_the_caller_cancels_all():
    async def main(time):
        ended = []
        task = asyncio.create_task(together(forever(ended, 1), forever(ended, 2)))
        await asyncio.sleep_ms(100)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            ended.append("caller")
        assert ended == [1, 2, "caller"] and time.now_ms == 100

    run(main)


def test_a_cancel_that_comes_while_the_others_are_ending_is_not_lost():
    async def main(time):
        ended = []

        async def slow():
            try:
                await asyncio.sleep(1_000_000)
            finally:
                await asyncio.sleep_ms(100)
                ended.append("slow")

        async def caller():
            while True:
                await together(after(10), slow())

        task = asyncio.create_task(caller())
        await asyncio.sleep_ms(50)
        task.cancel()
        await asyncio.sleep_ms(1_000)
        # Its owner would wait for it for ever, and what it has cancelled first would do nothing any more.
        assert task.done() and ended == ["slow"]

    run(main)


# -- the alarm -------------------------------------------------------------------------------------------


def test_a_sleep_lasts_as_long_as_asked_for_unless_the_alarm_is_set():
    async def main(time):
        alarm = Alarm()
        assert not await alarm.rest(1_000)
        assert time.now_ms == 1_000

        async def sets():
            await asyncio.sleep_ms(300)
            alarm.set()
            alarm.set()

        task = asyncio.create_task(sets())
        assert await alarm.rest(1_000)
        assert time.now_ms == 1_300
        await task
        # Set twice in one sleep is set once, and leaves nothing behind that would end a later sleep.
        assert not await alarm.rest(1_000)
        await asyncio.sleep_ms(2_000)
        assert time.now_ms == 4_300

    run(main)


def test_an_alarm_that_is_set_before_ends_the_next_sleep_only_and_lets_others_run():
    async def main(time):
        alarm = Alarm()
        turns = []

        async def other():
            turns.append(time.now_ms)

        alarm.set()
        task = asyncio.create_task(other())
        assert await alarm.rest(1_000)
        assert turns == [0] and time.now_ms == 0
        assert not await alarm.rest(1_000)
        assert time.now_ms == 1_000
        await task

    run(main)


def test_an_alarm_in_the_very_ms_in_which_the_sleep_ends_counts_and_does_no_harm():
    async def main(time):
        alarm = Alarm()

        async def sets():
            await asyncio.sleep_ms(1_000)
            alarm.set()

        task = asyncio.create_task(sets())
        await asyncio.sleep_ms(0)
        # Both are due in the same ms; `sets` was queued first.
        assert await alarm.rest(1_000)
        assert time.now_ms == 1_000
        await task
        assert not await alarm.rest(500)
        assert time.now_ms == 1_500

    run(main)


def test_a_sleep_that_is_cancelled_ends_at_once_whether_the_alarm_is_set_too_or_not():
    for order in (("cancel",), ("set", "cancel"), ("cancel", "set")):

        async def main(time, order=order):
            alarm = Alarm()
            ended = []

            async def sleeps():
                try:
                    await alarm.rest(1_000)
                except asyncio.CancelledError:
                    ended.append(time.now_ms)
                    raise

            task = asyncio.create_task(sleeps())
            await asyncio.sleep_ms(100)
            for step in order:
                if step == "set":
                    alarm.set()
                else:
                    task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                ended.append("cancelled")
            assert ended == [100, "cancelled"], (order, ended)
            # The alarm lives on, and nobody is woken who does not sleep.
            alarm.set()
            assert await alarm.rest(1_000)
            assert not await alarm.rest(1_000)
            assert time.now_ms == 1_100

        run(main)


def test_a_sleep_within_a_time_limit_is_ended_by_it_and_by_the_alarm():
    async def main(time):
        alarm = Alarm()
        try:
            await asyncio.wait_for_ms(alarm.rest(1_000), 200)
        except asyncio.TimeoutError:
            pass
        else:
            raise AssertionError("no time-out")
        assert time.now_ms == 200

        async def sets():
            await asyncio.sleep_ms(50)
            alarm.set()

        task = asyncio.create_task(sets())
        assert await asyncio.wait_for_ms(alarm.rest(1_000), 200)
        assert time.now_ms == 250
        await task

    run(main)


# -- turns -----------------------------------------------------------------------------------------------


class Part:
    """Takes turns: each lasts `lasts_ms`, and the next is wanted after `waits`, the last of them for ever."""

    def __init__(self, time, turns, *waits, lasts_ms=0):
        self.time = time
        self.waits = list(waits)
        self.lasts_ms = lasts_ms
        self.at = []
        self.turn = turns.add(self.step)

    async def step(self):
        self.at.append(self.time.now_ms)
        if self.lasts_ms:
            await asyncio.sleep_ms(self.lasts_ms)
        return self.waits.pop(0) if len(self.waits) > 1 else self.waits[0]


def beside(make, steps):
    """Make parts, `make(time, turns)`, and run the coroutine function `steps` of them beside the turns."""

    async def main(time):
        turns = Turns(time.ticks_ms)
        parts = make(time, turns)
        task = asyncio.create_task(turns.run())
        await steps(time, *parts)
        task.cancel()

    run(main)


def test_each_part_has_its_first_turn_at_once_and_the_next_ones_when_it_wants_them():
    def make(time, turns):
        return Part(time, turns, 100), Part(time, turns, 250), Part(time, turns, None)

    async def steps(time, often, seldom, never):
        await asyncio.sleep_ms(520)
        assert often.at == [0, 100, 200, 300, 400, 500]
        assert seldom.at == [0, 250, 500]
        assert never.at == [0]

    beside(make, steps)


def test_who_waits_for_news_is_asked_once_a_day_all_the_same():
    def make(time, turns):
        return Part(time, turns, None), Part(time, turns, 7 * DAY_MS)

    async def steps(time, never, week):
        await asyncio.sleep_ms(3 * DAY_MS + 1)
        assert never.at == week.at == [0, DAY_MS, 2 * DAY_MS, 3 * DAY_MS]

    beside(make, steps)


def test_who_is_woken_has_a_turn_at_once_and_nobody_else():
    def make(time, turns):
        return Part(time, turns, 1_000), Part(time, turns, 1_000)

    async def steps(time, one, other):
        await asyncio.sleep_ms(300)
        other.turn.wake()
        await asyncio.sleep_ms(1_200)
        assert one.at == [0, 1_000]
        assert other.at == [0, 300, 1_300]

    beside(make, steps)


def test_news_in_a_turn_bring_another_one_after_the_others_had_theirs():
    order = []

    def make(time, turns):
        async def first():
            order.append("first")
            if len(order) < 4:
                made[0].wake()
                await asyncio.sleep_ms(10)
            return

        async def second():
            order.append("second")
            return 0 if len(order) < 4 else None

        made = [turns.add(first), turns.add(second)]
        return ()

    async def steps(time):
        await asyncio.sleep_ms(1_000)
        assert order == ["first", "second", "first", "second", "first"]

    beside(make, steps)


def test_who_always_wants_the_next_turn_starves_neither_the_others_nor_other_tasks():
    def make(time, turns):
        return Part(time, turns, 0, lasts_ms=30), Part(time, turns, 50)

    async def steps(time, greedy, other):
        await asyncio.sleep_ms(1_000)
        assert len(greedy.at) > 30
        late = [at for at in other.at if at % 30]
        assert len(other.at) >= 16 and not late, "each time when the greedy one's turn has ended"

    beside(make, steps)


def test_what_a_part_raises_ends_the_turns():
    async def main(time):
        turns = Turns(time.ticks_ms)

        async def breaks():
            raise ValueError("broken")

        Part(time, turns, 100)
        turns.add(breaks)
        try:
            await turns.run()
        except ValueError as error:
            assert error.args == ("broken",)
        else:
            raise AssertionError("it went on")

    run(main)


def test_a_part_that_finds_no_room_in_the_heap_is_told_of_and_tried_again():
    async def main(time):
        told = []
        turns = Turns(time.ticks_ms, told.append)
        tries = []

        async def needs_room():
            tries.append(time.now_ms)
            if len(tries) < 3:
                raise MemoryError("full")
            return 60_000

        turns.add(needs_room)
        other = Part(time, turns, 5_000)
        task = asyncio.create_task(turns.run())
        await asyncio.sleep_ms(21_000)
        task.cancel()
        assert tries == [0, 10_000, 20_000], tries
        assert [error.args for error in told] == [("full",)] * 2
        assert other.at == [0, 5_000, 10_000, 15_000, 20_000], other.at

    run(main)
