"""What panel and status line show: polls the simulator, keeps its recent history, changes nothing."""

import asyncio
from collections import deque
from collections.abc import Callable

from control_link import ControlLink

# Ten looks a second are enough to draw the light bar's breathing and running without visible steps.
POLL_S = 0.1
# The Modbus meter measures what the last look saw, and a real one is no slower than this.
IDLE_POLL_S = 0.2
STATE_EVERY = 2
LOG_EVERY = 4
SAMPLE_EVERY = 5
# The chart shows five minutes.
HISTORY_MS = 300_000
HISTORY_SAMPLES = 1_500
LOG_KEPT = 2_000
NOMINAL_V = 230


def sample_of(state: dict) -> list:
    """One point of the chart: [plant ms, offered A, pilot high V or None, house A, car A, sun A, who limits].

    House and car are the busiest phase. House is what the connection carries without the car, sun deducted. Sun is what
    each phase has of it.
    """
    pilot = state.get("pilot") or {}
    draw = (state.get("car") or {}).get("draw_a") or [0]
    grid = state.get("grid_a") or [0]
    house = max(total - own for total, own in zip(grid, draw + [0] * len(grid), strict=False))
    high_mv = pilot.get("high_mv")
    volts = None if high_mv is None else round(high_mv / 1000, 2)
    return [
        state.get("plant_ms", 0),
        state.get("offered_a") or 0,
        volts,
        round(house, 2),
        round(max(draw), 2),
        round((state.get("house") or {}).get("pv_w", 0) / (3 * NOMINAL_V), 2),
        state.get("limited_by") or "",
    ]


class Feed:
    """Polls `state` and `log` and hands messages, dicts ready for JSON, to every listener."""

    def __init__(self, link: ControlLink):
        self._link = link
        self._listeners: set[Callable[[dict], None]] = set()
        self._hurry = asyncio.Event()
        self._last_seq = 0
        self.state: dict = {}
        self.entries: deque[dict] = deque(maxlen=LOG_KEPT)
        self.history: deque[list] = deque(maxlen=HISTORY_SAMPLES)

    def listen(self, listener: Callable[[dict], None]) -> Callable[[], None]:
        """Call `listener` with every message from now on; returns the function that ends it."""
        self._listeners.add(listener)
        self._hurry.set()
        return lambda: self._listeners.discard(listener)

    def hurry(self) -> None:
        """Look again at once, because a request has probably changed something."""
        self._hurry.set()

    async def run(self) -> None:
        """Poll until the connection is lost (ConnectionError)."""
        turn = 0
        while True:
            hurried = self._hurry.is_set()
            self._hurry.clear()
            await self._look(turn, hurried)
            turn += 1
            try:
                await asyncio.wait_for(self._hurry.wait(), POLL_S if self._listeners else IDLE_POLL_S)
            except TimeoutError:
                continue

    async def _look(self, turn: int, hurried: bool) -> None:
        answer = await self._link.request("state")
        state = answer["state"]
        # Tones are reported once: they go out with this look even when the rest of the state does not.
        if state.get("beeps"):
            self.tell({"type": "beeps", "beeps": state["beeps"]})
        self.state = state
        if hurried or not self._listeners or turn % STATE_EVERY == 0:
            self.tell({"type": "state", "state": state})
        elif state.get("led"):
            self.tell({"type": "led", "led": state["led"]})
        if hurried or not self._listeners or turn % SAMPLE_EVERY == 0:
            self._sample(state)
        if hurried or not self._listeners or turn % LOG_EVERY == 0:
            await self._read_log()

    def _sample(self, state: dict) -> None:
        sample = sample_of(state)
        if self.history and sample[0] <= self.history[-1][0]:
            return
        self.history.append(sample)
        while sample[0] - self.history[0][0] > HISTORY_MS:
            self.history.popleft()
        self.tell({"type": "sample", "sample": sample})

    async def _read_log(self) -> None:
        answer = await self._link.request("log", since=self._last_seq)
        fresh = answer["log"]
        if not fresh:
            return
        self._last_seq = fresh[-1]["seq"]
        self.entries.extend(fresh)
        self.tell({"type": "log", "entries": fresh[-LOG_KEPT:]})

    def tell(self, message: dict) -> None:
        """Hand a message to every listener."""
        for listener in tuple(self._listeners):
            listener(message)
