"""The installation wizard at the terminal (R6, R23): asks step by step; the wallbox judges and keeps what was done."""

import asyncio
from argparse import Namespace
from collections.abc import Iterator
from enum import Enum

from installer import files
from installer.box import Box
from installer.commands.cards import await_setup_card
from installer.commands.settings import is_secret, setting_line
from installer.errors import EXIT_DONE, EXIT_NO, Refused, UsageError, ValueRefused
from installer.questions import ACCESS_GROUP, SKIPPABLE, STEPS, TOGETHER, Question
from installer.schema import Schema, allowed_text, shown
from installer.terminal import Terminal

BACK, HELP, QUIT = "<", "?", "q"
EMPTY = "-"
LOOK_S = 1.0
# Keys of an answers file that are no settings.
SETUP_CARD, CARDS = "setup_card", "cards"
HOW = f"Enter keeps what is shown in brackets. {BACK} goes back, {HELP} explains, {EMPTY} empties, {QUIT} leaves."


class Move(Enum):
    """Where to go from a step."""

    NEXT = 1
    BACK = -1
    QUIT = 0


class _Back(Exception):
    """The person wants to go back."""


class _Quit(Exception):
    """The person wants to leave."""


async def wizard(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Set the wallbox up: with questions, or from a file of answers."""
    if options.answers is not None:
        answers = files.read_object(options.answers)
        await box.be("expert")
        state = await _Answers(box, answers).run()
    elif options.state or not terminal.interactive:
        if not options.state:
            raise UsageError("the wizard asks questions and needs a terminal; allowed: --answers FILE, --state")
        state = (await box.ask("wizard"))["wizard"]
    else:
        await box.be("expert")
        state = await _Dialogue(box, terminal, await Schema.fetch(box)).run()
    terminal.result(state, _state_lines(state))
    return EXIT_DONE if state["complete"] else EXIT_NO


def _state_lines(state: dict) -> Iterator[str]:
    for step in state["steps"]:
        missing = f"  missing: {', '.join(step['missing'])}" if step["missing"] else ""
        yield f"{step['name']:<12}{step['state']}{missing}"
    yield "the wallbox may charge" if state["complete"] else f"charging is locked until {state['step']} is done"


class _Answers:
    """All steps from one object of settings, and of cards: {"setup_card": UID, "cards": [{"uid", "name"}]}."""

    def __init__(self, box: Box, answers: dict):
        self._box = box
        self._answers = dict(answers)

    async def run(self) -> dict:
        """Set, confirm and skip, until the summary is confirmed -> the wizard's state."""
        schema = await Schema.fetch(self._box)
        setup, cards = self._answers.pop(SETUP_CARD, None), self._answers.pop(CARDS, [])
        groups: dict[str, dict] = {}
        for key, value in self._answers.items():
            groups.setdefault(schema.row(key)["group"], {})[key] = value
        _check_cards(cards)
        together = {key: value for group in TOGETHER for key, value in groups.pop(group, {}).items()}
        for step in (await self._box.ask("wizard"))["wizard"]["steps"]:
            await self._step(step, groups, together, setup, cards)
        rest = {key: value for changes in groups.values() for key, value in changes.items()}
        if rest:
            await self._box.ask("settings", set=rest)
        return (await self._box.ask("wizard"))["wizard"]

    async def _step(self, step: dict, groups: dict, together: dict, setup: object, cards: list) -> None:
        name = step["name"]
        if name == "electrical":
            # The step `meter` takes the settings of both, judged as one.
            if together:
                await self._box.ask("wizard", step="meter", set=together)
            await self._confirm(step)
        elif name == "meter":
            await self._confirm(step)
        elif name == "cards":
            await self._cards(groups.pop(ACCESS_GROUP, None), setup, cards)
        elif name in SKIPPABLE:
            changes = groups.pop(name, None)
            if changes is not None:
                await self._box.ask("wizard", step=name, set=changes, confirm=True)
            elif step["state"] == "open":
                await self._box.ask("wizard", step=name, confirm=False)
        elif name == "summary":
            await self._confirm(step)

    async def _confirm(self, step: dict) -> None:
        if step["state"] != "done":
            await self._box.ask("wizard", step=step["name"], confirm=True)

    async def _cards(self, changes: dict | None, setup: object, cards: list) -> None:
        if setup is not None:
            await self._box.ask("setup_card", uid=setup)
        for card in cards:
            await self._box.ask("card", add=True, **card)
        if changes is None and setup is None and not cards:
            await self._box.ask("wizard", step="cards", confirm=False)
        else:
            await self._box.ask("wizard", step="cards", set=changes or {}, confirm=True)


def _check_cards(cards: object) -> None:
    allowed = '[{"uid": "...", "name": "..."}, ...]'
    whole = isinstance(cards, list) and all(
        isinstance(card, dict) and "uid" in card and set(card) <= {"uid", "name"} for card in cards
    )
    if not whole:
        raise ValueRefused(f"{CARDS}: {str(cards)[:40]!r} is not allowed; allowed: {allowed}")


class _Dialogue:
    """Asks; each step is sent to the wallbox as a whole, so leaving in the middle of one loses that one alone."""

    def __init__(self, box: Box, terminal: Terminal, schema: Schema):
        self._box = box
        self._terminal = terminal
        self._schema = schema
        self._values: dict = {}

    async def run(self) -> dict:
        """Go through the steps from the first open one on -> the wizard's state."""
        state = (await self._box.ask("wizard"))["wizard"]
        self._terminal.say(HOW)
        names = [step["name"] for step in state["steps"]]
        at = names.index(state["step"]) if state["step"] in names else len(names)
        while at < len(names):
            self._values = (await self._box.ask("settings"))["settings"]
            self._terminal.say(f"\nStep {at + 1} of {len(names)}: {names[at]}")
            move = await self._step(names[at])
            if move is Move.QUIT:
                self._terminal.say("Left; `wallbox wizard` goes on here.")
                break
            at = max(0, at + move.value)
        return (await self._box.ask("wizard"))["wizard"]

    async def _step(self, name: str) -> Move:
        try:
            if name in SKIPPABLE and not await self._yes(SKIPPABLE[name], self._in_use(name)):
                await self._send(name, confirm=False)
                return Move.NEXT
            if name == "test":
                return await self._test()
            if name == "meter":
                await self._search()
            return await self._questions(name)
        except _Back:
            return Move.BACK
        except _Quit:
            return Move.QUIT

    def _in_use(self, name: str) -> bool:
        """Whether something of a step is set already."""
        rows = (self._schema.row(key) for key in self._schema.keys(ACCESS_GROUP if name == "cards" else name))
        return any(not _is_default(row, self._values.get(row["key"])) for row in rows)

    async def _questions(self, name: str) -> Move:
        """Ask all questions of a step, send the answers, go back to the one that the wallbox refuses."""
        questions = STEPS.get(name)
        if questions is None:
            questions = tuple(Question(key, key.replace("_", " ")) for key in self._schema.keys(name))
        answers: dict = {}
        at = 0
        while True:
            at = await self._ask_from(questions, at, answers)
            if name == "cards" and self._now(answers).get("access_control"):
                await self._register()
            if name == "summary" and not await self._summary():
                return Move.BACK
            try:
                if answers:
                    await self._send(name, set=self._changed(answers))
                await self._send(name, confirm=True)
                return Move.NEXT
            except Refused as error:
                if error.code not in ("bad_value", "not_now"):
                    raise
                self._terminal.say(f"  {error}")
                if name == "cards" and error.code == "not_now":
                    self._terminal.say("  Register a charging card, or let everybody charge.")
                keys = [question.key for question in questions]
                at = keys.index(error.field) if error.field in keys else 0
                if not questions:
                    return Move.BACK

    async def _ask_from(self, questions: tuple[Question, ...], at: int, answers: dict) -> int:
        """Ask from one question on to the last; _Back before the first."""
        asked: list[int] = []
        while at < len(questions):
            question = questions[at]
            if not question.when(self._now(answers)):
                answers.pop(question.key, None)
                at += 1
                continue
            try:
                answers[question.key] = await self._answer(question, self._now(answers).get(question.key))
                asked.append(at)
                at += 1
            except _Back:
                if not asked:
                    raise
                at = asked.pop()
        return at

    def _now(self, answers: dict) -> dict:
        return {**self._values, **answers}

    def _changed(self, answers: dict) -> dict:
        """What to send: of a secret only a new one, since the wallbox told no more than that it has one."""
        return {
            key: value
            for key, value in answers.items()
            if not (is_secret(self._schema.row(key)) and isinstance(value, bool))
        }

    async def _answer(self, question: Question, now: object) -> object:
        """One answer of the right type; it may be what is set already."""
        row = self._schema.row(question.key)
        secret = is_secret(row)
        kept = ("set" if now else "empty") if secret else shown(now) or "empty"
        prompt = f"  {question.text} ({allowed_text(row)}) [{kept}]"
        while True:
            typed = await self._type(prompt, secret)
            if typed == HELP:
                default = shown(row.get("default")) or "empty"
                self._terminal.say(f"  {question.key}: allowed: {allowed_text(row)}; default: {default}")
                continue
            if typed == "":
                return now
            try:
                value = self._schema.value(question.key, "" if typed == EMPTY else typed)
                _judge(row, value)
                return value
            except ValueRefused as error:
                self._terminal.say(f"  {error}")

    async def _type(self, prompt: str, secret: bool = False) -> str:
        typed = await (self._terminal.secret(prompt, "--answers") if secret else self._terminal.ask(f"{prompt}: "))
        typed = typed.strip()
        if typed == BACK:
            raise _Back
        if typed == QUIT:
            raise _Quit
        return typed

    async def _yes(self, question: str, default: bool) -> bool:
        typed = (await self._type(f"  {question} [{'Y/n' if default else 'y/N'}]")).lower()
        return default if typed == "" else typed in ("y", "yes")

    async def _send(self, step: str, **arguments) -> None:
        await self._box.ask("wizard", step=step, **arguments)

    # -- what single steps have besides questions ----------------------------------------------------------

    async def _search(self) -> None:
        """Let the wallbox find the meter, and offer what it found as the answers."""
        if not await self._yes("Search for the meter on the bus?", self._values.get("meter_model") == "none"):
            return
        try:
            state = (await self._box.ask("scan", start=True))["scan"]
        except Refused as error:
            self._terminal.say(f"  {error}")
            return
        with self._terminal.progress("  searching", "%") as draw:
            while state["running"]:
                draw(state["percent"], 100)
                await asyncio.sleep(LOOK_S / 2)
                state = (await self._box.ask("scan"))["scan"]
        found = next((meter for meter in state["found"] if meter["model"]), None)
        if found is None:
            self._terminal.say("  no known meter was found")
            return
        line = f"{found['model']} at address {found['address']}, {found['baud']} Bd, parity {found['parity']}"
        self._terminal.say(f"  found: {line}")
        self._values.update({f"meter_{key}": found[key] for key in ("model", "address", "baud", "parity")})

    async def _register(self) -> None:
        """Let the person hold cards to the reader."""
        cards = await self._box.ask("cards")
        if not cards["setup"] and await self._yes("There is no setup card. Hold one to the reader now?", True):
            self._terminal.say("  Hold it to the reader within 60 s.")
            card = await await_setup_card(self._box)
            self._terminal.say(f"  {'no card came' if card is None else f'{card} is the setup card'}")
        if not await self._yes("Register charging cards by holding them to the reader now?", not cards["charging"]):
            return
        while True:
            try:
                await self._box.ask("register", on=True)
                break
            except Refused as error:
                # A car is still there, or the meter that was just chosen has not answered yet.
                self._terminal.say(f"  {error}")
                if not await self._yes("Try again?", True):
                    return
        await self._type("  Hold one card after the other to the reader, then press Enter")
        await self._box.ask("register", on=False)
        cards = await self._box.ask("cards")
        self._terminal.say(f"  {len(cards['charging'])} charging cards are registered")

    async def _summary(self) -> bool:
        """Show what is set and differs from the state of delivery; the person says that it is right."""
        for key, value in self._values.items():
            row = self._schema.rows.get(key)
            chosen = any(question.key == key for step in ("electrical", "meter") for question in STEPS[step])
            if row and (chosen or not _is_default(row, value)):
                self._terminal.say(f"  {setting_line(self._schema, key, value)}")
        return await self._yes("Is all of this right? The wallbox may charge then.", False)

    async def _test(self) -> Move:
        """Watch a charge of a minute, or leave it out."""
        if not await self._yes("Make a test charge of a minute now? Plug in a car.", True):
            await self._send("test", confirm=True)
            return Move.NEXT
        told = ""
        self._terminal.say("  Ctrl-C leaves; the charge counts all the same.")
        while True:
            step = next(step for step in (await self._box.ask("wizard"))["wizard"]["steps"] if step["name"] == "test")
            if step["state"] != "open":
                self._terminal.say("  The wallbox has charged for a minute.")
                return Move.NEXT
            text = (await self._box.ask("why"))["why"]["text"]
            if text != told:
                self._terminal.say(f"  {text}")
                told = text
            await asyncio.sleep(LOOK_S)


def _is_default(row: dict, value: object) -> bool:
    """Whether a setting is as delivered; of a secret the wallbox tells only whether there is one."""
    return not value if is_secret(row) else value == row.get("default")


def _judge(row: dict, value: object) -> None:
    """ValueRefused for what the schema alone shows to be wrong; the wallbox judges the rest."""
    allowed = row.get("allowed")
    if isinstance(allowed, list) and allowed and value != row.get("default"):
        fits = any(
            isinstance(part, list) and isinstance(value, int) and part[0] <= value <= part[1] or part == value
            for part in allowed
        )
        if not fits:
            raise ValueRefused(f"{row['key']}: {shown(value)} is not allowed; allowed: {allowed_text(row)}")
    elif isinstance(allowed, int) and len(str(value)) > allowed:
        raise ValueRefused(f"{row['key']}: {len(str(value))} characters are not allowed; allowed: up to {allowed}")
