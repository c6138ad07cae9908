"""Finds the meter on the bus by itself: model, address, baud rate and parity (R19); changes no setting.

A slave that hears its address answers every request, if only by an exception, and one that hears another baud rate or
parity is silent. So one request shows whether somebody is there, and only then the models are told apart.
"""

import asyncio
from struct import unpack

from micropython import const

from wallbox.energy.rtu import RtuError, RtuTimeout

# The factory settings of the models first, then what else installers choose.
_LINES = (
    (9600, "E"),
    (19200, "E"),
    (9600, "N"),
    (19200, "N"),
    (38400, "E"),
    (38400, "N"),
    (4800, "E"),
    (2400, "E"),
    (1200, "E"),
    (115_200, "E"),
    (115_200, "N"),
    (57_600, "E"),
    (57_600, "N"),
    (9600, "O"),
    (19200, "O"),
)
# Meters come with address 1; the first pass asks only the first addresses of every line, the second the rest.
_FIRST = const(2)
_LAST = const(16)
# Slaves begin to answer within 20 to 200 ms.
_ANSWER_MS = const(250)
# Where a meter's values are, to tell one model from another.
_TYPE = const(0x8960)  # B23, B21: type as text
_SERIAL_INEPRO = const(0x4000)
_VOLTS_INEPRO = const(0x5002)
_VOLTS_SCHNEIDER = const(3027)
_SERIAL_SCHNEIDER = const(129)
_VOLTS_JANITZA = const(0x4A38)
_VOLTS_SIEMENS = const(1)
_HERTZ_SIEMENS = const(49)
_SERIAL_ABB = const(0x8900)
_VOLTS_MIN = const(80)
_VOLTS_MAX = const(300)
_BUSY_MS = const(20)
_OWNER = "meter"


class Job:
    """One search; `found` holds a dict for each meter. The reader keeps off the bus meanwhile."""

    def __init__(self, master, reader, _house, _settings, _offer, _snapshot, _clock, log):
        self._master = master
        self._reader = reader
        self._log = log
        self._line = _LINES[0]
        self._address = 1
        self._done = 0
        self.running = True
        self.found = []

    def check(self) -> None:
        """A search may begin at any time."""

    async def run(self) -> None:
        """Search until everything was tried, a meter was found, or `running` was taken away."""
        self._reader.paused = True
        try:
            while self._master.busy:
                await asyncio.sleep_ms(_BUSY_MS)
            self._log.add("info", _OWNER, "scan_start", "the search for a meter begins")
            if not await self._pass(range(1, _FIRST + 1)):
                await self._pass(range(_FIRST + 1, _LAST + 1))
            text = "meters found: %d" % len(self.found) if self.running else "the search was ended"
            self._log.add("info", _OWNER, "scan_end", text)
        finally:
            self._reader.resume()

    async def _pass(self, addresses):
        """Try addresses on every line; True when one answered, for all slaves of a bus have the same line."""
        for line in _LINES:
            self._line = line
            self._master.configure(*line)
            for address in addresses:
                if not self.running:
                    return True
                self._address = address
                if await self._answers(address):
                    self.found.append(await self._identify(address))
                self._done += 1
            if self.found:
                # The others on the same line, quickly.
                for address in range(_FIRST + 1 if addresses[0] == 1 else 1, _LAST + 1):
                    self._address = address
                    known = [one["address"] for one in self.found]
                    if self.running and address not in known and await self._answers(address):
                        self.found.append(await self._identify(address))
                return True
        return False

    async def _answers(self, address):
        """Whether anybody answers, in whatever way that is no noise; a second request outlasts a disturbance."""
        for _ in range(2):
            try:
                await self._master.read_holding(address, _SERIAL_INEPRO, 2, _ANSWER_MS)
                return True
            except RtuTimeout:
                return False
            except RtuError as error:
                if error.code:
                    return True
            except OSError:
                return False
        return False

    async def _identify(self, address):
        model = serial = None
        kind = await self._ask(address, _TYPE, 2)
        if kind and kind[:2] == b"B2":
            model = "b21" if kind[2:3] == b"1" else "b23"
            serial = await self._number(address, _SERIAL_ABB, "%d")
        elif await self._volts(address, _VOLTS_INEPRO):
            model = "pro380" if await self._volts(address, _VOLTS_INEPRO + 2) else "pro2"
            serial = await self._number(address, _SERIAL_INEPRO, "%08x")
        elif await self._volts(address, _VOLTS_SCHNEIDER):
            model = "iem3150"
            serial = await self._number(address, _SERIAL_SCHNEIDER, "%d")
        elif await self._volts(address, _VOLTS_JANITZA):
            model = "b23_float" if await self._volts(address, _VOLTS_JANITZA + 2) else "b21_float"
        elif await self._is_siemens(address):
            model = "pac1600"
        baud, parity = self._line
        found = {"model": model, "address": address, "baud": baud, "parity": parity, "serial": serial}
        what = model or "an unknown slave"
        text = "%s at address %d, %d baud, parity %s" % (what, address, baud, parity)
        self._log.add("info", _OWNER, "scan_found", text)
        return found

    async def _ask(self, address, first, count):
        """The bytes there, None when this slave does not have them."""
        for _ in range(2):
            try:
                return bytes(await self._master.read_holding(address, first, count, _ANSWER_MS))
            except RtuError as error:
                if error.code:
                    return None
            except OSError:
                return None
        return None

    async def _volts(self, address, first):
        data = await self._ask(address, first, 2)
        # A comparison with NaN is false.
        return data is not None and _VOLTS_MIN <= unpack(">f", data)[0] <= _VOLTS_MAX

    async def _is_siemens(self, address):
        volts = await self._number(address, _VOLTS_SIEMENS, "%d")
        hertz = await self._number(address, _HERTZ_SIEMENS, "%d")
        if volts is None or hertz is None:
            return False
        return _VOLTS_MIN * 100 <= int(volts) <= _VOLTS_MAX * 100 and 4500 <= int(hertz) <= 6500

    async def _number(self, address, first, form):
        data = await self._ask(address, first, 2)
        return None if data is None else form % int.from_bytes(data, "big")

    def status(self) -> dict:
        """Progress in percent, what is being tried, and what was found."""
        steps = len(_LINES) * _LAST
        trying = "%d baud, parity %s, address %d" % (self._line + (self._address,)) if self.running else None
        percent = min(99, self._done * 100 // steps) if self.running else 100 if self._done else 0
        return {"running": self.running, "percent": percent, "trying": trying, "found": self.found}
