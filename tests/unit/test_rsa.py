"""RSA: encodings as they must be are taken, every other one is not; keys out of range are refused with a reason."""

from hashlib import sha256

from turns import longest_turn_ms

import rsa

# Keys made for this test: 2048 bits, and 2049, where PSS has a byte less than the modulus.
MODULUS = int(
    "8662e0ab63f8eaf94f502e72b2c67068fecddceb17dd6c9c7c6976ebb946189e99fffbf3c49d94e2cfa4aec50707efb06e58b1e747039d"
    "1ba3b281afe6787ff587a0b1179d1f007d13aa657fd108bf7e60d90ce0135ac0032a1a2661eb74f6e41292954ff4d8f72c55c5bc0b8475"
    "b6b1e87ce8bb88c6b36e8c1b085dbc1ae63add6b853ce4b238a6b17a6c325379f57b2d42010da2e2e3079cf2c976aca44051142e83429c"
    "7b8f3c0431bdec167843fcc584fa0827d52bbd1dc2cf5138315990e2daad94eea655d764b7e132ade974d808ab997f1769ecdd4ad000ef"
    "da0ac0bd5ed6cd815513058c97754e727269b7b9bb5f07480e0658c854c02874f2a85969",
    16,
)
PRIVATE = int(
    "1593d66f7e8a59aedfd1728675211001de79247c7fa4f7205088f33b6f260ba444fadeb41480eedbd4d64eea3b879bdb4579d5503022aa"
    "e7ba0ada9ae93e60e15b69184b952d59fbe5f149572808fd0cfd8a419b25a5bfc88cf53798d2606c97509f70fd03c5e5e371a98c58d713"
    "1030bf067601f7e35bad278431a831f5ff1054a9e4276a3bd8181ee6058a53833b0171ed4a565dcd5c9a62e270630ff7790db6621ee5ee"
    "8b686bc8003d0edc1610307cc2c46a8862fbec8eeda0a55f1dfe8665c419feb8ff25f6cf071a8055631b9e4b8c6ea43fe44ed5fa3ced3e"
    "87d75f49f5f99332891a026323f56e92239435366b645cc29b61fb9ffc2d8d30d7fa8d4f",
    16,
)
ODD_MODULUS = int(
    "15fceffccf41a506391f48172692b964192a39333c9fb426668c8b57ed0215965aef5587b6fee8d7d33e3cd7f829fc27f88f526598f8ff"
    "e8c5fc8531021e428c393c179629386c86d54ba194b1095bb4d5e53b90d889a29da001aba65f706a9d90c22268c88f2842a36e8e6c6c1e"
    "b9ec271a13dac02ae256bce778fd720cffd86d0aee13c3b39ce3bd4890b47cd7124afd0202a99aeff88b21e749d2bbd1d596409b69b4d3"
    "cf9f5a5556b5463d7ca63bab8f9b7b80e6a8401e6e9786b7ceb5b6b0124b87010bfc1cbc3b3edfe46bd7e459c56e59f6ba60b244e9e04a"
    "352d43e2358781fa51bb3e8298cb34647abda275a666af70c9ad38176dd18622673d6db6f",
    16,
)
ODD_PRIVATE = int(
    "2e901527293fba58135f4b2abb64bb745e562c0b74b63ea99340cd54c5734483c2ce5231b434dca12f96fd01dd660bb6198868d4fdbd4f"
    "318113e07a8821cc8b6628fb49e2c0ba124e5e7b2e86396b1ae85b2868f4258358891f0080b25b3d6baec16e5cb75b71c6ac91d2c987ad"
    "09cc2e81eac9b3691d26d1a2dd74d9b0ed9af1745926250e66cf0f55544d9a4840d96f7484d6d95817c28e665225f9fbcb933185be7591"
    "380e3c5109fd87682a7e912ca6994353740020595c1199c74f3034af456923239abebc89c6dff0c30b3feaaccf5096f8be3c0c98ae6a48"
    "3a0df9e97c6dd11418b024f1f9650320ed62b2cdb9437c99a58aa87b0bc4175258ee16f1",
    16,
)
EXPONENT = 65537
DIGEST = sha256(b"firmware").digest()
OTHER = sha256(b"other firmware").digest()
INFO = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
LONGEST_TURN_MS = 5


def raw(encoded, modulus=MODULUS, private=PRIVATE):
    """What the owner of the key makes of an encoding, right or wrong."""
    size = (rsa.bits(modulus) + 7) // 8
    return pow(int.from_bytes(encoded, "big"), private, modulus).to_bytes(size, "big")


def pkcs1(info, padding=None):
    if padding is None:
        padding = b"\xff" * (256 - 3 - len(info))
    return b"\0\1" + padding + b"\0" + info


