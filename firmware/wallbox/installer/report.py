"""The installer's report (R37): what was tested and measured, with a code by which its origin can be verified.

The code is HMAC-SHA256 over the canonical form with the key of the device: MicroPython has no public-key
cryptography, so only who holds that key can verify (tools/verify_report.py), and who holds it could forge.
"""

import hashlib
import json
from binascii import hexlify, unhexlify

from micropython import const

import hal.system
from wallbox import VERSION
from wallbox.clock import iso
from wallbox.installer import identity, public
from wallbox.installer.errors import CommandError, refuse
from wallbox.installer.mac import Mac
from wallbox.installer.streams import Stream
from wallbox.installer.wizard import Wizard
from wallbox.protection.faults import WELD
from wallbox.storage.store import Store

_FORMAT = const(1)
_VERSION = const(1)
_NAME_CHARS = const(64)
# What the electrician measures: name -> (least and most that can be meant, limit, whether the limit is the most).
# IEC 61008-1 table 1: 300 ms at 30 mA AC; IEC 62955 table 2: 10 s at 6 mA DC; IEC 60364-6 table 6A: 1 Mohm at 500 V.
# For the PE's and the loop's resistance the norm has no limit of its own: it follows from the installation.
CHECKS = {
    "rcd_ac_trip_ms": (0, 10_000, 300, True),
    "rcd_dc_trip_ms": (0, 30_000, 10_000, True),
    "insulation_kohm": (0, 100_000_000, 1_000, False),
    "pe_mohm": (0, 1_000_000, None, True),
    "loop_mohm": (0, 1_000_000, None, True),
}


def judged(checks) -> dict:
    """The electrician's figures as they are kept; CommandError for what cannot be meant."""
    if not isinstance(checks, dict):
        refuse("checks", checks, 'an object such as {"pe_mohm": 250}')
    found = {}
    for name, value in checks.items():
        field = "checks." + str(name)
        if name == "by":
            if (
                not isinstance(value, str)
                or not 1 <= len(value) <= _NAME_CHARS
                or any(ord(char) < 32 for char in value)
            ):
                refuse(field, value, "a name of 1..%d characters" % _NAME_CHARS)
            found[name] = value
            continue
        if name not in CHECKS:
            refuse(field, value, "only by, " + ", ".join(sorted(CHECKS)))
        least, most, limit, is_most = CHECKS[name]
        if type(value) is not int or not least <= value <= most:
            refuse(field, value, "whole numbers %d..%d" % (least, most))
        good = None if limit is None else value <= limit if is_most else value >= limit
        found[name] = {"value": value, "limit": limit, "good": good}
    return found


def keep(app, checks) -> None:
    """Keep what the electrician measured, in the place of what was kept; CommandError."""
    found = judged(checks)
    found["utc"] = app.clock.utc_iso()
    try:
        _checks(app).save(found)
    except OSError as error:
        raise CommandError("flash", "checks: not stored, flash refused (%s); nothing was changed" % error)


def _checks(app) -> Store:
    return Store(app.folder, "checks", _VERSION, app.log)


def canonical(value) -> str:
    """JSON with sorted keys and no spaces; only text, whole numbers, true, false, null, lists and objects."""
    if isinstance(value, dict):
        return "{" + ",".join([json.dumps(key) + ":" + canonical(value[key]) for key in sorted(value)]) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([canonical(item) for item in value]) + "]"
    if isinstance(value, float):
        raise ValueError("report: %r is no whole number" % value)
    return json.dumps(value)


class Report(Stream):
    """The report in canonical form, with `signature` as its last member; each opening makes a new one."""

    steady = False
    once = True

    def __init__(self, link, _arguments):
        self._app = link.app
        self._opened_ms = link.app.clock.uptime_ms()
        super().__init__()

    def mark(self):
        """No two openings have the same."""
        return self._app.log.sequence, self._opened_ms

    def pieces(self):
        """A member a piece; empty ones while the firmware is hashed."""
        app = self._app
        device = identity.load(app.folder, app.log)
        code = Mac(unhexlify(device["key"]))
        image = hashlib.sha256()
        for block in hal.system.image():
            image.update(block)
            yield ""
        members = {
            "breaker": self._breaker,
            "checks": _checks(app).load,
            "contactor": self._contactor,
            "faults": self._faults,
            "firmware": lambda: {"version": VERSION, "sha256": str(hexlify(image.digest()), "ascii")},
            "format": lambda: _FORMAT,
            "meter": self._meter,
            "pe": self._pe,
            "product": lambda: "wallbox",
            "residual_current": self._residual_current,
            "serial": lambda: device["serial"],
            "settings": lambda: public.settings(app.settings),
            "uptime_s": app.clock.uptime_s,
            "utc": app.clock.utc_iso,
            "wizard": self._wizard,
        }
        mark = "{"
        for name in sorted(members):
            text = mark + json.dumps(name) + ":" + canonical(members[name]())
            code.update(text.encode())
            yield text
            mark = ","
        code.update(b"}")
        yield ',"signature":"%s"}' % str(hexlify(code.digest()), "ascii")

    def _breaker(self) -> dict:
        settings = self._app.settings
        connection, rated, optimised = settings["connection_a"], settings["rated_a"], settings["load_optimisation"]
        return {
            "connection_a": connection,
            "rated_a": rated,
            "load_optimisation": optimised,
            "good": rated <= connection or optimised,
        }

    def _contactor(self) -> dict:
        found = self._app.health.status()
        found["welded"] = self._app.faults.is_active(WELD)
        return found

    def _faults(self) -> list:
        return [fault["name"] for fault in self._app.faults.status()]

    def _meter(self) -> dict:
        app = self._app
        return {
            "model": app.settings["meter_model"],
            "valid": app.meter.valid,
            "check": app.jobs.status("selfcheck")["result"],
        }

    def _pe(self) -> dict:
        settings = self._app.settings
        return {"mode": settings["pe_mode"], "earthing": settings["earthing"], "ok": self._app.board.supply.pe_ok}

    def _residual_current(self):
        if self._app.self_test is None:
            return None
        passed, trip_ms, utc_s, uptime_s = self._app.self_test
        return {"passed": passed, "trip_ms": trip_ms, "utc": utc_s and iso(utc_s), "uptime_s": uptime_s}

    def _wizard(self) -> dict:
        found = Wizard(self._app).status()
        return {"complete": found["complete"], "steps": {step["name"]: step["state"] for step in found["steps"]}}
