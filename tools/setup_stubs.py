"""Mends what MicroPython's published type stubs get wrong; versions are pinned, and so are the places."""

import argparse
from pathlib import Path

# (file, what stands there, what is true on the interpreter)
MENDS = (
    # Ticks are plain integers: they are stored, passed on and annotated as such.
    ("_mpy_shed/time_mp.pyi", '_Ticks = TypeVar("_Ticks", ', '_Ticks = TypeVar("_Ticks", int, '),
    # A traceback can be printed into any stream object, io.StringIO included.
    ("stdlib/sys/__init__.pyi", "file: IOBase_mp = stdout, /", "file: Any = stdout, /"),
    ("stdlib/io.pyi", "\nclass BytesIO:\n", "    def getvalue(self) -> str: ...\n\nclass BytesIO:\n"),
    # A file system mounts on any object with readblocks, writeblocks and ioctl.
    ("vfs.pyi", "block_dev: AbstractBlockDev", "block_dev: Any"),
    # The event loop's parts are public in asyncio.core, which virtual time builds on.
    (
        "stdlib/asyncio/__init__.pyi",
        "from .base_events import *",
        "from . import core as core\nfrom .base_events import *",
    ),
)

# The Unix port's `machine` has next to nothing, and would hide that of a board and of the tests' stand-in.
HIDING = ("machine.pyi",)
# Of a board's stubs only what the Unix port's lack: these come first, and two of a kind would not fit together.
BOARDS = ("esp32s3",)

ASYNCIO_CORE = """from typing import Any

ticks: Any
IOQueue: Any
cur_task: Any
_io_queue: Any
_task_queue: Any

def __getattr__(name: str) -> Any: ...
"""


def mend(path: Path, wrong: str, right: str) -> None:
    """Replace a text in a file; SystemExit when it is not there, as after a change of the pinned versions."""
    text = path.read_text()
    if wrong not in text:
        raise SystemExit(f"setup: {path} does not hold {wrong!r} any more; see MENDS in {__file__}")
    path.write_text(text.replace(wrong, right))


def main() -> None:
    """Mend the freshly installed stubs in the folder given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the stubs")
    folder = parser.parse_args().folder
    for name, wrong, right in MENDS:
        mend(folder / name, wrong, right)
    (folder / "stdlib/asyncio/core.pyi").write_text(ASYNCIO_CORE)
    for name in HIDING:
        (folder / name).unlink()
    for board in BOARDS:
        for stub in (folder / board).glob("*.pyi"):
            if (folder / stub.name).exists():
                stub.unlink()


if __name__ == "__main__":
    main()