def mask(seed, count):
    out = b""
    while len(out) < count:
        out += sha256(seed + (len(out) // 32).to_bytes(4, "big")).digest()
    return out[:count]


def pss(digest, salt, size=256, unused=1, trailer=0xBC, zeros=None, mark=1):
    hashed = sha256(bytes(8) + digest + salt).digest()
    block = bytes(size - len(salt) - 34) if zeros is None else zeros
    block += bytes([mark]) + salt
    masked = bytearray(a ^ b for a, b in zip(block, mask(hashed, len(block))))
    masked[0] &= 0xFF >> unused
    return bytes(masked) + hashed + bytes([trailer])


def first_below(modulus, bit, unused):
    """A right encoding of PSS but for one bit too many, as a number that is below the modulus all the same."""
    salt = 0
    while True:
        number = bit + int.from_bytes(pss(DIGEST, bytes([salt]) * 32, unused=unused), "big")
        if number < modulus:
            return number.to_bytes(257, "big")
        salt += 1


async def takes_pkcs1(encoded, digest=DIGEST):
    return await rsa.verify_pkcs1(MODULUS, EXPONENT, digest, raw(encoded))


async def takes_pss(encoded, digest=DIGEST, salt_bytes=None):
    return await rsa.verify_pss(MODULUS, EXPONENT, digest, raw(encoded), salt_bytes)


async def test_a_signature_of_pkcs1_holds_for_its_digest_only():
    encoded = pkcs1(INFO + DIGEST)
    assert await takes_pkcs1(encoded)
    assert not await takes_pkcs1(encoded, OTHER)
    assert not await takes_pkcs1(encoded, DIGEST[:31])
    assert not await takes_pss(encoded)


async def test_no_byte_of_the_padding_may_be_anything_else():
    right = pkcs1(INFO + DIGEST)
    # Sha-1's identifier, parameters left out, and what forgers of signatures with a small exponent try.
    wrong = [
        pkcs1(b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14" + DIGEST[:20]),
        pkcs1(b"\x30\x2f\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x04\x20" + DIGEST),
        b"\0\1" + b"\xff" * 8 + b"\0" + INFO + DIGEST + bytes(256 - 11 - len(INFO) - 32),
        b"\0\2" + right[2:],
        b"\0\0" + right[2:],
        pkcs1(INFO + DIGEST, b"\xfe" * 202),
        pkcs1(INFO + DIGEST[:-1] + bytes([DIGEST[31] ^ 1])),
    ]
    for at in (2, 100, 203, 204, 210, 223, 255):
        spoilt = bytearray(right)
        spoilt[at] ^= 1
        wrong.append(spoilt)
    for encoded in wrong:
        assert not await takes_pkcs1(encoded), encoded


async def test_numbers_that_are_not_below_the_modulus_are_no_signature():
    signature = raw(pkcs1(INFO + DIGEST))
    number = int.from_bytes(signature, "big")
    wrong = [b"", signature[:-1], signature + b"\0", b"\0" + signature, bytes(256), (1).to_bytes(256, "big")]
    wrong += [MODULUS.to_bytes(256, "big"), (MODULUS - 1).to_bytes(256, "big"), (MODULUS - number).to_bytes(256, "big")]
    if number + MODULUS < 1 << 2048:
        wrong.append((number + MODULUS).to_bytes(256, "big"))
    for data in wrong:
        assert not await rsa.verify_pkcs1(MODULUS, EXPONENT, DIGEST, data), data
        assert not await rsa.verify_pss(MODULUS, EXPONENT, DIGEST, data), data


async def test_a_signature_of_pss_holds_with_every_length_of_salt_or_the_one_that_was_asked_for():
    for count in (0, 1, 20, 32, 222):
        encoded = pss(DIGEST, bytes(range(count)))
        assert await takes_pss(encoded), count
        assert await takes_pss(encoded, DIGEST, count), count
        assert not await takes_pss(encoded, DIGEST, count + 1), count
        assert not await takes_pss(encoded, OTHER), count
    assert not await takes_pkcs1(encoded)


async def test_an_encoding_of_pss_with_anything_wrong_is_no_signature():
    salt = bytes(range(32))
    wrong = [
        pss(DIGEST, salt, trailer=0xBD),
        pss(DIGEST, salt, mark=2),
        pss(DIGEST, salt, mark=0),
        pss(DIGEST, salt, zeros=bytes(189) + b"\2"),
        b"\x00" * 256,
    ]
    for at in (1, 100, 221, 230, 254):
        spoilt = bytearray(pss(DIGEST, salt))
        spoilt[at] ^= 1
        wrong.append(spoilt)
    for encoded in wrong:
        assert not await takes_pss(encoded), encoded
    # The topmost bit must be 0.
    assert not await takes_pss(first_below(MODULUS, 1 << 2047, unused=1))


async def test_a_modulus_of_a_bit_more_than_whole_bytes_has_a_byte_less_of_pss():
    signature = raw(pss(DIGEST, bytes(32), unused=0), ODD_MODULUS, ODD_PRIVATE)
    assert len(signature) == 257
    assert await rsa.verify_pss(ODD_MODULUS, EXPONENT, DIGEST, signature, 32)
    assert not await rsa.verify_pss(ODD_MODULUS, EXPONENT, OTHER, signature, 32)
    leading = first_below(ODD_MODULUS, 1 << 2048, unused=0)
    signature = raw(leading, ODD_MODULUS, ODD_PRIVATE)
    assert not await rsa.verify_pss(ODD_MODULUS, EXPONENT, DIGEST, signature)


async def test_keys_out_of_range_are_refused_with_a_reason():
    for modulus, exponent, part in (
        (MODULUS >> 1, EXPONENT, "2047 bits; allowed: 2048 to 4096"),
        ((MODULUS << 2049) + 1, EXPONENT, "4097 bits"),
        (MODULUS - 1, EXPONENT, "odd"),
        (0, EXPONENT, "0 bits"),
        (MODULUS, 1, "exponent 1;"),
        (MODULUS, 4, "exponent 4;"),
        (MODULUS, (1 << 32) + 1, "exponent 4294967297;"),
    ):
        for verify in (rsa.verify_pkcs1, rsa.verify_pss):
            try:
                await verify(modulus, exponent, DIGEST, bytes(256))
                raise AssertionError("accepted: " + part)
            except ValueError as error:
                assert part in str(error), error


async def test_no_turn_of_the_loop_takes_long_with_the_longest_key():
    modulus = (MODULUS << 2048) + 1
    longest = await longest_turn_ms(
        lambda: rsa.verify_pkcs1(modulus, 0xFFFFFFFF, DIGEST, b"\1" + bytes(511)),
    )
    assert longest < LONGEST_TURN_MS, longest
