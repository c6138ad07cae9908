"""Measures round trips of calls to a central system: micropython ocpp_trip.py URL COUNT; prints them in us as JSON."""

import asyncio
import json
import os
import sys
import time

from ocpp_host import FOLDER, charge_point

_TURN_MS = 20
_LIMIT = 500


async def _main(url: str, count: int) -> None:
    point = charge_point(asyncio.open_connection, url)
    work = asyncio.create_task(point.run())
    for _ in range(_LIMIT):
        await asyncio.sleep_ms(_TURN_MS)
        if point.online:
            break
    assert point.online, "no registration"
    taken = []
    for _ in range(count):
        begin = time.ticks_us()
        await point.call("Heartbeat", {})
        taken.append(time.ticks_diff(time.ticks_us(), begin))
    assert not work.done()
    print(json.dumps(taken))


os.mkdir(FOLDER)
asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
