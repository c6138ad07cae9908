"""Signatures and certificates of firmware/lib for tests on CPython: a line of JSON in, a line of JSON out."""

import asyncio
import json
import sys
from binascii import hexlify, unhexlify

sys.path.insert(0, sys.argv[1])
import p256
import rsa
import x509


def _hex(data):
    return hexlify(data).decode()


async def _public(key):
    return _hex(p256.encode_point(await p256.public(int(key, 16))))


async def _sign(key, digest):
    return _hex(p256.encode_signature(*await p256.sign(int(key, 16), unhexlify(digest))))


async def _verify(point, digest, signature):
    return await p256.verify(
        p256.decode_point(unhexlify(point)), unhexlify(digest), *p256.decode_signature(unhexlify(signature))
    )


async def _rsa(kind, modulus, exponent, digest, signature):
    verify = rsa.verify_pss if kind == "pss" else rsa.verify_pkcs1
    return await verify(int(modulus, 16), exponent, unhexlify(digest), unhexlify(signature))


async def _read(pem, issuer):
    found = x509.Certificate(x509.from_pem(pem)[0])
    by = x509.Certificate(x509.from_pem(issuer)[0])
    return {
        "serial": "%x" % found.serial,
        "subject": [x509.name(found.subject, field) for field in ("CN", "O", "C")],
        "issuer": x509.name(found.issuer, "CN"),
        "from": found.not_before,
        "to": found.not_after,
        "names": found.names,
        "ca": found.is_ca,
        "path": found.path,
        "usage": found.usage,
        "signed": await found.signed_by(by),
        "hashes": x509.hash_data(found, by),
    }


async def _chain(pem, roots, utc):
    chain = [x509.Certificate(der) for der in x509.from_pem(pem)]
    return await x509.check_chain(chain, [x509.Certificate(x509.from_pem(root)[0]) for root in roots], utc)


async def _request(key, fields):
    d = int(key, 16)
    point = await p256.public(d)
    der = await x509.request(d, point, fields)
    return x509.to_pem(der, "CERTIFICATE REQUEST"), _hex(x509.encode_private(d, point))


COMMANDS = {
    "public": _public,
    "sign": _sign,
    "verify": _verify,
    "rsa": _rsa,
    "read": _read,
    "chain": _chain,
    "request": _request,
}


def main():
    """Answer commands [name, arguments ...] until stdin ends; a ValueError is an answer, too."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer = {"is": asyncio.run(COMMANDS[name](*arguments))}
        except ValueError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer))


main()
