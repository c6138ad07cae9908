"""Loads what takes meter values (OCPP 1.6, 3.16) while there are any to be taken, and only then."""

from ocpp.rare import borrow


class Metering:
    """Has samples taken in time. `point` has watch, and what `sampling` needs of it."""

    def __init__(self, point):
        self._point = point
        self._turn = point.watch.add(self._step)
        self._sampler = None

    def changed(self) -> None:
        """A transaction has begun or ended, a setting or the clock has changed."""
        self._turn.wake()

    async def _step(self):
        point = self._point
        if point.transactions.current is None and not point.config["ClockAlignedDataInterval"]:
            self._sampler = None
            return None
        if self._sampler is None:
            self._sampler = borrow("sampling").Sampler(point)
        return self._sampler.step()

    def data(self, keys, context: str) -> list:
        """The sampled values of the measurands that the lists `keys` of the configuration name, each once."""
        return borrow("sampling").data(self._point, keys, context)

    async def trigger(self) -> None:
        """Send the values of MeterValuesSampledData now (TriggerMessage)."""
        await borrow("sampling").trigger(self._point)
