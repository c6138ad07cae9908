"""Certificates: their fields, who signed them, whole chains, damage of every byte; signing requests and keys."""

from binascii import hexlify
from hashlib import sha256

from certificate_maker import FIRST_S, LAST_S, NOW, authority, extension, make, name, pem, root, usage

import asn1
import p256
import x509

ROOT, MIDDLE, LEAF = 11, 12, 13


async def chain_of_three(**middle):
    """(leaf, middle, root) as certificates."""
    top = await root()
    extensions = middle.pop("extensions", (authority(0), usage(0x06)))
    between = await make(name("Middle"), MIDDLE, name("Root"), ROOT, extensions, serial=2, **middle)
    leaf = await make(name("BOX-1", "Operator"), LEAF, name("Middle"), MIDDLE, (usage(0x80),), serial=3)
    return [x509.Certificate(der) for der in (leaf, between, top)]


def refused(function, *arguments):
    try:
        function(*arguments)
    except ValueError as error:
        return str(error)
    raise AssertionError("accepted")


async def test_the_fields_of_a_certificate_are_read():
    names = asn1.encode(
        asn1.SEQUENCE, asn1.encode(0x82, b"csms.example"), asn1.encode(0x87, b"\x7f\0\0\1"), asn1.encode(0x81, b"a@b")
    )
    extensions = (extension(17, names, False), authority(3), usage(0x86), extension(37, b"\x30\0"))
    der = await make(name("BOX-1", "Opérateur"), LEAF, name("Root"), ROOT, extensions, serial=2**159 + 5)
    found = x509.Certificate(der)
    assert found.serial == 2**159 + 5
    assert x509.name(found.subject, "CN") == "BOX-1" and x509.name(found.subject, "O") == "Opérateur"
    assert x509.name(found.issuer, "CN") == "Root" and x509.name(found.issuer, "O") is None
    assert (found.not_before, found.not_after) == (FIRST_S, LAST_S)
    assert found.point == await p256.public(LEAF) and found.modulus is None
    assert found.names == ("csms.example", "127.0.0.1")
    assert found.is_ca and found.path == 3 and found.usage == 0x86 and not found.critical_unknown
    plain = x509.Certificate(await make(name("a"), LEAF, name("b"), ROOT))
    assert not plain.is_ca and plain.usage == 0xFF and plain.names == ()
    assert x509.Certificate(await make(name("a"), 1, name("b"), 1, (extension(30, b"\x30\0"),))).critical_unknown


async def test_dates_of_both_forms_are_read_up_to_the_end_of_time():
    for text, seconds in (
        (b"491231235959Z", 2524607999),
        (b"500101000000Z", -631152000),
        (b"700101000000Z", 0),
        (b"240229120000Z", 1709208000),
        (b"20500101000000Z", 2524608000),
        (b"99991231235959Z", 253402300799),
    ):
        found = x509.Certificate(await make(name("a"), LEAF, name("b"), ROOT, first=text))
        assert found.not_before == seconds, (text, found.not_before)
    for text in (b"2601010000Z", b"260101000000+", b"26010100000xZ", b"20260101000000"):
        der = await make(name("a"), LEAF, name("b"), ROOT, first=text)
        assert "RFC 5280" in refused(x509.Certificate, der), text


async def test_a_signature_is_checked_with_name_and_key_of_the_issuer():
    leaf, middle, top = await chain_of_three()
    assert await leaf.signed_by(middle) and await middle.signed_by(top) and await top.signed_by(top)
    assert not await leaf.signed_by(top)
    same_name = x509.Certificate(await root("Root", 99))
    assert not await middle.signed_by(same_name)
    same_key = x509.Certificate(await root("Other", ROOT))
    assert not await middle.signed_by(same_key)


async def test_a_whole_chain_is_taken_with_its_root_left_out_or_not():
    leaf, middle, top = await chain_of_three()
    other = x509.Certificate(await root("Other", 98))
    assert await x509.check_chain([leaf, middle], [other, top], NOW) == ""
    assert await x509.check_chain([leaf, middle, top], [top], NOW) == ""
    assert await x509.check_chain([leaf, middle], None, NOW) == ""
    assert await x509.check_chain([leaf], [middle], NOW) == ""
    assert await x509.check_chain([leaf, middle], [top], None) == ""


