"""What is known of idTags and what is decided about them: functions of Authorisation, loaded for each."""

from micropython import const

from ocpp.authorisation import ACCEPTED, masked, same
from ocpp.errors import CallError, CallTimeout, NotConnected
from ocpp.rare import borrow

CONCURRENT = "ConcurrentTx"
INVALID = "Invalid"

_CACHE_TAGS = const(50)


def _valid(info: dict) -> bool:
    """Whether a tag as such is good: one in another transaction is (3.5.2)."""
    return info["status"] in (ACCEPTED, CONCURRENT)


# -- what is known here --------------------------------------------------------------------------


def list_supported(self) -> bool:
    """Whether there is a local list and it is switched on."""
    config = self._point.config
    return config["LocalAuthListEnabled"] and "LocalAuthListManagement" in config["SupportedFeatureProfiles"]


def _listed(self, id_tag: str):
    return self.list.find(id_tag, self._point.clock.utc_s()) if list_supported(self) else None


def _cached(self, id_tag: str):
    point = self._point
    return self.cache.find(id_tag, point.clock.utc_s()) if point.config["AuthorizationCacheEnabled"] else None


def local(self, id_tag: str):
    """What the list, or else the cache, knows as idTagInfo (3.5.3); None: unknown here.

    What has expired answers {"status": "Expired"}; while the time is unknown nothing can be seen to expire.
    """
    return _listed(self, id_tag) or _cached(self, id_tag)


def parent_of(self, id_tag: str):
    """The parent idTag of a tag as far as it is known here, by the latest answer first; None: unknown, or none."""
    if self._heard is not None and same(self._heard[0], id_tag):
        return self._heard[1]
    info = local(self, id_tag)
    return info.get("parentIdTag") if info and _valid(info) else None


def same_group(self, a_tag: str, a_parent, b_tag: str, b_parent=None) -> bool:
    """Whether `b_tag` may end what `a_tag` with the parent `a_parent` (or None) began: same tag or same parent.

    Without `b_parent` it is what is known here.
    """
    if same(a_tag, b_tag):
        return True
    if a_parent is None:
        return False
    return same(a_parent, b_parent or parent_of(self, b_tag))


# -- decisions -----------------------------------------------------------------------------------


async def decide(self, id_tag: str) -> dict:
    """The idTagInfo of a tag that was presented: anything but Accepted means that it may not charge.

    Takes as long as the central system needs for its answer; without one the offline rules decide.
    """
    point = self._point
    if point.online:
        info = local(self, id_tag)
        if info and info["status"] == ACCEPTED and point.config["LocalPreAuthorize"]:
            return info
        info = await _ask(self, id_tag)
        if info is not None:
            return info
    return _offline(self, id_tag)


async def _ask(self, id_tag: str):
    """The central system's idTagInfo, None when it gives none."""
    point = self._point
    try:
        answer = await point.call("Authorize", {"idTag": id_tag})
    except (CallError, CallTimeout, NotConnected) as error:
        text = "Authorize of %s was not answered (%r); decided as if offline" % (masked(id_tag), error)
        point.log.add("warning", "ocpp", "authorize_failed", text)
        return None
    learn(self, id_tag, answer["idTagInfo"])
    return answer["idTagInfo"]


def _offline(self, id_tag: str) -> dict:
    """3.5.4: what is known to be bad is refused, what is known to be good and what is unknown as configured.

    A card registered at the station counts like an entry of the list.
    """
    config = self._point.config
    permitted = config["LocalAuthorizeOffline"]
    unknown = {"status": ACCEPTED if config["AllowOfflineTxForUnknownId"] else INVALID}
    info = _listed(self, id_tag)
    if info is None:
        info = _cached(self, id_tag)
        if info is None:
            return {"status": ACCEPTED} if permitted and self._point.station.knows(id_tag) else unknown
        if info["status"] == CONCURRENT:
            # What it was once busy with says nothing about now.
            info["status"] = ACCEPTED
    return info if permitted or info["status"] != ACCEPTED else unknown


# -- what the central system says ----------------------------------------------------------------


def learn(self, id_tag: str, info) -> None:
    """Take in idTagInfo of an answer to Authorize, StartTransaction or StopTransaction; None: it had none.

    It goes to the cache (3.5.1), but for a listed tag (3.5.3), where a contradiction is reported (3.5.2).
    """
    if info is None:
        return
    point = self._point
    self._heard = id_tag, info.get("parentIdTag") if _valid(info) else None
    listed = _listed(self, id_tag)
    if listed is None:
        if point.config["AuthorizationCacheEnabled"] and _cached(self, id_tag) != info:
            _remember(self, id_tag, info)
    elif _valid(listed) != _valid(info):
        text = "%s is %s in the local list, %s for the central system"
        text %= masked(id_tag), listed["status"], info["status"]
        point.log.add("warning", "ocpp", "local_list_conflict", text)
        point.status.local_list_conflict()


def _remember(self, id_tag: str, info: dict) -> None:
    try:
        borrow("tagstore").remember(self.cache, id_tag, info, _CACHE_TAGS)
    except (OSError, ValueError) as error:
        text = "%s cannot be kept in the authorization cache (%s)" % (masked(id_tag), error)
        self._point.log.add("warning", "ocpp", "cache_not_kept", text)


def clear_cache(self) -> bool:
    """Empty the cache (ClearCache, 5.4); False: flash refuses, or there is no cache (errata 3.23)."""
    return bool(self._point.config["AuthorizationCacheEnabled"]) and erase(self)


def erase(self) -> bool:
    """Empty the cache; False: flash refuses."""
    try:
        borrow("tagstore").erase(self.cache)
    except OSError as error:
        self._point.log.add("error", "ocpp", "cache_not_cleared", "authorization cache: flash refuses (%s)" % error)
        return False
    return True
