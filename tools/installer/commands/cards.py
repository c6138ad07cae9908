"""Commands for charging cards and the setup card (R17, R18)."""

import asyncio
from argparse import Namespace

from installer.box import Box
from installer.errors import EXIT_DONE, EXIT_NO
from installer.terminal import Terminal

LOOK_S = 0.5


async def list_cards(box: Box, _options: Namespace, terminal: Terminal) -> int:
    """List all cards."""
    await box.be("owner")
    answer = await box.ask("cards")
    lines = [f"setup card  {answer['setup'] or '-'}"]
    lines += [_card_line(card) for card in answer["charging"]]
    lines.append(
        f"{len(answer['charging'])} charging cards; registration mode {'on' if answer['registration'] else 'off'}"
    )
    if answer.get("last_unknown"):
        lines.append(f"last unknown card  {answer['last_unknown']}")
    terminal.result(answer, lines)
    return EXIT_DONE


def _card_line(card: dict) -> str:
    blocked = "  blocked" if card.get("blocked") else ""
    return f"{card['uid']:<22}{card.get('name') or ''}{blocked}"


async def _change(box: Box, terminal: Terminal, done: str, **arguments) -> int:
    await box.be("owner")
    answer = await box.ask("card", **arguments)
    terminal.result(answer, [f"card {arguments['uid']} {done}"])
    return EXIT_DONE


async def add(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Let a card charge."""
    return await _change(box, terminal, "may charge", uid=options.uid, add=True, name=options.card_name)


async def name(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Give a card a name."""
    return await _change(box, terminal, f"is {options.card_name!r}", uid=options.uid, name=options.card_name)


async def block(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Block a card, or let it charge again."""
    done = "may charge again" if options.off else "is blocked"
    return await _change(box, terminal, done, uid=options.uid, blocked=not options.off)


async def delete(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Forget a card."""
    return await _change(box, terminal, "is forgotten", uid=options.uid, delete=True)


async def register(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Turn registration mode on or off."""
    await box.be("owner")
    answer = await box.ask("register", on=options.mode == "on")
    hint = "hold each new card to the reader; it ends by itself 60 s after the last one"
    terminal.result(answer, [f"registration mode {options.mode}" + (f": {hint}" if options.mode == "on" else "")])
    return EXIT_DONE


async def setup_card(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Make a card the setup card: by its number, or the next one held to the reader."""
    await box.be("expert")
    if not options.next:
        answer = await box.ask("setup_card", uid=options.uid)
        terminal.result(answer, [f"setup card is {answer['setup']} now"])
        return EXIT_DONE
    terminal.note("hold the new setup card to the reader within 60 s")
    card = await await_setup_card(box)
    terminal.result({"setup": card}, ["no card came" if card is None else f"setup card is {card} now"])
    return EXIT_NO if card is None else EXIT_DONE


async def await_setup_card(box: Box) -> str | None:
    """Wait while the wallbox waits for a card -> its UID, None when it has become tired of it."""
    before = (await box.ask("setup_card", next=True))["setup"]
    while True:
        cards = await box.ask("cards")
        if not cards["awaits_setup"]:
            return cards["setup"] if cards["setup"] != before else None
        await asyncio.sleep(LOOK_S)
