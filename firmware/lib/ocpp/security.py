"""Security of the link (OCPP 1.6 security whitepaper, edition 3): events, credentials and their changes.

What is rare is loaded for it and let go: `credentials`, `signing`, `security_log`, and with them all certificates.
"""

import asyncio
import json
import sys
from binascii import hexlify
from hashlib import sha256
from os import listdir

from micropython import const

from journal import Journal
from ocpp import timestamps
from ocpp.errors import NOT_IMPLEMENTED, NOT_SUPPORTED, CallError, CallTimeout, NotConnected, OcppError
from ocpp.rare import borrow

# Events that have to be told (whitepaper, appendix 4); here all are, but of these more at once.
CRITICAL = (
    "FirmwareUpdated SettingSystemTime StartupOfTheDevice ResetOrReboot SecurityLogWasCleared MemoryExhaustion "
    "TamperDetectionActivated"
)
RECONFIGURED = "ReconfigurationOfSecurityParameters"

# About 100 events are kept: at 80 bytes each, four files of a flash block.
_FILES = const(4)
_INFO_CHARS = const(255)
# As long a text of four bytes a character, or all quoted, still fits into a record of the journal.
_INFO_BYTES = const(255)
_INFO_SHORT = const(127)
_PAGE = const(8)
# Events kept in RAM while flash refuses them.
_UNWRITTEN = const(16)
# A peer that is wrong all the time must not push everything else out of the log: more than this of one kind within
# an hour are counted, and the count is told with the next one.
_REPEATS = const(5)
# Of the critical ones. A central system that sets the clock with each answer would write flash at each.
_CRITICAL_REPEATS = const(20)
_REPEAT_S = const(3600)
# After a time-out or an error of the central system's: as long as its transaction messages wait by default.
_RETRY_S = const(60)
_LONGEST_RETRY_S = const(3600)
# An event that the central system answers with an error so often is not sent again.
_ATTEMPTS = const(3)

# A charge point that begins later than this after the start was set up then: the device has not been started.
_START_S = const(60)
# Whitepaper, A03: a certificate that ends within a month is renewed.
_RENEW_S = const(30 * 86400)
_LOOK_S = const(86400)
# The charge point's certificates, see certificates.py. Most charge points have none, and need not load what reads them.
_OWN = ("ocert.client", "ocert.next")

_UNAUTHORISED = const(401)
_FORBIDDEN = const(403)
# Failures to connect at all before the former credentials are tried: the network may be to blame.
_NETWORK_TRIES = const(3)
# Security profiles from which on there is TLS, and a certificate of the charge point.
TLS = const(2)
CLIENT_CERTIFICATE = const(3)

# Names of credentials: two keys of the configuration, the charge point's certificate, the central system's root, the
# owner's password.
KEY = "AuthorizationKey"
PROFILE = "SecurityProfile"
CLIENT = "client"
ROOT = "root"
PASSWORD = "password"


def release() -> None:
    """Let go of what reads certificates; who still uses it keeps it."""
    for name in ("x509", "rsa", "p256", "asn1", "ocpp.certificates"):
        sys.modules.pop(name, None)
    package = sys.modules["ocpp"]
    if hasattr(package, "certificates"):
        delattr(package, "certificates")


