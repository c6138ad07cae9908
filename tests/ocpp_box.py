"""A charge point made of PyPI's ocpp, for tests of central systems: it has one connector and obeys."""

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.datatypes import KeyValue, MeterValue, SampledValue
from ocpp.v16.enums import (
    Action,
    AvailabilityStatus,
    ChargePointErrorCode,
    ChargePointStatus,
    ChargingProfileStatus,
    ClearChargingProfileStatus,
    ConfigurationStatus,
    Measurand,
    Reason,
    RemoteStartStopStatus,
    ResetStatus,
    TriggerMessageStatus,
    UnitOfMeasure,
    UnlockStatus,
)

START_WH = 12_345_600
CHARGED_WH = 1_840
WAIT_SECONDS = 10.0


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class ObedientBox(ChargePoint):
    """It charges 1.84 kWh as soon as it is told to start, and stops when it is told to."""

    def __init__(self, name: str, socket: ClientConnection):
        super().__init__(name, socket)
        self.keys = {"HeartbeatInterval": "300", "MeterValueSampleInterval": "60", "NumberOfConnectors": "1"}
        self.profile: dict | None = None
        self.transaction: int | None = None
        self.asked: list[str] = []

    async def ask(self, payload: Any) -> Any:
        """Call the central system -> its answer; OCPPError, TimeoutError."""
        return await self.call(payload, suppress=False)

    async def begin(self) -> None:
        """What it says when it starts."""
        boot = call.BootNotification("Simulated 32", "Open wallbox", firmware_version="0.1.0")
        boot.charge_point_serial_number = "SIM0000001"
        await self.ask(boot)
        for connector in (0, 1):
            await self.ask(self.status(ChargePointStatus.available, connector))

    def status(self, status: ChargePointStatus, connector: int = 1, **more: Any) -> call.StatusNotification:
        """A StatusNotification."""
        return call.StatusNotification(connector, ChargePointErrorCode.no_error, status, timestamp=now(), **more)

    async def charge(self, tag: str) -> None:
        """Begin a transaction and measure once."""
        answer = await self.ask(call.StartTransaction(1, tag, START_WH, now()))
        self.transaction = answer.transaction_id
        await self.ask(self.status(ChargePointStatus.charging))
        sampled = [SampledValue(str(START_WH + CHARGED_WH))]
        for phase in ("L1", "L2", "L3"):
            sampled.append(SampledValue("16.1", measurand=Measurand.current_import, phase=phase, unit=UnitOfMeasure.a))  # pyright: ignore[reportArgumentType]
        power = SampledValue("11.1", measurand=Measurand.power_active_import, unit=UnitOfMeasure.kw)
        await self.ask(call.MeterValues(1, [MeterValue(now(), [*sampled, power])], self.transaction))

    async def end(self) -> None:
        """End the transaction."""
        assert self.transaction is not None
        number, self.transaction = self.transaction, None
        await self.ask(call.StopTransaction(START_WH + CHARGED_WH, now(), number, reason=Reason.remote))
        await self.ask(self.status(ChargePointStatus.finishing))

    @on(Action.remote_start_transaction)
    def on_start(self, **_payload: Any):
        return call_result.RemoteStartTransaction(RemoteStartStopStatus.accepted)

    @after(Action.remote_start_transaction)
    async def start_now(self, id_tag: str, **_payload: Any):
        await self.charge(id_tag)

    @on(Action.remote_stop_transaction)
    def on_stop(self, transaction_id: int):
        known = transaction_id == self.transaction
        return call_result.RemoteStopTransaction(
            RemoteStartStopStatus.accepted if known else RemoteStartStopStatus.rejected
        )

    @after(Action.remote_stop_transaction)
    async def stop_now(self, transaction_id: int):
        if transaction_id == self.transaction:
            await self.end()

    @on(Action.set_charging_profile)
    def on_profile(self, cs_charging_profiles: dict, **_payload: Any):
        self.profile = cs_charging_profiles
        return call_result.SetChargingProfile(ChargingProfileStatus.accepted)

    @on(Action.clear_charging_profile)
    def on_clear(self, **_payload: Any):
        known, self.profile = self.profile is not None, None
        status = ClearChargingProfileStatus.accepted if known else ClearChargingProfileStatus.unknown
        return call_result.ClearChargingProfile(status)

    @on(Action.change_availability)
    def on_availability(self, **payload: Any):
        self.asked.append(payload["type"])
        return call_result.ChangeAvailability(AvailabilityStatus.accepted)

    @on(Action.reset)
    def on_reset(self, **payload: Any):
        self.asked.append(payload["type"])
        return call_result.Reset(ResetStatus.accepted)

    @on(Action.unlock_connector)
    def on_unlock(self, **_payload: Any):
        return call_result.UnlockConnector(UnlockStatus.not_supported)

    @on(Action.trigger_message)
    def on_trigger(self, **payload: Any):
        self.asked.append(payload["requested_message"])
        return call_result.TriggerMessage(TriggerMessageStatus.accepted)

    @on(Action.get_configuration)
    def on_keys(self, **_payload: Any):
        rows = [KeyValue(key, key == "NumberOfConnectors", value) for key, value in self.keys.items()]
        return call_result.GetConfiguration(rows)

    @on(Action.change_configuration)
    def on_key(self, key: str, value: str):
        if key not in self.keys:
            return call_result.ChangeConfiguration(ConfigurationStatus.not_supported)
        self.keys[key] = value
        return call_result.ChangeConfiguration(ConfigurationStatus.accepted)


class BoxThread:
    """A box in a thread with a loop of its own, for tests that are busy elsewhere; a context manager."""

    def __init__(self, url: str, name: str):
        self._url, self._name = url, name
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self.box: ObedientBox | None = None
        self._end: asyncio.Event | None = None

    def _live(self) -> None:
        self._loop.run_until_complete(self._talk())
        self._loop.close()

    async def _talk(self) -> None:
        self._end = asyncio.Event()
        async with connect(self._url + quote(self._name), subprotocols=["ocpp1.6"]) as socket:  # pyright: ignore[reportArgumentType]
            self.box = ObedientBox(self._name, socket)
            serving = asyncio.create_task(self.box.start())
            await self.box.begin()
            self._ready.set()
            await self._end.wait()
        try:
            await serving
        except ConnectionClosed:
            return

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(WAIT_SECONDS), "the box was not let in"
        return self

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine of the box."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(WAIT_SECONDS)

    def __exit__(self, *_exception) -> None:
        assert self._end is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(WAIT_SECONDS)
