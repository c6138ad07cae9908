"""Buzzer of the simulated board."""

from plant import board


class Buzzer:
    """A tone of a given frequency."""

    def __init__(self):
        self._plant = board.plant
        self._panel = board.plant.panel

    def set(self, hz: int) -> None:
        """Sound a tone; 0 is silence."""
        self._plant.sync()
        self._panel.sound(hz)
