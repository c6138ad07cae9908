"""The tool of the self-test, with a process in mpremote's place: a script of lines, or the stand-in of a board."""

import json
import os
import pty
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path

import pytest
import selftest
from selftest import Echo, Person, SelftestError, main

ROOT = Path(__file__).resolve().parents[2]
ABOUT = {"serial": "WB-348518123456", "mac": "348518123456", "interpreter": "v1.29.0", "board": "wallbox-s3-1"}
PLAN = [
    {"part": "pins", "prepare": "12 V on.", "needs": []},
    {"part": "meter", "prepare": "", "needs": [["volts_l1", "Volts L1"]]},
    {"part": "leds", "prepare": "", "needs": []},
    {"part": "rtc", "prepare": "", "needs": [["utc", "UTC"]]},
]
GOOD = {"step": "pins.PUMP", "ok": True, "measured": 0, "expected": 0, "unit": ""}
LEDS = {"step": "leds.colours", "ok": None, "measured": "", "expected": "red", "unit": "", "ask": "Was it red?"}
VOLTS = {"step": "meter.volts_l1", "ok": True, "measured": 230_100, "expected": "225400 to 234600", "unit": "mV"}
RTC = {"step": "rtc.runs", "ok": True, "measured": 2, "expected": "2 to 3", "unit": "s"}
# Stands in for mpremote: keeps its arguments, prints the lines of the part, and ends, hangs or fails as it is told.
FAKE = """
import json, re, sys, time
from pathlib import Path
folder = Path(__file__).parent
with (folder / "calls").open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
scene = json.loads((folder / "scene").read_text())
print("Local directory is mounted at /remote")
call = sys.argv[-1].splitlines()[-1]
part = re.search(r"run\\('(\\w+)'", call)
key = part[1] if part else "safe" if "safe" in call else "plan"
for line in scene[key]:
    if line == "hang":
        time.sleep(60)
    elif line == "die":
        print("OSError: device disconnected")
        sys.exit(1)
    else:
        print(json.dumps(line), flush=True)
"""


