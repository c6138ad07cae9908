"""Reads the external meter all the time and says whether its values may be relied on; decides no limit."""

import asyncio
from time import ticks_add, ticks_diff

from micropython import const

from wallbox.energy import meters
from wallbox.energy.rtu import RtuError, RtuTimeout
from wallbox.timer import unwatched

# Meters renew their values every 0.25 to 1 s. While the car charges a new load should be seen with the first of them:
# the longest request, 62 registers of a B23, takes 0.16 s at 9600 baud, and 0.18 s with the meter's time to think.
_CYCLE_MS = const(1000)
_FAST_MS = const(250)
# What a meter tells may be a mean of the time between two renewals, and be as old again: with a second between them,
# and 0.15 s for the answer, the car's currents of the last 1.3 s may be in it.
_LAG_MS = const(1_300)
# A meter that had something new to tell three times running, a cycle apart, renews its values with every cycle.
_QUICK = const(3)
_QUICK_APART_MS = const(300)
_QUICK_LAG_MS = const(800)
# At 300 baud the two reads of a cycle take 10 s, with the silence to wait for after failures.
_LATE_MS = const(30_000)
# The counters only feed statistics.
_ENERGY_MS = const(60_000)
_EXTRAS = const(2)
_ILLEGAL_ADDRESS = const(2)
_SERIAL_REGISTERS = const(2)
# Slaves begin to answer within 20 to 200 ms; three of four failed attempts still fit the shortest setting.
_ANSWER_MS = const(300)
# Longest sleep of whoever watches the age, so that a shortened `meter_timeout_s` counts soon.
_CHECK_MS = const(2_000)
# Longest pause while no meter is chosen.
_REST_MS = const(15_000)

_OWNER = "meter"


