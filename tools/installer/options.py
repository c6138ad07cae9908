"""The command line as argparse sees it: every command, argument and option, and nothing of what they do."""

import argparse
from collections.abc import Callable
from pathlib import Path

from installer.box import ADDRESS_ENV, BACKUP_PASSWORD_ENV, NEW_PASSWORD_ENV, PASSKEY_ENV, PASSWORD_ENV
from installer.errors import EXIT_CODES
from installer.transports.websocket import DEFAULT_URL

PROGRAM = "wallbox"
LIVE_MS = (200, 10_000)
SHELLS = ("bash", "zsh", "fish")

_EPILOG = f"""\
environment:
  {ADDRESS_ENV}          where the wallbox is, when no option says it: ws://..., radio:PORT or ble:NAME
  {PASSKEY_ENV}          passkey of the label
  {PASSWORD_ENV["expert"]}  password of expert mode
  {PASSWORD_ENV["owner"]}   app password
  {NEW_PASSWORD_ENV}     new password of `password`
  {BACKUP_PASSWORD_ENV}  password of `backup` and `restore`

exit codes:
""" + "\n".join(f"  {code:<4} {text}" for code, text in EXIT_CODES.items())

_MEASURED = "what you measured: by=NAME, rcd_ac_trip_ms, rcd_dc_trip_ms, insulation_kohm, pe_mohm, loop_mohm"


