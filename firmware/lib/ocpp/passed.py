"""The latest time that has surely passed, for as long as the time itself is unknown; borrowed for one use.

The store `ocpp_time` keeps UTC in s, written once a day at most. Whoever tells a wrong one could lock out servers with
good certificates: so only what comes over TLS counts, and only while the certificates of that connection are valid.
"""

from micropython import const

_STORE = "ocpp_time"
_DAY_S = const(86_400)


def _kept(point) -> int:
    found = point.stores(_STORE).load()
    return found if isinstance(found, int) else 0


def least_s(point) -> int:
    """That time in UTC seconds: when the firmware was built, if the station knows, or the last one kept; else 0."""
    built_s = getattr(point.station, "built_s", None)
    return max(_kept(point), built_s() if built_s else 0)


def keep(point, ssl, utc_s: int) -> None:
    """Keep the time, known over a connection with `ssl` (a Tls, or None); an earlier one too: the other was wrong."""
    if ssl is None or ssl.since_s is None or not ssl.since_s <= utc_s <= ssl.until_s:
        return
    if not 0 <= utc_s - _kept(point) < _DAY_S:
        try:
            point.stores(_STORE).save(utc_s)
        except OSError as error:
            point.log.add("error", "ocpp", "not_stored", "the time could not be stored: %s" % error)
