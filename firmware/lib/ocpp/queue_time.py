"""When something was recorded in a boot without a clock, as well as it can be known; functions of Queue."""

import asyncio
import json

from micropython import const

from ocpp.queue import DRIFT_S

# Records that are read in a go; each takes about 0.5 ms on a chip.
_PAGE = const(8)
_MARK = const(3)


async def utc(self, stamp):
    """UTC in s of a stamp by what is known now, None when nothing is."""
    boot, uptime, utc = stamp
    offset = (await _of_boot(self, boot))[1]
    if offset is None:
        return utc or None
    known = uptime + offset
    return utc if utc and abs(known - utc) <= DRIFT_S else known


async def earliest(self, stamp, last: int):
    """A UTC in s for a stamp of a former boot of which nothing is known; None while now is unknown too.

    That of the message before (`last`, 0 without one), but never so late that the boot, with all that was
    recorded in it, would not have ended before this one began.
    """
    now = self._clock.utc_s()
    if now is None:
        return None
    boot, uptime, _ = stamp
    latest = now - self._clock.uptime_s() - max(0, (await _of_boot(self, boot))[2] - uptime)
    return min(last, latest) if last else latest


async def _of_boot(self, boot: int) -> tuple:
    """(boot, UTC of its start in s or None, uptime in s of its last start or stop)."""
    if boot == self._boot:
        now = self._clock.utc_s()
        uptime = self._clock.uptime_s()
        return boot, None if now is None else now - uptime, uptime
    if self._former is None or self._former[0] != boot:
        self._former = await _read_boot(self, boot)
    return self._former


async def _read_boot(self, boot: int) -> tuple:
    offset = None
    uptime = 0
    place = self._tx.unread()
    while place is not None:
        lines, place = self._tx.page(place, _PAGE)
        for line in lines:
            record = json.loads(line)
            if record[2] > boot:
                return boot, offset, uptime
            if record[2] < boot:
                continue
            if record[1] == _MARK:
                offset = record[3]
            else:
                uptime = record[3]
        await asyncio.sleep_ms(0)
    return boot, offset, uptime
