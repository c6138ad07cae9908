"""The fault recorder (R34): what the loop saw 2 s before and 1 s after each red fault, kept on flash; decides nothing.

`note` runs in the control loop and allocates nothing; cutting out, writing and reading are for tasks.
"""

from array import array
from struct import pack, unpack_from
from time import ticks_add, ticks_diff

from micropython import const

from wallbox.clock import iso
from wallbox.protection.faults import CATALOGUE
from wallbox.storage.store import read_copy, write_copy
from wallbox.timer import Timer

_BEFORE_MS = const(2_000)
_AFTER_MS = const(1_000)
_PERIOD_MS = const(20)
# A sample, 16 bits each: low end of its ticks, pilot high and low in mV, residual current DC and AC in 10 uA,
# L1..L3 in 10 mA, offer in mA, and bits: pilot state from 16 on, command 8, live poles 1, 2, 4.
_WORDS = const(10)
# 3 s of samples, one that was older than 2 s, one more at the trigger; what is left goes on being filled until
# the housekeeping, which comes every 250 ms, takes over a trip. Ring in words.
_LENGTH = const(166 * 10)
_WORD = const(0xFFFF)
# Found in the bits of a sample that was never taken.
_NEVER = const(0xFFFF)
_SAMPLE = "<Hhh7H"
_SAMPLE_BYTES = const(20)
# Before the samples: ms from the trigger to the first, UTC in s (0: unknown) and uptime in ms at the trigger,
# and the fault.
_HEAD = "<iIQ20s"
_HEAD_BYTES = const(36)
_VERSION = const(1)
# One file more than trips are kept: the write in which power fails hits none of them.
_KEPT = const(4)
_FILES = const(5)
# When flash refuses, the next try comes after this time, so that a broken chip does not block the loop often.
_RETRY_S = const(60)


