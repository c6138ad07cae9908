"""The hal on the plant: nothing allocated, panel, reader, bus, clock, resets."""

import asyncio
import time

import micropython
from plant_bench import Bench, refusal
from umodbus import functions

from hal import clock, system
from hal.buzzer import Buzzer
from hal.contact import Contact
from hal.leds import Leds
from hal.net import Net
from hal.reader import ReaderSpi
from hal.rs485 import Rs485
from hal.watchdog import Watchdog
from plant import board
from plant.board import FirmwareReset
from plant.meter import checksum, sealed

UID = b"\x04\xa1\xb2\xc3"


def run_virtual(bench, coroutine):
    """Run a coroutine while the plant's time passes only by waiting; the test runner puts the loop back."""
    core = asyncio.core
    base = time.ticks_add(time.ticks_ms(), 60_000)

    class Queue(core.IOQueue):
        def wait_io_event(self, dt):
            if dt > 0:
                bench.plant.advance_to(bench.plant.now_ms + dt)

    core.ticks = lambda: time.ticks_add(base, bench.plant.now_ms)
    core._io_queue = Queue()
    return asyncio.run(coroutine)


def locked(function):
    """Run a function that must not allocate."""
    micropython.heap_lock()
    try:
        function()
    finally:
        micropython.heap_unlock()


def test_sampling_allocates_nothing_while_a_car_charges():
    bench = Bench()
    bench.charge()
    devices = (bench.pilot, bench.contactor, bench.rcm, bench.supply, bench.temperature)

    def loop():
        for device in devices:
            device.sample()

    for ms in (1, 100, 3600_000):
        bench.plant.advance_to(bench.plant.now_ms + ms)
        locked(loop)
    assert list(bench.supply.current_ma) == [15_960] * 3


def test_outputs_allocate_nothing():
    bench = Bench()
    bench.charge()
    dog = Watchdog()

    def loop():
        bench.pilot.set_duty(1000)
        bench.pilot.set_duty(0)
        bench.pilot.set_duty(266)
        bench.contactor.set(False)
        bench.contactor.set(True)
        bench.rcm.set_test(True)
        bench.rcm.set_test(False)
        dog.feed()

    locked(loop)
    assert bench.after(1000)[1] == 7


def test_the_panel_shows_what_was_written_and_logs_finished_tones():
    bench = Bench()
    leds, buzzer = Leds(), Buzzer()
    leds.write(bytes(range(12)))
    assert bench.plant.panel.led_bytes == bytes(range(12))
    buzzer.set(2000)
    bench.after(80)
    assert bench.plant.panel.beeps == []
    buzzer.set(500)
    bench.after(40)
    buzzer.set(0)
    assert bench.plant.panel.beeps == [{"hz": 2000, "ms": 80}, {"hz": 500, "ms": 40}]
    assert "12" in refusal(leds.write, b"123")


def test_a_power_cut_darkens_the_panel_and_ends_the_tone():
    bench = Bench()
    leds, buzzer = Leds(), Buzzer()
    leds.write(b"\xff" * 12)
    buzzer.set(2000)
    bench.after(10)
    bench.plant.power_off()
    leds.write(b"\xff" * 12)
    buzzer.set(1000)
    bench.after(10)
    bench.plant.power_on()
    assert bench.plant.panel.led_bytes == bytes(12)
    assert bench.plant.panel.beeps == [{"hz": 2000, "ms": 10}] and bench.plant.panel.tone_hz == 0


def test_the_list_of_tones_is_bounded():
    bench = Bench()
    buzzer = Buzzer()
    for _ in range(1000):
        buzzer.set(2000)
        bench.after(1)
        buzzer.set(0)
    assert len(bench.plant.panel.beeps) == 200


def test_a_tapped_card_stays_for_half_a_second_and_a_second_one_replaces_it():
    bench = Bench()
    chip = bench.plant.reader_chip
    bench.plant.tap(UID)
    bench.after(400)
    assert chip.uids() == [UID]
    other = bytes(range(1, 8))
    bench.plant.tap(other)
    bench.after(499)
    assert chip.uids() == [other]
    bench.after(1)
    assert chip.uids() == []


def test_a_refused_card_leaves_the_one_that_is_there():
    bench = Bench()
    bench.plant.tap(UID)
    for uid in (b"123", b"", "04A1B2C3", None, b"\x88\x01\x02\x03"):
        assert "uid" in refusal(bench.plant.tap, uid)
    assert bench.plant.reader_chip.uids() == [UID]


