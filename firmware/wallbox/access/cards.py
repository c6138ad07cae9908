"""The list of known cards, one setup card and the charging cards, kept over power cuts; decides nothing."""

from micropython import const

CAPACITY = const(100)  # charging cards (R17)
_HEX = "0123456789ABCDEF"
# All names together have to fit into the store.
NAME_BYTES = const(40)
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


def _is_name(name) -> bool:
    return isinstance(name, str) and len(name.encode()) <= NAME_BYTES and all(ord(char) >= 32 for char in name)


def _listed(value) -> list:
    return value if isinstance(value, list) else [value]


def _is_random(uid: str) -> bool:
    return len(uid) == 8 and uid.startswith(_RANDOM_UID)


def masked(uid: str) -> str:
    """A UID as logs may show it: whoever knows all of it can copy the card (R31)."""
    return "..." + uid[-4:]


class Cards:
    """Setup card and charging cards; every change is saved at once, or undone when it cannot be.

    `setup` is the setup card's UID or None, `charging` the list of the others, oldest first, `names` has names
    by UID, `blocked` the UIDs that may not charge. `registration` is set by Access while new cards are being
    registered. On flash names and blocked ones are by place in the list, so all of it is one value.
    """

    def __init__(self, store, log):
        self._store = store
        self._log = log
        self.setup = None
        self.charging = []
        self.names = {}
        self.blocked = []
        self.registration = False
        saved = store.load()
        if saved is not None:
            self._take_over(saved if isinstance(saved, dict) else {"charging": [saved]})

    def _take_over(self, saved: dict) -> None:
        setup = saved.get("setup")
        charging = _listed(saved.get("charging"))
        names = _listed(saved.get("names", []))
        blocked = _listed(saved.get("blocked", []))
        dropped = 0
        for place, entry in enumerate([setup] + charging, -1):
            try:
                uid = parse_uid(entry)
            except ValueError:
                dropped += entry is not None
                continue
            if self.setup is None and place < 0:
                self.setup = uid
            elif self.kind(uid) == "unknown" and len(self.charging) < CAPACITY:
                self.charging.append(uid)
                if place < len(names) and names[place] and isinstance(names[place], str):
                    self.names[uid] = names[place]
                if place in blocked:
                    self.blocked.append(uid)
            else:
                dropped += 1
        if dropped:
            text = "%d damaged entries of the card list were left out" % dropped
            self._log.add("error", "access", "cards_damaged", text)

    def _change(self, setup, charging: list, names: dict, blocked: list) -> None:
        """Save the new state and take it over; a flash that refuses leaves the old one."""
        value = {"setup": setup, "charging": charging}
        if names:
            value["names"] = [names.get(uid, "") for uid in charging]
        if blocked:
            value["blocked"] = [place for place, uid in enumerate(charging) if uid in blocked]
        try:
            self._store.save(value)
        except OSError as error:
            text = "the card list could not be saved (%s); nothing was changed" % error
            self._log.add("error", "access", "cards_not_saved", text)
            raise
        self.setup = setup
        self.charging = charging
        self.names = names
        self.blocked = blocked

    def _note(self, code: str, text: str, uid: str) -> None:
        self._log.add("info", "access", code, text % masked(uid), cards=len(self.charging))

    def kind(self, uid: str) -> str:
        """What `uid` is: "setup", "charging", "blocked" (a charging card that may not charge) or "unknown"."""
        if uid == self.setup:
            return "setup"
        if uid in self.blocked:
            return "blocked"
        return "charging" if uid in self.charging else "unknown"

    def add(self, uid) -> str:
        """Register a charging card.

        -> "added", or why not: "known", "full" (100 cards), "setup" (it is the setup card), "random"
        (its number changes at every touch). Raises ValueError for a bad UID, OSError when the flash
        refuses; the list is then as before.
        """
        uid = parse_uid(uid)
        kind = self.kind(uid)
        if kind != "unknown":
            return "setup" if kind == "setup" else "known"
        if _is_random(uid):
            return "random"
        if len(self.charging) >= CAPACITY:
            return "full"
        self._change(self.setup, self.charging + [uid], self.names, self.blocked)
        self._note("card_added", "charging card %s was registered", uid)
        return "added"

    def remove(self, uid) -> bool:
        """Forget a charging card; False when it is not one. Raises ValueError, OSError as `add`."""
        uid = parse_uid(uid)
        if uid not in self.charging:
            return False
        names = dict(self.names)
        names.pop(uid, None)
        self._change(
            self.setup,
            [card for card in self.charging if card != uid],
            names,
            [card for card in self.blocked if card != uid],
        )
        self._note("card_removed", "charging card %s was removed", uid)
        return True

    def edit(self, uid, name=None, blocked=None) -> None:
        """Give a charging card a name of up to NAME_BYTES bytes in UTF-8 ("" for none), block or unblock it.

        None leaves a thing as it is. Raises ValueError for what is not allowed and for a card that is none,
        OSError as `add`.
        """
        uid = parse_uid(uid)
        if uid not in self.charging:
            raise ValueError("card: %s is not a charging card" % masked(uid))
        names = dict(self.names)
        if name is not None:
            if not _is_name(name):
                raise ValueError("name: not allowed; allowed: text of up to %d bytes" % NAME_BYTES)
            names[uid] = name
            if not name:
                del names[uid]
        others = [card for card in self.blocked if card != uid]
        if blocked is None:
            blocked = uid in self.blocked
        if (names.get(uid), blocked) == (self.names.get(uid), uid in self.blocked):
            return
        was_blocked = uid in self.blocked
        self._change(self.setup, self.charging, names, others + [uid] if blocked else others)
        if blocked != was_blocked:
            self._note("card_blocked" if blocked else "card_unblocked", "the state of card %s was changed", uid)

    def set_setup(self, uid) -> None:
        """Make `uid` the setup card (R18); the former one becomes unknown.

        Raises ValueError for a bad UID, for one that changes at every touch and for a charging card, OSError
        when the flash refuses.
        """
        uid = parse_uid(uid)
        if uid in self.charging:
            raise ValueError("card: %s is a charging card and is not allowed; allowed: any other" % uid)
        if _is_random(uid):
            raise ValueError("card: %s changes at every touch and is not allowed; allowed: any other" % uid)
        if uid != self.setup:
            self._change(uid, self.charging, self.names, self.blocked)
            self._note("setup_card_set", "card %s is the setup card now", uid)

    def judge(self, setup, entries) -> tuple:
        """What `replace` would save; ValueError when it would refuse."""
        setup = setup if setup is None else parse_uid(setup)
        charging, names, blocked = [], {}, []
        for uid, name, is_blocked in entries:
            uid = parse_uid(uid)
            if uid == setup or uid in charging or _is_random(uid) or not _is_name(name):
                raise ValueError("card: %s is not allowed twice, with this number or this name" % masked(uid))
            charging.append(uid)
            if name:
                names[uid] = name
            if is_blocked:
                blocked.append(uid)
        if len(charging) > CAPACITY or setup is not None and _is_random(setup):
            raise ValueError("cards: %d and this setup card are not allowed" % len(charging))
        return setup, charging, names, blocked

    def replace(self, setup, entries) -> None:
        """Make `setup` (or None) and `entries` of (UID, name, blocked) all cards there are, at once.

        Raises ValueError for what is not allowed, OSError as `add`; the cards are then as before.
        """
        self._change(*self.judge(setup, entries))
        text = "all cards were replaced: %d charging cards, %s setup card"
        found = (len(self.charging), "a" if self.setup else "no")
        self._log.add("info", "access", "cards_replaced", text % found, cards=len(self.charging))

    def status(self) -> dict:
        """{"setup": UID or None, "charging": [UID, ...], "registration": bool}."""
        return {"setup": self.setup, "charging": list(self.charging), "registration": self.registration}
