"""TLS of the package on MicroPython against OpenSSL, with certificates of every kind of wrong (R25)."""

import asyncio
import base64
import datetime
import ipaddress
import ssl
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from transport import Device, accept, frame, read_frame

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)
BOX = [x509.DNSName("csms.example")]
BAD = "InvalidCentralSystemCertificate"


class Certificate:
    """A certificate and its key; `issuer` None: signed by itself, an authority."""

    def __init__(
        self,
        issuer: "Certificate | None",
        names: Any = (),
        first: int = -30,
        last: int = 30,
        common: str = "x",
        ca: bool = False,
        key: Any = None,
    ):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(issuer.subject if issuer else self.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + first * DAY)
            .not_valid_after(NOW + last * DAY)
            .add_extension(x509.BasicConstraints(ca or issuer is None, None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        self.certificate = builder.sign(issuer.key if issuer else self.key, hashes.SHA256())

    @property
    def der(self) -> str:
        return base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def key_as(self, form: PrivateFormat, encoding: Encoding = Encoding.DER) -> str:
        data = self.key.private_bytes(encoding, form, NoEncryption())
        return data.decode() if encoding == Encoding.PEM else base64.b64encode(data).decode()

    def server(self, *chain: "Certificate") -> ssl.SSLContext:
        """A server's context with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "chain.pem")
            pem = self.pem + "".join(one.pem for one in chain)
            path.write_text(pem + self.key_as(PrivateFormat.PKCS8, Encoding.PEM))
            context.load_cert_chain(path)
        return context


AUTHORITY = Certificate(None, common="authority", last=3000, first=-3000)
OTHER = Certificate(None, common="other authority")
OLD_AUTHORITY = Certificate(None, common="old authority", first=-60, last=-30)


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    started = Device()
    yield started
    started.close()


async def serve(device: Device, context: ssl.SSLContext) -> int:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(accept(await reader.readuntil(b"\r\n\r\n")) + frame(1, b"over tls"))
        await read_frame(reader)

    return await device.serve(handler, ssl=context)


def arguments(port: int, host: str = "csms.example", **tls: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"authorities": [AUTHORITY.der], "utc_s": int(NOW.timestamp()), **tls}
    return {"name": "t", "url": f"wss://{host}:{port}/cp", "tls": given}


async def works(device: Device, context: ssl.SSLContext, **options: Any) -> bool:
    """Connect and take a message -> whether the dates have been checked."""
    answer = await device.do("connect", **arguments(await serve(device, context), **options))
    assert (await device.do("recv", name="t"))["text"] == "over tls"
    await device.do("close", name="t")
    return answer["dates_checked"]


async def fails(device: Device, context: ssl.SSLContext, **options: Any) -> dict[str, Any]:
    return await device.refused("connect", **arguments(await serve(device, context), **options))


@pytest.fixture(autouse=True)
def quiet_loop(device: Device) -> None:
    # The server's side of a refused handshake is no error of the test.
    device.loop.set_exception_handler(lambda _loop, _context: None)


def test_a_good_certificate_is_taken_whatever_its_form(device: Device) -> None:
    async def test() -> None:
        good = Certificate(AUTHORITY, BOX).server()
        assert await works(device, good)
        assert await works(device, good, authorities=[AUTHORITY.pem])
        assert await works(device, good, authorities=[OTHER.der, AUTHORITY.der])
        assert await works(device, good, authorities=[OTHER.pem + AUTHORITY.pem])
        between = Certificate(AUTHORITY, common="between", ca=True)
        assert await works(device, Certificate(between, BOX).server(between))
        assert await works(device, Certificate(AUTHORITY, BOX, key=rsa.generate_private_key(65537, 2048)).server())

    device.run(test())


def test_a_certificate_of_nobody_trusted_is_refused(device: Device) -> None:
    async def test() -> None:
        for options in ({"authorities": [OTHER.der]}, {"authorities": []}, {"authorities": [OTHER.der], "utc_s": None}):
            answer = await fails(device, Certificate(AUTHORITY, BOX).server(), **options)
            assert (answer["error"], answer["event"]) == ("TlsError", BAD), answer
        answer = await fails(device, Certificate(None, BOX).server())
        assert answer["event"] == BAD
        # Issued by a certificate that is no authority.
        leaf = Certificate(AUTHORITY, BOX)
        assert (await fails(device, Certificate(leaf, BOX).server(leaf)))["event"] == BAD

    device.run(test())


def test_a_certificate_of_another_name_is_refused_also_when_the_time_is_unknown(device: Device) -> None:
    async def test() -> None:
        wrong = Certificate(AUTHORITY, [x509.DNSName("other.example")]).server()
        for utc_s in (int(NOW.timestamp()), None):
            answer = await fails(device, wrong, utc_s=utc_s)
            assert answer["event"] == BAD
            assert "Common Name" in answer["text"]
        late = Certificate(AUTHORITY, [x509.DNSName("other.example")], last=-1).server()
        assert (await fails(device, late, utc_s=None))["event"] == BAD

    device.run(test())


def test_addresses_wildcards_and_common_names_count_as_names(device: Device) -> None:
    async def test() -> None:
        address = Certificate(AUTHORITY, [x509.IPAddress(ipaddress.ip_address("10.1.2.3"))]).server()
        assert await works(device, address, host="10.1.2.3")
        assert (await fails(device, address, host="10.1.2.4"))["event"] == BAD
        assert await works(device, Certificate(AUTHORITY, [x509.DNSName("*.example")]).server())
        assert await works(device, Certificate(AUTHORITY, common="csms.example").server())

    device.run(test())


def test_dates_are_checked_by_the_clock_of_the_charge_point(device: Device) -> None:
    async def test() -> None:
        expired = Certificate(AUTHORITY, BOX, first=-20, last=-10)
        answer = await fails(device, expired.server())
        assert answer["event"] == BAD
        assert "expired on" in answer["text"]
        future = Certificate(AUTHORITY, BOX, first=10, last=20)
        answer = await fails(device, future.server())
        assert "not valid before" in answer["text"]
        # The port's own clock is another: what counts is what the charge point knows.
        assert await works(device, expired.server(), utc_s=int((NOW - 15 * DAY).timestamp()))
        good = Certificate(AUTHORITY, BOX).server()
        assert "expired" in (await fails(device, good, utc_s=int((NOW + 40 * DAY).timestamp())))["text"]
        # An authority's dates count too.
        answer = await fails(device, Certificate(OLD_AUTHORITY, BOX).server(), authorities=[OLD_AUTHORITY.der])
        assert answer["event"] == BAD

    device.run(test())


def test_the_time_in_which_the_whole_chain_is_valid_is_known(device: Device) -> None:
    async def test() -> None:
        between = Certificate(AUTHORITY, common="between", ca=True, first=-5, last=100)
        chain = [Certificate(between, BOX, first=-20, last=10), between]
        for utc_s in (int(NOW.timestamp()), None):
            port = await serve(device, chain[0].server(between))
            answer = await device.do("connect", **arguments(port, utc_s=utc_s))
            await device.do("close", name="t")
            first = int(chain[1].certificate.not_valid_before_utc.timestamp())
            assert answer["valid"] == [first, int(chain[0].certificate.not_valid_after_utc.timestamp())]

    device.run(test())


def test_without_the_time_dates_are_left_out_and_that_is_told(device: Device) -> None:
    async def test() -> None:
        expired = Certificate(AUTHORITY, BOX, first=-20, last=-10).server()
        assert await works(device, expired, utc_s=None) is False
        future = Certificate(AUTHORITY, BOX, first=10, last=20).server()
        assert await works(device, future, utc_s=None) is False
        # It is surely later than the last time known.
        answer = await fails(device, expired, utc_s=None, least_s=int((NOW - 5 * DAY).timestamp()))
        assert (answer["event"], "expired" in answer["text"]) == (BAD, True)
        assert await works(device, expired, utc_s=None, least_s=int((NOW - 15 * DAY).timestamp())) is False

    device.run(test())


def test_the_second_connection_without_dates_takes_the_very_same_certificate_only(device: Device) -> None:
    async def test() -> None:
        expired = Certificate(AUTHORITY, BOX, first=-20, last=-10)
        # The second time somebody else answers, whose certificate is signed by nobody.
        impostor = Certificate(None, BOX, first=-20, last=-10)
        switching = expired.server()
        seen = []

        def switch(connection: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
            seen.append(connection)
            if len(seen) > 1:
                connection.context = impostor.server()

        switching.sni_callback = switch
        answer = await fails(device, switching, utc_s=None)
        assert len(seen) == 2
        assert (answer["error"], answer["event"]) == ("TlsError", BAD)
        assert "another certificate" in answer["text"]

    device.run(test())


def test_tls_below_1_2_is_refused_and_named(device: Device) -> None:
    async def test() -> None:
        old = Certificate(AUTHORITY, BOX).server()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version = ssl.TLSVersion.TLSv1_1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        answer = await fails(device, old)
        assert answer["error"] == "TlsError", answer
        assert answer["event"] == "InvalidTLSVersion"

    device.run(test())


def test_a_cipher_that_is_not_among_the_white_papers_is_not_agreed_on_and_named(device: Device) -> None:
    async def test() -> None:
        weak = Certificate(AUTHORITY, BOX).server()
        weak.maximum_version = ssl.TLSVersion.TLSv1_2
        weak.set_ciphers("ECDHE-ECDSA-AES128-SHA")
        answer = await fails(device, weak)
        assert answer["error"] == "TlsError", answer
        assert answer["event"] == "InvalidTLSCipherSuite"

    device.run(test())


def test_a_server_that_demands_a_certificate_gets_ours(device: Device) -> None:
    async def test() -> None:
        own = Certificate(AUTHORITY, common="box 1")
        demanding = Certificate(AUTHORITY, BOX).server()
        demanding.load_verify_locations(cadata=AUTHORITY.pem)
        demanding.verify_mode = ssl.CERT_REQUIRED
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            assert await works(device, demanding, own=[own.der, own.key_as(form)])
        assert await works(device, demanding, own=[own.pem, own.key_as(PrivateFormat.PKCS8, Encoding.PEM)])
        assert (await fails(device, demanding))["error"] in ("OSError", "HandshakeError")
        foreign = Certificate(OTHER, common="box 1")
        answer = await fails(device, demanding, own=[foreign.der, foreign.key_as(PrivateFormat.PKCS8)])
        assert answer["error"] in ("OSError", "HandshakeError")
        answer = await fails(device, demanding, own=[own.der, "AAAA"])
        assert answer["error"] == "ValueError"

    device.run(test())


def test_a_server_without_tls_or_that_is_silent_is_an_error_in_time(device: Device) -> None:
    async def test() -> None:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await reader.read()

        async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()

        answer = await device.refused("connect", **arguments(await device.serve(plain)))
        assert answer["error"] == "OSError"
        began = device.loop.time()
        answer = await device.refused("connect", timeout_s=1, **arguments(await device.serve(silent)))
        assert (answer["error"], answer["errno"]) == ("OSError", 110)
        assert device.loop.time() - began < 3

    device.run(test())


def test_a_half_open_tls_connection_wakes_whoever_reads(device: Device) -> None:
    async def test() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(accept(await reader.readuntil(b"\r\n\r\n")))
            writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
            await asyncio.Event().wait()

        port = await device.serve(handler, ssl=Certificate(AUTHORITY, BOX).server(), buffer_bytes=4096)
        await device.do("connect", timeout_s=1, **arguments(port))
        waiting = device.start("recv", name="t")
        sending = [device.start("send", name="t", size=200_000) for _ in range(2)]
        assert (await asyncio.gather(*sending))[-1]["code"] == 1006
        assert (await waiting)["code"] == 1006

    device.run(test())


def test_wss_without_anything_to_trust_is_refused(device: Device) -> None:
    answer = device.run(device.refused("connect", name="t", url="wss://csms.example:1/cp"))
    assert (answer["error"], answer["text"]) == ("ValueError", "ssl: None is not allowed for wss")
