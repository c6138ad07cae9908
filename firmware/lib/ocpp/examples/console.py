"""A charging station without hardware: plug, card and energy are keys, so that a central system can be tried.

    micropython console.py ws://127.0.0.1:9000/ CP-1

with `ocpp` and its sibling modules on the import path (MICROPYPATH). Keys, each followed by Enter: p plugs or
unplugs the car, c shows the card 04A1B2C3, q ends. State is kept in the folder ./ocpp-data.
"""

import asyncio
import json
import os
import sys
import time

from ocpp.charge_point import ChargePoint
from ocpp.configuration import Configuration

FOLDER = "ocpp-data"
CARD = "04A1B2C3"
WATTS = 11_000


class Clock:
    """The host's clock."""

    def __init__(self):
        self._began = time.time()

    ticks_ms = staticmethod(time.ticks_ms)

    def uptime_s(self):
        """Seconds since the start."""
        return time.time() - self._began

    def utc_s(self):
        """Seconds since 1970; a board without a real-time clock returns None until set_utc_s was called."""
        return time.time()

    def set_utc_s(self, seconds):
        """A host's clock is not ours to set."""


class Log:
    """Prints what happens."""

    def add(self, level, source, code, text, **_context):
        """Take one entry."""
        print("%-7s %s: %s" % (level, code, text))


class Store:
    """One JSON value in a file. A real station writes two copies with a checksum each, for power cuts."""

    def __init__(self, name):
        self._path = FOLDER + "/" + name + ".json"

    def load(self):
        """The value, None without one."""
        try:
            with open(self._path) as file:
                return json.load(file)
        except (OSError, ValueError):
            return None

    def save(self, value):
        """Keep the value."""
        with open(self._path, "w") as file:
            json.dump(value, file)


class Station:
    """One connector with a fixed cable. What each method means is told in README.md."""

    vendor = "example"
    serial = "0001"

    def __init__(self):
        # The charge point, which needs the station to be made.
        self.point: ChargePoint
        self.car = False
        self.tag = None
        self.waiting = None
        self.energy = 0.0
        self.limit_ma = None
        self.suspended = None
        self.stopped_by = None

    def boot_info(self):
        return {"chargePointVendor": self.vendor, "chargePointModel": "console"}

    def plugged(self):
        return self.car

    def session_active(self):
        return self.tag is not None

    def session_tag(self):
        return self.tag

    def waiting_tag(self):
        return self.waiting

    def permitted(self):
        return self.tag is not None

    def offers(self):
        return self.suspended is None and (self.limit_ma is None or self.limit_ma >= 6000)

    def offered(self):
        return self.charging()

    def charging(self):
        return self.tag is not None and self.car and self.offers()

    def was_charging(self):
        return True

    def fault(self):
        return None

    def phases(self):
        return 3

    def volts(self):
        return 230

    def max_ma(self):
        return 16_000

    def energy_wh(self):
        return int(self.energy)

    def keep_energy(self):
        """Energy is not kept over a restart here."""

    def measurand(self, name, phase):
        if name == "Energy.Active.Import.Register" and not phase:
            return str(self.energy_wh())
        if name == "Power.Active.Import" and not phase:
            return str(WATTS if self.charging() else 0)
        return None

    def knows(self, _id_tag):
        return False

    def authorise(self, id_tag):
        if self.tag is not None:
            return False
        self.waiting = id_tag
        self._begin()
        return True

    def _begin(self):
        if self.car and self.waiting is not None:
            self.tag, self.waiting = self.waiting, None
            self.point.session_began(self.tag)
        self.point.station_changed()

    def cancel(self):
        self.waiting = None

    def stop(self, reason, id_tag=None):
        self.tag = None
        self.point.session_ended(reason, id_tag)

    def suspend(self, reason):
        self.suspended = reason

    def set_limit(self, ma, reason, _change_s):
        if ma != self.limit_ma:
            print("limit: %s (%s)" % ("none" if ma is None else "%d mA" % ma, reason))
        self.limit_ma = ma

    def set_operative(self, operative):
        print("in service" if operative else "out of service")

    def unlock(self):
        return "NotSupported"

    def interruption(self):
        return "Reboot"

    def changed(self):
        """The link has changed."""

    def data_transfer(self, _message_id, _data):
        return None

    def diagnostics(self, _oldest_s, _latest_s):
        """A file of one line; it is read to be measured first, then sent."""
        return "console.txt", lambda: (b"%d Wh\n" % self.energy_wh(),)

    def firmware(self):
        """None: no firmware can be installed here."""
        return

    def firmware_waits(self):
        return

    def firmware_result(self):
        return False, "no firmware can be installed here"

    async def reset(self, _hard):
        sys.exit(0)

    def plug(self):
        """Plug the car in, or unplug it."""
        self.car = not self.car
        if self.tag is not None and not self.car:
            self.stop("EVDisconnected")
        self._begin()

    async def run(self):
        """Count energy."""
        while True:
            await asyncio.sleep(1)
            if self.charging():
                self.energy += WATTS / 3600


async def keys(station, point):
    """Do what is typed."""
    reader = asyncio.StreamReader(sys.stdin.buffer)
    while True:
        key = (await reader.readline()).strip()
        if key == b"p":
            station.plug()
        elif key == b"c":
            accepted, text = await point.card(CARD)
            print("card", text)
        elif key == b"q":
            return


async def main(url, identity):
    """Serve until q is typed."""
    try:
        os.mkdir(FOLDER)
    except OSError:
        print("data of an earlier run is in", FOLDER)
    config = Configuration(Store("ocpp_config"), measurands=("Energy.Active.Import.Register", "Power.Active.Import"))
    station = Station()
    target = {"url": url, "identity": identity, "password": ""}
    station.point = point = ChargePoint(
        station, config, Clock(), Log(), Store, FOLDER, asyncio.open_connection, os.urandom, target
    )
    tasks = [asyncio.create_task(point.run()), asyncio.create_task(station.run())]
    await keys(station, point)
    for task in tasks:
        task.cancel()


if len(sys.argv) != 3:
    raise SystemExit("usage: micropython console.py URL IDENTITY")
asyncio.run(main(sys.argv[1], sys.argv[2]))
