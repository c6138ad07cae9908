"""What the central system knows of its boxes: who they are, what they do, and their sessions; in memory only."""

import time
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from central.wire import CALL, Message

SESSIONS_KEPT = 100
REGISTER = "Energy.Active.Import.Register"
MOMENTARY = ("Power.Active.Import", "Current.Import")
# OCPP 1.6, 7.44: what a box that says nothing else means.
DEFAULT_UNIT = "Wh"
KILO = {"kWh": "Wh", "kW": "W"}
# Ids go on from here after a restart of the central system, to which boxes still bring what they have queued.
FIRST_TRANSACTION = int(time.time()) & 0x3FFF_FFFF


def utc_now() -> str:
    """The time as OCPP writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Session:
    """A transaction as the box told it; energies in Wh, times as they came."""

    id: int
    box: str
    tag: str
    start: str
    meter_start: int
    stop: str | None = None
    meter: int = 0
    reason: str | None = None

    def shown(self) -> dict[str, Any]:
        """The session for a page."""
        return {**asdict(self), "energy_wh": max(0, self.meter - self.meter_start)}


@dataclass
class Box:
    """A charge point that was here; `values` are its newest ones, {measurand: {phase or "": [number, unit]}}."""

    name: str
    connected: bool = False
    seen: str = ""
    about: dict[str, str] = field(default_factory=dict)
    status: dict[str, dict] = field(default_factory=dict)
    values: dict[str, dict] = field(default_factory=dict)
    limit_a: float | None = None
    session: int | None = None


def number_of(sample: dict) -> tuple[str, str, list] | None:
    """(measurand, phase, [number, unit]) of a sampledValue, in Wh and W instead of kWh and kW; None for signed data."""
    try:
        value = float(sample["value"])
    except ValueError:
        return None
    measurand = sample.get("measurand", REGISTER)
    unit = sample.get("unit", DEFAULT_UNIT if measurand.startswith("Energy") else "")
    if unit in KILO:
        value, unit = value * 1000, KILO[unit]
    return measurand, sample.get("phase", ""), [value, unit]


class Books:
    """Boxes by name, and the newest sessions."""

    def __init__(self) -> None:
        self.boxes: dict[str, Box] = {}
        self.sessions: deque[Session] = deque(maxlen=SESSIONS_KEPT)
        self._next = FIRST_TRANSACTION
        # What was answered to a message that may come again: {(box, message id): transaction}.
        self._begun: dict[tuple[str, str], Session] = {}

    def box(self, name: str) -> Box:
        """The box of this name, a new one if need be."""
        return self.boxes.setdefault(name, Box(name))

    def shown(self, name: str) -> dict[str, Any]:
        """A box for a page, its running session included."""
        box = self.box(name)
        session = self._session(name, box.session)
        return {**asdict(box), "session": session.shown() if session else None}

    def _session(self, name: str, number: int | None) -> Session | None:
        return next((one for one in self.sessions if one.box == name and one.id == number), None)

    def answer(self, message: Message) -> dict:
        """The answer to a call of a box, whose schema was checked."""
        payload = message.payload
        if message.action == "BootNotification":
            return {"status": "Accepted", "currentTime": utc_now(), "interval": 60}
        if message.action == "Heartbeat":
            return {"currentTime": utc_now()}
        if message.action == "Authorize":
            return {"idTagInfo": {"status": "Accepted"}}
        if message.action == "StartTransaction":
            return {"transactionId": self._begin(message).id, "idTagInfo": {"status": "Accepted"}}
        if message.action == "StopTransaction":
            return {"idTagInfo": {"status": "Accepted"}} if "idTag" in payload else {}
        if message.action == "DataTransfer":
            return {"status": "UnknownVendorId"}
        if message.action == "SignCertificate":
            # There is no authority here that would sign it.
            return {"status": "Rejected"}
        return {}

    def _begin(self, message: Message) -> Session:
        key = message.box, message.id
        if key not in self._begun:
            payload = message.payload
            self._next += 1
            session = Session(self._next, message.box, payload["idTag"], payload["timestamp"], payload["meterStart"])
            session.meter = payload["meterStart"]
            self._begun[key] = session
            self.sessions.append(session)
            while len(self._begun) > SESSIONS_KEPT:
                del self._begun[next(iter(self._begun))]
            # Queued starts come with their stops behind them; the last one is the one that runs.
            self.box(message.box).session = session.id
        return self._begun[key]

    def learn(self, message: Message) -> None:
        """Take what a message says."""
        box = self.box(message.box)
        if message.out:
            return
        box.seen = utc_now()
        payload = message.payload
        if message.kind != CALL or not isinstance(payload, dict):
            return
        if message.action == "BootNotification":
            box.about = {name: str(value) for name, value in payload.items()}
        elif message.action == "StatusNotification":
            box.status[str(payload.get("connectorId"))] = payload
        elif message.action == "MeterValues":
            self._measure(box, payload.get("meterValue", []), payload.get("transactionId"))
        elif message.action == "StopTransaction":
            self._end(box, payload)

    def _measure(self, box: Box, values: list, number: int | None) -> None:
        for value in values:
            for sample in value.get("sampledValue", []):
                found = number_of(sample)
                if found is None:
                    continue
                measurand, phase, reading = found
                box.values.setdefault(measurand, {})[phase] = reading
                session = self._session(box.name, number)
                if session and measurand == REGISTER and not phase:
                    session.meter = round(reading[0])

    def _end(self, box: Box, payload: dict) -> None:
        session = self._session(box.name, payload.get("transactionId"))
        if session:
            session.stop = payload.get("timestamp")
            session.meter = payload.get("meterStop", session.meter)
            session.reason = payload.get("reason", "Local")
        if box.session == payload.get("transactionId"):
            box.session = None
            # Nothing flows any more, and nobody may say so before the next session.
            for measurand in MOMENTARY:
                box.values.pop(measurand, None)
