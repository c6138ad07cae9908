"""What a wallbox has on its flash when it is delivered or installed; written as the firmware itself would."""

from micropython import const

import hal.flash
from wallbox.access.cards import Cards
from wallbox.storage.settings import Settings
from wallbox.storage.store import Store

_VERSION = const(1)  # of cards, settings and OCPP keys on flash, as in wallbox.app
_PAGE_BYTES = const(256)
_OCPP_KEYS = "ocpp_config"  # the store of OCPP configuration keys that are not the default, as texts
SETUP_CARD = "04A1B2C3D4E5F6"
# A finished installation: a house with a main fuse of 3 x 25 A, a meter, and the full current allowed.
INSTALLED = {
    "wizard_complete": True,
    "phases": 3,
    "rated_a": 32,
    "connection_a": 25,
    "meter_model": "pro380",
    "load_optimisation": True,
    "access_control": False,
}


class _NoLog:
    """Stands in for the event log, which starts with the first start of the firmware."""

    def add(self, level, source, code, text, **_context) -> None:
        if level == "error":
            raise OSError("%s: %s" % (code, text))


def is_blank(flash) -> bool:
    """Whether the flash holds no file system: littlefs has its superblock in one of the first two blocks."""
    page = bytearray(_PAGE_BYTES)
    for block in (0, 1):
        flash.readblocks(block, page)
        if page != b"\xff" * _PAGE_BYTES:
            return False
    return True


def _text(key: str, value) -> str:
    """An OCPP configuration value as OCPP writes it and as the firmware stores it; ValueError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, str)):
        return str(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ",".join(value)
    raise ValueError(
        "ocpp: %s: %r is not allowed; allowed: a number, true, false, text or list of texts" % (key, value)
    )


def write(settings: dict, card: bool) -> dict:
    """Store settings, and the setup card if asked -> all of them; ValueError when they are not allowed.

    A member "ocpp" is no setting but holds OCPP configuration keys; whether their values are allowed the firmware finds.
    """
    ocpp = settings.pop("ocpp", {})
    if not isinstance(ocpp, dict):
        raise ValueError('ocpp: %r is not allowed; allowed: an object such as {"HeartbeatInterval": 60}' % (ocpp,))
    keys = {key: _text(key, value) for key, value in ocpp.items()}
    folder = hal.flash.mount()
    try:
        log = _NoLog()
        if keys:
            Store(folder, _OCPP_KEYS, _VERSION, log).save(keys)
        if card:
            Cards(Store(folder, "cards", _VERSION, log), log).set_setup(SETUP_CARD)
        stored = Settings(Store(folder, "settings", _VERSION, log), log)
        if settings:
            stored.update(settings)
        return stored.as_dict()
    finally:
        hal.flash.unmount()
