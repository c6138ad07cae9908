"""Grid, house, metering and temperature."""

import math

from plant_bench import Bench, refusal


def test_voltages_power_and_frequency_are_those_of_the_grid():
    bench = Bench()
    bench.plant.grid(volts=[231.5, 228, 240], hz=49.95)
    bench.charge(266)
    sensed = bench.sense()
    assert sensed[3] == ((231_500, 228_000, 240_000), (15_960,) * 3, (3695, 3639, 3830))
    assert sensed[4] == (49_950, True)


def test_a_dead_supply_has_no_frequency():
    bench = Bench()
    bench.plant.grid(volts=0)
    assert bench.sense()[3][0] == (0, 0, 0) and bench.sense()[4][0] == 0
    bench.plant.grid(volts=230)
    bench.plant.power_off()
    assert bench.sense()[3][0] == (0, 0, 0) and bench.sense()[4][0] == 0
    bench.plant.power_on()
    assert bench.sense()[3][0] == (230_000,) * 3 and bench.sense()[4][0] == 50_000


def test_supply_faults_show_and_go():
    bench = Bench()
    bench.plant.fault("overvoltage")
    assert bench.sense()[3][0] == (280_000,) * 3
    bench.plant.clear("overvoltage")
    bench.plant.fault("undervoltage", 150)
    assert bench.sense()[3][0] == (150_000,) * 3
    bench.plant.fault("phase_loss")
    assert bench.sense()[3][0] == (150_000, 0, 150_000)
    bench.plant.clear("undervoltage")
    bench.plant.clear("phase_loss")
    bench.plant.fault("pe")
    assert not bench.sense()[4][1]
    bench.plant.clear("pe")
    assert bench.sense()[4][1] and bench.sense()[3][0] == (230_000,) * 3


def test_an_overvoltage_leaves_phases_dead_that_are_not_there():
    bench = Bench()
    bench.plant.grid(volts=[230, 0, 0])
    bench.plant.fault("overvoltage")
    assert bench.sense()[3][0] == (280_000, 0, 0)


def test_a_lost_phase_stops_the_current_on_it_at_once_and_only_there():
    bench = Bench()
    bench.charge(266)
    bench.plant.fault("phase_loss", 1)
    assert bench.amps == [0, 15.96, 15.96]


def test_energy_is_exact_to_the_last_milliwatthour():
    bench = Bench()
    bench.charge(266)
    bench.supply.sample()
    begin = bench.supply.energy_mwh
    start = bench.plant.now_ms
    power_uw = sum(mv * ma for mv, ma in zip(bench.supply.volts_mv, bench.supply.current_ma))
    for ms in (1, 999, 3_600_000, 86_400_000):
        bench.after(ms)
        expected = power_uw * (bench.plant.now_ms - start) / 3.6e9
        assert abs(bench.supply.energy_mwh - begin - expected) <= 1, (ms, bench.supply.energy_mwh, expected)


def test_energy_does_not_depend_on_how_often_it_is_looked_at():
    totals = []
    for step in (7, 60_000):
        bench = Bench()
        bench.charge(266)
        end = bench.plant.now_ms + 60_000
        while bench.plant.now_ms < end:
            bench.plant.advance_to(min(end, bench.plant.now_ms + step))
            bench.supply.sample()
            bench.plant.view()
        totals.append(bench.supply.energy_mwh)
    assert totals[0] == totals[1] > 0, totals


def test_the_energy_counter_wraps_like_the_metering_chip_s():
    bench = Bench()
    bench.charge(533)
    # 22 kW need 48.7 hours to the edge.
    bench.after(48 * 3600_000)
    before = bench.supply.energy_mwh
    assert 1 << 29 < before < 1 << 30
    bench.after(2 * 3600_000)
    hourly = 3 * 230 * 31.98 * 1000
    assert abs(bench.supply.energy_mwh - (before + 2 * hourly - (1 << 30))) < 2


def test_house_sun_and_car_meet_at_the_connection():
    bench = Bench()
    bench.plant.house(amps=[10, 2, 0], pv_w=6900)
    assert bench.plant.grid_a == [0, -8, -10]
    bench.charge(266)
    assert [round(a, 2) for a in bench.plant.grid_a] == [15.96, 7.96, 5.96]
    bench.plant.power_off()
    assert bench.plant.grid_a == [0, 0, 0]


def test_sun_on_one_phase_goes_there_entirely():
    bench = Bench()
    bench.plant.grid(volts=[230, 0, 0])
    bench.plant.house(amps=5, pv_w=2300)
    assert bench.plant.grid_a == [-5, 0, 0]


def test_the_connection_counts_import_and_export_apart():
    bench = Bench()
    bench.plant.house(amps=[10, 0, 0])
    bench.after(3600_000)
    bench.plant.house(amps=[-10, 0, 0])
    bench.after(1800_000)
    supply = bench.plant.supply
    assert (supply.import_mwh(0), supply.export_mwh(0)) == (2_300_000, 1_150_000)
    assert (supply.import_mwh(1), supply.export_mwh(1)) == (0, 0)


def test_the_house_is_nothing_that_the_board_can_sense():
    bench = Bench()
    changed = bench.plant.changed
    bench.plant.house(amps=20, pv_w=1000)
    assert bench.plant.changed == changed


def test_the_board_warms_up_with_its_time_constant():
    bench = Bench()
    bench.charge(533)
    start = bench.plant.now_ms
    bench.after(600_000)
    rise = 18 * (31.98 / 32) ** 2 * (1 - math.exp(-(600_000) / 600_000))
    assert abs(bench.sense()[5] - (200 + 10 * rise)) <= 1.5, (bench.sense()[5], rise, start)
    bench.after(10 * 600_000)
    assert bench.sense()[5] == 380
    bench.contactor.set(False)
    bench.after(20 * 600_000)
    assert bench.sense()[5] in (200, 201)


def test_every_step_of_the_temperature_is_a_tenth_of_a_degree():
    bench = Bench()
    last = bench.sense()[5]
    for celsius in (60, -20, 20):
        bench.plant.ambient(celsius)
        for _ in range(15_000):
            value = bench.after(500)[5]
            assert abs(value - last) <= 1, (last, value)
            assert abs(value - 10 * bench.plant.thermal.board_c()) <= 0.6, (value, bench.plant.thermal.board_c())
            last = value
        assert abs(last - celsius * 10) <= 1


def test_a_broken_sensor_reads_outside_every_real_temperature():
    bench = Bench()
    bench.plant.fault("temperature_sensor")
    assert bench.sense()[5] < -550
    bench.plant.fault("temperature_sensor", "short")
    assert bench.sense()[5] > 1500
    bench.plant.clear("temperature_sensor")
    assert bench.sense()[5] == 200


def test_bad_surroundings_are_refused():
    plant = Bench().plant
    for call, arguments, words in (
        (plant.grid, {"volts": [230, 230]}, ("volts", "three numbers")),
        (plant.grid, {"volts": [230, 500, 230]}, ("volts[1]", "500", "0..400 V")),
        (plant.grid, {"hz": 0}, ("hz", "0", "40..70 Hz")),
        (plant.house, {"amps": [1, None, 2]}, ("amps[1]", "None", "-200..200 A")),
        (plant.house, {"pv_w": -1}, ("pv_w", "-1", "0..50000 W")),
        (plant.ambient, {"celsius": 200}, ("celsius", "200", "-40..85 degC")),
        (plant.contact, {"closed": 1}, ("closed", "1", "true, false")),
        (plant.network, {"up": "no"}, ("up", "no", "true, false")),
    ):
        text = refusal(call, **arguments)
        for word in words:
            assert word in text, text
