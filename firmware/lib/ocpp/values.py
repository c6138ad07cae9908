"""Checks, lists and keeps values of configuration keys; loaded only while one is changed or asked for.

What is kept is the text of each key that has not its default, and under "" those of the keys that the host has set.
"""

from micropython import const

from ocpp.rare import borrow

# OCPP 1.6, 9.1.8: connector 0 or 1, a dot, and the order of the grid's phases at the connector's.
_CONNECTORS = ("0", "1")
_ROTATIONS = ("NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR")
# OCPP 1.6 security whitepaper: 16 to 20 bytes, as text or as up to 40 hexadecimal digits.
_KEY_MIN = const(16)
_KEY_MAX = const(20)
_KEY_DIGITS = const(40)
_HEX = "0123456789abcdefABCDEF"

_rows = borrow("rows")


def normal(kind: str, text: str, measurands) -> str:
    """`text` in its usual spelling when it is a value of type `kind` (see `keys`); else ValueError, what is allowed."""
    parts = kind.split(":")
    letter = parts[0]
    if letter == "b":
        lower = text.lower()
        if lower not in ("true", "false"):
            raise ValueError("true or false")
        return lower
    if letter == "k":
        return _key(text)
    bounds = [int(part) for part in parts[1:]]
    if letter == "i":
        return _integer(text, bounds[0], bounds[1])
    if letter == "s":
        if not bounds[0] <= len(text) <= bounds[1] or any(char < " " or char == "\x7f" for char in text):
            raise ValueError("%d to %d characters, none to control with" % (bounds[0], bounds[1]))
        return text
    return _list(letter, text, bounds[0], measurands)


def _key(text: str) -> str:
    is_hex = len(text) <= _KEY_DIGITS and all(c in _HEX for c in text)
    is_text = len(text) <= _KEY_MAX and all(" " < c <= "~" for c in text)
    if len(text) < _KEY_MIN or not (is_hex or is_text):
        raise ValueError("%d to %d characters, or up to %d hexadecimal digits" % (_KEY_MIN, _KEY_MAX, _KEY_DIGITS))
    return text


def _integer(text: str, low: int, high: int) -> str:
    digits = text[1:] if text.startswith("-") else text
    if not digits.isdigit() or not low <= int(text) <= high:
        raise ValueError("%d to %d" % (low, high))
    return str(int(text))


def _list(letter: str, text: str, most: int, measurands) -> str:
    names = []
    for part in text.split(","):
        name = part.strip()
        if name and name not in names:
            names.append(name)
    if len(names) > most:
        raise ValueError("up to %d names" % most)
    if letter == "p":
        _check_rotations(names)
    elif letter == "m":
        _check_measurands(names, measurands)
    return ",".join(names)


def _check_rotations(names: list) -> None:
    for name in names:
        before, _, last = name.rpartition(".")
        if before not in _CONNECTORS or last not in _ROTATIONS:
            raise ValueError("such as 1.RST, not '%s'" % name)


def _check_measurands(names: list, measurands) -> None:
    sampling = borrow("sampling")
    for name in names:
        # OCPP 1.6, 9.1: the phase may follow the measurand; what can never have a value is not supported.
        measurand, phase = sampling.split(name)
        if measurand not in measurands or (phase and not sampling.has_phases(measurand)):
            raise ValueError("%s; not '%s'" % (", ".join(measurands), name))


