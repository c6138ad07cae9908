"""What tells this wallbox from all others: serial, the passkey of its label, its key. Drawn once, kept for ever."""

from binascii import hexlify

import hal.system
from wallbox.storage.store import Store

_VERSION = 1
_DIGITS = 6
_KEY_BYTES = 32


def load(folder: str, log) -> dict:
    """{"serial", "passkey": six digits, "key": 32 bytes in hex}; drawn at the first start, unless production wrote it.

    When flash refuses to keep what was drawn it is logged, and the next start draws again.
    """
    store = Store(folder, "identity", _VERSION, log)
    found = store.load()
    if isinstance(found, dict) and _is_whole(found):
        return found
    # Twelve bytes: the remainder favours no passkey that anybody could measure.
    # Not 000000, with which some Bluetooth stacks cannot pair.
    passkey = 1 + int.from_bytes(hal.system.random_bytes(12), "big") % (10**_DIGITS - 1)
    key = hexlify(hal.system.random_bytes(_KEY_BYTES))
    drawn = {"serial": hal.system.serial(), "passkey": "%06d" % passkey, "key": str(key, "ascii")}
    try:
        store.save(drawn)
        log.add("info", "installer", "identity_drawn", "serial %s has drawn passkey and key" % drawn["serial"])
    except OSError as error:
        log.add("error", "installer", "identity_not_stored", "passkey and key could not be stored: %s" % error)
    return drawn


def _is_whole(found: dict) -> bool:
    passkey, key = found.get("passkey"), found.get("key")
    return (
        isinstance(found.get("serial"), str)
        and isinstance(passkey, str)
        and len(passkey) == _DIGITS
        and passkey.isdigit()
        and isinstance(key, str)
        and len(key) == 2 * _KEY_BYTES
    )
