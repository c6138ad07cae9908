"""The registers of the meters that `meter_peer` can be: written from the manuals, without a look at the firmware.

A model gives {first register: bytes} of its identity, of what it measures and of its counters. Sources stand with each.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

SERIAL = 0x15060001
INT32_MISSING, UINT32_MISSING, INT16_MISSING = 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFF
NAN = float("nan")

Registers = dict[int, bytes]


@dataclass
class Values:
    """What the meter measures on L1..L3: amps positive for import; None as watts means volts times amps."""

    volts: Sequence[float] = (230.0, 230.0, 230.0)
    amps: Sequence[float] = (0.0, 0.0, 0.0)
    watts: Sequence[float] | None = None
    hz: float = 50.0
    import_kwh: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    export_kwh: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def power(self) -> list[float]:
        """W per phase, export negative."""
        if self.watts is not None:
            return list(self.watts)
        return [volts * amps for volts, amps in zip(self.volts, self.amps, strict=True)]

    def apparent(self) -> list[float]:
        """VA per phase."""
        return [u * abs(i) for u, i in zip(self.volts, self.amps, strict=True)]

    def factors(self) -> list[float]:
        """Power factor of each phase, signed, 1 without a current."""
        return [p / s if s else 1.0 for p, s in zip(self.power(), self.apparent(), strict=True)]

    def first_only(self) -> "Values":
        """What a meter with one phase sees of it."""
        return Values(
            (self.volts[0], 0.0, 0.0),
            (self.amps[0], 0.0, 0.0),
            (self.power()[0], 0.0, 0.0),
            self.hz,
            [self.import_kwh[0], 0.0, 0.0],
            [self.export_kwh[0], 0.0, 0.0],
        )


def inepro_identity(address: int, baud: int) -> Registers:
    """Serial number, meter code, address and baud rate; protocol, software and hardware version."""
    return {0x4000: struct.pack(">IHHHfff", SERIAL, 0x0102, address, baud, 3.2, 2.18, 1.03)}


def pro380(values: Values) -> Registers:
    """Inepro PRO380-Mod, manual V2.18, appendix A3.2: 0x5000 to 0x5031 and 0x6000 to 0x6023; currents unsigned."""
    watts, apparent = values.power(), values.apparent()
    total_va = sum(apparent)
    kilo = [
        *(w / 1000 for w in (sum(watts), *watts)),
        *(0.0, 0.0, 0.0, 0.0),
        *(va / 1000 for va in (total_va, *apparent)),
    ]
    factor = sum(watts) / total_va if total_va else 1.0
    amps = [abs(a) for a in values.amps]
    live = struct.pack(">25f", 0.0, *values.volts, values.hz, 0.0, *amps, *kilo, factor, *values.factors())
    bought, sold = values.import_kwh, values.export_kwh
    both = [a + b for a, b in zip(bought, sold, strict=True)]
    numbers = [number for three in (both, bought, sold) for number in (sum(three), sum(three), 0.0, *three)]
    return {0x5000: live, 0x6000: struct.pack(">18f", *numbers)}


def pro2(values: Values) -> Registers:
    """Inepro PRO2-Mod: the same map without the registers of L2 and L3, which it refuses."""
    whole = pro380(values.first_only())
    kept = {}
    for first, numbers in ((0x5000, (0, 2, 8, 10, 12, 18, 20, 42, 44)), (0x6000, (0, 6, 12, 18, 24, 30))):
        for offset in numbers:
            kept[first + offset] = whole[first][2 * offset : 2 * offset + 4]
    return kept


def abb_identity(kind: bytes) -> Callable[[int, int], Registers]:
    """Serial number and type designation (ABB 2CMC485003M0201)."""
    return lambda _address, _baud: {0x8900: struct.pack(">I", SERIAL), 0x8960: kind}


def abb_live(volts: list[int], amps: list[int], watts: list[int], hz: float, factors: list[int]) -> bytes:
    """Registers 0x5B00 to 0x5B3D; what nobody asks for is not available."""
    data = struct.pack(">6I", *volts, *[UINT32_MISSING] * 3) + struct.pack(">4I", *amps, UINT32_MISSING)
    data += struct.pack(">4i", *watts) + struct.pack(">8i", *[INT32_MISSING] * 8)
    return data + struct.pack(">H", round(hz * 100)) + b"\xff" * 26 + struct.pack(">4h", *factors)


def abb_counters(values: Values) -> bytes:
    """Import and export in 0.01 kWh, each 64 bits."""
    return struct.pack(">QQ", round(sum(values.import_kwh) * 100), round(sum(values.export_kwh) * 100))


def b23(values: Values) -> Registers:
    """Janitza B23 with ABB's map: 0.1 V, 0.01 A without a sign, 0.01 W, 0.001."""
    watts = [round(w * 100) for w in values.power()]
    factors = [round(f * 1000) for f in (1.0, *values.factors())]
    volts = [round(u * 10) for u in values.volts]
    amps = [round(abs(i) * 100) for i in values.amps]
    live = abb_live(volts, amps, [sum(watts), *watts], values.hz, factors)
    return {0x5B00: live, 0x5000: abb_counters(values)}


