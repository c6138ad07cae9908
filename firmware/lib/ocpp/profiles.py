"""What charging profiles need seldom: reading them from a request or flash, clearing, the composite schedule.

Loaded by `charging.py` for one call. Flash holds one store a profile and a list of the stores that count; the list
is written last, so that a power cut leaves the old state or the new one.

Wear: central systems that manage load send a profile every 10 s, which are 3.2 million writes a year, a quarter of what
128 blocks of 100,000 erases bear, littlefs spreading them. Written once a minute, 24 periods take 60 erases an hour,
which are 4 % a year, and 3 periods, which fit into the folder, 2 (test_profiles_that_come_every_10_s_cost_an_erase_a_
minute_at_most). A power cut may bring back what is a minute older.
"""

import asyncio
from array import array

from micropython import const

from ocpp import errors
from ocpp.charging import (
    CONNECTOR,
    DEFAULT,
    DURATION,
    ID,
    LEVEL,
    MAX,
    PERIODS,
    PURPOSE,
    RECEIVED,
    REPEAT,
    SEQUENCE,
    SIXTHS,
    SLOT,
    START,
    TX,
    WAITS,
    WATTS,
)
from ocpp.rare import borrow
from ocpp.timestamps import iso, parse

_limits = borrow("limits")
_PURPOSES = _limits.PURPOSES

_LIST = "ocpp_profiles"
_STORE = "ocpp_profile%d"

_DAY_S = const(86400)
_WEEK_S = const(7 * 86400)
# A recurring schedule without any date starts at 00:00 UTC, a weekly one on Mondays; 1970-01-05 was one.
_MONDAY_S = const(4 * 86400)
# Between two writes of profiles.
_SAVE_S = const(60)
# Larger limits are as good as none, and 28 bits beside the phases stay within 31-bit integers.
_MOST_TENTHS = const(0x0FFFFFFF)
# Seconds beyond 34 years.
_MOST_S = const(0x3FFFFFFF)
# The loop is given way after so many instants of a composite schedule (one takes up to 1 ms on a chip) ...
_INSTANTS = const(3)
# ... and the schedule ends after so many, which are 41 days of hourly changes.
_MOST_INSTANTS = const(1000)


def _check(field: str, value, low: int, high: int):
    """The value; ValueError unless it is a number from `low` to `high`."""
    if not low <= value <= high:
        raise ValueError("%s: %s; allowed: %d to %d" % (field, value, low, high))
    return value


# From a request


def _check_unit(charging, unit: str) -> None:
    """ValueError for a unit that ChargingScheduleAllowedChargingRateUnit does not name (9.4.2)."""
    allowed = charging.point.config["ChargingScheduleAllowedChargingRateUnit"]
    if ("Power" if unit == "W" else "Current") not in allowed:
        raise ValueError("chargingRateUnit: %s; allowed: %s" % (unit, ",".join(allowed)))


def install(charging, connector: int, payload: dict, remote: bool) -> str:
    """See Charging.set."""
    try:
        profile = _read(charging, connector, payload, remote)
        _put(charging, profile)
    except (ValueError, OSError) as error:
        text = "charging profile %d refused: %s" % (payload["chargingProfileId"], error)
        if isinstance(error, OSError):
            charging.point.log.add("error", "ocpp", "profile_refused", text)
        else:
            borrow("wear").complain(charging.point, "profile_refused", text)
        return "Rejected"
    return "Accepted"


def _read(charging, connector: int, payload: dict, remote: bool) -> tuple:
    """The profile of a checked request without sequence number and slot; ValueError says what is not allowed."""
    config = charging.point.config
    purpose = _PURPOSES.index(payload["chargingProfilePurpose"])
    level = _check("stackLevel", payload["stackLevel"], 0, config["ChargeProfileMaxStackLevel"])
    # Section 3.13.1: the whole has a maximum, connectors have transactions.
    _check("connectorId", connector, 1 if purpose == TX else 0, 0 if purpose == MAX else 1)
    if remote or purpose == TX:
        _check_transaction(charging.transaction, purpose, payload, remote)
    begin, end = _time(payload, "validFrom"), _time(payload, "validTo")
    if begin is not None and end is not None and end <= begin:
        raise ValueError("validTo: %s; allowed: later than validFrom" % payload["validTo"])
    schedule = payload["chargingSchedule"]
    start, repeat = _start(payload, schedule, begin)
    duration = schedule.get("duration")
    if duration is not None:
        _check("duration", duration, 1, _MOST_S)
    _check_unit(charging, schedule["chargingRateUnit"])
    periods = _periods(schedule["chargingSchedulePeriod"], config["ChargingScheduleMaxPeriods"])
    watts = int(schedule["chargingRateUnit"] == "W")
    received = charging.point.clock.utc_s() or 0
    known = (payload["chargingProfileId"], purpose, level, connector, watts, start, repeat, duration)
    return (0,) + known + (begin, end, received, periods, None, remote)


