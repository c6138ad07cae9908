"""Answers about certificates (OCPP 1.6 security whitepaper, A02 to A05, M03 to M05); loaded for a call."""

import asyncio

from micropython import const

import x509
from ocpp import certificates
from ocpp.rare import borrow

_RECONFIGURED = "ReconfigurationOfSecurityParameters"
_INVALID_OWN = "InvalidChargePointCertificate"
_CENTRAL_TYPE = "CentralSystemRootCertificate"
# From this security profile on the central system's root is needed.
_TLS = const(2)
# Certificates in one file: the own and what is between it and a root.
_CHAIN = const(4)
# Characters of CertificateHashDataType's serialNumber.
_SERIAL_DIGITS = const(40)

release = borrow("release").release


def _store(point):
    return certificates.Store(point.folder, point.log)


def _shown(certificate) -> str:
    """A certificate in a few words."""
    try:
        name = x509.name(certificate.subject, "CN")
    except ValueError:
        # Other alphabets than UTF-8 are allowed, and nothing depends on the name.
        name = None
    return "'%s' (serial number %x)" % ((name or "?")[:64], certificate.serial)


def _status(status: str) -> dict:
    return {"status": status}


def _refuse(point, what: str, why) -> dict:
    borrow("wear").complain(point, "certificate_refused", "%s was refused: %s" % (what, why))
    return _status("Rejected")


async def _install(point, payload) -> dict:
    kind = certificates.KINDS[payload["certificateType"]]
    store = _store(point)
    try:
        ders = x509.from_pem(payload["certificate"])
        if len(ders) != 1:
            raise ValueError("%d certificates; allowed: 1" % len(ders))
        found = x509.Certificate(ders[0])
        roots = store.roots(kind)
        if any(der == ders[0] for _, der in roots):
            return _status("Accepted")
        await _check_root(point, found, roots)
        replaced = await _replaced(point, kind, found, roots)
        if replaced is None and store.count() >= point.config["CertificateStoreMaxLength"]:
            raise ValueError("the store is full: %d certificates" % store.count())
    except ValueError as error:
        return _refuse(point, "a root certificate", error)
    if not borrow("wear").permits(point, "InstallCertificate"):
        return _status("Rejected")
    try:
        if replaced is None:
            store.add_root(kind, found.der, True)
        else:
            if point.security.replaces(True):
                point.later(point.security.reconnect)
            store.replace_root(replaced, found.der)
    except OSError as error:
        point.log.add("error", "ocpp", "not_stored", "a root certificate could not be stored: %s" % error)
        return _status("Failed")
    point.security.event(_RECONFIGURED, "%s %s was installed" % (payload["certificateType"], _shown(found)))
    return _status("Accepted")


async def _check_root(point, found, roots: list) -> None:
    """ValueError unless it is an authority's, valid now, signed by itself or by a root of its kind."""
    if not found.is_ca or not found.usage & x509.SIGNS_CERTIFICATES:
        raise ValueError("not the certificate of an authority")
    issuers = [found] if found.issuer == found.subject else [x509.Certificate(der) for _, der in roots]
    wrong = await x509.check_chain([found], issuers, point.clock.utc_s())
    if wrong:
        raise ValueError(wrong)


async def _replaced(point, kind: str, found, roots: list):
    """The name of the root that is replaced, None when none is (AdditionalRootCertificateCheck)."""
    if kind != certificates.CENTRAL or not point.config["AdditionalRootCertificateCheck"] or not roots:
        return None
    name, der = roots[-1]
    if not await found.signed_by(x509.Certificate(der)):
        raise ValueError("not signed by the root that it shall replace")
    return name


def _matches(found, wanted: dict) -> bool:
    return all(str(found[key]).lower() == str(wanted[key]).lower() for key in found)


async def _hashes(roots: list) -> list:
    """(name, CertificateHashDataType) of each root; where its issuer is not there, with its own key."""
    read = []
    for name, der in roots:
        read.append((name, x509.Certificate(der)))
        await asyncio.sleep_ms(0)
    found = []
    for name, certificate in read:
        issuer = certificate
        for _, other in read:
            if certificate.issuer != certificate.subject and other.subject == certificate.issuer:
                issuer = other
        hashes = x509.hash_data(certificate, issuer)
        # A longer one cannot be told.
        if len(hashes["serialNumber"]) <= _SERIAL_DIGITS:
            found.append((name, hashes))
    return found


