"""The contactor: delays, welded poles, interlocks in hardware, and the watchdog."""

from plant_bench import Bench

from hal.watchdog import Watchdog

ALL = 7


def live(bench):
    bench.contactor.sample()
    return bench.contactor.live


def test_it_closes_in_25_ms_and_opens_in_18_ms():
    bench = Bench()
    bench.contactor.set(True)
    bench.after(24)
    assert live(bench) == 0
    bench.after(1)
    assert live(bench) == ALL
    bench.contactor.set(False)
    bench.after(17)
    assert live(bench) == ALL
    bench.after(1)
    assert live(bench) == 0


def test_a_short_pulse_moves_nothing():
    bench = Bench()
    bench.contactor.set(True)
    bench.after(10)
    bench.contactor.set(False)
    bench.after(100)
    assert live(bench) == 0
    assert not bench.plant.contactor.closed


def test_a_short_gap_keeps_it_closed():
    bench = Bench()
    bench.contactor.set(True)
    bench.after(100)
    bench.contactor.set(False)
    bench.after(10)
    bench.contactor.set(True)
    for _ in range(50):
        bench.after(1)
        assert live(bench) == ALL


def test_a_pole_welds_at_its_next_closing_and_stays_live_alone():
    bench = Bench()
    bench.plant.fault("weld_l2")
    assert live(bench) == 0
    bench.contactor.set(True)
    bench.after(100)
    bench.contactor.set(False)
    bench.after(100)
    assert live(bench) == 2
    assert bench.plant.contactor.poles == 2
    bench.plant.clear("weld_l2")
    assert live(bench) == 0


def test_a_closed_pole_welds_at_once_and_at_rest_when_asked():
    bench = Bench()
    bench.contactor.set(True)
    bench.after(100)
    bench.plant.fault("weld_l1")
    bench.contactor.set(False)
    bench.after(100)
    assert live(bench) == 1
    bench = Bench()
    bench.plant.fault("weld_l3", True)
    assert live(bench) == 4


def test_a_welded_pole_carries_no_load_because_n_is_open():
    bench = Bench()
    bench.charge()
    bench.plant.fault("weld_l1")
    bench.contactor.set(False)
    bench.after(100)
    assert live(bench) == 1
    bench.plant.car(draw_a=10)
    assert bench.amps == [0, 0, 0]


def test_a_weld_outlives_a_power_cut():
    bench = Bench()
    bench.plant.fault("weld_l1", True)
    bench.plant.power_off()
    assert live(bench) == 0, "nothing is live without supply"
    bench.plant.power_on()
    assert live(bench) == 1


def test_a_contactor_that_cannot_close_closes_when_repaired():
    bench = Bench()
    bench.plant.fault("no_close")
    bench.contactor.set(True)
    bench.after(1000)
    assert live(bench) == 0
    bench.plant.clear("no_close")
    bench.after(25)
    assert live(bench) == ALL


def test_worn_contacts_open_late_until_repaired():
    bench = Bench()
    bench.contactor.set(True)
    bench.after(100)
    bench.plant.fault("slow_open")
    bench.contactor.set(False)
    bench.after(59)
    assert live(bench) == ALL
    bench.after(1)
    assert live(bench) == 0
    bench.plant.fault("slow_open", 300)
    bench.contactor.set(True)
    bench.after(100)
    bench.contactor.set(False)
    bench.after(299)
    assert live(bench) == ALL
    bench.after(1)
    assert live(bench) == 0
    bench.plant.clear("slow_open")
    bench.contactor.set(True)
    bench.after(100)
    bench.contactor.set(False)
    bench.after(18)
    assert live(bench) == 0


def test_a_trip_opens_it_in_hardware_and_it_comes_back_when_the_firmware_keeps_asking():
    bench = Bench()
    bench.contactor.set(True)
    bench.after(100)
    bench.rcm.set_test(True)
    bench.after(100 + 17)
    assert live(bench) == ALL
    bench.after(1)
    assert live(bench) == 0
    bench.after(1000)
    assert live(bench) == 0
    bench.rcm.set_test(False)
    bench.after(1000)
    assert live(bench) == ALL


def test_a_command_during_a_trip_waits_for_its_end():
    bench = Bench()
    bench.rcm.set_test(True)
    bench.after(200)
    bench.contactor.set(True)
    bench.after(500)
    assert live(bench) == 0
    bench.rcm.set_test(False)
    bench.after(100 + 25)
    assert live(bench) == ALL


def test_a_power_cut_drops_it_and_it_does_not_come_back_by_itself():
    bench = Bench()
    bench.contactor.set(True)
    bench.after(100)
    bench.plant.power_off()
    assert live(bench) == 0
    bench.after(100)
    bench.plant.power_on()
    bench.after(1000)
    assert live(bench) == 0


def test_sensing_sees_only_phases_that_have_voltage():
    bench = Bench()
    bench.contactor.set(True)
    bench.after(100)
    bench.plant.fault("phase_loss", 3)
    assert live(bench) == 3
    bench.plant.clear("phase_loss")
    assert live(bench) == ALL


def test_an_unfed_watchdog_drops_it_and_tells_who_restarts_the_firmware():
    bench = Bench()
    resets = []
    bench.plant.on_reset = resets.append  # type: ignore
    dog = Watchdog()
    bench.contactor.set(True)
    bench.after(1500)
    dog.feed()
    bench.after(1999)
    assert resets == [] and live(bench) == ALL
    bench.after(1)
    assert resets == ["watchdog"] and bench.plant.reset_cause == "watchdog"
    bench.after(18)
    assert live(bench) == 0
    bench.contactor.set(True)
    bench.after(1000)
    assert live(bench) == 0, "an expired watchdog holds the coil off"
    Watchdog()
    bench.after(25)
    assert live(bench) == ALL


def test_the_watchdog_sleeps_without_supply_and_after_a_restart():
    bench = Bench()
    resets = []
    bench.plant.on_reset = resets.append  # type: ignore
    dog = Watchdog()
    bench.plant.power_off()
    dog.feed()
    bench.after(10_000)
    bench.plant.power_on()
    bench.after(10_000)
    Watchdog()
    bench.plant.restart("software")
    bench.after(10_000)
    assert resets == []
