"""The house meter on the plant's RS-485 line: answers byte for byte and in time as one of eight models.

It shares no code with the firmware, so that a mistake in the one cannot hide behind the same in the other.
"""

from array import array
from struct import pack, unpack_from

from micropython import const

from plant import check

# Time to think before the answer, in ms.
_THINK_MS = const(20)
# After its supply came back it is silent for this long.
_START_MS = const(3000)

_READ = const(3)
_SHORTEST_BYTES = const(4)
_REQUEST_BYTES = const(8)
_MOST_REGISTERS = const(125)
_ILLEGAL_FUNCTION = const(1)
_ILLEGAL_ADDRESS = const(2)
_ILLEGAL_VALUE = const(3)

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


class Values:
    """What the meter measures: volts, amperes and watts (export negative) of L1..L3, hertz, counters in Wh."""

    def __init__(self, volts, amps, hertz, gain_wh, loss_wh):
        self.volts = volts
        self.amps = amps
        self.watts = [u * i for u, i in zip(volts, amps)]
        self.hertz = hertz
        self.gain_wh = gain_wh
        self.loss_wh = loss_wh


def _signs(watts):
    return [-1.0 if power < 0 else 1.0 for power in watts]


def _magnitudes(numbers):
    return [abs(number) for number in numbers]


