"""What a wallbox has on its flash when it is delivered or installed; written as the firmware itself would."""

from micropython import const

import hal.flash
from wallbox.access.cards import Cards
from wallbox.storage.settings import Settings
from wallbox.storage.store import Store

_VERSION = const(1)  # of cards, settings and OCPP keys on flash, as in wallbox.app
_PAGE_BYTES = const(256)
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


def write(settings: dict, card: bool) -> dict:
    """Store settings, and the setup card if asked -> all of them; ValueError when they are not allowed.

    Beside settings of the firmware there may be "ocpp", an object of OCPP configuration keys, and "ocpp_certificates",
    one of PEM texts: "root" (of the central system), "manufacturer", "client" and "client_key".
    """
    settings = dict(settings)
    keys = settings.pop("ocpp", {})
    certificates = settings.pop("ocpp_certificates", {})
    folder = hal.flash.mount()
    try:
        log = _NoLog()
        if keys or certificates:
            _preset_backend(folder, log, keys, certificates)
        if card:
            Cards(Store(folder, "cards", _VERSION, log), log).set_setup(SETUP_CARD)
        stored = Settings(Store(folder, "settings", _VERSION, log), log)
        if settings:
            stored.update(settings)
        return stored.as_dict()
    finally:
        hal.flash.unmount()


def _preset_backend(folder: str, log, keys, certificates) -> None:
    """Store what a central system would have set, or an installer have brought along; ValueError."""
    from wallbox.backend import presets, wiring

    for name, value in (("ocpp", keys), ("ocpp_certificates", certificates)):
        if not isinstance(value, dict):
            raise ValueError(
                '%s: %r is not allowed; allowed: an object such as {"HeartbeatInterval": 60}' % (name, value)
            )
    if keys:
        try:
            wiring.configuration(folder, log).preset(keys)
        except ValueError as error:
            raise ValueError("ocpp: %s" % error)
    if certificates:
        presets.preset(folder, log, certificates)
