"""Certificates for tests of TLS: an authority, and what it signs for servers and charge points."""

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM
PLAIN = serialization.NoEncryption()


class Authority:
    """A certificate authority with its files in `folder`; `ca` is its own certificate in PEM, `ca_der` in DER."""

    def __init__(self, folder: Path, name: str = "Test CA"):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._made = 0
        certificate = (
            self._builder(self._name, self._key.public_key(), 0, 10)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca = folder / f"{name}.pem"
        self.ca.write_bytes(certificate.public_bytes(PEM))
        # MicroPython's Unix port reads no PEM.
        self.ca_der = self.ca.with_suffix(".der")
        self.ca_der.write_bytes(certificate.public_bytes(serialization.Encoding.DER))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, from_days: float, days: float
    ) -> x509.CertificateBuilder:
        begin = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=from_days, hours=-1)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=days))
        )

    def issue(
        self, name: str, organisation: str = "Test CPO", client: bool = False, from_days: float = 0, days: float = 10
    ) -> tuple[Path, Path]:
        """A certificate for the host or charge point `name` -> (certificate, key), PEM files; the key as SEC1 has it.

        It is valid for `days` from so many days from now on.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = self._builder(subject, key.public_key(), from_days, days).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if not client:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        self._made += 1
        paths = self._folder / f"{self._made}-cert.pem", self._folder / f"{self._made}-key.pem"
        paths[0].write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(PEM))
        paths[1].write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.TraditionalOpenSSL, PLAIN))
        return paths

    def sign(self, request: str, days: float = 10) -> str:
        """A charge point's certificate for its signing request in PEM -> PEM; ValueError when that is not in order."""
        asked = x509.load_pem_x509_csr(request.encode())
        key = asked.public_key()
        if not asked.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
            raise ValueError("the request is not signed with its own key of a curve")
        certificate = self._builder(asked.subject, key, 0, days).sign(self._key, hashes.SHA256())
        return certificate.public_bytes(PEM).decode()

    def server(
        self, name: str = "localhost", ask_client: bool = False, from_days: float = 0, days: float = 10
    ) -> ssl.SSLContext:
        """A server's context with a certificate for `name`; with `ask_client` clients must own one from here."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name, from_days=from_days, days=days))
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context

    def client(self, name: str = "") -> ssl.SSLContext:
        """A client's context on CPython, with a certificate for the charge point `name` if there is one."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if name:
            context.load_cert_chain(*self.issue(name, client=True))
        return context
