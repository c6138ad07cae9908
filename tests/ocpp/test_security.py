"""How wallbox and central system know each other: profiles 0 to 3 of the white paper (scenario 72; R25, R27)."""

import base64
import ssl
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from csms import BOX, CallFailed, Csms

from simulator import Simulator

SERIAL = "SIM0000001"
KEY = "0123456789abcdef"
NEW_KEY = "fedcba98765432100123"
EVENT = "SecurityEventNotification"
BAD_SERVER = "InvalidCentralSystemCertificate"
RECONFIGURED = "ReconfigurationOfSecurityParameters"
REJECTED, ACCEPTED = {"status": "Rejected"}, {"status": "Accepted"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "Another CA")


def event(csms: Csms, kind: str, since: int = 0, count: int = 1) -> dict:
    return csms.wait_for(EVENT, lambda payload: payload["type"] == kind, since=since, count=count).payload


def authorization(key: str) -> str:
    return "Basic " + base64.b64encode(f"{BOX}:{key}".encode()).decode()


def connection(csms: Csms, number: int) -> None:
    """Wait for the `number`-th attempt to connect, and until the box is connected."""
    csms.wait_handshakes(number)
    csms.wait_connected()


def headers(csms: Csms, number: int) -> dict[str, str]:
    return csms.handshakes[number].headers


def again(csms: Csms, context: ssl.SSLContext, box: Simulator | None = None) -> None:
    """Let boxes in with another TLS.

    `box` has no network meanwhile: asyncio forgets whom it accepts while it stops listening, without closing.
    """
    if box:
        box.network(False)
    csms.refuse("tcp")
    csms.ssl = context
    csms.admit()
    if box:
        box.network(True)


def everything(box: Simulator) -> str:
    return repr(box.log())


# -- profile 1: password ---------------------------------------------------------------------------------


def test_a_wrong_password_is_told_once_the_right_one_is_known(csms, station):
    csms.password = "another password"
    box = station(ocpp={"AuthorizationKey": KEY, "SecurityProfile": 1})
    csms.wait_handshakes(2)
    assert [one.status for one in csms.handshakes[:2]] == [401, 401]
    state = box.wait_for(lambda state: "401" in state["backend"]["reason"], 10)
    assert not state["backend"]["connected"]
    # Charging needs no central system.
    csms.password = KEY
    assert "401" in event(csms, "FailedToAuthenticateAtCentralSystem")["techInfo"]
    assert KEY not in everything(box)


def test_the_owners_password_is_used_without_a_key(central, station):
    csms = central(password="of the owner")
    station(url=csms.url, settings={"ocpp_password": "of the owner"})
    csms.registered()
    assert headers(csms, 0)["Authorization"] == authorization("of the owner")


def test_a_new_key_is_used_in_a_new_connection_and_shown_nowhere(csms, station):
    csms.password = KEY
    box = station(ocpp={"AuthorizationKey": KEY, "SecurityProfile": 1})
    csms.registered()
    csms.password = NEW_KEY
    assert csms.change("AuthorizationKey", NEW_KEY) == "Accepted"
    connection(csms, 2)
    assert headers(csms, 1)["Authorization"] == authorization(NEW_KEY)
    assert NEW_KEY not in event(csms, RECONFIGURED).get("techInfo", "")
    assert csms.shown("AuthorizationKey") is None
    assert NEW_KEY not in everything(box)
    # It was a reconnection, not a start, and a restart keeps the key.
    assert len(csms.seen("BootNotification")) == 1
    box.reset()
    csms.wait_for("BootNotification", count=2)
    assert [one.status for one in csms.handshakes] == [101, 101, 101]


def test_a_new_key_that_is_refused_gives_way_to_the_old_one(csms, station):
    csms.password = KEY
    box = station(ocpp={"AuthorizationKey": KEY, "SecurityProfile": 1})
    csms.registered()
    assert csms.change("AuthorizationKey", NEW_KEY) == "Accepted"
    csms.wait_handshakes(3)
    assert [one.status for one in csms.handshakes] == [101, 401, 101]
    assert headers(csms, 1)["Authorization"] == authorization(NEW_KEY)
    assert headers(csms, 2)["Authorization"] == authorization(KEY)
    event(csms, "FailedToAuthenticateAtCentralSystem")
    event(csms, RECONFIGURED, count=2)
    assert len(box.log(code="credentials_back")) == 1
    box.reset()
    csms.wait_for("BootNotification", count=2)
    assert headers(csms, 3)["Authorization"] == authorization(KEY)


