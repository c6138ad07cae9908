"""What writing to a real flash chip would do to the event loop: `make timing` writes it into docs/timing.md.

The simulated flash takes no time. Here its page programs and erases are counted, given the times of a data sheet, and
let pass in virtual time while the whole firmware runs.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from reaction import LOOP_MS, ROOT, Traced, charge, reaction_ms
from timing_rows import Act, leave, off

from simulator import MICROPYTHON

# Winbond W25Q64JV and W25Q128JV: page program 0.7 ms typical, 3 ms at most; erase of 4 KiB 45 ms typical, 400 ms at
# most. Quoted by public drivers [X: apache/mynewt-core hw/bsp/black_vet6/syscfg.yml and others]; the data sheets
# themselves were not read.
TYPICAL_US = (700, 45_000)
MAXIMUM_US = (3_000, 400_000)
SUPERVISOR_MS = 50
CAR_LEAVES_MS = 100

COUNTER = "tools/measure/flash.py"
SETTINGS = {"meter_model": "none", "load_optimisation": False, "connection_a": 40}
SETUP_CARD = "04A1B2C3D4E5F6"
NEW_CARD = "04112233445566"

Cost = tuple[int, int]


def milliseconds(cost: Cost, each_us: tuple[int, int]) -> float:
    """How long page programs and erases keep the chip, and with it the event loop."""
    return (cost[0] * each_us[0] + cost[1] * each_us[1]) / 1000


def shown(cost: Cost) -> str:
    """An operation's erases and pages for people."""
    return f"{cost[1]} + {cost[0]}"


def typical_ms(cost: Cost) -> str:
    """Time by the typical figures."""
    return f"{milliseconds(cost, TYPICAL_US):.0f} ms"


def maximum_ms(cost: Cost) -> str:
    """Time by the largest figures."""
    return f"{milliseconds(cost, MAXIMUM_US):.0f} ms"


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


# What an operation costs


def count_operations() -> dict[str, list[Cost]]:
    """Pages and erases of each operation of the storage, as often as it was done."""
    command = [str(MICROPYTHON), "-X", "heapsize=8M", COUNTER]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if answer.returncode:
        raise SystemExit(f"timing: {COUNTER} failed:\n{answer.stdout}{answer.stderr}")
    return {name: [(pages, erases) for pages, erases in costs] for name, costs in json.loads(answer.stdout).items()}


