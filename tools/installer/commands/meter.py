"""Commands for the external meter: find it (R19), and check by steps of the charge that it is wired right (R36)."""

import asyncio
from argparse import Namespace
from collections.abc import Iterator

from installer.box import Box
from installer.errors import EXIT_DONE, EXIT_NO, UsageError
from installer.terminal import Terminal

LOOK_S = 0.5
_METER_KEYS = ("model", "address", "baud", "parity")


async def _job(box: Box, options: Namespace, terminal: Terminal, do: str, part: str, label: str) -> dict:
    """Start a job, end it, or look at it; wait for its end unless told not to -> its state."""
    await box.be("expert")
    if options.last or options.stop:
        return (await box.ask(do, start=None if options.last else False))[part]
    state = (await box.ask(do, start=True))[part]
    if options.no_wait:
        return state
    with terminal.progress(label, "%") as draw:
        while state["running"]:
            draw(state.get("percent", 0), 100)
            await asyncio.sleep(LOOK_S)
            state = (await box.ask(do))[part]
    return state


async def scan(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Search for the meter."""
    if options.use and (options.no_wait or options.stop):
        raise UsageError("--use: not allowed with --no-wait and --stop, which do not wait for a meter")
    state = await _job(box, options, terminal, "scan", "scan", "searching the bus")
    known = [found for found in state["found"] if found["model"]]
    changed: dict = {}
    if options.use and not state["running"]:
        if len(known) != 1:
            raise UsageError(f"--use: {len(known)} known meters were found; allowed: exactly one")
        changed = {f"meter_{key}": known[0][key] for key in _METER_KEYS}
        await box.ask("settings", set=changed)
    terminal.result({**state, "set": changed} if options.use else state, _scan_lines(state, changed))
    return EXIT_DONE if state["running"] or known or _never_made(state) else EXIT_NO


def _never_made(state: dict) -> bool:
    return not state["running"] and not state["found"] and not state["percent"]


def _scan_lines(state: dict, changed: dict) -> Iterator[str]:
    if state["running"]:
        yield f"the search is under way: {state['percent']} %, trying {state['trying']}"
    for found in state["found"]:
        line = f"address {found['address']}, {found['baud']} Bd, parity {found['parity']}"
        yield f"{found['model'] or 'unknown device'}: {line}, serial number {found['serial'] or '-'}"
    if _never_made(state):
        yield "no search has been made since the wallbox started"
    elif not state["found"] and not state["running"]:
        yield "no meter was found: check A, B and ground of the bus, and that the meter has supply"
    for key, value in changed.items():
        yield f"set {key} = {value}"


async def check(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Check that the meter sees the car, on the right phase, in the right direction."""
    state = await _job(box, options, terminal, "check_meter", "check", "stepping the charge")
    result = state.get("result")
    terminal.result(state, _check_lines(state, result))
    return EXIT_NO if result and not result["good"] and not state["running"] else EXIT_DONE


def _check_lines(state: dict, result: dict | None) -> Iterator[str]:
    if state["running"]:
        yield f"the check is under way: {state['percent']} %"
    elif not result:
        yield "no check has been made"
    else:
        yield result["text"]
        for row in result["phases"]:
            yield f"  {row['text']}"
