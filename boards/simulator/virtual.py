"""Virtual time: waiting moves the plant's clock instead of sleeping; the host's clock decides nothing here.

The order in which tasks run depends on the seed and the requests alone, never on the speed of the host:
sleepers are sorted by virtual time, ties by the order of falling asleep (the task queue is stable), and
tasks woken by an event come first, in the order of waking. Firmware that waits for a socket waits for ever.
"""

from asyncio import core

from micropython import const

_HostQueue = core.IOQueue

# The task queue, written in C, stamps woken tasks with the host's ticks. Virtual ticks start 34 years later
# and so lie ahead of them for as long as a process can live. It needs a 64-bit port (ticks wrap at 2**62).
_ORIGIN_MS = const(1 << 40)
# What the task may be late on a board with real time: 50 ms of the 100 ms of IEC 61851-1 table A.6.
_LATE_MS = const(50)
_NEVER_MS = const(1 << 60)
# After something happened polls are as frequent as in real time for this long: the slowest consequence of
# an event that is not an event itself (3 s until a dead communication module counts) is seen in time.
_BUSY_MS = const(5_000)
# Pauses remembered before those that are over are sorted out.
_POLLS = const(32)


class Ticker:
    """Wakes one task on a grid of `period_ms`, leaving out the ticks in which it would do nothing.

    A tick is needed when something the firmware can sense has changed since the last one (`plant.changed`),
    or when the time that `next_due_ms()` told has come. At an instant of the grid the task runs before all
    others that are due then, whether ticks are left out or not, so that both ways give the same run.
    """

    def __init__(self, plant, period_ms: int, next_due_ms, exact: bool):
        self._plant = plant
        self._start_ms = plant.now_ms
        self._period_ms = period_ms
        self._next_due_ms = next_due_ms
        self._exact = exact
        self._task = None
        self._seen = None
        self._events = None
        self._asleep = False
        self._latest_ms = None
        self._end = StopIteration()
        self.late_ms = 0

    @property
    def deadline_ms(self) -> int:
        """Within how many ms from now the task must have run again; allocates nothing."""
        return self._next_due_ms() + self._period_ms + _LATE_MS

    def wait(self):
        """Sleep until the next needed instant of the grid (`await ticker.wait()`); allocates nothing."""
        self._asleep = False
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self._asleep:
            self._end.__traceback__ = None
            raise self._end
        self._asleep = True
        self._latest_ms = None
        task = core.cur_task
        self._task = task
        # Cancelling a task calls `remove` of what its data says it waits for.
        task.data = self

    def remove(self, _task) -> None:
        """Forget the waiting task, which is being cancelled."""
        self._task = None

    def due_ms(self, now: int) -> int:
        """The plant time after `now` at which the task must run as things stand; `now` when none waits."""
        if self._task is None:
            return now
        wait = 1
        if not self._exact and self._plant.changed == self._seen:
            wait = self._next_due_ms() or 1
            if self._latest_ms is None:
                self._latest_ms = now + wait
            elif wait > self._latest_ms - now:
                # Asked later, a horizon would move on for ever; but the task was promised a run.
                wait = self._latest_ms - now or 1
        period = self._period_ms
        since = now + wait - self._start_ms + period - 1
        return self._start_ms + since - since % period

    def reached(self, now: int, due: int) -> bool:
        """Make the task ready when it has to run at `now` -> whether it has something to do, horizons apart.

        The plant's events up to then have just happened.
        """
        task = self._task
        if task is None:
            return False
        changed = self._plant.changed
        if now < due and (changed == self._seen or (now - self._start_ms) % self._period_ms):
            return False
        # The board's temperature drifts for hours after each charge; as such that is no event.
        events = changed - self._plant.drifted
        busy = events != self._events or self._next_due_ms() == 0
        self._events = events
        self._seen = changed
        self._task = None
        core._task_queue.push(task)
        return busy


class Poll:
    """One pause of `VirtualTime.poll`; awaiting it is the only use."""

    def __init__(self, owner, period_ms: int, rest_ms: int):
        self._owner = owner
        self.period_ms = period_ms
        self.rest_ms = rest_ms
        self.task = None
        self.start_ms = 0
        self.due_ms = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.task is not None:
            self.task = None
            raise StopIteration
        self.task = core.cur_task
        self._owner.begin(self)

    def sleeps(self) -> bool:
        """Whether the task still waits here; one that was cancelled has left without a word."""
        return self.task is not None and self.task.ph_key == self.due_ms + _ORIGIN_MS


