"""TLS towards a server whose certificate is checked: chain, name, dates; it keeps no certificates.

What MicroPython's `tls` (Mbed TLS) does by itself: chain, name (DNS names, IP addresses, common name if there are no
others) and dates, these by the port's clock, which before it is set says 2000 or 1970: then no certificate is valid.
It cannot leave out the dates alone, but its error lists all that is wrong. So where nothing is wrong but dates, and our
clock does not agree with that or is unknown, a second connection is made that takes this very certificate only.
"""

from binascii import a2b_base64
from hashlib import sha256

import tls
from micropython import const

from ocpp import timestamps
from ocpp.errors import OcppError

# Security events (white paper, edition 3, appendix).
INVALID_CERTIFICATE = "InvalidCentralSystemCertificate"
INVALID_VERSION = "InvalidTLSVersion"
INVALID_CIPHER = "InvalidTLSCipherSuite"

# White paper, A00.FR.318 to 320, and the ECDHE forms for servers with RSA certificates: with forward secrecy and
# offered by most of today's servers. None without a server certificate, on which `_verify` depends.
_CIPHERS = (
    "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256",
    "TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384",
    "TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256",
    "TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384",
    "TLS-RSA-WITH-AES-128-GCM-SHA256",
    "TLS-RSA-WITH-AES-256-GCM-SHA384",
)
# Mbed TLS, ssl.h and x509.h.
_CONN_EOF = const(-0x7280)
_FATAL_ALERT = const(-0x7780)
_BAD_PROTOCOL_VERSION = const(-0x6E80)
_CA_CHAIN_REQUIRED = const(-0x7680)
_FATAL_ERROR = const(-0x3000)
# Mbed TLS, x509_crt.h, MBEDTLS_X509_CRT_ERROR_INFO_LIST.
_EXPIRED = "The certificate validity has expired"
_FUTURE = "The certificate validity starts in the future"

_SEQUENCE = const(0x30)
_SEQUENCE_BYTE = b"\x30"
_VERSION = const(0xA0)
_UTC_TIME = const(0x17)


class TlsError(OcppError):
    """There is no trust between the two ends; `event` is the security event to report."""

    def __init__(self, event: str, text: str):
        super().__init__(text)
        self.event = event


