"""The control loop step by step: what it puts out, when, and what forbids it (R1, R6, R8, R9, R12, R13)."""

import asyncio

from control_bench import Rig

from wallbox.charging import control as c
from wallbox.protection import faults as f


class Ended(Exception):
    """Ends a task that would run for ever."""


CLOSED, OPENED = (c.EVENT_SWITCH, True, 0), (c.EVENT_SWITCH, False, 0)
TEST_PASSED = (c.EVENT_SELF_TEST, True, 0)


def offer(amps):
    return (c.EVENT_OFFER, amps * 1000, 0)


def test_a_charge_from_plugging_in_to_unplugging_takes_the_times_of_the_norm():
    rig = Rig()
    rig.step(60)
    # 200 ms to prove the contactor open, then the self-test.
    assert rig.told() == [(220, TEST_PASSED)]
    rig.pilot.car = "B"
    rig.step(100)
    # 200 ms of filter, a self-test for this car, then the offer.
    assert rig.told() == [(810, "A1>B1"), (830, TEST_PASSED), (830, "B1>B2"), (830, offer(16))]
    assert rig.pilot.duty_permille == 266
    rig.pilot.car = "C"
    rig.step(100)
    assert rig.told() == [(2110, "B2>C2"), (2120, CLOSED)]
    assert rig.contactor.on
    rig.pilot.car = "B"
    rig.draw(2)
    rig.step(100)
    # 20 ms of filter: opened with the third sample.
    assert rig.told() == [(2630, "C2>B2"), (2630, (c.EVENT_SWITCH, False, 2000))]
    assert rig.pilot.duty_permille == 266
    rig.pilot.car = "C"
    rig.step(300)
    # 2 s between two closings.
    assert rig.told() == [(4110, "B2>C2"), (4640, CLOSED)]
    rig.pilot.car = "A"
    rig.draw(0)
    rig.step(100)
    assert rig.told() == [(6630, "C2>A2"), (6630, "A2>A1"), (6630, OPENED), (6630, offer(0))]
    assert rig.pilot.duty_permille == 1000
    assert rig.active == []


def test_at_the_start_outputs_are_safe_and_everybody_is_told():
    rig = Rig()
    assert rig.pilot.commands == [1000]
    assert rig.contactor.commands == [False]
    assert rig.session.begun == [1000]
    assert rig.delay.calls == [("begin", 1000, True)]
    assert (rig.state, rig.control.offered_ma) == ("A1", 0)
    assert rig.control.enabled
    assert rig.control.contactor.poles == 0b111
    assert rig.snapshot.currents_ma is rig.supply.current_ma
    assert rig.snapshot.volts_mv is rig.supply.volts_mv


def test_before_it_is_configured_nothing_is_allowed():
    rig = Rig(begin=False)
    assert not rig.control.enabled
    assert rig.control.next_due_ms() == 0
    rig.control.begin()
    rig.pilot.car = "C"
    rig.step(300)
    assert rig.state == "C1"
    assert not rig.contactor.on


def test_the_installation_is_taken_over_and_the_next_tick_runs():
    rig = Rig()
    rig.step(400)
    assert rig.control.next_due_ms() > 0
    rig.settings.update(phases=1, nominal_v=120, nominal_hz=60, pe_mode="off", wizard_complete=False)
    rig.control.configure(rig.settings)
    assert rig.control.next_due_ms() == 0
    assert rig.control.contactor.poles == 0b001
    assert not rig.control.enabled
    for i, mv in enumerate((120_000, 0, 0)):
        rig.supply.volts_mv[i] = mv
    rig.supply.frequency_mhz = 60_000
    rig.supply.pe_ok = False
    rig.told()
    rig.step(500)
    assert rig.told() == []


def test_safe_stop_opens_and_withdraws_the_pilot_at_once():
    rig = Rig().charging()
    rig.control.safe_stop()
    assert not rig.contactor.on
    assert rig.pilot.duty_permille == 0


