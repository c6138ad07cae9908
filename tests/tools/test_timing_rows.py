"""Every row of docs/timing.md can be measured at its first moment, and is kept; `make timing` takes them all."""

import pytest
import timing
from timing_rows import PROTECTION, SEQUENCES, Row

MEASURED = [row for row in (*SEQUENCES, *PROTECTION) if row.trial is not None]


@pytest.mark.parametrize("row", MEASURED, ids=[row.key for row in MEASURED])
def test_each_time_limit_is_measured_and_kept_or_excused(row: Row):
    figure = timing.measure(row, seeds=(1,), moments=row.moments[:1])
    assert figure.kept(row) or row.excuse, f"{row.what}: {figure}"


def test_a_limit_that_is_not_kept_is_told():
    row = next(row for row in MEASURED if row.key == "8.1")
    assert row.limit_ms == 100
    assert timing.Figure(0, 100, 1).kept(row) and not timing.Figure(0, 101, 1).kept(row)
