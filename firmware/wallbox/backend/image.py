"""Where a firmware from the central system goes: straight into the slot that does not run (R29)."""

import hal.slots as slots


class Place:
    """A slot that is written from its begin on; nothing is touched before the first piece.

    What is wrong with a firmware is told by `install` alone: another download would bring the same.
    """

    most_bytes = slots.SLOT_BYTES

    def __init__(self, app):
        self._app = app
        self._receiver = None
        self._wrong = None

    async def write(self, piece) -> None:
        """Take the next piece; OSError when flash refuses, or no update may be received now."""
        if self._wrong is not None:
            return
        try:
            if self._receiver is None:
                self._receiver = self._app.update.receive("OCPP", None)
            await self._receiver.write(piece)
        except ValueError as error:
            self._wrong = error

    async def install(self) -> None:
        """Have the firmware tried at the next start; ValueError or OSError with the reason when that cannot be."""
        if self._wrong is not None:
            raise self._wrong
        if self._receiver is None:
            raise ValueError("the firmware is empty")
        await self._take_up()
        if not await self._receiver.finish():
            raise OSError(self._receiver.text())

    async def _take_up(self) -> None:
        """Go on with what is here whole, though it has waited so long for its time that cars may charge again."""
        writer = self._receiver.writer
        if self._receiver.look() or not writer.complete:
            return
        self._receiver = self._app.update.receive("OCPP", writer.offset)
        if not await self._receiver.go_on(writer.head, writer.stored, writer.crc):
            self._receiver.close()
            raise OSError("something else was written over the firmware while it waited for its time")

    def discard(self) -> None:
        """Forget what was written; harmless when that was done."""
        if self._receiver is not None:
            self._receiver.close()
