"""Certificates that somebody puts on the box before a central system does; loaded for that alone."""

import x509
from ocpp import certificates

_ALLOWED = ("root", "manufacturer", "client", "client_key")
_KEY_LABELS = ("EC PRIVATE KEY", "PRIVATE KEY")


def _key(text: str):
    """The DER of a private key in PEM."""
    for label in _KEY_LABELS:
        if label in text:
            return x509.from_pem(text, label)[0]
    raise ValueError("no %s in it" % " or ".join(_KEY_LABELS))


def _parse(given: dict) -> dict:
    """DER of each text, lists but for the key; ValueError names the member and what is wrong."""
    found = {}
    for name, text in given.items():
        if name not in _ALLOWED or not isinstance(text, str):
            raise ValueError(
                "ocpp_certificates: %r is not allowed; allowed: PEM texts as %s" % (name, ", ".join(_ALLOWED))
            )
        try:
            found[name] = _key(text) if name == "client_key" else x509.from_pem(text)
        except ValueError as error:
            raise ValueError("ocpp_certificates: %s: %s; allowed: a PEM text" % (name, error))
    if ("client" in found) != ("client_key" in found):
        raise ValueError("ocpp_certificates: client and client_key are allowed together only")
    return found


def preset(folder: str, log, given: dict) -> None:
    """Keep `given` PEM texts: "root" (of the central system), "manufacturer", "client" (a chain) and "client_key".

    ValueError when one is not allowed: then nothing is kept. OSError when flash refuses.
    """
    found = _parse(given)
    store = certificates.Store(folder, log)
    for name, kind in (("root", certificates.CENTRAL), ("manufacturer", certificates.MAKER)):
        for der in found.get(name, ()):
            store.add_root(kind, der)
    if "client" in found:
        store.expect(found["client_key"])
        store.keep_client(found["client"], False)
