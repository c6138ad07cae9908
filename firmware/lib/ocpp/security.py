"""Security of the link (OCPP 1.6 security whitepaper, edition 3): events, credentials and their changes.

It takes no certificate apart: what does is loaded for it and let go (`certificates`, `signing`, `security_log`).
"""

import asyncio
import json
import sys
from binascii import hexlify, unhexlify
from hashlib import sha256

from micropython import const

from journal import Journal
from ocpp import timestamps
from ocpp.errors import NOT_IMPLEMENTED, NOT_SUPPORTED, CallError, CallTimeout, NotConnected, OcppError
from ocpp.rare import borrow

# Whitepaper, appendix 4: those that have to be told, then the others; here all are told.
CRITICAL = (
    "FirmwareUpdated SettingSystemTime StartupOfTheDevice ResetOrReboot SecurityLogWasCleared MemoryExhaustion "
    "TamperDetectionActivated"
)
OTHERS = (
    "FailedToAuthenticateAtCentralSystem CentralSystemFailedToAuthenticate ReconfigurationOfSecurityParameters "
    "InvalidMessages AttemptedReplayAttacks InvalidFirmwareSignature InvalidFirmwareSigningCertificate "
    "InvalidCentralSystemCertificate InvalidChargePointCertificate InvalidTLSVersion InvalidTLSCipherSuite"
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

_UNAUTHORISED = const(401)
_FORBIDDEN = const(403)
# Failures to connect at all before the former credentials are tried: the network may be to blame.
_NETWORK_TRIES = const(3)
_BASIC = const(1)
_TLS = const(2)
_CLIENT_CERTIFICATE = const(3)
_KEY_DIGITS = const(32)

_KEY = "AuthorizationKey"
_PROFILE = "SecurityProfile"
_CLIENT = "client"
_ROOT = "root"
_PASSWORD = "password"


def release() -> None:
    """Let go of what reads certificates; who still uses it keeps it."""
    for name in ("x509", "rsa", "p256", "asn1"):
        sys.modules.pop(name, None)


class Target:
    """Whereto and how the next connection is to be made: `url`, `identity`, `password` (bytes or None), `ssl`."""

    def __init__(self, url: str, identity: str, password, ssl):
        self.url = url
        self.identity = identity
        self.password = password
        self.ssl = ssl


def password_bytes(text: str) -> bytes:
    """The password of an AuthorizationKey; 32 to 40 hex digits stand for half as many bytes (OCPP-J 1.6, 6.2)."""
    if len(text) >= _KEY_DIGITS and len(text) % 2 == 0:
        try:
            return unhexlify(text)
        except ValueError:
            return text.encode()
    return text.encode()


class Security:
    """Events and credentials of one charge point.

    `target` {"url", "identity", "password"} is what its owner has set up; a password that the owner changes is used in
    place of the AuthorizationKey until the central system sets that again. Where `target` says ws and the security
    profile asks for TLS, wss is used, on the same port if one is named.

    Credentials that the central system changes are on trial until a connection was made with them: what worked before
    is kept, and both are tried in turn until one works. That one stays.
    """

    def __init__(self, point, target: dict):
        self._point = point
        self._given = target
        self._journal = Journal(point.folder, "osec", _FILES)
        self._wake = asyncio.Event()
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
        self._proven = kept.get("proven", {})
        self._use_proven = False
        self._failures = 0
        password = self._given.get("password") or ""
        seen = hexlify(sha256(password.encode()).digest()[:8]).decode()
        self._own_key = kept["own"] if kept.get("seen") == seen else not password
        self._seen = seen

    def _save(self, proven: dict, own: bool) -> None:
        """OSError when flash refuses; nothing has changed then."""
        self._store.save({"proven": proven, "own": own, "seen": self._seen})
        self._proven = proven
        self._own_key = own

    # -- events --------------------------------------------------------------------------------------

    def event(self, kind: str, info: str = "") -> None:
        """Record a security event, on flash before this returns, and send it when the central system is there."""
        info = "".join(char if char >= " " else " " for char in info[:_INFO_CHARS])
        if len(info.encode()) > _INFO_BYTES:
            info = info[:_INFO_SHORT]
        clock = self._point.clock
        count = self._repeated(kind, clock.uptime_s())
        if count is None:
            return
        if count:
            info = ("%d more before. " % count + info)[:_INFO_CHARS]
        self._unwritten.append([0, 0, clock.uptime_s(), clock.utc_s(), kind, info])
        if len(self._unwritten) > _UNWRITTEN:
            lost = self._unwritten.pop(0)
            self._point.log.add("error", "ocpp", "event_lost", "security event lost: %s" % lost[4])
        if self._loaded:
            self._write()
        self._wake.set()

    def _repeated(self, kind: str, now: int):
        """How many of a kind were left out before this one; None when this one is to be left out too."""
        if kind in CRITICAL.split():
            return 0
        since, count = self._counts.get(kind, (now, 0))
        if now - since >= _REPEAT_S:
            self._counts[kind] = now, 1
            return max(0, count - _REPEATS)
        self._counts[kind] = since, count + 1
        return None if count >= _REPEATS else 0

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
                self._point.log.add("error", "ocpp", "not_stored", "security event could not be stored: %s" % error)
                return
            self._unwritten.pop(0)

    async def load(self) -> None:
        """Find out what has been recorded and delivered before this start; `run` does it, too."""
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
            self._point.log.add("error", "ocpp", "not_stored", "delivered event could not be noted: %s" % error)

    def log_pieces(self, oldest_s=None, latest_s=None):
        """The security log as an iterable of bytes, a line an event; times in seconds bound it (GetLog)."""
        module = borrow("security_log")
        return module.pieces(self._journal, self._now(), self._sequence, oldest_s, latest_s)

    def _now(self) -> tuple:
        """(boot, uptime in s, UTC in s or None)."""
        clock = self._point.clock
        return self._boot, clock.uptime_s(), clock.utc_s()

    # -- delivery ------------------------------------------------------------------------------------

    def link_changed(self) -> None:
        """The link came, went or was registered."""
        self._refused = False
        self._wake.set()

    async def run(self) -> None:
        """Deliver events and look after the charge point's certificate until cancelled."""
        await self.load()
        if self._point.clock.uptime_s() < _START_S:
            self.event("StartupOfTheDevice")
        while True:
            self._wake.clear()
            wait_s = _LOOK_S
            if self._point.online:
                wait_s = await self._deliver()
                await self._look()
            await self._rest(wait_s)

    async def _rest(self, seconds: int) -> None:
        """Wait until there is something to do, at most so long."""
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except asyncio.TimeoutError:
            return

    async def _deliver(self) -> int:
        """Send the events in their order -> seconds until they, or others, are to be looked at again."""
        while not self._refused:
            self._write()
            record = self._head()
            if record is None:
                break
            try:
                await self._point.call("SecurityEventNotification", self._payload(record))
            except NotConnected:
                break
            except (CallError, CallTimeout) as error:
                if self._stays(record, error):
                    return self._later_s()
            self._attempts = 0
            self._retry_s = _RETRY_S
            self._done(record[0])
        return _LOOK_S

    def _later_s(self) -> int:
        """Seconds until the next try, twice as many each time."""
        wait_s = self._retry_s
        self._retry_s = min(2 * wait_s, _LONGEST_RETRY_S)
        return wait_s

    def _stays(self, record: list, error) -> bool:
        """Whether an event that was not taken is to be sent again; one that is refused time and again is given up."""
        log = self._point.log
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

    def _current(self, name: str):
        """The value of a credential for the next connection."""
        if self._use_proven and name in self._proven:
            return self._proven[name]
        return self._point.config[name]

    def profile(self) -> int:
        """The security profile of the next connection."""
        return self._current(_PROFILE)

    def target(self) -> Target:
        """Whereto and how to connect next; ValueError when a certificate on flash cannot be read."""
        url = self._given["url"]
        profile = self.profile()
        if profile >= _TLS and url.startswith("ws:"):
            url = "wss:" + url[3:]
        ssl = self._tls(profile) if url.startswith("wss:") else None
        return Target(url, self._given["identity"], self._password(profile), ssl)

    def _password(self, profile: int):
        """The password of HTTP Basic, None without one; a client certificate takes its place (whitepaper, table 1)."""
        if profile == _CLIENT_CERTIFICATE:
            return None
        own = self._own_key and not (self._use_proven and _PASSWORD in self._proven)
        text = self._current(_KEY) if own else self._given.get("password")
        return password_bytes(text) if text else None

    def _certificates(self):
        return borrow("certificates").Store(self._point.folder, self._point.log)

    def _tls(self, profile: int):
        store = self._certificates()
        # Only the former root shows that the new one is to blame.
        authorities = store.roots("f") if self._tries(_ROOT) else ()
        authorities = [der for _, der in authorities or store.roots("c")]
        certificate = key = None
        if profile == _CLIENT_CERTIFICATE:
            former = self._tries(_CLIENT) and bool(store.chain(True))
            certificate, key = store.chain(former), store.key(former)
        release()
        return borrow("tls_target").make(authorities, certificate, key, self._point.clock.utc_s)

    def _tries(self, name: str) -> bool:
        """Whether the next connection is made with the former certificate of this name."""
        return self._use_proven and name in self._proven

    def change(self, key: str, text: str) -> str:
        """Change AuthorizationKey or SecurityProfile for the central system -> status of ChangeConfiguration.

        What worked until now is stored first. After the answer the link is made anew, and what worked comes back
        when the new value does not.
        """
        try:
            return self._change_profile(text) if key == _PROFILE else self._change_key(text)
        except OSError as error:
            self._point.log.add("error", "ocpp", "not_stored", "%s could not be stored: %s" % (key, error))
            return "Rejected"

    def _change_key(self, text: str) -> str:
        config = self._point.config
        proven = dict(self._proven)
        if not self._own_key or not config[_KEY]:
            proven[_PASSWORD] = True
        elif _PASSWORD not in proven:
            proven.setdefault(_KEY, config[_KEY])
        before = self._proven, self._own_key
        # The former key is safe before the new one is written: a power cut between leaves either.
        self._save(proven, True)
        status = config.change(_KEY, text)
        if status != "Accepted":
            self._save(*before)
            return status
        self._tried("AuthorizationKey was changed")
        return status

    def _change_profile(self, text: str) -> str:
        config = self._point.config
        now = config[_PROFILE]
        if not text.isdigit() or not now < int(text) <= _CLIENT_CERTIFICATE:
            return "Rejected"
        wanted = int(text)
        lacking = self._lacking(wanted)
        if lacking:
            text = "security profile %d was refused: there is no %s" % (wanted, lacking)
            self._point.log.add("warning", "ocpp", "profile_refused", text)
            return "Rejected"
        before = self._proven
        proven = dict(before)
        proven.setdefault(_PROFILE, now)
        self._save(proven, self._own_key)
        status = config.change(_PROFILE, text)
        if status != "Accepted":
            self._save(before, self._own_key)
            return status
        self._tried("security profile %d was raised to %d" % (now, wanted))
        return status

    def _lacking(self, profile: int) -> str:
        """What a profile needs and is not there (whitepaper, A05)."""
        if profile in (_BASIC, _TLS) and self._password(profile) is None:
            return "AuthorizationKey"
        if profile < _TLS:
            return ""
        store = self._certificates()
        lacking = ""
        if not store.roots("c"):
            lacking = "root certificate of the central system"
        elif profile == _CLIENT_CERTIFICATE and not store.has_client():
            lacking = "certificate of the charge point"
        release()
        return lacking

    def replaces(self, root: bool) -> bool:
        """The charge point's certificate, or with `root` the central system's, is about to be replaced.

        Returns whether the link has to be made anew with it, for which it is on trial then. OSError when flash refuses.
        """
        uses = self.profile() >= _TLS if root else self.profile() == _CLIENT_CERTIFICATE
        if uses:
            self._save(dict(self._proven, **{_ROOT if root else _CLIENT: True}), self._own_key)
            self._begin_trial()
        return uses

    def _tried(self, text: str) -> None:
        """Credentials are new: report it and connect with them after the answer."""
        self._begin_trial()
        self.event(RECONFIGURED, text)
        self._point.later(self.reconnect)

    def _begin_trial(self) -> None:
        self._use_proven = False
        self._failures = 0

    async def reconnect(self) -> None:
        """Connect anew with the present credentials."""
        self._point.link.reconnect()

    def link_made(self) -> None:
        """A connection was made with the credentials of `target`: they are proven, the others are given up."""
        self._failures = 0
        if not self._proven:
            return
        try:
            if self._use_proven:
                self._go_back()
            else:
                self._settle()
        except OSError as error:
            self._point.log.add("error", "ocpp", "not_stored", "proven credentials could not be stored: %s" % error)

    def _settle(self) -> None:
        if self.profile() >= _TLS:
            self._certificates().settle()
            release()
        self._save({}, self._own_key)

    def _go_back(self) -> None:
        """The former credentials work and the new ones do not: they are what is set again."""
        proven = self._proven
        values = {name: proven[name] for name in (_KEY, _PROFILE) if name in proven}
        if _CLIENT in proven or _ROOT in proven:
            self._certificates().restore(_CLIENT in proven, _ROOT in proven)
            release()
        self._point.config.preset(values)
        self._save({}, self._own_key and _PASSWORD not in proven)
        self._use_proven = False
        names = ", ".join(sorted(proven))
        self._point.log.add("warning", "ocpp", "credentials_back", "new %s did not work; the former is back" % names)
        self.event(RECONFIGURED, "new %s did not work; the former is back" % names)

    def link_failed(self, error) -> None:
        """No connection could be made: report why if it is a matter of security, and choose what to try next."""
        kind = getattr(error, "event", "")
        status = getattr(error, "status", 0)
        if not kind and status in (_UNAUTHORISED, _FORBIDDEN):
            kind = "FailedToAuthenticateAtCentralSystem"
        text = str(error.args[0]) if error.args else ""
        if kind:
            self.event(kind, text or "HTTP status %d" % status)
        if not self._proven:
            return
        self._failures += 1
        if kind or self._failures >= _NETWORK_TRIES:
            self._failures = 0
            self._use_proven = not self._use_proven

    # -- the charge point's certificate --------------------------------------------------------------

    async def _look(self) -> None:
        """Once a day: use the next certificate if its time has come, renew the present one if its time ends."""
        clock = self._point.clock
        now_s, utc_s = clock.uptime_s(), clock.utc_s()
        if utc_s is None or (self._looked_s is not None and now_s - self._looked_s < _LOOK_S):
            return
        self._looked_s = now_s
        try:
            changed, left_s = borrow("signing").look(self._point, utc_s)
        except (ValueError, OSError) as error:
            self._point.log.add("error", "ocpp", "certificate_lost", "own certificate: %s" % error)
            return
        finally:
            release()
        if changed:
            self._point.link.reconnect()
        elif left_s is not None and left_s < _RENEW_S:
            await self.sign_certificate()

    async def sign_certificate(self) -> None:
        """Make a key pair and ask the central system to sign its certificate (whitepaper, A02 and A03)."""
        if self._signing:
            return
        self._signing = True
        try:
            await borrow("signing").ask(self._point)
        except (OcppError, OSError, ValueError) as error:
            self._point.log.add("warning", "ocpp", "not_signed", "no certificate could be asked for: %s" % error)
        finally:
            self._signing = False
            release()
