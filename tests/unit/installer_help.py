"""What the tests of the installer's transfers share: a link with an app behind it, and reading a download."""

from storage_help import Log

READ_BYTES = 244


class Link:
    """A connection with a role, as commands and transfers see it."""

    def __init__(self, app, role="expert"):
        self.app = app
        self.role = role


class App:
    """A composition root with the parts that a test gives it."""

    def __init__(self, **parts):
        self.log = Log()
        for name, part in parts.items():
            setattr(self, name, part)


async def fetched(download, count=READ_BYTES, offset=0):
    """All of a download from `offset` on, read in pieces of up to `count` bytes."""
    data = b""
    while True:
        piece = await download.read(offset + len(data), count)
        assert len(piece) <= count
        if not piece:
            assert await download.read(offset + len(data), count) == b""
            return data
        data += piece
