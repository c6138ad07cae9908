"""What a register map consists of, and the rules by which a reading is believed; does no I/O.

A new meter is a new file in `maps` and an entry in MODELS, nothing else.
"""

from array import array
from struct import calcsize, unpack_from

from micropython import const

# What a believable reading looks like. A lost phase (0 V) is a fact to report, not a fault of the meter, but
# the meter lives from what it measures, so one phase at least must be there (80 V: lowest of the 100 V nets).
_VOLTS_MAX_MV = const(300_000)
_VOLTS_ALIVE_MV = const(80_000)
_HERTZ_MIN_MHZ = const(45_000)
_HERTZ_MAX_MHZ = const(65_000)
# Power must fit voltage x current x power factor within 10 %; 50 W for what small currents round to.
_POWER_TOLERANCE_PERCENT = const(10)
_POWER_TOLERANCE_W = const(50)
# Anything larger than this in any unit used here does not come from a house.
_LARGEST = const(2_000_000_000)
_UNKNOWN = const(32_767)

# The models that can be chosen, and how many phases they measure.
MODELS = {
    "pro380": 3,
    "pro2": 1,
    "b23": 3,
    "b21": 1,
    "b23_float": 3,
    "b21_float": 1,
    "iem3150": 3,
    "pac1600": 3,
}
# No limit hangs on these: a meter that lacks one, or says that it is not available, is believed without it.
_OPTIONAL = {"factor_permille": _UNKNOWN, "import_wh": -1, "export_wh": -1}

# "Not available" in integer registers: all ones unsigned, the largest number signed (ABB 2CMC485003M0201).
_NOT_AVAILABLE = {
    "H": 0xFFFF,
    "h": 0x7FFF,
    "I": 0xFFFFFFFF,
    "i": 0x7FFFFFFF,
    "Q": 0xFFFFFFFFFFFFFFFF,
    "q": 0x7FFFFFFFFFFFFFFF,
}


class Implausible(Exception):
    """The registers hold something that cannot be true; the text names the quantity and the value."""


class Reading:
    """One reading of the grid connection: import positive, export negative.

    The first four hold L1..L3 (a single-phase meter fills L1 only), the others one value; an energy of -1 is unknown.
    """

    def __init__(self):
        self.volts_mv = array("i", (0, 0, 0))
        self.current_ma = array("i", (0, 0, 0))
        self.power_w = array("i", (0, 0, 0))
        self.factor_permille = array("i", (_UNKNOWN, _UNKNOWN, _UNKNOWN))
        self.frequency_mhz = array("i", (0,))
        self.import_wh = array("i", (-1,))
        self.export_wh = array("i", (-1,))


class Meter:
    """A meter model: `live` and `energy` are its blocks (first register, count, rows), read with function 03.

    A row is (attribute of Reading, first register, struct code of its one or three values, factor to the
    attribute's unit). Registers are wire addresses, counted from 0. `serial` is (first of two registers, format) of
    its serial number, `kind` (first register, count, what the text there contains), each None where it has none.
    """

    def __init__(self, name, phases, max_a, live, energy, serial=None, kind=None):
        self.name = name
        self.phases = phases
        self.max_ma = max_a * 1000
        self.live = live
        self.energy = energy
        self.serial = serial
        self.kind = kind


def load(model: str):
    """The Meter of a key of MODELS; None for any other word."""
    if model not in MODELS:
        return None
    return __import__("wallbox.energy.maps." + model, None, None, ("METER",)).METER


def single_rows(block) -> list:
    """The same rows, each a block of its own: for a meter that refuses a block with registers it does not have."""
    return [(row[1], calcsize(row[2]) // 2, (row,)) for row in block[2]]


def decode(block, data, reading: Reading) -> None:
    """Put what `data`, read from a meter's `block`, says into `reading`; raises Implausible."""
    start, _, rows = block
    for name, register, code, factor in rows:
        missing = _NOT_AVAILABLE.get(code[-1])
        values = getattr(reading, name)
        for index, raw in enumerate(unpack_from(code, data, 2 * (register - start))):
            value = raw * factor
            # Not "abs(value) > _LARGEST": only this way round is NaN refused too.
            if raw == missing or not -_LARGEST <= value <= _LARGEST:
                if name not in _OPTIONAL:
                    raise Implausible("%s: %s is not a measurement" % (name, raw))
                value = _OPTIONAL[name]
            values[index] = round(value)


def settle(meter: Meter, reading: Reading) -> None:
    """Check a freshly decoded `reading` and give its currents their sign; raises Implausible."""
    frequency_mhz = reading.frequency_mhz[0]
    if not _HERTZ_MIN_MHZ <= frequency_mhz <= _HERTZ_MAX_MHZ:
        raise Implausible("frequency: %d mHz; allowed: 45..65 Hz" % frequency_mhz)
    if max(reading.volts_mv) < _VOLTS_ALIVE_MV:
        raise Implausible("voltage: no phase above 80 V")
    for phase in range(meter.phases):
        _settle_phase(meter, reading, phase)


def _settle_phase(meter, reading, phase):
    volts_mv = reading.volts_mv[phase]
    if not 0 <= volts_mv <= _VOLTS_MAX_MV:
        raise Implausible("voltage L%d: %d mV; allowed: 0..300 V" % (phase + 1, volts_mv))
    current_ma = abs(reading.current_ma[phase])
    if current_ma > meter.max_ma:
        text = "current L%d: %d mA; allowed: up to %d A"
        raise Implausible(text % (phase + 1, current_ma, meter.max_ma // 1000))
    power_w = reading.power_w[phase]
    apparent_va = (volts_mv // 100) * (current_ma // 100) // 100
    _check_power(phase, abs(power_w), apparent_va, abs(reading.factor_permille[phase]))
    if power_w < 0:
        # Meters give currents without a sign. Only the active part of an exported current makes room for the
        # car: counting reactive current as export would promise more than the fuse carries.
        active_ma = -power_w * 1000 // max(1, volts_mv // 1000)
        current_ma = -min(current_ma, active_ma)
    reading.current_ma[phase] = current_ma


def _check_power(phase, power_w, apparent_va, factor_permille):
    slack = apparent_va * _POWER_TOLERANCE_PERCENT // 100 + _POWER_TOLERANCE_W
    if factor_permille == _UNKNOWN:
        low, high = 0, apparent_va
    else:
        low = high = apparent_va * factor_permille // 1000
    if not low - slack <= power_w <= high + slack:
        text = "power L%d: %d W does not fit %d VA at a power factor of %d/1000"
        raise Implausible(text % (phase + 1, power_w, apparent_va, factor_permille))
