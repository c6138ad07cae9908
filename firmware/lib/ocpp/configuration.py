"""The configuration of a charge point: typed values by key, checked when changed, kept when not the default."""

from ocpp.rare import Rare, borrow


class Configuration(Rare):
    """`config["HeartbeatInterval"]` is an int, bool, str, or of a list a tuple of names; KeyError for an unknown key.

    `store` keeps the values that are not the default, and which the host has set. `extra` are further rows as in
    `keys`, and `measurands` the names of those that the station has. `listeners` are functions f(key), called after a
    value has changed. A stored value that is not allowed any more is the default again, and `refused` names its key.
    """

    RARE = "rows row keys text\nvalues listing change preset take forget"

    def __init__(self, store, extra=(), measurands=()):
        self.listeners = []
        self.refused = []
        self._store = store
        self._extra = "\n" + "\n".join(extra) + "\n" if extra else ""
        self._measurands = measurands
        # Texts of what is not the default, by key.
        self._changed = {}
        # Typed values of keys that were read since they changed; some are read every second.
        self._values = {}
        stored = store.load()
        if stored:
            borrow("values").restore(self, stored)

    def __getitem__(self, key: str):
        if key not in self._values:
            self._values[key] = borrow("rows").typed(self, key)
        return self._values[key]
