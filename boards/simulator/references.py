"""Other projects' rules, written plainly from their published parameters, to compare with on the same plant and car.

They set the limit "backend" of the running firmware, whose own load optimisation and solar control are off. What they
read is the plant's current at their own cycle: no noise, no lost answers, no delay on the bus.
"""

from micropython import const

_LEAST_A = 6.0
_OFFER_NAME = "backend"
_MOST_MA = const(32_000)


def make(name: str, plant, about: dict):
    """The controller `name`; `about` is the first line of the trace."""
    kinds = {"none": Nothing, "evcc": Evcc, "smartevse": SmartEvse}
    return kinds[name](plant, about)


class Reference:
    """What they share: a view of the meter, and the limit they set."""

    cycle_ms = 1000

    def __init__(self, plant, about):
        self._plant = plant
        self._app = None
        self._ma = None
        self.limit_a = about["limit_a"]
        self.solar = about["solar"]
        self.phases = about["phases"]
        self.max_a = about["max_a"]
        self.begin()

    def begin(self) -> None:
        """Set up what the rules remember."""

    def attach(self, app) -> None:
        """The firmware has started."""
        self._app = app
        self._ma = None
        self.offer(0 if self.solar else self.max_a)

    def offer(self, amps) -> None:
        """Limit the charge, 0 pauses; whole 0.1 A."""
        ma = max(0, min(_MOST_MA, int(amps * 10) * 100))
        if ma == self._ma:
            # The loop need not look again.
            return
        self._ma = ma
        self._app.offer.set(_OFFER_NAME, ma, "reference", "reference")

    def step(self) -> None:
        """One cycle; `_step` holds the rules."""
        # A reset of the firmware takes the composition root away for a moment.
        if self._app is not None:
            self._step()

    def _step(self):
        pass

    def volts(self) -> float:
        """Mean voltage."""
        return sum(self._plant.supply.volts_mv) / 3000

    def grid_w(self) -> float:
        """Import positive."""
        supply = self._plant.supply
        return sum([supply.grid_ma[i] * supply.volts_mv[i] for i in range(3)]) / 1e6

    def car_w(self) -> float:
        """What the car takes."""
        return sum(self._plant.supply.power_w)

    def worst_a(self) -> float:
        """The phase with the largest import among those that the car uses."""
        return max([self._plant.supply.grid_ma[i] for i in range(self.phases)]) / 1000

    def car_a(self) -> float:
        """The car's current on its first phase."""
        return self._plant.supply.current_ma[0] / 1000


class Nothing(Reference):
    """A wallbox without any control: the car takes what it may."""


class Evcc(Reference):
    """evcc (docs and defaults of 2026): every 30 s, mode PV with 60 s to enable and 180 s to disable, thresholds 0 W.

    The least current has to be covered to enable; the current follows in mA steps; a circuit's current limit is kept in
    the same cycle.
    """

    cycle_ms = 30_000
    ENABLE_S = 60
    DISABLE_S = 180

    def begin(self) -> None:
        """The timers of its PV mode."""
        self.enabled = False
        self.above_s = 0
        self.below_s = 0

    def _step(self):
        if self.solar:
            self._pv()
            return
        room_a = self.limit_a - (self.worst_a() - self.car_a())
        self.offer(min(self.max_a, room_a) if room_a >= _LEAST_A else 0)

    def _pv(self):
        available_w = self.car_w() - self.grid_w()
        target_a = available_w / (self.volts() * self.phases)
        cycle_s = self.cycle_ms // 1000
        if not self.enabled:
            self.above_s = self.above_s + cycle_s if target_a >= _LEAST_A else 0
            # The first cycle that sees it starts the timer.
            if self.above_s > self.ENABLE_S:
                self.enabled = True
                self.below_s = 0
        else:
            self.below_s = self.below_s + cycle_s if target_a < _LEAST_A else 0
            if self.below_s > self.DISABLE_S:
                self.enabled = False
                self.above_s = 0
        self.offer(max(_LEAST_A, min(self.max_a, target_a)) if self.enabled else 0)


class SmartEvse(Reference):
    """SmartEVSE 3.5: each new reading (2 s); solar from 4 A of surplus, 40 s held at 6 A, stop after 10 min of need.

    Solar, on the sum of all phases: import above 2 A takes half of it off, above 1 A 0.5 A, above 0.3 A 0.1 A; more
    than 1 A of export adds 0.5 A, any other 0.1 A. The stop's time runs while the least current is too much and a stop
    would not leave the 4 A that start again. Smart: down by the whole difference, up by a quarter of it; below 6 A
    three times in a row: no current, and 60 s until the next try. Source: dingo35/SmartEVSE-3.5, CalcBalancedCurrent.
    """

    cycle_ms = 2_000
    START_A = 4.0
    HOLD_S = 40
    STOP_S = 600
    RETRY_S = 60
    SHORT_COUNTS = 3

    def begin(self) -> None:
        """Its current and timers."""
        self.amps = 0.0 if self.solar else _LEAST_A
        self.hold_s = self.stop_s = self.wait_s = self.short = 0

    def _step(self):
        if self.solar:
            self._follow_sun()
        else:
            self._smart()
        self.offer(self.amps)

    def _follow_sun(self):
        cycle_s = self.cycle_ms // 1000
        # The sum of all phases, import positive.
        sum_a = self.grid_w() / self.volts()
        if not self.amps:
            if sum_a <= -self.START_A:
                self.amps = _LEAST_A
                self.hold_s = self.HOLD_S
                self.stop_s = 0
            return
        if self.hold_s > 0:
            self.hold_s -= cycle_s
            return
        wanted_a = self.amps
        if sum_a < 0:
            wanted_a += 0.5 if sum_a < -1 else 0.1
        else:
            wanted_a -= sum_a / 2 if sum_a > 2 else 0.5 if sum_a > 1 else 0.1 if sum_a > 0.3 else 0
        would_restart = sum_a <= _LEAST_A * self.phases - self.START_A
        self.stop_s = self.stop_s + cycle_s if wanted_a < _LEAST_A and sum_a > 0 and not would_restart else 0
        self.amps = 0.0 if self.stop_s >= self.STOP_S else max(_LEAST_A, min(self.max_a, wanted_a))

    def _smart(self):
        if self.wait_s > 0:
            self.wait_s -= self.cycle_ms // 1000
            if self.wait_s <= 0:
                self.amps = _LEAST_A
            return
        difference = self.limit_a - self.worst_a()
        self.amps = min(self.max_a, self.amps + (difference / 4 if difference > 0 else difference))
        if self.amps >= _LEAST_A:
            self.short = 0
            return
        self.short += 1
        self.amps = _LEAST_A
        if self.short >= self.SHORT_COUNTS:
            self.short = 0
            self.amps = 0.0
            self.wait_s = self.RETRY_S
