"""Who may charge: local authorization list, authorization cache and central system (OCPP 1.6, 3.5 and 4.1).

It decides about idTags only; what happens to a session is the charge point's business.
"""

from micropython import const

from ocpp.errors import CallError, CallTimeout, NotConnected
from ocpp.rare import borrow
from ocpp.tagfile import TagFile

ACCEPTED = "Accepted"
CONCURRENT = "ConcurrentTx"
INVALID = "Invalid"

_CACHE_TAGS = const(50)
_SHOWN = const(4)


def masked(id_tag: str) -> str:
    """An idTag as logs may show it: whoever knows all of it can copy the card."""
    return "..." + id_tag[-_SHOWN:]


def same(a_tag, b_tag) -> bool:
    """Whether two idTags are the same, whatever their case (CiString20Type, 7.22); None is like no other."""
    return a_tag is not None and b_tag is not None and a_tag.upper() == b_tag.upper()


def _valid(info: dict) -> bool:
    """Whether a tag as such is good: one in another transaction is (3.5.2)."""
    return info["status"] in (ACCEPTED, CONCURRENT)


class Authorisation:
    """Local decisions and those of the central system.

    `point` has config, clock, log, folder, online, call, station.knows(id_tag) and status.local_list_conflict().
    `list` is the TagFile of the local list, which SendLocalList alone may change (3.5.2), `cache` that of the cache.
    idTagInfo is a dictionary with status and, where there are any, parentIdTag and expiryDate (7.27).
    """

    def __init__(self, point):
        self._point = point
        self.list = TagFile(point.folder + "/otags.", point.log)
        self.cache = TagFile(point.folder + "/ocache.", point.log)
        # idTag and parent of the latest answer: without a cache nothing else would know them when a session begins.
        self._heard = None
        point.config.listeners.append(self._configured)

    def _configured(self, name: str) -> None:
        """Forget the cache when it is switched off, as it would miss that a tag is blocked meanwhile."""
        if name == "AuthorizationCacheEnabled" and not self._point.config[name]:
            self._erase()

    # -- what is known here --------------------------------------------------------------------------

    def list_supported(self) -> bool:
        """Whether there is a local list and it is switched on."""
        config = self._point.config
        return config["LocalAuthListEnabled"] and "LocalAuthListManagement" in config["SupportedFeatureProfiles"]

    def _listed(self, id_tag: str):
        return self.list.find(id_tag, self._point.clock.utc_s()) if self.list_supported() else None

    def _cached(self, id_tag: str):
        point = self._point
        return self.cache.find(id_tag, point.clock.utc_s()) if point.config["AuthorizationCacheEnabled"] else None

    def local(self, id_tag: str):
        """What the list, or else the cache, knows as idTagInfo (3.5.3); None: unknown here.

        What has expired answers {"status": "Expired"}; while the time is unknown nothing can be seen to expire.
        """
        return self._listed(id_tag) or self._cached(id_tag)

    def parent_of(self, id_tag: str):
        """The parent idTag of a tag as far as it is known here, by the latest answer first; None: unknown, or none."""
        if self._heard is not None and same(self._heard[0], id_tag):
            return self._heard[1]
        info = self.local(id_tag)
        return info.get("parentIdTag") if info and _valid(info) else None

    def same_group(self, a_tag: str, a_parent, b_tag: str, b_parent=None) -> bool:
        """Whether `b_tag` may end what `a_tag` with the parent `a_parent` (or None) began: same tag or same parent.

        Without `b_parent` it is what is known here.
        """
        if same(a_tag, b_tag):
            return True
        if a_parent is None:
            return False
        return same(a_parent, b_parent or self.parent_of(b_tag))

    # -- decisions -----------------------------------------------------------------------------------

    async def decide(self, id_tag: str) -> dict:
        """The idTagInfo of a tag that was presented: anything but Accepted means that it may not charge.

        Takes as long as the central system needs for its answer; without one the offline rules decide.
        """
        point = self._point
        if point.online:
            info = self.local(id_tag)
            if info and info["status"] == ACCEPTED and point.config["LocalPreAuthorize"]:
                return info
            info = await self._ask(id_tag)
            if info is not None:
                return info
        return self._offline(id_tag)

    async def _ask(self, id_tag: str):
        """The central system's idTagInfo, None when it gives none."""
        point = self._point
        try:
            answer = await point.call("Authorize", {"idTag": id_tag})
        except (CallError, CallTimeout, NotConnected) as error:
            text = "Authorize of %s was not answered (%r); decided as if offline" % (masked(id_tag), error)
            point.log.add("warning", "ocpp", "authorize_failed", text)
            return None
        self.learn(id_tag, answer["idTagInfo"])
        return answer["idTagInfo"]

    def _offline(self, id_tag: str) -> dict:
        """3.5.4: what is known to be bad is refused, what is known to be good and what is unknown as configured.

        A card registered at the station counts like an entry of the list.
        """
        config = self._point.config
        permitted = config["LocalAuthorizeOffline"]
        unknown = {"status": ACCEPTED if config["AllowOfflineTxForUnknownId"] else INVALID}
        info = self._listed(id_tag)
        if info is None:
            info = self._cached(id_tag)
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
        listed = self._listed(id_tag)
        if listed is None:
            if point.config["AuthorizationCacheEnabled"] and self._cached(id_tag) != info:
                self._remember(id_tag, info)
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
        return bool(self._point.config["AuthorizationCacheEnabled"]) and self._erase()

    def _erase(self) -> bool:
        try:
            borrow("tagstore").erase(self.cache)
        except OSError as error:
            self._point.log.add("error", "ocpp", "cache_not_cleared", "authorization cache: flash refuses (%s)" % error)
            return False
        return True
