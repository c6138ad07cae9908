"""The installer's report: what it says, what an electrician may have measured, and a code that fits to every byte."""

import hashlib
import json
from binascii import hexlify

from installer_help import App, Link, fetched
from storage_help import Log, scratch

import hal.system
from plant import board
from wallbox.installer import identity, report
from wallbox.installer.errors import CommandError
from wallbox.installer.mac import Mac, mac
from wallbox.storage.settings import Settings
from wallbox.storage.store import Store

RFC_4231_2 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


class Clock:
    def utc_iso(self):
        return "2026-01-01T00:00:00Z"

    def uptime_ms(self):
        return 90_500

    def uptime_s(self):
        return 90


class EventLog(Log):
    sequence = 5


class Part:
    """Anything with the attributes and answers that a test gives it."""

    def __init__(self, **parts):
        for name, part in parts.items():
            setattr(self, name, part)


class Plant:
    """What the board asks the plant for."""

    seed = 1
    secrets = Part(between=lambda low, high: 7)


def box(name):
    board.plant = Plant()
    folder = scratch(name)
    log = EventLog()
    settings = Settings(Store(folder, "settings", 1, log), log)
    settings.update({"rated_a": 16, "ocpp_url": "wss://host.example/path/T0KEN?t=T0KEN", "wifi_password": "geheim123"})
    settings.update({"name": 'Bärs "box"'})
    app = App(
        folder=folder,
        clock=Clock(),
        settings=settings,
        self_test=(True, 40, 1767225600, 12),
        health=Part(status=lambda: {"operations": 3, "worn": None, "opening": {"recent_ms": 20}}),
        faults=Part(status=lambda: [{"name": "weld"}], is_active=lambda fault: True),
        meter=Part(valid=True),
        jobs=Part(status=lambda name: {"result": {"good": True, "phases": [{"verdict": "right"}]}}),
        board=Part(supply=Part(pe_ok=True)),
        cards=Part(setup=None, charging=[]),
        store=Part(current=lambda: None, history=lambda count: []),
    )
    app.log = log
    return app


async def made(app):
    return await fetched(report.Report(Link(app), {}))


def refused(checks):
    try:
        report.judged(checks)
    except CommandError as error:
        return error.answer
    raise AssertionError("%r was taken" % (checks,))


def test_the_code_is_that_of_rfc_4231():
    assert hexlify(mac(b"Jefe", b"what do ya want for nothing?")).decode() == RFC_4231_2
    code = Mac(b"Jefe")
    for piece in (b"what do ya ", b"", b"want for nothing?"):
        code.update(piece)
    assert hexlify(code.digest()).decode() == RFC_4231_2


async def test_the_report_says_what_was_tested():
    app = box("report-content")
    report.keep(app, {"by": "E. Lektra", "rcd_ac_trip_ms": 25, "insulation_kohm": 900, "pe_mohm": 250})
    found = json.loads(await made(app))
    assert found["format"] == 1 and found["product"] == "wallbox" and found["serial"] == "SIM0000001", found
    assert found["utc"] == "2026-01-01T00:00:00Z" and found["uptime_s"] == 90
    assert found["residual_current"] == {"passed": True, "trip_ms": 40, "utc": "2026-01-01T00:00:00Z", "uptime_s": 12}
    assert found["pe"] == {"mode": "enable", "earthing": "TN", "ok": True}
    assert found["contactor"] == {"operations": 3, "worn": None, "opening": {"recent_ms": 20}, "welded": True}
    breaker = {"connection_a": 25, "rated_a": 16, "load_optimisation": False, "good": True}
    assert found["breaker"] == breaker
    assert found["meter"]["check"]["good"] is True and found["meter"]["model"] == "none"
    assert found["faults"] == ["weld"]
    assert found["wizard"]["complete"] is False and found["wizard"]["steps"]["electrical"] == "open"
    assert found["settings"]["rated_a"] == 16 and found["settings"]["name"] == 'Bärs "box"'
    assert found["checks"] == {
        "by": "E. Lektra",
        "rcd_ac_trip_ms": {"value": 25, "limit": 300, "good": True},
        "insulation_kohm": {"value": 900, "limit": 1000, "good": False},
        "pe_mohm": {"value": 250, "limit": None, "good": None},
        "utc": "2026-01-01T00:00:00Z",
    }, found["checks"]


