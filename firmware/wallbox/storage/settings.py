"""The installation's settings: one table says what is allowed; nothing else may decide or store a setting."""

from micropython import const

_NAME_CHARS = const(32)
_URL_CHARS = const(255)
# Of a refused value an error shows this much.
_SHOWN_CHARS = const(40)
_FLAG = (False, True)

# (key, kind, default, what is allowed, unit). Kinds: "choice" one of the values; "int" first..last;
# "zero_or_int" 0 or first..last; "text" and "url" up to that many characters.
# Key order is the order of the wizard: an installer reads them so.
SCHEMA = (
    ("wizard_complete", "choice", False, _FLAG, ""),  # R6: no charging before
    ("rated_a", "choice", 0, (0, 6, 10, 12, 16, 20, 24, 32), "A"),  # R4; 0: never charge
    ("phases", "choice", 3, (1, 3), ""),  # R5
    ("connection_a", "int", 25, (6, 125), "A"),  # main fuse of the house, per phase
    ("load_optimisation", "choice", False, _FLAG, ""),  # R20: stays on once it is on
    ("fallback_a", "zero_or_int", 6, (6, 32), "A"),  # R20: silent meter; IEC 61851-1 offers from 6 A
    ("access_control", "choice", False, _FLAG, ""),  # R2, R3
    ("authorisation_timeout_s", "int", 60, (10, 600), "s"),  # R3
    ("restart_delay_max_s", "int", 120, (0, 1800), "s"),  # R7
    ("pe_mode", "choice", "enable", ("enable", "monitor", "off"), ""),  # R11
    ("earthing", "choice", "TN", ("TN", "TT", "IT"), ""),  # R11
    ("nominal_v", "int", 230, (100, 240), "V"),  # phase to neutral
    ("nominal_hz", "choice", 50, (50, 60), "Hz"),
    ("led_brightness_percent", "int", 80, (5, 100), "%"),  # R15; a red fault stays visible
    ("meter_model", "choice", "none", ("none", "pro380"), ""),  # R19
    ("meter_address", "int", 1, (1, 247), ""),  # Modbus over serial line V1.02, 2.2
    ("meter_baud", "choice", 9600, (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200), "Bd"),
    ("meter_parity", "choice", "E", ("N", "E", "O"), ""),
    ("meter_timeout_s", "int", 8, (2, 10), "s"),  # R20: silent for this long is lost
    ("peak_shaving_w", "int", 4200, (1380, 22080), "W"),  # R22; 6 A on one phase .. 32 A on three
    ("ocpp_url", "url", "", _URL_CHARS, ""),  # R25; empty: no backend
    ("name", "text", "wallbox", _NAME_CHARS, ""),
)
_ROWS: dict = {row[0]: row for row in SCHEMA}

# A wrong value of one of these can overload the house or hide a broken PE. When one is lost its default is
# no safe guess, so charging is locked until an installer has been there (R6).
_NOT_TO_GUESS = ("connection_a", "phases", "load_optimisation", "fallback_a", "pe_mode", "earthing", "nominal_v")
# 380 V between phases, the least the hardware is made for with three phases (product data), to neutral.
_THREE_PHASE_MIN_V = const(219)


class SettingError(ValueError):
    """A change that is refused as a whole; the text names every bad field, its value and what is allowed."""


class Settings:
    """Reads as a dict: `settings["rated_a"]`. Changes go through `update` only.

    `listeners` are called with the tuple of keys after each change. Only values that were set are
    stored, so a default may change with the firmware.
    """

    def __init__(self, store, log):
        self._store = store
        self._log = log
        self.listeners = []
        self._values = {}
        saved = store.load()
        if isinstance(saved, dict):
            self._take(saved)
        elif saved is not None:
            self._report("settings_lost", "all settings lost, defaults used: stored was " + _shown(saved))

    def _take(self, saved: dict) -> None:
        lost = []
        unknown = []
        for key, value in saved.items():
            row = _ROWS.get(key)
            if row is None:
                unknown.append(key)
            elif _allows(row, value):
                self._values[key] = value
            else:
                lost.append(key)
        if unknown:
            self._report("settings_unknown", "left out: " + ", ".join(sorted(unknown)))
        if lost:
            shown = ["%s %s" % (key, _shown(saved[key])) for key in sorted(lost)]
            self._report("settings_lost", "not allowed, default used: " + ", ".join(shown), keys=sorted(lost))
        wrong = _conflicts(self._values)
        if wrong:
            self._report("settings_conflict", "stored settings do not fit together: " + "; ".join(wrong))
        if (wrong or any(key in _NOT_TO_GUESS for key in lost)) and self._values.pop("wizard_complete", False):
            self._report("wizard_reopened", "charging locked until the wizard is completed again")

    def _report(self, code: str, text: str, **context) -> None:
        self._log.add("error", "settings", code, text, **context)

    def __getitem__(self, key: str):
        """The value of `key`; KeyError for an unknown one."""
        value = self._values.get(key)
        return _ROWS[key][2] if value is None else value

    def as_dict(self) -> dict:
        """All settings with their values."""
        return {row[0]: self[row[0]] for row in SCHEMA}

    def update(self, changes: dict, who: str = "installer") -> tuple:
        """Change several settings at once, stored before it returns; returns the keys that changed.

        SettingError when anything is not allowed or flash refuses; then nothing has changed.
        """
        wrong = _field_errors(changes)
        values = dict(self._values)
        if not wrong:
            values.update(changes)
            wrong = _conflicts(values)
            if self["load_optimisation"] and changes.get("load_optimisation") is False:
                wrong.append("load_optimisation: False is not allowed once it is True; allowed: factory reset")
        if wrong:
            raise SettingError("; ".join(wrong))
        if values == self._values:
            return ()
        changed = tuple(row[0] for row in SCHEMA if row[0] in changes and changes[row[0]] != self[row[0]])
        self._save(values)
        self._values = values
        if changed:
            self._announce(changed, changes, who)
        return changed

    def _save(self, values: dict) -> None:
        try:
            self._store.save(values)
        except OSError as error:
            text = "settings: not stored, flash refused (%s); nothing was changed" % error
            self._log.add("error", "settings", "flash_refused", text)
            raise SettingError(text)

    def _announce(self, changed: tuple, changes: dict, who: str) -> None:
        # A URL may carry a token, and nothing secret belongs in the log (R31).
        shown = [key if _ROWS[key][1] == "url" else "%s=%s" % (key, changes[key]) for key in changed]
        self._log.add("info", "settings", "changed", "%s set %s" % (who, ", ".join(shown)), by=who)
        for listener in self.listeners:
            try:
                listener(changed)
            except Exception as error:
                self._log.add("error", "settings", "listener_failed", "%r after a change" % error)


