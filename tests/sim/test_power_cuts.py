"""The supply fails at every single flash operation of a whole run: nothing that was promised is lost (R7, R30)."""

import json
from typing import Any

import campaign
import pytest

SETUP, FIRST, SECOND = "04A1B2C3D4E5F6", "11223344", "04112233445566"
SETTINGS = {"meter_model": "none", "load_optimisation": False, "rated_a": 16, "restart_delay_max_s": 0}
# (seconds, request): settings, cards, two sessions with checkpoints, a trip and a weld that are latched, service.
RUN: tuple[tuple[float, dict[str, Any]], ...] = (
    (5, {"do": "settings", "set": {"access_control": True, "led_brightness_percent": 40}}),
    (8, {"do": "tap", "uid": SETUP}),
    (12, {"do": "tap", "uid": FIRST}),
    (16, {"do": "tap", "uid": SECOND}),
    (20, {"do": "tap", "uid": SETUP}),
    (25, {"do": "plug", "phases": 3, "max_a": 16}),
    (30, {"do": "tap", "uid": FIRST}),
    (400, {"do": "settings", "set": {"rated_a": 10, "name": "garage"}}),
    (600, {"do": "tap", "uid": FIRST}),
    (620, {"do": "unplug"}),
    (640, {"do": "settings", "set": {"access_control": False}}),
    (660, {"do": "plug", "phases": 1, "max_a": 32}),
    (760, {"do": "fault", "name": "residual_dc", "value": 60}),
    (770, {"do": "clear", "name": "residual_dc"}),
    (790, {"do": "unplug"}),
    (830, {"do": "plug"}),
    (850, {"do": "fault", "name": "weld_l2"}),
    (870, {"do": "unplug"}),
    (900, {"do": "clear", "name": "weld_l2"}),
    (930, {"do": "service"}),
    (960, {"do": "plug"}),
    (1020, {"do": "unplug"}),
)
# A supply that failed comes back soon; the firmware starts once more at the end and judges what it finds.
BACK_S = range(2, 1040, 15)
END = ((1050.0, {"do": "reset"}), (1070.0, {"do": "contact", "closed": False}))
PARTS = 6


def run(cut_at_write: int) -> dict[str, Any]:
    """The report of the run with the supply failing at that flash operation (0: never)."""
    events = [*RUN, *END]
    if cut_at_write:
        events += [(second, {"do": "power", "on": True}) for second in BACK_S]
    events.sort(key=lambda event: event[0])
    script = [(round(second * 1000), request) for second, request in events]
    if cut_at_write:
        script.insert(0, (1000, {"do": "power", "at_write": cut_at_write}))
    result = campaign.play(3, SETTINGS, script)
    assert not result.failure, result.failure
    assert not result.broken, json.dumps(result.report, indent=1)[:6000]
    # Requests that found no supply were refused; what a later part of the run needs may be missing then.
    result.report["accepted"] = [
        request for number, (_, request) in enumerate(script) if number not in result.report["refused"]
    ]
    return result.report


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """The run without a cut."""
    return run(0)


def test_the_run_without_a_cut_does_what_is_cut_later(whole: dict[str, Any]):
    codes = whole["codes"]
    assert codes["card_added"] == 2 and codes["ended"] >= 4 and codes["fault_weld"] == 1
    assert codes["fault_residual_current"] == 1 and codes["latches_cleared"] == 1 and codes["changed"] >= 3
    assert whole["settings"]["name"] == "garage" and whole["totals"]["total_wh"] > 1000
    assert whole["writes"] > 100


@pytest.mark.parametrize("part", range(PARTS))
def test_no_cut_at_any_flash_operation_loses_anything(whole: dict[str, Any], part: int):
    cuts = 0
    for write in range(1 + part, whole["writes"] + 1, PARTS):
        report = run(write)
        if report["boots"] < 3:
            # Later than the last operation of this run, which may need fewer than the whole one.
            continue
        cuts += 1
        assert report["cards"]["setup"] == SETUP, write
        assert len(report["cards"]["charging"]) >= report["codes"].get("card_added", 0), write
        for key, value in expected(report).items():
            assert report["settings"][key] in value, (write, key)
        assert report["totals"]["sessions"] >= report["codes"].get("ended", 0), write
    assert cuts > 10


def expected(report: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Key -> the values allowed at the end; a change that was confirmed has to be there."""
    allowed: dict[str, tuple[Any, ...]] = {key: (SETTINGS[key],) for key in SETTINGS}
    allowed["restart_delay_max_s"] = (0,)
    for request in report["accepted"]:
        for key, value in request.get("set", {}).items():
            # One request may have been cut off half-way: then the old value is as good as the new one.
            cut_off = report["codes"].get("changed", 0) < sum("set" in other for other in report["accepted"])
            allowed[key] = (*allowed.get(key, (False, 80, "wallbox")), value) if cut_off else (value,)
    return allowed