def test_a_power_cut_while_a_new_key_is_tried_loses_neither(csms, station):
    csms.password = KEY
    box = station(ocpp={"AuthorizationKey": KEY, "SecurityProfile": 1})
    csms.registered()
    csms.refuse("tcp")
    assert csms.change("AuthorizationKey", NEW_KEY) == "Accepted"
    csms.wait_gone()
    box.power(on=False)
    box.power(on=True)
    csms.admit()
    csms.wait_for("BootNotification", count=2)
    assert headers(csms, len(csms.handshakes) - 1)["Authorization"] == authorization(KEY)


def test_a_key_that_is_none_is_rejected_and_the_link_stays(csms, station):
    csms.password = KEY
    station(ocpp={"AuthorizationKey": KEY, "SecurityProfile": 1})
    csms.registered()
    for text in ("", "15 characters..", "0" * 42, "0" * 41, "line\nbreak in a key"):
        assert csms.change("AuthorizationKey", text) == "Rejected"
    assert len(csms.handshakes) == 1


# -- profile 2: the server's certificate -----------------------------------------------------------------


@pytest.fixture
def secure(central: Callable[..., Csms], authority: Authority) -> Csms:
    """A central system with TLS and a good certificate."""
    return central(ssl=authority.server(), password=KEY)


@pytest.fixture
def secure_station(secure: Csms, station: Callable[..., Simulator], authority: Authority) -> Callable[..., Simulator]:
    """As `station`, of profile 2 and with the root of `secure`."""

    def start(certificates: dict[str, str] | None = None, profile: int = 2, **options: Any) -> Simulator:
        given = {"root": authority.ca.read_text()} if certificates is None else certificates
        options = {"url": secure.url, "ocpp": {"AuthorizationKey": KEY, "SecurityProfile": profile}, **options}
        return station(settings={"ocpp_certificates": given, "restart_delay_max_s": 0}, **options)

    return start


def test_tls_with_the_right_root_and_password_connects_and_charges(secure, secure_station):
    box = secure_station()
    secure.registered()
    assert headers(secure, 0)["Authorization"] == authorization(KEY)
    box.plug()
    secure.wait_for("StartTransaction")
    box.wait_for(lambda state: state["contactor"]["closed"], 10)
    box.unplug()
    assert secure.wait_transaction(lambda one: one["stop"])["reason"] == "EVDisconnected"


def test_an_address_of_ws_is_taken_as_wss_from_profile_2_on(secure, secure_station):
    secure_station(url=secure.url.replace("wss:", "ws:"))
    secure.registered()


def old_tls(authority: Authority) -> ssl.SSLContext:
    context = authority.server()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def weak_cipher(authority: Authority) -> ssl.SSLContext:
    context = authority.server()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA")
    return context


@pytest.mark.parametrize(
    ("wrong", "kind", "text"),
    [
        (lambda _, other: other.server(), BAD_SERVER, ""),
        (lambda authority, _: authority.server(from_days=-5, days=2), BAD_SERVER, "expired"),
        (lambda authority, _: authority.server("example.org"), BAD_SERVER, "Common Name"),
        (lambda authority, _: old_tls(authority), "InvalidTLSVersion", ""),
        (lambda authority, _: weak_cipher(authority), "InvalidTLSCipherSuite", ""),
    ],
    ids=["wrong CA", "expired", "wrong name", "TLS 1.1", "weak cipher"],
)
def test_a_server_that_cannot_be_trusted_is_not_spoken_to(
    central, station, authority, other, secure_station, secure, wrong, kind, text
):
    again(secure, wrong(authority, other))
    box = secure_station()
    box.wait_for(lambda state: state["backend"]["reason"], 10)
    assert not secure.handshakes and not secure.connected()
    # The wallbox charges all the same.
    box.plug()
    box.wait_for(lambda state: state["contactor"]["closed"], 10)
    again(secure, authority.server(), box)
    assert text in event(secure, kind).get("techInfo", "")
    secure.wait_for("StartTransaction")


