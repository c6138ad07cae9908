"""The simulator around the firmware: starts it as a board does, and again after every reset or power cut."""

import asyncio
import gc
import sys
import time
from asyncio import core

import vfs
from commands import Commands
from control import Server
from micropython import const
from realtime import Pace, RealTime
from record import Record
from script import Script
from virtual import VirtualTime

import loader
from plant import board
from plant.board import FirmwareReset, PowerCut, WatchdogReset

# A firmware that fails at every start is not started for ever.
_CRASHES = const(5)
_RESETS = const(100)
_SOUND_MS = const(60_000)  # a run that lasted longer than this was no failed start
_CRASH_PAUSE_MS = const(1_000)
_NS_PER_MS = const(1_000_000)
# What the simulator itself consists of stays loaded when the firmware goes.
_OURS = ("plant", "asyncio", "invariants", "trace_player", "references", "loader")
# Where the firmware's modules come from in the source tree; not when it runs from a slot.
_FIRMWARE = ("firmware", "firmware/lib", ".venv/micropython")
# Different firmwares that a run can start from slots without luck.
_ROOMS = const(3)
# So long a firmware in a slot has until its own watchdog runs; it takes a second or two on a chip.
_START_MS = const(30_000)


class Quit(BaseException):
    """The simulator ends; the argument is its exit code."""


def _say(*words) -> None:
    print("simulator:", *words, file=sys.stderr)


