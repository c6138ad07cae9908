"""Self-test of the board "wallbox-s3-1", device by device; meanwhile no firmware runs.

`make selftest` starts it part by part (tools/selftest.py). Each step prints a line of JSON: step, ok (null: a person
has to say, asked by "ask"), measured, expected, unit. Whatever happens, the outputs are off behind each part. It closes
the contactor only while the metering chip sees no mains.
"""

import asyncio
import json
import os
import sys
from time import sleep_ms, ticks_diff, ticks_ms

import machine
from machine import ADC, I2C, PWM, SPI, UART, Pin
from micropython import const

from hal import pins
from hal.buzzer import Buzzer
from hal.contactor import Contactor
from hal.expander import Expander
from hal.leds import Leds
from hal.pilot import Pilot
from hal.rcm import Rcm
from hal.safe_bus import chip_select, open_bus
from hal.supply import Supply

# A watchdog that a firmware has started cannot be stopped, and would reset the board amid a part. The port lets its
# time be set anew (machine_wdt.c), and the board restarts by itself this long after the last part.
_RESTART_MS = const(900_000)

# -- what is expected ---------------------------------------------------------------------------------------

# Level at which each line rests, and against which the chip's own resistor of 45 kOhm pulls: the resistor outside has
# to win, so it must be there and have 15 kOhm or less.
_REST = (
    ("CP_PWM", pins.CP_PWM, 1),
    ("PUMP", pins.PUMP, 0),
    ("HOLD", pins.HOLD, 0),
    # Driven by the monitor, which finds all well.
    ("RCM_TRIP", pins.RCM_TRIP, 0),
    ("RCM_TEST", pins.RCM_TEST, 0),
    ("WATCHDOG", pins.WATCHDOG, 0),
    ("SAFE_MISO", pins.SAFE_MISO, 1),
    ("METER_CS", pins.METER_CS, 1),
    ("EXPANDER_CS", pins.EXPANDER_CS, 1),
    ("ETH_CS", pins.ETH_CS, 1),
    ("ETH_INT", pins.ETH_INT, 1),
    ("READER_CS", pins.READER_CS, 1),
    ("READER_MOSI", pins.READER_MOSI, 0),
    ("RS485_TX", pins.RS485_TX, 1),
    ("RS485_DE", pins.RS485_DE, 0),
    ("MODEM_TX", pins.MODEM_TX, 1),
    ("I2C_SCL", pins.I2C_SCL, 1),
    ("I2C_SDA", pins.I2C_SDA, 1),
    ("LEDS", pins.LEDS, 0),
    ("BUZZER", pins.BUZZER, 0),
)

# +12 V and -12 V behind 1 kOhm: 5 % (IEC 61851-1 table A.2). The levels of a car follow from its resistor and 0.7 V of
# its diode; the room is the norm's band of generator and car.
_SOURCE_MV = const(12_000)
_SOURCE_OHM = const(1_000)
_SOURCE_ROOM_MV = const(600)
_DIODE_MV = const(700)
_DUTIES = (0, 100, 500, 960, 1000)
# The peak detectors forget with 22 ms.
_SETTLE_MS = const(200)
_SAMPLES = const(8)
_SAMPLE_GAP_MS = const(7)

# The monitor's outputs rest at 0.15 V (hal.rcm), within the converter's error of 10 mV.
_RCM_ZERO_MV = const(150)
_RCM_ROOM_MV = const(12)
_RCM_DC_REST_UA = const(500)
_RCM_AC_REST_UA = const(2_000)
# As long as the firmware waits for the trip of a self-test, and for its end (protection/residual.py).
_RCM_SHOWS_MS = const(800)
_RCM_ENDS_MS = const(1_500)

# Registers that the driver has set up, read back: MMode0, UgainA, IgainA (hal.supply).
_METER_SET_UP = ((0x33, 0x0087), (0x61, 0x8000), (0x62, 0x4000))
_METER_READ = const(0x80)
# All of the meter's values are renewed in so many samples.
_METER_SAMPLES = const(8)
_METER_GAP_MS = const(70)
# Nominal gains: 1 % parts make 2 % (README.md), and something to read near nothing.
_VOLTS_PERCENT = const(2)
_VOLTS_ROOM_MV = const(3_000)
_HZ_LEAST_MHZ = const(49_000)
_HZ_MOST_MHZ = const(51_000)
# More than this between a phase and neutral is mains: the contactor stays open.
_MAINS_MV = const(5_000)

