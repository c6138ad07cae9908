"""The reservation of the connector (OCPP 1.6, 5.13): kept over restarts, until it is used, cancelled or over."""

from ocpp.rare import Rare, borrow


class Reservations(Rare):
    """At most one reservation, as there is one connector: whether it is for connector 0 or 1 makes no difference to it.

    `point` has stores, clock, log, auth, watch and status (connector() -> (status, ...), whole(), look()). A
    reservation is the payload of its ReserveNow with `expiry`, in s since 1970, for expiryDate. `listeners` are
    functions without argument, called when one begins or ends.
    """

    RARE = "reserving may_use excludes permits id_for take next_expiry_s reserve cancel"

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

    def look(self) -> None:
        """Something that ends reservations may have happened: a fault, the connector out of use, a new time."""
        self._turn.wake()

    async def _step(self):
        """End what is over -> ms until that is to be looked at again, None when there is nothing to look at."""
        if self._held is None and not self._unsaved:
            return None
        return borrow("reserving").step(self)
