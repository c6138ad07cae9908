"""The installation's settings: one table says what is allowed; nothing else may decide or store a setting."""

from micropython import const

from wallbox.energy.meters import MODELS

# Of a refused value an error shows this much.
_SHOWN_CHARS = const(40)
# 380 V between phases, the least the hardware is made for with three phases (product data), to neutral.
_THREE_PHASE_MIN_V = const(219)

_ORDERS = ("lan wlan modem", "lan modem wlan", "wlan lan modem", "wlan modem lan", "modem lan wlan", "modem wlan lan")

# (key, default, what is allowed, unit, group), in the order of the wizard. Allowed is a tuple of values and of
# (first, last) ranges; () for False and True; a number for text: how many characters it may have.
# What ends in _password is a secret.
SCHEMA = (
    ("wizard_complete", False, (), "", "wizard"),  # R6: no charging before
    ("rated_a", 0, (0, 6, 10, 12, 16, 20, 24, 32), "A", "electrical"),  # R4; 0: never charge
    ("phases", 3, (1, 3), "", "electrical"),  # R5
    ("connection_a", 25, ((6, 125),), "A", "electrical"),  # main fuse of the house, per phase
    ("load_optimisation", False, (), "", "electrical"),  # R20: stays on once it is on
    ("fallback_a", 6, (0, (6, 32)), "A", "electrical"),  # R20, R41: silent meter; IEC 61851-1 offers from 6 A
    ("meter_hold_s", 0, ((0, 300),), "s", "electrical"),  # R41: how long the last limit of a lost meter holds
    ("unbalance_a", 0, (0, (6, 32)), "A", "electrical"),  # 0: no limit; VDE-AR-N 4100: 4.6 kVA, 20 A
    ("solar_mode", "off", ("off", "only", "minimum"), "", "solar"),  # R21
    ("solar_start_s", 60, ((10, 600),), "s", "solar"),  # R21: enough sun for this long before a start
    ("solar_grid_percent", 20, ((0, 60),), "%", "solar"),  # R21: what the grid may add once started
    ("solar_starts_hour", 4, ((1, 30),), "", "solar"),  # R39
    ("solar_starts_day", 20, ((1, 100),), "", "solar"),  # R39
    ("access_control", False, (), "", "access"),  # R2, R3
    ("authorisation_timeout_s", 60, ((10, 600),), "s", "access"),  # R3
    ("restart_delay_max_s", 120, ((0, 1800),), "s", "electrical"),  # R7
    ("wake_up", True, (), "", "general"),  # R40: state F for a car that sleeps
    ("pe_mode", "enable", ("enable", "monitor", "off"), "", "electrical"),  # R11
    ("earthing", "TN", ("TN", "TT", "IT"), "", "electrical"),  # R11
    ("nominal_v", 230, ((100, 240),), "V", "electrical"),  # phase to neutral
    ("nominal_hz", 50, (50, 60), "Hz", "electrical"),
    ("led_brightness_percent", 80, ((5, 100),), "%", "general"),  # R15; a red fault stays visible
    ("meter_model", "none", ("none",) + tuple(sorted(MODELS)), "", "meter"),  # R19
    ("meter_address", 1, ((1, 247),), "", "meter"),  # Modbus over serial line V1.02, 2.2
    ("meter_baud", 9600, (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200), "Bd", "meter"),
    ("meter_parity", "E", ("N", "E", "O"), "", "meter"),
    ("meter_timeout_s", 8, ((2, 10),), "s", "meter"),  # R20: silent for this long is lost
    ("peak_shaving_w", 4200, (0, (1380, 22080)), "W", "electrical"),  # R22; 0 pauses; 6 A on one phase .. 32 A on three
    ("peak_shaving_contact", "closed", ("closed", "open"), "", "electrical"),  # R22: which of them asks for it
    ("ocpp_url", "", 255, "", "backend"),  # R25; empty: no backend
    ("ocpp_password", "", 40, "", "backend"),  # R25: OCPP security white paper, basic authentication
    ("charge_point_id", "", 48, "", "backend"),  # OCPP-J 1.6, 3.1.1: in the URL
    ("network_order", "lan wlan modem", _ORDERS, "", "network"),  # R26: which link is liked best
    ("lan_on", True, (), "", "network"),  # R26
    ("lan_address", "", 18, "", "network"),  # with the length of its prefix: 192.168.1.20/24; empty: DHCP
    ("lan_gateway", "", 15, "", "network"),
    ("lan_dns", "", 15, "", "network"),  # empty: the gateway
    ("wifi_on", True, (), "", "network"),  # R26
    ("wifi_ssid", "", 32, "", "network"),  # R26; IEEE 802.11, 9.4.2.2
    ("wifi_password", "", 63, "", "network"),  # IEEE 802.11, J.4: a passphrase of 8 to 63 characters
    ("modem_use", "needed", ("off", "needed", "always"), "", "network"),  # R26; needed: while nothing better works
    ("apn", "", 63, "", "network"),  # R26; 3GPP TS 23.003, 9.1
    ("apn_user", "", 32, "", "network"),
    ("apn_password", "", 32, "", "network"),
    ("sim_pin_password", "", 8, "", "network"),  # ETSI TS 102 221, 9.5.1: 4 to 8 digits
    ("ntp_servers", "0.pool.ntp.org 1.pool.ntp.org time.cloudflare.com", 120, "", "network"),  # RFC 5905; empty: none
    ("name", "wallbox", 32, "", "general"),
)
# A link that was refused waits long with these, or for ever.
_TRIED = ("wifi_password", "sim_pin_password")
_ADDRESSES = ("lan_gateway", "lan_dns")
_ROWS: dict = {row[0]: row for row in SCHEMA}
# Groups that an owner may change; the others can overload a house or cut the box off, and need an expert (R24).
_OWNERS = ("solar", "access", "general")
# IEEE 802.11, J.4.
_PASSPHRASE_CHARS = const(8)
# ETSI TS 102 221, 9.5.1.
_PIN_DIGITS = const(4)
# What an address of the box itself may have: at least two hosts beside network and broadcast.
_PREFIX_BITS = (8, 30)

