"""Signing firmware: containers, keys and the table of keys that is compiled in."""

import stat
from pathlib import Path

import pytest
from containers import SECTOR

from sign import container, keys
from sign.__main__ import main

ROMFS = bytes(range(256)) * 40


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.romfs"
    path.write_bytes(ROMFS)
    return path


def sign(image: Path, *more: str) -> Path:
    assert main(["sign", str(image), "--board", "simulator", "--version", "1.2.3", "--counter", "4", *more]) == 0
    return image.with_suffix(".wbx")


def test_a_signed_image_is_shown_and_verified(image, capsys, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1780000000")
    path = sign(image)
    data = path.read_bytes()
    assert data[SECTOR:] == ROMFS and data[:4] == b"WBX1" and len(data) == SECTOR + len(ROMFS)
    capsys.readouterr()
    assert main(["show", str(path)]) == 0
    shown = capsys.readouterr().out
    for text in ("simulator", "1.2.3", "2026-05-28T20:26:40Z", str(len(ROMFS)), "key      0"):
        assert text in shown
    assert main(["verify", str(path)]) == 0


def test_the_manifest_is_the_shortest_json_with_its_keys_in_order(image):
    data = sign(image).read_bytes()
    text = data[6 : 6 + int.from_bytes(data[4:6], "big")].decode()
    names = [part.split(":")[0].strip('{"') for part in text.split(",")]
    assert names == sorted(names) and " " not in text


def test_own_keys_sign_and_others_do_not_verify(image, tmp_path, capsys):
    secret = tmp_path / "production.pem"
    assert main(["keygen", str(secret)]) == 0
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    path = sign(image, "--key", str(secret), "--number", "3")
    assert container.parse(path.read_bytes()).key == 3
    assert main(["verify", str(path), "--key", f"{secret}.pub"]) == 0
    capsys.readouterr()
    assert main(["verify", str(path)]) == 1
    assert "signature is wrong" in capsys.readouterr().err
    # A key is never overwritten.
    before = secret.read_bytes()
    assert main(["keygen", str(secret)]) == 1 and secret.read_bytes() == before


def test_the_signature_always_has_the_smaller_of_its_two_forms(image):
    for _ in range(20):
        found = container.parse(sign(image).read_bytes())
        s = int.from_bytes(found.signature[32:], "big")
        assert 0 < s <= container.N // 2
        twin = container.Container(
            found.manifest, found.key, found.signature[:32] + (container.N - s).to_bytes(32, "big"), found.signed, ROMFS
        )
        with pytest.raises(container.ContainerError, match="larger"):
            container.verify(twin, keys.public(keys.DEVELOPMENT))


@pytest.mark.parametrize("at", [0, 5, 20, 4_000, SECTOR, SECTOR + 5_000])
def test_damage_is_found(image, at, capsys):
    path = sign(image)
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(data)
    assert main(["verify", str(path)]) == 1
    assert capsys.readouterr().err.startswith("sign: ")


def test_the_firmware_has_the_public_key_of_the_development_key_as_the_table_prints_it(capsys):
    assert main(["table", f"0={keys.DEVELOPMENT}"]) == 0
    firmware = Path(__file__).parents[2] / "firmware" / "wallbox" / "update" / "keys.py"
    assert capsys.readouterr().out == firmware.read_text()
    assert "proves nothing" in keys.DEVELOPMENT.read_text()


def test_a_key_of_another_kind_is_refused(tmp_path, image, capsys):
    path = tmp_path / "other.pem"
    path.write_text("nothing")
    assert main(["sign", str(image), "--board", "b", "--version", "1", "--counter", "1", "--key", str(path)]) == 1
    assert "no private key" in capsys.readouterr().err
