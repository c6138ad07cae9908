"""Commands for settings: get, set, describe, and the groups network and backend; passwords, brightness, clock."""

import os
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator

from installer.box import NEW_PASSWORD_ENV, Box
from installer.errors import EXIT_DONE, UsageError
from installer.schema import Schema, allowed_text, shown
from installer.terminal import Terminal

# In the place of a secret's value: ask for it without echo.
ASK = "-"


async def get(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Read settings."""
    schema = await Schema.fetch(box)
    await _show(box, terminal, schema, options.keys or schema.rows)
    return EXIT_DONE


async def _show(box: Box, terminal: Terminal, schema: Schema, keys: Iterable[str]) -> None:
    values = (await box.ask("settings"))["settings"]
    chosen = {key: values[key] for key in keys if schema.row(key)}
    terminal.result(chosen, (setting_line(schema, key, value) for key, value in chosen.items()))


def setting_line(schema: Schema, key: str, value: object) -> str:
    """A setting in a line; of a secret only whether it is set."""
    row = schema.row(key)
    text = ("set" if value else "not set") if is_secret(row) else shown(value, row.get("unit") or "") or "empty"
    return f"{key:<26}{text}"


def is_secret(row: dict) -> bool:
    """Whether the wallbox never tells this value."""
    return bool(row.get("secret")) or row["key"].endswith("_password")


async def change(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Change settings, all or none, or only judge."""
    schema = await Schema.fetch(box)
    changes = await parse(schema, options.changes, terminal)
    await _set(box, terminal, schema, changes, options.check)
    return EXIT_DONE


async def parse(schema: Schema, pairs: Iterable[tuple[str, str]], terminal: Terminal) -> dict:
    """Values for KEY=VALUE; UsageError for a key given twice."""
    changes: dict = {}
    for key, text in pairs:
        if key in changes:
            raise UsageError(f"{key}: given twice; allowed: once")
        if text == ASK and is_secret(schema.row(key)):
            text = await terminal.secret(key, f"{key}=VALUE")
        changes[key] = schema.value(key, text)
    return changes


async def _set(box: Box, terminal: Terminal, schema: Schema, changes: dict, check: bool) -> None:
    await box.be(schema.roles(changes))
    answer = await box.ask("settings", set=changes, check=check or None)
    changed = answer["changed"]
    told = {key: "set" if is_secret(schema.row(key)) else changes.get(key) for key in changed}
    word = "would change" if check else "set"
    lines = [f"{word} {key}" + ("" if is_secret(schema.row(key)) else f" = {shown(told[key])}") for key in changed]
    terminal.result({"changed": told, "checked": check}, lines or ["nothing changes: it is set so already"])


async def describe(box: Box, options: Namespace, terminal: Terminal) -> int:
    """What settings there are and what is allowed."""
    schema = await Schema.fetch(box)
    rows = [schema.row(key) for key in options.keys or schema.rows]
    terminal.result(rows, _description(rows))
    return EXIT_DONE


def _description(rows: list[dict]) -> Iterator[str]:
    group = None
    for row in rows:
        if row.get("group") != group:
            group = row.get("group")
            yield f"{group}:"
        secret = ", secret" if is_secret(row) else ""
        default = shown(row.get("default")) or "empty"
        yield f"  {row['key']:<26}{allowed_text(row)} (default {default}; {row.get('role')}{secret})"


async def network(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Show or change the settings of the networks (R26)."""
    return await _group(box, options, terminal, "network")


async def backend(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Show or change the settings of the backend (R25)."""
    return await _group(box, options, terminal, "backend")


async def _group(box: Box, options: Namespace, terminal: Terminal, group: str) -> int:
    schema = await Schema.fetch(box)
    keys = schema.keys(group)
    if not options.changes:
        await _show(box, terminal, schema, keys)
        return EXIT_DONE
    foreign = [key for key, _ in options.changes if key not in keys]
    if foreign:
        raise UsageError(f"{foreign[0]}: no setting of {group}; allowed: {', '.join(keys)}")
    await _set(box, terminal, schema, await parse(schema, options.changes, terminal), False)
    return EXIT_DONE


async def password(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Change the app password or that of expert mode (R24)."""
    await box.be(options.role)
    new = options.new if options.new is not None else os.environ.get(NEW_PASSWORD_ENV)
    if new is None:
        new = await terminal.secret("New password", f"--new or {NEW_PASSWORD_ENV}")
        if await terminal.secret("New password again", "--new") != new:
            raise UsageError("the two new passwords differ; nothing was changed")
    await box.ask("password", role=options.role, new=new)
    terminal.result({"role": options.role, "changed": True}, [f"the password of the {options.role} was changed"])
    return EXIT_DONE


async def brightness(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Look at a brightness for 10 s, or keep it."""
    await box.be("owner")
    answer = await box.ask("brightness", percent=options.percent, keep=options.keep or None)
    terminal.result(answer, [f"brightness {options.percent} %" + ("" if options.keep else " for 10 s")])
    return EXIT_DONE


async def clock(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Set the clock."""
    await box.be("owner")
    answer = await box.ask("utc", seconds=int(time.time()) if options.utc is None else options.utc)
    terminal.result(answer, [f"the clock of the wallbox was set to {answer['utc']}" if "utc" in answer else "set"])
    return EXIT_DONE
