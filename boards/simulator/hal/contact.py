"""Dry contact PS_1/PS_2 of the simulated board."""

from plant import board


class Contact:
    """Input for peak shaving."""

    def __init__(self):
        self._plant = board.plant

    def closed(self) -> bool:
        """Whether the contact is closed."""
        return self._plant.contact_closed
