"""A meter at the end of an RS-485 line, and the transceiver of the board; a test aid.

The transceiver sends while its DE is high, and hears while it is low. The meter understands its own baud rate, parity
and stop bits only, and answers `think_us` after the last stop bit of a request.
"""

import machine


class MeterLine:
    """`requests` are what the meter has understood; `answer` is what it says to them.

    `drives` are the times in us at which the board began and ended to drive the line.
    """

    def __init__(self, id, de, baud, parity, stop):  # noqa: A002
        self._id = id
        self._de = machine.Pin(de)
        self._de.resistor = 0
        self._line = (baud, parity, stop)
        self.answer = b""
        self.think_us = 1_750
        self.gap_us = 0
        self.echo = False
        self.requests = []
        self.drives = []
        self._due = []
        self._open_us = None
        self._de.watch(self._turned)
        machine.plug(self)

    def attach(self):
        """The board has opened its UART."""
        self._uart = machine.chip.uarts[self._id]
        self._uart.peer = self._heard

    def _turned(self, level):
        if level:
            self._open_us = machine.chip.now_us
        elif self._open_us is not None:
            self.drives.append((self._open_us, machine.chip.now_us))

    def sending(self):
        """Whether the board's transceiver drives the line."""
        return self._de.level() == 1

    def _settings(self):
        return (self._uart.baudrate, self._uart.parity, self._uart.stop)

    def _heard(self, data):
        """All bits of a frame have left the UART."""
        now = machine.chip.now_us
        if self._open_us is None or now - self._open_us < self._uart.byte_us(len(data)) - 1_000:
            # The transceiver did not send, or not from the first bit on.
            return
        if self.echo:
            self._uart.arrive(data)
        if self._settings() != self._line:
            return
        self.requests.append(data)
        at = now + self.think_us
        for byte in self.answer:
            at += self._uart.byte_us()
            self._due.append((at, bytes([byte])))
            at += self.gap_us

    def step(self, _us):
        """Bytes of the meter whose last bit is there."""
        while self._due and machine.chip.now_us >= self._due[0][0]:
            assert not self.sending(), "two drive the line"
            _, data = self._due.pop(0)
            self._uart.arrive(data)
