"""Writes a wallbox's identity with the firmware's own code: into a flash image of the simulator, or as files.

Run by tools/provision, on MicroPython. The identity comes on stdin, so that no list of processes shows it.
"""

import json
import sys

_HERE = "boards/simulator/provision.py"
_FOLDERS = ("firmware", "firmware/lib", "boards/simulator", ".venv/micropython")
_VERSION = 1  # of cards on flash, as in wallbox.app
_EXIT_FAILED = 1


class ProvisionError(Exception):
    """What the wallbox has already, or cannot have."""


class _NoLog:
    """Stands in for the event log, which starts with the first start of the firmware."""

    def add(self, level, source, code, text, **_context) -> None:
        if level == "error":
            raise ProvisionError(text)


def _write(folder: str, given: dict, again: bool) -> None:
    from wallbox.access.cards import Cards
    from wallbox.installer import identity
    from wallbox.storage.store import Store

    log = _NoLog()
    setup_card = given.pop("setup_card", None)
    store = Store(folder, "identity", identity._VERSION, log)
    found = store.load()
    if found is not None and not (again and found["serial"] == given["serial"]):
        raise ProvisionError("it has the identity of %s already" % found["serial"])
    store.save(given)
    # What the firmware will find at its first start.
    if identity.load(folder, log) != given:
        raise ProvisionError("the firmware does not take this identity")
    if setup_card:
        try:
            Cards(Store(folder, "cards", _VERSION, log), log).set_setup(setup_card)
        except ValueError as error:
            raise ProvisionError(str(error))


def main() -> int:
    """provision.py image|folder PATH new|again -> exit code; what failed is told on stderr."""
    if not __file__.endswith(_HERE):
        raise ProvisionError("start it as micropython " + _HERE)
    root = __file__[: -len(_HERE)]
    sys.path[:0] = [root + folder for folder in _FOLDERS]
    kind, path, how = sys.argv[1:]
    given = json.loads(sys.stdin.readline())
    from plant import board
    from plant.plant import Plant

    # The modules of the firmware import the board's; only a flash image needs more of it.
    board.plant = Plant(0, path if kind == "image" else None)
    if kind == "folder":
        _write(path, given, how == "again")
        return 0
    import hal.flash

    folder = hal.flash.mount()
    try:
        _write(folder, given, how == "again")
    finally:
        hal.flash.unmount()
    return 0


try:
    sys.exit(main())
except (ProvisionError, OSError, ValueError) as error:
    print(error, file=sys.stderr)
    sys.exit(_EXIT_FAILED)