# A wrong value of one of these can overload the house or hide a broken PE. When one is lost its default is
# no safe guess, so charging is locked until an installer has been there (R6).
_NOT_TO_GUESS = "connection_a phases load_optimisation fallback_a unbalance_a pe_mode earthing nominal_v"


class SettingError(ValueError):
    """A change that is refused as a whole; the text names every bad field, its value and what is allowed."""


class Settings:
    """Reads as a dict: `settings["rated_a"]`. Changes go through `update` only.

    `listeners` are called with the tuple of keys after each change. Only values that were set are stored, so
    a default may change with the firmware.
    """

    def __init__(self, store, log):
        self._store = store
        self._log = log
        self.listeners = []
        self._values = {}
        saved = store.load()
        if saved is not None:
            self._take(saved if isinstance(saved, dict) else {"": saved})

    def _take(self, saved: dict) -> None:
        lost = []
        locked = False
        for key, value in saved.items():
            if key in _ROWS and _allows(_ROWS[key], value):
                self._values[key] = value
            else:
                lost.append(key if is_private(key) else "%s %s" % (key, _shown(value)))
                locked |= key in _NOT_TO_GUESS.split()
        if lost:
            self._report("settings_lost", "not allowed, left out: ", sorted(lost))
        wrong = _conflicts(self._values)
        if wrong:
            self._report("settings_conflict", "stored settings do not fit together: ", wrong)
        if (wrong or locked) and self._values.pop("wizard_complete", False):
            self._report("wizard_reopened", "charging locked until the wizard is completed again")

    def _report(self, code: str, text: str, parts=()) -> None:
        self._log.add("error", "settings", code, text + "; ".join(parts))

    def __getitem__(self, key: str):
        """The value of `key`; KeyError for an unknown one."""
        value = self._values.get(key)
        return _ROWS[key][1] if value is None else value

    def as_dict(self) -> dict:
        """All settings with their values; of a secret only whether there is one."""
        return {key: bool(self[key]) if is_secret(key) else self[key] for key in _ROWS}

    def is_set(self, key: str) -> bool:
        """Whether somebody has set `key`, to its default or to another value."""
        return key in self._values

    def judge(self, changes: dict) -> tuple:
        """The keys that `update(changes)` would change; SettingError when it would refuse."""
        return self._differing(self._judged(changes))

    def _differing(self, values: dict) -> tuple:
        return tuple([row[0] for row in SCHEMA if values.get(row[0], self[row[0]]) != self[row[0]]])

    def update(self, changes: dict, who: str = "installer") -> tuple:
        """Change several settings at once, stored before it returns; returns the keys that changed.

        Listeners hear of a password of a link, too, that somebody has typed in again: it is to be tried again.
        SettingError when anything is not allowed or flash refuses; then nothing has changed.
        """
        values = self._judged(changes)
        again = tuple([key for key in _TRIED if changes.get(key) and changes[key] == self[key]])
        if values == self._values:
            if again:
                self._announce(again, who)
            return ()
        try:
            self._store.save(values)
        except OSError as error:
            text = "settings: not stored, flash refused (%s); nothing was changed" % error
            self._report("flash_refused", text)
            raise SettingError(text)
        changed = self._differing(values)
        self._values = values
        if changed or again:
            self._announce(changed + again, who)
        return changed

    def _judged(self, changes: dict) -> dict:
        wrong = _field_errors(changes)
        values = dict(self._values)
        if not wrong:
            values.update(changes)
            wrong = _conflicts(values)
            if self["load_optimisation"] and not values.get("load_optimisation"):
                wrong.append(_refusal("load_optimisation", False, "True once it is on, until a factory reset"))
        if wrong:
            raise SettingError("; ".join(wrong))
        return values

    def _announce(self, changed: tuple, who: str) -> None:
        # Nothing secret belongs in the log (R31).
        shown = [key if is_private(key) else "%s=%s" % (key, self[key]) for key in changed]
        self._log.add("info", "settings", "changed", "%s set %s" % (who, ", ".join(shown)), by=who)
        for listener in self.listeners:
            listener(changed)


