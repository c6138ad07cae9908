"""The SPI bus of what the control loop reads: metering chip and port expander, nobody else.

A frame is a chip select driven here, so nothing that runs in between (soft interrupts, other tasks of the chip) may use
the bus; the network's W5500 has another.
"""

from machine import SPI, Pin
from micropython import const

from hal import pins

# What the slower of the two, the metering chip, is used with in the field. Both sample at the rising edge.
_HZ = const(1_000_000)


def open_bus() -> SPI:
    """The bus, the same whoever asks."""
    sck, mosi, miso = Pin(pins.SAFE_SCK), Pin(pins.SAFE_MOSI), Pin(pins.SAFE_MISO)
    return SPI(pins.SAFE_SPI, _HZ, polarity=1, phase=1, sck=sck, mosi=mosi, miso=miso)


def chip_select(number: int) -> Pin:
    """A chip select, high from the first moment on."""
    return Pin(number, Pin.OUT, value=1)
