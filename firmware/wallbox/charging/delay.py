"""The random delay before charging resumes after a power failure (R7), so that a street does not start at once."""

from wallbox.timer import Timer


class RestartDelay:
    """Drawn anew from hardware entropy at each return of the supply; repeated failures do not add up."""

    def __init__(self, settings, system):
        self._settings = settings
        self._system = system
        self._timer = Timer()
        self.timers = (self._timer,)
        self.drawn_s = 0

    @property
    def running(self) -> bool:
        """Charging has to wait."""
        return self._timer.running

    def begin(self, now: int, interrupted: bool) -> None:
        """At start: draw, which may allocate; `interrupted` tells that a session was open when the supply failed."""
        longest = self._settings["restart_delay_max_s"]
        if longest and self._system.reset_cause() == "power_on":
            self.drawn_s = self._system.random(1, longest)
        if interrupted:
            self.car_at_start(now)

    def car_at_start(self, now: int) -> None:
        """The first look at the pilot shows a car: it was plugged in while the supply was away."""
        if self.drawn_s and not self.running:
            self._timer.start(now, self.drawn_s * 1000)

    def update(self, now: int) -> None:
        """One control step."""
        self._timer.expired(now)

    def left_s(self, now: int) -> int:
        """Seconds still to wait, rounded up."""
        return (self._timer.left_ms(now) + 999) // 1000
