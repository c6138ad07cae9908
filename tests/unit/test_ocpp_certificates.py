"""Certificates of the central system, the manufacturer and the charge point: kept, refused, replaced, renewed."""

import asyncio
import os
import sys
from binascii import b2a_base64, hexlify
from hashlib import sha256

from certificate_maker import FIRST_S, NOW, authority, make, name, pem, root, usage
from ocpp_security_help import Box
from storage_help import cut_everywhere

import asn1
import p256
import x509
from ocpp import schema
from ocpp.certificates import Store
from ocpp.handlers.certificates import HANDLERS
from ocpp.rare import borrow

CENTRAL, MAKER = "CentralSystemRootCertificate", "ManufacturerRootCertificate"
ROOT = 11


def box(folder_name, **more):
    made = Box(folder_name, **more)
    made.clock.utc_base_s = NOW
    made.answers["SignCertificate"] = {"status": "Accepted"}
    return made


async def answer(box, action, **payload):
    """The answer of the box, checked as the charge point does it, and what follows it."""
    schema.check_request(action, payload)
    found = await HANDLERS[action](box, payload)
    schema.check_response(action, found)
    await box.answered()
    return found


async def install(box, der, kind=CENTRAL):
    return (await answer(box, "InstallCertificate", certificateType=kind, certificate=pem(der)))["status"]


async def listed(box, kind=CENTRAL):
    found = await answer(box, "GetInstalledCertificateIds", certificateType=kind)
    return found.get("certificateHashData", [])


async def delete(box, hashes):
    return (await answer(box, "DeleteCertificate", certificateHashData=hashes))["status"]


async def ask(box):
    """Ask for a certificate -> the public point that the request holds."""
    await box.security.sign_certificate()
    _, action, payload = box.sent[-1]
    assert action == "SignCertificate"
    der = x509.from_pem(payload["csr"], "CERTIFICATE REQUEST")[0]
    at = der.index(b"\x03\x42\x00\x04") + 3
    return der, der[at : at + 65]


async def issue(common="S1", organisation=None, key=13, **more):
    """A certificate for the charge point by the root with key 11."""
    return await make(name(common, organisation), key, name("Root"), ROOT, (usage(0x80),), serial=7, **more)


async def know_key(box):
    """Let the pending key be the number 13, for which certificates can be made."""
    Store(box.folder, box.log).expect(x509.encode_private(13, await p256.public(13)))


async def signed(box, *ders):
    return (await answer(box, "CertificateSigned", certificateChain=pem(*ders)))["status"]


async def test_roots_are_installed_listed_and_deleted_by_kind():
    one = box("certs-roots")
    await one.security.load()
    first, second, makers = await root("A", 21, serial=255), await root("B", 22), await root("M", 23)
    assert await listed(one) == []
    assert await install(one, first) == await install(one, second) == await install(one, makers, MAKER) == "Accepted"
    for name_, kind, ders in ((CENTRAL, "c", [first, second]), (MAKER, "m", [makers])):
        expected = [x509.hash_data(x509.Certificate(der), x509.Certificate(der)) for der in ders]
        assert await listed(one, name_) == expected
        assert [der for _, der in Store(one.folder, one.log).roots(kind)] == ders
    hashes = (await listed(one))[0]
    assert hashes["serialNumber"] == "ff"
    assert await delete(one, dict(hashes, serialNumber="fe")) == "NotFound"
    assert await delete(one, dict(hashes, hashAlgorithm="SHA512")) == "NotFound"
    assert await delete(one, dict(hashes, serialNumber="FF")) == "Accepted"
    assert await delete(one, hashes) == "NotFound"
    assert len(await listed(one)) == 1 and len(await listed(one, MAKER)) == 1
    assert one.recorded() == ["ReconfigurationOfSecurityParameters"] * 4


async def test_what_is_no_root_is_refused_and_logged():
    one = box("certs-refused")
    good = await root()
    other = await root("Other", 99)
    forged = good[:-3] + bytes([good[-3] ^ 1]) + good[-2:]
    no_authority = await make(name("x"), 5, name("x"), 5, (usage(0x06),))
    strange = await make(name("Sub"), 5, name("Root"), ROOT, (authority(), usage(0x06)))
    expired = await root(last=b"260601000000Z")
    early = await root(first=b"300101000000Z")
    for text in ("nonsense", pem(good)[:-40], pem(good, other), pem(good[:-1]), pem(b"")):
        found = await answer(one, "InstallCertificate", certificateType=CENTRAL, certificate=text)
        assert found == {"status": "Rejected"}, text
    for der in (forged, no_authority, strange, expired, early):
        assert await install(one, der) == "Rejected"
    assert await listed(one) == []
    assert one.log.codes() == ["certificate_refused"] * 10
    # With its issuer there it is taken.
    assert await install(one, good) == await install(one, strange) == "Accepted"
    hashes = (await listed(one))[1]
    assert hashes["issuerKeyHash"] == (await listed(one))[0]["issuerKeyHash"]


