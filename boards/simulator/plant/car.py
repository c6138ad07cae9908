"""The car at the cable: what it shows on the pilot, when it switches S2 and what it draws."""

from array import array

from micropython import const

# IEC 61851-1 table A.3: nominal resistance behind the diode.
_OHM = {"B": 2740, "C": 882, "D": 246}
_TOLERANCE_PERMILLE = const(10)
_DIODE_MV = const(700)

# Behaviour of a plain car; the norm's limits are 3 s to open S2 and 5 s to follow (table A.6: 10.1, 6).
_S2_MS = const(1000)  # from an offer to S2 closed, and from its end to S2 open
_FIRST_DRAW_MS = const(500)  # from mains to the first current
_STEP_MS = const(250)  # a car follows an offer in steps, at most four
_STEP_MA = const(8000)
_STOP_MS = const(700)  # from the end of an offer to no current
_NJ_PER_WH = const(3_600_000_000_000)
_OVERCURRENT_PERMILLE = const(1300)
# A car that sleeps ignores PWM until it has seen state F for as long as its kind needs; the box's clock and
# what it takes to switch the pilot may make 4 s and 30 s a little shorter.
_WAKE_MS = {"f_4s": 3_800, "f_30s": 29_000}
ASLEEP = ("no", "f_4s", "f_30s", "never")


