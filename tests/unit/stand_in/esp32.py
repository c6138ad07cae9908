"""Stands in for MicroPython's module `esp32`: NVS and flash partitions; a test aid.

NVS keeps what `commit` has made lasting, over `power_cut`. A partition is NOR flash: erased in sectors, and a write
can only clear bits. Partitions are made by tests (`partition`), with the labels of boards/esp32s3/partitions.csv.

An encrypted one keeps what is written under a cipher of 16 bytes that depends on the address, and takes whole blocks of
it at whole addresses (ESP-IDF, flash encryption); what is erased or written twice reads as something else.
"""

from errno import EINVAL, ENOENT
from hashlib import sha256

# Codes of ESP-IDF (nvs.h), which the port raises negative.
_NVS_NOT_FOUND = 0x1102
_NVS_KEY_TOO_LONG = 0x1109
_NVS_INVALID_LENGTH = 0x110C
_INVALID_ARG = 0x102
_INVALID_SIZE = 0x104

# nvs.h: NVS_KEY_NAME_MAX_SIZE and NVS_NS_NAME_MAX_SIZE, both with the closing zero.
_NAME_BYTES = 16
_SECTOR = 4096
_CIPHER_BYTES = 16

_stored = {}
_written = {}
_flash = {}
# The partition whose application runs.
running = "ota_0"


def blank():
    """A chip from the factory."""
    for memory in (_stored, _written, _flash):
        memory.clear()


def power_cut():
    """What was not committed is lost."""
    _written.clear()
    _written.update(_stored)


def partition(label, size, kind=1, encrypted=False):
    """Make a partition of erased flash."""
    _flash[label] = (kind, size, {}, encrypted)


def _ciphered(block, place, back=False):
    """A block under a cipher that stands in for XTS-AES: each byte hangs on the former and a key of the place."""
    key = sha256(b"%d" % place).digest()
    found = bytearray(_CIPHER_BYTES)
    before = key[-1]
    for i in range(_CIPHER_BYTES):
        carried = key[i] + 5 * before
        found[i] = (block[i] - carried if back else block[i] + carried) & 0xFF
        before = block[i] if back else found[i]
    return bytes(found)


def _fail(code, name):
    raise OSError(-code, name)


class NVS:
    """One namespace."""

    def __init__(self, namespace):
        if len(namespace) >= _NAME_BYTES:
            _fail(_NVS_KEY_TOO_LONG, "ESP_ERR_NVS_KEY_TOO_LONG")
        self._namespace = namespace

    def _key(self, key):
        if len(key) >= _NAME_BYTES:
            _fail(_NVS_KEY_TOO_LONG, "ESP_ERR_NVS_KEY_TOO_LONG")
        return self._namespace, key

    def _get(self, key, kind):
        place = self._key(key)
        if not isinstance(_written.get(place), kind):
            _fail(_NVS_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        return _written[place]

    def set_i32(self, key, value):
        """Set a number."""
        _written[self._key(key)] = int(value)

    def get_i32(self, key):
        """A number; OSError when there is none."""
        return self._get(key, int)

    def set_blob(self, key, value):
        """Set bytes."""
        _written[self._key(key)] = bytes(value)

    def get_blob(self, key, buffer):
        """Copy bytes into `buffer` -> their count; OSError when there are none, or more than it holds."""
        found = self._get(key, bytes)
        if len(found) > len(buffer):
            _fail(_NVS_INVALID_LENGTH, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(found)] = found
        return len(found)

    def erase_key(self, key):
        """Forget a value; OSError when there is none."""
        if _written.pop(self._key(key), None) is None:
            _fail(_NVS_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")

    def commit(self):
        """Make lasting."""
        _stored.clear()
        _stored.update(_written)


class Partition:
    """A partition of the flash by its label, or the one that runs."""

    BOOT = 0
    RUNNING = 1
    TYPE_APP = 0
    TYPE_DATA = 1

    def __init__(self, id, block_size=_SECTOR):  # noqa: A002
        label = running if id in (Partition.BOOT, Partition.RUNNING) else id
        if label not in _flash:
            raise OSError(ENOENT)
        self._label = label
        self._block = block_size
        self._kind, self._size, self._sectors, self._encrypted = _flash[label]

    def info(self):
        """(type, subtype, address, size, label, encrypted); addresses are not modelled."""
        return (self._kind, 0x10, 0, self._size, self._label, self._encrypted)

    def _span(self, block, count, offset):
        at = block * self._block + offset
        if at < 0 or at + count > self._size:
            _fail(_INVALID_SIZE, "ESP_ERR_INVALID_SIZE")
        return at

    def readblocks(self, block_num, buf, offset=0):
        """Read."""
        at = self._span(block_num, len(buf), offset)
        if not self._encrypted:
            self._read(at, memoryview(buf))
            return
        first = at // _CIPHER_BYTES * _CIPHER_BYTES
        raw = bytearray(-(-(at + len(buf) - first) // _CIPHER_BYTES) * _CIPHER_BYTES)
        self._read(first, memoryview(raw))
        for place in range(0, len(raw), _CIPHER_BYTES):
            end = place + _CIPHER_BYTES
            raw[place:end] = _ciphered(bytes(raw[place:end]), first + place, back=True)
        buf[:] = raw[at - first : at - first + len(buf)]

    def _read(self, at, view):
        while len(view):
            number, start = divmod(at, _SECTOR)
            count = min(len(view), _SECTOR - start)
            sector = self._sectors.get(number)
            view[:count] = b"\xff" * count if sector is None else sector[start : start + count]
            view = view[count:]
            at += count

    def writeblocks(self, block_num, buf, offset=None):
        """Program, and without an offset erase before."""
        at = self._span(block_num, len(buf), offset or 0)
        data = bytes(buf)
        if self._encrypted:
            if at % _CIPHER_BYTES:
                _fail(_INVALID_ARG, "ESP_ERR_INVALID_ARG")
            if len(data) % _CIPHER_BYTES:
                _fail(_INVALID_SIZE, "ESP_ERR_INVALID_SIZE")
            places = range(0, len(data), _CIPHER_BYTES)
            data = b"".join([_ciphered(data[place : place + _CIPHER_BYTES], at + place) for place in places])
        if offset is None:
            for number in range(at // _SECTOR, -(-(at + len(buf)) // _SECTOR)):
                self._sectors.pop(number, None)
        for index, byte in enumerate(data):
            number, start = divmod(at + index, _SECTOR)
            sector = self._sectors.get(number)
            if sector is None:
                sector = self._sectors[number] = bytearray(b"\xff" * _SECTOR)
            sector[start] &= byte

    def ioctl(self, cmd, arg):
        """The block device protocol."""
        if cmd == 4:
            return self._size // self._block
        if cmd == 5:
            return self._block
        if cmd == 6:
            if self._block != _SECTOR:
                return -EINVAL
            self._span(arg, _SECTOR, 0)
            self._sectors.pop(arg, None)
            return 0
        return 0 if cmd in (1, 2, 3) else None
