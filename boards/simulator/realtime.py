"""Real time: waiting sleeps in poll(), for firmware and control API at once; the plant follows the host.

At a higher speed the board's milliseconds pass faster than the host's, while real sockets are polled as before.
"""

import time
from asyncio import core
from select import POLLIN, POLLOUT

from micropython import const

_HostQueue = core.IOQueue

# A request takes about a millisecond. It is answered when the firmware has nothing to do for longer than
# that, so that it makes no task of the firmware late.
_GAP_MS = const(3)
# But a firmware without such gaps may not starve the control API.
_STARVED_MS = const(50)
_US_PER_MS = const(1_000)
# Far above the host's ticks, with which the event loop marks tasks that are ready.
_ORIGIN_US = const(1_000 << 40)
# What a slow host may owe the board: more would let time rush by for long, and peers could not answer in time.
_MAX_DEBT_US = const(500_000)
# No step of the firmware takes longer between two looks at the clock: what does was a turn of another process of the
# host. The control task, which has to run each 50 ms, would be found late for it.
_MAX_STEP_US = const(15_000)


class Pace:
    """The board's clock at `speed` (2..100) milliseconds for one of the host's.

    While the firmware works the clock runs as fast as the host's, or a busy host would make it late. What that loses is
    made up for while it waits: then time goes on from one task to the next, without a pause if need be.
    """

    def __init__(self, speed: int):
        self._speed = speed
        self._now_us = _ORIGIN_US
        self._seen_us = self._start_us = time.ticks_us()

    def ticks_ms(self) -> int:
        """Ticks for the event loop, the plant and the firmware, in ms; allocates nothing."""
        seen = time.ticks_us()
        self._now_us += min(time.ticks_diff(seen, self._seen_us), _MAX_STEP_US)
        self._seen_us = seen
        return self._now_us // _US_PER_MS

    def _target_us(self) -> int:
        """When it should be now; never further ahead than the host can be made responsible for."""
        self._seen_us = seen = time.ticks_us()
        target = _ORIGIN_US + time.ticks_diff(seen, self._start_us) * self._speed
        excess = target - self._now_us - _MAX_DEBT_US
        if excess > 0:
            self._start_us = time.ticks_add(self._start_us, excess // self._speed)
            target -= excess
        return target

    def host_ms(self, dt: int) -> int:
        """How long the host has to wait for `dt` ms of the board from now on; below 0 for ever."""
        if dt < 0:
            return dt
        due_us = (self.ticks_ms() + dt) * _US_PER_MS
        return max(0, due_us - self._target_us()) // (self._speed * _US_PER_MS)

    def waited(self, until, slept: bool) -> None:
        """The wait for the tick `until` (None: for ever) is over; `slept`: nothing came before it."""
        target = self._target_us()
        if until is not None:
            until *= _US_PER_MS
            target = until if slept else min(target, until)
        self._now_us = max(self._now_us, target)


class RealTime:
    """What the event loop does whenever no task is ready.

    Each time it moves at most one small piece on each connection of `server`, or serves one request. `pace` is the
    board's clock at another speed than the host's, None at the same.
    """

    def __init__(self, plant, server, pace=None):
        self._plant = plant
        self._server = server
        self._pace = pace
        self._asked = None
        plant.follow_host(time.ticks_ms if pace is None else pace.ticks_ms)

    def make_queue(self):
        """Return the I/O queue of a new event loop, which waits for the control API too."""
        return _Queue(self, self._server, self._pace)

    def rest(self) -> None:
        """Wait a little and serve at most one request, without a firmware."""
        self._server.wait(0 if self._server.waiting else _STARVED_MS)
        if self._pace is not None:
            self._pace.waited(None, True)
        self._plant.sync()
        if self._server.waiting:
            self._server.serve()

    def request_fits(self, dt: int) -> bool:
        """Whether there is a request and time for it when the next task is due in `dt` ms (below 0: none is)."""
        if not self._server.waiting:
            self._asked = None
            return False
        if dt < 0 or dt >= _GAP_MS:
            return True
        now = time.ticks_ms()
        if self._asked is None:
            self._asked = now
        return time.ticks_diff(now, self._asked) >= _STARVED_MS


class _Queue(_HostQueue):
    """The event loop's I/O queue whose poll set holds the sockets of the control API too."""

    def __init__(self, real_time, server, pace):
        super().__init__()
        self._time = real_time
        self._server = server
        self._pace = pace
        server.use(self.poller)

    def wait_io_event(self, dt: int) -> None:
        """Wait for streams and requests, at most `dt` ms; below 0 until a task is ready."""
        self._wait(dt)
        while dt < 0 and core._task_queue.peek() is None:
            # The scheduler takes a task as soon as this returns.
            self._wait(dt)

    def _wait(self, dt: int) -> None:
        server = self._server
        if self._time.request_fits(dt):
            server.serve()
            return
        if self._pace is None:
            self._poll(dt)
        else:
            until = None if dt < 0 else self._pace.ticks_ms() + dt
            self._pace.waited(until, not self._poll(self._pace.host_ms(dt)))
        server.work()

    def _poll(self, ms: int) -> bool:
        """Wait for the network for `ms` of the host's, below 0 for ever -> whether something came."""
        streams = self.map
        came = False
        for stream, events in self.poller.ipoll(ms):
            came = True
            entry = streams.get(id(stream))
            if entry is None:
                self._server.note(stream)
            else:
                self._wake(stream, entry, events)
        return came

    def _wake(self, stream, entry: list, events: int) -> None:
        """Make ready the tasks that wait for `events`; an error or hang-up wakes reader and writer."""
        if entry[0] is not None and events & ~POLLOUT:
            core._task_queue.push(entry[0])
            entry[0] = None
        if entry[1] is not None and events & ~POLLIN:
            core._task_queue.push(entry[1])
            entry[1] = None
        if entry[0] is None and entry[1] is None:
            self._dequeue(stream)
        else:
            self.poller.modify(stream, POLLOUT if entry[0] is None else POLLIN)
