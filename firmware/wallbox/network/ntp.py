"""Asks time servers for the time and sets the clock by what they agree on (SNTP, RFC 4330 and RFC 5905).

It is loaded for one use; the manager of the network says over which link, and when.
"""

import asyncio
import struct
from errno import EHOSTUNREACH

from micropython import const

import hal.system
from wallbox.clock import CENTRAL, LAST_MS, NTP

_PORT = const(123)
_PACKET_BYTES = const(48)
# Of the first byte: version 4, mode 3 (client); answers have mode 4 (RFC 5905, 7.3).
_REQUEST = const(0x23)
_MODE_SERVER = const(4)
_VERSIONS = (3, 4)
_UNSYNCHRONISED = const(3)
# RFC 5905, 7.3: 16 is unsynchronised, 0 a kiss of death with its code in the reference identifier.
_STRATUM_MAX = const(15)
# MAXDIST of RFC 5905, figure 4: root delay / 2 + root dispersion, in units of 1/65536 s.
_DISTANCE_MAX = const(65_536)
# Seconds from 1900 to 1970. What is before 2026, when this was written, belongs to the era that begins in 2036.
_TO_1970_S = const(2_208_988_800)
_FIRST_S = const(1_767_225_600)
_ERA_S = const(1 << 32)
# RFC 5905, 7.4: what has to be heeded. Other codes, such as INIT of a server that has just started, pass.
_GO_AWAY = ("DENY", "RSTR")
_LESS_OFTEN = "RATE"
# How long name and answer may take together; and the answer alone, since half of it is how wrong the time may be.
_WAIT_MS = const(8_000)
_ROUND_MS = const(3_000)
_SERVERS = const(4)
# Servers that are further apart do not mean the same time.
_AGREE_MS = const(2_000)
# PANICT of RFC 5905, figure 18: one server alone moves a clock that was told the time of late by no more.
_PANIC_MS = const(1_000_000)
# A clock that is off by less goes on.
_STEP_MS = const(1_000)
_AGAIN_S = const(21_600)
# RFC 5905, 7.4: who asks for less gets less.
_RATE_S = const(86_400)


class Kiss(OSError):
    """A server does not want to be asked; its code is in the text."""


async def set_clock(reach) -> int:
    """Ask all servers of the settings and set the clock -> seconds until it is worth doing again.

    OSError when none has answered, or they do not agree. Who has asked to be left alone is in `manager.refused`.
    """
    manager = reach.manager
    samples = []
    why = "no time server is set"
    again_s = _AGAIN_S
    for host in manager.time_servers()[:_SERVERS]:
        if host in manager.refused:
            why = "%s wants to be left alone" % host
            continue
        try:
            samples.append((await asyncio.wait_for_ms(_sample(reach, host), _WAIT_MS), host))
        except asyncio.TimeoutError:
            why = "%s does not answer" % host
        except Kiss as error:
            why = "%s: %s" % (host, error.args[1])
            if error.args[1] == _LESS_OFTEN:
                again_s = _RATE_S
            elif error.args[1] in _GO_AWAY:
                manager.refused.append(host)
        except (OSError, ValueError) as error:
            why = "%s: %s" % (host, error.args[-1] if error.args else error)
    if not samples:
        raise OSError(EHOSTUNREACH, why)
    _take(manager, _agreed(manager, samples))
    return again_s


async def _sample(reach, server: str) -> int:
    """UTC less uptime in ms, as one server, host or host:port, tells it. OSError, ValueError; it may wait for ever."""
    host, _, digits = server.partition(":")
    port = int(digits) if digits.isdigit() else _PORT
    addresses = await reach.look_up(host)
    if not addresses:
        raise ValueError("no name server is known")
    clock = reach.manager.clock
    # What a server sends back proves that it has seen the request; the time itself is nobody's concern (RFC 5905, 8).
    mark = hal.system.random_bytes(8)
    request = bytes((_REQUEST,)) + bytes(_PACKET_BYTES - 9) + mark
    began = clock.uptime_ms()
    answer = await reach.ask(addresses[0], port, request, lambda data: data if data[24:32] == mark else None)
    ended = clock.uptime_ms()
    if ended - began > _ROUND_MS:
        raise ValueError("the answer took too long")
    received_ms, sent_ms = checked(answer)
    if sent_ms >= LAST_MS:
        raise ValueError("the server does not tell the time")
    on_the_way = max(0, (ended - began) - max(0, sent_ms - received_ms))
    return sent_ms + on_the_way // 2 - ended


