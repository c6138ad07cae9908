"""boards/esp32s3/hal/reader.py: the driver of the firmware on the chip's lines, reset at the port expander (R17)."""

import asyncio

import s3_board
from virtual_time import VirtualTime

from mfrc522 import Mfrc522, ReaderError

_SAFE_BUS = (21, 40, 47)
_EXPANDER_CS = 37
_RESET_BIT = 1
_CARDS = ("DEADBEEF", "04A1B2C3D4E5F6", "04A1B2C3D4E5F6A7B8C9")


class _Bench:
    """The firmware's driver, and the chip with expander around it."""

    def __init__(self):
        time = VirtualTime()
        machine, _ = s3_board.chip()
        import parts
        from rfid_lines import Reader

        self.expander = parts.Expander(*_SAFE_BUS, _EXPANDER_CS, 0x97)
        # Clock, MOSI, MISO, chip select.
        self.reader = machine.wire_spi(43, 46, 3, 15, Reader(time))
        self.spi = s3_board.load("reader").ReaderSpi()
        # The line from expander to chip, with its pull-down.
        self._set = self.spi._expander.set
        self.spi._expander.set = self._follow
        self.driver = Mfrc522(self.spi)

    def _follow(self, line, on):
        self._set(line, on)
        self.reader.chip.reset(not self.expander.output(_RESET_BIT))


def test_the_reader_is_held_in_reset_until_somebody_wants_it():
    bench = _Bench()
    assert not bench.expander.output(_RESET_BIT)
    bench.spi.reset(True)
    assert bench.expander.output(_RESET_BIT) == 0
    bench.spi.reset(False)
    assert bench.expander.output(_RESET_BIT) == 1


def test_the_reset_leaves_the_other_outputs_of_the_expander_alone():
    bench = _Bench()
    # Reset of the Ethernet chip let go, key of the modem pressed.
    bench.expander.registers[0x15] = 0b110
    bench.spi.reset(False)
    assert bench.expander.registers[0x15] == 0b111
    bench.spi.reset(True)
    assert bench.expander.registers[0x15] == 0b110


def test_the_driver_sets_up_the_chip_over_these_lines():
    bench = _Bench()
    asyncio.run(bench.driver.init())
    assert bench.driver.version == 0x92


def test_cards_of_all_lengths_are_read():
    for text in _CARDS:
        bench = _Bench()
        asyncio.run(bench.driver.init())
        assert asyncio.run(bench.driver.read_uid()) is None
        bench.reader.chip.present(bytes.fromhex(text))
        assert asyncio.run(bench.driver.read_uid()) == bytes.fromhex(text)


def test_two_cards_at_once_are_told_apart():
    bench = _Bench()
    asyncio.run(bench.driver.init())
    uids = [bytes.fromhex(text) for text in ("04A1B2C3D4E5F6", "04A1B2C3D4E5F7")]
    for uid in uids:
        bench.reader.chip.present(uid)
    found = [asyncio.run(bench.driver.read_uid()), asyncio.run(bench.driver.read_uid(False))]
    assert sorted(found) == uids


def test_a_chip_that_is_not_there_is_an_error():
    bench = _Bench()
    bench.reader.chip.broken = 0xFF
    try:
        asyncio.run(bench.driver.init())
    except ReaderError:
        return
    raise AssertionError("no chip, no error")


def test_between_frames_the_chip_is_not_selected():
    bench = _Bench()
    machine = __import__("machine")
    assert machine.Pin(15).level() == 1
    bench.spi.write(b"\x02\x00")
    assert machine.Pin(15).level() == 1
    bench.spi.write_readinto(b"\xee\x00", bytearray(2))
    assert machine.Pin(15).level() == 1
