"""SPI bus to the card reader chip, an MFRC522: lines of its own by software, and a reset at the port expander."""

from machine import Pin, SoftSPI
from micropython import const

from hal import pins
from hal.expander import Expander

# The chip takes 10 MHz; software makes about 1 MHz of this, 20 us for a register.
_HZ = const(2_000_000)


class ReaderSpi:
    """Each call is one chip-select frame, of mode 0 (NXP's data sheet, 8.1.2)."""

    def __init__(self):
        self._select = Pin(pins.READER_CS, Pin.OUT, value=1)
        sck, mosi, miso = Pin(pins.READER_SCK), Pin(pins.READER_MOSI), Pin(pins.READER_MISO)
        self._spi = SoftSPI(baudrate=_HZ, polarity=0, phase=0, sck=sck, mosi=mosi, miso=miso)
        self._expander = Expander()

    def write(self, buf) -> None:
        """Send a frame and ignore what comes back."""
        self._select(0)
        self._spi.write(buf)
        self._select(1)

    def write_readinto(self, tx, rx) -> None:
        """Send a frame and keep what comes back; both buffers have the same length."""
        self._select(0)
        self._spi.write_readinto(tx, rx)
        self._select(1)

    def reset(self, active: bool) -> None:
        """Drive the chip's reset line, which is low while active; 0.2 ms."""
        self._expander.set(pins.OUT_READER_RESET, not active)
