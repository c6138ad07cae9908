"""Registration, availability and reset: functions of ChargePoint, loaded for each."""

import asyncio

from micropython import const

from ocpp.queue import REFUSALS

# A heartbeat comes once a day at least, whatever the central system asks for (4.6).
_DAY_S = const(86_400)
# A soft reset waits so long for its StopTransaction to be delivered.
_DELIVERY_S = const(10)
# A hard reset too asks the car first and opens under load only after 6 s (IEC 61851-1, sequence 10.2).
_HARD_MS = const(8_000)


def registered(self, interval_s: int) -> None:
    """The central system has accepted a BootNotification: what it knew of the status it may have forgotten."""
    self.status.forget()
    if interval_s:
        try:
            self.config.change("HeartbeatInterval", str(min(interval_s, _DAY_S)))
        except OSError as error:
            self.log.add("error", "ocpp", "not_stored", "HeartbeatInterval could not be stored: %s" % error)


def time_set(self) -> None:
    """The clock was set."""
    self.transactions.link(self.online)
    self.reservations.look()
    self.metering.changed()
    self._profiles.wake()


def restored(self) -> tuple:
    """(operative, of connector 0 too, what is scheduled) as they were kept over the restart."""
    found = self._availability.load()
    whole = [True, True, None]
    if not isinstance(found, list) or len(found) != len(whole):
        found = whole
    return found[0] is not False, found[1] is not False, found[2] if isinstance(found[2], list) else None


def change_availability(self, connector: int, operative: bool) -> str:
    """ChangeAvailability (5.2) -> "Accepted", "Scheduled" while a session runs, "Rejected" when flash refuses."""
    wanted = [operative, operative if connector == 0 else self.whole_operative]
    if not operative and self.station.session_active():
        return "Scheduled" if _save(self, self.operative, self.whole_operative, wanted) else "Rejected"
    return "Accepted" if _apply(self, wanted) else "Rejected"


def come_due(self) -> None:
    """What was scheduled holds from now on; flash that refuses to note that has it as scheduled for a restart."""
    wanted = self._scheduled
    if not _apply(self, wanted):
        self._scheduled = None
        self.operative, self.whole_operative = wanted[:2]
        self.station.set_operative(self.operative)
        self.status.look()


def _apply(self, wanted) -> bool:
    if not _save(self, wanted[0], wanted[1], None):
        return False
    self.station.set_operative(self.operative)
    self.status.look()
    return True


def _save(self, operative: bool, whole: bool, scheduled) -> bool:
    """Keep the availability over restarts; False when flash refuses, or the heap: then nothing has changed."""
    try:
        self._availability.save([operative, whole, scheduled])
    except REFUSALS as error:
        self.log.add("error", "ocpp", "not_stored", "availability could not be stored: %s" % error)
        return False
    self.operative, self.whole_operative, self._scheduled = operative, whole, scheduled
    return True


async def reset(self, hard: bool) -> None:
    """Restart: a soft one ends the session, and waits until its StopTransaction is delivered or 10 s are over."""
    try:
        await _prepare(self, hard)
    except MemoryError as error:
        # One reason more to restart.
        self.failed(error)
    try:
        self.keep()
    except MemoryError as error:
        self.failed(error)
    await self.station.reset(hard)


async def _prepare(self, hard: bool) -> None:
    reason = "HardReset" if hard else "SoftReset"
    self.transactions.expect_reset(reason)
    self.security.event("ResetOrReboot", reason)
    self.log.add("info", "ocpp", "reset", "%s asked for by the central system" % reason)
    if self.station.session_active():
        self._settled = asyncio.Event()
        self.station.stop(reason)
        try:
            await asyncio.wait_for_ms(self._settled.wait(), _HARD_MS if hard else _DELIVERY_S * 1000)
        except asyncio.TimeoutError:
            self.log.add("warning", "ocpp", "no_end", "%s: the session has not ended in time" % reason)
    if not hard:
        await self.transactions.delivered(_DELIVERY_S * 1000)
    await self.link.leave()
