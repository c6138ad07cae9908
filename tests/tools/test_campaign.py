"""The campaign: what it tells is repeatable, a sound firmware survives it, and a seeded bug does not."""

import shutil
import subprocess
import sys
from pathlib import Path

import campaign
import pytest

from simulator import ROOT

DAY_H = 24


def test_a_seed_tells_the_same_story_every_time():
    assert campaign.tell(5, DAY_H) == campaign.tell(5, DAY_H)
    assert campaign.tell(5, DAY_H) != campaign.tell(6, DAY_H)


def test_the_requests_of_a_story_come_in_order_and_end_with_its_time():
    _, script = campaign.tell(8, 10 * DAY_H)
    times = [at_ms for at_ms, _ in script]
    assert times == sorted(times)
    assert times[-1] == 10 * DAY_H * 3_600_000
    kinds = {request["do"] for _, request in script}
    assert {"plug", "unplug", "tap", "fault", "clear", "power", "crash", "settings"} <= kinds


def test_the_same_seed_gives_the_same_report():
    first, second = campaign.one(11, DAY_H)[1], campaign.one(11, DAY_H)[1]
    assert first.report == second.report
    assert first.report["hours"] == pytest.approx(DAY_H, abs=0.01)


def test_a_week_of_several_boxes_breaks_nothing(capsys: pytest.CaptureFixture[str]):
    assert campaign.campaign([101, 102, 103], 2 * DAY_H, jobs=1) == 0
    text = capsys.readouterr().out
    assert "charger-days" in text and "violations                                                      0" in text


@pytest.mark.parametrize(
    ("file", "before", "after", "violated", "shrink", "most"),
    [
        # An offer is rounded up instead of down.
        ("charging/pilot.py", "MAX_OFFER_MA) // 60", "MAX_OFFER_MA) // 60 + 1", "offer above limit", 0, 400),
        # Leaving state C is filtered as slowly as entering it.
        ("charging/pilot.py", "_LEAVE_MS = const(20)", "_LEAVE_MS = const(500)", "open late", 250, 12),
        # A car is not asked first when its session is stopped.
        ("charging/states.py", "HOLD, CLOSE, OPEN, OPEN", "OPEN, CLOSE, OPEN, OPEN", "opened under load", 0, 400),
        # A car that will not wake is kept in state F.
        ("charging/wakeup.py", "PULSE_S = (0, 4, 30)", "PULSE_S = (0, 40, 300)", "wake-up too long", 0, 400),
        # A session goes on when its car leaves.
        ("charging/session.py", "self._end(UNPLUGGED)", "self._changed()", "authorised without a car", 0, 400),
    ],
)
def test_a_seeded_bug_is_found_and_its_script_is_shrunk(tmp_path: Path, file, before, after, violated, shrink, most):
    for folder in ("firmware", "boards", "tools"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    path = tmp_path / "firmware/wallbox" / file
    text = path.read_text()
    assert text.count(before) == 1, "the bug's place has moved"
    path.write_text(text.replace(before, after))
    command = [sys.executable, "tools/campaign.py", "--seeds", "4", "--hours", str(DAY_H), "--jobs", "1"]
    command += ["--shrink", str(shrink)]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert violated in answer.stdout
    shown = answer.stdout.partition("smallest script that shows it: ")[2]
    assert 1 <= int(shown.split()[0]) <= most, answer.stdout
