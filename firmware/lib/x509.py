"""Reads X.509 certificates, checks who signed them, and writes certificate signing requests; loaded on demand only.

Keys are EC P-256 and RSA, signatures those with SHA-256: MicroPython has no longer hash. Sources: RFC 5280
(certificates), RFC 2986 (requests), RFC 5915 (private keys), RFC 7468 (PEM).
"""

import os
from binascii import a2b_base64, b2a_base64, hexlify
from hashlib import sha256

from micropython import const

import asn1
import p256
import rsa

# Object identifiers as they stand in DER.
_EC_KEY = b"\x2a\x86\x48\xce\x3d\x02\x01"
_CURVE = b"\x2a\x86\x48\xce\x3d\x03\x01\x07"
_RSA_KEY = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
_ECDSA = b"\x2a\x86\x48\xce\x3d\x04\x03\x02"
_RSA_PKCS1 = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"
_RSA_PSS = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
_SHA256 = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01"
_MGF1 = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
_EXTENSION = b"\x55\x1d"
_NAMES = {"CN": b"\x55\x04\x03", "O": b"\x55\x04\x0a", "C": b"\x55\x04\x06"}

# Last arcs of the extensions that are read (2.5.29.x); extended key usage is known, so that it may be critical.
_KEY_USAGE = const(15)
_ALTERNATIVE_NAMES = const(17)
_BASIC_CONSTRAINTS = const(19)
_EXTENDED_KEY_USAGE = const(37)

# Bits of the first byte of keyUsage (RFC 5280, 4.2.1.3).
SIGNS_DATA = const(0x80)
SIGNS_CERTIFICATES = const(0x04)
_ANY_USAGE = const(0xFF)

# RFC 5280, 4.1.2.2 allows 20. To write a number of thousands of digits would hold up all other tasks.
_SERIAL_BYTES = const(32)
_DNS_NAME = const(0x82)
_ADDRESS = const(0x87)
_NO_SALT_GIVEN = const(20)
_PEM_LINE_BYTES = const(48)
_ENDLESS = const(99)


