"""The requests of the control API: what each takes, and what it does to plant, supply and firmware."""

import json
from binascii import hexlify, unhexlify

from micropython import const

# Virtual time of one request: a month, so that a slip of the finger does not run for hours.
_ADVANCE_MAX_S = const(31 * 24 * 3600)
_FRAMES = const(8)  # of Bluetooth, in one piece of an answer
_WRITES_MAX = const(1_000_000)
_STALL_MAX_MS = const(1_500)  # the watchdog's two seconds are another matter
_UTC_MAX_S = const((1 << 32) - 1)
# Task -> part of the composition root ("" for itself) and the method that its loop calls.
_CRASH = {
    "session": ("session", "_store_changes"),
    "housekeeping": ("", "_drain"),
    "log": ("log", "flush"),
    "led": ("led", "_look"),
    "buzzer": ("buzzer", "_sound"),
    "reader": ("reader", "_watch"),
    "access": ("access", "_not_standby"),
    "meter": ("meter", "_poll"),
    "load": ("meter", "check"),
    "control": ("control", "_drive"),
}
_HEX = "0123456789abcdefABCDEF"

# do -> (arguments it must have, arguments it may have).
_TABLE = {
    "plug": ((), ("phases", "max_a", "wants", "soc_wh", "asleep", "lag_ms", "slope_a")),
    "unplug": ((), ()),
    "car": ((), ("state", "draw_a", "diode", "ignore_pwm", "asleep")),
    "tap": (("uid",), ()),
    "fault": (("name",), ("value",)),
    "clear": (("name",), ()),
    "grid": ((), ("volts", "hz")),
    "house": ((), ("amps", "pv_w")),
    "ambient": (("celsius",), ()),
    "contact": (("closed",), ()),
    "network": ((), ("up", "link", "leads", "dhcp", "password_ok", "dns")),
    "power": ((), ("on", "at_write")),
    "advance": (("seconds",), ()),
    "state": ((), ()),
    "log": ((), ("since",)),
    "settings": ((), ("set",)),
    "service": ((), ()),
    "crash": (("task",), ()),
    "stall": (("ms",), ()),
    "utc": (("seconds",), ()),
    "trip": ((), ("index",)),
    "meter": ((), ("model", "address", "baud", "parity", "order", "reversed", "elsewhere", "refresh_ms", "serial")),
    "scan": (("start",), ()),
    "check_meter": ((), ()),
    "ble": ((), ("connect", "write", "read", "disconnect", "label")),
    "reset": ((), ()),
    "quit": ((), ()),
}
# Requests that are calls of the plant with the same name and arguments; the plant checks the values.
_PLANT = ("plug", "unplug", "car", "fault", "clear", "grid", "house", "ambient", "contact", "network")


def _check_names(do: str, arguments: dict) -> None:
    required, optional = _TABLE[do]
    allowed = required + optional
    for name in arguments:
        if name not in allowed:
            text = ", ".join(allowed) if allowed else "none"
            raise ValueError("%s: argument %r is not known; allowed: %s" % (do, name, text))
    for name in required:
        if name not in arguments:
            raise ValueError("%s: argument %r is missing" % (do, name))


