"""The passwords of owner and expert (R24), kept as salted PBKDF2-HMAC-SHA256; none is ever logged or sent."""

import asyncio
from binascii import hexlify, unhexlify
from hashlib import sha256

from micropython import const

import hal.system
from wallbox.installer.mac import BLOCK_BYTES, IPAD, OPAD, pad
from wallbox.storage.store import Store

_VERSION = const(1)
ROLES = ("owner", "expert")
# Of the manual; an owner's password that was never set is empty.
FACTORY = {"owner": "", "expert": "1916"}
SHORTEST = const(4)
LONGEST = const(32)
_SALT_BYTES = const(16)  # NIST SP 800-132, 5.1: at least 128 bits
# NIST SP 800-63B, 5.1.1.2: at least 10,000.
_ITERATIONS = const(10_000)
# Of what a damaged store may ask for.
_MOST_ITERATIONS = const(1_000_000)
# Done without letting other tasks run: below 1 ms on the host.
_SLICE = const(50)


async def pbkdf2(password: bytes, salt: bytes, iterations: int, block: int = 1) -> bytes:
    """32 bytes, block number `block`, of PBKDF2-HMAC-SHA256 (RFC 8018, 5.2), in slices that let other tasks run."""
    if len(password) > BLOCK_BYTES:
        password = sha256(password).digest()
    inner, outer = pad(password, IPAD), pad(password, OPAD)
    last = salt + block.to_bytes(4, "big")
    total = 0
    for turn in range(iterations):
        if turn % _SLICE == 0:
            await asyncio.sleep_ms(0)
        digest = sha256(inner)
        digest.update(last)
        last = sha256(outer + digest.digest()).digest()
        total ^= int.from_bytes(last, "big")
    return total.to_bytes(32, "big")


def same(one: bytes, other: bytes) -> bool:
    """Whether two values are equal, in a time that does not tell where they differ."""
    differ = len(one) ^ len(other)
    for i in range(min(len(one), len(other))):
        differ |= one[i] ^ other[i]
    return not differ


class Passwords:
    """Read from `folder` at its making; a lost or damaged entry is the factory's again, as the log then tells."""

    def __init__(self, folder: str, log):
        self._store = Store(folder, "passwords", _VERSION, log)
        found = self._store.load()
        self._entries = {}
        for role in ROLES:
            entry = found.get(role) if isinstance(found, dict) else None
            if _is_entry(entry):
                self._entries[role] = entry
            elif entry is not None:
                log.add("error", "installer", "password_lost", "the password of the %s is the factory's again" % role)

    def is_set(self, role: str) -> bool:
        """Whether the password is another than the factory's."""
        return role in self._entries

    async def check(self, role: str, password: str) -> bool:
        """Whether `password` is that of `role`; takes its time."""
        entry = self._entries.get(role)
        if entry is None:
            return same(password.encode(), FACTORY[role].encode())
        iterations, salt, wanted = entry
        found = await pbkdf2(password.encode(), unhexlify(salt), iterations)
        return same(found, unhexlify(wanted))

    async def change(self, role: str, password: str) -> None:
        """Set a password of SHORTEST to LONGEST characters; OSError when flash refuses, and the former one stays."""
        salt = hal.system.random_bytes(_SALT_BYTES)
        digest = await pbkdf2(password.encode(), salt, _ITERATIONS)
        entries = dict(self._entries)
        entries[role] = [_ITERATIONS, str(hexlify(salt), "ascii"), str(hexlify(digest), "ascii")]
        self._store.save(entries)
        self._entries = entries


def _is_entry(entry) -> bool:
    if not isinstance(entry, list) or len(entry) != 3 or type(entry[0]) is not int:
        return False
    if not 0 < entry[0] <= _MOST_ITERATIONS:
        return False
    try:
        return len(unhexlify(entry[1])) > 0 and len(unhexlify(entry[2])) == 32
    except (TypeError, ValueError):
        return False
