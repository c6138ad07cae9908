"""The reservation of the connector (OCPP 1.6, 5.13): kept over restarts, until it is used, cancelled or over."""

from micropython import const

from ocpp.authorisation import ACCEPTED, masked, same

# How long a change of the clock, a fault that nobody told of, or flash that refused may go unnoticed.
_LOOK_S = const(10)


class Reservations:
    """At most one reservation, as there is one connector: whether it is for connector 0 or 1 makes no difference to it.

    `point` has stores, clock, log, auth, watch and status (connector() -> (status, ...), whole(), look()). A
    reservation is the payload of its ReserveNow with `expiry`, in s since 1970, for expiryDate. `listeners` are
    functions without argument, called when one begins or ends.
    """

    def __init__(self, point):
        self._point = point
        self._store = point.stores("ocpp_reservation")
        self._turn = point.watch.add(self._step)
        self._unsaved = False
        self.listeners = []
        self._held = self._store.load()

    def reserved_for(self, connector: int):
        """The reservation that holds `connector` (0 or 1), None: it is free.

        One for connector 0 holds connector 1 too, since that has to remain for its tag.
        """
        held = self._held
        return held if held and held["connectorId"] in (0, connector) else None

    def may_use(self, id_tag: str, parent) -> bool:
        """Whether a tag with that parent (None: it has none, or it is unknown) may charge in spite of a reservation."""
        held = self._held
        return held is None or same(held["idTag"], id_tag) or same(held.get("parentIdTag"), parent)

    def excludes(self, id_tag: str) -> bool:
        """Whether a tag may not charge whatever its parent is, so that there is nothing to ask about it."""
        held = self._held
        return held is not None and "parentIdTag" not in held and not same(held["idTag"], id_tag)

    async def permits(self, id_tag: str) -> bool:
        """`may_use` of a tag whose parent is found out first where it matters: here, or else by an Authorize (5.13)."""
        if self.may_use(id_tag, None):
            return True
        if self.excludes(id_tag):
            return False
        auth = self._point.auth
        parent = auth.parent_of(id_tag)
        if parent is None:
            info = await auth.decide(id_tag)
            parent = info.get("parentIdTag") if info["status"] == ACCEPTED else None
        return self.may_use(id_tag, parent)

    def id_for(self, id_tag: str, parent):
        """The reservationId for the StartTransaction of that tag; None: there is none for it."""
        held = self._held
        return held["reservationId"] if held is not None and self.may_use(id_tag, parent) else None

    def take(self, id_tag: str, parent):
        """Use up the reservation for a transaction of that tag -> its id, as `id_for` tells before.

        To be called once the transaction is stored: it needs the id, and without it the reservation has to stay.
        """
        reservation_id = self.id_for(id_tag, parent)
        if reservation_id is not None:
            self._end("used by %s" % masked(id_tag))
        return reservation_id

    def next_expiry_s(self):
        """Seconds until the reservation is over, 0: it is; None: there is none, or nobody knows the time."""
        utc_s = self._point.clock.utc_s()
        return None if self._held is None or utc_s is None else max(0, self._held["expiry"] - utc_s)

    def reserve(self, reservation: dict) -> None:
        """Hold the connector; replaces what was held. OSError when flash refuses: then nothing has changed."""
        self._store.save(reservation)
        self._unsaved = False
        self._held = reservation
        self._tell("reservation %d for %s" % (reservation["reservationId"], masked(reservation["idTag"])))

    def cancel(self, reservation_id: int, why: str = "cancelled") -> bool:
        """End a reservation, as when the central system takes it back; False when it is not held."""
        held = self._held
        if held is None or held["reservationId"] != reservation_id:
            return False
        self._end(why)
        return True

    def look(self) -> None:
        """Something that ends reservations may have happened: a fault, the connector out of use, a new time."""
        self._turn.wake()

    def _end(self, why: str) -> None:
        held = self._held
        self._held = None
        self._unsaved = True
        self._save()
        self._tell("reservation %d: %s" % (held["reservationId"], why))

    def _save(self) -> None:
        """Write down that nothing is held; what flash refuses is tried again at the next turn."""
        try:
            self._store.save(None)
            self._unsaved = False
        except OSError as error:
            text = "the end of a reservation cannot be stored (%s)" % error
            self._point.log.add("error", "ocpp", "reservation_not_stored", text)

    def _tell(self, text: str) -> None:
        self._point.log.add("info", "ocpp", "reservation", text)
        self._turn.wake()
        for listener in self.listeners:
            listener()
        self._point.status.look()

    async def _step(self):
        """End what is over -> ms until that is to be looked at again, None when there is nothing to look at."""
        if self._unsaved:
            self._save()
        if self._held is not None:
            self._judge()
        if self._held is None and not self._unsaved:
            return None
        left_s = self.next_expiry_s()
        return 1000 * (_LOOK_S if left_s is None else min(_LOOK_S, left_s))

    def _judge(self) -> None:
        left_s = self.next_expiry_s()
        status = self._point.status.connector()[0]
        if left_s == 0:
            self._end("expired")
        elif status in ("Faulted", "Unavailable"):
            self._end("ended, as the connector is %s" % status)