def test_the_period_is_10_ms_and_the_codes_of_events_are_their_own():
    assert c.PERIOD_MS == 10
    codes = (c.EVENT_STATE, c.EVENT_FAULT, c.EVENT_CLEARED, c.EVENT_SWITCH, c.EVENT_SELF_TEST, c.EVENT_OFFER)
    assert codes == (1, 2, 3, 4, 5, 6)


def test_the_task_makes_a_step_each_tick_and_reports_its_deadline():
    rig = Rig()

    class Ticker:
        deadline_ms = 0
        late_ms = 0

        async def wait(self):
            self.deadline_ms += 10
            if self.deadline_ms > 30:
                raise Ended

    asked = []
    beats = []
    rig.clock.ticker = lambda *wanted: asked.append(wanted) or Ticker()

    async def story():
        try:
            await rig.control.run(beats.append)
        except Ended:
            return

    asyncio.run(story())
    assert asked == [(10, rig.control.next_due_ms)]
    assert beats == [10, 20, 30]
    assert rig.pilot.samples == 3


def test_each_device_is_sampled_once_a_step():
    rig = Rig()
    rig.step(10)
    for device in (rig.pilot, rig.contactor, rig.rcm, rig.supply, rig.temperature):
        assert device.samples == 10


FORBIDS = {
    "wizard": lambda rig: setattr(rig.control, "enabled", False),
    "authorised": lambda rig: setattr(rig.session, "authorised", False),
    "recorded": lambda rig: setattr(rig.session, "recorded", False),
    "delay": lambda rig: setattr(rig.delay, "running", True),
    "limit": lambda rig: rig.offer.set("meter", 5999, "house", "load"),
    "fault": lambda rig: rig.faults.report(f.OVER_TEMPERATURE, True, 0, 0),
    "residual": lambda rig: setattr(rig.rcm, "deaf", True),
}


def test_at_the_start_the_loop_lets_an_interrupted_self_test_fade():
    rig = Rig()
    rig.rcm.leak = True
    rig.step(20)
    assert rig.active == [] and rig.snapshot.self_testing
    rig.rcm.leak = False
    rig.step(200)
    assert rig.active == [], rig.trace
    assert rig.control.residual.passed, rig.trace
    rig = Rig()
    rig.rcm.leak = True
    rig.step(152)
    assert rig.active == ["residual_current"]


def test_each_interlock_alone_forbids_the_offer():
    for name, forbid in FORBIDS.items():
        rig = Rig()
        rig.step(60)
        rig.temperature.deci_c = 850 if name == "fault" else 250
        forbid(rig)
        rig.pilot.car = "C"
        rig.step(150)
        assert rig.state == "C1" or name == "residual", (name, rig.state)
        assert rig.contactor.commands == [False], name
        assert 266 not in rig.pilot.commands, name
        assert rig.control.offered_ma == 0


def test_each_interlock_that_comes_up_while_charging_asks_the_car_first():
    for name, forbid in FORBIDS.items():
        if name == "residual":
            continue
        rig = Rig().charging()
        if name == "fault":
            rig.temperature.deci_c = 850
            rig.step(100)
        else:
            forbid(rig)
            rig.step(1)
        assert rig.state == "C1", name
        assert rig.pilot.duty_permille == 1000
        assert rig.contactor.on, "opened before the car was asked: " + name
        assert rig.control.offered_ma == 0


def test_at_6_a_there_is_an_offer():
    rig = Rig(offer_ma=6000).charging(6)
    assert rig.pilot.duty_permille == 100
    assert rig.snapshot.offered_ma == 6000


def test_a_car_that_does_not_react_is_cut_off_6_s_after_the_offer_ended():
    rig = Rig().charging()
    began = rig.ms
    rig.session.authorised = False
    rig.step(600)
    assert rig.told() == [(began + 10, "C2>C1"), (began + 10, offer(0))]
    assert rig.contactor.on
    rig.step(1)
    assert rig.told() == [(began + 6010, (c.EVENT_SWITCH, False, 16000))]
    assert not rig.contactor.on
    assert rig.state == "C1"


