"""Boards are exchangeable: a module of `hal` offers the same calls on each, whatever is behind them."""

import ast
from pathlib import Path

import pytest

BOARDS = Path(__file__).parents[2] / "boards"
HERE, CHIP = BOARDS / "simulator" / "hal", BOARDS / "esp32s3" / "hal"
# Its link is called by the radio as well, which is another one on each board; test_esp32s3_ble.py tests it.
OWN = {"__init__", "ble"}
SHARED = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in OWN and (CHIP / path.name).exists())


def calls(path: Path) -> set[str]:
    """Public functions and methods of a module with their arguments, but for ticks_ms, which may be a name only."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else [node]
        owner = node.name + "." if isinstance(node, ast.ClassDef) else ""
        for function in inner:
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                how = "async " if isinstance(function, ast.AsyncFunctionDef) else ""
                if not function.name.startswith("_") or function.name == "__init__":
                    arguments = ", ".join(argument.arg for argument in function.args.args)
                    found.add(f"{how}{owner}{function.name}({arguments})")
    return found - {"ticks_ms()"}


def test_the_boards_share_what_the_control_loop_and_the_panel_need():
    assert {"pilot", "contactor", "rcm", "supply", "leds", "buzzer", "reader", "rs485", "flash", "clock"} <= set(SHARED)


@pytest.mark.parametrize("name", SHARED)
def test_what_the_simulated_board_offers_the_chip_offers_too(name: str):
    assert not calls(HERE / f"{name}.py") - calls(CHIP / f"{name}.py")
