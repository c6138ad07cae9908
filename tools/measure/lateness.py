"""Starts the simulator with a ticker that notes how late the control loop runs; the figures go to a file at its end.

micropython tools/measure/lateness.py FIGURES.json [options of boards/simulator/run.py]
"""

import json
import sys
import time
from array import array

_HERE = "tools/measure/lateness.py"
_BUCKET_US = 50
_BUCKETS = 2000


class Lateness:
    """A histogram of lateness in microseconds; note() allocates nothing."""

    def __init__(self):
        self.counts = array("I", [0] * (_BUCKETS + 1))
        self.count = 0
        self.max_us = 0

    def note(self, late_us: int) -> None:
        """Count one tick."""
        self.counts[min(max(late_us, 0) // _BUCKET_US, _BUCKETS)] += 1
        self.count += 1
        self.max_us = max(self.max_us, late_us)

    def permille_us(self, permille: int) -> int:
        """Upper end of the bucket below which `permille` of the ticks lie."""
        seen = 0
        for bucket in range(_BUCKETS + 1):
            seen += self.counts[bucket]
            if seen * 1000 >= self.count * permille:
                return (bucket + 1) * _BUCKET_US
        return self.max_us

    def figures(self) -> dict:
        """What the benchmark wants to know."""
        p50, p999 = self.permille_us(500), self.permille_us(999)
        return {"count": self.count, "p50_us": p50, "p999_us": p999, "max_us": self.max_us}


def measured_ticker(lateness):
    """Return a factory of tickers that wait like the firmware's own and note each wake-up."""

    def factory(period_ms, _next_due_ms):
        from hal import clock as host_clock
        from wallbox.clock import Ticker

        edge = host_clock.ticks_ms()
        while host_clock.ticks_ms() == edge:
            continue
        begin_us = time.ticks_us()
        begin_ms = host_clock.ticks_ms()

        class Measured(Ticker):
            async def wait(self):
                due = time.ticks_add(self._next, period_ms)
                await Ticker.wait(self)
                # Both clocks were read at the same instant once, at the edge of a millisecond.
                late_us = time.ticks_diff(time.ticks_us(), begin_us)
                lateness.note(late_us - 1000 * time.ticks_diff(due, begin_ms))

        return Measured(host_clock.ticks_ms, period_ms)

    return factory


def main() -> None:
    """Run the simulator to its end, then write the figures."""
    root = __file__[: -len(_HERE)]
    figures_path = sys.argv.pop(1)
    sys.path[:0] = [root + "firmware", root + "boards/simulator"]
    from plant import board

    lateness = Lateness()
    board.ticker = measured_ticker(lateness)
    try:
        __import__("run")
    finally:
        with open(figures_path, "w") as file:
            json.dump(lateness.figures(), file)


main()
