"""The car: when it closes and opens S2, how its current follows the offer, and what can be done by hand."""

from plant_bench import Bench, refusal


def test_a_car_closes_s2_one_second_after_an_offer():
    bench = Bench()
    bench.plant.plug()
    assert bench.plant.view()["car"]["state"] == "B"
    bench.after(5000)
    bench.pilot.set_duty(266)
    bench.after(999)
    assert bench.plant.view()["car"]["state"] == "B"
    bench.after(1)
    assert bench.plant.view()["car"]["state"] == "C"


def test_an_offer_that_goes_again_leaves_the_car_in_b():
    bench = Bench()
    bench.plant.plug()
    bench.pilot.set_duty(266)
    bench.after(500)
    bench.pilot.set_duty(1000)
    bench.after(5000)
    assert bench.plant.view()["car"]["state"] == "B"


def test_a_car_that_wants_nothing_stays_in_b():
    bench = Bench()
    bench.plant.plug(wants=False)
    bench.pilot.set_duty(266)
    bench.after(10_000)
    assert bench.plant.view()["car"]["state"] == "B"


def test_five_percent_duty_offers_nothing_to_a_plain_car():
    bench = Bench()
    bench.plant.plug()
    bench.pilot.set_duty(50)
    bench.after(10_000)
    assert bench.plant.view()["car"]["state"] == "B"


def test_current_starts_half_a_second_after_mains_and_reaches_the_offer():
    bench = Bench()
    bench.plant.plug()
    bench.pilot.set_duty(533)
    bench.after(1000)
    bench.contactor.set(True)
    bench.after(25 + 499)
    assert bench.amps == [0, 0, 0]
    bench.after(1)
    assert 0 < bench.amps[0] < 31.98
    bench.after(1000)
    assert bench.amps == [31.98] * 3


def test_a_new_offer_is_followed_within_a_second_in_steps():
    bench = Bench()
    bench.charge(533)
    bench.pilot.set_duty(100)
    bench.after(500)
    assert 6 < bench.amps[0] < 31.98
    bench.after(500)
    assert bench.amps == [6, 6, 6]


def test_offers_that_change_all_the_time_are_followed_all_the_same():
    bench = Bench()
    bench.charge(533)
    for permille in range(500, 100, -20):
        bench.pilot.set_duty(permille)
        bench.after(100)
    assert bench.amps[0] < 15, bench.amps


def test_the_car_s_own_limit_and_phases_hold():
    bench = Bench()
    bench.charge(533, phases=1, max_a=10)
    assert bench.amps == [10, 0, 0]


def test_a_three_phase_car_on_one_phase_draws_from_it_alone():
    bench = Bench()
    bench.plant.grid(volts=[230, 0, 0])
    bench.charge(266)
    assert bench.amps == [15.96, 0, 0]
    assert bench.sense()[1] == 1


def test_the_end_of_the_offer_stops_the_current_first_and_then_opens_s2():
    for permille in (1000, 0, 50):
        bench = Bench()
        bench.charge()
        bench.pilot.set_duty(permille)
        bench.after(750)
        assert bench.amps == [0, 0, 0]
        assert bench.plant.view()["car"]["state"] == "C"
        bench.after(250)
        assert bench.plant.view()["car"]["state"] == "B"


def test_a_car_that_ignores_the_pilot_goes_on_as_before():
    bench = Bench()
    bench.charge(266)
    bench.plant.car(ignore_pwm=True)
    for permille in (100, 1000):
        bench.pilot.set_duty(permille)
        bench.after(10_000)
        assert bench.amps == [15.96] * 3
        assert bench.plant.view()["car"]["state"] == "C"
    bench.plant.car(ignore_pwm=False)
    bench.after(1000)
    assert bench.amps == [0, 0, 0] and bench.plant.view()["car"]["state"] == "B"


def test_a_full_car_stops_exactly_when_it_has_its_energy():
    bench = Bench()
    bench.charge(266, soc_wh=1000)
    left = bench.plant.view()["car"]["soc_wh"]
    power_w = 3 * 230 * 15.96
    ms = int(left * 3600_000 / power_w)
    bench.after(ms - 2)
    assert bench.amps == [15.96] * 3
    bench.after(4)
    assert bench.amps == [0, 0, 0]
    view = bench.plant.view()["car"]
    assert view["soc_wh"] == 0 and not view["wants"] and view["state"] == "C"
    bench.after(1000)
    assert bench.plant.view()["car"]["state"] == "B"
    bench.supply.sample()
    assert 1_000_000 <= bench.supply.energy_mwh <= 1_000_010, bench.supply.energy_mwh


