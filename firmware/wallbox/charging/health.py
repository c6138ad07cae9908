"""The contactor's health book (R33): what wears it, and how fast it still moves; it switches nothing.

The contactor writes into it from inside the control loop, where nothing is allocated; `update` is for a task.
"""

from array import array
from time import ticks_diff

from micropython import const

# Fields: counts first, then for each direction how many times are in the mean of the new contactor, their
# sum, the recent mean in 1/16 ms, and the worst time in ms.
_LOAD_OPENINGS = const(0)
_LOAD_MAX_MA = const(1)
_LOAD_SUM_MA = const(2)
_CLOSED_S = const(3)
OPENING = const(4)
CLOSING = const(8)
_SUM = const(1)
_RECENT = const(2)
_WORST = const(3)
_FIELDS = const(12)
# The loop may not make a larger number (31 bits on a 32-bit port); a sum stays there, 33,000 openings at 32 A.
_LARGEST = const((1 << 30) - 1)

# Opening above this current counts as opening under load; a car that obeys is below 1 A (sequence 7).
_LOAD_MA = const(1_000)
# The mean of so many times stands for the new contactor; enough to even out the 10 ms steps of the loop.
_FIRST = const(50)
# A new time has this weight in the recent mean: a change shows within a handful of operations.
_WEIGHT = const(8)
_SCALE = const(16)
# Proposal, no source was found. The loop measures in steps of 10 ms, so a drift of less than 1 ms can move
# every time by one step; at one and a half steps the contactor itself has changed by more than 5 ms, a third
# of what contactors of this class take.
_DRIFT_MS = const(15)
# Contactors are made for 10,000 to 100,000 operations at rated current (OpenEVSE, PR 1209). Proposals: ours
# switch nearly always without load, so the upper end for all; half of the lower end for those under load.
_RATED_OPERATIONS = const(100_000)
_RATED_LOAD_OPENINGS = const(5_000)

# A power cut costs what came since the last write: at the end of a session, or after so many operations.
_SAVE_OPERATIONS = const(20)


class Health:
    """The book of one contactor. `operations` is how often it was told to close in its life.

    `worn` names the figure of `status` that shows wear, None while none does.
    """

    def __init__(self):
        self.operations = 0
        self.worn = None
        self._n = array("i", bytes(4 * _FIELDS))
        self._store = None
        self._log = None
        self._refused = False
        self._saved = 0
        self._ticks = 0
        self._closed_ms = 0
        self._active = False

    # -- called from the control loop -------------------------------------------------------------

    def open(self, current_ma: int) -> None:
        """The contactor opens while `current_ma` flows on the phase with the highest current."""
        if current_ma <= _LOAD_MA:
            return
        n = self._n
        n[_LOAD_OPENINGS] += 1
        n[_LOAD_MAX_MA] = max(n[_LOAD_MAX_MA], current_ma)
        n[_LOAD_SUM_MA] = min(n[_LOAD_SUM_MA] + current_ma, _LARGEST)

    def time(self, field: int, ms: int) -> None:
        """An operation, OPENING or CLOSING, took `ms`, in steps of the loop's 10 ms."""
        n = self._n
        if not n[field]:
            n[field + _RECENT] = ms * _SCALE
        if n[field] < _FIRST:
            n[field] += 1
            n[field + _SUM] += ms
        n[field + _RECENT] += (ms * _SCALE - n[field + _RECENT]) // _WEIGHT
        n[field + _WORST] = max(n[field + _WORST], ms)

    # -- called from tasks --------------------------------------------------------------------------

    def attach(self, store, log) -> None:
        """Go on with what `store` holds, and keep the book there from now on."""
        self._store = store
        self._log = log
        found = store.load()
        if found:
            self.operations = self._saved = found[0]
            self._n = array("i", found[1:])

    def update(self, now: int, closed: bool, active: bool) -> None:
        """Add up the time closed, judge, and write when it is worth it; `active`: a session goes on.

        To be called every second or so. A flash that refuses is logged once; the next write brings all.
        """
        if closed:
            self._closed_ms += ticks_diff(now, self._ticks)
            self._n[_CLOSED_S] += self._closed_ms // 1000
            self._closed_ms %= 1000
        self._ticks = now
        self.worn = self._judge()
        ended = self._active and not active
        self._active = active
        if not ended and self.operations - self._saved < _SAVE_OPERATIONS:
            return
        self._saved = self.operations
        try:
            self._store.save([self.operations] + list(self._n))
            self._refused = False
        except OSError as error:
            if not self._refused:
                self._refused = True
                self._log.add("error", "contactor", "flash_refused", "health book kept in RAM only: %s" % error)

    def _judge(self):
        # Half the drift ends the warning, so that a mean at the limit does not make it come and go.
        drift_ms = _DRIFT_MS // 2 if self.worn else _DRIFT_MS
        n = self._n
        for field, name in ((OPENING, "opening"), (CLOSING, "closing")):
            # Slower or faster, both are wear.
            drift = n[field + _RECENT] // _SCALE - n[field + _SUM] // _FIRST
            if n[field] == _FIRST and abs(drift) > drift_ms:
                return name
        if n[_LOAD_OPENINGS] > _RATED_LOAD_OPENINGS:
            return "load_openings"
        return "operations" if self.operations > _RATED_OPERATIONS else None

    def status(self) -> dict:
        """Counts of the contactor's life, times in ms, currents in mA."""
        n = self._n
        return {
            "operations": self.operations,
            "load_openings": n[_LOAD_OPENINGS],
            "load_max_ma": n[_LOAD_MAX_MA],
            "load_sum_ma": n[_LOAD_SUM_MA],
            "closed_s": n[_CLOSED_S],
            "opening": self._times(OPENING),
            "closing": self._times(CLOSING),
            "worn": self.worn,
        }

    def _times(self, field: int) -> dict:
        n = self._n
        return {
            "new_ms": n[field + _SUM] // max(1, n[field]),
            "recent_ms": (n[field + _RECENT] + _SCALE // 2) // _SCALE,
            "worst_ms": n[field + _WORST],
        }