class FaultRecorder:
    """A ring of samples, and the trips cut out of it; `after` is its timer.

    A sample stands until the next, since ticks that change nothing may be left out. Within 20 ms the newest is
    brought up to date instead of adding one, but never that of a trigger. A red fault within the 1 s after another
    belongs to the same trip.
    """

    def __init__(self, clock, rcm, faults, view):
        self._clock = clock
        self._rcm = rcm
        self._faults = faults
        self._view = view
        self._ring = array("H", b"\xff" * (2 * _LENGTH))
        self._newest = 0
        self._last = 0
        self._began = 0
        self.after = Timer()
        self._red = 0
        self._fault = 0
        self._at = 0
        self._ready = 0
        self._ready_at = 0
        self._path = ""
        self._log = None
        self._trips = []
        self._waiting = None
        self._again = 0

    # -- called from the control loop -------------------------------------------------------------

    def note(self, now: int, state: int) -> None:
        """At the end of a control step in pilot state `state`: take a sample, and notice a new red fault."""
        red = self._faults.red
        fault = 0 if self.after.running else red & ~self._red
        self._red = red
        if fault or ticks_diff(now, self._began) >= _PERIOD_MS:
            self._newest = (self._newest + _WORDS) % _LENGTH
            # After a trigger the next step takes a new sample.
            self._began = ticks_add(now, -_PERIOD_MS) if fault else now
        self._last = now
        self._sample(self._newest, state)
        if fault:
            self._fault = fault
            self._at = now
            self.after.start(now, _AFTER_MS)
        elif self.after.expired(now):
            self._ready = self._fault
            self._ready_at = self._at

    def _sample(self, at: int, state: int) -> None:
        ring = self._ring
        view = self._view
        ring[at] = self._last & _WORD
        ring[at + 1] = view.high_mv & _WORD
        ring[at + 2] = view.low_mv & _WORD
        ring[at + 3] = min(self._rcm.dc_ua // 10, _WORD)
        ring[at + 4] = min(self._rcm.ac_ua // 10, _WORD)
        for phase in range(3):
            ring[at + 5 + phase] = min(view.currents_ma[phase] // 10, _WORD)
        ring[at + 8] = view.offered_ma
        ring[at + 9] = state << 4 | view.contactor_commanded << 3 | view.contactor_live

    # -- called from tasks --------------------------------------------------------------------------

    def attach(self, folder: str, log) -> None:
        """Before the first step: find the trips in `folder`, keep new ones there; a fault of before is no trip."""
        self._red = self._faults.red
        self._path = folder + "/trip."
        self._log = log
        for number in range(_FILES):
            found = read_copy(self._path + str(number))
            if isinstance(found, tuple) and found[0] == _VERSION:
                self._trips.append(_entry(found[1], found[2]))
            elif isinstance(found, str):
                log.add("warning", "recorder", "copy_lost", "record of a trip: " + found)
        self._trips.sort(reverse=True)
        del self._trips[_KEPT:]

    def save(self) -> None:
        """Write a trip that is complete; when flash refuses it stays in RAM until it works or the next trip comes."""
        if self._ready:
            self._take()
        now_s = self._clock.uptime_s()
        if not self._waiting or now_s < self._again:
            return
        sequence = self._trips[0][0]
        try:
            write_copy(self._path + str(sequence % _FILES), _VERSION, sequence, self._waiting)
        except OSError as error:
            if not self._again:
                self._log.add("error", "recorder", "flash_refused", "trip kept in RAM only: %s" % error)
            self._again = now_s + _RETRY_S
            return
        self._again = 0
        self._waiting = None
        del self._trips[_KEPT:]

    def _take(self) -> None:
        """Make a record of the trip that is complete; one that flash refused gives up its place and number."""
        trips = self._trips
        sequence = trips[0][0] if trips else 0
        if self._waiting:
            del trips[0]
        else:
            sequence += 1
        fault = 0
        while not self._ready >> fault & 1:
            fault += 1
        self._ready = 0
        clock = self._clock
        age_ms = ticks_diff(clock.ticks_ms(), self._ready_at)
        utc_s = clock.utc_s()
        utc_s = utc_s - age_ms // 1000 if utc_s else 0
        first, ms = self._first()
        data = bytearray(pack(_HEAD, ms, utc_s, clock.uptime_ms() - age_ms, CATALOGUE[fault][0].encode()))
        end = self._newest + _WORDS
        if first >= end:
            data.extend(self._ring[first:])
            first = 0
        data.extend(self._ring[first:end])
        self._waiting = data
        trips.insert(0, _entry(sequence, data))

    def _first(self) -> tuple:
        """Where the samples of the complete trip begin, and how many ms from its trigger."""
        ring = self._ring
        at = self._newest
        ms = ticks_diff(self._last, self._ready_at)
        while ms > -_BEFORE_MS:
            before = (at - _WORDS) % _LENGTH
            if ring[before + 9] == _NEVER or before == self._newest:
                break
            ms -= (ring[at] - ring[before]) & _WORD
            at = before
        return at, ms

    def status(self) -> list:
        """The trips, newest first, without their samples; "utc" is None when the time was not known."""
        found = []
        for sequence, utc_s, uptime_ms, fault in self._trips:
            utc = iso(utc_s) if utc_s else None
            found.append({"sequence": sequence, "utc": utc, "uptime_ms": uptime_ms, "fault": fault})
        return found

    def samples(self, index: int):
        """Yield the samples of a trip (0: the newest), oldest first.

        A sample is (ms from the trigger, pilot high and low in mV, residual current DC and AC in uA, currents of
        L1..L3 in mA, offer in mA, bits: pilot state from 16 on, contactor commanded 8, live poles 1, 2, 4).
        IndexError when there is no such trip, ValueError when its record cannot be read.
        """
        data = self._waiting
        if index or not data:
            found = read_copy(self._path + str(self._trips[index][0] % _FILES))
            if not isinstance(found, tuple):
                raise ValueError("trip %d: %s" % (index, found))
            data = found[2]
        ms = unpack_from(_HEAD, data)[0]
        last = None
        for at in range(_HEAD_BYTES, len(data), _SAMPLE_BYTES):
            stamp, high_mv, low_mv, dc, ac, l1, l2, l3, offer_ma, bits = unpack_from(_SAMPLE, data, at)
            if last is not None:
                ms += (stamp - last) & _WORD
            last = stamp
            yield ms, high_mv, low_mv, dc * 10, ac * 10, l1 * 10, l2 * 10, l3 * 10, offer_ma, bits


def _entry(sequence: int, data) -> tuple:
    _, utc_s, uptime_ms, fault = unpack_from(_HEAD, data)
    return sequence, utc_s, uptime_ms, fault.rstrip(b"\0").decode()
