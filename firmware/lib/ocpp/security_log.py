"""The security log as text, and the times of events that were recorded without a clock; loaded on demand."""

import json

from ocpp import timestamps


def _events(journal):
    for data in journal.records():
        record = json.loads(data)
        if not isinstance(record, int):
            yield record


def _offsets(journal, now: tuple) -> dict:
    """UTC less uptime of each boot in which some event had a time."""
    offsets = {record[1]: record[3] - record[2] for record in _events(journal) if record[3] is not None}
    boot, uptime_s, utc_s = now
    if utc_s is not None:
        offsets[boot] = utc_s - uptime_s
    return offsets


def _timed(journal, now: tuple):
    """Yield (time or None, record): by the clock of its boot, else not before the event before it."""
    offsets = _offsets(journal, now)
    last_s = None
    for record in _events(journal):
        utc_s = record[3]
        if utc_s is None:
            offset = offsets.get(record[1])
            utc_s = last_s if offset is None else offset + record[2]
        last_s = utc_s
        yield utc_s, record


def time_of(journal, now: tuple, wanted: list) -> int:
    """When an event without a time has happened, as well as can be known; the present if nothing is."""
    _, uptime_s, utc_s = now
    found = None
    for time_s, record in _timed(journal, now):
        if record[0] == wanted[0]:
            found = time_s
    if found is None and wanted[1] == now[0] and utc_s is not None:
        # It is in RAM, since flash has refused it.
        found = utc_s - uptime_s + wanted[2]
    if found is not None:
        return found
    return 0 if utc_s is None else utc_s


def pieces(journal, now: tuple, last: int, oldest_s=None, latest_s=None):
    """Yield a line of bytes for each event up to the number `last`: time, number, type, info.

    Events of an unknown time are left out only when a bound is given.
    """
    for utc_s, record in _timed(journal, now):
        if record[0] > last:
            return
        if utc_s is None and (oldest_s is not None or latest_s is not None):
            continue
        if utc_s is not None and not (oldest_s or utc_s) <= utc_s <= (latest_s or utc_s):
            continue
        time = "unknown" if utc_s is None else timestamps.iso(utc_s)
        yield ("%s %d %s %s" % (time, record[0], record[4], record[5])).rstrip().encode() + b"\n"
