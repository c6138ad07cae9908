"""What lies in a slot: the firmware compiled and packed as ROMFS, and its container."""

import contextlib
import io
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import image
from mpremote.romfs import make_romfs

from sign import container, keys
from sign.__main__ import MPY, built

CHIP = "esp32s3"
SIMULATOR = "simulator"
# Name of a board's folder -> the board that its containers name.
BOARDS = {CHIP: "wallbox-s3-1", SIMULATOR: SIMULATOR}
# Run by name: not compiled with the modules, whose place they are beside.
PROGRAMS = ("boot", "main")
VERSION = re.compile(r'^VERSION = "(.*)"$', re.MULTILINE)
SOURCE = image.ROOT / "firmware"


def version() -> str:
    """The version that the source tree has."""
    found = VERSION.search((SOURCE / "wallbox" / "__init__.py").read_text())
    assert found
    return found[1]


def compile_into(folder: Path) -> None:
    """Fill a folder with the firmware as it lies in a slot of every board.

    The chip's drivers are in it; the simulated board has its own, and looks for them first.
    """
    image.compile_firmware(folder, board=CHIP)
    for program in PROGRAMS:
        compile_module(SOURCE / f"{program}.py", folder / f"{program}.mpy")


def compile_module(source: Path, target: Path) -> None:
    """Compile one file as it stands."""
    command = [str(image.MPY_CROSS), "-O3", "-s", source.name, "-o", str(target), str(source)]
    subprocess.run(command, check=True)


def name(folder: Path, version: str) -> None:
    """Give compiled firmware another version."""
    text = VERSION.sub(f'VERSION = "{version}"', (SOURCE / "wallbox" / "__init__.py").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "__init__.py"
        source.write_text(text)
        compile_module(source, folder / "wallbox" / "__init__.mpy")


def pack(folder: Path) -> bytes:
    """The ROMFS image of a folder."""
    with contextlib.redirect_stdout(io.StringIO()):
        return make_romfs(str(folder), mpy_cross=False)


def make(
    compiled: Path, version: str, counter: int, change: Callable[[Path], None] | None = None, board: str = SIMULATOR
) -> bytes:
    """The container of a version, signed with the development key.

    `compiled` is a folder of `compile_into`; `change(folder)` may spoil the copy that is packed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "rom"
        shutil.copytree(compiled, folder)
        name(folder, version)
        if change is not None:
            change(folder)
        romfs = pack(folder)
    described = container.manifest(romfs, board, version, counter, MPY, built())
    return container.pack(romfs, described, keys.DEVELOPMENT_NUMBER, keys.private(keys.DEVELOPMENT))
