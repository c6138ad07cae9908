"""Control pilot generator and sampler of the simulated board."""

from plant import board


class Pilot:
    """`high_mv` and `low_mv` are the plateau levels at CP (equal when static), `duty_permille` the output."""

    def __init__(self):
        self._plant = board.plant
        self._pilot = board.plant.pilot
        self.high_mv = 0
        self.low_mv = 0
        self.duty_permille = 0

    def set_duty(self, permille: int) -> None:
        """1000 is steady +12 V, 0 steady -12 V, between them PWM; ValueError outside 0..1000."""
        self._plant.sync()
        self._pilot.set_duty(permille)

    def sample(self) -> None:
        """Refresh the attributes."""
        self._plant.sync()
        pilot = self._pilot
        self.high_mv = pilot.high_mv
        self.low_mv = pilot.low_mv
        self.duty_permille = pilot.duty_permille