def test_pulling_the_plug_under_load_ends_the_current_at_once():
    bench = Bench()
    bench.charge()
    bench.plant.unplug()
    assert bench.amps == [0, 0, 0]
    assert bench.sense()[1] == 7, "the contactor is still closed"
    assert bench.plant.view()["car"]["state"] == "A"


def test_a_second_car_starts_afresh():
    bench = Bench()
    bench.charge(max_a=10)
    bench.plant.car(ignore_pwm=True, draw_a=40, diode=False)
    bench.plant.unplug()
    bench.contactor.set(False)
    bench.after(100)
    bench.charge(266)
    assert bench.amps == [15.96] * 3
    assert bench.sense()[0][1] < -11_400


def test_s2_by_hand_stays_as_it_was_put_until_it_is_given_back():
    bench = Bench()
    bench.charge()
    bench.plant.car(state="B")
    assert bench.amps == [0, 0, 0]
    bench.after(10_000)
    assert bench.plant.view()["car"]["state"] == "B"
    bench.plant.car(state="C")
    bench.pilot.set_duty(1000)
    bench.after(10_000)
    assert bench.plant.view()["car"]["state"] == "C"
    bench.plant.car(state="D")
    assert bench.plant.view()["car"]["state"] == "D"
    bench.plant.car(state="auto")
    bench.after(1000)
    assert bench.plant.view()["car"]["state"] == "B"


def test_current_by_hand_flows_whatever_the_pilot_says():
    bench = Bench()
    bench.charge()
    bench.plant.car(draw_a=[20, 3, 0.5])
    assert bench.amps == [20, 3, 0.5]
    bench.pilot.set_duty(1000)
    bench.after(5000)
    assert bench.amps == [20, 3, 0.5]
    bench.contactor.set(False)
    bench.after(18)
    assert bench.amps == [0, 0, 0]


def test_current_given_back_by_hand_follows_the_offer():
    bench = Bench()
    bench.charge(266, phases=1)
    bench.plant.car(draw_a=25)
    assert bench.amps == [25, 0, 0]
    bench.plant.car(draw_a="auto")
    bench.after(1000)
    assert bench.amps == [15.96, 0, 0]


def test_an_overcurrent_is_drawn_only_while_charging():
    bench = Bench()
    bench.charge(266)
    bench.plant.fault("overcurrent")
    bench.after(1000)
    assert bench.amps == [15.96 * 1.3] * 3
    bench.plant.fault("overcurrent", 40)
    bench.after(1000)
    assert bench.amps == [40, 40, 40]
    bench.pilot.set_duty(1000)
    bench.after(1000)
    assert bench.amps == [0, 0, 0]
    bench.plant.clear("overcurrent")
    bench.pilot.set_duty(266)
    bench.after(3000)
    assert bench.amps == [15.96] * 3


def test_a_car_goes_back_to_b_when_the_pilot_dies():
    bench = Bench()
    bench.charge()
    bench.plant.power_off()
    assert bench.amps == [0, 0, 0]
    bench.after(1000)
    view = bench.plant.view()["car"]
    assert view["plugged"] and view["state"] == "B"
    bench.plant.power_on()
    bench.after(10_000)
    assert bench.plant.view()["car"]["state"] == "B"
    bench.pilot.set_duty(266)
    bench.after(1000)
    assert bench.plant.view()["car"]["state"] == "C"


def test_a_shorted_pilot_is_no_offer():
    bench = Bench()
    bench.charge()
    bench.plant.fault("pilot_short")
    bench.after(1000)
    assert bench.amps == [0, 0, 0] and bench.plant.view()["car"]["state"] == "B"


def sleeper(asleep):
    """A car that sleeps through an offer of 16 A."""
    bench = Bench()
    bench.plant.plug(asleep=asleep)
    bench.pilot.set_duty(266)
    bench.after(60_000)
    assert bench.plant.view()["car"]["state"] == "B"
    assert bench.plant.view()["car"]["asleep"] == asleep
    return bench