def is_secret(key: str) -> bool:
    """Whether the value of `key` leaves the box only encrypted."""
    return key.endswith("_password")


def is_private(key: str) -> bool:
    """Whether logs and files may not show the value of `key`: a URL may carry a token."""
    return key == "ocpp_url" or is_secret(key)


def group_of(key: str) -> str:
    """What `key` belongs to; KeyError for an unknown one."""
    return _ROWS[key][4]


def role_of(key: str) -> str:
    """Who may change `key`: "owner" or "expert"; KeyError for an unknown one."""
    return "owner" if group_of(key) in _OWNERS else "expert"


def describe(key: str) -> str:
    """What is allowed for `key`, in words."""
    allowed, unit = _ROWS[key][2:4]
    if key == "wifi_password":
        return "empty, or text of %d to %d characters" % (_PASSPHRASE_CHARS, allowed)
    if key == "sim_pin_password":
        return "empty, or %d to %d digits" % (_PIN_DIGITS, allowed)
    if key == "lan_address":
        return "empty, or an address with the length of its prefix such as 192.168.1.20/24"
    if key in _ADDRESSES:
        return "empty, or an address such as 192.168.1.1"
    if key == "ocpp_url":
        return "empty, or ws:// or wss:// without user name, up to %d characters" % allowed
    if isinstance(allowed, int):
        return "text of up to %d characters" % allowed
    parts = ["%d..%d" % part if isinstance(part, tuple) else str(part) for part in allowed or (False, True)]
    return ", ".join(parts) + (" " + unit if unit else "")


def _allows(row: tuple, value) -> bool:
    key, default, allowed = row[:3]
    # True is 1 and 6.0 is 6 in Python; in a setting they are a mistake of whoever sent them.
    if type(value) is not type(default):
        return False
    if isinstance(allowed, int):
        plain = len(value) <= allowed and all(ord(char) >= 32 and ord(char) != 127 for char in value)
        return plain and (not value or _has_form(key, value))
    if not allowed or value in allowed:
        return True
    return any(isinstance(part, tuple) and part[0] <= value <= part[1] for part in allowed)