def test_the_6_s_begin_anew_with_each_end_of_the_offer():
    rig = Rig().charging()
    rig.session.authorised = False
    rig.step(400)
    rig.session.authorised = True
    rig.step(10)
    assert rig.state == "C2"
    rig.session.authorised = False
    rig.step(590)
    assert rig.contactor.on
    rig.step(20)
    assert not rig.contactor.on


def test_a_car_that_was_in_c1_without_power_starts_no_time():
    rig = Rig()
    rig.session.authorised = False
    rig.pilot.car = "C"
    rig.step(150)
    assert rig.state == "C1"
    assert not rig.control._c1.running
    rig.step(300)
    assert not rig.control._c1.running


def test_a_car_that_obeys_is_opened_by_its_own_change_to_b():
    rig = Rig().charging()
    rig.session.authorised = False
    rig.step(100)
    rig.draw(0)
    rig.pilot.car = "B"
    rig.step(3)
    assert rig.state == "B1"
    assert not rig.contactor.on
    assert not rig.control._c1.running


def test_the_highest_of_the_three_currents_counts():
    for amps in ((9, 1, 2), (1, 9, 2), (2, 1, 9)):
        rig = Rig().charging()
        rig.draw(*amps)
        rig.pilot.car = "B"
        rig.step(3)
        assert rig.told()[-1][1] == (c.EVENT_SWITCH, False, 9000)
        rig = Rig().charging()
        rig.draw(*[40 if a == 9 else 0 for a in amps])
        rig.step(60)
        assert rig.active == ["over_current"]


def test_a_lower_offer_is_put_out_at_once_and_a_higher_one_5_s_after_the_last_change():
    rig = Rig(offer_ma=32000).charging()
    rig.step(600)
    rig.offer.set("meter", 10000, "house", "load")
    rig.step(1)
    assert rig.pilot.duty_permille == 166
    rig.offer.set("meter", 9000, "house", "load")
    rig.step(1)
    began = rig.ms
    assert rig.pilot.duty_permille == 150
    rig.offer.set("meter", 20000, "house", "load")
    rig.told()
    rig.step(600)
    assert rig.told() == [(began + 5000, offer(20))]
    rig.step(400)
    rig.offer.set("meter", 21000, "house", "load")
    rig.step(1)
    assert rig.control.offered_ma == 21000, "5 s had passed since the last change"
    rig.offer.set("meter", 22000, "house", "load")
    rig.step(499)
    assert rig.control.offered_ma == 21000
    rig.step(1)
    assert rig.control.offered_ma == 22000


def test_an_offer_after_a_pause_is_the_full_one():
    rig = Rig(offer_ma=32000).charging()
    rig.offer.set("meter", 0, "house", "load")
    rig.step(10)
    assert rig.control.offered_ma == 0
    rig.offer.set("meter", 20000, "house", "load")
    rig.step(1)
    assert rig.control.offered_ma == 20000
    assert rig.state == "C2"


def test_an_unchanged_offer_lets_the_time_run_out():
    rig = Rig(offer_ma=32000).charging()
    rig.step(600)
    assert not rig.control._raise.running


def test_a_red_fault_opens_in_the_same_step_and_puts_out_f_for_300_ms():
    rig = Rig().charging()
    rig.supply.pe_ok = False
    rig.step(10)
    assert rig.told() == []
    began = rig.ms
    rig.step(1)
    at = began + 10
    assert rig.told() == [
        (at, "+pe_lost", 0),
        (at, "C2>F"),
        (at, (c.EVENT_SWITCH, False, 16000)),
        (at, offer(0)),
    ]
    assert rig.pilot.duty_permille == 0
    rig.step(29)
    assert rig.pilot.duty_permille == 0
    rig.step(1)
    assert rig.pilot.duty_permille == 1000
    assert rig.state == "F"
    # 30 ms of settling and 100 ms until the first level.
    rig.step(12)
    assert rig.told() == []
    rig.step(1)
    assert rig.told() == [(at + 430, "F>C1")]
    rig.supply.pe_ok = True
    rig.step(1)
    cleared = rig.ms + 30_000
    rig.step(3020)
    told = rig.told()
    assert told[0] == (cleared, "-pe_lost")
    assert told[1] == (cleared, "C1>C2")
    assert told[-1][1] == CLOSED


