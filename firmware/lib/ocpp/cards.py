"""Who may start and stop, by a card or from afar: functions of ChargePoint, loaded for each."""

from ocpp.authorisation import same

_RESERVED = "the wallbox is reserved for another"


async def card(self, id_tag: str) -> tuple:
    """A card was shown -> (whether it is accepted, what it does, for people)."""
    station = self.station
    if station.session_active():
        return await _stop_by(self, id_tag)
    if same(station.waiting_tag(), id_tag):
        station.cancel()
        return True, "is not waited for any more"
    why = closed(self)
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
    if own is None or not await _may_stop(self, own, parent, id_tag):
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
    return closed(self) or (None if self.reservations.may_use(id_tag, None) else _RESERVED)


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