async def test_a_root_whose_name_is_no_utf_8_is_installed_and_reported_like_any_other():
    one = box("certs-latin")
    await one.security.load()
    # TeletexString, as some roots from before 2004 have it; and what is no name at all.
    latin = name("x?x").replace(b"\x0c\x03x?x", b"\x14\x03x\xe4x")
    for key, subject in ((24, latin), (25, asn1.encode(asn1.SEQUENCE, b"\x05\x00"))):
        der = await make(subject, key, subject, key, (authority(), usage(0x06)))
        assert await install(one, der) == "Accepted"
    assert one.recorded() == ["ReconfigurationOfSecurityParameters"] * 2
    assert len(await listed(one)) == 2


async def test_the_same_root_twice_takes_one_place_and_a_full_store_refuses():
    one = box("certs-full", CertificateStoreMaxLength=2)
    roots = (await root("R0", 30), await root("R1", 31), await root("R2", 32))
    assert await install(one, roots[0]) == await install(one, roots[0]) == "Accepted"
    assert await install(one, roots[1], MAKER) == "Accepted"
    assert await install(one, roots[2]) == "Rejected"
    assert "full" in one.log.entries[-1][2]
    assert await install(one, roots[1], MAKER) == "Accepted"
    assert await delete(one, (await listed(one))[0]) == "Accepted"
    assert await install(one, roots[2]) == "Accepted"


async def test_the_only_root_stays_while_the_link_needs_it():
    one = box("certs-last", SecurityProfile=2, AuthorizationKey="0123456789abcdef")
    await install(one, await root("A", 21))
    assert await delete(one, (await listed(one))[0]) == "Failed"
    await install(one, await root("B", 22))
    assert await delete(one, (await listed(one))[0]) == "Accepted"
    assert await delete(one, (await listed(one))[0]) == "Failed"


async def successor(common="New", key=41, signer=ROOT, issuer="Root"):
    return await make(name(common), key, name(issuer), signer, (authority(), usage(0x06)), serial=77)


async def test_with_the_additional_check_a_root_is_replaced_by_one_that_it_has_signed():
    one = box("certs-check", AdditionalRootCertificateCheck=True, SecurityProfile=2)
    old = await root()
    assert await install(one, old) == "Accepted"
    for wrong in (await root("Other", 50), await successor(signer=12)):
        assert await install(one, wrong) == "Rejected"
    new = await successor()
    assert await install(one, new) == "Accepted"
    assert one.reconnects == 1
    store = Store(one.folder, one.log)
    assert [der for _, der in store.roots("c")] == [new] and [der for _, der in store.roots("f")] == [old]
    assert len(await listed(one)) == 2
    one.security.link_made()
    assert [der for _, der in store.roots("cf")] == [new], "the former root stays after the new one has worked"


async def test_a_new_root_that_does_not_work_gives_way_to_the_former_one():
    one = box("certs-back", AdditionalRootCertificateCheck=True, SecurityProfile=2)
    old = await root()
    await install(one, old)
    await install(one, await successor())

    class Untrusted(Exception):
        event = "InvalidCentralSystemCertificate"

    one.security.link_failed(Untrusted("not trusted"))
    assert one.security.target().ssl is not None
    one.security.link_made()
    assert [der for _, der in Store(one.folder, one.log).roots("cf")] == [old]


async def test_what_a_central_system_has_installed_is_forgotten_and_what_the_owner_has_stays():
    one = box("certs-forget")
    own = await root("Own", 21)
    store = Store(one.folder, one.log)
    store.add_root("c", own)
    store.add_root("m", own)
    for common, key, kind in (("A", 22, CENTRAL), ("B", 23, MAKER)):
        assert await install(one, await root(common, key), kind) == "Accepted"
    store.add_root("c", b"his second")
    store.expect(b"\x30\x01\x01")
    store.keep_client([b"\x30\x01\x02"], False)
    store.expect(b"\x30\x01\x03")
    assert len(list(store.forget(False))) == 3
    assert [der for _, der in store.roots("cm")] == [own, b"his second", own]
    assert store.chain() == [b"\x30\x01\x02"] and store.pending_key() is None
    assert len(list(store.forget(True))) == 1
    assert not store.has_client() and store.roots("cm")


