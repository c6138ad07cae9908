"""Makes the container of a firmware for the simulated board, out of the source tree or a changed copy of it.

python tools/slot_image.py --output FILE [--version V] [--counter N]
"""

import argparse
import contextlib
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import image
from mpremote.romfs import make_romfs

from sign import container, keys
from sign.__main__ import MPY, built

BOARD = "simulator"
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
    """Fill a folder with the firmware as it lies in a slot."""
    image.compile_firmware(folder)
    for program in PROGRAMS:
        compile_module(SOURCE / f"{program}.py", folder / f"{program}.mpy")


def compile_module(source: Path, target: Path) -> None:
    """Compile one file as it stands."""
    command = [str(image.MPY_CROSS), "-O3", "-s", source.name, "-o", str(target), str(source)]
    subprocess.run(command, check=True)


def make(
    compiled: Path, name: str, counter: int, change: Callable[[Path], None] | None = None, board: str = BOARD
) -> bytes:
    """The container of version `name`, signed with the development key.

    `compiled` is a folder of `compile_into`; `change(folder)` may spoil the copy that is packed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "rom"
        shutil.copytree(compiled, folder)
        text = VERSION.sub(f'VERSION = "{name}"', (SOURCE / "wallbox" / "__init__.py").read_text())
        source = Path(scratch) / "__init__.py"
        source.write_text(text)
        compile_module(source, folder / "wallbox" / "__init__.mpy")
        if change is not None:
            change(folder)
        with contextlib.redirect_stdout(io.StringIO()):
            romfs = make_romfs(str(folder), mpy_cross=False)
    described = container.manifest(romfs, board, name, counter, MPY, built())
    return container.pack(romfs, described, keys.DEVELOPMENT_NUMBER, keys.private(keys.DEVELOPMENT))


def main() -> int:
    """Write a container."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--version", default=version())
    parser.add_argument("--counter", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        compiled = Path(scratch) / "compiled"
        compile_into(compiled)
        options.output.write_bytes(make(compiled, options.version, options.counter))
    print(f"{options.output}: firmware {options.version} for {BOARD}, counter {options.counter}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
