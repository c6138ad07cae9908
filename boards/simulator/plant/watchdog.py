"""The external watchdog: restarts the firmware and lets the contactor go when nobody feeds it."""

from micropython import const

_TIMEOUT_MS = const(2000)


class Watchdog:
    """`expired` holds the contactor's coil off until the firmware starts the watchdog again."""

    def __init__(self, plant):
        self._plant = plant
        self._slot = plant.slot(self._expire)
        self.expired = False

    def start(self) -> None:
        """The firmware runs and will feed from now on."""
        self.expired = False
        self.feed()
        self._plant.contactor.update_coil()

    def guard(self, ms: int) -> None:
        """What runs before the firmware gives it so long to come up."""
        self._plant.at(self._slot, self._plant.now_ms + ms)

    def feed(self) -> None:
        """Give the firmware another two seconds; without supply there is none to give."""
        plant = self._plant
        if plant.powered:
            plant.at(self._slot, plant.now_ms + _TIMEOUT_MS)

    def stop(self) -> None:
        """The firmware has ended or the supply is gone."""
        self.expired = False
        self._plant.off(self._slot)

    def _expire(self) -> None:
        self.expired = True
        self._plant.restart("watchdog")
