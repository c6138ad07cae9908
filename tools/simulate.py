"""Starts the simulated wallbox: firmware on MicroPython, a real Modbus meter, web panel, radio (`make run`)."""

import argparse
import asyncio
import json
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from child import Child, ChildError
from control_link import ControlError, ControlLink
from meter_peer import MeterPeer
from panel_feed import Feed
from panel_server import WEBAPP_PATH, PanelServer
from radio.box_link import BoxLink
from radio.web_link import WebLink
from status_line import StatusLine

if TYPE_CHECKING:
    from radio.air import PhonePort
    from radio.peripheral import Peripheral

ROOT = Path(__file__).resolve().parent.parent
BOARD = ROOT / "boards" / "simulator" / "run.py"
# Firmware and plant together, in 64-bit words; the real device has less, but no plant to carry. A larger heap would
# only make each garbage collection longer.
HEAP = "8M"
# With the slots of the flash, and what runs from them.
SLOTS_HEAP = "16M"
DEFAULT_CONTROL_PORT = 7061
DEFAULT_WEB_PORT = 8061
DEATH_GRACE_S = 1.0
MAX_SPEED = 100
EXIT_FAILED = 1


class StartError(Exception):
    """The simulator cannot start or go on; the text tells the user why and what to do."""


def port(text: str) -> int:
    """Argparse type of a TCP port, 0 meaning any free one."""
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; allowed: 0..65535, 0 is any free one")
    return number


def speed(text: str) -> int:
    """Argparse type of how many times faster than the host the board runs."""
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= MAX_SPEED:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed; allowed: 1..{MAX_SPEED}")
    return number


def settings_file(text: str) -> Path:
    """Argparse type of a file with one JSON object."""
    path = Path(text)
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError(f'{text!r} holds no JSON object; allowed: {{"rated_a": 16, …}}')
    return path


def backend_url(text: str) -> str:
    """Argparse type of an OCPP backend's address."""
    if not text.startswith(("ws://", "wss://")):
        raise argparse.ArgumentTypeError(f"{text!r} is no backend; allowed: ws://… or wss://…")
    return text


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; wrong options end the program with what is allowed."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--control", type=port, default=DEFAULT_CONTROL_PORT, metavar="PORT", help="control API (7061)")
    parser.add_argument("--web", type=port, default=DEFAULT_WEB_PORT, metavar="PORT", help="web panel (8061)")
    parser.add_argument("--no-web", action="store_true", help="no web panel")
    parser.add_argument("--factory", action="store_true", help="start as delivered, wizard not complete")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the flash image in DIR between runs")
    parser.add_argument("--image", type=Path, metavar="FILE", help="run this firmware, a container, from a slot")
    parser.add_argument("--settings", type=settings_file, metavar="FILE", help="settings of the first boot, JSON")
    parser.add_argument("--ocpp", type=backend_url, metavar="URL", help="OCPP backend")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="component tolerances and chance (0)")
    parser.add_argument("--virtual", action="store_true", help="virtual time: it moves only when it is advanced")
    parser.add_argument("--radio", type=port, metavar="PORT", help="virtual Bluetooth radio for phones at this port")
    parser.add_argument("--speed", type=speed, default=1, metavar="N", help="real time N times faster, 1..100 (1)")
    options = parser.parse_args(arguments)
    if options.virtual and options.speed != 1:
        parser.error("--speed: not allowed with --virtual, in which time moves only when it is advanced")
    if options.virtual and options.radio is not None:
        parser.error("--radio: not allowed with --virtual, since phones live in real time")
    return options


def check_port(number: int, purpose: str, option: str) -> None:
    """StartError when `number` cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as error:
            raise StartError(
                f"port {number} of the {purpose} cannot be used ({error.strerror}); "
                f"is another simulator running? Choose another with {option} PORT, or 0 for any free one"
            ) from error


def interpreter() -> str:
    """The MicroPython of this virtual environment, else the one on PATH."""
    beside = Path(sys.executable).parent / "micropython"
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if not found:
        raise StartError(f"micropython is neither beside {sys.executable} nor on PATH; `make setup` installs it")
    return found


def firmware_command(options: argparse.Namespace, rs485: str | None) -> list[str]:
    """The command line of the simulated board."""
    slots = options.image or (options.data and (options.data / "slots.bin").exists())
    heap = SLOTS_HEAP if slots else HEAP
    command = [interpreter(), "-X", f"heapsize={heap}", str(BOARD), "--control", str(options.control)]
    command += ["--seed", str(options.seed)]
    for flag in ("factory", "virtual"):
        if getattr(options, flag):
            command.append(f"--{flag}")
    for name in ("data", "image", "settings"):
        if getattr(options, name):
            command += [f"--{name}", str(getattr(options, name).absolute())]
    if options.speed != 1:
        command += ["--speed", str(options.speed)]
    if options.ocpp:
        command += ["--ocpp", options.ocpp]
    if rs485:
        command += ["--rs485", rs485]
    if offers_link(options):
        command += ["--ble", "0"]
    return command


def offers_link(options: argparse.Namespace) -> bool:
    """Whether an installer's app can connect, over the web server or the radio."""
    return not options.virtual and (not options.no_web or options.radio is not None)


