"""Virtual time for unit tests: a wait takes no real time and lasts exactly as long as was asked for."""

import asyncio
import time

LIMIT_MS = 30 * 24 * 3600 * 1000


class VirtualTime:
    """Replaces the loop's time until the test runner puts it back; `now_ms` starts at 0."""

    def __init__(self):
        core = asyncio.core
        self.now_ms = 0
        # Tasks that never waited are queued with the host's tick, which has to stay in the past.
        self._base = time.ticks_add(time.ticks_ms(), 60000)
        outer = self

        class Queue(core.IOQueue):
            def wait_io_event(self, dt):
                if dt > 0:
                    outer.now_ms += dt
                    assert outer.now_ms < LIMIT_MS, "the test waits for ever"

        core.ticks = self.ticks_ms
        core._io_queue = Queue()

    def ticks_ms(self):
        return time.ticks_add(self._base, self.now_ms)

    def poll(self, period_ms, _rest_ms):
        return asyncio.sleep_ms(period_ms)


class Log:
    """Stands in for the event log; `entries` are (level, code, text)."""

    def __init__(self):
        self.entries = []

    def add(self, level, source, code, text, **context):
        assert level in ("info", "warning", "error"), level
        self.entries.append((level, code, text))

    def codes(self):
        return [entry[1] for entry in self.entries]


class Record:
    """Any object with the given attributes."""

    def __init__(self, **attributes):
        for name, value in attributes.items():
            setattr(self, name, value)
