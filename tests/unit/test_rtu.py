"""The Modbus RTU master on a scripted bus, byte for byte and in virtual time."""

import asyncio
import struct
import sys

from virtual_time import Record, VirtualTime

from wallbox.energy.rtu import RtuError, RtuMaster, RtuTimeout

TIMEOUT_MS = 300


def seal(frame):
    """The frame with its checksum, computed bit by bit from the definition."""
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
    return bytes(frame) + bytes((crc & 0xFF, crc >> 8))


def answer(*registers, address=1):
    body = struct.pack(">%dH" % len(registers), *registers)
    return seal(bytes((address, 3, len(body))) + body)


class Bus:
    """Stands in for hal.rs485: answers each request with the next script, a list of (delay in ms, bytes)."""

    def __init__(self, time, *scripts):
        self.time = time
        self.scripts = list(scripts)
        self.sent = []
        self.sent_at = []
        self.settings = None
        self.coming = []

    def configure(self, baud, parity, stop_bits):
        self.settings = baud, parity, stop_bits

    def write(self, buf):
        self.sent.append(bytes(buf))
        self.sent_at.append(self.time.now_ms)
        at = self.time.now_ms
        for delay, data in self.scripts.pop(0) if self.scripts else ():
            at += delay
            self.coming.append((at, data))

    def discard(self):
        self.coming = [part for part in self.coming if part[0] > self.time.now_ms]

    async def read(self, buf, timeout_ms):
        deadline = self.time.now_ms + timeout_ms
        if not self.coming or self.coming[0][0] > deadline:
            await asyncio.sleep_ms(timeout_ms)
            return 0
        at, data = self.coming.pop(0)
        await asyncio.sleep_ms(max(0, at - self.time.now_ms))
        count = min(len(buf), len(data))
        buf[:count] = data[:count]
        if count < len(data):
            self.coming.insert(0, (at, data[count:]))
        return count


def master(*scripts, baud=9600, parity="E"):
    time = VirtualTime()
    bus = Bus(time, *scripts)
    rtu = RtuMaster(bus, Record(ticks_ms=time.ticks_ms))
    rtu.configure(baud, parity)
    return rtu, bus


def read(rtu, count=2, start=0x5002):
    data = asyncio.run(rtu.read_holding(1, start, count, TIMEOUT_MS))
    return list(struct.unpack(">%dH" % count, data))


def error_of(rtu, count=2):
    try:
        read(rtu, count)
    except RtuError as error:
        return error
    raise AssertionError("a value was returned")


def test_sends_the_request_of_the_specification_with_its_known_checksum():
    rtu, bus = master([(30, answer(*range(10)))])
    assert read(rtu, 10, start=0) == list(range(10))
    assert bus.sent == [b"\x01\x03\x00\x00\x00\x0a\xc5\xcd"], bus.sent
    assert bus.settings == (9600, "E", 1)


def test_puts_an_answer_together_that_comes_byte_by_byte():
    frame = answer(0x1234, 0xFEDC)
    rtu, _ = master([(2, frame[i : i + 1]) for i in range(len(frame))])
    assert read(rtu) == [0x1234, 0xFEDC]


def test_reads_the_longest_answer_there_is():
    rtu, _ = master([(30, answer(*range(125)))])
    assert read(rtu, 125) == list(range(125))


def test_finds_the_answer_behind_noise_and_behind_the_echo_of_its_own_request():
    request = seal(b"\x01\x03\x50\x02\x00\x02")
    rtu, _ = master([(1, b"\x00\xff\x01\x03"), (1, request), (20, b"\x00" + answer(7, 8))])
    assert read(rtu) == [7, 8]


def test_finds_the_answer_behind_more_noise_than_the_buffer_holds():
    rtu, _ = master([(1, b"\x55" * 200), (1, b"\xaa" * 300), (1, b"\x01" * 90), (5, answer(7, 8))])
    assert read(rtu) == [7, 8]


def test_skips_the_answer_of_another_slave_and_one_of_another_length():
    rtu, _ = master([(5, answer(1, 2, address=2)), (5, answer(3)), (5, answer(7, 8))])
    assert read(rtu) == [7, 8]


def test_an_answer_that_came_twice_is_not_taken_for_the_next_one():
    twice = answer(1, 2)
    rtu, _ = master([(20, twice + twice)], [(20, answer(3, 4))])
    assert read(rtu) == [1, 2]
    assert read(rtu) == [3, 4]


