"""Access control and cards, whole firmware in virtual time (R3, R16, R17, R43)."""

import pytest

SETUP_CARD = "04A1B2C3D4E5F6"
ANN = "04AABBCCDDEE01"
BOB = "DEADBEEF"
STRANGER = "04FFFFFFFFFFFF"


def charging(state):
    return state["pilot"]["state"] == "C2" and state["contactor"]["closed"]


def tap(box, uid, pause=3):
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