class Tls:
    """Stands for the SSLContext of one connection: make one for each, and give it as `ssl`.

    `authorities`: iterable of certificates (DER, or PEM with one or several) to trust, any one is enough; `certificate`
    and `key` (DER or PEM, the key as PKCS #8 or SEC 1 without a password) are the charge point's own, if it has to
    prove itself (`chain_sent` is False where a port can send only the first of a chain);
    `utc_s()` is the time or None; `least_s` a time that has surely passed, such as the last one known: what expired
    before it is refused even when the time is unknown. ValueError when a certificate or key cannot be read.
    `dates_checked` is False after a connection for which nobody could tell whether the certificates are of today;
    all certificates of the connection's chain are valid from `since_s` to `until_s`, UTC.
    """

    def __init__(self, authorities, certificate=None, key=None, utc_s=None, least_s: int = 0):
        self._utc_s = utc_s
        self._least_s = least_s
        self._leaf = None
        self._taken = None
        self._wrong = None
        self._probing = False
        self.dates_checked = True
        self.since_s = self.until_s = None
        self.chain_sent = True
        self._context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        # The stubs know only SSLContext's methods.
        self._context.verify_mode = tls.CERT_REQUIRED  # type: ignore
        self._context.set_ciphers(_CIPHERS)
        self._context.verify_callback = self._verify  # type: ignore
        for authority in authorities:
            for der in _ders(authority, "CERTIFICATE"):
                self._context.load_verify_locations(der)
        if certificate is not None:
            self._load_own(certificate, _ders(key, "PRIVATE KEY")[0])

    def _load_own(self, certificate, key) -> None:
        """Take the own certificate, with those behind it where the port's Mbed TLS reads PEM: in DER it takes one."""
        chain = _ders(certificate, "CERTIFICATE")
        if len(chain) > 1:
            try:
                self._context.load_cert_chain(certificate, key)
                return
            except ValueError:
                # A port without PEM: the server has to know the certificates in between.
                self.chain_sent = False
        self._context.load_cert_chain(chain[0], key)

    def wrap_socket(self, sock, server_hostname=None, do_handshake_on_connect=True):
        """As that of an SSLContext; `server_hostname` is the name that the certificate has to carry."""
        if not server_hostname:
            raise ValueError("server_hostname: '%s' is not allowed; allowed: a name or address" % server_hostname)
        self.since_s = self.until_s = None
        self._context.verify_mode = tls.CERT_REQUIRED if self._taken is None else tls.CERT_OPTIONAL  # type: ignore
        return self._context.wrap_socket(
            sock, server_hostname=server_hostname, do_handshake_on_connect=do_handshake_on_connect
        )

    def _verify(self, der, depth: int) -> int:
        """Called by Mbed TLS for each certificate of a chain, the server's (depth 0) last; not 0 ends the handshake."""
        if self._probing:
            # The server has agreed to what is not allowed; nothing must be sent to it.
            return _FATAL_ERROR
        try:
            wrong = self._wrong_date(der)
            if wrong and self._wrong is None:
                self._wrong = wrong
            if depth == 0:
                self._leaf = sha256(der).digest()
                if self._taken is not None and self._leaf != self._taken:
                    self._wrong = "the server shows another certificate each time"
        except ValueError as error:
            self._wrong = str(error)
        return _FATAL_ERROR if self._wrong else 0

    def _wrong_date(self, der):
        """What our clock says against the dates of a certificate, None when it says nothing."""
        begin, end = validity(der)
        self.since_s = begin if self.since_s is None else max(self.since_s, begin)
        self.until_s = end if self.until_s is None else min(self.until_s, end)
        now = self._utc_s() if self._utc_s else None
        if end < (self._least_s if now is None else now):
            return "the certificate expired on " + timestamps.iso(end)
        if now is not None and begin > now:
            return "the certificate is not valid before " + timestamps.iso(begin)
        return None

    def judge(self, error) -> bool:
        """Whether to connect once more after `error`, which connecting, or the first write or read, has raised.

        TlsError when TLS is to blame; False when it is something else.
        """
        wrong = self._wrong
        self._wrong = None
        if wrong is not None:
            raise TlsError(INVALID_CERTIFICATE, wrong)
        number = error.args[0] if error.args else None
        if isinstance(error, ValueError):
            return self._judge_text(str(error))
        if number == _BAD_PROTOCOL_VERSION:
            raise TlsError(INVALID_VERSION, "the server speaks no TLS 1.2")
        if self._probing and number == _FATAL_ERROR:
            raise TlsError(INVALID_CIPHER, "the server knows none of the ciphers allowed")
        if number == _CA_CHAIN_REQUIRED:
            raise TlsError(INVALID_CERTIFICATE, "there is no authority to trust")
        if number in (_CONN_EOF, _FATAL_ALERT) and self._leaf is None and not self._probing:
            self._probing = True
            self._context.set_ciphers(self._context.get_ciphers())
            return True
        return False

    def _judge_text(self, text: str) -> bool:
        lines = [line for line in text.split("\n") if line]
        if not any("certificate" in line.lower() for line in lines):
            return False
        if self._taken is None and self._leaf is not None and all(line in (_EXPIRED, _FUTURE) for line in lines):
            self._taken = self._leaf
            self.dates_checked = bool(self._utc_s and self._utc_s() is not None)
            return True
        raise TlsError(INVALID_CERTIFICATE, "; ".join(lines))


def _ders(data, label: str) -> list:
    """The parts of a PEM (str or bytes) whose label ends in `label`, as DER; DER is given back. ValueError for none.

    Not every port's Mbed TLS reads PEM.
    """
    if not isinstance(data, str):
        if bytes(data[:1]) == _SEQUENCE_BYTE:
            return [data]
        data = bytes(data).decode()
    found = []
    for part in data.split("-----BEGIN ")[1:]:
        kind, _, rest = part.partition("-----")
        if kind.endswith(label):
            found.append(a2b_base64(rest.partition("-----END")[0].strip()))
    if not found:
        raise ValueError("no %s in DER or PEM" % label.lower())
    return found


def validity(der) -> tuple:
    """(first, last) second since 1970 of a certificate in DER (RFC 5280, 4.1.2.5); ValueError when it is none."""
    try:
        _, at, _ = _element(der, 0)
        _, at, _ = _element(der, at)
        tag, _, end = _element(der, at)
        if tag == _VERSION:
            _, _, end = _element(der, end)
        # Signature algorithm, issuer, then validity.
        for _ in range(2):
            _, _, end = _element(der, end)
        tag, at, _ = _element(der, end)
        if tag != _SEQUENCE:
            raise ValueError
        first, at = _time(der, at)
        return first, _time(der, at)[0]
    except (IndexError, ValueError):
        raise ValueError("a certificate without dates")


def _element(der, at: int) -> tuple:
    """(tag, start of the content, its end) of the element at `at`."""
    length = der[at + 1]
    start = at + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(bytes(der[start : start + count]), "big")
        start += count
    return der[at], start, start + length


def _time(der, at: int) -> tuple:
    tag, start, end = _element(der, at)
    text = bytes(der[start:end]).decode()
    if tag == _UTC_TIME:
        # RFC 5280, 4.1.2.5.1: two digits of the year, from 50 on of the twentieth century.
        text = ("19" if text[:2] >= "50" else "20") + text
    if len(text) != 15 or text[14] != "Z":
        raise ValueError
    parts = (text[:4], text[4:6], text[6:8], text[8:10], text[10:12], text[12:14])
    return timestamps.parse("%s-%s-%sT%s:%s:%sZ" % parts), end
