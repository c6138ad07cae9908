"""Lives through hours of use with the firmware's code in flash: micropython -X heapsize=... day.py IMAGE HOURS BYTES.

Run by MicroPython's Unix port in virtual time. IMAGE is one of ROMFS with the compiled firmware. A car comes every
three hours, the house's meter answers, the central system is there, and an installer's app comes by four times a day.
Prints a line with the bytes in use without the firmware, one with the time in us of this computer from the first import
to the first look at the pilot, and each hour a line with what micropython.mem_info tells after it.

What stands in for board, meter and central system lies in the same heap: it is made before the firmware is imported,
and its garbage is collected like the firmware's own, each time that BYTES were allocated.
"""

import asyncio
import asyncio.core
import gc
import os
import struct
import sys
import time

import footprint
import inert_board
import micropython
import vfs
from micropython import const
from ocpp_host import TIME, Network

_HOUR_MS = const(3_600_000)
_VISIT_MS = const(6 * 3_600_000)
_CAR_MS = const(3 * 3_600_000)
_CHARGE_MS = const(3_000_000)
_SETTLE_MS = const(60_000)
_RESTART_MS = const(130_000)
_FULL_MV = const(12_000)
_PLUGGED_MV = const(9_000)
_TAKES_MV = const(6_000)
_LOW_MV = const(-12_000)
_CHARGE_MA = const(16_000)
_ALL_POLES = const(7)
_STEADY = const(1000)
_REST_MS = const(500)
_MWH_PER_MS_W = const(3_600)
_FIRST_REGISTER = const(0x4000)
_LAST_REGISTER = const(0x6020)
_SETTINGS = {
    "wizard_complete": True,
    "phases": 3,
    "rated_a": 32,
    "connection_a": 25,
    "meter_model": "pro380",
    "load_optimisation": True,
    "access_control": False,
    "ocpp_url": "ws://127.0.0.1:9000/ocpp/",
}
# What the central system answers to; all else gets an empty object.
_TAG = {"status": "Accepted"}

# -- time ------------------------------------------------------------------------------------------------

_base = time.ticks_add(time.ticks_ms(), 60_000)
_now = [0]


def _ticks():
    """Virtual time; tasks that never waited are queued with the host's tick, which stays in the past."""
    return time.ticks_add(_base, _now[0])


class _Queue(asyncio.core.IOQueue):
    """Lets time pass in the place of waiting."""

    def wait_io_event(self, dt):
        if dt > 0:
            _now[0] += dt


class Ticker:
    """The control loop's grid, without ticks in which nothing can have changed; one each 0.5 s stays."""

    late_ms = 0

    def __init__(self, period_ms, next_due_ms):
        self._period_ms = period_ms
        self._next_due_ms = next_due_ms
        self.deadline_ms = _REST_MS * 2

    def wait(self):
        """Awaitable pause until the next tick that is needed."""
        periods = min(self._next_due_ms(), _REST_MS) // self._period_ms
        return asyncio.sleep_ms(max(1, periods) * self._period_ms)


# -- board -----------------------------------------------------------------------------------------------


class Car:
    """What is at the cable: nothing, or a car that takes what it is offered."""

    here = False


class Pilot(inert_board.Pilot):
    """Levels as the car makes them."""

    first_us: int | None = None

    def sample(self):
        """Refresh the levels."""
        if Pilot.first_us is None:
            Pilot.first_us = time.time_ns() // 1000
        pwm = 0 < self.duty_permille < _STEADY
        self.high_mv = (_TAKES_MV if pwm else _PLUGGED_MV) if Car.here else _FULL_MV
        self.low_mv = _LOW_MV if pwm else self.high_mv


class Contactor:
    """Closes at once."""

    live = 0

    def set(self, closed):
        """Switch."""
        Contactor.live = _ALL_POLES if closed and Car.here else 0

    def sample(self):
        """Nothing is to be refreshed."""


class Supply(inert_board.Supply):
    """Counts what flows."""

    def sample(self):
        """Refresh currents and counter."""
        flows = _CHARGE_MA if Contactor.live else 0
        for phase in range(3):
            self.current_ma[phase] = flows
            self.power_w[phase] = flows * 230 // 1000
        self.energy_mwh = _now[0] * (self.power_w[0] * 3) // _MWH_PER_MS_W & 0x3FFFFFFF if flows else self.energy_mwh


