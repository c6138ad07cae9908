"""Has an identity written by the firmware's own code on MicroPython, so that there is no second writer of its form."""

import json
import subprocess
import sys
from pathlib import Path

from provision.identity import Identity, ProvisionError

ROOT = Path(__file__).resolve().parents[2]
MICROPYTHON = Path(sys.executable).parent / "micropython"
SCRIPT = "boards/simulator/provision.py"
TIMEOUT_S = 60
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600
IMAGE = "flash.bin"
FILES = "identity.*"


def _write(kind: str, path: Path, identity: Identity, setup_card: str | None, again: bool) -> None:
    given = {**identity.as_dict(), "setup_card": setup_card}
    try:
        done = subprocess.run(
            [str(MICROPYTHON), SCRIPT, kind, str(path.absolute()), "again" if again else "new"],
            cwd=ROOT,
            input=json.dumps(given) + "\n",
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProvisionError(f"{path}: micropython cannot be run ({error}); `make setup` installs it") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ProvisionError(f"{path}: not written: {reason}")


def write_image(folder: Path, identity: Identity, setup_card: str | None, again: bool) -> Path:
    """Write to the simulator's flash image in `folder` (its --data), made blank when there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / IMAGE
    _write("image", image, identity, setup_card, again)
    image.chmod(PRIVATE_FILE)
    return image


def write_files(folder: Path, identity: Identity, setup_card: str | None, again: bool) -> list[Path]:
    """Write the files that a real board's flash is to get, into `folder`; they hold the device's secrets."""
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    _write("folder", folder, identity, setup_card, again)
    files = sorted([*folder.glob(FILES), *folder.glob("cards.*")])
    for file in files:
        file.chmod(PRIVATE_FILE)
    return files