def test_a_certificate_that_ended_before_the_last_time_known_is_refused_by_a_box_without_the_time(
    secure, secure_station, authority
):
    box = secure_station()
    secure.registered()
    event(secure, "StartupOfTheDevice")
    box.reset()
    secure.wait_for("BootNotification", count=2)
    # Else the answer would set the clock again.
    box.wait_for(lambda state: state["backend"]["connected"], 10)
    box.exchange({"do": "utc", "seconds": None})
    again(secure, authority.server(from_days=-5, days=2), box)
    box.wait_for(lambda state: "expired" in state["backend"]["reason"], 10)
    assert box.state()["utc"] is None
    # Without the time it cannot be seen that this one is not valid yet.
    again(secure, authority.server(from_days=5), box)
    secure.wait_connected()
    assert "expired" in event(secure, BAD_SERVER)["techInfo"]


def test_a_server_may_change_its_certificate(secure, secure_station, authority):
    box = secure_station()
    secure.registered()
    again(secure, authority.server())
    secure.drop("rst")
    connection(secure, 2)
    assert secure.call("ClearCache") == ACCEPTED
    assert not [entry for entry in box.log() if "certificate" in entry["text"]]


def test_without_a_root_no_server_is_trusted(secure, secure_station):
    box = secure_station({})
    box.wait_for(lambda state: state["backend"]["reason"], 10)
    assert not secure.handshakes


# -- profile 3: the charge point's certificate -----------------------------------------------------------


def own(authority: Authority, issuer: Authority | None = None) -> dict[str, str]:
    """What a wallbox of profile 3 has on its flash."""
    certificate, key = (issuer or authority).issue(SERIAL, client=True)
    return {"root": authority.ca.read_text(), "client": certificate.read_text(), "client_key": key.read_text()}


def serial_number(csms: Csms) -> str:
    return csms.certificate()["serialNumber"]


@pytest.fixture
def strict(secure: Csms, authority: Authority) -> Csms:
    """The central system that wants a certificate of charge points, and no password."""
    secure.password = None
    again(secure, authority.server(ask_client=True))
    return secure


def test_a_certificate_takes_the_place_of_the_password(strict, secure_station, authority):
    secure_station(own(authority), 3)
    strict.registered()
    assert "Authorization" not in headers(strict, 0)
    assert strict.certificate()["subject"][-1] == (("commonName", SERIAL),)


@pytest.mark.parametrize("case", ["none", "of another CA"])
def test_a_server_that_wants_a_certificate_refuses_a_box_without_the_right_one(
    strict, secure_station, authority, other, case
):
    if case == "none":
        box = secure_station()
    else:
        box = secure_station(own(authority, other), 3)
    box.wait_for(lambda state: state["backend"]["reason"], 10)
    assert not strict.handshakes
    # It goes on trying.
    again(strict, authority.server(), box)
    strict.wait_connected()


def request(csms: Csms) -> str:
    """Have the box ask for a certificate -> its signing request in PEM."""
    mark = csms.mark()
    assert csms.call("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"}) == ACCEPTED
    return csms.wait_for("SignCertificate", since=mark).payload["csr"]


def test_a_certificate_is_renewed_end_to_end(strict, secure_station, authority):
    box = secure_station(own(authority), 3)
    strict.registered()
    before = serial_number(strict)
    signed = authority.sign(request(strict))
    assert strict.call("CertificateSigned", {"certificateChain": signed}) == ACCEPTED
    connection(strict, 2)
    event(strict, RECONFIGURED)
    renewed = serial_number(strict)
    assert renewed != before
    # It stays after a power cut.
    box.reset()
    strict.wait_for("BootNotification", count=2)
    assert serial_number(strict) == renewed
    assert "PRIVATE" not in everything(box)


def test_a_certificate_for_another_key_or_nobody_is_rejected_and_the_old_one_stays(strict, secure_station, authority):
    secure_station(own(authority), 3)
    strict.registered()
    foreign, _ = authority.issue(SERIAL, client=True)
    for number, chain in enumerate((foreign.read_text(), "no certificate"), 1):
        request(strict)
        assert strict.call("CertificateSigned", {"certificateChain": chain}) == REJECTED
        event(strict, "InvalidChargePointCertificate", count=number)
    assert len(strict.handshakes) == 1


