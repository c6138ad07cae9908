"""The charging profiles of a charge point and the limit that follows from them; it switches nothing.

Rules are those of OCPP 1.6 edition 2, section 3.13 and 7.7 to 7.14, with the errata. What is needed only when a
central system calls, or once at start, stands in `profiles.py`, which is loaded for that call and let go.
"""

from micropython import const

from ocpp.rare import borrow

# A profile is a tuple, since ten of them stay in memory; its first fields are what is kept on flash.
SEQUENCE = const(0)  # rises with each profile stored
ID = const(1)
PURPOSE = const(2)
LEVEL = const(3)
CONNECTOR = const(4)
WATTS = const(5)  # 1: limits are W, 0: they are A
START = const(6)  # UTC seconds, None: the start of charging
REPEAT = const(7)  # seconds from one start to the next, 0: there is one only
DURATION = const(8)  # seconds, None: the last period does not end
FROM = const(9)  # valid from and to, UTC seconds or None
TO = const(10)
RECEIVED = const(11)  # UTC seconds, 0: the time was unknown
PERIODS = const(12)  # array of pairs: seconds from the start, limit in tenths * 4 + phases (0: not given)
SLOT = const(13)  # number of its store, None: not on flash
WAITS = const(14)  # True for a TxProfile whose transaction has not begun

# ChargingProfilePurposeType (section 7.11) by number.
PURPOSES = ("ChargePointMaxProfile", "TxDefaultProfile", "TxProfile")
MAX = const(0)
DEFAULT = const(1)
TX = const(2)
# Who limits a transaction: the first that has a limit at that instant (section 3.13.1).
_USES = ((TX, 1), (DEFAULT, 1), (DEFAULT, 0))

# numberPhases that is assumed where none is given (section 7.14).
_PHASES = const(3)
# Tenths of W a phase in sixths, so that a power divides among 1, 2 or 3 phases without a rest.
SIXTHS = const(6)
# Below it no current can be offered (IEC 61851-1, table A.8).
_LEAST_MA = const(6000)


def sooner(one, other):
    """The smaller of two spans of time in seconds, None being without end."""
    if one is None or (other is not None and other < one):
        return other
    return one


def _within(profile: tuple, position: int) -> tuple:
    """(limit of the period at `position` seconds after the start, seconds that it lasts), as `_look` gives them."""
    duration = profile[DURATION]
    if duration is not None and position >= duration:
        return None, None
    left = None if duration is None else duration - position
    periods = profile[PERIODS]
    place = len(periods) - 2
    while periods[place] > position:
        place -= 2
    if place + 2 < len(periods):
        left = sooner(left, periods[place + 2] - position)
    return periods[place + 1], left


def _place(profile: tuple, position: int) -> tuple:
    """The same, for a schedule that may start over and over."""
    repeat = profile[REPEAT]
    if not repeat:
        return _within(profile, position)
    duration = profile[DURATION]
    if len(profile[PERIODS]) == 2 and (duration is None or duration >= repeat):
        return profile[PERIODS][1], None
    position %= repeat
    limit, left = _within(profile, position)
    return limit, sooner(left, repeat - position)


def _look(profile: tuple, utc_s, elapsed_s) -> tuple:
    """(limit as in PERIODS or None, seconds for which that stays so or None).

    Without the time, a schedule that needs it still counts if it had come to its last word when it was received:
    time has not run back since. `elapsed_s` None: no charge runs, the first period is in force.
    """
    known = utc_s is not None
    now = utc_s if known else profile[RECEIVED]
    begin, end, start = profile[FROM], profile[TO], profile[START]
    if begin is not None and now < begin:
        return None, begin - now if known else None
    if end is not None and (not known or now >= end):
        return None, None
    rest = None if end is None else end - now
    if start is None:
        if elapsed_s is None:
            return profile[PERIODS][1], rest
        limit, left = _within(profile, elapsed_s)
    elif now < start:
        return None, sooner(rest, start - now) if known else None
    else:
        limit, left = _place(profile, now - start)
        if left is not None and not known:
            return None, None
    return limit, sooner(rest, left)


def _leading(profiles: list, purpose: int, connector: int, utc_s, elapsed_s) -> tuple:
    """(profile that leads now or None, its limit, seconds until another may lead).

    The highest stack level wins that has a period now; gaps are left to those below (section 3.13.2).
    """
    rest = None
    for profile in profiles:
        if profile[PURPOSE] != purpose or profile[CONNECTOR] != connector or profile[WAITS]:
            continue
        limit, left = _look(profile, utc_s, elapsed_s)
        rest = sooner(rest, left)
        if limit is not None:
            return profile, limit, rest
    return None, None, rest


