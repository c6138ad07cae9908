"""The download `backup` (R35): what an installer set and all cards, secrets under a password or left out.

The file is JSON with one member, setting or card a line, so that the box can read it back line by line; the last
member is the SHA-256 of all lines before it.
"""

import hashlib
import json
from binascii import hexlify

from micropython import const

from wallbox import VERSION
from wallbox.installer import identity
from wallbox.installer.errors import CommandError
from wallbox.installer.sealed import LONGEST, SHORTEST, seal
from wallbox.installer.security import SecurityLog
from wallbox.installer.streams import Stream
from wallbox.storage.settings import SCHEMA, is_private

FORMAT = const(1)


def password_of(arguments: dict):
    """The argument `password`, None without one; CommandError for one of a wrong length, which is not shown."""
    password = arguments.get("password")
    if password is None:
        return None
    if not isinstance(password, str) or not SHORTEST <= len(password) <= LONGEST:
        text = "password: not allowed; allowed: text of %d..%d characters" % (SHORTEST, LONGEST)
        raise CommandError("bad_value", text, "password")
    return password


class Backup(Stream):
    """What was set when it was opened; each opening makes a new file, which can be read once."""

    steady = False
    once = True

    def __init__(self, link, arguments):
        self._app = app = link.app
        self._password = password_of(arguments)
        self._opened_ms = app.clock.uptime_ms()
        settings = app.settings
        self._private = {}
        self._settings = {}
        for row in SCHEMA:
            key = row[0]
            if settings.is_set(key):
                (self._private if is_private(key) else self._settings)[key] = settings[key]
        # Each change of the cards makes new ones of these.
        self._cards = (app.cards.setup, app.cards.charging, app.cards.names, app.cards.blocked)
        self._serial = identity.load(app.folder, app.log)["serial"]
        self._secrets = None
        super().__init__()
        SecurityLog(app).add("backup", link.role, "with secrets" if self._password else "without secrets")

    def mark(self):
        """No two openings have the same."""
        return self._app.log.sequence, self._opened_ms

    async def read(self, offset: int, count: int) -> bytes:
        """As of any stream; the first time it takes as long as the password's key."""
        if self._password and self._private and self._secrets is None:
            self._secrets = await seal(self._private, self._password, self._serial)
        return await super().read(offset, count)

    def pieces(self):
        """The lines, and at last their digest."""
        digest = hashlib.sha256()
        for line in self._lines():
            line += "\n"
            digest.update(line.encode())
            yield line
        yield '"sha256": "%s"\n}\n' % str(hexlify(digest.digest()), "ascii")

    def _lines(self):
        yield "{"
        head = {
            "format": FORMAT,
            "product": "wallbox",
            "firmware": VERSION,
            "serial": self._serial,
            "utc": self._app.clock.utc_iso(),
            "left_out": [] if self._secrets else sorted(self._private),
            "secrets": self._secrets,
            "setup": self._cards[0],
        }
        for name in ("format", "product", "firmware", "serial", "utc", "left_out", "secrets", "setup"):
            yield _member(name, head[name]) + ","
        yield '"settings": {'
        yield from _separated([_member(key, self._settings[key]) for key in sorted(self._settings)])
        yield "},"
        yield '"cards": ['
        _, charging, names, blocked = self._cards
        yield from _separated(
            json.dumps({"uid": uid, "name": names.get(uid, ""), "blocked": uid in blocked}) for uid in charging
        )
        yield "],"


def _member(name: str, value) -> str:
    return json.dumps(name) + ": " + json.dumps(value)


def _separated(items):
    """Yield the items with a comma after all but the last."""
    before = None
    for item in items:
        if before is not None:
            yield before + ","
        before = item
    if before is not None:
        yield before
