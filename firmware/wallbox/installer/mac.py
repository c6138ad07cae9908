"""HMAC-SHA256 (RFC 2104) of what comes in pieces."""

from hashlib import sha256

from micropython import const

BLOCK_BYTES = const(64)  # of SHA-256
IPAD = const(0x36)
OPAD = const(0x5C)


def pad(key: bytes, with_byte: int) -> bytes:
    """The key of up to 64 bytes as a block of the hash."""
    block = bytearray(BLOCK_BYTES)
    for i in range(BLOCK_BYTES):
        block[i] = (key[i] if i < len(key) else 0) ^ with_byte
    return bytes(block)


class Mac:
    """The code under `key`, of up to 64 bytes."""

    def __init__(self, key: bytes):
        self._outer = pad(key, OPAD)
        self._inner = sha256(pad(key, IPAD))

    def update(self, data) -> None:
        """Add what comes next."""
        self._inner.update(data)

    def digest(self) -> bytes:
        """The 32 bytes of the code; once, at the end."""
        return sha256(self._outer + self._inner.digest()).digest()


def mac(key: bytes, data) -> bytes:
    """The code of `data` under `key`."""
    code = Mac(key)
    code.update(data)
    return code.digest()
