"""The installer's command line as a process against the real firmware, over the simulator's WebSocket and radio."""

import fcntl
import hashlib
import json
import os
import pty
import random
import re
import select
import socket
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from containers import sealed
from web.launched import Launched

ROOT = Path(__file__).resolve().parents[2]
WALLBOX = ROOT / "tools" / "wallbox"
LIMIT_S = 90
# A house of 3 x 25 A whose meter lets the wallbox have 32 A of rating.
ANSWERS = {
    "phases": 3,
    "earthing": "TN",
    "connection_a": 25,
    "rated_a": 32,
    "meter_model": "pro380",
    "load_optimisation": True,
    "fallback_a": 6,
    "name": "Garage",
}


class Box:
    """A simulated wallbox, its command line, and the world around it."""

    def __init__(self, *options: str):
        self._launched = Launched("--radio", "0", *options)
        self.passkey = self._launched.found(r"passkey (\d{6})")
        self.radio = self._launched.found(r"radio tcp-client:127\.0\.0\.1:(\d+)")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WALLBOX_")},
            "WALLBOX_ADDRESS": f"ws://127.0.0.1:{self._launched.web}/installer",
            "WALLBOX_PASSKEY": self.passkey,
            "WALLBOX_EXPERT_PASSWORD": "1916",
        }
        self._control = socket.create_connection(("127.0.0.1", self._launched.control), timeout=LIMIT_S)
        self._lines = self._control.makefile("r")

    def close(self) -> None:
        self._lines.close()
        self._control.close()
        self._launched.close()

    def do(self, what: str, **arguments) -> dict:
        """A request to the control API."""
        self._control.sendall(json.dumps({"id": 1, "do": what, **arguments}).encode() + b"\n")
        answer = json.loads(self._lines.readline())
        assert answer["ok"], answer
        return answer

    def until(self, holds: Callable[[dict], object], seconds: float = 30) -> dict:
        """The state, once something holds."""
        end = time.monotonic() + seconds
        while True:
            state = self.do("state")["state"]
            if holds(state):
                return state
            assert time.monotonic() < end, state
            time.sleep(0.1)

    def run(self, *arguments: str, **environment: str | None) -> subprocess.CompletedProcess:
        """One command; environment variables that are None are taken away."""
        env = {**self.environment, **environment}
        return subprocess.run(
            [str(WALLBOX), *arguments],
            env={name: value for name, value in env.items() if value is not None},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )

    def good(self, *arguments: str, **environment: str | None) -> str:
        """What a command that must go well says."""
        done = self.run(*arguments, **environment)
        assert done.returncode == 0, (arguments, done)
        return done.stdout

    def json(self, *arguments: str):
        """The result of a command as data."""
        return json.loads(self.good(*arguments, "--json"))

    def refused(self, code: int, *arguments: str, **environment: str | None) -> str:
        """The one line with which a command fails."""
        done = self.run(*arguments, **environment)
        assert (done.returncode, done.stdout) == (code, ""), (arguments, done)
        (line,) = done.stderr.splitlines()
        assert line.startswith("wallbox: ")
        return line.removeprefix("wallbox: ")


@pytest.fixture
def boxes() -> Iterator[Callable[..., Box]]:
    started: list[Box] = []

    def start(*options: str) -> Box:
        started.append(Box(*options))
        return started[-1]

    yield start
    for box in started:
        box.close()


@pytest.fixture
def box(boxes) -> Box:
    return boxes()


@pytest.fixture
def new_box(boxes) -> Box:
    return boxes("--factory")


@pytest.fixture
def person_at() -> Iterator[Callable[..., "Person"]]:
    there: list[Person] = []

    def sits(box: Box, *arguments: str) -> Person:
        there.append(Person(box, *arguments))
        return there[-1]

    yield sits
    for person in there:
        person.leaves()


def answers_file(folder: Path, **changes) -> str:
    path = folder / "answers.json"
    path.write_text(json.dumps({key: value for key, value in {**ANSWERS, **changes}.items() if value is not None}))
    return str(path)


