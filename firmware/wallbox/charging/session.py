"""The charging session: who may charge, since when, how much; it survives a power cut and never changes cars.

`update` runs inside the control loop and allocates nothing; storing is done by the task `run`, which the
loop only wakes. A session is stored before the contactor may close (`recorded`).
"""

import asyncio

from micropython import const

from wallbox.timer import Dwell, Timer

# The metering chip's counter wraps here (contract of hal/supply.py).
_COUNTER_MASK = const((1 << 30) - 1)
# A car that is plugged in when the supply returns shows within the pilot filter's times; then it is
# decided whether the interrupted session goes on.
_RESUME_MS = const(5_000)
# In states E and F the box cannot see the plug. Nobody moves it from one car to the next in the 4 s of a
# wake-up; after this long it may be another car, and a permission does not pass on (R43).
_UNSEEN_MS = const(5_000)
_MWH_PER_WH = const(1000)
# How often the task looks whether a checkpoint is worth a flash write (the store decides).
_CHECKPOINT_MS = const(60_000)

UNPLUGGED = "unplugged"
STOPPED_BY_CARD = "card"
STOPPED_REMOTELY = "remote"
POWER_LOSS = "power_loss"
UNSEEN = "unseen"


class Session:
    """The one session of the one connector.

    `listeners` are called with True when a session has begun and `id_tag` is known, before the contactor
    may close, and with False when it has ended.
    """

    def __init__(self, clock, settings, store, log, on_change):
        self._clock = clock
        self._settings = settings
        self._store = store
        self._log = log
        self._on_change = on_change
        self._wake = asyncio.Event()
        self._unused = Timer()
        self._resume = Timer()
        self._unseen = Dwell(_UNSEEN_MS)
        self.timers = (self._unused, self._resume, self._unseen)
        self.listeners = []
        self.active = False
        self.recorded = False
        self.authorised = False
        self.id_tag = None
        self.waiting = False
        # Why no session may begin, in words that people read; None: it may.
        self.held = None
        self.stop_reason = None
        self.resumed = False
        self.energy_mwh = 0
        self._base_s = 0
        self._began = 0
        self._counter = None
        self._connected = False
        self._closing = False
        self._expired = False

    # -- called from the control loop -------------------------------------------------------------

    def begin(self, now: int) -> None:
        """At start: take up a session that a power cut interrupted, if its car is still there."""
        record = self._store.current()
        if record is None:
            return
        self.resumed = True
        self.id_tag = record["id_tag"]
        self.energy_mwh = record["energy_wh"] * _MWH_PER_WH
        self._base_s = record["duration_s"]
        self._began = self._clock.uptime_s()
        self.recorded = True
        self.active = True
        self._resume.start(now, _RESUME_MS)
        self._tell(True)

    def update(self, now: int, connected: bool, known: bool, counter_mwh: int, charging: bool) -> None:
        """One control step; `known` is False while the pilot level is not yet (or, in F, not) known."""
        if self._counter is not None and self.active:
            self.energy_mwh += (counter_mwh - self._counter) & _COUNTER_MASK
        self._counter = counter_mwh
        if self._unused.expired(now):
            self.waiting = False
            self.id_tag = None
            self._expired = True
            self._changed()
        if self._unseen.update(now, not known) and self.active and self.id_tag is not None:
            self._end(UNSEEN)
        if not known:
            if self._resume.expired(now):
                # Whether the car is still there cannot be told yet.
                self._resume.start(now, _RESUME_MS)
            return
        if connected and not self._connected:
            self._connected = True
            self._plugged()
        elif self._connected and not connected:
            self._connected = False
            self._end(UNPLUGGED)
        elif not connected and self.active and self._resume.expired(now):
            self._end(POWER_LOSS)
        if self.active and not self.authorised and self.stop_reason and not charging:
            self._end(self.stop_reason)

    def _plugged(self) -> None:
        self._resume.stop()
        if self._closing:
            return  # what is being stored needs its reason; the car is looked at again after that
        self.stop_reason = None
        if self.active:
            self.authorised = True
            self._changed()
        elif self._may_open():
            self._open()

    def _may_open(self) -> bool:
        """Whether a car that is there may begin a session by itself."""
        return self.held is None and (self.waiting or not self._settings["access_control"])

    def _open(self) -> None:
        self._unused.stop()
        self.waiting = False
        self.authorised = True
        self.active = True
        self.recorded = False
        self.resumed = False
        self.stop_reason = None
        self.energy_mwh = 0
        self._base_s = 0
        self._began = self._clock.uptime_s()
        self._changed()

    def _end(self, reason: str) -> None:
        if self._closing:
            return  # told once: a change at each step would keep the loop busy until the end is stored
        self.authorised = False
        if self.active:
            self.stop_reason = self.stop_reason or reason
            self._closing = True
        else:
            self.stop_reason = None
        self._changed()

    def _changed(self) -> None:
        self._wake.set()
        self._on_change()

    # -- called from tasks --------------------------------------------------------------------------

    def authorise(self, id_tag: str, timeout_s=None) -> bool:
        """Permit one session for `id_tag`: now if a car is there, else for the next car within `timeout_s`.

        Without `timeout_s` (1 or more) it is the setting. False when there is a session, when none may begin, or
        when the box cannot see whether a car is there.
        """
        if self.active or self._closing or self._unseen.held or self.held is not None:
            return False
        self.id_tag = id_tag
        if self._connected:
            self._open()
            return True
        self.waiting = True
        timeout_s = timeout_s or self._settings["authorisation_timeout_s"]
        self._unused.start(self._clock.ticks_ms(), timeout_s * 1000)
        self._changed()
        return True

    def stop(self, reason: str = STOPPED_REMOTELY) -> None:
        """End the session in the normal way: the car is asked first; an authorisation in waiting is dropped."""
        self.waiting = False
        self._unused.stop()
        if not self.active:
            self.id_tag = None
        elif self.authorised:
            self.authorised = False
            self.stop_reason = reason
        self._changed()

    def hold(self, reason) -> None:
        """Let no session begin for `reason`, in words, or with None let them begin again; one that runs goes on."""
        self.held = reason
        if reason is not None:
            if self.waiting:
                self.stop()
        elif self._connected and not self.active and not self._closing and self._may_open():
            self._open()
        self._changed()

    @property
    def needs_card(self) -> bool:
        """A car is there, but nobody has permitted it."""
        return self._connected and not self.active

    def duration_s(self) -> int:
        """Seconds the session has lasted, before a power cut included."""
        return self._base_s + self._clock.uptime_s() - self._began if self.active else 0

    def authorisation_left_s(self):
        """Seconds until an unused authorisation expires, None without one."""
        return (self._unused.left_ms(self._clock.ticks_ms()) + 999) // 1000 if self.waiting else None

    def status(self) -> dict:
        """What apps show of the session; energy in Wh, duration in s."""
        return {
            "active": self.active,
            "authorised": self.authorised,
            "waiting": self.waiting,
            "id_tag": self.id_tag,
            "energy_wh": self.energy_mwh // _MWH_PER_WH if self.active else 0,
            "duration_s": self.duration_s(),
            "resumed": self.resumed and self.active,
            "stop_reason": self.stop_reason,
        }

    async def run(self, beat) -> None:
        """Store what the loop decided; a flash that refuses is logged by the store and the charge goes on."""
        while True:
            self._store_changes()
            beat(_CHECKPOINT_MS * 2)
            try:
                await asyncio.wait_for_ms(self._wake.wait(), _CHECKPOINT_MS)
            except asyncio.TimeoutError:
                self._checkpoint()
            self._wake.clear()

    def _tell(self, begun: bool) -> None:
        for listener in self.listeners:
            listener(begun)

    def _store_changes(self) -> None:
        if self._expired:
            self._expired = False
            self._log.add("info", "session", "authorisation_expired", "the authorisation was not used in time")
        if self.active and not self.recorded:
            self._open_record()
        if self._closing:
            self._close_record()

    def _open_record(self) -> None:
        number = self._store.open({"id_tag": self.id_tag, "start_utc": self._clock.utc_s()})
        self._log.add("info", "session", "started", "session %d started" % number)
        self._tell(True)
        self.recorded = True
        self._on_change()

    def _checkpoint(self) -> None:
        if self.active and not self._closing:
            self._store.checkpoint(self.energy_mwh // _MWH_PER_WH, self.duration_s())

    def keep_energy(self) -> None:
        """Write the energy so far to flash: somebody outside hears it, and must never hear less after a power cut."""
        if self.active and not self._closing:
            self._store.checkpoint(self.energy_mwh // _MWH_PER_WH, self.duration_s(), told=True)

    def _close_record(self) -> None:
        reason = self.stop_reason
        wh = self.energy_mwh // _MWH_PER_WH
        seconds = self.duration_s()
        self.active = False
        self._closing = False
        self.recorded = False
        self.id_tag = None
        self._store.close(reason, wh, seconds)
        self._log.add(
            "info",
            "session",
            "ended",
            "session ended (%s): %d Wh in %d s" % (reason, wh, seconds),
            reason=reason,
            energy_wh=wh,
        )
        self._tell(False)
        if self._connected and reason == UNPLUGGED and self._may_open():
            self._open()
        self._on_change()
