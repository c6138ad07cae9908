"""RS-485 port of the board: a UART whose driver turns the transceiver round, so that nobody waits for a last bit."""

import asyncio

import uartmode
from machine import UART, Pin
from micropython import const

from hal import pins

_PARITY = {"N": None, "E": 0, "O": 1}
_BAUD_MIN = const(300)
_BAUD_MAX = const(115_200)
_FIRST_BAUD = const(9_600)
# The longest frame of Modbus over serial line, and more.
_BUFFER_BYTES = const(512)
_SCRATCH_BYTES = const(64)
# Silence of so many characters ends a frame for the driver, which then hands it over in one piece instead of waking the
# event loop for each byte. MicroPython makes whole characters of milliseconds (machine_uart.c): of 12 bits, rounded up.
_SILENT_CHARACTERS = const(2)
_CHARACTER_BITS_1000 = const(12_000)


def _silence_ms(baud: int) -> int:
    return _SILENT_CHARACTERS * (_CHARACTER_BITS_1000 // baud + 1)


class Rs485:
    """Half-duplex port. One reader at a time."""

    def __init__(self):
        uart = self._uart = UART(
            pins.RS485_UART,
            _FIRST_BAUD,
            tx=Pin(pins.RS485_TX),
            rx=Pin(pins.RS485_RX),
            txbuf=_BUFFER_BYTES,
            rxbuf=_BUFFER_BYTES,
            timeout_char=_silence_ms(_FIRST_BAUD),
        )
        # In this order the transceiver never sends without being asked: RTS is high before the mode is set.
        uartmode.half_duplex(pins.RS485_UART)
        uart.init(rts=Pin(pins.RS485_DE))
        self._stream = asyncio.StreamReader(uart)
        self._scratch = bytearray(_SCRATCH_BYTES)

    def configure(self, baud: int, parity: str, stop_bits: int) -> None:
        """Set the line: baud in bit/s, parity "N", "E" or "O", stop bits 1 or 2; ValueError for others.

        What waits to be read is lost; what is being sent still is, and waited for.
        """
        if not _BAUD_MIN <= baud <= _BAUD_MAX:
            raise ValueError("baud: %r is not allowed; allowed: %d to %d" % (baud, _BAUD_MIN, _BAUD_MAX))
        if parity not in _PARITY:
            raise ValueError("parity: %r is not allowed; allowed: N, E, O" % parity)
        if stop_bits not in (1, 2):
            raise ValueError("stop_bits: %r is not allowed; allowed: 1, 2" % stop_bits)
        self._uart.init(baud, 8, _PARITY[parity], stop_bits, timeout_char=_silence_ms(baud))

    def write(self, buf) -> None:
        """Send bytes, at most 512; returns before they are out. OSError when the port fails."""
        self._uart.write(buf)

    async def read(self, buf, timeout_ms: int) -> int:
        """Wait for bytes, fill `buf` from its start -> their count as soon as one is there, 0 on time-out."""
        view = memoryview(buf)
        try:
            # One, because a read for more than there is blocks for `timeout_char`.
            count = await asyncio.wait_for_ms(self._stream.readinto(view[:1]), timeout_ms)
        except asyncio.TimeoutError:
            return 0
        more = min(self._uart.any(), len(view) - 1)
        if more:
            count += self._uart.readinto(view[1 : 1 + more]) or 0
        return count

    def discard(self) -> None:
        """Drop what waits."""
        waiting = self._uart.any()
        while waiting:
            self._uart.readinto(self._scratch, min(waiting, _SCRATCH_BYTES))
            waiting = self._uart.any()
