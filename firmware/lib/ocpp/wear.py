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


def permits(point, what: str) -> bool:
    """Whether the central system may have flash written once more, for `what`; one refusal an hour is logged."""
    now_s = point.clock.uptime_s()
    since_s, count = point.writes
    if now_s - since_s >= _HOUR_S:
        since_s, count = now_s, 0
    count += 1
    point.writes = since_s, count
    if count == _MOST + 1:
        left_s = since_s + _HOUR_S - now_s
        text = "flash is spared: the central system has changed %d things within an hour; %s is refused for %d s"
        point.log.add("warning", "ocpp", "flash_spared", text % (_MOST, what, left_s))
    return count <= _MOST
