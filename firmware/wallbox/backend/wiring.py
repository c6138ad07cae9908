"""Wires a charge point of package `ocpp` to the wallbox: its settings, flash, session, cards and network."""

import asyncio

import hal.system
from ocpp.charge_point import ChargePoint
from ocpp.configuration import Configuration
from ocpp.errors import OcppError
from ocpp.rare import borrow
from ocpp.together import together
from wallbox.backend.station import MEASURANDS, Station, reason_of
from wallbox.clock import CENTRAL
from wallbox.installer import identity
from wallbox.storage.store import Store

_VERSION = 1


def store(folder: str, name: str, log) -> Store:
    """Where the charge point keeps a value."""
    return Store(folder, name, _VERSION, log)


def configuration(folder: str, log) -> Configuration:
    """The configuration keys as they are kept on flash."""
    config = Configuration(store(folder, "ocpp_config", log), measurands=MEASURANDS)
    for key in config.refused:
        log.add("error", "ocpp", "key_lost", "configuration key %s: what was stored is not allowed any more" % key)
    return config


def _target(app) -> dict:
    """Whereto and as whom to connect."""
    settings = app.settings
    name = settings["charge_point_id"] or identity.load(app.folder, app.log)["serial"]
    return {"url": settings["ocpp_url"], "identity": name, "password": settings["ocpp_password"]}


async def prepare(app) -> None:
    """Drop what another central system has left, in steps, as the wallbox goes on meanwhile; OSError."""
    folder, log = app.folder, app.log
    config = Configuration(store(folder, "ocpp_config", log), measurands=MEASURANDS)
    await borrow("owner").prepare(config, log, lambda name: store(folder, name, log), folder, _target(app))


class Wiring:
    """One charge point while one central system is set up."""

    def __init__(self, app):
        self._app = app
        # The task that decides a card, and its UID.
        self._card = None
        self._uid = None
        # Whether the session that runs could not be made a transaction.
        self._missed = False
        config = configuration(app.folder, app.log)
        self.station = Station(app, config)
        self.point = ChargePoint(
            self.station,
            config,
            app.clock,
            app.log,
            self._store,
            app.folder,
            app.network.open_connection,
            hal.system.random_bytes,
            _target(app),
        )
        self.point.reservations.listeners.append(self._reserved)
        self._reserved()

    def _time_set(self, source: int) -> None:
        """Others have set the clock; what the central system tells the charge point knows itself."""
        if source != CENTRAL:
            self.point.time_set()

    def _reserved(self) -> None:
        """A reservation holds back those who need no card from the very moment it is accepted."""
        self.station.set_reserved(self.point.reservations.reserved_for(1) is not None)

    def _store(self, name: str):
        return store(self._app.folder, name, self._app.log)

    def connected(self) -> bool:
        """Whether there is a connection to the central system, registered or not."""
        return self.point.link.connected

    def status(self) -> dict:
        """What status and apps show of the link."""
        link = self.point.link
        current = self.point.transactions.current
        shown, code = self.point.status.connector()[:2]
        return {
            "connected": link.online,
            "state": link.state,
            "registration": link.registration,
            "reason": link.reason,
            "since_s": link.since_s,
            "connector": shown,
            "error": code,
            "operative": self.point.operative,
            "transaction_id": current.transaction_id if current else None,
            "waiting": self.point.transactions.queue.waiting,
        }

    def card(self, uid: str) -> None:
        """A card was shown: whether it may charge is decided by the central system and the rules for its absence."""
        if self._card is None or self._card.done():
            self._uid = uid
            self._card = asyncio.create_task(self._decide(uid))
        elif uid != self._uid:
            self._app.access.answer(uid, False, "was refused: another card is being looked at")

    async def _decide(self, uid: str) -> None:
        try:
            accepted, text = await self.point.card(uid)
        except Exception as error:
            self.point.failed(error)
            accepted, text = False, "was refused: the backend's answer could not be understood"
        self._app.access.answer(uid, accepted, text)
        self.point.station_changed()

    def session_changed(self, begun: bool) -> None:
        """A session begins, and its start is stored before this returns; or it has ended."""
        session = self._app.session
        if not begun:
            self.point.session_ended(reason_of(self._app.session.stop_reason or ""), self.station.stopped_by)
            self._missed = False
        elif not session.resumed:
            self._begin()

    def _begin(self) -> None:
        self.station.began()
        try:
            self.point.session_began(self._app.session.id_tag)
        except (OcppError, OSError) as error:
            self._missed = True
            text = "the charge goes on, but the backend will not hear of it: %s" % error
            self._app.log.add("error", "ocpp", "no_transaction", text)

    async def run(self, changed) -> None:
        """Work until the event `changed`: then another central system is set up, or none."""
        self._app.clock.listeners.append(self._time_set)
        try:
            await together(self.point.run(), self._watch(), changed.wait())
        finally:
            self._app.clock.listeners.remove(self._time_set)
            self.point.end_transaction("Other")
            if self._card is not None and not self._card.done():
                self._card.cancel()
                text = "was refused: the backend begins anew"
                self._app.access.answer(self._uid, False, text)

    async def _watch(self) -> None:
        """Tell the charge point of what moves at the wallbox."""
        snapshot = self._app.snapshot
        while True:
            self._take_up()
            self._reserved()
            self.point.station_changed()
            await snapshot.changed.wait()
            snapshot.changed.clear()

    def _take_up(self) -> None:
        """A session of before a restart, or of another central system, goes on as a transaction of its own (R7)."""
        session = self._app.session
        runs = session.active and session.recorded and session.authorised
        if runs and self.point.transactions.current is None and not self._missed:
            try:
                self._begin()
            except MemoryError as error:
                # It is tried again with the next change; raised here, it would end the charge point and its link.
                self.point.failed(error)
