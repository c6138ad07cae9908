"""Takes OCPP-J frames apart before and after the parser, so that nothing a peer sends can hurt; it sends nothing."""

import json

from micropython import const

# Arrays and objects of one frame. The longest in use, a local list of 16 KB, has two an entry of 55 bytes.
_CONTAINERS = const(640)
# A number of this many digits is refused: parsing takes the square of its length, 16,000 digits half a second
# on a chip. Looked for in aligned pieces, so up to twice as many pass.
_DIGITS = const(128)
# UTF-16 halves (Unicode 15, 3.9, table 3-5).
_HIGH = const(0xD800)
_LOW = const(0xDC00)
_END = const(0xE000)
_REPLACEMENT = "\ufffd"
# An id that is longer is not looked for in a broken frame, nor sent back.
ID_ECHOED = const(64)


def parse(text: str):
    """The value of a frame; ValueError, saying why, when it is no JSON or would take too much heap or time.

    What MicroPython's parser accepts beyond JSON, such as a comma too many, is accepted. Of equal keys the last counts.
    """
    if text.count("[") + text.count("{") > _CONTAINERS:
        raise ValueError("more than %d arrays and objects" % _CONTAINERS)
    for start in range(0, len(text) - _DIGITS + 1, _DIGITS):
        if text[start : start + _DIGITS].isdigit():
            raise ValueError("a number of more than %d digits" % _DIGITS)
    try:
        return json.loads(_join_surrogates(text) if "\\u" in text else text)
    except MemoryError:
        raise ValueError("too much for memory")
    except ValueError:
        raise ValueError("not JSON")


def _join_surrogates(text: str) -> str:
    r"""`text` with pairs such as \ud83d\ude00 as the character they stand for, and single halves replaced.

    MicroPython makes two characters of a pair, which no encoder can send as UTF-8.
    """
    pieces = []
    done = place = 0
    while True:
        place = text.find("\\", place)
        if place < 0:
            pieces.append(text[done:])
            return "".join(pieces)
        code = _unit(text, place)
        if not _HIGH <= code < _END:
            place += 2
            continue
        low = _unit(text, place + 6)
        pieces.append(text[done:place])
        if code < _LOW and _LOW <= low < _END:
            pieces.append(chr(0x10000 + ((code - _HIGH) << 10) + low - _LOW))
            place += 12
        else:
            pieces.append(_REPLACEMENT)
            place += 6
        done = place


def _unit(text: str, place: int) -> int:
    r"""The number of a \uXXXX at `place`, -1 when there is none."""
    if text[place : place + 2] != "\\u":
        return -1
    try:
        return int(text[place + 2 : place + 6], 16)
    except ValueError:
        return -1


def call_id(text: str):
    """The id of a CALL whose frame is cut short or broken behind it, None when there is none to be found."""
    compact = "".join(text[: 2 * ID_ECHOED].split())
    if not compact.startswith('[2,"'):
        return None
    end = compact.find('"', 4)
    name = compact[4:end]
    return name if 0 < end - 4 <= ID_ECHOED and "\\" not in name else None
