"""Rows of the table of keys: functions of Configuration, loaded when a value is not known yet."""

from ocpp.rare import borrow

_TABLE = borrow("keys").TABLE


def typed(self, key: str):
    """The value of a key; KeyError for an unknown one."""
    row = find(self, key)
    if row is None:
        raise KeyError(key)
    value = text(self, row)
    kind = row[2][0]
    if kind == "i":
        return int(value)
    if kind == "b":
        return value == "true"
    if kind in "sk":
        return value
    return tuple(value.split(",")) if value else ()


def find(self, key: str):
    """[key, access, type, default] of a key in its exact spelling, or None."""
    if " " in key or "\n" in key:
        return None
    head = "\n" + key + " "
    for table in (_TABLE, self._extra):
        start = table.find(head) + 1
        if start:
            row = table[start : table.find("\n", start)].split(" ", 3)
            return row if len(row) == 4 else row + [""]
    return None


def row(self, key: str):
    """[key, access, type, default] of a key in any case (CiString, OCPP 1.6, 7.13), or None."""
    row = find(self, key)
    if row is None:
        lower = key.lower()
        for name in keys(self):
            if name.lower() == lower:
                return find(self, name)
    return row


def keys(self):
    """Yield all keys."""
    for table in (_TABLE, self._extra):
        start = 1
        while start < len(table):
            yield table[start : table.find(" ", start)]
            start = table.find("\n", start) + 1


def text(self, row: list) -> str:
    """The value of a key by its row, as OCPP writes it."""
    return self._changed.get(row[0], row[3])
