"""boards/esp32s3/hal/rs485.py with a meter on the line: turn-round, settings, time-outs (R19)."""

import asyncio
import time

import s3_board
from virtual_time import Record

# UART 1; DE of the transceiver.
_UART = 1
_DE = 45
_TX, _RX = 17, 18
# Two registers of address 1, and the answer to it.
_REQUEST = b"\x01\x03\x50\x00\x00\x02\xd5\x0b"
_ANSWER = b"\x01\x03\x04\x43\x66\x33\x33\x5b\x4d"
_STEP_US = 50
_LINES = ((300, "N", 2), (9_600, "N", 1), (9_600, "E", 1), (19_200, "O", 1), (38_400, "N", 2), (115_200, "E", 1))
_PARITY = {"N": None, "E": 0, "O": 1}


class _Time:
    """The chip's time in place of the event loop's; who waits for input is looked after in every step."""

    def __init__(self, machine):
        core = asyncio.core
        self.chip = machine.chip
        # Tasks that never waited are queued with the host's tick, which has to stay in the past.
        self._base = time.ticks_add(time.ticks_ms(), 60_000)

        class Queue(core.IOQueue):
            def wait_io_event(self, dt):
                self.look()
                while dt:
                    machine.advance_us(_STEP_US, _STEP_US)
                    self.look()
                    if dt > 0 or core._task_queue.peek():
                        return

            def look(self):
                # On the host each look at a port costs a millisecond.
                if machine.chip.uarts[_UART].any():
                    core.IOQueue.wait_io_event(self, 0)

        core.ticks = self.ticks_ms
        core._io_queue = Queue()

    def ticks_ms(self):
        return time.ticks_add(self._base, self.chip.now_us // 1000)


class _Bench:
    """The port, with a meter that talks at `baud`, `parity` and `stop`."""

    def __init__(self, baud=9_600, parity="N", stop=1):
        self.machine, _ = s3_board.chip()
        from meter_line import MeterLine

        self.clock = _Time(self.machine)
        self.meter = MeterLine(_UART, _DE, baud, _PARITY[parity], stop)
        self.meter.answer = _ANSWER
        self.port = s3_board.load("rs485").Rs485()
        self.meter.attach()
        self.uart = self.machine.chip.uarts[_UART]
        self.buf = bytearray(256)

    def now_ms(self):
        return self.machine.chip.now_us // 1000

    async def receive(self, timeout_ms):
        """All that comes, until nothing comes for so long."""
        got = b""
        count = await self.port.read(self.buf, timeout_ms)
        while count:
            got += bytes(self.buf[:count])
            count = await self.port.read(self.buf, timeout_ms)
        return got


def test_its_uart_is_at_the_pins_of_the_transceiver():
    bench = _Bench()
    assert (bench.uart.tx, bench.uart.rx, bench.uart.rts) == (_TX, _RX, _DE)


def test_it_does_not_send_before_it_is_asked_to():
    bench = _Bench()
    assert not bench.meter.sending()
    bench.machine.advance_ms(50)
    assert not bench.meter.sending()
    assert bench.meter.drives == []


async def test_a_meter_that_answers_at_once_is_heard_at_every_setting_of_the_line():
    for baud, parity, stop in _LINES:
        bench = _Bench(baud, parity, stop)
        bench.port.configure(baud, parity, stop)
        # The shortest silence between frames above 19200 baud.
        bench.meter.think_us = 1_750
        bench.port.write(_REQUEST)
        assert await bench.receive(2_000) == _ANSWER, (baud, parity, stop)
        assert bench.meter.requests == [_REQUEST]


async def test_the_line_is_given_free_right_behind_the_last_stop_bit():
    for baud, parity, stop in _LINES:
        bench = _Bench(baud, parity, stop)
        bench.port.configure(baud, parity, stop)
        bench.meter.answer = b""
        bench.port.write(_REQUEST)
        assert bench.meter.sending()
        await bench.port.read(bench.buf, 500)
        ((begin_us, end_us),) = bench.meter.drives
        frame_us = bench.uart.byte_us(len(_REQUEST))
        assert frame_us <= end_us - begin_us <= frame_us + 2 * _STEP_US, (baud, end_us - begin_us)


def test_writing_takes_no_time():
    bench = _Bench(300)
    bench.port.configure(300, "N", 1)
    before = bench.machine.chip.now_us
    bench.port.write(_REQUEST)
    assert bench.machine.chip.now_us == before


async def test_a_meter_with_other_settings_does_not_understand():
    for baud, parity, stop in ((19_200, "N", 1), (9_600, "E", 1), (9_600, "N", 2)):
        bench = _Bench(9_600, "N", 1)
        bench.port.configure(baud, parity, stop)
        bench.port.write(_REQUEST)
        assert await bench.receive(100) == b""
        assert bench.meter.requests == []


async def test_what_the_transceiver_hears_of_itself_is_not_read():
    bench = _Bench()
    bench.meter.echo = True
    bench.port.write(_REQUEST)
    assert await bench.receive(100) == _ANSWER


async def test_silence_ends_with_the_time_out():
    bench = _Bench()
    begin = bench.now_ms()
    assert await bench.port.read(bench.buf, 80) == 0
    assert 80 <= bench.now_ms() - begin <= 82


async def test_a_read_ends_with_the_first_bytes_and_does_not_wait_for_more():
    bench = _Bench()
    bench.uart.arrive(b"ab")
    begin = bench.now_ms()
    assert await bench.port.read(bench.buf, 500) == 2
    assert bytes(bench.buf[:2]) == b"ab"
    assert bench.now_ms() - begin <= 1


async def test_a_read_never_blocks_for_bytes_that_are_not_there():
    bench = _Bench()
    asked = []
    readinto = bench.uart.readinto

    def watched(buf, nbytes=-1):
        count = len(buf) if nbytes < 0 else nbytes
        asked.append((count, bench.uart.any()))
        return readinto(buf, count)

    bench.uart.readinto = watched
    bench.uart.arrive(b"abc")
    assert await bench.port.read(bench.buf, 500) == 3
    bench.uart.arrive(b"d")
    bench.port.discard()
    assert asked and not [pair for pair in asked if pair[0] > pair[1]], asked


async def test_a_small_buffer_leaves_the_rest_for_the_next_read():
    bench = _Bench()
    bench.uart.arrive(b"abcde")
    small = bytearray(2)
    got = b""
    for _ in range(3):
        count = await bench.port.read(memoryview(small), 50)
        got += bytes(small[:count])
    assert got == b"abcde"


async def test_frames_come_whole_to_who_reads_them():
    bench = _Bench()
    # So that the driver does not hand over each byte as it comes: a silence of 2 characters of 2 ms ends a frame.
    assert bench.uart.timeout_char == 4
    for baud, silence_ms in ((300, 82), (4_800, 6), (19_200, 2), (115_200, 2)):
        bench.port.configure(baud, "N", 1)
        assert bench.uart.timeout_char == silence_ms


async def test_what_waits_can_be_dropped():
    bench = _Bench()
    bench.uart.arrive(bytes(200))
    bench.port.discard()
    assert bench.uart.any() == 0
    assert await bench.port.read(bench.buf, 20) == 0


async def test_a_frame_of_the_greatest_length_is_kept_until_it_is_read():
    bench = _Bench()
    frame = bytes(range(256))
    bench.uart.arrive(frame)
    await asyncio.sleep_ms(50)
    assert await bench.receive(20) == frame


def test_settings_of_no_line_are_refused_and_change_nothing():
    bench = _Bench()
    bench.port.configure(19_200, "E", 2)
    for settings, name in (
        ((0, "N", 1), "baud"),
        ((200_000, "N", 1), "baud"),
        ((9_600, "M", 1), "parity"),
        ((9_600, "N", 3), "stop_bits"),
        ((9_600, "N", 0), "stop_bits"),
    ):
        try:
            bench.port.configure(*settings)
        except ValueError as error:
            assert name in str(error)
        else:
            raise AssertionError("%r was taken" % (settings,))
        assert (bench.uart.baudrate, bench.uart.parity, bench.uart.stop) == (19_200, 0, 2)


async def test_the_firmwares_master_reads_a_meter_over_it():
    from wallbox.energy.rtu import RtuMaster, RtuTimeout

    bench = _Bench(9_600, "E", 1)
    master = RtuMaster(bench.port, Record(ticks_ms=bench.clock.ticks_ms))
    master.configure(9_600, "E")
    for _ in range(3):
        assert bytes(await master.read_holding(1, 0x5000, 2, 100)) == b"\x43\x66\x33\x33"
    assert bench.meter.requests == [_REQUEST] * 3
    bench.meter.answer = b""
    try:
        await master.read_holding(1, 0x5000, 2, 100)
    except RtuTimeout:
        return
    raise AssertionError("an answer of nobody")
