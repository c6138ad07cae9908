"""`make image`: the same sources give the same bytes, and what lies beside the image tells what is in it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import release
from image import ROOT

from sign import container, keys

SECONDS = 120


def made(
    target: Path, *arguments: str, seed: str = "1", root: Path = ROOT, umask: int = -1, **variables: str
) -> dict[str, bytes]:
    environment = dict(os.environ, PYTHONHASHSEED=seed, **variables)
    command = [sys.executable, str(root / "tools" / "release.py"), "--target", str(target), *arguments]
    answer = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=SECONDS, umask=umask, cwd=target
    )
    assert answer.returncode == 0, answer.stderr
    return {path.name: path.read_bytes() for path in target.iterdir()}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return made(tmp_path_factory.mktemp("release"), "--version", "3.2.1", "--counter", "7")


def test_another_folder_umask_locale_and_time_zone_give_the_same_bytes(tmp_path: Path) -> None:
    here, there, copy = tmp_path / "here", tmp_path / "there", tmp_path / "a copy of the sources"
    here.mkdir()
    there.mkdir()
    for name in ("firmware", "boards", "tools", "requirements"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / ".venv").symlink_to(ROOT / ".venv")
    # Without a clone only this tells when it was made.
    epoch = "1764086400"
    ours = made(here, umask=0o022, TZ="UTC", LC_ALL="C.UTF-8", SOURCE_DATE_EPOCH=epoch)
    theirs = made(there, root=copy, umask=0o077, TZ="Pacific/Kiritimati", LC_ALL="C", seed="2", SOURCE_DATE_EPOCH=epoch)
    assert ours.keys() == theirs.keys()
    same = [name for name in ours if not name.endswith(".json") or name.endswith(".cdx.json")]
    assert len(same) == 6
    for name in same:
        assert ours[name] == theirs[name], name
    # The manifest beside it also names the commit.
    for name in set(ours) - set(same):
        described = [json.loads(files[name]) for files in (ours, theirs)]
        for one in described:
            del one["commit"], one["changed"]
        assert described[0] == described[1]


def test_each_board_has_a_container_signed_for_it(files: dict[str, bytes]) -> None:
    for folder, board in release.BOARDS.items():
        found = container.parse(files[f"wallbox-{folder}-3.2.1.wbx"])
        container.verify(found, keys.public(keys.DEVELOPMENT))
        assert (found.manifest["board"], found.manifest["version"], found.manifest["counter"]) == (board, "3.2.1", 7)
        assert found.romfs == files[f"wallbox-{folder}-3.2.1.romfs"]


def test_the_manifest_names_every_file_and_tool(files: dict[str, bytes]) -> None:
    manifest = json.loads(files["wallbox-esp32s3-3.2.1.json"])
    paths = [file["path"] for file in manifest["files"]]
    assert {"boot.mpy", "main.mpy", "wallbox/app.mpy", "ocpp/charge_point.mpy", "hal/pilot.mpy"} <= set(paths)
    assert not any(path.startswith("loader") for path in paths), "the loader is frozen into the interpreter"
    romfs = files["wallbox-esp32s3-3.2.1.romfs"]
    assert manifest["romfs"] == {"bytes": len(romfs), "sha256": hashlib.sha256(romfs).hexdigest()}
    assert set(manifest["tools"]) == set(release.TOOLS)
    assert all(len(file["sha256"]) == 64 and file["bytes"] > 0 for file in manifest["files"])


def test_what_is_tested_on_the_simulator_is_what_is_flashed(files: dict[str, bytes]) -> None:
    manifests = [json.loads(files[f"wallbox-{folder}-3.2.1.json"]) for folder in release.BOARDS]
    assert len({manifest["romfs"]["sha256"] for manifest in manifests}) == 1
    assert not [file["path"] for file in manifests[0]["files"] if file["path"].startswith("plant")]


def test_the_bill_of_materials_names_parts_licences_and_the_image(files: dict[str, bytes]) -> None:
    bill = json.loads(files["wallbox-esp32s3-3.2.1.cdx.json"])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    product = bill["metadata"]["component"]
    assert product["version"] == "3.2.1"
    assert product["hashes"][0]["content"] == hashlib.sha256(files["wallbox-esp32s3-3.2.1.romfs"]).hexdigest()
    parts = {part["name"]: part for part in bill["components"]}
    assert set(parts) == {"umodbus", "micropython", "aioble"}
    assert all(part["version"] and part["licenses"] for part in parts.values())
    assert sorted(bill["dependencies"][0]["dependsOn"]) == sorted(part["bom-ref"] for part in parts.values())


def test_a_key_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["--target", str(tmp_path), "--board", "simulator", "--key", str(tmp_path / "none.pem")]) == 1
    assert "none.pem" in capsys.readouterr().err
