"""The flash of a box on which charge points are made, for tests that need no link."""

from ocpp_help import Clock, Station
from storage_help import Log

from ocpp.charge_point import ChargePoint
from ocpp.configuration import Configuration
from wallbox.storage.store import Store

A = {"url": "ws://a.example/ocpp", "identity": "CP-1", "password": ""}


class Box(Station):
    """The parts of a station that one needs that only begins."""

    def set_operative(self, operative):
        self.calls.append(("operative", operative))


class Place:
    """The flash of a box; `made` boots it for a central system."""

    def __init__(self, folder):
        self.folder = folder
        self.log = Log()
        self.clock = Clock()
        self.writes = 0
        self.refuses = False

    def store(self, name):
        store = Store(self.folder, name, 1, self.log)
        save = store.save

        def counted(value):
            if self.refuses:
                raise OSError(5)
            self.writes += save(value) is not False

        store.save = counted
        return store

    def config(self):
        return Configuration(self.store("ocpp_config"))

    def made(self, target=A):
        self.station = Box()
        return ChargePoint(
            self.station, self.config(), self.clock, self.log, self.store, self.folder, None, bytes, target
        )

    def logged(self, code):
        """The texts of the entries with that code."""
        return [entry[3] for entry in self.log.entries if entry[2] == code]
