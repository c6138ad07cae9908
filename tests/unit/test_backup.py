"""Backup and restore: nothing secret in the clear, nothing half taken over, whatever was done to file and supply."""

import asyncio
import hashlib
import json
import os
from binascii import hexlify

from installer_help import App, Link, fetched
from storage_help import MOUNT, Flash, Log, cut_everywhere

from journal import Journal
from plant import board
from plant.dice import Dice
from wallbox.access.cards import Cards
from wallbox.installer import sealed
from wallbox.installer.backup import Backup
from wallbox.installer.errors import CommandError
from wallbox.installer.restore import Restore, complete
from wallbox.installer.server import RESTORE_MARK
from wallbox.storage.settings import Settings
from wallbox.storage.store import Store

PASSWORD = "correct horse"
SETUP = "04A1B2C3D4E5F6"
CARDS = ["04AAAAAAAAAA%02d" % number for number in range(5)]
SECRETS = {"wifi_password": "geheim-wifi", "ocpp_password": "geheim-ocpp", "apn_password": "geheim-apn"}
SET = dict(
    SECRETS, rated_a=16, connection_a=32, name='Bärs "box"', ocpp_url="wss://h.example/geheim-url", wifi_ssid="w"
)


class Clock:
    def utc_iso(self):
        return "2026-01-01T00:00:00Z"

    def uptime_ms(self):
        return 90_500

    def uptime_s(self):
        return 90


class EventLog(Log):
    sequence = 5


class Plant:
    """Serial and entropy."""

    def __init__(self, seed):
        self.seed = seed
        self.secrets = Dice(seed)


def box(seed=1):
    """The wallbox on the mounted flash; another seed is another box once its identity is gone."""
    board.plant = Plant(seed)
    log = EventLog()
    settings = Settings(Store(MOUNT, "settings", 1, log), log)
    app = App(folder=MOUNT, clock=Clock(), settings=settings, cards=Cards(Store(MOUNT, "cards", 1, log), log))
    app.security = Journal(MOUNT, "security", 4)
    app.log = log
    return app


def fill(app):
    app.settings.update(SET)
    app.cards.replace(SETUP, [(CARDS[0], "Anna =1+1", False), (CARDS[1], "", True), (CARDS[2], "Jörg", False)])


def empty():
    """Forget everything on the flash."""
    for name in os.listdir(MOUNT):
        os.remove(MOUNT + "/" + name)


def run(coroutine):
    asyncio.new_event_loop()
    return asyncio.run(coroutine)


def backup(app, password=None):
    return run(fetched(Backup(Link(app), {} if password is None else {"password": password})))


def put(app, data, **arguments):
    """Send `data` as a restore and end it -> the answer."""
    upload = Restore(Link(app), len(data), hexlify(hashlib.sha256(data).digest()).decode(), {})

    async def send():
        await upload.begin()
        while upload.offset < len(data):
            await upload.write(data[upload.offset : upload.offset + 200])
        return await upload.finish(arguments)

    try:
        return run(send())
    finally:
        upload.close()


