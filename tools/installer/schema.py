"""The settings' own description, fetched from the wallbox: how text becomes a value and what is allowed."""

import json
from collections.abc import Iterable

from installer.box import Box
from installer.errors import TransferFailed, ValueRefused

YES = ("true", "yes", "y", "on", "1")
NO = ("false", "no", "n", "off", "0")


class Schema:
    """Rows by key, in the wallbox's order: key, default, allowed, unit, role, group, and secret where it is one."""

    def __init__(self, rows: Iterable[dict]):
        self.rows = {row["key"]: row for row in rows}

    @classmethod
    async def fetch(cls, box: Box) -> "Schema":
        """Download it; TransferFailed when it cannot be understood."""
        try:
            content = json.loads(await box.client.download("settings-schema"))
            return cls(content["settings"] if isinstance(content, dict) else content)
        except (ValueError, KeyError, TypeError) as error:
            raise TransferFailed(f"settings-schema: cannot be understood ({error!r})") from error

    def row(self, key: str) -> dict:
        """The row of a key; ValueRefused when there is none."""
        if key not in self.rows:
            likely = [name for name in self.rows if key and (key in name or name in key)]
            hint = ", ".join(likely[:5]) or "see `settings describe`"
            raise ValueRefused(f"{key}: unknown setting; allowed: {hint}")
        return self.rows[key]

    def keys(self, *groups: str) -> list[str]:
        """The keys of some groups."""
        return [key for key, row in self.rows.items() if row.get("group") in groups]

    def roles(self, keys: Iterable[str]) -> str:
        """The least role that may set all of `keys`."""
        return "expert" if any(self.row(key).get("role") == "expert" for key in keys) else "owner"

    def value(self, key: str, text: str):
        """What `text` means for `key`; the wallbox judges it, this only finds the type. ValueRefused when it cannot."""
        default = self.row(key).get("default")
        text = text.strip()
        if isinstance(default, bool):
            if text.lower() in YES + NO:
                return text.lower() in YES
            raise ValueRefused(f"{key}: {text!r} is not allowed; allowed: yes, no")
        if isinstance(default, int):
            try:
                return int(text)
            except ValueError:
                allowed = allowed_text(self.row(key))
                raise ValueRefused(f"{key}: {text!r} is not allowed; allowed: {allowed}") from None
        return text


def allowed_text(row: dict) -> str:
    """What a row allows, in words: the wallbox's own, else made of values, [first, last] ranges, or a length."""
    if isinstance(row.get("text"), str):
        return row["text"].replace("False, True", "yes, no")
    allowed, unit = row.get("allowed"), row.get("unit") or ""
    if isinstance(allowed, int):
        return f"text of up to {allowed} characters"
    parts = [f"{part[0]}..{part[1]}" if isinstance(part, list) else shown(part) for part in allowed or (False, True)]
    return ", ".join(parts) + (f" {unit}" if unit else "")


def shown(value: object, unit: str = "") -> str:
    """A value as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "-"
    text = str(value)
    return f"{text} {unit}" if unit and text else text
