"""Contactor output and the voltage sensing behind it, of the simulated board."""

from plant import board


class Contactor:
    """`live` has a bit for each pole with voltage behind the contactor: 0 L1, 1 L2, 2 L3."""

    def __init__(self):
        self._plant = board.plant
        self._contactor = board.plant.contactor
        self.live = 0

    def set(self, closed: bool) -> None:
        """Ask for the coil; hardware interlocks may keep it off."""
        self._plant.sync()
        self._contactor.command(closed)

    def sample(self) -> None:
        """Refresh the attributes."""
        self._plant.sync()
        self.live = self._contactor.live
