"""Containers: every fault is refused with its reason, and no signature but the one right one is taken."""

import json
from hashlib import sha256

from turns import longest_turn_ms
from update_help import KEYS, POINT, container, content, head, manifest, run, signature, unsigned

import p256
from hal import slots
from loader.header import Refused, parse
from wallbox.update.container import check, signed
from wallbox.update.keys import KEYS as BUILT_IN

ROMFS = content(1_000, 3)
LONGEST_TURN_MS = 5


def refusal(data, counter=0, keys=KEYS):
    """The code with which a container is refused, None when it is taken."""
    try:
        run(check(parse(data[: slots.SECTOR]), slots, counter, keys))
    except Refused as error:
        assert str(error), "a reason without words"
        return error.code
    return None


def test_a_container_that_is_right_is_taken_and_says_what_it_is():
    data = container(ROMFS, counter=4)
    found = parse(data[: slots.SECTOR])
    assert (found.board, found.version, found.counter) == ("simulator", "1.0.0", 4)
    assert (found.size, found.key, found.mpy) == (1_000, 7, "6.3")
    for counter in (0, 3, 4):
        assert refusal(data, counter) is None


def test_each_fault_has_its_reason():
    good = container(ROMFS)
    room = slots.SLOT_BYTES - slots.SECTOR
    for data, code in (
        (b"", "truncated"),
        (good[:4_095], "truncated"),
        (b"WBX2" + good[4:], "magic"),
        (b"\x7fELF" + bytes(4_092), "magic"),
        (b"\xff" * 4_096, "magic"),
        (container(ROMFS, board="wallbox-s3-1"), "board"),
        (container(ROMFS, mpy="6.2"), "mpy"),
        (container(ROMFS, mpy="5.3"), "mpy"),
        (container(ROMFS, size=room + 1), "size"),
        (head(manifest(ROMFS), 8), "key"),
        (head(manifest(ROMFS), 8, unsigned), "key"),
        (container(ROMFS, unsigned), "signature"),
        (container(ROMFS, lambda digest: signature(digest[1:] + b"x")), "signature"),
    ):
        assert refusal(data) == code, (code, refusal(data))
    assert refusal(good, 2) == "counter"
    assert refusal(container(ROMFS, size=room)) is None


def test_a_manifest_that_is_not_whole_is_damaged():
    described = manifest(ROMFS)
    for name in described:
        less = {key: value for key, value in described.items() if key != name}
        assert refusal(head(less)) == "damaged", name
    for changes in (
        {"size": 0},
        {"size": -1},
        {"size": 1.5},
        {"size": "5"},
        {"size": True},
        {"size": 1 << 25},
        {"counter": -1},
        {"counter": 1 << 32},
        {"counter": None},
        {"sha256": "0" * 63},
        {"sha256": "G" * 64},
        {"sha256": 5},
        {"board": ""},
        {"board": 5},
        {"version": "x" * 41},
        {"version": "1\n2"},
        {"built": None},
        {"mpy": []},
    ):
        assert refusal(head(manifest(ROMFS, **changes))) == "damaged", changes
    for text in (b"{", b"[]", b"5", b'"x"', b"null", b"\x00\x01\x02"):
        assert refusal(head(text)) == "damaged", text
    good = container(ROMFS)
    for length in (0, 4_026, 0xFFFF):
        assert refusal(good[:4] + length.to_bytes(2, "big") + good[6:]) == "damaged", length


def test_no_byte_of_the_header_may_be_another():
    good = container(ROMFS)
    end = 6 + len(json.dumps(manifest(ROMFS))) + 1 + 64
    codes = set()
    for at in list(range(end)) + [end, 4_095]:
        spoilt = bytearray(good)
        spoilt[at] ^= 0x01
        codes.add(refusal(bytes(spoilt)))
    assert None not in codes, codes
    assert {"magic", "damaged", "signature", "board", "mpy", "key"} <= codes, codes


def test_a_wallbox_with_other_keys_refuses_what_is_signed_with_the_development_key():
    other = run(p256.public(5))
    data = container(ROMFS)
    assert refusal(data, keys={7: other}) == "signature"
    assert refusal(data, keys={1: POINT}) == "key"
    assert refusal(data, keys={}) == "key"
    assert refusal(data, keys={1: other, 7: POINT}) is None


def test_the_keys_that_are_compiled_in_are_points_of_the_curve():
    assert BUILT_IN
    for number, point in BUILT_IN.items():
        assert 0 <= number <= 255 and p256.is_point(*point)


# -- signatures: the edges of r and s, points, lengths -----------------------------------------------------------

DIGEST = sha256(b"a firmware").digest()
N, P = p256.N, 2**256 - 2**224 + 2**192 + 2**96 - 1


def half(number):
    return number.to_bytes(32, "big")


def pair(r, s):
    return half(r) + half(s)


def right():
    data = signature(DIGEST)
    return int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")


def taken(data, point=POINT, digest=DIGEST):
    return run(signed(digest, data, point))


