"""How to connect, and what happens when that is changed (OCPP 1.6 security whitepaper, A01 to A05); loaded on demand.

Functions of Security.
"""

from binascii import b2a_base64, hexlify, unhexlify
from hashlib import sha256

from micropython import const

from ocpp.rare import borrow

RECONFIGURED = "ReconfigurationOfSecurityParameters"
# Security profiles from which on there is TLS, and a certificate of the charge point.
_TLS = const(2)
_CLIENT_CERTIFICATE = const(3)

# Names of credentials: two keys of the configuration, the charge point's certificate, the central system's root, the
# owner's password.
KEY = "AuthorizationKey"
PROFILE = "SecurityProfile"
CLIENT = "client"
ROOT = "root"
PASSWORD = "password"

_UNAUTHORISED = const(401)
_FORBIDDEN = const(403)
# Failures to connect at all before the former credentials are tried: the network may be to blame.
_NETWORK_TRIES = const(3)

_BASIC = const(1)
_KEY_DIGITS = const(32)
# Lines of a PEM text (RFC 7468) stand for so many bytes.
_LINE_BYTES = const(48)

release = borrow("release").release


class Target:
    """Whereto and how the next connection is to be made: `url`, `identity`, `password` (bytes or None), `ssl`."""

    def __init__(self, url: str, identity: str, password, ssl):
        self.url = url
        self.identity = identity
        self.password = password
        self.ssl = ssl


def _target(security) -> Target:
    given = security.given
    scheme, colon, rest = given["url"].partition(":")
    scheme = scheme.lower()
    level = profile(security)
    if level >= _TLS and scheme == "ws":
        scheme = "wss"
    url = scheme + colon + rest
    ssl = _tls(security, level) if scheme == "wss" else None
    return Target(url, given["identity"], _password(security, level), ssl)


def password_bytes(text: str) -> bytes:
    """The password of an AuthorizationKey; 32 to 40 hex digits stand for half as many bytes (OCPP-J 1.6, 6.2)."""
    if len(text) >= _KEY_DIGITS and len(text) % 2 == 0:
        try:
            return unhexlify(text)
        except ValueError:
            return text.encode()
    return text.encode()


def _password(security, profile: int):
    """The password of HTTP Basic, None without one; a client certificate takes its place (whitepaper, table 1)."""
    if profile == _CLIENT_CERTIFICATE:
        return None
    own = security.own_key and not tries(security, PASSWORD)
    text = current(security, KEY) if own else security.given.get("password")
    return password_bytes(text) if text else None


def _store(security):
    # Not at the top: a link without TLS needs no certificates.
    from ocpp.certificates import Store

    return Store(security.point.folder, security.point.log)


def _tls(security, profile: int):
    Tls = borrow("tls").Tls  # noqa: N806
    store = _store(security)
    # Only the former root shows that the new one is to blame.
    roots = store.roots("f") if tries(security, ROOT) else ()
    authorities = [der for _, der in roots or store.roots("c")]
    utc_s = security.point.clock.utc_s
    least_s = borrow("passed").least_s(security.point)
    if profile != _CLIENT_CERTIFICATE:
        return Tls(authorities, None, None, utc_s, least_s)
    former = tries(security, CLIENT) and bool(store.chain(True))
    chain, key = store.chain(former), store.key(former)
    if len(chain) > 1:
        try:
            return Tls(authorities, _pem(chain), key, utc_s, least_s)
        except ValueError:
            # A port that reads DER only cannot show more than the own certificate.
            return Tls(authorities, chain[0], key, utc_s, least_s)
    return Tls(authorities, chain[0] if chain else None, key, utc_s, least_s)


def _pem(ders: list) -> bytes:
    lines = []
    for der in ders:
        lines.append(b"-----BEGIN CERTIFICATE-----\n")
        for at in range(0, len(der), _LINE_BYTES):
            lines.append(b2a_base64(der[at : at + _LINE_BYTES]))
        lines.append(b"-----END CERTIFICATE-----\n")
    return b"".join(lines)


def _change_key(security, text: str) -> str:
    config = security.point.config
    if security.own_key and text == config[KEY]:
        return "Accepted"
    proven = dict(security.proven)
    if not security.own_key or not config[KEY]:
        proven[PASSWORD] = True
    elif PASSWORD not in proven:
        proven.setdefault(KEY, config[KEY])
    return _try(security, KEY, text, proven, True, "AuthorizationKey was changed")


def _change_profile(security, text: str) -> str:
    point = security.point
    now = point.config[PROFILE]
    if not text.isdigit() or not now < int(text) <= _CLIENT_CERTIFICATE:
        return "Rejected"
    wanted = int(text)
    lacking = _lacking(security, wanted)
    if lacking:
        text = "security profile %d was refused: there is no %s" % (wanted, lacking)
        point.log.add("warning", "ocpp", "profile_refused", text)
        return "Rejected"
    proven = dict(security.proven)
    proven.setdefault(PROFILE, now)
    told = "security profile %d was raised to %d" % (now, wanted)
    return _try(security, PROFILE, text, proven, security.own_key, told)