def test_a_second_fault_puts_out_f_again():
    rig = Rig().charging()
    rig.supply.pe_ok = False
    rig.step(100)
    assert rig.state == "C1"
    rig.supply.frequency_mhz = 60_000
    rig.step(101)
    assert rig.state == "F"
    assert rig.pilot.duty_permille == 0
    rig.step(30)
    assert rig.pilot.duty_permille == 1000


def test_a_box_that_cannot_be_trusted_stays_in_f():
    for fault in (f.WELD, f.RCM_SELF_TEST, f.PILOT_FEEDBACK, f.SHORT_CIRCUIT):
        rig = Rig().charging()
        rig.faults.report(fault, True, 0, rig.clock.now_ms)
        rig.step(100)
        assert (rig.state, rig.pilot.duty_permille, rig.contactor.on) == ("F", 0, False)


def test_a_short_of_the_pilot_opens_in_the_next_step():
    rig = Rig().charging()
    rig.pilot.car = "E"
    rig.step(1)
    assert rig.state == "E"
    assert not rig.contactor.on
    assert rig.pilot.duty_permille == 1000
    assert rig.active == ["pilot_short"]
    assert rig.faults.value[f.PILOT_SHORT] == 0
    rig.pilot.car = "B"
    rig.step(30)
    assert rig.state == "B1"
    rig.step(3000)
    assert rig.active == [] and rig.state == "B2"


def test_an_impossible_voltage_opens_and_stays_in_its_state():
    rig = Rig().charging()
    rig.pilot.follow = lambda: setattr(rig.pilot, "high_mv", 14000)
    rig.step(4)
    assert [told for _, told, *_ in rig.told() if ">" in str(told)] == ["C2>C1"]
    rig.step(1)
    assert rig.told() == []
    assert rig.active == ["pilot_level"]
    assert rig.faults.value[f.PILOT_LEVEL] == 14000
    assert not rig.contactor.on
    assert rig.state == "C1"


def test_ventilation_is_refused_and_the_offer_withdrawn():
    rig = Rig().charging()
    rig.pilot.car = "D"
    rig.step(51)
    assert rig.state == "D1"
    assert rig.active == ["ventilation"]
    assert rig.faults.value[f.VENTILATION] == 0
    assert not rig.contactor.on
    assert rig.pilot.duty_permille == 1000
    rig.pilot.car = "C"
    rig.step(400)
    assert rig.active == []
    assert rig.contactor.on


def test_a_car_without_a_diode_is_never_energised_and_gets_f():
    rig = Rig()
    rig.step(60)
    rig.pilot.diode = False
    rig.pilot.car = "C"
    rig.step(80)
    assert rig.active == ["diode"]
    assert rig.faults.value[f.DIODE] == -8800
    assert rig.contactor.commands == [False]
    rig.step(200)
    rig.pilot.diode = True
    rig.step(500)
    assert rig.active == ["diode"]
    rig.pilot.car = "A"
    rig.step(10)
    assert rig.active == []


def test_a_diode_lost_while_charging_opens():
    rig = Rig().charging()
    rig.pilot.diode = False
    rig.step(10)
    assert rig.active == []
    rig.step(1)
    assert rig.active == ["diode"]
    assert not rig.contactor.on


def test_a_wrong_read_back_of_the_pilot_opens_with_what_was_read():
    rig = Rig().charging()
    rig.pilot.duty_permille = 500
    rig.step(11)
    assert rig.active == ["pilot_feedback"]
    assert rig.faults.value[f.PILOT_FEEDBACK] == 500
    assert not rig.contactor.on


