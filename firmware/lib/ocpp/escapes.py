"""Characters beyond U+FFFF and other escapes in JSON, which MicroPython takes for something else; loaded for them."""

from micropython import const

# UTF-16 halves (Unicode 15, 3.9, table 3-5).
_HIGH = const(0xD800)
_LOW = const(0xDC00)
_END = const(0xE000)
_REPLACEMENT = "\ufffd".encode()
_BACKSLASH = const(0x5C)
_HEX = b"0123456789abcdefABCDEF"


def checked(data, surrogates: int):
    r"""JSON with \u in it, with characters for the `surrogates` that may be in it; ValueError when it is none."""
    if _has_false_escape(data):
        raise ValueError
    return _join_surrogates(bytes(data)) if surrogates else data


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


def mended(text: str) -> bytes:
    """`text` as UTF-8, pairs of surrogates in it as the character that they stand for, and single ones as U+FFFD."""
    mended = []
    high = 0
    for char in text:
        code = ord(char)
        if high:
            pair = 0xDC00 <= code <= 0xDFFF
            mended.append(chr(0x10000 + (high - 0xD800) * 0x400 + code - 0xDC00) if pair else "\ufffd")
            high = 0
            if pair:
                continue
        if 0xD800 <= code <= 0xDBFF:
            high = code
        else:
            mended.append("\ufffd" if 0xDC00 <= code <= 0xDFFF else char)
    return ("".join(mended) + ("\ufffd" if high else "")).encode()
