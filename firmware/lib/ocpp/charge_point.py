"""The charge point of OCPP 1.6: puts the parts together and gives each message to whom it concerns."""

import asyncio
import io
import sys

from micropython import const

from ocpp import schema
from ocpp.authorisation import Authorisation, same
from ocpp.charging import Charging
from ocpp.errors import PROPERTY, CallError, NotConnected, Silent
from ocpp.handlers import module_of
from ocpp.link import Link
from ocpp.metering import BEGIN, END, Metering
from ocpp.rare import borrow
from ocpp.reservation import Reservations
from ocpp.security import Security
from ocpp.status import Status
from ocpp.together import Turns, together
from ocpp.transactions import Transactions
from ocpp.upkeep import Upkeep

# A profile whose limit changes at a time is looked at then; without a clock, or without a change, this often.
_PROFILE_S = const(60)
# A soft reset waits so long for its StopTransaction to be delivered.
_DELIVERY_S = const(10)
# A hard reset too asks the car first and opens under load only after 6 s (IEC 61851-1, sequence 10.2).
_HARD_MS = const(8_000)
_RESERVED = "the wallbox is reserved for another"
_TRIGGERS = ("TriggerMessage", "ExtendedTriggerMessage")
# A heartbeat comes once a day at least, whatever the central system asks for (4.6).
_DAY_S = const(86_400)


