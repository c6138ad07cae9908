"""Security events, from their record on flash to their delivery: functions of Security, loaded for each."""

import asyncio
import json

from micropython import const

from ocpp import timestamps
from ocpp.errors import NOT_IMPLEMENTED, NOT_SUPPORTED, CallError, CallTimeout, NotConnected
from ocpp.rare import borrow
from ocpp.security import LOOK_S, RETRY_S

# Events that have to be told (whitepaper, appendix 4); here all are, but of these more at once.
CRITICAL = (
    "FirmwareUpdated SettingSystemTime StartupOfTheDevice ResetOrReboot SecurityLogWasCleared MemoryExhaustion "
    "TamperDetectionActivated"
)

_INFO_CHARS = const(255)
# As long a text of four bytes a character, or all quoted, still fits into a record of the journal.
_INFO_BYTES = const(255)
_INFO_SHORT = const(127)
_PAGE = const(8)
# Events kept in RAM while flash refuses them.
_UNWRITTEN = const(16)
# A peer that is wrong all the time must not push everything else out of the log: more than this of one kind within
# an hour are counted, and the count is told with the next one.
_REPEATS = const(5)
# Of the critical ones. A central system that sets the clock with each answer would write flash at each.
_CRITICAL_REPEATS = const(20)
_REPEAT_S = const(3600)
_LONGEST_RETRY_S = const(3600)
# An event that the central system answers with an error so often is not sent again.
_ATTEMPTS = const(3)
# A charge point that begins later than this after the start was set up then: the device has not been started.
_START_S = const(60)


def record(self, kind: str, info: str = "") -> None:
    """Record a security event, on flash before this returns, and send it when the central system is there."""
    info = "".join(char if char >= " " else " " for char in info[:_INFO_CHARS])
    if len(info.encode()) > _INFO_BYTES:
        info = info[:_INFO_SHORT]
    clock = self.point.clock
    count = _repeated(self, kind, clock.uptime_s())
    if count is None:
        return
    if count:
        info = ("%d more before. " % count + info)[:_INFO_CHARS]
    self._unwritten.append([0, 0, clock.uptime_s(), clock.utc_s(), kind, info])
    if len(self._unwritten) > _UNWRITTEN:
        lost = self._unwritten.pop(0)
        self.point.log.add("error", "ocpp", "event_lost", "security event lost: %s" % lost[4])
    if self._loaded:
        _write(self)
    self._turn.wake()


def _repeated(self, kind: str, now: int):
    """How many of a kind were left out before this one; None when this one is to be left out too."""
    most = _CRITICAL_REPEATS if kind in CRITICAL.split() else _REPEATS
    since, count = self._counts.get(kind, (now, 0))
    if now - since >= _REPEAT_S:
        self._counts[kind] = now, 1
        return max(0, count - most)
    self._counts[kind] = since, count + 1
    return None if count >= most else 0


def _write(self) -> None:
    """Write what waits in RAM to the journal, as far as flash lets us."""
    for record in self._unwritten:
        if not record[0]:
            self._sequence += 1
            record[0], record[1] = self._sequence, self._boot
    while self._unwritten:
        try:
            self._journal.append(json.dumps(self._unwritten[0]).encode())
        except OSError as error:
            self.point.log.add("error", "ocpp", "not_stored", "security event could not be stored: %s" % error)
            return
        self._unwritten.pop(0)


async def load(self) -> None:
    """Find out what has been recorded and delivered before this start; the first turn does it, too."""
    place = (0, 0)
    while place is not None and not self._loaded:
        records, place = self._journal.page(place, _PAGE)
        for record in records:
            _count(self, json.loads(record))
        await asyncio.sleep_ms(0)
    if not self._loaded:
        self._loaded = True
        self._boot += 1
        _write(self)


def _count(self, record) -> None:
    if isinstance(record, int):
        self._delivered = record
    else:
        self._sequence, self._boot = record[0], record[1]


def _head(self):
    """The oldest event that was not delivered, or None."""
    while self._place is not None:
        records, after = self._journal.page(self._place, _PAGE)
        for record in records:
            found = json.loads(record)
            if not isinstance(found, int) and found[0] > self._delivered:
                return found
        if after is None:
            break
        self._place = after
    for record in self._unwritten:
        if record[0] > self._delivered:
            return record
    return None


def _done(self, sequence: int) -> None:
    """An event needs not be sent again; when flash refuses to note it, it is after a restart."""
    self._delivered = sequence
    try:
        self._journal.append(b"%d" % sequence)
    except OSError as error:
        self.point.log.add("error", "ocpp", "not_stored", "delivered event could not be noted: %s" % error)


def log_pieces(self, oldest_s=None, latest_s=None):
    """The security log as an iterable of bytes, a line an event; times in seconds bound it (GetLog)."""
    module = borrow("security_log")
    return module.pieces(self._journal, _now(self), self._sequence, oldest_s, latest_s)


def _now(self) -> tuple:
    """(boot, uptime in s, UTC in s or None)."""
    clock = self.point.clock
    return self._boot, clock.uptime_s(), clock.utc_s()


async def step(self):
    """Send an event, and look after the charge point's certificate -> ms until there may be more to do."""
    if not self._loaded:
        await load(self)
        if self.point.clock.uptime_s() < _START_S:
            record(self, "StartupOfTheDevice")
        return 0
    if not self.point.online:
        return None
    wait_s = await _deliver(self)
    borrow("renewal").look(self)
    return 1000 * wait_s


async def _deliver(self) -> int:
    """Send the oldest event -> seconds until it, or another, is to be looked at again."""
    if self._refused:
        return LOOK_S
    _write(self)
    record = _head(self)
    if record is None:
        return LOOK_S
    try:
        await self.point.call("SecurityEventNotification", _payload(self, record))
    except NotConnected:
        # The link may be there all the same, without room in the heap for what was to be sent.
        return RETRY_S
    except (CallError, CallTimeout) as error:
        if _stays(self, record, error):
            return _later_s(self)
    self._attempts = 0
    self._retry_s = RETRY_S
    _done(self, record[0])
    return 0


def _later_s(self) -> int:
    """Seconds until the next try, twice as many each time."""
    wait_s = self._retry_s
    self._retry_s = min(2 * wait_s, _LONGEST_RETRY_S)
    return wait_s


def _stays(self, record: list, error) -> bool:
    """Whether an event that was not taken is to be sent again; one that is refused time and again is given up."""
    log = self.point.log
    if getattr(error, "code", "") in (NOT_IMPLEMENTED, NOT_SUPPORTED):
        # It knows no security events: the next connection may be to one that does.
        self._refused = True
        log.add("info", "ocpp", "no_events", "the central system takes no security events")
        return True
    self._attempts += isinstance(error, CallError)
    if self._attempts < _ATTEMPTS:
        return True
    log.add("warning", "ocpp", "event_refused", "security event %s was refused: %s" % (record[4], error))
    return False


def _payload(self, record: list) -> dict:
    utc_s = record[3]
    if utc_s is None:
        utc_s = borrow("security_log").time_of(self._journal, _now(self), record)
    payload = {"type": record[4], "timestamp": timestamps.iso(utc_s)}
    if record[5]:
        payload["techInfo"] = record[5]
    return payload
