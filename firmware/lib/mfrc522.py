"""Reads UIDs of ISO/IEC 14443 A cards with an NXP MFRC522 under asyncio; it gives a card no meaning.

Register, table and section names are those of NXP's data sheet MFRC522, Rev. 3.9 of 27 April 2016.
Commands and frames to the cards are those of ISO/IEC 14443-3:2016, clause 6 (type A).
"""

import asyncio

from micropython import const

# Registers (section 9.2, table 20), shifted as the SPI address byte wants them (8.1.2.3).
_COMMAND = const(0x01 << 1)
_COM_IRQ = const(0x04 << 1)
_ERROR = const(0x06 << 1)
_FIFO_DATA = const(0x09 << 1)
_FIFO_LEVEL = const(0x0A << 1)
_BIT_FRAMING = const(0x0D << 1)
_COLL = const(0x0E << 1)
_TX_CONTROL = const(0x14 << 1)
_VERSION = const(0x37 << 1)
_READ = const(0x80)

_POWER_DOWN = const(0x10)  # CommandReg: the chip is asleep or starting up (9.3.1.2)
_SOFT_RESET = const(0x0F)  # command (table 149)
_TX_IRQ = const(0x40)  # ComIrqReg (9.3.1.5)
_RX_IRQ = const(0x20)
_TIMER_IRQ = const(0x01)
_IRQ_SET1 = const(0x80)  # a write-only bit: reads as 1 only from a bus that is stuck high
_COLL_ERR = const(0x08)  # ErrorReg (9.3.1.7)
_FRAME_ERRORS = const(0x13)  # BufferOvfl, ParityErr, ProtocolErr
_COLL_POS_NOT_VALID = const(0x20)  # CollReg (9.3.1.15)
_START_SEND = const(0x80)  # BitFramingReg (9.3.1.14)
_SHORT_FRAME = const(0x07)  # TxLastBits of REQA and WUPA: seven bits
_ANTENNA_ON = const(0x03)  # TxControlReg: Tx1RFEn and Tx2RFEn (9.3.2.5)

# VersionReg (9.3.4.8): 91h and 92h are NXP's versions 1.0 and 2.0, 90h its predecessor, 88h Fudan's FM17522.
_VERSIONS = b"\x91\x92\x90\x88"

# Whole SPI frames that never change.
_IDLE = b"\x02\x00"
_CLEAR_IRQ = b"\x08\x7f"
_FLUSH = b"\x14\x80"
_TRANSCEIVE = b"\x02\x0c"
_REQA = b"\x12\x26"
_WUPA = b"\x12\x52"
_HALT = b"\x12\x50\x00\x57\xcd"  # with its CRC_A
_READ_FIFO = b"\x92\x92\x92\x92\x92\x00"  # its last n + 1 bytes read n bytes
_SETUP = (
    b"\x54\x80"  # TModeReg: TAuto, the timer starts when the last bit is sent
    b"\x56\xa9"  # TPrescalerReg 169: 13.56 MHz / (2 * 169 + 1) = 40 kHz (8.5)
    b"\x58\x00"  # TReloadReg 39: 1 ms, where cards answer within 91 us (ISO/IEC 14443-3 6.2.1.1)
    b"\x5a\x27"
    b"\x22\x3d"  # ModeReg: send only with the field on; CRC preset 6363h
    b"\x2a\x40"  # TxASKReg: Force100ASK, the modulation of type A
    b"\x1c\x00"  # CollReg: ValuesAfterColl 0, as bit-wise anticollision needs it
    b"\x28\x83"  # TxControlReg: antenna on, TX2 inverted as after reset
)

# Oscillator start-up after reset (8.8.3), and a card's start in a new field (ISO/IEC 14443-3 6.2.2).
_START_MS = const(5)
_WAKE_TRIES = const(10)  # times _START_MS
_WAIT_MS = const(2)  # a whole tick of 1 ms at least; the longest exchange takes 1.4 ms
_WAIT_TRIES = const(5)  # 10 ms, then the chip has failed
_SELECT = b"\x93\x95\x97"  # SEL of cascade levels 1..3 (ISO/IEC 14443-3 table 8)
_NVB_NONE = const(0x20)  # number of valid bits: SEL and NVB alone, for anticollision (6.5.3.2)
_NVB_ALL = const(0x70)  # with the whole UID CLn and BCC: SELECT
_CASCADE_TAG = const(0x88)  # first byte of a level whose UID goes on in the next one
_CASCADE = const(0x04)  # SAK bit 3: the UID is not complete (table 9)
_UID_BITS = const(32)  # of one cascade level; BCC follows
_ROUNDS = const(65)  # both values of every bit, and one