class Certificate:
    """What one certificate in DER says; ValueError when it is damaged or of a kind that is not known here.

    `serial` a number; `issuer`, `subject` names in DER (see `name`); `not_before`, `not_after` seconds since
    1970; `point` (x, y) or None; `modulus`, `exponent` or None; `key` the public key's bytes; `names` DNS names and
    IPv4 addresses; `is_ca` and `path` (how many authorities may follow); `usage` the bits of keyUsage.
    """

    def __init__(self, der):
        self.der = der
        start, stop = asn1.only(der, asn1.SEQUENCE)
        _, inner, end = asn1.element(der, start, stop, asn1.SEQUENCE)
        self._signed = start, end
        _, at, algorithm_end = asn1.element(der, end, stop, asn1.SEQUENCE)
        self._algorithm = der[at:algorithm_end]
        _, at, last = asn1.element(der, algorithm_end, stop, asn1.BIT_STRING)
        self._signature = asn1.bits(der, at, last)
        if last != stop:
            raise ValueError("certificate: something stands behind its signature")
        self.names = ()
        self.is_ca = False
        self.path = _ENDLESS
        self.usage = _ANY_USAGE
        self.critical_unknown = False
        self._read(inner, end)

    def _read(self, at: int, end: int) -> None:
        """Take the fields of TBSCertificate in their order (RFC 5280, 4.1)."""
        der = self.der
        version = 1
        tag, start, stop = asn1.element(der, at, end)
        if tag == 0xA0:
            _, first, _ = asn1.element(der, start, stop, asn1.INTEGER)
            version = asn1.integer(der, first, stop) + 1
            _, start, stop = asn1.element(der, stop, end, asn1.INTEGER)
        if stop - start > _SERIAL_BYTES:
            raise ValueError("certificate: serial number of %d bytes; allowed: %d" % (stop - start, _SERIAL_BYTES))
        self.serial = asn1.integer(der, start, stop)
        _, start, stop = asn1.element(der, stop, end, asn1.SEQUENCE)
        if der[start:stop] != self._algorithm:
            raise ValueError("certificate: it names two different signature algorithms")
        self.issuer, at = _whole(der, stop, end)
        _, start, at = asn1.element(der, at, end, asn1.SEQUENCE)
        self.not_before, start = _time(der, start, at)
        self.not_after, _ = _time(der, start, at)
        self.subject, at = _whole(der, at, end)
        _, start, at = asn1.element(der, at, end, asn1.SEQUENCE)
        self._read_key(start, at)
        for tag, start, stop in asn1.elements(der, at, end):
            if tag == 0xA3 and version == 3:
                self._read_extensions(start, stop)

    def _read_key(self, start: int, stop: int) -> None:
        der = self.der
        self.point = self.modulus = self.exponent = None
        _, at, end = asn1.element(der, start, stop, asn1.SEQUENCE)
        _, first, second = asn1.element(der, at, end, asn1.OID)
        kind = der[first:second]
        _, first, last = asn1.element(der, end, stop, asn1.BIT_STRING)
        self.key = asn1.bits(der, first, last)
        if kind == _EC_KEY:
            _, first, last = asn1.element(der, second, end, asn1.OID)
            if der[first:last] != _CURVE:
                raise ValueError("public key: unknown curve; allowed: P-256")
            self.point = p256.decode_point(self.key)
        elif kind == _RSA_KEY:
            first, last = asn1.only(self.key, asn1.SEQUENCE)
            _, first, second = asn1.element(self.key, first, last, asn1.INTEGER)
            self.modulus = asn1.integer(self.key, first, second)
            _, first, last = asn1.element(self.key, second, last, asn1.INTEGER)
            self.exponent = asn1.integer(self.key, first, last)
            rsa.check_key(self.modulus, self.exponent)
        else:
            raise ValueError("public key: unknown kind; allowed: EC P-256, RSA")

    def _read_extensions(self, start: int, stop: int) -> None:
        der = self.der
        _, start, stop = asn1.element(der, start, stop, asn1.SEQUENCE)
        for _, at, end in asn1.elements(der, start, stop):
            _, first, at = asn1.element(der, at, end, asn1.OID)
            kind = der[first:at]
            tag, first, last = asn1.element(der, at, end)
            critical = tag == 0x01
            if critical:
                critical = der[first] != 0
                _, first, last = asn1.element(der, last, end, asn1.OCTET_STRING)
            self._read_extension(kind, first, last, critical)

    def _read_extension(self, kind, start: int, stop: int, critical: bool) -> None:
        der = self.der
        last = kind[2] if kind[:2] == _EXTENSION and len(kind) == 3 else 0
        if last == _KEY_USAGE:
            _, start, stop = asn1.element(der, start, stop, asn1.BIT_STRING)
            self.usage = der[start + 1] if stop > start + 1 else 0
        elif last == _BASIC_CONSTRAINTS:
            _, start, stop = asn1.element(der, start, stop, asn1.SEQUENCE)
            for tag, first, end in asn1.elements(der, start, stop):
                if tag == 0x01:
                    self.is_ca = der[first] != 0
                elif tag == asn1.INTEGER:
                    self.path = asn1.integer(der, first, end)
        elif last == _ALTERNATIVE_NAMES:
            _, start, stop = asn1.element(der, start, stop, asn1.SEQUENCE)
            names = [_alternative(der, *found) for found in asn1.elements(der, start, stop)]
            self.names = tuple(found for found in names if found)
        elif critical and last != _EXTENDED_KEY_USAGE:
            self.critical_unknown = True

    def valid_at(self, utc_s) -> bool:
        """Whether a time lies in the certificate's; an unknown time (None) is taken to do so."""
        return utc_s is None or self.not_before <= utc_s <= self.not_after

    async def signed_by(self, issuer) -> bool:
        """Whether `issuer`, a certificate, has this one's name of an issuer and made its signature."""
        if self.issuer != issuer.subject:
            return False
        digest = sha256(memoryview(self.der)[self._signed[0] : self._signed[1]]).digest()
        algorithm = self._algorithm
        _, start, stop = asn1.element(algorithm, 0, len(algorithm), asn1.OID)
        kind = algorithm[start:stop]
        if kind == _RSA_PSS:
            salt = _pss_salt(algorithm, stop)
            return issuer.modulus is not None and await rsa.verify_pss(
                issuer.modulus, issuer.exponent, digest, self._signature, salt
            )
        if kind in (_ECDSA, _RSA_PKCS1):
            pss = False if kind == _RSA_PKCS1 else None
            wanted = issuer.modulus if kind == _RSA_PKCS1 else issuer.point
            return wanted is not None and await verify(issuer, digest, self._signature, pss)
        raise ValueError("certificate: unknown signature algorithm; allowed: ECDSA or RSA with SHA-256")


