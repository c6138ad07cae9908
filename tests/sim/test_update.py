"""Updates of the whole firmware: kept when healthy, else given up; whenever the supply fails, the box starts again."""

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import firmwares
import pytest
import slot_image
import slots_file
from containers import sealed
from installer_client import InstallerClient

from simulator import Simulator, SimulatorError

OLD, NEW = "0.1.0", "0.2.0"
# Longer than a firmware on trial has until it must be healthy.
TRIAL_S = 330


@pytest.fixture(scope="session")
def firmware(shared_folder: Callable[[str, Callable[[Path], None]], Path]) -> Callable[..., bytes]:
    """Return a function that makes the container of a version."""
    compiled = shared_folder("slot", slot_image.compile_into)

    @functools.cache
    def make(version: str = NEW, counter: int = 2, change: Callable[[Path], None] | None = None) -> bytes:
        return slot_image.make(compiled, version, counter, change)

    return make


@pytest.fixture(scope="session")
def old(firmware: Callable[..., bytes]) -> bytes:
    """What a box is delivered with."""
    return firmware(OLD, 1)


@pytest.fixture
def updated(simulator, firmware, old, tmp_path) -> Callable[..., Simulator]:
    """Return a function that starts a box whose slot b holds a firmware on its way to its first try."""

    def start(new: bytes | None = None, tries: int = 2, counter: int = 1) -> Simulator:
        kept = slots_file.record(good=0, trial=1, tries=tries, counter=counter, version=NEW)
        folder = slots_file.write(tmp_path / "flash", old, firmware() if new is None else new, kept)
        return simulator(data=folder)

    return start


def versions(box: Simulator) -> list[str]:
    """The versions that have started, one after the other."""
    return [entry["text"].split()[1] for entry in box.log(code="start")]


def expert(box: Simulator) -> InstallerClient:
    app = InstallerClient(box)
    assert app.connect()
    app.login("expert")
    return app


def test_a_firmware_sent_by_an_app_is_tried_and_kept_and_no_older_one_is_taken_then(simulator, firmware, old, tmp_path):
    path = tmp_path / "old.wbx"
    path.write_bytes(old)
    box = simulator(options=("--image", str(path)), data=tmp_path / "flash")
    box.advance(5)
    assert box.state()["update"]["slot"] == "a"
    app = expert(box)
    answer = app.upload("firmware", firmware())
    assert answer["installed"] and answer["version"] == NEW and "restarts" in answer["text"]
    assert box.state()["update"]["state"] == "restart"
    box.advance(8)
    state = box.state()["update"]
    assert (state["slot"], state["state"], state["version"]) == ("b", "trial", NEW)
    app = expert(box)
    assert app.ask("hello")["version"] == NEW
    # The report names what runs by the digest of the file that was sent.
    app.ask("report", checks={"pe_mohm": 200})
    report = json.loads(app.download("report"))
    assert report["firmware"] == {"version": NEW, "sha256": hashlib.sha256(firmware()).hexdigest()}
    with pytest.raises(Exception, match="prove itself first"):
        app.put("firmware", old)
    app.disconnect()
    # While it is on trial it charges as ever.
    box.plug()
    box.until(lambda state: state["contactor"]["closed"], 60)
    box.until(lambda state: state["update"]["result"] == "committed", 120, 1)
    assert box.state()["contactor"]["closed"]
    assert len(box.log(code="committed")) == 1
    box.unplug()
    box.advance(5)
    app = expert(box)
    opened = app.put("firmware", old)
    app.send_from(opened, old, 8_000)
    assert "older (counter 1)" in app.take_events("transfer_failed")[0]["text"]
    app.disconnect()
    # It stays over restarts and cuts of the supply, and is told once.
    box.reset()
    box.advance(5)
    box.power(on=False)
    box.power(on=True)
    box.advance(5)
    assert box.state()["update"]["slot"] == "b" and versions(box) == [OLD, NEW, NEW, NEW]
    assert len(box.log(code="committed")) == 1
    # The former one's place takes the next update.
    app = expert(box)
    app.upload("firmware", firmware("0.3.0", 2))
    box.advance(80)
    assert box.state()["update"]["slot"] == "a" and box.state()["update"]["result"] == "committed"


@pytest.mark.parametrize(
    ("main", "reason"),
    [
        ("CRASHES", "did not come to prove"),
        ("HANGS", "did not come to prove"),
        ("NEVER_FED", "did not come to prove"),
        ("UNSEEN", "radio"),
        ("LATE", "control loop is late"),
        ("DYING", "a task died"),
        ("FLASHLESS", "refuses to write"),
    ],
)
def test_a_broken_firmware_gets_two_starts_and_then_the_former_one_comes_back(updated, firmware, main, reason):
    box = updated(firmware(change=firmwares.with_main(getattr(firmwares, main))))
    box.until(lambda state: state["power"] and state["update"]["slot"] == "a", 2 * TRIAL_S + 90, 5)
    box.advance(5)
    state = box.state()["update"]
    assert (state["state"], state["result"], state["version"]) == ("idle", "rolled_back", NEW)
    assert reason in state["text"]
    entry = box.log(code="rolled_back")
    assert len(entry) == 1 and NEW in entry[0]["text"] and reason in entry[0]["text"]
    assert versions(box)[-1] == OLD and versions(box).count(NEW) in (0, 2)
    # All is as it was: it charges, and takes the next update.
    box.plug()
    box.until(lambda state: state["contactor"]["closed"], 150, 1)


