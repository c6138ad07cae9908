"""A firmware image is received, verified and kept for the update service (R23, R29); nothing is installed here."""

import asyncio
import os

from micropython import const

from wallbox.installer.uploads import Upload, remove, size_of
from wallbox.storage.store import Store

# A slot of the usual partition table for 8 MB of flash; what the flash has room for is checked besides.
_MOST_BYTES = const(0x200000)
# Beside the upload: after a power cut littlefs shows a file moved to another folder wrongly, until the next write.
_IMAGE = "/firmware.bin"
_VERSION = const(1)
_WHY = "the image is verified and kept; it will be installed by the update service, which this version does not have"


class Image(Upload):
    """The upload `firmware`: the verified file is `firmware.bin`, its size and digest are in the store `image`.

    One image waits at a time: the next upload takes its place as soon as it begins.
    """

    NAME = "firmware"
    MOST_BYTES = _MOST_BYTES

    async def _begun(self):
        image = self._image = self._folder + _IMAGE
        kept = Store(self._folder, "image", _VERSION, self._log).load()
        is_taken = kept and kept["sha256"] == self.sha256 and size_of(image) == self.size
        if is_taken and size_of(self.path) is None:
            # The app did not hear that it was taken: it is verified once more instead of sent again.
            os.rename(image, self.path)
        return await super()._begun()

    def _others(self):
        return size_of(self._image) or 0

    def _make_room(self):
        remove(self._image)

    async def _taken(self, _arguments):
        record = {"size": self.size, "sha256": self.sha256, "utc": self._link.app.clock.utc_iso()}
        # The update service compares the digest again, so a record without its image does no harm.
        Store(self._folder, "image", _VERSION, self._log).save(record)
        await asyncio.sleep_ms(0)
        os.rename(self.path, self._image)
        text = "a firmware image of %d bytes was received, SHA-256 %s" % (self.size, self.sha256)
        self._log.add("warning", "installer", "image_received", text)
        return {"size": self.size, "sha256": self.sha256, "installed": False, "text": _WHY}
