"""Task `installer`: waits for an app and only then loads what serves it; it answers nothing itself."""

import asyncio
import json
import sys

import hal.system
from wallbox import VERSION
from wallbox.storage.store import Store
from wallbox.timer import unwatched

_FOLDER = "wallbox.installer"
_SELF = _FOLDER + ".server"
# What every connection needs.
_NEEDED = ("errors", "frames", "commands", "link")
# A file of this name orders the next start to erase everything (see `erase`).
ERASE_MARK = "erase"
# A value of this name tells which backup is being taken over, and what of it (see `restore`).
RESTORE_MARK = "restoring"


class Installer:
    """`app` is the composition root, `ble` the board's radio.

    `locks` keeps, while no app is connected, until when the tries of a name are refused (see `guard`).
    """

    def __init__(self, app, ble):
        self._app = app
        self.ble = ble
        self.locks = {}
        self.link = None
        ble.may_pair = self._may_pair
        ble.paired = self._paired

    def complete(self) -> None:
        """Before anything runs: go on with a restore that a power cut has cut off (R35)."""
        found = Store(self._app.folder, RESTORE_MARK, 1, self._app.log).load()
        if found is not None:
            load("restore").complete(self._app, found)
            self._let_go()

    def advertise(self) -> None:
        """Show name and state of the box on the air, as they are now."""
        settings = self._app.settings
        identity = load("identity").load(self._app.folder, self._app.log)
        info = {
            "protocol": 1,
            "product": "wallbox",
            "serial": identity["serial"],
            "version": VERSION,
            "commissioned": settings["wizard_complete"],
        }
        self.ble.configure(settings["name"], identity["passkey"], json.dumps(info).encode())
        self._let_go()

    def settings_changed(self, keys) -> None:
        """A listener of the settings."""
        if "name" in keys or "wizard_complete" in keys:
            self.advertise()

    def _may_pair(self) -> bool:
        may = load("guard").may_pair(self._app, self.locks)
        self._let_go()
        return may

    def _paired(self, ok: bool) -> None:
        load("guard").paired(self._app, self.locks, ok)
        self._let_go()

    def somebody_there(self) -> None:
        """Somebody is at the box, so a passkey may be tried again (see `guard`)."""
        load("guard").present(self._app, self.locks)
        self._let_go()

    def _let_go(self) -> None:
        """Let go of the modules that serve an app, unless one is connected."""
        if self.link is not None:
            return
        start = len(_FOLDER) + 1
        forget([name[start:] for name in sys.modules if name.startswith(_FOLDER + ".") and name != _SELF])

    async def run(self, beat=unwatched) -> None:
        """Serve one app after the other; ends only by cancellation."""
        if hal.system.reset_cause() == "power_on":
            self.somebody_there()
        self.advertise()
        while True:
            beat(None)
            radio = await self.ble.accept()
            # One at a time, as each takes a millisecond and more.
            for name in _NEEDED:
                load(name)
                await asyncio.sleep_ms(0)
            self.link = load("link").Link(self._app, radio, self)
            try:
                await self.link.serve()
            finally:
                self.link.close()
                self.link = None
                radio.disconnect()
                self._let_go()


def load(name: str):
    """The installer's module `name`."""
    return __import__(_FOLDER + "." + name, None, None, ("x",))


def forget(names) -> None:
    """Let go of the installer's modules `names`, those that are loaded."""
    package = sys.modules[_FOLDER]
    for name in names:
        sys.modules.pop(_FOLDER + "." + name, None)
        if hasattr(package, name):
            delattr(package, name)
