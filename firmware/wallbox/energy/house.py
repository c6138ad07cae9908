"""What stands behind the meter beside the car: house currents per phase and the sun's surplus; sets no limit.

The meter counts the car too, and the two are never measured at the same instant. So the car's last currents are kept:
the house is what the meter says less something between the car's smallest and largest one. As long as what was known
before lies in between it stays, so neither a car that starts or stops nor a meter that lags looks like a load or room.
"""

from array import array
from time import ticks_diff

from micropython import const

from wallbox.timer import Dwell

_PHASES = const(3)
_ALL = const(0b111)
# The car's currents of the time that a reading may be of (1.3 s at most) are kept; the meter is read every 0.25 s while
# the car charges.
_HISTORY = const(6)
# A phase carries the car above this; one that obeys the end of an offer is below 1 A (sequence 7).
_USED_MA = const(1_000)
# That much on another phase shows that the car draws in earnest (6 A is the least offer, cars take a little less).
_EARNEST_MA = const(4_000)
# A car may start its phases one after the other; after this long the others are not coming.
_LEARNT_MS = const(5_000)


class House:
    """Follows the reader; `phases` (bits 0..2) are those that the car uses, all of them until it has shown it.

    `house_ma` (L1..L3) is the house's current, negative where it feeds into the grid, and `car_w` the car's power now.
    `car_high_ma` and `car_low_ma` are the car's largest and smallest current of the last readings. What the sun leaves
    for the car lies between `surplus_low_w` and `surplus_high_w`, which are the same while the car's current rests.
    """

    def __init__(self, reader, settings, snapshot, clock, habits):
        self._reader = reader
        self._settings = settings
        self._view = snapshot
        self._clock = clock
        self._habits = habits
        self._past_ma = array("i", (0,) * (_PHASES * _HISTORY))
        # Ticks may be wider than an array's numbers.
        self._past_at = [clock.ticks_ms()] * _HISTORY
        self._slot = 0
        self._learnt = Dwell(_LEARNT_MS)
        self.car_high_ma = array("i", (0, 0, 0))
        self.car_low_ma = array("i", (0, 0, 0))
        self.house_ma = array("i", (0, 0, 0))
        self.phases = _ALL
        self._shown = False
        self.car_w = 0
        self.surplus_low_w = 0
        self.surplus_high_w = 0
        reader.listeners.append(self.update)

    @property
    def all_phases(self) -> int:
        """The installation's phases as bits."""
        return _ALL if self._settings["phases"] == _PHASES else 1

    def update(self, fresh: bool) -> None:
        """Take in a new believed reading of the meter."""
        self.learn()
        if fresh:
            self._keep_currents()
            self._balance()

    def _keep_currents(self):
        now = self._clock.ticks_ms()
        currents_ma = self._view.currents_ma
        past_ma = self._past_ma
        lag_ms = self._reader.lag_ms
        self._past_at[self._slot] = now
        for phase in range(_PHASES):
            past_ma[self._slot * _PHASES + phase] = currents_ma[phase]
            high = low = currents_ma[phase]
            for slot in range(_HISTORY):
                if ticks_diff(now, self._past_at[slot]) <= lag_ms:
                    high = max(high, past_ma[slot * _PHASES + phase])
                    low = min(low, past_ma[slot * _PHASES + phase])
            self.car_high_ma[phase] = high
            self.car_low_ma[phase] = low
            meter_ma = self._reader.current_ma[phase]
            self.house_ma[phase] = max(meter_ma - high, min(meter_ma - low, self.house_ma[phase]))
        self._slot = (self._slot + 1) % _HISTORY

    def learn(self) -> bool:
        """Look which phases the car uses; True while that is about to be known, and the next look should be soon.

        A phase joins with its first current, and leaves when the others have carried the car alone for a while.
        """
        if not self._view.car_connected or self.phases & ~self.all_phases:
            self.phases = self.all_phases
            self._shown = False
        used = 0
        earnest = False
        for phase in range(_PHASES):
            ma = self._view.currents_ma[phase]
            used |= (ma > _USED_MA) << phase
            earnest = earnest or ma > _EARNEST_MA
        used &= self.all_phases
        self.phases |= used
        news = earnest and not (self._shown and used == self.phases)
        if self._learnt.update(self._clock.ticks_ms(), news):
            self.phases = used
            self._shown = True
        return self._learnt.running

    def knows_phases(self) -> bool:
        """The car has shown its phases, now or an earlier time."""
        return self._shown or bool(self._habits.entry and self._habits.entry["phases"])

    def likely_phases(self) -> int:
        """The phases that the car uses or, before it has shown them, used the last time; one for a car unknown."""
        if self._shown:
            return self.phases
        entry = self._habits.entry
        known = entry["phases"] if entry else 0
        return self.all_phases & ((1 << known) - 1 if known else 1)

    def likely_count(self) -> int:
        """How many phases these are, 1 to 3."""
        phases = self.likely_phases()
        return (phases & 1) + (phases >> 1 & 1) + (phases >> 2)

    def _balance(self):
        grid_w = sum([self._reader.power_w[phase] for phase in range(self._settings["phases"])])
        self.car_w = self._watts(self._view.currents_ma)
        self.surplus_low_w = self._watts(self.car_low_ma) - grid_w
        self.surplus_high_w = self._watts(self.car_high_ma) - grid_w

    def _watts(self, currents_ma) -> int:
        volts_mv = self._view.volts_mv
        return sum([volts_mv[phase] // 100 * (currents_ma[phase] // 10) // 1000 for phase in range(_PHASES)])

    def volts_mv(self, phases: int) -> int:
        """Sum of the voltages of `phases` (bits), nominal where none is measured."""
        total = 0
        nominal_mv = self._settings["nominal_v"] * 1000
        for phase in range(_PHASES):
            if phases >> phase & 1:
                mv = self._view.volts_mv[phase]
                total += mv if mv * 2 > nominal_mv else nominal_mv
        return total
