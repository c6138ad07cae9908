"""Access control and cards, whole firmware in virtual time (R3, R16, R17, R43)."""

import pytest

SETUP_CARD = "04A1B2C3D4E5F6"
ANN = "04AABBCCDDEE01"
BOB = "DEADBEEF"
STRANGER = "04FFFFFFFFFFFF"


def charging(state):
    return state["pilot"]["state"] == "C2" and state["contactor"]["closed"]


def tap(box, uid, pause=3.0):
    box.tap(uid)
    box.advance(pause)
    return box.state()


@pytest.fixture
def box(simulator):
    box = simulator(settings={"access_control": True, "authorisation_timeout_s": 60})
    box.until(lambda s: s["led"]["pattern"] == "blue", 10)
    for uid in (SETUP_CARD, ANN, BOB, SETUP_CARD):
        tap(box, uid)
    box.state()
    return box


def test_registering_cards_sounds_as_the_manual_says(simulator):
    box = simulator()
    box.until(lambda s: s["led"]["pattern"] == "blue", 10)
    box.state()
    first = tap(box, SETUP_CARD)["beeps"]
    second = tap(box, ANN)["beeps"]
    again = tap(box, ANN)["beeps"]
    setup = tap(box, SETUP_CARD)["beeps"]
    assert len(first) == 1 and first[0]["ms"] < 300
    assert len(second) == 2 and max(beep["ms"] for beep in second) < 300
    assert again and again != second, "a known card is not registered twice"
    assert len(setup) == 1 and setup[0]["ms"] >= 500
    assert box.state()["cards"]["charging"] == [ANN]


def test_without_a_card_the_car_waits(box):
    box.plug()
    box.advance(60)
    state = box.state()
    assert state["pilot"]["state"] == "B1"
    assert state["contactor"]["operations"] == 0
    assert state["why"]["code"] == "no_card"


def test_plug_then_card_charges_and_the_same_card_stops(box):
    box.plug()
    box.advance(5)
    tap(box, ANN)
    box.until(charging, 5)
    assert box.state()["session"]["id_tag"] == ANN
    tap(box, ANN, pause=5)
    state = box.until(lambda s: not s["contactor"]["closed"], 8)
    assert state["contactor"]["load_openings"] == 0
    box.advance(30)
    assert box.state()["why"]["code"] == "no_card"


def test_card_then_plug_charges(box):
    tap(box, BOB)
    assert box.state()["session"]["waiting"]
    box.plug()
    box.until(charging, 6)
    assert box.state()["session"]["id_tag"] == BOB


def test_an_unused_authorisation_expires(box):
    tap(box, ANN, pause=1)
    box.advance(61)
    box.plug()
    box.advance(30)
    assert box.state()["contactor"]["operations"] == 0


def test_an_unknown_card_is_rejected_audibly(box):
    box.plug()
    box.advance(5)
    state = tap(box, STRANGER)
    assert state["beeps"]
    assert not state["session"]["active"]


def test_another_card_does_not_stop_the_charge(box):
    box.plug()
    tap(box, ANN)
    box.until(charging, 8)
    tap(box, BOB, pause=10)
    assert charging(box.state())


def test_the_next_car_never_charges_on_the_last_ones_card(box):
    box.plug()
    tap(box, ANN)
    box.until(charging, 8)
    box.advance(60)
    box.unplug()
    box.advance(0.5)
    box.plug()
    box.advance(30)
    state = box.state()
    assert not charging(state)
    assert state["why"]["code"] == "no_card"
    assert len(box.log(code="ended")) == 1


def test_the_setup_card_never_charges(box):
    box.plug()
    state = tap(box, SETUP_CARD, pause=10)
    assert not state["session"]["active"]
    assert not state["cards"]["registration"]


def test_cards_survive_a_power_cut(box):
    box.power(on=False)
    box.advance(3)
    box.power(on=True)
    box.advance(5)
    assert box.state()["cards"]["charging"] == [ANN, BOB]


# R43: however a session ends, the next car needs a permission of its own.