def _try(security, key: str, text: str, proven: dict, own_key: bool, told: str) -> str:
    """Change a key of the configuration, and connect with it after the answer.

    What has worked is safe before the new value is written: a power cut between leaves both.
    """
    if not borrow("wear").permits(security.point, key):
        return "Rejected"
    before = security.proven, security.own_key
    save(security, proven, own_key)
    status = ""
    try:
        status = security.point.config.change(key, text)
    finally:
        if status != "Accepted":
            security.proven, security.own_key = before
            save(security, *before)
    if status != "Accepted":
        return status
    begin_trial(security)
    security.event(RECONFIGURED, told)
    security.point.later(security.reconnect)
    return status


def _lacking(security, profile: int) -> str:
    """What a profile needs and is not there (whitepaper, A05)."""
    if profile in (_BASIC, _TLS) and _password(security, profile) is None:
        return "AuthorizationKey"
    if profile < _TLS:
        return ""
    store = _store(security)
    if not store.roots("c"):
        return "root certificate of the central system"
    if profile == _CLIENT_CERTIFICATE and not store.has_client():
        return "certificate of the charge point"
    return ""


def _settle(security) -> None:
    """What is new works: what was before is given up. OSError when flash refuses."""
    if profile(security) >= _TLS:
        _store(security).settle()
    save(security, {}, security.own_key)


def _go_back(security) -> None:
    """What was before works and the new does not: it is what is set again. OSError when flash refuses."""
    proven = security.proven
    if CLIENT in proven or ROOT in proven:
        _store(security).restore(CLIENT in proven, ROOT in proven)
    security.point.config.take({name: str(proven[name]) for name in (KEY, PROFILE) if name in proven})
    save(security, {}, security.own_key and PASSWORD not in proven)
    begin_trial(security)
    text = "new %s did not work; the former is back" % ", ".join(sorted(proven))
    security.point.log.add("warning", "ocpp", "credentials_back", text)
    security.event(RECONFIGURED, text)


def restore(security) -> None:
    """Take what was proven last, and see whether the owner has set another password."""
    kept = security._store.load() or {}
    # What the last good connection was made with, where it differs from what is set now.
    security.proven = kept.get("proven", {})
    security.use_proven = False
    security._failures = 0
    password = security.given.get("password") or ""
    seen = hexlify(sha256(password.encode()).digest()[:8]).decode()
    security.own_key = kept["own"] if kept.get("seen") == seen else not password
    security._seen = seen


def save(security, proven: dict, own: bool) -> None:
    """Store what is `proven` and whether the password is the AuthorizationKey; OSError when flash refuses."""
    security._store.save({"proven": proven, "own": own, "seen": security._seen})
    security.proven = proven
    security.own_key = own


def tries(security, name: str) -> bool:
    """Whether the next connection is made with the former credential of this name."""
    return security.use_proven and name in security.proven


def current(security, name: str):
    """The value of a key of the configuration for the next connection."""
    return security.proven[name] if tries(security, name) else security.point.config[name]


def profile(security) -> int:
    """The security profile of the next connection."""
    return current(security, PROFILE)


def target(security):
    """Whereto and how to connect next, a `credentials.Target`; ValueError when a certificate cannot be read."""
    try:
        return _target(security)
    finally:
        release()


def begin_trial(security) -> None:
    """The next connection is made with what is set, for the first time."""
    security.use_proven = False
    security._failures = 0


async def reconnect(security) -> None:
    """Connect anew with the present credentials."""
    security.point.link.reconnect()


def change(security, key: str, text: str) -> str:
    """Change AuthorizationKey or SecurityProfile for the central system -> status of ChangeConfiguration."""
    try:
        return _change_profile(security, text) if key == PROFILE else _change_key(security, text)
    except OSError as error:
        security.point.log.add("error", "ocpp", "not_stored", "%s could not be stored: %s" % (key, error))
        return "Rejected"
    finally:
        release()


def replaces(security, root: bool) -> bool:
    """The charge point's certificate, or with `root` the central system's, is about to be replaced.

    Returns whether the link has to be made anew with it, for which it is on trial then. OSError when flash refuses.
    """
    uses = profile(security) >= (_TLS if root else _CLIENT_CERTIFICATE)
    if uses:
        save(security, dict(security.proven, **{ROOT if root else CLIENT: True}), security.own_key)
        begin_trial(security)
    return uses


def link_made(security) -> None:
    """A connection was made with the credentials of `target`: they are proven, the others are given up."""
    security._failures = 0
    if not security.proven:
        return
    try:
        if security.use_proven:
            _go_back(security)
        else:
            _settle(security)
    except OSError as error:
        security.point.log.add("error", "ocpp", "not_stored", "proven credentials could not be stored: %s" % error)
    finally:
        release()


def link_failed(security, error) -> None:
    """No connection could be made: report why if it is a matter of security, and choose what to try next."""
    kind = getattr(error, "event", "")
    status = getattr(error, "status", 0)
    if not kind and status in (_UNAUTHORISED, _FORBIDDEN):
        kind = "FailedToAuthenticateAtCentralSystem"
    text = str(error.args[0]) if error.args else ""
    if kind:
        security.event(kind, text or "HTTP status %d" % status)
    if not security.proven:
        return
    security._failures += 1
    if kind or security._failures >= _NETWORK_TRIES:
        security._failures = 0
        security.use_proven = not security.use_proven