async def test_a_root_on_trial_gives_way_to_the_owners_when_the_central_system_is_another():
    one = box("certs-forget-trial")
    store = Store(one.folder, one.log)
    store.add_root("c", b"own")
    store.replace_root("c0", b"on trial")
    list(store.forget(True))
    assert store.roots("cf") == [("c0", b"own")]


async def test_damaged_files_are_left_out_and_told():
    one = box("certs-damage")
    await install(one, await root("A", 21))
    await install(one, await root("B", 22))
    path = one.folder + "/ocert.c100"
    with open(path, "rb") as file:
        data = bytearray(file.read())
    data[20] ^= 1
    with open(path, "wb") as file:
        file.write(data)
    assert len(await listed(one)) == 1
    assert "certificate_lost" in one.log.codes()


async def test_a_request_names_the_charge_point_and_its_operator_and_keeps_the_key_first():
    one = box("certs-ask", CpoName="Operator")
    der, point = await ask(one)
    assert b"\x0c\x02S1" in der and b"\x0c\x08Operator" in der
    assert len(one.sent[-1][2]["csr"]) < 5500
    key = Store(one.folder, one.log).pending_key()
    assert x509.public_of_private(key) == tuple(int.from_bytes(point[i : i + 32], "big") for i in (1, 33))
    second = (await ask(one))[1]
    assert second != point, "a key pair was used twice"


async def test_a_signed_certificate_is_taken_with_its_key_and_used():
    one = box("certs-signed", SecurityProfile=3, CpoName="Operator")
    await one.security.load()
    await install(one, await root())
    await know_key(one)
    leaf = await issue(organisation="Operator")
    assert await signed(one, leaf) == "Accepted"
    assert one.reconnects == 1
    store = Store(one.folder, one.log)
    assert store.chain() == [leaf] and store.pending_key() is None
    assert store.key() == x509.encode_private(13, x509.Certificate(leaf).point)
    target = one.security.target()
    assert target.url.startswith("wss:") and target.password is None and target.ssl is not None
    assert one.recorded()[-1] == "ReconfigurationOfSecurityParameters"
    # The answer may have been lost: the same again is accepted, and nothing changes.
    assert await signed(one, leaf) == "Accepted"
    assert store.chain() == [leaf] and one.reconnects == 1


async def test_a_certificate_that_was_not_asked_for_or_is_not_ours_is_refused_and_reported():
    one = box("certs-wrong", CpoName="Operator")
    await one.security.load()
    await install(one, await root())
    leaf = await issue(organisation="Operator")
    assert await signed(one, leaf) == "Rejected", "no key was pending"
    await know_key(one)
    middle = await make(name("Middle"), 12, name("Root"), ROOT, (authority(), usage(0x06)))
    for ders, part in (
        ([await issue(organisation="Operator", key=14)], "another key"),
        ([await issue(common="S2", organisation="Operator")], "common name"),
        ([await issue(organisation="Other")], "organisation"),
        ([await issue(organisation="Operator", last=b"260601000000Z")], "expired"),
        ([leaf, middle], "signature"),
        ([leaf[:-2] + bytes([leaf[-2] ^ 1]) + leaf[-1:]], "not signed"),
        ([leaf] * 5, "allowed: up to 4"),
        ([leaf[:-1]], "DER"),
    ):
        assert await signed(one, *ders) == "Rejected", part
        assert part in one.log.entries[-1][2], (part, one.log.entries[-1])
    long = {"certificateChain": pem(leaf) + "x" * 9999}
    assert await HANDLERS["CertificateSigned"](one, long) == {"status": "Rejected"}
    kinds = one.recorded()
    assert "InvalidChargePointCertificate" in kinds and not Store(one.folder, one.log).has_client()
    assert await signed(one, leaf) == "Accepted"