def checked(data: bytes) -> tuple:
    """(when the request came, when the answer left), in ms since 1970, of a server's answer (RFC 4330, 5).

    Kiss when it refuses, ValueError when it says by itself that it does not know the time.
    """
    if len(data) < _PACKET_BYTES:
        raise ValueError("the answer is too short")
    leap, version, mode = data[0] >> 6, data[0] >> 3 & 7, data[0] & 7
    stratum = data[1]
    if mode != _MODE_SERVER or version not in _VERSIONS:
        raise ValueError("this is no answer of a time server")
    if stratum == 0:
        code = bytes([char for char in data[12:16] if 32 < char < 127])
        raise Kiss(EHOSTUNREACH, code.decode() or "?")
    delay, dispersion = struct.unpack_from(">iI", data, 4)
    if leap == _UNSYNCHRONISED or stratum > _STRATUM_MAX:
        raise ValueError("the server does not know the time")
    if delay < 0 or delay // 2 + dispersion >= _DISTANCE_MAX:
        raise ValueError("the server is too far from the time")
    sent = data[40:48]
    if not any(sent):
        raise ValueError("the server does not tell the time")
    return _utc_ms(data[32:40]), _utc_ms(sent)


def _utc_ms(stamp: bytes) -> int:
    """A time stamp (RFC 5905, 6) as ms since 1970."""
    seconds, fraction = struct.unpack(">II", stamp)
    seconds -= _TO_1970_S
    if seconds < _FIRST_S:
        seconds += _ERA_S
    return seconds * 1000 + fraction * 1000 // _ERA_S


def _agreed(manager, samples: list) -> int:
    """What most samples mean; OSError when there are no most, and the clock does not side with one."""
    clock = manager.clock
    known = None
    if clock.source >= CENTRAL and clock.told_of_late:
        known = clock.utc_ms() - clock.uptime_ms()
    groups = [[other for other in samples if abs(other[0] - one[0]) <= _AGREE_MS] for one in samples]
    best = max(groups, key=len)
    offset = sorted([sample[0] for sample in best])[len(best) // 2]
    few = len(best) * 2 <= len(samples)
    if few or (len(best) == 1 and known is not None and abs(offset - known) > _PANIC_MS):
        best = [] if known is None else [sample for sample in samples if abs(sample[0] - known) <= _AGREE_MS]
        if not best:
            text = "the time servers do not agree"
            if known is not None:
                text = "%s is off by %d s" % (samples[0][1], (offset - known) // 1000)
            raise OSError(EHOSTUNREACH, text)
        offset = best[0][0]
    for sample in samples:
        if sample not in best:
            text = "the time server %s is off by %d s and was not heard" % (sample[1], (sample[0] - offset) // 1000)
            manager.log.add("warning", "network", "wrong_time", text)
    return offset


def _take(manager, offset: int) -> None:
    """Set the clock, and say so when it was wrong."""
    clock = manager.clock
    known = clock.utc_ms()
    ms = clock.uptime_ms() + offset
    off = None if known is None else ms - known
    if off is not None and abs(off) < _STEP_MS:
        # It goes on, and is trusted from now on.
        ms = known
    clock.set_utc_ms(ms, NTP)
    if ms != known:
        text = "time servers have set the clock" + ("" if off is None else ", which was off by %d s" % (off // 1000))
        manager.log.add("info", "network", "clock_set", text)
