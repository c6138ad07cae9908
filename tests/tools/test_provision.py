"""The production tool: identity, register, label, and the firmware that starts with what was written."""

import datetime
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pypdfium2
import pytest
from installer_client import InstallerClient

from provision import label
from provision.cli import main
from provision.identity import Identity, ProvisionError, check_serial, draw, next_serial
from provision.register import Register

ROOT = Path(__file__).resolve().parents[2]
WEEK = datetime.date(2026, 11, 25)
RENDER_SCALE = 7
RENDERED_PX_PER_MM = RENDER_SCALE * 72 / 25.4


@pytest.fixture
def make(tmp_path, capsys):
    """Run the tool in a folder of its own -> (exit code, stdout, stderr)."""

    def run(command: str, *arguments: object) -> tuple[int, str, str]:
        code = main([command, "--register", str(tmp_path / "register.jsonl"), *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def entries(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "register.jsonl").read_text().splitlines()]


# -- identity ----------------------------------------------------------------------------------------------


def test_passkeys_have_six_digits_keys_32_bytes_and_no_two_are_alike():
    drawn = [draw("WB2648-0001") for _ in range(2000)]
    assert all(re.fullmatch(r"\d{6}", one.passkey) and re.fullmatch(r"[0-9a-f]{64}", one.key) for one in drawn)
    assert len({one.key for one in drawn}) == 2000
    # Of 2000 out of a million some two may be alike; were they few in kind, many would be.
    assert len({one.passkey for one in drawn}) > 1950
    # Leading zeros belong to them.
    assert {one.passkey[0] for one in drawn} == set("0123456789")


def test_serial_numbers_go_on_through_the_week():
    assert next_serial(set(), WEEK) == "WB2648-0001"
    assert next_serial({"WB2648-0001", "WB2648-0003"}, WEEK) == "WB2648-0002"
    every = {f"WB2648-{number:04d}" for number in range(1, 10_000)}
    with pytest.raises(ProvisionError, match="used up"):
        next_serial(every, WEEK)


@pytest.mark.parametrize("text", ["", "abc1", "W;K=1", "-WB1", "WB1-", "W" * 21, "WB 1", "WB1"])
def test_a_serial_number_that_no_label_can_carry_is_refused(text):
    with pytest.raises(ProvisionError, match="allowed: 4 to 20 of A-Z, 0-9 and -"):
        check_serial(text)


def test_an_identity_in_an_error_shows_no_secret():
    assert repr(Identity("WB2648-0001", "123456", "ab" * 32)) == "Identity(WB2648-0001)"


# -- register ----------------------------------------------------------------------------------------------


def test_the_register_is_private_and_keeps_every_wallbox(make, tmp_path):
    assert [make("new")[0] for _ in range(3)] == [0, 0, 0]
    assert os.stat(tmp_path / "register.jsonl").st_mode & 0o777 == 0o600
    kept = entries(tmp_path)
    assert [entry["serial"][-5:] for entry in kept] == ["-0001", "-0002", "-0003"]
    assert all(set(entry) == {"serial", "passkey", "key", "made", "setup_card"} for entry in kept)


def test_a_serial_number_is_never_given_twice(make, tmp_path):
    make("new", "--serial", "WB-TEST")
    before = (tmp_path / "register.jsonl").read_bytes()
    code, out, err = make("new", "--serial", "WB-TEST")
    assert (code, out) == (1, "") and "'WB-TEST' is in the register already" in err
    assert (tmp_path / "register.jsonl").read_bytes() == before


def test_nothing_that_is_printed_holds_a_secret(make, tmp_path):
    printed = "".join(
        make("new", "--data", tmp_path / "d", "--files", tmp_path / "f", "--label", tmp_path / "l.pdf")[1:]
    )
    printed += "".join(make("list")[1:])
    (entry,) = entries(tmp_path)
    assert entry["serial"] in printed
    assert entry["passkey"] not in printed and entry["key"] not in printed


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_a_register_that_others_may_read_is_not_used(make, tmp_path, mode):
    make("new")
    (tmp_path / "register.jsonl").chmod(mode)
    code, _, err = make("new")
    assert code == 1 and f"mode {mode:04o} is not allowed; allowed: 0600" in err
    assert len(entries(tmp_path)) == 1


def test_a_damaged_register_is_not_written_to(make, tmp_path):
    make("new")
    with (tmp_path / "register.jsonl").open("a") as file:
        file.write('{"serial"\n')
    code, _, err = make("new")
    assert code == 1 and "line 2 is damaged" in err


def test_two_at_a_time_take_turns(tmp_path):
    path = tmp_path / "register.jsonl"
    program = (
        "import sys, datetime; from pathlib import Path\n"
        "from provision.identity import *; from provision.register import *\n"
        "for _ in range(20):\n"
        "    with Register(Path(sys.argv[1])).open() as entries:\n"
        "        serial = next_serial(set(entries.known), datetime.date(2026, 11, 25))\n"
        "        entries.append(draw(serial), 'now', None)\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    both = [subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT / "tools")}) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    with Register(path).open() as register:
        assert len(register.known) == 40


# -- flash -------------------------------------------------------------------------------------------------


def test_the_firmware_starts_with_the_identity_and_the_setup_card(make, tmp_path, simulator):
    assert make("new", "--data", tmp_path / "data", "--setup-card", "04:a1:b2:c3")[0] == 0
    (entry,) = entries(tmp_path)
    box = simulator(data=tmp_path / "data")
    found = InstallerClient(box).label()
    assert (found["passkey"], found["info"]["serial"]) == (entry["passkey"], entry["serial"])
    assert found["info"]["commissioned"] is False
    assert box.state()["cards"]["setup"] == "04A1B2C3"
    assert not box.log(code="identity_drawn")


def test_a_flash_that_has_an_identity_keeps_it(make, tmp_path, simulator):
    make("new", "--serial", "WB-FIRST", "--data", tmp_path / "data")
    code, _, err = make("new", "--serial", "WB-SECOND", "--data", tmp_path / "data")
    assert code == 1 and "it has the identity of WB-FIRST already; mend that and go on with: again WB-SECOND" in err
    assert make("again", "WB-FIRST", "--data", tmp_path / "data")[0] == 0
    assert InstallerClient(simulator(data=tmp_path / "data")).label()["info"]["serial"] == "WB-FIRST"


def test_the_files_for_a_real_board_are_those_that_the_firmware_reads(make, tmp_path):
    assert make("new", "--files", tmp_path / "f", "--setup-card", "04A1B2C3")[0] == 0
    names = sorted(path.name for path in (tmp_path / "f").iterdir())
    assert names == ["cards.0", "identity.0"]
    assert all(os.stat(tmp_path / "f" / name).st_mode & 0o777 == 0o600 for name in names)
    assert os.stat(tmp_path / "f").st_mode & 0o777 == 0o700
    (entry,) = entries(tmp_path)
    content = (tmp_path / "f" / "identity.0").read_bytes()
    assert content.startswith(b"WBST")
    assert json.loads(content[18:]) == {key: entry[key] for key in ("serial", "passkey", "key")}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--setup-card", "04"), "setup-card: '04' is not allowed; allowed: 8, 14 or 20 hexadecimal digits"),
        (("--serial", "w"), "serial: 'w' is not allowed"),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_is_registered(make, tmp_path, arguments, words):
    code, _, err = make("new", *arguments)
    assert code == 1 and words in err
    register = tmp_path / "register.jsonl"
    assert not register.exists() or register.read_text() == ""


def test_a_wallbox_that_is_not_registered_cannot_be_written_again(make):
    code, _, err = make("again", "WB-NONE")
    assert code == 1 and "'WB-NONE' is not in the register" in err


# -- label -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("serial", ["WB2648-0001", "W123", "W" * 20])
def test_the_label_shows_serial_number_passkey_and_a_whole_qr_code(tmp_path, serial):
    identity = Identity(serial, "012345", "ab" * 32)
    path = tmp_path / "label.pdf"
    label.write(path, identity)
    assert os.stat(path).st_mode & 0o777 == 0o600
    document = pypdfium2.PdfDocument(path)
    try:
        assert len(document) == 1
        page = document[0]
        width, height = (points / 72 * 25.4 for points in page.get_size())
        assert (width, height) == (pytest.approx(label.WIDTH_MM, abs=0.1), pytest.approx(label.HEIGHT_MM, abs=0.1))
        text = page.get_textpage().get_text_range()
        assert serial in text and "012 345" in text and "ab" * 16 not in text
        image = page.render(scale=RENDER_SCALE).to_pil().convert("L")
    finally:
        document.close()
    matrix = [bytes(row) for row in label.qr_code(identity).matrix]
    module = label.QR_MM / len(matrix)
    quiet = 4
    for row in range(-quiet, len(matrix) + quiet):
        for column in range(-quiet, len(matrix) + quiet):
            x = label.MARGIN_MM + (column + 0.5) * module
            y = label.QR_BOTTOM_MM + (row + 0.5) * module
            inside = 0 <= row < len(matrix) and 0 <= column < len(matrix)
            dark = image.getpixel((int(x * RENDERED_PX_PER_MM), int(y * RENDERED_PX_PER_MM))) < 128
            assert dark == bool(inside and matrix[row][column]), (row, column)


def test_the_qr_code_says_what_docs_production_tells():
    identity = Identity("WB2648-0001", "012345", "ab" * 32)
    assert label.qr_text(identity) == "WALLBOX:1;S=WB2648-0001;K=012345;;"
    assert label.qr_text(identity) in (ROOT / "docs" / "production.md").read_text()


def test_nothing_of_the_label_runs_over_its_edge(tmp_path):
    label.write(tmp_path / "label.pdf", Identity("W" * 20, "000000", "ab" * 32))
    document = pypdfium2.PdfDocument(tmp_path / "label.pdf")
    try:
        image = document[0].render(scale=RENDER_SCALE).to_pil().convert("L")
    finally:
        document.close()
    left, top, right, bottom = image.point(lambda value: 255 if value < 128 else 0).getbbox()
    margin = (label.MARGIN_MM - 0.2) * RENDERED_PX_PER_MM
    assert left >= margin and top >= margin
    assert right <= image.width - margin and bottom <= image.height - margin
