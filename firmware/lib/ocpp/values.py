"""Checks and lists values of configuration keys; loaded only while one is changed or asked for."""

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


def listing(configuration, keys) -> dict:
    """The payload of GetConfiguration.conf, see `Configuration.listing`."""
    entries = []
    unknown = []
    for key in keys or configuration.keys():
        row = configuration.row(key)
        if row is None:
            unknown.append(key)
        elif row[1] != "s":
            entries.append({"key": row[0], "readonly": row[1] == "r", "value": configuration.text(row)})
        elif keys:
            entries.append({"key": row[0], "readonly": False})
    return {"configurationKey": entries, "unknownKey": unknown} if keys else {"configurationKey": entries}