class Bench:
    """The tool with a board that says what `scene` holds, and a person who gives `answers` in turn."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.program = folder / "mpremote.py"
        self.program.write_text(FAKE)
        self.port = folder / "port"
        self.port.touch()
        self.scene = {
            "plan": [ABOUT, *PLAN],
            "pins": [GOOD],
            "meter": [VOLTS],
            "leds": [LEDS],
            "rtc": [RTC],
            "safe": [],
        }
        self.answers = ["", "230", "y"]
        self.asked: list[str] = []

    def _ask(self, text: str) -> str:
        self.asked.append(text)
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)

    def run(self, *arguments: str) -> int:
        (self.folder / "scene").write_text(json.dumps(self.scene))
        command = ["--port", str(self.port), "--reports", str(self.folder / "reports"), *arguments]
        return main(command, [sys.executable, str(self.program)], Person(self._ask))

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]

    def report(self) -> dict:
        (path,) = (self.folder / "reports").iterdir()
        return json.loads(path.read_text())


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_good_board_passes_and_its_report_says_what_was_tested(bench):
    assert bench.run("--by", "A. Jansen") == 0
    report = bench.report()
    assert {key: report[key] for key in ABOUT} == ABOUT
    assert report["passed"] is True and report["failed"] == [] and report["skipped"] == []
    assert report["by"] == "A. Jansen" and report["software"] and report["began"] <= report["ended"]
    answered = {"step": "leds.colours", "ok": True, "measured": "yes", "expected": "red", "unit": ""}
    assert report["steps"] == [GOOD, VOLTS, answered, RTC]
    (path,) = (bench.folder / "reports").iterdir()
    assert path.name.startswith("WB-348518123456-2")


def test_each_part_is_run_on_the_port_with_this_folder_mounted_and_with_what_it_needs(bench):
    bench.run()
    calls = bench.calls()
    assert all(call[:5] == ["connect", str(bench.port), "mount", str(ROOT), "exec"] for call in calls)
    last = [call[-1].splitlines()[-1] for call in calls]
    assert last[1] == "selftest.run('pins', {})"
    assert last[2] == "selftest.run('meter', {'volts_l1': '230'})"
    utc = int(last[4].split("'")[-2])
    assert abs(utc - time.time()) < 60


def test_a_step_that_failed_is_shown_and_ends_in_exit_code_1(bench, capsys):
    bench.scene["pins"] = [{**GOOD, "ok": False, "measured": 1}]
    assert bench.run() == 1
    assert bench.report()["passed"] is False and bench.report()["failed"] == ["pins.PUMP"]
    out = capsys.readouterr().out
    assert "FAIL pins.PUMP" in out and "ok   rtc.runs" in out and "3 of 4 steps passed" in out


def test_what_the_person_denies_has_failed(bench):
    bench.answers = ["", "230", "perhaps", "n"]
    assert bench.run() == 1
    assert bench.report()["failed"] == ["leds.colours"]
    assert bench.report()["steps"][2]["measured"] == "no"


def test_volts_that_are_no_number_are_asked_for_again(bench):
    bench.answers = ["", "much", "231,5", "231.5", "y"]
    assert bench.run() == 0
    assert "{'volts_l1': '231.5'}" in bench.calls()[2][-1]


def test_a_part_that_is_left_out_is_named_in_the_report(bench):
    bench.answers = ["s", "230", "y"]
    assert bench.run("--skip", "rtc") == 0
    assert bench.report()["skipped"] == ["pins", "rtc"]


def test_one_part_alone_can_be_repeated(bench):
    bench.answers = []
    assert bench.run("--only", "rtc") == 0
    assert [step["step"] for step in bench.report()["steps"]] == ["rtc.runs"]


def test_a_part_that_does_not_exist_is_refused(bench, capsys):
    assert bench.run("--only", "toaster") == 2
    assert "'toaster' is not allowed; allowed: pins, meter" in capsys.readouterr().err


def test_a_board_that_is_lost_amid_a_part_fails_it_is_switched_off_and_the_rest_goes_on(bench):
    bench.scene["pins"] = [GOOD, "die"]
    assert bench.run() == 1
    assert bench.report()["failed"] == ["pins.board"]
    assert bench.report()["steps"][0]["measured"] == "OSError: device disconnected"
    assert "selftest.safe(" in bench.calls()[2][-1]
    assert len(bench.report()["steps"]) == 4


def test_a_board_that_hangs_is_given_up_and_switched_off(bench, monkeypatch):
    monkeypatch.setattr(selftest.Board.run, "__defaults__", (1.0,))
    bench.scene["meter"] = [VOLTS, "hang"]
    assert bench.run() == 1
    assert bench.report()["failed"] == ["meter.board"]
    assert [call[-1].splitlines()[-1][:14] for call in bench.calls()][3] == "selftest.safe("


def test_ctrl_c_amid_a_part_switches_the_board_off(bench, monkeypatch):
    def broken_off(lines):
        next(lines)
        lines.close()
        raise KeyboardInterrupt

    bench.scene["pins"] = [GOOD, "hang"]
    monkeypatch.setattr(selftest, "list", broken_off, raising=False)
    assert bench.run() == 2
    assert "selftest.safe(" in bench.calls()[-1][-1]
    assert not (bench.folder / "reports").exists()


def test_without_a_board_or_a_person_nothing_is_reported(bench, capsys, monkeypatch):
    bench.answers = []
    assert bench.run() == 2
    assert "nobody answers" in capsys.readouterr().err
    bench.scene["plan"] = ["die"]
    assert bench.run() == 2
    assert "device disconnected" in capsys.readouterr().err
    monkeypatch.setattr(selftest, "PORT_TIMEOUT_S", 0.3)
    bench.port.unlink()
    assert bench.run() == 2
    assert "port is not there" in capsys.readouterr().err
    assert not (bench.folder / "reports").exists()


def test_a_port_that_comes_back_after_the_supply_was_cut_is_waited_for(bench):
    bench.port.unlink()
    timer = threading.Timer(0.5, bench.port.touch)
    timer.start()
    assert bench.run() == 0
    timer.join()


def test_a_report_is_never_written_over(tmp_path, monkeypatch):
    monkeypatch.setattr(selftest, "now", lambda: selftest.datetime.datetime(2026, 11, 25))
    assert selftest.write({"serial": "WB-1"}, tmp_path).name == "WB-1-20261125T000000.json"
    with pytest.raises(FileExistsError):
        selftest.write({"serial": "WB-1"}, tmp_path)


def test_the_second_adapter_sends_back_what_it_hears():
    ours, theirs = pty.openpty()
    tty.setraw(ours)
    try:
        with Echo(os.ttyname(theirs)):
            os.write(ours, b"\x55\xaawallbox")
            heard = b""
            while len(heard) < 9:
                heard += os.read(ours, 16)
    finally:
        os.close(ours)
        os.close(theirs)
    assert heard == b"\x55\xaawallbox"


def test_make_tells_how_to_name_the_port():
    found = subprocess.run([sys.executable, ROOT / "tools/selftest.py", "--port", ""], capture_output=True, text=True)
    assert found.returncode == 2 and "make selftest PORT=/dev/ttyACM0" in found.stderr


# The stand-in of the whole board, in place of the interpreter on it: the code is run as mpremote would.
STAND_IN = """
import subprocess, sys
root, code = sys.argv[-3], sys.argv[-1]
folders = ("firmware", "firmware/lib", "boards/simulator", "tests/unit", ".venv/micropython")
program = "import sys; sys.path[:0] = %r\\n" % [root + "/" + name for name in folders]
# Without mains the poles' sense stays dark.
program += "import selftest_bench; bench = selftest_bench.Bench(); bench.coil._live_bits = (0, 0, 0)\\n"
program += code.replace("/remote", root)
sys.exit(subprocess.run([root + "/.venv/bin/micropython", "-c", program], cwd=root).returncode)
"""


def test_tool_and_self_test_fit_together(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_TMP", str(tmp_path))
    program = tmp_path / "mpremote.py"
    program.write_text(STAND_IN)
    arguments = ["--port", "COM1", "--reports", str(tmp_path / "reports")]
    for part in ("pins", "rcm", "meter", "contactor", "leds", "rtc", "flash", "rs485", "nvs"):
        arguments += ["--only", part]
    answers = iter(["", "", "0", "0", "0", "", "y", "y", "y", "", "", "y"])
    assert main(arguments, [sys.executable, str(program)], Person(lambda _text: next(answers))) == 0
    (path,) = (tmp_path / "reports").iterdir()
    report = json.loads(path.read_text())
    assert report["serial"] == "WB-348518123456" and report["passed"] and len(report["steps"]) > 40


def test_a_question_that_nobody_answers_ends_the_tool():
    def gone(_text):
        raise EOFError

    with pytest.raises(SelftestError, match="nobody answers"):
        Person(gone).yes("Is it red?")
