"""The security log (R31): who tried what on this box, over restarts; never a secret, never a card."""

import json

# Entries that are read at a time, when all are read in pieces.
_PAGE = 4


class SecurityLog:
    """Entries {"seq", "utc", "uptime_s", "what", "role", "result"} on flash, numbered over restarts."""

    def __init__(self, app):
        self._app = app
        self._journal = app.security

    def add(self, what: str, role: str, result: str) -> None:
        """Note at once; a flash that refuses is told to the event log, and the entry stands there instead."""
        clock = self._app.clock
        entry = {
            # What could not be read had numbers too.
            "seq": self.newest() + self._journal.damaged + 1,
            "utc": clock.utc_iso(),
            "uptime_s": clock.uptime_s(),
            "what": what,
            "role": role,
            "result": result,
        }
        try:
            self._journal.append(json.dumps(entry).encode())
        except OSError as error:
            text = "security log not written (%s): %s of %s: %s" % (error, what, role, result)
            self._app.log.add("error", "installer", "security_not_stored", text)

    def entries(self):
        """Yield all entries there are, oldest first, as dicts."""
        for record in self._journal.records():
            entry = _parse(record)
            if entry:
                yield entry

    def page(self, place: tuple) -> tuple:
        """Some entries from `place` on, oldest first from (0, 0), and the next place, None at the end."""
        records, place = self._journal.page(place, _PAGE)
        return [entry for entry in map(_parse, records) if entry], place

    def newest(self) -> int:
        """The number of the newest entry, 0 without one."""
        entry = _parse(self._journal.last())
        return entry["seq"] if entry else 0


def _parse(record):
    """The entry of a journal record, or None."""
    try:
        entry = json.loads(record or b"null")
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and type(entry.get("seq")) is int else None