def test_the_contactor_waits_for_the_diode():
    rig = Rig()
    # The start counts as an opening: two closings are 2 s apart.
    rig.step(200)
    rig.pilot.car = "C"
    rig.until("C2")
    assert not rig.contactor.on
    # The modulated pilot settles for 30 ms, then the diode is proven in 100 ms.
    rig.step(12)
    assert not rig.contactor.on
    rig.step(1)
    assert rig.contactor.on


def test_a_residual_current_opens_at_once_and_recovers_after_unplugging_and_a_test():
    rig = Rig().charging()
    rig.rcm.leak = True
    rig.step(1)
    assert rig.active == ["residual_current"]
    assert not rig.contactor.on
    rig.rcm.leak = False
    tests = rig.rcm.tests
    rig.step(500)
    assert rig.rcm.tests == tests, "no test while the car is plugged in"
    rig.pilot.car = "A"
    rig.step(20)
    assert rig.active == []
    assert rig.rcm.tests == tests + 1
    assert rig.control.residual.recoveries == 1
    rig.pilot.car = "C"
    rig.step(200)
    assert rig.contactor.on


def test_a_leak_that_is_still_there_is_not_tested_away():
    rig = Rig().charging()
    rig.rcm.leak = True
    rig.step(10)
    tests = rig.rcm.tests
    rig.pilot.car = "A"
    rig.step(500)
    assert rig.rcm.tests == tests
    assert rig.active == ["residual_current"]


def test_a_failed_test_does_not_end_a_trip():
    rig = Rig().charging()
    rig.rcm.leak = True
    rig.step(10)
    rig.rcm.leak = False
    rig.rcm.deaf = True
    rig.pilot.car = "A"
    tests = rig.rcm.tests
    rig.step(200)
    assert rig.active == ["residual_current", "rcm_self_test"]
    assert rig.rcm.tests == tests + 1, "a failed test is not repeated"
    assert rig.control.residual.recoveries == 0


def test_a_car_that_still_draws_after_the_end_of_its_offer_is_not_shown_as_charging():
    rig = Rig().charging()
    rig.session.authorised = False
    rig.step(10)
    assert rig.snapshot.contactor_closed
    assert not rig.snapshot.charging


def test_a_fourth_recovery_in_an_hour_waits():
    rig = Rig()
    for _ in range(3):
        rig.charging()
        rig.rcm.leak = True
        rig.step(50)
        rig.rcm.leak = False
        rig.pilot.car = "A"
        rig.step(250)
        assert rig.active == []
    rig.charging()
    rig.rcm.leak = True
    rig.step(50)
    rig.rcm.leak = False
    rig.pilot.car = "A"
    rig.step(1000)
    assert rig.active == ["residual_current"]


def test_a_failed_self_test_is_not_repeated():
    rig = Rig()
    rig.rcm.deaf = True
    rig.step(500)
    assert rig.active == ["rcm_self_test"]
    assert rig.rcm.tests == 1
    assert (200 + 800, (c.EVENT_SELF_TEST, False, 0)) in rig.told()


def test_each_new_car_brings_a_self_test_and_standby_none():
    rig = Rig()
    rig.step(200)
    assert rig.rcm.tests == 1
    assert rig.control.residual.passed
    for tests in (2, 3):
        rig.pilot.car = "B"
        rig.step(100)
        assert rig.rcm.tests == tests
        rig.pilot.car = "A"
        rig.step(100)
        assert not rig.control.residual.passed
        assert rig.rcm.tests == tests


def test_after_24_h_a_self_test_comes_when_the_contactor_rests():
    rig = Rig().charging()
    tests = rig.rcm.tests
    rig.control.residual._again.stop()
    rig.step(100)
    assert rig.rcm.tests == tests, "it would trip a charging contactor"
    rig.session.authorised = False
    rig.pilot.car = "B"
    rig.step(19)
    assert rig.rcm.tests == tests
    rig.step(10)
    assert rig.rcm.tests == tests + 1


