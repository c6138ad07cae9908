"""Stands in for aioble.security: bonds in a JSON file, which it stores whenever NimBLE asks."""

import json
from binascii import hexlify, unhexlify

from bluetooth import IRQ_GET_SECRET, IRQ_SET_SECRET

from .core import register_irq_handler

_secrets = {}
_path = None


def load_secrets(path=None):
    """Forget all, and read what the file `path` (else the former one) holds."""
    global _path
    _path = path or _path or "ble_secrets.json"
    _secrets.clear()
    try:
        with open(_path) as file:
            for kind, key, value in json.load(file):
                _secrets[kind, unhexlify(key)] = unhexlify(value)
    except OSError:
        # There is none yet.
        return


def _save():
    rows = [(kind, hexlify(key).decode(), hexlify(value).decode()) for (kind, key), value in _secrets.items()]
    with open(_path or "ble_secrets.json", "w") as file:
        json.dump(rows, file)


def _irq(event, data):
    if event == IRQ_SET_SECRET:
        kind, key, value = data
        if value is None:
            return _secrets.pop((kind, bytes(key)), None) is not None
        _secrets[kind, bytes(key)] = bytes(value)
        _save()
        return True
    if event == IRQ_GET_SECRET:
        kind, _index, key = data
        return _secrets.get((kind, bytes(key)))
    return None


register_irq_handler(_irq, None)
