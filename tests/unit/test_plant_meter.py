"""The simulated PRO380-Mod: registers, frames, timing and faults, seen from the bus."""

import asyncio
import struct

from virtual_time import Log, Record, VirtualTime

from plant import board
from plant.meter import GARBAGE, MeterSlave, checksum, sealed
from plant.plant import Plant
from wallbox.clock import Clock
from wallbox.energy.reader import MeterReader
from wallbox.energy.rtu import RtuMaster


def bench(**house):
    plant = Plant(seed=1)
    plant.house(**house)
    meter = MeterSlave(plant)
    meter.master_line(9600, "E", 1)
    return plant, meter


def ask(plant, meter, request):
    """The whole answer, b"" for none."""
    meter.feed(request)
    due = meter.due_ms()
    if due is None:
        return b""
    plant.advance_to(due)
    buf = bytearray(256)
    return bytes(buf[: meter.take(buf)])


def registers(plant, meter, start, count):
    answer = ask(plant, meter, sealed(struct.pack(">BBHH", 1, 3, start, count)))
    assert checksum(answer) == 0 and answer[:3] == bytes((1, 3, 2 * count)), answer
    return answer[3:-2]


def floats(plant, meter, start, count):
    return struct.unpack(">%df" % count, registers(plant, meter, start, 2 * count))


def near(values, wanted):
    return all(abs(a - b) < 1e-3 for a, b in zip(values, wanted)) and len(values) == len(wanted)


def test_the_checksum_is_that_of_the_specification():
    assert sealed(b"\x01\x03\x00\x00\x00\x0a") == b"\x01\x03\x00\x00\x00\x0a\xc5\xcd"


def test_volts_hertz_amperes_and_kilowatts_are_where_the_manual_says():
    plant, meter = bench(amps=[5, 6, 7.5])
    plant.grid([229, 230, 231], 49.9)
    assert near(floats(plant, meter, 0x5002, 4), (229, 230, 231, 49.9))
    assert near(floats(plant, meter, 0x500C, 3), (5, 6, 7.5))
    assert near(floats(plant, meter, 0x5012, 4), (4.2575, 1.145, 1.38, 1.7325))
    assert near(floats(plant, meter, 0x502C, 3), (1, 1, 1))


def test_export_shows_in_the_sign_of_the_power_but_not_of_the_current():
    plant, meter = bench(amps=[1, 1, 1], pv_w=6900)
    assert near(floats(plant, meter, 0x500C, 3), (9, 9, 9))
    assert near(floats(plant, meter, 0x5014, 3), (-2.07, -2.07, -2.07))


def test_the_averages_of_the_single_phase_sister_are_empty():
    plant, meter = bench(amps=[5, 5, 5])
    assert floats(plant, meter, 0x5000, 1) == (0,) and floats(plant, meter, 0x500A, 1) == (0,)


def test_energies_are_counted_in_kilowatt_hours_each_way():
    plant, meter = bench(amps=[10, 0, 0])
    plant.advance_to(3_600_000)
    plant.house(amps=[0, 0, 0], pv_w=3000)
    plant.advance_to(7_200_000)
    total = floats(plant, meter, 0x6000, 1)[0]
    bought, sold = floats(plant, meter, 0x600C, 1)[0], floats(plant, meter, 0x6018, 1)[0]
    assert abs(bought - 2.3) < 0.01 and abs(sold - 3.0) < 0.01, (bought, sold)
    assert abs(total - 5.3) < 0.02, total


def test_serial_number_address_and_baud_rate_can_be_read():
    plant, meter = bench()
    assert registers(plant, meter, 0x4000, 2) == b"\x15\x06\x00\x01"
    assert struct.unpack(">HH", registers(plant, meter, 0x4003, 2)) == (1, 9600)


def test_all_three_blocks_end_where_the_map_ends():
    plant, meter = bench()
    for start, end in ((0x4000, 0x400A), (0x5000, 0x5031), (0x6000, 0x6023)):
        registers(plant, meter, start, end - start + 1)
        for wrong, count in ((end + 1, 1), (end, 2), (start - 1, 2)):
            answer = ask(plant, meter, sealed(struct.pack(">BBHH", 1, 3, wrong, count)))
            assert answer == sealed(b"\x01\x83\x02"), (hex(wrong), answer)


def test_other_functions_and_impossible_counts_get_their_exception():
    plant, meter = bench()
    assert ask(plant, meter, sealed(b"\x01\x04\x50\x00\x00\x02")) == sealed(b"\x01\x84\x01")
    assert ask(plant, meter, sealed(b"\x01\x03\x50\x00\x00\x00")) == sealed(b"\x01\x83\x03")
    assert ask(plant, meter, sealed(b"\x01\x03\x50\x00\x00\x7e")) == sealed(b"\x01\x83\x03")


