"""What tells a wallbox from all others: drawn here, kept in the register, written by the firmware's own code."""

import datetime
import re
import secrets
from dataclasses import asdict, dataclass

PASSKEY_DIGITS = 6
KEY_BYTES = 32
PREFIX = "WB"
SERIAL = re.compile(r"[A-Z0-9][A-Z0-9-]{2,18}[A-Z0-9]")
SERIAL_ALLOWED = "4 to 20 of A-Z, 0-9 and -, the first and last none of -"
COUNTER_DIGITS = 4
# UIDs of 4, 7 and 10 bytes (R17).
CARD = re.compile(r"[0-9A-F]{8}|[0-9A-F]{14}|[0-9A-F]{20}")


class ProvisionError(Exception):
    """Something that stops the production of a wallbox, in one line."""


@dataclass(frozen=True)
class Identity:
    """Serial number, passkey of six digits, and key: 32 bytes in hex. `repr` shows no secret."""

    serial: str
    passkey: str
    key: str

    def __repr__(self) -> str:
        return f"Identity({self.serial})"

    def as_dict(self) -> dict:
        """As the firmware keeps it."""
        return asdict(self)


def check_serial(text: str) -> str:
    """The serial number; ProvisionError when it could not stand on a label and in a QR code."""
    if not SERIAL.fullmatch(text):
        raise ProvisionError(f"serial: {text!r} is not allowed; allowed: {SERIAL_ALLOWED}")
    return text


def check_card(text: str) -> str:
    """A card's number as the firmware keeps it; ProvisionError when it is none."""
    uid = re.sub("[:\\- ]", "", text).upper()
    if not CARD.fullmatch(uid):
        raise ProvisionError(f"setup-card: {text!r} is not allowed; allowed: 8, 14 or 20 hexadecimal digits")
    return uid


def draw(serial: str) -> Identity:
    """A new identity, from the operating system's entropy; every passkey is as likely as any other."""
    passkey = f"{secrets.randbelow(10**PASSKEY_DIGITS):0{PASSKEY_DIGITS}d}"
    return Identity(check_serial(serial), passkey, secrets.token_hex(KEY_BYTES))


def next_serial(known: set[str], today: datetime.date) -> str:
    """The next free serial number of this week: WB2648-0001; ProvisionError after the last."""
    year, week, _ = today.isocalendar()
    for number in range(1, 10**COUNTER_DIGITS):
        serial = f"{PREFIX}{year % 100:02d}{week:02d}-{number:0{COUNTER_DIGITS}d}"
        if serial not in known:
            return serial
    raise ProvisionError(f"serial: the numbers of week {week} are used up; give one with --serial")
