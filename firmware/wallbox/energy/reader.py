"""Reads the external meter once a second and says whether its values may be relied on; decides no limit."""

import asyncio
from time import ticks_add, ticks_diff

from micropython import const

from wallbox.energy import meters
from wallbox.energy.rtu import RtuError, RtuTimeout
from wallbox.timer import unwatched

# Meters renew their values every 0.25 to 1 s, so reading more often only repeats them.
_CYCLE_MS = const(1000)
# At 300 baud the two reads of a cycle take 10 s, with the silence to wait for after failures.
_LATE_MS = const(30_000)
# The counters only feed statistics.
_CYCLES_PER_ENERGY = const(60)
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
    after each cycle with True when that cycle brought a new believed reading.
    """

    def __init__(self, master, settings, clock, log):
        self._master = master
        self._settings = settings
        self._clock = clock
        self._log = log
        self._line = None
        self._meter = None
        self._reading = meters.Reading()
        self._spare = meters.Reading()
        self._good_at = clock.ticks_ms()
        self._good_s = clock.uptime_s()
        self._cycle = 0
        self._problem = "not asked yet"
        self.listeners = []
        self.valid = False
        self.lost = False
        self.reads = 0
        self.timeouts = 0
        self.errors = 0
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
            due = ticks_add(due, _CYCLE_MS)
            left = ticks_diff(due, self._clock.ticks_ms())
            if left <= 0:
                # A slow line (300 baud) needs longer than a cycle; the grid starts anew, with a breath.
                due = self._clock.ticks_ms()
                left = 1
            if self._meter is None:
                await self._clock.poll(left, _REST_MS)
            else:
                await asyncio.sleep_ms(left)

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
        text = "%s, %s: no usable value for %d s; last problem: %s"
        where = "address %d, %d baud, parity %s" % self._line[1:]
        text = text % (self._meter.name, where, limit_ms // 1000, self._problem)
        self._log.add("error", _OWNER, "meter_lost", text)

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
        self._meter = meters.MODELS.get(line[0])
        self.valid = False
        self.lost = False
        self._good_at = self._clock.ticks_ms()
        self._good_s = self._clock.uptime_s()
        self._cycle = 0
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
        if meter is None:
            return False
        if not await self._read(meter, meter.live, self._spare, meters.settle):
            return False
        self._accept()
        if self._cycle % _CYCLES_PER_ENERGY == 0:
            # Without them the reading counts all the same: no limit hangs on the energy counters.
            await self._read(meter, meter.energy, self._reading, None)
            self._publish()
        self._cycle += 1
        return True

    async def _read(self, meter, blocks, reading, then):
        """Read and decode `blocks`; False, with the reason kept and counted, when any of it is unusable."""
        try:
            for block in blocks:
                await self._read_block(block, reading)
            if then is not None:
                then(meter, reading)
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

    async def _read_block(self, block, reading):
        self.reads += 1
        asked = self._clock.ticks_ms()
        data = await self._master.read_holding(self._line[1], block[0], block[1], _ANSWER_MS)
        self.response_ms = ticks_diff(self._clock.ticks_ms(), asked)
        self.response_max_ms = max(self.response_max_ms, self.response_ms)
        meters.decode(block, data, reading)

    def _accept(self):
        """Take over the checked spare reading."""
        reading = self._spare
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
            "import_wh": self.import_wh,
            "export_wh": self.export_wh,
            "age_ms": None if self._meter is None else self.age_ms(),
            "problem": self._problem if self.lost else None,
            "reads": self.reads,
            "timeouts": self.timeouts,
            "errors": self.errors,
            "implausible": self.implausible,
            "response_ms": self.response_ms,
            "response_max_ms": self.response_max_ms,
        }
