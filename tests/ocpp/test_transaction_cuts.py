"""The supply fails at every flash write of a transaction: the central system's books stay right (R7, R25, R30)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from csms import Csms

from simulator import Simulator, SimulatorError

# So many boxes at a time.
SHARES = 4
# Writes that a charge takes at least.
LEAST_CUTS = 30
TAG = "04112233"
FAST = 20
POLL_S = 0.03
# A card is held to the reader for half a second of the board's time. One that is still there when the supply comes back
# stops what goes on.
CARD_MS = 700
SETTINGS = {
    "access_control": True,
    "restart_delay_max_s": 0,
    "meter_model": "none",
    "load_optimisation": False,
    "rated_a": 24,
}
KEYS = {"ConnectionTimeOut": 30, "MeterValueSampleInterval": 1, "HeartbeatInterval": 600}
# Later than any write of a run.
NEVER = 1_000_000

State = dict[str, Any]


class Dark(Exception):
    """The supply is gone."""


class Driver:
    """Who charges at one box; what was done and seen."""

    def __init__(self, csms: Csms, box: Simulator, name: str):
        self.csms = csms
        self.box = box
        self.name = name
        self.charged = False
        self.tapped_ms = 0
        self.rest()

    def look(self, condition: Callable[[State], object]) -> State:
        """Wait until the condition holds; Dark when the supply goes first."""

        def done(state: State) -> object:
            if not state["power"]:
                return True
            self.charged |= state["contactor"]["closed"]
            return condition(state)

        state = self.box.wait_for(done, 20, POLL_S)
        if not state["power"]:
            raise Dark
        return state

    def rest(self) -> None:
        self.look(lambda state: state["backend"]["connected"] and not state["backend"]["waiting"])

    def say(self, do: str, **arguments: Any) -> None:
        try:
            self.box.request(do, **arguments)
        except SimulatorError:
            if self.box.state()["power"]:
                raise
            raise Dark from None

    def charge(self, tag: str, cut: int) -> bool:
        """Reserve, come, charge, stop and leave, with the supply failing at that write -> whether it did."""
        expiry = (self.csms.now() + timedelta(hours=1)).isoformat()
        reservation = {"connectorId": 1, "expiryDate": expiry, "idTag": tag, "reservationId": cut}
        self.look(lambda state: state["backend"]["connector"] == "Available")
        assert self.csms.call("ReserveNow", reservation, box=self.name) == {"status": "Accepted"}
        self.charged = False
        self.box.power(at_write=cut)
        try:
            self.begin(tag)
            self.end(tag)
        except Dark:
            return True
        finally:
            self.box.power(at_write=NEVER)
        return False

    def begin(self, tag: str) -> None:
        self.say("plug")
        self.look(lambda state: state["pilot"]["state"] == "B1")
        self.tap(tag)
        self.look(lambda state: state["session"]["energy_wh"] >= 7)

    def tap(self, tag: str) -> None:
        self.tapped_ms = self.box.state()["plant_ms"]
        self.say("tap", uid=tag)
        self.tapped_ms = self.box.state()["plant_ms"]

    def end(self, tag: str) -> None:
        self.tap(tag)
        self.look(lambda state: not state["session"]["active"])
        self.say("unplug")
        self.look(lambda state: state["pilot"]["state"] == "A1" and state["backend"]["connector"] == "Available")
        self.rest()

    def back(self, tag: str) -> bool:
        """Restore the supply; the driver ends what goes on, and leaves -> whether it went on."""
        charged = self.charged
        try:
            return self._back(tag)
        finally:
            # Before the cut, that is.
            self.charged = charged

    def _back(self, tag: str) -> bool:
        self.box.wait_for(lambda state: state["plant_ms"] >= self.tapped_ms + CARD_MS, 20, POLL_S)
        self.box.power(True)
        # A power cut takes a while to be over, and the first looks may find the firmware starting.
        self.box.wait_for(lambda state: state["power"] and state["backend"].get("connected"), 20, POLL_S)
        if not self.box.state()["car"]["plugged"]:
            self.look(lambda state: not state["session"]["active"])
            self.rest()
            return False
        state = self.look(
            lambda state: state["session"]["authorised"] or state["why"]["code"] in ("no_card", "stopped")
        )
        goes_on = state["session"]["active"]
        if goes_on:
            base_wh = state["session"]["energy_wh"]
            self.look(lambda state: state["session"]["energy_wh"] >= base_wh + 2)
            self.tap(tag)
            self.look(lambda state: not state["session"]["active"])
        self.say("unplug")
        self.look(lambda state: state["pilot"]["state"] == "A1" and not state["session"]["active"])
        self.rest()
        return goes_on

    def judge(self, tag: str, number: int, cut: bool, goes_on: bool) -> None:
        """What the central system's books have of this driver."""
        books = [entry for entry in self.csms.transactions(self.name) if entry["idTag"] == tag]
        reasons = [entry["reason"] for entry in books]
        where = f"{self.name}, cut at write {number}: {cut}, charged {self.charged}, went on {goes_on}: {books}"
        # A host so busy that the firmware's own watch restarts it makes one part more.
        parts = [reason for reason in reasons if reason != "Reboot"]
        if not cut:
            assert parts == ["Local"], where
        elif goes_on:
            assert parts == ["PowerLoss", "Local"] or (parts == ["Local"] and not self.charged), where
        else:
            assert parts in (["Local"], ["PowerLoss"]) or (parts == [] and not self.charged), where
        for entry in books:
            assert entry["start"] and entry["stop"] and entry["id"] > 0, where
        # The first of them has used the reservation, and it is used up.
        assert [entry["reservation"] for entry in books] == ([number] + [None] * len(books))[: len(books)], where
        answer = self.csms.call("CancelReservation", {"reservationId": number}, box=self.name)
        assert answer == {"status": "Rejected" if books else "Accepted"}, where

    def judge_register(self) -> None:
        """Nobody's transaction without a start, and a register that only rises, without energy that nobody has."""
        books = self.csms.transactions(self.name)
        last = 0
        for entry in books:
            values = [int(one["sampledValue"][0]["value"]) for one in entry["values"]]
            marks = [entry["meterStart"], *values, entry["meterStop"]]
            assert marks == sorted(marks), entry
            assert marks[0] == last, (last, entry)
            last = marks[-1]
            stamps = [entry["start"], *(one["timestamp"] for one in entry["values"]), entry["stop"]]
            assert stamps == sorted(stamps), entry
        assert self.box.state()["lifetime"]["total_wh"] == last