class VirtualTime:
    """The clock, and what the event loop does whenever no task is ready.

    Time stands at the end of what `advance` granted; then `serve()` is called, which blocks until it has
    served one request. `exact` leaves out no tick.
    """

    def __init__(self, plant, serve, exact: bool = False):
        self._plant = plant
        self._serve = serve
        self._exact = exact
        self._end_ms = plant.now_ms
        self._done = None
        self._ticker = None
        # Tasks in `poll`, and until when these look as often as on a board in real time.
        self.polls = []
        self._busy_ms = 0

    def make_queue(self):
        """Return the I/O queue of a new event loop; ticker and polls of the former one are forgotten."""
        self._ticker = None
        self.polls = []
        queue = _HostQueue()
        queue.wait_io_event = self.idle
        # With an entry the scheduler does not wake up every 3 ms when all tasks wait for events.
        queue.map[0] = [None, None, None]
        return queue

    def rest(self) -> None:
        """Let time pass up to the next plant event or serve one request, without a firmware."""
        self._ticker = None
        self._pass(_NEVER_MS)

    def ticks_ms(self) -> int:
        """Ticks for the event loop and the firmware, in ms."""
        return self._plant.now_ms + _ORIGIN_MS

    def ticker(self, period_ms: int, next_due_ms) -> Ticker:
        """A grid for the one task that may leave out ticks, the control loop."""
        self._ticker = Ticker(self._plant, period_ms, next_due_ms, self._exact)
        return self._ticker

    def poll(self, period_ms: int, rest_ms: int):
        """A pause of `period_ms`, or of up to `rest_ms` while nothing happens (`await time.poll(...)`).

        Something happens when the control loop has to run, and when a request comes; for a while after
        that every pause is short, so that what follows from it is seen as on a board in real time.
        """
        return Poll(self, period_ms, rest_ms)

    def begin(self, poll: Poll) -> None:
        """Put the task of a new pause to sleep."""
        now = self._plant.now_ms
        if len(self.polls) >= _POLLS:
            self.polls = [other for other in self.polls if other.sleeps()]
        poll.start_ms = now
        if now < self._busy_ms:
            poll.due_ms = now + poll.period_ms
        else:
            # On a common grid, so that several tasks look in one turn.
            poll.due_ms = (now // poll.rest_ms + 1) * poll.rest_ms
        self.polls.append(poll)
        core._task_queue.push(poll.task, poll.due_ms + _ORIGIN_MS)

    def _stir(self, now: int) -> None:
        """Something happened: whoever pauses for longer looks at its next usual instant."""
        self._busy_ms = now + _BUSY_MS
        self.polls = [poll for poll in self.polls if poll.sleeps()]
        for poll in self.polls:
            period = poll.period_ms
            due = poll.start_ms + ((now - poll.start_ms) // period + 1) * period
            if due < poll.due_ms:
                poll.due_ms = due
                core._task_queue.remove(poll.task)
                core._task_queue.push(poll.task, due + _ORIGIN_MS)

    def advance(self, ms: int, done) -> None:
        """Let `ms` pass from now on and then call `done()`; restarts and cuts of the supply do not end it."""
        self._end_ms = self._plant.now_ms + ms
        self._done = done

    def idle(self, dt: int) -> None:
        """Let time pass until something happens, at most `dt` ms; below 0 until a task is ready."""
        if dt > 0:
            self._pass(dt)
        elif dt < 0:
            # All tasks wait for events. The scheduler takes a task as soon as this returns.
            while core._task_queue.peek() is None:
                self._pass(_NEVER_MS)

    def _pass(self, dt: int) -> None:
        """Let time pass until the next plant event or needed tick, at most `dt` ms; or serve a request."""
        plant = self._plant
        now = plant.now_ms
        end = self._end_ms
        if dt < end - now:
            end = now + dt
        ticker = self._ticker
        due = now
        if ticker is not None:
            due = ticker.due_ms(now)
            if now < due < end:
                end = due
        event = plant.next_event_ms()
        if event is not None and event < end:
            end = event if event > now else now
        elif end <= now and (event is None or event > now):
            self._settled()
            return
        plant.advance_to(end)
        if ticker is not None and ticker.reached(end, due):
            self._stir(end)

    def _settled(self) -> None:
        done = self._done
        if done is None:
            self._serve()
            self._stir(self._plant.now_ms)
        else:
            self._done = None
            done()
