"""The installer's command line in this process, against a small wallbox: results, JSON, errors, exit codes, secrets."""

import argparse
import asyncio
import json
import os
import pty
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from contract_box import EXPERT, PASSKEY, ContractBox, serve_websocket

from installer import cli, completion, files
from installer.commands import records
from installer.errors import EXIT_CODES, FileError, Refused, UsageError, ValueRefused
from installer.options import build
from installer.schema import Schema, allowed_text
from installer.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]


class Bench:
    """A wallbox that is served from a thread, and the command line in front of it."""

    def __init__(self, capsys):
        self.box = ContractBox()
        self._capsys = capsys
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server, self.url = asyncio.run_coroutine_threadsafe(serve_websocket(self.box), self._loop).result(10)

    async def _end(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def run(self, *arguments: str) -> tuple[int, str, str]:
        code = cli.main([*arguments, "--ws", self.url])
        return code, *self._capsys.readouterr()


@pytest.fixture
def bench(capsys, monkeypatch):
    for name in list(os.environ):
        if name.startswith("WALLBOX_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WALLBOX_PASSKEY", PASSKEY)
    monkeypatch.setenv("WALLBOX_EXPERT_PASSWORD", EXPERT)
    bench = Bench(capsys)
    yield bench
    bench.close()


# -- results and errors ------------------------------------------------------------------------------------


def test_a_result_is_text_or_one_line_of_json_on_stdout(bench):
    assert bench.run("why") == (0, "Ready: no car is plugged in.\n  who    wallbox\n  code   no_car\n", "")
    code, out, err = bench.run("why", "--json")
    assert (code, err, out.count("\n"), json.loads(out)["code"]) == (0, "", 1, "no_car")


@pytest.mark.parametrize(
    "arguments",
    [
        ("hello",),
        ("why",),
        ("faults",),
        ("settings", "get"),
        ("settings", "set", "name=Garage"),
        ("settings", "describe"),
        ("network",),
        ("cards", "list"),
        ("log",),
        ("service", "--yes"),
        ("restart", "--yes", "--no-wait"),
        ("password", "owner", "--new", "x"),
        ("nobody", "knows"),
    ],
)
def test_every_command_has_json_in_front_and_behind(bench, arguments):
    if arguments[0] == "nobody":
        with pytest.raises(SystemExit) as end:
            bench.run(*arguments)
        assert end.value.code == 2
        return
    behind, before = bench.run(*arguments, "--json"), bench.run("--json", *arguments)
    assert json.loads(behind[1]) is not None and json.loads(before[1]) is not None
    assert behind[0] == before[0]


def test_an_error_is_one_line_with_the_exit_code_of_its_kind(bench):
    line = "wallbox: rated_a: 17 is not allowed; allowed: 0, 6, 16, 32 A\n"
    assert bench.run("settings", "set", "rated_a=17") == (5, "", line)
    code, out, err = bench.run("settings", "set", "rated_a=17", "--json")
    assert (code, err) == (5, "")
    assert json.loads(out)["error"] == {
        "code": "bad_value",
        "text": "rated_a: 17 is not allowed; allowed: 0, 6, 16, 32 A",
        "field": "rated_a",
    }


@pytest.mark.parametrize(
    ("error", "text", "code"),
    [
        ({"code": "bad_value", "field": "uid", "text": "no such"}, "uid: no such", 5),
        ({"code": "not_allowed", "field": "expert", "text": "log in"}, "log in (needs the role expert)", 4),
        ({"code": "locked", "text": "locked", "wait_s": 30}, "locked; the next try is possible in 30 s", 4),
        ({"code": "wrong_password", "field": "password", "text": "wrong", "wait_s": 0}, "password: wrong", 4),
        ({"code": "not_now", "text": "a car charges"}, "a car charges", 6),
        ({"code": "flash", "text": "refused"}, "refused", 7),
        ({"code": "internal"}, "internal", 7),
        ({}, "internal", 7),
    ],
)
def test_what_the_wallbox_refuses_is_told_in_its_words(error, text, code):
    refused = Refused(error)
    assert (str(refused), refused.exit_code) == (text, code)
    assert refused.exit_code in EXIT_CODES


def test_the_help_tells_every_exit_code(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    out = capsys.readouterr().out
    assert all(f"  {code:<4} {text}" in out for code, text in EXIT_CODES.items())


def test_values_are_read_by_the_type_of_the_setting(bench):
    code, out, _ = bench.run("settings", "set", "load_optimisation=on", "rated_a=16", "name=32", "--json")
    assert (code, json.loads(out)["changed"]) == (0, {"load_optimisation": True, "rated_a": 16, "name": "32"})
    assert bench.box.settings["name"] == "32"


def test_all_changes_go_in_one_request(bench):
    bench.run("settings", "set", "rated_a=16", "name=Garage")
    assert {"set": {"rated_a": 16, "name": "Garage"}} in bench.box.requests


def test_a_key_given_twice_is_a_mistake(bench):
    code, _, err = bench.run("settings", "set", "name=a", "name=b")
    assert (code, err) == (2, "wallbox: name: given twice; allowed: once\n")


def test_settings_of_another_group_are_not_set_by_the_way(bench):
    code, _, err = bench.run("network", "rated_a=16")
    assert code == 2 and "rated_a: no setting of network; allowed: wifi_ssid, wifi_password" in err


def test_secrets_are_shown_as_set_or_not_and_never_in_text(bench):
    done = bench.run("network", "wifi_ssid=home", "wifi_password=secret of the house")
    assert done == (0, "set wifi_ssid = home\nset wifi_password\n", "")
    for arguments in (("network",), ("network", "--json"), ("network", "wifi_password=secret of the house", "--json")):
        assert "secret of the house" not in "".join(map(str, bench.run(*arguments)))
    assert "wifi_password             set\n" in bench.run("network")[1]


def test_log_pages_are_put_together(bench):
    entries = json.loads(bench.run("log", "--json")[1])["entries"]
    assert [entry["seq"] for entry in entries] == list(range(1, 46))
    entries = json.loads(bench.run("log", "--json", "--since", "44")[1])["entries"]
    assert [entry["seq"] for entry in entries] == [45]


def test_what_others_have_written_into_the_log_neither_moves_the_terminal_nor_looks_like_an_entry(capsys):
    forged = "closed with 1000 \x1b]0;title\x07\x1b[2J\x9b2J\n     2  2026-01-01T00:00:00Z  error/faults/weld  forged"
    Terminal(False).result({}, [records.entry_line({"seq": 1, "utc": "now", "level": "info", "text": forged})])
    out = capsys.readouterr()[0]
    assert "closed with 1000" in out and not set(out) & set("\x1b\x07\x9b")
    assert [line[:8].strip() for line in out.splitlines()] == ["1", ""]
    Terminal(False).fail(UsageError("answer \x1b[31m"))
    assert "\x1b" not in capsys.readouterr()[1]


def test_an_expert_is_not_made_of_somebody_who_need_not_be_one(bench):
    bench.run("cards", "list")
    assert [request for request in bench.box.requests if "role" in request] == [{"role": "owner", "password": ""}]
    bench.box.app_password = "house"
    bench.run("cards", "list")
    assert bench.box.requests[-2] == {"role": "expert", "password": EXPERT}


def test_what_the_link_lost_in_the_middle_of_a_change_is_told(bench):
    bench.box.cut_out.add(3)
    code, out, err = bench.run("service", "--yes")
    assert (code, out) == (3, "")
    assert err.splitlines()[-1].endswith("whether 'service' was done is not known, look before you repeat it")


@pytest.mark.parametrize(("code", "exit_code"), [("busy", 3), ("gone", 3), ("refused", 4)])
def test_a_busy_wallbox_is_no_wrong_passkey(bench, code, exit_code):
    bench.box.away = [code]
    assert bench.run("why") == (exit_code, "", "wallbox: not there for you\n")


def test_a_wallbox_that_is_busy_or_starts_after_a_cut_is_waited_for(bench):
    bench.box.cut_out.add(2)
    bench.box.away = []
    real = bench.box.connect

    async def connect():
        bench.box.connect = real
        link = await real()
        bench.box.away = ["busy", "gone"]
        return link

    bench.box.connect = connect
    code, out, err = bench.run("why")
    assert (code, out.splitlines()[0]) == (0, "Ready: no car is plugged in.")
    assert "connected again" in err and bench.box.away == []


def test_secrets_come_from_the_environment_or_the_person_and_else_are_asked_for_by_name(bench, monkeypatch):
    monkeypatch.delenv("WALLBOX_PASSKEY")
    code, _, err = bench.run("why")
    assert (code, err) == (2, "wallbox: Passkey on the label is needed; give it by --passkey or WALLBOX_PASSKEY\n")
    assert bench.run("why", "--passkey", "123 456")[0] == 0
    for wrong in ("12345", "1234567", "12345x", "１２３４５６"):
        code, _, err = bench.run("why", "--passkey", wrong)
        assert (code, wrong in err) == (5, False)
        assert "allowed: 6 digits" in err
    assert bench.run("why", "--passkey", "654321")[0] == 4


@pytest.mark.parametrize("address", ["ftp://x", "radio:", "radio:x", "nonsense"])
def test_an_address_in_the_environment_is_checked(monkeypatch, capsys, address):
    monkeypatch.setenv("WALLBOX_ADDRESS", address)
    assert cli.main(["why"]) == 5
    assert f"WALLBOX_ADDRESS: {address!r} is not allowed" in capsys.readouterr().err


def test_a_reader_that_goes_away_ends_the_command_quietly(bench):
    command = f"{sys.executable} -m installer settings describe --json --ws {bench.url} | true; echo ${{PIPESTATUS[0]}}"
    env = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    done = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("141\n", "")


# -- files -------------------------------------------------------------------------------------------------


def test_a_fetched_file_is_private_whole_and_replaces_nothing_by_accident(bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bench.box.files["history.csv"] = b"id\r\n"
    assert bench.run("history") == (0, "history.csv: 4 bytes\n", "")
    assert stat.S_IMODE(os.stat("history.csv").st_mode) == 0o600
    code, _, err = bench.run("history")
    assert code == 8 and "it is there already; give another name with --output" in err
    bench.box.files["history.csv"] = b"id\r\n1\r\n"
    code, out, _ = bench.run("history", "-o", "history.csv", "--json")
    assert (code, json.loads(out)) == (0, {"file": "history.csv", "size": 7})
    assert os.listdir() == ["history.csv"]


def test_a_file_can_go_to_stdout_as_it_is(bench):
    bench.box.files["history.csv"] = b"id\r\n\xff"
    command = [sys.executable, "-m", "installer", "history", "-o", "-", "--ws", bench.url]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    assert subprocess.run(command, env=env, capture_output=True, timeout=60).stdout == b"id\r\n\xff"


def test_files_that_cannot_be_had_are_named(tmp_path):
    with pytest.raises(FileError, match=r"none: cannot be read \(No such file"):
        files.read(tmp_path / "none")
    with pytest.raises(FileError, match=r"cannot be written \(No such file"):
        files.write(tmp_path / "none" / "x", b"")
    (tmp_path / "list").write_text("[]")
    with pytest.raises(FileError, match="holds no JSON object"):
        files.read_object(tmp_path / "list")
    (tmp_path / "text").write_text("{")
    with pytest.raises(FileError, match="no JSON"):
        files.read_object(tmp_path / "text")


# -- the terminal ------------------------------------------------------------------------------------------


def typed(work, keys: bytes) -> tuple[Any, str]:
    """What `work(terminal)` returns when somebody types `keys`, and what the terminal showed."""
    primary, secondary = pty.openpty()
    try:
        with os.fdopen(secondary, "r+b", buffering=0) as raw:
            terminal = Terminal(False)
            terminal._stdin = open(os.dup(raw.fileno()))  # noqa: SIM115 until the end of the test
            terminal._err = open(os.dup(raw.fileno()), "w")  # noqa: SIM115

            async def run():
                async with asyncio.timeout(10):
                    working = asyncio.ensure_future(work(terminal))
                    # Typed once the question stands there: turning the echo off throws away what came before.
                    await asyncio.to_thread(os.read, primary, 1)
                    os.write(primary, keys)
                    return await working

            try:
                result = asyncio.run(run())
            finally:
                terminal._stdin.close()
                terminal._err.close()
            os.set_blocking(primary, False)
            return result, os.read(primary, 4096).decode()
    finally:
        os.close(primary)


def test_a_secret_is_typed_without_echo_and_the_terminal_is_as_before():
    async def work(terminal):
        secret = await terminal.secret("Password", "--x")
        return secret, await terminal.ask("Name: ")

    (secret, name), shown = typed(work, b"hidden\nshown\n")
    assert (secret, name) == ("hidden", "shown")
    assert "hidden" not in shown.partition("Name: ")[0]


def test_a_confirmation_needs_a_yes():
    async def work(terminal):
        await terminal.confirm("Sure?", False)

    assert typed(work, b"y\n")[0] is None
    with pytest.raises(UsageError, match="nothing was done"):
        typed(work, b"\n")


def test_a_bar_is_drawn_on_a_terminal_and_only_there(capsys):
    async def work(terminal):
        with terminal.progress("log.csv") as draw:
            draw(0, 1000)
            draw(1000, 1000)
        with terminal.progress("scan", "%") as draw:
            draw(50, None)
        return await terminal.ask("")

    _, shown = typed(work, b"\n")
    assert "[########################] 100 %  1000/1000 B" in shown and "scan 50 %" in shown
    with Terminal(False).progress("log.csv") as draw:
        draw(1000, 1000)
    assert capsys.readouterr() == ("", "")


# -- the schema --------------------------------------------------------------------------------------------


def test_what_is_allowed_is_told_in_words():
    assert allowed_text({"allowed": [0, [6, 32]], "unit": "A"}) == "0, 6..32 A"
    assert allowed_text({"allowed": [], "unit": ""}) == "no, yes"
    assert allowed_text({"allowed": 32}) == "text of up to 32 characters"
    assert allowed_text({"text": "False, True"}) == "yes, no"


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("ON", True), ("0", False), ("false", False)])
def test_yes_and_no_have_many_words(text, value):
    assert Schema([{"key": "a", "default": False}]).value("a", text) is value


def test_numbers_are_whole():
    schema = Schema([{"key": "a", "default": 1, "allowed": [[1, 9]], "unit": "A"}])
    assert schema.value("a", " 7 ") == 7
    for wrong in ("7.0", "", "seven", "7 A"):
        with pytest.raises(ValueRefused, match=r"allowed: 1\.\.9 A"):
            schema.value("a", wrong)


# -- completion --------------------------------------------------------------------------------------------


def commands(parser: argparse.ArgumentParser) -> set[str]:
    return {" ".join(node.path) for node in completion.nodes(parser)}


def test_every_command_has_a_handler_and_every_handler_a_command():
    parser = build()
    leaves = {name for name in commands(parser) if name} - {"settings", "cards", "meter"}
    assert leaves == set(cli.HANDLERS) | {"scan", "completion"}


def bash_completes(line: str) -> list[str]:
    words = line.split(" ")
    script = completion.script("bash", build()) + (
        f"COMP_WORDS=({' '.join(repr(word) if word else chr(34) * 2 for word in words)}); COMP_CWORD={len(words) - 1}; "
        '_wallbox; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "includes", "excludes"),
    [
        ("wallbox ", {"scan", "wizard", "cards", "--json"}, {"list", "add"}),
        ("wallbox wiz", {"wizard"}, {"scan"}),
        ("wallbox cards ", {"list", "add", "setup-card"}, {"wizard"}),
        ("wallbox cards block --", {"--off", "--json"}, {"--next"}),
        ("wallbox --json cards setup-card --", {"--next"}, {"--off"}),
        ("wallbox password ", {"owner", "expert"}, {"wizard"}),
        ("wallbox completion ", {"bash", "zsh", "fish"}, {"wizard"}),
        ("wallbox restore READ", {"README.md"}, set()),
    ],
)
def test_bash_completes_commands_options_and_files(line, includes, excludes):
    found = set(bash_completes(line))
    assert includes <= found
    assert not excludes & found


def test_zsh_and_fish_know_every_command_and_option():
    parser = build()
    for shell in ("zsh", "fish"):
        script = completion.script(shell, parser)
        for node in completion.nodes(parser):
            for word in node.words:
                assert word in script
            for option in node.options:
                assert (option if shell == "zsh" else option.lstrip("-")) in script


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_that_is_here_takes_its_script(shell):
    from shutil import which

    if not which(shell):
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [shell, "-n"], input=completion.script(shell, build()), capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
