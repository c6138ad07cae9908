"""Real time: waiting sleeps in poll(), for firmware and control API at once; the plant follows the host."""

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


class RealTime:
    """What the event loop does whenever no task is ready.

    Each time it moves at most one small piece on each connection of `server`, or serves one request.
    """

    def __init__(self, plant, server):
        self._plant = plant
        self._server = server
        self._asked = None
        plant.follow_host()

    def make_queue(self):
        """Return the I/O queue of a new event loop, which waits for the control API too."""
        return _Queue(self, self._server)

    def rest(self) -> None:
        """Wait a little and serve at most one request, without a firmware."""
        self._server.wait(0 if self._server.waiting else _STARVED_MS)
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

    def __init__(self, real_time, server):
        super().__init__()
        self._time = real_time
        self._server = server
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
        streams = self.map
        for stream, events in self.poller.ipoll(dt):
            entry = streams.get(id(stream))
            if entry is None:
                server.note(stream)
            else:
                self._wake(stream, entry, events)
        server.work()

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