def test_a_leak_without_a_car_is_tested_away_once_the_pilot_is_known_again():
    rig = Rig()
    rig.step(60)
    rig.told()
    rig.rcm.leak = True
    rig.step(1)
    rig.rcm.leak = False
    rig.step(100)
    # 300 ms of F, 30 ms of settling, 100 ms to know that nobody is there, then the test.
    assert rig.told() == [
        (610, "+residual_current", 0),
        (610, "A1>F"),
        (1040, "F>A1"),
        (1060, "-residual_current"),
        (1060, TEST_PASSED),
    ]


def test_a_box_that_stays_in_f_tests_nothing():
    rig = Rig()
    rig.faults.restore(1 << f.WELD)
    rig.step(300)
    assert rig.state == "F"
    assert rig.rcm.tests == 0


def test_a_car_that_waits_with_an_offer_is_tested_for_every_24_h():
    rig = Rig()
    rig.step(60)
    rig.pilot.car = "B"
    rig.until("B2")
    rig.step(10)
    tests = rig.rcm.tests
    rig.control.residual._again.stop()
    rig.told()
    rig.step(10)
    assert rig.rcm.tests == tests + 1
    assert [entry[1] for entry in rig.told()] == ["B2>B1", offer(0), TEST_PASSED, "B1>B2", offer(16)]


def test_no_self_test_with_voltage_behind_the_contactor():
    rig = Rig()
    rig.step(20)
    rig.contactor.welded = 1
    rig.step(30)
    rig.control.residual._again.stop()
    tests = rig.rcm.tests
    rig.step(10)
    assert rig.rcm.tests == tests


def test_the_session_hears_of_the_car_and_its_energy_at_each_step():
    rig = Rig()
    rig.supply.energy_mwh = 77
    rig.step(1)
    assert rig.session.updates == [(1010, False, False, 77, False)]
    assert rig.delay.calls[1:] == [("update", 1010)]
    rig.step(9)
    assert rig.session.updates[-1] == (1100, False, False, 77, False)
    rig.step(1)
    assert rig.session.updates[-1] == (1110, False, True, 77, False)
    for car in "BCD":
        rig = Rig()
        rig.pilot.car = car
        rig.step(60)
        assert rig.session.updates[-1][1:3] == (True, True), car
    rig = Rig().charging()
    assert rig.session.updates[-1][1:] == (True, True, 0, True)
    rig.pilot.car = "E"
    rig.step(1)
    assert rig.session.updates[-1][1:3] == (True, False)


def test_only_a_car_that_is_there_at_the_first_look_draws_a_delay():
    rig = Rig()
    rig.pilot.car = "B"
    rig.step(30)
    assert [call for call in rig.delay.calls if call[0] == "car"] == [("car", 1110)]
    rig = Rig()
    rig.step(30)
    rig.pilot.car = "B"
    rig.step(30)
    assert [call for call in rig.delay.calls if call[0] == "car"] == []


def test_unplugging_ends_what_was_latched_until_then():
    rig = Rig().charging()
    rig.draw(60)
    rig.step(60)
    assert rig.active == ["over_current"]
    rig.draw(0)
    rig.step(100)
    assert rig.active == ["over_current"]
    rig.pilot.car = "A"
    rig.step(10)
    assert rig.active == []


def test_a_warm_board_lowers_the_offer_and_says_so():
    rig = Rig(offer_ma=32000).charging()
    assert rig.offer.limit("temperature").owner == "", "nothing is said by a cool board"
    rig.temperature.deci_c = 750
    rig.step(100)
    limit = rig.offer.limit("temperature")
    assert (limit.ma, limit.reason, limit.owner) == (19000, "the board is warm", "protection")
    assert rig.control.offered_ma == 19000
    assert not rig.control.temperature.changed
    assert rig.snapshot.temperature_deci_c == 750


