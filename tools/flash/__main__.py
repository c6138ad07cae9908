"""`python -m flash FILE` (or `make flash ARGS=FILE`): a firmware into a wallbox at its service port (USB).

The wallbox is stopped for it: the contactor opens, nothing charges. The firmware that is there verifies what comes.
"""

import argparse
import sys
from pathlib import Path

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from flash.port import FlashError, send
from sign import container
from sign.container import ContainerError

EXIT_DONE = 0
EXIT_REFUSED = 1
PORT = "/dev/ttyACM0"
ANSWER_S = 60


class Raw:
    """The raw prompt of a wallbox, with patience: erasing a slot takes it ten seconds and more."""

    def __init__(self, port: str):
        self._transport = SerialTransport(port)
        self._transport.enter_raw_repl(soft_reset=True)

    def exec(self, command: str) -> bytes:
        """Run code -> what it printed; TransportExecError with the wallbox's traceback."""
        printed, error = self._transport.exec_raw(command, timeout=ANSWER_S)
        if error:
            raise TransportExecError(0, error.decode(errors="replace").strip().splitlines()[-1])
        return printed

    def restart(self) -> None:
        """Leave the wallbox to what is in its slots."""
        self._transport.exec_raw_no_follow("import machine\nmachine.reset()")

    def close(self) -> None:
        """Give the port back."""
        self._transport.close()


def show(done: int, whole: int) -> None:
    """One line of progress."""
    print(f"\r{done * 100 // whole:3} %", end="", file=sys.stderr, flush=True)


def flash(options: argparse.Namespace) -> str:
    """Send the file -> what the wallbox says."""
    content = options.file.read_bytes()
    container.parse(content)
    raw = Raw(options.port)
    try:
        said = send(raw, content, options.bare, show)
        print(file=sys.stderr)
        raw.restart()
        return said
    finally:
        raw.close()


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says -> exit code."""
    parser = argparse.ArgumentParser(prog="flash", description=__doc__)
    parser.add_argument("file", type=Path, help="a container (see make sign)")
    parser.add_argument("--port", default=PORT, help=f"serial port of the wallbox ({PORT})")
    parser.add_argument("--bare", action="store_true", help="a board without a firmware: nothing there verifies this")
    options = parser.parse_args(arguments)
    try:
        print(flash(options))
    except TransportExecError as error:
        print(f"flash: the wallbox refuses: {error.error_output}", file=sys.stderr)
        return EXIT_REFUSED
    except (FlashError, ContainerError, TransportError, OSError) as error:
        print(f"flash: {error}", file=sys.stderr)
        return EXIT_REFUSED
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
