"""A wallbox and its central system as the tests of sessions see them: what is done at the one, what the other hears."""

import time
from collections.abc import Callable
from typing import Any

from csms import Csms, Message, NotSeen

from simulator import Simulator

CARD, OTHER_CARD, THIRD_CARD = "04112233", "04556677", "048899AA"
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.01
# The board's seconds until the reader takes the same card for a new one (firmware/wallbox/access).
_CARD_REST_S = 2.5


class Bay:
    """A parking bay with a wallbox.

    Until a car is plugged in nothing needs waiting for: the constructor returns when connector 1 has told its status.
    """

    def __init__(self, csms: Csms, box: Simulator):
        self.csms = csms
        self.box = box
        self._tapped_at = -_CARD_REST_S
        self.heard("Available")

    # What the central system hears

    def heard(self, status: str, since: int = 0, count: int = 1, **fields: Any) -> Message:
        """Wait for the `count`-th StatusNotification of connector 1 with that status and these further fields."""
        wanted = {"connectorId": 1, "status": status, **fields}
        return self.csms.wait_for(
            "StatusNotification",
            lambda payload: all(payload.get(name) == value for name, value in wanted.items()),
            WAIT_SECONDS,
            since=since,
            count=count,
        )

    def statuses(self, since: int = 0) -> list[str]:
        """What connector 1 has told of itself, in order."""
        told = self.csms.seen("StatusNotification", lambda payload: payload["connectorId"] == 1, since=since)
        return [one.payload["status"] for one in told]

    def stopped(self, number: int) -> dict:
        """Wait until a transaction has ended; its entry in the books."""
        return self.csms.wait_transaction(lambda one: one["id"] == number and one["stop"])

    def running(self) -> dict:
        """Wait for a transaction that has begun, got its id, and not ended; its entry in the books."""
        return self.csms.wait_transaction(lambda one: one["id"] and one["start"] and not one["stop"])

    # What is done and seen at the wallbox

    def tap(self, uid: str = CARD) -> None:
        """Hold a card to the reader, once the former one has surely gone."""
        self.passes(self._tapped_at + _CARD_REST_S - self.uptime())
        self._tapped_at = self.uptime()
        self.box.tap(uid)

    def charge(self, uid: str = CARD) -> dict:
        """Plug a car in, show a card, wait for the charge; the transaction's entry in the books."""
        since = self.csms.mark()
        self.box.plug()
        self.heard("Preparing", since)
        self.tap(uid)
        self.heard("Charging", since)
        return self.running()

    def leave(self) -> None:
        """Unplug the car, and wait until the connector is free."""
        since = self.csms.mark()
        self.box.unplug()
        self.heard("Available", since)

    def uptime(self) -> float:
        """The board's seconds since its start."""
        return self.box.state()["uptime_ms"] / 1000

    def passes(self, seconds: float) -> None:
        """Wait until so many of the board's seconds have passed."""
        if seconds > 0:
            end_ms = (self.uptime() + seconds) * 1000
            self.until(lambda state: state["uptime_ms"] >= end_ms)

    def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until the wallbox's state is so; that state."""
        return self.box.wait_for(condition, WAIT_SECONDS, POLL_SECONDS)

    def logged(self, code: str, words: str = "", count: int = 1) -> dict[str, Any]:
        """Wait for the `count`-th entry of the event log with that code and these words in its text."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            found = [entry for entry in self.box.log(code=code) if words in entry["text"]]
            if len(found) >= count:
                return found[count - 1]
            if time.monotonic() >= end:
                raise NotSeen(f"not logged: {code} {words!r} ({count})\n{self.box.last_words()}")
            time.sleep(POLL_SECONDS)

    def contactor_closed(self) -> bool:
        """Whether the car has mains voltage."""
        return self.box.state()["contactor"]["closed"]

    def opens(self) -> dict[str, Any]:
        """Wait until the contactor is open; the state then."""
        return self.until(lambda state: not state["contactor"]["closed"])
