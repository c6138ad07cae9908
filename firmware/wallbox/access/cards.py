"""The list of known cards, one setup card and the charging cards, kept over power cuts; decides nothing."""

from micropython import const

CAPACITY = const(100)  # charging cards (R17)
# Characters: a full list with full names must fit into the 8 KB of a Store.
_NAME_MAX = const(24)
_HEX = "0123456789ABCDEF"
# First byte of a single-size UID that is a fresh random number at every touch (ISO/IEC 14443-3 6.5.4):
# phones, bank cards, passports.
_RANDOM_UID = "08"


def parse_uid(text) -> str:
    """Normal form of a UID: 8, 14 or 20 upper-case hexadecimal digits.

    Takes bytes, or text with or without colons, dashes or spaces. Raises ValueError for anything else.
    """
    uid = text.hex() if isinstance(text, (bytes, bytearray)) else text
    if isinstance(uid, str):
        for mark in (":", "-", " "):
            uid = uid.replace(mark, "")
        uid = uid.upper()
        if len(uid) in (8, 14, 20) and all(digit in _HEX for digit in uid):
            return uid
    raise ValueError("card: %r is not allowed; allowed: 8, 14 or 20 hexadecimal digits" % (text,))


def masked(uid: str) -> str:
    """A UID as logs may show it: whoever knows all of it can copy the card (R31)."""
    return "..." + uid[-4:]


class Cards:
    """Setup card and charging cards; every change is saved at once, or undone when it cannot be.

    `registration` is set by Access while new cards are being registered.
    """

    def __init__(self, store, log):
        self._store = store
        self._log = log
        self.setup = None
        self.charging = []
        self._names = {}
        self.registration = False
        self._load()

    def _load(self) -> None:
        saved = self._store.load()
        if saved is None:
            return
        if not isinstance(saved, dict):
            self._log.add("error", "access", "cards_damaged", "the stored card list is not readable")
            return
        dropped = 0
        try:
            if saved.get("setup") is not None:
                self.setup = parse_uid(saved["setup"])
        except ValueError:
            dropped += 1
        stored = saved.get("charging")
        for text in stored if isinstance(stored, list) else ():
            try:
                uid = parse_uid(text)
            except ValueError:
                uid = None
            if uid is None or self.kind(uid) != "unknown" or len(self.charging) >= CAPACITY:
                dropped += 1
            else:
                self.charging.append(uid)
        names = saved.get("names")
        if isinstance(names, dict):
            self._names = {uid: name for uid, name in names.items() if self.kind(uid) != "unknown"}
        if dropped:
            text = "%d damaged entries of the card list were left out" % dropped
            self._log.add("error", "access", "cards_damaged", text)

    def _save(self, undo) -> None:
        try:
            self._store.save({"setup": self.setup, "charging": self.charging, "names": self._names})
        except (OSError, ValueError) as error:
            self.setup, self.charging, self._names = undo
            text = "the card list could not be saved (%s); nothing was changed" % error
            self._log.add("error", "access", "cards_not_saved", text)
            raise

    def _before(self) -> tuple:
        return self.setup, list(self.charging), dict(self._names)

    def kind(self, uid: str) -> str:
        """What `uid` is: "setup", "charging" or "unknown"."""
        if uid == self.setup:
            return "setup"
        return "charging" if uid in self.charging else "unknown"

    def add(self, uid, name: str = "") -> str:
        """Register a charging card.

        -> "added", or why not: "known", "full" (100 cards), "setup" (it is the setup card), "random"
        (its number changes at every touch). Raises ValueError for a bad UID or name, OSError when the
        flash refuses; the list is then as before.
        """
        uid = parse_uid(uid)
        kind = self.kind(uid)
        if kind != "unknown":
            return "known" if kind == "charging" else kind
        if len(uid) == 8 and uid.startswith(_RANDOM_UID):
            return "random"
        if len(self.charging) >= CAPACITY:
            return "full"
        undo = self._before()
        self._put_name(uid, name)
        self.charging.append(uid)
        self._save(undo)
        self._note("card_added", "charging card %s was registered", uid)
        return "added"

    def remove(self, uid) -> bool:
        """Forget a charging card; False when it is not one. Raises ValueError, OSError as `add`."""
        uid = parse_uid(uid)
        if uid not in self.charging:
            return False
        undo = self._before()
        self.charging.remove(uid)
        self._names.pop(uid, None)
        self._save(undo)
        self._note("card_removed", "charging card %s was removed", uid)
        return True

    def clear(self) -> None:
        """Forget all charging cards and names, as a factory reset does; the setup card stays."""
        undo = self._before()
        self.charging = []
        self._names = {}
        self._save(undo)
        self._log.add("info", "access", "cards_cleared", "all charging cards were removed")

    def set_setup(self, uid) -> None:
        """Make `uid` the setup card (R18); the former one becomes unknown.

        Raises ValueError for a bad UID and for a charging card, OSError when the flash refuses.
        """
        uid = parse_uid(uid)
        if uid in self.charging:
            raise ValueError("card: %s is a charging card and is not allowed; allowed: any other" % uid)
        if uid == self.setup:
            return
        undo = self._before()
        self._names.pop(self.setup, None)
        self.setup = uid
        self._save(undo)
        self._note("setup_card_set", "card %s is the setup card now", uid)

    def set_name(self, uid, name: str) -> None:
        """Name a known card, 0..24 characters; "" takes the name away.

        Raises ValueError for a bad UID or name or an unknown card, OSError when the flash refuses.
        """
        uid = parse_uid(uid)
        if self.kind(uid) == "unknown":
            raise ValueError("card: %s is not registered" % uid)
        undo = self._before()
        self._put_name(uid, name)
        self._save(undo)

    def _put_name(self, uid: str, name: str) -> None:
        if not isinstance(name, str) or len(name) > _NAME_MAX:
            text = "name: %r is not allowed; allowed: text of up to %d characters"
            raise ValueError(text % (name, _NAME_MAX))
        if name:
            self._names[uid] = name
        else:
            self._names.pop(uid, None)

    def _note(self, code: str, text: str, uid: str) -> None:
        self._log.add("info", "access", code, text % masked(uid), cards=len(self.charging))

    def listing(self) -> list:
        """All charging cards as {"id", "name"}, oldest first."""
        return [{"id": uid, "name": self._names.get(uid, "")} for uid in self.charging]

    def status(self) -> dict:
        """{"setup": UID or None, "charging": [UID, ...], "registration": bool}."""
        return {"setup": self.setup, "charging": list(self.charging), "registration": self.registration}
