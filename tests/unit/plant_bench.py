"""A plant with the hal objects on it, for tests of both."""

from hal.contactor import Contactor
from hal.pilot import Pilot
from hal.rcm import Rcm
from hal.supply import Supply
from hal.temperature import Temperature
from plant import board
from plant.plant import Plant


class Bench:
    """`sense()` reads everything that the firmware can sense, as one tuple."""

    def __init__(self, seed=1):
        self.plant = board.plant = Plant(seed=seed)
        self.pilot = Pilot()
        self.contactor = Contactor()
        self.rcm = Rcm()
        self.supply = Supply()
        self.temperature = Temperature()
        self.pilot.set_duty(1000)

    def sense(self):
        for device in (self.pilot, self.contactor, self.rcm, self.supply, self.temperature):
            device.sample()
        return (
            (self.pilot.high_mv, self.pilot.low_mv, self.pilot.duty_permille),
            self.contactor.live,
            (self.rcm.tripped, self.rcm.dc_ua, self.rcm.ac_ua),
            (tuple(self.supply.volts_mv), tuple(self.supply.current_ma), tuple(self.supply.power_w)),
            (self.supply.frequency_mhz, self.supply.pe_ok),
            self.temperature.deci_c,
        )

    def after(self, ms):
        """Let `ms` pass and read everything."""
        self.plant.advance_to(self.plant.now_ms + ms)
        return self.sense()

    def charge(self, permille=266, **car):
        """Plug a car in and let it come to its full current at the given duty."""
        self.plant.plug(**car)
        self.pilot.set_duty(permille)
        self.after(1000)
        self.contactor.set(True)
        self.after(2000)

    @property
    def amps(self):
        self.supply.sample()
        return [ma / 1000 for ma in self.supply.current_ma]


def refusal(call, *args, **kwargs):
    """The text of the ValueError that a call raises."""
    try:
        call(*args, **kwargs)
    except ValueError as error:
        return str(error)
    raise AssertionError("nothing was refused: %r %r" % (args, kwargs))