def test_a_late_answer_is_not_taken_for_the_next_one():
    rtu, bus = master([(TIMEOUT_MS + 40, answer(1, 2))], [(20, answer(3, 4))])
    assert isinstance(error_of(rtu), RtuTimeout)
    assert read(rtu) == [3, 4]
    assert bus.sent_at[1] - bus.sent_at[0] > TIMEOUT_MS + 40, "sent into the late answer"


def test_a_wrong_bit_anywhere_in_the_answer_is_an_error():
    good = answer(0x1234, 0x5678)
    for place in range(len(good) * 8):
        spoilt = bytearray(good)
        spoilt[place // 8] ^= 1 << place % 8
        rtu, _ = master([(20, spoilt)])
        error = error_of(rtu)
        assert error.code == 0 and not isinstance(error, RtuTimeout), place


def test_a_truncated_answer_is_an_error_that_says_how_much_came():
    rtu, _ = master([(20, answer(1, 2)[:-1])])
    assert "8 bytes" in str(error_of(rtu))


def test_an_exception_answer_ends_the_wait_at_once_and_gives_its_code():
    rtu, bus = master([(20, seal(b"\x01\x83\x02"))], [(20, answer(3, 4))])
    assert error_of(rtu).code == 2
    assert bus.time.now_ms - bus.sent_at[0] == 20
    assert read(rtu) == [3, 4]


def test_silence_is_a_timeout_after_the_time_on_the_line_and_the_slave_s_time():
    rtu, bus = master()
    assert isinstance(error_of(rtu), RtuTimeout)
    # 17 characters of 11 bits at 9600 baud are 19.5 ms.
    assert 315 <= bus.time.now_ms - bus.sent_at[0] <= 325, bus.time.now_ms


def test_a_slow_line_gets_the_time_it_needs():
    frame = answer(*range(50))
    rtu, _ = master([(3900, frame)], baud=300)
    assert read(rtu, 50) == list(range(50))


def test_keeps_three_and_a_half_characters_of_silence_between_frames():
    for baud, gap_ms in ((9600, 5), (1200, 33), (115200, 5)):
        rtu, bus = master([(20, answer(1, 2))], [(20, answer(3, 4))], baud=baud)
        read(rtu)
        done = bus.time.now_ms
        read(rtu)
        assert gap_ms <= bus.sent_at[1] - done <= gap_ms + 2, (baud, bus.sent_at[1] - done)


def test_a_bus_that_is_never_silent_is_an_error_and_nothing_is_sent():
    rtu, bus = master()
    bus.coming = [(i, b"\x00") for i in range(1000)]
    assert "silent" in str(error_of(rtu))
    assert bus.sent == []


def test_the_loop_runs_on_while_a_slave_is_silent():
    rtu, bus = master()
    late = []

    async def watch():
        while True:
            due = bus.time.now_ms + 10
            await asyncio.sleep_ms(10)
            late.append(bus.time.now_ms - due)

    async def both():
        task = asyncio.create_task(watch())
        try:
            await rtu.read_holding(1, 0, 2, TIMEOUT_MS)
        except RtuTimeout:
            task.cancel()

    asyncio.run(both())
    assert len(late) >= 30 and max(late) == 0, late


def test_a_second_request_is_refused_while_one_is_under_way_and_a_cancelled_one_frees_the_bus():
    rtu, bus = master([], [(20, answer(3, 4))])

    async def run():
        first = asyncio.create_task(rtu.read_holding(1, 0, 2, TIMEOUT_MS))
        await asyncio.sleep_ms(200)
        try:
            await rtu.read_holding(1, 0, 2, TIMEOUT_MS)
            raise AssertionError("two requests at once")
        except RtuError as error:
            assert "in use" in str(error)
        first.cancel()
        await asyncio.sleep_ms(10)
        return bytes(await rtu.read_holding(1, 0, 2, TIMEOUT_MS))

    assert asyncio.run(run()) == b"\x00\x03\x00\x04"
    assert len(bus.sent) == 2


def test_more_registers_than_a_frame_holds_are_refused():
    rtu, bus = master()
    try:
        read(rtu, 126)
        raise AssertionError("126 registers were asked for")
    except ValueError:
        assert bus.sent == []


def test_the_busy_waiting_serial_module_is_not_loaded():
    assert "umodbus.serial" not in sys.modules
