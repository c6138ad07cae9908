"""How to connect, and what happens when that is changed (OCPP 1.6 security whitepaper, A01 to A05); loaded on demand.

All functions take the Security whose credentials they read or change.
"""

from binascii import b2a_base64, unhexlify

from micropython import const

from ocpp.rare import borrow
from ocpp.security import (
    CLIENT,
    CLIENT_CERTIFICATE,
    KEY,
    PASSWORD,
    PROFILE,
    RECONFIGURED,
    ROOT,
    TLS,
)

_BASIC = const(1)
_KEY_DIGITS = const(32)
# Lines of a PEM text (RFC 7468) stand for so many bytes.
_LINE_BYTES = const(48)


class Target:
    """Whereto and how the next connection is to be made: `url`, `identity`, `password` (bytes or None), `ssl`."""

    def __init__(self, url: str, identity: str, password, ssl):
        self.url = url
        self.identity = identity
        self.password = password
        self.ssl = ssl


def target(security) -> Target:
    """Whereto and how to connect next; ValueError when a certificate on flash cannot be read."""
    given = security.given
    scheme, colon, rest = given["url"].partition(":")
    scheme = scheme.lower()
    profile = security.profile()
    if profile >= TLS and scheme == "ws":
        scheme = "wss"
    url = scheme + colon + rest
    ssl = _tls(security, profile) if scheme == "wss" else None
    return Target(url, given["identity"], _password(security, profile), ssl)


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
    if profile == CLIENT_CERTIFICATE:
        return None
    own = security.own_key and not security.tries(PASSWORD)
    text = security.current(KEY) if own else security.given.get("password")
    return password_bytes(text) if text else None


def _store(security):
    # Not at the top: a link without TLS needs no certificates.
    from ocpp.certificates import Store

    return Store(security.point.folder, security.point.log)


def _tls(security, profile: int):
    Tls = borrow("tls").Tls  # noqa: N806
    store = _store(security)
    # Only the former root shows that the new one is to blame.
    roots = store.roots("f") if security.tries(ROOT) else ()
    authorities = [der for _, der in roots or store.roots("c")]
    utc_s = security.point.clock.utc_s
    if profile != CLIENT_CERTIFICATE:
        return Tls(authorities, None, None, utc_s)
    former = security.tries(CLIENT) and bool(store.chain(True))
    chain, key = store.chain(former), store.key(former)
    if len(chain) > 1:
        try:
            return Tls(authorities, _pem(chain), key, utc_s)
        except ValueError:
            # A port that reads DER only cannot show more than the own certificate.
            return Tls(authorities, chain[0], key, utc_s)
    return Tls(authorities, chain[0] if chain else None, key, utc_s)


def _pem(ders: list) -> bytes:
    lines = []
    for der in ders:
        lines.append(b"-----BEGIN CERTIFICATE-----\n")
        for at in range(0, len(der), _LINE_BYTES):
            lines.append(b2a_base64(der[at : at + _LINE_BYTES]))
        lines.append(b"-----END CERTIFICATE-----\n")
    return b"".join(lines)


def change(security, key: str, text: str) -> str:
    """Change AuthorizationKey or SecurityProfile -> status of ChangeConfiguration. OSError when flash refuses."""
    return _change_profile(security, text) if key == PROFILE else _change_key(security, text)


def _change_key(security, text: str) -> str:
    config = security.point.config
    proven = dict(security.proven)
    if not security.own_key or not config[KEY]:
        proven[PASSWORD] = True
    elif PASSWORD not in proven:
        proven.setdefault(KEY, config[KEY])
    return _try(security, KEY, text, proven, True, "AuthorizationKey was changed")


def _change_profile(security, text: str) -> str:
    point = security.point
    now = point.config[PROFILE]
    if not text.isdigit() or not now < int(text) <= CLIENT_CERTIFICATE:
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
    before = security.proven, security.own_key
    security.save(proven, own_key)
    status = security.point.config.change(key, text)
    if status != "Accepted":
        security.save(*before)
        return status
    security.begin_trial()
    security.event(RECONFIGURED, told)
    security.point.later(security.reconnect)
    return status


def _lacking(security, profile: int) -> str:
    """What a profile needs and is not there (whitepaper, A05)."""
    if profile in (_BASIC, TLS) and _password(security, profile) is None:
        return "AuthorizationKey"
    if profile < TLS:
        return ""
    store = _store(security)
    if not store.roots("c"):
        return "root certificate of the central system"
    if profile == CLIENT_CERTIFICATE and not store.has_client():
        return "certificate of the charge point"
    return ""


def settle(security) -> None:
    """What is new works: what was before is given up. OSError when flash refuses."""
    if security.profile() >= TLS:
        _store(security).settle()
    security.save({}, security.own_key)


def go_back(security) -> None:
    """What was before works and the new does not: it is what is set again. OSError when flash refuses."""
    proven = security.proven
    if CLIENT in proven or ROOT in proven:
        _store(security).restore(CLIENT in proven, ROOT in proven)
    security.point.config.preset({name: proven[name] for name in (KEY, PROFILE) if name in proven})
    security.save({}, security.own_key and PASSWORD not in proven)
    security.begin_trial()
    text = "new %s did not work; the former is back" % ", ".join(sorted(proven))
    security.point.log.add("warning", "ocpp", "credentials_back", text)
    security.event(RECONFIGURED, text)
