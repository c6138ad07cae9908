"""Corners of the control loop in which two things happen within the same half second."""

import asyncio

from control_bench import Rig as Bench
from storage_help import Log, scratch
from test_control import SETTINGS, Rig

from wallbox.charging import control as loop
from wallbox.charging.wakeup import SHORT
from wallbox.protection import faults as f


def standby():
    rig = Rig()
    rig.run(3)
    return rig


def drained(rig, step_count):
    """Run and return the events of the ring."""
    events = []
    for _ in range(step_count):
        rig.plant.advance_to(rig.plant.now_ms + 10)
        rig.control.step()
        event = rig.ring.get()
        while event:
            events.append(event)
            event = rig.ring.get()
    return events


def test_nothing_closes_on_a_car_that_turns_from_c_to_d_while_the_box_gets_ready():
    for ms in range(0, 1200, 50):
        rig = standby()
        rig.plant.plug()
        rig.plant.car(state="C")
        rig.run(0.5 + ms / 1000)
        closed_before = rig.control.contactor.health.operations
        rig.plant.car(state="D")
        rig.run(5)
        assert rig.control.contactor.health.operations == closed_before, ms
        assert rig.faults.is_active(f.VENTILATION)


def test_nothing_closes_on_a_diode_that_fails_in_the_step_that_accepts_state_c():
    for ms in range(440, 540, 10):
        rig = standby()
        rig.plant.plug(wants=False)
        rig.reach("B2", 5)
        rig.run(1)
        rig.plant.car(state="C")
        rig.run(ms / 1000)
        closed_before = rig.control.contactor.health.operations
        rig.plant.car(diode=False)
        rig.run(5)
        assert rig.control.contactor.health.operations == closed_before, ms
        assert rig.faults.is_active(f.DIODE)


def test_a_car_that_stays_plugged_in_for_days_does_not_put_off_the_daily_self_test():
    rig = standby()
    rig.plant.plug(wants=False)
    rig.reach("B2", 5)
    drained(rig, 100)
    begun = rig.plant.now_ms
    # The last test was shortly before; from here on only the ticks that count.
    while rig.plant.now_ms < begun + 23 * 3600 * 1000:
        rig.plant.advance_to(rig.plant.now_ms + 60_000)
        rig.control.step()
    assert rig.control.state == loop.states.B2
    while rig.plant.now_ms < begun + 24 * 3600 * 1000:
        rig.plant.advance_to(rig.plant.now_ms + 60_000)
        assert (loop.EVENT_SELF_TEST, False, 0) not in drained(rig, 1)
    assert (loop.EVENT_SELF_TEST, True, 0) in drained(rig, 200)
    rig.reach("B2", 2)
    assert rig.control.residual.passed and not rig.faults.active


def test_a_trip_stays_when_a_car_is_back_before_the_self_test_has_ended():
    rig = standby()
    rig.plant.plug()
    rig.reach("C2", 10)
    rig.run(5)
    rig.plant.fault("residual_dc", 60)
    rig.run(3)
    rig.plant.clear("residual_dc")
    rig.plant.unplug()
    rig.run(0.1)
    assert rig.control.residual.testing
    rig.plant.plug()
    rig.run(60)
    assert rig.faults.is_active(f.RESIDUAL_CURRENT)
    rig.plant.unplug()
    rig.run(2)
    assert not rig.faults.active


def test_a_fault_found_in_the_very_step_that_sees_the_car_go_goes_with_it():
    found = 0
    for ms in range(100, 260, 10):
        rig = standby()
        rig.plant.fault("no_close")
        rig.plant.plug()
        while not rig.control.contactor.commanded:
            rig.run(0.01)
        rig.run(ms / 1000)
        rig.plant.unplug()
        for _ in range(100):
            rig.run(0.01)
            found |= rig.faults.active
        assert not rig.faults.active, (ms, rig.faults.status())
    assert found == 1 << f.NO_CLOSE, "no offset came near the moment"


def test_the_loop_rests_while_the_end_of_a_session_waits_to_be_stored():
    rig = standby()
    rig.plant.plug(wants=False)
    rig.reach("B2", 5)
    rig.session._store_changes = lambda: None
    rig.session.stop("card")
    rig.run(5)
    assert rig.session._closing
    assert rig.control.next_due_ms() >= 10


def test_an_interrupted_session_waits_for_a_readable_pilot_and_lets_the_loop_rest():
    rig = Rig()
    rig.session._store.current = lambda: {"id_tag": None, "energy_wh": 5, "duration_s": 9}
    rig.session.begin(0)
    rig.plant.fault("pilot_short")
    rig.run(20)
    assert rig.session.active
    assert rig.control.next_due_ms() >= 10
    rig.plant.clear("pilot_short")
    rig.run(6)
    assert rig.session.stop_reason == "power_loss"


