"""The status of connectors 0 and 1 as OCPP 1.6 (4.9) tells it, and when it is sent; it only looks."""

from time import ticks_add, ticks_diff

from micropython import const

from ocpp import timestamps
from ocpp.errors import CallError, CallTimeout, NotConnected

AVAILABLE = "Available"
PREPARING = "Preparing"
CHARGING = "Charging"
SUSPENDED_EV = "SuspendedEV"
SUSPENDED_EVSE = "SuspendedEVSE"
FINISHING = "Finishing"
RESERVED = "Reserved"
UNAVAILABLE = "Unavailable"
FAULTED = "Faulted"
NO_ERROR = "NoError"

# With a fixed cable the plug is gone as soon as a session ends by unplugging. The end is shown for this long, so that
# a central system sees it (4.9, transition from Charging to Finishing).
_FINISHING_MS = const(1_000)
# A notification that got no answer is sent again after this long.
_AGAIN_MS = const(10_000)
# A car that has not taken the offer after so long does not want energy now; until then it is being prepared.
_TAKE_MS = const(3_000)
# How soon it is noticed that an authorisation has expired without a car.
_WAITING_MS = const(500)
_INFO_CHARS = const(50)
# Nothing here waits longer than a day, and what is older than two counts as so old: timers of a chip wrap after 6 days.
_LOOK_MS = const(86_400_000)
_OLD_MS = const(2 * 86_400_000)


def _aged(instant: int, now: int) -> int:
    """An instant in ms, brought near enough for timers to reach it."""
    return instant if ticks_diff(now, instant) <= _OLD_MS else ticks_add(now, -_OLD_MS)


