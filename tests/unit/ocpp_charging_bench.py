"""What the tests of charging profiles share: a point to hold them, and profiles as a central system sends them."""

import json

from virtual_time import Log, Record

from ocpp.charging import Charging
from ocpp.timestamps import iso

T0 = 1767225600  # 2026-01-01T00:00:00Z, a Thursday
DAY = 86400
VOLTS = 230

CONFIG = {
    "NumberOfConnectors": 1,
    "ChargeProfileMaxStackLevel": 8,
    "ChargingScheduleAllowedChargingRateUnit": ("Current", "Power"),
    "ChargingScheduleMaxPeriods": 24,
    "MaxChargingProfilesInstalled": 10,
}


class Stores:
    """Stores whose values are texts in a dict; `refuse` names those that fail to save."""

    def __init__(self):
        self.values = {}
        self.refuse = ()
        self.saves = 0

    def __call__(self, name):
        return Record(load=lambda: self.load(name), save=lambda value: self.save(name, value))

    def load(self, name):
        text = self.values.get(name)
        return None if text is None else json.loads(text)

    def save(self, name, value):
        if any(name.startswith(refused) for refused in self.refuse):
            raise OSError(5)
        self.saves += 1
        self.values[name] = json.dumps(value)


class Bench:
    """A charge point with nothing but charging profiles; its time is moved by hand.

    What it is asked for by `set` and `clear` may be written at once, unless it is `busy`.
    """

    def __init__(self, stores=None, phases=3):
        self.utc = T0
        self.uptime = 1000
        self.busy = False
        self.writes = (0, 0, 0)
        self.log = Log()
        self.stores = stores or Stores()
        self.config = dict(CONFIG)
        self.clock = Record(utc_s=lambda: self.utc, uptime_s=lambda: self.uptime)
        self.station = Record(volts=lambda: VOLTS, phases=lambda: phases, max_ma=lambda: 32000)
        self.charging = Charging(self)

    def restart(self):
        """The same flash after a loss of power."""
        return Bench(self.stores)

    def pass_s(self, seconds):
        self.utc += seconds
        self.uptime += seconds

    def begin(self, transaction_id=None, number=1):
        self.charging.transaction_began(Record(number=number, transaction_id=transaction_id))

    def _rest(self):
        if not self.busy:
            self.charging.due_s = 0

    def set(self, connector=1, remote=False, **fields):
        self._rest()
        return self.charging.set(connector, profile(**fields), remote)

    def clear(self, criteria):
        self._rest()
        return self.charging.clear(criteria)

    def limit(self):
        return self.charging.limit(self.utc, self.uptime)

    def ma(self):
        return self.limit()[0]

    def ids(self):
        return sorted(entry[1] for entry in self.charging.profiles)

    async def schedule(self, duration=DAY, unit="A", connector=1):
        """The (startPeriod, limit) pairs of a composite schedule."""
        answer = await self.charging.composite(connector, duration, unit)
        assert answer["status"] == "Accepted", answer
        return [(p["startPeriod"], p["limit"]) for p in answer["chargingSchedule"]["chargingSchedulePeriod"]]


def profile(
    ident=1,
    level=0,
    purpose="TxDefaultProfile",
    kind="Absolute",
    periods=((0, 16),),
    unit="A",
    start=None,
    duration=None,
    valid=(None, None),
    every=None,
    transaction=None,
    least=None,
):
    """A ChargingProfile; periods are (startPeriod, limit) or (startPeriod, limit, numberPhases), times UTC seconds."""
    listed = []
    for period in periods:
        listed.append({"startPeriod": period[0], "limit": period[1]})
        if len(period) == 3:
            listed[-1]["numberPhases"] = period[2]
    schedule = {"chargingRateUnit": unit, "chargingSchedulePeriod": listed}
    fields = {
        "chargingProfileId": ident,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
    }
    for holder, name, value in (
        (schedule, "startSchedule", None if start is None else iso(start)),
        (schedule, "duration", duration),
        (schedule, "minChargingRate", least),
        (fields, "validFrom", None if valid[0] is None else iso(valid[0])),
        (fields, "validTo", None if valid[1] is None else iso(valid[1])),
        (fields, "recurrencyKind", every),
        (fields, "transactionId", transaction),
    ):
        if value is not None:
            holder[name] = value
    return fields