def _has_form(key: str, value: str) -> bool:
    if key == "wifi_password":
        return len(value) >= _PASSPHRASE_CHARS
    if key == "sim_pin_password":
        return len(value) >= _PIN_DIGITS and value.isdigit()
    if key == "ocpp_url":
        return _is_url(value)
    if key == "lan_address":
        return subnet_of(value) is not None
    return key not in _ADDRESSES or number_of(value) is not None


def number_of(address: str):
    """An IPv4 address as a number above 0, None for any other text."""
    parts = address.split(".")
    number = 0
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return None
        number = number << 8 | int(part)
    return number or None if len(parts) == 4 else None


def subnet_of(value: str):
    """(address, mask) as numbers of a text such as 192.168.1.20/24, None when no host can have it."""
    address, _, bits = value.partition("/")
    number = number_of(address)
    if number is None or not bits.isdigit() or not _PREFIX_BITS[0] <= int(bits) <= _PREFIX_BITS[1]:
        return None
    hosts = (1 << 32 - int(bits)) - 1
    return (number, 0xFFFFFFFF - hosts) if 0 < number & hosts < hosts else None


def _is_url(value: str) -> bool:
    scheme, _, rest = value.partition("://")
    host = rest.split("/", 1)[0]
    return scheme in ("ws", "wss") and bool(host) and "@" not in host and " " not in value


def _shown(value) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "..."


def _refusal(key: str, value, allowed: str) -> str:
    shown = "this" if is_secret(key) else _shown(value)
    return "%s: %s is not allowed; allowed: %s" % (key, shown, allowed)


def _field_errors(changes) -> list:
    if not isinstance(changes, dict):
        return [_refusal("settings", changes, "an object of settings")]
    wrong = []
    for key, value in changes.items():
        if key not in _ROWS:
            wrong.append("%s: unknown setting; nearest: %s" % (_shown(key), _nearest(str(key)[:_SHOWN_CHARS])))
        elif not _allows(_ROWS[key], value):
            wrong.append(_refusal(key, value, describe(key)))
    return sorted(wrong)


def _conflicts(values: dict) -> list:
    """What does not fit together in `values`, where a missing key has its default and was never set."""
    full = {row[0]: values.get(row[0], row[1]) for row in SCHEMA}
    rated, connection, fallback, volts = full["rated_a"], full["connection_a"], full["fallback_a"], full["nominal_v"]
    optimised = full["load_optimisation"]
    up_to = "up to connection_a %d" % connection
    wrong = []
    if fallback > connection:
        wrong.append(_refusal("fallback_a", fallback, up_to))
    if rated > connection and not optimised:
        wrong.append(_refusal("rated_a", rated, up_to + " without load_optimisation"))
    if optimised and full["meter_model"] == "none":
        wrong.append(_refusal("load_optimisation", True, "True only with a meter_model"))
    model = full["meter_model"]
    if MODELS.get(model, full["phases"]) != full["phases"]:
        text = "a meter for %d phases as set in phases; this one measures %d" % (full["phases"], MODELS[model])
        wrong.append(_refusal("meter_model", model, text))
    if full["solar_mode"] != "off" and full["meter_model"] == "none":
        wrong.append(_refusal("solar_mode", full["solar_mode"], "off without a meter_model"))
    if full["wizard_complete"] and "rated_a" not in values:
        wrong.append(_refusal("wizard_complete", True, "True only once rated_a has been set, 0 included"))
    if full["phases"] == 3 and full["earthing"] != "IT" and volts < _THREE_PHASE_MIN_V:
        wrong.append(_refusal("nominal_v", volts, "from %d V with 3 phases and a neutral" % _THREE_PHASE_MIN_V))
    subnet = subnet_of(full["lan_address"])
    gateway = number_of(full["lan_gateway"])
    if subnet and gateway and (gateway == subnet[0] or (gateway ^ subnet[0]) & subnet[1]):
        wrong.append(_refusal("lan_gateway", full["lan_gateway"], "another address of the network of lan_address"))
    return wrong


def _nearest(key: str) -> str:
    """The setting that has most pairs of letters in common with `key`, the shorter one of equals."""

    def likeness(row):
        name = row[0]
        return sum([key[i : i + 2] in name for i in range(len(key) - 1)]), -len(name)

    return max(SCHEMA, key=likeness)[0]
