"""Follows a file of timed requests instead of listening for them, and reports how it went; needs virtual time.

A line is a JSON list [ms, request]: the plant time, and a request of the control API. At the end, or at the first
violation of an invariant, the report is written to stdout as a line of JSON and the simulator ends.
"""

import json
import sys

from micropython import const

# The event log's last entries in the report of a violation.
_LOG_ENTRIES = const(60)
_HOUR_MS = const(3_600_000)


class Script:
    """Stands in for `control.Server`: there is always a request waiting, the next one of the file."""

    port = 0
    waiting = True

    def wait(self, _timeout_ms: int) -> None:
        """Nothing to wait for."""

    def __init__(self, bench, path: str, handle):
        """OSError when the file cannot be read."""
        self._bench = bench
        self._handle = handle
        self._file = open(path)  # noqa: SIM115 it is read until the simulator ends
        self._next = None
        self._done = 0
        # The requests that were refused, by their number.
        self._refused = []

    def serve(self) -> None:
        """Do the next request, or let time pass until it is due."""
        bench = self._bench
        if bench.violations():
            self._end(1)
        if self._next is None:
            line = self._file.readline()
            if not line:
                self._end(0)
            self._next = json.loads(line)
        at_ms, request = self._next
        left_ms = at_ms - bench.plant.now_ms
        if left_ms > 0:
            bench.virtual.advance(left_ms, self._check)
            return
        self._next = None
        number = self._done
        self._done += 1
        action = None
        try:
            _, action = self._handle(request, self._ignore)
        except ValueError:
            # A plug for a car that is there, a setting that does not fit: people do such things.
            self._refused.append(number)
        if action is not None:
            action()

    def _check(self) -> None:
        """Time has reached the next request."""

    def _ignore(self, _fields) -> None:
        """Nobody waits for an answer."""

    def _end(self, code: int) -> None:
        bench = self._bench
        invariants = bench.invariants
        violations = bench.violations()
        app = bench.app
        report = {
            "hours": bench.plant.now_ms / _HOUR_MS,
            "requests": self._done,
            "refused": self._refused,
            "boots": bench.record.boot,
            "steps": 0 if invariants is None else invariants.steps,
            "codes": bench.record.codes,
            "writes": bench.plant.flash_device.writes,
            "settings": None if app is None else app.settings.as_dict(),
            "cards": None if app is None else app.cards.status(),
            "totals": None if app is None else app.store.totals(),
            "violations": violations,
        }
        if violations:
            report["log"] = bench.record.tail(_LOG_ENTRIES)
        sys.stdout.write(json.dumps(report) + "\n")
        bench.finish(code)