def describe(key: str) -> str:
    """What is allowed for `key`, in words."""
    kind, allowed, unit = _ROWS[key][1], _ROWS[key][3], _ROWS[key][4]
    if kind == "choice":
        text = ", ".join([str(value) for value in allowed])
    elif kind == "int":
        text = "whole number %d..%d" % allowed
    elif kind == "zero_or_int":
        text = "0 or whole number %d..%d" % allowed
    elif kind == "text":
        text = "text of 1 to %d characters" % allowed
    else:
        text = "empty, or ws:// or wss:// without user name, up to %d characters" % allowed
    return text + " " + unit if unit else text


def _allows(row: tuple, value) -> bool:
    kind, default, allowed = row[1:4]
    # True is 1 and 6.0 is 6 in Python; in a setting they are a mistake of whoever sent them.
    if type(value) is not type(default):
        return False
    if kind == "choice":
        return value in allowed
    if kind in ("int", "zero_or_int"):
        return allowed[0] <= value <= allowed[1] or (kind == "zero_or_int" and value == 0)
    if len(value) > allowed or any(ord(char) < 32 or ord(char) == 127 for char in value):
        return False
    if kind == "text":
        return bool(value.strip())
    return not value or _is_url(value)


def _is_url(value: str) -> bool:
    scheme, _, rest = value.partition("://")
    host = rest.split("/", 1)[0]
    return scheme in ("ws", "wss") and bool(host) and "@" not in host and " " not in value


def _shown(value) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "..."


def _field_errors(changes) -> list:
    if not isinstance(changes, dict):
        return ["settings: %s is not allowed; allowed: an object of settings" % _shown(changes)]
    wrong = []
    for key, value in changes.items():
        if key not in _ROWS:
            wrong.append("%s: unknown setting; nearest: %s" % (_shown(key), _nearest(str(key))))
        elif not _allows(_ROWS[key], value):
            wrong.append("%s: %s is not allowed; allowed: %s" % (key, _shown(value), describe(key)))
    wrong.sort()
    return wrong


def _conflicts(values: dict) -> list:
    """What does not fit together in `values`, where a missing key has its default and was never set."""

    def get(key):
        return values.get(key, _ROWS[key][2])

    wrong = []
    rated, connection, fallback = get("rated_a"), get("connection_a"), get("fallback_a")
    if fallback > connection:
        wrong.append("fallback_a: %d is not allowed; allowed: up to connection_a %d, or 0" % (fallback, connection))
    if rated > connection and not get("load_optimisation"):
        text = "rated_a: %d is not allowed; allowed: up to connection_a %d without load_optimisation"
        wrong.append(text % (rated, connection))
    if get("load_optimisation") and get("meter_model") == "none":
        wrong.append("load_optimisation: True is not allowed; allowed: only with a meter_model")
    if get("wizard_complete") and "rated_a" not in values:
        wrong.append("wizard_complete: True is not allowed; allowed: once rated_a has been set, 0 included")
    if get("phases") == 3 and get("earthing") != "IT" and get("nominal_v") < _THREE_PHASE_MIN_V:
        text = "nominal_v: %d is not allowed; allowed: from %d with 3 phases in %s"
        wrong.append(text % (get("nominal_v"), _THREE_PHASE_MIN_V, get("earthing")))
    return wrong


def _nearest(key: str) -> str:
    return min((_distance(key, row[0]), row[0]) for row in SCHEMA)[1]


def _distance(a: str, b: str) -> int:
    """Edits from `a` to `b` (Levenshtein), of the first 32 characters of `a`."""
    line = list(range(len(b) + 1))
    for i, char in enumerate(a[:_NAME_CHARS]):
        before, line[0] = line[0], i + 1
        for j, other in enumerate(b):
            before, line[j + 1] = line[j + 1], min(before + (char != other), line[j] + 1, line[j + 1] + 1)
    return line[len(b)]