class _Parser(argparse.ArgumentParser):
    """argparse, with an error in one line that says where help is."""

    def error(self, message: str):
        """End with exit code 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _whole(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        number = int(text) if text.isdecimal() else low - 1
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed: whole numbers {low}..{high}")
        return number

    return convert


def _assignment(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed: KEY=VALUE")
    return key.strip(), value


def _common(default: object) -> "_Parser":
    """Options that every command takes, in front of the command and behind it."""
    parent = _Parser(add_help=False)
    group = parent.add_argument_group("the wallbox and who you are")

    def add(*names: str, **rest) -> None:
        group.add_argument(*names, default=default, **rest)

    add("--ws", metavar="URL", help=f"WebSocket of the simulator ({DEFAULT_URL})")
    add("--radio", metavar="PORT", type=_whole(1, 65535), help="virtual radio: TCP port of its controller")
    add("--ble", metavar="NAME", help="Bluetooth adapter: name or address of the wallbox")
    add("--box", metavar="NAME", help="with --radio: name or address, when there are several")
    add("--passkey", metavar="DIGITS", help=f"passkey of the label (else {PASSKEY_ENV}, else asked for)")
    for role in ("expert", "owner"):
        env = PASSWORD_ENV[role]
        add(f"--{role}-password", metavar="TEXT", help=f"password of the {role} (else {env}, else asked for)")
    json_default = default if default is argparse.SUPPRESS else False
    group.add_argument("--json", action="store_true", default=json_default, help="result as JSON on stdout")
    return parent


class _Tree:
    """Builds commands under a parser."""

    def __init__(self, parser: argparse.ArgumentParser, common: _Parser, path: str = ""):
        name = "command" if not path else "action"
        self._children = parser.add_subparsers(dest=name, metavar=name.upper(), required=True, parser_class=_Parser)
        self._common = common
        self._path = path

    def add(self, name: str, text: str) -> argparse.ArgumentParser:
        """A command; its handler is looked up by `handler`."""
        parser = self._children.add_parser(name, help=text, description=text, parents=[self._common])
        path = f"{self._path} {name}".strip()
        parser.set_defaults(handler=path)
        return parser

    def group(self, name: str, text: str) -> "_Tree":
        """A command with commands of its own."""
        parser = self._children.add_parser(name, help=text, description=text)
        return _Tree(parser, self._common, name)


def _output(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=f"file for {what}; - is stdout")


def _yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask back")


def build() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog=PROGRAM,
        description="Sets up, checks and looks after a wallbox over Bluetooth or the simulator's WebSocket.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common(None)],
    )
    tree = _Tree(parser, _common(argparse.SUPPRESS))
    _look(tree)
    _set_up(tree)
    _cards(tree.group("cards", "charging cards and the setup card"))
    _meter(tree.group("meter", "the energy meter on the bus"))
    _records(tree)
    _upkeep(tree)
    return parser


def _look(tree: _Tree) -> None:
    scan = tree.add("scan", "list the wallboxes within reach")
    scan.add_argument("--seconds", type=_whole(1, 60), default=5, metavar="S", help="how long to listen (5)")
    tree.add("hello", "tell what the wallbox is")
    tree.add("status", "tell what it does")
    tree.add("why", "tell why it charges with this current, or not at all")
    live = tree.add("live", "show measured values as they change, until Ctrl-C")
    live.add_argument("--period", type=_whole(*LIVE_MS), default=1000, metavar="MS", help="every so many ms (1000)")
    live.add_argument("--count", type=_whole(1, 1_000_000), metavar="N", help="end after N values")
    tree.add("faults", "list active faults")


def _set_up(tree: _Tree) -> None:
    settings = tree.group("settings", "read and change settings")
    get = settings.add("get", "read settings")
    get.add_argument("keys", nargs="*", metavar="KEY", help="only these")
    change = settings.add("set", "change settings, all of them or none")
    change.add_argument("changes", nargs="+", type=_assignment, metavar="KEY=VALUE")
    change.add_argument("--check", action="store_true", help="only judge, change nothing")
    describe = settings.add("describe", "what settings there are and what is allowed")
    describe.add_argument("keys", nargs="*", metavar="KEY", help="only these")
    charge = tree.add("charge", "start or stop charging, as a card does")
    charge.add_argument("what", choices=("start", "stop"))
    wizard = tree.add("wizard", "set the wallbox up, step by step; it may be left and taken up again")
    wizard.add_argument("--answers", type=Path, metavar="FILE", help="JSON object of settings: ask nothing")
    wizard.add_argument("--state", action="store_true", help="only tell how far it is")
    for name, text in (("network", "Wi-Fi and mobile network"), ("backend", "the backend of the operator")):
        group = tree.add(name, f"settings of {text}: without KEY=VALUE they are shown")
        group.add_argument("changes", nargs="*", type=_assignment, metavar="KEY=VALUE")
    password = tree.add("password", "change the app password or that of expert mode")
    password.add_argument("role", choices=("owner", "expert"))
    password.add_argument("--new", metavar="TEXT", help=f"new password (else {NEW_PASSWORD_ENV}, else asked for)")
    brightness = tree.add("brightness", "brightness of the light bar: a look of 10 s, or for good")
    brightness.add_argument("percent", type=_whole(0, 100))
    brightness.add_argument("--keep", action="store_true", help="for good")
    clock = tree.add("clock", "set the clock of the wallbox to this computer's")
    clock.add_argument("--utc", type=_whole(0, (1 << 32) - 1), metavar="SECONDS", help="to this, in s since 1970")


def _cards(cards: _Tree) -> None:
    cards.add("list", "list all cards")
    add = cards.add("add", "let a card charge")
    add.add_argument("uid", help="8, 14 or 20 hexadecimal digits")
    add.add_argument("--name", dest="card_name", metavar="TEXT", help="whose it is")
    name = cards.add("name", "give a card a name")
    name.add_argument("uid")
    name.add_argument("card_name", metavar="TEXT")
    block = cards.add("block", "let a card charge no more, and keep it in the list")
    block.add_argument("uid")
    block.add_argument("--off", action="store_true", help="let it charge again")
    delete = cards.add("delete", "forget a card")
    delete.add_argument("uid")
    register = cards.add("register", "registration mode: each new card held to the reader is registered")
    register.add_argument("mode", choices=("on", "off"), nargs="?", default="on")
    setup = cards.add("setup-card", "make a card the setup card")
    which = setup.add_mutually_exclusive_group(required=True)
    which.add_argument("uid", nargs="?")
    which.add_argument("--next", action="store_true", help="the next card held to the reader within 60 s")


def _meter(meter: _Tree) -> None:
    scan = meter.add("scan", "search for the meter: model, address, baud rate, parity")
    check = meter.add("check", "step the charge of the plugged-in car and see whether the meter follows (2 minutes)")
    for parser in (scan, check):
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--no-wait", action="store_true", help="start it and return")
        how.add_argument("--stop", action="store_true", help="end it")
        how.add_argument("--last", action="store_true", help="tell how far it is, or how it ended")
    scan.add_argument("--use", action="store_true", help="write what was found into the settings")


def _records(tree: _Tree) -> None:
    log = tree.add("log", "the event log")
    log.add_argument("--since", type=_whole(0, 1 << 31), default=0, metavar="N", help="only after entry N")
    log.add_argument("--security", action="store_true", help="the security log")
    _output(log, "the whole log as CSV")
    trips = tree.add("trips", "what the fault recorder kept: 2 s before and 1 s after each trip")
    trips.add_argument("index", nargs="?", type=_whole(0, 1000), help="fetch this one as CSV")
    _output(trips, "the trip as CSV")
    history = tree.add("history", "fetch the charging sessions")
    history.add_argument("--format", choices=("csv", "json"), default="csv")
    _output(history, "the sessions")
    _output(tree.add("diagnostics", "fetch what a service desk needs; it holds no secrets"), "the diagnostics")
    report = tree.add("report", "fetch the installer's report, signed by the wallbox")
    report.add_argument("--measured", type=Path, metavar="FILE", help="JSON object of what you measured")
    report.add_argument(
        "checks",
        nargs="*",
        type=_assignment,
        metavar="KEY=VALUE",
        help=_MEASURED,
    )
    _output(report, "the report")


def _upkeep(tree: _Tree) -> None:
    backup = tree.add("backup", "fetch everything that was set up, as a file")
    _output(backup, "the backup")
    backup.add_argument("--no-secrets", action="store_true", help="leave secrets out instead of encrypting them")
    backup.add_argument("--password", metavar="TEXT", help=f"encrypts secrets (else {BACKUP_PASSWORD_ENV}, else asked)")
    restore = tree.add("restore", "set the wallbox up from a backup")
    restore.add_argument("file", type=Path)
    restore.add_argument("--compare", action="store_true", help="only tell the differences")
    restore.add_argument("--password", metavar="TEXT", help=f"that of the backup (else {BACKUP_PASSWORD_ENV})")
    _yes(restore)
    firmware = tree.add("firmware", "send a firmware, and see whether the wallbox keeps it")
    firmware.add_argument("file", type=Path)
    firmware.add_argument("--no-wait", action="store_true", help="do not wait until it has proven itself")
    _yes(tree.add("service", "end latched welds, once the contactor was mended"))
    restart = tree.add("restart", "restart the wallbox")
    restart.add_argument("--no-wait", action="store_true", help="do not wait until it is back")
    _yes(restart)
    reset = tree.add("factory-reset", "erase settings, cards, sessions, names, pairings, passwords and logs")
    reset.add_argument("--erase", action="store_true", help="do not ask back")
    completion = tree.add("completion", "print the completion of a shell")
    completion.add_argument("shell", choices=SHELLS)
