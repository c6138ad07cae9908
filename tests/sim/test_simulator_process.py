"""The simulator as a process: options, flash image, console, signals, and firmware that fails."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from simulator import MICROPYTHON, ROOT, RUN, Simulator


def run(*options: str, root: Path = ROOT, seconds: float = 20) -> subprocess.CompletedProcess[str]:
    """Start the simulator without a client and wait for its end."""
    command = [str(MICROPYTHON), "-X", "heapsize=8M", RUN, "--control", "0", *options]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=seconds)


def copied(folder: Path) -> Path:
    """A copy of firmware and board, to be broken."""
    for part in ("firmware", "boards"):
        shutil.copytree(ROOT / part, folder / part)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def started_from(root: Path, options: tuple[str, ...] = ()) -> Simulator:
    """A simulator on the copy in `root`, not started yet."""
    box = Simulator(options=options)
    box._command[box._command.index(RUN)] = str(root / RUN)
    return box


def test_the_flash_is_kept_between_runs_in_the_data_folder(simulator, tmp_path):
    data = tmp_path / "box"
    first = simulator(data=data)
    first.settings(name="kept", rated_a=10)
    first.power(on=False)
    first.stop()
    assert (data / "flash.bin").stat().st_size == 128 * 4096
    second = simulator(data=data, settings={"name": "ignored"})
    assert second.settings()["name"] == "kept" and second.settings()["rated_a"] == 10
    assert "is in use" in second.stderr()


def test_only_the_announcement_is_written_to_stdout(simulator):
    box = simulator()
    box.plug()
    box.advance(30)
    box.reset()
    box.advance(5)
    box.request("quit")
    assert box.wait_exit() == 0
    assert list(box.output) == [f"control 127.0.0.1:{box.port}"]


def test_what_the_firmware_prints_goes_to_stderr_or_nowhere(tmp_path):
    root = copied(tmp_path)
    main = root / "firmware" / "main.py"
    main.write_text("print('hello console')\n" + main.read_text())
    for options, shown in (((), True), (("--quiet",), False)):
        with started_from(root, options) as box:
            box.request("quit")
            assert box.wait_exit() == 0
            assert ("hello console" in box.stderr()) is shown
            assert list(box.output) == [f"control 127.0.0.1:{box.port}"]


def test_quit_ends_it_even_without_supply(simulator):
    box = simulator()
    box.power(on=False)
    box.request("quit")
    assert box.wait_exit() == 0


@pytest.mark.parametrize("virtual", [True, False])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_ends_it_at_once(simulator, virtual, number, code):
    box = simulator(virtual=virtual)
    box.state()
    os.kill(box._process.pid, number)
    assert box.wait_exit() == code
    assert "Traceback" not in box.stderr()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--bogus",), "--bogus"),
        (("--control", "-1"), "0..65535"),
        (("--control", "web"), "web"),
        (("--seed", "-1"), "--seed: -1"),
        (("--exact",), "--virtual"),
        (("--virtual", "--rs485", "/dev/null"), "--rs485"),
        (("--ocpp", "http://x"), "ws://"),
        (("--settings", "/nonexistent.json"), "/nonexistent.json"),
        (("--data", "/proc/nowhere"), "/proc/nowhere"),
    ],
)
def test_a_wrong_option_is_an_error_that_says_what_is_allowed(options, words):
    ended = run(*options)
    assert ended.returncode == 2
    assert words in ended.stderr and "Traceback" not in ended.stderr
    assert "control " not in ended.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "JSON"),
        ("[1]", "object"),
        ('{"rated_a": 15}', "allowed: 0, 6, 10"),
        ('{"rated": 16}', "rated_a"),
        ('{"meter_model": "none"}', "load_optimisation"),
        ('{"phases": null}', "phases"),
    ],
)
def test_wrong_settings_of_the_first_start_are_an_error(tmp_path, content, words):
    path = tmp_path / "settings.json"
    path.write_text(content)
    ended = run("--settings", str(path))
    assert ended.returncode == 2 and words in ended.stderr and ended.stdout == ""
    assert "Traceback" not in ended.stderr


def test_a_damaged_image_file_is_refused(tmp_path):
    (tmp_path / "flash.bin").write_bytes(b"too short")
    ended = run("--data", str(tmp_path))
    assert ended.returncode == 2 and "flash.bin" in ended.stderr


def test_a_port_in_use_is_an_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = run("--control", str(taken.getsockname()[1]))
    assert ended.returncode == 2 and "--control" in ended.stderr


def test_a_firmware_that_always_fails_is_given_up_after_five_starts(tmp_path):
    root = copied(tmp_path)
    (root / "firmware" / "main.py").write_text("raise RuntimeError('broken on purpose')\n")
    ended = run("--virtual", root=root)
    assert ended.returncode == 1
    assert ended.stderr.count("RuntimeError: broken on purpose") == 5


def test_a_firmware_that_fails_once_is_restarted_with_a_traceback(tmp_path):
    root = copied(tmp_path)
    main = root / "firmware" / "main.py"
    fuse = tmp_path / "failed"
    main.write_text(
        f"import os\ntry:\n    os.stat({str(fuse)!r})\nexcept OSError:\n"
        f"    open({str(fuse)!r}, 'w').close()\n    raise RuntimeError('once')\n" + main.read_text()
    )
    with started_from(root) as box:
        box.advance(5)
        assert box.state()["pilot"]["state"] == "A1"
        assert box.stderr().count("RuntimeError: once") == 1
        assert box.log(code="start")[-1]["boot"] == 2


def test_the_watchdog_restarts_a_firmware_that_stops_feeding_it(tmp_path):
    root = copied(tmp_path)
    main = root / "firmware" / "main.py"
    deaf = "class Deaf:\n    def feed(self):\n        return\n\n\napp = App()\napp.supervisor._watchdog = Deaf()\n"
    main.write_text(main.read_text().replace("app = App()\n", deaf))
    with started_from(root) as box:
        box.advance(1.9)
        assert box.state()["uptime_ms"] == 1900
        box.advance(0.2)
        assert box.state()["uptime_ms"] == 100
        assert box.log(code="start")[-1]["text"].endswith("watchdog")


def test_ocpp_configuration_keys_of_the_settings_are_stored_as_texts(simulator, tmp_path):
    wanted = {"HeartbeatInterval": 30, "LocalPreAuthorize": True, "StopTxnSampledData": ["Voltage", "Power.Offered"]}
    with simulator(settings={"name": "box", "ocpp": wanted}, data=tmp_path) as box:
        assert box.settings()["name"] == "box"
    image = (tmp_path / "flash.bin").read_bytes()
    for text in (b'"HeartbeatInterval": "30"', b'"LocalPreAuthorize": "true"', b'"Voltage,Power.Offered"'):
        assert text in image
    bad = tmp_path / "bad.json"
    for value in ("3", '{"HeartbeatInterval": 1.5}'):
        bad.write_text(f'{{"ocpp": {value}}}')
        ended = run("--settings", str(bad))
        assert ended.returncode == 2 and "ocpp: " in ended.stderr and "allowed: " in ended.stderr
