"""Everything that explains what the box does, in one file (R23, R31): status, settings without secrets, log."""

import json

import hal.system
from wallbox import VERSION
from wallbox.installer import identity, public
from wallbox.installer.streams import Stream, listed


class Diagnostics(Stream):
    """diagnostics.json: each opening makes a new one, which can be read once."""

    steady = False
    once = True

    def __init__(self, link, _arguments):
        self._app = link.app
        self._role = link.role
        self._opened_ms = link.app.clock.uptime_ms()
        self._last = link.app.log.sequence
        super().__init__()

    def mark(self):
        """No two openings have the same."""
        return self._app.log.sequence, self._opened_ms

    def _head(self) -> dict:
        app = self._app
        return {
            "product": "wallbox",
            "serial": identity.load(app.folder, app.log)["serial"],
            "version": VERSION,
            "utc": app.clock.utc_iso(),
            "uptime_ms": app.clock.uptime_ms(),
            "reset_cause": hal.system.reset_cause(),
        }

    def pieces(self):
        """What is now, then what was."""
        yield from self.present()
        yield from self.past()

    def present(self):
        """Head, settings and status, a member a line."""
        app = self._app
        yield "{"
        for name, value in self._head().items():
            yield "\n%s: %s," % (json.dumps(name), json.dumps(value))
        yield '\n"settings": %s,\n"status": {' % json.dumps(public.settings(app.settings))
        status = public.status(app, self._role)
        yield from listed("%s: %s" % (json.dumps(name), json.dumps(status.pop(name))) for name in sorted(status))
        yield '\n},\n"log": ['

    def past(self):
        """The log up to when this was opened, an entry a line."""
        yield from listed(self._log())
        yield "\n]}\n"

    def _log(self):
        log = self._app.log
        last = 0
        place = (0, 0)
        while place is not None:
            entries, place = log.page(place)
            for entry in entries:
                if last < entry["seq"] <= self._last:
                    last = entry["seq"]
                    yield json.dumps(entry)
