"""The MFRC522 driver on the register-level chip model."""

import asyncio

from virtual_time import VirtualTime

from mfrc522 import CardError, Mfrc522, ReaderError, crc_a
from plant.mfrc522_chip import Mfrc522Chip

FOUR = bytes.fromhex("DEADBEEF")
SEVEN = bytes.fromhex("04A1B2C3D4E5F6")
TEN = bytes.fromhex("04A1B2C3D4E5F6A7B8C9")
FIFO_WRITE = 0x12
BIT_FRAMING_WRITE = 0x1A


class Spi:
    """The bus between driver and chip: counts accesses and can do something before each."""

    def __init__(self, chip):
        self.chip = chip
        self.accesses = 0
        self.frame = None
        self.before = None

    def _access(self, tx):
        self.accesses += 1
        if tx[0] == FIFO_WRITE:
            self.frame = bytes(tx[1:])
        if self.before:
            self.before(tx)

    def write(self, buf):
        self._access(buf)
        self.chip.spi(buf)

    def write_readinto(self, tx, rx):
        assert len(tx) == len(rx), "SPI moves as many bytes in as out"
        self._access(tx)
        self.chip.spi(tx, rx)

    def reset(self, active):
        self.chip.reset(active)


class Bench:
    """A driver on a chip in virtual time."""

    def __init__(self, *uids):
        self.time = VirtualTime()
        self.chip = Mfrc522Chip(self.time)
        self.spi = Spi(self.chip)
        self.driver = Mfrc522(self.spi)
        asyncio.run(self.driver.init())
        for uid in uids:
            self.chip.present(uid)

    def read(self, wake_halted=True):
        return asyncio.run(self.driver.read_uid(wake_halted))

    def read_all(self):
        found = [self.read()]
        while found[-1] is not None:
            assert len(found) < 50, "a halted card answers REQA"
            found.append(self.read(False))
        return found[:-1]

    def error(self, kind):
        try:
            uid = self.read()
        except kind as error:
            return str(error)
        raise AssertionError("no %s; read %s" % (kind.__name__, uid))


def refused(kind, function, *arguments):
    try:
        function(*arguments)
    except kind as error:
        return str(error)
    raise AssertionError("no " + kind.__name__)


def test_crc_a_has_the_values_of_the_standards_examples():
    assert crc_a(b"\x00\x00") == 0x1EA0, "ISO/IEC 14443-3 annex B, first example"
    assert crc_a(b"\x12\x34") == 0xCF26, "ISO/IEC 14443-3 annex B, second example"


def test_reads_uids_of_four_seven_and_ten_bytes():
    bench = Bench()
    for uid, sak in ((FOUR, 0x08), (SEVEN, 0x00), (TEN, 0x20)):
        bench.chip.present(uid)
        assert bench.read() == uid, uid
        assert bench.driver.sak == sak
        bench.chip.remove(uid)
        assert bench.read() is None


def test_an_empty_field_costs_seven_accesses_and_two_milliseconds():
    bench = Bench()
    before, start = bench.spi.accesses, bench.time.now_ms
    assert bench.read() is None
    assert bench.spi.accesses - before == 7
    assert bench.time.now_ms - start == 2


def test_a_held_card_is_seen_at_every_call():
    bench = Bench(SEVEN)
    for _ in range(5):
        assert bench.read() == SEVEN


def test_a_halted_card_does_not_answer_when_only_new_ones_are_asked():
    bench = Bench(SEVEN)
    assert bench.read() == SEVEN
    assert bench.read(False) is None
    assert bench.read() == SEVEN


