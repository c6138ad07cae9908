"""Dry contact PS_1/PS_2: an opto-coupler at the port expander, low while closed."""

from hal import pins
from hal.expander import Expander


class Contact:
    """Input for peak shaving."""

    def __init__(self):
        self._expander = Expander()

    def closed(self) -> bool:
        """Whether the contact is closed; 60 us."""
        return not self._expander.inputs() & pins.IN_CONTACT
