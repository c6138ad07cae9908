"""Stands in for MicroPython's module `machine` on the ESP32-S3, as its documentation and source say; a test aid.

It checks what the port checks, and what a wrong board would do: a pin that the module does not bring out or that is not
connected, an output that somebody else drives too, a bus with two chips selected, a mode or clock that a chip does not
take. Time is virtual: `advance_us` lets it pass for timers, UARTs, watchdog and the parts behind the pins (`plug`).
What the control loop calls allocates nothing here, as on the chip.
"""

import io
from errno import EINVAL, ENODEV, ETIMEDOUT

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

# GPIO of the chip that the module WROOM-1-N8 has on its edge; 26..32 are its flash.
MODULE_PINS = tuple(range(22)) + tuple(range(35, 49))
PERIOD_US = 1000

_POLL_READ = 1
_POLL_WRITE = 4
_IOCTL_POLL = 3


class Reset(BaseException):
    """The chip has been reset: by reset(), or by its watchdog (then raised by advance_us)."""


class _Chip:
    """State that a reset of the chip clears, and the time."""

    def __init__(self):
        self.cause = PWRON_RESET
        self.now_us = 0
        self.parts = []
        self.spi_wires = []
        self.i2c_wires = []
        self.memory = b""
        self.rtc_us = None
        self.start()

    def start(self):
        self.pins = {}
        self.channels = {}
        self.watchdog = None
        self.timers = []
        self.uarts = {}
        self.hosts = {}


chip = _Chip()


def power_on(cause=PWRON_RESET):
    """A chip as after a reset, with nothing around it."""
    chip.__init__()
    chip.cause = cause


def restart(cause=SOFT_RESET):
    """Reset the chip alone: what is around it stays, every pin is an input again."""
    chip.cause = cause
    for pin in chip.pins.values():
        pin.float()
    chip.channels = {}
    chip.watchdog = None
    chip.timers = []
    chip.uarts = {}
    chip.hosts = {}


def plug(part):
    """Something around the chip for which time passes: it has step(us)."""
    chip.parts.append(part)
    return part


def ticks_ms():
    """For the modules under test, in place of time.ticks_ms."""
    return chip.now_us // 1000


def ticks_us():
    """In place of time.ticks_us."""
    return chip.now_us


def advance_us(us, step_us=500):
    """Let time pass."""
    end = chip.now_us + us
    while chip.now_us < end:
        step = min(step_us, end - chip.now_us)
        chip.now_us += step
        for part in chip.parts:
            part.step(step)
        for timer in chip.timers:
            timer.run()
        if chip.watchdog is not None and chip.now_us - chip.watchdog.fed_us > chip.watchdog.timeout_us:
            restart(WDT_RESET)
            raise Reset("WDT")


def advance_ms(ms):
    """Let time pass."""
    advance_us(ms * 1000)


# -- the module's functions ---------------------------------------------------------------------------------


def reset():
    """Never returns."""
    restart(HARD_RESET)
    raise Reset("reset")


def soft_reset():
    """Never returns."""
    restart(SOFT_RESET)
    raise Reset("soft_reset")


def reset_cause():
    """Why the chip started."""
    return chip.cause


def unique_id():
    """Its MAC address."""
    return b"\x34\x85\x18\x12\x34\x56"


def freq(hz=None):
    """Clock of the processor."""
    return 240_000_000


def idle():
    """Nothing to wait for."""


# -- pins ---------------------------------------------------------------------------------------------------


