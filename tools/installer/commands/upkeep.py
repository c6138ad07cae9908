"""Commands that look after a wallbox: backup and restore, firmware, service, restart, factory reset."""

import asyncio
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from installer import files
from installer.box import Box
from installer.commands.records import fetch, target
from installer.errors import EXIT_DONE, EXIT_NO, LinkLost, UsageError
from installer.schema import shown
from installer.terminal import Terminal

GONE_TIMEOUT_S = 20.0
# A session that has begun meanwhile ends first; nobody waits for hours at a terminal.
RESTART_TIMEOUT_S = 60.0
# Two tries of 5 minutes each, and their restarts.
TRIAL_TIMEOUT_S = 720.0
LOOK_S = 2.0
_SECRETS = {
    "left_out": "the backup holds no secrets: those of the wallbox stay",
    "locked": "the secrets of the backup need its password: those of the wallbox stay",
}


async def backup(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Fetch everything that was set up (R35)."""
    await box.be("expert")
    path = target(options, f"wallbox-{box.client.hello['serial']}.backup.json")
    arguments = None
    if not options.no_secrets:
        arguments = {"password": await box.new_backup_password(options.password)}
    content = await fetch(box, terminal, "backup", arguments)
    files.deliver(terminal, path, content, {"secrets": not options.no_secrets})
    return EXIT_DONE


async def restore(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Tell the differences between a backup and the wallbox, and set it up from the backup when the person agrees."""
    content = files.read(options.file)
    await box.be("expert")
    password = await box.backup_password(options.password, content)
    differences = await _send(box, options.file, content, terminal, password=password, apply=False)
    lines = list(_difference_lines(differences))
    differ = bool(differences["differences"]) or any(differences["cards"].values())
    if options.compare:
        terminal.result(differences, lines)
        return EXIT_NO if differ or differences["refused"] else EXIT_DONE
    if not terminal.as_json:
        for line in lines:
            terminal.say(line)
    await terminal.confirm("Set the wallbox up from this backup?", options.yes)
    answer = await _send(box, options.file, content, terminal, password=password, apply=True)
    terminal.result(answer, ["the backup was restored"])
    return EXIT_DONE


async def _send(box: Box, path: Path, content: bytes, terminal: Terminal, **arguments) -> dict:
    with terminal.progress(path.name) as draw:
        return await box.client.upload("restore", content, draw, **arguments)


def _difference_lines(answer: dict) -> Iterator[str]:
    """What a restore would change, line by line, and what stands in its way."""
    if answer["other_box"]:
        yield f"the backup is of another wallbox: {answer['serial']}"
    for key, (now, then) in answer["differences"].items():
        yield f"{key}: {_change(now, then)}"
    cards = answer["cards"]
    if cards.get("setup"):
        yield f"setup card: {shown(cards['setup'][0])} -> {shown(cards['setup'][1])}"
    for what, word in (("add", "new"), ("remove", "forgotten"), ("change", "changed")):
        for uid in cards[what]:
            yield f"card {uid}: {word}"
    if not answer["differences"] and not any(cards.values()):
        yield "no differences"
    if answer["secrets"] in _SECRETS:
        yield _SECRETS[answer["secrets"]]
    if answer["unknown"]:
        yield f"not known to this firmware: {', '.join(answer['unknown'])}"
    if answer["refused"]:
        yield f"the wallbox would refuse it: {answer['refused']}"


def _change(now: object, then: object) -> str:
    if now is True and then is True:
        # Of a secret the wallbox tells only whether there is one.
        return "another secret"
    return f"{shown(now) or 'empty'} -> {shown(then) or 'empty'}"


async def firmware(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Send a firmware, and wait until the wallbox keeps it or has gone back to the former one (R29)."""
    content = files.read(options.file)
    if not content:
        raise UsageError(f"{options.file}: an empty file is not allowed; allowed: a container of a firmware")
    await box.be("expert")
    before = box.client.hello["version"]
    with terminal.progress(options.file.name) as draw:
        answer = await box.client.upload("firmware", content, draw)
    if options.no_wait or not answer["installed"]:
        terminal.result(answer, [answer["text"]])
        return EXIT_DONE if answer["installed"] else EXIT_NO
    terminal.note(f"{answer['text']}; it was {before}")
    try:
        await box.client.gone(RESTART_TIMEOUT_S)
    except TimeoutError:
        raise LinkLost(f"the wallbox did not restart within {RESTART_TIMEOUT_S:g} s; does a car charge?") from None
    box.forget_role()
    end = await _proven(box)
    kept = end["result"] == "committed"
    version = (await box.ask("hello"))["version"]
    line = f"firmware {version} has proven itself" if kept else f"firmware {version} runs again: {end['text']}"
    terminal.result({**answer, "kept": kept, "reason": end["text"], "version": version}, [line])
    return EXIT_DONE if kept else EXIT_NO


async def _proven(box: Box) -> dict:
    """How the update has ended; over the restarts of a firmware that is not healthy."""
    loop = asyncio.get_running_loop()
    end = loop.time() + TRIAL_TIMEOUT_S
    while True:
        found = (await box.ask("status"))["status"]["update"]
        if found["state"] != "trial":
            return found
        if loop.time() > end:
            raise LinkLost(f"the new firmware has not proven itself within {TRIAL_TIMEOUT_S:g} s")
        await asyncio.sleep(LOOK_S)


async def service(box: Box, options: Namespace, terminal: Terminal) -> int:
    """End latched welds."""
    await terminal.confirm("Was the contactor mended or replaced, and is it open?", options.yes)
    await box.be("expert")
    answer = await box.ask("service", confirm=True)
    terminal.result(answer, ["the latched faults were ended"])
    return EXIT_DONE


async def restart(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Restart the wallbox, and wait until it is back."""
    await terminal.confirm("Restart the wallbox? A charge is interrupted.", options.yes)
    await box.be("owner")
    answer = await box.ask("restart", confirm=True)
    if options.no_wait:
        terminal.result(answer, ["the wallbox restarts"])
        return EXIT_DONE
    try:
        await box.client.gone(GONE_TIMEOUT_S)
    except TimeoutError:
        raise LinkLost(f"the wallbox did not restart within {GONE_TIMEOUT_S:g} s") from None
    box.forget_role()
    back = await box.ask("hello")
    terminal.result(back, [f"the wallbox is back: version {back['version']}"])
    return EXIT_DONE


async def factory_reset(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Erase everything but serial number and passkey."""
    if not options.erase:
        question = "This erases settings, cards, sessions, passwords and logs. Type erase to go on: "
        if not terminal.interactive:
            raise UsageError("factory-reset erases everything. Confirm with --erase")
        if (await terminal.ask(question)).strip() != "erase":
            raise UsageError("not confirmed; nothing was done")
    await box.be("expert")
    answer = await box.ask("factory_reset", confirm="erase")
    terminal.result(answer, ["everything was erased; the wallbox restarts as it was delivered"])
    return EXIT_DONE
