"""File system on the flash of the chip: littlefs in the partition "vfs"."""

import os

import esp32
import vfs
from micropython import const

from hal import nvs

_PATH = "/data"
_PARTITION = "vfs"
# LFS_ERR_CORRUPT of littlefs (lfs.h), positive as MicroPython raises it: neither copy of the first block is its.
_NO_FILE_SYSTEM = const(84)
# What production gave this wallbox (docs/production.md): a file of the file system, with a copy in NVS.
_IDENTITY = "identity"
_IDENTITY_FILE = "identity.0"
_UNFINISHED = "identity.new"


def _volume(device):
    # Without times of change: nobody reads them, and each would be a write more.
    return vfs.VfsLfs2(device, mtime=False)


def mount() -> str:
    """Mount the file system, after formatting a flash that holds none -> its path, the current folder from now on.

    OSError when the flash fails or the partition is missing; what could not be read then is left as it is. A power cut
    does not damage littlefs, and one while it formats leaves a flash that holds none.
    """
    _let_go()
    device = esp32.Partition(_PARTITION)
    try:
        volume = _volume(device)
    except OSError as error:
        if error.errno != _NO_FILE_SYSTEM:
            raise
        vfs.VfsLfs2.mkfs(device)  # type: ignore
        volume = _volume(device)
    vfs.mount(volume, _PATH)
    # Libraries keep files by a bare name.
    os.chdir(_PATH)
    _give_back_identity()
    return _PATH


def _let_go() -> None:
    """End what else has mounted it, as MicroPython's own start does: two at a time would write over each other."""
    for volume, path in vfs.mount():
        if isinstance(volume, vfs.VfsLfs2):
            vfs.umount(path)


def _give_back_identity() -> None:
    """Without it the passkey on the label would fit no more."""
    if _IDENTITY_FILE in os.listdir(_PATH):
        return
    copy = nvs.load(_IDENTITY)
    if copy is None:
        return
    with open(_UNFINISHED, "wb") as file:
        file.write(copy)
    os.rename(_UNFINISHED, _IDENTITY_FILE)


def unmount() -> None:
    """Take the file system away; files still open can no longer write."""
    os.chdir("/")
    try:
        vfs.umount(_PATH)
    except OSError:
        # Not mounted: the firmware ended before it came to that.
        return