async def test_a_chain_by_an_authority_that_is_not_installed_is_checked_in_itself():
    one = box("certs-other-ca")
    await know_key(one)
    middle = await make(name("Middle"), 12, name("Far"), 77, (authority(0), usage(0x06)))
    leaf = await make(name("S1"), 13, name("Middle"), 12, (usage(0x80),))
    forged = await make(name("S1"), 13, name("Middle"), 78, (usage(0x80),))
    assert await signed(one, forged, middle) == "Rejected"
    assert await signed(one, leaf, middle) == "Accepted"
    assert Store(one.folder, one.log).chain() == [leaf, middle]
    one.config.preset({"SecurityProfile": 3})
    assert one.security.target().ssl is not None, "a port that reads DER only shows the own certificate alone"


async def test_a_new_certificate_that_is_refused_gives_way_to_the_former_one():
    one = box("certs-trial", SecurityProfile=3)
    store = Store(one.folder, one.log)
    await install(one, await root())
    await know_key(one)
    first = await issue()
    await signed(one, first)
    one.security.link_made()
    await know_key(one)
    second = await issue(last=b"370101000000Z")
    await signed(one, second)
    assert store.chain() == [second] and store.chain(True) == [first]
    one.security.link_failed(OSError(5))
    one.security.link_failed(OSError(5))
    one.security.link_failed(OSError(5))
    assert one.security.target().ssl is not None
    one.security.link_made()
    assert store.chain() == [first] and store.chain(True) == []


async def test_a_certificate_for_later_waits_for_its_time():
    one = box("certs-later", SecurityProfile=3)
    store = Store(one.folder, one.log)
    await know_key(one)
    await signed(one, await issue())
    one.security.link_made()
    await know_key(one)
    later = await issue(first=b"270201000000Z")
    one.reconnects = 0
    assert await signed(one, later) == "Accepted"
    assert store.chain() != [later] and one.reconnects == 0
    one.clock.set_utc_s(1801440000 - 1)  # 2027-02-01
    task = asyncio.create_task(one.sender.run())
    await asyncio.sleep(3600)
    assert store.chain() != [later]
    await asyncio.sleep(2 * 86400)
    assert store.chain() == [later] and one.reconnects == 1
    task.cancel()


async def test_a_certificate_near_its_end_is_renewed_by_itself_once_a_day():
    one = box("certs-renew")
    await know_key(one)
    await signed(one, await issue(last=b"270601000000Z"))
    end_s = 1811808000
    one.clock.set_utc_s(end_s - 32 * 86400)
    task = asyncio.create_task(one.sender.run())
    await asyncio.sleep(3600)
    requests = lambda: [payload for _, action, payload in one.sent if action == "SignCertificate"]  # noqa: E731
    assert not requests()
    await asyncio.sleep(4 * 86400)
    assert 2 <= len(requests()) <= 3, len(requests())
    task.cancel()


async def test_a_request_that_cannot_be_sent_is_logged_and_a_second_one_beside_it_is_not_made():
    one = box("certs-offline")
    one.online = False
    await one.security.sign_certificate()
    assert "not_signed" in one.log.codes()
    one.online = True
    await asyncio.gather(one.security.sign_certificate(), one.security.sign_certificate())
    assert len(one.sent) == 1
    one.answers["SignCertificate"] = {"status": "Rejected"}
    await one.security.sign_certificate()
    assert one.log.entries[-1][0] == "warning"


async def test_profile_3_wants_a_root_and_a_certificate():
    one = box("certs-profile")
    assert one.security.change("SecurityProfile", "3") == "Rejected"
    await install(one, await root())
    assert one.security.change("SecurityProfile", "3") == "Rejected"
    assert "no certificate of the charge point" in one.log.entries[-1][2]
    await know_key(one)
    await signed(one, await issue())
    assert one.security.change("SecurityProfile", "3") == "Accepted"
    one.security.link_failed(OSError(111))
    one.security.link_failed(OSError(111))
    one.security.link_failed(OSError(111))
    assert one.security.target().ssl is None
    one.security.link_made()
    assert one.config["SecurityProfile"] == 0


