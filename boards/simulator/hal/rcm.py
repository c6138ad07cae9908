"""Residual current monitor of the simulated board."""

from plant import board


class Rcm:
    """`tripped` is the module's trip output, `dc_ua` and `ac_ua` its analogue value in microampere."""

    def __init__(self):
        self._plant = board.plant
        self._rcm = board.plant.rcm
        self.tripped = False
        self.dc_ua = 0
        self.ac_ua = 0

    def set_test(self, on: bool) -> None:
        """Drive the test input."""
        self._plant.sync()
        self._rcm.set_test(on)

    def sample(self) -> None:
        """Refresh the attributes."""
        self._plant.sync()
        rcm = self._rcm
        self.tripped = rcm.tripped
        self.dc_ua = rcm.dc_ua
        self.ac_ua = rcm.ac_ua