def pulse(bench, ms):
    """State F for `ms`, then +12 V and the offer again -> the car's state after that."""
    bench.pilot.set_duty(0)
    bench.after(ms)
    bench.pilot.set_duty(1000)
    bench.after(750)
    assert bench.plant.view()["car"]["state"] == "B", "nothing is offered yet"
    bench.pilot.set_duty(266)
    bench.after(2_000)
    return bench.plant.view()["car"]["state"]


def test_a_sleeping_car_wakes_after_its_kind_of_state_f():
    for asleep, too_short_ms, long_enough_ms in (("f_4s", 3_500, 4_000), ("f_30s", 4_000, 30_000)):
        bench = sleeper(asleep)
        assert pulse(bench, too_short_ms) == "B"
        assert pulse(bench, long_enough_ms) == "C"
        assert bench.plant.view()["car"]["asleep"] == "no"


def test_a_light_sleeper_wakes_from_the_long_state_f_too():
    assert pulse(sleeper("f_4s"), 30_000) == "C"


def test_some_cars_are_never_woken():
    bench = sleeper("never")
    assert pulse(bench, 4_000) == "B"
    assert pulse(bench, 300_000) == "B"


def test_short_pulses_do_not_add_up():
    bench = sleeper("f_4s")
    assert pulse(bench, 3_000) == "B"
    assert pulse(bench, 3_000) == "B"


def test_neither_a_dark_box_nor_a_shorted_pilot_wakes_a_car():
    bench = sleeper("f_4s")
    bench.plant.power_off()
    bench.after(60_000)
    bench.plant.power_on()
    bench.pilot.set_duty(266)
    bench.after(10_000)
    bench.plant.fault("pilot_short")
    bench.after(60_000)
    bench.plant.clear("pilot_short")
    bench.after(10_000)
    assert bench.plant.view()["car"]["asleep"] == "f_4s"


def test_a_car_plugged_in_during_state_f_counts_from_then_on():
    bench = Bench()
    bench.pilot.set_duty(0)
    bench.after(60_000)
    bench.plant.plug(asleep="f_4s")
    assert pulse(bench, 3_000) == "B"
    bench.plant.unplug()
    bench.pilot.set_duty(0)
    bench.plant.plug(asleep="f_4s")
    assert pulse(bench, 4_000) == "C"


def test_a_car_may_fall_asleep_and_be_woken_by_hand():
    bench = Bench()
    bench.charge()
    bench.plant.car(ignore_pwm=True)
    bench.plant.car(asleep="never")
    bench.after(2_000)
    assert bench.amps == [0, 0, 0] and bench.plant.view()["car"]["state"] == "B"
    bench.plant.car(asleep="no", ignore_pwm=False)
    bench.after(3_000)
    assert bench.amps == [15.96] * 3


def test_bad_cars_are_refused_by_name_value_and_what_is_allowed():
    bench = Bench()
    plant = bench.plant
    cases = (
        ("phases", 2, "1, 3"),
        ("max_a", 5, "6..80 A"),
        ("max_a", float("nan"), "6..80 A"),
        ("max_a", "16", "6..80 A"),
        ("wants", 1, "true, false"),
        ("soc_wh", -1, "0..1000000 Wh"),
        ("asleep", "yes", "no, f_4s, f_30s, never"),
        ("asleep", True, "no, f_4s, f_30s, never"),
    )
    for field, value, allowed in cases:
        text = refusal(plant.plug, **{field: value})
        assert text == "%s: %r is not allowed; allowed: %s" % (field, value, allowed), text
    assert "no car is plugged in" in refusal(plant.unplug)
    assert "no car is plugged in" in refusal(plant.car, state="B")
    plant.plug()
    assert "plugged in already" in refusal(plant.plug)
    for field, value, allowed in (
        ("state", "E", "B, C, D, auto"),
        ("draw_a", -1, "0..100 A"),
        ("draw_a", [1, 2], "three numbers"),
        ("diode", 0, "true, false"),
        ("ignore_pwm", "yes", "true, false"),
        ("asleep", False, "no, f_4s, f_30s, never"),
    ):
        text = refusal(plant.car, **{field: value})
        assert field in text and repr(value) in text and allowed in text, text


def test_a_refused_request_changes_nothing():
    bench = Bench()
    bench.plant.plug()
    before = bench.sense(), bench.plant.changed
    refusal(bench.plant.car, state="C", draw_a=1000)
    assert (bench.sense(), bench.plant.changed) == before