def b21(values: Values) -> Registers:
    """Janitza B21: the totals only; each register of a phase's power says that it is not available."""
    one = values.first_only()
    live = abb_live(
        [round(one.volts[0] * 10), UINT32_MISSING, UINT32_MISSING],
        [round(abs(one.amps[0]) * 100), UINT32_MISSING, UINT32_MISSING],
        [round(one.power()[0] * 100), *[INT32_MISSING] * 3],
        one.hz,
        [round(one.factors()[0] * 1000), *[INT16_MISSING] * 3],
    )
    return {0x5B00: live, 0x5000: abb_counters(one)}


def janitza(values: Values) -> Registers:
    """The map of floats from 19000 (janitza-bhb-b2x-en as quoted by mbmd): W and Wh."""
    watts = values.power()
    amps = [abs(i) for i in values.amps]
    live = [*values.volts, *[0.0] * 3, *amps, 0.0, *watts, sum(watts), *[0.0] * 8, *values.factors(), values.hz]
    live += [0.0] * 5
    for kwh in (values.import_kwh, values.export_kwh):
        wh = [k * 1000 for k in kwh]
        live += [*wh, sum(wh)]
    return {0x4A38: struct.pack(f">{len(live)}f", *live)}


def iem3150(values: Values) -> Registers:
    """Schneider iEM3150 (DOCA0005EN): kW and Wh, import only; wire address is the manual's number less 1."""
    kilowatts = [w / 1000 for w in values.power()]
    amps = [abs(i) for i in values.amps]
    live = [*amps, NAN, NAN, sum(amps) / 3, *[NAN] * 8, *values.volts, NAN, sum(values.volts) / 3, *[NAN] * 8]
    live += [*kilowatts, sum(kilowatts)]
    return {
        2999: struct.pack(f">{len(live)}f", *live),
        3109: struct.pack(">f", values.hz),
        3203: struct.pack(">q", round(sum(values.import_kwh) * 1000)),
    }


def schneider_identity(_address: int, _baud: int) -> Registers:
    """Meter model as text, and serial number."""
    return {49: b"iEM3150".ljust(40), 129: struct.pack(">I", SERIAL)}


def pac1600(values: Values) -> Registers:
    """Siemens 7KT1665 (manual 6.4.3, printed addresses less 1): 0.01 V, 0.0001 A unsigned, 0.01 W, 0.0001, 1 Wh."""
    watts = [round(w * 100) for w in values.power()]
    factors = [round(f * 10_000) for f in values.factors()]
    data = struct.pack(">3I", *(round(u * 100) for u in values.volts))
    data += struct.pack(">3I", *(round(abs(i) * 10_000) for i in values.amps)) + bytes(12)
    data += struct.pack(">3i", *watts) + bytes(12) + struct.pack(">3I", *(abs(w) for w in watts))
    data += struct.pack(">3i", *factors) + bytes(12) + struct.pack(">I", round(values.hz * 100)) + bytes(12)
    data += struct.pack(">i", round(sum(watts) / 3))
    counters = struct.pack(">II", round(sum(values.import_kwh) * 1000), round(sum(values.export_kwh) * 1000))
    return {1: data, 6687: counters}


def no_identity(_address: int, _baud: int) -> Registers:
    """It does not say who it is."""
    return {}


@dataclass(frozen=True)
class Model:
    """A meter: phases, the line settings of its factory or of an example, and its registers."""

    name: str
    phases: int
    baud: int
    parity: str
    registers: Callable[[Values], Registers]
    identity: Callable[[int, int], Registers]


MODELS = {
    "pro380": Model("Inepro PRO380-Mod", 3, 9600, "E", pro380, inepro_identity),
    "pro2": Model("Inepro PRO2-Mod", 1, 9600, "E", pro2, inepro_identity),
    "b23": Model("Janitza B23 312-10J", 3, 9600, "N", b23, abb_identity(b"B23 ")),
    "b21": Model("Janitza B21 312-10J", 1, 9600, "N", b21, abb_identity(b"B21 ")),
    "b23_float": Model("Janitza B23, map of floats", 3, 9600, "N", janitza, no_identity),
    "b21_float": Model("Janitza B21, map of floats", 1, 9600, "N", lambda v: janitza(v.first_only()), no_identity),
    "iem3150": Model("Schneider A9MEM3150", 3, 19200, "E", iem3150, schneider_identity),
    "pac1600": Model("Siemens 7KT1665", 3, 9600, "N", pac1600, no_identity),
}
