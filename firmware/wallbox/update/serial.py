"""An update over the service port: tools/flash runs this on the wallbox, whose firmware stands still meanwhile."""

import asyncio
from binascii import a2b_base64

from loader import start
from wallbox.update.container import check
from wallbox.update.keys import KEYS
from wallbox.update.writer import Writer


class Serial:
    """Takes a container of `size` bytes in pieces; every method raises Refused or OSError with the reason."""

    def __init__(self, slots, size: int, keys=KEYS):
        self._slots = slots
        self._keys = keys
        self._record = start.read(slots)
        if self._record is None:
            # Without it nothing says how old a firmware may be.
            raise OSError("what is kept about the slots cannot be read")
        self._target = 1 - self._record.good
        self._writer = Writer(slots, self._target, size, self._judge)

    async def _judge(self, header) -> None:
        await check(header, self._slots, self._record.counter, self._keys)

    def take(self, text: str) -> int:
        """Take the next bytes, in base64 -> how many have come."""
        asyncio.run(self._writer.write(a2b_base64(text)))
        return self._writer.offset

    def finish(self) -> str:
        """Verify all of it and have it tried at the next start -> what it is, for people."""
        asyncio.run(self._writer.finish())
        version = self._writer.header.version
        self._record.begin(self._target, version)
        self._slots.save(self._record.pack())
        return "firmware %s is in slot %s and will be tried" % (version, "ab"[self._target])