# As hal.contactor drives the coil.
_HOLD_HZ = const(20_000)
_FULL = const(65_535)
_TURN_MS = const(10)
_QUIET_MS = const(1_500)
_HELD_MS = const(3_000)
# Within the window of the watchdog, 100 ms to 2 s.
_FEED_MS = const(500)
# More than its longest, and a feed that comes too early.
_STARVED_MS = const(4_000)
_EARLY_MS = const(20)

_TEMPERATURE_DECI_C = (0, 600)
_CARD_MS = const(15_000)
_CARD_GAP_MS = const(100)
_ECHO = b"\x55\xaa\x00\xff\x0fwallbox"
_ECHO_BAUD = const(9_600)
_ECHO_MS = const(1_000)
_COLOURS = b"\x40\x00\x00\x00\x40\x00\x00\x00\x40\x30\x30\x30"
_SHOWN_MS = const(5_000)
_TONE_HZ = const(2_700)
_TONE_MS = const(500)

# PCF8563 (hal.clock): its address and its seconds, of which the highest bit says that the supply was too low.
_RTC_ADDRESS = const(0x51)
_RTC_HZ = const(100_000)
_RTC_SECONDS = const(2)
_RTC_LOW = const(0x80)
_RTC_RUNS_MS = const(2_100)
_RTC_ROOM_S = const(5)

# partitions.csv.
_PARTITIONS = (
    ("nvs", 0x6000),
    ("phy_init", 0x1000),
    ("ota_0", 0x200000),
    ("ota_1", 0x200000),
    ("otadata", 0x2000),
    ("nvs_keys", 0x1000),
    ("slot_a", 0xC0000),
    ("slot_b", 0xC0000),
    ("vfs", 0x260000),
)
_SECTOR = const(4096)
_FILE = "selftest.bin"
_KEY = "selftest"
# A file of the wallbox's stores: magic, then JSON behind 18 bytes (storage/store.py).
_STORE_MAGIC = b"WBST"
_STORE_JSON = const(18)

# W5500 datasheet: VERSIONR of the common registers reads 4; frame of address, control byte, data.
_W5500_VERSION = const(4)
_W5500_FRAME = b"\x00\x39\x00\x00"
_W5500_HZ = const(1_000_000)
_W5500_RESET_MS = const(2)
_W5500_READY_MS = const(50)

_MODEM_BAUD = const(115_200)
_MODEM_PRESS_MS = const(600)
_MODEM_BOOT_MS = const(20_000)
_MODEM_GAP_MS = const(500)

_BLE_NAME = "WALLBOX-SELFTEST"
_BLE_MS = const(20_000)
# Of 2048 bits 1024 are ones, by chance within 136 (6 sigma).
_RANDOM_BYTES = const(256)
_RANDOM_ONES = (888, 1160)


class Report:
    """Prints the steps; `failed` counts those that were not as expected."""

    def __init__(self):
        self.failed = 0

    def add(self, step: str, ok, measured, expected, unit: str = "", ask: str = "") -> None:
        """One step. `ok` None: `ask` is the question to the person, answered with yes or no."""
        if ok is False:
            self.failed += 1
        line = {"step": step, "ok": ok, "measured": measured, "expected": expected, "unit": unit}
        if ask:
            line["ask"] = ask
        self.write(line)

    def write(self, line: dict) -> None:
        """Print a line of JSON."""
        print(json.dumps(line))

    def within(self, step: str, measured: int, least: int, most: int, unit: str) -> None:
        """A number in least..most."""
        self.add(step, least <= measured <= most, measured, "%d to %d" % (least, most), unit)

    def equal(self, step: str, measured, expected, unit: str = "") -> None:
        """A value that has to be this one."""
        self.add(step, measured == expected, measured, expected, unit)


def safe(report) -> None:
    """Switch everything off, the coil first; what fails is told, and the rest done all the same."""
    # By itself: a pump without edges lets the coil go, whatever else happens here.
    Pin(pins.PUMP, Pin.OUT, value=0)
    for name, off in _OFF:
        try:
            off()
        except Exception as error:
            report.add("safe." + name, False, repr(error), "off")


def _outputs_low() -> None:
    expander = Expander()
    for line in (pins.OUT_MODEM_KEY, pins.OUT_READER_RESET, pins.OUT_ETH_RESET):
        expander.set(line, False)