def test_key_and_certificate_change_together_over_a_power_cut_at_any_write():
    async def make_all():
        made = []
        for number in (13, 14):
            key = x509.encode_private(number, await p256.public(number))
            made.append((key, await make(name("S1"), number, name("Root"), ROOT, (usage(0x80),))))
        return made

    pairs = asyncio.run(make_all())
    log = Box("certs-cut-log").log

    def prepare(folder):
        store = Store(folder, log)
        store.expect(pairs[0][0])
        store.keep_client([pairs[0][1]], False)
        return {}

    def run(folder, _state):
        store = Store(folder, log)
        store.expect(pairs[1][0])
        store.keep_client([pairs[1][1]], False)

    def check(folder, _state):
        store = Store(folder, log)
        assert (store.key(), store.chain()[0]) in pairs
        if store.chain(True):
            assert (store.key(True), store.chain(True)[0]) == pairs[0]
        if store.next_chain():
            store.promote()
            assert (store.key(), store.chain()[0]) == pairs[1]
        run(folder, None)
        assert (store.key(), store.chain()[0]) == pairs[1]
        assert (store.key(True), store.chain(True)[0]) == pairs[0], "the pair that has worked is gone"

    assert cut_everywhere(prepare, run, check) > 5


async def test_no_private_key_is_told_to_anybody():
    one = box("certs-secret", SecurityProfile=3)
    await one.security.load()
    await ask(one)
    key = Store(one.folder, one.log).pending_key()
    secret = key[7:39]
    number = int.from_bytes(secret, "big")
    await signed(one, await issue())
    told = str(one.sent) + str(one.log.entries) + str(one.flash.values) + str(list(one.security.log_pieces()))
    for text in (hexlify(secret).decode(), b2a_base64(secret).decode()[:20], str(number), str(secret)):
        assert text not in told
    for file_name in os.listdir(one.folder):
        with open(one.folder + "/" + file_name, "rb") as file:
            assert (secret in file.read()) == (file_name == "ocert.pending"), file_name


async def test_nothing_that_reads_certificates_stays_loaded():
    one = box("certs-modules")
    await install(one, await root())
    await ask(one)
    assert one.security.change("SecurityProfile", "3") == "Rejected"
    assert one.security.target().ssl is None
    one.security.link_made()
    for module in ("x509", "p256", "rsa", "asn1", "ocpp.signing", "ocpp.credentials", "ocpp.certificates"):
        assert module not in sys.modules, module


async def test_a_signed_firmware_is_verified_down_to_the_manufacturers_root():
    one = box("firmware")
    makers = await root("Maker", 61)
    await install(one, makers, MAKER)
    pieces = [b"firmware " * 100, b"", b"tail"]
    signer = await make(name("Signer"), 62, name("Maker"), 61, (usage(0x80),))
    digest = sha256(b"".join(pieces)).digest()

    async def sign(key, data=digest):
        return b2a_base64(p256.encode_signature(*await p256.sign(key, data))).decode()

    async def verdict(certificate, signature, given=pieces, now=NOW, roots=None):
        module = borrow("signature")
        verifier = module.Verifier(certificate, signature, module.maker_roots(one) if roots is None else roots, now)
        if await verifier.check_certificate():
            assert verifier.reason
            assert await verifier.finish() == "InvalidCertificate"
            return "InvalidCertificate"
        for piece in given:
            verifier.update(piece)
        found = await verifier.finish()
        assert (found == "SignatureVerified") != bool(verifier.reason)
        return found

    good = await sign(62)
    assert await verdict(pem(signer), good) == "SignatureVerified"
    assert await verdict(pem(signer), good, [b"".join(pieces)]) == "SignatureVerified"
    for wrong in (good[:-6], "", "AAAA", await sign(61), await sign(62, sha256(b"").digest())):
        assert await verdict(pem(signer), wrong) == "InvalidSignature", wrong
    assert await verdict(pem(signer), good, pieces + [b"x"]) == "InvalidSignature"
    foreign = await make(name("Signer"), 62, name("Maker"), 63, (usage(0x80),))
    for_clients = await make(name("Signer"), 62, name("Maker"), 61, (usage(0x08),))
    for certificate in (pem(foreign), pem(for_clients), "", "x", pem(signer[:-1])):
        assert await verdict(certificate, good) == "InvalidCertificate", certificate
    assert await verdict(pem(signer), good, now=FIRST_S - 1) == "InvalidCertificate"
    assert await verdict(pem(signer), good, roots=[]) == "InvalidCertificate"
    between = await make(name("Line"), 64, name("Maker"), 61, (authority(0), usage(0x06)))
    by_line = await make(name("Signer"), 62, name("Line"), 64, (usage(0x80),))
    assert await verdict(pem(by_line, between), good) == "SignatureVerified"
    assert await verdict(pem(by_line), good) == "InvalidCertificate"
    assert borrow("signature").EVENTS["InvalidSignature"] == "InvalidFirmwareSignature"
