"""Verifies a signed firmware (OCPP 1.6 security whitepaper, L01): who may sign, and whether he has; loaded on demand.

It reads no file and reports nothing: whoever installs gives it the bytes and tells the central system and the log.
"""

from binascii import a2b_base64
from hashlib import sha256

import x509
from ocpp import certificates

INVALID_CERTIFICATE = "InvalidCertificate"
INVALID_SIGNATURE = "InvalidSignature"
VERIFIED = "SignatureVerified"
# Security event that belongs to a status.
EVENTS = {
    INVALID_CERTIFICATE: "InvalidFirmwareSigningCertificate",
    INVALID_SIGNATURE: "InvalidFirmwareSignature",
}


class Verifier:
    """One firmware: `check_certificate`, then `update` with each piece of the file, then `finish`.

    `certificate` (PEM, the signer's first, intermediates behind it) and `signature` (base64) are those of
    SignedUpdateFirmware.req; `roots` the manufacturer's in DER. `reason` says what is wrong.
    """

    def __init__(self, certificate: str, signature: str, roots: list, utc_s):
        self._text = certificate
        self._signature = signature
        self._roots = roots
        self._utc_s = utc_s
        self._hash = sha256()
        self._signer = None
        self.reason = ""

    async def check_certificate(self) -> str:
        """InvalidCertificate, or "" when a root of the manufacturer's stands behind the signer."""
        try:
            chain = [x509.Certificate(der) for der in x509.from_pem(self._text)]
            roots = [x509.Certificate(der) for der in self._roots]
            self.reason = await x509.check_chain(chain, roots, self._utc_s)
            if not self.reason and not chain[0].usage & x509.SIGNS_DATA:
                self.reason = "the certificate is not for signatures"
        except ValueError as error:
            self.reason = str(error)
        if self.reason:
            return INVALID_CERTIFICATE
        self._signer = chain[0]
        return ""

    def update(self, piece) -> None:
        """Take the next bytes of the file."""
        self._hash.update(piece)

    async def finish(self) -> str:
        """SignatureVerified or InvalidSignature over all bytes given; InvalidCertificate if that was not checked."""
        if self._signer is None:
            self.reason = self.reason or "the certificate was not checked"
            return INVALID_CERTIFICATE
        try:
            signature = a2b_base64("".join(self._signature.split()))
        except ValueError:
            self.reason = "the signature is not base64"
            return INVALID_SIGNATURE
        if await x509.verify(self._signer, self._hash.digest(), signature):
            return VERIFIED
        self.reason = "the signature is not the signer's over this file"
        return INVALID_SIGNATURE


def maker_roots(point) -> list:
    """The manufacturer's roots in DER."""
    return [der for _, der in certificates.Store(point.folder, point.log).roots(certificates.MAKER)]
