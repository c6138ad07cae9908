"""What the storage tests share: a log to look at, a scratch folder, damage, and a flash whose power fails."""

import os

import vfs

from plant.board import PowerCut
from plant.flash import FlashDevice

MOUNT = "/cut"


class Log:
    """Stands in for the event log and keeps (level, source, code, text)."""

    def __init__(self):
        self.entries = []

    def add(self, level, source, code, text, **context):
        self.entries.append((level, source, code, text))

    def codes(self):
        return [entry[2] for entry in self.entries]

    def text(self):
        return "\n".join(entry[3] for entry in self.entries)


class Clock:
    """Time that a test moves by hand."""

    def __init__(self):
        self.ms = 0
        self.utc = None

    def uptime_ms(self):
        return self.ms

    def utc_s(self):
        return self.utc


def scratch(name):
    """An empty folder of the host for one test."""
    path = os.getenv("TEST_TMP") or "/tmp/wallbox-unit"
    for part in ("", "/" + name):
        path += part
        try:
            os.mkdir(path)
        except OSError as error:
            if error.errno != 17:  # EEXIST
                raise
    for entry in os.listdir(path):
        os.remove(path + "/" + entry)
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def noise(count, seed):
    """Bytes that look random and are the same in every run (the generator of POSIX's rand example)."""
    out = bytearray(count)
    for i in range(count):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        out[i] = seed >> 16 & 0xFF
    return bytes(out)


class Flash:
    """A littlefs on the simulated flash, mounted at MOUNT."""

    def __init__(self):
        self.device = FlashDevice()
        vfs.VfsLfs2.mkfs(self.device.handle())
        self.mount()

    def mount(self):
        vfs.mount(vfs.VfsLfs2(self.device.handle(), mtime=False), MOUNT)

    def unmount(self):
        self.device.retire()
        vfs.umount(MOUNT)

    def restart(self):
        """Power goes and comes back: nothing of the former mount reaches the flash any more."""
        self.unmount()
        self.device.cut_at_write = 0
        self.device.power(True)
        self.mount()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.unmount()


def cut_everywhere(prepare, run, check):
    """Cut the power in the 1st, 2nd, ... flash write of `run`, until it gets through.

    `prepare(folder)` -> state; `run(folder, state)` notes in `state` what it has done; then power returns
    and `check(folder, state)` looks at what is left. Returns the number of cuts.
    """
    cuts = 0
    while True:
        with Flash() as flash:
            state = prepare(MOUNT)
            flash.device.cut_at_write = cuts + 1
            try:
                run(MOUNT, state)
                through = True
            except PowerCut:
                through = False
            flash.restart()
            check(MOUNT, state)
        if through:
            return cuts
        cuts += 1
