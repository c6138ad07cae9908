"""Who may charge: local authorization list, authorization cache and central system (OCPP 1.6, 3.5 and 4.1).

It decides about idTags only; what happens to a session is the charge point's business.
"""

from micropython import const

from ocpp.rare import Rare, borrow
from ocpp.tagfile import TagFile

ACCEPTED = "Accepted"

_SHOWN = const(4)


def masked(id_tag: str) -> str:
    """An idTag as logs may show it: whoever knows all of it can copy the card."""
    return "..." + id_tag[-_SHOWN:]


def same(a_tag, b_tag) -> bool:
    """Whether two idTags are the same, whatever their case (CiString20Type, 7.22); None is like no other."""
    return a_tag is not None and b_tag is not None and a_tag.upper() == b_tag.upper()


class Authorisation(Rare):
    """Local decisions and those of the central system: the functions of `tags.py`.

    `point` has config, clock, log, folder, online, call, station.knows(id_tag) and status.local_list_conflict().
    `list` is the TagFile of the local list, which SendLocalList alone may change (3.5.2), `cache` that of the cache.
    idTagInfo is a dictionary with status and, where there are any, parentIdTag and expiryDate (7.27).
    """

    RARE = "tags list_supported local parent_of same_group decide learn clear_cache"

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
            borrow("tags").erase(self)
