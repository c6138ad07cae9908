"""The upload `restore` (R35): a backup is verified, compared with what is set, and taken over whole or not at all.

A marker on flash names the file while it is taken over: when power fails between settings and cards, the next start
goes on. Identity, counters and logs are never restored.
"""

import asyncio
import hashlib
import json
from binascii import hexlify

from micropython import const

from wallbox.installer import errors, identity, public
from wallbox.installer.backup import FORMAT, password_of
from wallbox.installer.errors import CommandError
from wallbox.installer.sealed import SealError, unseal
from wallbox.installer.security import SecurityLog
from wallbox.installer.server import RESTORE_MARK
from wallbox.installer.uploads import Upload, remove
from wallbox.storage.settings import SCHEMA, SettingError, is_private, is_secret
from wallbox.storage.store import Store

# 100 cards with names and all settings take half of it.
_MOST_BYTES = const(32_768)
# The longest line: all secrets at their longest, encrypted.
_LINE_BYTES = const(4_096)
# After so many lines the event loop has its turn.
_LINES_A_TURN = const(8)
_VERSION = const(1)
_DIGEST = b'"sha256": '
_COMMAND = "restore"


class _File:
    """A backup, read line by line.

    `head` has the members that are one line each, `cards` a tuple of UID, name and blocked for each card.
    """

    def __init__(self):
        self.head = {}
        self.settings = {}
        self.cards = []
        self._into = self.head

    async def read(self, path: str) -> None:
        """Read and verify the file in slices; errors as of `steps`."""
        for _ in self.steps(path):
            await asyncio.sleep_ms(0)

    def steps(self, path: str):
        """Read and verify the file, a few lines a step; CommandError when it is no backup or a damaged one."""
        digest = hashlib.sha256()
        number = 0
        with open(path, "rb") as file:
            while True:
                line = file.readline(_LINE_BYTES)
                if line.startswith(_DIGEST) or not line:
                    break
                digest.update(line)
                number += 1
                if number % _LINES_A_TURN == 0:
                    yield
                self._take(line)
        if line != _DIGEST + b'"%s"\n' % hexlify(digest.digest()):
            raise CommandError("bad_value", "restore: the file is damaged, or was changed, or is no backup")
        if self.head.get("format") != FORMAT or self.head.get("product") != "wallbox":
            text = "format: %r of %r is not known; allowed: %d of 'wallbox'"
            shown = (self.head.get("format"), self.head.get("product"), FORMAT)
            raise CommandError("bad_value", text % shown, "format")

    def _take(self, line: bytes) -> None:
        line = line.strip()
        if line in (b"{", b"}", b"},", b"],"):
            self._into = self.head
        elif line == b'"settings": {':
            self._into = self.settings
        elif line == b'"cards": [':
            self._into = None
        else:
            self._value(line[:-1] if line.endswith(b",") else line)

    def _value(self, line: bytes) -> None:
        try:
            if self._into is None:
                card = json.loads(line)
                if not isinstance(card["uid"], str) or not isinstance(card["blocked"], bool):
                    raise ValueError("no card")
                self.cards.append((card["uid"], card["name"], card["blocked"]))
                return
            member = json.loads(b"{" + line + b"}")
        except (KeyError, TypeError, ValueError):
            # It is told by the digest, or, when that is right, by what is missing.
            self.head["format"] = None
            return
        self._into.update(member)


class Restore(Upload):
    """A backup on its way; `done` compares it, and takes it over when told to by `apply`.

    Until it is taken over or cancelled the file stays, so that `apply` need not send it again.
    """

    NAME = "backup"
    MOST_BYTES = _MOST_BYTES

    async def _begun(self):
        if Store(self._folder, RESTORE_MARK, _VERSION, self._log).load() is not None:
            raise CommandError("not_now", "restore: one waits to be completed; restart the wallbox first")
        return await super()._begun()

    async def _taken(self, arguments):
        apply = errors.flag(arguments, "apply", False)
        password = password_of(arguments)
        try:
            file = _File()
            await file.read(self.path)
        except CommandError:
            self._give_up()
            raise
        app = self._link.app
        serial = identity.load(app.folder, app.log)["serial"]
        secrets = await _opened(file, password)
        changes, unknown = _changes(app.settings, file, secrets, serial)
        answer = {
            "serial": file.head.get("serial"),
            "other_box": file.head.get("serial") != serial,
            "firmware": file.head.get("firmware"),
            "utc": file.head.get("utc"),
            "secrets": _state(file, secrets),
            "differences": _told(app.settings, changes),
            "cards": _compared(app.cards, file),
            "unknown": unknown,
            "refused": _refusal(app, changes, file),
            "applied": apply,
        }
        if apply:
            if answer["refused"]:
                raise CommandError("bad_value", "restore: nothing was changed: " + answer["refused"])
            _apply(app, self.path, changes, file, self._link.role)
            SecurityLog(app).add(_COMMAND, self._link.role, "applied, of " + str(answer["serial"])[:32])
        return answer