def refused(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except CommandError as error:
        return error.answer
    raise AssertionError("nothing was refused")


def everything(app):
    """All that a restore may change, secrets too."""
    settings = {key: app.settings[key] for key in app.settings.as_dict()}
    return settings, app.cards.setup, app.cards.charging, app.cards.names, sorted(app.cards.blocked)


def uploads():
    return [name for name in os.listdir(MOUNT) if name.startswith(("backup", RESTORE_MARK))]


def resigned(data):
    """The file with the digest of its lines as they are now."""
    lines = data[: data.index(b'"sha256": ')]
    return lines + b'"sha256": "%s"\n}\n' % hexlify(hashlib.sha256(lines).digest())


def test_a_backup_holds_what_was_set_and_all_cards():
    with Flash():
        app = box()
        fill(app)
        found = json.loads(backup(app))
        head = {name: found[name] for name in ("format", "product", "firmware", "serial", "utc", "setup")}
        assert head == {
            "format": 1,
            "product": "wallbox",
            "firmware": "0.1.0",
            "serial": "SIM0000001",
            "utc": "2026-01-01T00:00:00Z",
            "setup": SETUP,
        }, head
        assert found["settings"] == {"rated_a": 16, "connection_a": 32, "name": 'Bärs "box"', "wifi_ssid": "w"}, found
        assert found["cards"][0] == {"uid": CARDS[0], "name": "Anna =1+1", "blocked": False}
        assert found["cards"][1]["blocked"] is True and len(found["cards"]) == 3
        assert found["left_out"] == ["apn_password", "ocpp_password", "ocpp_url", "wifi_password"]
        assert found["secrets"] is None


def test_no_secret_is_in_a_backup_with_or_without_a_password():
    with Flash():
        app = box()
        fill(app)
        for password in (None, PASSWORD):
            data = backup(app, password)
            assert b"geheim" not in data and PASSWORD.encode() not in data
        found = json.loads(data)
        assert found["left_out"] == [] and found["secrets"]["cipher"] == "aes-256-cbc"
        assert json.loads(backup(app, PASSWORD))["secrets"]["salt"] != found["secrets"]["salt"]


def test_a_box_of_nothing_has_a_backup_that_restores_to_nothing():
    with Flash():
        app = box()
        data = backup(app, PASSWORD)
        found = json.loads(data)
        assert found["settings"] == {} and found["cards"] == [] and found["setup"] is None
        before = everything(app)
        fill(app)
        answer = put(app, data, apply=True)
        assert answer["secrets"] == "none" and answer["applied"] is True
        assert everything(app) == before


def test_a_backup_with_a_password_restores_everything():
    with Flash():
        app = box()
        fill(app)
        data, before = backup(app, PASSWORD), everything(app)
        app.settings.update({"rated_a": 10, "wifi_password": "anderes1", "ocpp_url": "", "solar_start_s": 90})
        app.cards.replace(None, [(CARDS[3], "", False), (CARDS[0], "Otto", False)])
        answer = put(app, data, apply=True, password=PASSWORD)
        assert everything(app) == before
        assert answer["differences"] == {
            "rated_a": [10, 16],
            "wifi_password": [True, True],
            "ocpp_url": ["", "wss://h.example"],
            "solar_start_s": [90, 60],
        }, answer["differences"]
        assert answer["cards"] == {
            "add": [CARDS[1], CARDS[2]],
            "remove": [CARDS[3]],
            "change": [CARDS[0]],
            "setup": [None, SETUP],
        }, answer["cards"]
        assert answer["secrets"] == "opened" and answer["refused"] is None and answer["unknown"] == []
        assert answer["other_box"] is False and answer["serial"] == "SIM0000001"
        assert everything(box()) == before, "it is on flash too"
        assert uploads() == []
        assert "geheim" not in app.log.text()


def test_without_apply_only_the_differences_are_told_and_the_file_stays():
    with Flash():
        app = box()
        fill(app)
        data = backup(app)
        app.settings.update({"rated_a": 10})
        before = everything(app)
        answer = put(app, data)
        assert answer["differences"] == {"rated_a": [10, 16]} and answer["applied"] is False, answer
        assert answer["cards"] == {"add": [], "remove": [], "change": []}
        assert everything(app) == before
        again = Restore(Link(app), len(data), hexlify(hashlib.sha256(data).digest()).decode(), {})
        run(again.begin())
        assert again.offset == len(data), "it need not be sent again"
        run(again.finish({"apply": True}))
        assert app.settings["rated_a"] == 16 and uploads() == []


def test_secrets_that_were_left_out_or_stay_locked_are_left_as_they_are():
    with Flash():
        app = box()
        fill(app)
        plain, locked = backup(app), backup(app, PASSWORD)
        app.settings.update({"wifi_password": "anderes1"})
        assert put(app, plain, apply=True)["secrets"] == "left_out"
        assert put(app, locked, apply=True)["secrets"] == "locked"
        assert app.settings["wifi_password"] == "anderes1" and app.settings["ocpp_url"] == SET["ocpp_url"]


def test_a_wrong_password_changes_nothing_and_the_right_one_may_follow():
    with Flash():
        app = box()
        fill(app)
        data = backup(app, PASSWORD)
        app.settings.update({"rated_a": 10})
        answer = refused(put, app, data, apply=True, password="wrong horse")
        assert answer["code"] == "wrong_password" and "nothing was changed" in answer["text"], answer
        assert app.settings["rated_a"] == 10
        assert refused(put, app, data, password="short")["field"] == "password"
        put(app, data, apply=True, password=PASSWORD)
        assert app.settings["rated_a"] == 16


def test_passwords_of_a_wrong_length_are_refused_and_not_shown():
    with Flash():
        app = box()
        for wrong in ("geheim7", "x" * 65, 12345678, ""):
            answer = refused(Backup, Link(app), {"password": wrong})
            assert answer["field"] == "password" and "8..64" in answer["text"] and "geheim" not in answer["text"]


def test_any_damage_of_the_file_is_found_and_it_is_not_kept():
    with Flash():
        app = box()
        fill(app)
        data = backup(app)
        before = everything(app)
        end = data.index(b'"sha256": ')
        for at in range(0, end + 60, 23):
            wrong = bytearray(data)
            wrong[at] ^= 1
            answer = refused(put, app, bytes(wrong), apply=True)
            assert answer["code"] == "bad_value" and "damaged" in answer["text"], (at, answer)
        for wrong in (data[: end - 1], data[:-80], b"{}", b"\xff" * 5000, json.dumps(json.loads(data)).encode()):
            assert "damaged" in refused(put, app, wrong)["text"]
        assert everything(app) == before and uploads() == []


def test_damaged_secrets_are_told_from_a_damaged_file():
    with Flash():
        app = box()
        fill(app)
        data = backup(app, PASSWORD)
        secrets = json.loads(data)["secrets"]
        for name, value in (
            ("mac", "A" * 43 + "="),
            ("data", secrets["data"][4:]),
            ("data", "!"),
            ("iv", secrets["salt"]),
            ("salt", ""),
            ("iterations", 0),
            ("iterations", 100_001),
            ("iterations", 9_999),
            ("kdf", "md5"),
            ("cipher", None),
        ):
            wrong = dict(secrets, **{name: value})
            lines = data.split(b"\n")
            at = [number for number, line in enumerate(lines) if line.startswith(b'"secrets"')][0]
            lines[at] = b'"secrets": ' + json.dumps(wrong).encode() + b","
            answer = refused(put, app, resigned(b"\n".join(lines)), password=PASSWORD)
            assert answer["code"] == "wrong_password", (name, answer)


def test_secrets_of_one_box_do_not_open_in_the_file_of_another():
    with Flash():
        app = box()
        fill(app)
        data = backup(app, PASSWORD).replace(b"SIM0000001", b"SIM0000002")
        assert refused(put, app, resigned(data), password=PASSWORD)["code"] == "wrong_password"


def test_another_box_s_file_is_taken_but_told_and_says_nothing_of_the_installation_here():
    with Flash():
        app = box()
        fill(app)
        app.settings.update({"wizard_complete": True})
        data = backup(app, PASSWORD)
        empty()
        other = box(2)
        answer = put(other, data, apply=True, password=PASSWORD)
        assert answer["other_box"] is True and answer["serial"] == "SIM0000001", answer
        assert other.settings["rated_a"] == 16 and other.settings["wifi_password"] == SET["wifi_password"]
        assert other.settings["wizard_complete"] is False
        assert json.loads(backup(other))["serial"] == "SIM0000002", "who a box is is not restored"


def test_the_same_box_has_its_completed_wizard_back():
    with Flash():
        app = box()
        fill(app)
        app.settings.update({"wizard_complete": True})
        data = backup(app)
        app.settings.update({"wizard_complete": False})
        put(app, data, apply=True)
        assert app.settings["wizard_complete"] is True


def test_what_the_settings_refuse_is_told_and_nothing_is_taken_over():
    with Flash():
        app = box()
        fill(app)
        data = backup(app)
        app.settings.update({"meter_model": "pro380", "load_optimisation": True, "rated_a": 10})
        app.cards.replace(None, [])
        before = everything(app)
        assert "load_optimisation" in put(app, data)["refused"]
        answer = refused(put, app, data, apply=True)
        assert answer["code"] == "bad_value" and "load_optimisation" in answer["text"], answer
        assert everything(app) == before


def test_values_and_cards_that_cannot_be_are_refused_though_the_digest_is_right():
    with Flash():
        app = box()
        fill(app)
        data = backup(app)
        before = everything(app)
        for old, new, word in (
            (b'"rated_a": 16', b'"rated_a": 17', "rated_a"),
            (CARDS[0].encode(), b"08112233", "card"),
            (CARDS[0].encode(), CARDS[1].encode(), "card"),
            (CARDS[0].encode(), SETUP.encode(), "card"),
            (CARDS[0].encode(), b"xyz", "card"),
            (b"Anna", b"A" * 41, "card"),
            (SETUP.encode(), b"08112233", "setup card"),
        ):
            wrong = resigned(data.replace(old, new))
            assert word in put(app, wrong)["refused"], new
            assert word in refused(put, app, wrong, apply=True)["text"], new
        for old, new in (
            (b'"format": 1', b'"format": 2'),
            (b'"product": "wallbox"', b'"product": "toaster"'),
            (b'"name": "Anna', b'"nom": "Anna'),
            (b'"uid": "%s"' % CARDS[0].encode(), b'"uid": []'),
            (b'"rated_a": 16', b'"rated_a": nope'),
        ):
            assert refused(put, app, resigned(data.replace(old, new)))["field"] == "format", new
        assert everything(app) == before


def test_settings_that_this_firmware_does_not_know_are_told_and_left_out():
    with Flash():
        app = box()
        fill(app)
        data = resigned(backup(app).replace(b'"rated_a": 16', b'"from_the_future": 5,\n"rated_a": 20'))
        answer = put(app, data, apply=True)
        assert answer["unknown"] == ["from_the_future"] and app.settings["rated_a"] == 20, answer


def test_100_cards_with_long_names_come_and_go_whole():
    with Flash():
        app = box()
        app.cards.replace(SETUP, [("04%018d" % number, "ä" * 20, number % 2 == 0) for number in range(100)])
        data, before = backup(app), everything(app)
        app.cards.replace(None, [])
        answer = put(app, data, apply=True)
        assert everything(app) == before and len(answer["cards"]["add"]) == 100
        assert len(data) < 32_768 // 2, len(data)


def test_power_cut_at_any_write_leaves_old_or_new_whole():
    with Flash():
        app = box()
        fill(app)
        data, new = backup(app, PASSWORD), everything(app)

    def prepare(_folder):
        app = box()
        app.settings.update({"rated_a": 10, "name": "old"})
        app.cards.replace(None, [(CARDS[4], "old", False)])
        # The key takes long and writes nothing.
        return {"old": everything(app), "ended": False, "app": app}

    def apply(_folder, state):
        assert put(state["app"], data, apply=True, password=PASSWORD)["applied"]
        state["ended"] = True

    outcomes = {"old": 0, "new": 0, "completed": 0}

    def check(_folder, state):
        app = box()
        found = Store(MOUNT, RESTORE_MARK, 1, app.log).load()
        if found is not None:
            complete(app, found)
            assert "restore_completed" in app.log.codes(), app.log.entries
            outcomes["completed"] += 1
            assert uploads() == [], uploads()
        left = everything(box())
        assert left == everything(app)
        assert left in (state["old"], new), left
        outcomes["new" if left == new else "old"] += 1
        assert left == new or not state["ended"]

    pbkdf2, sealed.pbkdf2 = sealed.pbkdf2, quick(sealed.pbkdf2)
    try:
        with Flash():
            app = box()
            fill(app)
            data = backup(app, PASSWORD)
        assert cut_everywhere(prepare, apply, check) > 15
    finally:
        sealed.pbkdf2 = pbkdf2
    assert all(outcomes.values()), outcomes


def quick(slow):
    """The key function with two rounds."""

    async def derive(password, salt, _iterations):
        return await slow(password, salt, 2)

    return derive


def test_a_flash_that_refuses_between_settings_and_cards_is_made_good_at_the_next_start():
    with Flash():
        app = box()
        fill(app)
        data, new = backup(app), everything(app)
        app.settings.update({"rated_a": 10})
        app.cards.replace(None, [])

        def refuse(*_arguments):
            raise OSError(5)

        app.cards.replace = refuse
        answer = refused(put, app, data, apply=True)
        assert answer["code"] == "flash" and "next start" in answer["text"], answer
        assert refused(put, app, data)["code"] == "not_now"
        app = box()
        complete(app, Store(MOUNT, RESTORE_MARK, 1, app.log).load())
        assert everything(app) == new and uploads() == []


def test_a_restore_that_cannot_be_completed_any_more_is_given_up_with_the_reason():
    with Flash():
        app = box()
        before = everything(app)
        marker = Store(MOUNT, RESTORE_MARK, 1, app.log)
        with open(MOUNT + "/backup.x", "wb") as file:
            file.write(b"no backup")
        marker.save({"path": MOUNT + "/backup.x", "changes": {"rated_a": 16}, "who": "expert"})
        complete(app, marker.load())
        assert everything(app) == before and uploads() == []
        assert "given up" in app.log.text() and app.log.codes().count("restore_failed") == 1