class Security:
    """Events and credentials of one charge point.

    `target` {"url", "identity", "password"} is what its owner has set up; a password that the owner changes is used in
    place of the AuthorizationKey until the central system sets that again. Where `target` says ws and the security
    profile asks for TLS, wss is used, on the same port if one is named.

    Credentials that the central system changes are on trial until a connection was made with them: what worked before
    is kept, and both are tried in turn until one works. That one stays.
    """

    def __init__(self, point, target: dict):
        self.point = point
        self.given = target
        self._journal = Journal(point.folder, "osec", _FILES)
        self._turn = point.sender.add(self._step)
        self._loaded = False
        self._unwritten = []
        self._sequence = self._delivered = self._boot = 0
        self._place = (0, 0)
        self._counts = {}
        self._refused = False
        self._attempts = 0
        self._retry_s = _RETRY_S
        self._looked_s = None
        self._signing = False
        self._store = point.stores("ocpp_link")
        self._restore()

    def _restore(self) -> None:
        """Take what was proven last, and see whether the owner has set another password."""
        kept = self._store.load() or {}
        # What the last good connection was made with, where it differs from what is set now.
        self.proven = kept.get("proven", {})
        self.use_proven = False
        self._failures = 0
        password = self.given.get("password") or ""
        seen = hexlify(sha256(password.encode()).digest()[:8]).decode()
        self.own_key = kept["own"] if kept.get("seen") == seen else not password
        self._seen = seen

    def save(self, proven: dict, own: bool) -> None:
        """Store what is `proven` and whether the password is the AuthorizationKey; OSError when flash refuses."""
        self._store.save({"proven": proven, "own": own, "seen": self._seen})
        self.proven = proven
        self.own_key = own

    # -- events --------------------------------------------------------------------------------------

    def event(self, kind: str, info: str = "") -> None:
        """Record a security event, on flash before this returns, and send it when the central system is there."""
        info = "".join(char if char >= " " else " " for char in info[:_INFO_CHARS])
        if len(info.encode()) > _INFO_BYTES:
            info = info[:_INFO_SHORT]
        clock = self.point.clock
        count = self._repeated(kind, clock.uptime_s())
        if count is None:
            return
        if count:
            info = ("%d more before. " % count + info)[:_INFO_CHARS]
        self._unwritten.append([0, 0, clock.uptime_s(), clock.utc_s(), kind, info])
        if len(self._unwritten) > _UNWRITTEN:
            lost = self._unwritten.pop(0)
            self.point.log.add("error", "ocpp", "event_lost", "security event lost: %s" % lost[4])
        if self._loaded:
            self._write()
        self._turn.wake()

    def _repeated(self, kind: str, now: int):
        """How many of a kind were left out before this one; None when this one is to be left out too."""
        most = _CRITICAL_REPEATS if kind in CRITICAL.split() else _REPEATS
        since, count = self._counts.get(kind, (now, 0))
        if now - since >= _REPEAT_S:
            self._counts[kind] = now, 1
            return max(0, count - most)
        self._counts[kind] = since, count + 1
        return None if count >= most else 0

    def _write(self) -> None:
        """Write what waits in RAM to the journal, as far as flash lets us."""
        for record in self._unwritten:
            if not record[0]:
                self._sequence += 1
                record[0], record[1] = self._sequence, self._boot
        while self._unwritten:
            try:
                self._journal.append(json.dumps(self._unwritten[0]).encode())
            except OSError as error:
                self.point.log.add("error", "ocpp", "not_stored", "security event could not be stored: %s" % error)
                return
            self._unwritten.pop(0)

    async def load(self) -> None:
        """Find out what has been recorded and delivered before this start; the first turn does it, too."""
        place = (0, 0)
        while place is not None and not self._loaded:
            records, place = self._journal.page(place, _PAGE)
            for record in records:
                self._count(json.loads(record))
            await asyncio.sleep_ms(0)
        if not self._loaded:
            self._loaded = True
            self._boot += 1
            self._write()

    def _count(self, record) -> None:
        if isinstance(record, int):
            self._delivered = record
        else:
            self._sequence, self._boot = record[0], record[1]

    def _head(self):
        """The oldest event that was not delivered, or None."""
        while self._place is not None:
            records, after = self._journal.page(self._place, _PAGE)
            for record in records:
                found = json.loads(record)
                if not isinstance(found, int) and found[0] > self._delivered:
                    return found
            if after is None:
                break
            self._place = after
        for record in self._unwritten:
            if record[0] > self._delivered:
                return record
        return None

    def _done(self, sequence: int) -> None:
        """An event needs not be sent again; when flash refuses to note it, it is after a restart."""
        self._delivered = sequence
        try:
            self._journal.append(b"%d" % sequence)
        except OSError as error:
            self.point.log.add("error", "ocpp", "not_stored", "delivered event could not be noted: %s" % error)

    def log_pieces(self, oldest_s=None, latest_s=None):
        """The security log as an iterable of bytes, a line an event; times in seconds bound it (GetLog)."""
        module = borrow("security_log")
        return module.pieces(self._journal, self._now(), self._sequence, oldest_s, latest_s)

    def _now(self) -> tuple:
        """(boot, uptime in s, UTC in s or None)."""
        clock = self.point.clock
        return self._boot, clock.uptime_s(), clock.utc_s()

    # -- delivery ------------------------------------------------------------------------------------

    def link_changed(self) -> None:
        """The link came, went or was registered."""
        self._refused = False
        self._turn.wake()

    async def _step(self):
        """Send an event, and look after the charge point's certificate -> ms until there may be more to do."""
        if not self._loaded:
            await self.load()
            if self.point.clock.uptime_s() < _START_S:
                self.event("StartupOfTheDevice")
            return 0
        if not self.point.online:
            return None
        wait_s = await self._deliver()
        self._look()
        return 1000 * wait_s

    async def _deliver(self) -> int:
        """Send the oldest event -> seconds until it, or another, is to be looked at again."""
        if self._refused:
            return _LOOK_S
        self._write()
        record = self._head()
        if record is None:
            return _LOOK_S
        try:
            await self.point.call("SecurityEventNotification", self._payload(record))
        except NotConnected:
            return _LOOK_S
        except (CallError, CallTimeout) as error:
            if self._stays(record, error):
                return self._later_s()
        self._attempts = 0
        self._retry_s = _RETRY_S
        self._done(record[0])
        return 0

    def _later_s(self) -> int:
        """Seconds until the next try, twice as many each time."""
        wait_s = self._retry_s
        self._retry_s = min(2 * wait_s, _LONGEST_RETRY_S)
        return wait_s

    def _stays(self, record: list, error) -> bool:
        """Whether an event that was not taken is to be sent again; one that is refused time and again is given up."""
        log = self.point.log
        if getattr(error, "code", "") in (NOT_IMPLEMENTED, NOT_SUPPORTED):
            # It knows no security events: the next connection may be to one that does.
            self._refused = True
            log.add("info", "ocpp", "no_events", "the central system takes no security events")
            return True
        self._attempts += isinstance(error, CallError)
        if self._attempts < _ATTEMPTS:
            return True
        log.add("warning", "ocpp", "event_refused", "security event %s was refused: %s" % (record[4], error))
        return False

    def _payload(self, record: list) -> dict:
        utc_s = record[3]
        if utc_s is None:
            utc_s = borrow("security_log").time_of(self._journal, self._now(), record)
        payload = {"type": record[4], "timestamp": timestamps.iso(utc_s)}
        if record[5]:
            payload["techInfo"] = record[5]
        return payload

    # -- credentials ---------------------------------------------------------------------------------

    def tries(self, name: str) -> bool:
        """Whether the next connection is made with the former credential of this name."""
        return self.use_proven and name in self.proven

    def current(self, name: str):
        """The value of a key of the configuration for the next connection."""
        return self.proven[name] if self.tries(name) else self.point.config[name]

    def profile(self) -> int:
        """The security profile of the next connection."""
        return self.current(PROFILE)

    def target(self):
        """Whereto and how to connect next, a `credentials.Target`; ValueError when a certificate cannot be read."""
        try:
            return borrow("credentials").target(self)
        finally:
            release()

    def change(self, key: str, text: str) -> str:
        """Change AuthorizationKey or SecurityProfile for the central system -> status of ChangeConfiguration."""
        try:
            return borrow("credentials").change(self, key, text)
        except OSError as error:
            self.point.log.add("error", "ocpp", "not_stored", "%s could not be stored: %s" % (key, error))
            return "Rejected"
        finally:
            release()

    def replaces(self, root: bool) -> bool:
        """The charge point's certificate, or with `root` the central system's, is about to be replaced.

        Returns whether the link has to be made anew with it, for which it is on trial then. OSError when flash refuses.
        """
        uses = self.profile() >= (TLS if root else CLIENT_CERTIFICATE)
        if uses:
            self.save(dict(self.proven, **{ROOT if root else CLIENT: True}), self.own_key)
            self.begin_trial()
        return uses

    def begin_trial(self) -> None:
        """The next connection is made with what is set, for the first time."""
        self.use_proven = False
        self._failures = 0

    async def reconnect(self) -> None:
        """Connect anew with the present credentials."""
        self.point.link.reconnect()

    def link_made(self) -> None:
        """A connection was made with the credentials of `target`: they are proven, the others are given up."""
        self._failures = 0
        if not self.proven:
            return
        module = borrow("credentials")
        try:
            if self.use_proven:
                module.go_back(self)
            else:
                module.settle(self)
        except OSError as error:
            self.point.log.add("error", "ocpp", "not_stored", "proven credentials could not be stored: %s" % error)
        finally:
            release()

    def link_failed(self, error) -> None:
        """No connection could be made: report why if it is a matter of security, and choose what to try next."""
        kind = getattr(error, "event", "")
        status = getattr(error, "status", 0)
        if not kind and status in (_UNAUTHORISED, _FORBIDDEN):
            kind = "FailedToAuthenticateAtCentralSystem"
        text = str(error.args[0]) if error.args else ""
        if kind:
            self.event(kind, text or "HTTP status %d" % status)
        if not self.proven:
            return
        self._failures += 1
        if kind or self._failures >= _NETWORK_TRIES:
            self._failures = 0
            self.use_proven = not self.use_proven

    # -- the charge point's certificate --------------------------------------------------------------

    def _look(self) -> None:
        """Once a day: use the next certificate if its time has come, renew the present one if its time ends."""
        clock = self.point.clock
        now_s, utc_s = clock.uptime_s(), clock.utc_s()
        if utc_s is None or (self._looked_s is not None and now_s - self._looked_s < _LOOK_S):
            return
        self._looked_s = now_s
        try:
            files = listdir(self.point.folder)
            if not any(name in files for name in _OWN):
                return
            changed, left_s = borrow("signing").look(self.point, utc_s)
        except (ValueError, OSError) as error:
            self.point.log.add("error", "ocpp", "certificate_lost", "own certificate: %s" % error)
            return
        finally:
            release()
        if changed:
            self.point.link.reconnect()
        elif left_s is not None and left_s < _RENEW_S:
            self.point.start(self.sign_certificate)

    async def sign_certificate(self, triggered: bool = False) -> None:
        """Make a key pair and ask the central system to sign its certificate (whitepaper, A02 and A03).

        What it has triggered may be sent before the registration.
        """
        if self._signing:
            return
        self._signing = True
        try:
            await borrow("signing").ask(self.point, triggered)
        except (OcppError, OSError, ValueError) as error:
            self.point.log.add("warning", "ocpp", "not_signed", "no certificate could be asked for: %s" % error)
        finally:
            self._signing = False
            release()
