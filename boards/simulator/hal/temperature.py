"""Board temperature sensor of the simulated board."""

from plant import board


class Temperature:
    """`deci_c` in 0.1 degC; an open sensor reads below -550, a shorted one above 1500."""

    def __init__(self):
        self._plant = board.plant
        self._thermal = board.plant.thermal
        self.deci_c = 0

    def sample(self) -> None:
        """Refresh the attribute."""
        self._plant.sync()
        self.deci_c = self._thermal.deci_c