async def verify(certificate, digest, signature, pss=None) -> bool:
    """Whether the owner of a certificate's key made a signature over a SHA-256 digest.

    For RSA `pss` says of which kind it has to be; None allows both.
    """
    if certificate.point is not None:
        try:
            r, s = p256.decode_signature(signature)
        except ValueError:
            return False
        return await p256.verify(certificate.point, digest, r, s)
    modulus, exponent = certificate.modulus, certificate.exponent
    if pss is not True and await rsa.verify_pkcs1(modulus, exponent, digest, signature):
        return True
    return pss is not False and await rsa.verify_pss(modulus, exponent, digest, signature)


async def check_chain(chain: list, roots, utc_s) -> str:
    """What is wrong with a chain, in a few words, "" for nothing.

    Each certificate of `chain` (the owner's first) has to be signed by the next, the last by one of `roots` (None:
    not looked at) or be one of them. All have to be valid at `utc_s` (None: unknown, not looked at), a signer has to
    be an authority (RFC 5280, 6.1).
    """
    if not chain:
        return "no certificate"
    for depth, certificate in enumerate(chain):
        wrong = _fault(certificate, utc_s)
        if not wrong and depth + 1 < len(chain):
            wrong = await _link_fault(certificate, chain[depth + 1], depth)
        if wrong:
            return wrong
    if roots is None:
        return ""
    last = chain[-1]
    for root in roots:
        if root.der == last.der and len(chain) > 1:
            return ""
        if root.subject == last.issuer and not _fault(root, utc_s):
            if not await _link_fault(last, root, len(chain) - 1):
                return ""
    return "not signed by an installed root"


def _fault(certificate, utc_s) -> str:
    if not certificate.valid_at(utc_s):
        return "expired or not yet valid"
    return "a critical extension is not known" if certificate.critical_unknown else ""


async def _link_fault(certificate, issuer, authorities: int) -> str:
    """What is wrong with `issuer` as the signer of a certificate that has `authorities` between it and the owner."""
    if not issuer.is_ca or not issuer.usage & SIGNS_CERTIFICATES:
        return "signed by a certificate that is no authority"
    if issuer.path < authorities:
        return "more authorities than one of them allows"
    try:
        return "" if await certificate.signed_by(issuer) else "a signature is wrong"
    except ValueError as error:
        return str(error)


def hash_data(certificate, issuer) -> dict:
    """CertificateHashDataType of a certificate (OCPP 1.6 security whitepaper, 5.2; RFC 6960, 4.1.1), with SHA-256."""
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": hexlify(sha256(certificate.issuer).digest()).decode(),
        "issuerKeyHash": hexlify(sha256(issuer.key).digest()).decode(),
        "serialNumber": "%x" % certificate.serial,
    }


def name(der, field: str):
    """The text of the last `field` ("CN", "O", "C") of a name in DER, None without one."""
    found = None
    start, stop = asn1.only(der, asn1.SEQUENCE)
    for _, first, last in asn1.elements(der, start, stop):
        for _, at, end in asn1.elements(der, first, last):
            _, kind, at = asn1.element(der, at, end, asn1.OID)
            if der[kind:at] == _NAMES[field]:
                _, at, end = asn1.element(der, at, end)
                found = der[at:end].decode()
    return found


def _whole(der, at: int, end: int) -> tuple:
    """A name with its tag and length, and where it ends."""
    _, _, stop = asn1.element(der, at, end, asn1.SEQUENCE)
    return der[at:stop], stop


def _alternative(der, tag: int, start: int, stop: int) -> str:
    """A DNS name or an IPv4 address as text, "" for all else."""
    if tag == _ADDRESS and stop - start == 4:
        return "%d.%d.%d.%d" % tuple(der[start:stop])
    return der[start:stop].decode() if tag == _DNS_NAME else ""


def _time(der, at: int, end: int) -> tuple:
    """Seconds since 1970 of a UTCTime or GeneralizedTime (RFC 5280, 4.1.2.5), and where it ends."""
    tag, start, stop = asn1.element(der, at, end)
    text = der[start:stop].decode()
    digits = {0x17: 12, 0x18: 14}.get(tag, 0)
    if not digits or len(text) != digits + 1 or text[-1] != "Z" or not text[:-1].isdigit():
        raise ValueError("certificate: time at byte %d is not as RFC 5280 wants it" % at)
    if digits == 12:
        text = ("20" if text < "5" else "19") + text
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:8])
    # Years are counted from March, so that the leap day comes last.
    if month < 3:
        year, month = year - 1, month + 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day - 719469
    return ((days * 24 + int(text[8:10])) * 60 + int(text[10:12])) * 60 + int(text[12:14]), stop