def plain(value) -> str:
    """The text of a typed value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return ",".join(value)
    return str(value)


def listing(configuration, keys=()) -> dict:
    """The payload of GetConfiguration.conf: of the keys asked for, or of all, that may be read.

    A secret is left out, or, when asked for by name, listed without its value.
    """
    entries = []
    unknown = []
    for key in keys or _rows.keys(configuration):
        row = _rows.row(configuration, key)
        if row is None:
            unknown.append(key)
        elif row[1] != "s":
            entries.append({"key": row[0], "readonly": row[1] == "r", "value": _rows.text(configuration, row)})
        elif keys:
            entries.append({"key": row[0], "readonly": False})
    return {"configurationKey": entries, "unknownKey": unknown} if keys else {"configurationKey": entries}


def restore(self, stored: dict) -> None:
    """Take up what is stored as far as it is still allowed."""
    # The host's own, which count when all is forgotten.
    stored.pop("", None)
    for key, text in stored.items():
        row = _rows.row(self, key)
        try:
            if row is None:
                raise ValueError
            self._changed[row[0]] = normal(row[2], text, self._measurands)
        except ValueError:
            self.refused.append(key)


def change(self, key: str, text: str, permits=None) -> str:
    """Take over what the central system wants: "Accepted", "RebootRequired", "Rejected" or "NotSupported".

    `permits()`, if it is given, is asked before another value is stored: False rejects it. OSError when flash refuses;
    nothing has changed then.
    """
    row = _rows.row(self, key)
    if row is None:
        return "NotSupported"
    if row[1] == "r":
        return "Rejected"
    try:
        text = normal(row[2], text, self._measurands)
    except ValueError:
        return "Rejected"
    # Security whitepaper, A00: a profile is only ever raised.
    if row[0] == "SecurityProfile" and int(text) <= self["SecurityProfile"]:
        return "Rejected"
    if permits is not None and text != _rows.text(self, row) and not permits():
        return "Rejected"
    take(self, {row[0]: text})
    return "RebootRequired" if row[1] == "b" else "Accepted"


def preset(self, wanted: dict) -> None:
    """Set values on the host's behalf, typed or as text, read-only keys too; all or, at an error, none.

    They are what counts again when another central system comes (see `owner`).
    ValueError naming key, value and what is allowed; OSError when flash refuses.
    """
    texts = {}
    for key, value in wanted.items():
        row = _rows.find(self, key)
        if row is None:
            raise ValueError("%s: no such key" % key)
        text = plain(value)
        try:
            texts[key] = normal(row[2], text, self._measurands)
        except ValueError as error:
            shown = "secret" if row[1] == "s" else "'%s'" % text
            raise ValueError("%s: %s; allowed: %s" % (key, shown, error))
    take(self, texts, texts)


def take(self, texts: dict, own=()) -> None:
    """Store what is different, then tell the listeners; `texts` are allowed ones, `own` those that are the host's.

    OSError when flash refuses; nothing has changed then.
    """
    changed = dict(self._changed)
    different = []
    for key, text in texts.items():
        row = _rows.row(self, key)
        if row is None or text == _rows.text(self, row):
            continue
        different.append(key)
        if text == row[3]:
            changed.pop(key, None)
        else:
            changed[key] = text
    if not different and not own:
        return
    _keep(self, changed, own)
    self._changed = changed
    for key in different:
        self._values.pop(key, None)
    for key in different:
        for listener in self.listeners:
            listener(key)


def _keep(self, changed: dict, own) -> None:
    """Store the texts `changed`, with `own` among those of the host; what is stored already is not written again."""
    stored = self._store.load() or {}
    before = stored.pop("", {})
    hosts = dict(before)
    for key in own:
        if own[key] == _rows.row(self, key)[3]:
            hosts.pop(key, None)
        else:
            hosts[key] = own[key]
    if changed == stored and hosts == before:
        return
    value = dict(changed)
    if hosts:
        value[""] = hosts
    self._store.save(value)


def forget(self) -> None:
    """Set back what a central system has changed: to what the host has set, or else to the default."""
    hosts = (self._store.load() or {}).get("", {})
    texts = {}
    for key in _rows.keys(self):
        row = _rows.row(self, key)
        texts[key] = row[3]
        if key in hosts:
            try:
                texts[key] = normal(row[2], hosts[key], self._measurands)
            except ValueError:
                # Not allowed any more, as `refused` has told.
                continue
    take(self, texts)
