"""tools/simulate.py as a program: its answers to wrong options, signals, lost firmware, and foreign web pages."""

import asyncio
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from launched import SIMULATE, STOP_SECONDS
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus


def fails(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SIMULATE), *options], capture_output=True, text=True, timeout=30)


def children_of(number: int) -> list[int]:
    """The processes started by process `number` (proc(5))."""
    with open(f"/proc/{number}/task/{number}/children") as file:
        return [int(part) for part in file.read().split()]


def is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def status(url: str, **headers: str) -> tuple[int, str]:
    """HTTP status and content type."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_simulator_cleanly_with_its_children(launch, number):
    simulator = launch()
    simulator.found("wallbox (A1)")
    children = children_of(simulator.process.pid)
    assert children, "the firmware runs as a child"
    assert simulator.end(number) == 0
    assert not [child for child in children if is_alive(child)], "a child survived"
    assert simulator.errors() == ""


def test_the_firmware_ends_with_a_simulator_that_is_killed(launch):
    simulator = launch("--no-web")
    assert simulator.control
    children = children_of(simulator.process.pid)
    simulator.end(signal.SIGKILL)
    end = time.monotonic() + STOP_SECONDS
    while any(is_alive(child) for child in children):
        assert time.monotonic() < end, "the firmware survived"
        time.sleep(0.05)


def test_a_firmware_that_dies_is_reported_and_ends_the_simulator(launch):
    simulator = launch()
    simulator.found("wallbox (A1)")
    (firmware,) = children_of(simulator.process.pid)
    os.kill(firmware, signal.SIGKILL)
    assert simulator.process.wait(STOP_SECONDS) == 1
    assert "the firmware ended with exit code -9" in simulator.errors()


@pytest.mark.parametrize("option", ["--control", "--web"])
def test_a_port_in_use_is_named_with_the_way_out(option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        other = "--web" if option == "--control" else "--control"
        answer = fails(option, str(number), other, "0")
    assert answer.returncode == 1
    assert f"port {number}" in answer.stderr
    assert f"{option} PORT" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--control", "70000"), "allowed: 0..65535"),
        (("--web", "x"), "allowed: 0..65535"),
        (("--settings", "/nonexistent.json"), "cannot be read"),
        (("--ocpp", "http://x"), "allowed: ws://"),
        (("--seed", "one"), "invalid int value"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(options, part):
    answer = fails(*options)
    assert answer.returncode == 2
    assert part in answer.stderr


def test_settings_the_firmware_refuses_end_the_start_with_its_words(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"rated_a": 15}')
    answer = fails("--settings", str(path), "--control", "0", "--web", "0")
    assert answer.returncode == 1
    assert "rated_a: 15 is not allowed" in answer.stderr


def test_the_status_line_says_what_changes(launch):
    simulator = launch("--no-web")
    simulator.found("wallbox (A1)  blue")
    with socket.create_connection(("127.0.0.1", simulator.control), timeout=10) as control:
        control.sendall(b'{"do": "plug"}\n')
        assert json.loads(control.recv(4096))["ok"]
        simulator.found("wallbox (C2)  breathing blue")


def test_ctrl_c_on_a_terminal_leaves_the_cursor_on_a_new_line():
    master, slave = pty.openpty()
    try:
        command = [sys.executable, str(SIMULATE), "--control", "0", "--web", "0"]
        process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, close_fds=True
        )
        seen = read_until(master, b"A1  blue")
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_SECONDS) == 0
        seen += os.read(master, 4096)
        assert seen.endswith(b"\r\n"), seen[-80:]
        assert b"http://127.0.0.1:" in seen
    finally:
        os.close(master)
        os.close(slave)


def read_until(number: int, part: bytes) -> bytes:
    seen = b""
    end = time.monotonic() + STOP_SECONDS
    while part not in seen:
        assert time.monotonic() < end, seen
        seen += os.read(number, 4096)
    return seen


def test_files_have_their_types_and_nothing_outside_the_panel_is_served(launch):
    simulator = launch()
    root = simulator.url
    assert status(root) == (200, "text/html; charset=utf-8")
    assert status(root + "app.js") == (200, "text/javascript; charset=utf-8")
    assert status(root + "base.css") == (200, "text/css; charset=utf-8")
    assert status(root + "icon.svg") == (200, "image/svg+xml")
    for path in ("nothing.html", "../simulate.py", "%2e%2e/simulate.py", "..%2f..%2fMakefile", "/etc/passwd", "%00"):
        assert raw_status(simulator.web, "/" + path) == 404, path


def raw_status(number: int, path: str) -> int:
    """The status of a path sent as it is: urllib would tidy it up."""
    with socket.create_connection(("127.0.0.1", number), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{number}\r\n\r\n".encode())
        return int(connection.recv(4096).split()[1])


def test_a_foreign_page_can_neither_read_nor_drive_the_wallbox(launch):
    simulator = launch()
    assert status(simulator.url, Host="evil.example")[0] == 403
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{simulator.web}", "http://localhost:1"):
        with pytest.raises(InvalidStatus) as refused:
            asyncio.run(exchange(simulator.web, origin, {"do": "plug", "id": 1}))
        assert refused.value.response.status_code == 403, origin


async def exchange(number: int, origin: str, message: dict | str) -> dict:
    async with asyncio.timeout(STOP_SECONDS), connect(f"ws://127.0.0.1:{number}/socket", origin=origin) as connection:  # pyright: ignore[reportArgumentType]
        await connection.send(message if isinstance(message, str) else json.dumps(message))
        while True:
            answer = json.loads(await connection.recv())
            if answer["type"] == "answer":
                return answer


def test_a_page_may_ask_only_for_what_a_person_at_the_wallbox_could_do(launch):
    simulator = launch()
    origin = f"http://127.0.0.1:{simulator.web}"
    assert asyncio.run(exchange(simulator.web, origin, {"do": "plug", "id": 7})) == {
        "type": "answer",
        "id": 7,
        "ok": True,
        "answer": {},
    }
    for bad in (
        {"do": "quit", "id": 8},
        {"do": ["plug"], "id": 8},
        {"id": 8},
        "[1]",
        "not JSON",
        {"do": "plug", "x": 1},
    ):
        answer = asyncio.run(exchange(simulator.web, origin, bad))
        assert answer["ok"] is False, bad
        assert answer["error"], bad
    assert simulator.process.poll() is None


def test_data_is_kept_between_runs(launch, tmp_path):
    first = launch("--no-web", "--data", str(tmp_path / "flash"))
    with socket.create_connection(("127.0.0.1", first.control), timeout=10) as control:
        control.sendall(b'{"do": "settings", "set": {"name": "garage"}}\n')
        assert json.loads(control.recv(65536))["settings"]["name"] == "garage"
    assert first.end() == 0
    second = launch("--no-web", "--data", str(tmp_path / "flash"))
    with socket.create_connection(("127.0.0.1", second.control), timeout=10) as control:
        control.sendall(b'{"do": "settings"}\n')
        assert json.loads(control.recv(65536))["settings"]["name"] == "garage"
