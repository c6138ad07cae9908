"""Starts the firmware on the simulated board; `micropython boards/simulator/run.py --help` says more."""

import builtins
import json
import os
import sys

_HERE = "boards/simulator/run.py"
_FOLDERS = ("firmware", "firmware/lib", "boards/simulator", ".venv/micropython")
_EXIT_USAGE = 2
_MAX_SEED = 0xFFFFFFFF
_MAX_SPEED = 100

_print = builtins.print


class UsageError(Exception):
    """An option cannot be followed; the text says which, and what is allowed."""


def _extend_import_path() -> None:
    """Let the firmware find its modules: its own, then the board's, then installed ones."""
    if not __file__.endswith(_HERE):
        raise UsageError("start it as micropython " + _HERE)
    root = __file__[: -len(_HERE)]
    sys.path[:0] = [root + folder for folder in _FOLDERS]


def _parse():
    import argparse

    parser = argparse.ArgumentParser(description="wallbox firmware on the simulated board")
    add = parser.add_argument
    add("--control", type=int, default=7061, help="port of the control API, 0 is any free one (7061)")
    add("--factory", action="store_true", help="first start as delivered: the wizard is not complete")
    add("--settings", default="", help="file with settings of the first start, a JSON object")
    add("--data", default="", help="folder in which the flash image is kept between runs")
    add("--image", default="", help="container of a firmware to put into slot a, if none is there, and run")
    add("--seed", type=int, default=0, help="number for component tolerances and chance (0)")
    add("--ocpp", default="", help="URL of an OCPP backend, ws://... or wss://...")
    add("--rs485", default="", help="path of a pty with a real Modbus meter behind it")
    add("--ble", type=int, default=-1, help="port for a radio process, 0 is any free one (none)")
    add("--virtual", action="store_true", help="virtual time: it moves only by `advance`")
    add("--speed", type=int, default=1, help="real time only: the board runs so many times faster, 1..100 (1)")
    add("--script", default="", help="file of timed requests to follow instead of listening (needs --virtual)")
    add("--trace", default="", help="file of house loads and sun to play and measure (needs --virtual)")
    add("--exact", action="store_true", help="virtual time without leaving out idle ticks (slow)")
    add("--quiet", action="store_true", help="do not show what the firmware prints")
    return parser.parse_args()


def _check(options) -> None:
    if not 0 <= options.control <= 65535:
        raise UsageError("--control: %d is not allowed; allowed: 0..65535" % options.control)
    if not 0 <= options.seed <= _MAX_SEED:
        raise UsageError("--seed: %d is not allowed; allowed: 0..%d" % (options.seed, _MAX_SEED))
    if not -1 <= options.ble <= 65535:
        raise UsageError("--ble: %d is not allowed; allowed: 0..65535" % options.ble)
    if options.virtual and options.ble >= 0:
        raise UsageError("--ble: not allowed with --virtual, in which requests of the control API play the central")
    if not 1 <= options.speed <= _MAX_SPEED:
        raise UsageError("--speed: %d is not allowed; allowed: 1..%d" % (options.speed, _MAX_SPEED))
    if options.speed > 1 and options.virtual:
        raise UsageError("--speed: not allowed with --virtual, in which time moves by `advance`")
    if options.speed > 1 and options.rs485:
        raise UsageError("--speed: not allowed with --rs485, since a real meter answers in the host's time")
    if options.exact and not options.virtual:
        raise UsageError("--exact: not allowed in real time; add --virtual")
    for name in ("script", "trace"):
        if getattr(options, name) and not options.virtual:
            raise UsageError("--%s: not allowed in real time; add --virtual" % name)
    if options.virtual and options.rs485:
        raise UsageError("--rs485: not allowed with --virtual, in which the simulated meter answers")
    if options.ocpp and not options.ocpp.startswith(("ws://", "wss://")):
        raise UsageError("--ocpp: %r is not allowed; allowed: ws://... or wss://..." % options.ocpp)


def _read_settings(path: str) -> dict:
    try:
        with open(path) as file:
            settings = json.load(file)
    except (OSError, ValueError) as error:
        raise UsageError("--settings: %s cannot be read as JSON: %s" % (path, error))
    if not isinstance(settings, dict):
        raise UsageError('--settings: %s holds no JSON object; allowed: {"rated_a": 16, ...}' % path)
    return settings