def _whole(field: str, value, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError("%s: %r is not allowed; allowed: whole numbers %d..%d" % (field, value, low, high))
    return value


def _uid(value) -> bytes:
    if isinstance(value, str) and len(value) in (8, 14, 20) and all(digit in _HEX for digit in value):
        return unhexlify(value)
    raise ValueError("uid: %r is not allowed; allowed: 8, 14 or 20 hexadecimal digits" % (value,))


def _frames(found: dict):
    """Yield the rest of an answer with frames in hex, some at a time: all of them can be more than the heap has."""
    yield ('"connected": %s, "frames": [' % json.dumps(found["connected"])).encode()
    frames = found["frames"]
    for at in range(0, len(frames), _FRAMES):
        texts = ['"%s"' % str(hexlify(frame), "ascii") for frame in frames[at : at + _FRAMES]]
        yield ((", " if at else "") + ", ".join(texts)).encode()
    yield b"]}\n"


class Commands:
    """`bench` is the simulator: its plant, its firmware, its time and its way to restart."""

    def __init__(self, bench):
        self._bench = bench

    def handle(self, request: dict, later):
        """Do a request; the contract is that of `control.Server`."""
        do = request.get("do")
        if not isinstance(do, str) or do not in _TABLE:
            raise ValueError("do: %r is not known; allowed: %s" % (do, ", ".join(sorted(_TABLE))))
        arguments = {name: value for name, value in request.items() if name not in ("id", "do")}
        _check_names(do, arguments)
        if do in _PLANT:
            getattr(self._bench.plant, do)(**arguments)
            return {}, None
        return getattr(self, "_" + do)(later, **arguments)

    def _tap(self, _later, uid):
        self._bench.plant.tap(_uid(uid))
        return {}, None

    def _power(self, _later, on=None, at_write=None):
        bench = self._bench
        if on is None and at_write is None:
            raise ValueError("power: an argument is missing; allowed: on, at_write")
        if on is not None and not isinstance(on, bool):
            raise ValueError("on: %r is not allowed; allowed: true, false" % (on,))
        if at_write is not None:
            _whole("at_write", at_write, 1, _WRITES_MAX)
            bench.plant.flash_device.cut_at_write = at_write
            if on is False:
                # The supply goes at that write, not now.
                return {}, None
        if on is None:
            return {}, None
        return {}, bench.power_on if on else bench.power_off

    def _advance(self, later, seconds):
        virtual = self._bench.virtual
        if virtual is None:
            raise ValueError("advance: not possible in real time; start the simulator with --virtual")
        if type(seconds) not in (int, float) or not 0 <= seconds <= _ADVANCE_MAX_S:
            text = "seconds: %r is not allowed; allowed: 0..%d"
            raise ValueError(text % (seconds, _ADVANCE_MAX_S))
        bench = self._bench

        def passed():
            broken = bench.violations()
            later({"violations": broken} if broken else {})

        virtual.advance(round(seconds * 1000), passed)
        return None, None

    def _state(self, _later):
        return {"state": self._bench.state()}, None

    def _log(self, _later, since=0):
        return self._bench.record.answer(_whole("since", since, 0, 1 << 31)), None

    def _settings(self, _later, set=None):  # noqa: A002
        settings = self._bench.firmware("settings").settings
        if set is not None:
            if not isinstance(set, dict):
                raise ValueError('set: %r is not allowed; allowed: an object such as {"rated_a": 16}' % (set,))
            settings.update(set)
        return {"settings": settings.as_dict()}, None

    def _service(self, _later):
        self._bench.firmware("service").service()
        return {}, None

    def _crash(self, _later, task):
        """Let a task of the firmware raise at its next turn."""
        if task not in _CRASH:
            raise ValueError("task: %r is not known; allowed: %s" % (task, ", ".join(sorted(_CRASH))))
        part, method = _CRASH[task]
        owner = self._bench.firmware("crash")
        if part:
            owner = getattr(owner, part)

        def crash(*_arguments):
            # The class's own method is found again once the instance's is gone.
            delattr(owner, method)
            raise RuntimeError("crash by request")

        setattr(owner, method, crash)
        return {}, None

    def _stall(self, _later, ms):
        """A task keeps the event loop for so long."""
        plant = self._bench.plant
        if self._bench.virtual is None:
            raise ValueError("stall: not possible in real time; start the simulator with --virtual")
        plant.advance_to(plant.now_ms + _whole("ms", ms, 1, _STALL_MAX_MS))
        return {}, None

    def _utc(self, _later, seconds):
        """The real-time clock is set, right or wrong, or forgets the time."""
        # Not above: hal is loaded anew at each start of the firmware. The clock runs on without supply.
        from hal import clock

        if seconds is None:
            clock.forget()
        else:
            clock.set_utc_ms(_whole("seconds", seconds, 0, _UTC_MAX_S) * 1000)
        return {}, None

    def _trip(self, _later, index=0):
        recorder = self._bench.firmware("trip").recorder
        # Not above: the firmware's modules are loaded anew at each of its starts.
        from wallbox.installer.trips import COLUMNS, rows

        trips = recorder.status()
        if not trips:
            raise ValueError("trip: none is recorded")
        _whole("index", index, 0, len(trips) - 1)
        return {"trip": dict(trips[index], columns=COLUMNS, rows=list(rows(recorder, index)))}, None

    def _meter(self, _later, **changes):
        self._bench.plant.sync()
        self._bench.plant.meter.change(**changes)
        return {}, None

    def _scan(self, _later, start):
        """Start or end the search for a meter."""
        if not isinstance(start, bool):
            raise ValueError("start: %r is not allowed; allowed: true, false" % (start,))
        jobs = self._bench.firmware("scan").jobs
        if start:
            jobs.start("scan")
        else:
            jobs.cancel("scan")
        return {}, None

    def _check_meter(self, _later):
        self._bench.firmware("check_meter").jobs.start("selfcheck")
        return {}, None

    def _ble(self, _later, **what):
        """One thing that a Bluetooth central does."""
        self._bench.plant.sync()
        found = self._bench.plant.radio.request(**what)
        return (_frames(found) if "frames" in found else found), None

    def _reset(self, _later):
        self._bench.firmware("reset")
        return {}, self._bench.reset

    def _quit(self, _later):
        return {}, self._bench.quit
