"""A small OCPP 1.6 central system with a web page (`make csms`)."""

import argparse
import asyncio
import signal
import sys

from central.server import CentralServer

DEFAULT_PORT = 8064
EXIT_FAILED = 1


def port(text: str) -> int:
    """Argparse type of a TCP port, 0 meaning any free one."""
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; allowed: 0..65535, 0 is any free one")
    return number


async def run(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM -> exit code."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = CentralServer(options.password)
    try:
        number = await server.open(options.port)
    except OSError as error:
        print(
            f"csms: port {options.port} cannot be used ({error.strerror}); choose another with --port", file=sys.stderr
        )
        return EXIT_FAILED
    print(f"page http://127.0.0.1:{number}/")
    print(f'box  make run ARGS="--ocpp {server.url}"', flush=True)
    try:
        await stop.wait()
    finally:
        await server.close()
    return 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="csms", description=__doc__)
    parser.add_argument(
        "--port", type=port, default=DEFAULT_PORT, metavar="PORT", help=f"page and boxes ({DEFAULT_PORT})"
    )
    parser.add_argument(
        "--password", metavar="TEXT", help="what boxes must give (ocpp_password); none: all may connect"
    )
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
