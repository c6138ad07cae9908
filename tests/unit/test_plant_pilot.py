"""The pilot circuit: plateau voltages of every state, faults of the circuit, what duty means to a car."""

from plant_bench import Bench, refusal

from plant.pilot import offer_ma

# What the box must see, from IEC 61851-1 with the tolerances of generator, resistors and diode, in mV.
BANDS = {"A": (11400, 12600), "B": (8360, 9590), "C": (5470, 6530), "D": (2590, 3280)}
MINUS = (-12600, -11400)


def inside(value, band):
    return band[0] <= value <= band[1]


def test_levels_of_every_state_lie_in_the_bands_whatever_the_seed():
    for seed in range(40):
        bench = Bench(seed)
        bench.pilot.sample()
        assert inside(bench.pilot.high_mv, BANDS["A"]), (seed, bench.pilot.high_mv)
        bench.plant.plug(wants=False)
        for state in ("B", "C", "D"):
            bench.plant.car(state=state)
            for permille in (1000, 266):
                bench.pilot.set_duty(permille)
                bench.pilot.sample()
                assert inside(bench.pilot.high_mv, BANDS[state]), (seed, state, bench.pilot.high_mv)
            assert inside(bench.pilot.low_mv, MINUS), (seed, state, bench.pilot.low_mv)


def test_a_steady_level_is_seen_on_both_plateaus():
    bench = Bench()
    for permille in (0, 1000):
        bench.pilot.set_duty(permille)
        bench.pilot.sample()
        assert bench.pilot.high_mv == bench.pilot.low_mv
        assert bench.pilot.duty_permille == permille


def test_state_f_reads_minus_12_v_with_and_without_a_car():
    bench = Bench()
    bench.pilot.set_duty(0)
    bench.pilot.sample()
    alone = bench.pilot.high_mv
    bench.plant.plug()
    bench.pilot.sample()
    assert inside(alone, MINUS) and bench.pilot.high_mv == alone == bench.pilot.low_mv


def test_a_plug_pulled_in_state_f_changes_nothing_on_the_pilot():
    bench = Bench()
    bench.plant.plug()
    bench.pilot.set_duty(0)
    before = bench.sense()
    changed = bench.plant.changed
    bench.plant.unplug()
    assert bench.sense() == before
    assert bench.plant.changed == changed, "a change was counted that nothing can sense"


def test_a_short_to_pe_pulls_both_plateaus_to_zero_with_and_without_a_car():
    for car in (False, True):
        for ohm in (None, 0, -5):
            bench = Bench()
            bench.pilot.set_duty(266)
            if car:
                bench.plant.plug()
            bench.plant.fault("pilot_short", ohm)
            bench.pilot.sample()
            assert -1000 <= bench.pilot.low_mv <= 0 <= bench.pilot.high_mv <= 1000, (car, ohm)
            if ohm is not None:
                assert bench.pilot.high_mv == bench.pilot.low_mv == 0
            bench.plant.clear("pilot_short")
            bench.pilot.sample()
            assert inside(bench.pilot.high_mv, BANDS["B" if car else "A"])


def test_a_weak_short_gives_a_level_between_the_states():
    bench = Bench()
    bench.plant.plug()
    bench.plant.fault("pilot_short", 3300)
    bench.pilot.sample()
    assert 6530 < bench.pilot.high_mv < 8360, bench.pilot.high_mv


def test_a_shorted_diode_loads_the_minus_plateau():
    bench = Bench()
    bench.pilot.set_duty(266)
    bench.plant.plug()
    bench.plant.car(diode=False)
    bench.pilot.sample()
    assert -9300 < bench.pilot.low_mv < -8300, bench.pilot.low_mv
    bench.plant.car(diode=True)
    bench.pilot.sample()
    assert inside(bench.pilot.low_mv, MINUS)


def test_the_read_back_is_the_real_output():
    bench = Bench()
    bench.plant.fault("pilot_stuck", 500)
    bench.pilot.set_duty(266)
    bench.pilot.sample()
    assert bench.pilot.duty_permille == 500
    bench.plant.clear("pilot_stuck")
    bench.pilot.sample()
    assert bench.pilot.duty_permille == 266


def test_a_voltage_from_outside_overrides_generator_and_car():
    bench = Bench()
    bench.pilot.set_duty(266)
    bench.plant.plug()
    before = bench.sense()
    for volts in (15, -3):
        bench.plant.fault("pilot_voltage", volts)
        assert bench.sense()[0] == (volts * 1000, volts * 1000, 266)
    bench.plant.clear("pilot_voltage")
    assert bench.sense() == before


def test_without_supply_the_pilot_is_dead():
    bench = Bench()
    bench.plant.plug()
    bench.plant.power_off()
    bench.pilot.sample()
    assert (bench.pilot.high_mv, bench.pilot.low_mv) == (0, 0)


def test_duty_decodes_as_in_table_a8():
    table = {
        0: 0, 29: 0, 50: 0, 79: 0, 80: 6000, 99: 6000, 100: 6000, 266: 15960, 533: 31980, 850: 51000,
        851: 52750, 960: 80000, 970: 80000, 971: 0, 1000: 0,
    }  # fmt: skip
    for permille, milliamps in table.items():
        assert offer_ma(permille) == milliamps, (permille, offer_ma(permille))


def test_a_duty_outside_the_scale_is_refused():
    bench = Bench()
    for permille in (-1, 1001):
        text = refusal(bench.pilot.set_duty, permille)
        assert "duty_permille" in text and str(permille) in text and "0..1000" in text, text