def test_a_weld_is_found_after_opening():
    rig = Rig().charging()
    rig.contactor.welded = 0b010
    rig.pilot.car = "B"
    rig.step(110)
    assert rig.active == ["weld"]


def test_the_contactor_knows_which_phases_have_supply():
    rig = Rig().charging()
    rig.supply.volts_mv[2] = 0
    rig.contactor.closes = 0b011
    rig.step(50)
    assert rig.active == []


def shown(rig):
    view = rig.snapshot
    return (view.state, view.car_connected, view.charging, view.faulted, view.starting, view.out_of_use)


def changed(rig):
    """Whether a change was told since the last call."""
    told = rig.snapshot.changed.is_set()
    rig.snapshot.changed.clear()
    return told


def test_the_snapshot_follows_a_charge_and_tells_its_changes_once():
    rig = Rig()
    assert shown(rig) == ("A1", False, False, False, True, False)
    rig.step(21)
    assert rig.snapshot.starting and rig.snapshot.self_testing
    rig.step(1)
    assert shown(rig) == ("A1", False, False, False, False, False)
    assert not rig.snapshot.self_testing
    assert changed(rig)
    rig.step(170)  # two closings are 2 s apart, and the start counts as one
    assert not changed(rig)
    rig.pilot.car = "B"
    rig.step(20)
    assert not changed(rig)
    rig.step(1)
    assert shown(rig) == ("B1", True, False, False, False, False)
    assert changed(rig)
    rig.step(10)
    assert rig.snapshot.offered_ma == 16000
    assert rig.snapshot.state == "B2"
    assert changed(rig)
    rig.pilot.car = "C"
    rig.step(51)
    view = rig.snapshot
    assert shown(rig) == ("C2", True, False, False, False, False)
    assert (view.contactor_commanded, view.contactor_closed, view.contactor_live) == (True, False, 0)
    assert changed(rig)
    rig.step(1)
    assert shown(rig) == ("C2", True, True, False, False, False)
    assert (view.contactor_commanded, view.contactor_closed, view.contactor_live) == (True, True, 0b111)
    assert changed(rig)
    rig.supply.energy_mwh = 4321
    rig.supply.frequency_mhz = 49_870
    rig.step(10)
    assert not changed(rig)
    assert view.frequency_mhz == 49_870
    assert (view.high_mv, view.low_mv, view.duty_permille) == (6000, -12000, 266)
    assert (view.offered_ma, view.allowed_ma, view.energy_mwh) == (16000, 16000, 4321)
    rig.offer.set("meter", 12000, "house", "load")
    rig.step(1)
    assert view.offered_ma == view.allowed_ma == 12000
    assert changed(rig)
    rig.supply.pe_ok = False
    rig.step(11)
    assert shown(rig) == ("F", True, False, True, False, False)
    assert changed(rig)


def test_each_thing_a_person_sees_is_told_by_itself():
    rig = Rig()
    rig.step(300)
    changed(rig)
    rig.control.enabled = False
    rig.step(1)
    assert rig.snapshot.out_of_use and changed(rig)
    rig.step(1)
    assert not changed(rig)
    rig.faults.report(f.RESIDUAL_CURRENT, True, 0, 0)
    rig.rcm.leak = True
    rig.step(60)
    rig.rcm.leak = False
    changed(rig)
    rig.control.residual.passed = False
    rig.step(10)
    assert not rig.snapshot.faulted and changed(rig), "a fault that ends in standby"


def test_it_is_out_of_use_while_delayed_paused_or_set_to_0():
    for name, forbid in FORBIDS.items():
        rig = Rig()
        rig.step(60)
        forbid(rig)
        rig.temperature.deci_c = 850 if name == "fault" else 250
        rig.step(100)
        assert rig.snapshot.out_of_use == (name in ("wizard", "delay", "fault")), name
        assert not rig.snapshot.faulted or name == "residual"
    rig = Rig(offer_ma=0)
    rig.step(60)
    assert rig.snapshot.out_of_use
    rig = Rig()
    rig.session.held = "out of service"
    rig.step(60)
    assert rig.snapshot.out_of_use, "a backend holds it back"
    rig = Rig()
    rig.faults.report(f.WELD, True, 0, 0)
    rig.step(60)
    assert rig.snapshot.faulted and not rig.snapshot.out_of_use


