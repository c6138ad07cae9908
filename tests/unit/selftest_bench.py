"""A whole board "wallbox-s3-1" on stand-ins of its chip and its parts, for tests of boards/esp32s3/selftest.py."""

import asyncio
import os
import sys
import time

import s3_board
from virtual_time import Record

# 2026-11-25T17:12:43Z
UTC_S = 1_795_626_763
CARD = "04A1B2C3D4E5F6"
GIVEN = {"volts_l1": "0", "volts_l2": "0", "volts_l3": "0", "card": "", "utc": str(UTC_S)}

_SAFE_BUS = (21, 40, 47)
# Nothing live, PE there, contact open, known bits.
_REST = 0b1001_0111
_LABELS = ("nvs", "phy_init", "ota_0", "ota_1", "otadata", "nvs_keys", "slot_a", "slot_b", "vfs")
_SIZES = (0x6000, 0x1000, 0x200000, 0x200000, 0x2000, 0x1000, 0xC0000, 0xC0000, 0x260000)
# The resistors on the schematic: up, and down.
_UP = (7, 47, 14, 37, 16, 39, 15, 17, 41, 0, 44)
_DOWN = (8, 9, 36, 38, 46, 45, 48, 35)
_ECHO = b"\x55\xaa\x00\xff\x0fwallbox"


class _Time:
    """The chip's time in place of the event loop's."""

    def __init__(self, bench):
        core = asyncio.core
        machine = bench.machine
        self._chip = machine.chip
        # Tasks that never waited are queued with the host's tick, which has to stay in the past.
        self._base = time.ticks_add(time.ticks_ms(), 60_000)

        class Queue(core.IOQueue):
            def wait_io_event(self, dt):
                self.look()
                while dt:
                    machine.advance_us(1_000, 1_000)
                    self.look()
                    if dt > 0 or core._task_queue.peek():
                        return

            def look(self):
                if 1 in machine.chip.uarts and machine.chip.uarts[1].any():
                    core.IOQueue.wait_io_event(self, 0)

        core.ticks = self.ticks_ms
        core._io_queue = Queue()

    @property
    def now_ms(self):
        return self._chip.now_us // 1000

    def ticks_ms(self):
        return time.ticks_add(self._base, self.now_ms)


class _W5500:
    """Answers frames of address, control byte and data with its version, out of reset."""

    MODES = (0, 3)
    MAX_HZ = 33_000_000

    def __init__(self, expander):
        self.there = True
        self._expander = expander
        self._frame = b""

    def select(self, on):
        self._frame = b""

    def exchange(self, byte):
        self._frame += bytes((byte,))
        if not self.there or self._expander.output(2) != 1:
            return 0xFF
        # Register 0x0039 of the common block.
        return 4 if len(self._frame) == 4 and self._frame[:3] == b"\x00\x39\x00" else 0


class _Follower:
    """What hangs at the expander: reset of the reader, key of the modem."""

    def __init__(self, bench):
        self._bench = bench
        self._reset = None
        self._pressed_us = 0

    def step(self, us):
        bench = self._bench
        reset = bench.expander.output(1) != 1
        if reset != self._reset:
            self._reset = reset
            bench.reader.chip.reset(reset)
        self._pressed_us = self._pressed_us + us if bench.expander.output(4) == 1 else 0
        if self._pressed_us >= 500_000:
            bench.modem_on = True


