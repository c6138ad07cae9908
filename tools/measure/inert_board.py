"""A board without physics for the memory measure: a supply, no car, no card and a meter that keeps silent.

Importing it provides the package `hal`. It is as small as can be, and what it takes counts as the firmware's.
"""

import asyncio
import os
import sys
import time
from array import array


class Pilot:
    """No car: the generator's own voltage."""

    high_mv = low_mv = 12000
    duty_permille = 1000

    def set_duty(self, permille):
        self.duty_permille = permille

    def sample(self):
        return


class Contactor:
    """Never live."""

    live = 0

    def set(self, closed):
        return

    def sample(self):
        return


class Rcm:
    """Trips at its test input only."""

    tripped = False
    dc_ua = ac_ua = 0

    def set_test(self, on):
        self.tripped = on

    def sample(self):
        return


class Supply:
    """Three phases at 230 V without load."""

    frequency_mhz = 50000
    pe_ok = True
    energy_mwh = 0

    def __init__(self):
        self.volts_mv = array("i", (230000, 230000, 230000))
        self.current_ma = array("i", (0, 0, 0))
        self.power_w = array("i", (0, 0, 0))

    def sample(self):
        return


class Temperature:
    """Room temperature."""

    deci_c = 200

    def sample(self):
        return


class Way:
    """One way into a network that is not there."""

    slow_start = False

    def __init__(self, name):
        self.name = name

    def start(self, settings):
        return

    def stop(self):
        return

    def state(self):
        return "up"

    def address(self):
        return "192.0.2.1"

    def signal_dbm(self):
        return None

    def servers(self):
        return ()


class Net:
    """The communication module, with a network that leads nowhere."""

    def __init__(self):
        self.links = (Way("lan"), Way("wlan"), Way("modem"))

    def module_ok(self):
        return True

    def use(self, link):
        return


class Port:
    """LED bar, buzzer, reader chip, RS-485, contact and watchdog: nothing is behind them."""

    def write(self, buf):
        return

    def write_readinto(self, tx, rx):
        return

    def set(self, hz):
        return

    def reset(self, active):
        return

    def configure(self, baud, parity, stop_bits):
        return

    def discard(self):
        return

    async def read(self, buf, timeout_ms):
        await asyncio.sleep_ms(timeout_ms)
        return 0

    def closed(self):
        return False

    def feed(self):
        return


class Link:
    """An app that sends these frames, takes whatever comes, and goes when it is told to."""

    peer = "app"
    mtu = 247
    secure = open = True
    queued = 0

    def __init__(self, frames):
        self.frames = frames
        self.answers = 0
        self.gone = asyncio.Event()

    async def receive(self):
        if self.frames:
            return self.frames.pop(0)
        await self.gone.wait()
        return None

    async def send(self, frame):
        # The last frame of a message.
        self.answers += frame[0] >> 5

    def disconnect(self):
        self.open = False


class Ble:
    """Nobody is near until `link` is set and `near` tells of it."""

    link = Link([])
    near = asyncio.Event()
    on_air = True

    def configure(self, name, passkey, info):
        return

    async def accept(self):
        await Ble.near.wait()
        Ble.near.clear()
        return Ble.link


class Flash:
    """An empty folder of the host's file system."""

    @staticmethod
    def mount():
        os.mkdir("/data")
        return "/data"


class Clock:
    """The host's clock; the time of day is unknown until it is told."""

    ticker = poll = ahead_ms = None
    ticks_ms = time.ticks_ms

    @staticmethod
    def trouble():
        return None

    @staticmethod
    def utc_ms():
        return None if Clock.ahead_ms is None else Clock.ahead_ms + time.ticks_ms()

    @staticmethod
    def set_utc_ms(ms):
        Clock.ahead_ms = ms - time.ticks_ms()


class System:
    """Starts after a power cut."""

    @staticmethod
    def reset_cause():
        return "power_on"

    @staticmethod
    def reset(reason):
        raise SystemExit(reason)

    @staticmethod
    def random(low, high):
        return low

    @staticmethod
    def random_bytes(count):
        return bytes(count)

    @staticmethod
    def serial():
        return "0"


DEVICES = {
    "ble": ("Ble", Ble),
    "pilot": ("Pilot", Pilot),
    "contactor": ("Contactor", Contactor),
    "rcm": ("Rcm", Rcm),
    "supply": ("Supply", Supply),
    "temperature": ("Temperature", Temperature),
    "leds": ("Leds", Port),
    "buzzer": ("Buzzer", Port),
    "reader": ("ReaderSpi", Port),
    "rs485": ("Rs485", Port),
    "contact": ("Contact", Port),
    "net": ("Net", Net),
    "watchdog": ("Watchdog", Port),
}


class Slots:
    """Started from elsewhere."""

    SECTOR = 4096
    SLOT_BYTES = 786_432

    @staticmethod
    def running():
        return


MODULES = {"flash": Flash, "clock": Clock, "system": System, "slots": Slots}


def _provide(package) -> None:
    for name, (device, factory) in DEVICES.items():
        module = type(name, (), {device: factory})
        MODULES[name] = module
    for name, module in MODULES.items():
        setattr(package, name, module)
        sys.modules["hal." + name] = module
    sys.modules["hal"] = package


_provide(type("hal", (), {}))
