"""SPI bus to the card reader chip of the simulated board."""

from plant import board


class ReaderSpi:
    """Each call is one chip-select frame."""

    def __init__(self):
        self._plant = board.plant
        self._chip = board.plant.reader_chip

    def write(self, buf) -> None:
        """Send a frame and ignore what comes back."""
        self._plant.sync()
        self._chip.spi(buf)

    def write_readinto(self, tx, rx) -> None:
        """Send a frame and keep what comes back; both buffers have the same length."""
        self._plant.sync()
        self._chip.spi(tx, rx)

    def reset(self, active: bool) -> None:
        """Drive the chip's reset line."""
        self._plant.sync()
        self._chip.reset(active)
