"""The header of a container: what the firmware behind it is, and who has signed it; whether that is true, others say.

Bytes 0..3 "WBX1", 4..5 length of the manifest (big endian), the manifest as JSON, the key's number (1 byte), an ECDSA
P-256 signature (r and s, 32 bytes each) over the SHA-256 of all before it, and 0xFF up to 4096.
"""

import json
import sys
from binascii import unhexlify
from hashlib import sha256

from micropython import const

SECTOR = 4096
MAGIC = b"WBX1"
_START = const(6)
_KEY_BYTES = const(1)
_SIGNATURE_BYTES = const(64)
_SHA256_BYTES = const(32)
_COUNTER_MAX = const(0xFFFFFFFF)
_SIZE_MAX = const(1 << 24)
_TEXT_CHARS = const(40)
_FIELDS = ("board", "built", "counter", "mpy", "sha256", "size", "version")


class Refused(ValueError):
    """A container cannot be used: `code` for programs, the text for people."""

    def __init__(self, code: str, text: str):
        super().__init__(text)
        self.code = code


class Header:
    """`size` bytes of ROMFS with that `sha256` for `board` and `mpy`; `digest` is what key `key` has signed."""

    def __init__(self, manifest: dict, key: int, signature: bytes, digest: bytes):
        self.board = manifest["board"]
        self.version = manifest["version"]
        self.counter = manifest["counter"]
        self.mpy = manifest["mpy"]
        self.built = manifest["built"]
        self.size = manifest["size"]
        self.sha256 = unhexlify(manifest["sha256"])
        self.key = key
        self.signature = signature
        self.digest = digest


def mpy() -> str:
    """The form of compiled code that this interpreter takes, such as "6.3"."""
    found = sys.implementation._mpy  # type: ignore
    return "%d.%d" % (found & 0xFF, found >> 8 & 3)


def parse(sector) -> Header:
    """The Header in the first 4096 bytes of a container; Refused with the reason."""
    if len(sector) < SECTOR:
        raise Refused("truncated", "the container ends within its header, after %d bytes" % len(sector))
    if bytes(sector[: len(MAGIC)]) != MAGIC:
        raise Refused("magic", "this is no firmware for a wallbox (it does not begin with WBX1)")
    length = int.from_bytes(sector[len(MAGIC) : _START], "big")
    end = _START + length + _KEY_BYTES
    if not length or end + _SIGNATURE_BYTES > SECTOR:
        raise Refused("damaged", "the container's header is damaged (a manifest of %d bytes)" % length)
    filling = bytes(sector[end + _SIGNATURE_BYTES :])
    if filling.strip(b"\xff"):
        raise Refused("damaged", "the container's header is damaged (its filling)")
    manifest = _manifest(bytes(sector[_START : _START + length]))
    digest = sha256(bytes(sector[:end])).digest()
    return Header(manifest, sector[end - 1], bytes(sector[end : end + _SIGNATURE_BYTES]), digest)


def _manifest(text: bytes) -> dict:
    try:
        found = json.loads(text)
    except ValueError:
        raise Refused("damaged", "the container's manifest is damaged (no JSON)")
    if not isinstance(found, dict):
        raise Refused("damaged", "the container's manifest is damaged (no object)")
    for name in _FIELDS:
        if name not in found or not _right(name, found[name]):
            raise Refused("damaged", "the container's manifest is damaged (%s)" % name)
    return found


def _right(name: str, value) -> bool:
    if name == "counter":
        return type(value) is int and 0 <= value <= _COUNTER_MAX
    if name == "size":
        return type(value) is int and 0 < value <= _SIZE_MAX
    if not isinstance(value, str):
        return False
    if name == "sha256":
        return len(value) == 2 * _SHA256_BYTES and not value.strip("0123456789abcdef")
    return 0 < len(value) <= _TEXT_CHARS and "\n" not in value
