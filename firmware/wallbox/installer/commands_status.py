"""Commands that tell what the box is and does: status, why-not answer (R32), live data, log, faults; and the clock."""

from micropython import const

from wallbox.access.cards import masked
from wallbox.clock import APP
from wallbox.installer import commands, errors, security
from wallbox.installer.server import load
from wallbox.protection.faults import CATALOGUE, SERVICE

_ENTRIES = const(20)  # of a log in one answer
_SEQUENCE_MAX = const((1 << 31) - 1)
_PERIOD_MS = (200, 10_000)
# 2026-01-01, before which this firmware did not exist, to 2100-01-01.
_UTC_S = (1_767_225_600, 4_102_444_800)


def _status(link, _arguments):
    status = link.app.status()
    if link.role == "paired":
        # Whoever knows all of a card's number can copy the card.
        cards = status["cards"]
        cards["setup"] = cards["setup"] is not None
        cards["charging"] = len(cards["charging"])
        for part in (status["session"], status["car_memory"]):
            if part and part["id_tag"]:
                part["id_tag"] = masked(part["id_tag"])
    return {"status": status}


def _why(link, _arguments):
    return {"why": link.app.why.answer()}


def _live(link, arguments):
    period_ms = arguments.get("period_ms")
    if period_ms != 0 or isinstance(period_ms, bool):
        period_ms = errors.whole(arguments, "period_ms", *_PERIOD_MS)
    load("live").start(link, period_ms)


def _log(link, arguments):
    since = errors.whole(arguments, "since", 0, _SEQUENCE_MAX) if "since" in arguments else -1
    if errors.flag(arguments, "security", False):
        commands.demand(link, "expert")
        entries = security.SecurityLog(link.app).entries()
    else:
        entries = link.app.log.since(0)
    found = []
    last = 0
    for entry in entries:
        last = entry["seq"]
        if last <= since or since >= 0 and len(found) == _ENTRIES:
            continue
        found.append(entry)
        if len(found) > _ENTRIES:
            del found[0]
    return {"entries": found, "last": last}


def _faults(link, _arguments):
    faults = link.app.faults.status()
    by_service = [row[0] for row in CATALOGUE if row[2] == SERVICE]
    return {"faults": faults, "clearable": [fault["name"] for fault in faults if fault["name"] in by_service]}


def _utc(link, arguments):
    seconds = errors.whole(arguments, "seconds", *_UTC_S)
    if link.app.clock.set_utc_s(seconds, APP):
        link.app.log.add("info", "installer", "clock_set", "the %s has set the clock" % link.role)
    return {"utc": link.app.clock.utc_iso()}


COMMANDS = {
    "status": ("paired", _status),
    "why": ("paired", _why),
    "live": ("paired", _live),
    "log": ("owner", _log),
    "faults": ("paired", _faults),
    "utc": ("owner", _utc),
}
