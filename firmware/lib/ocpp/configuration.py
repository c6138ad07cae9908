"""The configuration of a charge point: typed values by key, checked when changed, kept when not the default."""

from ocpp.rare import borrow


class Configuration:
    """`config["HeartbeatInterval"]` is an int, bool, str, or of a list a tuple of names; KeyError for an unknown key.

    `store` keeps the values that are not the default. `extra` are further rows as in `keys`, and `measurands` the names
    of those that the station has. `listeners` are functions f(key), called after a value has changed. A stored value
    that is not allowed any more is the default again, and `refused` names its key.
    """

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
        self._restore(store.load() or {})

    def _restore(self, stored: dict) -> None:
        values = borrow("values") if stored else None
        for key, text in stored.items():
            row = self.row(key)
            try:
                if row is None:
                    raise ValueError
                self._changed[row[0]] = values.normal(row[2], text, self._measurands)
            except ValueError:
                self.refused.append(key)

    def __getitem__(self, key: str):
        if key not in self._values:
            self._values[key] = self._typed(key)
        return self._values[key]

    def _typed(self, key: str):
        row = self._find(key)
        if row is None:
            raise KeyError(key)
        text = self.text(row)
        kind = row[2][0]
        if kind == "i":
            return int(text)
        if kind == "b":
            return text == "true"
        if kind in "sk":
            return text
        return tuple(text.split(",")) if text else ()

    def _find(self, key: str):
        """[key, access, type, default] of a key in its exact spelling, or None."""
        if " " in key or "\n" in key:
            return None
        head = "\n" + key + " "
        for table in (borrow("keys").TABLE, self._extra):
            start = table.find(head) + 1
            if start:
                row = table[start : table.find("\n", start)].split(" ", 3)
                return row if len(row) == 4 else row + [""]
        return None

    def row(self, key: str):
        """[key, access, type, default] of a key in any case (CiString, OCPP 1.6, 7.13), or None."""
        row = self._find(key)
        if row is None:
            lower = key.lower()
            for name in self.keys():
                if name.lower() == lower:
                    return self._find(name)
        return row

    def keys(self):
        """Yield all keys."""
        for table in (borrow("keys").TABLE, self._extra):
            start = 1
            while start < len(table):
                yield table[start : table.find(" ", start)]
                start = table.find("\n", start) + 1

    def text(self, row: list) -> str:
        """The value of a key by its row, as OCPP writes it."""
        return self._changed.get(row[0], row[3])

    def listing(self, keys=()) -> dict:
        """The payload of GetConfiguration.conf: of the keys asked for, or of all, that may be read.

        A secret is left out, or, when asked for by name, listed without its value.
        """
        return borrow("values").listing(self, keys)

    def change(self, key: str, text: str) -> str:
        """Take over what the central system wants: "Accepted", "RebootRequired", "Rejected" or "NotSupported".

        OSError when flash refuses; nothing has changed then.
        """
        row = self.row(key)
        if row is None:
            return "NotSupported"
        if row[1] == "r":
            return "Rejected"
        try:
            text = borrow("values").normal(row[2], text, self._measurands)
        except ValueError:
            return "Rejected"
        # Security whitepaper, A00: a profile is only ever raised.
        if row[0] == "SecurityProfile" and int(text) <= self["SecurityProfile"]:
            return "Rejected"
        self._take({row[0]: text})
        return "RebootRequired" if row[1] == "b" else "Accepted"

    def preset(self, wanted: dict) -> None:
        """Set values on the host's behalf, typed or as text, read-only keys too; all or, at an error, none.

        ValueError naming key, value and what is allowed; OSError when flash refuses.
        """
        values = borrow("values")
        texts = {}
        for key, value in wanted.items():
            row = self._find(key)
            if row is None:
                raise ValueError("%s: no such key" % key)
            text = values.plain(value)
            try:
                texts[key] = values.normal(row[2], text, self._measurands)
            except ValueError as error:
                shown = "secret" if row[1] == "s" else "'%s'" % text
                raise ValueError("%s: %s; allowed: %s" % (key, shown, error))
        self._take(texts)

    def _take(self, texts: dict) -> None:
        """Store what is different, then tell the listeners."""
        changed = dict(self._changed)
        different = []
        for key, text in texts.items():
            row = self.row(key)
            if row is None or text == self.text(row):
                continue
            different.append(key)
            if text == row[3]:
                changed.pop(key, None)
            else:
                changed[key] = text
        if not different:
            return
        self._store.save(changed)
        self._changed = changed
        for key in different:
            self._values.pop(key, None)
        for key in different:
            for listener in self.listeners:
                listener(key)
