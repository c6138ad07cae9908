"""Keys that sign firmware: PEM files, and the table of public keys that is compiled into the firmware."""

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sign.container import ContainerError

# Signs for the simulator and for boards on a desk. It is public, so a box that people use must not take it.
DEVELOPMENT = Path(__file__).parent / "development-key.pem"
DEVELOPMENT_NUMBER = 0
NUMBERS = range(256)
OWNER_ONLY = 0o600


def generate(path: Path) -> ec.EllipticCurvePrivateKey:
    """Make a key in a file that only its owner may read; FileExistsError rather than overwriting one."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb") as file:
        file.write(pem)
    return key


def private(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key in a PEM file; ContainerError when it is none on P-256."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise ContainerError(f"{path}: no private key without a password can be read there") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ContainerError(f"{path}: the key is not on the curve P-256")
    return key


def public(path: Path) -> ec.EllipticCurvePublicKey:
    """The public key in a PEM file, which may hold the private one."""
    data = path.read_bytes()
    if b"PRIVATE KEY" in data:
        return private(path).public_key()
    try:
        key = serialization.load_pem_public_key(data)
    except ValueError as error:
        raise ContainerError(f"{path}: no public key can be read there") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ContainerError(f"{path}: the key is not on the curve P-256")
    return key


def table(keys: dict[int, ec.EllipticCurvePublicKey]) -> str:
    """The firmware's module of these keys (firmware/wallbox/update/keys.py)."""
    rows = []
    for number in sorted(keys):
        point = keys[number].public_numbers()
        rows += [f"    {number}: (", f"        0x{point.x:064X},", f"        0x{point.y:064X},", "    ),"]
    names = "with the development key" if set(keys) == {DEVELOPMENT_NUMBER} else "of production"
    return "\n".join(
        [
            f'"""The public keys whose firmware is taken, {names}: number -> (x, y). Made by `sign table`."""',
            "",
            "KEYS = {",
            *rows,
            "}",
            "",
        ]
    )