def _check_transaction(transaction, purpose: int, payload: dict, remote: bool) -> None:
    """A TxProfile needs a running transaction, or comes with a remote start and names none (3.13.1, 5.11, 5.16.2)."""
    wanted = payload.get("transactionId")
    if remote:
        if purpose != TX:
            raise ValueError("chargingProfilePurpose: %s; allowed with a remote start: TxProfile" % _PURPOSES[purpose])
        if wanted is not None:
            raise ValueError("transactionId: %d; allowed with a remote start: none" % wanted)
        if transaction is not None:
            raise ValueError("a transaction is running")
    elif transaction is None:
        raise ValueError("TxProfile: no transaction is running")
    elif wanted is not None and wanted != transaction.transaction_id:
        raise ValueError("transactionId: %d; running: %s" % (wanted, transaction.transaction_id))


def _time(holder: dict, field: str):
    text = holder.get(field)
    return None if text is None else parse(text)


def _start(payload: dict, schedule: dict, begin) -> tuple:
    """(START, REPEAT). Without startSchedule a schedule is relative to the start of charging (7.13).

    A recurring one cannot be: without startSchedule it starts at validFrom, or at midnight UTC.
    """
    kind = payload["chargingProfileKind"]
    start = None if kind == "Relative" else _time(schedule, "startSchedule")
    if kind != "Recurring":
        return start, 0
    every = payload.get("recurrencyKind")
    if every is None:
        raise ValueError("recurrencyKind: none; allowed with Recurring: Daily, Weekly")
    if start is None:
        start = begin
    if every == "Daily":
        return 0 if start is None else start, _DAY_S
    return _MONDAY_S if start is None else start, _WEEK_S


def _periods(listed: list, most: int):
    """PERIODS of a chargingSchedulePeriod list; neighbours of the same limit become one."""
    _check("chargingSchedulePeriod: entries", len(listed), 1, most)
    periods = array("I")
    last_s, last = -1, None
    for period in listed:
        start_s = period["startPeriod"]
        # Section 7.14: the first value is always 0.
        _check("startPeriod", start_s, last_s + 1, _MOST_S if periods else 0)
        phases = period.get("numberPhases")
        if phases is None:
            phases = 0
        else:
            _check("numberPhases", phases, 1, 3)
        if period["limit"] < 0:
            raise ValueError("limit: %s; allowed: 0 and more" % period["limit"])
        limit = min(int(period["limit"] * 10 + 0.5), _MOST_TENTHS) << 2 | phases
        if limit != last:
            periods.append(start_s)
            periods.append(limit)
        last_s, last = start_s, limit
    return periods


def _rivals(profile: tuple, other: tuple) -> bool:
    """Whether two profiles cannot both be installed: same id, or same purpose, level and connector (3.13.2)."""
    return profile[ID] == other[ID] or profile[PURPOSE : CONNECTOR + 1] == other[PURPOSE : CONNECTOR + 1]


def _same(profile: tuple, other: tuple) -> bool:
    return profile[ID:RECEIVED] == other[ID:RECEIVED] and bytes(profile[PERIODS]) == bytes(other[PERIODS])


def _put(charging, profile: tuple) -> None:
    """Let a profile count in place of its rivals, and keep it. OSError when flash refuses, with nothing changed."""
    kept, rivals = [], []
    for other in charging.profiles:
        if _rivals(profile, other) or (profile[WAITS] and other[WAITS]):
            rivals.append(other)
        else:
            kept.append(other)
    most = charging.point.config["MaxChargingProfilesInstalled"]
    if len(kept) >= most:
        raise ValueError("%d profiles are installed; allowed: up to %d" % (len(kept), most))
    if profile[PURPOSE] != TX:
        if len(rivals) == 1 and _same(profile, rivals[0]):
            return  # said again, as some central systems do each minute: flash is spared
        profile = profile[:SLOT] + (_slot(kept, rivals), False)
    _take(charging, kept + [profile])


def _slot(kept: list, rivals: list) -> int:
    """The place of a rival, so that both change in one write, or else a free one."""
    used = [other[SLOT] for other in kept]
    slot = 0
    for other in rivals:
        if other[SLOT] is not None:
            return other[SLOT]
    while slot in used:
        slot += 1
    return slot


