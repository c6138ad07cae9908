"""Model of an MFRC522 at register level with ISO/IEC 14443 A cards in its field; it knows no driver.

Registers, reset values and commands as in NXP's data sheet MFRC522 Rev. 3.9 (sections 9 and 10); the
cards follow the state diagram of ISO/IEC 14443-3:2016 clause 6. Outside the model: MIFARE
authentication, card memory, higher bit rates, interrupts on the IRQ pin, analogue settings.
"""

from micropython import const

# Registers (table 20).
_COMMAND = const(0x01)
_COM_IRQ = const(0x04)
_DIV_IRQ = const(0x05)
_ERROR = const(0x06)
_STATUS1 = const(0x07)
_FIFO_DATA = const(0x09)
_FIFO_LEVEL = const(0x0A)
_WATER_LEVEL = const(0x0B)
_CONTROL = const(0x0C)
_BIT_FRAMING = const(0x0D)
_COLL = const(0x0E)
_MODE = const(0x11)
_TX_MODE = const(0x12)
_RX_MODE = const(0x13)
_TX_CONTROL = const(0x14)
_CRC_RESULT_H = const(0x21)
_CRC_RESULT_L = const(0x22)
_T_MODE = const(0x2A)
_T_PRESCALER = const(0x2B)
_T_RELOAD_H = const(0x2C)
_T_RELOAD_L = const(0x2D)
_VERSION = const(0x37)

# Commands (table 149).
_CALC_CRC = const(0x3)
_TRANSCEIVE = const(0xC)
_SOFT_RESET = const(0xF)

_POWER_DOWN = const(0x10)  # CommandReg
_TX_IRQ = const(0x40)  # ComIrqReg
_RX_IRQ = const(0x20)
_ERR_IRQ = const(0x02)
_TIMER_IRQ = const(0x01)
_CRC_IRQ = const(0x04)  # DivIrqReg
_BUFFER_OVFL = const(0x10)  # ErrorReg
_COLL_ERR = const(0x08)
_CRC_ERR = const(0x04)
_PARITY_ERR = const(0x02)
_PROTOCOL_ERR = const(0x01)

_FIFO_SIZE = const(64)  # section 8.3
_START_UP_MS = const(1)  # oscillator start-up after reset (section 8.8.3)
_FRAME_MS = const(1)  # request and answer at 106 kbit/s take 0.4 .. 1.4 ms
_CARD_START_MS = const(5)  # a card is ready 5 ms after the field came (ISO/IEC 14443-3 6.2.2)

# Reset values that are not 0 (section 9.3), as register, value.
_RESET_VALUES = (
    (0x01, 0x20), (0x02, 0x80), (0x04, 0x14), (0x07, 0x21), (0x0B, 0x08), (0x0C, 0x10), (0x0E, 0xA0),
    (0x11, 0x3F), (0x14, 0x80), (0x16, 0x10), (0x17, 0x84), (0x18, 0x84), (0x19, 0x4D), (0x1C, 0x62),
    (0x1F, 0xEB), (0x21, 0xFF), (0x22, 0xFF), (0x24, 0x26), (0x26, 0x48), (0x27, 0x88), (0x28, 0x20),
    (0x29, 0x20), (0x33, 0x80), (0x37, 0x92),
)  # fmt: skip
# Registers that a write does not change (R in section 9.3).
_READ_ONLY = (_ERROR, _STATUS1, _CRC_RESULT_H, _CRC_RESULT_L, 0x2E, 0x2F, _VERSION)

# States of a card.
_OFF = const(0)
_IDLE_STATE = const(1)
_READY = const(2)
_ACTIVE = const(3)
_HALTED = const(4)

_WUPA = const(0x52)
_REQA = const(0x26)
_HALT = b"\x50\x00"


def crc_a(data, preset: int = 0x6363) -> int:
    """CRC of ISO/IEC 14443-3 annex B over `data`, bit by bit."""
    crc = preset
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc


class Card:
    """One type A card: answers frames according to its state. Bits travel least significant first."""

    def __init__(self, uid: bytes):
        if len(uid) not in (4, 7, 10):
            raise ValueError("uid: %d bytes are not allowed; allowed: 4, 7 or 10" % len(uid))
        # There it would be taken for the cascade tag (6.5.4).
        if len(uid) < 10 and uid[len(uid) - 4] == 0x88:
            raise ValueError("uid: byte %d is 88, which is not allowed; allowed: any other value" % (len(uid) - 4))
        self.uid = uid
        parts = [uid[i : i + 3] for i in range(0, len(uid) - 4, 3)]
        self.levels = [self._level(b"\x88" + part) for part in parts] + [self._level(uid[-4:])]
        # ATQA tells the size of the UID in bits 7 and 8, and the frame kind in bit 3 (6.5.2).
        self.atqa = 0x0004 | (len(self.levels) - 1) << 6
        self.final_sak = (0x08, 0x00, 0x20)[len(self.levels) - 1]
        self.state = _OFF
        self.level = 0
        self.was_halted = False

    @staticmethod
    def _level(four: bytes) -> int:
        return int.from_bytes(four + bytes((four[0] ^ four[1] ^ four[2] ^ four[3],)), "little")

    def answer(self, frame, bits: int):
        """-> (value, bits) of the answer to a frame, or None; moves the card's state."""
        if bits == 7:
            return self._request(frame[0])
        if self.state == _READY and bits >= 16 and frame[0] == 0x93 + 2 * self.level:
            if frame[1] != 0x70:
                return self._anticollision(frame, bits)
            if bits == 72 and crc_a(frame) == 0:
                return self._select(int.from_bytes(frame[2:7], "little"))
        if self.state == _ACTIVE and bits == 32 and frame[:2] == _HALT and crc_a(frame) == 0:
            self.state = _HALTED
            return None
        self._fall_back()
        return None

    def _request(self, command: int):
        halted = self.state == _HALTED
        woken = command == _WUPA and (halted or self.state == _IDLE_STATE)
        if woken or command == _REQA and self.state == _IDLE_STATE:
            self.was_halted = halted
            self.state = _READY
            self.level = 0
            return self.atqa, 16
        self._fall_back()
        return None

    def _fall_back(self) -> None:
        # Anything unexpected in READY or ACTIVE sends a card back where it was woken from.
        if self.state == _READY or self.state == _ACTIVE:
            self.state = _HALTED if self.was_halted else _IDLE_STATE

    def _anticollision(self, frame, bits: int):
        known = ((frame[1] >> 4) - 2) * 8 + (frame[1] & 7)
        if known + 16 != bits or known > 32:
            self._fall_back()
            return None
        own = self.levels[self.level]
        mask = (1 << known) - 1
        if known and (int.from_bytes(frame[2:], "little") ^ own) & mask:
            return None
        return own >> known, 40 - known

    def _select(self, value: int):
        if value != self.levels[self.level]:
            self._fall_back()
            return None
        self.level += 1
        sak = 0x04
        if self.level == len(self.levels):
            self.state = _ACTIVE
            sak = self.final_sak
        return sak | crc_a((sak,)) << 8, 24


