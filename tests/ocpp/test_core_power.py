"""The supply goes in a session, and comes back (R7, R25): what the central system hears of it."""


def test_a_session_goes_on_after_a_power_cut_as_a_transaction_of_its_own(bay, csms):
    """58, and the random delay before the charge: the wallbox suspends it, and nobody had to show a card again."""
    here = bay({"restart_delay_max_s": 2})
    first = here.charge()
    since = here.restart()
    entry = here.stopped(first["id"])
    assert entry["reason"] == "PowerLoss" and entry["meterStop"] >= entry["meterStart"]
    here.heard("SuspendedEVSE", since)
    here.heard("Charging", since)
    second = here.running()
    assert second["id"] != first["id"] and second["idTag"] == first["idTag"]
    assert second["meterStart"] >= entry["meterStop"] and second["start"] >= entry["stop"]
    assert here.contactor_closed() and here.box.state()["session"]["resumed"]
    # Straight from one to the other (4.9 has no way back from SuspendedEVSE to Preparing).
    # A link that is quicker than the box is with the session hears of the former one's end before.
    assert [one for one in here.statuses(since) if one != "Finishing"] == ["SuspendedEVSE", "Charging"]
    here.tap()
    assert here.stopped(second["id"])["reason"] == "Local"


def test_the_delay_after_a_power_cut_is_told_as_the_wallboxs_own(bay, csms):
    here = bay({"restart_delay_max_s": 600})
    here.charge()
    since = here.restart()
    here.heard("SuspendedEVSE", since)
    state = here.until(lambda state: state["why"]["code"] == "restart_delay")
    assert not state["contactor"]["closed"] and state["session"]["active"]
    here.until(lambda state: state["backend"]["transaction_id"] == 2)
    here.box.unplug()
    assert here.stopped(2)["reason"] == "EVDisconnected"
    here.heard("Available", since)
    assert here.statuses(since)[-3:] == ["SuspendedEVSE", "Finishing", "Available"]


def test_a_car_that_has_left_in_the_dark_leaves_no_transaction_behind(bay, csms):
    here = bay()
    first = here.charge()
    here.box.power(on=False)
    since = csms.mark()
    here.box.unplug()
    here.box.power(on=True)
    assert here.stopped(first["id"])["reason"] == "PowerLoss"
    here.heard("Available", since)
    here.until(lambda state: not state["session"]["active"] and state["backend"]["waiting"] == 0)
    assert len(csms.transactions()) == 1
