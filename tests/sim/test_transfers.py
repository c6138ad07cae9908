"""Transfers of the installer's link: everything that can be fetched and sent, over cuts of link and supply."""

import csv
import hashlib
import hmac
import io
import json
import subprocess
from base64 import b64decode

import pytest
import verify_report
from containers import SECTOR, sealed
from installer_client import InstallerClient, Refused

from simulator import MICROPYTHON, ROOT, RUN, SimulatorError

CARD = "04AABBCCDDEE01"
PASSWORD = "correct horse battery"
FRAME_BYTES = 247 - 3 - 7
SECRETS = {
    "wifi_password": "geheim-wifi-1",
    "ocpp_password": "geheim-ocpp-2",
    "apn_password": "geheim-apn-3",
    "ocpp_url": "wss://backend.example/geheim-token-4",
}
# What stands on flash under a number that no test knows beforehand.
READ_IDENTITY = """
import sys
sys.path[:0] = ["firmware", "firmware/lib", "boards/simulator"]
import vfs
from plant.flash import FlashDevice
from wallbox.storage.store import Store
vfs.mount(vfs.VfsLfs2(FlashDevice(sys.argv[1]).handle(), mtime=False), "/data")
print(Store("/data", "identity", 1, None).load()["key"])
"""


@pytest.fixture
def app(simulator):
    client = InstallerClient(simulator())
    client.box.advance(5)
    connected(client)
    return client


def spoilt(image):
    """A container with another last byte of its signature."""
    at = len(image[:SECTOR].rstrip(b"\xff")) - 1
    return image[:at] + bytes((image[at] ^ 1,)) + image[at + 1 :]


def connected(app, role="expert"):
    """Connect, pair and log in."""
    assert app.connect()
    if role != "paired":
        app.login(role)
    return app


def refused(app, do, **arguments):
    with pytest.raises(Refused) as caught:
        app.ask(do, **arguments)
    return caught.value.error


def rows(content):
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def charge(box, hours=0.02):
    """A session with the card, so that the history has one more."""
    box.plug(phases=3, max_a=16)
    box.advance(20 + hours * 3600)
    box.unplug()
    box.advance(5)


def noise(count):
    """A firmware of `count` bytes with its header; whoever starts it will be disappointed."""
    return sealed(hashlib.shake_128(b"image").digest(count - SECTOR))


def test_everything_can_be_fetched_and_is_what_it_says(app):
    box = app.box
    charge(box)
    box.fault("residual_dc", 10)
    charge(box)
    box.clear("residual_dc")
    box.advance(10)
    history = rows(app.download("history.csv"))
    assert [row["id"] for row in history] == ["1", "2"]
    assert int(history[0]["energy_wh"]) > 0 and history[0]["stop_reason"] == "unplugged"
    sessions = json.loads(app.download("history.json"))["sessions"]
    assert [{name: "" if value is None else str(value) for name, value in row.items()} for row in sessions] == history
    log = rows(app.download("log.csv"))
    assert {"start", "fault_residual_current", "self_test_passed"} <= {row["code"] for row in log}
    assert [int(row["seq"]) for row in log] == sorted({int(row["seq"]) for row in log})
    security = rows(app.download("security.csv"))
    assert security[-1]["what"] == "login" and security[-1]["role"] == "expert"
    trips = app.ask("trips")["trips"]
    assert trips[0]["index"] == 0 and trips[0]["code"] == "residual_current"
    trip = rows(app.download("trip.csv", index=0))
    assert int(trip[0]["ms"]) <= -1_900 and int(trip[-1]["ms"]) >= 900
    assert max(int(row["dc_ua"]) for row in trip) >= 6_000
    diagnostics = json.loads(app.download("diagnostics.json"))
    assert diagnostics["serial"] == app.label()["info"]["serial"] and diagnostics["reset_cause"] == "power_on"
    assert diagnostics["status"]["pilot"]["state"] == "A1" and diagnostics["settings"]["rated_a"] == 32
    assert diagnostics["status"]["contactor"]["operations"] >= 1
    assert any(entry["code"] == "fault_residual_current" for entry in diagnostics["log"])
    names = {row["key"] for row in json.loads(app.download("settings-schema"))["settings"]}
    assert names == set(app.ask("settings")["settings"])


