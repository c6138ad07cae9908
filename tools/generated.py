"""Puts figures that a tool measured into a document, between markers, and leaves the text around them alone."""

from pathlib import Path


def markers(command: str) -> tuple[str, str]:
    """What stands before and after the part of a document that `make <command>` writes."""
    return f"<!-- begin: written by `make {command}` -->", f"<!-- end: written by `make {command}` -->"


def write_block(path: Path, command: str, lines: list[str]) -> None:
    """Replace what stands between the command's markers; SystemExit when the document has none."""
    begin, end = markers(command)
    head, found, rest = path.read_text().partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{command}: {path}: the markers {begin} and {end} are missing")
    path.write_text(head + begin + "\n\n" + "\n".join(lines) + "\n\n" + end + tail)
