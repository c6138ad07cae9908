"""The MFRC522 model against the data sheet, with hand-written register sequences."""

from virtual_time import VirtualTime

from plant.mfrc522_chip import Mfrc522Chip, crc_a

FOUR = bytes.fromhex("DEADBEEF")


def refused(kind, function, *arguments):
    try:
        function(*arguments)
    except kind as error:
        return str(error)
    raise AssertionError("no " + kind.__name__)


class Bare:
    """A chip with nothing but SPI frames."""

    def __init__(self, *uids):
        self.time = VirtualTime()
        self.chip = Mfrc522Chip(self.time)
        self.time.now_ms += 1
        for uid in uids:
            self.chip.present(uid)

    def write(self, register, *values):
        self.chip.spi(bytes((register << 1,) + values))

    def read(self, register):
        return self.burst(register, 1)[0]

    def burst(self, register, count):
        address = register << 1 | 0x80
        rx = bytearray(count + 1)
        self.chip.spi(bytes([address] * count + [0]), rx)
        return bytes(rx[1:])

    def field_on(self):
        self.write(0x15, 0x40)
        self.write(0x11, 0x3D)
        self.write(0x14, 0x83)
        self.time.now_ms += 5

    def timer(self, prescaler, reload):
        self.write(0x2A, 0x80 | prescaler >> 8)
        self.write(0x2B, prescaler & 0xFF)
        self.write(0x2C, reload >> 8)
        self.write(0x2D, reload & 0xFF)

    def send(self, frame, framing=0):
        self.write(0x01, 0x00)
        self.write(0x04, 0x7F)
        self.write(0x0A, 0x80)
        self.write(0x09, *frame)
        self.write(0x01, 0x0C)
        self.write(0x0D, 0x80 | framing)

    def exchange(self, frame, framing=0):
        self.send(frame, framing)
        self.time.now_ms += 1
        return self.burst(0x09, self.read(0x0A)) if self.read(0x04) & 0x20 else None


def test_chip_registers_have_the_reset_values_of_the_data_sheet():
    bare = Bare()
    expected = {
        0x01: 0x20,
        0x04: 0x14,
        0x07: 0x21,
        0x0A: 0x00,
        0x0E: 0xA0,
        0x11: 0x3F,
        0x14: 0x80,
        0x37: 0x92,
    }
    for register, value in expected.items():
        assert bare.read(register) == value, "register 0x%02X" % register


def test_chip_starts_up_after_soft_reset_and_forgets_its_settings():
    bare = Bare()
    bare.write(0x15, 0x40)
    bare.write(0x01, 0x0F)
    assert bare.read(0x01) & 0x10, "PowerDown while the oscillator starts"
    bare.time.now_ms += 1
    assert bare.read(0x01) == 0x20
    assert bare.read(0x15) == 0


def test_chip_is_dead_while_its_reset_pin_is_low():
    bare = Bare()
    bare.chip.reset(True)
    assert bare.read(0x37) == 0
    bare.chip.reset(False)
    assert bare.read(0x37) == 0x92


def test_chip_has_a_fifo_of_64_bytes_that_flags_overflow():
    bare = Bare()
    bare.write(0x09, *range(64))
    assert bare.read(0x0A) == 64 and bare.read(0x07) & 2, "HiAlert"
    assert bare.read(0x06) == 0
    bare.write(0x09, 99)
    assert bare.read(0x06) == 0x10, "BufferOvfl"
    assert bare.burst(0x09, 64) == bytes(range(64))
    assert bare.read(0x0A) == 0 and bare.read(0x09) == 0
    bare.write(0x0A, 0x80)
    assert bare.read(0x06) == 0, "FlushBuffer clears BufferOvfl"


def test_chip_sets_and_clears_interrupt_bits_as_set1_says():
    bare = Bare()
    bare.write(0x04, 0x7F)
    assert bare.read(0x04) == 0
    bare.write(0x04, 0x80 | 0x21)
    assert bare.read(0x04) == 0x21
    bare.write(0x04, 0x20)
    assert bare.read(0x04) == 0x01


def test_chip_coprocessor_calculates_crc_a():
    bare = Bare()
    bare.write(0x11, 0x3D)
    bare.write(0x09, 0x12, 0x34)
    bare.write(0x01, 0x03)
    assert bare.read(0x05) & 0x04, "CRCIRq"
    assert (bare.read(0x21), bare.read(0x22)) == (0xCF, 0x26)


def test_chip_hears_the_answer_to_reqa_one_millisecond_later():
    bare = Bare(FOUR)
    bare.field_on()
    bare.send(b"\x26", 7)
    assert not bare.read(0x04) & 0x60
    bare.time.now_ms += 1
    assert bare.read(0x04) & 0x60 == 0x60, "TxIRq and RxIRq"
    assert bare.read(0x0A) == 2
    assert bare.burst(0x09, 2) == b"\x04\x00"
    assert bare.read(0x0C) & 7 == 0, "RxLastBits: whole bytes"


