"""What the rest of the firmware sees of the charge: written by the control loop alone, read by everybody."""

import asyncio
from array import array


class Snapshot:
    """Plain values of the last control step; `changed` is set whenever something a person could see moved."""

    def __init__(self):
        self.state = "A1"
        self.car_connected = False
        self.charging = False
        self.faulted = False
        self.out_of_use = False
        self.starting = True
        self.communication_ok = True
        self.updating = False
        self.contactor_commanded = False
        self.contactor_closed = False
        self.contactor_live = 0
        self.high_mv = 0
        self.low_mv = 0
        self.duty_permille = 1000
        self.offered_ma = 0
        self.allowed_ma = 0
        self.currents_ma = array("i", (0, 0, 0))
        self.volts_mv = array("i", (0, 0, 0))
        self.power_w = array("i", (0, 0, 0))
        self.frequency_mhz = 0
        self.energy_mwh = 0
        self.temperature_deci_c = 250
        self.self_testing = False
        self.changed = asyncio.Event()
