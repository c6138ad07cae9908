"""What the grid asks for: peak shaving by the contact (R22), and less current on a weak grid, in virtual time."""

import pytest


def charging(state):
    return state["pilot"]["state"] == "C2" and state["contactor"]["closed"]


def watts(state):
    return sum(a * v for a, v in zip(state["currents_a"], state["volts"], strict=True))


@pytest.fixture
def start(simulator):
    """Return a function that starts a charge with settings, at 32 A and without a meter unless told otherwise."""

    def charge(phases=3, **settings):
        plain = {"meter_model": "none", "load_optimisation": False, "connection_a": 40}
        box = simulator(settings=plain | settings)
        box.until(lambda s: s["led"]["pattern"] == "blue", 10)
        box.plug(phases=phases)
        box.until(charging, 10)
        box.advance(12)
        return box

    return charge


@pytest.mark.parametrize(("phases", "least_w"), [(3, 4000), (1, 3900)])
def test_a_closed_contact_lowers_the_whole_charge_to_4200_w_within_2_s(start, phases, least_w):
    box = start(phases)
    assert watts(box.state()) > 7000
    box.contact(True)
    box.advance(2)
    state = box.state()
    assert state["limited_by"] == "peak_shaving" and state["peak_shaving"]["active"]
    assert least_w <= watts(state) <= 4200
    box.advance(600)
    assert least_w <= watts(box.state()) <= 4200


def test_an_open_contact_lets_the_charge_come_back_on_a_ramp(start):
    box = start()
    box.contact(True)
    box.advance(60)
    box.contact(False)
    last = 6.0
    for _ in range(60):
        box.advance(1)
        now = box.state()["offered_a"]
        # The loop raises an offer every 5 s only; 0.5 A a second.
        assert last <= now <= last + 3.1
        last = now
    state = box.state()
    assert last == 32 and "peak_shaving" not in state["limits"]


def test_begin_and_end_of_peak_shaving_are_logged_with_the_time_between(start):
    box = start()
    box.contact(True)
    box.advance(90)
    box.contact(False)
    box.advance(2)
    (begins,) = box.log(code="peak_shaving_begins")
    (ends,) = box.log(code="peak_shaving_ends")
    assert "4200 W" in begins["text"] and "after 90 s" in ends["text"]
    assert begins["utc"] and ends["uptime_ms"] - begins["uptime_ms"] == pytest.approx(90_000, abs=600)


def test_a_contact_that_bounces_changes_nothing(start):
    box = start()
    for _ in range(10):
        box.contact(True)
        box.advance(0.1)
        box.contact(False)
        box.advance(0.2)
    assert box.state()["offered_a"] == 32
    assert not box.log(code="peak_shaving_begins")


def test_peak_shaving_never_ends_the_charge_unless_the_setting_says_so(start):
    box = start(peak_shaving_w=1380)
    box.contact(True)
    box.advance(30)
    assert charging(box.state()) and box.state()["offered_a"] == 6
    box.settings(peak_shaving_w=0)
    state = box.until(lambda s: not s["contactor"]["closed"], 25)
    assert state["why"]["code"] == "limit_peak_shaving"
    box.contact(False)
    box.until(charging, 60)


def test_a_contact_that_opens_to_ask_fails_safe(start):
    box = start(peak_shaving_contact="open")
    assert box.state()["limited_by"] == "peak_shaving"
    box.contact(True)
    box.until(lambda s: s["offered_a"] == 32, 70, step=1)


def test_a_contact_closed_at_the_start_counts_from_the_first_offer(simulator):
    settings = {"meter_model": "none", "load_optimisation": False, "connection_a": 40, "restart_delay_max_s": 0}
    box = simulator(settings=settings)
    box.until(lambda s: s["led"]["pattern"] == "blue", 10)
    box.contact(True)
    box.advance(1)
    box.plug()
    box.until(charging, 10)
    box.power(on=False)
    box.power(on=True)
    box.advance(20)
    assert box.state()["limited_by"] == "peak_shaving"
    offers = [entry["text"] for entry in box.log(code="offer")]
    assert all(text.startswith(("6000 mA", "0 mA")) for text in offers)


def test_a_low_voltage_takes_current_off_and_a_good_one_brings_it_back_slowly(start):
    box = start()
    box.grid(volts=[230, 202, 230])
    box.advance(3)
    state = box.state()
    assert state["limited_by"] == "grid" and "voltage" in state["why"]["text"]
    # 87.8 % of 230 V: 56 % of the way from 85 % to 90 %.
    assert state["offered_a"] == pytest.approx(20.5, abs=0.5)
    box.grid(volts=[230, 230, 230])
    box.advance(5)
    assert box.state()["offered_a"] < 25
    box.until(lambda s: s["offered_a"] == 32, 60)


def test_a_low_frequency_takes_current_off(start):
    box = start()
    box.grid(hz=49.5)
    box.advance(3)
    state = box.state()
    assert state["limited_by"] == "grid" and "49.50 Hz" in state["why"]["text"]
    assert state["offered_a"] == pytest.approx(19, abs=0.1)


def test_a_dip_of_less_than_a_second_changes_nothing(start):
    box = start()
    box.grid(volts=[200, 200, 200])
    box.advance(0.6)
    box.grid(volts=[230, 230, 230])
    box.advance(5)
    assert box.state()["offered_a"] == 32
