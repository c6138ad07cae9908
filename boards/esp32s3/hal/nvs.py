"""What the chip keeps outside the file system: small values by name, in the partition "nvs".

Each is written as a whole: after a power cut it is the old one or the new one (ESP-IDF, non-volatile storage library).
A formatted or lost file system does not touch them.
"""

import esp32
from micropython import const

_NAMESPACE = "wallbox"
# The largest value of ours is the record of the firmware slots.
_VALUE_BYTES = const(256)
# ESP_ERR_NVS_NOT_FOUND of ESP-IDF's nvs.h, negative as MicroPython raises it.
_NOT_FOUND = const(-0x1102)


def load(key: str):
    """The bytes stored under `key`, None when there are none; OSError when flash fails."""
    buf = bytearray(_VALUE_BYTES)
    try:
        return bytes(memoryview(buf)[: esp32.NVS(_NAMESPACE).get_blob(key, buf)])
    except OSError as error:
        if error.errno == _NOT_FOUND:
            return None
        raise


def save(key: str, value) -> None:
    """Store up to 256 bytes under `key`, a name of up to 15 characters.

    ValueError for more bytes, OSError when flash fails.
    """
    if len(value) > _VALUE_BYTES:
        raise ValueError("value: %d bytes are not allowed; allowed: 0 to %d" % (len(value), _VALUE_BYTES))
    namespace = esp32.NVS(_NAMESPACE)
    namespace.set_blob(key, value)
    namespace.commit()


def erase(key: str) -> None:
    """Forget what is stored under `key`; harmless when nothing is."""
    namespace = esp32.NVS(_NAMESPACE)
    try:
        namespace.erase_key(key)
    except OSError as error:
        if error.errno != _NOT_FOUND:
            raise
        return
    namespace.commit()
