"""File system on the flash of the simulated board."""

import vfs

from plant import board

_PATH = "/data"


def _volume():
    # Without times of change: they would bring the host's clock into the image. The type stubs ask for a
    # subclass of a class that MicroPython does not have.
    return vfs.VfsLfs2(board.plant.flash_device.handle(), mtime=False)  # type: ignore


def mount() -> str:
    """Mount the file system, after formatting a flash that holds none -> its path.

    OSError when the flash fails.
    """
    try:
        volume = _volume()
    except OSError:
        vfs.VfsLfs2.mkfs(board.plant.flash_device.handle())  # type: ignore
        volume = _volume()
    vfs.mount(volume, _PATH)
    return _PATH


def unmount() -> None:
    """Take the file system away; files still open can no longer write."""
    board.plant.flash_device.retire()
    try:
        vfs.umount(_PATH)
    except OSError:
        # Not mounted: the firmware ended before it came to that.
        return
