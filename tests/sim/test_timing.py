"""Time limits on the whole firmware: a quick part of `make timing`, and what docs/timing.md says about all of it."""

import flash_time
import pytest
import timing
from generated import markers, write_block
from reaction import Traced, charge, reaction_ms
from timing_rows import INSTALLED, LOOP_MS, ROWS, leave, off

BY_KEY = {row.key: row for row in ROWS}
# The worst moments: right after a tick, in the middle, right before one.
MOMENTS = (0, 4, 9)
BUSY_MOMENTS = (0, 3, 6, 9) * 3
# The rows whose failing would hurt most.
QUICK = ("2.2", "2.2 in C1", "4 at once", "8.1", "8.1 busy", "8.2", "10.2", "11", "12", "A.5")
QUICK += ("leak AC 150 mA", "leak DC 6 mA alone", "weld", "earth", "diode at rest")


@pytest.mark.parametrize("key", QUICK)
def test_is_as_quick_as_required_and_as_documented(key):
    row = BY_KEY[key]
    moments = BUSY_MOMENTS if row.late_ms else [moment for moment in MOMENTS if moment in row.moments]
    figure = timing.measure(row, seeds=(1,), moments=moments)
    assert figure.kept(row), f"measured {figure}, required {row.required}"
    low, high = timing.span(timing.documented()[key][3])
    if row.limit_ms is not None:
        assert figure.high <= high, f"measured {figure}, documented {high}; run `make timing`"
    if row.floor_ms is not None:
        assert figure.low >= low, f"measured {figure}, documented {low}; run `make timing`"


def test_the_document_has_every_row_as_it_is_measured():
    documented = timing.documented()
    assert list(documented) == [row.key for row in ROWS], "run `make timing`"
    for row in ROWS:
        assert documented[row.key][1:3] == (row.what, row.required), "run `make timing`"


def test_a_documented_limit_that_is_not_kept_has_its_reason_beside_it():
    for row in ROWS:
        cells = timing.documented()[row.key]
        if row.trial is None:
            assert cells[3] == row.note and row.note
            continue
        low, high = timing.span(cells[3])
        kept = timing.Figure(low, high, 1).kept(row)
        assert kept or row.excuse and row.excuse in cells[4], row.key


def test_a_loop_that_stands_still_is_seen_by_the_measure():
    """A measure that cannot find a slow reaction proves nothing."""

    def leave_and_stand(box):
        leave(box)
        box.pause(200)

    with Traced(late_ms=0, settings=INSTALLED) as box:
        charge(box)
        taken = reaction_ms(box, 0, leave_and_stand, "live", off, 1)
    assert taken is not None and 200 < taken <= 200 + 6 * LOOP_MS


def test_what_never_happens_is_no_figure():
    with Traced(settings=INSTALLED) as box:
        charge(box)
        assert reaction_ms(box, 0, lambda box: None, "live", off, 1) is None
        assert reaction_ms(box, 5, leave, "duty", lambda permille: permille == 0, 1) is None


def test_the_moment_of_an_act_is_counted_from_a_tick():
    taken = []
    with Traced(settings=INSTALLED) as box:
        for moment in (9, 0, 7):
            charge(box)
            taken.append(reaction_ms(box, moment, leave, "command", off, 1))
            box.unplug()
            box.advance(3)
    # Two more ticks after the one that sees the car leave.
    assert taken == [3 * LOOP_MS - moment for moment in (9, 0, 7)]


def test_writing_to_flash_costs_no_more_than_documented():
    documented = {}
    for text in timing.DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        documented[cells[0]] = cells
    for name, costs in flash_time.count_operations().items():
        erases, pages = timing.span(documented[name][5])
        allowed = flash_time.milliseconds((pages, erases), flash_time.TYPICAL_US)
        taken = max(flash_time.milliseconds(cost, flash_time.TYPICAL_US) for cost in costs)
        assert taken <= allowed, f"{name}; run `make timing`"


def test_the_document_is_rewritten_between_its_markers_only(tmp_path):
    path = tmp_path / "timing.md"
    begin, end = markers("timing")
    path.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    write_block(path, "timing", ["new"])
    assert path.read_text() == f"before\n{begin}\n\nnew\n\n{end}\nafter\n"
    path.write_text("no markers")
    with pytest.raises(SystemExit, match="markers"):
        write_block(path, "timing", ["new"])
