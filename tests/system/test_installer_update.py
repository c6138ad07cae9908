"""A wallbox is updated with the command line, over the WebSocket and over the air, and tells how it ends (R29)."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import firmwares
import pytest
import slot_image
from test_installer_cli import Box

OLD, NEW = "0.1.0", "0.2.0"


@pytest.fixture(scope="session")
def compiled(shared_folder: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    return shared_folder("slot", slot_image.compile_into)


@pytest.fixture
def box(compiled: Path, tmp_path: Path) -> Iterator[Box]:
    """A wallbox ten times as fast as the host that runs from a slot."""
    path = tmp_path / "old.wbx"
    path.write_bytes(slot_image.make(compiled, OLD, 1))
    started = Box("--image", str(path), "--speed", "10")
    yield started
    started.close()


@pytest.mark.parametrize("way", ["websocket", "radio"])
def test_a_firmware_is_sent_tried_and_kept_and_then_nothing_older_is_taken(box, compiled, tmp_path, way):
    through = ("--radio", box.radio) if way == "radio" else ()
    path = tmp_path / "new.wbx"
    path.write_bytes(slot_image.make(compiled, NEW, 2))
    done = box.run("firmware", str(path), *through)
    assert done.returncode == 0, done
    assert f"firmware {NEW} has proven itself" in done.stdout and f"it was {OLD}" in done.stderr
    assert box.json("hello", *through)["version"] == NEW
    error = box.refused(5, "firmware", str(tmp_path / "old.wbx"), *through)
    assert "older (counter 1)" in error


def test_a_firmware_that_does_not_prove_itself_is_told_with_the_reason(box, compiled, tmp_path):
    path = tmp_path / "new.wbx"
    path.write_bytes(slot_image.make(compiled, NEW, 2, firmwares.with_main(firmwares.CRASHES)))
    done = box.run("firmware", str(path), "--json")
    assert done.returncode == 1, done
    answer = json.loads(done.stdout)
    assert answer["kept"] is False and answer["version"] == OLD and "did not come to prove" in answer["reason"]


def test_without_waiting_the_command_ends_when_it_is_installed(box, compiled, tmp_path):
    path = tmp_path / "new.wbx"
    path.write_bytes(slot_image.make(compiled, NEW, 2))
    assert f"firmware {NEW} is verified and in slot b" in box.good("firmware", str(path), "--no-wait")
    box.until(lambda state: state["power"] and state["update"]["result"] == "committed", 60)
