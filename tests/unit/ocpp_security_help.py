"""What the tests of security and certificates share: a box with flash, credentials and a link that notes things."""

import json
import os

from ocpp_help import Point
from storage_help import scratch
from virtual_time import Record

from ocpp.configuration import Configuration
from ocpp.security import Security


class Flash:
    """The values of a box's stores, whole or not at all; `refuses` makes every save fail."""

    def __init__(self):
        self.values = {}
        self.refuses = False

    def store(self, name):
        def load():
            return json.loads(self.values[name]) if name in self.values else None

        def save(value):
            if self.refuses:
                raise OSError(28)
            self.values[name] = json.dumps(value)

        return Record(load=load, save=save)


class Box(Point):
    """One boot of a box; `flash` and `folder` outlive it."""

    def __init__(self, name, flash=None, target=None, folder=None, **preset):
        super().__init__()
        self.name = name
        self.flash = flash or Flash()
        self.folder = folder or scratch(name)
        self.stores = self.flash.store
        self.config = Configuration(self.stores("ocpp_config"))
        if preset:
            self.config.preset(preset)
        self.reconnects = 0
        self.after = []
        self.link = Record(reconnect=self._reconnect, ssl=None)
        self.given = target or {"url": "ws://csms.example/ocpp", "identity": "S1", "password": None}
        self.security = Security(self, self.given)

    def random(self, count):
        return os.urandom(count)

    def _reconnect(self):
        self.reconnects += 1

    def later(self, function, *arguments):
        self.after.append((function, arguments))

    async def answered(self):
        """The answer to the present CALL has been sent."""
        while self.after:
            function, arguments = self.after.pop(0)
            await function(*arguments)

    def again(self, target=None):
        """The box after a restart."""
        return Box(self.name, self.flash, target or self.given, self.folder)

    def told(self):
        """The security events that were sent."""
        return [payload for _, action, payload in self.sent if action == "SecurityEventNotification"]

    def kinds(self):
        return [payload["type"] for payload in self.told()]

    def recorded(self):
        """The types in the security log."""
        return [line.decode().split()[2] for line in self.security.log_pieces()]