class ReaderError(Exception):
    """The chip does not answer, or answers what no MFRC522 would; it wants `init()` again."""


class CardError(Exception):
    """A card was there but could not be read: taken away, held badly, or several that talk as one."""


def crc_a(data) -> int:
    """CRC_A of ISO/IEC 14443-3 annex B: polynomial 8408h reflected, preset 6363h; low byte goes first."""
    crc = 0x6363
    for byte in data:
        byte ^= crc & 0xFF
        byte = (byte ^ (byte << 4)) & 0xFF
        crc = (crc >> 8) ^ (byte << 8) ^ (byte << 3) ^ (byte >> 4)
    return crc


class Mfrc522:
    """One reader chip.

    `spi` needs `write(buf)` and `write_readinto(tx, rx)`, one chip-select frame each (mode 0, at most
    10 MHz), and `reset(active)` for the NRSTPD pin. One task at a time may use the object.
    """

    def __init__(self, spi):
        self._spi = spi
        self._out = bytearray(2)
        self._in = bytearray(2)
        self._view = memoryview(bytearray(6))
        # Byte 0 addresses the FIFO; then SEL, NVB, UID CLn (4), BCC, CRC_A (2).
        self._frame = bytearray(10)
        self._frame[0] = _FIFO_DATA
        self._frame_view = memoryview(self._frame)
        self.version = 0
        self.sak = 0

    def _read(self, register: int) -> int:
        self._out[0] = register | _READ
        self._out[1] = 0
        self._spi.write_readinto(self._out, self._in)
        return self._in[1]

    async def init(self) -> None:
        """Reset and set up the chip and switch the field on; takes about 20 ms.

        Raises ReaderError when no MFRC522 answers.
        """
        self._spi.reset(True)
        await asyncio.sleep_ms(_START_MS)
        self._spi.reset(False)
        await asyncio.sleep_ms(_START_MS)
        self._out[0] = _COMMAND
        self._out[1] = _SOFT_RESET
        self._spi.write(self._out)
        for _ in range(_WAKE_TRIES):
            await asyncio.sleep_ms(_START_MS)
            if not self._read(_COMMAND) & _POWER_DOWN:
                break
        self.version = self._read(_VERSION)
        if self.version not in _VERSIONS:
            raise ReaderError("VersionReg 0x%02X is not allowed; allowed: 0x88, 0x90..0x92" % self.version)
        for i in range(0, len(_SETUP), 2):
            self._spi.write(_SETUP[i : i + 2])
        if self._read(_TX_CONTROL) & _ANTENNA_ON != _ANTENNA_ON:
            raise ReaderError("TxControlReg does not keep what is written")
        await asyncio.sleep_ms(_START_MS)

    async def read_uid(self, wake_halted: bool = True):
        """UID of one card in the field as 4, 7 or 10 bytes, or None when no card answers.

        The card is halted afterwards. With `wake_halted` a card that was halted answers too (WUPA), so
        a card that is held is seen at every call; without (REQA), the next of several cards is found.
        `sak` then holds the card's final SAK. Without a card this costs 7 register accesses and 2 ms.
        Raises CardError when a card answered but could not be read, ReaderError when the chip failed.
        """
        # What the answer (ATQA) says is of no use: those of several cards overlap.
        if not await self._exchange(_WUPA if wake_halted else _REQA, _SHORT_FRAME):
            return None
        uid = b""
        for level in _SELECT:
            await self._anticollision(level)
            await self._select()
            if not self.sak & _CASCADE:
                uid += bytes(self._frame_view[3:7])
                await self._exchange(_HALT, 0)
                return uid
            if self._frame[3] != _CASCADE_TAG:
                raise CardError("the card's UID goes on without a cascade tag")
            uid += bytes(self._frame_view[4:7])
        raise CardError("the card's UID does not end at cascade level 3")

    async def _exchange(self, frame, framing: int) -> bool:
        """Send `frame` with the RxAlign and TxLastBits in `framing`; False when nothing answers in time."""
        write = self._spi.write
        write(_IDLE)
        write(_CLEAR_IRQ)
        write(_FLUSH)
        write(frame)
        write(_TRANSCEIVE)
        out = self._out
        out[0] = _BIT_FRAMING
        out[1] = _START_SEND | framing
        write(out)
        irq = 0
        for _ in range(_WAIT_TRIES):
            await asyncio.sleep_ms(_WAIT_MS)
            irq = self._read(_COM_IRQ)
            if irq & _IRQ_SET1:
                break
            # A chip that lost its settings never sends, so it cannot pass for an empty field.
            if irq & _TX_IRQ:
                if irq & _RX_IRQ:
                    return True
                if irq & _TIMER_IRQ:
                    return False
        raise ReaderError("ComIrqReg 0x%02X: the exchange did not end" % irq)

    async def _anticollision(self, level: int) -> None:
        """Find the UID CLn and BCC of one card at this cascade level, into the frame (6.5.3).

        The first collision is taken from CollReg. Where later ones stand is not documented for partial
        frames (RxAlign other than 0), so from there the UID is walked bit by bit: 1 first, then 0.
        """
        frame = self._frame
        frame[1] = level
        for i in range(3, 8):
            frame[i] = 0
        known = 0
        guessed = False
        for _ in range(_ROUNDS):
            whole = known >> 3
            rest = known & 7
            frame[2] = _NVB_NONE + (whole << 4) + rest
            if not await self._exchange(self._frame_view[: 3 + whole + (rest > 0)], rest << 4 | rest):
                if not guessed:
                    raise CardError("the card left during anticollision")
                guessed = False
                frame[3 + (known - 1 >> 3)] &= ~(1 << (known - 1 & 7))
                continue
            error = self._read(_ERROR)
            if error & _COLL_ERR:
                known = known + 1 if known else self._first_collision()
                if known > _UID_BITS:
                    break
                frame[3 + (known - 1 >> 3)] |= 1 << (known - 1 & 7)
                guessed = True
                continue
            self._receive(5 - whole, 3 + whole, rest, error)
            if frame[3] ^ frame[4] ^ frame[5] ^ frame[6] != frame[7]:
                raise CardError("BCC 0x%02X does not fit the UID" % frame[7])
            return
        raise CardError("the cards in the field cannot be told apart")

    def _first_collision(self) -> int:
        """Take over the bits before the first collision; -> its position, 1..32 (CollReg, 9.3.1.15)."""
        coll = self._read(_COLL)
        if coll & _COLL_POS_NOT_VALID:
            return _UID_BITS + 1
        position = (coll & 0x1F) or _UID_BITS
        good = position - 1
        self._read_fifo(min(self._read(_FIFO_LEVEL), 5))
        for i in range(4):
            bits = min(max(good - 8 * i, 0), 8)
            self._frame[3 + i] = self._view[1 + i] & (1 << bits) - 1
        return position

    async def _select(self) -> None:
        """Select the card whose UID CLn is in the frame; leaves its answer in `sak`."""
        frame = self._frame
        frame[2] = _NVB_ALL
        crc = crc_a(self._frame_view[1:8])
        frame[8] = crc & 0xFF
        frame[9] = crc >> 8
        if not await self._exchange(frame, 0):
            raise CardError("the card left during selection")
        error = self._read(_ERROR)
        if error & (_FRAME_ERRORS | _COLL_ERR) or self._read(_FIFO_LEVEL) != 3:
            raise CardError("the card's SAK was garbled (ErrorReg 0x%02X)" % error)
        self._read_fifo(3)
        view = self._view
        if crc_a(view[1:2]) != view[2] | view[3] << 8:
            raise CardError("the CRC of the card's SAK is wrong")
        self.sak = view[1]

    def _receive(self, count: int, offset: int, align: int, error: int) -> None:
        """Move `count` received bytes into the frame at `offset`; the low `align` bits of the first stay."""
        level = self._read(_FIFO_LEVEL)
        if error & _FRAME_ERRORS or level != count:
            raise CardError("the card's UID was garbled (ErrorReg 0x%02X, %d bytes)" % (error, level))
        self._read_fifo(count)
        frame = self._frame
        low = (1 << align) - 1
        frame[offset] = frame[offset] & low | self._view[1] & ~low
        for i in range(1, count):
            frame[offset + i] = self._view[1 + i]

    def _read_fifo(self, count: int) -> None:
        """Read 0..5 bytes of the FIFO into `_view` from index 1; what is not read becomes 0."""
        view = self._view
        for i in range(6):
            view[i] = 0
        if count:
            self._spi.write_readinto(memoryview(_READ_FIFO)[5 - count :], view[: count + 1])
