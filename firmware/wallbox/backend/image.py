"""Where a firmware from the central system goes: to flash, beside the one that an app may have sent (R29)."""

import os

from micropython import const

_NAME = "/backend.bin"
_ENOENT = const(2)
# As for an upload of the app: what settings, sessions and logs may still grow to.
_RESERVE_BLOCKS = const(32)
_BLOCK_BYTES = const(0)
_FREE_BLOCKS = const(3)


class Place:
    """A file that is written from its begin on; nothing exists before the first piece."""

    def __init__(self, app):
        self._app = app
        self._path = app.folder + _NAME
        self._file = None
        found = os.statvfs(app.folder)
        self.most_bytes = max(0, found[_FREE_BLOCKS] - _RESERVE_BLOCKS) * found[_BLOCK_BYTES]

    def write(self, piece) -> None:
        """Take the next piece; OSError when flash refuses."""
        if self._file is None:
            self._file = open(self._path, "wb")  # noqa: SIM115
        self._file.write(piece)

    async def install(self) -> None:
        """Hand the firmware over to the update service; OSError, as this version has none."""
        self._close()
        raise OSError("the firmware was received, but this version cannot install one")

    def discard(self) -> None:
        """Forget what was written."""
        self._close()
        try:
            os.remove(self._path)
        except OSError as error:
            if error.errno != _ENOENT:
                self._app.log.add("error", "ocpp", "not_removed", "a firmware could not be removed: %s" % error)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