def write_operations() -> list[str]:
    """The table of operations."""
    rows = []
    for name, costs in count_operations().items():
        costs.sort(key=lambda cost: milliseconds(cost, TYPICAL_US))
        usual, worst = costs[(len(costs) - 1) // 2], costs[-1]
        rows.append(
            (name, str(len(costs)), shown(usual), typical_ms(usual))
            + (maximum_ms(usual), shown(worst), typical_ms(worst), maximum_ms(worst))
        )
    heads = ("operation", "done", "usual: erases + pages", "typical", "maximum")
    return table((*heads, "worst: erases + pages", "typical", "maximum"), rows)


# When it is written


@dataclass
class Burst:
    """Writes at one instant of virtual time: one pause of the loop."""

    ms: int
    pages: int = 0
    erases: int = 0

    @property
    def cost(self) -> Cost:
        """As the other tables take it."""
        return self.pages, self.erases


def bursts(box: Traced) -> list[Burst]:
    """The writes since the last forget()."""
    found: list[Burst] = []
    for ms, name, value in box.edges:
        if name == "flash":
            if not found or found[-1].ms != ms:
                found.append(Burst(ms))
            found[-1].pages += value[0]
            found[-1].erases += value[1]
    return found


def register_card(box: Traced) -> None:
    """Setup card, new card, setup card."""
    for uid in (SETUP_CARD, NEW_CARD, SETUP_CARD):
        box.tap(uid)
        box.advance(2)


# What happens, the act, and the seconds to watch.
STORY: tuple[tuple[str, Act, float], ...] = (
    ("start-up", lambda box: None, 5),
    ("a card is registered, no car", register_card, 5),
    ("a car is plugged in: session opened", lambda box: box.plug(), 20),
    ("22 kW for half an hour: checkpoints", lambda box: None, 1800),
    ("peak shaving contact closes: warning in the log", lambda box: box.contact(True), 5),
    ("a setting is changed", lambda box: box.settings(led_brightness_percent=50), 5),
    ("earth lost: error in the log", lambda box: box.fault("pe"), 5),
    ("earth back, charge goes on", lambda box: box.clear("pe"), 50),
    ("residual current: latch, error in the log", lambda box: box.fault("residual_dc", 30), 5),
    ("unplugged: session closed, latch cleared by the self-test", lambda box: box.unplug(), 10),
)


def tell_story() -> Iterator[tuple[str, list[tuple[Burst, int, bool]]]]:
    """Each step's bursts with the ms since its act and whether the contactor was closed."""
    closed = False
    with Traced(settings=SETTINGS) as box:
        for name, act, seconds in STORY:
            begin = box.state()["plant_ms"]
            if begin:
                box.edges.clear()
            act(box)
            box.advance(seconds)
            box.state()
            switched = [(ms, value) for ms, terminal, value in box.edges if terminal == "command"]
            found = []
            for burst in bursts(box):
                before = [value for ms, value in switched if ms <= burst.ms]
                found.append((burst, burst.ms - begin, bool(before[-1]) if before else closed))
            if switched:
                closed = bool(switched[-1][1])
            yield name, found


def write_story() -> list[str]:
    """The table of a wallbox's life."""
    rows = []
    for name, found in tell_story():
        if not found:
            rows.append((name, "nothing written", "", "", "", ""))
            continue
        worst = max((burst for burst, _, _ in found), key=lambda burst: milliseconds(burst.cost, TYPICAL_US))
        states = {"closed" if closed else "open" for _, _, closed in found}
        first = f"{found[0][1]} ms after" if len(found) == 1 else f"{found[0][1]}..{found[-1][1]} ms after"
        rows.append(
            (name, f"{len(found)}, {first}", " and ".join(sorted(states)), shown(worst.cost))
            + (typical_ms(worst.cost), maximum_ms(worst.cost))
        )
    return table(("what happens", "pauses", "contactor", "longest: erases + pages", "typical", "maximum"), rows)


# What a pause does

PAUSES_MS = (0, 20, 48, 100, 200, 410)
# Over the supervisor's period, right after a tick: the longest way to the next one.
PAUSE_MOMENTS = tuple(range(0, 250, LOOP_MS))


def pause_once(box: Traced, pause_ms: int, moment: int) -> tuple[int | None, bool]:
    """The car leaves C and the loop stands still -> time to the dead output, and whether the firmware was reset."""

    def both(box: Traced) -> None:
        leave(box)
        if pause_ms:
            box.pause(pause_ms)

    taken = reaction_ms(box, moment, both, "live", off, 2)
    return taken, bool(box.times("reset", lambda _cause: True))


def write_pauses() -> list[str]:
    """The table of pauses."""
    rows = []
    for pause_ms in PAUSES_MS:
        taken, resets, box = [], 0, None
        for moment in PAUSE_MOMENTS:
            box = box or Traced(late_ms=0, settings=SETTINGS).start()
            charge(box)
            ms, reset = pause_once(box, pause_ms, moment)
            taken.append(ms if ms is not None else 9_999)
            resets += reset
            box.unplug()
            box.advance(1)
            if reset:
                box.stop()
                box = None
        if box:
            box.stop()
        verdict = "kept" if max(taken) <= CAR_LEAVES_MS else "**missed**"
        rows.append((f"{pause_ms} ms", f"{max(taken)} ms", verdict, f"{resets} of {len(PAUSE_MOMENTS)}"))
    limit = f"{CAR_LEAVES_MS} ms of sequence 8.1"
    return table(("pause of the loop", "car leaves C -> output dead", limit, "supervisor resets the box"), rows)


# The whole firmware on a chip that takes its time

SESSIONS = 8
CHARGE_S = 600


def first_checkpoint_ms(each_us: tuple[int, int]) -> int:
    """When the first checkpoint of a charge is written, in plant time."""
    with Traced(late_ms=0, flash_us=each_us, settings=SETTINGS) as box:
        charge(box)
        begin = box.forget()
        while not bursts(box):
            box.advance(10)
            if box.state()["plant_ms"] > begin + 400_000:
                raise SystemExit("timing: no checkpoint came within 400 s of charging")
        return bursts(box)[0].ms


def leave_at_checkpoint(each_us: tuple[int, int]) -> int:
    """The car leaves C in the last moments before the checkpoint -> the worst time in ms to the dead output."""
    at_ms = first_checkpoint_ms(each_us)
    worst = 0
    for before_ms in range(1, 3 * LOOP_MS, 6):
        with Traced(late_ms=0, flash_us=each_us, settings=SETTINGS) as box:
            charge(box)
            box.advance((at_ms - before_ms - box.forget()) / 1000)
            begin = box.forget()
            leave(box)
            box.advance(3)
            box.state()
            worst = max(worst, box.times("live", off)[0] - begin)
    return worst


def live_with(each_us: tuple[int, int]) -> tuple[int, int, int]:
    """Short charges and a longer one -> pauses of the loop, the longest in ms, and resets by the supervisor."""
    with Traced(late_ms=0, flash_us=each_us, settings=SETTINGS) as box:
        box.advance(2)
        box.forget()
        for number in range(SESSIONS):
            box.plug()
            box.advance(CHARGE_S if number == 0 else 12)
            box.unplug()
            box.advance(4 + number * 0.037)
            box.state()
        resets = len(box.times("reset", lambda _cause: True))
        writes = [(ms, value) for ms, name, value in box.edges if name == "flash"]
    pauses, longest, begin, end = 0, 0.0, 0.0, -1.0
    for ms, value in writes:
        # Time is whole milliseconds here, a page takes less.
        if ms > end + 1:
            pauses += 1
            begin = ms
        end = ms + milliseconds((value[0], value[1]), each_us)
        longest = max(longest, end - begin)
    return pauses, round(longest), resets


def write_slow_flash() -> list[str]:
    """The table of the whole firmware on a slow chip."""
    rows = []
    for name, each_us in (("typical", TYPICAL_US), ("maximum", MAXIMUM_US)):
        worst = leave_at_checkpoint(each_us)
        pauses, longest, resets = live_with(each_us)
        verdict = "kept" if worst <= CAR_LEAVES_MS else "**missed**"
        rows.append((name, f"{worst} ms", verdict, f"{longest} ms", f"{resets} times in {pauses} pauses"))
    heads = ("data-sheet figures", "car leaves C at a checkpoint -> output dead", "100 ms of sequence 8.1")
    return table((*heads, "longest pause of the loop", "supervisor resets the box"), rows)
