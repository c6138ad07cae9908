"""The energy benchmark: its traces, its figures on a trace counted by hand, and what it refuses."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import energy_bench
import energy_traces
import pytest
from energy_traces import DAY_S, HEAD, TraceError

ROOT = Path(__file__).resolve().parent.parent.parent


def day(seed: int = 3, weather: str | None = "spring", busy: float = 1.0):
    return list(energy_traces.made(seed, 1, busy, weather))


def test_a_seed_gives_the_same_day_again_and_another_seed_another_one():
    assert day() == day() != day(seed=4)


def test_the_house_has_a_base_load_and_appliances_of_the_usual_sizes():
    rows = day(weather=None)
    assert len(rows) == DAY_S and all(row[4] == 0 for row in rows)
    for phase in (1, 2, 3):
        amps = sorted(row[phase] for row in rows)
        assert 500 <= amps[DAY_S // 20] <= 2_000, "base load"
    assert max(max(row[1:4]) for row in rows) > 6_000
    energy_kwh = sum(sum(row[1:4]) for row in rows) * 230 / 3.6e9
    assert 12 <= energy_kwh <= 60


def test_the_sun_shines_by_day_and_clouds_take_some_of_it():
    summer, spring = day(weather="summer"), day(weather="spring")
    assert spring[3 * 3600][4] == 0 < spring[12 * 3600][4] <= 10_000
    assert sum(row[4] for row in spring) < 0.7 * sum(row[4] for row in summer)
    flapping = [row[4] for row in day(weather="flapping")[10 * 3600 : 16 * 3600]]
    assert len(set(flapping)) == len(energy_traces.FLAPPING_W)


def test_rows_that_change_nothing_are_left_out():
    rows = [(0, 1000, 0, 0, 0), (1, 1050, 0, 0, 10), (2, 1100, 0, 0, 0), (3, 1100, 0, 0, 30)]
    assert list(energy_traces.thinned(iter(rows))) == [rows[0], rows[2], rows[3]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("second,l1,l2,l3,pv\n", "line 1"),
        ("{head}\n1,2,3\n", "line 2: 3 fields"),
        ("{head}\n1,2,3,4,5\n2,x,3,4,5\n", "line 3: l1_a: 'x'"),
        ("{head}\n1,200,3,4,5\n", "line 2: l1_a: 200"),
        ("{head}\n1,2,3,4,-5\n", "line 2: pv_w: -5"),
        ("{head}\n5,2,3,4,5\n5,2,3,4,5\n", "line 3: second: 5"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_line_and_field(tmp_path, text, words):
    path = tmp_path / "trace.csv"
    path.write_text(text.format(head=",".join(HEAD)))
    with pytest.raises(TraceError, match=words):
        list(energy_traces.read(path))


def test_a_file_of_a_user_is_read_in_amperes_and_watts(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(",".join(HEAD) + "\n0,1.5,0,-2,3000\n")
    assert list(energy_traces.read(path)) == [(0, 1500, 0, -2000, 3000)]


def small(tmp_path, controller, rows, solar=False, **car):
    """Play a few minutes and return the report."""
    plug = {"do": "plug", "phases": 1, "max_a": 10, "lag_ms": 250, "slope_a": 0, **car}
    about = {"controller": controller, "limit_a": 25, "solar": solar, "phases": 1, "max_a": 10}
    about |= {"refresh_ms": 500, "events": [[5, plug]]}
    trace = tmp_path / "small.trace"
    trace.write_text("\n".join([json.dumps(about), *(",".join(map(str, row)) for row in rows)]) + "\n")
    scenario = energy_bench.SCENARIOS[0]
    return energy_bench.play(tmp_path, scenario, controller, trace, 1)


def test_the_figures_are_those_counted_by_hand(tmp_path):
    # 10 A on L1 for an hour and a little beside 1 A of the house and 1,380 W of sun; nobody controls it.
    rows = [(1, 1000, 0, 0, 1380), (3600, 1000, 0, 0, 0)]
    report = small(tmp_path, "none", rows)
    assert report["car_wh"] == pytest.approx(2300, rel=0.01)
    assert report["sun_wh"] == pytest.approx(1380, rel=0.01)
    # 1,380 W less the house's 230 W are left for the car.
    assert report["sun_to_car_wh"] == pytest.approx(1150, rel=0.01)
    assert report["used_wh"] == pytest.approx(1380, rel=0.01)
    assert report["bought_wh"] == pytest.approx(1150, rel=0.01)
    assert (report["closings"], report["over_s"], report["house_alone_s"]) == (1, 0, 0)


def test_an_overload_is_counted_in_seconds_and_ampere_squared_seconds(tmp_path):
    rows = [(1, 0, 0, 0, 0), (100, 20_000, 0, 0, 0), (110, 0, 0, 0, 0), (120, 30_000, 0, 0, 0), (125, 0, 0, 0, 0)]
    report = small(tmp_path, "none", [*rows, (200, 0, 0, 0, 0)])
    # 20 + 10 A of 25 A for 10 s, then 30 A of the house alone, to which the car adds its 10 A.
    assert report["over_s"] == pytest.approx(15, abs=0.1)
    assert report["over_a2s"] == pytest.approx((30**2 - 25**2) * 10 + (40**2 - 25**2) * 5, rel=0.02)
    assert report["longest_over_s"] == pytest.approx(10, abs=0.1)
    assert report["longest_hard_s"] == pytest.approx(5, abs=0.1)
    assert report["house_alone_s"] == pytest.approx(5, abs=0.1)
    # Nobody lowers the offer, so all of it is the box's part.
    assert report["longest_offered_s"] == pytest.approx(10, abs=0.1)


def test_the_firmware_keeps_an_overload_short_where_no_control_does_not(tmp_path):
    rows = [(1, 0, 0, 0, 0), (100, 18_000, 0, 0, 0), (200, 0, 0, 0, 0), (300, 0, 0, 0, 0)]
    assert small(tmp_path, "none", rows)["longest_over_s"] == pytest.approx(100, abs=1)
    assert small(tmp_path, "ours", rows)["longest_over_s"] < 3


@pytest.mark.parametrize("controller", ["evcc", "smartevse"])
def test_the_references_start_with_the_sun_and_stop_without(tmp_path, controller):
    rows = [(1, 0, 0, 0, 0), (60, 0, 0, 0, 3000), (1000, 0, 0, 0, 0), (3000, 0, 0, 0, 0)]
    report = small(tmp_path, controller, rows, solar=True)
    assert report["closings"] == 1
    # Sun for the car of 10 A for a quarter of an hour; evcc goes on for 3 minutes, SmartEVSE for 10.
    assert 450 <= report["sun_to_car_wh"] <= 600
    grid_wh = report["car_wh"] - report["sun_to_car_wh"]
    assert 0 < grid_wh < (120 if controller == "evcc" else 320)


def test_verdicts_name_what_was_missed():
    verdicts = energy_bench.Verdicts([])
    solar = next(s for s in energy_bench.SCENARIOS if s.solar)
    good = {"used_wh": 90.0, "sun_wh": 100.0, "closings": 2}
    poor = {"used_wh": 80.0, "sun_wh": 100.0, "closings": 3}
    energy_bench.judge(solar, {"ours": good, "evcc": poor, "smartevse": poor}, verdicts, 95.0)
    assert verdicts.missed == 0 and "+15.0 are possible" in verdicts.rows[0][1]
    energy_bench.judge(solar, {"ours": poor, "evcc": good, "smartevse": poor}, verdicts, 95.0)
    assert verdicts.missed == 2


def test_an_overload_of_a_slow_car_is_judged_by_what_the_box_offers():
    quick = next(s for s in energy_bench.SCENARIOS if not s.solar and not s.slow)
    slow = next(s for s in energy_bench.SCENARIOS if s.slow)
    report = {"longest_over_s": 5.0, "longest_hard_s": 0.5, "longest_offered_s": 1.5}
    verdicts = energy_bench.Verdicts([])
    energy_bench.judge(quick, {"ours": report}, verdicts, 0.0)
    assert verdicts.missed == 1
    energy_bench.judge(slow, {"ours": report}, verdicts, 0.0)
    assert verdicts.missed == 1
    energy_bench.judge(slow, {"ours": {**report, "longest_offered_s": 3.5}}, verdicts, 0.0)
    assert verdicts.missed == 2


def test_what_is_possible_is_bounded_by_the_car_s_power_and_need():
    car = next(s for s in energy_bench.SCENARIOS if s.name == "spring1")
    # An hour of 10 kW at noon: 2.3 kW for the house, 3.68 kW at most for the car.
    rows = [(0, 0, 0, 0, 0), (12 * 3600, 10_000, 0, 0, 10_000), (13 * 3600, 0, 0, 0, 0)]
    assert energy_bench.possible(car, rows, 1) == pytest.approx(59.8)
    at_night = [(0, 0, 0, 0, 5_000), (3600, 0, 0, 0, 0)]
    assert energy_bench.possible(car, at_night, 1) == 0
    long_day = [(8 * 3600, 0, 0, 0, 3_680), (20 * 3600, 0, 0, 0, 0)]
    assert energy_bench.possible(car, long_day, 1) == pytest.approx(100 * 30_000 / 44_160)


@pytest.mark.parametrize("arguments", [["nosuch"], ["--days", "0"]])
def test_impossible_arguments_are_refused_with_what_is_allowed(arguments):
    command = [sys.executable, "tools/energy_bench.py", *arguments]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert answer.returncode == 2 and "allowed" in answer.stderr


def test_the_same_house_is_played_to_every_controller(tmp_path):
    scenario = energy_bench.SCENARIOS[0]
    found = []
    for controller in scenario.controllers():
        rows = itertools.islice(energy_traces.made(1, 1, 1.0, None), 100)
        path = energy_bench.write_trace(tmp_path, scenario, controller, rows, 1)
        found.append(path.read_text().split("\n", 1)[1])
    assert len(set(found)) == 1