class Pin:
    """One object a GPIO, whoever asks. Tests use `drive`, `resistor`, `level` and `watch`."""

    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3
    IRQ_RISING = 1
    IRQ_FALLING = 2
    IRQ_LOW_LEVEL = 4
    IRQ_HIGH_LEVEL = 5

    def __new__(cls, number, mode=None, pull=-1, *, value=None, drive=None, hold=None):
        if isinstance(number, Pin):
            return number
        if number not in MODULE_PINS:
            raise ValueError("invalid pin")
        pin = chip.pins.get(number)
        if pin is None:
            pin = chip.pins[number] = object.__new__(cls)
            pin.number = number
            # What the circuit around does: its resistor's level, and what drives the line; None: nothing.
            pin.resistor = None
            pin.driven = None
            pin.analog_uv = None
            pin.watchers = ()
            pin.float()
        return pin

    def __init__(self, number, mode=None, pull=-1, *, value=None, drive=None, hold=None):
        if mode is not None or pull != -1 or value is not None:
            self.init(mode, pull, value=value, drive=drive, hold=hold)

    def float(self):
        """As after a reset."""
        self.use = "gpio"
        self.mode = Pin.IN
        self.pull = None
        self.out = 0
        self.handler = None
        self.trigger = 0
        self.pwm_raw = 0
        self.pwm_bits = 0
        self.pwm_hz = 0
        self._seen = None
        self._tell()

    def init(self, mode=None, pull=-1, *, value=None, drive=None, hold=None):
        """Configure; what is not given stays."""
        if value is not None:
            self.out = 1 if value else 0
        if mode is not None:
            if mode not in (Pin.IN, Pin.OUT, Pin.OPEN_DRAIN):
                raise ValueError("invalid pin mode")
            self.use = "gpio"
            self.mode = mode
            chip.channels.pop(self.number, None)
        if pull != -1:
            self.pull = pull
        self._tell()

    def level(self):
        """What a scope shows on a digital line: 0 or 1; an assertion fails when nothing defines it, or two do."""
        if self.use == "pwm":
            if self.pwm_raw == 0:
                own = 0
            elif self.pwm_raw == 1 << self.pwm_bits:
                own = 1
            else:
                raise AssertionError("GPIO %d is a PWM" % self.number)
        elif self.mode == Pin.OUT and self.use == "gpio":
            own = self.out
        elif self.mode == Pin.OPEN_DRAIN and not self.out:
            own = 0
        else:
            own = None
        if own is not None:
            assert self.driven is None or self.driven == own, "GPIO %d and its circuit drive each other" % self.number
            return own
        if self.driven is not None:
            return self.driven
        if self.resistor is not None:
            return self.resistor
        if self.pull == Pin.PULL_UP:
            return 1
        if self.pull == Pin.PULL_DOWN:
            return 0
        raise AssertionError("GPIO %d floats" % self.number)

    def value(self, level=None):
        """Read, or set the output's latch."""
        if level is None:
            return self.level()
        self.out = 1 if level else 0
        self._tell()
        return None

    def __call__(self, level=None):
        return self.value(level)

    def on(self):
        """High."""
        self.value(1)

    def off(self):
        """Low."""
        self.value(0)

    def toggle(self):
        """The other level."""
        self.value(1 - self.out)

    def irq(self, handler=None, trigger=3, *, wake=None, hard=False):
        """Soft: the handler runs between two bytecodes, so it may allocate."""
        if hard:
            raise TypeError("extra keyword arguments given")
        self.handler = handler
        self.trigger = trigger if handler is not None else 0
        self._seen = self.level()
        return self

    # -- the circuit around ----------------------------------------------------------------------------

    def drive(self, level):
        """Let the circuit drive the line: 0, 1, or None for not at all."""
        self.driven = level
        self._tell()

    def watch(self, function):
        """Call function(level) whenever an output of the chip or its pull changes the line; level None: it floats."""
        self.watchers = self.watchers + (function,)
        self._tell()

    def _tell(self):
        if self.handler is None and not self.watchers:
            return
        level = None
        if self.use != "pwm" or self.pwm_raw in (0, 1 << self.pwm_bits):
            if not self._floats():
                level = self.level()
        seen = self._seen
        self._seen = level
        if level == seen:
            return
        for function in self.watchers:
            function(level)
        if self.handler is not None and level is not None and seen is not None:
            if self.trigger & (Pin.IRQ_RISING if level else Pin.IRQ_FALLING):
                self.handler(self)

    def _floats(self):
        if self.use == "pwm" or self.use == "gpio" and self.mode == Pin.OUT:
            return False
        if self.mode == Pin.OPEN_DRAIN and not self.out:
            return False
        return self.driven is None and self.resistor is None and not self.pull


