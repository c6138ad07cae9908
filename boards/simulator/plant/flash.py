"""The flash chip as a block device that can lose power in the middle of any write."""

import os

from micropython import const

from plant.board import PowerCut

BLOCK_BYTES = const(4096)  # erase block of a usual SPI NOR flash
BLOCKS = const(128)
# Behind the file system: two slots for the firmware, and two sectors that take turns with what the loader keeps.
SLOT_BLOCKS = const(128)
SLOTS = const(2)
RECORD_BLOCKS = const(2)
PAGE_BYTES = const(256)  # programmed by one command of such a chip
_AREA_BLOCKS = const(SLOTS * SLOT_BLOCKS + RECORD_BLOCKS)
_EIO = const(-5)  # littlefs turns a negative result into OSError with this number

# Operations of MicroPython's block device protocol (os.AbstractBlockDev).
_BLOCK_COUNT = const(4)
_BLOCK_SIZE = const(5)
_BLOCK_ERASE = const(6)


class MemoryStore:
    """Content in memory; an erased block takes none."""

    def __init__(self):
        self._blocks = {}

    def load(self, block: int, offset: int, buf) -> None:
        """Fill `buf` from a place in the flash."""
        data = self._blocks.get(block)
        size = len(buf)
        buf[:] = b"\xff" * size if data is None else memoryview(data)[offset : offset + size]

    def peek(self, block: int, offset: int, buf) -> None:
        """The same as `load`, slower and without allocation."""
        data = self._blocks.get(block)
        for i in range(len(buf)):
            buf[i] = 0xFF if data is None else data[offset + i]

    def store(self, block: int, offset: int, buf) -> None:
        """Put the bytes of `buf` in a place in the flash."""
        data = self._blocks.get(block)
        if data is None:
            data = self._blocks[block] = bytearray(b"\xff" * BLOCK_BYTES)
        memoryview(data)[offset : offset + len(buf)] = buf

    def erase(self, block: int) -> None:
        """Make a block all ones."""
        self._blocks.pop(block, None)


class FileStore:
    """Content in a host file, kept between runs. ValueError for a file that is no image of this flash."""

    def __init__(self, path: str, blocks: int = BLOCKS):
        size = blocks * BLOCK_BYTES
        try:
            found = os.stat(path)[6]
        except OSError:
            found = 0
        if found not in (0, size):
            raise ValueError("flash image %s: %d bytes are not allowed; allowed: 0, %d" % (path, found, size))
        self._file = open(path, "r+b" if found else "w+b")  # noqa: SIM115 as long as the device
        if not found:
            for block in range(blocks):
                self.erase(block)

    def load(self, block: int, offset: int, buf) -> None:
        """Fill `buf` from a place in the flash."""
        self._file.seek(block * BLOCK_BYTES + offset)
        self._file.readinto(buf)

    peek = load

    def store(self, block: int, offset: int, buf) -> None:
        """Put the bytes of `buf` in a place in the flash."""
        self._file.seek(block * BLOCK_BYTES + offset)
        # MicroPython keeps nothing back, and to wait for the host's disk (flush) would take ms at each write.
        self._file.write(buf)

    def erase(self, block: int) -> None:
        """Make a block all ones."""
        self.store(block, 0, b"\xff" * BLOCK_BYTES)