def _pss_salt(algorithm, at: int) -> int:
    """Length of the salt of an RSASSA-PSS algorithm; ValueError unless hash and mask are of SHA-256 (RFC 4055, 3.1)."""
    salt = _NO_SALT_GIVEN
    hashes = 0
    _, at, end = asn1.element(algorithm, at, len(algorithm), asn1.SEQUENCE)
    for tag, start, stop in asn1.elements(algorithm, at, end):
        if tag == 0xA2:
            _, first, last = asn1.element(algorithm, start, stop, asn1.INTEGER)
            salt = asn1.integer(algorithm, first, last)
        elif tag in (0xA0, 0xA1):
            _, first, last = asn1.element(algorithm, start, stop, asn1.SEQUENCE)
            _, first, last = asn1.element(algorithm, first, last, asn1.OID)
            if tag == 0xA1 and algorithm[first:last] == _MGF1:
                _, first, last = asn1.element(algorithm, last, stop, asn1.SEQUENCE)
                _, first, last = asn1.element(algorithm, first, last, asn1.OID)
            hashes += algorithm[first:last] == _SHA256
    if hashes != 2:
        raise ValueError("certificate: PSS with another hash; allowed: SHA-256")
    return salt


def from_pem(text: str, label: str = "CERTIFICATE") -> list:
    """The DER of each block of `label` in a PEM text (RFC 7468); ValueError when there is none or one is damaged."""
    begin = "-----BEGIN %s-----" % label
    end = "-----END %s-----" % label
    found = []
    at = text.find(begin)
    while at >= 0:
        stop = text.find(end, at)
        if stop < 0:
            raise ValueError("PEM: no end of a %s" % label)
        found.append(a2b_base64("".join(text[at + len(begin) : stop].split())))
        at = text.find(begin, stop)
    if not found:
        raise ValueError("PEM: no %s in it" % label)
    return found


def to_pem(der, label: str) -> str:
    """A PEM text of one block, lines of 64 characters."""
    lines = ["-----BEGIN %s-----\n" % label]
    for at in range(0, len(der), _PEM_LINE_BYTES):
        lines.append(b2a_base64(der[at : at + _PEM_LINE_BYTES]).decode())
    lines.append("-----END %s-----\n" % label)
    return "".join(lines)


def _name(fields) -> bytes:
    parts = []
    for field, text in fields:
        value = asn1.encode(asn1.UTF8, text.encode())
        parts.append(asn1.encode(asn1.SET, asn1.encode(asn1.SEQUENCE, asn1.encode(asn1.OID, _NAMES[field]), value)))
    return asn1.encode(asn1.SEQUENCE, *parts)


async def request(d: int, point: tuple, fields, random=os.urandom) -> bytes:
    """A signing request (PKCS#10) in DER for the key pair (d, point).

    `fields` are ("CN" | "O" | "C", text) in the order in which they shall stand.
    """
    kind = asn1.encode(asn1.SEQUENCE, asn1.encode(asn1.OID, _EC_KEY), asn1.encode(asn1.OID, _CURVE))
    key = asn1.encode(asn1.SEQUENCE, kind, asn1.encode_bits(p256.encode_point(point)))
    body = asn1.encode(asn1.SEQUENCE, asn1.encode_integer(0), _name(fields), key, asn1.encode(0xA0))
    signature = p256.encode_signature(*await p256.sign(d, sha256(body).digest(), random))
    algorithm = asn1.encode(asn1.SEQUENCE, asn1.encode(asn1.OID, _ECDSA))
    return asn1.encode(asn1.SEQUENCE, body, algorithm, asn1.encode_bits(signature))


def encode_private(d: int, point: tuple) -> bytes:
    """A private key in DER as TLS wants it (SEC 1, C.4; RFC 5915)."""
    return asn1.encode(
        asn1.SEQUENCE,
        asn1.encode_integer(1),
        asn1.encode(asn1.OCTET_STRING, d.to_bytes(32, "big")),
        asn1.encode(0xA0, asn1.encode(asn1.OID, _CURVE)),
        asn1.encode(0xA1, asn1.encode_bits(p256.encode_point(point))),
    )


def public_of_private(der) -> tuple:
    """The public point that stands in a private key of `encode_private`; ValueError when it is not one."""
    start, stop = asn1.only(der, asn1.SEQUENCE)
    for tag, first, last in asn1.elements(der, start, stop):
        if tag == 0xA1:
            _, first, last = asn1.element(der, first, last, asn1.BIT_STRING)
            return p256.decode_point(asn1.bits(der, first, last))
    raise ValueError("private key: no public key in it")
