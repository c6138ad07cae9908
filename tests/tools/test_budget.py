"""The firmware keeps to the board's budget, and the measure notices when it does not."""

import tomllib

import budget
import pytest

BUDGET = tomllib.loads((budget.BOARD / "budget.toml").read_text())
HOURS = 1


def life(used: int = 100_000, free: int = 30_000, ready_us: int = 10_000) -> budget.Life:
    return budget.Life(0, ready_us, [budget.Hour(0, used, free), budget.Hour(1, used, free)])


def missed(found: budget.Life, sizes: dict[str, int] | None = None, image_bytes: int = 300_000) -> list[str]:
    return [row.name for row in budget.judged(found, sizes or {}, image_bytes, BUDGET) if not row.kept]


def test_what_keeps_to_the_budget_misses_nothing() -> None:
    assert missed(life()) == []


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (life(used=BUDGET["heap"]["day_bytes"] + 1), "most within"),
        (life(used=BUDGET["heap"]["start_bytes"] + 1), "after the start"),
        (life(free=BUDGET["heap"]["free_block_bytes"] - 1), "largest free piece"),
        (life(ready_us=BUDGET["start"]["ready_ms"] * 1000), "first look at the pilot"),
    ],
)
def test_more_than_the_budget_is_told(found: budget.Life, word: str) -> None:
    assert any(word in name for name in missed(found))


def test_a_package_that_has_grown_is_told() -> None:
    limit = BUDGET["flash"]["packages"]["wallbox.energy"]
    assert missed(life(), {"wallbox/energy/load.mpy": limit + 1}) == ["`wallbox.energy`"]
    assert missed(life(), {"wallbox/energy/load.mpy": limit // 2, "wallbox/energy/maps/a.mpy": limit // 2}) == []


def test_an_image_that_fits_no_slot_is_told() -> None:
    assert missed(life(), image_bytes=BUDGET["flash"]["image_bytes"] + 1) == ["image of the firmware"]


def test_the_board_collects_as_often_as_the_measure_does() -> None:
    text = (budget.BOARD / "frozen" / "main.py").read_text()
    assert f"_COLLECT_BYTES = const({BUDGET['heap']['collect_bytes']:_})" in text


def test_the_firmware_keeps_to_it_for_an_hour() -> None:
    rows, lived, sizes = budget.measure(HOURS, second=False)
    assert [hour.hour for hour in lived.hours] == [0, 1]
    assert {"wallbox/app.mpy", "hal/pilot.mpy", "ocpp/link.mpy"} <= set(sizes)
    # How long the start took depends on what else this computer does.
    assert [row.cells() for row in rows if not row.kept and row.unit == "bytes"] == []
