"""A download that is made piece by piece as it is read, so that it is never in memory as a whole."""

import asyncio


class Stream:
    """Subclasses have `pieces()`, a generator of bytes, which must give the same each time while `etag` is the same."""

    size = None

    def __init__(self, etag: str):
        self.etag = etag
        self._start()

    def _start(self) -> None:
        self._pieces = self.pieces()
        # What the generator gave and nobody has read, and where in the whole that is.
        self._rest = b""
        self._at = 0

    def pieces(self):
        """Yield the content in pieces of a few hundred bytes."""
        raise NotImplementedError

    async def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes at `offset`, b"" at the end; going back makes everything before `offset` anew."""
        if offset < self._at:
            self._start()
        while offset + count > self._at + len(self._rest):
            await asyncio.sleep_ms(0)
            piece = next(self._pieces, None)
            if piece is None:
                break
            # What lies before the offset is not kept.
            skipped = min(len(self._rest), max(0, offset - self._at))
            self._rest = self._rest[skipped:] + piece
            self._at += skipped
        start = max(0, offset - self._at)
        found = self._rest[start : start + count]
        self._rest = self._rest[start + len(found) :]
        self._at += start + len(found)
        return found

    def close(self) -> None:
        """Let go of what is open."""
        self._pieces.close()
        self._rest = b""
