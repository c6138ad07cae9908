"""Measures the heap of package `ocpp` when its code stays in flash: micropython ocpp_rom.py IMAGE, an image of ROMFS.

Run by MicroPython's Unix port, whose objects have 64 bits: on a chip it is about half. Prints bytes in use as JSON:
imported, made, registered.
"""

import asyncio
import gc
import json
import os
import sys

import vfs
from ocpp_host import FOLDER, Network, charge_point

_TURN_MS = 100
_LIMIT = 100
_found = []


def _note() -> None:
    gc.collect()
    gc.collect()
    _found.append(gc.mem_alloc())


async def _main() -> None:
    network = Network()
    _note()
    __import__("ocpp.charge_point")
    __import__("ocpp.configuration")
    _note()
    point = charge_point(network.open_connection, "ws://127.0.0.1:9000/ocpp/")
    _note()
    tasks = [asyncio.create_task(network.run()), asyncio.create_task(point.run())]
    for _ in range(_LIMIT):
        await asyncio.sleep_ms(_TURN_MS)
        if network.registered:
            break
    assert network.registered
    await asyncio.sleep_ms(10 * _TURN_MS)
    _note()
    assert tasks
    print(json.dumps([found - _found[0] for found in _found[1:]]))


os.mkdir(FOLDER)
with open(sys.argv[1], "rb") as image:
    vfs.mount(vfs.VfsRom(image.read()), "/rom")
sys.path.insert(0, "/rom")
asyncio.run(_main())
