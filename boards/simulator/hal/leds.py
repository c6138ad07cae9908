"""LED bar of the simulated board."""

from plant import board


class Leds:
    """Four RGB LEDs S1..S4."""

    def __init__(self):
        self._panel = board.plant.panel

    def write(self, buf) -> None:
        """Show 12 bytes: r, g, b of S1..S4; ValueError for another length."""
        self._panel.light(buf)
