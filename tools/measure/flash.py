"""Counts what each operation of the firmware's storage keeps the flash chip busy with: page programs and erases.

Prints a JSON object: operation -> list of [pages, erases], one entry each time it was done. All operations take turns
on one file system, so that its own housekeeping (a full directory is copied to a fresh block) falls into their time.

micropython tools/measure/flash.py
"""

import json
import sys

_HERE = "tools/measure/flash.py"
_FOLDERS = ("firmware", "firmware/lib", "boards/simulator")
_SESSIONS = 300  # fills the history, so that its oldest file is removed
_CHECKPOINTS = 4  # a charge of 2 kWh
_CHECKPOINT_WH = 500
_EVERY_SETTING = 3
_EVERY_TRIP = 5


class _Clock:
    """The time of the log: an hour passes before each entry, so that none is hidden as a repetition."""

    def __init__(self):
        self._ms = 0

    def uptime_ms(self):
        self._ms += 3_600_000
        return self._ms

    def utc_s(self):
        return 1_767_225_600 + self._ms // 1000


class Count:
    """Pages and erases of each operation."""

    def __init__(self, device):
        self._device = device
        self.found = {}

    def of(self, name: str, act) -> None:
        """Do something and note what it cost under `name`; nothing when it wrote nothing."""
        device = self._device
        pages, erases = device.pages, device.erases
        act()
        cost = (device.pages - pages, device.erases - erases)
        if cost != (0, 0):
            self.found.setdefault(name, []).append(cost)


class Wallbox:
    """What of the firmware writes to flash, wired as in wallbox.app."""

    def __init__(self, folder: str):
        from wallbox.access.cards import Cards
        from wallbox.events import EventLog
        from wallbox.storage.sessions import SessionStore
        from wallbox.storage.settings import Settings
        from wallbox.storage.store import Store

        self.log = EventLog(_Clock())
        self.log.attach(folder)
        self.settings = Settings(Store(folder, "settings", 1, self.log), self.log)
        self.cards = Cards(Store(folder, "cards", 1, self.log), self.log)
        self.sessions = SessionStore(folder, self.log)
        self.latches = Store(folder, "latches", 1, self.log)


def _checkpoint(box, step: int):
    return lambda: box.sessions.checkpoint(step * _CHECKPOINT_WH, step * 100)


def _session(count, box, number: int) -> None:
    count.of("session opened", lambda: box.sessions.open({"id_tag": "04A1B2C3D4E5F6", "start_utc": 1767225600}))
    for step in range(1, _CHECKPOINTS + 1):
        count.of("session checkpoint", _checkpoint(box, step))
    count.of("session closed", lambda: box.sessions.close("unplugged", _CHECKPOINTS * _CHECKPOINT_WH, number))


def _warn(box, entries: int) -> None:
    for number in range(entries):
        text = "the control pilot is shorted; check plug and cable (%d mV)" % number
        box.log.add("error", "protection", "fault_pilot_short", text)


def _turn(count, box, number: int) -> None:
    """One day of a busy box."""
    _session(count, box, number)
    if number % _EVERY_SETTING == 0:
        amps = 10 if number % 2 else 16
        count.of("setting changed", lambda: box.settings.update({"rated_a": amps}))
    if len(box.cards.charging) < 100:
        count.of("card registered", lambda: box.cards.add("04%012X" % number))
    if number % _EVERY_TRIP == 0:
        count.of("latch stored or cleared", lambda: box.latches.save(number % 2))
    box.log.flush()
    _warn(box, 1)
    count.of("log written, 1 entry", box.log.flush)
    _warn(box, 6)
    count.of("log written, 6 entries", box.log.flush)


def main() -> None:
    """Count and print."""
    root = __file__[: -len(_HERE)]
    sys.path[:0] = [root + folder for folder in _FOLDERS]
    from installation import INSTALLED

    from hal import flash
    from plant import board
    from plant.plant import Plant

    board.plant = Plant()
    box = Wallbox(flash.mount())
    box.settings.update(INSTALLED)
    count = Count(board.plant.flash_device)
    for number in range(1, _SESSIONS + 1):
        _turn(count, box, number)
    print(json.dumps(count.found))


main()
