"""Measures every time limit on the whole firmware in virtual time and writes docs/timing.md: `make timing`."""

import argparse
import contextlib
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import flash_time
from flash_time import table
from generated import write_block
from reaction import ROOT, Traced
from timing_rows import PROTECTION, ROWS, SEQUENCES, Row

DOCUMENT = ROOT / "docs" / "timing.md"
HEADS = ("sequence", "what", "required", "measured, worst", "margin", "trials")
# Component tolerances and chance; a row whose trials each need a box of their own takes another for each.
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Figure:
    """What the trials of a row gave: shortest and longest."""

    low: int
    high: int
    trials: int

    def kept(self, row: Row) -> bool:
        """Whether every trial is within the row's limits."""
        return (row.limit_ms is None or self.high <= row.limit_ms) and (
            row.floor_ms is None or self.low >= row.floor_ms
        )

    def worst(self, row: Row) -> str:
        """The figure that decides, with its unit."""
        if row.floor_ms is None:
            return f"{self.high} {row.unit}"
        return f"{self.low} {row.unit}" if row.limit_ms is None else f"{self.low}..{self.high} {row.unit}"

    def margin(self, row: Row) -> str:
        """What is left to the nearest limit."""
        left = [row.limit_ms - self.high] if row.limit_ms is not None else []
        left += [self.low - row.floor_ms] if row.floor_ms is not None else []
        return f"{min(left)} {row.unit}" if left else "-"


# Measuring


def trials(row: Row, seeds: Sequence[int], moments: Sequence[int]) -> list[int | None]:
    """Every trial of a row: in one box a seed when it can be brought to rest, else each in its own."""
    assert row.trial is not None
    found: list[int | None] = []
    with contextlib.ExitStack() as stack:
        for seed in seeds:
            box = None
            for index, moment in enumerate(moments):
                if box is None or row.rest is None:
                    stack.close()
                    number = seed if row.rest else seed + index
                    box = Traced(seed=number, late_ms=row.late_ms, settings=row.settings or None)
                    stack.enter_context(box)
                row.prepare(box)
                found.append(row.trial(box, moment))
                if row.rest is not None:
                    row.rest(box)
    return found


def measure(row: Row, seeds: Sequence[int] = SEEDS, moments: Sequence[int] | None = None) -> Figure:
    """The row's figure; SystemExit when what is awaited never comes."""
    if row.rest is None or row.late_ms is not None:
        seeds = seeds[:1]
    found = trials(row, seeds, moments or row.moments)
    if None in found:
        raise SystemExit(f"timing: {row.key}: {row.what}: it never came in {found.count(None)} of {len(found)} trials")
    values = [value for value in found if value is not None]
    return Figure(min(values), max(values), len(values))


# The document


def line(row: Row, figure: Figure | None) -> tuple[str, ...]:
    """A row of the document's table."""
    if figure is None:
        return row.key, row.what, row.required, row.note, "-", "-"
    margin = figure.margin(row)
    if not figure.kept(row):
        margin = f"**not kept: {margin}**"
    if row.excuse and not figure.kept(row):
        margin += f"; {row.excuse}"
    return row.key, row.what, row.required, figure.worst(row), margin, str(figure.trials)


def documented(path: Path = DOCUMENT) -> dict[str, tuple[str, ...]]:
    """The cells of each row in the document, by the row's key."""
    keys = {row.key for row in ROWS}
    lines = [[cell.strip() for cell in text.strip("|").split("|")] for text in path.read_text().splitlines()]
    return {cells[0]: tuple(cells) for cells in lines if len(cells) == len(HEADS) and cells[0] in keys}


def span(measured: str) -> tuple[int, int]:
    """Shortest and longest of what a row's cell says was measured; both the same when it names one figure."""
    numbers = [int(number) for number in re.findall(r"\d+", measured)]
    return numbers[0], numbers[-1]


def measured(rows: Sequence[Row], missed: list[str]) -> list[str]:
    """Measure rows and return their table; what is not kept without an excuse is added to `missed`."""
    lines = []
    for row in rows:
        figure = measure(row) if row.trial else None
        if figure is not None and not figure.kept(row) and not row.excuse:
            missed.append(row.key)
        lines.append(line(row, figure))
        print(f"  {row.key:<22} {lines[-1][3]:<24} margin {lines[-1][4]}", flush=True)
    return table(HEADS, lines)


def everything(missed: list[str]) -> list[str]:
    """The generated part of the document."""
    lines = ["## Sequences of IEC 61851-1, table A.6", ""]
    lines += measured(SEQUENCES, missed)
    lines += ["", "## Protection and energy", ""]
    lines += measured(PROTECTION, missed)
    for title, make in (
        ("## What writing to flash takes", flash_time.write_operations),
        ("## When flash is written", flash_time.write_story),
        ("## What a pause of the event loop does", flash_time.write_pauses),
        ("## The whole firmware on a flash that takes its time", flash_time.write_slow_flash),
    ):
        print(title.removeprefix("## "), flush=True)
        lines += ["", title, ""] + make()
    return lines


def main() -> int:
    """Measure all and rewrite the document, or print the rows named; 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", nargs="*", help="only these, without rewriting the document")
    names = parser.parse_args().row
    unknown = set(names) - {row.key for row in ROWS}
    if unknown:
        parser.error(f"row: {', '.join(unknown)}: not known; allowed: {', '.join(row.key for row in ROWS)}")
    begin = time.monotonic()
    missed: list[str] = []
    if names:
        measured([row for row in ROWS if row.key in names], missed)
    else:
        write_block(DOCUMENT, "timing", everything(missed))
    print(f"{time.monotonic() - begin:.0f} s" + (f"; limits missed: {', '.join(missed)}" if missed else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