async def test_what_was_not_yet_done_is_told_as_such():
    app = box("report-none")
    app.self_test = None
    found = json.loads(await made(app))
    assert found["residual_current"] is None and found["checks"] is None
    app.self_test = (False, 0, None, 12)
    found = json.loads(await made(app))
    assert found["residual_current"] == {"passed": False, "trip_ms": 0, "utc": None, "uptime_s": 12}


async def test_no_secret_is_in_the_report():
    data = await made(box("report-secret"))
    assert b"geheim123" not in data and b"T0KEN" not in data
    assert json.loads(data)["settings"]["wifi_password"] is True
    assert json.loads(data)["settings"]["ocpp_url"] == "wss://host.example"


async def test_the_signature_is_over_the_canonical_form_with_the_device_s_key():
    app = box("report-signed")
    data = await made(app)
    found = json.loads(data)
    signature = found.pop("signature")
    # Sorted by a form of its own, as whoever verifies would.
    assert data == (report.canonical(found)[:-1] + ',"signature":"%s"}' % signature).encode()
    key = bytes([7] * 32)
    assert identity.load(app.folder, app.log)["key"] == hexlify(key).decode()
    assert hexlify(mac(key, report.canonical(found).encode())).decode() == signature


async def test_the_report_names_the_hash_of_what_runs():
    digest = hashlib.sha256()
    for block in hal.system.image():
        assert len(block) <= 2048
        digest.update(block)
    found = json.loads(await made(box("report-hash")))
    assert found["firmware"]["sha256"] == hexlify(digest.digest()).decode()


async def test_a_report_is_read_once_and_each_opening_makes_a_new_one():
    app = box("report-once")
    download = report.Report(Link(app), {})
    whole = await fetched(download)
    assert whole == await made(app), "nothing changed in between"
    try:
        await download.read(0, 10)
    except CommandError as error:
        assert error.answer["code"] == "not_now"
    else:
        raise AssertionError("read twice")


def test_canonical_form_sorts_keys_and_knows_no_fractions():
    value = {"b": [1, True, None, 'ä"\\'], "a": {"d": 1, "c": {}}}
    assert report.canonical(value) == '{"a":{"c":{},"d":1},"b":[1,true,null,"ä\\"\\\\"]}'
    try:
        report.canonical({"a": [0.5]})
    except ValueError as error:
        assert "0.5" in str(error)
    else:
        raise AssertionError("a fraction has more than one form")


def test_figures_that_cannot_be_meant_are_refused_by_name():
    for name, value in (
        ("rcd_ac_trip_ms", -1),
        ("rcd_ac_trip_ms", 10_001),
        ("rcd_ac_trip_ms", 25.0),
        ("rcd_ac_trip_ms", True),
        ("rcd_dc_trip_ms", 30_001),
        ("insulation_kohm", "500"),
        ("pe_mohm", None),
        ("loop_mohm", 1_000_001),
        ("by", ""),
        ("by", "x" * 65),
        ("by", "two\nlines"),
        ("by", 5),
    ):
        answer = refused({name: value})
        assert answer["field"] == "checks." + name and "allowed" in answer["text"], answer
    assert "pe_mohm" in refused({"pe": 1})["text"]
    assert refused([])["field"] == "checks"


def test_limits_are_judged_at_their_value():
    found = report.judged({"rcd_ac_trip_ms": 300, "rcd_dc_trip_ms": 10_001, "insulation_kohm": 1000, "loop_mohm": 5})
    good = {name: row["good"] for name, row in found.items()}
    assert good == {"rcd_ac_trip_ms": True, "rcd_dc_trip_ms": False, "insulation_kohm": True, "loop_mohm": None}, good


def test_checks_that_flash_refuses_leave_the_former_ones():
    app = box("report-flash")
    report.keep(app, {"pe_mohm": 1})
    app.folder += "/missing"
    try:
        report.keep(app, {"pe_mohm": 2})
    except CommandError as error:
        assert error.answer["code"] == "flash"
    else:
        raise AssertionError("kept in a folder that is not there")
    app.folder = app.folder[: -len("/missing")]
    assert Store(app.folder, "checks", 1, Log()).load()["pe_mohm"]["value"] == 1