async def _delete(point, payload) -> dict:
    wanted = payload["certificateHashData"]
    store = _store(point)
    roots = await _hashes(store.roots("cfm"))
    for name, hashes in roots:
        if not _matches(hashes, wanted):
            continue
        if name[0] == certificates.CENTRAL and point.security.profile() >= _TLS and len(store.roots("c")) == 1:
            # Without it no connection could be made any more.
            point.log.add("warning", "ocpp", "certificate_kept", "the only root of the central system is kept")
            return _status("Failed")
        if not borrow("wear").permits(point, "DeleteCertificate"):
            return _status("Failed")
        try:
            store.remove_root(name)
        except OSError as error:
            point.log.add("error", "ocpp", "not_stored", "a root certificate could not be deleted: %s" % error)
            return _status("Failed")
        point.security.event(_RECONFIGURED, "root certificate (serial number %s) was deleted" % hashes["serialNumber"])
        return _status("Accepted")
    return _status("NotFound")


async def _list(point, payload) -> dict:
    kind = certificates.KINDS[payload["certificateType"]]
    kinds = certificates.CENTRAL + certificates.FORMER if kind == certificates.CENTRAL else kind
    found = [hashes for _, hashes in await _hashes(_store(point).roots(kinds))]
    return {"status": "Accepted", "certificateHashData": found} if found else _status("NotFound")


async def _signed(point, payload) -> dict:
    text = payload["certificateChain"]
    store = _store(point)
    try:
        most = point.config["CertificateSignedMaxChainSize"]
        if len(text) > most:
            raise ValueError("%d characters; allowed: up to %d" % (len(text), most))
        chain = x509.from_pem(text)
        if chain == store.chain():
            # Its answer was lost.
            return _status("Accepted")
        later = await _check_own(point, store, chain)
        if not borrow("wear").permits(point, "CertificateSigned"):
            return _status("Rejected")
        if not later and point.security.replaces(False):
            point.later(point.security.reconnect)
        store.keep_client(chain, later)
    except ValueError as error:
        point.security.event(_INVALID_OWN, str(error))
        return _refuse(point, "the charge point's certificate", error)
    except OSError as error:
        return _refuse(point, "the charge point's certificate", "it could not be stored: %s" % error)
    point.security.event(_RECONFIGURED, "the certificate of the charge point was replaced")
    return _status("Accepted")


async def _check_own(point, store, ders: list) -> bool:
    """Whether the certificate becomes valid later only; ValueError when it is not the one that was asked for."""
    if len(ders) > _CHAIN:
        raise ValueError("%d certificates; allowed: up to %d" % (len(ders), _CHAIN))
    key = store.pending_key()
    chain = [x509.Certificate(der) for der in ders]
    own = chain[0]
    if key is None or own.point != x509.public_of_private(key):
        raise ValueError("it is for another key than the one that was sent")
    serial, operator = point.station.serial, point.config["CpoName"]
    if x509.name(own.subject, "CN") != serial:
        raise ValueError("its common name is not the serial number %s" % serial)
    if operator and x509.name(own.subject, "O") != operator:
        raise ValueError("its organisation is not %s" % operator)
    now = point.clock.utc_s()
    later = now is not None and own.not_before > now
    # The authority that signs charge points need not be the one of the central system: the chain alone is checked,
    # and the central system's own root only where it is the one that has signed.
    roots = [x509.Certificate(der) for _, der in store.roots("cf")]
    signers = [root for root in roots if root.subject == chain[-1].issuer]
    wrong = await x509.check_chain(chain, signers or None, own.not_before if later else now)
    if wrong:
        raise ValueError(wrong)
    return later


def _releasing(function):
    """The handler, after which what reads certificates is let go."""

    async def handler(point, payload):
        try:
            return await function(point, payload)
        finally:
            release()

    return handler


HANDLERS = {
    "InstallCertificate": _releasing(_install),
    "DeleteCertificate": _releasing(_delete),
    "GetInstalledCertificateIds": _releasing(_list),
    "CertificateSigned": _releasing(_signed),
}