class Meter:
    """An Inepro PRO380-Mod at address 1 that answers at once: the house takes 2 A a phase, beside the car."""

    def __init__(self):
        self._registers = bytearray(2 * (_LAST_REGISTER - _FIRST_REGISTER))
        self._answer = memoryview(bytearray(260))
        self._size = self._taken = 0
        for register, value in ((0x5008, 50.0), (0x600C, 1234.5), (0x6018, 1.5)):
            self._put(register, value)
        for phase in range(3):
            self._put(0x5002 + 2 * phase, 230.0)
            self._put(0x502C + 2 * phase, 1.0)

    def _put(self, register, value):
        struct.pack_into(">f", self._registers, 2 * (register - _FIRST_REGISTER), value)

    def configure(self, baud, parity, stop_bits):
        """Any line will do."""

    def discard(self):
        """Drop what was not read."""
        self._taken = self._size

    def write(self, frame):
        """Answer a request for registers."""
        register, count = struct.unpack_from(">HH", frame, 2)
        amps = (_CHARGE_MA // 1000 if Contactor.live else 0) + 2
        for phase in range(3):
            self._put(0x500C + 2 * phase, amps)
            self._put(0x5014 + 2 * phase, amps * 0.23)
        start = 2 * (register - _FIRST_REGISTER)
        answer = self._answer
        answer[0], answer[1], answer[2] = 1, 3, 2 * count
        answer[3 : 3 + 2 * count] = memoryview(self._registers)[start : start + 2 * count]
        self._size = 5 + 2 * count
        check = 0xFFFF
        for at in range(3 + 2 * count):
            check ^= answer[at]
            for _ in range(8):
                check = (check >> 1) ^ (0xA001 if check & 1 else 0)
        answer[self._size - 2], answer[self._size - 1] = check & 0xFF, check >> 8
        self._taken = 0

    async def read(self, buf, timeout_ms):
        """Give what is there of the answer."""
        left = self._size - self._taken
        if not left:
            await asyncio.sleep_ms(timeout_ms)
            return 0
        await asyncio.sleep_ms(1)
        count = min(len(buf), left)
        buf[:count] = self._answer[self._taken : self._taken + count]
        self._taken += count
        return count


class CentralSystem(Network):
    """Accepts transactions too."""

    def answer(self, action):
        """What is answered to a CALL."""
        if action == "StartTransaction":
            return {"transactionId": 1, "idTagInfo": _TAG}
        if action == "Heartbeat":
            return {"currentTime": TIME}
        return super().answer(action)


_central = CentralSystem()


def _provide() -> None:
    modules = inert_board.MODULES
    modules["pilot"].Pilot = Pilot
    modules["contactor"].Contactor = Contactor
    modules["supply"].Supply = Supply
    modules["rs485"].Rs485 = Meter
    modules["net"].Net.open_connection = staticmethod(_central.open_connection)
    modules["clock"].ticks_ms = _ticks
    modules["clock"].ticker = Ticker
    modules["clock"].poll = staticmethod(lambda _period_ms, rest_ms: asyncio.sleep_ms(rest_ms))
    modules["flash"].mount = staticmethod(_mount_data)
    asyncio.core.ticks = _ticks
    asyncio.core._io_queue = _Queue()


def _mount_data() -> str:
    folder = os.getenv("MEASURE_FOLDER") + "/data"
    os.mkdir(folder)
    return folder


def _mount_image(path: str) -> None:
    data = bytearray(os.stat(path)[6])
    with open(path, "rb") as image:
        image.readinto(data)
    vfs.mount(vfs.VfsRom(data), "/rom")
    sys.path.insert(0, "/rom")


# -- the day ---------------------------------------------------------------------------------------------


async def _cars() -> None:
    await asyncio.sleep_ms(_RESTART_MS)
    while True:
        Car.here = True
        await asyncio.sleep_ms(_CHARGE_MS)
        assert Contactor.live, "the car is not charged"
        Car.here = False
        await asyncio.sleep_ms(_CAR_MS - _CHARGE_MS)


async def _visits() -> None:
    while True:
        await asyncio.sleep_ms(_VISIT_MS)
        footprint.call()
        await asyncio.sleep_ms(_SETTLE_MS)
        footprint.leave()


async def _main(hours: int, begin_us: int) -> None:
    app = footprint._APPS[0]
    tasks = [asyncio.create_task(part) for part in (_central.run(), app.run(), _cars(), _visits())]
    for hour in range(hours + 1):
        await asyncio.sleep_ms(_HOUR_MS if hour else _SETTLE_MS)
        for task in tasks:
            assert not task.done(), "a task has ended"
        assert _central.registered
        if not hour:
            assert Pilot.first_us is not None
            print("ready", Pilot.first_us - begin_us)
        gc.collect()
        gc.collect()
        print("hour", hour)
        micropython.mem_info()


_mount_image(sys.argv[1])
_provide()
gc.threshold(int(sys.argv[3]))
gc.collect()
print("before", gc.mem_alloc())
_begin_us = time.time_ns() // 1000
footprint.load()
footprint.build()
footprint._APPS[0].settings.update(_SETTINGS)
asyncio.run(_main(int(sys.argv[2]), _begin_us))
