"""Files on this computer: read with clear errors, written whole or not at all."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from installer.errors import FileError
from installer.terminal import Terminal

STDOUT = Path("-")
PRIVATE = 0o600


def read(path: Path) -> bytes:
    """The content of a file; FileError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror})") from error


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; - is stdin. FileError."""
    try:
        content = json.loads(sys.stdin.read() if path == STDOUT else read(path))
    except ValueError as error:
        raise FileError(f"{path}: no JSON ({error})") from error
    if not isinstance(content, dict):
        raise FileError(f'{path}: holds no JSON object; allowed: {{"rated_a": 16, ...}}')
    return content


def write(path: Path, content: bytes) -> None:
    """Replace a file as a whole, for its owner's eyes alone: backups and logs tell of people. FileError."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(name, PRIVATE)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror})") from error


def deliver(terminal: Terminal, path: Path, content: bytes, data: dict) -> None:
    """Write a fetched file where the person wants it, and say so; to stdout it goes as it is."""
    if path == STDOUT:
        terminal.raw(content)
        return
    write(path, content)
    terminal.result({"file": str(path), "size": len(content), **data}, [f"{path}: {len(content)} bytes"])