def test_two_cards_are_told_apart_at_whatever_bit_they_differ():
    base = bytes.fromhex("10203040")
    for bit in range(32):
        other = bytearray(base)
        other[bit // 8] ^= 1 << bit % 8
        if other[0] == 0x88:
            continue
        bench = Bench(base, bytes(other))
        assert set(bench.read_all()) == {base, bytes(other)}, "bit %d" % bit


def test_a_wallet_of_many_cards_of_all_sizes_is_read_completely():
    cards = [bytes((0x10, 0, 0, i)) for i in range(1, 12)]
    cards += [SEVEN, bytes.fromhex("04A1B2C3D4E5F7"), bytes.fromhex("04A1B2C3D4E5F2"), TEN, FOUR]
    cards += [bytes.fromhex("04A1B2C3D4E5F6A7B8C8")]
    found = Bench(*cards).read_all()
    assert len(found) == len(cards) and set(found) == set(cards), found


def test_several_cards_are_read_although_later_collision_positions_are_wrong():
    class Misleading(Mfrc522Chip):
        def _collide(self, value, clash, align):
            value = Mfrc522Chip._collide(self, value, clash, align)
            if align:
                self._regs[0x0E] ^= 0x15
            return value

    cards = {bytes((0x10, 0, i, 0x80)) for i in range(9)}
    bench = Bench()
    bench.chip = bench.spi.chip = Misleading(bench.time)
    asyncio.run(bench.driver.init())
    for uid in cards:
        bench.chip.present(uid)
    assert set(bench.read_all()) == cards


def test_a_card_pulled_away_at_any_access_gives_no_wrong_uid_and_the_next_card_is_read():
    for uid in (SEVEN, TEN):
        bench = Bench(uid)
        first = bench.spi.accesses
        bench.read()
        errors = 0
        for moment in range(bench.spi.accesses - first):
            bench = Bench(uid)
            left = [moment]

            def pull(_, bench=bench, left=left):
                if left[0] == 0:
                    bench.chip.remove()
                left[0] -= 1

            bench.spi.before = pull
            try:
                assert bench.read() in (None, uid), "pulled at access %d" % moment
            except CardError:
                errors += 1
            bench.spi.before = None
            assert bench.read() is None
            bench.chip.present(FOUR)
            assert bench.read() == FOUR, "after a card was pulled at access %d" % moment
        assert errors > 10, "hardly any moment was noticed"


def test_a_card_pulled_away_while_it_answers_is_an_error():
    bench = Bench(SEVEN)

    async def pull():
        await asyncio.sleep_ms(2)
        # The anticollision frame runs now; its answer is complete one millisecond after it began.
        bench.chip.remove()

    async def both():
        task = asyncio.create_task(pull())
        try:
            return await bench.driver.read_uid()
        finally:
            await task

    assert "garbled" in refused(CardError, asyncio.run, both())


def test_a_wrong_bit_in_uid_or_sak_is_an_error():
    for command, expected in ((b"\x93\x20", "BCC"), (b"\x93\x70", "CRC")):
        bench = Bench(FOUR)

        def spoil(tx, bench=bench, command=command):
            if tx[0] == BIT_FRAMING_WRITE and bench.spi.frame[:2] == command:
                bench.chip.garble = 1

        bench.spi.before = spoil
        assert expected in bench.error(CardError)
        bench.spi.before = None
        assert bench.read() is None, "the confused card goes back to sleep first"
        assert bench.read() == FOUR


def test_two_cards_with_the_same_uid_look_like_one():
    bench = Bench(FOUR)
    bench.chip._cards.append(type(bench.chip._cards[0])(FOUR))
    bench.chip._cards[1].state = bench.chip._cards[0].state
    assert bench.read() == FOUR


def test_a_chip_that_fails_at_any_access_is_an_error_and_works_after_init():
    for stuck in (0x00, 0xFF):
        for moment in range(7):
            bench = Bench(SEVEN)
            left = [moment]

            def fail(_, bench=bench, left=left, stuck=stuck):
                if left[0] == 0:
                    bench.chip.broken = stuck
                left[0] -= 1

            bench.spi.before = fail
            assert "ComIrqReg" in bench.error(ReaderError)
            assert bench.time.now_ms < 60, "a dead chip is noticed within some milliseconds"
            bench.spi.before = None
            bench.chip.broken = None
            asyncio.run(bench.driver.init())
            assert bench.read() == SEVEN


def test_a_chip_that_lost_its_settings_does_not_pass_for_an_empty_field():
    bench = Bench()
    bench.chip.reset(True)
    bench.chip.reset(False)
    assert "did not end" in bench.error(ReaderError)


def test_init_refuses_a_bus_without_a_chip():
    bench = Bench()
    for stuck in (0x00, 0xFF):
        bench.chip.broken = stuck
        assert "0x%02X is not allowed" % stuck in refused(ReaderError, asyncio.run, bench.driver.init())


def test_init_refuses_a_chip_that_keeps_nothing():
    bench = Bench()
    bench.chip._write = lambda register, value: None
    assert "does not keep" in refused(ReaderError, asyncio.run, bench.driver.init())


def test_init_takes_30_ms_at_most():
    bench = Bench()
    assert bench.time.now_ms <= 30, bench.time.now_ms


def test_reading_never_holds_the_loop_longer_than_a_frame():
    bench = Bench(*[bytes((0x10, 0, 0, i)) for i in range(1, 9)])
    stretches = [0]

    def count(_):
        stretches[-1] += 1

    original = asyncio.sleep_ms

    def sleep_ms(ms):
        stretches.append(0)
        return original(ms)

    bench.spi.before = count
    asyncio.sleep_ms = sleep_ms
    try:
        assert len(bench.read_all()) == 8
    finally:
        asyncio.sleep_ms = original
    # 13 accesses of about 20 us each are well below the 5 ms that the loop allows.
    assert max(stretches) <= 13, max(stretches)