def test_transfers_tells_what_there_is_and_what_one_may(app):
    app.ask("logout")
    found = app.ask("transfers")
    assert {row["name"] for row in found["get"] if row["allowed"]} == {"settings-schema"}
    assert {row["name"] for row in found["put"]} == {"firmware", "restore"}
    for row in found["get"]:
        if not row["allowed"]:
            assert refused(app, "get", name=row["name"])["code"] == "not_allowed"
    for row in found["put"]:
        error = refused(app, "put", name=row["name"], size=5, sha256="0" * 64)
        assert error["code"] == "not_allowed" and error["field"] == "expert"
    app.login("expert")
    found = app.ask("transfers")
    assert all(row["allowed"] for row in found["get"] + found["put"])


def test_no_secret_and_no_card_is_in_what_an_owner_fetches(app):
    box = app.box
    app.ask("settings", set=SECRETS)
    app.ask("card", uid=CARD, add=True, name="Anna")
    app.ask("settings", set={"access_control": True})
    box.plug(phases=3, max_a=16)
    box.tap(CARD)
    box.advance(60)
    diagnostics = [app.download("diagnostics.json")]
    app.ask("login", role="owner", password="")
    diagnostics.append(app.download("diagnostics.json"))
    box.unplug()
    box.advance(5)
    app.login("expert")
    app.ask("report", checks={"pe_mohm": 200})
    contents = {"diagnostics.json": diagnostics[0]}
    for row in app.ask("transfers")["get"]:
        if row["name"] != "trip.csv":
            contents[row["name"]] = app.download(row["name"])
    contents["backup with password"] = app.download("backup", password=PASSWORD)
    for name, content in contents.items():
        for secret in SECRETS.values():
            secret = secret.rpartition("/")[2]
            assert secret.encode() not in content, f"{secret} in {name}"
        assert PASSWORD.encode() not in content and app.label()["passkey"].encode() not in content, name
    assert rows(contents["history.csv"])[0]["card"] == CARD, "an expert sees the card's number"
    assert rows(contents["history.csv"])[0]["card_name"] == "Anna"
    app.ask("login", role="owner", password="")
    for name in ("history.csv", "history.json", "log.csv"):
        content = app.download(name)
        assert CARD.encode() not in content, name
    assert rows(app.download("history.csv"))[0]["card"] == "...EE01"
    assert CARD.encode() not in diagnostics[1] and b"...EE01" in diagnostics[1]


def test_a_download_goes_on_after_a_cut_while_its_etag_is_the_same(app):
    for _ in range(3):
        charge(app.box)
    whole = app.download("history.csv")
    opened = app.ask("get", name="history.csv")
    app.ask("read", transfer=opened["transfer"], offset=0, count=100)
    start = b"".join(piece for _, piece in sorted(app.data[opened["transfer"]].items()))
    app.disconnect()
    app.box.advance(1)
    connected(app)
    app.data.clear()
    again = app.ask("get", name="history.csv", offset=len(start))
    assert again["etag"] == opened["etag"]
    answer = app.ask("read", transfer=again["transfer"], offset=len(start), count=16_384)
    rest = b"".join(piece for _, piece in sorted(app.data[again["transfer"]].items()))
    assert start + rest == whole and answer["end"]


def test_a_session_that_ends_gives_the_history_another_etag_and_ends_its_reading(app):
    charge(app.box)
    opened = app.ask("get", name="history.csv")
    app.ask("read", transfer=opened["transfer"], offset=0, count=50)
    charge(app.box)
    error = refused(app, "read", transfer=opened["transfer"], offset=50, count=50)
    assert error["code"] == "not_now" and "open it again" in error["text"]
    app.ask("done", transfer=opened["transfer"])
    assert app.ask("get", name="history.csv")["etag"] != opened["etag"]


def test_a_firmware_is_received_verified_and_written_and_takes_no_effect_on_a_box_started_from_source(simulator):
    app = InstallerClient(simulator(source=True))
    app.box.advance(5)
    connected(app)
    image = noise(50_000)
    answer = app.upload("firmware", image)
    assert answer["sha256"] == hashlib.sha256(image).hexdigest() and answer["size"] == 50_000
    assert answer["installed"] is False and "not started from a slot" in answer["text"]
    assert answer["version"] == "9.0.0"
    assert "written" in {entry["code"] for entry in app.ask("log")["entries"]}
    app.box.advance(60)
    assert app.ask("hello")["version"] != "9.0.0" and app.ask("status")["status"]["update"]["state"] == "idle"


