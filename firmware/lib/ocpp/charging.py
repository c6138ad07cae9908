"""The charging profiles of a charge point and the limit that follows from them; it switches nothing.

Rules are those of OCPP 1.6 edition 2, section 3.13 and 7.7 to 7.14, with the errata. What is needed only when a
central system calls, or once at start, stands in `profiles.py`, what finds the limit of profiles in `limits.py`.
"""

from micropython import const

from ocpp.rare import Rare, borrow

# A profile is a tuple, since ten of them stay in memory; its first fields are what is kept on flash.
SEQUENCE = const(0)  # rises with each profile stored, 0: not stored yet
ID = const(1)
PURPOSE = const(2)
LEVEL = const(3)
CONNECTOR = const(4)
WATTS = const(5)  # 1: limits are W, 0: they are A
START = const(6)  # UTC seconds, None: the start of charging
REPEAT = const(7)  # seconds from one start to the next, 0: there is one only
DURATION = const(8)  # seconds, None: the last period does not end
FROM = const(9)  # valid from and to, UTC seconds or None
TO = const(10)
RECEIVED = const(11)  # UTC seconds, 0: the time was unknown
PERIODS = const(12)  # array of pairs: seconds from the start, limit in tenths * 4 + phases (0: not given)
SLOT = const(13)  # number of its store, None: it is not for flash
WAITS = const(14)  # True for a TxProfile whose transaction has not begun

# ChargingProfilePurposeType (section 7.11) by number, see `limits.PURPOSES`.
MAX = const(0)
DEFAULT = const(1)
TX = const(2)
# Tenths of W a phase in sixths, so that a power divides among 1, 2 or 3 phases without a rest.
SIXTHS = const(6)


class Charging(Rare):
    """Holds the profiles. `listeners` are functions without argument, called when a limit may have changed.

    After a start the host calls `transaction_began` for a transaction that goes on; profiles of purpose TxProfile are
    not kept on flash, as their transaction ends with the power. All others are (errata, 3.37): at once, or where they
    come one soon after the other when `profiles.save` is called, while `unsaved`: from the uptime `due_s` on.
    """

    RARE = "profiles clear composite"

    def __init__(self, point):
        self.point = point
        self.profiles = []
        self.sequence = 0
        self.transaction = None
        self.listeners = []
        self._began_s = 0
        self.unsaved = False
        self.due_s = 0
        borrow("profiles").load(self)

    def set(self, connector: int, profile: dict, remote: bool = False) -> str:
        """Install a ChargingProfile (7.8); returns SetChargingProfile's status, "Accepted" or "Rejected".

        `remote`: it came with a RemoteStartTransaction and waits for the transaction (5.11). What is refused is
        logged with the reason and changes nothing.
        """
        return borrow("profiles").install(self, connector, profile, remote)

    def replace(self, profiles) -> None:
        """Let `profiles` be the ones in force."""
        self.profiles = sorted(profiles, key=lambda profile: -profile[LEVEL])
        self._changed()

    def _changed(self) -> None:
        for listener in self.listeners:
            listener()

    def transaction_began(self, transaction, elapsed_s: int = 0) -> None:
        """Count Relative schedules from `elapsed_s` seconds ago and apply what waited for this transaction."""
        if transaction is self.transaction:
            return
        self.transaction = transaction
        self._began_s = self.point.clock.uptime_s() - elapsed_s
        kept = []
        for profile in self.profiles:
            if profile[WAITS]:
                kept.append(profile[:WAITS] + (False,))
            elif profile[PURPOSE] != TX:
                kept.append(profile)
        self.replace(kept)

    def transaction_ended(self) -> None:
        """Drop the profiles of the transaction (3.13.1)."""
        self.transaction = None
        self.replace([profile for profile in self.profiles if profile[PURPOSE] != TX or profile[WAITS]])

    def forget_remote(self) -> None:
        """Drop what waits for a remotely started transaction that will not begin."""
        self.replace([profile for profile in self.profiles if not profile[WAITS]])

    def elapsed_s(self, uptime_s: int):
        """Seconds since the transaction began, None without one; set clocks do not matter."""
        return None if self.transaction is None else max(0, uptime_s - self._began_s)

    def limit(self, utc_s, uptime_s: int) -> tuple:
        """(mA a phase or None, phases or None, seconds until it may change or None, text), None being no limit.

        `utc_s` may be None while the time is unknown. Below 6,000 mA the charge has to pause, as the text says. A
        station switches no phases: a power meant for fewer phases than it has is divided among all that may flow.
        """
        if not self.profiles:
            return None, None, None, "no charging profile limits"
        return borrow("limits").limit(self, utc_s, uptime_s)