def test_the_delay_for_a_car_found_at_the_start_is_noted_once_and_costs_no_memory():
    SETTINGS["restart_delay_max_s"] = 90
    try:
        rig = Rig()
        rig.plant.plug()
        rig.run(5)
        noted = [event for event in drained(rig, 100) if event[0] == loop.EVENT_DELAY]
        assert noted == [], "noted in the first second, and once"
        rig = Rig()
        rig.plant.plug()
        noted = [event for event in drained(rig, 100) if event[0] == loop.EVENT_DELAY]
        assert noted == [(loop.EVENT_DELAY, 90, 0)]
        assert rig.control._delay.running
        rig = Rig()
        rig.run(5)
        rig.plant.plug()
        assert not [event for event in drained(rig, 100) if event[0] == loop.EVENT_DELAY]
        assert not rig.control._delay.running
    finally:
        SETTINGS["restart_delay_max_s"] = 0


def asleep(**settings):
    """A car in B that does not take its offer, and 29.9 s of that."""
    bench = Bench(wake_up=True, **settings)
    bench.step(60)
    bench.pilot.car = "B"
    bench.until("B2")
    bench.step(2_990)
    bench.told()
    bench.pilot.commands.clear()
    return bench


def test_a_car_that_sleeps_is_woken_by_four_seconds_of_state_f_and_offered_anew_after_a_pause():
    bench = asleep()
    bench.step(20)
    assert bench.state == "F" and bench.pilot.commands == [0]
    assert (loop.EVENT_WAKE, SHORT, 0) in [entry[1] for entry in bench.told()]
    begun = bench.ms
    took = bench.until("B1", 600)
    assert 3_900 <= took <= 4_100, took
    assert bench.pilot.commands == [0, 1000]
    took = bench.until("B2")
    assert took >= 750 and bench.pilot.commands[:2] == [0, 1000] and 0 < bench.pilot.commands[2] < 1000
    bench.pilot.car = "C"
    bench.step(100)
    assert (loop.EVENT_WAKE, SHORT, 1) in [entry[1] for entry in bench.told()]
    assert bench.ms > begun


def test_without_the_setting_no_car_is_woken():
    bench = asleep()
    bench.settings["wake_up"] = False
    bench.control.configure(bench.settings)
    bench.step(4_000)
    assert bench.state == "B2" and bench.pilot.commands == []


def test_a_wake_up_that_is_called_off_keeps_state_f_for_its_least_time():
    bench = asleep()
    bench.step(20)
    bench.session.authorised = False
    bench.step(2)
    assert bench.state == "F"
    took = bench.until("B1")
    assert 200 <= took <= 340, took


def test_no_wake_up_begins_while_the_level_changes_or_the_contactor_is_not_ready():
    bench = asleep()
    bench.step(8)
    # A few samples of another level just as it is due.
    bench.pilot.car = "C"
    bench.step(3)
    bench.pilot.car = "B"
    bench.step(60)
    assert bench.state == "B2"
    bench.until("F", 200)
    bench = asleep()
    ready = bench.control.contactor
    ready._reclose.start(bench.clock.now_ms, 5_000)
    bench.step(400)
    assert bench.state == "B2"
    bench.until("F", 300)


def test_a_red_fault_is_recorded():
    bench = Bench()
    bench.control.recorder.attach(scratch("control-recorder"), Log())
    bench.clock.uptime_ms = lambda: bench.clock.now_ms
    bench.clock.utc_s = lambda: None
    bench.step(60)
    bench.supply.pe_ok = False
    bench.step(200)
    bench.control.recorder.save()
    assert [trip["fault"] for trip in bench.control.recorder.status()] == ["pe_lost"]


def test_a_restart_delay_that_runs_from_the_start_is_told_and_no_car_starts_another():
    bench = Bench(begin=False)
    bench.delay.running = True
    bench.delay.drawn_s = 77
    bench.control.configure(bench.settings)
    bench.control.begin()
    assert bench.ring.get() == (loop.EVENT_DELAY, 77, 0)
    bench.pilot.car = "B"
    bench.step(100)
    assert [call for call in bench.delay.calls if call[0] == "car"] == []


def test_the_ring_s_events_have_codes_of_their_own():
    names = [name for name in dir(loop) if name.startswith("EVENT_")]
    assert len(names) == 8 and len({getattr(loop, name) for name in names}) == len(names), names


def test_a_tick_later_than_a_period_ends_the_measure_of_the_contactor_s_times():
    for late_ms, timed in ((0, True), (10, True), (11, False), (40, False)):
        bench = Bench()
        bench.step(60)
        bench.control.contactor.timed = True

        class Ticker:
            deadline_ms = 60
            left = 2

            async def wait(self):
                self.left -= 1
                if not self.left:
                    raise asyncio.CancelledError

        ticker = Ticker()
        ticker.late_ms = late_ms
        bench.clock.ticker = lambda _period, _due, ticker=ticker: ticker
        told = []
        try:
            asyncio.run(bench.control.run(told.append))
        except asyncio.CancelledError:
            pass
        assert bench.control.contactor.timed is timed, late_ms
        assert told == [60]