@pytest.mark.parametrize(
    ("image", "field", "words"),
    [
        (b"\x7fELF" + bytes(9_000), None, "no firmware for a wallbox"),
        (sealed(b"x" * 100, board="wallbox-s3-1"), None, "for the board wallbox-s3-1"),
        (sealed(b"x" * 100, mpy="6.1"), None, "compiled for mpy 6.1"),
        (sealed(b"x" * 100)[:-1], "size", "its header says"),
        (sealed(b"x" * 100) + b"y", "size", "its header says"),
        (sealed(b"x" * 5_000)[:-1] + b"y", "sha256", "SHA-256"),
        (spoilt(sealed(b"x" * 100)), None, "signature"),
    ],
)
def test_a_firmware_that_is_not_right_is_refused_with_the_reason(app, image, field, words):
    opened = app.put("firmware", image)
    app.send_from(opened, image)
    ended = app.take_events("transfer_failed")
    if ended:
        assert words in ended[0]["text"]
    else:
        error = refused(app, "done", transfer=opened["transfer"])
        assert error["code"] == "bad_value" and error["field"] == field and words in error["text"], error
    assert [entry for entry in app.ask("log")["entries"] if entry["code"] == "refused" and words in entry["text"]]
    assert app.put("firmware", image)["offset"] == 0


def test_while_a_car_charges_no_firmware_is_taken_and_the_installer_hears_why(app):
    app.box.plug(phases=3, max_a=16)
    app.box.until(lambda state: state["contactor"]["closed"], 30)
    error = refused(app, "put", name="firmware", size=50_000, sha256="0" * 64)
    assert error["code"] == "not_now" and "when this session has ended" in error["text"]
    app.box.unplug()
    app.box.advance(5)
    assert app.put("firmware", noise(50_000))["offset"] == 0


def test_a_car_that_comes_while_a_firmware_is_sent_waits_and_is_told_why(app):
    box = app.box
    image = noise(20_000)
    opened = app.put("firmware", image)
    app.send_from(opened, image, 8_000)
    assert box.state()["led"]["pattern"] == "running_blue"
    box.network(False)
    box.advance(5)
    assert box.state()["led"]["pattern"] == "running_blue_s4_red"
    box.network(True)
    box.plug(phases=3, max_a=16)
    box.advance(20)
    state = box.state()
    assert not state["contactor"]["closed"] and state["limited_by"] == "update"
    assert "firmware update" in state["why"]["text"]
    # Whoever sends has gone silent: the car need not wait for ever.
    box.until(lambda state: state["contactor"]["closed"], 180, 1)
    assert box.state()["update"]["state"] == "idle"


def test_an_app_that_leaves_does_not_keep_cars_waiting(app):
    image = noise(20_000)
    app.send_from(app.put("firmware", image), image, 8_000)
    assert app.box.state()["update"]["percent"] == 40
    app.disconnect()
    app.box.advance(1)
    assert app.box.state()["update"]["state"] == "idle"
    app.box.plug(phases=3, max_a=16)
    app.box.until(lambda state: state["contactor"]["closed"], 30)


def test_an_upload_goes_on_where_a_cut_of_the_link_stopped_it(app):
    image = noise(20_000)
    opened = app.put("firmware", image)
    count = 0
    while opened["offset"] < len(image):
        count += 1
        told = app.send_from(opened, image, 4_500)
        app.disconnect()
        app.box.advance(1)
        connected(app)
        opened = app.put("firmware", image)
        assert opened["offset"] >= told
    assert count >= 4
    assert app.ask("done", transfer=opened["transfer"])["size"] == len(image)


def test_an_upload_goes_on_where_a_cut_of_the_supply_stopped_it(simulator):
    image = noise(60_000)
    app = InstallerClient(simulator())
    box = app.box
    box.advance(5)
    before, cuts = 0, 0
    for at_write in (3, 45, 5, 2):
        connected(app)
        opened = app.put("firmware", image)
        assert opened["offset"] >= before - SECTOR
        before = opened["offset"]
        box.request("power", at_write=at_write)
        offset = opened["offset"]
        # The radio goes with the supply.
        with pytest.raises(SimulatorError, match="no central is connected"):
            while offset < len(image):
                app.send_data(opened["transfer"], offset, image[offset : offset + FRAME_BYTES])
                offset += FRAME_BYTES
                box.advance(0.05)
        cuts += 1
        box.request("power", on=True)
        box.advance(5)
    connected(app)
    opened = app.put("firmware", image)
    assert opened["offset"] > 0
    app.send_from(opened, image)
    assert app.ask("done", transfer=opened["transfer"])["size"] == len(image) and cuts == 4


