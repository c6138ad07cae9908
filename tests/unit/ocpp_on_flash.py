"""Puts transactions that wait for delivery on the flash of a box that is off, in MicroPython; prints how many.

Arguments: the folder of the flash image, and "fill" (as many as there is room for) or "torn" (two, of which the last
record, a stop, is torn).
"""

import sys

import vfs

_HERE = "tests/unit/ocpp_on_flash.py"
ROOT = __file__[: -len(_HERE)]
sys.path[:0] = [ROOT + folder for folder in ("firmware", "firmware/lib", "boards/simulator")]

from ocpp.queue import Full, Queue  # noqa: E402
from plant.flash import FlashDevice  # noqa: E402
from wallbox.storage.store import Store  # noqa: E402

FOLDER = "/data"
BEGIN = [100, 6, [["1" * 320, 1]]]
DATA = BEGIN, [100, 7, [["2" * 500, 1]]]
TORN_BYTES = 20


class Log:
    """Nobody reads it."""

    def add(self, _level, _source, _code, text, **_context):
        raise OSError(text)


class Clock:
    """Stands still."""

    def uptime_s(self):
        return 100

    def utc_s(self):
        return 1_800_000_000


def charge(queue, count: int) -> None:
    """One transaction in records that are as large as they may be, so that few fill the memory."""
    stamp = queue.stamp()
    number = queue.append("start", stamp + ["0411", count, None, BEGIN])
    queue.append("stop", stamp + [number, count + 1, "Local", None, DATA])


def fill(queue) -> int:
    count = 0
    while True:
        try:
            charge(queue, count)
        except Full:
            return count
        count += 1


def torn(queue) -> int:
    count = 2
    for number in range(count):
        charge(queue, number)
    # The newest file holds all of it.
    path = FOLDER + "/otx.0"
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(content[:-TORN_BYTES])
    return count


device = FlashDevice(sys.argv[1] + "/flash.bin")
vfs.mount(vfs.VfsLfs2(device.handle(), mtime=False), FOLDER)  # type: ignore
print({"fill": fill, "torn": torn}[sys.argv[2]](Queue(FOLDER, Store(FOLDER, "ocpp_queue", 1, Log()), Clock(), Log())))
vfs.umount(FOLDER)
