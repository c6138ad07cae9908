"""Keeps over restarts that the SIM card has refused its PIN; loaded for one use."""

from binascii import crc32

from micropython import const

from wallbox.storage.store import Store

_VERSION = const(1)


def _store(app) -> Store:
    return Store(app.folder, "sim", _VERSION, app.log)


def refused(app) -> bool:
    """Whether it is the PIN of the settings that was refused."""
    return _store(app).load() == crc32(app.settings["sim_pin_password"].encode())


def keep(app, is_refused: bool) -> None:
    """Keep that the PIN of the settings was refused, or that none is."""
    try:
        _store(app).save(crc32(app.settings["sim_pin_password"].encode()) if is_refused else None)
    except OSError as error:
        app.log.add("error", "network", "not_stored", "that a PIN is refused was not stored: %s" % error)
