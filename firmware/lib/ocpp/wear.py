"""How often a central system may have flash written; borrowed for a call.

Bounded are changes of configuration and availability, reservations, local lists and certificates, together; profiles
have their own bound (see `profiles`), and transactions come from customers. What is stored already costs nothing.

Such a change takes an erase at most, and a local list of 100 tags two (test_what_the_hour_costs). 120 an hour all year
are a million erases, 8 % of what 128 blocks of 100,000 bear, littlefs spreading them; 16 % if all are lists. Nobody who
sets up a charge point needs more: there are 30 keys to change, and a full list comes in two parts.
"""

from micropython import const

_MOST = const(120)
_HOUR_S = const(3600)
# A log may keep warnings on flash, and a central system may be refused each 10 s.
_WARNINGS = const(20)


def _hour(point) -> tuple:
    """(uptime in s at which the hour began, changes, warnings since)."""
    now_s = point.clock.uptime_s()
    return point.writes if now_s - point.writes[0] < _HOUR_S else (now_s, 0, 0)


def permits(point, what: str) -> bool:
    """Whether the central system may have flash written once more, for `what`; one refusal an hour is logged."""
    since_s, count, warnings = _hour(point)
    count += 1
    point.writes = since_s, count, warnings
    if count == _MOST + 1:
        left_s = since_s + _HOUR_S - point.clock.uptime_s()
        text = "flash is spared: the central system has changed %d things within an hour; %s is refused for %d s"
        point.log.add("warning", "ocpp", "flash_spared", text % (_MOST, what, left_s))
    return count <= _MOST


def complain(point, code: str, text: str) -> None:
    """Log why something was refused, as a warning for the first 20 times in an hour."""
    since_s, count, warnings = _hour(point)
    point.writes = since_s, count, warnings + 1
    point.log.add("warning" if warnings < _WARNINGS else "info", "ocpp", code, text)