def test_starting_ends_with_a_fault_and_does_not_come_again():
    rig = Rig()
    rig.rcm.deaf = True
    rig.step(50)
    assert rig.snapshot.starting
    rig.faults.report(f.METER, True, 0, 0)
    rig.step(1)
    assert not rig.snapshot.starting
    rig = Rig()
    rig.step(60)
    rig.control.residual.start_test(rig.clock.now_ms)
    rig.step(1)
    assert not rig.snapshot.starting
    rig = Rig()
    rig.pilot.follow = lambda: setattr(rig.pilot, "high_mv", 9000 if rig.ms % 200 < 100 else 6000)
    rig.step(60)
    assert rig.snapshot.starting, "no level is known yet"


def test_a_step_that_moved_something_asks_for_the_next():
    rig = Rig()
    rig.step(330)
    assert rig.control.next_due_ms() > 10
    rig.control.poke()
    assert rig.control.next_due_ms() == 0
    rig.step(1)
    assert rig.control.next_due_ms() > 10


def test_whatever_moved_makes_the_next_step_due():
    rig = Rig()
    control = rig.control
    seen = set()
    count = 0
    control._progress = -1
    for state in range(10):
        for phase in range(4):
            for level in range(7):
                for bits in range(8):
                    for offer_ma in (0, 6000, 6001):
                        control.state = state
                        control.contactor.phase = phase
                        control.pilot.level = level
                        control.pilot.diode_ok = bits & 1 != 0
                        control.residual.passed = bits & 2 != 0
                        control.residual._phase = bits // 4
                        control.offered_ma = offer_ma
                        control._dirty = False
                        control._note_progress()
                        count += 1
                        seen.add(control._progress)
                        assert control._dirty
    assert len(seen) == count, "two of them look the same"
    control._dirty = False
    control._note_progress()
    assert not control._dirty
    rig.faults.report(f.METER, True, 0, 0)
    control._note_progress()
    assert control._dirty
    control._dirty = False
    control._note_progress()
    assert not control._dirty


def test_a_step_in_which_the_state_moved_is_followed_by_the_next_tick():
    rig = Rig()
    rig.step(330)
    rig.pilot.car = "B"
    rig.step(20)
    assert rig.control.next_due_ms() > 0
    rig.step(1)
    assert rig.state == "B1"
    assert rig.control.next_due_ms() == 0


def test_the_next_step_is_due_with_the_first_timer_fault_or_limit_at_most_in_a_minute():
    rig = Rig()
    rig.step(300)
    assert rig.control.next_due_ms() == 60_000
    now = rig.clock.now_ms
    rig.offer.set("backend", 9000, "schedule", "backend", until=now + 700)
    assert rig.control.next_due_ms() == 700
    rig.faults.report(f.VENTILATION, True, 0, now)
    rig.faults.report(f.VENTILATION, False, 0, now - 2500)
    assert rig.control.next_due_ms() == 500
    rig.control._f.start(now, 400)
    assert rig.control.next_due_ms() == 400
    rig.control._raise.start(now, 300)
    assert rig.control.next_due_ms() == 300
    rig.control._c1.start(now, 200)
    assert rig.control.next_due_ms() == 200


def test_every_timer_of_every_part_is_asked():
    rig = Rig()
    control = rig.control
    parts = (control.pilot, control.contactor, control.residual, control.supply)
    parts += (control.over_current, control.temperature)
    for part in parts:
        for timer in part.timers:
            assert timer in control._timers
    for timer in (control._c1, control._f, control._raise):
        assert timer in control._timers
