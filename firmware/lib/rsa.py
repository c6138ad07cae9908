"""Verifies RSA signatures with SHA-256 (RFC 8017), PKCS#1 v1.5 and PSS; it holds no private key and signs nothing."""

import asyncio
from hashlib import sha256

from micropython import const

# Shorter keys are broken in practice, longer ones would keep the loop for too long at a time.
_LEAST_BITS = const(2048)
_MOST_BITS = const(4096)
# 65537 is what everybody uses; 3 stands in some old roots.
_MOST_EXPONENT_BITS = const(32)
_HASH_BYTES = const(32)
_TRAILER = const(0xBC)
# DigestInfo of SHA-256 up to the digest (RFC 8017, 9.2, note 1).
_DIGEST_INFO = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"


def bits(number: int) -> int:
    """How many binary digits a number has."""
    count = 0
    while number >> count + 64:
        count += 64
    number >>= count
    while number:
        number >>= 1
        count += 1
    return count


def check_key(modulus: int, exponent: int) -> None:
    """ValueError unless the key is of 2048 to 4096 bits and its exponent odd, 3 to 2^32."""
    size = bits(modulus)
    if not _LEAST_BITS <= size <= _MOST_BITS or not modulus & 1:
        raise ValueError("RSA key: %d bits; allowed: %d to %d, odd" % (size, _LEAST_BITS, _MOST_BITS))
    if exponent < 3 or not exponent & 1 or exponent >> _MOST_EXPONENT_BITS:
        raise ValueError("RSA key: exponent %d; allowed: odd, 3 to 2^32" % exponent)


async def _encoded(modulus: int, exponent: int, signature) -> bytes:
    """What the signer encoded, as bytes of the modulus' length; b"" when the signature is out of range."""
    check_key(modulus, exponent)
    size = (bits(modulus) + 7) // 8
    number = int.from_bytes(signature, "big")
    if len(signature) != size or number >= modulus:
        return b""
    power = number
    for i in range(bits(exponent) - 2, -1, -1):
        power = power * power % modulus
        if exponent >> i & 1:
            power = power * number % modulus
        await asyncio.sleep_ms(0)
    return power.to_bytes(size, "big")


async def verify_pkcs1(modulus: int, exponent: int, digest, signature) -> bool:
    """Whether `signature` is one of PKCS#1 v1.5 over a SHA-256 digest; ValueError for a key out of range.

    The whole encoding is made and compared, so that no byte of it can be anything else.
    """
    encoded = await _encoded(modulus, exponent, signature)
    padding = len(encoded) - 3 - len(_DIGEST_INFO) - len(digest)
    expected = b"\0\1" + b"\xff" * padding + b"\0" + _DIGEST_INFO + bytes(digest)
    return len(digest) == _HASH_BYTES and encoded == expected


def _mask(seed, count: int) -> bytes:
    """MGF1 with SHA-256 (RFC 8017, B.2.1)."""
    mask = b""
    counter = 0
    while len(mask) < count:
        hashed = sha256(seed)
        hashed.update(counter.to_bytes(4, "big"))
        mask += hashed.digest()
        counter += 1
    return mask[:count]


async def verify_pss(modulus: int, exponent: int, digest, signature, salt_bytes=None) -> bool:
    """Whether `signature` is one of PSS with SHA-256, MGF1 and a salt of `salt_bytes` (None: any length).

    RFC 8017, 9.1.2. ValueError for a key out of range.
    """
    encoded = await _encoded(modulus, exponent, signature)
    spare = 8 * len(encoded) - bits(modulus) + 1
    if spare == 8:
        # The encoding has one bit less than the modulus, here one byte less.
        if encoded[:1] != b"\0":
            return False
        encoded = encoded[1:]
        spare = 0
    length = len(encoded) - _HASH_BYTES - 1
    if len(digest) != _HASH_BYTES or length < 1 or encoded[-1] != _TRAILER or encoded[0] >> (8 - spare):
        return False
    hashed = encoded[length:-1]
    mask = _mask(hashed, length)
    block = bytearray(a ^ b for a, b in zip(encoded, mask))
    block[0] &= 0xFF >> spare
    start = _salt_start(block)
    if not start or salt_bytes not in (None, length - start):
        return False
    return sha256(bytes(8) + bytes(digest) + block[start:]).digest() == hashed


def _salt_start(block) -> int:
    """Where the salt begins behind zeros and a 1; 0 when there is no such mark."""
    for i in range(len(block)):
        if block[i]:
            return i + 1 if block[i] == 1 else 0
    return 0