class Car:
    """State is "A" without a car, else "B", "C" or "D" as its switches stand.

    `demand_ma` is what it would draw on each phase that is fed.
    """

    def __init__(self, plant, dice):
        self._plant = plant
        self._s2_slot = plant.slot(self._move_s2)
        self._draw_slot = plant.slot(self._step)
        self._full_slot = plant.slot(self._full)
        self._ohm = {"A": 0}
        for state, ohm in _OHM.items():
            self._ohm[state] = dice.spread(ohm, _TOLERANCE_PERMILLE)
        self.demand_ma = array("i", (0, 0, 0))
        self._clear()

    def _clear(self) -> None:
        self.plugged = False
        self.state = "A"
        self.load_ohm = 0
        self.diode_mv = _DIODE_MV
        self.phases = 3
        self.max_ma = 0
        self.wants = False
        self.ignore_pwm = False
        self.asleep = "no"
        self._f_since_ms = None
        self._hand_state = False
        self._hand_ma = None
        self._left_nj = None
        self._permit_ma = 0
        self._fed = 0
        self._goal_ma = 0
        self._draw_ma = 0
        self._jump_ma = _STEP_MA
        self._lag_ms = _STEP_MS
        self._slope_ma = 0
        self._set_demand()

    def plug(self, phases: int, max_ma: int, wants: bool, left_wh, asleep: str, lag_ms=_STEP_MS, slope_ma=0) -> None:
        """A car comes: state B at once; `asleep` is one of ASLEEP.

        It begins to follow a changed offer after `lag_ms`, then by `slope_ma` a second (0: in a few quick steps).
        """
        self._clear()
        self._lag_ms = lag_ms
        self._slope_ma = slope_ma
        self.plugged = True
        self.phases = phases
        self.max_ma = max_ma
        self.wants = wants
        self.asleep = asleep
        if self._plant.pilot.state_f:
            self.heed_state_f(True)
        self._left_nj = None if left_wh is None else int(left_wh * _NJ_PER_WH)
        if self._left_nj == 0:
            self.wants = False
        self._show("B")
        self._plant.supply.update()
        self.heed_pilot()

    def unplug(self) -> None:
        """The car goes; a current that still flows breaks off in an arc, at once."""
        plant = self._plant
        for slot in (self._s2_slot, self._draw_slot, self._full_slot):
            plant.off(slot)
        self._clear()
        plant.pilot.update()
        plant.supply.update()

    def left_wh(self):
        """Energy in Wh that the car still wants, None when it has no end."""
        if self._left_nj is None:
            return None
        self._plant.supply.settle()
        return self._left_nj / _NJ_PER_WH

    # By hand.

    def hold_state(self, state) -> None:
        """Hold S2 and ventilation as in state "B", "C" or "D" at once; None lets the car decide again."""
        self._hand_state = state is not None
        if state is None:
            # A car that asks for ventilation does so by hand only.
            state = "C" if self.state == "D" else self.state
        self._plant.off(self._s2_slot)
        self._show(state)
        self._review()

    def hold_draw(self, milliamps) -> None:
        """Draw these three currents whenever mains is there; None lets the car decide again."""
        self._hand_ma = milliamps
        self._set_demand()
        self._plant.supply.update()

    def short_diode(self, shorted: bool) -> None:
        """Short the diode of the pilot circuit, or repair it."""
        self.diode_mv = 0 if shorted else _DIODE_MV
        self._plant.pilot.update()

    def ignore(self, ignore_pwm: bool) -> None:
        """Let the car go on as it is whatever the pilot says, or listen again."""
        self.ignore_pwm = ignore_pwm
        self.heed_pilot()

    def sleep(self, asleep: str) -> None:
        """Fall asleep, to be woken as ASLEEP says; "no" wakes up at once."""
        self.asleep = asleep
        self.heed_pilot()

    # What the car sees.

    def heed_state_f(self, begun: bool) -> None:
        """The pilot has gone to steady -12 V, or has left it."""
        now_ms = self._plant.now_ms
        since_ms = self._f_since_ms
        self._f_since_ms = now_ms if begun else None
        if begun or since_ms is None or self.asleep not in _WAKE_MS:
            return
        if now_ms - since_ms >= _WAKE_MS[self.asleep] and self._plant.powered:
            self.sleep("no")

    def heed_pilot(self) -> None:
        """The offer on the pilot has changed."""
        if not self.plugged:
            return
        offer = self._plant.pilot.offer_ma if self.asleep == "no" else 0
        if self.asleep != "no" or not self.ignore_pwm or not self._permit_ma or not self._plant.powered:
            self._permit_ma = offer
        self._review()

    def heed_mains(self, fed: int) -> None:
        """The phases that can feed the car have changed (bit mask); called before currents are computed."""
        fed &= 7 if self.phases == 3 else 1
        if fed == self._fed:
            return
        self._fed = fed
        self._follow()

    # What the car does.

    def _show(self, state: str) -> None:
        self.state = state
        self.load_ohm = self._ohm[state]
        self._plant.pilot.update()

    def _review(self) -> None:
        """Decide about S2 and current after any change."""
        plant = self._plant
        if not self._hand_state:
            go = self.wants and self._permit_ma > 0
            if go != (self.state == "C"):
                if not plant.waits(self._s2_slot):
                    plant.at(self._s2_slot, plant.now_ms + _S2_MS)
            else:
                plant.off(self._s2_slot)
        if self._follow():
            plant.supply.update()

    def _move_s2(self) -> None:
        self._show("B" if self.state == "C" else "C")
        self._review()

    def review(self) -> None:
        """Look again after a fault of the car came or went."""
        if self.plugged:
            self._review()

    def _goal(self) -> int:
        if not self._fed or self.state == "A" or self.state == "B" or self._left_nj == 0:
            return 0
        if not self.wants and not self._hand_state:
            return 0
        goal = min(self._permit_ma, self.max_ma)
        faults = self._plant.faults
        if goal and "overcurrent" in faults:
            amps = faults["overcurrent"]
            return goal * _OVERCURRENT_PERMILLE // 1000 if amps is None else int(amps * 1000)
        return goal

    def _follow(self) -> bool:
        """Set out for the current that is right now -> True when the current has dropped at once."""
        plant = self._plant
        goal = self._goal()
        if not self._fed or self.state == "B" or self.state == "A":
            plant.off(self._draw_slot)
            self._goal_ma = 0
            if not self._draw_ma:
                return False
            self._draw_ma = 0
            self._set_demand()
            return True
        if goal == self._goal_ma:
            return False
        under_way = goal and self._goal_ma and plant.waits(self._draw_slot)
        self._goal_ma = goal
        self._jump_ma = max(_STEP_MA, (abs(goal - self._draw_ma) + 3) // 4)
        if self._slope_ma:
            self._jump_ma = self._slope_ma * _STEP_MS // 1000
        if under_way:
            return False
        wait = self._lag_ms if goal else _STOP_MS
        if not self._draw_ma:
            wait = _FIRST_DRAW_MS
        plant.at(self._draw_slot, plant.now_ms + wait)
        return False

    def _step(self) -> None:
        goal = self._goal_ma
        if not goal:
            self._draw_ma = 0
        elif self._draw_ma < goal:
            self._draw_ma = min(goal, self._draw_ma + self._jump_ma)
        else:
            self._draw_ma = max(goal, self._draw_ma - self._jump_ma)
        if self._draw_ma != goal:
            plant = self._plant
            plant.at(self._draw_slot, plant.now_ms + _STEP_MS)
        self._set_demand()
        self._plant.supply.update()

    def _set_demand(self) -> None:
        demand = self.demand_ma
        hand = self._hand_ma
        for phase in range(3):
            if hand is not None:
                demand[phase] = hand[phase]
            else:
                demand[phase] = self._draw_ma if phase < self.phases else 0

    # How much it takes.

    def spend(self, work_nj: int) -> None:
        """Take energy in nJ off what the car still wants."""
        if self._left_nj is not None:
            self._left_nj = max(0, self._left_nj - work_nj)

    def plan_end(self, power_uw: int) -> None:
        """The car draws this power from now on: foresee when it has what it wants."""
        plant = self._plant
        if not self._left_nj or not power_uw:
            plant.off(self._full_slot)
        else:
            plant.at(self._full_slot, plant.now_ms + (self._left_nj + power_uw - 1) // power_uw)

    def _full(self) -> None:
        self._plant.supply.settle()
        self.wants = False
        self._plant.off(self._draw_slot)
        self._draw_ma = self._goal_ma = 0
        self._set_demand()
        self._plant.supply.update()
        self._review()
