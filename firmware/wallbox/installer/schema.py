"""Download `settings-schema`: what may be set, by whom, and what is allowed."""

import json

from wallbox import VERSION
from wallbox.installer.stream import Stream
from wallbox.storage.settings import SCHEMA, describe, is_secret, role_of


class SchemaDownload(Stream):
    """JSON {"settings": [{"key", "default", "allowed", "text", "unit", "role", "group", "secret"}, ...]}, a row a line.

    `allowed` is a list of values and [first, last] ranges, of text the number of characters; `text` says it in words.
    """

    def __init__(self, _link, _arguments):
        super().__init__(VERSION)

    def pieces(self):
        """Yield the rows."""
        before = b'{"settings": [\n'
        for key, default, allowed, unit, group in SCHEMA:
            if allowed == ():
                allowed = (False, True)
            row = {
                "key": key,
                "default": default,
                "allowed": allowed,
                "text": describe(key),
                "unit": unit,
                "role": role_of(key),
                "group": group,
                "secret": is_secret(key),
            }
            yield before + json.dumps(row).encode()
            before = b",\n"
        yield b"\n]}\n"