_OFF = (
    ("contactor", lambda: Contactor().set(False)),
    ("rcm", lambda: Rcm().set_test(False)),
    # Steady +12 V: no offer.
    ("pilot", Pilot),
    ("watchdog", lambda: Pin(pins.WATCHDOG, Pin.OUT, value=0)),
    ("buzzer", lambda: Buzzer().set(0)),
    ("leds", lambda: Leds().write(bytes(12))),
    ("expander", _outputs_low),
)


# -- pins, rails, pilot -------------------------------------------------------------------------------------


def _pins(report, _given) -> None:
    for name, number, level in _REST:
        pin = Pin(number, Pin.IN, Pin.PULL_DOWN if level else Pin.PULL_UP)
        sleep_ms(1)
        found = pin()
        Pin(number, Pin.IN, None)  # type: ignore
        report.equal("pins." + name, found, level)


def _mean(pilot):
    """(mV of the high plateau, of the low one, duty), the droop of the detectors averaged."""
    high = low = 0
    for _ in range(_SAMPLES):
        sleep_ms(_SAMPLE_GAP_MS)
        pilot.sample()
        high += pilot.high_mv
        low += pilot.low_mv
    return high // _SAMPLES, low // _SAMPLES, pilot.duty_permille


def _rails(report, _given) -> None:
    pilot = Pilot()
    for name, duty, level in (("plus_12v", 1000, _SOURCE_MV), ("minus_12v", 0, -_SOURCE_MV)):
        pilot.set_duty(duty)
        sleep_ms(_SETTLE_MS)
        high, _, _ = _mean(pilot)
        report.within("rails." + name, high, level - _SOURCE_ROOM_MV, level + _SOURCE_ROOM_MV, "mV")
    for name, number in (("rcm_dc_zero", pins.RCM_DC), ("rcm_ac_zero", pins.RCM_AC)):
        found = ADC(Pin(number), atten=ADC.ATTN_6DB).read_uv() // 1000
        report.within("rails." + name, found, _RCM_ZERO_MV - _RCM_ROOM_MV, _RCM_ZERO_MV + _RCM_ROOM_MV, "mV")


def _levels(report, name: str, ohm: int, room_mv: int) -> None:
    """The pilot at all duties with `ohm` and a diode at CP; 0: nothing."""
    level = _SOURCE_MV
    if ohm:
        level = (_SOURCE_MV * ohm + _DIODE_MV * _SOURCE_OHM) // (ohm + _SOURCE_OHM)
    low_level = -_SOURCE_MV
    pilot = Pilot()
    for duty in _DUTIES:
        pilot.set_duty(duty)
        sleep_ms(_SETTLE_MS)
        high, low, back = _mean(pilot)
        step = "%s.%d" % (name, duty)
        report.equal(step + ".duty", back, duty, "permille")
        if duty:
            report.within(step + ".high", high, level - room_mv, level + room_mv, "mV")
        if duty < 1000:
            report.within(step + ".low", low, low_level - _SOURCE_ROOM_MV, low_level + _SOURCE_ROOM_MV, "mV")


# -- residual current, expander, contact --------------------------------------------------------------------


def _until(rcm, tripped: bool, limit_ms: int) -> int:
    """Sample until the trip line is so -> ms that it took, more than the limit when it never was."""
    began = ticks_ms()
    while True:
        passed = ticks_diff(ticks_ms(), began)
        rcm.sample()
        if rcm.tripped == tripped or passed > limit_ms:
            return passed
        sleep_ms(1)


def _rcm(report, _given) -> None:
    rcm = Rcm()
    sleep_ms(_SETTLE_MS)
    rcm.sample()
    quiet = not rcm.tripped
    report.equal("rcm.rest.tripped", rcm.tripped, False)
    report.within("rcm.rest.dc", rcm.dc_ua, 0, _RCM_DC_REST_UA, "uA")
    report.within("rcm.rest.ac", rcm.ac_ua, 0, _RCM_AC_REST_UA, "uA")
    rcm.set_test(True)
    passed = _until(rcm, True, _RCM_SHOWS_MS)
    rcm.set_test(False)
    # One that was tripped before shows nothing.
    report.add("rcm.test.trips", quiet and passed <= _RCM_SHOWS_MS, passed, "up to %d" % _RCM_SHOWS_MS, "ms")
    passed = _until(rcm, False, _RCM_ENDS_MS)
    report.add("rcm.test.ends", passed <= _RCM_ENDS_MS, passed, "up to %d" % _RCM_ENDS_MS, "ms")


