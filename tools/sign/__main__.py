"""`python -m sign` (or `make sign ARGS=...`): keygen, sign, show, verify, table."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from sign import container, keys
from sign.container import ContainerError

EXIT_DONE = 0
EXIT_REFUSED = 1
MPY = "6.3"


def number(text: str) -> int:
    """Argparse type of a key's number."""
    value = int(text) if text.isdecimal() else -1
    if value not in keys.NUMBERS:
        raise argparse.ArgumentTypeError(f"{text!r} is no key number; allowed: 0..255")
    return value


def counter(text: str) -> int:
    """Argparse type of the counter against older firmware."""
    value = int(text) if text.isdecimal() else -1
    if not 0 <= value <= 0xFFFFFFFF:
        raise argparse.ArgumentTypeError(f"{text!r} is no counter; allowed: 0..4294967295")
    return value


def numbered(text: str) -> tuple[int, Path]:
    """Argparse type of NUMBER=FILE."""
    before, _, path = text.partition("=")
    return number(before), Path(path)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="sign", description=__doc__)
    tree = parser.add_subparsers(dest="command", required=True)
    keygen = tree.add_parser("keygen", help="make a key pair: FILE (secret) and FILE with .pub (public)")
    keygen.add_argument("file", type=Path)
    sign = tree.add_parser("sign", help="make a signed container of a ROMFS image")
    sign.add_argument("image", type=Path)
    sign.add_argument("--output", type=Path, help="the container (IMAGE with .wbx)")
    sign.add_argument("--key", type=Path, default=keys.DEVELOPMENT, help="private key, PEM (the development key)")
    sign.add_argument("--number", type=number, default=keys.DEVELOPMENT_NUMBER, help="the key's number in the firmware")
    sign.add_argument("--board", required=True, help="simulator, wallbox-s3-1, ...")
    sign.add_argument("--version", required=True)
    sign.add_argument("--counter", type=counter, required=True, help="no box takes a lower one than it has had")
    sign.add_argument("--mpy", default=MPY, help=f"form of the compiled code ({MPY})")
    show = tree.add_parser("show", help="what a container is")
    show.add_argument("file", type=Path)
    verify = tree.add_parser("verify", help="whether a container is whole and signed with a key")
    verify.add_argument("file", type=Path)
    verify.add_argument("--key", type=Path, default=keys.DEVELOPMENT, help="public or private key, PEM")
    table = tree.add_parser("table", help="print the firmware's module of public keys")
    table.add_argument("keys", type=numbered, nargs="+", metavar="NUMBER=FILE")
    return parser.parse_args(arguments)


def built() -> str:
    """When the image counts as built: SOURCE_DATE_EPOCH, so that a build can be repeated, or now."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def do_keygen(options: argparse.Namespace) -> None:
    """Make a key pair."""
    key = keys.generate(options.file)
    public = options.file.with_name(options.file.name + ".pub")
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    print(f"{options.file}: keep it secret; {public}: for the firmware")


def do_sign(options: argparse.Namespace) -> None:
    """Make a container."""
    romfs = options.image.read_bytes()
    described = container.manifest(romfs, options.board, options.version, options.counter, options.mpy, built())
    output = options.output or options.image.with_suffix(".wbx")
    output.write_bytes(container.pack(romfs, described, options.number, keys.private(options.key)))
    print(f"{output}: firmware {options.version} for {options.board}, counter {options.counter}, key {options.number}")


def do_show(options: argparse.Namespace) -> None:
    """Tell what a container is."""
    found = container.parse(options.file.read_bytes())
    for name, value in found.manifest.items():
        print(f"{name:8} {value}")
    print(f"{'key':8} {found.key}")


def do_verify(options: argparse.Namespace) -> None:
    """Judge a container."""
    found = container.parse(options.file.read_bytes())
    container.verify(found, keys.public(options.key))
    print(f"{options.file}: firmware {found.manifest['version']} is whole and signed with key {found.key}")


def do_table(options: argparse.Namespace) -> None:
    """Print a module."""
    print(keys.table({number: keys.public(path) for number, path in options.keys}), end="")


COMMANDS = {"keygen": do_keygen, "sign": do_sign, "show": do_show, "verify": do_verify, "table": do_table}


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says -> exit code."""
    options = parse(arguments)
    try:
        COMMANDS[options.command](options)
    except (ContainerError, OSError) as error:
        print(f"sign: {error}", file=sys.stderr)
        return EXIT_REFUSED
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
