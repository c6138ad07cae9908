"""How long one task keeps the event loop: `make bench slices` prints it; it runs the compiled image in virtual time.

Every run does the same in the same order, so the shortest of a few runs is taken for each single slice: what is left
is the work itself, and what another process on the host did to one of the runs is not in it.
"""

import json
import tempfile
from array import array
from dataclasses import dataclass
from pathlib import Path

import image
from reaction import Simulator

# Of the tests, on whose folder `reaction` has put the import path.
from installer_client import InstallerClient  # isort: skip

PROGRAM = "tools/measure/slices.py"
RUNS = 5
# The simulator and its answers are in it too; where little is left, what is measured is the collecting.
HEAP = "2M"
# So often between two slices that MicroPython never has to collect within one.
COLLECT_EVERY = 10
TURNS = 60
SETUP_CARD = "04A1B2C3D4E5F6"
CARD = "04112233445566"
APP_CARDS = 20
# What the control API carries in hex takes heap too.
APP_PIECE_BYTES = 1_024
APP_PASSWORD = "a long password"
IMAGE_BYTES = 40_000


@dataclass(frozen=True)
class TaskSlices:
    """One task's slices in microseconds of the host: how many, the middle one, the longest."""

    count: int
    median_us: int
    longest_us: int


@dataclass(frozen=True)
class Slices:
    """All tasks, the same without what collecting the heap takes, and one collection at the end."""

    tasks: dict[str, TaskSlices]
    uncollected: dict[str, TaskSlices]
    collection_us: int


def be_busy(box: Simulator) -> None:
    """Work for every task: cards, meter, house, contact, settings, a fault, two sessions."""
    box.advance(5)
    for uid in (SETUP_CARD, CARD, SETUP_CARD):
        box.tap(uid)
        box.advance(2)
    box.plug(max_a=16)
    for turn in range(1, TURNS + 1):
        if turn % 4 == 0:
            box.tap(CARD)
        if turn % 6 == 0:
            box.house(amps=[turn % 14, 3, 2])
        if turn % 10 == 0:
            box.contact(turn % 20 == 0)
        if turn % 15 == 0:
            box.settings(led_brightness_percent=40 + turn % 30)
        if turn == TURNS // 2:
            box.fault("pe")
            box.advance(1)
            box.clear("pe")
        box.advance(2)
        box.state()
    be_an_app(box)
    for _ in range(2):
        box.unplug()
        box.advance(5)
        box.plug()
        box.advance(20)


def be_an_app(box: Simulator) -> None:
    """What an installer's app asks of the task `installer`; a password takes the longest to prove."""
    app = InstallerClient(box)
    app.connect()
    app.login()
    app.ask("password", role="expert", new="expert")
    app.login("expert", "expert")
    app.ask("live", period_ms=500)
    for do in ("hello", "status", "settings", "wizard", "cards", "log", "scan", "faults"):
        app.ask(do)
        box.advance(1)
    app.ask("settings", set={"name": "garage", "wifi_ssid": "home"})
    app.download("settings-schema")
    app.disconnect()
    box.advance(2)


def be_an_installer(box: Simulator) -> None:
    """An installer's app fetches everything, sends an image, makes a backup and restores it."""
    app = InstallerClient(box)
    app.connect()
    app.login("expert", "expert")
    app.ask("settings", set={"wifi_password": "a passphrase"})
    for number in range(APP_CARDS):
        app.ask("card", uid=f"04{number:012X}", add=True, name=f"card {number}")
    app.ask("report", checks={"pe_mohm": 200})
    for row in app.ask("transfers")["get"]:
        app.download(row["name"], APP_PIECE_BYTES)
    backup = app.download("backup", APP_PIECE_BYTES, password=APP_PASSWORD)
    app.ask("settings", set={"wifi_password": "another one"})
    app.ask("card", uid=CARD, delete=True)
    app.upload("restore", backup, apply=True, password=APP_PASSWORD)
    app.upload("firmware", bytes(IMAGE_BYTES))
    app.disconnect()
    box.advance(1)


def run_once(folder: Path, collect_every: int, number: int) -> tuple[dict, array]:
    """One run: what the program says at its end, and the pairs of task and microseconds."""
    figures = folder / f"figures{number}"
    program = (str(folder / PROGRAM), str(figures), str(collect_every))
    # The flash image is no heap of the firmware's: it stays in a file.
    with Simulator(heap=HEAP, program=program, data=folder / f"data{number}") as box:
        be_busy(box)
        be_an_installer(box)
        box.request("quit")
        code = box.wait_exit()
        if code:
            raise SystemExit(f"slices: the simulator ended with code {code}:\n{box.stderr()}")
    pairs = array("I")
    pairs.frombytes(Path(f"{figures}.bin").read_bytes())
    (folder / f"data{number}" / "flash.bin").unlink()
    return json.loads(figures.read_text()), pairs


def by_task(found: list[tuple[dict, array]]) -> dict[str, TaskSlices]:
    """The shortest of all runs for each slice, put together by task."""
    names, order = found[0][0]["tasks"], found[0][1][0::2]
    if any(pairs[0::2] != order for _, pairs in found):
        raise SystemExit("slices: two runs were not the same, so they cannot be compared")
    times: dict[str, list[int]] = {}
    for task, *taken in zip(order, *(pairs[1::2] for _, pairs in found), strict=True):
        times.setdefault(names[task], []).append(min(taken))
    return {name: TaskSlices(len(one), sorted(one)[len(one) // 2], max(one)) for name, one in times.items()}


def measure(runs: int = RUNS) -> Slices:
    """The slices of every task of the compiled image on a small heap."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        image.compile_simulator(folder, PROGRAM)
        collected = [run_once(folder, 0, number) for number in range(runs)]
        uncollected = [run_once(folder, COLLECT_EVERY, number) for number in range(runs)]
    collection_us = min(figures["collection_us"] for figures, _ in collected)
    return Slices(by_task(collected), by_task(uncollected), collection_us)