def _register(cs, frame) -> bytes:
    """One frame on the bus of meter and expander -> what came back."""
    back = bytearray(len(frame))
    cs(0)
    open_bus().write_readinto(frame, back)
    cs(1)
    return bytes(back)


def _expander(report, _given) -> None:
    expander = Expander()
    cs = chip_select(pins.EXPANDER_CS)
    # GPIOA as it is, without the driver's judgement.
    port = _register(cs, b"\x41\x12\x00")[2]
    report.equal("expander.echo", port & (pins.IN_LOW | pins.IN_HIGH), pins.IN_HIGH)
    report.equal("expander.live", ~port & (pins.IN_LIVE_L1 | pins.IN_LIVE_L2 | pins.IN_LIVE_L3), 0)
    report.equal("expander.earth", not port & pins.IN_PE, True)
    report.equal("expander.contact_open", bool(port & pins.IN_CONTACT), True)
    lines = (pins.OUT_READER_RESET, pins.OUT_ETH_RESET, pins.OUT_MODEM_KEY)
    for line in lines:
        expander.set(line, True)
        # GPIOB: the levels at the pins, so that a short shows.
        found = _register(cs, b"\x41\x13\x00")[2] & sum(lines)
        expander.set(line, False)
        report.equal("expander.output_%d" % line, found, line)


def _contact(report, _given) -> None:
    from hal.contact import Contact

    report.equal("contact.closed", Contact().closed(), True)


# -- meter --------------------------------------------------------------------------------------------------


def _metered():
    """A Supply with fresh values -> it, and whether the chip has kept what was written into it."""
    supply = Supply()
    cs = chip_select(pins.METER_CS)
    kept = True
    for register, value in _METER_SET_UP:
        back = _register(cs, bytes((_METER_READ, register, 0, 0)))
        kept = kept and back[2] << 8 | back[3] == value
    for _ in range(_METER_SAMPLES):
        sleep_ms(_METER_GAP_MS)
        supply.sample()
    return supply, kept


