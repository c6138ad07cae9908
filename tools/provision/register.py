"""The register of all wallboxes made: a line of JSON each, only ever appended to, for its owner's eyes alone."""

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from provision.identity import Identity, ProvisionError

PRIVATE = 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Register:
    """The file at `path`; one program at a time has it open."""

    def __init__(self, path: Path):
        self._path = path

    @contextmanager
    def open(self) -> Iterator["Entries"]:
        """The entries, and the right to append; ProvisionError for a file others may read or that is damaged."""
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE)
        except OSError as error:
            raise ProvisionError(f"register {self._path}: cannot be opened ({error.strerror})") from error
        with os.fdopen(handle, "r+", encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(handle).st_mode)
            if mode & OTHERS:
                text = f"register {self._path}: mode {mode:04o} is not allowed; allowed: {PRIVATE:04o} (chmod 600)"
                raise ProvisionError(text)
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield Entries(self._path, file)


class Entries:
    """The open register: `known` has an entry for each serial number."""

    def __init__(self, path: Path, file: IO[str]):
        self._path = path
        self._file = file
        self.known: dict[str, dict] = {}
        for number, line in enumerate(file, 1):
            try:
                entry = json.loads(line)
                self.known[entry["serial"]] = entry
            except (ValueError, KeyError, TypeError) as error:
                raise ProvisionError(f"register {path}: line {number} is damaged") from error

    def identity(self, serial: str) -> Identity:
        """The identity of a wallbox made before."""
        if serial not in self.known:
            raise ProvisionError(f"serial: {serial!r} is not in the register {self._path}")
        entry = self.known[serial]
        return Identity(entry["serial"], entry["passkey"], entry["key"])

    def append(self, identity: Identity, made: str, setup_card: str | None) -> None:
        """Keep a new wallbox, safe on disk before it returns; ProvisionError when its serial number is there."""
        if identity.serial in self.known:
            text = f"serial: {identity.serial!r} is in the register already; allowed: a new one, or `again`"
            raise ProvisionError(text)
        entry = {**identity.as_dict(), "made": made, "setup_card": setup_card}
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.known[identity.serial] = entry