class ChargePoint:
    """One charging station with one connector.

    `station` is the hardware's side and `target` the central system's (see README), `random(n)` gives n bytes fit
    for keys, `open_connection(host, port, ssl)` is as asyncio's. All methods but coroutines return at once.
    """

    def __init__(self, station, config, clock, log, stores, folder, open_connection, random, target):
        self.station = station
        self.config = config
        self.clock = clock
        self.log = log
        self.stores = stores
        self.folder = folder
        self.open_connection = open_connection
        self.random = random
        self._tasks = []
        self._settled = asyncio.Event()
        # What waits for the network takes turns in one, whatever else is due by itself in the other.
        self.sender = Turns(clock.ticks_ms)
        self.watch = Turns(clock.ticks_ms)
        self._profiles = self.watch.add(self._follow_profiles)
        self._availability = stores("ocpp_point")
        self.operative, self.whole_operative, self._scheduled = self._restore()
        # idTag of a remote start that is being decided, and of one whose profile waits for its transaction.
        self.remote_tag = None
        self.remote_profile = None
        self.status = Status(self)
        self.transactions = Transactions(self, station.interruption())
        self.security = Security(self, target)
        self.auth = Authorisation(self)
        self.reservations = Reservations(self)
        self.charging = Charging(self)
        self.metering = Metering(self)
        self.upkeep = Upkeep(self)
        self.link = Link(self)
        config.listeners.append(self._configured)
        self.charging.listeners.append(self._profiles.wake)
        station.set_operative(self.operative)

    # -- messages ------------------------------------------------------------------------------------

    @property
    def online(self) -> bool:
        """Whether the central system is there and has accepted this charge point."""
        return self.link.online

    async def call(self, action: str, payload: dict, message_id=None, triggered=False, registering=False) -> dict:
        """Send a CALL, checked against the specification both ways, and return the answer.

        NotConnected, CallTimeout, or CallError when the central system refuses. Before it has accepted the
        registration only BootNotification and what it has triggered may be sent (4.2.1).
        """
        link = self.link
        if not link.online and not registering and not (triggered and link.connected):
            raise NotConnected("not registered")
        schema.check_request(action, payload)
        answer = await link.call(action, payload, message_id)
        schema.check_response(action, answer)
        return answer

    async def handle(self, action: str, payload: dict) -> dict:
        """Answer a CALL of the central system; CallError when it is refused, Silent when it gets no answer."""
        registration = self.link.registration
        if registration == "Rejected":
            raise Silent()
        module = module_of(action)
        try:
            await schema.check_in_slices(action, payload, True)
        except CallError as error:
            if action in _TRIGGERS and error.code == PROPERTY:
                # 5.17: a message that is unknown here is no mistake of the one who asks for it.
                return {"status": "NotImplemented"}
            raise
        if registration != "Accepted" and action in ("RemoteStartTransaction", "RemoteStopTransaction"):
            return {"status": "Rejected"}
        answer = await borrow("handlers." + module).HANDLERS[action](self, payload)
        await schema.check_in_slices(action, answer, False)
        return answer

    def later(self, function, *arguments) -> None:
        """Run a coroutine function once the answer to the present CALL has been sent."""
        self.link.after_answer(lambda: self.start(function, *arguments))

    def start(self, function, *arguments) -> None:
        """Run a coroutine function as a task of this charge point; what it raises is logged."""
        self._tasks.append(asyncio.create_task(self._guard(function, arguments)))

    async def _guard(self, function, arguments) -> None:
        try:
            await function(*arguments)
        except Exception as error:
            self.failed(error)
        finally:
            # What it has borrowed goes with it.
            self._tasks.remove(asyncio.current_task())

    def failed(self, error) -> None:
        """Log an error that nobody expected."""
        text = io.StringIO()
        sys.print_exception(error, text)
        self.log.add("error", "ocpp", "failed", text.getvalue())

    # -- life ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        self._end_interrupted()
        self.upkeep.resume()
        try:
            await together(self.link.run(), self.sender.run(), self.watch.run())
        finally:
            for task in self._tasks:
                task.cancel()

    def link_changed(self) -> None:
        """The link came, went, or was registered."""
        if not self.link.connected:
            # What follows an answer does not follow a lost one, and what is being decided ends with the link.
            self.remote_tag = None
        self.status.look()
        self.transactions.link(self.online)
        self.security.link_changed()
        self.upkeep.news()
        self.station.changed()

    def registered(self, interval_s: int) -> None:
        """The central system has accepted a BootNotification: what it knew of the status it may have forgotten."""
        self.status.forget()
        if interval_s:
            try:
                self.config.change("HeartbeatInterval", str(min(interval_s, _DAY_S)))
            except OSError as error:
                self.log.add("error", "ocpp", "not_stored", "HeartbeatInterval could not be stored: %s" % error)

    def time_set(self) -> None:
        """The clock was set."""
        self.transactions.link(self.online)
        self.reservations.look()
        self.metering.changed()
        self._profiles.wake()

    def _configured(self, key: str) -> None:
        if key == "HeartbeatInterval":
            self.link.interval_changed()
        elif key == "MessageTimeout":
            self.link.timeout_changed()
        self.metering.changed()
        self.status.look()

    # -- the session of the station ------------------------------------------------------------------

    def station_changed(self) -> None:
        """Plug, current, faults or session of the station may have changed."""
        self.status.look()
        self.reservations.look()
        station = self.station
        if station.session_active():
            return
        if self._scheduled is not None:
            self._come_due(self._scheduled)
        if self.remote_profile and self.remote_tag is None and station.waiting_tag() is None:
            # The authorisation has expired without a car.
            self._forget_profile()

    def _forget_profile(self) -> None:
        self.remote_profile = None
        self.charging.forget_remote()

    def session_began(self, id_tag) -> None:
        """A session begins, and its start is kept before the contactor may close. Full or OSError: it could not be."""
        self._end_interrupted()
        tag = id_tag or self.config["FreeChargingIdTag"]
        parent = self.auth.parent_of(tag)
        reservation = self.reservations.id_for(tag, parent)
        begin = self.metering.data(("StopTxnSampledData", "StopTxnAlignedData"), BEGIN)
        current = self.transactions.begin(tag, self.station.energy_wh(), reservation, parent, begin)
        self.reservations.take(tag, parent)
        self.remote_tag = None
        if self.remote_profile and not same(self.remote_profile, tag):
            # Another card came first.
            self._forget_profile()
        self.remote_profile = None
        self.charging.transaction_began(current)
        self._session_moved()

    def _end_interrupted(self) -> None:
        """End the transaction that a restart has interrupted; the reservation that it has used goes first."""
        found = self.transactions.interrupted()
        if found is not None:
            if found.reservation_id is not None:
                self.reservations.cancel(found.reservation_id, "used before a restart")
            self.transactions.restore(self.station.energy_wh())

    def end_transaction(self, reason: str, id_tag=None) -> None:
        """End the transaction, if there is one, with the register as it is; the session may go on.

        Also for the host that lets go of this charge point: what is charged later is none of its transaction's.
        """
        if self.transactions.current is not None:
            self.station.keep_energy()
            data = self.metering.data(("StopTxnSampledData", "StopTxnAlignedData"), END)
            self.transactions.end(reason, self.station.energy_wh(), id_tag, data)
            self.charging.transaction_ended()

    def session_ended(self, reason: str, id_tag=None) -> None:
        """The session has ended for an OCPP reason (`id_tag`: who has stopped it)."""
        self.end_transaction(reason, id_tag)
        self.station.suspend(None)
        self.status.ended()
        self._session_moved()
        self._settled.set()

    def _session_moved(self) -> None:
        self.metering.changed()
        self.station_changed()

    def transaction_refused(self, transaction, status: str) -> None:
        """The central system does not accept the tag of a transaction that has begun (4.8; errata 3.17)."""
        self.log.add("warning", "ocpp", "tag_refused", "the central system refuses the card: %s" % status)
        if transaction is not self.transactions.current:
            return
        if self.config["StopTransactionOnInvalidId"]:
            self.station.stop("DeAuthorized")
            return
        allowed_wh = self.config["MaxEnergyOnInvalidId"]
        if allowed_wh:
            self.start(self._allow, transaction, allowed_wh)
        else:
            self.station.suspend("the central system refuses the card")

    async def _allow(self, transaction, wh: int) -> None:
        """Let a refused transaction go on for a little energy (MaxEnergyOnInvalidId)."""
        end_wh = self.station.energy_wh() + wh
        while self.transactions.current is transaction:
            if self.station.energy_wh() >= end_wh:
                self.station.suspend("the central system refuses the card; %d Wh were allowed" % wh)
                return
            await asyncio.sleep_ms(1_000)

    async def card(self, id_tag: str) -> tuple:
        """A card was shown -> (whether it is accepted, what it does, for people)."""
        station = self.station
        if station.session_active():
            return await self._stop_by(id_tag)
        if same(station.waiting_tag(), id_tag):
            station.cancel()
            return True, "is not waited for any more"
        why = self.closed()
        if why is not None:
            return False, "was refused: " + why
        if self.reservations.excludes(id_tag):
            return False, "was refused: " + _RESERVED
        info = await self.auth.decide(id_tag)
        if info["status"] != "Accepted":
            return False, "was refused by the backend: %s" % info["status"]
        if not self.reservations.may_use(id_tag, info.get("parentIdTag")):
            return False, "was refused: " + _RESERVED
        if not station.authorise(id_tag):
            return False, "was refused: charging cannot be authorised now"
        return True, "authorises charging"

    async def _stop_by(self, id_tag: str) -> tuple:
        """A card is shown in a session: its own, or one of the same group, ends it (4.10)."""
        current = self.transactions.current
        own = current.id_tag if current is not None else self.station.session_tag()
        parent = current.parent_id_tag if current is not None else None
        if own is None or not await self._may_stop(own, parent, id_tag):
            return False, "was refused: another card or the backend started this session"
        if self.transactions.current is not current:
            return False, "was refused: the session that it was shown in is over"
        self.station.stop("Local", id_tag)
        return True, "stops charging"

    async def _may_stop(self, own: str, parent, id_tag: str) -> bool:
        """Whether `id_tag` may end the session of `own`; the central system is asked only where a group may matter."""
        if self.auth.same_group(own, parent, id_tag):
            return True
        if parent is None:
            return False
        info = await self.auth.decide(id_tag)
        return info["status"] == "Accepted" and self.auth.same_group(own, parent, id_tag, info.get("parentIdTag"))

    def refusal(self, id_tag: str):
        """Why a tag that the station itself permits may not start now, in words, or None."""
        return self.closed() or (None if self.reservations.may_use(id_tag, None) else _RESERVED)

    def closed(self):
        """Why nobody may start now, in words, or None."""
        if not self.operative:
            return "the backend has taken the wallbox out of service"
        fault = self.station.fault()
        if fault is not None and fault[3]:
            return "there is a fault"
        if not self.transactions.queue.room():
            return "the memory for transactions is full"
        return None

    # -- remote --------------------------------------------------------------------------------------

    async def remote_start(self, id_tag: str) -> None:
        """What follows an accepted RemoteStartTransaction."""
        try:
            if self.config["AuthorizeRemoteTxRequests"]:
                info = await self.auth.decide(id_tag)
                if info["status"] != "Accepted":
                    self.log.add("warning", "ocpp", "tag_refused", "remote start refused: %s" % info["status"])
                    return
            if not self.station.authorise(id_tag):
                self.log.add("warning", "ocpp", "not_started", "remote start: charging cannot be authorised now")
        finally:
            self.remote_tag = None
            self.station_changed()

    async def reset(self, hard: bool) -> None:
        """Restart: a soft one ends the session, and waits until its StopTransaction is delivered or 10 s are over."""
        reason = "HardReset" if hard else "SoftReset"
        self.transactions.expect_reset(reason)
        self.security.event("ResetOrReboot", reason)
        self.log.add("info", "ocpp", "reset", "%s asked for by the central system" % reason)
        if self.station.session_active():
            self._settled.clear()
            self.station.stop(reason)
            try:
                await asyncio.wait_for_ms(self._settled.wait(), _HARD_MS if hard else _DELIVERY_S * 1000)
            except asyncio.TimeoutError:
                self.log.add("warning", "ocpp", "no_end", "%s: the session has not ended in time" % reason)
        if not hard:
            await self.transactions.delivered(_DELIVERY_S * 1000)
        await self.link.leave()
        await self.station.reset(hard)

    # -- availability --------------------------------------------------------------------------------

    def _restore(self) -> tuple:
        found = self._availability.load()
        whole = [True, True, None]
        if not isinstance(found, list) or len(found) != len(whole):
            found = whole
        return found[0] is not False, found[1] is not False, found[2] if isinstance(found[2], list) else None

    def change_availability(self, connector: int, operative: bool) -> str:
        """ChangeAvailability (5.2) -> "Accepted", "Scheduled" while a session runs, "Rejected" when flash refuses."""
        wanted = [operative, operative if connector == 0 else self.whole_operative]
        if not operative and self.station.session_active():
            return "Scheduled" if self._save(self.operative, self.whole_operative, wanted) else "Rejected"
        return "Accepted" if self._apply(wanted) else "Rejected"

    def _come_due(self, wanted: list) -> None:
        """What was scheduled holds from now on; flash that refuses to note that has it as scheduled for a restart."""
        self._scheduled = None
        if not self._apply(wanted):
            self.operative, self.whole_operative = wanted[:2]
            self.station.set_operative(self.operative)
            self.status.look()

    def _apply(self, wanted) -> bool:
        if not self._save(wanted[0], wanted[1], None):
            return False
        self.station.set_operative(self.operative)
        self.status.look()
        return True

    def _save(self, operative: bool, whole: bool, scheduled) -> bool:
        """Keep the availability over restarts; False when flash refuses: then nothing has changed."""
        try:
            self._availability.save([operative, whole, scheduled])
        except OSError as error:
            self.log.add("error", "ocpp", "not_stored", "availability could not be stored: %s" % error)
            return False
        self.operative, self.whole_operative, self._scheduled = operative, whole, scheduled
        return True

    # -- profiles ------------------------------------------------------------------------------------

    def profiles_changed(self) -> None:
        """A charging profile was set or cleared."""
        self._profiles.wake()

    async def _follow_profiles(self) -> int:
        """Keep the station's limit at what the charging profiles say, and each minute the register over power cuts.

        Returns ms until that is to be done again.
        """
        if self.transactions.current is not None:
            self.station.keep_energy()
            self.transactions.checkpoint(self.station.energy_wh())
        uptime_s = self.clock.uptime_s()
        ma, _phases, left_s, reason = self.charging.limit(self.clock.utc_s(), uptime_s)
        self.station.set_limit(ma, reason, None if left_s is None else uptime_s + left_s)
        return 1000 * (_PROFILE_S if left_s is None else min(max(1, left_s), _PROFILE_S))
