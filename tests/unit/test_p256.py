"""ECDSA on P-256: the vectors of RFC 6979, every way in which a signature can be wrong, no long turn of the loop."""

from binascii import unhexlify
from hashlib import sha256

from turns import longest_turn_ms

import asn1
import p256

# RFC 6979, A.2.5.
D = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
POINT = (
    0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6,
    0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299,
)
VECTORS = (
    (
        b"sample",
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    ),
    (
        b"test",
        0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367,
        0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083,
    ),
)
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
DIGEST = sha256(b"sample").digest()
R, S = VECTORS[0][1:]
LONGEST_TURN_MS = 5


def zeros(count):
    return bytes(count)


def ones(count):
    return b"\xff" * count


def refused(function, *arguments):
    try:
        function(*arguments)
    except ValueError as error:
        return str(error)
    raise AssertionError("%r accepted" % (arguments,))


async def test_the_vectors_of_rfc_6979_come_out_whatever_blinds_them():
    assert await p256.public(D) == POINT
    for message, r, s in VECTORS:
        digest = sha256(message).digest()
        for random in (zeros, ones):
            assert await p256.sign(D, digest, random) == (r, s), message
        assert await p256.verify(POINT, digest, r, s)
        assert not await p256.verify(POINT, sha256(message + b".").digest(), r, s)


async def test_small_and_largest_private_keys_have_the_right_points():
    # The base point itself, and its negative for N - 1.
    x, y = await p256.public(1)
    assert x == 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
    assert await p256.public(p256.N - 1) == (x, P - y)
    # Twice the base point, of NIST's list of point multiples (k = 2).
    assert (await p256.public(2))[0] == 0x7CF27B188D034F7E8A52380304B51AC3C08969E277F21B35A60B48FC47669978
    for d in range(1, 40):
        assert p256.is_point(*await p256.public(d)), d


async def test_private_keys_out_of_range_are_refused_without_being_told():
    for d in (0, p256.N, p256.N + 5):
        try:
            await p256.public(d)
            raise AssertionError("%d accepted" % d)
        except ValueError as error:
            assert str(d) not in str(error)


async def test_a_new_pair_takes_no_scalar_outside_the_range():
    draws = [zeros(32), ones(32), p256.N.to_bytes(32, "big"), (7).to_bytes(32, "big"), zeros(4)]
    d, point = await p256.generate(lambda count: draws.pop(0)[:count])
    assert d == 7 and point == await p256.public(7) and not draws
    digest = sha256(b"anything").digest()
    assert await p256.verify(point, digest, *await p256.sign(d, digest))


async def test_numbers_out_of_range_are_no_signature():
    n = p256.N
    for r in (0, 1, R, n, n + R, P, 2**256 - 1, -R):
        for s in (0, 1, S, n, n + S, 2**256 - 1, -S):
            if (r, s) != (R, S):
                assert not await p256.verify(POINT, DIGEST, r, s), (r, s)
    # The twin that every signature has is one too (SEC 1 does not ask for the lower s).
    assert await p256.verify(POINT, DIGEST, R, n - S)


async def test_a_sum_at_infinity_is_no_signature():
    # u1 G + u2 Q = 0 when the message is -r d.
    digest = (-R * D % p256.N).to_bytes(32, "big")
    for s in (1, 2, S):
        assert not await p256.verify(POINT, digest, R, s)


async def test_sums_of_equal_points_are_right():
    # The key is the base point (d = 1), so that both scalars meet in one table; u1 = u2 for digest = r.
    base = await p256.public(1)
    for nonce in (1, 2, 3, 5, 16, 31, 32, p256.N - 1):
        r = (await p256.public(nonce))[0] % p256.N
        inverse = pow(nonce, p256.N - 2, p256.N)
        for message in (0, 1, r, p256.N - 1):
            s = inverse * (message + r) % p256.N
            assert await p256.verify(base, message.to_bytes(32, "big"), r, s), (nonce, message)


