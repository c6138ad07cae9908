"""The container of a firmware: a header of 4,096 bytes with a signed manifest, and the ROMFS image behind it."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

MAGIC = b"WBX1"
SECTOR = 4096
LENGTH_BYTES = 2
HALF_BYTES = 32
SIGNATURE_BYTES = 2 * HALF_BYTES
# The order of the group of P-256 (SEC 2, 2.4.2).
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class ContainerError(Exception):
    """A container is not what it should be; the text says why."""


@dataclass
class Container:
    """What a container says, and what it holds."""

    manifest: dict[str, Any]
    key: int
    signature: bytes
    signed: bytes
    romfs: bytes


def manifest(romfs: bytes, board: str, version: str, counter: int, mpy: str, built: str) -> dict[str, Any]:
    """The manifest of an image."""
    return {
        "board": board,
        "built": built,
        "counter": counter,
        "mpy": mpy,
        "sha256": hashlib.sha256(romfs).hexdigest(),
        "size": len(romfs),
        "version": version,
    }


def pack(romfs: bytes, described: dict[str, Any], number: int, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The container of an image, signed with key `number`."""
    text = json.dumps(described, sort_keys=True, separators=(",", ":")).encode()
    signed = MAGIC + len(text).to_bytes(LENGTH_BYTES, "big") + text + bytes((number,))
    if len(signed) + SIGNATURE_BYTES > SECTOR:
        raise ContainerError(f"the manifest has {len(text)} bytes; that is too much for a header")
    # Without chance (RFC 6979): the same image and key give the same container.
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    # Of the two that are right the wallbox takes the one with the smaller s.
    s = min(s, N - s)
    header = signed + r.to_bytes(HALF_BYTES, "big") + s.to_bytes(HALF_BYTES, "big")
    return header.ljust(SECTOR, b"\xff") + romfs


def parse(data: bytes) -> Container:
    """What is in a container, whose content is whole; ContainerError."""
    start = len(MAGIC) + LENGTH_BYTES
    if len(data) < SECTOR or data[: len(MAGIC)] != MAGIC:
        raise ContainerError("this is no container (it does not begin with WBX1 and a header of 4,096 bytes)")
    end = start + int.from_bytes(data[len(MAGIC) : start], "big")
    if end + 1 + SIGNATURE_BYTES > SECTOR or data[end + 1 + SIGNATURE_BYTES : SECTOR].strip(b"\xff"):
        raise ContainerError("the header is damaged")
    try:
        described = json.loads(data[start:end])
        size, digest = described["size"], described["sha256"]
    except (ValueError, TypeError, KeyError) as error:
        raise ContainerError("the manifest is damaged") from error
    romfs = data[SECTOR:]
    if len(romfs) != size:
        raise ContainerError(f"the image has {len(romfs)} bytes; the manifest says {size}")
    if hashlib.sha256(romfs).hexdigest() != digest:
        raise ContainerError("the image is damaged: its SHA-256 is not that of the manifest")
    signature = data[end + 1 : end + 1 + SIGNATURE_BYTES]
    return Container(described, data[end], signature, data[: end + 1], romfs)


def verify(found: Container, key: ec.EllipticCurvePublicKey) -> None:
    """ContainerError unless the owner of `key` has signed it, in the form that a wallbox takes."""
    r, s = (int.from_bytes(found.signature[at : at + HALF_BYTES], "big") for at in (0, HALF_BYTES))
    if 2 * s > N:
        raise ContainerError("the signature has the larger of its two forms, which a wallbox does not take")
    try:
        key.verify(encode_dss_signature(r, s), found.signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise ContainerError("the signature is wrong") from error
