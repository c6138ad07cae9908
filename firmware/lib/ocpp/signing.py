"""Asks the central system for the charge point's certificate and looks at the one it has; loaded on demand."""

from ocpp import certificates


def _leaf(chain: list):
    if not chain:
        return None
    # Not at the top: most charge points have no certificate, and look for one at each registration.
    import x509

    return x509.Certificate(chain[0])


def look(point, utc_s: int) -> tuple:
    """(whether the link has to use another certificate now, seconds that the one in use is still valid or None)."""
    store = certificates.Store(point.folder, point.log)
    following = _leaf(store.next_chain())
    if following is not None and following.not_before <= utc_s:
        uses = point.security.replaces(False)
        store.promote()
        return uses, following.not_after - utc_s
    if following is not None or not store.has_client():
        return False, None
    own = _leaf(store.chain())
    return False, None if own is None else own.not_after - utc_s


async def ask(point, triggered: bool) -> None:
    """Send SignCertificate for a new key pair, whose private key is on flash before (whitepaper, A02).

    The subject is the serial number, and as organisation the operator's name, if one is configured.
    """
    import p256
    import x509

    fields = [("CN", point.station.serial)]
    operator = point.config["CpoName"]
    if operator:
        fields.append(("O", operator))
    d, public = await p256.generate(point.random)
    request = await x509.request(d, public, fields, point.random)
    certificates.Store(point.folder, point.log).expect(x509.encode_private(d, public))
    csr = x509.to_pem(request, "CERTIFICATE REQUEST")
    answer = await point.call("SignCertificate", {"csr": csr}, triggered=triggered)
    level = "info" if answer["status"] == "Accepted" else "warning"
    point.log.add(level, "ocpp", "sign_certificate", "a certificate was asked for: %s" % answer["status"])
