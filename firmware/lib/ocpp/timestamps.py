"""ISO 8601 date-times as OCPP exchanges them, from and to whole seconds; it reads no clock."""

from micropython import const

_SECONDS_A_DAY = const(86400)
# Days from 0000-03-01, where a count of 400-year eras begins, to 1970-01-01.
_DAYS_TO_1970 = const(719468)
_DAYS_AN_ERA = const(146097)
# XML Schema part 2, 3.2.7.3: offsets reach from -14:00 to +14:00.
_OFFSET_MINUTES = const(14 * 60)
# How much of a refused text an error shows.
_SHOWN = const(40)

_MONTH_DAYS = b"\x1f\x1c\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"


def parse(text: str) -> int:
    """Seconds since 1970-01-01 UTC of a date-time, fractions cut off; negative before 1970.

    Takes what RFC 3339, section 5.6 allows for the years 0001 to 9999 and what central systems send beside it:
    an offset without colon or minutes, no offset at all (OCPP 1.6, 3.11: times should be UTC), a comma before the
    fraction, 24:00:00. A leap second counts as the second after it. ValueError for all else.
    """
    try:
        days = _days(_number(text, 0, 4, "-"), _number(text, 5, 2, "-"), _number(text, 8, 2, "Tt "))
        return days * _SECONDS_A_DAY + _second_of_day(text) - 60 * _offset_minutes(text, _fraction_end(text))
    except ValueError:
        raise ValueError("date-time: '%s'; allowed: such as 2026-01-31T12:00:00.5+01:00" % text[:_SHOWN])


def _number(text: str, start: int, digits: int, ends: str) -> int:
    """The number of exactly `digits` digits at `start`; any character of `ends` has to follow, "" for none."""
    end = start + digits
    part = text[start:end]
    if len(part) != digits or not part.isdigit():
        raise ValueError
    if ends and (end >= len(text) or text[end] not in ends):
        raise ValueError
    return int(part)


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01; years are counted from March, so that the leap day comes last."""
    if not (year and 1 <= month <= 12 and 1 <= day <= _month_days(year, month)):
        raise ValueError
    if month <= 2:
        year -= 1
        month += 12
    return year * 365 + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 1 - _DAYS_TO_1970


def _month_days(year: int, month: int) -> int:
    if month == 2 and year % 4 == 0 and (year % 100 or year % 400 == 0):
        return 29
    return _MONTH_DAYS[month - 1]


def _second_of_day(text: str) -> int:
    hour, minute, second = _number(text, 11, 2, ":"), _number(text, 14, 2, ":"), _number(text, 17, 2, "")
    of_day = (hour * 60 + minute) * 60 + second
    if minute > 59 or second > 60 or of_day > _SECONDS_A_DAY:
        raise ValueError
    return of_day


def _fraction_end(text: str) -> int:
    """Where the offset begins."""
    end = 19
    if text[end : end + 1] in (".", ","):
        end += 1
        _number(text, end, 1, "")
        while text[end : end + 1].isdigit():
            end += 1
    return end


def _offset_minutes(text: str, start: int) -> int:
    """The offset from UTC at the end of `text`, in minutes."""
    zone = text[start:]
    if zone in ("", "Z", "z"):
        return 0
    if zone[0] not in "+-" or len(zone) not in (3, 5, 6):
        raise ValueError
    minutes = 60 * _number(zone, 1, 2, ":" if len(zone) == 6 else "")
    if len(zone) > 3:
        rest = _number(zone, len(zone) - 2, 2, "")
        if rest > 59:
            raise ValueError
        minutes += rest
    if minutes > _OFFSET_MINUTES:
        raise ValueError
    return -minutes if zone[0] == "-" else minutes


def iso(seconds: int) -> str:
    """`seconds` since 1970-01-01 UTC as `2026-01-31T12:00:00Z`, for the years 0001 to 9999."""
    days, second = divmod(seconds, _SECONDS_A_DAY)
    era, day = divmod(days + _DAYS_TO_1970, _DAYS_AN_ERA)
    year = (day - day // 1460 + day // 36524 - day // (_DAYS_AN_ERA - 1)) // 365
    day -= 365 * year + year // 4 - year // 100
    # Months from March on have 31, 30, 31, 30, 31 days, over and over: 153 days in five months.
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    year += 400 * era
    if month >= 10:
        year += 1
        month -= 12
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % (
        year,
        month + 3,
        day + 1,
        second // 3600,
        second // 60 % 60,
        second % 60,
    )