def test_a_new_certificate_that_the_server_refuses_gives_way_to_the_old_one(strict, secure_station, authority, other):
    box = secure_station(own(authority), 3)
    strict.registered()
    before = serial_number(strict)
    signed = other.sign(request(strict))
    assert strict.call("CertificateSigned", {"certificateChain": signed}) == ACCEPTED
    connection(strict, 2)
    assert serial_number(strict) == before
    box.wait_for(lambda _: box.log(code="credentials_back"), 10)


# -- changes of the profile ------------------------------------------------------------------------------


def test_a_profile_is_raised_to_tls_and_to_a_certificate(central, station, authority):
    csms = central()
    box = station(url=csms.url.replace("127.0.0.1", "localhost"))
    csms.registered()
    # Nothing of what a profile needs is there yet.
    for profile in ("1", "2", "3"):
        assert csms.change("SecurityProfile", profile) == "Rejected"
    assert len(box.log(code="profile_refused")) == 3
    csms.password = KEY
    assert csms.change("AuthorizationKey", KEY) == "Accepted"
    connection(csms, 2)
    assert csms.change("SecurityProfile", "2") == "Rejected"
    assert csms.change("SecurityProfile", "1") == "Accepted"
    connection(csms, 3)
    payload = {"certificateType": "CentralSystemRootCertificate", "certificate": authority.ca.read_text()}
    assert csms.call("InstallCertificate", payload) == ACCEPTED
    assert csms.change("SecurityProfile", "3") == "Rejected"
    csms.refuse("tcp")
    csms.ssl = authority.server()
    assert csms.change("SecurityProfile", "2") == "Accepted"
    csms.wait_gone()
    csms.admit()
    connection(csms, 4)
    assert csms.call("CertificateSigned", {"certificateChain": authority.sign(request(csms))}) == ACCEPTED
    csms.refuse("tcp")
    csms.ssl = authority.server(ask_client=True)
    csms.password = None
    assert csms.change("SecurityProfile", "3") == "Accepted"
    csms.wait_gone()
    csms.admit()
    connection(csms, 5)
    assert csms.certificate()["subject"][0] == (("commonName", SERIAL),)
    assert csms.shown("SecurityProfile") == "3"
    assert len(csms.seen("BootNotification")) == 1


def test_a_profile_is_never_lowered_nor_set_again(secure, secure_station):
    secure_station()
    secure.registered()
    for profile in ("2", "1", "0", "4", "-1", "2.5", "x", ""):
        assert secure.change("SecurityProfile", profile) == "Rejected"
    assert secure.shown("SecurityProfile") == "2"
    assert len(secure.handshakes) == 1


def raised_in_vain(csms: Csms, station: Callable[..., Simulator], authority: Authority) -> Simulator:
    """A wallbox that is to change from profile 1 to 2, though there is no TLS at that port."""
    csms.password = KEY
    box = station(
        settings={"ocpp_certificates": {"root": authority.ca.read_text()}},
        ocpp={"AuthorizationKey": KEY, "SecurityProfile": 1},
    )
    csms.registered()
    assert csms.change("SecurityProfile", "2") == "Accepted"
    return box


def test_a_profile_that_does_not_work_gives_way_to_the_former(csms, station, authority):
    box = raised_in_vain(csms, station, authority)
    csms.wait_for(EVENT, lambda payload: "did not work" in payload.get("techInfo", ""))
    assert csms.shown("SecurityProfile") == "1"
    assert len(box.log(code="credentials_back")) == 1
    assert headers(csms, len(csms.handshakes) - 1)["Authorization"] == authorization(KEY)


def test_a_power_cut_while_a_profile_is_tried_does_not_lock_the_box_out(csms, station, authority):
    box = raised_in_vain(csms, station, authority)
    csms.wait_gone()
    box.power(on=False)
    box.power(on=True)
    csms.wait_for("BootNotification", count=2)
    csms.wait_connected()
    assert csms.shown("SecurityProfile") == "1"


# -- certificates ----------------------------------------------------------------------------------------

CENTRAL, MAKER = "CentralSystemRootCertificate", "ManufacturerRootCertificate"


def install(csms: Csms, certificate: str, kind: str = CENTRAL) -> str:
    return csms.call("InstallCertificate", {"certificateType": kind, "certificate": certificate})["status"]


def listed(csms: Csms, kind: str = CENTRAL) -> list[dict]:
    answer = csms.call("GetInstalledCertificateIds", {"certificateType": kind})
    assert (answer["status"] == "NotFound") == ("certificateHashData" not in answer)
    return answer.get("certificateHashData", [])