def _take(charging, profiles: list) -> None:
    """Let `profiles` be the ones in force, and write what flash lacks of them unless that was done just before.

    OSError when flash refuses: nothing has changed.
    """
    if charging.point.clock.uptime_s() >= charging.due_s:
        profiles = _written(charging, profiles)
        charging.unsaved = False
    elif any(_lacks(profile) for profile in profiles) or _slots(profiles) != _listed_slots(charging):
        charging.unsaved = True
    charging.replace(profiles)


def save(charging, now: bool = True) -> int:
    """Write what was put off, `now` or when it is due -> seconds until then, at least 1.

    What flash refuses is logged, and tried again later.
    """
    uptime_s = charging.point.clock.uptime_s()
    if charging.unsaved and (now or uptime_s >= charging.due_s):
        try:
            charging.profiles = _written(charging, charging.profiles)
            charging.unsaved = False
        except OSError as error:
            charging.due_s = uptime_s + _SAVE_S
            charging.point.log.add("error", "ocpp", "not_stored", "charging profiles could not be stored: %s" % error)
    return max(1, charging.due_s - uptime_s)


def _lacks(profile: tuple) -> bool:
    """Whether flash has not got a profile that is to be kept."""
    return profile[SLOT] is not None and not profile[SEQUENCE]


def _slots(profiles) -> list:
    return sorted(profile[SLOT] for profile in profiles if profile[SLOT] is not None)


def _listed_slots(charging) -> list:
    """The stores that count on flash."""
    stored = charging.point.stores(_LIST).load()
    return sorted(entry[0] for entry in stored[1:]) if _is_list(stored) else []


def _written(charging, profiles: list) -> list:
    """Bring flash to the state of `profiles`, and return them as they are kept. OSError when flash refuses."""
    listed = _listed_slots(charging)
    found = []
    wrote = over = False
    for profile in profiles:
        if _lacks(profile):
            wrote = True
            over = over or profile[SLOT] in listed
            profile = _keep(charging, profile, listed)
        found.append(profile)
    slots = _slots(found)
    if slots != listed:
        wrote = True
        try:
            _save_list(charging, found)
        except OSError as error:
            if not over or any(slot not in listed for slot in slots):
                raise
            # The new profile is stored already; its second rival loses against it at the next start.
            charging.point.log.add("warning", "ocpp", "profile_list", "list of charging profiles not kept: %s" % error)
    if wrote:
        charging.due_s = charging.point.clock.uptime_s() + _SAVE_S
    return found


def _keep(charging, profile: tuple, listed: list) -> tuple:
    """Write a profile to its place, unless it stands there; returns it with its sequence number."""
    slot = profile[SLOT]
    store = charging.point.stores(_STORE % slot)
    before = _revive(store.load(), slot, 0) if slot in listed else None
    if before and _same(profile, before):
        return before
    charging.sequence += 1
    profile = (charging.sequence,) + profile[ID:]
    value = list(profile[:PERIODS])
    value.append(list(profile[PERIODS]))
    store.save(value)
    return profile


def _save_list(charging, profiles: list) -> None:
    """Keep which stores count and the least sequence number that each of them must have."""
    value = [charging.sequence]
    value.extend([profile[SLOT], profile[SEQUENCE]] for profile in profiles if profile[SLOT] is not None)
    charging.point.stores(_LIST).save(value)


def clear(charging, criteria: dict) -> str:
    """Remove what a ClearChargingProfile.req names; "Accepted", or "Unknown" when there was none (5.4).

    CallError InternalError when flash refuses; then nothing was removed. An id names one profile; otherwise all that
    match the other fields go.
    """
    gone = [profile for profile in charging.profiles if _matches(profile, criteria)]
    if not gone:
        return "Unknown"
    kept = [profile for profile in charging.profiles if profile not in gone]
    try:
        _take(charging, kept)
    except OSError as error:
        charging.point.log.add("error", "ocpp", "profile_list", "charging profiles not cleared: %s" % error)
        raise errors.CallError(errors.INTERNAL, "flash refuses: %s" % error)
    return "Accepted"


def _matches(profile: tuple, criteria: dict) -> bool:
    ident = criteria.get("id")
    if ident is not None:
        return profile[ID] == ident
    purpose = criteria.get("chargingProfilePurpose")
    return (
        criteria.get("connectorId", profile[CONNECTOR]) == profile[CONNECTOR]
        and criteria.get("stackLevel", profile[LEVEL]) == profile[LEVEL]
        and (purpose is None or _PURPOSES.index(purpose) == profile[PURPOSE])
    )


# From flash


