"""Metering of the simulated board: voltages, currents, power, frequency, energy, protective earth."""

from array import array

from plant import board


class Supply:
    """Arrays hold L1..L3. `energy_mwh` is the metering chip's import counter and wraps at 2**30."""

    def __init__(self):
        self._plant = board.plant
        self._supply = board.plant.supply
        self._version = -1
        self.volts_mv = array("i", (0, 0, 0))
        self.current_ma = array("i", (0, 0, 0))
        self.power_w = array("i", (0, 0, 0))
        self.frequency_mhz = 0
        self.pe_ok = False
        self.energy_mwh = 0

    def sample(self) -> None:
        """Refresh the attributes."""
        self._plant.sync()
        supply = self._supply
        self.energy_mwh = supply.energy_mwh()
        if self._version == supply.version:
            return
        self._version = supply.version
        self.frequency_mhz = supply.frequency_mhz
        self.pe_ok = supply.pe_ok
        for phase in range(3):
            self.volts_mv[phase] = supply.volts_mv[phase]
            self.current_ma[phase] = supply.current_ma[phase]
            self.power_w[phase] = supply.power_w[phase]