def test_the_right_signature_is_taken_and_its_twin_is_not():
    r, s = right()
    assert taken(pair(r, s))
    # (r, n - s) is a right signature too, of which ECDSA itself knows no difference.
    assert run(p256.verify(POINT, DIGEST, r, N - s)) and not taken(pair(r, N - s))
    assert s <= N // 2 < N - s


def test_numbers_at_the_edges_are_no_signature():
    r, s = right()
    for edge in (0, 1, 2, N // 2, N // 2 + 1, N - 1, N, N + 1, P - 1, P, 2**256 - 1, 2**255):
        assert not taken(pair(edge, s)), edge
        assert not taken(pair(r, edge)), edge
        assert not taken(pair(edge, edge)), edge
    # The same numbers modulo n, which is what a verifier without the check of ranges would see.
    for other in (r + N, s + N):
        if other < 2**256:
            assert not taken(pair(other, s)) and not taken(pair(r, other))
    assert not taken(pair(s, r)) and not taken(pair(r, s ^ 1)) and not taken(pair(r ^ 1, s))
    assert not taken(pair(N - r, s))


def test_other_lengths_are_no_signature():
    data = pair(*right())
    for wrong in (
        b"",
        data[:-1],
        data + b"\0",
        data[1:],
        b"\0" + data,
        data[:32],
        data + data,
        bytes(64),
        b"\xff" * 64,
    ):
        assert not taken(wrong), len(wrong)
    # What other formats put there: DER, and both numbers the other way round in their bytes.
    assert not taken(p256.encode_signature(*right()))
    swapped = bytes(reversed(data[:32])) + bytes(reversed(data[32:]))
    assert not taken(swapped)


def test_points_that_are_none_verify_nothing():
    x, y = POINT
    r, s = right()
    for point in (
        (0, 0),
        (x, y ^ 1),
        (x, 0),
        (0, y),
        (x, P - y),
        (x + P, y),
        (x, y + P),
        (P, P),
        (-x, y),
        (y, x),
        # On the curve y^2 = x^3 - 3 x + b for another b, as an attack with an invalid curve would choose it.
        (1, 1),
        (2, 2),
    ):
        assert not taken(pair(r, s), point), point


def test_another_digest_is_not_signed_whatever_bit_differs():
    data = pair(*right())
    for at in range(0, 256, 17):
        other = bytearray(DIGEST)
        other[at // 8] ^= 1 << at % 8
        assert not taken(data, digest=bytes(other)), at


def test_special_digests_are_signed_and_verified():
    # Digests of zeros, of ones (above n), of n itself and its neighbours, and of one bit.
    for number in (0, 1, 2, N - 1, N, N + 1, 2**256 - 1, 2**255, 2**128):
        digest = half(number)
        data = signature(digest)
        assert taken(data, digest=digest), number
        assert not taken(data, digest=half(number ^ 4)), number
        # Reduced modulo n it is the same message to ECDSA.
        if number + N < 2**256:
            assert taken(data, digest=half(number + N))


def test_a_nonce_of_one_and_a_key_of_one_are_valid_and_keys_at_the_edge_too():
    gx = run(p256.public(1))[0]
    for d in (1, 2, N - 1, N - 2, 2**255):
        point = run(p256.public(d))
        # k = 1: r = x of the base point, s = e + r d.
        r = gx % N
        s = (int.from_bytes(DIGEST, "big") + r * d) % N
        s = min(s, N - s)
        assert taken(pair(r, s), point), d
        assert not taken(pair(r, s ^ 2), point), d


def test_r_that_is_reduced_is_found():
    # The x of a point is between n and p in one of 2^128 cases, so it is made: R = (x, y) with x = r + n, and the key
    # is what makes R come out, Q = (s R - e G) / r.
    r, y = 0, None
    while y is None:
        r += 1
        x = r + N
        square = (x * x * x - 3 * x + (POINT[1] ** 2 - POINT[0] ** 3 + 3 * POINT[0])) % P
        root = pow(square, (P + 1) // 4, P)
        y = root if root * root % P == square else None
    s = 5
    e = int.from_bytes(DIGEST, "big")
    inverse = pow(r, N - 2, N)
    key = run(combined(s * inverse % N, (r + N, y), -e * inverse % N))
    assert key is not None and p256.is_point(*key)
    assert taken(pair(r, s), key)
    assert not taken(pair(r + 1, s), key)


async def combined(u, point, v):
    """u * point + v * G, affine, by adding one after the other."""
    base = await p256.public(1)
    total = None
    for factor, one in ((u, point), (v, base)):
        for bit in range(256):
            if factor >> bit & 1:
                total = add(total, one)
            one = add(one, one)
    return total


def add(a, b):
    """The sum of two affine points, slowly and by the book."""
    if a is None:
        return b
    if a == b:
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], P - 2, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], P - 2, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


SIGNED = parse(container(ROMFS)[: slots.SECTOR])


async def test_verifying_lets_other_tasks_run():
    assert await longest_turn_ms(lambda: check(SIGNED, slots, 0, KEYS)) <= LONGEST_TURN_MS
