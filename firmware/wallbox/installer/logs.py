"""The event log as a download (R23, R31): warnings and errors kept on flash, then all that is in RAM."""

import json

from wallbox.installer.streams import Stream, row

_COLUMNS = ("seq", "utc", "uptime_ms", "level", "source", "code", "text")


class Log(Stream):
    """log.csv: what was in the log when it was opened; what else an entry has is JSON in the last column.

    It is not steady: opening, reading and closing may themselves be logged.
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
