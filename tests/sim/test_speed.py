"""Real time at another speed: the board's seconds are shorter, the host's sockets are as ever."""

import subprocess
import time
from datetime import UTC, datetime

import pytest

from simulator import MICROPYTHON, ROOT, RUN

SPEED = 10
MEASURED_S = 3


def test_the_board_s_clocks_run_so_many_times_faster_than_the_host(simulator):
    box = simulator(virtual=False, speed=SPEED)
    begin = box.state()
    begin_s = time.monotonic()
    end = box.wait_for(lambda state: state["uptime_ms"] >= begin["uptime_ms"] + MEASURED_S * SPEED * 1000, 20)
    host_ms = (time.monotonic() - begin_s) * 1000
    for clock in ("uptime_ms", "plant_ms"):
        # The state is asked for some ms before or after the moment that was noted.
        assert (end[clock] - begin[clock]) / host_ms == pytest.approx(SPEED, rel=0.1)


def test_utc_starts_at_the_host_s_and_runs_ahead_of_it(simulator):
    before = datetime.now(UTC).replace(microsecond=0)
    box = simulator(virtual=False, speed=SPEED)
    first = datetime.fromisoformat(box.log(code="start")[0]["utc"])
    assert before <= first <= datetime.now(UTC)
    box.wait_for(lambda state: state["uptime_ms"] >= 20_000, 20)
    box.plug()
    box.wait_for(lambda state: state["session"]["active"], 10)
    entry = box.log(code="started")[0]
    assert (datetime.fromisoformat(entry["utc"]) - first).total_seconds() == pytest.approx(
        entry["uptime_ms"] / 1000, abs=1.1
    )


@pytest.mark.parametrize("speed", [SPEED, 100])
def test_a_car_charges_as_in_the_host_s_time(simulator, speed):
    box = simulator(virtual=False, speed=speed)
    box.plug(max_a=16)
    begin = box.wait_for(lambda state: state["car"]["draw_a"][0] > 15, 20)
    end = box.wait_for(lambda state: state["uptime_ms"] >= begin["uptime_ms"] + 30_000, 20)
    hours = (end["plant_ms"] - begin["plant_ms"]) / 3_600_000
    assert end["session"]["energy_wh"] - begin["session"]["energy_wh"] == pytest.approx(
        3 * 16 * 230 * hours, rel=0.05, abs=2
    )
    # A busy host makes the board no late board.
    assert not [entry for entry in box.log() if entry["level"] != "info"]


def test_it_starts_again_after_a_cut_of_the_supply(simulator):
    box = simulator(virtual=False, speed=SPEED)
    box.power(on=False)
    before = box.wait_for(lambda state: not state["power"], 10)
    after = box.wait_for(lambda state: state["plant_ms"] >= before["plant_ms"] + 5_000, 10)
    assert not after["power"]
    box.power(on=True)
    box.wait_for(lambda state: state["power"] and state["uptime_ms"] > 1_000, 10)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--speed", "0"), "allowed: 1..100"),
        (("--speed", "101"), "allowed: 1..100"),
        (("--speed", "2", "--virtual"), "not allowed with --virtual"),
        (("--speed", "2", "--rs485", "/dev/null"), "not allowed with --rs485"),
    ],
)
def test_wrong_speeds_are_refused_with_what_is_allowed(options, reason):
    command = [str(MICROPYTHON), RUN, "--control", "0", *options]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 2 and "--speed" in ended.stderr and reason in ended.stderr
