"""Factory reset: what goes, what stays, and power cuts (R10, R23, R33)."""

import os

from installer_bench import App
from storage_help import Log, cut_everywhere, read
from virtual_time import Record

from wallbox.installer import erase
from wallbox.installer.security import SecurityLog
from wallbox.storage.sessions import SessionStore
from wallbox.storage.store import Store

SECRET = "DEADBEEF"
KEPT = {"identity": {"serial": "1"}, "health": [4711], "latches": [4, 0], "events_seq": 512}


def prepare(folder):
    """A box that was used; its app, with an order to erase."""
    log = Log()
    for name, value in KEPT.items():
        Store(folder, name, 1, log).save(value)
    for name in ("settings", "cards", "passwords", "wizard", "lockouts", "cars"):
        for turn in range(2):
            Store(folder, name, 1, log).save({"whose": SECRET, "turn": turn})
    sessions = SessionStore(folder, log)
    for _ in range(3):
        sessions.open({"id_tag": SECRET})
        sessions.close("card", 1000, 60)
    sessions.open({"id_tag": SECRET})
    sessions.checkpoint(500, 30)
    app = App(folder, log)
    app.ble = Record(forget_bonds=lambda: app.forgotten.append(1))
    app.forgotten = []
    SecurityLog(app).add("login", "expert", SECRET)
    erase.order(folder)
    return app


def verify(folder, app):
    """At the next start with the order there, everything is erased."""
    if erase.ERASE_MARK in os.listdir(folder):
        erase.erase(app)
    assert app.forgotten, "bonds are left"
    names = os.listdir(folder)
    assert erase.ERASE_MARK not in names
    assert {name.partition(".")[0] for name in names} == set(KEPT) | {"sessions", "security"}, names
    for name in names:
        assert SECRET.encode() not in read(folder + "/" + name), name
    for name, value in KEPT.items():
        assert Store(folder, name, 1, app.log).load() == value
    sessions = SessionStore(folder, app.log)
    assert sessions.totals() == {"total_wh": 3500, "sessions": 4}
    assert sessions.current() is None and sessions.history(9) == []


def test_everything_of_anybody_goes_and_the_boxs_own_history_stays_whenever_the_supply_fails():
    assert cut_everywhere(prepare, lambda _folder, app: erase.erase(app), verify) > 5


def test_ids_of_sessions_are_not_given_twice():
    def check(folder, app):
        if erase.ERASE_MARK in os.listdir(folder):
            erase.erase(app)
        assert SessionStore(folder, app.log).open({"id_tag": None}) > 4

    cut_everywhere(prepare, lambda _folder, app: erase.erase(app), check)


def test_the_security_log_begins_with_the_reset():
    found = []

    def check(folder, app):
        if erase.ERASE_MARK in os.listdir(folder):
            erase.erase(app)
        found[:] = [entry["what"] for entry in SecurityLog(app).entries()]
        assert "factory_reset" in found and "login" not in found

    cut_everywhere(prepare, lambda _folder, app: erase.erase(app), check)
    assert found == ["factory_reset"]
