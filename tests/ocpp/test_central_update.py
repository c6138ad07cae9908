"""A new firmware from a real central system: installed when it has proven itself, failed when it was given up (R29)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import firmwares
import pytest
import slot_image
from csms import Csms
from files import HANG, FileServers
from test_firmware_management import SIGNED_STATUS, Maker, signed

from simulator import Simulator

NAME = "/fw/new.wbx"
STATUS = "FirmwareStatusNotification"
OLD, NEW = "0.1.0", "0.2.0"
# Real seconds: a trial of a minute at the speed of these tests, and what a busy machine adds.
TRIAL_S = 40


@pytest.fixture(scope="session")
def firmware(shared_folder: Callable[[str, Callable[[Path], None]], Path]) -> Callable[..., bytes]:
    """Return a function that makes the container of a version."""
    compiled = shared_folder("slot", slot_image.compile_into)
    return lambda *arguments, **options: slot_image.make(compiled, *arguments, **options)


@pytest.fixture
def servers() -> Iterator[FileServers]:
    with FileServers() as started:
        yield started


@pytest.fixture
def box(csms: Csms, station: Callable[..., Simulator], firmware: Callable[..., bytes], tmp_path: Path) -> Simulator:
    """A wallbox that runs from a slot and is known to the central system."""
    path = tmp_path / "old.wbx"
    path.write_bytes(firmware(OLD, 1))
    started = station(options=("--ocpp", csms.url, "--image", str(path)))
    csms.registered()
    return started


def order(csms: Csms, location: str) -> None:
    assert csms.call("UpdateFirmware", {"location": location, "retrieveDate": csms.in_seconds(-60)}) == {}


def told(csms: Csms) -> list[str]:
    return [one.payload["status"] for one in csms.seen(STATUS)]


def events(csms: Csms, kind: str) -> list[str]:
    return [one.payload["type"] for one in csms.seen("SecurityEventNotification") if one.payload["type"] == kind]


def wait_status(csms: Csms, status: str) -> None:
    csms.wait_for(STATUS, lambda payload: payload["status"] == status, seconds=TRIAL_S)


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_a_firmware_is_told_as_installed_when_it_has_proven_itself(csms, box, servers, firmware, scheme):
    servers.files.served[NAME] = firmware(NEW, 2)
    order(csms, getattr(servers, scheme) + NAME)
    wait_status(csms, "Installing")
    csms.wait_for("BootNotification", lambda payload: payload["firmwareVersion"] == NEW)
    assert "Installed" not in told(csms), "it is on trial"
    # Asked meanwhile it says so.
    assert csms.call("TriggerMessage", {"requestedMessage": STATUS}) == {"status": "Accepted"}
    wait_status(csms, "Installed")
    assert told(csms) == ["Downloading", "Downloaded", "Installing", "Installing", "Installed"]
    state = box.state()["update"]
    assert (state["slot"], state["result"], state["version"]) == ("b", "committed", NEW)
    csms.wait_for("SecurityEventNotification", lambda payload: payload["type"] == "FirmwareUpdated")
    box.wait_for(lambda state: state["backend"]["waiting"] == 0, 10)
    assert len(events(csms, "FirmwareUpdated")) == 1


def test_a_firmware_that_was_given_up_is_told_as_failed_and_the_former_one_says_why(csms, box, servers, firmware):
    servers.files.served[NAME] = firmware(NEW, 2, change=firmwares.with_main(firmwares.CRASHES))
    order(csms, servers.http + NAME)
    wait_status(csms, "InstallationFailed")
    assert told(csms) == ["Downloading", "Downloaded", "Installing", "InstallationFailed"]
    boots = csms.seen("BootNotification")
    assert [one.payload["firmwareVersion"] for one in boots] == [OLD, OLD]
    assert "did not come to prove itself" in box.log(code="not_installed")[0]["text"]
    assert box.state()["update"]["result"] == "rolled_back"
    # It is done with, also for the next start.
    mark = csms.mark()
    box.reset()
    csms.registered(since=mark)
    assert not csms.seen(STATUS, since=mark)


def test_a_signed_order_tells_each_step_with_its_request(csms, station, servers, firmware, tmp_path):
    maker = Maker(tmp_path)
    path = tmp_path / "old.wbx"
    path.write_bytes(firmware(OLD, 1))
    settings = {"ocpp_certificates": {"manufacturer": maker.authority.ca.read_text()}}
    station(settings=settings, options=("--ocpp", csms.url, "--image", str(path)))
    csms.registered()
    servers.files.served[NAME] = new = firmware(NEW, 2)
    assert signed(csms, servers.http + NAME, maker.sign(new), maker.certificate) == {"status": "Accepted"}
    end = csms.wait_for(SIGNED_STATUS, lambda payload: payload["status"] == "Installed", seconds=TRIAL_S)
    assert end.payload["requestId"] == 5
    told = [one.payload["status"] for one in csms.seen(SIGNED_STATUS)]
    assert told[:4] == ["Downloading", "Downloaded", "SignatureVerified", "Installing"]
    assert set(told[4:]) <= {"InstallRebooting", "Installed"}


def test_an_end_that_nobody_was_there_to_hear_is_told_later(csms, box, servers, firmware):
    servers.files.served[NAME] = firmware(NEW, 2)
    order(csms, servers.http + NAME)
    wait_status(csms, "Installing")
    csms.refuse(503)
    box.wait_for(lambda state: state["power"] and state["update"]["result"] == "committed", TRIAL_S)
    assert "Installed" not in told(csms)
    csms.admit()
    wait_status(csms, "Installed")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda data: data[:-1] + bytes((data[-1] ^ 1,)), "damaged"),
        (lambda data: data[:-100], "ends after"),
        (lambda data: data[:4_096] + b"\0" * 600_000, "too many"),
    ],
)
def test_a_firmware_that_is_not_right_is_not_installed(csms, box, servers, firmware, spoil, reason):
    servers.files.served[NAME] = spoil(firmware(NEW, 2))
    payload = {"location": servers.http + NAME, "retrieveDate": csms.in_seconds(-60), "retries": 0}
    assert csms.call("UpdateFirmware", payload) == {}
    csms.wait_for(STATUS, lambda payload: payload["status"] in ("InstallationFailed", "DownloadFailed"))
    assert any(reason in entry["text"] for entry in box.log())
    if reason == "damaged":
        forged = "InvalidFirmwareSignature"
        csms.wait_for("SecurityEventNotification", lambda payload: payload["type"] == forged)
    state = box.state()
    assert state["update"]["state"] == "idle" and "update" not in state["limits"]
    box.plug()
    box.wait_for(lambda state: state["contactor"]["closed"], 10)


def test_only_one_update_comes_at_a_time(csms, box, servers, firmware):
    servers.files.served[NAME] = firmware(NEW, 2)
    servers.files.faults = [HANG]
    order(csms, servers.http + NAME)
    wait_status(csms, "Downloading")
    servers.files.wait(lambda files: files.requests)
    order(csms, servers.http + NAME)
    wait_status(csms, "Installing")
    wait_status(csms, "Installed")
    assert told(csms).count("Installing") == 1