class Simulator:
    """The running whole: firmware, meter, control connections, radio, panel, status line."""

    def __init__(self, options: argparse.Namespace):
        self._options = options
        self._firmware: Child | None = None
        self._meter: MeterPeer | None = None
        self._feed: Feed | None = None
        self._links: list[ControlLink] = []
        self._box: BoxLink | None = None
        self._peripheral: Peripheral | None = None
        self._phones: PhonePort | None = None
        self._panel: PanelServer | None = None
        self._line = StatusLine(sys.stdout)

    async def run(self) -> None:
        """Start everything, serve until cancelled; ChildError or StartError when something ends by itself."""
        options = self._options
        check_port(options.control, "control API", "--control")
        if not options.no_web:
            check_port(options.web, "web panel", "--web")
        if options.radio is not None:
            check_port(options.radio, "virtual radio", "--radio")
        firmware = await self._start_firmware()
        self._feed = Feed(await self._connect())
        address = f"control API 127.0.0.1:{options.control}"
        if not options.no_web:
            installer = WebLink(self._box) if self._box else None
            self._panel = PanelServer(await self._connect(), self._feed, options.virtual, installer)
            address = f"http://127.0.0.1:{await self._panel.open(options.web)}/"
            print(f"panel {address}", flush=True)
            if installer:
                print(f"app {address.rstrip('/')}{WEBAPP_PATH}", flush=True)
        print(f"control 127.0.0.1:{options.control}", flush=True)
        await self._serve(firmware, self._feed, address)

    async def stop(self) -> None:
        """End panel, radio, connections, firmware and meter, in this order, and leave the terminal on a new line."""
        self._line.close()
        for part in (self._panel, self._phones, self._peripheral, self._box):
            if part:
                await part.close()
        for link in self._links:
            await link.close()
        if self._firmware:
            await self._firmware.stop()
        if self._meter:
            await asyncio.to_thread(self._meter.stop)

    async def _serve(self, firmware: Child, feed: Feed, address: str) -> None:
        death = asyncio.create_task(firmware.death())
        tasks = [death, asyncio.create_task(feed.run()), asyncio.create_task(self._line.run(feed, address))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # A lost connection is mostly a firmware that is ending; its own words say more.
            await asyncio.wait((death,), timeout=DEATH_GRACE_S)
            if death.done():
                raise death.result()
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start_firmware(self) -> Child:
        rs485 = None
        # A real meter answers in the host's time; at another the simulated one does.
        if not self._options.virtual and self._options.speed == 1:
            self._meter = MeterPeer(self._measured)
            rs485 = await asyncio.to_thread(self._meter.start)
        firmware = self._firmware = Child("the firmware", firmware_command(self._options, rs485), ROOT)
        await firmware.start()
        address = await firmware.announced("control")
        self._options.control = int(address.rpartition(":")[2])
        if offers_link(self._options):
            await self._start_radio((await firmware.announced("ble")).rpartition(":")[2])
        return firmware

    async def _start_radio(self, box_port: str) -> None:
        self._box = BoxLink(int(box_port))
        try:
            await self._box.open()
        except TimeoutError:
            raise StartError("the firmware did not tell its radio what to advertise") from None
        # A simulated box has no label.
        if self._box.profile:
            print(f"passkey {self._box.profile.passkey}", flush=True)
        if self._options.radio is None:
            return
        # The Bluetooth stack takes half a second to import.
        from radio.air import Air, PhonePort
        from radio.peripheral import Peripheral

        air = Air()
        self._peripheral = Peripheral(self._box, air, self._options.data)
        await self._peripheral.open()
        self._phones = PhonePort(air)
        print(f"radio tcp-client:127.0.0.1:{await self._phones.open(self._options.radio)}", flush=True)

    def _measured(self) -> dict:
        """What the meter at the house's connection sees; called from the meter's thread."""
        state = self._feed.state if self._feed else {}
        values = {"amps": state.get("grid_a"), "volts": state.get("volts")}
        return {name: three for name, three in values.items() if three}

    async def _connect(self) -> ControlLink:
        link = ControlLink(self._options.control)
        self._links.append(link)
        await link.open()
        return link


async def simulate(options: argparse.Namespace) -> int:
    """Run the simulator until SIGINT or SIGTERM (0) or a failure (EXIT_FAILED)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    simulator = Simulator(options)
    running = asyncio.create_task(simulator.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            return 0
        running.result()
        return 0
    except (ChildError, StartError, ControlError, OSError, RuntimeError) as error:
        print(f"\nsimulate: {error}", file=sys.stderr)
        return EXIT_FAILED
    finally:
        for task in (running, stopping):
            task.cancel()
        await asyncio.gather(running, stopping, return_exceptions=True)
        await simulator.stop()


if __name__ == "__main__":
    sys.exit(asyncio.run(simulate(parse(sys.argv[1:]))))
