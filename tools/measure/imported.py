"""Prints how many bytes of heap the firmware's modules take: micropython imported.py FOLDER or IMAGE of ROMFS."""

import gc
import os
import sys

import inert_board
import ocpp_host
import vfs

_IS_FOLDER = 0x4000

assert inert_board.MODULES and ocpp_host.TIME
if os.stat(sys.argv[1])[0] & _IS_FOLDER:
    sys.path.insert(0, sys.argv[1])
else:
    data = bytearray(os.stat(sys.argv[1])[6])
    with open(sys.argv[1], "rb") as image:
        image.readinto(data)
    vfs.mount(vfs.VfsRom(data), "/rom")
    sys.path.insert(0, "/rom")
gc.collect()
before = gc.mem_alloc()
for name in ("wallbox.app", "ocpp.charge_point", "ocpp.configuration"):
    __import__(name)
gc.collect()
print(gc.mem_alloc() - before)
