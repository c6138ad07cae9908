"""Diagnostics, logs and firmware between a whole wallbox and a central system (scenario 69; R25, R29, R31)."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from csms import Csms
from files import CUT, HANG, FileServers

from simulator import Simulator

FIRMWARE = bytes(range(256)) * 400
NAME = "/fw/box-2.bin"
KEY = "0123456789abcdef"
# Retries come soon.
SOON = {"retries": 1, "retryInterval": 1}
PROMPT = {"restart_delay_max_s": 0}
# Seconds of a time that has come on any clock.
PAST = -60.0


@pytest.fixture
def servers() -> Iterator[FileServers]:
    with FileServers() as started:
        started.files.served[NAME] = FIRMWARE
        yield started


@pytest.fixture
def box(csms: Csms, station: Callable[..., Simulator]) -> Simulator:
    """A wallbox that the central system knows already."""
    started = station(settings=PROMPT)
    csms.registered()
    return started


def told(csms: Csms, action: str) -> list[str]:
    return [one.payload["status"] for one in csms.seen(action)]


def order(csms: Csms, location: str, after_s: float = PAST, **more: Any) -> None:
    """Tell the box to update its firmware."""
    payload = {"location": location, "retrieveDate": csms.in_seconds(after_s), **more}
    assert csms.call("UpdateFirmware", payload) == {}


def wait_status(csms: Csms, action: str, status: str) -> float:
    return csms.wait_for(action, lambda payload: payload["status"] == status).at


# -- diagnostics and logs --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_diagnostics_are_uploaded_and_hold_the_log_but_no_key(csms, station, servers, scheme):
    box = station(settings={"ocpp_password": KEY}, ocpp={"AuthorizationKey": "fedcba9876543210"})
    csms.registered()
    answer = csms.call("GetDiagnostics", {"location": getattr(servers, scheme) + "/up"})
    wait_status(csms, "DiagnosticsStatusNotification", "Uploaded")
    assert told(csms, "DiagnosticsStatusNotification") == ["Uploading", "Uploaded"]
    data = servers.files.received["/up/" + answer["fileName"]]
    found = json.loads(data)
    assert "connected to the central system" in json.dumps(found)
    assert KEY.encode() not in data and b"fedcba9876543210" not in data
    assert not box.log(code="failed")


def test_an_upload_that_fails_is_repeated_as_often_as_asked_for(csms, box, servers):
    servers.files.faults = [500, CUT]
    payload = {"location": servers.http + "/up", **SOON}
    csms.call("GetDiagnostics", payload)
    wait_status(csms, "DiagnosticsStatusNotification", "UploadFailed")
    assert told(csms, "DiagnosticsStatusNotification") == ["Uploading", "UploadFailed"]
    assert len(servers.files.requests) == 2
    assert len(box.log(code="transfer_failed")) == 2
    # The next order is served as if nothing had happened.
    servers.files.faults = [503]
    csms.call("GetDiagnostics", payload)
    wait_status(csms, "DiagnosticsStatusNotification", "Uploaded")
    assert len(servers.files.requests) == 4


def test_a_security_log_is_uploaded_and_names_its_request(csms, box, servers):
    csms.wait_for("SecurityEventNotification", lambda payload: payload["type"] == "StartupOfTheDevice")
    log = {"remoteLocation": servers.http + "/up"}
    answer = csms.call("GetLog", {"logType": "SecurityLog", "requestId": 7, "log": log})
    assert answer["status"] == "Accepted"
    wait_status(csms, "LogStatusNotification", "Uploaded")
    assert [one.payload for one in csms.seen("LogStatusNotification")] == [
        {"status": "Uploading", "requestId": 7},
        {"status": "Uploaded", "requestId": 7},
    ]
    assert b"StartupOfTheDevice" in servers.files.received["/up/" + answer["filename"]]
    # Of a span in which nothing happened there is nothing to tell.
    log["oldestTimestamp"] = csms.in_seconds(3600)
    csms.call("GetLog", {"logType": "SecurityLog", "requestId": 8, "log": log})
    csms.wait_for("LogStatusNotification", lambda payload: payload == {"status": "Uploaded", "requestId": 8})
    assert servers.files.received["/up/" + answer["filename"]] == b""


def test_a_diagnostics_log_that_cannot_be_sent_is_told_in_the_white_papers_words(csms, box, servers):
    servers.files.faults = [403]
    log = {"remoteLocation": servers.http + "/up"}
    payload = {"logType": "DiagnosticsLog", "requestId": 3, "log": log, "retries": 0}
    assert csms.call("GetLog", payload)["status"] == "Accepted"
    wait_status(csms, "LogStatusNotification", "UploadFailure")
    assert told(csms, "LogStatusNotification") == ["Uploading", "UploadFailure"]
    assert box.state()["backend"]["connected"]


def test_a_second_log_takes_the_place_of_one_that_is_being_sent(csms, box, servers):
    servers.files.faults = [HANG]
    log = {"remoteLocation": servers.http + "/up"}
    assert csms.call("GetLog", {"logType": "DiagnosticsLog", "requestId": 1, "log": log})["status"] == "Accepted"
    servers.files.wait(lambda files: files.requests)
    answer = csms.call("GetLog", {"logType": "DiagnosticsLog", "requestId": 2, "log": log})
    assert answer["status"] == "AcceptedCanceled"
    csms.wait_for("LogStatusNotification", lambda payload: payload == {"status": "Uploaded", "requestId": 2})
    assert not [
        one for one in csms.seen("LogStatusNotification") if one.payload == {"status": "Uploaded", "requestId": 1}
    ]
    assert not box.log(code="failed")


def test_a_trigger_tells_idle_when_nothing_is_being_sent_or_updated(csms, box):
    for action in ("DiagnosticsStatusNotification", "FirmwareStatusNotification"):
        assert csms.call("TriggerMessage", {"requestedMessage": action}) == {"status": "Accepted"}
        assert csms.wait_for(action).payload == {"status": "Idle"}
    payload = {"requestedMessage": "LogStatusNotification"}
    assert csms.call("ExtendedTriggerMessage", payload) == {"status": "Accepted"}
    assert csms.wait_for("LogStatusNotification").payload == {"status": "Idle"}


# -- firmware --------------------------------------------------------------------------------------------

RECEIVED = ["Downloading", "Downloaded", "Installing", "InstallationFailed"]


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_a_file_that_is_no_firmware_is_received_and_refused(csms, box, servers, scheme):
    order(csms, getattr(servers, scheme) + NAME)
    wait_status(csms, "FirmwareStatusNotification", "InstallationFailed")
    assert told(csms, "FirmwareStatusNotification") == RECEIVED
    assert f"firmware of {len(FIRMWARE)} bytes" in box.log(code="downloaded")[0]["text"]
    assert "no firmware for a wallbox" in box.log(code="not_installed")[0]["text"]
    # The wallbox goes on with what it has.
    box.plug()
    box.wait_for(lambda state: state["contactor"]["closed"], 10)


def test_a_download_that_fails_is_repeated_then_given_up(csms, box, servers):
    servers.files.faults = [CUT]
    order(csms, servers.http + NAME, **SOON)
    wait_status(csms, "FirmwareStatusNotification", "InstallationFailed")
    assert told(csms, "FirmwareStatusNotification") == RECEIVED
    assert servers.files.requests == [("GET", NAME)] * 2
    mark = csms.mark()
    servers.files.faults = [404, CUT]
    order(csms, servers.http + NAME, **SOON)
    csms.wait_for("FirmwareStatusNotification", lambda payload: payload["status"] == "DownloadFailed", since=mark)
    statuses = [one.payload["status"] for one in csms.seen("FirmwareStatusNotification", since=mark)]
    assert statuses == ["Downloading", "DownloadFailed"]
    assert len(servers.files.requests) == 4


def test_a_firmware_that_nobody_serves_or_that_is_too_large_is_not_downloaded(csms, box, servers):
    servers.files.served["/large.bin"] = bytes(1 << 23)
    for number, location in enumerate(("http://127.0.0.1:1/x.bin", "gopher://x/x.bin", servers.http + "/large.bin"), 1):
        order(csms, location, retries=0)
        csms.wait_for("FirmwareStatusNotification", lambda payload: payload["status"] == "DownloadFailed", count=number)
    texts = [entry["text"] for entry in box.log(code="transfer_failed")]
    assert len(texts) == 3 and "too many" in texts[2]


def test_nothing_is_fetched_before_the_time_that_was_set(csms, box, servers):
    due = csms.now() + timedelta(seconds=5)
    order(csms, servers.http + NAME, after_s=5)
    wait_status(csms, "FirmwareStatusNotification", "Downloading")
    assert csms.now() >= due - timedelta(seconds=1)
    wait_status(csms, "FirmwareStatusNotification", "InstallationFailed")
    assert told(csms, "FirmwareStatusNotification") == RECEIVED


def test_a_firmware_is_fetched_and_installed_only_after_the_transaction(csms, box, servers):
    box.plug()
    csms.wait_for("StartTransaction")
    box.wait_for(lambda state: state["contactor"]["closed"], 10)
    order(csms, servers.http + NAME)
    # More than two looks of the box later it still charges, and nothing has come: it goes straight into flash.
    begin = box.state()["uptime_ms"]
    state = box.wait_for(lambda state: state["uptime_ms"] >= begin + 5_000, 10)
    assert state["contactor"]["closed"] and told(csms, "FirmwareStatusNotification") == []
    assert "when this session has ended" in box.log(code="update_waits")[0]["text"] and servers.files.requests == []
    box.unplug()
    stop = csms.wait_for("StopTransaction").at
    assert wait_status(csms, "FirmwareStatusNotification", "Downloading") >= stop
    wait_status(csms, "FirmwareStatusNotification", "InstallationFailed")
    assert csms.transactions()[0]["reason"] == "EVDisconnected"


def test_a_new_order_takes_the_place_of_a_download_that_hangs(csms, box, servers):
    servers.files.faults = [HANG]
    order(csms, servers.http + NAME)
    servers.files.wait(lambda files: files.requests)
    order(csms, servers.ftp + NAME)
    wait_status(csms, "FirmwareStatusNotification", "InstallationFailed")
    assert servers.files.requests == [("GET", NAME), ("RETR", NAME)]
    assert told(csms, "FirmwareStatusNotification").count("Downloaded") == 1


def test_an_update_goes_on_after_a_power_cut(csms, box, servers):
    servers.files.faults = [HANG]
    order(csms, servers.http + NAME)
    servers.files.wait(lambda files: files.requests)
    box.power(on=False)
    csms.wait_gone()
    box.power(on=True)
    wait_status(csms, "FirmwareStatusNotification", "InstallationFailed")
    assert servers.files.requests == [("GET", NAME)] * 2
    csms.wait_for("BootNotification", count=2)
    # It is done with: one more restart does not begin again.
    box.reset()
    mark = csms.mark()
    csms.wait_for("BootNotification", since=mark)
    csms.registered(since=mark)
    assert not csms.seen("FirmwareStatusNotification", since=mark)
    assert len(servers.files.requests) == 2


def test_a_download_goes_on_without_the_central_system_and_no_status_is_lost(csms, box, servers):
    servers.files.faults = [HANG]
    order(csms, servers.http + NAME, **SOON)
    wait_status(csms, "FirmwareStatusNotification", "Downloading")
    servers.files.wait(lambda files: files.requests)
    csms.refuse(503)
    csms.drop("fin")
    csms.wait_gone()
    # The first try fails, the second succeeds, and nobody can be told.
    servers.files.over.set()
    servers.files.wait(lambda files: len(files.requests) == 2)
    box.wait_for(lambda _: box.log(code="not_installed"), 10)
    csms.admit()
    wait_status(csms, "FirmwareStatusNotification", "InstallationFailed")
    assert told(csms, "FirmwareStatusNotification") == RECEIVED


# -- signed firmware -------------------------------------------------------------------------------------

SIGNED_STATUS = "SignedFirmwareStatusNotification"


class Maker:
    """A manufacturer whose root the wallbox has."""

    def __init__(self, folder: Path):
        self.authority = Authority(folder, "Maker CA")
        self.certificate, self._key = self.authority.issue("Firmware signing")

    def sign(self, data: bytes) -> str:
        key = load_pem_private_key(self._key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return base64.b64encode(key.sign(data, ec.ECDSA(hashes.SHA256()))).decode()


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


@pytest.fixture
def trusting_box(csms: Csms, station: Callable[..., Simulator], maker: Maker) -> Simulator:
    started = station(settings={**PROMPT, "ocpp_certificates": {"manufacturer": maker.authority.ca.read_text()}})
    csms.registered()
    return started


def signed(csms: Csms, location: str, signature: str, certificate: Path, after_s: float = PAST, **times: str) -> dict:
    firmware = {
        "location": location,
        "retrieveDateTime": csms.in_seconds(after_s),
        "signingCertificate": certificate.read_text(),
        "signature": signature,
        **times,
    }
    return csms.call("SignedUpdateFirmware", {"requestId": 5, "firmware": firmware, **SOON})


def test_a_signed_firmware_is_verified_before_it_is_installed(csms, trusting_box, servers, maker):
    answer = signed(csms, servers.http + NAME, maker.sign(FIRMWARE), maker.certificate)
    assert answer == {"status": "Accepted"}
    wait_status(csms, SIGNED_STATUS, "InstallationFailed")
    assert told(csms, SIGNED_STATUS) == [
        "Downloading",
        "Downloaded",
        "SignatureVerified",
        "Installing",
        "InstallationFailed",
    ]
    assert all(one.payload["requestId"] == 5 for one in csms.seen(SIGNED_STATUS))
    assert not csms.seen("FirmwareStatusNotification")


def test_a_firmware_with_anothers_signature_is_never_installed(csms, trusting_box, servers, maker):
    answer = signed(csms, servers.http + NAME, maker.sign(FIRMWARE + b"!"), maker.certificate)
    assert answer == {"status": "Accepted"}
    csms.wait_for("SecurityEventNotification", lambda payload: payload["type"] == "InvalidFirmwareSignature")
    wait_status(csms, SIGNED_STATUS, "InvalidSignature")
    assert told(csms, SIGNED_STATUS) == ["Downloading", "Downloaded", "InvalidSignature"]
    assert len(trusting_box.log(code="bad_signature")) == 1 and not trusting_box.log(code="not_installed")


def test_a_firmware_signed_by_a_stranger_is_not_even_fetched(csms, trusting_box, servers, maker, tmp_path):
    other = Authority(tmp_path, "Another CA")
    stranger, _ = other.issue("Firmware signing")
    expired, _ = maker.authority.issue("Firmware signing", from_days=-5, days=2)
    for number, certificate in enumerate((stranger, expired), 1):
        answer = signed(csms, servers.http + NAME, maker.sign(FIRMWARE), certificate)
        assert answer == {"status": "InvalidCertificate"}
        csms.wait_for(
            "SecurityEventNotification",
            lambda payload: payload["type"] == "InvalidFirmwareSigningCertificate",
            count=number,
        )
    assert servers.files.requests == [] and not csms.seen(SIGNED_STATUS)
    assert len(trusting_box.log(code="bad_signature")) == 2


def test_without_a_manufacturers_root_no_signed_firmware_is_taken(csms, box, servers, maker):
    answer = signed(csms, servers.http + NAME, maker.sign(FIRMWARE), maker.certificate)
    assert answer == {"status": "InvalidCertificate"}
    assert servers.files.requests == []


def test_a_manufacturers_root_from_the_central_system_is_trusted(csms, box, servers, maker):
    text = maker.authority.ca.read_text()
    payload = {"certificateType": "ManufacturerRootCertificate", "certificate": text}
    assert csms.call("InstallCertificate", payload) == {"status": "Accepted"}
    answer = signed(csms, servers.ftp + NAME, maker.sign(FIRMWARE), maker.certificate)
    assert answer == {"status": "Accepted"}
    wait_status(csms, SIGNED_STATUS, "SignatureVerified")


def test_a_signed_firmware_waits_for_its_times_and_says_so(csms, trusting_box, servers, maker):
    times = {"installDateTime": csms.in_seconds(10)}
    due = csms.now() + timedelta(seconds=10)
    assert signed(csms, servers.http + NAME, maker.sign(FIRMWARE), maker.certificate, 4, **times) == {
        "status": "Accepted"
    }
    wait_status(csms, SIGNED_STATUS, "Installing")
    assert csms.now() >= due - timedelta(seconds=1)
    assert told(csms, SIGNED_STATUS)[:5] == [
        "DownloadScheduled",
        "Downloading",
        "Downloaded",
        "SignatureVerified",
        "InstallScheduled",
    ]


def test_a_new_signed_order_cancels_the_one_that_downloads(csms, trusting_box, servers, maker):
    servers.files.faults = [HANG]
    assert signed(csms, servers.http + NAME, "AAAA", maker.certificate) == {"status": "Accepted"}
    servers.files.wait(lambda files: files.requests)
    answer = signed(csms, servers.http + NAME, maker.sign(FIRMWARE), maker.certificate)
    assert answer == {"status": "AcceptedCanceled"}
    wait_status(csms, SIGNED_STATUS, "SignatureVerified")
    assert "InvalidSignature" not in told(csms, SIGNED_STATUS)
