"""Counts wrong tries of passkey and passwords, and refuses the next ones for a while (R24); over restarts."""

from wallbox.installer.security import SecurityLog
from wallbox.storage.store import Store

_VERSION = 1
# Wrong tries in a row from which on the next is refused, and for how many seconds (docs/installer-protocol.md).
_STEPS = ((10, 3600), (5, 300), (3, 30))
# More are not told apart, so that no number grows for ever.
_MOST = 1_000
PAIRING = "pairing"
# Each try tells about 2 of the 20 bits of a passkey that does not change (passkey entry, Bluetooth Core 5.3, volume 3,
# part H, 2.3.5.6). After so many, right ones between them or not, somebody has to be at the box before the next.
_PAIRINGS = 5
_AWAY = "pairings_away"


def wait_s(count: int) -> int:
    """How long after the last of `count` wrong tries in a row the next one is refused."""
    for least, seconds in _STEPS:
        if count >= least:
            return seconds
    return 0


class Guard:
    """`locks` is {name: uptime in s until which tries are refused}, kept in RAM by whoever outlives this object.

    Only counts are stored: a wait that a restart has cut short begins anew with it, since the time spent without
    supply is not known for sure.
    """

    def __init__(self, app, locks: dict):
        self._clock = app.clock
        self._log = app.log
        self._locks = locks
        self._store = Store(app.folder, "lockouts", _VERSION, app.log)
        found = self._store.load()
        self._counts = found if isinstance(found, dict) else {}

    def _count(self, name: str) -> int:
        count = self._counts.get(name, 0)
        return min(count, _MOST) if type(count) is int and count > 0 else 0

    def wait_s(self, name: str) -> int:
        """Seconds for which a try of `name` is refused, 0 when it is not."""
        until = self._locks.get(name)
        if until is None:
            # Not tried since the start.
            until = wait_s(self._count(name))
        return max(0, until - self._clock.uptime_s())

    def first_refusal(self, name: str) -> bool:
        """Whether nobody was refused yet during this wait: one line in the log is enough for all of them."""
        told = name + "_told"
        until = self._clock.uptime_s() + self.wait_s(name)
        first = self._locks.get(told) != until
        self._locks[told] = until
        return first

    def failed(self, name: str) -> int:
        """A try was wrong -> seconds for which the next is refused."""
        count = min(self._count(name) + 1, _MOST)
        seconds = wait_s(count)
        self._locks[name] = self._clock.uptime_s() + seconds
        self._keep(name, count)
        return seconds

    def passed(self, name: str) -> None:
        """A try was right."""
        self._locks.pop(name, None)
        if self._count(name):
            self._keep(name, 0)

    def _keep(self, name: str, count: int) -> None:
        self._counts[name] = count
        try:
            self._store.save(self._counts)
        except OSError as error:
            # The wait holds until the next start.
            text = "the count of wrong tries (%s) could not be stored: %s" % (name, error)
            self._log.add("error", "installer", "lockout_not_stored", text)

    def pairing_failed(self) -> None:
        """One more that an attacker may have learnt from."""
        self._keep(_AWAY, min(self._count(_AWAY) + 1, _MOST))

    @property
    def needs_presence(self) -> bool:
        """Whether the next pairing has to wait for somebody at the box."""
        return self._count(_AWAY) >= _PAIRINGS

    def present(self) -> None:
        """Somebody is at the box: the supply has returned, or the setup card was held to it."""
        if self._count(_AWAY):
            self._keep(_AWAY, 0)


def may_pair(app, locks: dict) -> bool:
    """Whether a central may try the passkey now."""
    guard = Guard(app, locks)
    if not guard.wait_s(PAIRING) and not guard.needs_presence:
        return True
    if guard.first_refusal(PAIRING):
        SecurityLog(app).add(PAIRING, "paired", "locked")
    return False


def paired(app, locks: dict, ok: bool) -> None:
    """How a try of the passkey went."""
    guard = Guard(app, locks)
    if ok:
        guard.passed(PAIRING)
    else:
        guard.failed(PAIRING)
        guard.pairing_failed()
    SecurityLog(app).add(PAIRING, "paired", "ok" if ok else "wrong")


def present(app, locks: dict) -> None:
    """Somebody is at the box."""
    Guard(app, locks).present()
