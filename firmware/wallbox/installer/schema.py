"""Download `settings-schema`: what may be set, by whom, and what is allowed."""

import json

from wallbox import VERSION
from wallbox.installer.streams import Stream, listed
from wallbox.storage.settings import SCHEMA, describe, is_secret, role_of


class SchemaDownload(Stream):
    """JSON {"settings": [{"key", "default", "allowed", "text", "unit", "role", "group", "secret"}, ...]}, a row a line.

    `allowed` is a list of values and [first, last] ranges, of text the number of characters; `text` says it in words.
    """

    def __init__(self, _link, _arguments):
        super().__init__()

    def mark(self):
        """The settings there are change with the firmware alone."""
        return VERSION

    def pieces(self):
        """The rows."""
        yield '{"settings": ['
        yield from listed(json.dumps(_row(*row)) for row in SCHEMA)
        yield "\n]}\n"


def _row(key, default, allowed, unit, group) -> dict:
    return {
        "key": key,
        "default": default,
        "allowed": (False, True) if allowed == () else allowed,
        "text": describe(key),
        "unit": unit,
        "role": role_of(key),
        "group": group,
        "secret": is_secret(key),
    }