def test_it_keeps_silent_for_others_for_broken_frames_and_on_a_wrong_line():
    plant, meter = bench()
    good = sealed(b"\x01\x03\x50\x00\x00\x02")
    assert ask(plant, meter, sealed(b"\x02\x03\x50\x00\x00\x02")) == b""
    assert ask(plant, meter, good[:-1] + bytes((good[-1] ^ 1,))) == b""
    assert ask(plant, meter, good[:3]) == b"" and ask(plant, meter, b"") == b""
    for line in ((19200, "E", 1), (9600, "N", 1), (9600, "O", 1)):
        meter.master_line(*line)
        assert ask(plant, meter, good) == b"", line
    meter.master_line(9600, "E", 1)
    assert len(ask(plant, meter, good)) == 9


def test_the_answer_takes_both_frames_on_the_line_and_twenty_milliseconds():
    plant, meter = bench()
    meter.feed(sealed(b"\x01\x03\x50\x00\x00\x32"))
    # 8 + 105 characters of 11 bits at 9600 baud: 129.5 ms.
    assert meter.due_ms() == plant.now_ms + 150
    buf = bytearray(200)
    plant.advance_to(meter.due_ms() - 1)
    assert meter.take(buf) == 0
    plant.advance_to(meter.due_ms())
    assert meter.take(buf) == 105 and meter.due_ms() is None


def test_an_answer_is_taken_in_parts_or_dropped():
    plant, meter = bench()
    request = sealed(b"\x01\x03\x50\x00\x00\x02")
    meter.feed(request)
    plant.advance_to(meter.due_ms())
    buf = bytearray(5)
    whole = b""
    for count in (5, 4, 0):
        assert meter.take(buf) == count
        whole += buf[:count]
    assert checksum(whole) == 0
    meter.feed(request)
    plant.advance_to(meter.due_ms())
    assert meter.take(None) == 9 and meter.take(buf) == 0


def test_a_request_sent_into_its_answer_is_lost():
    plant, meter = bench()
    meter.feed(sealed(b"\x01\x03\x50\x00\x00\x02"))
    due = meter.due_ms()
    plant.advance_to(due - 1)
    meter.feed(sealed(b"\x01\x03\x60\x00\x00\x02"))
    assert meter.due_ms() == due


def test_it_is_silent_by_fault_without_voltage_and_while_it_restarts():
    plant, meter = bench()
    request = sealed(b"\x01\x03\x50\x00\x00\x02")
    plant.fault("meter_silent")
    assert ask(plant, meter, request) == b""
    plant.clear("meter_silent")
    plant.grid(0)
    assert ask(plant, meter, request) == b""
    plant.grid(230)
    meter.feed(request)
    meter.restart()
    assert meter.due_ms() is None
    plant.advance_to(plant.now_ms + 2999)
    assert ask(plant, meter, request) == b""
    plant.advance_to(plant.now_ms + 1)
    assert ask(plant, meter, request) != b""


def firmware(plant, time):
    """The firmware's reader on the board's bus to the plant's meter, in virtual time."""
    from hal.rs485 import Rs485

    def sync():
        if time.now_ms > plant.now_ms:
            plant.advance_to(time.now_ms)

    board.plant = plant
    plant.sync = sync
    settings = {
        "meter_model": "pro380",
        "meter_address": 1,
        "meter_baud": 9600,
        "meter_parity": "E",
        "meter_timeout_s": 8,
    }
    clock = Clock(Record(ticks_ms=time.ticks_ms, utc_ms=lambda: None, poll=None))
    return MeterReader(RtuMaster(Rs485(), clock), settings, Record(contactor_closed=False), clock, Log())


def test_the_firmware_reads_it_and_believes_none_of_its_garbage():
    time = VirtualTime()
    plant = Plant(seed=1)
    plant.house(amps=[5, 6, 7.5])
    reader = firmware(plant, time)
    told = []
    reader.listeners.append(told.append)

    async def play():
        task = asyncio.create_task(reader.run())
        await asyncio.sleep_ms(2900)
        assert list(reader.current_ma) == [5000, 6000, 7500] and told == [True] * 3
        plant.fault("meter_garbage")
        plant.house(amps=[1, 1, 1])
        await asyncio.sleep_ms(1000 * 2 * len(GARBAGE))
        assert told[3:] == [False] * 2 * len(GARBAGE), told
        assert list(reader.current_ma) == [5000, 6000, 7500] and reader.lost
        plant.clear("meter_garbage")
        await asyncio.sleep_ms(1000)
        assert list(reader.current_ma) == [1000, 1000, 1000] and reader.valid
        task.cancel()

    asyncio.run(play())
    assert reader.implausible >= 4 and reader.errors >= 8, reader.status()


def test_the_firmware_finds_a_meter_on_another_line_silent():
    time = VirtualTime()
    plant = Plant(seed=1)
    reader = firmware(plant, time)
    plant.meter.parity = "N"

    async def play():
        task = asyncio.create_task(reader.run())
        await asyncio.sleep_ms(8900)
        task.cancel()

    asyncio.run(play())
    assert reader.lost and reader.timeouts == 9, reader.status()
