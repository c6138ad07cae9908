"""The security log (R31): who tried what on this box, over restarts; never a secret, never a card."""

import json

from journal import Journal

# 4 files of 4,000 bytes hold the newest 120 entries and more.
_FILES = 4


class SecurityLog:
    """Entries {"seq", "utc", "uptime_s", "what", "role", "result"} on flash, numbered over restarts."""

    def __init__(self, app):
        self._app = app
        self._journal = Journal(app.folder, "security", _FILES)

    def add(self, what: str, role: str, result: str) -> None:
        """Note at once; a flash that refuses is told to the event log, and the entry stands there instead."""
        clock = self._app.clock
        newest = 0
        for entry in self.entries():
            newest = entry["seq"]
        entry = {
            # What could not be read had numbers too.
            "seq": newest + self._journal.damaged + 1,
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
            try:
                entry = json.loads(record)
            except ValueError:
                continue
            if isinstance(entry, dict) and type(entry.get("seq")) is int:
                yield entry
