"""The why-not answer: the first reason that applies, in words, with who, since when and until when (R32)."""

from virtual_time import Record

from wallbox.charging.offer import Offer
from wallbox.charging.snapshot import Snapshot
from wallbox.charging.why import Why
from wallbox.protection import faults as f


class Clock:
    now_ms = 5000

    def ticks_ms(self):
        return self.now_ms

    def uptime_s(self):
        return 1000


class Rig:
    def __init__(self):
        self.clock = Clock()
        self.settings = {"wizard_complete": True, "rated_a": 32}
        self.view = Snapshot()
        self.view.starting = False
        self.view.car_connected = True
        self.view.charging = True
        self.view.allowed_ma = 16000
        self.faults = f.Faults(self.clock, lambda fault, value: None, lambda fault: None)
        self.offer = Offer(self.clock, lambda: None)
        self.offer.set("installer", 16000, "the rated current", "installer")
        self.offer.total_ma(0)
        self.session = Record(
            active=True,
            held=None,
            waiting=False,
            needs_card=False,
            authorised=True,
            stop_reason=None,
            authorisation_left_s=lambda: 42,
        )
        self.wake = Record(under_way=False, left_ms=lambda now: 0)
        self.delay = Record(running=False, left_s=lambda now: (now - 5000) + 33)

    def answer(self):
        why = Why(self.clock, self.settings, self.view, self.faults, self.offer, self.session, self.delay, self.wake)
        answer = why.answer()
        return (answer["code"], answer["text"], answer["who"], answer["since_s"], answer["until_s"])


def test_a_charging_car_is_told_its_current_and_who_limits_it():
    rig = Rig()
    assert rig.answer() == (
        "charging_installer",
        "Charging with up to 16.0 A, limited by installer (the rated current).",
        "installer",
        1000,
        None,
    )
    for ma, amps in ((6100, "6.1"), (6099, "6.0"), (6999, "6.9"), (31000, "31.0")):
        rig.view.allowed_ma = ma
        assert "up to %s A," % amps in rig.answer()[1]
    rig.view.allowed_ma = 6000
    assert rig.answer()[0] == "charging_installer"


def test_below_6_a_it_is_paused_by_its_limit():
    rig = Rig()
    rig.offer.set("meter", 5999, "the house draws 20 A", "load")
    rig.offer.total_ma(0)
    rig.view.allowed_ma = 5999
    assert rig.answer() == (
        "limit_meter",
        "Paused: meter allows 5.9 A, a car needs 6 A (the house draws 20 A).",
        "load",
        1000,
        None,
    )


def test_a_car_that_does_not_ask_is_named():
    rig = Rig()
    rig.view.charging = False
    assert rig.answer() == ("car_not_ready", "16.0 A are offered; the car does not ask for them.", "car", None, None)


def test_the_reasons_come_in_their_order():
    rig = Rig()
    rig.view.charging = False
    rig.view.self_testing = True
    words = "The residual current monitor is being tested."
    assert rig.answer() == ("self_test", words, "protection", None, None)
    rig.session.authorised = False
    rig.session.stop_reason = "card"
    assert rig.answer() == ("stopped", "The session was stopped (card).", "user", None, None)
    rig.session.needs_card = True
    assert rig.answer() == ("no_card", "The car waits for a charging card.", "access control", None, None)
    rig.view.car_connected = False
    assert rig.answer() == ("no_car", "Ready: no car is plugged in.", "wallbox", None, None)
    rig.session.waiting = True
    assert rig.answer() == ("plug_in", "Charging is permitted: plug the car in.", "card", None, 1042)
    rig.view.starting = True
    assert rig.answer() == ("starting", "The wallbox is starting.", "wallbox", None, None)
    rig.delay.running = True
    words = "The supply came back: charging resumes in 33 s (random delay)."
    assert rig.answer() == ("restart_delay", words, "power failure", None, 1033)
    rig.settings["rated_a"] = 0
    assert rig.answer() == ("rated_0", "No charging: the rated current is set to 0 A.", "installer", None, None)
    rig.settings["wizard_complete"] = False
    words = "No charging: the installation wizard is not complete."
    assert rig.answer() == ("not_set_up", words, "installer", None, None)
    rig.faults.report(f.METER, True, 0, 0)
    assert rig.answer()[0] == "not_set_up", "a warning stops nothing"
    rig.faults.report(f.PE_LOST, True, 0, 0)
    assert rig.answer() == ("pe_lost", "No charging: the protective earth is missing.", "protection", 1000, None)


def test_a_rated_current_above_0_is_no_reason():
    rig = Rig()
    rig.settings["rated_a"] = 1
    assert rig.answer()[0] == "charging_installer"


def test_a_fault_that_clears_by_itself_says_when_rounded_up():
    rig = Rig()
    rig.faults.report(f.PE_LOST, True, 0, 0)
    rig.faults.report(f.PE_LOST, False, 0, 4000)
    for now, until in ((4000, 1030), (4001, 1030), (4999, 1030), (5000, 1029), (34_000, 1000)):
        rig.clock.now_ms = now
        assert rig.answer()[4] == until, now


def test_a_car_that_is_being_woken_is_told_so_with_the_time_that_is_left():
    rig = Rig()
    rig.view.charging = False
    rig.wake.left_ms = lambda now: 3_001 + now - 5000
    assert rig.answer()[0] == "car_not_ready" and rig.answer()[4] == 1004
    rig.wake.under_way = True
    assert rig.answer() == ("waking", "The car seems to sleep: it is being woken up.", "wallbox", None, 1004)
    rig.wake.left_ms = lambda now: 30_030_000
    assert rig.answer()[4] == 1000 + 30_030
    rig.wake.left_ms = lambda now: 0
    assert rig.answer()[4] is None


def test_a_box_that_is_held_back_says_who_holds_it():
    rig = Rig()
    rig.session.held = "the backend has taken the wallbox out of service"
    assert rig.answer()[0] == "charging_installer", "a session that runs goes on"
    rig.session.active = False
    held = "No charging: the backend has taken the wallbox out of service."
    for rig.view.car_connected in (False, True):
        assert rig.answer() == ("held", held, "backend", None, None)
