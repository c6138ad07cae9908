"""Has a new firmware prove itself before it is kept, and tells how an update ended; loaded after one alone."""

from time import ticks_diff

from micropython import const

from wallbox.installer.security import SecurityLog
from wallbox.protection.faults import (
    CATALOGUE,
    NO_CLOSE,
    PILOT_FEEDBACK,
    PILOT_LEVEL,
    RCM_SELF_TEST,
    STORAGE,
    TEMPERATURE_SENSOR,
    WELD,
)
from wallbox.storage.store import Store
from wallbox.update.service import IDLE, TRIAL, load_record

# All must be well for so long without a break; a meter or a network may need longer and is not asked.
_SOUND_MS = const(60_000)
# What is not well by then is given up: a reset, and the next try.
_LONGEST_MS = const(300_000)
# By then one or the other has come, unless the proof itself dies, which begins it anew.
_END_S = const(400)
_LOOK_MS = const(1_000)
_BEAT_MS = const(10_000)
# Turns of the control loop that may come late within a second: one for a sector of flash that is erased, and to spare.
_LATE_TURNS = const(3)
# The pilot swings between +12 V and -12 V, each with 5 % (IEC 61851-1 table A.2), and what measuring adds.
_PILOT_MV = const(13_500)
# Faults that a firmware may cause which drives or senses wrongly.
_SENSING = (PILOT_FEEDBACK, PILOT_LEVEL, NO_CLOSE, WELD, TEMPERATURE_SENSOR, RCM_SELF_TEST)
# What people have set, as the event log names it when it cannot be read.
_STORES = ("settings:", "cards:")


class Health:
    """`ill()` says why the firmware is not healthy now; what was wrong before it started does not count."""

    def __init__(self, app):
        self._app = app
        self._inherited = app.faults.active
        self._restarts = self._restarted()
        self._late = app.control.late
        self._written = False

    def _restarted(self) -> int:
        return sum([watch.restarts for watch in self._app.supervisor.watches])

    def ill(self):
        """What is wrong, in words, or None."""
        return self._tasks() or self._loop() or self._sensing() or self._radio() or self._flash()

    def _tasks(self):
        now = self._app.clock.ticks_ms()
        restarts, before = self._restarted(), self._restarts
        self._restarts = restarts
        if restarts != before:
            return "a task died or hung"
        for watch in self._app.supervisor.watches:
            if watch.late(now):
                return "task %s is late" % watch.name
        return None

    def _loop(self):
        late, before = self._app.control.late, self._late
        self._late = late
        return "the control loop is late" if late - before > _LATE_TURNS else None

    def _sensing(self):
        app = self._app
        view = app.snapshot
        new = app.faults.active & ~self._inherited
        for fault in _SENSING:
            if new & 1 << fault:
                return CATALOGUE[fault][6]
        if view.starting:
            return "the control loop has not found its state"
        if abs(view.high_mv) > _PILOT_MV or abs(view.low_mv) > _PILOT_MV:
            return "the pilot is measured at %d and %d mV" % (view.high_mv, view.low_mv)
        if view.contactor_live and not view.contactor_commanded and not app.faults.is_active(WELD):
            return "the contactor's output is live though it is open"
        return None

    def _radio(self):
        return None if self._app.ble.on_air else "the radio cannot be found"

    def _flash(self):
        """Whether the flash takes something, and what was set can be read; asked until it is so."""
        app = self._app
        if app.faults.is_active(STORAGE):
            return CATALOGUE[STORAGE][6]
        if self._written:
            return None
        for entry in app.log.since(0):
            if entry["code"] == "value_lost" and entry["text"].startswith(_STORES):
                return "what was set cannot be read (%s)" % entry["text"]
        try:
            Store(app.folder, "trial", 1, app.log).save(app.update.record.version)
        except OSError as error:
            return "the flash memory refuses to write (%s)" % error
        self._written = True
        return None


async def run(app, update, slots, beat) -> None:
    """Prove the firmware if it is on trial, and log how the update ended; resets a firmware that is not healthy."""
    if update.state == TRIAL:
        await _prove(app, update, slots, beat)
    record = update.record
    security = SecurityLog(app)
    if record.committed:
        app.log.add("warning", "update", "committed", "firmware %s is healthy and stays" % record.version)
        security.add("firmware", "wallbox", "kept " + record.version)
        app.backend.firmware_updated("%s is healthy and stays" % record.version)
    else:
        text = "firmware %s was given up: %s" % (record.version, record.reason)
        app.log.add("error", "update", "rolled_back", text)
        security.add("firmware", "wallbox", "given up %s: %s" % (record.version, record.reason))
    record.told = True
    try:
        slots.save(record.pack())
    except OSError as error:
        app.log.add("error", "update", "not_stored", "that this was told could not be stored: %s" % error)


async def _prove(app, update, slots, beat) -> None:
    health = Health(app)
    began = sound = app.clock.ticks_ms()
    told = ""
    while True:
        beat(_BEAT_MS)
        await app.clock.poll(_LOOK_MS, _LOOK_MS)
        if app.clock.uptime_s() >= _END_S:
            _give_up(app, update, slots, "it could not be looked after")
        now = app.clock.ticks_ms()
        ill = health.ill()
        if ill is None and ticks_diff(now, sound) >= _SOUND_MS:
            ill = _commit(update, slots)
            if ill is None:
                return
        if ill is None:
            continue
        sound = now
        if ill != told:
            told = ill
            app.log.add("warning", "update", "not_healthy", "the new firmware is not healthy yet: %s" % ill)
        if ticks_diff(now, began) >= _LONGEST_MS:
            _give_up(app, update, slots, ill)


def _commit(update, slots):
    """Keep the firmware -> None, or why that was not possible."""
    from loader import start

    record = load_record()
    if record is None:
        return "what is kept about the slots cannot be read"
    try:
        record.commit(start.header(slots, update.slot).counter)
        slots.save(record.pack())
    except (OSError, ValueError) as error:
        return "the flash memory refuses to keep it (%s)" % error
    update.record = record
    update.state = IDLE
    Store.trial = False
    return None


def _give_up(app, update, slots, ill: str) -> None:
    """Reset: the loader tries once more, or takes the former firmware; it does not return."""
    update.record.reason = ill
    try:
        slots.save(update.record.pack())
    except OSError as error:
        app.log.add("error", "update", "not_stored", "why the firmware is given up could not be stored: %s" % error)
    app.backend.keep()
    app.restart("the new firmware is not healthy: %s" % ill)