def test_a_firmware_that_is_signed_and_whole_but_no_file_system_gives_way_to_the_former_one(updated):
    box = updated(sealed(b"x" * 9_000, version=NEW, counter=2))
    box.until(lambda state: state["power"] and state["update"]["slot"] == "a", 120, 1)
    box.advance(5)
    assert box.log(code="rolled_back") and box.state()["update"]["result"] == "rolled_back"


def test_what_was_wrong_before_the_update_does_not_count_against_it(updated):
    box = updated()
    box.advance(3)
    # No meter and no network: neither is the firmware's fault.
    box.fault("meter_silent", True)
    box.network(False)
    box.until(lambda state: state["update"]["result"] == "committed", 120, 1)


def test_a_fault_that_ends_lets_the_firmware_prove_itself_after_it(updated):
    box = updated()
    box.advance(3)
    box.fault("flash_error", True)
    box.advance(60)
    assert box.state()["update"]["state"] == "trial"
    box.clear("flash_error")
    box.until(lambda state: state["update"]["result"] == "committed", 120, 1)
    assert any("refuse" in entry["text"] for entry in box.log(code="not_healthy"))


def test_an_update_that_came_with_a_car_restarts_when_the_session_is_over(simulator, firmware, old, tmp_path):
    path = tmp_path / "old.wbx"
    path.write_bytes(old)
    box = simulator(options=("--image", str(path)), settings={"restart_delay_max_s": 0})
    box.advance(5)
    app = expert(box)
    new = firmware(change=firmwares.only_main(firmwares.CRASHES))
    opened = app.put("firmware", new)
    app.send_from(opened, new)
    box.plug()
    box.advance(5)
    assert not box.state()["contactor"]["closed"] and box.state()["limited_by"] == "update"
    assert app.ask("done", transfer=opened["transfer"])["installed"]
    # The car is let go first: it would not know why it waits.
    box.until(lambda state: state["contactor"]["closed"], 30)
    box.advance(60)
    assert box.state()["update"]["state"] == "restart" and box.state()["contactor"]["closed"]
    box.unplug()
    box.until(lambda state: state["power"] and state["update"]["result"] == "rolled_back", 60, 1)


def sent(box: Simulator, new: bytes) -> None:
    """Send a firmware from its begin on and end the transfer, as far as the supply lets it come."""
    app = expert(box)
    app.ask("done", transfer=app.put("firmware", new)["transfer"], cancel=True)
    opened = app.put("firmware", new)
    assert opened["offset"] == 0
    app.send_from(opened, new)
    app.ask("done", transfer=opened["transfer"])


def test_a_cut_at_any_flash_operation_of_an_update_leaves_a_box_that_starts(simulator, firmware, old, tmp_path):
    path = tmp_path / "old.wbx"
    path.write_bytes(old)
    box = simulator(options=("--image", str(path)))
    new = firmware(change=firmwares.only_main(firmwares.CRASHES))
    cuts = 0
    while True:
        box.advance(5)
        assert box.state()["update"]["slot"] == "a"
        before = box.state()["flash_writes"]
        box.power(at_write=cuts + 1)
        try:
            sent(box, new)
            # The restart, both tries and the roll-back are part of it.
            box.advance(10)
        except (SimulatorError, AssertionError):
            # The radio went with the supply.
            assert not box.state()["power"]
        if box.state()["power"]:
            break
        assert box.state()["flash_writes"] == before + cuts + 1
        cuts += 1
        box.power(on=True)
        # Whatever was on its way is tried and given up; the old one always comes.
        box.until(lambda state: state["power"] and state["update"]["slot"] == "a", 60, 1)
    assert cuts >= 40, cuts
    box.power(at_write=1_000_000)
    assert set(versions(box)) == {OLD} and box.log(code="rolled_back")


def swept(start: Callable[[Path], Simulator], scratch: Path, seconds: float) -> tuple[int, set[str]]:
    """Restart a box of `start(folder)` with a cut at each flash operation -> cuts, slots started after them."""
    cuts, found = 0, set()
    while True:
        box = start(scratch / f"cut{cuts}")
        box.advance(1)
        assert box.state()["update"]["state"] == "trial"
        box.power(at_write=cuts + 1)
        box.reset()
        box.advance(seconds)
        if box.state()["power"]:
            box.stop()
            return cuts, found
        cuts += 1
        box.power(on=True)
        box.until(lambda state: state["power"] and state["update"]["slot"] in ("a", "b"), 60, 1)
        box.advance(2)
        state = box.state()
        assert state["power"] and state["pilot"]["state"] == "A1"
        found.add(state["update"]["slot"])
        box.stop()


