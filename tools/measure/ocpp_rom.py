"""Measures the heap of package `ocpp` when its code stays in flash: micropython ocpp_rom.py IMAGE [FRAME].

Run by MicroPython's Unix port, whose objects have 64 bits. IMAGE is one of ROMFS with the package. Prints as JSON the
bytes in use more than before the package was imported: imported, one charge point made, registered. With FRAME, a
file of ocpp_frames.py that is named after its message's id, the central system then sends that, and a fourth figure
follows: all of the heap that there is, less what was in use before. In the smallest heap (-X heapsize=...) in which
this still ends well, that is the peak. Garbage is collected each 4 KB, since collected in a full heap only it leaves
what stays all over it, and no room in one piece for a long frame.
"""

import asyncio
import gc
import json
import os
import sys

import vfs
from ocpp_host import FOLDER, Network, charge_point

_TURN_MS = 10
_LIMIT = 1000
# After the registration more is sent, such as the status of the connectors.
_SETTLE_MS = 500
_COLLECT_BYTES = 4096
_found = []


def _note() -> None:
    gc.collect()
    gc.collect()
    _found.append(gc.mem_alloc())


async def _until(condition, tasks) -> None:
    for _ in range(_LIMIT):
        if condition():
            return
        assert not any(task.done() for task in tasks)
        await asyncio.sleep_ms(_TURN_MS)
    raise AssertionError("not within %d ms" % (_LIMIT * _TURN_MS))


async def _main(frame) -> None:
    network = Network()
    _note()
    __import__("ocpp.charge_point")
    __import__("ocpp.configuration")
    _note()
    point = charge_point(network.open_connection, "ws://127.0.0.1:9000/ocpp/")
    _note()
    tasks = [asyncio.create_task(network.run()), asyncio.create_task(point.run())]
    await _until(lambda: network.registered, tasks)
    await asyncio.sleep_ms(_SETTLE_MS)
    _note()
    if frame:
        network.send_file(frame)
        await _until(lambda: network.answers, tasks)
        name = frame.rsplit("/", 1)[-1].split(".")[0]
        assert network.answers == {name: [{"status": "Accepted"}]}, network.answers
        _found.append(gc.mem_alloc() + gc.mem_free())
    assert not any(task.done() for task in tasks)
    print(json.dumps([found - _found[0] for found in _found[1:]]))


def _mount(path: str) -> None:
    data = bytearray(os.stat(path)[6])
    with open(path, "rb") as image:
        image.readinto(data)
    vfs.mount(vfs.VfsRom(data), "/rom")
    sys.path.insert(0, "/rom")


gc.threshold(_COLLECT_BYTES)
os.mkdir(FOLDER)
_mount(sys.argv[1])
asyncio.run(_main(sys.argv[2] if len(sys.argv) > 2 else None))
