"""What stands around the ESP32-S3 on the board, as circuits and registers; it knows no driver. A test aid.

Whatever a call of the control loop reaches allocates nothing; numbers with fractions are for `step` alone.
"""

import math

import machine
from micropython import const


class Expander:
    """MCP23S17 (Microchip DS20001952), IOCON.BANK = 0. `lines` is what the circuit puts on port A."""

    MODES = (0, 3)
    MAX_HZ = 10_000_000

    def __init__(self, sck, mosi, miso, cs, lines):
        self.lines = lines
        self.powered = True
        self.power_on()
        self._count = 0
        self._code = 0
        self._register = 0
        machine.wire_spi(sck, mosi, miso, cs, self)

    def power_on(self):
        """Registers as after power-on."""
        self.registers = bytearray(0x16)
        self.registers[0] = self.registers[1] = 0xFF

    def select(self, on):
        """A frame begins or ends."""
        self._count = 0

    def exchange(self, byte):
        """A byte both ways."""
        count = self._count
        self._count = count + 1
        if not self.powered:
            return 0xFF
        if count == 0:
            self._code = byte
        elif count == 1:
            self._register = byte
        elif self._code == 0x41:
            return self._read(self._register + count - 2)
        elif self._code == 0x40:
            self.registers[self._register + count - 2] = byte
        return 0

    def _read(self, register):
        if register == 0x12:
            direction = self.registers[0]
            return self.lines & direction | self.registers[0x14] & ~direction
        if register == 0x13:
            return self.registers[0x15]
        return self.registers[register]

    def output(self, bit):
        """Level of a line of port B: 0, 1, or None while it is an input."""
        if not self.powered or self.registers[1] & bit:
            return None
        return 1 if self.registers[0x15] & bit else 0


# A hundredth of a pulse, of which 3200 make a kWh.
_PULSE_NJ = 3_600_000_000_000_000 // 320_000