def start(box):
    box.plug()
    tap(box, ANN)
    box.until(charging, 8)
    box.advance(30)


def stopped_by_card(box):
    start(box)
    tap(box, ANN, pause=10)
    box.unplug()
    box.advance(1)


def stopped_by_card_and_unplugged_at_once(box):
    start(box)
    box.car(ignore_pwm=True)
    tap(box, ANN, pause=0.5)
    box.unplug()
    box.advance(0.1)


def unplugged(box):
    start(box)
    box.unplug()
    box.advance(0.1)


def unplugged_during_a_fault(box):
    start(box)
    box.fault("pe")
    box.until(lambda s: s["faults"], 1)
    box.unplug()
    box.advance(1)
    box.clear("pe")
    box.until(lambda s: not s["faults"], 40)


def unplugged_during_a_latched_fault(box):
    start(box)
    box.fault("residual_dc", 60)
    box.until(lambda s: s["faults"], 2)
    box.clear("residual_dc")
    box.advance(60)
    box.unplug()
    box.until(lambda s: not s["faults"], 10)


def exchanged_while_the_pilot_was_shorted(box):
    start(box)
    box.fault("pilot_short")
    box.advance(10)
    box.unplug()
    box.advance(1)
    box.plug()
    box.clear("pilot_short")
    box.until(lambda s: not s["faults"], 40)


def exchanged_while_the_box_stayed_in_f(box):
    box.plug()
    box.fault("rcm_test_fails")
    tap(box, ANN)
    box.until(lambda s: s["faults"], 5)
    box.advance(10)
    box.clear("rcm_test_fails")
    box.unplug()
    box.plug()
    box.power(on=False)
    box.advance(5)
    box.power(on=True)
    box.until(lambda s: not s["faults"], 10)


def unplugged_while_dark(box):
    start(box)
    box.power(on=False)
    box.unplug()
    box.advance(30)
    box.power(on=True)
    box.advance(8)


def unplugged_while_dark_during_the_restart_delay(box):
    box.settings(restart_delay_max_s=1800)
    start(box)
    box.power(on=False)
    box.advance(10)
    box.power(on=True)
    box.advance(0.5)
    box.power(on=False)
    box.unplug()
    box.advance(10)
    box.power(on=True)
    box.advance(10)
    box.settings(restart_delay_max_s=0)
    box.power(on=False)
    box.power(on=True)
    box.advance(8)


def unplugged_while_it_was_woken(box):
    box.plug(asleep="never")
    tap(box, ANN)
    box.until(lambda s: s["pilot"]["state"] == "F", 40)
    box.unplug()
    box.until(lambda s: s["pilot"]["state"] == "A1", 6)


def never_used(box):
    tap(box, ANN)
    box.advance(60)


def lost_in_a_power_cut(box):
    tap(box, ANN)
    box.power(on=False)
    box.advance(1)
    box.power(on=True)
    box.advance(5)


ENDINGS = (
    stopped_by_card,
    stopped_by_card_and_unplugged_at_once,
    unplugged,
    unplugged_during_a_fault,
    unplugged_during_a_latched_fault,
    exchanged_while_the_pilot_was_shorted,
    exchanged_while_the_box_stayed_in_f,
    unplugged_while_dark,
    unplugged_while_dark_during_the_restart_delay,
    unplugged_while_it_was_woken,
    never_used,
    lost_in_a_power_cut,
)


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
def test_the_next_car_needs_a_permission_of_its_own_after_a_session(box, ending):
    box.settings(restart_delay_max_s=0)
    ending(box)
    if not box.state()["car"]["plugged"]:
        box.plug()
    box.advance(5)
    operations = box.state()["contactor"]["operations"]
    box.advance(120)
    state = box.state()
    assert state["contactor"]["operations"] == operations and state["pilot"]["state"] == "B1"
    assert state["why"]["code"] == "no_card"
    assert not state["session"]["active"] and state["session"]["id_tag"] is None
    assert len(box.log(code="ended")) == len(box.log(code="started"))
    tap(box, BOB)
    assert box.until(charging, 8)["session"]["id_tag"] == BOB
