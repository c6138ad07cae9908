"""Downloads that are made while they are read, piece by piece: nothing is held whole in RAM."""

import asyncio
from binascii import crc32

from micropython import const

from wallbox.installer.errors import CommandError

# More than one frame carries (244 bytes), and little heap.
_READ_BYTES = const(1024)
# After so many pieces the event loop has its turn: a record that is parsed and written anew takes about 1 ms on a chip.
_PIECES_A_TURN = const(4)
# What a spreadsheet takes for a formula at the beginning of a cell (OWASP, "CSV injection").
_FORMULA = "=+-@\t\r"


class Stream:
    """A download whose pieces of text a generator yields.

    Subclasses have `pieces` and `mark`. A `steady` one is compared with its mark at each read, others only when they
    are read again from an earlier offset, and one that can be read `once` not even then. `size` is unknown; `etag`
    names the content.
    """

    size = None
    steady = True
    once = False

    def __init__(self):
        self._mark = self.mark()
        self.etag = "%08x" % crc32(repr((type(self).__name__, self._mark)).encode())
        self._begin()

    def mark(self):
        """A value that changes whenever the content would."""
        raise NotImplementedError

    def pieces(self):
        """Yield the content as text, in pieces of a few hundred bytes."""
        raise NotImplementedError

    def _begin(self):
        self._pieces = self.pieces()
        self._rest = b""
        self._at = 0

    async def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`, b"" at the end; CommandError when the content is not the same any more."""
        again = offset < self._at
        if again and self.once or (again or self.steady) and self.mark() != self._mark:
            raise CommandError("not_now", "the content has changed; open it again")
        if again:
            self._begin()
        out = b""
        count = min(count, _READ_BYTES)
        turn = 0
        while len(out) < count:
            skip = offset - self._at
            if skip < len(self._rest):
                piece = self._rest[skip : skip + count - len(out)]
                out += piece
                offset += len(piece)
                continue
            self._at += len(self._rest)
            text = next(self._pieces, None)
            if text is None:
                self._rest = b""
                break
            self._rest = text.encode()
            turn += 1
            if turn % _PIECES_A_TURN == 0:
                await asyncio.sleep_ms(0)
        return out

    def close(self) -> None:
        """Let go of what is read."""
        self._pieces = iter(())
        self._rest = b""


def cell(value) -> str:
    """A cell of CSV after RFC 4180; text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return ("true" if value else "false") if isinstance(value, bool) else str(value)
    if value and value[0] in _FORMULA:
        value = "'" + value
    if any(char in value for char in ',"\r\n'):
        value = '"' + value.replace('"', '""') + '"'
    return value


def row(cells) -> str:
    """A line of CSV."""
    return ",".join([cell(value) for value in cells]) + "\r\n"


def listed(items):
    """Yield the JSON texts `items` as the members of an array, one a line."""
    first = True
    for item in items:
        yield ("\n" if first else ",\n") + item
        first = False
