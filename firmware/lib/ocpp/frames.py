"""Takes OCPP-J frames apart before and after the parser, so that nothing a peer sends can hurt; it sends nothing."""

import json

from micropython import const

# Arrays and objects of one frame. The longest in use, a local list of 16 KB, has two an entry of 55 bytes.
_CONTAINERS = const(640)
# A number of this many digits is refused: parsing takes the square of its length, 16,000 digits half a second
# on a chip. Looked for in aligned pieces, so up to twice as many pass.
_DIGITS = const(128)
_ZERO = const(0x30)
_NINE = const(0x39)
# UTF-16 halves (Unicode 15, 3.9, table 3-5).
_HIGH = const(0xD800)
_LOW = const(0xDC00)
_END = const(0xE000)
_REPLACEMENT = "\ufffd".encode()
_BACKSLASH = const(0x5C)
# Halves of characters beyond the first 65,536, as in emoji: each takes 0.1 ms on a chip.
_SURROGATES = const(128)
# Characters as \uXXXX, which some peers write for all but ASCII: to look at one takes an estimated 40 us on a chip.
_ESCAPES = const(1024)
_HEX = b"0123456789abcdefABCDEF"
_CALL_HEAD = b'[2,"'
# An id that is longer is not looked for in a broken frame, nor sent back.
ID_ECHOED = const(64)


def parse(data):
    """The value of a frame; ValueError, saying why, when it is no JSON or would take too much heap or time.

    What MicroPython's parser accepts beyond JSON, such as a comma too many, is accepted. Of equal keys the last counts.
    Bytes or a bytearray, not str: to find a place in a str takes time for each character before it.
    """
    if data.count(b"[") + data.count(b"{") > _CONTAINERS:
        raise ValueError("more than %d arrays and objects" % _CONTAINERS)
    for start in range(0, len(data) - _DIGITS + 1, _DIGITS):
        # Mostly the first byte tells, and no piece needs to be copied.
        if _ZERO <= data[start] <= _NINE and data[start : start + _DIGITS].isdigit():
            raise ValueError("a number of more than %d digits" % _DIGITS)
    escapes = data.count(b"\\u")
    if escapes > _ESCAPES:
        raise ValueError("more than %d escaped characters" % _ESCAPES)
    if escapes and _has_false_escape(data):
        raise ValueError("not JSON")
    surrogates = data.count(b"\\ud") + data.count(b"\\uD")
    if surrogates > _SURROGATES:
        raise ValueError("more than %d surrogates" % _SURROGATES)
    try:
        return json.loads(_join_surrogates(bytes(data)) if surrogates else data)
    except MemoryError:
        raise ValueError("too much for memory")
    except ValueError:
        raise ValueError("not JSON")


def _has_false_escape(data) -> bool:
    r"""Whether some \u has not four hex digits: MicroPython makes anything of it, also halves of characters."""
    place = data.find(b"\\u")
    while place >= 0:
        digits = bytes(data[place + 2 : place + 6])
        if (len(digits) < 4 or digits.strip(_HEX)) and not _is_escaped(data, place):
            return True
        place = data.find(b"\\u", place + 2)
    return False


def _join_surrogates(data: bytes) -> bytes:
    r"""JSON with pairs such as \ud83d\ude00 as the character they stand for, and single halves replaced.

    MicroPython makes two characters of a pair, which no encoder can send as UTF-8.
    """
    lower = data.lower()
    pieces = []
    done = place = 0
    while True:
        place = lower.find(b"\\ud", place)
        if place < 0:
            pieces.append(data[done:])
            return b"".join(pieces)
        code = _unit(data, place)
        if code < _HIGH or _is_escaped(data, place):
            place += 2
            continue
        low = _unit(data, place + 6)
        pieces.append(data[done:place])
        place += 6
        if code < _LOW and _LOW <= low < _END:
            pieces.append(chr(0x10000 + ((code - _HIGH) << 10) + low - _LOW).encode())
            place += 6
        else:
            pieces.append(_REPLACEMENT)
        done = place


def _unit(data: bytes, place: int) -> int:
    r"""The number of a \uXXXX at `place`, -1 when there is none."""
    if data[place : place + 2] != b"\\u":
        return -1
    try:
        return int(data[place + 2 : place + 6], 16)
    except ValueError:
        return -1


def _is_escaped(data, place: int) -> bool:
    """Whether the backslash at `place` is the second of two."""
    first = place
    while first and data[first - 1] == _BACKSLASH:
        first -= 1
    return (place - first) % 2 == 1


def call_id(data):
    """The id of a CALL whose frame is cut short or broken behind it, None when there is none to be found."""
    compact = b"".join(bytes(data[: 2 * ID_ECHOED]).split())
    end = compact.find(b'"', len(_CALL_HEAD))
    if not compact.startswith(_CALL_HEAD) or end < 0:
        return None
    name = compact[len(_CALL_HEAD) : end].decode()
    return name if 0 < len(name) <= ID_ECHOED and "\\" not in name else None