class FlashDevice:
    """128 blocks of 4096 bytes, blank at first, in memory or in the file `path`; `slots` are more of them.

    `writes` counts programming calls and erased blocks. `cut_at_write` = n lets the power fail in the
    n-th of them from now: that one is done by half, PowerCut is raised, and so it is for every further
    write until `power(True)`. `fails` makes every write an I/O error, counted in `refused`. `on_cut` is
    called at a cut.

    `pages` and `erases` count what a chip would be busy with: page program and block erase commands. Here
    they take no time; `on_busy(pages, erases)` is called after each write for whoever wants it to.
    """

    def __init__(self, path=None, on_cut=None):
        self._store = MemoryStore() if path is None else FileStore(path)
        self.slots = Area(self, None if path is None else path[: path.rfind("/") + 1] + "slots.bin")
        self._on_cut = on_cut
        self._powered = True
        self.writes = 0
        self.pages = 0
        self.erases = 0
        self.on_busy = None
        self.cut_at_write = 0
        self.fails = False
        self.refused = 0
        self.generation = 0
        self.grave = bytearray(0)

    def power(self, on: bool) -> None:
        """Follow the supply; a cut that has not come yet stays armed."""
        self._powered = on

    def retire(self) -> None:
        """End the access of every handle given out so far (a firmware that has ended)."""
        self.generation += 1
        if not self.grave:
            self.grave = bytearray(BLOCK_BYTES)

    def handle(self):
        """A block device for one mount; it dies with `retire`."""
        return Handle(self)

    def readblocks(self, block: int, buf, offset: int = 0):
        """Block device protocol: read."""
        self._store.load(block, offset, buf)

    def peek(self, block: int, buf, offset: int):
        """Read without allocation."""
        self._store.peek(block, offset, buf)

    def writeblocks(self, block: int, buf, offset: int = 0):
        """Block device protocol: program (with the simple protocol a whole block is replaced)."""
        return self.program(self._store, block, offset, buf)

    def program(self, store, block: int, offset: int, buf) -> int:
        """Program a piece of one of the chip's areas -> 0, or a negative error number; PowerCut."""
        if self.fails:
            self.refused += 1
            return _EIO
        if self._last_write():
            store.store(block, offset, memoryview(buf)[: len(buf) // 2])
            self._cut()
        store.store(block, offset, buf)
        self._busy((offset + len(buf) - 1) // PAGE_BYTES - offset // PAGE_BYTES + 1, 0)
        return 0

    def ioctl(self, operation: int, argument: int):
        """Block device protocol: sizes and erasing."""
        if operation == _BLOCK_COUNT:
            return BLOCKS
        if operation == _BLOCK_SIZE:
            return BLOCK_BYTES
        if operation == _BLOCK_ERASE:
            return self.erase(self._store, argument)
        return 0

    def erase(self, store, block: int) -> int:
        """Erase a block of one of the chip's areas -> 0, or a negative error number; PowerCut."""
        if self.fails:
            self.refused += 1
            return _EIO
        if self._last_write():
            store.store(block, 0, b"\xff" * (BLOCK_BYTES // 2))
            self._cut()
        store.erase(block)
        self._busy(0, 1)
        return 0

    def _busy(self, pages: int, erases: int) -> None:
        self.pages += pages
        self.erases += erases
        if self.on_busy is not None:
            self.on_busy(pages, erases)

    def _last_write(self) -> bool:
        """Count a write -> True when the power fails in it; PowerCut when it is gone already."""
        if not self._powered:
            raise PowerCut("flash write without power")
        self.writes += 1
        if not self.cut_at_write:
            return False
        self.cut_at_write -= 1
        return self.cut_at_write == 0

    def _cut(self) -> None:
        self._powered = False
        if self._on_cut is not None:
            self._on_cut()
        raise PowerCut("flash write %d" % self.writes)


class Area:
    """The chip's other blocks, without a file system; in memory, or in the file `path`, made at the first use.

    Writes and erases count, are cut and fail together with those of the file system.
    """

    def __init__(self, device: FlashDevice, path):
        self._device = device
        self._path = path
        self._store = None

    def _opened(self):
        if self._store is None:
            self._store = MemoryStore() if self._path is None else FileStore(self._path, _AREA_BLOCKS)
        return self._store

    def read(self, block: int, offset: int, buf) -> None:
        """Fill `buf` from within a block."""
        if self._store is None and not _exists(self._path):
            # Nothing was ever written.
            buf[:] = b"\xff" * len(buf)
        else:
            self._opened().load(block, offset, buf)

    def write(self, block: int, offset: int, data) -> None:
        """Program bytes of a block that are erased; OSError when the chip refuses, ValueError when they are not."""
        found = bytearray(len(data))
        self.read(block, offset, found)
        if bytes(found).strip(b"\xff"):
            raise ValueError("block %d: %d bytes at %d are not erased" % (block, len(data), offset))
        _refuse(self._device.program(self._opened(), block, offset, data))

    def erase(self, block: int) -> None:
        """Make a block all ones; OSError when the chip refuses."""
        _refuse(self._device.erase(self._opened(), block))


def _exists(path) -> bool:
    if path is None:
        return False
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _refuse(result: int) -> None:
    if result < 0:
        raise OSError(-result)


class Handle:
    """The flash as one mounted file system sees it, until the device retires it.

    The collector closes what an ended firmware left open, at any time later, when the blocks belong to the
    next firmware. Such writes go to a page that leads nowhere: littlefs reads back what it has just
    programmed, finds it there and is content. All that must not allocate, as the collector is running.
    """

    def __init__(self, device: FlashDevice):
        self._device = device
        self._generation = device.generation
        self._page_block = -1

    def readblocks(self, block: int, buf, offset: int = 0):
        """Block device protocol: read."""
        device = self._device
        if self._generation == device.generation:
            return device.readblocks(block, buf, offset)
        if block != self._page_block:
            return device.peek(block, buf, offset)
        for i in range(len(buf)):
            buf[i] = device.grave[offset + i]
        return 0

    def writeblocks(self, block: int, buf, offset: int = 0):
        """Block device protocol: program."""
        device = self._device
        if self._generation == device.generation:
            return device.writeblocks(block, buf, offset)
        self._page_block = block
        for i in range(len(buf)):
            device.grave[offset + i] = buf[i]
        return 0

    def ioctl(self, operation: int, argument: int):
        """Block device protocol: sizes and erasing."""
        device = self._device
        if operation != _BLOCK_ERASE or self._generation == device.generation:
            return device.ioctl(operation, argument)
        self._page_block = argument
        return 0