def delete(csms: Csms, found: dict) -> str:
    return csms.call("DeleteCertificate", {"certificateHashData": found})["status"]


def test_roots_are_installed_listed_and_deleted(csms, station, authority, other):
    box = station()
    csms.registered()
    assert listed(csms) == [] and listed(csms, MAKER) == []
    assert install(csms, authority.ca.read_text()) == "Accepted"
    assert install(csms, other.ca.read_text(), MAKER) == "Accepted"
    event(csms, RECONFIGURED, count=2)
    roots, makers = listed(csms), listed(csms, MAKER)
    assert len(roots) == len(makers) == 1 and roots != makers
    # Twice the same is once.
    assert install(csms, authority.ca.read_text()) == "Accepted"
    box.reset()
    csms.wait_for("BootNotification", count=2)
    csms.wait_connected()
    assert listed(csms) == roots
    assert delete(csms, makers[0]) == "Accepted" and delete(csms, makers[0]) == "NotFound"
    assert listed(csms, MAKER) == [] and listed(csms) == roots


def test_what_is_no_root_is_rejected_and_a_full_store_too(csms, station, authority, tmp_path):
    box = station()
    csms.registered()
    leaf, _ = authority.issue("localhost")
    for text in ("nothing", leaf.read_text(), authority.ca.read_text() * 2, authority.ca.read_text()[:200]):
        assert install(csms, text) == "Rejected"
    assert len(box.log(code="certificate_refused")) == 4
    most = int(csms.shown("CertificateStoreMaxLength") or 0)
    statuses = [install(csms, Authority(tmp_path, f"CA {number}").ca.read_text()) for number in range(most + 1)]
    assert statuses == ["Accepted"] * most + ["Rejected"]
    assert len(listed(csms)) == most


def test_the_only_root_that_tls_needs_is_not_deleted(secure, secure_station, other):
    secure_station()
    secure.registered()
    (first,) = listed(secure)
    assert delete(secure, first) == "Failed"
    assert install(secure, other.ca.read_text()) == "Accepted"
    second = next(one for one in listed(secure) if one != first)
    assert delete(secure, second) == "Accepted"
    assert listed(secure) == [first]


# -- security events -------------------------------------------------------------------------------------


def test_security_events_wait_for_the_central_system_over_a_restart_and_come_in_order(csms, station):
    box = station(ocpp={"AuthorizationKey": KEY, "SecurityProfile": 1})
    event(csms, "StartupOfTheDevice")
    csms.registered()
    mark = csms.mark()
    csms.password = "another password"
    csms.drop("rst")
    box.wait_for(lambda state: "401" in state["backend"]["reason"], 10)
    box.reset()
    csms.password = None
    event(csms, "StartupOfTheDevice", since=mark)
    # Its clock may have been set, too: the start of a busy host's box takes seconds.
    events = [one.payload for one in csms.seen(EVENT, lambda one: one["type"] != "SettingSystemTime", since=mark)]
    assert [one["type"] for one in events][:2] == ["FailedToAuthenticateAtCentralSystem", "StartupOfTheDevice"]
    times = [datetime.fromisoformat(one["timestamp"]) for one in events]
    assert times == sorted(times)
    assert (csms.now() - times[0]).total_seconds() < 600
    # Each once.
    assert len(csms.seen(EVENT, lambda payload: payload["type"] == "StartupOfTheDevice")) == 2


def test_a_reset_is_told_as_a_security_event(csms, station):
    station()
    csms.registered()
    assert csms.call("Reset", {"type": "Soft"}) == ACCEPTED
    event(csms, "ResetOrReboot")
    event(csms, "StartupOfTheDevice", count=2)


def test_a_central_system_that_knows_no_security_events_is_not_bothered_again(csms, station):
    csms.answer(EVENT, CallFailed("NotImplemented"))
    box = station()
    csms.wait_for(EVENT)
    csms.registered()
    assert install(csms, "nothing") == "Rejected"
    box.plug()
    csms.wait_for("StartTransaction")
    assert len(csms.seen(EVENT)) == 1
    # The next connection may be to a newer version of it.
    csms.answer(EVENT)
    csms.drop("rst")
    csms.wait_for(EVENT, count=2)
    assert len(box.log(code="no_events")) == 1
