"""One small value kept in two checksummed copies; reading it never raises, whatever is found on flash."""

import json
import os
import struct
from binascii import crc32

from micropython import const

_MAGIC = b"WBST"
_HEADER = "<4sHIII"
_HEADER_BYTES = const(18)
_NO_HEADER = bytes(_HEADER_BYTES)
# Bounds memory and the time flash is busy; the largest value, 100 cards of 10 bytes, takes 2.4 KB.
_PAYLOAD_BYTES = const(8192)
_ENOENT = const(2)


def _header(version: int, sequence: int, payload) -> bytes:
    fields = struct.pack("<HII", version, sequence, len(payload))
    return _MAGIC + fields + struct.pack("<I", crc32(payload, crc32(fields)))


def write_copy(path: str, version: int, sequence: int, payload) -> None:
    """Write one checksummed file, whole or not at all; OSError when flash refuses."""
    with open(path, "wb") as file:
        file.write(_header(version, sequence, payload))
        file.write(payload)


def read_copy(path: str):
    """(version, sequence, payload) of one file, None when there is none, or a text saying what is wrong."""
    try:
        if os.stat(path)[6] > _HEADER_BYTES + _PAYLOAD_BYTES:
            return "too long"
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        return None if error.errno == _ENOENT else "unreadable (%s)" % error
    payload = memoryview(data)[_HEADER_BYTES:]
    magic, version, sequence, length, check = struct.unpack(
        _HEADER, (data[:_HEADER_BYTES] + _NO_HEADER)[:_HEADER_BYTES]
    )
    if magic != _MAGIC or len(payload) != length or crc32(payload, crc32(data[4:14])) != check:
        return "damaged"
    return version, sequence, payload


class Store:
    """Keeps one JSON value under `folder/name.0` and `folder/name.1`, written in turn.

    `version` (0..65535) is the version of the value's form: a copy of any other version is not read, and
    not overwritten before a save of this version is safe in the other copy. While `trial` is set, for all stores, it is
    not overwritten at all, since the firmware that reads it may come back (R29).
    """

    trial = False

    def __init__(self, folder: str, name: str, version: int, log):
        self._path = folder + "/" + name + "."
        self._name = name
        self._version = version
        self._log = log
        self._slot = None
        self._sequence = 0

    def load(self):
        """The newest value whole and of this version, or None; what had to be given up is logged."""
        best = newest = None
        wrong = []
        for slot in (0, 1):
            found = self._read(slot)
            if found is None:
                continue
            if isinstance(found, str):
                wrong.append("copy %d %s" % (slot, found))
                continue
            version, sequence, value = found
            newest = max(newest or (0, 0), (sequence, slot))
            if version != self._version:
                wrong.append("copy %d has version %d, not %d" % (slot, version, self._version))
            elif best is None or sequence > best[0]:
                best = sequence, slot, value
        self._sequence, self._slot = newest or (0, 1)
        if best:
            self._slot = best[1]
        if wrong:
            text = "%s: %s; " % (self._name, ", ".join(wrong))
            if best:
                self._log.add("warning", "storage", "copy_lost", text + "save %d used" % best[0])
            else:
                self._log.add("error", "storage", "value_lost", text + "stored value lost")
        return best[2] if best else None

    def _read(self, slot: int):
        """(version, sequence, value) of a copy, None when there is none, or a text saying what is wrong."""
        found = read_copy(self._path + str(slot))
        if not isinstance(found, tuple):
            return found
        version, sequence, payload = found
        if version != self._version:
            return version, sequence, None
        try:
            # MicroPython takes any buffer.
            return version, sequence, json.loads(payload)  # type: ignore
        except ValueError:
            return "not JSON"

    def save(self, value) -> bool:
        """Store `value` whole or not at all; False when it is stored already and nothing was written.

        OSError when flash refuses: the former value is still there. ValueError when it is too long.
        """
        payload = json.dumps(value).encode()
        if len(payload) > _PAYLOAD_BYTES:
            raise ValueError("%s: %d bytes; allowed: up to %d" % (self._name, len(payload), _PAYLOAD_BYTES))
        if self._slot is None:
            self.load()
        if self._holds(payload):
            return False
        slot = 1 - (self._slot or 0)
        if Store.trial and self._is_foreign(slot):
            slot = 1 - slot
        sequence = self._sequence + 1
        write_copy(self._path + str(slot), self._version, sequence, payload)
        self._slot = slot
        self._sequence = sequence
        return True

    def _is_foreign(self, slot: int) -> bool:
        found = read_copy(self._path + str(slot))
        return isinstance(found, tuple) and found[0] != self._version

    def _holds(self, payload: bytes) -> bool:
        try:
            with open(self._path + str(self._slot), "rb") as file:
                data = file.read(_HEADER_BYTES + len(payload) + 1)
        except OSError:
            return False
        return data == _header(self._version, self._sequence, payload) + payload