def test_the_reader_bus_reaches_the_chip():
    bench = Bench()
    spi = ReaderSpi()
    spi.reset(True)
    spi.reset(False)
    bench.after(5)
    answer = bytearray(2)
    # VersionReg 0x37 of the data sheet, read bit set.
    spi.write_readinto(bytes((0x37 << 1 | 0x80, 0)), answer)
    assert answer[1] == 0x92, answer
    bench.plant.power_off()
    spi.write_readinto(bytes((0x37 << 1 | 0x80, 0)), answer)
    assert answer[1] == 0, "a chip without supply answers nothing"


def test_contact_and_network_are_seen_as_they_are():
    bench = Bench()
    contact, net = Contact(), Net()
    assert not contact.closed() and net.module_ok()
    bench.plant.contact(True)
    bench.plant.network(False)
    assert contact.closed() and not net.module_ok()


def request(start, count):
    return sealed(b"\x01" + functions.read_holding_registers(start, count))


def test_the_bus_brings_the_meters_answer_when_it_is_due():
    bench = Bench()
    bus = Rs485()
    bus.configure(9600, "E", 1)
    buf = bytearray(64)

    async def exchange():
        bus.write(request(0x5002, 6))
        start = bench.plant.now_ms
        count = await bus.read(buf, 1000)
        return count, bench.plant.now_ms - start

    count, ms = run_virtual(bench, exchange())
    assert count == 17 and checksum(buf[:count]) == 0 and 30 < ms < 60, (count, ms)


def test_a_silent_bus_times_out_exactly():
    bench = Bench()
    bus = Rs485()
    bus.configure(9600, "E", 1)
    bench.plant.fault("meter_silent")

    async def exchange():
        bus.write(request(0x5002, 6))
        start = bench.plant.now_ms
        return await bus.read(bytearray(64), 250), bench.plant.now_ms - start

    assert run_virtual(bench, exchange()) == (0, 250)


def test_discarded_bytes_never_come():
    bench = Bench()
    bus = Rs485()
    bus.configure(9600, "E", 1)

    async def exchange():
        bus.write(request(0x5002, 6))
        await asyncio.sleep_ms(200)
        bus.discard()
        return await bus.read(bytearray(64), 100)

    assert run_virtual(bench, exchange()) == 0


def test_bad_line_settings_are_refused():
    Bench()
    bus = Rs485()
    assert "parity" in refusal(bus.configure, 9600, "X", 1)
    assert "stop_bits" in refusal(bus.configure, 9600, "E", 3)


def test_the_clock_counts_from_the_start_of_the_firmware():
    Bench()
    first = clock.ticks_ms()
    assert 0 <= first < 60_000
    time.sleep_ms(5)
    assert 5 <= time.ticks_diff(clock.ticks_ms(), first) < 1000


def test_the_real_time_clock_can_be_set_and_goes_on():
    Bench()
    now = clock.utc_ms()
    try:
        clock.set_utc_ms(1_800_000_000_000)
        assert 0 <= clock.utc_ms() - 1_800_000_000_000 < 1000
    finally:
        clock.set_utc_ms(now)


def test_virtual_time_starts_in_2026_and_follows_the_plant():
    bench = Bench()
    clock.virtual_ticks = lambda: 12345
    try:
        assert clock.ticks_ms() == 12345
        assert clock.utc_ms() == 1_767_225_600_000
        bench.after(1500)
        assert clock.utc_ms() == 1_767_225_601_500
    finally:
        clock.virtual_ticks = None


def test_a_reset_drops_the_outputs_and_tells_its_cause():
    bench = Bench()
    bench.charge()
    Watchdog()
    assert system.reset_cause() == "power_on"
    try:
        system.reset("settings changed")
    except FirmwareReset as error:
        assert error.args[0] == "settings changed"
    assert system.reset_cause() == "software"
    bench.after(18)
    sensed = bench.sense()
    assert sensed[1] == 0 and sensed[0][2] == 0, sensed
    bench.plant.power_off()
    bench.plant.power_on()
    assert system.reset_cause() == "power_on"


def test_in_real_time_the_plant_follows_the_host():
    bench = Bench()
    bench.plant.follow_host()
    bench.contactor.set(True)
    time.sleep_ms(40)
    bench.contactor.sample()
    assert bench.contactor.live == 7
    assert 40 <= bench.plant.now_ms < 2000
    assert board.plant is bench.plant
