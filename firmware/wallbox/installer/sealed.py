"""Secrets under a password: AES-256-CBC, then HMAC-SHA256 over all of it, keys by PBKDF2 (R35).

The key of the cipher and that of the code come from one PBKDF2, as its HMAC of two words, so that it is done once.
"""

import json
from binascii import a2b_base64, b2a_base64

from cryptolib import aes
from micropython import const

import hal.system
from wallbox.installer.mac import mac
from wallbox.installer.passwords import pbkdf2, same

# A file can be tried without limit, unlike the link, so that more is asked than of the link's passwords.
SHORTEST = const(8)
LONGEST = const(64)
# As many as of the link's passwords: NIST SP 800-63B, 5.1.1.2; a chip takes about a second for them.
_ITERATIONS = const(10_000)
# Of what a file may ask for.
_MOST_ITERATIONS = const(100_000)
_MOST_BYTES = const(4096)
_SALT_BYTES = const(16)
_BLOCK_BYTES = const(16)  # of AES
_CODE_BYTES = const(32)
_CBC = const(2)
_LABEL = b"wallbox-backup-1"


class SealError(Exception):
    """It cannot be opened: the password is wrong, or it is damaged; which of both cannot be told."""


def new_seal() -> tuple:
    """Fresh salt and first block of the cipher."""
    return hal.system.random_bytes(_SALT_BYTES), hal.system.random_bytes(_BLOCK_BYTES)


async def _keys(password: str, salt: bytes, iterations: int) -> tuple:
    master = await pbkdf2(password.encode(), salt, iterations)
    return mac(master, b"cipher"), mac(master, b"code")


def _code(key: bytes, context: str, salt: bytes, iterations: int, first: bytes, data: bytes) -> bytes:
    signed = json.dumps([context, iterations, _text(salt), _text(first), _text(data)])
    return mac(key, _LABEL + signed.encode())


def _text(data: bytes) -> str:
    return str(b2a_base64(data), "ascii").rstrip("\n")


async def seal(value, password: str, context: str) -> dict:
    """A JSON value as something that only `password` opens; `context` must be the same at the opening."""
    salt, first = new_seal()
    cipher_key, code_key = await _keys(password, salt, _ITERATIONS)
    plain = json.dumps(value).encode()
    # PKCS #7 (RFC 5652, 6.3).
    missing = _BLOCK_BYTES - len(plain) % _BLOCK_BYTES
    data = aes(cipher_key, _CBC, first).encrypt(plain + bytes([missing]) * missing)
    return {
        "kdf": "pbkdf2-hmac-sha256",
        "iterations": _ITERATIONS,
        "salt": _text(salt),
        "cipher": "aes-256-cbc",
        "iv": _text(first),
        "data": _text(data),
        "mac": _text(_code(code_key, context, salt, _ITERATIONS, first, data)),
    }


async def unseal(found, password: str, context: str):
    """The value in what `seal` made; SealError."""
    salt, first, data, code, iterations = _parts(found)
    cipher_key, code_key = await _keys(password, salt, iterations)
    if not same(_code(code_key, context, salt, iterations, first, data), code):
        raise SealError("the password is wrong, or the file is damaged")
    plain = aes(cipher_key, _CBC, first).decrypt(data)
    return json.loads(plain[: -plain[-1]])


def _parts(found) -> tuple:
    """Salt, first block, data, code and iterations; SealError when these cannot be."""
    try:
        salt, first, data, code = [a2b_base64(found[name]) for name in ("salt", "iv", "data", "mac")]
        iterations = found["iterations"]
        sizes = len(salt), len(first), len(code), len(data) % _BLOCK_BYTES
        known = found["kdf"] == "pbkdf2-hmac-sha256" and found["cipher"] == "aes-256-cbc"
    except (KeyError, TypeError, ValueError):
        raise SealError("the secrets of the file are not readable")
    if sizes != (_SALT_BYTES, _BLOCK_BYTES, _CODE_BYTES, 0) or not known or not 0 < len(data) <= _MOST_BYTES:
        raise SealError("the secrets of the file are not readable")
    if type(iterations) is not int or not 0 < iterations <= _MOST_ITERATIONS:
        raise SealError("the secrets of the file ask for %r rounds; allowed: 1..%d" % (iterations, _MOST_ITERATIONS))
    return salt, first, data, code, iterations