def test_chip_hears_nothing_before_a_card_has_started_or_without_field():
    bare = Bare(FOUR)
    bare.timer(169, 39)
    assert bare.exchange(b"\x26", 7) is None
    assert not bare.read(0x04) & 0x40, "without field nothing is sent"
    bare.field_on()
    bare.time.now_ms -= 3
    assert bare.exchange(b"\x26", 7) is None
    bare.time.now_ms += 5
    assert bare.exchange(b"\x26", 7) == b"\x04\x00"


def test_chip_timer_counts_from_the_end_of_the_frame():
    bare = Bare()
    bare.field_on()
    bare.timer(169, 399)  # 400 steps of 25 us: 10 ms
    bare.send(b"\x26", 7)
    bare.time.now_ms += 10
    assert not bare.read(0x04) & 1
    bare.time.now_ms += 1
    assert bare.read(0x04) & 0x41 == 0x41


def test_chip_reads_a_whole_uid_with_hand_written_frames():
    bare = Bare(FOUR)
    bare.field_on()
    assert bare.exchange(b"\x52", 7) == b"\x04\x00"
    assert bare.exchange(b"\x93\x20") == FOUR + b"\x22"
    bare.write(0x12, 0x80)
    bare.write(0x13, 0x80)
    assert bare.exchange(b"\x93\x70" + FOUR + b"\x22") == b"\x08", "CRC added and taken off by the chip"
    assert bare.read(0x06) == 0


def test_chip_answers_to_a_known_prefix_with_the_rest_aligned():
    bare = Bare(FOUR)
    bare.field_on()
    bare.exchange(b"\x52", 7)
    # 12 bits known: DE and the low half of AD; the answer starts at bit 4.
    assert bare.exchange(b"\x93\x34\xde\x0d", 0x44) == b"\xa0\xbe\xef\x22"
    bare.exchange(b"\x52", 7)
    bare.exchange(b"\x52", 7)
    assert bare.exchange(b"\x93\x34\xde\x0e", 0x44) is None, "another card's prefix"


def test_chip_tells_the_place_of_a_collision_and_clears_what_follows():
    bare = Bare(bytes.fromhex("10203040"), bytes.fromhex("10243040"))
    bare.field_on()
    bare.exchange(b"\x52", 7)
    bare.write(0x0E, 0x00)
    assert bare.exchange(b"\x93\x20") == b"\x10\x00\x00\x00\x00"
    assert bare.read(0x06) == 0x08, "CollErr"
    assert bare.read(0x0E) == 11, "bit 3 of byte 2"
    bare.exchange(b"\x52", 7)
    bare.exchange(b"\x52", 7)
    bare.write(0x0E, 0x80)
    answer = bare.exchange(b"\x93\x20")
    assert answer[:4] == b"\x10\x24\x30\x40", "ValuesAfterColl keeps what was heard"


def test_chip_card_wakes_only_as_its_state_allows():
    bare = Bare(FOUR)
    bare.field_on()
    assert bare.exchange(b"\x26", 7) is not None
    assert bare.exchange(b"\x26", 7) is None, "READY: an unexpected REQA sends it back to IDLE"
    assert bare.exchange(b"\x26", 7) is not None
    bare.exchange(b"\x93\x20")
    select = b"\x93\x70" + FOUR + b"\x22"
    crc = crc_a(select)
    assert bare.exchange(select + bytes((crc & 0xFF, crc >> 8))) == b"\x08\xb6\xdd"
    assert bare.exchange(b"\x50\x00\x57\xcd") is None
    assert bare.exchange(b"\x26", 7) is None, "HALT does not answer REQA"
    assert bare.exchange(b"\x52", 7) is not None, "HALT answers WUPA"


def test_chip_card_forgets_its_state_when_the_field_goes():
    bare = Bare(FOUR)
    bare.field_on()
    bare.exchange(b"\x26", 7)
    bare.write(0x14, 0x80)
    bare.write(0x14, 0x83)
    bare.time.now_ms += 5
    assert bare.exchange(b"\x26", 7) is not None


def test_chip_refuses_uids_that_no_card_has():
    bare = Bare()
    assert "5 bytes are not allowed" in refused(ValueError, bare.chip.present, b"12345")
    assert "byte 0 is 88" in refused(ValueError, bare.chip.present, b"\x88123")
    assert "byte 3 is 88" in refused(ValueError, bare.chip.present, b"\x04ab\x88123")
    bare.chip.present(FOUR)
    bare.chip.present(FOUR)
    assert bare.chip.uids() == [FOUR]
