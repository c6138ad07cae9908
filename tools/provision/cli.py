"""The command line of the production tool; it prints no passkey and no key, only where they are."""

import argparse
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

from provision import flash, label
from provision.identity import Identity, ProvisionError, check_card, check_serial, draw, next_serial
from provision.register import Register

EXIT_FAILED = 1
DEFAULT_REGISTER = Path("register.jsonl")

_EPILOG = """\
A real board gets the files of --files into the folder that its hal.flash mounts, before its first start:

  mpremote connect PORT fs cp FILES/identity.0 :FOLDER/identity.0

Delete the files afterwards: they hold the passkey and the key of the device. The register holds them too: keep it
encrypted, and where only the factory can read it.
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; wrong options end the program."""
    parser = argparse.ArgumentParser(
        prog="provision", description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in (
        ("new", "make a new identity, register it, write it"),
        ("again", "write what the register has, as for a label or a board that was spoilt"),
        ("list", "list the serial numbers of the register"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--register", type=Path, default=DEFAULT_REGISTER, metavar="FILE", help=f"({DEFAULT_REGISTER})"
        )
        if name == "list":
            continue
        if name == "new":
            command.add_argument("--serial", metavar="TEXT", help="serial number (the week's next: WB2648-0001)")
            command.add_argument("--setup-card", metavar="UID", help="number of the setup card in the box")
        else:
            command.add_argument("serial", help="serial number")
        command.add_argument("--data", type=Path, metavar="DIR", help="write to the simulator's flash image in DIR")
        command.add_argument("--files", type=Path, metavar="DIR", help="write files for a real board's flash to DIR")
        command.add_argument("--label", type=Path, metavar="FILE", help="label as PDF")
    return parser.parse_args(arguments)


def _new(options: argparse.Namespace) -> tuple[Identity, str | None]:
    now = datetime.datetime.now(datetime.UTC)
    setup_card = check_card(options.setup_card) if options.setup_card else None
    with Register(options.register).open() as entries:
        serial = options.serial or next_serial(set(entries.known), now.date())
        identity = draw(check_serial(serial))
        # Registered before it is written: a wallbox that exists without its entry could never be helped.
        entries.append(identity, now.isoformat(timespec="seconds"), setup_card)
    print(f"{identity.serial} registered in {options.register}")
    return identity, setup_card


def _again(options: argparse.Namespace) -> tuple[Identity, str | None]:
    with Register(options.register).open() as entries:
        identity = entries.identity(options.serial)
        return identity, entries.known[options.serial].get("setup_card")


def _write(options: argparse.Namespace, identity: Identity, setup_card: str | None) -> None:
    again = options.command == "again"
    if options.data:
        print(f"flash image {flash.write_image(options.data, identity, setup_card, again)}")
    if options.files:
        for file in flash.write_files(options.files, identity, setup_card, again):
            print(f"file {file}")
    if options.label:
        label.write(options.label, identity)
        print(f"label {options.label}")


def _list(options: argparse.Namespace) -> None:
    with Register(options.register).open() as entries:
        for entry in entries.known.values():
            print(f"{entry['serial']:<22}{entry['made']}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command -> exit code."""
    options = parse(arguments)
    try:
        if options.command == "list":
            _list(options)
            return 0
        identity, setup_card = _new(options) if options.command == "new" else _again(options)
        try:
            _write(options, identity, setup_card)
        except ProvisionError as error:
            raise ProvisionError(f"{error}; mend that and go on with: again {identity.serial}") from error
        return 0
    except (ProvisionError, OSError) as error:
        print(f"provision: {error}", file=sys.stderr)
        return EXIT_FAILED
