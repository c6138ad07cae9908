"""Measures what the firmware takes of the board, against its budget, and writes docs/footprint.md: `make footprint`."""

import argparse
import re
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import slot_image
from bench import footprint, micropython
from flash_time import table
from generated import write_block
from reaction import ROOT

BOARD = ROOT / "boards" / "esp32s3"
DOCUMENT = ROOT / "docs" / "footprint.md"
HOURS = 24
# Objects of MicroPython's Unix port have 64 bits, those of the chip 32.
WIDER = 2
UNIX_BLOCK_BYTES = 32
# Enough for the firmware and all that stands in for a board, to see how much that is.
PLENTY_BYTES = 8 << 20
SETTLE_SECONDS = 3
# Rows of the table before those of the packages.
PARTS = 7
MEMORY = re.compile(r"used: (\d+), free: (\d+)\n.*max free sz: (\d+)")


@dataclass(frozen=True)
class Row:
    """One figure of the table, its limit if it has one, and whether that is a least."""

    name: str
    value: int
    unit: str
    limit: int | None = None
    least: bool = False

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.least else self.value <= self.limit

    def cells(self) -> tuple[str, ...]:
        """The figure as a row of a table."""
        sign = ">=" if self.least else "<="
        limit = "" if self.limit is None else f"{sign} {self.limit:,}"
        return self.name, f"{self.value:,} {self.unit}", limit, "" if not limit else "kept" if self.kept else "MISSED"


@dataclass
class Hour:
    """The heap after so many hours, in bytes of a chip: in use by the firmware, and the largest piece free."""

    hour: int
    used: int
    largest_free: int


@dataclass
class Life:
    """What day.py has told, and what it could not see: the bytes of drivers and of Bluetooth."""

    before: int = 0
    ready_us: int = 0
    hours: list[Hour] = field(default_factory=list)
    drivers: int = 0


# Measuring


