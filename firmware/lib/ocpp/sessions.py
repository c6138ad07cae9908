"""A session begins, or the central system refuses the one that has: functions of ChargePoint, loaded for each."""

import asyncio

from ocpp.authorisation import same
from ocpp.rare import borrow

# Here before the transaction begins: a full heap leaves nothing half done.
_reserving = borrow("reserving")


def session_began(self, id_tag) -> None:
    """A session begins, and its start is kept before the contactor may close. Full or OSError: it could not be."""
    end_interrupted(self)
    if self._ending is not None:
        self.end_transaction(*self._ending)
    tag = id_tag or self.config["FreeChargingIdTag"]
    parent = self.auth.parent_of(tag)
    reservation = _reserving.id_for(self.reservations, tag, parent)
    begin = self.metering.data(("StopTxnSampledData", "StopTxnAlignedData"), "Transaction.Begin")
    current = self.transactions.begin(tag, self.station.energy_wh(), reservation, parent, begin)
    _reserving.take(self.reservations, tag, parent)
    self.remote_tag = None
    if self.remote_profile and not same(self.remote_profile, tag):
        # Another card came first.
        forget_profile(self)
    self.remote_profile = None
    self.charging.transaction_began(current)
    self.metering.changed()
    self.station_changed()


def end_interrupted(self) -> None:
    """End the transaction that a restart has interrupted; the reservation that it has used goes first."""
    found = self.transactions.interrupted()
    if found is not None:
        if found.reservation_id is not None:
            _reserving.cancel(self.reservations, found.reservation_id, "used before a restart")
        self.transactions.restore(self.station.energy_wh())


def forget_profile(self) -> None:
    """The transaction that a profile came for with a remote start will not begin."""
    self.remote_profile = None
    self.charging.forget_remote()


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
        self.start(_allow, self, transaction, allowed_wh)
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
