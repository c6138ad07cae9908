"""Security of the link (OCPP 1.6 security whitepaper, edition 3): events, credentials and their changes.

What is rare is loaded for it and let go: `credentials`, `security_events`, `renewal`, and with them all certificates.
"""

from micropython import const

from journal import Journal
from ocpp.rare import Rare, borrow

# After a time-out or an error of the central system's: as long as its transaction messages wait by default.
RETRY_S = const(60)
# About 100 events are kept: at 80 bytes each, four files of a flash block.
_FILES = const(4)
LOOK_S = const(86400)


class Security(Rare):
    """Events and credentials of one charge point.

    `target` {"url", "identity", "password"} is what its owner has set up; a password that the owner changes is used in
    place of the AuthorizationKey until the central system sets that again. Where `target` says ws and the security
    profile asks for TLS, wss is used, on the same port if one is named.

    Credentials that the central system changes are on trial until a connection was made with them: what worked before
    is kept, and both are tried in turn until one works. That one stays.
    """

    RARE = """
credentials target change save tries current profile replaces begin_trial reconnect link_made link_failed
security_events load log_pieces
renewal sign_certificate
"""

    def __init__(self, point, target: dict):
        self.point = point
        self.given = target
        self._journal = Journal(point.folder, "osec", _FILES)
        self._turn = point.sender.add(self._step)
        self._loaded = False
        self._unwritten = []
        self._sequence = self._delivered = self._boot = 0
        self._place = (0, 0)
        self._counts = {}
        self._refused = False
        self._attempts = 0
        self._retry_s = RETRY_S
        self._looked_s = None
        self._signing = False
        self._store = point.stores("ocpp_link")
        # What the last good connection was made with, where it differs from what is set now.
        self.proven = {}
        self.own_key = self.use_proven = False
        self._failures = 0
        self._seen = ""
        borrow("credentials").restore(self)

    # -- events --------------------------------------------------------------------------------------

    def event(self, kind: str, info: str = "") -> None:
        """Record a security event, on flash before this returns, and send it when the central system is there."""
        try:
            borrow("security_events").record(self, kind, info)
        except MemoryError:
            self.point.log.add("error", "ocpp", "event_lost", "security event lost: %s" % kind)

    def link_changed(self) -> None:
        """The link came, went or was registered."""
        self._refused = False
        self._turn.wake()

    async def _step(self):
        """Send an event, and look after the charge point's certificate -> ms until there may be more to do."""
        if self._loaded and not self.point.online:
            return None
        return await borrow("security_events").step(self)