async def _opened(file, password) -> dict:
    """The secrets of the file, {} when they cannot be had without a password; CommandError for a wrong one."""
    sealed = file.head.get("secrets")
    if sealed is None or password is None:
        return {}
    try:
        secrets = await unseal(sealed, password, str(file.head.get("serial")))
    except SealError as error:
        raise CommandError("wrong_password", "password: %s; nothing was changed" % error, "password", wait_s=0)
    return secrets if isinstance(secrets, dict) else {}


def _state(file, secrets: dict) -> str:
    if file.head.get("secrets") is None:
        return "left_out" if file.head.get("left_out") else "none"
    return "opened" if secrets else "locked"


def _changes(settings, file, secrets: dict, serial: str) -> tuple:
    """What has to be set to have what the file says, and keys that this firmware does not know.

    What is not in the file was never set, so that it goes back to its default; secrets stay when the file has them
    not or they could not be opened. Another box's installation says nothing about the one here: whether the wizard
    was completed stays.
    """
    wanted = dict(file.settings)
    wanted.update(secrets)
    whole = file.head.get("secrets") is None and not file.head.get("left_out") or bool(secrets)
    rows = {row[0]: row[1] for row in SCHEMA}
    changes = {}
    for key in rows:
        if key == "wizard_complete" and file.head.get("serial") != serial:
            continue
        if key in wanted:
            if not settings.is_set(key) or settings[key] != wanted[key]:
                changes[key] = wanted[key]
        elif settings[key] != rows[key] and (whole or not is_private(key)):
            changes[key] = rows[key]
    return changes, sorted(key for key in wanted if key not in rows)


def _told(settings, changes: dict) -> dict:
    """{key: [now, then]} of what differs; of secrets only whether there is one."""
    told = {}
    for key, value in changes.items():
        if value == settings[key]:
            continue
        pair = [settings[key], value]
        if is_secret(key):
            pair = [bool(value) for value in pair]
        elif is_private(key):
            pair = [public.host_of(value) if isinstance(value, str) else value for value in pair]
        told[key] = pair
    return told


def _compared(cards, file) -> dict:
    """UIDs to add, to remove and to change in name or permission; `setup` [now, then] when that differs."""
    then = {uid: (name, bool(blocked)) for uid, name, blocked in file.cards}
    changed = []
    for uid in cards.charging:
        if uid in then and then[uid] != (cards.names.get(uid, ""), uid in cards.blocked):
            changed.append(uid)
    told = {
        "add": [card[0] for card in file.cards if card[0] not in cards.charging],
        "remove": [uid for uid in cards.charging if uid not in then],
        "change": changed,
    }
    if file.head.get("setup") != cards.setup:
        told["setup"] = [cards.setup, file.head.get("setup")]
    return told


def _refusal(app, changes: dict, file):
    """Why the settings or the cards may not be taken over, None when they may."""
    try:
        if changes:
            app.settings.judge(changes)
        app.cards.judge(file.head.get("setup"), file.cards)
    except ValueError as error:
        return str(error)
    return None


def _apply(app, path: str, changes: dict, file, who: str) -> None:
    """Take over settings and cards; when power or flash fail in between, `complete` goes on at the next start."""
    marker = Store(app.folder, RESTORE_MARK, _VERSION, app.log)
    marker.save({"path": path, "changes": changes, "who": who})
    try:
        if changes:
            app.settings.update(changes, who)
    except SettingError as error:
        _forget(app, path)
        raise CommandError("flash", str(error))
    try:
        app.cards.replace(file.head.get("setup"), file.cards)
    except OSError as error:
        text = "the settings are restored, the cards will be at the next start: flash refused (%s)" % error
        raise CommandError("flash", text)
    _forget(app, path)


def _forget(app, path: str) -> None:
    """Remove the marker, and then the file."""
    for name in ("/%s.0" % RESTORE_MARK, "/%s.1" % RESTORE_MARK):
        remove(app.folder + name)
    remove(path)


def complete(app, found: dict) -> None:
    """At start: go on with what power or flash cut off; `found` is what the marker says."""
    log = app.log
    path = found["path"]
    try:
        file = _File()
        for _ in file.steps(path):
            continue
        if found["changes"]:
            app.settings.update(found["changes"], found["who"])
        app.cards.replace(file.head.get("setup"), file.cards)
        _forget(app, path)
        log.add("warning", "installer", "restore_completed", "a restore that was cut off was completed")
    except (CommandError, ValueError) as error:
        # The firmware allows it no longer: it would not the next time either.
        log.add("error", "installer", "restore_failed", "a restore that was cut off was given up: %s" % error)
        _forget(app, path)
    except OSError as error:
        log.add(
            "error", "installer", "restore_failed", "a restore that was cut off waits for the next start: %s" % error
        )