class Mfrc522Chip:
    """The chip on its SPI bus.

    `plant` gives the time as attribute `now_ms`. `broken` makes MISO stick at that byte (0x00 or 0xFF),
    None is a sound chip. `garble` is the number of coming card answers that get one wrong bit which
    parity does not show, as from a card at the edge of the field.
    """

    def __init__(self, plant):
        self._plant = plant
        self._cards = []
        self._fifo = bytearray()
        self._regs = bytearray(64)
        self._in_reset = False
        # The running exchange: at `_due_ms` (None: nothing runs) these are heard, as card, value, its
        # bits, and how many of them the card sends before it is taken away.
        self._due_ms = None
        self._answers = []
        self._asleep_until_ms = None
        self._field_ms = None
        self.broken = None
        self.garble = 0
        self._power_up()

    # The field.

    def present(self, uid: bytes) -> None:
        """Hold a card with a UID of 4, 7 or 10 bytes to the reader; a card that is there stays there.

        Raises ValueError for a UID that no card can have.
        """
        uid = bytes(uid)
        if uid in self.uids():
            return
        self._catch_up()
        card = Card(uid)
        if self._field_ms is not None:
            card.state = _IDLE_STATE
        self._cards.append(card)

    def remove(self, uid=None) -> None:
        """Take a card away, or all of them; an answer that it is sending breaks off."""
        self._catch_up()
        if uid is not None:
            uid = bytes(uid)
        gone = [card for card in self._cards if uid is None or card.uid == uid]
        self._cards = [card for card in self._cards if card not in gone]
        # Half of the answer has been sent; the rest is lost.
        self._answers = [
            (card, value, bits, bits // 2 if card in gone else sent) for card, value, bits, sent in self._answers
        ]

    def uids(self) -> list:
        """UIDs of the cards in the field."""
        return [card.uid for card in self._cards]

    # The pins.

    def reset(self, active: bool) -> None:
        """Drive NRSTPD: active is the hard power-down of section 8.6.1, release starts the chip."""
        self._in_reset = bool(active)
        self._power_up()

    def spi(self, tx, rx=None) -> None:
        """One chip-select frame (section 8.1.2): `tx` on MOSI, `rx` of the same length filled from MISO."""
        # Small functions with few names run faster: MicroPython takes the frame of a large one from the
        # heap at every call.
        if self._due_ms is not None or self._asleep_until_ms is not None:
            self._catch_up()
        if self.broken is not None or self._in_reset:
            self._stuck(rx)
        elif len(tx) != 2:
            self._burst(tx, rx)
        elif not tx[0] & 0x80:
            self._write(tx[0] >> 1, tx[1])
        elif rx is not None:
            rx[1] = self._read(tx[0] >> 1 & 0x3F)

    def _stuck(self, rx) -> None:
        if rx is not None:
            for i in range(len(rx)):
                rx[i] = self.broken or 0

    def _burst(self, tx, rx) -> None:
        if not tx[0] & 0x80:
            for i in range(1, len(tx)):
                self._write(tx[0] >> 1, tx[i])
        elif rx is not None:
            for i in range(1, len(rx)):
                rx[i] = self._read(tx[i - 1] >> 1 & 0x3F)

    # Registers.

    def _power_up(self) -> None:
        regs = self._regs
        for i in range(64):
            regs[i] = 0
        for register, value in _RESET_VALUES:
            regs[register] = value
        self._fifo = bytearray()
        self._due_ms = None
        self._answers = []
        self._field(False)
        regs[_COMMAND] |= _POWER_DOWN
        self._asleep_until_ms = self._plant.now_ms + _START_UP_MS

    def _read(self, register: int) -> int:
        return self._pop() if register == _FIFO_DATA else self._regs[register]

    def _write(self, register: int, value: int) -> None:
        if register == _FIFO_DATA:
            self._push(value)
        elif register == _COMMAND:
            self._command(value)
        elif register in (_COM_IRQ, _DIV_IRQ):
            # Bit 7 (Set1, Set2) says whether the marked bits are set or cleared.
            if value & 0x80:
                self._regs[register] |= value & 0x7F
            else:
                self._regs[register] &= ~value
        elif register == _FIFO_LEVEL:
            if value & 0x80:
                self._regs[_ERROR] &= ~_BUFFER_OVFL
                if self._fifo:
                    self._fifo = bytearray()
                    self._level_changed()
        elif register == _BIT_FRAMING:
            self._regs[register] = value & 0x77
            if value & 0x80 and self._regs[_COMMAND] & 0x0F == _TRANSCEIVE:
                self._transmit()
        elif register == _COLL:
            self._regs[register] = self._regs[register] & 0x3F | value & 0x80
        elif register == _TX_CONTROL:
            self._regs[register] = value
            self._field(value & 0x03 != 0)
        elif register not in _READ_ONLY and register < 64:
            self._regs[register] = value

    def _push(self, value: int) -> None:
        if len(self._fifo) >= _FIFO_SIZE:
            self._regs[_ERROR] |= _BUFFER_OVFL
            self._regs[_COM_IRQ] |= _ERR_IRQ
            return
        self._fifo.append(value)
        self._level_changed()

    def _pop(self) -> int:
        if not self._fifo:
            return 0
        value = self._fifo[0]
        self._fifo = self._fifo[1:]
        self._level_changed()
        return value

    def _level_changed(self) -> None:
        level = len(self._fifo)
        regs = self._regs
        regs[_FIFO_LEVEL] = level
        # HiAlert when at most WaterLevel bytes are free, LoAlert when at most that many are stored (9.3.1.8).
        high = _FIFO_SIZE - level <= regs[_WATER_LEVEL]
        low = level <= regs[_WATER_LEVEL]
        regs[_STATUS1] = regs[_STATUS1] & 0xFC | high << 1 | low
        regs[_COM_IRQ] |= high << 3 | low << 2

    def _command(self, value: int) -> None:
        command = value & 0x0F
        self._regs[_COMMAND] = value & 0x3F
        # Any command ends the one that runs.
        self._due_ms = None
        self._answers = []
        if command == _SOFT_RESET:
            self._power_up()
        elif command == _CALC_CRC:
            self._calculate_crc()

    def _preset(self) -> int:
        return (0x0000, 0x6363, 0xA671, 0xFFFF)[self._regs[_MODE] & 3]

    def _calculate_crc(self) -> None:
        # The coprocessor needs 64 clocks a byte at 13.56 MHz: 0.3 ms at most, no time here.
        crc = crc_a(self._fifo, self._preset())
        self._fifo = bytearray()
        self._level_changed()
        self._regs[_CRC_RESULT_H] = crc >> 8
        self._regs[_CRC_RESULT_L] = crc & 0xFF
        self._regs[_DIV_IRQ] |= _CRC_IRQ

    # The air.

    def _field(self, on: bool) -> None:
        if on == (self._field_ms is not None):
            return
        self._field_ms = self._plant.now_ms if on else None
        for card in self._cards:
            card.state = _IDLE_STATE if on else _OFF

    def _transmit(self) -> None:
        """Send the FIFO's content; the answers are settled now and heard when the exchange is over."""
        regs = self._regs
        if self._field_ms is None or not self._fifo:
            # With the field off nothing is sent (ModeReg, TxWaitRF); an empty frame is none either.
            return
        frame = bytes(self._fifo)
        self._fifo = bytearray()
        self._level_changed()
        last = regs[_BIT_FRAMING] & 7
        bits = 8 * len(frame) - (8 - last if last else 0)
        if regs[_TX_MODE] & 0x80:
            crc = crc_a(frame, self._preset())
            frame += bytes((crc & 0xFF, crc >> 8))
            bits += 16
        now = self._plant.now_ms
        self._answers = []
        if self._cards and now - self._field_ms >= _CARD_START_MS:
            for card in self._cards:
                answer = card.answer(frame, bits)
                if answer is not None:
                    self._answers.append((card, answer[0], answer[1], answer[1]))
        self._due_ms = now + _FRAME_MS
        if not self._answers:
            self._due_ms += self._timeout_ms()

    def _timeout_ms(self) -> int:
        """What the timer counts after the last sent bit, rounded up (section 8.5); without TAuto for ever."""
        regs = self._regs
        if not regs[_T_MODE] & 0x80:
            return 1 << 40
        prescaler = (regs[_T_MODE] & 0x0F) << 8 | regs[_T_PRESCALER]
        reload = regs[_T_RELOAD_H] << 8 | regs[_T_RELOAD_L]
        return -(-(2 * prescaler + 1) * (reload + 1) // 13560)

    def _catch_up(self) -> None:
        """Let happen what is due by now."""
        now = self._plant.now_ms
        if self._asleep_until_ms is not None and now >= self._asleep_until_ms:
            self._asleep_until_ms = None
            self._regs[_COMMAND] &= ~_POWER_DOWN
        if self._due_ms is None or now < self._due_ms:
            return
        self._due_ms = None
        answers = self._answers
        self._answers = []
        self._regs[_COM_IRQ] |= _TX_IRQ
        self._regs[_ERROR] &= _BUFFER_OVFL
        self._regs[_COLL] |= 0x20
        if answers:
            self._receive(answers)
        else:
            self._regs[_COM_IRQ] |= _TIMER_IRQ

    def _receive(self, answers) -> None:
        """Lay the answers of all cards over each other, as the field does, into the FIFO."""
        first, bits = answers[0][1:3]
        shared = min([sent for _, _, _, sent in answers])
        value = clash = 0
        for _, one, _, sent in answers:
            value |= one & (1 << sent) - 1
            clash |= (one ^ first) & (1 << shared) - 1
        error = 0
        sent = max([sent for _, _, _, sent in answers])
        if sent < bits:
            bits = sent
            error = _PARITY_ERR | _PROTOCOL_ERR
        if self.garble:
            self.garble -= 1
            value ^= 1 << bits // 2
        align = self._regs[_BIT_FRAMING] >> 4 & 7
        if clash:
            error |= _COLL_ERR
            value = self._collide(value, clash, align)
        elif self._regs[_RX_MODE] & 0x80:
            data = value.to_bytes((bits + 7) // 8, "little")
            error |= _CRC_ERR if len(data) < 3 or crc_a(data, self._preset()) else 0
            bits -= 16
        self._store(value, bits, align, error)

    def _collide(self, value: int, clash: int, align: int) -> int:
        """Note the first bit that differs in CollReg; -> what is left of the answer (9.3.1.15)."""
        position = 0
        while not clash >> position & 1:
            position += 1
        # Counted from 1, with the bits that RxAlign leaves out, in five bits: 32 reads as 0.
        place = align + position + 1
        coll = self._regs[_COLL] & 0x80
        self._regs[_COLL] = coll | (place & 0x1F if place <= 32 else 0x20)
        return value if coll else value & (1 << position) - 1

    def _store(self, value: int, bits: int, align: int, error: int) -> None:
        regs = self._regs
        bits += align
        self._fifo = bytearray((value << align & (1 << bits) - 1).to_bytes((bits + 7) // 8, "little"))
        self._level_changed()
        regs[_CONTROL] = regs[_CONTROL] & 0xF8 | bits & 7
        regs[_ERROR] |= error
        regs[_COM_IRQ] |= _RX_IRQ | (_ERR_IRQ if error else 0)
