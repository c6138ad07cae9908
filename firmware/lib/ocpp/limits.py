"""The limit that follows from charging profiles at an instant: functions of Charging, loaded while there are any."""

from micropython import const

from ocpp.charging import (
    CONNECTOR,
    DEFAULT,
    DURATION,
    FROM,
    ID,
    LEVEL,
    MAX,
    PERIODS,
    PURPOSE,
    RECEIVED,
    REPEAT,
    SIXTHS,
    START,
    TO,
    TX,
    WAITS,
    WATTS,
)

# ChargingProfilePurposeType (section 7.11) by number.
PURPOSES = ("ChargePointMaxProfile", "TxDefaultProfile", "TxProfile")
# Who limits a transaction: the first that has a limit at that instant (section 3.13.1).
_USES = ((TX, 1), (DEFAULT, 1), (DEFAULT, 0))

# numberPhases that is assumed where none is given (section 7.14).
_PHASES = const(3)
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


def at(self, profiles: list, utc_s, elapsed_s) -> tuple:
    """(profile that decides, tenths of W a phase in sixths, phases, seconds until that may change or None).

    The smaller of ChargePointMaxProfile and what limits the transaction (3.13.3); profile None: no limit.
    """
    profile, limit, rest = _leading(profiles, MAX, 0, utc_s, elapsed_s)
    share = phases = 0
    if profile:
        share, phases = _share(self, profile, limit)
    for purpose, connector in _USES:
        use, limit, left = _leading(profiles, purpose, connector, utc_s, elapsed_s)
        rest = sooner(rest, left)
        if use:
            of_use, phases_of_use = _share(self, use, limit)
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
    """See Charging.limit."""
    profile, share, phases, rest = at(self, self.profiles, utc_s, self.elapsed_s(uptime_s))
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