class Status:
    """What connectors show. `point` has station, config, clock, log, reservations, operative, online, call, sender."""

    def __init__(self, point):
        self._point = point
        self._turn = point.sender.add(self._step)
        # (status, errorCode) that the central system has heard of each connector; None: nothing.
        self._sent: list = [None, None]
        self._shown = None
        self._since = 0
        self._finishing_at = None
        self._ended = False
        self._plugged_at = None
        self._offered_at = None
        # Whether the wallbox has held energy back since the car last took some.
        self._paused = False
        self._conflict = False

    # -- what is shown -------------------------------------------------------------------------------

    def connector(self) -> tuple:
        """(status, errorCode, info, vendorErrorCode) of connector 1 now."""
        fault = self._point.station.fault()
        if fault is None:
            return self._status(), NO_ERROR, "", ""
        code, info, vendor_code, stops = fault
        return FAULTED if stops else self._status(), code, info, vendor_code

    def _status(self) -> str:
        point = self._point
        station = point.station
        if station.session_active():
            return self._in_session()
        if not point.operative:
            return UNAVAILABLE
        if self._finishing_at is not None:
            return FINISHING
        if station.waiting_tag() is not None:
            return PREPARING
        if point.reservations.reserved_for(1) is not None:
            # Whoever plugs in: only the right card makes it Preparing (4.9, transition G2).
            return RESERVED
        if station.plugged():
            late = self._preparing_late()
            return FINISHING if self._ended or late else PREPARING
        return AVAILABLE

    def _in_session(self) -> str:
        station = self._point.station
        if not station.permitted():
            return FINISHING
        if not station.offers():
            return SUSPENDED_EVSE
        if station.charging():
            return CHARGING
        if self._paused and self._offer_left_ms() > 0:
            # The car needs a moment to go on; it suspends nothing, and there is no way back to Preparing (4.9).
            return SUSPENDED_EVSE
        return SUSPENDED_EV if station.was_charging() or self._offer_left_ms() <= 0 else PREPARING

    def _offer_left_ms(self) -> int:
        """How long the car still has to take the offer."""
        if self._offered_at is None:
            return _TAKE_MS
        return _TAKE_MS - ticks_diff(self._point.clock.ticks_ms(), self._offered_at)

    def _preparing_late(self) -> bool:
        """The car is plugged in, and nobody has permitted it within ConnectionTimeOut (transition B6)."""
        return self._left_ms() <= 0

    def _left_ms(self) -> int:
        """How long somebody still has to permit the car that is plugged in."""
        point = self._point
        least = point.config["ConnectionTimeOut"] * 1000
        if self._plugged_at is None:
            return least
        return least - ticks_diff(point.clock.ticks_ms(), self._plugged_at)

    def whole(self) -> str:
        """The status of connector 0: of the charge point itself."""
        return AVAILABLE if self._point.whole_operative else UNAVAILABLE

    # -- what others tell ----------------------------------------------------------------------------

    def look(self) -> None:
        """Something that the status depends on may have moved."""
        station = self._point.station
        now = self._point.clock.ticks_ms()
        waits = station.plugged() and not station.session_active()
        if not waits:
            self._plugged_at = None
        elif self._plugged_at is None:
            self._plugged_at = now
        if not station.plugged() or station.session_active():
            self._ended = False
        if not station.session_active() or station.charging() or not station.offered():
            self._offered_at = None
        elif self._offered_at is None:
            self._offered_at = now
        if not station.session_active() or station.charging():
            self._paused = False
        elif not station.offers():
            self._paused = True
        self._turn.wake()

    def ended(self) -> None:
        """A session has ended: what is shown until the car has gone, or for a moment, is Finishing."""
        self._ended = True
        if not self._point.station.plugged():
            self._finishing_at = self._point.clock.ticks_ms()
        self._turn.wake()

    def forget(self) -> None:
        """After a BootNotification was accepted: tell everything again (errata 3.22)."""
        self._sent = [None, None]
        self._turn.wake()

    async def tell_again(self, connector) -> None:
        """Send the status of a connector, or of both (TriggerMessage)."""
        for number in (0, 1) if connector is None else (connector,):
            await self.send(number, triggered=True)

    def local_list_conflict(self) -> None:
        """An Authorize has contradicted the local list (5.1.1 of the whole): told once on connector 0."""
        self._conflict = True
        self._turn.wake()

    # -- sending -------------------------------------------------------------------------------------

    async def _step(self) -> int:
        """Send what has changed, once it has stood for MinimumStatusDuration -> ms until something else may be due."""
        point = self._point
        now = point.clock.ticks_ms()
        self._since = _aged(self._since, now)
        if self._plugged_at is not None:
            self._plugged_at = _aged(self._plugged_at, now)
        if self._offered_at is not None:
            self._offered_at = _aged(self._offered_at, now)
        waits = [_LOOK_MS]
        if self._finishing_at is not None:
            left = _FINISHING_MS - ticks_diff(now, self._finishing_at)
            if left > 0:
                waits.append(left)
            else:
                self._finishing_at = None
        if self._plugged_at is not None and self._left_ms() > 0:
            waits.append(self._left_ms())
        if self._offered_at is not None and self._offer_left_ms() > 0:
            waits.append(self._offer_left_ms())
        if point.station.waiting_tag() is not None:
            waits.append(_WAITING_MS)
        shown = self.connector()
        if shown != self._shown:
            self._shown = shown
            self._since = now
        if point.online:
            left = await self._report(shown, now)
            if left:
                waits.append(left)
        return min(waits)

    async def _report(self, shown: tuple, now: int) -> int:
        """Send a status that the central system does not know -> ms to wait before it, or the next, may be sent."""
        whole = (self.whole(), NO_ERROR)
        if self._conflict:
            self._conflict = False
            await self.send(0, whole[0], "LocalListConflict")
            self._turn.wake()
            return 0
        if self._sent[0] != whole:
            if not await self._told(0, whole, whole):
                return _AGAIN_MS
            self._turn.wake()
            return 0
        if self._sent[1] == shown[:2]:
            return 0
        stood = ticks_diff(now, self._since)
        # The first one after registering waits for nothing.
        least = self._point.config["MinimumStatusDuration"] * 1000 if self._sent[1] is not None else 0
        if stood < least:
            return least - stood
        if not await self._told(1, shown, shown[:2]):
            return _AGAIN_MS
        # What has come meanwhile is looked at anew.
        self._turn.wake()
        return 0

    async def _told(self, connector: int, shown: tuple, known: tuple) -> bool:
        if await self.send(connector, *shown):
            self._sent[connector] = known
            return True
        return False

    async def send(self, connector: int, status=None, code=NO_ERROR, info="", vendor_code="", triggered=False) -> bool:
        """Send one StatusNotification, of how it is now unless told -> whether it was answered."""
        point = self._point
        if status is None:
            status, code, info, vendor_code = self.connector() if connector else (self.whole(), NO_ERROR, "", "")
        payload = {"connectorId": connector, "errorCode": code, "status": status}
        utc_s = point.clock.utc_s()
        if utc_s is not None:
            payload["timestamp"] = timestamps.iso(utc_s)
        if info:
            payload["info"] = info[:_INFO_CHARS]
        if vendor_code:
            payload["vendorId"] = point.station.vendor
            payload["vendorErrorCode"] = vendor_code[:_INFO_CHARS]
        try:
            await point.call("StatusNotification", payload, triggered=triggered)
        except NotConnected:
            return False
        except (CallError, CallTimeout) as error:
            point.log.add("warning", "ocpp", "status_not_told", "StatusNotification failed: %s" % error)
            return False
        return True
