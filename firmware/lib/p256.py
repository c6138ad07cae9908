"""ECDSA on the curve P-256 with SHA-256 in big integers; every function that takes long lets other tasks run.

Sources: SEC 1 (points, ECDSA), FIPS 186-5 (curve, domain), RFC 6979 (nonces). Big integers take a time that depends
on their values. What is secret is therefore blinded, so that times tell nothing that two signatures have in common:
a scalar gets a random multiple of the group's order added, an inverse is taken of a random multiple of the number.
"""

import asyncio
import os
from hashlib import sha256

from micropython import const

import asn1

_P = (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_BYTES = const(32)
_POINT_BYTES = const(65)
_UNCOMPRESSED = const(4)

# A scalar is cut into odd digits of -15..15, four bits each: one addition every four doublings, from a table of eight.
_WINDOW_BITS = const(4)
_HALF = const(16)
_TABLE = const(8)
# Digits of a scalar below 2 N, and of one blinded with a factor of 32 bits.
_DIGITS = const(65)
_BLIND_DIGITS = const(73)
_BLIND_BYTES = const(4)
# Steps of Euclid's algorithm in a row; there are about 150 in all.
_INVERSE_STEPS = const(16)


async def _inverse(number: int, modulus: int) -> int:
    """The inverse by Euclid's extended algorithm; `number` must be coprime to `modulus`."""
    high, low = modulus, number % modulus
    before, factor = 0, 1
    steps = 0
    while low:
        quotient, rest = divmod(high, low)
        high, low = low, rest
        before, factor = factor, before - quotient * factor
        steps += 1
        if steps % _INVERSE_STEPS == 0:
            await asyncio.sleep_ms(0)
    return before % modulus


def _double(point: tuple) -> tuple:
    """Twice a point in Jacobian coordinates (a = -3, formula dbl-2001-b); z = 0 is the point at infinity."""
    x, y, z = point
    delta = z * z % _P
    gamma = y * y % _P
    beta = x * gamma % _P
    alpha = 3 * (x - delta) * (x + delta) % _P
    x3 = (alpha * alpha - 8 * beta) % _P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % _P, 2 * y * z % _P


def _add(point: tuple, x2: int, y2: int) -> tuple:
    """The sum of a point in Jacobian and one in affine coordinates, for any two points."""
    x, y, z = point
    if not z:
        return x2, y2, 1
    square = z * z % _P
    h = (x2 * square - x) % _P
    r = (y2 * square * z - y) % _P
    if not h:
        return (1, 1, 0) if r else _double(point)
    hh = h * h % _P
    hhh = h * hh % _P
    v = x * hh % _P
    x3 = (r * r - hhh - 2 * v) % _P
    return x3, (r * (v - x3) - y * hhh) % _P, z * h % _P


async def _affine(points: list) -> list:
    """The affine coordinates of Jacobian points, none of them infinity, with one inversion for all."""
    products = [1]
    for point in points:
        products.append(products[-1] * point[2] % _P)
    inverse = await _inverse(products[-1], _P)
    for i in range(len(points) - 1, -1, -1):
        x, y, z = points[i]
        one = inverse * products[i] % _P
        inverse = inverse * z % _P
        square = one * one % _P
        points[i] = x * square % _P, y * square * one % _P
    return points


async def _odd_multiples(point: tuple) -> list:
    """1, 3, 5 .. 15 times an affine point."""
    twice = (await _affine([_double((point[0], point[1], 1))]))[0]
    multiples = [(point[0], point[1], 1)]
    while len(multiples) < _TABLE:
        multiples.append(_add(multiples[-1], *twice))
    await asyncio.sleep_ms(0)
    return await _affine(multiples)


def _digits(scalar: int, count: int) -> bytearray:
    """`count` odd digits of an odd scalar, each with 16 added, the lowest first."""
    digits = bytearray(count)
    for i in range(count - 1):
        digits[i] = scalar & 2 * _HALF - 1
        scalar = (scalar - digits[i] + _HALF) >> _WINDOW_BITS
    digits[count - 1] = scalar + _HALF
    return digits


async def _multiply(terms, count: int) -> tuple:
    """The sum of scalar * point over `terms`, in Jacobian coordinates; the scalars are odd and have `count` digits."""
    tables = []
    for scalar, point in terms:
        tables.append((_digits(scalar, count), await _odd_multiples(point)))
    total = (1, 1, 0)
    for i in range(count - 1, -1, -1):
        for _ in range(_WINDOW_BITS):
            total = _double(total)
        for digits, multiples in tables:
            digit = digits[i] - _HALF
            x, y = multiples[abs(digit) >> 1]
            total = _add(total, x, y if digit > 0 else _P - y)
        await asyncio.sleep_ms(0)
    return total


async def _multiply_base(scalar: int, random) -> tuple:
    """`scalar` (1..N - 1, secret) times the base point, affine."""
    blind = int.from_bytes(random(_BLIND_BYTES), "big") >> 1 << 1 | 1 - (scalar & 1)
    return (await _affine([await _multiply(((scalar + N * blind, _G),), _BLIND_DIGITS)]))[0]


def is_point(x: int, y: int) -> bool:
    """Whether (x, y) is a point of the curve; infinity has no coordinates and is none."""
    return 0 <= x < _P and 0 <= y < _P and (y * y - (x * x - 3) * x - _B) % _P == 0


def decode_point(data) -> tuple:
    """(x, y) of an uncompressed point of 65 bytes (SEC 1, 2.3.4); ValueError for anything else."""
    if len(data) != _POINT_BYTES or data[0] != _UNCOMPRESSED:
        raise ValueError("point: %d bytes; allowed: 65, uncompressed" % len(data))
    x = int.from_bytes(data[1 : 1 + _BYTES], "big")
    y = int.from_bytes(data[1 + _BYTES :], "big")
    if not is_point(x, y):
        raise ValueError("point: not on the curve P-256")
    return x, y


def encode_point(point: tuple) -> bytes:
    """A point as 65 bytes, uncompressed."""
    return bytes((_UNCOMPRESSED,)) + point[0].to_bytes(_BYTES, "big") + point[1].to_bytes(_BYTES, "big")


def decode_signature(data) -> tuple:
    """(r, s) of a signature in DER (RFC 3279, 2.2.3); ValueError when it is anything else, also BER."""
    start, stop = asn1.only(data, asn1.SEQUENCE)
    _, first, end = asn1.element(data, start, stop, asn1.INTEGER)
    _, second, last = asn1.element(data, end, stop, asn1.INTEGER)
    if last != stop:
        raise ValueError("signature: more than two numbers")
    return asn1.integer(data, first, end), asn1.integer(data, second, last)


def encode_signature(r: int, s: int) -> bytes:
    """A signature in DER."""
    return asn1.encode(asn1.SEQUENCE, asn1.encode_integer(r), asn1.encode_integer(s))


async def generate(random=os.urandom) -> tuple:
    """A new key pair (d, (x, y)); `random(count)` must give bytes that nobody can foresee."""
    while True:
        d = int.from_bytes(random(_BYTES), "big")
        if 0 < d < N:
            return d, await public(d, random)


async def public(d: int, random=os.urandom) -> tuple:
    """The public point of the private key d, ValueError when that is not 1..N - 1."""
    if not 0 < d < N:
        raise ValueError("private key: out of range; allowed: 1..N - 1")
    return await _multiply_base(d, random)


def _hmac(key: bytes, *message) -> bytes:
    """HMAC-SHA256 (RFC 2104) with a key of up to 64 bytes."""
    key = key + bytes(64 - len(key))
    inner = sha256(bytes(byte ^ 0x36 for byte in key))
    for part in message:
        inner.update(part)
    outer = sha256(bytes(byte ^ 0x5C for byte in key))
    outer.update(inner.digest())
    return outer.digest()


def _nonces(d: int, digest):
    """Yield the nonces of RFC 6979, 3.2, for a digest of 32 bytes."""
    secret = d.to_bytes(_BYTES, "big") + (int.from_bytes(digest, "big") % N).to_bytes(_BYTES, "big")
    value = b"\1" * _BYTES
    key = bytes(_BYTES)
    for mark in (b"\0", b"\1"):
        key = _hmac(key, value, mark, secret)
        value = _hmac(key, value)
    while True:
        value = _hmac(key, value)
        nonce = int.from_bytes(value, "big")
        if 0 < nonce < N:
            yield nonce
        key = _hmac(key, value, b"\0")
        value = _hmac(key, value)


def _number(digest) -> int:
    if len(digest) != _BYTES:
        raise ValueError("digest: %d bytes; allowed: 32 (SHA-256)" % len(digest))
    return int.from_bytes(digest, "big")


def _odd(scalar: int) -> int:
    """An odd number that is the same multiple of a point."""
    return scalar if scalar & 1 else scalar + N


async def sign(d: int, digest, random=os.urandom) -> tuple:
    """(r, s) over a SHA-256 digest with the private key d (SEC 1, 4.1.3); `random` only blinds."""
    message = _number(digest)
    nonces = _nonces(d, digest)
    while True:
        nonce = next(nonces)
        r = (await _multiply_base(nonce, random))[0] % N
        blind = int.from_bytes(random(_BYTES), "big") % N or 1
        inverse = await _inverse(nonce * blind, N)
        # Blinded as a whole: neither the nonce nor d * r is ever divided or reduced in the clear.
        s = (message * blind + d * blind % N * r) * inverse % N
        if r and s:
            return r, s


async def verify(point: tuple, digest, r: int, s: int) -> bool:
    """Whether (r, s) is the signature of a SHA-256 digest by the owner of a public point (SEC 1, 4.1.4)."""
    message = _number(digest)
    if not (0 < r < N and 0 < s < N and is_point(*point)):
        return False
    inverse = await _inverse(s, N)
    terms = ((_odd(message * inverse % N), _G), (_odd(r * inverse % N), point))
    x, _, z = await _multiply(terms, _DIGITS)
    if not z:
        return False
    square = z * z % _P
    return (x - r * square) % _P == 0 or (r + N < _P and (x - (r + N) * square) % _P == 0)
