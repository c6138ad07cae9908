"""The residual current monitor: response times, the self-test, how long a trip lasts."""

from plant_bench import Bench


def closed_bench():
    bench = Bench()
    bench.contactor.set(True)
    bench.after(100)
    return bench


def trip_ms(bench, limit=2000):
    """Milliseconds until the trip output goes high, None for never."""
    for ms in range(limit):
        bench.rcm.sample()
        if bench.rcm.tripped:
            return ms
        bench.after(1)
    return None


def test_response_times_are_those_of_the_module():
    cases = (
        ("residual_dc", 4.9, None),
        ("residual_dc", 6, 700),
        ("residual_dc", 60, 240),
        ("residual_dc", 300, 20),
        ("residual_ac", 24, None),
        ("residual_ac", 30, 270),
        ("residual_ac", 60, 80),
        ("residual_ac", 150, 20),
    )
    for name, value, limit in cases:
        bench = closed_bench()
        bench.plant.fault(name, value)
        ms = trip_ms(bench)
        if limit is None:
            assert ms is None, (name, value, ms)
        else:
            assert ms is not None and 0.5 * limit < ms < limit, (name, value, ms)


def test_the_analogue_value_shows_what_flows_and_only_while_the_cable_is_live():
    bench = Bench()
    bench.plant.fault("residual_dc", 3.5)
    bench.plant.fault("residual_ac", 12)
    assert bench.sense()[2] == (False, 0, 0)
    bench.contactor.set(True)
    assert bench.after(25)[2] == (False, 3500, 12_000)
    bench.contactor.set(False)
    assert bench.after(18)[2] == (False, 0, 0)


def test_a_trip_opens_the_contactor_and_lasts_at_least_200_ms():
    bench = closed_bench()
    bench.plant.fault("residual_ac")
    waited = trip_ms(bench)
    assert waited is not None
    bench.contactor.set(False)
    bench.after(18)
    assert bench.sense()[1] == 0 and bench.sense()[2] == (True, 0, 0)
    bench.after(199 - 18)
    assert bench.sense()[2][0]
    bench.after(1)
    assert not bench.sense()[2][0]


def test_a_current_that_goes_in_time_trips_nothing():
    bench = closed_bench()
    bench.plant.fault("residual_dc")
    bench.after(300)
    bench.plant.clear("residual_dc")
    assert trip_ms(bench) is None


def test_a_growing_current_trips_by_the_time_it_has_flowed():
    bench = closed_bench()
    bench.plant.fault("residual_dc", 6)
    bench.after(300)
    bench.plant.fault("residual_dc", 60)
    assert trip_ms(bench) <= 1


def test_the_test_input_trips_after_100_ms_and_lets_go_100_ms_after_its_end():
    bench = Bench()
    bench.rcm.set_test(True)
    assert trip_ms(bench) == 100
    bench.after(300)
    bench.rcm.set_test(False)
    bench.after(99)
    assert bench.sense()[2][0]
    bench.after(1)
    assert not bench.sense()[2][0]


def test_a_short_test_still_gives_a_trip_of_200_ms():
    bench = Bench()
    bench.rcm.set_test(True)
    bench.after(100)
    bench.rcm.set_test(False)
    bench.after(199)
    assert bench.sense()[2][0]
    bench.after(1)
    assert not bench.sense()[2][0]


def test_a_broken_test_circuit_never_answers_but_real_currents_still_trip():
    bench = closed_bench()
    bench.plant.fault("rcm_test_fails")
    bench.rcm.set_test(True)
    assert trip_ms(bench) is None
    bench.plant.fault("residual_ac", 150)
    assert trip_ms(bench) == 18
    bench.plant.clear("residual_ac")
    bench.plant.clear("rcm_test_fails")
    bench.after(1000)
    assert bench.sense()[2][0], "the test input is still on"


def test_a_leak_behind_a_welded_pole_keeps_the_trip():
    bench = closed_bench()
    bench.plant.fault("weld_l1")
    bench.plant.fault("residual_ac")
    bench.after(1000)
    assert bench.sense()[2] == (True, 0, 40_000)
    bench.after(10_000)
    assert bench.sense()[2][0]


def test_without_supply_the_output_is_low():
    bench = Bench()
    bench.rcm.set_test(True)
    bench.after(200)
    bench.plant.power_off()
    assert not bench.sense()[2][0]
    bench.plant.power_on()
    bench.after(1000)
    assert not bench.sense()[2][0], "a test does not go on after a power cut"


def test_an_output_stuck_high_blocks_the_coil_at_once():
    bench = closed_bench()
    bench.plant.fault("rcm_stuck", True)
    assert bench.sense()[2] == (True, 0, 0)
    bench.after(18)
    assert bench.sense()[1] == 0
    bench.plant.clear("rcm_stuck")
    assert bench.after(25)[1] == 0b111


def test_a_sticking_output_stays_high_once_it_has_tripped():
    bench = Bench()
    bench.plant.fault("rcm_stuck")
    bench.after(1000)
    assert not bench.sense()[2][0]
    bench.rcm.set_test(True)
    bench.after(150)
    bench.rcm.set_test(False)
    bench.after(60_000)
    assert bench.sense()[2][0]
    bench.plant.power_off()
    assert not bench.sense()[2][0]
    bench.plant.power_on()
    assert bench.sense()[2][0]
    bench.plant.clear("rcm_stuck")
    assert not bench.sense()[2][0]


def test_a_cut_wire_hides_every_trip_from_firmware_and_interlock():
    bench = closed_bench()
    bench.plant.fault("rcm_wire")
    bench.plant.fault("residual_ac", 150)
    bench.rcm.set_test(True)
    assert trip_ms(bench) is None
    assert bench.sense()[1] == 0b111
    assert bench.sense()[2][2] == 150_000, "the analogue value has a wire of its own"
    bench.plant.clear("rcm_wire")
    assert bench.sense()[2][0]
    assert bench.after(18)[1] == 0
