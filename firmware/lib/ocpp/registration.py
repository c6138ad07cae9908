"""Registration and the time of the central system: functions of Link, loaded for a BootNotification or a Heartbeat."""

from micropython import const

from ocpp import timestamps
from ocpp.errors import CallError, CallTimeout, NotConnected

# Between two BootNotifications when the central system asks for none (interval 0) or gives no answer.
_BOOT_S = const(30)
# No central system makes the box wait longer, be it by mistake; timers wrap after six days.
_LONGEST_BOOT_S = const(86_400)
# A clock that is off by more is set (Heartbeat answers take some time on their way).
_CLOCK_S = const(2)
# Of 2015-10-08, when OCPP 1.6 was published: who tells an earlier time knows none, and it would stand on bills.
_FIRST_S = const(1_444_262_400)
# Real-time clocks have two digits for the year.
_LAST_S = const(4_102_444_800)
# A jump of the clock by more is told as a security event (white paper, SettingSystemTime).
_JUMP_S = const(10)
# After a BootNotification; how long the central system lets the next one wait is found out then.
_SOON_MS = const(1_000)


async def register(self) -> int:
    """Send a BootNotification, but not before the time that the last answer asked for (4.2) -> ms until the next.

    That time is kept over connections: a central system that rejects a charge point may also close its link.
    """
    left_s = self._boot_at_s - self._point.clock.uptime_s()
    if left_s > 0:
        # Uptime is in whole seconds: not too early by a part of one.
        return left_s * 1000 + 1000
    await _boot(self)
    if self.registration == "Accepted":
        self._point.link_changed()
        return 0
    return _SOON_MS


async def _boot(self) -> None:
    """Send one BootNotification, and keep when the next may be sent."""
    point = self._point
    info = point.station.boot_info()
    wait_s = _BOOT_S
    try:
        answer = await point.call("BootNotification", info, registering=True)
    except NotConnected as error:
        self._warn("not_registered", "BootNotification failed: %s" % error)
        return
    except (CallError, CallTimeout) as error:
        point.log.add("warning", "ocpp", "not_registered", "BootNotification failed: %s" % error)
        if self.reason:
            # The link was dead: on the next one nothing is to be waited for.
            return
    else:
        _booted(self, answer, info)
        wait_s = min(max(0, answer["interval"]), _LONGEST_BOOT_S) or _BOOT_S
        if self.registration == "Accepted":
            wait_s = 0
    self._boot_at_s = point.clock.uptime_s() + wait_s


def _booted(self, answer: dict, info: dict) -> None:
    """Take over what the central system answers to a BootNotification with `info`."""
    point = self._point
    self.registration = answer["status"]
    take_time(self, answer["currentTime"])
    point.log.add("info", "ocpp", "registered", "the central system answers %s" % self.registration)
    if self.registration == "Accepted":
        self._told = info
        point.registered(max(0, answer["interval"]))


def take_time(self, text: str) -> None:
    """Take over the central system's time when the clock is unknown or off."""
    point = self._point
    try:
        utc_s = timestamps.parse(text)
        if not _FIRST_S <= utc_s < _LAST_S:
            raise ValueError("%s is no time from 2015 to 2099" % timestamps.iso(utc_s))
    except ValueError as error:
        point.log.add("warning", "ocpp", "bad_time", "the central system's time is none: %s" % error)
        return
    known = point.clock.utc_s()
    if known is not None and abs(known - utc_s) < _CLOCK_S:
        return
    if _locks_out(self, utc_s, known):
        text = "the central system's time is ignored: its own certificate is not valid at "
        self._warn("bad_time", text + timestamps.iso(utc_s))
        return
    if point.clock.set_utc_s(utc_s) is False:
        # The station has the time from somebody whom it trusts more.
        return
    point.time_set()
    if known is None or abs(known - utc_s) >= _JUMP_S:
        point.security.event("SettingSystemTime", "set by the central system")


def _locks_out(self, utc_s: int, known) -> bool:
    """Whether a time would end all connections, since at it the certificates of this very one are not valid.

    A clock that has stopped says 1970 or 2000. Who does not know the time takes one after their end, which comes.
    """
    ssl = self.ssl
    if ssl is None or ssl.since_s is None:
        return False
    return utc_s < ssl.since_s or (known is not None and utc_s > ssl.until_s)
