"""The house meter on the plant's RS-485 line: answers byte for byte and in time as an Inepro PRO380-Mod.

It shares no code with the firmware, so that a mistake in the one cannot hide behind the same in the other.
"""

from array import array
from struct import pack, pack_into, unpack_from

from micropython import const

# Time to think before the answer, in ms.
_THINK_MS = const(20)
# After its supply came back it is silent for this long.
_START_MS = const(3000)
_MWH_A_KWH = const(1_000_000)

_READ = const(3)
_SHORTEST_BYTES = const(4)
_REQUEST_BYTES = const(8)
_MOST_REGISTERS = const(125)
_ILLEGAL_FUNCTION = const(1)
_ILLEGAL_ADDRESS = const(2)
_ILLEGAL_VALUE = const(3)

# First registers of its three blocks (manual V2.18, appendix A3.2), all inclusive.
_IDENTITY = const(0x4000)
_LIVE = const(0x5000)
_ENERGY = const(0x6000)

# What a disturbed line or a broken meter sends instead of its answer (fault meter_garbage).
GARBAGE = ("bit", "noise", "cut", "nan", "absurd", "foreign", "other_length")
_NOT_A_NUMBER = b"\x7f\xc0\x00\x00"
_ABSURD = pack(">f", 4.0e7)


def _checksum_table():
    """CRC-16/MODBUS for every byte, from its polynomial."""
    table = array("H")
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0xA001 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _checksum_table()


def checksum(data) -> int:
    """CRC-16/MODBUS of `data`; 0 for a frame that ends in its own, low byte first."""
    table = _TABLE
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


def sealed(frame: bytes) -> bytes:
    """`frame` with its checksum."""
    return frame + pack("<H", checksum(frame))


def _sign(power):
    return -1.0 if power < 0 else 1.0


