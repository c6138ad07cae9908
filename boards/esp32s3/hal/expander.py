"""Port expander MCP23S17 (Microchip DS20001952): inputs of the control loop on port A, slow outputs on port B.

A frame of 3 bytes takes about 60 us: 24 us of clock and the driver's 35 us.
"""

from micropython import const

from hal import pins
from hal.safe_bus import chip_select, open_bus

# Address pins at 0, addressing not enabled: these two bytes alone begin a frame.
_WRITE = const(0x40)
_READ = const(0x41)
# Registers with IOCON.BANK = 0, as after power-on.
_IODIRB = const(0x01)
_GPIOA = const(0x12)
_OLATB = const(0x15)

_OUTPUTS = pins.OUT_READER_RESET | pins.OUT_ETH_RESET | pins.OUT_MODEM_KEY
_TRIES = const(3)
_KNOWN = pins.IN_LOW | pins.IN_HIGH
# What an expander that does not answer has to say: every pole live, no protective earth, contact open.
_SILENT = pins.IN_HIGH | pins.IN_PE | pins.IN_CONTACT


class Expander:
    """Any number of objects may be made; the chip holds the state."""

    def __init__(self):
        self._spi = open_bus()
        self._cs = chip_select(pins.EXPANDER_CS)
        self._frame = bytearray(3)
        # The latch stays: after power-on it is low, which holds the resets and leaves the modem's key alone.
        self._exchange(_WRITE, _IODIRB, 0xFF & ~_OUTPUTS)

    def _exchange(self, code: int, register: int, value: int) -> int:
        frame = self._frame
        frame[0] = code
        frame[1] = register
        frame[2] = value
        self._cs(0)
        self._spi.write_readinto(frame, frame)
        self._cs(1)
        return frame[2]

    def inputs(self) -> int:
        """Port A as `pins.IN_...`; allocates nothing. A chip that does not answer counts as the worst."""
        port = self._exchange(_READ, _GPIOA, 0)
        return port if port & _KNOWN == pins.IN_HIGH else _SILENT

    def _latch(self):
        """What the outputs are, None when it cannot be had.

        It is written back, so a garbled frame would press the modem's key or reset the W5500, which nobody would undo.
        """
        for _ in range(_TRIES):
            latch = self._exchange(_READ, _OLATB, 0)
            if not latch & ~_OUTPUTS and latch == self._exchange(_READ, _OLATB, 0):
                return latch
        return None

    def set(self, line: int, on: bool) -> None:
        """Drive one of `pins.OUT_...` high or low; 0.3 ms. A chip that cannot be read is left as it is."""
        latch = self._latch()
        if latch is None:
            return
        self._exchange(_WRITE, _OLATB, latch | line if on else latch & ~line)
        # It may have lost its power since.
        self._exchange(_WRITE, _IODIRB, 0xFF & ~_OUTPUTS)