def _image(folder: str):
    """The path of the flash image in `folder`, made when it does not exist; None without a folder."""
    if not folder:
        return None
    try:
        os.stat(folder)
    except OSError:
        try:
            os.mkdir(folder)
        except OSError as error:
            raise UsageError("--data: %s cannot be made: %s" % (folder, error))
    return folder + "/flash.bin"


def _make_plant(options):
    from plant import board
    from plant.plant import Plant

    path = _image(options.data)
    try:
        board.plant = Plant(options.seed, path)
    except (OSError, ValueError) as error:
        raise UsageError("--data: %s cannot be used: %s" % (path, error))
    board.rs485_path = options.rs485 or None
    return board.plant


def _install(plant, options) -> None:
    """Give a blank flash its content; on one with content only --ocpp is new."""
    settings = _read_settings(options.settings) if options.settings else {}
    import installation

    blank = installation.is_blank(plant.flash_device)
    if blank and not options.factory:
        settings = dict(installation.INSTALLED, **settings)
    if not blank and (options.settings or options.factory):
        print("simulator: the flash image in %s is in use; its settings stay" % options.data, file=sys.stderr)
        settings = {}
    if options.ocpp:
        settings["ocpp_url"] = options.ocpp
    try:
        stored = installation.write(settings, blank)
    except (OSError, ValueError) as error:
        raise UsageError("%s: %s" % (options.settings or "settings", error))
    if stored["meter_model"] != "none":
        # The installer has chosen the meter that is there.
        plant.meter.choose(stored["meter_model"])


def _flash(path: str) -> None:
    """Put the container in file `path` into slot a, as the production's programmer does, unless a slot is in use."""
    from hal import slots
    from loader import start
    from loader.record import Record

    if slots.load():
        print("simulator: the slots hold a firmware; it stays", file=sys.stderr)
        return
    try:
        with open(path, "rb") as file:
            at = 0
            data = file.read(slots.SECTOR)
            while data and at < slots.SLOT_BYTES:
                # A former image may have been refused when it was here already.
                slots.erase(0, at // slots.SECTOR)
                slots.write(0, at, data + b"\xff" * (-len(data) % slots.UNIT))
                at += len(data)
                data = file.read(slots.SECTOR)
        header = start.header(slots, 0)
    except (OSError, ValueError) as error:
        raise UsageError("--image: %s cannot be used: %s" % (path, error))
    if data or start.sound(slots, 0) is None:
        raise UsageError("--image: %s is damaged, or too large for a slot" % path)
    slots.save(Record(0, header.counter).pack())


def _redirect_console(quiet: bool) -> None:
    """Keep stdout for the announcement: what is printed goes to stderr, or nowhere."""

    def console(*words, **options):
        if "file" not in options:
            if quiet:
                return
            options["file"] = sys.stderr
        _print(*words, **options)

    builtins.print = console


def main() -> int:
    """Run until told to end -> exit code: 0, 1 when the firmware always fails, 2 for wrong options."""
    _extend_import_path()
    if "--help" not in sys.argv and "-h" not in sys.argv:
        _redirect_console(False)
    options = _parse()
    _check(options)
    from bench import Bench, Quit

    bench = None
    try:
        plant = _make_plant(options)
        try:
            bench = Bench(
                plant,
                options.control,
                options.virtual,
                options.exact,
                options.script,
                options.trace,
                options.speed,
            )
        except OSError as error:
            path = options.script or options.trace
            what = "--script, --trace: %s" % path if path else "--control: port %d" % options.control
            raise UsageError("%s cannot be used: %s" % (what, error))
        _install(plant, options)
        if options.image:
            _flash(options.image)
        if not options.script and not options.trace:
            sys.stdout.write("control 127.0.0.1:%d\n" % bench.port)
        if options.ble >= 0:
            try:
                sys.stdout.write("ble 127.0.0.1:%d\n" % bench.open_radio(options.ble))
            except OSError as error:
                raise UsageError("--ble: port %d cannot be used: %s" % (options.ble, error))
        _redirect_console(options.quiet)
        bench.run()
    except Quit as end:
        return int(end.args[0])
    except KeyboardInterrupt:
        # Ctrl-C is the usual way to end it; the flash image is complete after every write.
        return 0
    return 0


try:
    sys.exit(main())
except UsageError as error:
    print("run.py:", error, file=sys.stderr)
    sys.exit(_EXIT_USAGE)
