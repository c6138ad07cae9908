"""Stands in for the board's own module `uartmode` (boards/esp32s3/moduartmode.c) on machine.UART; a test aid.

The driver raises RTS when it sends and lowers it behind the last stop bit; meanwhile it hears nothing.
"""

import machine

# uart_set_mode: there is no driver.
_INVALID_STATE = 0x103


def half_duplex(id):  # noqa: A002
    """Let the driver of UART `id` drive RTS."""
    uart = machine.chip.uarts.get(id)
    if uart is None:
        raise OSError(-_INVALID_STATE, "ESP_ERR_INVALID_STATE")
    assert not uart.flow, "disable hw flowctrl before using RS485 mode"
    assert uart.rts is None, "RTS was high until now"
    machine.plug(_Driver(uart))


class _Driver:
    def __init__(self, uart):
        self._uart = uart
        self._write = uart.write
        self._init = uart.init
        self._arrive = uart.arrive
        self._sending = False
        uart.write = self.write
        uart.init = self.init
        uart.arrive = self.arrive

    def init(self, *values, **options):
        if not self._uart.txdone():
            raise AssertionError("waits for the last bit: up to a frame")
        self._uart.received = bytearray()
        self._init(*values, **options)
        self._drive(self._sending)

    def write(self, buf):
        self._sending = True
        self._drive(True)
        return self._write(buf)

    def arrive(self, data):
        if not self._sending:
            self._arrive(data)

    def _drive(self, high):
        if self._uart.rts is not None:
            machine.Pin(self._uart.rts).drive(int(high))

    def step(self, _us):
        if self._sending and self._uart.txdone():
            self._sending = False
            self._drive(False)