def cut_at(csms: Csms, box: Simulator, name: str, number: int) -> bool:
    """Judge a charge on a box as it was delivered, with the supply failing at that write -> whether it did."""
    driver = Driver(csms, box, name)
    cut = driver.charge(TAG, number)
    goes_on = driver.back(TAG) if cut else False
    driver.judge(TAG, number, cut, goes_on)
    driver.judge_register()
    return cut


def test_no_power_cut_at_any_flash_write_loses_or_doubles_a_transaction(central, station):
    csms = central(speed=FAST)

    def share(first: int) -> int:
        """Cut at every `SHARES`-th write from the `first` on, until the charge needs no more -> how often."""
        number = first
        while True:
            # A fresh flash each: on one in use littlefs copies what it appends to, the more the fuller a file is.
            name = f"box-{number}"
            box = station(SETTINGS, KEYS, url=csms.url, name=name, speed=FAST, seed=number)
            csms.wait_for("StatusNotification", lambda payload: payload["connectorId"] == 1, box=name)
            cut = cut_at(csms, box, name, number)
            box.stop()
            if not cut:
                return (number - first) // SHARES
            number += SHARES

    with ThreadPoolExecutor(SHARES) as pool:
        cuts = sum(pool.map(share, range(1, 1 + SHARES)))
    assert cuts >= LEAST_CUTS