class Bench:
    """The board; what belongs to it are attributes, and `module` is the self-test."""

    def __init__(self):
        self.machine, self.esp32 = s3_board.chip()
        for name in ("selftest", "network"):
            sys.modules.pop(name, None)
        self._wire()
        self.esp32.blank()
        for label, size in zip(_LABELS, _SIZES):
            self.esp32.partition(label, size)
        self.networks = 3
        sys.modules["network"] = Record(WLAN=self._wlan())
        self.step_us = 1_000
        self.module = __import__("selftest")
        self._take_time()
        self.lines = []
        self.driven = []

    def pin(self, number):
        return self.machine.Pin(number)

    def _wire(self):
        import parts
        from meter_line import MeterLine
        from pcf8563 import ADDRESS, Pcf8563
        from rfid_lines import Reader
        from ws2812 import Chain

        machine = self.machine
        for number in _UP:
            self.pin(number).resistor = 1
        for number in _DOWN:
            self.pin(number).resistor = 0
        self.expander = parts.Expander(*_SAFE_BUS, 37, _REST)
        self.meter = parts.Meter(*_SAFE_BUS, 14)
        self.pilot = parts.ControlPilot(7, 1, 2)
        self.watchdog = parts.WindowWatchdog(38)
        self.monitor = parts.ResidualMonitor(10, 36)
        self.pin(4).analog_uv = self.pin(6).analog_uv = 150_000
        self.pin(5).analog_uv = 819_000
        self.coil = parts.Coil(8, 9, 10, self.expander, (1, 2, 4), self.watchdog)
        self.time = _Time(self)
        self.reader = machine.wire_spi(43, 46, 3, 15, Reader(self.time))
        self.ethernet = machine.wire_spi(12, 11, 13, 16, _W5500(self.expander))
        self.rtc = machine.wire_i2c(0, 44, ADDRESS, Pcf8563())
        self.chain = Chain(48, 4)
        machine.bitstream = self._bitstream
        self.colours = []
        self.tones = []
        self.modem_on = False
        self.modem_there = True
        machine.plug(_Follower(self))
        machine.UART(2).peer = self._modem
        self.line = MeterLine(1, 45, 9_600, None, 1)
        self.line.answer = _ECHO
        machine.UART(1).peer = self._request

    def _request(self, data):
        # The port that the self-test has opened since.
        self.line.attach()
        self.line._heard(data)

    def _modem(self, data):
        if self.modem_there and self.modem_on and data == b"AT\r":
            self.machine.chip.uarts[2].arrive(b"AT\r\r\nOK\r\n")

    def _bitstream(self, *arguments):
        self.chain.now_us += 1_000
        self.chain.bitstream(*arguments)
        self.colours.append(self.chain.colours)

    def _wlan(self):
        bench = self

        class Wlan:
            IF_STA = 0

            def __init__(self, interface):
                assert interface == self.IF_STA

            def active(self, on):
                bench.wifi_on = on

            def scan(self):
                assert bench.wifi_on
                return [()] * bench.networks

        return Wlan

    def _take_time(self):
        import hal.ble
        import hal.contactor
        import hal.leds
        import hal.supply

        self.module.sleep_ms = hal.supply.sleep_ms = self.sleep_ms
        self.module.ticks_ms = hal.contactor.ticks_ms = self.machine.ticks_ms
        hal.leds.time = self.chain
        hal.ble._BONDS = os.getenv("TEST_TMP") + "/bonds.json"

    def sleep_ms(self, ms):
        self.rtc.pass_ms(ms)
        self._listen()
        self.machine.advance_us(ms * 1000, self.step_us)

    def _listen(self):
        pin = self.pin(35)
        if pin.use == "pwm" and pin.pwm_raw:
            self.tones.append(pin.pwm_hz)

    def run(self, part, **given):
        """Run a part with `given` in place of the usual -> the steps that were not as expected, by name."""
        bench = self
        self.lines = []
        # The coil's drive at each of them.
        self.driven = []

        class Report(self.module.Report):
            def write(self, line):
                bench.lines.append(line)
                bench.driven.append(bench.pin(9).pwm_raw)

        values = dict(GIVEN)
        values.update(given)
        report = Report()
        failed = self.module.run(part, values, report)
        bad = [line["step"] for line in self.lines if line["ok"] is False]
        assert failed == len(bad), (failed, bad)
        return bad

    def is_safe(self):
        """Whether every output is off."""
        pins = all(self.pin(number).level() == 0 for number in (8, 9, 35, 36, 38))
        dark = self.colours[-1] == [(0, 0, 0)] * 4
        return pins and dark and self.pin(7).level() == 1 and self.expander.registers[0x15] == 0