def test_a_wrong_digest_a_full_flash_and_a_cancelled_upload_leave_nothing(app):
    image = noise(9_000)
    opened = app.ask("put", name="firmware", size=len(image), sha256="0" * 64)
    app.send_from(opened, image)
    error = refused(app, "done", transfer=opened["transfer"])
    assert error["code"] == "bad_value" and error["field"] == "sha256"
    assert app.ask("put", name="firmware", size=len(image), sha256="0" * 64)["offset"] == 0
    error = refused(app, "put", name="firmware", size=600_000, sha256="1" * 64)
    assert error["code"] == "flash" and error["field"] == "size" and "room" in error["text"]
    opened = app.put("firmware", image)
    app.send_from(opened, image, 5_000)
    app.ask("done", transfer=opened["transfer"], cancel=True)
    assert app.put("firmware", image)["offset"] == 0


def test_a_flash_that_refuses_ends_the_upload_with_the_reason_and_not_the_connection(app):
    image = noise(20_000)
    opened = app.put("firmware", image)
    app.send_from(opened, image, 4_096)
    app.box.fault("flash_error", True)
    # As much as an app may send before it hears of it.
    for at in range(4_096, 4_096 + 2 * 4_096, FRAME_BYTES):
        app.send_data(opened["transfer"], at, image[at : at + FRAME_BYTES])
    app.box.advance(1)
    ended = app.take_events("transfer_failed")
    assert len(ended) == 1 and ended[0]["transfer"] == opened["transfer"], ended
    assert "the flash memory refused" in ended[0]["text"]
    assert app.take_events("frame_error") == []
    assert refused(app, "done", transfer=opened["transfer"])["field"] == "transfer"
    app.box.clear("flash_error")
    assert app.upload("firmware", image)["size"] == len(image)


def test_a_second_upload_of_a_name_ends_the_first(app):
    image = noise(9_000)
    first = app.put("firmware", image)
    app.send_from(first, image, 5_000)
    second = app.put("firmware", image)
    assert second["offset"] == SECTOR and second["transfer"] != first["transfer"]
    app.send_from(second, image)
    assert refused(app, "done", transfer=first["transfer"])["field"] == "transfer"
    assert app.ask("done", transfer=second["transfer"])["size"] == len(image)


def test_backup_and_restore_bring_back_what_was_set(app):
    app.ask("settings", set={**SECRETS, "rated_a": 16})
    app.ask("card", uid=CARD, add=True, name="Anna")
    plain, locked = app.download("backup"), app.download("backup", password=PASSWORD)
    app.ask("settings", set={"rated_a": 10, "wifi_password": "ein-anderes"})
    app.ask("card", uid=CARD, delete=True)
    answer = app.upload("restore", plain)
    assert answer["differences"] == {"rated_a": [10, 16]} and answer["cards"]["add"] == [CARD]
    assert answer["secrets"] == "left_out" and not answer["applied"] and not answer["other_box"]
    assert app.ask("settings")["settings"]["rated_a"] == 10
    opened = app.put("restore", locked)
    app.send_from(opened, locked)
    error = refused(app, "done", transfer=opened["transfer"], apply=True, password="something else")
    assert error["code"] == "wrong_password"
    assert app.ask("settings")["settings"]["rated_a"] == 10
    opened = app.put("restore", locked)
    assert opened["offset"] == len(locked)
    answer = app.ask("done", transfer=opened["transfer"], apply=True, password=PASSWORD)
    assert answer["applied"] and answer["differences"]["wifi_password"] == [True, True]
    assert app.ask("settings")["settings"]["rated_a"] == 16
    assert app.ask("cards")["charging"] == [{"uid": CARD, "name": "Anna", "blocked": False}]
    again = app.upload("restore", app.download("backup", password=PASSWORD), password=PASSWORD)
    assert again["differences"] == {} and again["secrets"] == "opened"
    security = [(row["what"], row["result"]) for row in rows(app.download("security.csv"))]
    assert ("backup", "with secrets") in security
    assert any(what == "restore" and result.startswith("applied") for what, result in security)