def compiled(folder: Path) -> dict[str, int]:
    """Compile the firmware into a folder, as it lies in a slot -> bytes of each file, by its path."""
    slot_image.compile_into(folder)
    return {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*.mpy"))}


def drivers(rom: Path) -> int:
    """What the board's drivers keep in the heap, in bytes of a chip."""
    with tempfile.TemporaryDirectory() as scratch:
        return int(micropython(scratch, "drivers.py", rom, path=("tests/unit/stand_in", "firmware"))) // WIDER


def live(rom: Path, hours: int, heap: int, collect_bytes: int) -> Life:
    """Let the firmware live through hours in a heap of so many bytes of 64-bit objects."""
    with tempfile.TemporaryDirectory() as scratch:
        options = ("-X", f"heapsize={heap}")
        printed = micropython(scratch, "day.py", rom, str(hours), str(collect_bytes * WIDER), options=options)
    life = Life()
    for part in re.split(r"^(?=before|ready|hour)", printed, flags=re.MULTILINE)[1:]:
        name, number = part.split(maxsplit=2)[:2]
        if name == "before":
            life.before = int(number)
        elif name == "ready":
            life.ready_us = int(number)
        else:
            found = MEMORY.search(part)
            assert found, part
            used, _free, blocks = map(int, found.groups())
            life.hours.append(Hour(int(number), (used - life.before) // WIDER, blocks * UNIX_BLOCK_BYTES // WIDER))
    return life


def judged(life: Life, sizes: dict[str, int], image_bytes: int, budget: dict) -> list[Row]:
    """The rows of the table."""
    heap, flash, start = budget["heap"], budget["flash"], budget["start"]
    unseen = life.drivers + heap["bluetooth_bytes"]
    first, last = life.hours[0].used + unseen, life.hours[-1]
    most = max(hour.used for hour in life.hours) + unseen
    least = min(hour.largest_free for hour in life.hours)
    ready_ms = life.ready_us * start["times_slower"] // 1000
    rows = [
        Row("heap in use after the start, every service on", first, "bytes", heap["start_bytes"]),
        Row("of that the board's drivers", life.drivers, "bytes"),
        Row("of that Bluetooth, an allowance", heap["bluetooth_bytes"], "bytes"),
        Row(f"heap in use, most within {last.hour} h", most, "bytes", heap["day_bytes"]),
        Row(f"largest free piece, least within {last.hour} h", least, "bytes", heap["free_block_bytes"], True),
        Row("start to the first look at the pilot, estimated for the chip", ready_ms, "ms", start["ready_ms"]),
        Row("image of the firmware", image_bytes, "bytes", flash["image_bytes"]),
    ]
    packages = by_package(sizes)
    for name in packages.keys() | flash["packages"].keys():
        rows.append(Row(f"`{name}`", packages[name], "bytes", flash["packages"].get(name)))
    return rows[:PARTS] + sorted(rows[PARTS:], key=lambda row: -row.value)


def by_package(sizes: dict[str, int]) -> Counter[str]:
    """Bytes of .mpy files a package: two names deep, where there is a second."""
    packages: Counter[str] = Counter()
    for path, size in sizes.items():
        parts = Path(path).parent.parts
        packages[".".join(parts[:2] if parts[:1] == ("wallbox",) else parts[:1]) or "modules of their own"] += size
    return packages


def second_estimate(folder: Path, rom: Path) -> int:
    """The heap after the start by another way: with 32-bit objects and all code in the heap, less what stays in flash.

    That is what the same modules take more when they are loaded from files and not from ROMFS.
    """
    figures = footprint("footprint_ocpp", SETTLE_SECONDS, "footprint", "inert_board", "ocpp_host")
    with tempfile.TemporaryDirectory() as scratch:
        loaded, stays = (int(micropython(scratch, "imported.py", place)) for place in (folder, rom))
    return figures["online"] - figures["before"] - (loaded - stays)


def measure(hours: int, second: bool) -> tuple[list[Row], Life, dict[str, int]]:
    """Compile, pack, live -> the table, the hours, and the bytes of each file."""
    budget = tomllib.loads((BOARD / "budget.toml").read_text())
    heap = budget["heap"]
    with tempfile.TemporaryDirectory() as scratch:
        folder, rom = Path(scratch) / "firmware", Path(scratch) / "firmware.romfs"
        sizes = compiled(folder)
        image_bytes = rom.write_bytes(slot_image.pack(folder))
        own = drivers(rom)
        start = live(rom, 0, PLENTY_BYTES, PLENTY_BYTES)
        room = heap["total_bytes"] - heap["bluetooth_bytes"] - own
        life = live(rom, hours, start.before + WIDER * room, heap["collect_bytes"])
        # Without collections, whose time depends on the size of this computer's heap.
        life.ready_us = start.ready_us
        life.drivers = own
        rows = judged(life, sizes, image_bytes, budget)
        if second:
            other = second_estimate(folder, rom) + own + heap["bluetooth_bytes"]
            rows.insert(1, Row("the same, estimated by the WebAssembly port", other, "bytes", heap["start_bytes"]))
    return rows, life, sizes


def modules(sizes: dict[str, int]) -> list[tuple[str, ...]]:
    """The files as rows of a table, the largest first."""
    return [(f"`{path}`", f"{size:,}") for path, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))]


def curve(life: Life) -> list[tuple[str, ...]]:
    """The hours as rows of a table."""
    return [(str(hour.hour), f"{hour.used:,}", f"{hour.largest_free:,}") for hour in life.hours]


def main() -> int:
    """Measure, print, write; 1 when a limit was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=HOURS, help=f"how long it is used ({HOURS})")
    parser.add_argument("--no-write", action="store_true", help="leave docs/footprint.md as it is")
    options = parser.parse_args()
    rows, life, sizes = measure(options.hours, True)
    figures = table(("what", "measured", "limit", ""), [row.cells() for row in rows])
    print("\n".join(figures))
    if not options.no_write:
        hours = table(("hour", "in use, bytes", "largest free piece, bytes"), curve(life))
        files = table(("file", "bytes"), modules(sizes))
        parts = [*figures, "", "## Hour by hour", "", *hours, "", "## File by file", "", *files]
        write_block(DOCUMENT, "footprint", parts)
    missed = [row for row in rows if not row.kept]
    print(f"\n{len(missed)} limits missed" if missed else "\nall limits kept")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
