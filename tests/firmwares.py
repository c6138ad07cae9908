"""Firmware for slots of the simulated board: good, broken in every way, and small."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import slot_image

from simulator import ROOT

# What a spoilt firmware's main.py is, and what it may do to the board's clock.
CRASHES = "raise RuntimeError('a mistake of the new firmware')\n"
HANGS = "import asyncio\n\nasyncio.run(asyncio.sleep(1_000_000))\n"
# The rest is the firmware as it is, with a fault that comes when it runs.
MAIN = (ROOT / "firmware" / "main.py").read_text()
NEVER_FED = MAIN.replace("app = App()\n", "app = App()\napp.supervisor._watchdog.feed = lambda: None\n")
UNSEEN = MAIN.replace(
    "app = App()\n", "app = App()\napp.ble._radio._label = None\napp.ble.configure = lambda *_: None\n"
)
# In virtual time nothing is late, so the loop is told that it was.
LATE = MAIN.replace(
    "app = App()\n",
    """

async def late(beat):
    while True:
        await asyncio.sleep_ms(500)
        app.control.late += 5


app = App()
app.supervisor.add("late", late)
""",
)
# A task that dies, is restarted and dies.
DYING = MAIN.replace("app = App()\n", "app = App()\napp.supervisor.add('dying', lambda beat: None.run())\n")
FLASHLESS = MAIN.replace(
    "app = App()\n",
    """from wallbox.storage.store import Store


def save(*_):
    raise OSError(5)


Store.save = save
app = App()
""",
)


def with_main(text: str) -> Callable[[Path], None]:
    """What puts another main.py into a firmware."""

    def change(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch) / "main.py"
            source.write_text(text)
            slot_image.compile_module(source, folder / "main.mpy")

    return change


def only_main(text: str) -> Callable[[Path], None]:
    """What leaves nothing of a firmware but another main.py: a few hundred bytes."""

    def change(folder: Path) -> None:
        for entry in list(folder.iterdir()):
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        for program, content in (("boot", ""), ("main", text)):
            with tempfile.TemporaryDirectory() as scratch:
                source = Path(scratch) / f"{program}.py"
                source.write_text(content)
                slot_image.compile_module(source, folder / f"{program}.mpy")

    return change
