"""Event log and security log as downloads (R23, R31)."""

import json

from wallbox.installer.security import SecurityLog
from wallbox.installer.streams import Stream, row

_SECURITY = ("seq", "utc", "uptime_s", "what", "role", "result")
_COLUMNS = ("seq", "utc", "uptime_ms", "level", "source", "code", "text")


class Log(Stream):
    """log.csv: the warnings and errors that flash has kept, then all that is in RAM, up to when it was opened.

    What else an entry has is JSON in the last column. It is not steady, as what an app does may itself be logged.
    """

    steady = False

    def __init__(self, link, _arguments):
        self._log = link.app.log
        self._last = self._log.sequence
        super().__init__()

    def mark(self):
        """Each new entry changes it."""
        return self._log.sequence

    def pieces(self):
        """A line for each entry."""
        yield row(_COLUMNS + ("context",))
        last = 0
        place = (0, 0)
        while place is not None:
            entries, place = self._log.page(place)
            for entry in entries:
                if last < entry["seq"] <= self._last:
                    last = entry["seq"]
                    cells = [entry.pop(name, None) for name in _COLUMNS]
                    yield row(cells + [json.dumps(entry) if entry else None])


class Security(Stream):
    """security.csv: the entries of the security log up to when it was opened."""

    steady = False

    def __init__(self, link, _arguments):
        self._log = SecurityLog(link.app)
        self._last = self._log.newest()
        super().__init__()

    def mark(self):
        """Each new entry changes it."""
        return self._log.newest()

    def pieces(self):
        """A line for each entry."""
        yield row(_SECURITY)
        place = (0, 0)
        while place is not None:
            entries, place = self._log.page(place)
            for entry in entries:
                if entry["seq"] <= self._last:
                    yield row([entry.get(name) for name in _SECURITY])