class Person:
    """Somebody at a terminal: reads what the program asks, and types."""

    def __init__(self, box: Box, *arguments: str):
        self._primary, secondary = pty.openpty()
        self._process = subprocess.Popen(
            [str(WALLBOX), *arguments],
            env=box.environment,
            stdin=secondary,
            stdout=secondary,
            stderr=secondary,
            start_new_session=True,
            # Ctrl-C reaches only whom the terminal belongs to.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(secondary)
        self.seen = ""
        self._read_to = 0

    def reads(self, text: str, seconds: float = 30) -> None:
        """Wait for a text after what was waited for before."""
        end = time.monotonic() + seconds
        while text not in self.seen[self._read_to :]:
            ready, _, _ = select.select([self._primary], [], [], max(0, end - time.monotonic()))
            assert ready, f"{text!r} did not come: {self.seen[self._read_to :]}"
            try:
                piece = os.read(self._primary, 4096)
            except OSError:
                piece = b""
            assert piece, f"it ended before {text!r}: {self.seen}"
            self.seen += piece.decode(errors="replace")
        self._read_to = self.seen.index(text, self._read_to) + len(text)

    def types(self, text: str) -> None:
        os.write(self._primary, text.encode() + b"\n")

    def answers(self, question: str, text: str) -> None:
        self.reads(question)
        self.types(text)

    def presses_ctrl_c(self) -> None:
        os.write(self._primary, b"\x03")

    def ends(self) -> int:
        """The exit code, once the program has said all."""
        try:
            while piece := os.read(self._primary, 4096):
                self.seen += piece.decode(errors="replace")
        except OSError:
            # The terminal is gone with its last user.
            self.seen += ""
        return self._process.wait(LIMIT_S)

    def leaves(self) -> None:
        """The terminal is closed; the program ends, if it has not."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._primary)


# -- from the box to charging ------------------------------------------------------------------------------


def test_a_file_of_answers_takes_a_new_box_to_a_charging_car(new_box, tmp_path):
    new_box.do("plug")
    assert "No charging: the installation wizard is not complete." in new_box.good("why")
    assert "the wallbox may charge" in new_box.good("wizard", "--answers", answers_file(tmp_path))
    state = new_box.until(lambda state: state["contactor"]["closed"] and state["currents_a"][0] > 5)
    assert state["offered_a"] <= 32
    why = new_box.json("why")
    assert why["code"].startswith("charging_")
    status = new_box.json("status")
    assert status["contactor"]["closed"] and status["pilot"]["state"] == "C2"
    wizard = new_box.json("wizard", "--state")
    states = {step["name"]: step["state"] for step in wizard["steps"]}
    assert wizard["complete"]
    assert states == {
        "electrical": "done",
        "meter": "done",
        "network": "skipped",
        "backend": "skipped",
        "cards": "skipped",
        "summary": "done",
        "test": "open",
    }
    assert new_box.json("settings", "get", "name", "rated_a") == {"name": "Garage", "rated_a": 32}


def test_answers_with_cards_and_networks_do_all_steps(new_box, tmp_path):
    cards = [{"uid": "04AABBCC", "name": "Ann"}, {"uid": "04:aa:bb:cd"}]
    more = {
        "access_control": True,
        "cards": cards,
        "setup_card": "04112233445566",
        "wifi_ssid": "home",
        "wifi_password": "long enough",
        "ocpp_url": "wss://backend.example/ocpp",
        "charge_point_id": "W1",
    }
    wizard = new_box.json("wizard", "--answers", answers_file(tmp_path, **more))
    assert [step["state"] for step in wizard["steps"]] == ["done"] * 6 + ["open"]
    listed = new_box.json("cards", "list")
    assert listed["setup"] == "04112233445566"
    assert [(card["uid"], card["name"]) for card in listed["charging"]] == [("04AABBCC", "Ann"), ("04AABBCD", "")]
    assert new_box.json("network")["wifi_password"] is True
    assert new_box.json("backend")["charge_point_id"] == "W1"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"rated_a": 17}, 5, "rated_a: 17 is not allowed; allowed: 0, 6, 10, 12, 16, 20, 24, 32 A"),
        ({"load_optimisation": False}, 5, "rated_a: 32 is not allowed; allowed: up to connection_a 25"),
        ({"rated": 16}, 5, "rated: unknown setting"),
        ({"earthing": None}, 6, "electrical: missing: earthing"),
        ({"cards": ["04AABBCC"]}, 5, "cards: "),
        ({"access_control": True}, 6, "cards: missing: charging"),
    ],
)
def test_answers_that_do_not_do_are_named_and_charging_stays_locked(new_box, tmp_path, changes, code, words):
    assert words in new_box.refused(code, "wizard", "--answers", answers_file(tmp_path, **changes))
    assert new_box.run("wizard", "--state").returncode == 1
    assert not new_box.json("hello")["commissioned"]


def test_the_wizard_asks_goes_back_refuses_leaves_and_goes_on(new_box, person_at):
    person = person_at(new_box, "wizard")
    person.answers("Phases the wallbox is connected to (1, 3) [3]", "")
    person.answers("System of the supply (TN, TT, IT) [TN]", "TT")
    person.answers("Supervision of the protective earth", "<")
    person.answers("System of the supply (TN, TT, IT) [TT]", "?")
    person.reads("earthing: allowed: TN, TT, IT; default: TN")
    person.answers("System of the supply", "XX")
    person.reads("earthing: XX is not allowed; allowed: TN, TT, IT")
    person.answers("System of the supply", "TN")
    for question in ("Supervision", "Voltage", "Frequency"):
        person.answers(question, "")
    person.answers("Main fuse", "25")
    person.answers("Largest current of the wallbox", "32")
    person.answers("Largest difference", "")
    # Only the wallbox knows that this does not fit; it asks the question at fault again.
    person.reads("rated_a: 32 is not allowed; allowed: up to connection_a 25 without load_optimisation")
    person.answers("Largest current of the wallbox", "16")
    person.answers("Largest difference", "")
    person.answers("Search for the meter on the bus?", "q")
    assert person.ends() == 1
    assert "charging is locked until meter is done" in person.seen

    person = person_at(new_box, "wizard")
    person.reads("Step 2 of 7: meter")
    person.answers("Search for the meter on the bus?", "y")
    person.reads("found: pro380 at address 1, 9600 Bd, parity E", 60)
    for question in ("Model of the meter", "Modbus address", "Baud rate", "Parity"):
        person.answers(question, "")
    person.answers("Keep house and car together", "yes")
    person.answers("Largest current of the wallbox, now that the house is watched", "32")
    person.answers("Current when the meter falls silent", "")
    person.answers("Charge from the sun", "")
    person.answers("Set up Wi-Fi or mobile network now?", "")
    person.answers("Set up a backend now?", "<")
    person.answers("Set up Wi-Fi or mobile network now?", "y")
    person.answers("Name of the Wi-Fi", "home")
    person.answers("Password of the Wi-Fi", "a secret of the house")
    person.answers("Access point", "")
    person.answers("Set up a backend now?", "n")
    person.answers("Set up charging cards now?", "n")
    person.reads("rated_a                   32 A")
    person.answers("Is all of this right?", "y")
    new_box.do("plug")
    person.answers("Make a test charge of a minute now?", "y")
    person.reads("Charging with up to", 30)
    person.presses_ctrl_c()
    assert person.ends() == 130
    assert "a secret of the house" not in person.seen
    assert new_box.until(lambda state: state["contactor"]["closed"])
    assert new_box.json("settings", "get", "rated_a", "wifi_ssid") == {"rated_a": 32, "wifi_ssid": "home"}


def test_the_wizard_registers_cards_that_are_held_to_the_reader(box, person_at):
    box.until(lambda state: state["why"]["code"] == "no_car")
    person = person_at(box, "wizard")
    for question in ("Phases", "System of", "Supervision", "Voltage", "Frequency", "Main fuse"):
        person.answers(question, "")
    for question in ("Largest current", "Largest difference"):
        person.answers(question, "")
    person.answers("Search for the meter on the bus?", "n")
    for question in ("Model of", "Modbus address", "Baud rate", "Parity", "Keep house", "Largest", "silent", "the sun"):
        person.answers(question, "")
    person.answers("Wi-Fi or mobile network now?", "n")
    person.answers("backend now?", "n")
    person.answers("Set up charging cards now?", "y")
    person.answers("Charge with registered cards only", "y")
    person.answers("Register charging cards", "n")
    person.reads("cards: missing: charging")
    person.reads("Register a charging card, or let everybody charge.")
    person.answers("Charge with registered cards only", "")
    box.do("plug")
    box.until(lambda state: state["pilot"]["state"] != "A1")
    person.answers("Register charging cards", "y")
    person.reads("a car is connected")
    box.do("unplug")
    box.until(lambda state: state["why"]["code"] == "no_car")
    person.answers("Try again?", "y")
    person.reads("then press Enter")
    box.do("tap", uid="04AABBCC")
    box.until(lambda state: state["cards"]["charging"])
    person.types("")
    person.reads("1 charging cards are registered")
    person.answers("Is all of this right?", "y")
    person.answers("Make a test charge", "n")
    assert person.ends() == 0
    states = {step["name"]: step["state"] for step in box.json("wizard", "--state")["steps"]}
    assert (states["cards"], states["test"]) == ("done", "skipped")


def test_without_a_terminal_the_wizard_says_what_it_needs(new_box):
    assert "allowed: --answers FILE, --state" in new_box.refused(2, "wizard")


# -- cards -------------------------------------------------------------------------------------------------


def test_cards_are_added_named_blocked_and_deleted(box):
    assert box.good("cards", "add", "04:aa:bb:cc", "--name", "Ann") == "card 04:aa:bb:cc may charge\n"
    box.good("cards", "block", "04AABBCC")
    assert box.json("cards", "list")["charging"] == [{"uid": "04AABBCC", "name": "Ann", "blocked": True}]
    assert "04AABBCC              Ann  blocked" in box.good("cards", "list")
    box.good("cards", "block", "04AABBCC", "--off")
    assert box.json("cards", "name", "04AABBCC", "Bert")["card"]["name"] == "Bert"
    box.good("cards", "delete", "04AABBCC")
    assert box.json("cards", "list")["charging"] == []


def test_a_card_that_cannot_be_one_is_refused_with_what_is_allowed(box):
    line = box.refused(5, "cards", "add", "xyz")
    assert line.startswith("uid: ") and "allowed: 8, 14 or 20 hexadecimal digits" in line
    assert "setup card" in box.refused(5, "cards", "add", "04A1B2C3D4E5F6")
    assert "uid" in box.refused(5, "cards", "delete", "04AABBCC")


def test_registration_mode_takes_the_cards_held_to_the_reader(box):
    box.until(lambda state: state["why"]["code"] == "no_car")
    assert "registration mode on" in box.good("cards", "register")
    box.do("tap", uid="04AABBCC")
    box.until(lambda state: state["cards"]["charging"])
    assert "registration mode off" in box.good("cards", "register", "off")
    listed = box.json("cards", "list")
    assert ([card["uid"] for card in listed["charging"]], listed["registration"]) == (["04AABBCC"], False)


def test_the_setup_card_is_changed_by_number_and_by_the_reader(box, person_at):
    assert box.json("cards", "setup-card", "04112233445566")["setup"] == "04112233445566"
    box.until(lambda state: state["why"]["code"] == "no_car")
    person = person_at(box, "cards", "setup-card", "--next")
    person.reads("hold the new setup card to the reader")

    def taken(state: dict) -> bool:
        """Held to the reader until the wallbox, which says so a moment later, waits for it."""
        if state["cards"]["setup"] == "04DDEEFF":
            return True
        box.do("tap", uid="04DDEEFF")
        return False

    box.until(taken)
    person.reads("setup card is 04DDEEFF now")
    assert person.ends() == 0


# -- settings, roles, secrets ------------------------------------------------------------------------------


def test_settings_are_judged_changed_and_shown(box):
    assert box.json("settings", "set", "rated_a=16", "solar_mode=only", "--check")["changed"] == {
        "rated_a": 16,
        "solar_mode": "only",
    }
    assert box.json("settings", "get", "rated_a")["rated_a"] == 32
    assert box.good("settings", "set", "rated_a=16", "wake_up=no") == "set rated_a = 16\nset wake_up = no\n"
    assert box.good("settings", "set", "rated_a=16") == "nothing changes: it is set so already\n"
    assert box.json("settings", "get", "rated_a", "wake_up") == {"rated_a": 16, "wake_up": False}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rated_a=17", "rated_a: 17 is not allowed; allowed: 0, 6, 10, 12, 16, 20, 24, 32 A"),
        ("rated_a=much", "rated_a: 'much' is not allowed; allowed: 0, 6, 10, 12, 16, 20, 24, 32 A"),
        ("wake_up=maybe", "wake_up: 'maybe' is not allowed; allowed: yes, no"),
        ("rated=16", "rated: unknown setting; allowed: rated_a"),
        ("load_optimisation=no", "load_optimisation: False is not allowed; allowed: True once it is on"),
        ("wizard_complete=no", "wizard_complete: it is set by the wizard's last step"),
    ],
)
def test_a_bad_value_is_one_line_with_field_value_and_what_is_allowed(box, change, words):
    assert words in box.refused(5, "settings", "set", change)
    done = box.run("settings", "set", change, "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, done.stderr, error["code"]) == (5, "", "bad_value")
    assert words in error["text"]


def test_every_setting_is_described_with_what_is_allowed(box):
    rows = {row["key"]: row for row in box.json("settings", "describe")}
    assert rows["rated_a"]["allowed"] == [0, 6, 10, 12, 16, 20, 24, 32]
    assert set(rows) == set(box.json("settings", "get"))
    assert "connection_a              6..125 A (default 25; expert)" in box.good("settings", "describe")


def test_an_owner_needs_no_password_that_was_never_set_and_may_not_do_what_experts_may(box):
    none = {"WALLBOX_EXPERT_PASSWORD": None}
    assert box.good("settings", "set", "solar_mode=only", **none) == "set solar_mode = only\n"
    needed = "Password of the expert is needed; give it by --expert-password or WALLBOX_EXPERT_PASSWORD"
    assert box.refused(2, "settings", "set", "rated_a=16", **none) == needed


def test_passwords_are_changed_used_refused_and_locked(box):
    box.good("password", "expert", WALLBOX_NEW_PASSWORD="electric")
    assert "password" in box.refused(4, "meter", "scan", "--last")
    new = {"WALLBOX_EXPERT_PASSWORD": "electric"}
    assert box.good("meter", "scan", "--last", **new)
    box.good("password", "owner", "--new", "house", **new)
    wrong = {"WALLBOX_OWNER_PASSWORD": "mouse"}
    lines = [box.refused(4, "cards", "list", **wrong) for _ in range(4)]
    assert "the password is wrong" in lines[0]
    assert re.search(r"the next try is possible in \d+ s", lines[3])
    assert box.good("cards", "list", **new)
    assert box.good("log", "--security", **new).count("wrong") >= 3


def test_a_wrong_passkey_is_refused_and_no_secret_is_ever_shown(box):
    other = f"{(int(box.passkey) + 1) % 1_000_000:06d}"
    # The third wrong one would lock pairing.
    for arguments in (("why", "--json"), ("--radio", box.radio, "why")):
        done = box.run(*arguments, WALLBOX_PASSKEY=other)
        assert done.returncode == 4
        assert "pairing" in done.stdout + done.stderr or "passkey" in done.stdout + done.stderr
        assert other not in done.stdout + done.stderr
    assert box.good("why", "--passkey", box.passkey, WALLBOX_PASSKEY=other)


# -- looking and looking after -----------------------------------------------------------------------------


def test_an_owner_stops_and_starts_the_charge(box):
    box.do("plug", max_a=16)
    box.until(lambda state: state["contactor"]["closed"])
    assert "ends" in box.good("charge", "stop")
    box.until(lambda state: not state["contactor"]["closed"])
    assert box.json("charge", "start")["session"]["id_tag"] == "app"
    box.until(lambda state: state["contactor"]["closed"])
    assert "already" in box.refused(6, "charge", "start")


def test_live_values_come_as_lines_of_json(box):
    lines = box.good("live", "--count", "4", "--period", "200", "--json").splitlines()
    events = [json.loads(line) for line in lines]
    assert len(events) == 4 and {"state", "currents_a", "offered_a", "why"} <= set(events[0])
    steps = [b["t_ms"] - a["t_ms"] for a, b in zip(events, events[1:], strict=False)]
    assert all(100 <= step <= 1000 for step in steps), steps


def test_live_values_show_a_car_that_comes(box, person_at):
    person = person_at(box, "live", "--period", "200")
    person.reads("Ready: no car is plugged in.")
    box.do("plug")
    person.reads("Charging with up to", 30)
    person.presses_ctrl_c()
    assert person.ends() == 130


def test_the_meter_is_found_and_its_line_written_into_the_settings(box):
    box.do("plug")
    assert "no search has been made" in box.good("meter", "scan", "--last")
    found = box.json("meter", "scan", "--use")
    assert [meter["model"] for meter in found["found"]] == ["pro380"]
    assert found["set"] == {"meter_model": "pro380", "meter_address": 1, "meter_baud": 9600, "meter_parity": "E"}


def test_the_meter_check_needs_a_charging_car(box):
    assert "a car has to charge" in box.refused(6, "meter", "check")


def test_the_meter_check_is_started_followed_and_ended(box):
    assert "no check has been made" in box.good("meter", "check", "--last")
    box.do("plug")
    box.until(lambda state: state["currents_a"][0] > 5 and state["meter"]["valid"])
    assert box.json("meter", "check", "--no-wait")["running"]
    assert "the check is under way" in box.good("meter", "check", "--last")
    box.good("meter", "check", "--stop")
    # It is told to end at once, and ends when it next looks.
    box.until(lambda state: state["meter_check"]["result"])
    done = box.run("meter", "check", "--last")
    assert (done.returncode, done.stdout) == (1, "the check was not finished: it was ended\n")


def test_a_restart_is_confirmed_waited_for_and_refused_while_charging(box):
    assert "Confirm with --yes" in box.refused(2, "restart")
    assert "the wallbox is back" in box.good("restart", "--yes")
    box.do("plug")
    box.until(lambda state: state["contactor"]["closed"])
    assert "not while a car charges" in box.refused(6, "restart", "--yes")


def test_a_factory_reset_is_meant_and_makes_a_new_box(box):
    assert "Confirm with --erase" in box.refused(2, "factory-reset")
    box.good("cards", "add", "04AABBCC")
    box.good("factory-reset", "--erase")
    box.until(lambda state: state["power"] and state["why"]["code"] == "not_set_up")
    assert not box.json("hello")["commissioned"]
    assert box.json("cards", "list")["charging"] == []


def test_a_welded_contactor_is_ended_by_service(box):
    box.do("plug")
    box.until(lambda state: state["contactor"]["closed"])
    box.do("fault", name="weld_l1")
    box.do("unplug")
    box.until(lambda state: any(fault["name"].startswith("weld") for fault in state["faults"]))
    assert "(ended by `service`)" in box.good("faults")
    box.do("clear", name="weld_l1")
    assert "Confirm with --yes" in box.refused(2, "service")
    box.good("service", "--yes")
    assert box.good("faults") == "no faults\n"


def test_the_log_is_paged_to_its_end_and_fetched_from_a_number_on(box):
    entries = box.json("log")["entries"]
    assert [entry["seq"] for entry in entries] == sorted(entry["seq"] for entry in entries)
    assert entries[0]["code"] == "start"
    later = box.json("log", "--since", str(entries[1]["seq"]))["entries"]
    assert later[0]["seq"] == entries[2]["seq"]


def test_the_clock_follows_this_computer(box):
    box.good("clock", "--utc", "1900000000")
    assert box.json("hello")["utc"].startswith("2030-03-17T17:46")
    box.good("clock")
    assert box.json("hello")["utc"][:10] == time.strftime("%Y-%m-%d", time.gmtime())


# -- the other way in --------------------------------------------------------------------------------------


def test_the_virtual_radio_carries_everything_the_websocket_does(new_box, tmp_path):
    radio = ("--radio", new_box.radio)
    (found,) = new_box.json("scan", "--seconds", "1", *radio)
    assert found["info"]["serial"] == new_box.json("hello", *radio)["serial"]
    assert "the wallbox may charge" in new_box.good("wizard", "--answers", answers_file(tmp_path), *radio)
    assert len(new_box.json("settings", "describe", *radio)) > 30
    lines = new_box.good("live", "--count", "3", "--period", "200", *radio).splitlines()
    assert len(lines) == 3
    assert "rated_a: 17 is not allowed" in new_box.refused(5, "settings", "set", "rated_a=17", *radio)
    image = tmp_path / "image.bin"
    image.write_bytes(sealed(random.Random(2).randbytes(100_000)))
    sent = new_box.run("firmware", str(image), *radio)
    # It was not started from a slot.
    assert (sent.returncode, sent.stderr) == (1, "") and "takes no effect" in sent.stdout
    assert "the wallbox is back" in new_box.good("restart", "--yes", *radio)


def test_nobody_there_is_said_in_one_line(box):
    assert "no wallbox at ws://127.0.0.1:1/" in box.refused(3, "why", "--ws", "ws://127.0.0.1:1/")
    assert "no virtual radio at port 1" in box.refused(3, "why", "--radio", "1")
    assert "only one of them" in box.refused(2, "why", "--radio", "1", "--ws", "ws://127.0.0.1:1/")


# -- files -------------------------------------------------------------------------------------------------


class CuttingProxy:
    """Passes a TCP connection on, and breaks each of the first `cuts` after so many bytes from the wallbox or to it."""

    def __init__(self, port: int, cuts: int, bytes_out: int = 1 << 40, bytes_in: int = 1 << 40):
        self._port = port
        self._limits = {"out": bytes_out, "in": bytes_in}
        self._cuts = cuts
        self.connections = 0
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread(self._accept)

    def _thread(self, target, *arguments) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(LIMIT_S)
        self._shut(*self._ends)
        for thread in self._threads:
            thread.join(LIMIT_S)
        for end in (self._listener, *self._ends):
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self._port))
            self._ends += (near, far)
            cut = self.connections <= self._cuts
            for direction, source, sink in (("in", near, far), ("out", far, near)):
                limit = self._limits[direction] if cut else 1 << 40
                self._thread(self._pump, source, sink, limit)

    @staticmethod
    def _shut(*ends: socket.socket) -> None:
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It was shut from the other side.
                continue

    def _pump(self, source: socket.socket, sink: socket.socket, limit: int) -> None:
        try:
            while data := source.recv(2048):
                sink.sendall(data[:limit])
                limit -= len(data)
                if limit <= 0:
                    break
        except OSError:
            # The other direction has cut it.
            return
        finally:
            self._shut(source, sink)


@pytest.fixture
def cut_at(box) -> Iterator[Callable[..., tuple[CuttingProxy, dict[str, str]]]]:
    proxies: list[CuttingProxy] = []

    def make(**limits) -> tuple[CuttingProxy, dict[str, str]]:
        proxies.append(CuttingProxy(int(re.findall(r":(\d+)/", box.environment["WALLBOX_ADDRESS"])[0]), **limits))
        return proxies[-1], {"WALLBOX_ADDRESS": f"ws://127.0.0.1:{proxies[-1].port}/installer"}

    yield make
    for proxy in proxies:
        proxy.close()


def test_a_download_goes_on_after_cuts_of_the_real_connection(box, cut_at):
    whole = box.good("settings", "describe", "--json")
    proxy, through = cut_at(cuts=2, bytes_out=3000)
    done = box.run("settings", "describe", "--json", **through)
    assert (done.returncode, done.stdout) == (0, whole)
    # A wallbox that has not noticed the cut yet refuses once more.
    assert proxy.connections >= 3
    assert "connected again" in done.stderr


def test_an_image_is_sent_over_cuts_verified_and_taken(box, cut_at, tmp_path):
    image = tmp_path / "image.bin"
    image.write_bytes(sealed(random.Random(1).randbytes(60_000)))
    proxy, through = cut_at(cuts=2, bytes_in=20_000)
    done = box.run("firmware", str(image), "--json", **through)
    assert done.returncode == 1, done
    answer = json.loads(done.stdout)
    assert answer["sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert (answer["size"], answer["version"], answer["installed"]) == (64_096, "9.0.0", False)
    # A wallbox that has not noticed the cut yet refuses once more.
    assert proxy.connections >= 3
    assert "an empty file is not allowed" in box.refused(2, "firmware", "/dev/null")
    assert "cannot be read" in box.refused(8, "firmware", str(tmp_path / "none"))
    image.write_bytes(bytes(60_000))
    assert "no firmware for a wallbox" in box.refused(5, "firmware", str(image))


def test_backup_compare_and_restore_bring_settings_cards_and_secrets_back(box, tmp_path):
    file = str(tmp_path / "backup.json")
    password = {"WALLBOX_BACKUP_PASSWORD": "of the backup"}
    box.good("network", "wifi_ssid=home", "wifi_password=secret of the house")
    box.good("cards", "add", "04AABBCC", "--name", "Ann")
    box.good("backup", "-o", file, **password)
    assert os.stat(file).st_mode & 0o777 == 0o600
    assert "secret of the house" not in Path(file).read_text()
    assert box.good("restore", file, "--compare", **password) == "no differences\n"
    box.good("settings", "set", "rated_a=16", "wifi_password=another one")
    box.good("cards", "delete", "04AABBCC")
    differ = box.run("restore", file, "--compare", **password)
    assert differ.returncode == 1
    assert sorted(differ.stdout.splitlines()) == [
        "card 04AABBCC: new",
        "rated_a: 16 -> 32",
        "wifi_password: another secret",
    ]
    assert "password is wrong" in box.refused(4, "restore", file, "--yes", "--password", "not this one")
    box.good("restore", file, "--yes", **password)
    assert box.good("restore", file, "--compare", **password) == "no differences\n"
    assert box.json("cards", "list")["charging"][0]["name"] == "Ann"


def test_a_backup_without_secrets_asks_for_no_password(box, tmp_path):
    file = str(tmp_path / "backup.json")
    box.good("network", "wifi_ssid=home", "wifi_password=secret of the house")
    box.good("backup", "--no-secrets", "-o", file)
    box.good("settings", "set", "rated_a=16")
    assert "the backup holds no secrets: those of the wallbox stay" in box.run("restore", file, "--compare").stdout
    done = box.run("restore", file, "--yes", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["applied"]
    damaged = tmp_path / "damaged.json"
    damaged.write_text(Path(file).read_text().replace('"rated_a": 32', '"rated_a": 24'))
    assert "damaged" in box.refused(5, "restore", str(damaged), "--yes")


def test_history_log_trips_diagnostics_and_report_are_files(box, tmp_path):
    box.do("plug")
    box.until(lambda state: state["contactor"]["closed"])
    box.do("fault", name="residual_ac", value=40)
    box.until(lambda state: state["trips"])
    box.do("unplug")
    for name, arguments in {
        "history.csv": ("history",),
        "log.csv": ("log",),
        "security.csv": ("log", "--security"),
        "trip.csv": ("trips", "0"),
        "diagnostics.json": ("diagnostics",),
        "report.json": ("report", "by=Ann", "pe_mohm=250"),
    }.items():
        assert f"{name}: " in box.good(*arguments, "-o", str(tmp_path / name))
    assert (tmp_path / "history.csv").read_text().startswith("id,start,")
    assert (tmp_path / "trip.csv").read_text().startswith("ms,high_mv,")
    assert json.loads((tmp_path / "diagnostics.json").read_text())
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["checks"]["by"], report["checks"]["pe_mohm"]["value"]) == ("Ann", 250)
    assert len(report["signature"]) == 64
    assert [trip["index"] for trip in box.json("trips")["trips"]] == [0]
    sessions = json.loads(box.good("history", "--format", "json", "-o", "-"))
    assert len(sessions["sessions"]) == 1
    assert "checks.pe: 3 is not allowed" in box.refused(5, "report", "pe=3", "-o", str(tmp_path / "no.json"))
    assert not (tmp_path / "no.json").exists()