class Meter:
    """M90E32AS: frames of 32 bits, configuration lock, energy that reading clears. What is measured are attributes.

    Scales of the analogue side: with voltage gain 0x8000 and current gain 0x8000 the registers have 0.01 V and 1 mA.
    """

    MODES = (0, 3)
    MAX_HZ = 1_200_000

    def __init__(self, sck, mosi, miso, cs):
        self.volts_mv = [0, 0, 0]
        self.current_ma = [0, 0, 0]
        self.power_mw = [0, 0, 0]
        self.frequency_mhz = 0
        self.powered = True
        self.reads = self.resets = 0
        self.power_on()
        self._at = 0
        self._value = 0
        self._address = 0
        machine.wire_spi(sck, mosi, miso, cs, self)
        machine.plug(self)

    def power_on(self):
        """Registers as after power-on: not metering, not open for writing."""
        # The registers that the board's driver may write, with what the chip starts with.
        self.config = {0x00: 0, 0x31: 0x0861, 0x32: 0xC468, 0x33: 0, 0x34: 0, 0x35: 0, 0x38: 0}
        for register in (0x61, 0x62, 0x65, 0x66, 0x69, 0x6A):
            self.config[register] = 0x8000
        self.open = False
        self.work_nj = [0, 0, 0]
        # In 0.01 pulse.
        self.pulses = [0, 0, 0]

    def step(self, us):
        """Time has passed: energy of the phases that count."""
        if not self.powered or not self.config[0x00] & 1:
            return
        for phase in range(3):
            if not self.config[0x33] & 4 >> phase:
                continue
            self.work_nj[phase] += max(0, self.power_mw[phase]) * self.config[0x62 + 4 * phase] // 0x8000 * us
            self.pulses[phase] = min(0xFFFF, self.pulses[phase] + self.work_nj[phase] // _PULSE_NJ)
            self.work_nj[phase] %= _PULSE_NJ

    def select(self, on):
        """A frame begins or ends."""
        self._at = 0

    def exchange(self, byte):
        """A byte both ways."""
        at = self._at
        self._at = at + 1
        if not self.powered:
            return 0xFF
        if at == 0:
            self._address = byte << 8
        elif at == 1:
            self._address |= byte
            if self._address & 0x8000:
                self._value = self._measured(self._address & 0x7FFF)
        elif self._address & 0x8000:
            return self._value >> 8 if at == 2 else self._value & 0xFF
        elif at == 2:
            self._value = byte << 8
        else:
            self._write(self._address, self._value | byte)
        return 0

    def _write(self, register, value):
        if register == 0x70:
            if value == 0x789A:
                self.resets += 1
                self.power_on()
        elif register == 0x7F:
            self.open = value == 0x55AA
        elif self.open:
            assert register in self.config, "not a register to write: 0x%02x" % register
            self.config[register] = value

    def _measured(self, register):
        self.reads += 1
        if 0x81 <= register <= 0x83:
            pulses = self.pulses[register - 0x81]
            self.pulses[register - 0x81] = 0
            return pulses
        if register in self.config:
            return self.config[register]
        if not self.config[0x00] & 1:
            return 0
        if 0xD9 <= register <= 0xDB:
            phase = register - 0xD9
            return self.volts_mv[phase] // 10 * self.config[0x61 + 4 * phase] // 0x8000
        if 0xDD <= register <= 0xDF:
            phase = register - 0xDD
            return min(0xFFFF, self.current_ma[phase] * self.config[0x62 + 4 * phase] // 0x8000)
        if 0xB1 <= register <= 0xB3:
            return self._units(register - 0xB1) >> 8 & 0xFFFF
        if 0xC1 <= register <= 0xC3:
            return (self._units(register - 0xC1) & 0xFF) << 8
        if register == 0xF8:
            return self.frequency_mhz // 10
        return 0

    def _units(self, phase):
        """Power in 0.08192 W, as the current gain makes it."""
        return self.power_mw[phase] * 12 // 983 * self.config[0x62 + 4 * phase] // 0x8000


# The peak detectors' discharge and the dividers in front of them, as on the schematic.
_SOURCE_MV = const(12_000)
_SERIES_OHM = const(1_000)
_HOLD_US = 220_000 * 0.1


class ControlPilot:
    """Generator behind CP PWM, car at CP, and two peak detectors into the ADC.

    `car_ohm` 0: no car. `top_ohm` and others may be spoilt by their tolerance.
    """

    def __init__(self, pwm, plus, minus):
        self._pwm = machine.Pin(pwm)
        self._pwm.resistor = 1
        self._plus = machine.Pin(plus)
        self._minus = machine.Pin(minus)
        self.car_ohm = 0
        self.diode_mv = 700
        self.short_ohm = 0
        self.plus_mv = self.minus_mv = float(_SOURCE_MV)
        self.top_ohm, self.bottom_ohm = 75_000, 10_000
        self.offset_uv = 0
        # A broken generator: 1 or 0 whatever the pin does.
        self.stuck = None
        self._high = self._low = 0.0
        self.stepped_us = 0
        machine.plug(self)
        self._put()

    def _output_high(self):
        if self.stuck is not None:
            return self.stuck
        pin = self._pwm
        if pin.use == "pwm":
            return machine.chip.now_us % 1000 * (1 << pin.pwm_bits) < pin.pwm_raw * 1000
        return pin.level()

    def level_mv(self):
        """At CP, at this moment."""
        source = self.plus_mv if self._output_high() else -self.minus_mv
        conductance = 1 / _SERIES_OHM
        current = source * conductance
        if self.short_ohm:
            conductance += 1 / self.short_ohm
        level = current / conductance
        if self.car_ohm and (not self.diode_mv or level > self.diode_mv):
            current += self.diode_mv / self.car_ohm
            level = current / (conductance + 1 / self.car_ohm)
        return level

    def step(self, us):
        """Time has passed: the detectors follow, or lose some."""
        level = self.level_mv()
        left = math.exp(-us / _HOLD_US)
        self._high = max(self._high * left, level)
        self._low = max(self._low * left, -level)
        self._put()

    def _put(self):
        ratio = self.bottom_ohm / (self.top_ohm + self.bottom_ohm)
        self._plus.analog_uv = max(0, int(self._high * ratio * 1000) + self.offset_uv)
        self._minus.analog_uv = max(0, int(self._low * ratio * 1000) + self.offset_uv)


# The charge pump: each rising edge brings its capacitor near 5 V, its load empties it.
_PUMP_FULL_MV = const(5_000)
_PUMP_ON_MV = const(2_500)
_PUMP_OFF_MV = const(1_000)
_PUMP_US = 80_000
_PULLS_PERMILLE = const(800)
_HOLDS_PERMILLE = const(350)
_CLOSE_US = const(25_000)
_OPEN_US = const(18_000)


class Coil:
    """Contactor: coil current by the hold PWM as pump, monitor and watchdog let it through; poles and their sense.

    `live_bits` are the expander's inputs of L1..L3, low while there is voltage.
    """

    def __init__(self, pump, hold, trip, expander, live_bits, watchdog):
        machine.Pin(pump).resistor = 0
        machine.Pin(hold).resistor = 0
        self._hold = machine.Pin(hold)
        self._trip = machine.Pin(trip)
        self._expander = expander
        self._live_bits = live_bits
        self._watchdog = watchdog
        self._level = 0
        self._edges = 0
        self.charge_mv = 0
        self.pumping = False
        self.closed = False
        self.welded = 0
        self._moving_us = 0
        self.closed_us = self.opened_us = None
        machine.Pin(pump).watch(self._edge)
        machine.plug(self)

    def _edge(self, level):
        if level == 1 and self._level == 0:
            self._edges += 1
        self._level = level

    def permille(self):
        """Of the coil's full voltage."""
        pin = self._hold
        if pin.use != "pwm":
            return 1000 if pin.level() else 0
        return pin.pwm_raw * 1000 >> pin.pwm_bits

    def step(self, us):
        """Time has passed."""
        self.charge_mv = self.charge_mv * math.exp(-us / _PUMP_US)
        if self._edges:
            self._edges = 0
            self.charge_mv += (_PUMP_FULL_MV - self.charge_mv) * 0.6
        self.pumping = self.charge_mv > (_PUMP_OFF_MV if self.pumping else _PUMP_ON_MV)
        drive = self.permille() if self.pumping and self._trip.level() == 0 else 0
        if not self._watchdog.content:
            drive = 0
        wanted = drive >= (_HOLDS_PERMILLE if self.closed else _PULLS_PERMILLE)
        self._moving_us = self._moving_us + us if wanted != self.closed else 0
        if self._moving_us >= (_CLOSE_US if wanted else _OPEN_US):
            self.closed = wanted
            self._moving_us = 0
            if wanted:
                self.closed_us = machine.chip.now_us
            else:
                self.opened_us = machine.chip.now_us
        poles = 7 if self.closed else self.welded
        lines = self._expander.lines
        for i in range(3):
            bit = self._live_bits[i]
            lines = lines & ~bit if poles >> i & 1 else lines | bit
        self._expander.lines = lines


class ResidualMonitor:
    """Holds its trip line low while all is well; test current or leak let go of it, and it stays so for 0.2 s."""

    _RESPONSE_US = 100_000
    _HOLD_US = 200_000

    def __init__(self, trip, test):
        self._trip = machine.Pin(trip)
        self._trip.resistor = 1
        self._test = machine.Pin(test)
        self._test.resistor = 0
        self.leak = False
        self._seen_us = 0
        self._hold_us = 0
        machine.plug(self)
        self._trip.drive(0)

    def step(self, us):
        """Time has passed."""
        self._seen_us = self._seen_us + us if self.leak or self._test.level() else 0
        self._hold_us = max(0, self._hold_us - us)
        if self._seen_us >= self._RESPONSE_US:
            self._hold_us = self._HOLD_US
        level = None if self._hold_us else 0
        if level != self._trip.driven:
            self._trip.drive(level)


class WindowWatchdog:
    """Content between the first feed and one that comes too early or too late; then only its power helps."""

    def __init__(self, feed, early_us=100_000, late_us=2_000_000):
        self._early_us = early_us
        self._late_us = late_us
        self._fed_us = None
        self.content = False
        self.fault = None
        machine.Pin(feed).resistor = 0
        machine.Pin(feed).watch(self._edge)
        machine.plug(self)

    def _edge(self, level):
        if level != 1 or self.fault is not None:
            return
        now = machine.chip.now_us
        if self._fed_us is not None and now - self._fed_us < self._early_us:
            self._fail("early")
            return
        self._fed_us = now
        self.content = True

    def satisfy(self):
        """Be content from now on, as if somebody fed it in time; an early feed is a fault still."""
        self.content = True
        self._late_us = 1 << 60
        self._fed_us = machine.chip.now_us

    def _fail(self, fault):
        self.fault = fault
        self.content = False

    def step(self, _us):
        """Time has passed."""
        if self.content and machine.chip.now_us - self._fed_us > self._late_us:
            self._fail("late")
