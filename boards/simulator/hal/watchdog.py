"""Watchdog of the simulated board."""

from plant import board


class Watchdog:
    """Runs from the moment it is made; not fed for 2 s it resets the board and drops the contactor."""

    def __init__(self):
        self._plant = board.plant
        self._watchdog = board.plant.watchdog
        self._plant.sync()
        self._watchdog.start()

    def feed(self) -> None:
        """Give another 2 s."""
        self._plant.sync()
        self._watchdog.feed()