def test_a_cut_at_any_flash_operation_of_a_trial_and_its_commit_leaves_a_box_that_starts(
    simulator, firmware, old, tmp_path
):
    base = slots_file.write(tmp_path / "base", old, firmware(), slots_file.record(0, 1, 2, 1, NEW))

    def start(folder: Path) -> Simulator:
        return simulator(data=slots_file.copy(base, folder))

    cuts, found = swept(start, tmp_path, 75)
    assert cuts >= 6 and found == {"a", "b"}, (cuts, found)


def test_a_cut_at_any_flash_operation_of_a_roll_back_leaves_a_box_that_starts(simulator, firmware, old, tmp_path):
    new = firmware(change=firmwares.with_main(firmwares.UNSEEN))
    base = slots_file.write(tmp_path / "base", old, new, slots_file.record(0, 1, 1, 1, NEW))

    def start(folder: Path) -> Simulator:
        return simulator(data=slots_file.copy(base, folder))

    cuts, found = swept(start, tmp_path, 5)
    assert cuts >= 4 and found == {"a"}, (cuts, found)


def test_with_neither_slot_whole_the_box_stays_dark_and_safe(simulator, old, tmp_path):
    spoilt = old[:-1] + bytes((old[-1] ^ 1,))
    folder = slots_file.write(tmp_path / "flash", spoilt, None, slots_file.record())
    box = simulator(data=folder)
    state = box.state()
    assert not state["power"] and "neither slot holds a firmware" in box.stderr()


def test_a_good_slot_that_is_damaged_makes_room_for_the_other(simulator, firmware, old, tmp_path):
    spoilt = old[:-1] + bytes((old[-1] ^ 1,))
    folder = slots_file.write(tmp_path / "flash", spoilt, firmware(), slots_file.record())
    box = simulator(data=folder)
    box.advance(5)
    assert box.state()["update"]["slot"] == "b"
    assert "slot a is damaged" in box.log(code="rolled_back")[0]["text"]
    box.plug()
    box.until(lambda state: state["contactor"]["closed"], 150, 1)


@pytest.mark.parametrize("content", [b"x" * 5_000, b""])
def test_a_file_that_is_no_container_is_not_taken_as_an_image(tmp_path, content):
    path = tmp_path / "x.wbx"
    path.write_bytes(content)
    with (
        pytest.raises(SimulatorError, match="--image.*(no firmware|damaged)"),
        Simulator(options=("--image", str(path))),
    ):
        raise AssertionError("it started")


def test_a_flash_on_which_an_image_was_refused_takes_the_next_one(simulator, old, tmp_path):
    wrong, right = tmp_path / "wrong.wbx", tmp_path / "right.wbx"
    wrong.write_bytes(old[:-1] + bytes((old[-1] ^ 1,)))
    right.write_bytes(old)
    data = tmp_path / "flash"
    with pytest.raises(SimulatorError, match="damaged"):
        simulator(options=("--image", str(wrong)), data=data)
    box = simulator(options=("--image", str(right)), data=data)
    box.advance(5)
    assert box.state()["update"]["slot"] == "a"


def test_an_image_is_not_put_over_a_firmware_that_is_there(simulator, firmware, old, tmp_path):
    first, second = tmp_path / "first.wbx", tmp_path / "second.wbx"
    first.write_bytes(old)
    second.write_bytes(firmware())
    data = tmp_path / "flash"
    simulator(options=("--image", str(first)), data=data).stop()
    for options in (("--image", str(second)), ()):
        box = simulator(options=options, data=data)
        box.advance(5)
        assert versions(box)[-1] == OLD
        box.stop()


def test_how_updates_end_stands_in_the_security_log(simulator, firmware, old, tmp_path):
    path = tmp_path / "old.wbx"
    path.write_bytes(old)
    box = simulator(options=("--image", str(path)))
    box.advance(5)
    app = expert(box)
    spoilt = bytearray(firmware())
    spoilt[100] ^= 1
    opened = app.put("firmware", bytes(spoilt))
    app.send_from(opened, bytes(spoilt), 8_000)
    assert app.take_events("transfer_failed")
    app.upload("firmware", firmware())
    box.advance(100)
    app = expert(box)
    entries = [line.split(",", 3)[3] for line in app.download("security.csv").decode().splitlines()]
    noted = [entry for entry in entries if entry.startswith("firmware")]
    assert len(noted) == 3, entries
    assert noted[0].startswith("firmware,Bluetooth,") and "refused: " in noted[0]
    assert noted[1:] == [f"firmware,Bluetooth,installed {NEW}", f"firmware,wallbox,kept {NEW}"]
