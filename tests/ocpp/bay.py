"""A parking bay: a wallbox and its central system, what is done at the one and what the other hears."""

import time
from collections.abc import Callable
from typing import Any

from csms import POLL_SECONDS, WAIT_SECONDS, Csms, Message, NotSeen

from simulator import Simulator

CARD, OTHER_CARD, THIRD_CARD = "04112233", "04556677", "048899AA"
# The reader takes the same card again only after this many of the board's seconds (firmware/wallbox/access).
CARD_REST_S = 2.6
# What few tests look at: a delay after power came back, and attempts to wake a car.
QUIET = {"restart_delay_max_s": 0, "wake_up": False}


class Bay:
    """`box` and `csms`; the constructor returns when connector 1 has told its status after the mark `since`.

    With None it waits for nothing.
    """

    def __init__(self, csms: Csms, box: Simulator, since: int | None = 0):
        self.csms = csms
        self.box = box
        self._tapped_s: dict[str, float] = {}
        if since is not None:
            csms.registered(since=since)
            self.ready()

    # What the central system hears

    def heard(self, status: str, since: int = 0, count: int = 1, **fields: Any) -> Message:
        """Wait for the `count`-th StatusNotification of connector 1 with that status and these further fields."""
        return self.csms.heard(status, since, count, **fields)

    def statuses(self, since: int = 0) -> list[str]:
        """What connector 1 has told of itself, in order."""
        return self.csms.statuses(since)

    def say(self, action: str, **payload: Any) -> str:
        """Call the box -> the status of its answer."""
        return self.csms.say(action, **payload)

    def started(self, since: int = 0) -> dict:
        """Wait for a StartTransaction; its payload."""
        return self.csms.wait_for("StartTransaction", since=since).payload

    def running(self) -> dict:
        """Wait for a transaction that has begun, got its id, and not ended; its entry in the books."""
        return self.csms.wait_transaction(lambda one: one["id"] and one["start"] and not one["stop"])

    def stopped(self, number: int) -> dict:
        """Wait until a transaction has ended; its entry in the books."""
        return self.csms.wait_transaction(lambda one: one["id"] == number and one["stop"])

    # What is done at the wallbox

    def tap(self, uid: str = CARD) -> None:
        """Hold a card to the reader, once it has surely been away."""
        now_s = self.uptime()
        # A restart forgets the card, and the uptime begins anew.
        if self._tapped_s.get(uid, now_s) < now_s:
            self.passes(self._tapped_s[uid] + CARD_REST_S - now_s)
        self.box.tap(uid)
        self._tapped_s[uid] = self.uptime()

    def plug(self, **car: Any) -> None:
        """Plug a car in, and wait until the box has seen it."""
        self.box.plug(**car)
        self.until(lambda state: state["pilot"]["state"][0] in "BC")

    def charge(self, uid: str = CARD) -> dict:
        """Plug a car in, show a card, wait for the charge; the transaction's entry in the books."""
        since = self.csms.mark()
        free = self.box.state()["backend"]["connector"] == "Available"
        self.plug()
        if free:
            self.heard("Preparing", since)
        self.tap(uid)
        self.heard("Charging", since)
        return self.running()

    def leave(self) -> None:
        """Unplug the car, and wait until the connector is free."""
        since = self.csms.mark()
        self.box.unplug()
        self.heard("Available", since)

    def begin(self, uid: str = CARD, wh: int = 3) -> None:
        """Plug a car in if none is, show a card, and see so much energy flow, whoever hears of it; 3 Wh take 2 s."""
        if not self.box.state()["car"]["plugged"]:
            self.box.plug()
        self.until(lambda state: state["pilot"]["state"][0] in "BC")
        self.tap(uid)
        self.until(lambda state: state["contactor"]["closed"] and state["session"]["energy_wh"] >= wh)

    def end(self, uid: str = CARD) -> None:
        """End the session with the card, and drive away, whoever hears of it."""
        self.tap(uid)
        self.until(lambda state: not state["session"]["active"])
        self.leave_offline()

    def leave_offline(self) -> None:
        """Unplug the car, and wait until the box has closed the session."""
        self.box.unplug()
        self.until(lambda state: not state["session"]["active"] and state["pilot"]["state"] == "A1")

    def go_offline(self) -> None:
        """Take the network away, and wait until both sides know it."""
        self.box.network(False)
        self.csms.wait_gone()
        self.until(lambda state: not state["backend"]["connected"])

    def go_online(self) -> None:
        """Give the network back, and wait until all is delivered."""
        self.box.network(True)
        self.rest()

    def rest(self) -> None:
        """Wait until the box is connected and has delivered all."""
        self.until(lambda state: state["power"] and state["backend"]["connected"] and not state["backend"]["waiting"])

    def dark(self) -> None:
        """Take the supply away, and wait until the central system knows it."""
        self.box.power(False)
        self.csms.wait_gone()

    def light(self) -> int:
        """Give the supply back, and wait until the box has registered -> csms.mark() before."""
        since = self.csms.mark()
        self.box.power(True)
        self.csms.registered(since=since)
        return since

    def restart(self) -> int:
        """Cut the supply for a moment, and wait until the box has registered -> csms.mark() in between."""
        self.dark()
        return self.light()

    def restart_offline(self) -> None:
        """Cut the supply of a box without link for a moment."""
        self.box.power(False)
        self.box.power(True)
        self.ready()

    def pass_hours(self, hours: float) -> None:
        """Let the clocks of both show that so many hours have passed; the box is told by another time source."""
        self.csms.shift_s += hours * 3600
        self.box.request("utc", seconds=int(self.csms.now().timestamp()))

    # What is seen at the wallbox

    def ready(self) -> None:
        """Wait until the box has tested itself: before, it takes no card."""
        self.until(lambda state: state["power"] and state["why"]["code"] != "starting")

    def uptime(self) -> float:
        """The board's seconds since its start."""
        return self.box.state()["uptime_ms"] / 1000

    def passes(self, seconds: float) -> None:
        """Wait until so many of the board's seconds have passed."""
        if seconds > 0:
            end_ms = (self.uptime() + seconds) * 1000
            self.box.wait_for(lambda state: state["uptime_ms"] >= end_ms, WAIT_SECONDS + seconds, POLL_SECONDS)

    def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until the wallbox's state is so; that state."""
        return self.box.wait_for(condition, WAIT_SECONDS, POLL_SECONDS)

    def opens(self) -> dict[str, Any]:
        """Wait until the contactor is open; the state then."""
        return self.until(lambda state: not state["contactor"]["closed"])

    def contactor_closed(self) -> bool:
        """Whether the car has mains voltage."""
        return self.box.state()["contactor"]["closed"]

    def logged(self, code: str, *words: str, count: int = 1) -> dict[str, Any]:
        """Wait for the `count`-th entry of the event log with that code and all these words in its text."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            found = [entry for entry in self.box.log(code=code) if all(word in entry["text"] for word in words)]
            if len(found) >= count:
                return found[count - 1]
            if time.monotonic() >= end:
                raise NotSeen(f"not logged: {code} {words} ({count})\n{self.box.last_words()}")
            time.sleep(POLL_SECONDS)

    def codes(self, *codes: str) -> list[str]:
        """Which of these codes the event log has, in order."""
        return [entry["code"] for entry in self.box.log() if entry["code"] in codes]

    def refused(self, uid: str, why: str = "", count: int = 1) -> None:
        """Wait until the box has refused that card, for the `count`-th time with these words."""
        self.logged("card_refused", f"...{uid[-4:]}", why, count=count)
