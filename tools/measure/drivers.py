"""Prints how many bytes of heap a board's drivers take: micropython drivers.py IMAGE of ROMFS with hal/ in it.

The chip's own modules are stand-ins (tests/unit/stand_in), imported before and not counted. It is what modules keep;
what the objects made of them keep is little beside.
"""

import gc
import os
import sys

import vfs

for name in ("aioble", "aioble.core", "bluetooth", "esp32", "machine", "network", "slots", "uartmode"):
    __import__(name)
sys.modules["machine"].bitstream = print  # type: ignore
data = bytearray(os.stat(sys.argv[1])[6])
with open(sys.argv[1], "rb") as image:
    image.readinto(data)
vfs.mount(vfs.VfsRom(data), "/rom")
sys.path.insert(0, "/rom")
names = [entry[0].rsplit(".", 1)[0] for entry in os.ilistdir("/rom/hal")]
assert __import__("asyncio").StreamReader
gc.collect()
before = gc.mem_alloc()
for name in names:
    __import__("hal." + name)
gc.collect()
print(gc.mem_alloc() - before)