async def test_an_r_that_was_reduced_is_found_again():
    # A point whose x is above N is rare (one in 2^32), so the key is made for the signature, as Wycheproof does it.
    x = p256.N + 1
    while True:
        square = (x * x * x - 3 * x + 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B) % P
        y = pow(square, (P + 1) // 4, P)
        if y * y % P == square:
            break
        x += 1
    # With digest 0 and s = r the sum is the key itself.
    r = x - p256.N
    assert await p256.verify((x, y), zeros(32), r, r)
    assert not await p256.verify((x, y), zeros(32), r + 1, r)


async def test_keys_off_the_curve_verify_nothing():
    x, y = POINT
    for point in ((x, y + 1), (x + 1, y), (0, 0), (x + P, y), (x, y - P), (x, 0), (P, P)):
        assert not await p256.verify(point, DIGEST, R, S), point


async def test_digests_of_another_length_are_refused():
    for digest in (b"", DIGEST[:31], DIGEST + b"\0"):
        for attempt in (p256.sign(D, digest), p256.verify(POINT, digest, R, S)):
            try:
                await attempt
                raise AssertionError("%d bytes accepted" % len(digest))
            except ValueError as error:
                assert "32" in str(error)


def test_points_are_read_uncompressed_and_only_on_the_curve():
    encoded = p256.encode_point(POINT)
    assert len(encoded) == 65 and p256.decode_point(encoded) == POINT
    x, y = encoded[1:33], encoded[33:]
    off = bytearray(encoded)
    off[64] ^= 1
    too_large = b"\4" + P.to_bytes(32, "big") + y
    for data in (
        b"",
        b"\0",
        encoded[:-1],
        encoded + b"\0",
        b"\2" + x,
        b"\6" + x + y,
        b"\4" + zeros(64),
        off,
        too_large,
    ):
        refused(p256.decode_point, data)


def test_signatures_are_read_as_der_and_nothing_else():
    der = p256.encode_signature(R, S)
    assert p256.decode_signature(der) == (R, S)
    assert p256.encode_signature(1, 0x80) == unhexlify("300702010102020080")
    body = der[2:]
    first = asn1.encode_integer(R)
    wrong = {
        "empty": b"",
        "cut": der[:-1],
        "a byte behind": der + b"\0",
        "a byte inside": b"\x30" + bytes([len(body) + 2]) + body + b"\5\0",
        "indefinite length": b"\x30\x80" + body + b"\0\0",
        "long length": b"\x30\x81" + bytes([len(body)]) + body,
        "length of 200 MB": b"\x30\x84\x0c\0\0\0" + body,
        "a set": b"\x31" + der[1:],
        "one number": asn1.encode(0x30, first),
        "three numbers": asn1.encode(0x30, first, first, first),
        "negative r": unhexlify("3006020181020101"),
        "r without digits": unhexlify("30050200020101"),
        "zeros before r": unhexlify("300702020001020101"),
        "an octet string": unhexlify("3006040101020101"),
        "raw r and s": R.to_bytes(32, "big") + S.to_bytes(32, "big"),
    }
    for name in wrong:
        assert refused(p256.decode_signature, wrong[name]), name


def test_lengths_and_numbers_of_der_are_read_as_written():
    for length in (0, 1, 127, 128, 255, 256, 65535, 65536):
        data = asn1.encode(asn1.OCTET_STRING, bytes(length))
        start, stop = asn1.only(data, asn1.OCTET_STRING)
        assert stop - start == length and stop == len(data)
    for number in (0, 1, 127, 128, 255, 256, 32767, 32768, 2**64, R):
        data = asn1.encode_integer(number)
        assert asn1.integer(data, *asn1.only(data)) == number
    assert "tag of several bytes" in refused(asn1.element, b"\x1f\x85\0\0", 0, 4)
    assert "whole bytes" in refused(asn1.bits, b"\3\2\4\x10", 2, 4)


async def test_no_turn_of_the_loop_takes_long():
    # Always the same bytes, so that each run has the same turns.
    for make in (
        lambda: p256.generate(lambda count: b"\x55" * count),
        lambda: p256.sign(D, DIGEST, zeros),
        lambda: p256.verify(POINT, DIGEST, R, S),
    ):
        longest = await longest_turn_ms(make)
        assert longest < LONGEST_TURN_MS, longest