def test_a_damaged_backup_is_refused(app):
    data = bytearray(app.download("backup"))
    data[data.index(b'"rated_a": 32') + 12] = ord("1")
    opened = app.put("restore", bytes(data))
    app.send_from(opened, bytes(data))
    error = refused(app, "done", transfer=opened["transfer"], apply=True)
    assert error["code"] == "bad_value" and "damaged" in error["text"]
    assert app.ask("settings")["settings"]["rated_a"] == 32


def test_a_restore_cut_off_by_the_supply_is_whole_after_the_next_start(simulator):
    app = InstallerClient(simulator())
    box = app.box
    box.advance(5)
    connected(app)
    app.ask("settings", set={"rated_a": 16})
    app.ask("card", uid=CARD, add=True, name="Anna")
    data = app.download("backup")
    found = set()
    cut = True
    at_write = 0
    while cut:
        at_write += 1
        app.ask("settings", set={"rated_a": 10})
        app.ask("card", uid=CARD, delete=True)
        opened = app.put("restore", data)
        app.send_from(opened, data)
        box.request("power", at_write=at_write)
        number = app.send("done", transfer=opened["transfer"], apply=True)
        box.advance(1)
        app.collect()
        cut = not app.connected
        if cut:
            box.request("power", on=True)
            box.advance(5)
            connected(app)
        else:
            assert app.answer(number)["applied"]
        left = app.ask("settings")["settings"]["rated_a"], len(app.ask("cards")["charging"])
        assert left in ((10, 0), (16, 1)), f"cut at write {at_write}: {left}"
        found.add(left)
        if left == (10, 0):
            app.ask("card", uid=CARD, add=True)
    assert found == {(10, 0), (16, 1)} and at_write > 8


def test_the_key_and_the_code_of_a_backup_are_made_as_the_document_says(app):
    app.ask("settings", set=SECRETS)
    found = json.loads(app.download("backup", password=PASSWORD))
    sealed = found["secrets"]
    salt, first, data = (b64decode(sealed[name]) for name in ("salt", "iv", "data"))
    master = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt, sealed["iterations"])
    key = hmac.new(master, b"code", "sha256").digest()
    signed = json.dumps([found["serial"], sealed["iterations"], sealed["salt"], sealed["iv"], sealed["data"]])
    code = hmac.new(key, b"wallbox-backup-1" + signed.encode(), "sha256").digest()
    assert code == b64decode(sealed["mac"])
    assert len(first) == 16 and len(data) % 16 == 0


def test_a_report_is_genuine_under_the_device_s_key_and_no_more_once_it_is_changed(simulator, tmp_path):
    folder = tmp_path / "flash"
    # From its sources, of which the report has the digest.
    box = simulator(data=folder, program=(RUN,))
    app = InstallerClient(box)
    box.advance(5)
    box.request("utc", seconds=1_800_000_000)
    connected(app)
    charge(box)
    app.ask("report", checks={"by": "E. Lektra", "rcd_ac_trip_ms": 24, "insulation_kohm": 2_000, "pe_mohm": 180})
    content = app.download("report")
    error = refused(app, "report", checks={"pe_mohm": -1})
    assert error["field"] == "checks.pe_mohm" and "0..1000000" in error["text"]
    box.stop()
    command = [str(MICROPYTHON), "-c", READ_IDENTITY, str(folder / "flash.bin")]
    key = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=20).stdout.strip()
    report = verify_report.parse(content.decode())
    assert verify_report.is_genuine(report, verify_report.parse_key(key))
    assert report["checks"]["insulation_kohm"] == {"value": 2_000, "limit": 1_000, "good": True}
    assert report["residual_current"]["passed"] and 0 < report["residual_current"]["trip_ms"] <= 800
    assert report["residual_current"]["utc"].startswith("2027-01-15")
    assert report["contactor"]["closing"]["recent_ms"] > 0 and report["contactor"]["welded"] is False
    assert report["pe"]["ok"] and report["breaker"]["good"] and report["wizard"]["complete"]
    digest = hashlib.sha256()
    for path in sorted((ROOT / "firmware").rglob("*.py")):
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(path.read_bytes())
    assert report["firmware"]["sha256"] == digest.hexdigest()
    report["breaker"]["rated_a"] = 6
    assert not verify_report.is_genuine(report, verify_report.parse_key(key))
