"""Grid, house and the box's own metering: voltages, currents, power, and energy exact between events."""

from array import array

from micropython import const

_NOMINAL_MV = const(230_000)
_NOMINAL_MHZ = const(50_000)
_PRESENT_MV = const(50_000)  # a phase below this counts as dead: sensors see no voltage, chargers stop
_NEUTRAL = const(8)
_NJ_PER_MWH = const(3_600_000_000)
_UJ_PER_MWH = const(3_600_000)
_COUNTER_MASK = const((1 << 30) - 1)  # the metering chip's counter wraps here


class Supply:
    """Arrays hold L1..L3. `version` counts changes, so that a reader copies only when there is a need.

    `updates` counts what may have changed anything, house and connection included.
    """

    def __init__(self, plant):
        self._plant = plant
        self.version = 0
        self.updates = 0
        self.volts_mv = array("i", (0, 0, 0))
        self.current_ma = array("i", (0, 0, 0))
        self.power_w = array("i", (0, 0, 0))
        self.grid_ma = array("i", (0, 0, 0))
        self.frequency_mhz = 0
        self.pe_ok = True
        self.house_ma = array("i", (0, 0, 0))
        self.pv_w = 0
        self._grid_mv = array("i", (_NOMINAL_MV, _NOMINAL_MV, _NOMINAL_MV))
        self._grid_mhz = _NOMINAL_MHZ
        self._new_mv = array("i", (0, 0, 0))
        self._present = 0
        self._power_uw = 0
        self._energy_mwh = 0
        self._rest_nj = 0
        self._since_ms = 0
        self._grid_mw = array("q", (0, 0, 0))
        self._import_uj = array("q", (0, 0, 0))
        self._export_uj = array("q", (0, 0, 0))

    def set_grid(self, millivolts, millihertz) -> None:
        """Change the grid; None leaves voltages or frequency as they are."""
        if millivolts is not None:
            for phase in range(3):
                self._grid_mv[phase] = millivolts[phase]
        if millihertz is not None:
            self._grid_mhz = millihertz
        self.refresh()

    def set_house(self, milliamps, pv_w) -> None:
        """Change what the house draws and its solar plant gives; None leaves it as it is."""
        if milliamps is not None:
            for phase in range(3):
                self.house_ma[phase] = milliamps[phase]
        if pv_w is not None:
            self.pv_w = pv_w
        self.update()

    def refresh(self) -> None:
        """Recompute the voltages after a change of grid, faults or the box's supply."""
        plant = self._plant
        faults = plant.faults
        self._present = 0
        for phase in range(3):
            mv = self._grid_mv[phase] if plant.powered else 0
            if mv and "undervoltage" in faults:
                mv = int(faults["undervoltage"] * 1000)
            elif mv and "overvoltage" in faults:
                mv = int(faults["overvoltage"] * 1000)
            if faults.get("phase_loss") == phase + 1:
                mv = 0
            self._new_mv[phase] = mv
            if mv >= _PRESENT_MV:
                self._present |= 1 << phase
        hertz = self._grid_mhz if self._present else 0
        pe_ok = "pe" not in faults
        if hertz != self.frequency_mhz or pe_ok != self.pe_ok:
            self.frequency_mhz = hertz
            self.pe_ok = pe_ok
            plant.changed += 1
            self.version += 1
        self.update()

    def settle(self) -> None:
        """Book the energy of the time since the last change."""
        now = self._plant.now_ms
        elapsed = now - self._since_ms
        if not elapsed:
            return
        self._since_ms = now
        if self._power_uw:
            work = self._power_uw * elapsed
            self._plant.vehicle.spend(work)
            work += self._rest_nj
            self._energy_mwh += work // _NJ_PER_MWH
            self._rest_nj = work % _NJ_PER_MWH
        for phase in range(3):
            work = self._grid_mw[phase] * elapsed
            if work > 0:
                self._import_uj[phase] += work
            else:
                self._export_uj[phase] -= work

    def energy_mwh(self) -> int:
        """The box's import counter in mWh, which wraps at 2**30; exact at any time."""
        work = self._power_uw * (self._plant.now_ms - self._since_ms) + self._rest_nj
        return (self._energy_mwh + work // _NJ_PER_MWH) & _COUNTER_MASK

    def import_mwh(self, phase: int) -> int:
        """What the connection took from the grid on phase 0..2 since the plant's start, in mWh."""
        self.settle()
        return self._import_uj[phase] // _UJ_PER_MWH

    def export_mwh(self, phase: int) -> int:
        """What the connection gave to the grid on phase 0..2 since the plant's start, in mWh."""
        self.settle()
        return self._export_uj[phase] // _UJ_PER_MWH

    def update(self) -> None:
        """Recompute what flows after a change of voltages, poles, car or house; tell who depends on it."""
        self.settle()
        self.updates += 1
        plant = self._plant
        contactor = plant.contactor
        live = contactor.poles & self._present
        fed = live if contactor.poles & _NEUTRAL else 0
        car = plant.vehicle
        car.heed_mains(fed)
        changed = live != contactor.live
        contactor.live = live
        peak = total = 0
        for phase in range(3):
            mv = self._new_mv[phase]
            ma = car.demand_ma[phase] if fed >> phase & 1 else 0
            if mv != self.volts_mv[phase] or ma != self.current_ma[phase]:
                self.volts_mv[phase] = mv
                self.current_ma[phase] = ma
                self.power_w[phase] = (mv * ma + 500_000) // 1_000_000
                changed = True
            total += mv * ma
            peak = max(peak, ma)
        self._power_uw = total
        self._connection()
        if changed:
            plant.changed += 1
            self.version += 1
        car.plan_end(total)
        plant.rcm.update(live != 0)
        plant.thermal.load(peak)

    def _connection(self) -> None:
        """Currents where house and box meet the grid, export negative."""
        present = self._present
        feeding = (present & 1) + (present >> 1 & 1) + (present >> 2)
        for phase in range(3):
            ma = mw = 0
            if present >> phase & 1:
                mv = self.volts_mv[phase]
                ma = self.house_ma[phase] + self.current_ma[phase]
                if self.pv_w:
                    ma -= self.pv_w * 1_000_000 // (feeding * mv)
                mw = mv * ma // 1000
            self.grid_ma[phase] = ma
            self._grid_mw[phase] = mw