class MeterSlave:
    """A meter with the factory's line settings at the connection of `plant` to the grid.

    It measures `plant.supply` and minds the faults meter_silent and meter_garbage. One `feed` is one frame.
    """

    def __init__(self, plant):
        self._plant = plant
        self.address = 1
        self.baud = 9600
        self.parity = "E"
        self._line = None
        self._answer = b""
        self._asked = None
        self._asked_at = 0
        self._told = b""
        self._due_ms = None
        self._silent_until_ms = 0
        self._garbled = 0
        self._identity = bytearray(22)
        self._live = bytearray(100)
        self._energy = bytearray(72)
        self._fill_identity()

    def master_line(self, baud: int, parity: str, stop_bits: int) -> None:
        """Tell how the master drives the line; other than at the meter's own settings it hears only noise.

        Stop bits make no difference: a second one is idle time to whoever expects one.
        """
        self._line = baud, parity
        self._forget()

    def restart(self) -> None:
        """Take its supply away for a moment: it forgets a pending answer and is silent while it starts."""
        self._forget()
        self._silent_until_ms = self._plant.now_ms + _START_MS

    def feed(self, data) -> None:
        """Hear a frame whose first bit the master sends now."""
        plant = self._plant
        if self._due_ms is not None and plant.now_ms < self._due_ms:
            # Both talk at once: the master's frame is lost in the meter's.
            return
        self._forget()
        if not self._listens() or len(data) < _SHORTEST_BYTES or data[0] != self.address or checksum(data):
            return
        answer = self._sealed_reply(data)
        if "meter_garbage" in plant.faults:
            answer = self._garble(answer)
        bits = (len(data) + len(answer)) * (10 if self.parity == "N" else 11)
        self._answer = answer
        self._due_ms = plant.now_ms + _THINK_MS + (bits * 1000 + self.baud - 1) // self.baud

    def due_ms(self):
        """When the answer is there in full, in ms since the plant's start; None while none is under way."""
        return self._due_ms

    def take(self, buf) -> int:
        """Put the bytes that are there by now into `buf` (None drops them); returns their count."""
        if self._due_ms is None or self._plant.now_ms < self._due_ms:
            return 0
        answer = self._answer
        if buf is None:
            self._forget()
            return len(answer)
        count = min(len(answer), len(buf))
        buf[:count] = answer[:count]
        if count < len(answer):
            self._answer = answer[count:]
        else:
            self._forget()
        return count

    def _forget(self):
        self._answer = b""
        self._due_ms = None

    def _listens(self):
        plant = self._plant
        if "meter_silent" in plant.faults or plant.now_ms < self._silent_until_ms:
            return False
        # It lives from the voltage it measures.
        return self._line == (self.baud, self.parity) and any(plant.supply.volts_mv)

    def _sealed_reply(self, data):
        """The answer's frame; while nothing changes a live block is not computed anew."""
        updates = self._plant.supply.updates
        if data == self._asked and updates == self._asked_at:
            return self._told
        told = sealed(self._reply(data))
        # Energy goes on counting.
        self._asked = data if unpack_from(">H", data, 2)[0] < _ENERGY else None
        self._asked_at = updates
        self._told = told
        return told

    def _reply(self, data):
        if data[1] != _READ:
            return self._refusal(data[1], _ILLEGAL_FUNCTION)
        if len(data) != _REQUEST_BYTES:
            return self._refusal(_READ, _ILLEGAL_VALUE)
        start, count = unpack_from(">HH", data, 2)
        if not 1 <= count <= _MOST_REGISTERS:
            return self._refusal(_READ, _ILLEGAL_VALUE)
        block, at = self._block(start)
        end = at + 2 * count
        if block is None or end > len(block):
            return self._refusal(_READ, _ILLEGAL_ADDRESS)
        return bytes((self.address, _READ, 2 * count)) + block[at:end]

    def _refusal(self, function, code):
        return bytes((self.address, function | 0x80, code))

    def _block(self, register):
        """The block around `register` with its values of now, and the register's place in it."""
        if register >= _ENERGY:
            self._fill_energy()
            return self._energy, 2 * (register - _ENERGY)
        if register >= _LIVE:
            self._fill_live()
            return self._live, 2 * (register - _LIVE)
        return (self._identity, 2 * (register - _IDENTITY)) if register >= _IDENTITY else (None, 0)

    def _fill_identity(self):
        # Serial number in hex digits, meter code, address, baud rate; protocol, software, hardware version.
        pack_into(">IHHHfff", self._identity, 0, 0x15060001, 0x0102, self.address, self.baud, 3.2, 2.18, 1.03)

    def _fill_live(self):
        """All of 0x5000 to 0x5031; currents carry no sign, as on the real meter, powers do."""
        supply = self._plant.supply
        u1, u2, u3 = [mv / 1000 for mv in supply.volts_mv]
        i1, i2, i3 = [ma / 1000 for ma in supply.grid_ma]
        p1, p2, p3 = u1 * i1 / 1000, u2 * i2 / 1000, u3 * i3 / 1000
        power = p1 + p2 + p3
        pack_into(
            ">25f",
            self._live,
            0,
            # 0x5000 and 0x500A, the averages, exist on the single-phase sister only and hold nothing here.
            0.0, u1, u2, u3, supply.frequency_mhz / 1000,
            0.0, abs(i1), abs(i2), abs(i3),
            power, p1, p2, p3,
            0.0, 0.0, 0.0, 0.0,
            abs(p1) + abs(p2) + abs(p3), abs(p1), abs(p2), abs(p3),
            _sign(power), _sign(p1), _sign(p2), _sign(p3),
        )  # fmt: skip

    def _fill_energy(self):
        """0x6000: sums, import from 0x600C, export from 0x6018; each total, T1, T2, L1 to L3."""
        supply = self._plant.supply
        gain = [supply.import_mwh(phase) / _MWH_A_KWH for phase in range(3)]
        loss = [supply.export_mwh(phase) / _MWH_A_KWH for phase in range(3)]
        all_in, all_out = sum(gain), sum(loss)
        total = all_in + all_out
        pack_into(
            ">18f",
            self._energy,
            0,
            total, total, 0.0, gain[0] + loss[0], gain[1] + loss[1], gain[2] + loss[2],
            all_in, all_in, 0.0, gain[0], gain[1], gain[2],
            all_out, all_out, 0.0, loss[0], loss[1], loss[2],
        )  # fmt: skip

    def _garble(self, answer):
        """`answer` spoilt in each of the ways of GARBAGE in turn."""
        kind = GARBAGE[self._garbled % len(GARBAGE)]
        self._garbled += 1
        if kind == "bit":
            middle = len(answer) // 2
            return answer[:middle] + bytes((answer[middle] ^ 0x10,)) + answer[middle + 1 :]
        if kind == "noise":
            return bytes((byte * 37 + 11) & 0xFF for byte in answer)
        if kind == "cut":
            return answer[:-3]
        if kind == "foreign":
            return sealed(bytes((self.address + 1,)) + answer[1:-2])
        if kind == "other_length":
            return sealed(bytes((self.address, _READ, 2, 0, 0)))
        number = _NOT_A_NUMBER if kind == "nan" else _ABSURD
        return sealed(answer[:3] + number * ((len(answer) - 5) // 4))
