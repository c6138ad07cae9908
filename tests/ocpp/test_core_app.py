"""An owner starts and stops charging from the app while the wallbox belongs to a central system (R3, R25, R27, R43)."""

from typing import Any

import pytest
from bay import CARD, Bay
from installer_client import LiveClient, Refused

APP_TAG = "app"


class App(LiveClient):
    """The app and its button."""

    def charge(self, on: bool) -> dict[str, Any]:
        """What the button does."""
        return self.ask("charge", on=on)

    def refused(self) -> str:
        """Why the button does nothing."""
        with pytest.raises(Refused) as caught:
            self.charge(True)
        assert caught.value.code == "not_now"
        return caught.value.error["text"]


def owner(bay: Bay) -> App:
    """The owner's app, logged in."""
    app = App(bay.box)
    assert app.connect()
    app.login("owner")
    return app


def test_a_session_of_the_app_is_a_transaction(bay, csms):
    here = bay()
    app = owner(here)
    here.box.plug()
    here.heard("Preparing")
    assert app.charge(True)["session"]["active"]
    here.heard("Charging")
    entry = here.running()
    assert entry["idTag"] == APP_TAG and here.contactor_closed() and not csms.seen("Authorize")
    app.charge(False)
    entry = here.stopped(entry["id"])
    assert entry["reason"] == "Local" and entry["stopTag"] is None
    here.heard("Finishing")
    here.opens()
    # The permission has ended with it: the same car needs another.
    here.until(lambda state: state["why"]["code"] == "no_card")
    assert here.statuses() == ["Available", "Preparing", "Charging", "Finishing"]


def test_a_permission_of_the_app_waits_for_the_car(bay):
    here = bay()
    assert owner(here).charge(True)["waiting"]
    here.heard("Preparing")
    here.box.plug()
    here.heard("Charging")
    assert here.running()["idTag"] == APP_TAG


def test_the_central_system_may_refuse_the_app(bay, csms):
    csms.tags[APP_TAG] = {"status": "Invalid"}
    here = bay()
    app = owner(here)
    here.box.plug()
    here.heard("Preparing")
    app.charge(True)
    assert here.stopped(1)["reason"] == "DeAuthorized"
    assert not here.opens()["session"]["authorised"]


def test_the_app_ends_what_a_central_system_has_started(bay, csms):
    here = bay()
    app = owner(here)
    here.box.plug()
    here.heard("Preparing")
    csms.call("RemoteStartTransaction", {"idTag": "OPERATOR-1", "connectorId": 1})
    here.heard("Charging")
    assert "a session is there already" in app.refused()
    app.charge(False)
    assert here.stopped(1)["reason"] == "Local"
    here.opens()


def test_the_app_starts_nothing_out_of_service(bay, csms):
    here = bay()
    app = owner(here)
    here.box.plug()
    here.heard("Preparing")
    assert csms.call("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}) == {"status": "Accepted"}
    here.heard("Unavailable")
    assert "out of service" in app.refused()
    assert not here.contactor_closed() and not csms.transactions()


def test_the_app_starts_nothing_that_is_reserved_for_another(bay, csms):
    here = bay()
    app = owner(here)
    expiry = csms.in_seconds(3600)
    reservation = {"connectorId": 1, "expiryDate": expiry, "idTag": CARD, "reservationId": 5, "parentIdTag": "FAMILY"}
    assert csms.call("ReserveNow", reservation) == {"status": "Accepted"}
    here.heard("Reserved")
    assert "reserved" in app.refused()
    here.tap()
    here.box.plug()
    here.heard("Charging")
    assert here.running()["idTag"] == CARD
    assert [one["reservation"] for one in csms.transactions()] == [5]


def test_a_wallbox_that_leaves_its_central_system_is_free_of_it(bay, csms):
    """Nobody else could take back what the central system has ordered."""
    here = bay({"access_control": False})
    assert csms.call("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}) == {"status": "Accepted"}
    here.heard("Unavailable")
    here.box.settings(ocpp_url="")
    csms.wait_gone()
    here.box.plug()
    state = here.until(lambda state: state["contactor"]["closed"])
    assert "backend" not in state["limits"] and not state["backend"]["connected"]


def test_a_transaction_ends_with_the_central_system_that_is_left_not_with_later_energy(bay, csms):
    """Whoever charges while no central system is set up is not billed to the last one of before."""
    here = bay(speed=40)
    entry = here.charge()
    here.passes(20)
    here.box.settings(ocpp_url="", access_control=False)
    csms.wait_gone()
    left_wh = here.box.state()["session"]["energy_wh"]
    here.passes(90)
    here.box.unplug()
    here.until(lambda state: not state["session"]["active"])
    here.box.settings(ocpp_url=csms.url)
    stopped = here.stopped(entry["id"])
    assert stopped["reason"] == "Other"
    assert stopped["meterStop"] - stopped["meterStart"] <= left_wh + 10