class Charging:
    """Holds the profiles. `listeners` are functions without argument, called when a limit may have changed.

    After a start the host calls `transaction_began` for a transaction that goes on; profiles of purpose TxProfile are
    not kept on flash, as their transaction ends with the power. All others are (errata, 3.37).
    """

    def __init__(self, point):
        self.point = point
        self.profiles = []
        self.sequence = 0
        self.transaction = None
        self.listeners = []
        self._began_s = 0
        borrow("profiles").load(self)

    def set(self, connector: int, profile: dict, remote: bool = False) -> str:
        """Install a ChargingProfile (7.8); returns SetChargingProfile's status, "Accepted" or "Rejected".

        `remote`: it came with a RemoteStartTransaction and waits for the transaction (5.11). What is refused is
        logged with the reason and changes nothing.
        """
        return borrow("profiles").install(self, connector, profile, remote)

    def clear(self, criteria: dict) -> str:
        """Remove what a ClearChargingProfile.req names; "Accepted", or "Unknown" when there was none (5.4).

        CallError InternalError when flash refuses; then nothing was removed.
        """
        return borrow("profiles").clear(self, criteria)

    def composite(self, connector: int, duration_s: int, unit: str):
        """Awaitable GetCompositeSchedule.conf for the next `duration_s` seconds in `unit` "A" or "W" (5.7)."""
        return borrow("profiles").composite(self, connector, duration_s, unit)

    def replace(self, profiles) -> None:
        """Let `profiles` be the ones in force."""
        self.profiles = sorted(profiles, key=lambda profile: -profile[LEVEL])
        self._changed()

    def _changed(self) -> None:
        for listener in self.listeners:
            listener()

    def transaction_began(self, transaction, elapsed_s: int = 0) -> None:
        """Count Relative schedules from `elapsed_s` seconds ago and apply what waited for this transaction."""
        if transaction is self.transaction:
            return
        self.transaction = transaction
        self._began_s = self.point.clock.uptime_s() - elapsed_s
        kept = []
        for profile in self.profiles:
            if profile[WAITS]:
                kept.append(profile[:WAITS] + (False,))
            elif profile[PURPOSE] != TX:
                kept.append(profile)
        self.replace(kept)

    def transaction_ended(self) -> None:
        """Drop the profiles of the transaction (3.13.1)."""
        self.transaction = None
        self.replace([profile for profile in self.profiles if profile[PURPOSE] != TX or profile[WAITS]])

    def forget_remote(self) -> None:
        """Drop what waits for a remotely started transaction that will not begin."""
        self.replace([profile for profile in self.profiles if not profile[WAITS]])

    def elapsed_s(self, uptime_s: int):
        """Seconds since the transaction began, None without one; set clocks do not matter."""
        return None if self.transaction is None else max(0, uptime_s - self._began_s)

    def at(self, profiles: list, utc_s, elapsed_s) -> tuple:
        """(profile that decides, tenths of W a phase in sixths, phases, seconds until that may change or None).

        The smaller of ChargePointMaxProfile and what limits the transaction (3.13.3); profile None: no limit.
        """
        profile, limit, rest = _leading(profiles, MAX, 0, utc_s, elapsed_s)
        share = phases = 0
        if profile:
            share, phases = self._share(profile, limit)
        for purpose, connector in _USES:
            use, limit, left = _leading(profiles, purpose, connector, utc_s, elapsed_s)
            rest = sooner(rest, left)
            if use:
                of_use, phases_of_use = self._share(use, limit)
                phases = min(phases or phases_of_use, phases_of_use)
                if profile is None or of_use < share:
                    profile, share = use, of_use
                break
        return profile, share, phases, rest

    def _share(self, profile: tuple, limit: int) -> tuple:
        """A limit as (tenths of W a phase in sixths, phases)."""
        station = self.point.station
        phases = min(limit & 3 or _PHASES, station.phases())
        share = (limit >> 2) * SIXTHS
        return share // phases if profile[WATTS] else share * station.volts(), phases

    def limit(self, utc_s, uptime_s: int) -> tuple:
        """(mA a phase or None, phases or None, seconds until it may change or None, text), None being no limit.

        `utc_s` may be None while the time is unknown. Below 6,000 mA the charge has to pause, as the text says. A
        station switches no phases: a power meant for fewer phases than it has is divided among all that may flow.
        """
        profile, share, phases, rest = self.at(self.profiles, utc_s, self.elapsed_s(uptime_s))
        if profile is None:
            return None, None, rest, "no charging profile limits"
        station = self.point.station
        ma = share * 100 // (SIXTHS * station.volts())
        if profile[WATTS]:
            ma = ma * phases // station.phases()
        name = "charging profile %d (%s, level %d)" % (profile[ID], PURPOSES[profile[PURPOSE]], profile[LEVEL])
        amperes = "%d.%d A" % (ma // 1000, ma % 1000 // 100)
        if ma < _LEAST_MA:
            return ma, phases, rest, "%s pauses the charge: %s is below 6 A" % (name, amperes)
        return ma, phases, rest, "%s allows %s" % (name, amperes)