class Signal:
    """A pin whose active level may be low."""

    def __init__(self, pin, invert=False):
        self._pin = pin
        self._invert = invert

    def value(self, active=None):
        """Read or set."""
        if active is None:
            return self._pin.value() ^ self._invert
        self._pin.value(bool(active) ^ self._invert)
        return None

    def on(self):
        """Active."""
        self.value(1)

    def off(self):
        """Not active."""
        self.value(0)


# -- PWM by LEDC --------------------------------------------------------------------------------------------

_SOURCE_HZ = 80_000_000
_TIMERS = 4
_CHANNELS = 8
# 14 bits wide, of which the port leaves one out (machine_pwm.c, find_suitable_duty_resolution).
_MOST_BITS = 13


def _pwm_bits(hz):
    bits = 0
    while _SOURCE_HZ // hz >> bits + 1:
        bits += 1
    return min(bits, _MOST_BITS)


class PWM:
    """LEDC: 8 channels, 4 timers that are shared by equal frequencies."""

    def __init__(self, dest, freq=-1, *, duty=-1, duty_u16=-1, duty_ns=-1, invert=False, lightsleep=False):
        self._pin = Pin(dest)
        self._active = False
        self._u16 = 32768
        self.init(freq, duty=duty, duty_u16=duty_u16, duty_ns=duty_ns, invert=invert)

    def init(self, freq=-1, *, duty=-1, duty_u16=-1, duty_ns=-1, invert=False, lightsleep=False):
        """Start, or change what is given."""
        assert not invert, "not modelled"
        pin = self._pin
        hz = freq
        if hz == -1:
            hz = pin.pwm_hz if pin.use == "pwm" else 5000
        self._check_hz(hz)
        others = [used for number, used in chip.channels.items() if number != pin.number]
        if len(others) >= _CHANNELS:
            raise RuntimeError("out of PWM channels:%d" % _CHANNELS)
        if hz not in others and len(set(others)) >= _TIMERS:
            raise RuntimeError("out of PWM timers:%d" % _TIMERS)
        chip.channels[pin.number] = hz
        pin.use = "pwm"
        pin.mode = Pin.OUT
        pin.pwm_hz = hz
        pin.pwm_bits = _pwm_bits(hz)
        self._active = True
        if duty_u16 >= 0:
            self.duty_u16(duty_u16)
        elif duty_ns >= 0:
            self.duty_ns(duty_ns)
        elif duty >= 0:
            self.duty(duty)
        else:
            self._apply(self._u16)

    def _check_hz(self, hz):
        if not 0 < hz <= 40_000_000:
            raise ValueError("frequency must be from 1Hz to 40MHz")

    def _need_active(self):
        if not self._active or self._pin.use != "pwm":
            raise RuntimeError("PWM is inactive")

    def _apply(self, scaled):
        """`scaled` is 0..65536; the timer truncates it."""
        self._need_active()
        self._u16 = scaled
        pin = self._pin
        pin.pwm_raw = scaled >> 16 - pin.pwm_bits
        pin._tell()

    def freq(self, hz=None):
        """Read or set, with the same duty."""
        self._need_active()
        if hz is None:
            return self._pin.pwm_hz
        self._check_hz(hz)
        if hz != self._pin.pwm_hz:
            self.init(hz)
        return None

    def duty_u16(self, duty=None):
        """0..65535, which is full on."""
        if duty is None:
            self._need_active()
            return min(self._pin.pwm_raw << 16 - self._pin.pwm_bits, 65535)
        if not 0 <= duty <= 65535:
            raise ValueError("duty_u16 must be from 0 to 65536")
        self._apply(65536 if duty == 65535 else duty)
        return None

    def duty(self, duty=None):
        """0..1023, which is full on."""
        if duty is None:
            return self.duty_u16() >> 6
        if not 0 <= duty <= 1023:
            raise ValueError("duty must be from 0 to 1023")
        self._apply(65536 if duty == 1023 else duty << 6)
        return None

    def duty_ns(self, ns=None):
        """Width of the pulse."""
        hz = self._pin.pwm_hz
        if ns is None:
            return self.duty_u16() * 1_000_000_000 // (hz << 16)
        if not 0 <= ns <= 1_000_000_000 // hz:
            raise ValueError("duty_ns must be from 0 to %d ns" % (1_000_000_000 // hz))
        self._apply((ns * 65536 * hz + 500_000_000) // 1_000_000_000)
        return None

    def deinit(self):
        """Stop; the pin stays low."""
        chip.channels.pop(self._pin.number, None)
        self._active = False
        self._pin.use = "gpio"
        self._pin.out = 0
        self._pin._tell()


# -- ADC ----------------------------------------------------------------------------------------------------


class ADC:
    """Channels of ADC1 on GPIO 1..10; those of ADC2 on 11..20 fail, as they do beside Wi-Fi.

    The voltage is the pin's `analog_uv`, a number or a function; `gain_ppm` and `offset_uv` of the class spoil it.
    """

    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    WIDTH_12BIT = 12
    # Where the calibrated range of the S3 ends (its data sheet, ADC characteristics).
    RANGE_UV = (850_000, 1_100_000, 1_600_000, 2_900_000)
    # What the converter reads at most.
    FULL_UV = (950_000, 1_250_000, 1_750_000, 3_100_000)

    gain_ppm = 0
    offset_uv = 0

    def __init__(self, pin, *, atten=3):
        self._pin = Pin(pin)
        if not 1 <= self._pin.number <= 20:
            raise ValueError("invalid pin")
        self.init(atten=atten)

    def init(self, *, atten=3):
        """Configure."""
        self.atten(atten)
        self._pin.use = "adc"

    def atten(self, atten):
        """Range of the channel."""
        if not 0 <= atten <= 3:
            raise ValueError("invalid atten")
        self._atten = atten

    def read_uv(self):
        """Calibrated, in steps of 1 mV."""
        if self._pin.number > 10:
            raise OSError(ETIMEDOUT)
        source = self._pin.analog_uv
        assert source is not None, "nothing at this pin"
        uv = source if isinstance(source, int) else source()
        assert -300_000 <= uv <= 3_600_000, "more than the pin survives"
        uv += uv // 1000 * ADC.gain_ppm // 1000 + ADC.offset_uv
        return max(0, min(uv, ADC.FULL_UV[self._atten])) // 1000 * 1000

    def read_u16(self):
        """Not calibrated."""
        return self.read_uv() * 65 // (ADC.FULL_UV[self._atten] // 1000)

    def read(self):
        """Not calibrated, 12 bits."""
        return self.read_u16() >> 4


# -- SPI ----------------------------------------------------------------------------------------------------


def wire_spi(sck, mosi, miso, cs, device):
    """Connect a chip: it has MODES, MAX_HZ, select(on) and exchange(byte) -> byte."""
    wire = _SpiWire(sck, mosi, miso, cs, device)
    chip.spi_wires.append(wire)
    return device


class _SpiWire:
    def __init__(self, sck, mosi, miso, cs, device):
        self.lines = (sck, mosi, miso)
        self.device = device
        self.selected = False
        Pin(cs).resistor = 1
        Pin(cs).watch(self.watch)

    def watch(self, level):
        selected = level == 0
        if selected != self.selected:
            self.selected = selected
            self.device.select(selected)


class _Spi:
    MSB = 0
    LSB = 1

    def _setup(self, baudrate, polarity, phase, bits, firstbit, sck, mosi, miso):
        if bits <= 0:
            raise ValueError("invalid bits")
        assert bits == 8 and firstbit == 0, "no chip here takes that"
        self._hz = baudrate
        self._mode = polarity << 1 | phase
        self._lines = (Pin(sck).number, Pin(mosi).number, Pin(miso).number)
        for number in self._lines:
            Pin(number).use = "spi"
        self._open = True

    def deinit(self):
        """Give the pins back."""
        self._open = False
        for number in self._lines:
            Pin(number).float()

    def _device(self):
        if not self._open:
            raise OSError("transfer on deinitialized SPI")
        found = None
        for wire in chip.spi_wires:
            if wire.selected and wire.lines == self._lines:
                assert found is None, "two chips are selected"
                found = wire.device
        if found is not None:
            assert self._mode in found.MODES, "a mode that the chip does not take"
            assert self._hz <= found.MAX_HZ, "too fast for the chip"
        return found

    def _transfer(self, tx, rx, count, fill):
        if not count:
            raise ValueError("buffer too short")
        device = self._device()
        for i in range(count):
            byte = fill if tx is None else tx[i]
            byte = 0xFF if device is None else device.exchange(byte)
            if rx is not None:
                rx[i] = byte

    def write(self, buf):
        """Send."""
        self._transfer(buf, None, len(buf), 0)

    def write_readinto(self, tx, rx):
        """Send and receive as much."""
        if len(tx) != len(rx):
            raise ValueError("buffers must be the same length")
        self._transfer(tx, rx, len(tx), 0)

    def readinto(self, buf, write=0):
        """Receive, sending `write`."""
        self._transfer(None, buf, len(buf), write)

    def read(self, nbytes, write=0):
        """Receive."""
        buf = bytearray(nbytes)
        self._transfer(None, buf, nbytes, write)
        return bytes(buf)


_SPI_PINS = {1: (12, 11, 13), 2: (36, 35, 37)}


class SPI(_Spi):
    """Hosts 1 (SPI2) and 2 (SPI3), one object each. One that a driver of the port uses too may not be set up anew."""

    def __new__(cls, id, *_values, **_options):  # noqa: A002
        if id not in _SPI_PINS:
            raise ValueError("SPI(%d) doesn't exist" % id)
        if id not in chip.hosts:
            host = chip.hosts[id] = object.__new__(cls)
            host.shared = False
        return chip.hosts[id]

    def __init__(self, id, baudrate=500_000, *, polarity=0, phase=0, sck=None, mosi=None, miso=None, **options):  # noqa: A002
        self._lines = _SPI_PINS[id]
        self.init(baudrate, polarity=polarity, phase=phase, sck=sck, mosi=mosi, miso=miso, **options)

    def init(self, baudrate=None, *, polarity=None, phase=None, bits=8, firstbit=0, sck=None, mosi=None, miso=None):
        """Change what is given."""
        if self.shared:
            raise OSError("SPI bus already freed")
        baudrate = self._hz if baudrate is None else baudrate
        polarity = self._mode >> 1 if polarity is None else polarity
        phase = self._mode & 1 if phase is None else phase
        sck, mosi, miso = [new if new is not None else old for new, old in zip((sck, mosi, miso), self._lines)]
        self._setup(baudrate, polarity, phase, bits, firstbit, sck, mosi, miso)


class SoftSPI(_Spi):
    """By software, on any pins."""

    def __init__(self, baudrate=500_000, *, polarity=0, phase=0, bits=8, firstbit=0, sck=None, mosi=None, miso=None):
        if sck is None or mosi is None or miso is None:
            raise ValueError("must specify all of sck/mosi/miso")
        self._setup(baudrate, polarity, phase, bits, firstbit, sck, mosi, miso)


# -- I2C ----------------------------------------------------------------------------------------------------


def wire_i2c(scl, sda, address, device):
    """Connect a chip: it has MAX_HZ, write(bytes) and read(count) -> bytes; OSError from them is a missing answer."""
    chip.i2c_wires.append((scl, sda, address, device))
    return device


class I2C:
    """Ports 0 and 1."""

    def __init__(self, id, *, scl=None, sda=None, freq=400_000, timeout=50_000):  # noqa: A002
        if id not in (0, 1):
            raise ValueError("I2C(%d) doesn't exist" % id)
        defaults = ((18, 19), (9, 8))[id]
        self._scl = Pin(defaults[0] if scl is None else scl)
        self._sda = Pin(defaults[1] if sda is None else sda)
        self._hz = freq
        self._scl.use = self._sda.use = "i2c"

    def _find(self, address):
        for scl, sda, at, device in chip.i2c_wires:
            if (scl, sda, at) == (self._scl.number, self._sda.number, address):
                assert self._hz <= device.MAX_HZ, "too fast for the chip"
                return device
        raise OSError(ENODEV)

    def scan(self):
        """Addresses that answer."""
        here = (self._scl.number, self._sda.number)
        return sorted([wire[2] for wire in chip.i2c_wires if wire[:2] == here])

    def writeto(self, addr, buf, stop=True):
        """Send."""
        self._find(addr).write(bytes(buf))
        return len(buf)

    def readfrom(self, addr, nbytes, stop=True):
        """Receive."""
        return self._find(addr).read(nbytes)

    def readfrom_into(self, addr, buf, stop=True):
        """Receive."""
        buf[:] = self._find(addr).read(len(buf))

    def writeto_mem(self, addr, memaddr, buf, *, addrsize=8):
        """Send register and values."""
        assert addrsize == 8
        self._find(addr).write(bytes([memaddr]) + bytes(buf))

    def readfrom_mem_into(self, addr, memaddr, buf, *, addrsize=8):
        """Send register, receive values."""
        assert addrsize == 8
        device = self._find(addr)
        device.write(bytes([memaddr]))
        buf[:] = device.read(len(buf))

    def readfrom_mem(self, addr, memaddr, nbytes, *, addrsize=8):
        """Send register, receive values."""
        buf = bytearray(nbytes)
        self.readfrom_mem_into(addr, memaddr, buf, addrsize=addrsize)
        return bytes(buf)


# -- UART ---------------------------------------------------------------------------------------------------


class UART(io.IOBase):
    """Ports 0..2. What is sent goes to `peer(bytes)` when its last bit is out; tests call `arrive(bytes)`."""

    INV_TX = 0x20
    INV_RX = 0x04
    RTS = 1
    CTS = 2
    IRQ_RX = 1
    IRQ_RXIDLE = 0x1000
    IRQ_BREAK = 1 << 5

    def __init__(self, id, baudrate=0, bits=0, parity=-1, stop=0, **options):  # noqa: A002
        if not 0 <= id <= 2:
            raise ValueError("UART(%d) does not exist" % id)
        self._id = id
        self.baudrate = 115_200
        self.bits = 8
        self.parity = None
        self.stop = 1
        self.tx = self.rx = self.rts = self.cts = None
        self.txbuf = self.rxbuf = 256
        self.timeout = self.timeout_char = self.invert = self.flow = 0
        self.received = bytearray()
        self.peer = None
        self._sent = bytearray()
        self._end_us = 0
        self._handler = None
        self.init(baudrate, bits, parity, stop, **options)
        old = chip.uarts.get(id)
        if old is not None and old in chip.parts:
            self.peer = old.peer
            chip.parts.remove(old)
        chip.uarts[id] = self
        chip.parts.append(self)

    def init(self, baudrate=0, bits=0, parity=-1, stop=0, **options):
        """Change what is given."""
        if bits not in (0, 5, 6, 7, 8):
            raise ValueError("invalid data bits")
        if stop not in (0, 1, 2):
            raise ValueError("invalid stop bits")
        self.baudrate = baudrate or self.baudrate
        self.bits = bits or self.bits
        self.stop = stop or self.stop
        if parity != -1:
            self.parity = None if parity is None else parity & 1
        for key, value in options.items():
            if key in ("tx", "rx", "rts", "cts"):
                pin = Pin(value)
                pin.use = "uart"
                setattr(self, key, pin.number)
            elif key in ("txbuf", "rxbuf", "timeout", "timeout_char", "invert", "flow"):
                setattr(self, key, value)
            else:
                raise TypeError("extra keyword arguments given")
        if self.rxbuf <= 128:
            raise OSError(EINVAL)

    def deinit(self):
        """Stop."""
        chip.uarts.pop(self._id, None)
        if self in chip.parts:
            chip.parts.remove(self)

    def byte_us(self, count=1):
        """How long so many bytes take on the line."""
        return count * (1 + self.bits + (self.parity is not None) + self.stop) * 1_000_000 // self.baudrate

    def step(self, _us):
        """Time has passed."""
        if self._sent and chip.now_us >= self._end_us:
            sent = bytes(self._sent)
            self._sent = bytearray()
            if self.peer is not None:
                self.peer(sent)

    def arrive(self, data):
        """Bytes from outside; what the buffer cannot hold is lost."""
        self.received.extend(data[: max(0, self.rxbuf - len(self.received))])
        if self._handler is not None:
            self._handler(self)

    def any(self):
        """Bytes that wait."""
        return len(self.received)

    def write(self, buf):
        """Send; returns at once while the driver's buffer has room."""
        self._end_us = max(self._end_us, chip.now_us) + self.byte_us(len(buf))
        self._sent.extend(bytes(buf))
        return len(buf)

    def txdone(self):
        """Whether the last bit is out."""
        return chip.now_us >= self._end_us

    def flush(self):
        """Wait for the last bit."""
        if chip.now_us < self._end_us:
            advance_us(self._end_us - chip.now_us)

    def read(self, nbytes=-1):
        """What is there, None when nothing."""
        if not self.received:
            return None
        count = len(self.received) if nbytes < 0 else nbytes
        data = bytes(self.received[:count])
        self.received = self.received[count:]
        return data

    def readinto(self, buf, nbytes=-1):
        """What is there, None when nothing."""
        data = self.read(len(buf) if nbytes < 0 else nbytes)
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def irq(self, handler=None, trigger=0, hard=False):
        """Soft."""
        if hard:
            raise ValueError("hard IRQ")
        self._handler = handler

    def ioctl(self, request, flags):
        """For asyncio."""
        if request != _IOCTL_POLL:
            return -1
        ready = 0
        if flags & _POLL_READ and self.received:
            ready |= _POLL_READ
        if flags & _POLL_WRITE:
            ready |= _POLL_WRITE
        return ready


# -- watchdog, timers, clock --------------------------------------------------------------------------------


class WDT:
    """Cannot be stopped; not fed for its time it resets the chip."""

    def __new__(cls, id=0, timeout=5000):  # noqa: A002
        if id != 0:
            raise ValueError
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        if chip.watchdog is None:
            chip.watchdog = object.__new__(cls)
        return chip.watchdog

    def __init__(self, id=0, timeout=5000):  # noqa: A002
        self.timeout_us = timeout * 1000
        self.fed_us = chip.now_us

    def feed(self):
        """Give it another time."""
        self.fed_us = chip.now_us


class Timer:
    """Hardware timers 0..3 and virtual ones (-1), with soft callbacks only."""

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1, **options):  # noqa: A002
        if id >= 4:
            raise ValueError("Timer(%d) doesn't exist, there are only 4 hardware timers" % id)
        self._callback = None
        if options:
            self.init(**options)

    def init(self, *, mode=PERIODIC, period=-1, freq=0, callback=None, hard=False):
        """Start; `period` in ms."""
        if hard:
            raise ValueError("hard Timers are not implemented")
        self._period_us = int(1_000_000 / freq) if freq else period * 1000
        if self._period_us <= 0:
            raise ValueError("Timer period is too short for this timer")
        self._repeat = mode == Timer.PERIODIC
        self._callback = callback
        self._due_us = chip.now_us + self._period_us
        if self not in chip.timers:
            chip.timers.append(self)

    def run(self):
        """Time has passed."""
        if self._callback is not None and chip.now_us >= self._due_us:
            self._due_us += self._period_us
            callback = self._callback
            if not self._repeat:
                self._callback = None
            callback(self)

    def deinit(self):
        """Stop."""
        self._callback = None
        if self in chip.timers:
            chip.timers.remove(self)


class RTC:
    """The chip's clock, which loses its time without power; 2048 bytes of memory that resets leave alone."""

    def memory(self, data=None):
        """Read or write."""
        if data is None:
            return chip.memory
        if len(data) > 2048:
            raise ValueError("buffer too long")
        chip.memory = bytes(data)
        return None
