"""Says whether a container may be installed on this box; every fault is refused with its reason."""

from micropython import const

import p256
from loader.header import Refused, mpy

# Half of the group's order. Of r, s and r, n - s, which are both right, only the one with the smaller s is taken: a
# container then has one form, and nobody can make a second one of it that is as good.
_HALF = p256.N >> 1
_BYTES = const(32)


async def check(header, slots, counter: int, keys) -> None:
    """Refused unless the firmware of `header` is for this board, fits, is none older than `counter`, and is signed.

    `keys` are the public keys that count: number -> (x, y).
    """
    if header.board != slots.BOARD:
        raise Refused("board", "the firmware is for the board %s; this is %s" % (header.board, slots.BOARD))
    if header.mpy != mpy():
        raise Refused("mpy", "the firmware is compiled for mpy %s; this wallbox takes %s" % (header.mpy, mpy()))
    room = slots.SLOT_BYTES - slots.SECTOR
    if header.size > room:
        raise Refused("size", "the firmware has %d bytes; a slot has room for %d" % (header.size, room))
    if header.counter < counter:
        text = "the firmware is older (counter %d) than what this wallbox has had (counter %d)"
        raise Refused("counter", text % (header.counter, counter))
    if header.key not in keys:
        raise Refused("key", "the firmware is signed with key %d, which this wallbox does not take" % header.key)
    if not await signed(header.digest, header.signature, keys[header.key]):
        raise Refused("signature", "the firmware's signature is wrong")


async def signed(digest: bytes, signature: bytes, point: tuple) -> bool:
    """Whether `signature`, r and s of 32 bytes each, is that of the owner of `point` over a digest."""
    if len(signature) != 2 * _BYTES:
        return False
    r = int.from_bytes(signature[:_BYTES], "big")
    s = int.from_bytes(signature[_BYTES:], "big")
    return s <= _HALF and await p256.verify(point, digest, r, s)
