"""Makes certificates of every shape for the tests, right and wrong ones; keys are small numbers of P-256."""

from hashlib import sha256

import asn1
import p256
import x509

_ECDSA = asn1.encode(asn1.SEQUENCE, asn1.encode(asn1.OID, b"\x2a\x86\x48\xce\x3d\x04\x03\x02"))
_KEY_KIND = asn1.encode(
    asn1.SEQUENCE,
    asn1.encode(asn1.OID, b"\x2a\x86\x48\xce\x3d\x02\x01"),
    asn1.encode(asn1.OID, b"\x2a\x86\x48\xce\x3d\x03\x01\x07"),
)
_KINDS = {"CN": b"\x55\x04\x03", "O": b"\x55\x04\x0a"}
# 2026-01-01 and 2036-01-01.
FIRST = b"260101000000Z"
LAST = b"360101000000Z"
FIRST_S = 1767225600
LAST_S = 2082758400
NOW = 1800000000


def name(common, organisation=None):
    """A name in DER."""
    parts = []
    for field, text in (("CN", common), ("O", organisation)):
        if text is not None:
            value = asn1.encode(asn1.UTF8, text.encode())
            kind = asn1.encode(asn1.OID, _KINDS[field])
            parts.append(asn1.encode(asn1.SET, asn1.encode(asn1.SEQUENCE, kind, value)))
    return asn1.encode(asn1.SEQUENCE, *parts)


def extension(arc, value, critical=True):
    """An extension 2.5.29.`arc`."""
    flag = asn1.encode(0x01, b"\xff") if critical else b""
    body = asn1.encode(asn1.OCTET_STRING, value)
    return asn1.encode(asn1.SEQUENCE, asn1.encode(asn1.OID, bytes((0x55, 0x1D, arc))), flag, body)


def authority(path=None):
    """BasicConstraints of an authority."""
    limit = b"" if path is None else asn1.encode_integer(path)
    return extension(19, asn1.encode(asn1.SEQUENCE, asn1.encode(0x01, b"\xff"), limit))


def usage(bits):
    """KeyUsage of one byte."""
    return extension(15, asn1.encode(asn1.BIT_STRING, b"\0", bytes((bits,))))


def time(text):
    """A UTCTime, or a GeneralizedTime when the year has four digits."""
    return asn1.encode(0x17 if len(text) == 13 else 0x18, text)


async def make(subject, key, issuer, issuer_key, extensions=(), serial=1, first=FIRST, last=LAST):
    """A certificate in DER: names in DER, private keys as numbers."""
    point = await p256.public(key)
    parts = [
        asn1.encode(0xA0, asn1.encode_integer(2)),
        asn1.encode_integer(serial),
        _ECDSA,
        issuer,
        asn1.encode(asn1.SEQUENCE, time(first), time(last)),
        subject,
        asn1.encode(asn1.SEQUENCE, _KEY_KIND, asn1.encode_bits(p256.encode_point(point))),
    ]
    if extensions:
        parts.append(asn1.encode(0xA3, asn1.encode(asn1.SEQUENCE, *extensions)))
    body = asn1.encode(asn1.SEQUENCE, *parts)
    signature = p256.encode_signature(*await p256.sign(issuer_key, sha256(body).digest()))
    return asn1.encode(asn1.SEQUENCE, body, _ECDSA, asn1.encode_bits(signature))


async def root(common="Root", key=11, **more):
    """A root in DER."""
    return await make(name(common), key, name(common), key, (authority(), usage(0x06)), **more)


def pem(*ders):
    """A PEM text of certificates."""
    return "".join(x509.to_pem(der, "CERTIFICATE") for der in ders)
