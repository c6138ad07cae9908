"""Metering in front of the contactor, by an M90E32AS (Atmel 46003, now Microchip ATM90E32AS), and the PE monitor.

Five registers are read at each sample, in turns: the three currents always, the rest every 70 ms. What could be learnt
of the chip only from other projects is marked "weak" here and listed in README.md.
"""

from array import array
from time import sleep_ms

from micropython import const

from hal import pins
from hal.expander import Expander
from hal.safe_bus import chip_select, open_bus

# A frame: bit 15 reads, register, then 16 bits of value. 32 us of clock, some 50 us for driver and calls.
_READ = const(0x80)

# Registers. L1..L3 are the chip's phases A..C, one register after the other.
_METER_EN = const(0x00)
_MMODE0 = const(0x33)
_ENERGY = const(0x81)  # APenergyA: forward active energy, cleared by reading
_POWER = const(0xB1)  # PmeanA, signed, high half
_POWER_LSB = const(0xC1)  # PmeanALSB, of which the upper byte counts
_VOLTS = const(0xD9)  # UrmsA
_CURRENT = const(0xDD)  # IrmsA
_FREQUENCY = const(0xF8)

# Scales of the registers. The current gains are set to half of what would give 1 mA, so that 100 A do not overflow:
# power and energy count double with it.
_MV = const(10)
_MA = const(2)
_MHZ = const(10)
# Power: 0.00032 W a unit of 32 bits, as 24 bits 0.08192 W, doubled 512/3125 W.
_WATT_NUMERATOR = const(512)
_WATT_DENOMINATOR = const(3_125)
# Above 340 kW it is a garbled frame, and no small integer.
_MOST_HIGH = const(0x2000)
# Energy (weak): 0.01 pulse of 3200 a kWh, doubled 6.25 mWh.
_ENERGY_NUMERATOR = const(25)
_ENERGY_SHIFT = const(2)
_COUNTER_MASK = const((1 << 30) - 1)

# A register that nobody drives.
_NOTHING = const(0xFFFF)
_SOFT_RESET = const(0x70)
_RESET_KEY = const(0x789A)
_RESET_MS = const(20)  # weak: others wait 5 to 100 ms
# MMode0: all three phases count, with neutral, for 50 Hz (weak: bit 12 is for 60 Hz).
_MODE = const(0x0087)
# Register and value, in this order.
_SET_UP = array(
    "H",
    (0x7F, 0x55AA)  # CfgRegAccEn: open the configuration
    + (0x31, 0x0861, 0x32, 0xC468)  # PLconst: 3200 pulses a kWh
    + (_MMODE0, _MODE, 0x34, 0x0000)  # MMode1: gain 1 for the current transformers
    + (0x35, 0x0EA6, 0x38, 0x0177)  # PStartTh, PPhaseTh (weak): below 2.4 W in all, 0.24 W a phase, nothing counts
    + (0x61, 0x8000, 0x65, 0x8000, 0x69, 0x8000)  # UgainA..C, nominal for the dividers
    + (0x62, 0x4000, 0x66, 0x4000, 0x6A, 0x4000)  # IgainA..C, nominal for the transformers, halved
    + (_METER_EN, 0x0001)
    + (0x7F, 0x0000),  # close it
)

# What is read beside the currents, turn by turn.
_TURNS = const(7)
_TURN_LAST_VOLTS = const(1)
_TURN_FIRST_POWER = const(2)
_TURN_FIRST_ENERGY = const(5)


class Supply:
    """Arrays hold L1..L3. `energy_mwh` counts what was imported since the start of the board and wraps at 2**30."""

    def __init__(self):
        self._spi = open_bus()
        self._cs = chip_select(pins.METER_CS)
        self._expander = Expander()
        self._frame = bytearray(4)
        self._turn = 0
        self._rest = 0
        self.volts_mv = array("i", (0, 0, 0))
        self.current_ma = array("i", (0, 0, 0))
        self.power_w = array("i", (0, 0, 0))
        self.frequency_mhz = 0
        self.pe_ok = False
        self.energy_mwh = 0
        self._exchange(0, _SOFT_RESET, _RESET_KEY)
        sleep_ms(_RESET_MS)
        self._set_up()

    def _exchange(self, flag: int, register: int, value: int) -> int:
        frame = self._frame
        frame[0] = flag
        frame[1] = register
        frame[2] = value >> 8
        frame[3] = value & 0xFF
        self._cs(0)
        self._spi.write_readinto(frame, frame)
        self._cs(1)
        return frame[2] << 8 | frame[3]

    def _read(self, register: int) -> int:
        return self._exchange(_READ, register, 0)

    def _set_up(self) -> None:
        """Write the configuration; 1.5 ms."""
        for i in range(0, len(_SET_UP), 2):
            self._exchange(0, _SET_UP[i], _SET_UP[i + 1])

    def sample(self) -> None:
        """Refresh the attributes. Allocates nothing; five registers and the expander, 0.5 ms.

        The chip itself renews its values every few periods of the grid (weak).
        """
        current = self.current_ma
        for phase in range(3):
            current[phase] = self._read(_CURRENT + phase) * _MA
        self.pe_ok = not self._expander.inputs() & pins.IN_PE
        turn = self._turn
        self._turn = (turn + 1) % _TURNS
        if turn == 0:
            self._read_volts(0)
            self._read_volts(1)
        elif turn == _TURN_LAST_VOLTS:
            self._read_volts(2)
            self.frequency_mhz = self._read(_FREQUENCY) * _MHZ
        elif turn < _TURN_FIRST_ENERGY:
            self._read_power(turn - _TURN_FIRST_POWER)
        elif turn == _TURN_FIRST_ENERGY:
            if self._read(_MMODE0) != _MODE:
                # It has lost its power, and its configuration with it.
                self._set_up()
            self._count_energy(0)
        else:
            self._count_energy(1)
            self._count_energy(2)

    def _read_volts(self, phase: int) -> None:
        self.volts_mv[phase] = self._read(_VOLTS + phase) * _MV

    def _read_power(self, phase: int) -> None:
        high = self._read(_POWER + phase)
        if high >= 0x8000:
            high -= 0x10000
        units = high << 8 | self._read(_POWER_LSB + phase) >> 8
        if -_MOST_HIGH <= high < _MOST_HIGH:
            self.power_w[phase] = (units * _WATT_NUMERATOR + _WATT_DENOMINATOR // 2) // _WATT_DENOMINATOR

    def _count_energy(self, phase: int) -> None:
        count = self._read(_ENERGY + phase)
        if count == _NOTHING:
            return
        work = count * _ENERGY_NUMERATOR + self._rest
        self._rest = work & (1 << _ENERGY_SHIFT) - 1
        self.energy_mwh = self.energy_mwh + (work >> _ENERGY_SHIFT) & _COUNTER_MASK