def load(charging) -> None:
    """Read the profiles that count; one that is damaged is left out, and the log says so."""
    stored = charging.point.stores(_LIST).load()
    profiles = []
    if _is_list(stored):
        charging.sequence = stored[0]
        for slot, least in stored[1:]:
            profile = _revive(charging.point.stores(_STORE % slot).load(), slot, least)
            if profile:
                profiles.append(profile)
            else:
                text = "charging profile in store %d is damaged: it limits nothing any more" % slot
                charging.point.log.add("error", "ocpp", "profile_lost", text)
    elif stored is not None:
        charging.point.log.add("error", "ocpp", "profile_lost", "the list of charging profiles is damaged: none holds")
    profiles.sort(key=lambda profile: -profile[SEQUENCE])
    kept = []
    for profile in profiles:
        charging.sequence = max(charging.sequence, profile[SEQUENCE])
        # A power cut came before the older one was struck off the list.
        if not any(_rivals(profile, newer) for newer in kept):
            kept.append(profile)
    charging.replace(kept)


def _is_list(stored) -> bool:
    if not isinstance(stored, list) or not stored or not isinstance(stored[0], int):
        return False
    return all(isinstance(entry, list) and _are_numbers(entry, 2) for entry in stored[1:])


def _are_numbers(values, count: int) -> bool:
    return len(values) == count and all(isinstance(value, int) and value >= 0 for value in values)


def _revive(value, slot: int, least: int):
    """The profile of a stored value, None when it is not one that this module wrote for that place."""
    if not isinstance(value, list) or len(value) != PERIODS + 1 or not isinstance(value[PERIODS], list):
        return None
    if not _are_numbers(value[PURPOSE : WATTS + 1], WATTS + 1 - PURPOSE) or value[PURPOSE] > DEFAULT:
        return None
    numbers = [value[place] for place in (SEQUENCE, ID, REPEAT, RECEIVED)]
    numbers.extend(given for given in value[DURATION:RECEIVED] + [value[START]] if given is not None)
    periods = value[PERIODS]
    if not all(isinstance(number, int) for number in numbers) or value[SEQUENCE] < least:
        return None
    if not periods or len(periods) % 2 or not _are_numbers(periods, len(periods)) or periods[0]:
        return None
    return tuple(value[:PERIODS]) + (array("I", periods), slot, False)


# Composite schedule


async def composite(charging, connector: int, duration_s: int, unit: str) -> dict:
    """GetCompositeSchedule.conf for the next `duration_s` seconds in `unit` "A" or "W" (5.7).

    Without a transaction it is that of one that begins now.

    Where nothing limits, the station's own largest current stands. With more periods than allowed it is shortened,
    never made coarser. With one connector, the whole (connector 0) draws what connector 1 draws.
    """
    point = charging.point
    now_s = point.clock.utc_s()
    try:
        _check("duration", duration_s, 1, _MOST_S)
        _check_unit(charging, unit)
        if now_s is None:
            raise ValueError("the time is unknown")
    except ValueError as error:
        point.log.add("warning", "ocpp", "schedule_refused", "composite schedule refused: %s" % error)
        return {"status": "Rejected"}
    listed, covered_s = await _listed(charging, now_s, duration_s, unit)
    start = iso(now_s)
    schedule = {
        "duration": covered_s,
        "startSchedule": start,
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": listed,
    }
    return {"status": "Accepted", "connectorId": connector, "scheduleStart": start, "chargingSchedule": schedule}


async def _listed(charging, now_s: int, duration_s: int, unit: str) -> tuple:
    """(chargingSchedulePeriod, seconds that it covers)."""
    most = charging.point.config["ChargingScheduleMaxPeriods"]
    profiles = charging.profiles
    elapsed_s = charging.elapsed_s(charging.point.clock.uptime_s()) or 0
    listed = []
    last = None
    offset_s = instants = 0
    while offset_s < duration_s and instants < _MOST_INSTANTS:
        profile, share, phases, rest_s = _limits.at(charging, profiles, now_s + offset_s, elapsed_s + offset_s)
        found = _tenths(charging.point.station, profile, share, phases, unit)
        if found != last:
            if len(listed) == most:
                break
            tenths, phases = last = found
            limit = tenths / 10 if tenths % 10 else tenths // 10
            listed.append({"startPeriod": offset_s, "limit": limit, "numberPhases": phases})
        offset_s = duration_s if rest_s is None else offset_s + rest_s
        instants += 1
        if instants % _INSTANTS == 0:
            await asyncio.sleep_ms(0)
    return listed, min(offset_s, duration_s)


def _tenths(station, profile, share: int, phases: int, unit: str) -> tuple:
    """(limit in tenths of `unit`, phases) of what Charging.at found."""
    volts = station.volts()
    if profile is None:
        phases = station.phases()
        share = station.max_ma() // 100 * SIXTHS * volts
    return (share * phases // SIXTHS if unit == "W" else share // (SIXTHS * volts)), phases
