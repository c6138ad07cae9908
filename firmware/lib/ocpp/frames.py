"""Takes OCPP-J frames apart before and after the parser, so that nothing a peer sends can hurt; it sends nothing."""

import json

from micropython import const

from ocpp.rare import borrow

# Arrays and objects of one frame. The longest in use, a local list of 16 KB, has two an entry of 55 bytes.
_CONTAINERS = const(640)
# A number of this many digits is refused: parsing takes the square of its length, 16,000 digits half a second
# on a chip. Looked for in aligned pieces, so up to twice as many pass.
_DIGITS = const(128)
_ZERO = const(0x30)
_NINE = const(0x39)
# Halves of characters beyond the first 65,536, as in emoji: each takes 0.1 ms on a chip.
_SURROGATES = const(128)
# Characters as \uXXXX, which some peers write for all but ASCII: to look at one takes an estimated 40 us on a chip.
_ESCAPES = const(1024)


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
    surrogates = data.count(b"\\ud") + data.count(b"\\uD")
    if surrogates > _SURROGATES:
        raise ValueError("more than %d surrogates" % _SURROGATES)
    try:
        if escapes:
            data = borrow("escapes").checked(data, surrogates)
        return json.loads(data)
    except MemoryError:
        raise ValueError("too much for memory")
    except ValueError:
        raise ValueError("not JSON")
