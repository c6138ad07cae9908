"""The charge point of OCPP 1.6: puts the parts together and gives each message to whom it concerns."""

import asyncio
import io
import sys

from micropython import const

from ocpp import schema
from ocpp.authorisation import Authorisation
from ocpp.charging import Charging
from ocpp.errors import PROPERTY, CallError, NotConnected, Silent
from ocpp.handlers import module_of
from ocpp.link import Link
from ocpp.metering import Metering
from ocpp.rare import Rare, borrow
from ocpp.reservation import Reservations
from ocpp.security import Security
from ocpp.status import Status
from ocpp.together import Turns, together
from ocpp.transactions import Transactions
from ocpp.upkeep import Upkeep

# A profile whose limit changes at a time is looked at then; without a clock, or without a change, this often.
_PROFILE_S = const(60)
_TRIGGERS = ("TriggerMessage", "ExtendedTriggerMessage")


class ChargePoint(Rare):
    """One charging station with one connector.

    `station` is the hardware's side and `target` the central system's (see README), `random(n)` gives n bytes fit
    for keys, `open_connection(host, port, ssl)` is as asyncio's. All methods but coroutines return at once.
    What cards and remote starts ask for stands in `cards.py`, the begin of a session in `sessions.py`, registration,
    availability and reset in `service.py`. What another central system has left on flash is dropped first (see
    `owner`); OSError when it cannot be.
    """

    RARE = """
cards card refusal closed remote_start
sessions session_began end_interrupted forget_profile transaction_refused
service registered time_set change_availability come_due reset
"""

    def __init__(self, station, config, clock, log, stores, folder, open_connection, random, target):
        borrow("owner").settle(config, log, stores, folder, target)
        self.station = station
        self.config = config
        self.clock = clock
        self.log = log
        self.stores = stores
        self.folder = folder
        self.open_connection = open_connection
        self.random = random
        self._tasks = []
        # When an hour began, as uptime in s; what the central system has had written and refused since (see `wear`).
        self.writes = (0, 0, 0)
        # Set once the session that a reset waits for has ended.
        self._settled = None
        # (reason, idTag) of the end of a session whose transaction could not be ended, for want of room in the heap.
        self._ending = None
        # What waits for the network takes turns in one, whatever else is due by itself in the other.
        self.sender = Turns(clock.ticks_ms, self.failed)
        self.watch = Turns(clock.ticks_ms, self.failed)
        self._profiles = self.watch.add(self._follow_profiles)
        self._availability = stores("ocpp_point")
        self.operative, self.whole_operative, self._scheduled = borrow("service").restored(self)
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
        try:
            text = io.StringIO()
            sys.print_exception(error, text)
            text = text.getvalue()
        except MemoryError:
            # Nothing else can be said either.
            text = "the heap is full"
        try:
            self.log.add("error", "ocpp", "failed", text)
        except MemoryError:
            # Nobody is left to tell, and whoever has failed has to go on.
            return

    # -- life ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        self.end_interrupted()
        self.upkeep.resume()
        try:
            await together(self.link.run(), self.sender.run(), self.watch.run())
        finally:
            for task in self._tasks:
                task.cancel()
            self.keep()

    def keep(self) -> None:
        """Write what waits for flash: the host calls it before a restart of its own."""
        self.transactions.queue.flush()
        borrow("profiles").save(self.charging)

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
        try:
            if self._ending is not None:
                self.end_transaction(*self._ending)
            self._tell_profiles()
            if not self.station.session_active():
                self._look_after_session()
        except MemoryError as error:
            # Nothing has been done, and what has to be is done at the next change.
            self.failed(error)

    def _look_after_session(self) -> None:
        if self._scheduled is not None:
            self.come_due()
        if self.remote_profile and self.remote_tag is None and self.station.waiting_tag() is None:
            # The authorisation has expired without a car.
            self.forget_profile()

    def end_transaction(self, reason: str, id_tag=None) -> None:
        """End the transaction, if there is one, with the register as it is; the session may go on.

        Also for the host that lets go of this charge point: what is charged later is none of its transaction's.
        """
        if self.transactions.current is not None:
            self.station.keep_energy()
            data = self.metering.data(("StopTxnSampledData", "StopTxnAlignedData"), "Transaction.End")
            self.transactions.end(reason, self.station.energy_wh(), id_tag, data)
        self._tell_profiles()
        self._ending = None

    def session_ended(self, reason: str, id_tag=None) -> None:
        """The session has ended for an OCPP reason (`id_tag`: who has stopped it)."""
        self._ending = reason, id_tag
        self.station.suspend(None)
        self.status.ended()
        self.metering.changed()
        self.station_changed()
        if self._settled is not None:
            self._settled.set()

    def _tell_profiles(self) -> None:
        """Have the profiles of the running transaction in force, whatever has kept them from it."""
        current = self.transactions.current
        if current is self.charging.transaction:
            return
        if current is not None:
            self.charging.transaction_began(current, self.clock.uptime_s() - current.stamp[1])
        else:
            self.charging.transaction_ended()

    # -- profiles ------------------------------------------------------------------------------------

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
        wait_s = _PROFILE_S if left_s is None else min(max(1, left_s), _PROFILE_S)
        if self.charging.unsaved:
            wait_s = min(wait_s, borrow("profiles").save(self.charging, False))
        return 1000 * wait_s