class MeterReader:
    """The house's values at the grid connection, import positive and export negative.

    `current_ma`, `power_w` and `volts_mv` (L1..L3), `frequency_mhz`, `import_wh` and `export_wh` are those of
    the last believed reading; they may be used only while `valid`. Everything in `listeners` is called
    after each cycle with True when that cycle brought a new believed reading. `lag_ms` is how old what it tells may be.
    """

    def __init__(self, master, settings, snapshot, clock, log):
        self._master = master
        self._settings = settings
        self._view = snapshot
        self._clock = clock
        self._log = log
        self._line = None
        self._meter = None
        self._reading = meters.Reading()
        self._spare = meters.Reading()
        self._good_at = clock.ticks_ms()
        self._good_s = clock.uptime_s()
        self._energy_at = self._clock.ticks_ms()
        self._extras = _EXTRAS
        self._problem = "not asked yet"
        self._news = 0
        self.lag_ms = _LAG_MS
        # First registers of the blocks that this meter refuses; they are read row by row.
        self._split = []
        self._known = False
        self.serial = None
        # Somebody else has the bus: nothing is read meanwhile, and the age of the last reading goes on.
        self.paused = False
        self.listeners = []
        self.valid = False
        self.lost = False
        self.reads = 0
        self.timeouts = 0
        self.errors = 0
        self.exceptions = 0
        self.implausible = 0
        self.response_ms = 0
        self.response_max_ms = 0
        self._publish()

    def _publish(self):
        reading = self._reading
        self.current_ma = reading.current_ma
        self.power_w = reading.power_w
        self.volts_mv = reading.volts_mv
        self.frequency_mhz = reading.frequency_mhz[0]
        self.import_wh = reading.import_wh[0]
        self.export_wh = reading.export_wh[0]

    async def run(self, beat=unwatched) -> None:
        """Read for ever; ends only by cancellation."""
        due = self._clock.ticks_ms()
        while True:
            beat(_LATE_MS)
            fresh = await self._poll()
            self.check()
            for listener in self.listeners:
                listener(fresh)
            if fresh:
                await self._read_extra(self._meter)
            due = ticks_add(due, self.cycle_ms())
            left = ticks_diff(due, self._clock.ticks_ms())
            if left <= 0:
                # A slow line (300 baud) needs longer than a cycle; the grid starts anew, with a breath.
                due = self._clock.ticks_ms()
                left = 1
            if self._meter is None:
                await self._clock.poll(left, _REST_MS)
            else:
                await asyncio.sleep_ms(left)

    def resume(self) -> None:
        """Go on after a pause, in which the line may have had other settings."""
        if self._meter is not None:
            self._master.configure(self._line[2], self._line[3])
        self.paused = False

    def cycle_ms(self) -> int:
        """How often it reads now."""
        return _FAST_MS if self._view.contactor_closed else _CYCLE_MS

    def check(self) -> int:
        """Bring `valid` and `lost` up to date; returns in how many ms at the latest to call again."""
        if self._meter is None:
            return _CHECK_MS
        limit_ms = self._settings["meter_timeout_s"] * 1000
        age_ms = ticks_diff(self._clock.ticks_ms(), self._good_at)
        if not self.lost and age_ms >= limit_ms:
            self._lose(limit_ms)
        # Once lost, only a good reading counts: the age itself would look young again after the ticks wrap.
        return _CHECK_MS if self.lost else min(_CHECK_MS, limit_ms - age_ms)

    def _lose(self, limit_ms):
        self.lost = True
        self.valid = False
        # When something answers again it may be another meter.
        self._forget()
        self._extras = 1
        text = "%s, %s: no usable value for %d s; last problem: %s"
        where = "address %d, %d baud, parity %s" % self._line[1:]
        text = text % (self._meter.name, where, limit_ms // 1000, self._problem)
        self._log.add("error", _OWNER, "meter_lost", text)

    def _forget(self):
        """What was known of the meter itself."""
        self._known = False
        self._news = 0
        self.lag_ms = _LAG_MS

    def _apply_settings(self):
        settings = self._settings
        line = (
            settings["meter_model"],
            settings["meter_address"],
            settings["meter_baud"],
            settings["meter_parity"],
        )
        if line == self._line:
            return
        self._line = line
        self._meter = meters.load(line[0])
        self._split = []
        self._forget()
        self.serial = None
        self.valid = False
        self.lost = False
        self._good_at = self._clock.ticks_ms()
        self._good_s = self._clock.uptime_s()
        self._energy_at = self._clock.ticks_ms()
        self._extras = _EXTRAS
        self._problem = "not asked yet"
        self._reading = meters.Reading()
        self._spare = meters.Reading()
        self._publish()
        if self._meter is not None:
            self._master.configure(line[2], line[3])

    async def _poll(self):
        """One cycle: True when the meter gave a reading that is believed."""
        self._apply_settings()
        meter = self._meter
        if meter is None or self.paused:
            return False
        if not self._known and not await self._attempt(self._identify, meter):
            return False
        if not await self._attempt(self._read_live, meter):
            return False
        self._accept()
        return True

    async def _read_extra(self, meter):
        """Counters, then serial number, once a minute; one a cycle, so that a slow line's readings do not age."""
        now = self._clock.ticks_ms()
        if ticks_diff(now, self._energy_at) >= _ENERGY_MS:
            self._energy_at = now
            self._extras = _EXTRAS
        if not self._extras:
            return
        self._extras -= 1
        # Without them the reading counts all the same: no limit hangs on them.
        if self._extras:
            await self._attempt(self._read, meter.energy, self._reading)
            self._publish()
        else:
            await self._attempt(self._read_serial, meter)

    async def _attempt(self, step, *arguments):
        """Do a step of reading; False, with the reason kept and counted, when the meter does not give it."""
        try:
            await step(*arguments)
            return True
        except RtuTimeout as error:
            self.timeouts += 1
            self._problem = str(error)
        except meters.Implausible as error:
            self.implausible += 1
            self._problem = str(error)
        except (RtuError, OSError) as error:
            self.errors += 1
            self._problem = str(error)
        return False

    async def _identify(self, meter):
        """Ask a meter that says what it is; one that is another, or does not say so, is never believed."""
        if meter.kind is not None:
            first, count, words = meter.kind
            try:
                data = bytes(await self._ask(first, count))
            except RtuError as error:
                if not error.code:
                    raise
                data = b""
            if words not in data:
                # Whatever came, only what can be shown is repeated.
                said = "".join([chr(byte) for byte in data if 32 < byte < 127]) or "nothing"
                raise meters.Implausible("it is no %s: asked for its type it says %s" % (meter.name, said))
        self._known = True

    async def _read_serial(self, meter):
        if meter.serial is None:
            return
        first, form = meter.serial
        try:
            data = await self._ask(first, _SERIAL_REGISTERS)
        except RtuError as error:
            if not error.code:
                raise
            # It keeps its number to itself.
            return
        serial = form % int.from_bytes(data, "big")
        if self.serial not in (None, serial):
            text = "another meter answers: serial number %s, before %s" % (serial, self.serial)
            self._log.add("warning", _OWNER, "meter_exchanged", text)
        self.serial = serial

    async def _read_live(self, meter):
        asked = self._clock.ticks_ms()
        await self._read(meter.live, self._spare)
        self.response_ms = ticks_diff(self._clock.ticks_ms(), asked)
        self.response_max_ms = max(self.response_max_ms, self.response_ms)
        meters.settle(meter, self._spare)

    async def _read(self, blocks, reading):
        for block in blocks:
            if block[0] not in self._split:
                try:
                    meters.decode(block, await self._ask(block[0], block[1]), reading)
                    continue
                except RtuError as error:
                    if error.code != _ILLEGAL_ADDRESS:
                        raise
                    self._split.append(block[0])
            for row in meters.single_rows(block):
                meters.decode(row, await self._ask(row[0], row[1]), reading)

    async def _ask(self, first, count):
        """The bytes of `count` registers from `first`, valid until the next request."""
        self.reads += 1
        try:
            return await self._master.read_holding(self._line[1], first, count, _ANSWER_MS)
        except RtuError as error:
            self.exceptions += error.code != 0
            raise

    def _accept(self):
        """Take over the checked spare reading."""
        reading = self._spare
        self._look_for_news(reading)
        # The counters are read less often, so they move along.
        reading.import_wh[0] = self.import_wh
        reading.export_wh[0] = self.export_wh
        self._spare = self._reading
        self._reading = reading
        self._publish()
        self._good_at = self._clock.ticks_ms()
        self._good_s = self._clock.uptime_s()
        self.valid = True
        if self.lost:
            self.lost = False
            self._log.add("info", _OWNER, "meter_back", "%s answers again" % self._meter.name)

    def _look_for_news(self, reading):
        apart_ms = ticks_diff(self._clock.ticks_ms(), self._good_at)
        if reading.current_ma == self.current_ma and reading.power_w == self.power_w or apart_ms > _QUICK_APART_MS:
            self._news = 0
            return
        self._news += 1
        if self._news >= _QUICK:
            self.lag_ms = _QUICK_LAG_MS

    def age_ms(self) -> int:
        """Milliseconds since the last believed reading (in whole seconds while `lost`)."""
        if self.lost:
            return (self._clock.uptime_s() - self._good_s) * 1000
        return ticks_diff(self._clock.ticks_ms(), self._good_at)

    def status(self) -> dict:
        """The meter for people and backends; amperes and volts are None unless `valid`."""
        known = self.valid
        return {
            "model": self._settings["meter_model"],
            "valid": known,
            "lost": self.lost,
            "currents_a": [ma / 1000 for ma in self.current_ma] if known else None,
            "volts": [mv / 1000 for mv in self.volts_mv] if known else None,
            "power_w": list(self.power_w) if known else None,
            "import_wh": None if self.import_wh < 0 else self.import_wh,
            "export_wh": None if self.export_wh < 0 else self.export_wh,
            "serial": self.serial,
            "age_ms": None if self._meter is None else self.age_ms(),
            "problem": self._problem if self.lost else None,
            "reads": self.reads,
            "timeouts": self.timeouts,
            "errors": self.errors,
            "exceptions": self.exceptions,
            "implausible": self.implausible,
            "cycle_ms": self.cycle_ms(),
            "response_ms": self.response_ms,
            "response_max_ms": self.response_max_ms,
        }
