"""Signatures and certificates against the package `cryptography`: what one makes the other takes (R25)."""

import datetime
import hashlib
import ipaddress
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from simulator import MICROPYTHON, ROOT

PEM = serialization.Encoding.PEM
POINT = serialization.PublicFormat.UncompressedPoint
SHA256 = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2056, 2, 29, 12, 34, 56, tzinfo=datetime.UTC)
NOW = 1_800_000_000
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
DEADLINE_S = 30

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Box:
    """One MicroPython process with the firmware's signatures and certificates."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [str(MICROPYTHON), "-X", "heapsize=4M", "tests/unit/ocpp_crypto.py", "firmware/lib"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self, *command: Any) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __call__(self, *command: Any) -> Any:
        return self.answer(*command)["is"]

    def close(self) -> None:
        self.process.communicate(timeout=DEADLINE_S)


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    started = Box()
    yield started
    started.close()


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def digest_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def point_of(key: ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(serialization.Encoding.X962, POINT).hex()


def name_of(common: str, organisation: str | None = None, country: str | None = None) -> x509.Name:
    parts = [(NameOID.COUNTRY_NAME, country), (NameOID.ORGANIZATION_NAME, organisation), (NameOID.COMMON_NAME, common)]
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in parts if text is not None])


def builder_of(subject: x509.Name, issuer: x509.Name, key: Key, serial: int = 5) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
    )


def authority_of(common: str, key: Key, **signing: Any) -> x509.Certificate:
    name = name_of(common)
    constraints = x509.BasicConstraints(ca=True, path_length=1)
    return builder_of(name, name, key).add_extension(constraints, critical=True).sign(key, hashes.SHA256(), **signing)


def text_of(*certificates: x509.Certificate) -> str:
    return "".join(one.public_bytes(PEM).decode() for one in certificates)


def test_keys_and_signatures_of_p256_are_the_same_on_both_sides(box: Box) -> None:
    edges = [1, 2, 3, 15, 16, 17, 31, 32, 33, 2**128, 2**255, ORDER // 2, ORDER - 2, ORDER - 1]
    for number in edges + [int.from_bytes(digest_of(str(n)), "big") % ORDER for n in range(30)]:
        key = ec.derive_private_key(number, ec.SECP256R1())
        digest = digest_of(f"message {number}")
        assert box("public", f"{number:x}") == point_of(key)
        signature = bytes.fromhex(box("sign", f"{number:x}", digest.hex()))
        # RFC 6979: another implementation makes the same signature, bit by bit.
        same = ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)
        assert signature == key.sign(digest, same)
        key.public_key().verify(signature, digest, SHA256)
        assert box("verify", point_of(key), digest.hex(), key.sign(digest, SHA256).hex())


def test_digests_at_the_edges_are_signed_and_verified(box: Box) -> None:
    key = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
    for number in (0, 1, ORDER - 1, ORDER, ORDER + 1, 2**256 - 1):
        digest = number.to_bytes(32, "big")
        key.public_key().verify(bytes.fromhex(box("sign", f"{0xC0FFEE:x}", digest.hex())), digest, SHA256)
        assert box("verify", point_of(key), digest.hex(), key.sign(digest, SHA256).hex())


def test_both_sides_agree_on_which_signatures_are_wrong(box: Box) -> None:
    key = ec.derive_private_key(0xBAD, ec.SECP256R1())
    digest = digest_of("x")
    good = key.sign(digest, SHA256)
    r, s = utils.decode_dss_signature(good)
    numbers = [(r, s), (r, ORDER - s), (s, r), (0, s), (r, 0), (r + ORDER, s), (r, s + ORDER), (ORDER, ORDER), (1, 1)]
    wrong = [utils.encode_dss_signature(a, b) for a, b in numbers]
    wrong += [good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :] for at in range(len(good)) for bit in (0, 7)]
    taken = 0
    for signature in wrong:
        try:
            key.public_key().verify(signature, digest, SHA256)
            expected = True
        except InvalidSignature:
            expected = False
        answer = box.answer("verify", point_of(key), digest.hex(), signature.hex())
        assert answer.get("is", False) == expected, signature.hex()
        taken += expected
    assert taken >= 2


@pytest.mark.parametrize("salt", [0, 20, 32, padding.PSS.MAX_LENGTH])
def test_signatures_of_pss_are_taken(box: Box, rsa_key: rsa.RSAPrivateKey, salt: Any) -> None:
    numbers = rsa_key.public_key().public_numbers()
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
    signature = rsa_key.sign(b"firmware", scheme, hashes.SHA256()).hex()
    common = (f"{numbers.n:x}", numbers.e)
    assert box("rsa", "pss", *common, digest_of("firmware").hex(), signature)
    assert not box("rsa", "pss", *common, digest_of("other").hex(), signature)
    assert not box("rsa", "pkcs1", *common, digest_of("firmware").hex(), signature)


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_signatures_of_pkcs1_are_taken_with_keys_of_every_length(box: Box, bits: int) -> None:
    key = rsa.generate_private_key(65537, bits)
    numbers = key.public_key().public_numbers()
    signature = key.sign(b"firmware", padding.PKCS1v15(), hashes.SHA256()).hex()
    common = ("rsa", "pkcs1", f"{numbers.n:x}", numbers.e)
    assert box(*common, digest_of("firmware").hex(), signature)
    assert not box(*common, digest_of("other").hex(), signature)


def test_a_certificate_is_read_as_its_maker_meant_it(box: Box) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    root = authority_of("Röot", key)
    names = [x509.DNSName("csms.example"), x509.IPAddress(ipaddress.ip_address("10.0.0.1"))]
    usage = x509.KeyUsage(True, False, False, False, True, False, False, False, False)
    leaf = (
        builder_of(name_of("BOX-1", "Opérateur", "NL"), root.subject, key, serial=2**158 + 3)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=True)
        .sign(key, hashes.SHA256())
    )
    found = box("read", text_of(leaf), text_of(root))
    key_bytes = key.public_key().public_bytes(serialization.Encoding.X962, POINT)
    assert found == {
        "serial": f"{leaf.serial_number:x}",
        "subject": ["BOX-1", "Opérateur", "NL"],
        "issuer": "Röot",
        "from": int(BEGIN.timestamp()),
        "to": int(END.timestamp()),
        "names": ["csms.example", "10.0.0.1"],
        "ca": False,
        "path": 99,
        "usage": 0x88,
        "signed": True,
        "hashes": {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": hashlib.sha256(root.subject.public_bytes()).hexdigest(),
            "issuerKeyHash": hashlib.sha256(key_bytes).hexdigest(),
            "serialNumber": f"{leaf.serial_number:x}",
        },
    }
    assert box("read", text_of(root), text_of(root))["path"] == 1


@pytest.mark.parametrize("kind", ["ec", "pkcs1", "pss"])
def test_chains_of_every_kind_of_key_are_checked(box: Box, rsa_key: rsa.RSAPrivateKey, kind: str) -> None:
    key: Key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa_key
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    signing: dict[str, Any] = {"rsa_padding": pss} if kind == "pss" else {}
    root = authority_of("Root", key, **signing)
    middle_key = ec.generate_private_key(ec.SECP256R1())
    middle = (
        builder_of(name_of("Middle"), root.subject, middle_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256(), **signing)
    )
    leaf = builder_of(name_of("Leaf"), middle.subject, middle_key).sign(middle_key, hashes.SHA256())
    other = authority_of("Root", ec.generate_private_key(ec.SECP256R1()))
    assert box("chain", text_of(leaf, middle), [text_of(other), text_of(root)], NOW) == ""
    assert box("chain", text_of(leaf, middle), [text_of(other)], NOW) == "not signed by an installed root"
    assert "expired" in box("chain", text_of(leaf, middle), [text_of(root)], int(END.timestamp()) + 1)


def test_a_hash_that_the_firmware_has_not_is_refused_by_name(box: Box) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = name_of("Root")
    root = builder_of(name, name, key).sign(key, hashes.SHA384())
    assert "SHA-256" in box.answer("read", text_of(root), text_of(root))["error"]
    long = ec.generate_private_key(ec.SECP384R1())
    other = builder_of(name, name, long).sign(long, hashes.SHA256())
    assert "P-256" in box.answer("read", text_of(other), text_of(root))["error"]


def test_a_request_and_its_private_key_are_what_an_authority_and_tls_take(box: Box) -> None:
    number = int.from_bytes(digest_of("key"), "big") % ORDER
    pem, private = box("request", f"{number:x}", [["CN", "BOX-1"], ["O", "Opérateur"]])
    request = x509.load_pem_x509_csr(pem.encode())
    assert request.is_signature_valid
    assert [part.value for part in request.subject] == ["BOX-1", "Opérateur"]
    key = serialization.load_der_private_key(bytes.fromhex(private), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.private_numbers().private_value == number
    assert key.public_key() == request.public_key()
