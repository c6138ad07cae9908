"""A firmware over the service port: the wallbox's side of it runs on MicroPython, with a pipe in the port's place."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import slot_image
import slots_file
from containers import sealed
from flash.__main__ import main
from flash.port import FlashError, send

from simulator import MICROPYTHON, ROOT

OLD, NEW = "0.1.0", "0.2.0"
# A raw prompt: a line of JSON is code, the answer is what it printed or how it failed.
PROMPT = """
import builtins, io, json, sys
sys.path[:0] = ["firmware", "boards/simulator"]
from plant import board
from plant.flash import FlashDevice
class Plant: pass
board.plant = Plant()
board.plant.flash_device = FlashDevice(sys.argv[1])
tell, names = print, {}
while True:
    line = sys.stdin.readline()
    if not line:
        break
    printed = []
    builtins.print = lambda *words: printed.append(" ".join(str(word) for word in words))
    try:
        exec(json.loads(line), names)
        answer = {"printed": "\\n".join(printed)}
    except Exception as error:
        text = io.StringIO()
        sys.print_exception(error, text)
        answer = {"failed": text.getvalue()}
    builtins.print = tell
    tell(json.dumps(answer))
"""


class Failed(Exception):
    """Code has raised on the wallbox."""


class Prompt:
    """MicroPython with the slots in a folder, as a transport."""

    def __init__(self, folder: Path):
        self._process = subprocess.Popen(
            [str(MICROPYTHON), "-X", "heapsize=8M", "-c", PROMPT, str(folder / "flash.bin")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def exec(self, command: str) -> bytes:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer["printed"].encode()

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def old(shared_folder: Callable[[str, Callable[[Path], None]], Path]) -> bytes:
    return slot_image.make(shared_folder("slot", slot_image.compile_into), OLD, 3)


@pytest.fixture
def prompt(tmp_path: Path) -> Iterator[Callable[[Path], Prompt]]:
    started: list[Prompt] = []

    def start(folder: Path) -> Prompt:
        started.append(Prompt(folder))
        return started[-1]

    yield start
    for one in started:
        one.close()


def slots_of(folder: Path) -> tuple[bytes, bytes, bytes]:
    data = (folder / "slots.bin").read_bytes()
    size = slots_file.SLOT_BYTES
    return data[:size], data[size : 2 * size], data[2 * size :]


def test_a_firmware_is_verified_by_the_one_that_is_there_and_will_be_tried(prompt, old, tmp_path):
    folder = slots_file.write(tmp_path / "flash", old, None, slots_file.record(0, counter=3))
    new = sealed(b"x" * 9_000, version=NEW, counter=3)
    seen: list[tuple[int, int]] = []
    said = send(prompt(folder), new, False, lambda *progress: seen.append(progress))
    assert said == f"firmware {NEW} is in slot b and will be tried"
    assert seen[0] == (4_096, len(new)) and seen[-1] == (len(new), len(new))
    a, b, kept = slots_of(folder)
    assert a.startswith(old) and b.startswith(new)
    assert slots_file.record(0, 1, 2, 3, NEW) in kept


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ({"counter": 2}, "older"),
        ({"board": "wallbox-s3-1"}, "board"),
        ({"mpy": "6.1"}, "mpy"),
        ({"sha256": "0" * 64}, "damaged"),
    ],
)
def test_what_the_firmware_that_is_there_does_not_take_changes_nothing_of_what_starts(
    prompt, old, tmp_path, spoil, reason
):
    folder = slots_file.write(tmp_path / "flash", old, None, slots_file.record(0, counter=3))
    with pytest.raises(Failed, match=reason):
        send(prompt(folder), sealed(b"x" * 5_000, **{"counter": 3, **spoil}), False, lambda *_: None)
    a, b, kept = slots_of(folder)
    assert a.startswith(old) and slots_file.record(0, counter=3) in kept
    assert b[:4_096] == b"\xff" * 4_096, "no header, no firmware"


def test_a_bare_board_gets_its_first_firmware_only_when_that_is_asked_for(prompt, tmp_path):
    folder = tmp_path / "flash"
    folder.mkdir()
    first = sealed(b"x" * 9_000, version=NEW, counter=5)
    with pytest.raises(FlashError, match="--bare"):
        send(prompt(folder), first, False, lambda *_: None)
    assert "is in slot a and will be started" in send(prompt(folder), first, True, lambda *_: None)
    a, b, kept = slots_of(folder)
    assert a.startswith(first) and not b.strip(b"\xff") and slots_file.record(0, counter=5) in kept


def test_what_is_no_container_and_a_port_that_is_not_there_are_said(tmp_path, capsys):
    path = tmp_path / "x.wbx"
    path.write_bytes(b"x" * 5_000)
    assert main([str(path)]) == 1
    assert "no container" in capsys.readouterr().err
    path.write_bytes(sealed(b"x" * 5_000))
    assert main([str(path), "--port", str(tmp_path / "none")]) == 1
    assert "none" in capsys.readouterr().err
