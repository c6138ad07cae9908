"""Reads and writes DER (X.690): strict, by offsets into one buffer, so that nothing is copied but what is asked for."""

from micropython import const

INTEGER = const(0x02)
BIT_STRING = const(0x03)
OCTET_STRING = const(0x04)
NULL = const(0x05)
OID = const(0x06)
UTF8 = const(0x0C)
SEQUENCE = const(0x30)
SET = const(0x31)

# Longer contents than 16 MB have no place on a chip, and 3 bytes of length are all that X.509 needs.
_LENGTH_BYTES = const(3)


def element(data, at: int, end: int, tag=None) -> tuple:
    """(tag, start, stop) of the element at `at`, whose contents are data[start:stop]; it must end by `end`.

    ValueError when it is not DER or, with `tag` given, is of another type.
    """
    if end > len(data) or at + 2 > end:
        raise ValueError("DER: ends in the middle of an element, at byte %d" % at)
    found = data[at]
    if found & 0x1F == 0x1F:
        raise ValueError("DER: tag of several bytes at byte %d" % at)
    if tag is not None and found != tag:
        raise ValueError("DER: tag %02x at byte %d; expected: %02x" % (found, at, tag))
    start = at + 2
    length = data[at + 1]
    if length > 0x7F:
        start, length = _long_length(data, start, end, length & 0x7F)
    if start + length > end:
        raise ValueError("DER: element at byte %d is longer than what holds it" % at)
    return found, start, start + length


def _long_length(data, at: int, end: int, count: int) -> tuple:
    if not 0 < count <= _LENGTH_BYTES or at + count > end:
        raise ValueError("DER: length of %d bytes at byte %d" % (count, at))
    length = int.from_bytes(data[at : at + count], "big")
    if length < 0x80 or not data[at]:
        raise ValueError("DER: length at byte %d is not the shortest" % at)
    return at + count, length


def only(data, tag=None) -> tuple:
    """(start, stop) of the one element that `data` is, without anything behind it."""
    _, start, stop = element(data, 0, len(data), tag)
    if stop != len(data):
        raise ValueError("DER: %d bytes too many" % (len(data) - stop))
    return start, stop


def elements(data, start: int, stop: int):
    """Yield (tag, start, stop) of each element between two offsets."""
    while start < stop:
        found = element(data, start, stop)
        yield found
        start = found[2]


def integer(data, start: int, stop: int) -> int:
    """The number of an INTEGER's contents; only 0 and above have a use here."""
    if start == stop or data[start] > 0x7F:
        raise ValueError("DER: empty or negative number at byte %d" % start)
    if stop - start > 1 and not data[start] and data[start + 1] < 0x80:
        raise ValueError("DER: number at byte %d is not the shortest" % start)
    return int.from_bytes(data[start:stop], "big")


def bits(data, start: int, stop: int) -> bytes:
    """The bytes of a BIT STRING's contents that has no unused bits."""
    if start == stop or data[start]:
        raise ValueError("DER: bit string at byte %d is not whole bytes" % start)
    return bytes(data[start + 1 : stop])


def encode(tag: int, *contents) -> bytes:
    """An element of the joined `contents`."""
    body = b"".join(contents)
    length = len(body)
    if length < 0x80:
        return bytes((tag, length)) + body
    count = 1 if length < 0x100 else 2 if length < 0x10000 else 3
    return bytes((tag, 0x80 | count)) + length.to_bytes(count, "big") + body


def encode_integer(number: int) -> bytes:
    """An INTEGER of 0 or above."""
    count = 1
    while number >> (8 * count - 1):
        count += 1
    return encode(INTEGER, number.to_bytes(count, "big"))


def encode_bits(data) -> bytes:
    """A BIT STRING of whole bytes."""
    return encode(BIT_STRING, b"\0", data)
