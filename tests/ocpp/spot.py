"""A parking spot: a wallbox and its central system, for tests of lists, reservations and charging profiles."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from csms import Csms, Message

from simulator import Simulator

WAIT_SECONDS = 10.0
POLL_SECONDS = 0.01
# The reader takes the same card again only after this many of the board's seconds (firmware/wallbox/access).
CARD_REST_S = 2.6
# Neither a delay after power came back nor attempts to wake a car are what these tests look at.
QUIET = {"restart_delay_max_s": 0, "wake_up": False}
# A house without a meter, so that only rating and cable limit beside the central system.
ALONE = {"load_optimisation": False, "meter_model": "none", "connection_a": 63}


class Spot:
    """`box` and `csms`; the constructor waits until connector 1 has told its first status."""

    def __init__(self, csms: Csms, box: Simulator):
        self.csms = csms
        self.box = box
        self._tapped: dict[str, float] = {}
        self.status("Available", 0)

    # What the central system hears

    def status(self, status: str, since: int, **fields: Any) -> Message:
        """Wait until connector 1 tells that status (and these fields) after the mark `since`."""
        wanted = {"connectorId": 1, "status": status, **fields}
        return self.csms.wait_for("StatusNotification", lambda payload: wanted.items() <= payload.items(), since=since)

    def statuses(self, since: int = 0) -> list[str]:
        """What connector 1 has told after the mark."""
        told = self.csms.seen("StatusNotification", lambda payload: payload["connectorId"] == 1, since=since)
        return [one.payload["status"] for one in told]

    def started(self, since: int = 0) -> dict:
        """Wait for a StartTransaction after the mark; its payload."""
        return self.csms.wait_for("StartTransaction", since=since).payload

    def stopped(self, since: int = 0) -> dict:
        """Wait for a StopTransaction after the mark; its payload."""
        return self.csms.wait_for("StopTransaction", since=since).payload

    def say(self, action: str, **payload: Any) -> str:
        """Call the box -> the status of its answer."""
        return self.csms.call(action, payload)["status"]

    def in_seconds(self, seconds: float) -> str:
        """The time in so many of the board's seconds, as OCPP writes it."""
        return (self.csms.now() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    # What is done and seen at the box

    def tap(self, uid: str) -> None:
        """Hold a card to the reader, once it has surely been away."""
        begin = self._tapped.get(uid)
        if begin is not None:
            self.until(lambda state: state["uptime_ms"] >= begin + CARD_REST_S * 1000)
        self.box.tap(uid)
        self._tapped[uid] = self.box.state()["uptime_ms"]

    def plug(self, **car: Any) -> None:
        """Plug a car in, and wait until the box has seen it."""
        self.box.plug(**car)
        self.until(lambda state: state["pilot"]["state"][0] in "BC")

    def charge(self, uid: str) -> int:
        """Begin a charge with car and card, wait until it runs; the transaction's id."""
        since = self.csms.mark()
        self.plug()
        self.tap(uid)
        self.status("Charging", since)
        return self.csms.wait_transaction(lambda one: one["id"] and one["start"] and not one["stop"])["id"]

    def leave(self) -> None:
        """Unplug, and wait until the end has been told."""
        since = self.csms.mark()
        self.box.unplug()
        self.status("Available", since)

    def leave_offline(self) -> None:
        """Unplug, and wait until the box has closed the session."""
        self.box.unplug()
        self.until(lambda state: not state["session"]["active"] and state["pilot"]["state"] == "A1")

    def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until the box's state is so; that state."""
        return self.box.wait_for(condition, WAIT_SECONDS, POLL_SECONDS)

    def passes(self, seconds: float) -> None:
        """Wait until so many of the board's seconds have passed."""
        end = self.box.state()["uptime_ms"] + seconds * 1000
        self.until(lambda state: state["uptime_ms"] >= end)

    def pass_hours(self, hours: float) -> None:
        """Let the clocks of both show that so many hours have passed; the box is told by another time source."""
        self.csms.shift_s += hours * 3600
        self.box.request("utc", seconds=int(self.csms.now().timestamp()))

    def logged(self, code: str, *words: str, count: int = 1) -> None:
        """Wait for the `count`-th log entry of that code with all these words."""
        end = time.monotonic() + WAIT_SECONDS
        while sum(all(word in entry["text"] for word in words) for entry in self.box.log(code=code)) < count:
            assert time.monotonic() < end, f"not logged: {code}, {words}, {count} times\n{self.box.last_words()}"
            time.sleep(POLL_SECONDS)

    def refused(self, uid: str, why: str = "", count: int = 1) -> None:
        """Wait until the box has refused that card, for the `count`-th time with these words."""
        self.logged("card_refused", f"...{uid[-4:]}", why, count=count)

    def go_offline(self) -> None:
        """Let the central system be out of reach, and wait until the box knows it."""
        self.csms.refuse()
        self.csms.drop()
        self.until(lambda state: not state["backend"]["connected"])

    def go_online(self) -> None:
        """Let the box come back."""
        self.csms.admit()
        self.until(lambda state: state["backend"]["connected"])

    def cut_power(self) -> None:
        """Take the supply away and give it back."""
        self.box.power(False)
        self.box.power(True)

    def restart(self) -> None:
        """Cut the power for a moment, and wait until the central system has heard of the box again."""
        since = self.csms.mark()
        self.cut_power()
        self.csms.wait_for("StatusNotification", lambda payload: payload["connectorId"] == 1, since=since)
