"""Commands that fetch what the wallbox has recorded: log, trips, history, diagnostics, the installer's report."""

import json
from argparse import Namespace
from pathlib import Path

from installer import files
from installer.box import Box
from installer.errors import EXIT_DONE, FileError, UsageError
from installer.terminal import Terminal


async def fetch(box: Box, terminal: Terminal, name: str, arguments: dict | None = None) -> bytes:
    """Download a file with a bar."""
    with terminal.progress(name) as draw:
        return await box.client.download(name, arguments, draw)


def target(options: Namespace, name: str) -> Path:
    """Where a file goes: where the person said, else here under its own name; one that is there is not replaced."""
    if options.output is not None:
        return options.output
    path = Path(name)
    if path.exists():
        raise FileError(f"{name}: it is there already; give another name with --output")
    return path


async def log(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Show the event log or the security log, or fetch it as CSV."""
    await box.be("expert" if options.security else "owner")
    if options.output is not None:
        content = await fetch(box, terminal, "security.csv" if options.security else "log.csv")
        files.deliver(terminal, options.output, content, {})
        return EXIT_DONE
    entries: list[dict] = []
    since = options.since
    while True:
        answer = await box.ask("log", since=since, security=options.security or None)
        entries += answer["entries"]
        if not answer["entries"] or answer["entries"][-1]["seq"] >= answer["last"]:
            break
        since = answer["entries"][-1]["seq"]
    terminal.result({"entries": entries, "last": answer["last"]}, [entry_line(entry) for entry in entries])
    return EXIT_DONE


def entry_line(entry: dict) -> str:
    """An entry of a log as text; further lines of it are set in, so that none looks like an entry of its own."""
    when = entry.get("utc") or f"{entry.get('uptime_ms', 0) / 1000:.1f} s"
    words = [str(entry.get(name)) for name in ("level", "source", "code") if entry.get(name)]
    text = entry.get("text") or " ".join(
        f"{name}={value}" for name, value in entry.items() if name not in ("seq", "utc", "uptime_ms")
    )
    text = "\n        ".join(text.splitlines())
    return f"{entry.get('seq', 0):>6}  {when:<20}  {'/'.join(words):<30}  {text}"


async def trips(box: Box, options: Namespace, terminal: Terminal) -> int:
    """List the recorded trips, or fetch one as CSV (R34)."""
    await box.be("owner")
    if options.index is None:
        if options.output is not None:
            raise UsageError("--output: not allowed without the index of a trip")
        answer = await box.ask("trips")
        lines = ["  ".join(f"{name} {value}" for name, value in trip.items()) for trip in answer["trips"]]
        terminal.result(answer, lines or ["no trips are recorded"])
        return EXIT_DONE
    path = target(options, f"trip-{options.index}.csv")
    content = await fetch(box, terminal, "trip.csv", {"index": options.index})
    files.deliver(terminal, path, content, {"index": options.index})
    return EXIT_DONE


async def history(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Fetch the charging sessions."""
    await box.be("owner")
    name = f"history.{options.format}"
    path = target(options, name)
    files.deliver(terminal, path, await fetch(box, terminal, name), {})
    return EXIT_DONE


async def diagnostics(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Fetch what a service desk needs."""
    await box.be("owner")
    path = target(options, "diagnostics.json")
    files.deliver(terminal, path, await fetch(box, terminal, "diagnostics.json"), {})
    return EXIT_DONE


async def report(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Fetch the installer's report (R37)."""
    await box.be("expert")
    path = target(options, "report.json")
    checks = files.read_object(options.measured) if options.measured else {}
    checks.update({key: _measured(text) for key, text in options.checks})
    if checks:
        # The answer opens the report already; the download opens it in its own way, so that it may be cut.
        opened = await box.ask("report", checks=checks)
        await box.client.finish(opened["transfer"], cancel=True)
    content = await fetch(box, terminal, "report")
    files.deliver(terminal, path, content, {})
    return EXIT_DONE


def _measured(text: str) -> object:
    """A number, true or false, or text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