def _inepro(values, phases):
    """PRO380-Mod (manual V2.18, appendix A3.2) and PRO2-Mod: floats, kW and kWh; currents carry no sign.

    0x5000 and 0x500A, the averages, exist on another sister only and hold nothing here.
    """
    kilowatts = [power / 1000 for power in values.watts]
    total = sum(kilowatts)
    live = [0.0] + values.volts + [values.hertz, 0.0] + _magnitudes(values.amps) + [total] + kilowatts
    live += [0.0] * 4 + [sum(_magnitudes(kilowatts))] + _magnitudes(kilowatts) + _signs([total]) + _signs(kilowatts)
    gain = [wh / 1000 for wh in values.gain_wh]
    loss = [wh / 1000 for wh in values.loss_wh]
    both = [a + b for a, b in zip(gain, loss)]
    energy = []
    for three in (both, gain, loss):
        energy += [sum(three), sum(three), 0.0] + three
    blocks = {0x5000: pack(">25f", *live), 0x6000: pack(">18f", *energy)}
    if phases == 1:
        # Without the registers of L2 and L3 there are holes, and a request over one is refused.
        blocks = {}
        for register in (0x5000, 0x5002, 0x5008, 0x500A, 0x500C, 0x5012, 0x5014, 0x502A, 0x502C):
            blocks[register] = pack(">f", live[(register - 0x5000) // 2])
        for register in (0x6000, 0x6006, 0x600C, 0x6012, 0x6018, 0x601E):
            blocks[register] = pack(">f", energy[(register - 0x6000) // 2])
    return blocks


def _inepro_identity(meter):
    # Serial number in hex digits, meter code, address, baud rate; protocol, software, hardware version.
    return {0x4000: pack(">IHHHfff", meter.serial, 0x0102, meter.address, meter.baud, 3.2, 2.18, 1.03)}


def _abb(values, phases):
    """B23 and B21 (ABB 2CMC485003M0201): scaled integers; a B21 has totals only, the rest is "not available"."""
    nothing, missing = 0xFFFFFFFF, 0x7FFFFFFF
    volts = [round(u * 10) for u in values.volts]
    amps = [round(abs(i) * 100) for i in values.amps]
    watts = [round(power * 100) for power in values.watts]
    factors = [round(sign * 1000) for sign in _signs(values.watts)]
    total = sum(watts)
    if phases == 1:
        volts = [volts[0], nothing, nothing]
        amps = [amps[0], nothing, nothing]
        watts = [missing] * 3
        factors = [0x7FFF] * 3
    live = pack(">6I", *(volts + [nothing] * 3)) + pack(">4I", *(amps + [nothing]))
    live += pack(">4i", *([total] + watts)) + b"\xff" * 32
    live += (
        pack(">H", round(values.hertz * 100)) + b"\xff" * 26 + pack(">4h", *([1000 if total >= 0 else -1000] + factors))
    )
    gain, loss = sum(values.gain_wh) // 10, sum(values.loss_wh) // 10
    return {0x5B00: live, 0x5000: pack(">QQ", gain, loss)}


def _abb_identity(meter):
    return {0x8900: pack(">I", meter.serial), 0x8960: b"B21 " if meter.phases == 1 else b"B23 "}


def _janitza(values, phases):
    """The map of floats from 19000 on: watts and watt-hours."""
    used = [0.0] * (3 - phases)
    watts = values.watts[:phases] + used
    head = values.volts[:phases] + used + [0.0] * 3 + _magnitudes(values.amps[:phases]) + used + [0.0]
    live = head + watts + [sum(watts)] + [0.0] * 8 + _signs(watts) + [values.hertz] + [0.0] * 5
    for counters in (values.gain_wh, values.loss_wh):
        live += [float(wh) for wh in counters] + [float(sum(counters))]
    return {0x4A38: pack(">%df" % len(live), *live)}


def _schneider(values, _phases):
    """iEM3150 (DOCA0005): wire address is the manual's number less 1; kW; no counter for export."""
    nothing = float("nan")
    kilowatts = [power / 1000 for power in values.watts]
    live = _magnitudes(values.amps) + [nothing] * 2 + [sum(_magnitudes(values.amps)) / 3] + [nothing] * 8
    live += values.volts + [nothing] + [sum(values.volts) / 3] + [nothing] * 8 + kilowatts + [sum(kilowatts)]
    return {
        2999: pack(">%df" % len(live), *live),
        3109: pack(">f", values.hertz),
        3203: pack(">q", sum(values.gain_wh)),
    }


def _schneider_identity(meter):
    return {49: (b"iEM3150" + b" " * 40)[:40], 129: pack(">I", meter.serial)}


def _siemens(values, _phases):
    """7KT1665 (manual 6.4.3): 10 mV, 0.1 mA, 10 mW; the printed addresses less 1."""
    watts = [round(power * 100) for power in values.watts]
    live = pack(">3I", *[round(u * 100) for u in values.volts])
    live += pack(">3I", *[round(abs(i) * 10_000) for i in values.amps]) + bytes(12)
    live += pack(">3i", *watts) + bytes(12) + pack(">3I", *_magnitudes(watts))
    live += pack(">3i", *[round(sign * 10_000) for sign in _signs(values.watts)]) + bytes(12)
    live += pack(">I", round(values.hertz * 100)) + bytes(12) + pack(">i", sum(watts) // 3)
    return {1: live, 6687: pack(">II", sum(values.gain_wh), sum(values.loss_wh))}


def _no_identity(_meter):
    return {}


# Model: phases, live and energy registers from Values, registers of identity, line settings of the factory (or, where
# none are known, those of an example in public drivers).
MODELS = {
    "pro380": (3, _inepro, _inepro_identity, 9600, "E"),
    "pro2": (1, _inepro, _inepro_identity, 9600, "E"),
    "b23": (3, _abb, _abb_identity, 9600, "N"),
    "b21": (1, _abb, _abb_identity, 9600, "N"),
    "b23_float": (3, _janitza, _no_identity, 9600, "N"),
    "b21_float": (1, _janitza, _no_identity, 9600, "N"),
    "iem3150": (3, _schneider, _schneider_identity, 19200, "E"),
    "pac1600": (3, _siemens, _no_identity, 9600, "N"),
}
_SERIAL = const(0x15060001)


class MeterSlave:
    """A meter with the factory's line settings at the connection of `plant` to the grid.

    It measures `plant.supply` and minds the faults meter_silent and meter_garbage. One `feed` is one frame.
    `order` tells which phase of the installation each of its inputs has (0..2), `reversed` which are turned round;
    `elsewhere` that it is in a place where it does not see the car. It renews its values every `refresh_ms`.
    """

    def __init__(self, plant):
        self._plant = plant
        self.address = 1
        self.serial = _SERIAL
        self.order = (0, 1, 2)
        self.reversed = (False, False, False)
        self.elsewhere = False
        self.refresh_ms = 0
        self._renewed_ms = None
        self._kept = {}
        self.model = ""
        self.choose("pro380")
        self._line = None
        self._answer = b""
        self._asked = None
        self._asked_at = 0
        self._told = b""
        self._due_ms = None
        self._silent_until_ms = 0
        self._garbled = 0

    def choose(self, model: str) -> None:
        """Become another model, with the line settings of its factory."""
        self.model = model
        self.phases, self._fill, self._identify, self.baud, self.parity = MODELS[model]
        self.renew()

    def change(self, model=None, address=None, baud=None, parity=None, order=None, **more) -> None:
        """Change what the meter is and how it is wired; ValueError names what is not allowed, and nothing changes.

        model of MODELS (takes its factory's line settings); address 1..247; baud in bit/s; parity N, E, O; order of
        the phases on its inputs as in [1, 3, 2]; more: reversed [3 booleans], elsewhere, refresh_ms 0..5000, serial.
        """
        if model is not None:
            check.choice("model", model, tuple(sorted(MODELS)))
        if address is not None:
            check.number("address", address, 1, 247, "")
        if baud is not None:
            check.number("baud", baud, 300, 115_200, "Bd")
        if parity is not None:
            check.choice("parity", parity, ("N", "E", "O"))
        if order is not None and (not isinstance(order, list) or sorted(order) != [1, 2, 3]):
            check.refuse("order", order, "the numbers 1, 2 and 3 in any order")
        self._check_more(**more)
        if model is not None:
            self.choose(model)
        for name, value in (("address", address), ("baud", baud), ("parity", parity)):
            if value is not None:
                setattr(self, name, value)
        if order is not None:
            self.order = tuple([phase - 1 for phase in order])
        for name, value in more.items():
            setattr(self, name, value)
        self._forget()
        self.renew()

    def _check_more(self, reversed=None, elsewhere=None, refresh_ms=None, serial=None):  # noqa: A002
        if reversed is not None:
            if not isinstance(reversed, list) or len(reversed) != 3:
                check.refuse("reversed", reversed, "three booleans")
            for value in reversed:
                check.flag("reversed", value)
        if elsewhere is not None:
            check.flag("elsewhere", elsewhere)
        if refresh_ms is not None:
            check.number("refresh_ms", refresh_ms, 0, 5_000, "ms")
        if serial is not None:
            check.number("serial", serial, 0, 0x7FFFFFFF, "")

    def renew(self) -> None:
        """What it told is not right any more."""
        self._renewed_ms = None
        self._asked = None
        self._told = b""

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
        # A counter goes on counting, and values that are kept grow old.
        counts = told[1] == _READ and len(data) == _REQUEST_BYTES and self._counts(unpack_from(">H", data, 2)[0])
        self._asked = None if counts or self.refresh_ms else data
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
        for first, block in self._registers().items():
            at = 2 * (start - first)
            if at >= 0 and at + 2 * count <= len(block):
                return bytes((self.address, _READ, 2 * count)) + block[at : at + 2 * count]
        return self._refusal(_READ, _ILLEGAL_ADDRESS)

    def _refusal(self, function, code):
        return bytes((self.address, function | 0x80, code))

    def _counts(self, register):
        """Whether a block of registers that go on counting starts at or before this one."""
        return register >= 0x6000 if self._fill is _inepro else register not in (0x5B00, 1, 2999, 3109)

    def _registers(self):
        """All its registers as {first: bytes}, renewed when it is time for that."""
        now_ms = self._plant.now_ms
        if self._renewed_ms is None or now_ms - self._renewed_ms >= self.refresh_ms:
            self._renewed_ms = now_ms
            self._kept = self._fill(self._values(), self.phases)
            self._kept.update(self._identify(self))
        return self._kept

    def _values(self):
        supply = self._plant.supply
        volts = []
        amps = []
        gain = []
        loss = []
        for index in range(3):
            phase = self.order[index]
            turned = self.reversed[index]
            ma = supply.grid_ma[phase] - (supply.current_ma[phase] if self.elsewhere else 0)
            volts.append(supply.volts_mv[phase] / 1000)
            amps.append(-ma / 1000 if turned else ma / 1000)
            counters = supply.import_mwh(phase) // 1000, supply.export_mwh(phase) // 1000
            gain.append(counters[turned])
            loss.append(counters[not turned])
        if self.phases == 1:
            amps[1:] = gain[1:] = loss[1:] = [0, 0]
        return Values(volts, amps, supply.frequency_mhz / 1000, gain, loss)

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
