"""A reservation is made, asked for, used and ended: functions of Reservations, loaded for each."""

from micropython import const

from ocpp.authorisation import ACCEPTED, masked, same

# How long a change of the clock, a fault that nobody told of, or flash that refused may go unnoticed.
_LOOK_S = const(10)


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
    if may_use(self, id_tag, None):
        return True
    if excludes(self, id_tag):
        return False
    auth = self._point.auth
    parent = auth.parent_of(id_tag)
    if parent is None:
        info = await auth.decide(id_tag)
        parent = info.get("parentIdTag") if info["status"] == ACCEPTED else None
    return may_use(self, id_tag, parent)


def id_for(self, id_tag: str, parent):
    """The reservationId for the StartTransaction of that tag; None: there is none for it."""
    held = self._held
    return held["reservationId"] if held is not None and may_use(self, id_tag, parent) else None


def take(self, id_tag: str, parent):
    """Use up the reservation for a transaction of that tag -> its id, as `id_for` tells before.

    To be called once the transaction is stored: it needs the id, and without it the reservation has to stay.
    """
    reservation_id = id_for(self, id_tag, parent)
    if reservation_id is not None:
        _end(self, "used by %s" % masked(id_tag))
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
    _tell(self, "reservation %d for %s" % (reservation["reservationId"], masked(reservation["idTag"])))


def cancel(self, reservation_id: int, why: str = "cancelled") -> bool:
    """End a reservation, as when the central system takes it back; False when it is not held."""
    held = self._held
    if held is None or held["reservationId"] != reservation_id:
        return False
    _end(self, why)
    return True


def _end(self, why: str) -> None:
    held = self._held
    self._held = None
    self._unsaved = True
    _save(self)
    _tell(self, "reservation %d: %s" % (held["reservationId"], why))


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


def step(self):
    """End what is over -> ms until that is to be looked at again, None when there is nothing to look at."""
    if self._unsaved:
        _save(self)
    if self._held is not None:
        _judge(self)
    if self._held is None and not self._unsaved:
        return None
    left_s = next_expiry_s(self)
    return 1000 * (_LOOK_S if left_s is None else min(_LOOK_S, left_s))


def _judge(self) -> None:
    left_s = next_expiry_s(self)
    status = self._point.status.connector()[0]
    if left_s == 0:
        _end(self, "expired")
    elif status in ("Faulted", "Unavailable"):
        _end(self, "ended, as the connector is %s" % status)
