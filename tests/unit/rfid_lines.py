"""The card reader behind its SPI lines: the chip's registers are those of the simulator's MFRC522; a test aid."""

from plant.mfrc522_chip import Mfrc522Chip

_READ = 0x80


class Reader:
    """Frames, byte by byte as they come over the lines. `chip` is the register model."""

    # NXP's data sheet: SCK is low when the chip select falls (figure of table 156), and 8.1.2.
    MODES = (0,)
    MAX_HZ = 10_000_000

    def __init__(self, clock):
        self.chip = Mfrc522Chip(clock)
        self.chip.reset(True)
        self._frame = bytearray()
        self._pair = bytearray(2)

    def select(self, on):
        """A frame begins, or ends: what was written takes effect."""
        frame = self._frame
        self._frame = bytearray()
        if not on and len(frame) > 1 and not frame[0] & _READ:
            self.chip.spi(frame)

    def exchange(self, byte):
        """A byte both ways: what the address before has asked for comes back."""
        frame = self._frame
        frame.append(byte)
        if len(frame) < 2 or not frame[0] & _READ:
            return 0
        self.chip.spi(frame[-2:], self._pair)
        return self._pair[1]
