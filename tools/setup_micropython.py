"""Puts the MicroPython package umodbus into a folder, from a source archive that pip can fetch but not install."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "umodbus"


def unpack(requirements: Path, scratch: Path) -> Path:
    """Let pip fetch, hash-check and unpack the archive into `scratch`; return the package folder found there.

    pip ends with an error after unpacking because the archive holds no installer. The unpacked tree stays
    (`--no-clean`), and it is there only when the hash matched, so the tree decides and not the exit code.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-clean", "--no-deps", "--require-hashes"]
    command += ["--dest", str(scratch / "archives"), "--requirement", str(requirements)]
    answer = subprocess.run(command, env=dict(os.environ, TMPDIR=str(scratch)), capture_output=True, text=True)
    found = sorted(scratch.glob(f"pip-*/*/{PACKAGE}/__init__.py"))
    if len(found) != 1:
        raise SystemExit(f"setup: pip did not unpack {PACKAGE} from {requirements}:\n{answer.stdout}{answer.stderr}")
    return found[0].parent


def main() -> None:
    """Replace `destination`/umodbus by the version that the requirements file pins."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requirements", type=Path, help="file that pins the package with its hash")
    parser.add_argument("destination", type=Path, help="folder on MicroPython's import path")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wallbox-setup-") as scratch:
        source = unpack(options.requirements, Path(scratch))
        target = options.destination / PACKAGE
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
    print(f"setup: {PACKAGE} -> {target}")


if __name__ == "__main__":
    main()
