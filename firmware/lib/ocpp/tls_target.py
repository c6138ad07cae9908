"""Makes the TLS side of a connection from certificates in DER; loaded for each connection."""

from binascii import b2a_base64

from micropython import const

from ocpp.tls import Tls

# Lines of a PEM text (RFC 7468) stand for so many bytes.
_LINE_BYTES = const(48)


def _pem(ders: list) -> bytes:
    lines = []
    for der in ders:
        lines.append(b"-----BEGIN CERTIFICATE-----\n")
        for at in range(0, len(der), _LINE_BYTES):
            lines.append(b2a_base64(der[at : at + _LINE_BYTES]))
        lines.append(b"-----END CERTIFICATE-----\n")
    return b"".join(lines)


def make(authorities: list, chain, key, utc_s) -> Tls:
    """A Tls that trusts `authorities` and shows `chain` (None or certificates in DER, the own first).

    Several certificates can only be shown by a port that reads PEM; on others the own one is shown alone.
    """
    if chain and len(chain) > 1:
        try:
            return Tls(authorities, _pem(chain), key, utc_s)
        except ValueError:
            return Tls(authorities, chain[0], key, utc_s)
    return Tls(authorities, chain[0] if chain else None, key, utc_s)
