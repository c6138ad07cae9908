"""The entry of the command line: parses, runs the command, turns errors into one line and an exit code."""

import asyncio
import importlib
import os
import sys
from argparse import Namespace
from collections.abc import Sequence

from installer import completion
from installer import options as command_line
from installer.box import Box, Secrets, make_way
from installer.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NO, EXIT_READER_GONE, InstallerError, UsageError
from installer.terminal import Terminal

# The command's words -> module and function of installer.commands.
HANDLERS = {
    "hello": "look.hello",
    "status": "look.status",
    "why": "look.why",
    "live": "look.live",
    "faults": "look.faults",
    "charge": "look.charge",
    "settings get": "settings.get",
    "settings set": "settings.change",
    "settings describe": "settings.describe",
    "network": "settings.network",
    "backend": "settings.backend",
    "password": "settings.password",
    "brightness": "settings.brightness",
    "clock": "settings.clock",
    "wizard": "wizard.wizard",
    "cards list": "cards.list_cards",
    "cards add": "cards.add",
    "cards name": "cards.name",
    "cards block": "cards.block",
    "cards delete": "cards.delete",
    "cards register": "cards.register",
    "cards setup-card": "cards.setup_card",
    "meter scan": "meter.scan",
    "meter check": "meter.check",
    "log": "records.log",
    "trips": "records.trips",
    "history": "records.history",
    "diagnostics": "records.diagnostics",
    "report": "records.report",
    "backup": "upkeep.backup",
    "restore": "upkeep.restore",
    "firmware": "upkeep.firmware",
    "service": "upkeep.service",
    "restart": "upkeep.restart",
    "factory-reset": "upkeep.factory_reset",
}


async def _scan(options: Namespace, terminal: Terminal) -> int:
    """List the wallboxes within reach; nothing is paired."""
    way = make_way(options, Secrets(options, terminal))
    try:
        found = await way.scan(options.seconds)
    finally:
        await way.close()
    data = [{"address": box.address, "name": box.name, "rssi_dbm": box.rssi_dbm, "info": box.info} for box in found]
    lines = [
        f"{box.address:<20}  {box.name:<20}  {'' if box.rssi_dbm is None else f'{box.rssi_dbm} dBm':<9}"
        f"  {box.info.get('serial', '')}{'' if box.info.get('commissioned', True) else '  not set up yet'}".rstrip()
        for box in found
    ]
    terminal.result(data, lines or ["no wallbox within reach"])
    return EXIT_DONE if found else EXIT_NO


async def _run(options: Namespace, terminal: Terminal) -> int:
    if options.handler == "scan":
        return await _scan(options, terminal)
    module, _, function = HANDLERS[options.handler].partition(".")
    handler = getattr(importlib.import_module(f"installer.commands.{module}"), function)
    async with Box(options, terminal) as box:
        return await handler(box, options, terminal)


def _check(options: Namespace) -> None:
    ways = [f"--{name}" for name in ("ws", "radio", "ble") if getattr(options, name) is not None]
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways)}: only one of them is allowed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command -> exit code (see `installer.errors`)."""
    parser = command_line.build()
    options = parser.parse_args(arguments)
    terminal = Terminal(options.json)
    try:
        _check(options)
        if options.handler == "completion":
            sys.stdout.write(completion.script(options.shell, parser))
            return EXIT_DONE
        return asyncio.run(_run(options, terminal))
    except InstallerError as error:
        terminal.fail(error)
        return error.exit_code
    except EOFError:
        terminal.fail(UsageError("input ended in the middle of a question"))
        return UsageError.exit_code
    except BrokenPipeError:
        # A reader such as `head` has seen enough; what Python still holds for it goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_READER_GONE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