def _meter(report, given) -> None:
    supply, kept = _metered()
    report.equal("meter.identity", kept, True)
    mains = False
    for phase, name in enumerate(("l1", "l2", "l3")):
        volts_mv = int(float(given["volts_" + name]) * 1000)
        mains = mains or volts_mv > _MAINS_MV
        room = max(_VOLTS_ROOM_MV, volts_mv * _VOLTS_PERCENT // 100)
        report.within("meter.volts_" + name, supply.volts_mv[phase], volts_mv - room, volts_mv + room, "mV")
    if mains:
        report.within("meter.frequency", supply.frequency_mhz, _HZ_LEAST_MHZ, _HZ_MOST_MHZ, "mHz")


# -- contactor ----------------------------------------------------------------------------------------------


def _contactor_off(report, _given) -> None:
    contactor = Contactor()
    contactor.set(False)
    sleep_ms(_SETTLE_MS)
    contactor.sample()
    report.equal("contactor.off.live", contactor.live, 0)


class _Mains(Exception):
    """The metering chip sees mains, or does not answer."""


class _Coil:
    """The contactor with pump and watchdog as the control loop drives them, as long as there is no mains."""

    def __init__(self):
        self.contactor = Contactor()
        self.contactor.set(False)
        self._supply, kept = _metered()
        self._feed = Pin(pins.WATCHDOG, Pin.OUT, value=0)
        self._fed = None
        if not kept:
            raise _Mains("the metering chip does not keep what is written")
        self._look()

    def _look(self) -> None:
        self._supply.sample()
        self.contactor.sample()
        if max(self._supply.volts_mv) > _MAINS_MV:
            raise _Mains("%d mV between a phase and neutral" % max(self._supply.volts_mv))
        if self.contactor.live:
            raise _Mains("voltage behind the contactor (%d)" % self.contactor.live)

    def feed(self) -> None:
        """A feed, whenever it comes."""
        self._feed(1)
        self._feed(0)
        self._fed = ticks_ms()

    def turn(self, ms: int, feeding: bool = True) -> None:
        """Let time pass with turns of the loop; _Mains."""
        began = ticks_ms()
        while ticks_diff(ticks_ms(), began) < ms:
            if feeding and (self._fed is None or ticks_diff(ticks_ms(), self._fed) >= _FEED_MS):
                self.feed()
            self._look()
            sleep_ms(_TURN_MS)


def _with_coil(report, name: str, function) -> bool:
    """function(coil), unless there is mains -> whether it was done."""
    try:
        coil = _Coil()
        function(coil)
    except _Mains as error:
        safe(report)
        report.add(name + ".no_mains", False, str(error), "up to %d mV" % _MAINS_MV)
        return False
    report.add(name + ".no_mains", True, "none", "up to %d mV" % _MAINS_MV)
    return True


def _half_driven(coil) -> None:
    """Current without edges, then edges without current."""
    coil.feed()
    # Not by Contactor.set, whose first edge would move the armature for a moment.
    current = PWM(Pin(pins.HOLD), freq=_HOLD_HZ, duty_u16=_FULL)
    sleep_ms(_QUIET_MS)
    current.duty_u16(0)
    coil.feed()
    pump = Pin(pins.PUMP, Pin.OUT, value=0)
    for turn in range(_QUIET_MS // _TURN_MS):
        pump(turn & 1)
        sleep_ms(_TURN_MS)
    pump(0)


def _contactor(report, _given) -> None:
    def drive(coil):
        _half_driven(coil)
        coil.contactor.set(True)
        coil.turn(_HELD_MS)
        coil.contactor.set(False)
        coil.turn(_QUIET_MS)

    if _with_coil(report, "contactor", drive):
        report.add(
            "contactor.interlock", None, "", "silent", "", "Was it silent for 3 s, before the contactor closed at all?"
        )
        report.add("contactor.closes", None, "", "one click", "", "Did it then close, stay closed for 3 s, and open?")
        report.add(
            "contactor.current", None, "", "full, then half", "", "Was the coil's voltage full for 0.1 s and half then?"
        )


def _contactor_trip(report, _given) -> None:
    rcm = Rcm()

    def drive(coil):
        coil.contactor.set(True)
        coil.turn(_QUIET_MS)
        rcm.set_test(True)
        coil.turn(_QUIET_MS)
        coil.contactor.set(False)
        rcm.set_test(False)

    if _with_coil(report, "contactor_trip", drive):
        report.add(
            "contactor_trip.opens", None, "", "within 1 s", "", "Did it close, and open by itself about 2 s later?"
        )


def _watchdog_late(report, _given) -> None:
    def drive(coil):
        coil.contactor.set(True)
        coil.turn(_QUIET_MS)
        coil.turn(_STARVED_MS, False)
        coil.contactor.set(False)

    if _with_coil(report, "watchdog_late", drive):
        report.add("watchdog_late.opens", None, "", "2 s after", "", "Did it close, and open by itself 3 to 4 s later?")


def _watchdog_early(report, _given) -> None:
    def drive(coil):
        coil.contactor.set(True)
        coil.turn(_QUIET_MS)
        coil.feed()
        coil.turn(_EARLY_MS, False)
        coil.feed()
        coil.turn(_QUIET_MS, False)
        coil.contactor.set(False)

    if _with_coil(report, "watchdog_early", drive):
        report.add(
            "watchdog_early.opens", None, "", "at once", "", "Did it close, and open by itself about 1.5 s later?"
        )


# -- temperature, reader, meter's bus -----------------------------------------------------------------------


def _temperature(report, _given) -> None:
    from hal.temperature import Temperature

    sensor = Temperature()
    sensor.sample()
    least, most = _TEMPERATURE_DECI_C
    report.within("temperature.board", sensor.deci_c, least, most, "0.1 degC")


async def _read_card(report, expected: str) -> None:
    import mfrc522
    from hal.reader import ReaderSpi

    chip = mfrc522.Mfrc522(ReaderSpi())
    allowed = "0x91, 0x92, 0x90 or 0x88"
    try:
        await chip.init()
    except mfrc522.ReaderError as error:
        report.add("reader.version", False, str(error), allowed)
        return
    report.add("reader.version", True, "0x%02x" % chip.version, allowed)
    uid = None
    for _ in range(_CARD_MS // _CARD_GAP_MS):
        try:
            uid = await chip.read_uid()
        except mfrc522.CardError:
            # Still on its way into the field.
            uid = None
        if uid:
            break
        await asyncio.sleep_ms(_CARD_GAP_MS)
    found = "".join(["%02X" % byte for byte in uid or b""])
    ok = found == expected if expected else bool(found)
    report.add("reader.card", ok, found, expected or "a UID")


def _reader(report, given) -> None:
    asyncio.run(_read_card(report, given["card"].replace(":", "").upper()))


async def _echo(report) -> None:
    from hal.rs485 import Rs485

    port = Rs485()
    port.configure(_ECHO_BAUD, "N", 1)
    port.discard()
    port.write(_ECHO)
    buf = bytearray(2 * len(_ECHO))
    got = b""
    while len(got) < len(_ECHO):
        count = await port.read(buf, _ECHO_MS)
        if not count:
            break
        got += bytes(buf[:count])
    report.equal("rs485.echo", _hex(got), _hex(_ECHO))


def _hex(data: bytes) -> str:
    return "".join(["%02x" % byte for byte in data])


def _rs485(report, _given) -> None:
    asyncio.run(_echo(report))


# -- panel, clock -------------------------------------------------------------------------------------------


def _leds(report, _given) -> None:
    Leds().write(_COLOURS)
    sleep_ms(_SHOWN_MS)
    report.add("leds.colours", None, "", "red, green, blue, white", "", "Were S1 to S4 red, green, blue and white?")


def _buzzer(report, _given) -> None:
    buzzer = Buzzer()
    for _ in range(3):
        buzzer.set(_TONE_HZ)
        sleep_ms(_TONE_MS)
        buzzer.set(0)
        sleep_ms(_TONE_MS)
    report.add("buzzer.tone", None, "", "three tones", "", "Did you hear three tones of the same pitch?")


def _second() -> int:
    bus = I2C(pins.I2C_PORT, scl=Pin(pins.I2C_SCL), sda=Pin(pins.I2C_SDA), freq=_RTC_HZ)
    return bus.readfrom_mem(_RTC_ADDRESS, _RTC_SECONDS, 1)[0]


def _clock():
    """The board's clock as after a start: it reads the chip when it is imported."""
    sys.modules.pop("hal.clock", None)
    return __import__("hal.clock", None, None, ("x",))


def _rtc(report, given) -> None:
    clock = _clock()
    clock.set_utc_ms(int(given["utc"]) * 1000)
    report.equal("rtc.takes_the_time", clock.trouble(), None)
    first = _second()
    sleep_ms(_RTC_RUNS_MS)
    second = _second()
    passed = (second >> 4 & 7) * 10 + (second & 15) - (first >> 4 & 7) * 10 - (first & 15)
    report.within("rtc.runs", passed % 60, 2, 3, "s")
    report.equal("rtc.supply_flag", bool(second & _RTC_LOW), False)


def _rtc_kept(report, given) -> None:
    clock = _clock()
    report.equal("rtc_kept.trouble", clock.trouble(), None)
    ms = clock.utc_ms()
    off = -1 if ms is None else abs(ms // 1000 - int(given["utc"]))
    report.within("rtc_kept.off_by", off, 0, _RTC_ROOM_S, "s")


# -- flash, NVS ---------------------------------------------------------------------------------------------


def _flash(report, _given) -> None:
    import esp32

    for label, size in _PARTITIONS:
        try:
            found = esp32.Partition(label).info()[3]  # type: ignore
        except OSError as error:
            found = str(error)
        report.equal("flash." + label, found, size, "bytes")
    for label in ("slot_a", "slot_b"):
        report.add("flash.read_" + label, *_slot(label))
    _file_system(report)


def _slot(label: str):
    """(whether both readings agree, what is there, what may be)."""
    import esp32

    first, second = bytearray(_SECTOR), bytearray(_SECTOR)
    partition = esp32.Partition(label)
    partition.readblocks(0, first)
    partition.readblocks(0, second)
    kind = "firmware" if first[:4] == b"WBX1" else "blank" if first == b"\xff" * _SECTOR else "something else"
    return first == second and kind != "something else", kind, "firmware or blank"


def _file_system(report) -> None:
    from hal import flash

    here = os.getcwd()
    pattern = bytes([at * 7 & 0xFF for at in range(_SECTOR)])
    try:
        path = flash.mount() + "/" + _FILE
        with open(path, "wb") as file:
            file.write(pattern)
        with open(path, "rb") as file:
            back = file.read()
        os.remove(path)
        report.equal("flash.file_kept", back == pattern, True)
    finally:
        flash.unmount()
        # Modules come from there when a computer's folder is mounted.
        os.chdir(here)


def _nvs(report, _given) -> None:
    from hal import nvs

    value = bytes(range(64))
    nvs.save(_KEY, value)
    back = nvs.load(_KEY)
    nvs.erase(_KEY)
    report.equal("nvs.kept", back == value, True)
    report.equal("nvs.erased", nvs.load(_KEY), None)
    allowed = "none before production, else a serial number"
    try:
        report.add("nvs.identity", True, _serial() or "none", allowed)
    except (ValueError, KeyError) as error:
        report.add("nvs.identity", False, repr(error), allowed)


def _serial():
    """The serial number that production has given, None without; ValueError, KeyError for what is no identity."""
    from hal import nvs

    identity = nvs.load("identity")
    if identity is None:
        return None
    if identity[: len(_STORE_MAGIC)] != _STORE_MAGIC:
        raise ValueError("identity: it does not begin with %r" % _STORE_MAGIC)
    return json.loads(identity[_STORE_JSON:])["serial"]


# -- networks, Bluetooth, entropy ---------------------------------------------------------------------------


def _ethernet(report, _given) -> None:
    expander = Expander()
    cs = Pin(pins.ETH_CS, Pin.OUT, value=1)
    sck, mosi, miso = Pin(pins.ETH_SCK), Pin(pins.ETH_MOSI), Pin(pins.ETH_MISO)
    spi = SPI(pins.ETH_SPI, _W5500_HZ, polarity=0, phase=0, sck=sck, mosi=mosi, miso=miso)
    try:
        expander.set(pins.OUT_ETH_RESET, False)
        sleep_ms(_W5500_RESET_MS)
        expander.set(pins.OUT_ETH_RESET, True)
        sleep_ms(_W5500_READY_MS)
        back = bytearray(len(_W5500_FRAME))
        cs(0)
        spi.write_readinto(_W5500_FRAME, back)
        cs(1)
    finally:
        # The port's driver of the W5500 wants the bus for itself.
        spi.deinit()
    report.equal("ethernet.version", back[3], _W5500_VERSION)


def _wifi(report, _given) -> None:
    import network

    nic = network.WLAN(network.WLAN.IF_STA)
    nic.active(True)
    try:
        found = len(nic.scan())
    finally:
        nic.active(False)
    report.add("wifi.networks", found > 0, found, "1 or more")


def _answers(uart) -> str:
    """What the modem says to AT."""
    uart.read()
    uart.write(b"AT\r")
    sleep_ms(_MODEM_GAP_MS)
    text = uart.read() or b""
    return "OK" if b"OK" in text else _hex(text)


def _modem(report, _given) -> None:
    uart = UART(pins.MODEM_UART, _MODEM_BAUD, tx=Pin(pins.MODEM_TX), rx=Pin(pins.MODEM_RX))
    expander = Expander()
    found = _answers(uart)
    if found != "OK":
        expander.set(pins.OUT_MODEM_KEY, True)
        sleep_ms(_MODEM_PRESS_MS)
        expander.set(pins.OUT_MODEM_KEY, False)
        for _ in range(_MODEM_BOOT_MS // _MODEM_GAP_MS):
            found = _answers(uart)
            if found == "OK":
                break
    uart.deinit()
    report.equal("modem.answer", found, "OK")


async def _advertise() -> None:
    from hal.ble import Ble

    ble = Ble()
    # Nobody may pair, so this passkey is none.
    ble.configure(_BLE_NAME, "000000", b"{}")
    try:
        link = await asyncio.wait_for_ms(ble.accept(), _BLE_MS)
        link.disconnect()
    except asyncio.TimeoutError:
        # Nobody has connected, as it should be.
        return


def _bluetooth(report, _given) -> None:
    import bluetooth

    radio = bluetooth.BLE()
    try:
        asyncio.run(_advertise())
        report.equal("bluetooth.on", radio.active(), True)
    finally:
        radio.active(False)
    report.add("bluetooth.seen", None, "", _BLE_NAME, "", "Did a phone's Bluetooth scanner show %s?" % _BLE_NAME)


def _entropy(report, _given) -> None:
    import bluetooth

    from hal import system

    try:
        first, second = system.random_bytes(_RANDOM_BYTES), system.random_bytes(_RANDOM_BYTES)
    finally:
        bluetooth.BLE().active(False)
    ones = 0
    for byte in first:
        while byte:
            ones += byte & 1
            byte >>= 1
    least, most = _RANDOM_ONES
    report.within("entropy.ones", ones, least, most, "of 2048")
    report.equal("entropy.repeats", first == second, False)


# -- the parts, in this order -------------------------------------------------------------------------------

_DIODE = " and a diode (1N4148, anode at CP) in series between CP and PE."
_POWER = "Cut 12 V and USB for 10 s, so that the window watchdog starts anew, and connect both again."
_COIL = _POWER + " No mains at the terminals! A scope at the contactor's coil."
_UTC = ("utc", "Seconds since 1970 in UTC")

# Name, what a person has to do before, what has to be given (key, question), the steps.
PARTS = (
    ("pins", "12 V on, nothing at CP, PE connected, PS_1/PS_2 open, no mains.", (), _pins),
    ("rails", "", (), _rails),
    ("pilot_none", "", (), lambda report, _: _levels(report, "pilot_none", 0, _SOURCE_ROOM_MV)),
    ("pilot_b", "Connect 2.74 kohm" + _DIODE, (), lambda report, _: _levels(report, "pilot_b", 2_740, 600)),
    ("pilot_c", "Connect 882 ohm" + _DIODE, (), lambda report, _: _levels(report, "pilot_c", 882, 530)),
    ("pilot_d", "Connect 246 ohm" + _DIODE, (), lambda report, _: _levels(report, "pilot_d", 246, 340)),
    ("rcm", "Take everything off CP.", (), _rcm),
    ("expander", "", (), _expander),
    ("contact", "Bridge PS_1 and PS_2.", (), _contact),
    (
        "meter",
        "",
        (
            ("volts_l1", "Volts L1 to N by a voltmeter; 0 without mains"),
            ("volts_l2", "Volts L2 to N"),
            ("volts_l3", "Volts L3 to N"),
        ),
        _meter,
    ),
    ("contactor_off", "", (), _contactor_off),
    ("contactor", _COIL, (), _contactor),
    ("contactor_trip", _POWER, (), _contactor_trip),
    ("watchdog_late", _POWER, (), _watchdog_late),
    ("watchdog_early", _POWER, (), _watchdog_early),
    ("temperature", "", (), _temperature),
    ("reader", "Hold a card to the reader.", (("card", "Its UID in hex, empty for any"),), _reader),
    ("rs485", "At A and B a second adapter that sends back what it hears (9600 baud, 8N1).", (), _rs485),
    ("leds", "Look at the LED bar.", (), _leds),
    ("buzzer", "", (), _buzzer),
    ("rtc", "", (_UTC,), _rtc),
    ("rtc_kept", "Cut 12 V and USB for 10 s, and connect both again.", (_UTC,), _rtc_kept),
    ("flash", "", (), _flash),
    ("nvs", "", (), _nvs),
    ("ethernet", "", (), _ethernet),
    ("wifi", "", (), _wifi),
    ("modem", "", (), _modem),
    ("bluetooth", "Open a Bluetooth scanner on a phone; the board advertises for 20 s.", (), _bluetooth),
    ("entropy", "", (), _entropy),
)


def about() -> None:
    """Print what this board is as a line of JSON."""
    from hal import system

    serial = _serial() or system.serial()
    line = {"serial": serial, "mac": _hex(machine.unique_id()), "interpreter": sys.version}
    line["board"] = sys.implementation._machine  # type: ignore
    print(json.dumps(line))


def plan() -> None:
    """Print each part as a line of JSON: part, prepare, needs."""
    for name, prepare, needs, _ in PARTS:
        print(json.dumps({"part": name, "prepare": prepare, "needs": needs}))


def _steps(name: str):
    for part, _, _, function in PARTS:
        if part == name:
            return function
    raise ValueError("part: %s is not allowed; allowed: %s" % (name, ", ".join([part[0] for part in PARTS])))


def run(name: str, given: dict, report=None) -> int:
    """Run one part -> the count of its steps that failed; everything is off afterwards. ValueError for another name."""
    function = _steps(name)
    report = report or Report()
    machine.WDT(timeout=_RESTART_MS).feed()
    try:
        function(report, given)
    except Exception as error:
        report.add(name + ".error", False, repr(error), "none")
    finally:
        safe(report)
    return report.failed