async def test_a_chain_with_anything_wrong_is_refused_with_the_reason():
    leaf, middle, top = await chain_of_three()
    forged = x509.Certificate(await root("Root", 97))
    late = (await chain_of_three(last=b"260601000000Z"))[1]
    early = (await chain_of_three(first=b"300101000000Z"))[1]
    no_authority = (await chain_of_three(extensions=(usage(0x06),)))[1]
    no_signer = (await chain_of_three(extensions=(authority(), usage(0x80))))[1]
    odd = (await chain_of_three(extensions=(authority(), extension(30, b"\x30\0"))))[1]
    no_path = x509.Certificate(
        await make(name("Root"), ROOT, name("Root"), ROOT, (authority(0), usage(0x06)), serial=9)
    )
    for chain, roots, part in (
        ([], [top], "no certificate"),
        ([leaf, middle], [], "not signed by an installed root"),
        ([leaf, middle], [forged], "not signed by an installed root"),
        ([leaf, middle, forged], [top], "a signature is wrong"),
        ([leaf], [top], "not signed by an installed root"),
        ([leaf, top], [top], "a signature is wrong"),
        ([middle, leaf], [top], "no authority"),
        ([leaf, late], [top], "expired"),
        ([leaf, early], [top], "not yet valid"),
        ([leaf, no_authority], [top], "no authority"),
        ([leaf, no_signer], [top], "no authority"),
        ([leaf, odd], [top], "critical extension"),
        ([leaf, middle], [no_path], "not signed by an installed root"),
        ([leaf, middle, no_path], [no_path], "more authorities"),
    ):
        found = await x509.check_chain(chain, roots, NOW)
        assert part in found, (part, found)
    assert await x509.check_chain([leaf, middle], [top], LAST_S + 1) != ""
    assert await x509.check_chain([leaf, middle], [top], FIRST_S - 1) != ""


async def test_damage_of_any_byte_is_refused_or_noticed_by_the_signature():
    der = await root()
    top = x509.Certificate(der)
    taken = 0
    for at in range(len(der)):
        spoilt = bytearray(der)
        spoilt[at] ^= 1 << at % 8
        try:
            found = x509.Certificate(bytes(spoilt))
            assert not await found.signed_by(top), at
            taken += 1
        except ValueError:
            continue
    assert taken > 100, taken
    for cut in range(len(der)):
        refused(x509.Certificate, der[:cut])
    refused(x509.Certificate, der + b"\0")


async def test_keys_and_signatures_of_other_kinds_are_refused_by_name():
    der = await root()
    curve = b"\x2a\x86\x48\xce\x3d\x03\x01\x07"
    assert "allowed: P-256" in refused(x509.Certificate, der.replace(curve, curve[:-1] + b"\1"))
    kind = b"\x2a\x86\x48\xce\x3d\x02\x01"
    assert "EC P-256, RSA" in refused(x509.Certificate, der.replace(kind, kind[:-1] + b"\7"))
    algorithm = b"\x2a\x86\x48\xce\x3d\x04\x03\x02"
    longer = x509.Certificate(der.replace(algorithm, algorithm[:-1] + b"\3"))
    top = x509.Certificate(der)
    try:
        await longer.signed_by(top)
        raise AssertionError("ECDSA with SHA-384 accepted")
    except ValueError as error:
        assert "SHA-256" in str(error)
    assert "two different" in refused(x509.Certificate, der.replace(algorithm, algorithm[:-1] + b"\3", 1))


async def test_a_serial_number_beyond_all_reason_is_refused():
    longest = await root(serial=(1 << 160) - 1)
    assert x509.Certificate(longest).serial == (1 << 160) - 1
    for bits in (257, 30_000):
        assert "serial" in refused(x509.Certificate, await root(serial=1 << bits))


async def test_the_hashes_of_a_certificate_are_those_of_its_issuer():
    leaf, middle, _ = await chain_of_three()
    key = p256.encode_point(await p256.public(MIDDLE))
    assert x509.hash_data(leaf, middle) == {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": hexlify(sha256(name("Middle")).digest()).decode(),
        "issuerKeyHash": hexlify(sha256(key).digest()).decode(),
        "serialNumber": "3",
    }


async def test_pem_goes_to_der_and_back():
    ders = [await root(), await root("Second", 5)]
    text = pem(*ders)
    assert x509.from_pem(text) == ders
    assert all(len(line) <= 64 for line in text.split("\n"))
    assert x509.from_pem("Bag attributes\r\n" + text.replace("\n", "\r\n") + "rest") == ders
    for wrong in ("", "MIIB", text.replace("CERTIFICATE", "PRIVATE KEY"), text[:-30]):
        assert "PEM" in refused(x509.from_pem, wrong), wrong


async def test_a_request_holds_names_and_key_and_is_signed_with_it():
    point = await p256.public(LEAF)
    der = await x509.request(LEAF, point, (("CN", "BOX-1"), ("O", "Operator")))
    start, stop = asn1.only(der, asn1.SEQUENCE)
    parts = list(asn1.elements(der, start, stop))
    body = der[start : parts[0][2]]
    inner = list(asn1.elements(body, *asn1.only(body)))
    assert asn1.integer(body, *inner[0][1:]) == 0
    subject = asn1.encode(asn1.SEQUENCE, body[inner[1][1] : inner[1][2]])
    assert subject == name("BOX-1", "Operator")
    assert body.endswith(p256.encode_point(point) + b"\xa0\0")
    r, s = p256.decode_signature(asn1.bits(der, *parts[2][1:]))
    assert await p256.verify(point, sha256(body).digest(), r, s)


async def test_a_private_key_can_be_told_by_its_public_one():
    point = await p256.public(LEAF)
    der = x509.encode_private(LEAF, point)
    assert x509.public_of_private(der) == point
    refused(x509.public_of_private, der[:-1])
    refused(x509.public_of_private, asn1.encode(asn1.SEQUENCE, asn1.encode_integer(1)))
