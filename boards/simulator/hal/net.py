"""Communication module of the simulated board."""

from plant import board


class Net:
    """Health of the module that carries the backend links."""

    def __init__(self):
        self._plant = board.plant

    def module_ok(self) -> bool:
        """Whether the module works."""
        return self._plant.network_up