class Bench:
    """Plant, time, control API and the running firmware."""

    def __init__(self, plant, port: int, virtual: bool, exact: bool, script: str = "", trace: str = "", speed: int = 1):
        """Listen on `port`, or follow the file `script` or `trace`; OSError when that cannot be had.

        In real time the board runs `speed` times faster than the host. From now on nobody else may advance the plant.
        """
        self.plant = plant
        self.record = Record()
        self.virtual = None
        # The running firmware's composition root; None without supply, and while it starts.
        self.app = None
        self._crashes = 0
        self._resets = 0
        self.invariants = None
        # A measure that takes time away from the firmware on purpose judges by itself.
        self.judges = True
        # Called with the composition root of each start of the firmware.
        self.followers = []
        handle = Commands(self).handle
        if trace:
            # Most runs play none.
            self._server = __import__("trace_player").Player(self, trace)
        elif script:
            self._server = Script(self, script, handle)
        else:
            self._server = Server(port, handle, self._report)
        self.port = self._server.port
        # The port of a radio process; None without one.
        self.radio_port = None
        if virtual:
            self._time = self.virtual = VirtualTime(plant, self._serve, exact)
            core.ticks = board.virtual_ticks = self.virtual.ticks_ms
            board.ticker = self.virtual.ticker
            board.poll = self.virtual.poll
        elif speed > 1:
            pace = Pace(speed)
            core.ticks = board.virtual_ticks = pace.ticks_ms
            board.epoch_ms = time.time_ns() // _NS_PER_MS - plant.now_ms
            self._time = RealTime(plant, self._server, pace)
        else:
            self._time = RealTime(plant, self._server)
        core.IOQueue = self._time.make_queue
        asyncio.run = self._run_app
        plant.on_reset = self._watchdog_expired
        self._modules = list(sys.modules)
        self._path = list(sys.path)

    def open_radio(self, port: int) -> int:
        """Let a radio process connect on `port` (0: any free one) -> its number; OSError. In real time only."""
        self.radio_port = __import__("radio_port").RadioPort(port, self.plant, self._server)
        return self.radio_port.port

    def run(self) -> None:
        """Run the wallbox until Quit."""
        slots = __import__("hal.slots", None, None, ("x",))
        if slots.load():
            board.rooms = [bytearray(slots.SLOT_BYTES) for _ in range(_ROOMS)]
        self._unload()
        while True:
            while not self.plant.powered:
                self._time.rest()
            self._run_firmware()

    # -- what the control API may do -------------------------------------------------------------------

    def firmware(self, what: str):
        """The running firmware's composition root; ValueError when there is none for the request `what`."""
        if self.app is None:
            raise ValueError("%s: the wallbox has no supply or is starting; restore it with power, on true" % what)
        return self.app

    def state(self) -> dict:
        """What firmware and plant show now; `beeps` are the tones finished since the last call."""
        self.plant.sync()
        state = {} if self.app is None else self.app.status()
        state["power"] = self.app is not None
        state.update(self.plant.view())
        panel = self.plant.panel
        state["violations"] = self.violations()
        state["beeps"] = panel.beeps
        panel.beeps = []
        return state

    def violations(self) -> list:
        """Invariants that did not hold, as dicts."""
        return [] if self.invariants is None else [broken.as_dict() for broken in self.invariants.broken]

    def power_on(self) -> None:
        """Restore the supply; harmless when it is there."""
        self.plant.power_on()

    def power_off(self) -> None:
        """Cut the supply; does not return to a running firmware."""
        self.plant.power_off()
        if self.app is not None:
            raise PowerCut("supply cut by request")

    def reset(self) -> None:
        """Restart the firmware; does not return."""
        self.plant.restart("software")
        raise FirmwareReset("by request")

    def quit(self) -> None:
        """End the simulator; does not return."""
        self.finish(0)

    def finish(self, code: int) -> None:
        """End the simulator with an exit code; does not return."""
        raise Quit(code)

    # -- the firmware ----------------------------------------------------------------------------------

    def _run_firmware(self) -> None:
        """Start the firmware as the board does after a reset, and clear up when it has ended."""
        started_ms = self.plant.now_ms
        self.record.boot += 1
        asyncio.new_event_loop()
        error = None
        try:
            if not self._load():
                _say("neither slot holds a firmware")
                while self.plant.powered:
                    self._time.rest()
                return
            __import__("boot")
            __import__("main")
        except (FirmwareReset, WatchdogReset) as reset:
            _say("firmware restarts: %r" % reset)
            if self.plant.now_ms - started_ms < _SOUND_MS:
                self._resets += 1
            else:
                self._resets = 0
            if self._resets >= _RESETS:
                _say("the firmware has reset itself %d times in a row" % self._resets)
                raise Quit(1)
        except PowerCut as cut:
            _say("supply is gone: %r" % cut)
            # What comes next is another start, and no repetition.
            self._crashes = 0
        except Exception as crash:
            error = crash
        else:
            error = RuntimeError("main.py ended")
        self._unload()
        if error is not None:
            self._crashed(error, started_ms)

    def _load(self) -> bool:
        """Do what runs first on a chip -> whether there is a firmware; without a record it is the source tree's."""
        slots = __import__("hal.slots", None, None, ("x",))
        if not slots.load():
            return True
        if self.judges:
            # A compiled firmware has no names for numbers any more, which the judge asks for: these are the tree's.
            __import__("invariants")
            self._forget()
            slots = __import__("hal.slots", None, None, ("x",))
        start = __import__("loader.start", None, None, ("x",))
        self.plant.sync()
        self.plant.watchdog.guard(_START_MS)
        if start.prepare(slots) is None:
            self.plant.watchdog.stop()
            return False
        # The image has the chip's drivers; those of this board come first.
        sys.path[:] = [place for place in sys.path if not place.endswith(_FIRMWARE + (start.PLACE,))] + [start.PLACE]
        return True

    def _run_app(self, coroutine):
        """Stand in for `asyncio.run`: from here on the firmware's log is there and is followed."""
        self.app = getattr(sys.modules["main"], "app", None)
        if self.app is None:
            # A firmware that does something else; the watchdog will see to it.
            return core.run(coroutine)
        log = self.app.log
        for entry in log.since(0):
            self.record.add(entry)
        log.sinks.append(self.record.add)
        if self.judges:
            self._watch(self.app)
        for follow in self.followers:
            follow(self.app)
        return core.run(coroutine)

    def _watch(self, app) -> None:
        """Have the invariants looked at after every step of the control loop."""
        if self.invariants is None:
            # They know the firmware's states and faults, so they can be loaded only with it.
            self.invariants = __import__("invariants").Invariants(self.plant)
        invariants = self.invariants
        control = app.control
        step = control.step

        def judged():
            step()
            try:
                invariants.check()
            except Exception as error:
                # A mistake of the judge is none of the firmware.
                sys.print_exception(error, sys.stderr)
                raise Quit(1)

        served = app.service

        def service():
            served()
            invariants.service()

        control.step = judged
        app.service = service
        invariants.boot(app)

    def _unload(self) -> None:
        """Forget everything of the firmware, so that the next start finds none of it."""
        self.app = None
        self.plant.cut_links()
        if "hal.flash" in sys.modules:
            sys.modules["hal.flash"].unmount()
        sys.path[:] = self._path
        if loader.running is not None:
            loader.running = None
            vfs.umount("/rom")
        self._forget()
        asyncio.new_event_loop()
        gc.collect()

    def _forget(self) -> None:
        for name in list(sys.modules):
            if name not in self._modules and name.split(".")[0] not in _OURS:
                del sys.modules[name]

    def _crashed(self, error, started_ms: int) -> None:
        """Report a firmware that ended by itself, and let the watchdog restart it, unless it always fails."""
        plant = self.plant
        sys.print_exception(error, sys.stderr)
        self._crashes = self._crashes + 1 if plant.now_ms - started_ms < _SOUND_MS else 1
        if self._crashes >= _CRASHES:
            _say("the firmware failed %d times in a row" % self._crashes)
            raise Quit(1)
        plant.restart("software")
        plant.reset_cause = "watchdog"
        # In virtual time nobody may ask for any: it stands.
        end_ms = plant.now_ms + (_CRASH_PAUSE_MS if self.virtual is None else 0)
        while plant.now_ms < end_ms:
            self._time.rest()

    def _watchdog_expired(self, _cause: str) -> None:
        raise WatchdogReset("watchdog was not fed")

    def _serve(self) -> None:
        """Block until a request is there, and serve it."""
        server = self._server
        while not server.waiting:
            server.wait(-1)
        server.serve()

    def _report(self, error) -> None:
        _say("request failed")
        sys.print_exception(error, sys.stderr)
