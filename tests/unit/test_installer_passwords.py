"""Passwords, the count of wrong tries, identity and security log of the installer's link (R24, R31)."""

import asyncio
import os
import time
from binascii import hexlify

from installer_bench import an_app
from storage_help import cut_everywhere, read, scratch

from journal import Journal
from wallbox.installer import identity, passwords
from wallbox.installer.guard import Guard, may_pair, paired, wait_s
from wallbox.installer.passwords import Passwords, pbkdf2, same
from wallbox.installer.security import SecurityLog
from wallbox.storage.store import Store


def derived(password, salt, iterations):
    return str(hexlify(asyncio.run(pbkdf2(password, salt, iterations))), "ascii")


def test_pbkdf2_gives_the_published_values():
    # RFC 7914, 11, and the usual vectors of RFC 6070 with SHA-256.
    assert derived(b"passwd", b"salt", 1).startswith("55ac046e56e3089fec1691c22544b605")
    assert derived(b"password", b"salt", 2) == "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43"
    assert derived(b"password", b"salt", 4096) == "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a"


def test_a_password_longer_than_a_block_is_hashed_first():
    long = b"x" * 100
    assert derived(long, b"salt", 1) == derived(passwords.sha256(long).digest(), b"salt", 1)


def test_a_derivation_lets_other_tasks_run_every_5_ms():
    gaps = []

    async def watch():
        last = time.ticks_us()
        while True:
            await asyncio.sleep_ms(0)
            now = time.ticks_us()
            gaps.append(time.ticks_diff(now, last))
            last = now

    async def both():
        watcher = asyncio.create_task(watch())
        await pbkdf2(b"1916", b"0123456789abcdef", 10_000)
        watcher.cancel()

    asyncio.run(both())
    gaps.sort()
    assert len(gaps) > 100, len(gaps)
    # The host may hold up the whole process now and then.
    assert gaps[len(gaps) * 9 // 10] < 5_000, gaps[-5:]


def test_comparison_takes_no_notice_of_where_values_differ():
    assert same(b"abc", b"abc") and same(b"", b"")
    for other in (b"abd", b"xbc", b"ab", b"abcd", b""):
        assert not same(b"abc", other), other


def check(found, role, password):
    return asyncio.run(found.check(role, password))


def test_the_factory_has_1916_for_the_expert_and_nothing_for_the_owner():
    app = an_app("factory")
    found = Passwords(app.folder, app.log)
    assert check(found, "expert", "1916") and check(found, "owner", "")
    assert not check(found, "expert", "") and not check(found, "owner", "1916")
    assert not found.is_set("owner") and not found.is_set("expert")


def test_a_new_password_is_kept_over_a_restart_and_the_old_one_is_gone():
    app = an_app("change")
    asyncio.run(Passwords(app.folder, app.log).change("expert", "pässword"))
    again = Passwords(app.folder, app.log)
    assert check(again, "expert", "pässword") and not check(again, "expert", "1916")
    assert again.is_set("expert") and not again.is_set("owner")


def test_flash_holds_a_salted_digest_and_never_the_password():
    app = an_app("digest")
    found = Passwords(app.folder, app.log)
    asyncio.run(found.change("expert", "geheimnis"))
    asyncio.run(found.change("owner", "geheimnis"))
    for name in os.listdir(app.folder):
        assert b"geheimnis" not in read(app.folder + "/" + name)
    stored = Store(app.folder, "passwords", 1, app.log).load()
    assert stored["owner"][1:] != stored["expert"][1:], "two roles share a salt"
    assert stored["owner"][0] >= 10_000


def test_a_damaged_entry_is_the_factorys_again_and_told():
    app = an_app("damaged")
    Store(app.folder, "passwords", 1, app.log).save({"expert": [10_000, "zz", ""], "owner": 5})
    found = Passwords(app.folder, app.log)
    assert check(found, "expert", "1916")
    assert app.log.codes() == ["password_lost", "password_lost"]


def test_a_power_cut_leaves_the_old_or_the_new_password():
    def prepare(folder):
        app = an_app("cut")
        found = Passwords(folder, app.log)
        asyncio.run(found.change("expert", "first"))
        return found

    def run(_folder, found):
        asyncio.run(found.change("expert", "second"))

    def verify(folder, found):
        again = Passwords(folder, an_app("cut").log)
        assert check(again, "expert", "first") or check(again, "expert", "second")
        assert not check(again, "expert", "1916")

    assert cut_everywhere(prepare, run, verify) > 0


# Wrong tries


def test_waits_grow_with_the_count_of_wrong_tries():
    assert [wait_s(count) for count in (0, 2, 3, 4, 5, 9, 10, 500)] == [0, 0, 30, 30, 300, 300, 3600, 3600]


def test_three_wrong_tries_lock_for_30_s_and_a_right_one_ends_the_count():
    app = an_app("lock")
    locks = {}
    guard = Guard(app, locks)
    assert [guard.failed("expert") for _ in range(3)] == [0, 0, 30]
    assert guard.wait_s("expert") == 30 and guard.wait_s("owner") == 0
    app.clock.seconds = 29
    assert Guard(app, locks).wait_s("expert") == 1
    app.clock.seconds = 30
    assert Guard(app, locks).wait_s("expert") == 0
    assert Guard(app, locks).failed("expert") == 30
    Guard(app, locks).passed("expert")
    assert Guard(app, locks).failed("expert") == 0


def test_a_restart_neither_forgets_the_count_nor_shortens_the_wait():
    app = an_app("restart")
    guard = Guard(app, {})
    for _ in range(5):
        guard.failed("owner")
    app.clock.seconds = 0
    again = Guard(app, {})
    assert again.wait_s("owner") == 300
    app.clock.seconds = 301
    assert again.wait_s("owner") == 0


def test_nonsense_in_the_store_locks_nobody_out():
    app = an_app("nonsense")
    for stored in ([], 5, {"expert": -3}, {"expert": "x"}, {"expert": True}, {"expert": None}):
        Store(app.folder, "lockouts", 1, app.log).save(stored)
        assert Guard(app, {}).wait_s("expert") == 0, stored


def test_pairing_is_refused_after_three_failures_and_told_in_the_security_log():
    app = an_app("pairing")
    locks = {}
    for _ in range(3):
        assert may_pair(app, locks)
        paired(app, locks, False)
    assert not may_pair(app, locks)
    app.clock.seconds = 31
    assert may_pair(app, locks)
    paired(app, locks, True)
    found = [entry["result"] for entry in SecurityLog(app).entries()]
    assert found == ["wrong", "wrong", "wrong", "locked", "ok"], found


# Identity


def test_identity_is_drawn_once_and_kept():
    app = an_app("identity")
    first = identity.load(app.folder, app.log)
    assert len(first["passkey"]) == 6 and first["passkey"].isdigit() and len(first["key"]) == 64
    assert identity.load(app.folder, app.log) == first
    assert first["passkey"] not in app.log.text() and first["key"] not in app.log.text()


def test_what_production_wrote_is_taken():
    app = an_app("production")
    written = {"serial": "WB0001", "passkey": "000042", "key": "ab" * 32}
    Store(app.folder, "identity", 1, app.log).save(written)
    assert identity.load(app.folder, app.log) == written


def test_an_identity_without_sense_is_drawn_anew():
    for wrong in ({}, [], {"serial": 1, "passkey": "000042", "key": "ab" * 32}, {"serial": "x", "passkey": "42"}):
        app = an_app("sense")
        Store(app.folder, "identity", 1, app.log).save(wrong)
        found = identity.load(app.folder, app.log)
        assert found["passkey"].isdigit() and found["serial"] == "SIM0000001", wrong


def test_two_boxes_have_different_passkeys_and_keys():
    app = an_app("other")
    first = identity.load(app.folder, app.log)
    second = identity.load(scratch("installer-other2"), app.log)
    assert first["passkey"] != second["passkey"] and first["key"] != second["key"]


def test_a_flash_that_refuses_leaves_a_box_that_works():
    app = an_app("refuses")
    found = identity.load("/nowhere", app.log)
    assert len(found["passkey"]) == 6
    assert app.log.codes() == ["identity_not_stored"]


# Security log


def test_entries_are_numbered_over_restarts_and_hold_time_and_who():
    app = an_app("security")
    SecurityLog(app).add("login", "expert", "ok")
    app.clock.seconds = 5
    SecurityLog(app).add("password", "owner", "changed by expert")
    entries = list(SecurityLog(app).entries())
    assert [entry["seq"] for entry in entries] == [1, 2]
    assert entries[1] == {
        "seq": 2,
        "utc": "2026-01-01T00:00:05Z",
        "uptime_s": 5,
        "what": "password",
        "role": "owner",
        "result": "changed by expert",
    }


def test_a_flash_that_refuses_sends_the_entry_to_the_event_log():
    app = an_app("security-flash")
    app.security = Journal("/nowhere", "security", 4)
    SecurityLog(app).add("login", "expert", "wrong")
    assert app.log.codes() == ["security_not_stored"] and "login of expert: wrong" in app.log.text()


def test_a_power_cut_costs_one_entry_at_most():
    def prepare(folder):
        app = an_app("security-cut")
        app.security = Journal(folder, "security", 4)
        SecurityLog(app).add("login", "expert", "first")
        return app

    def run(_folder, app):
        for number in range(3):
            SecurityLog(app).add("login", "expert", str(number))

    def verify(folder, app):
        results = [entry["result"] for entry in SecurityLog(app).entries()]
        assert results == ["first", "0", "1", "2"][: len(results)] and results, results

    assert cut_everywhere(prepare, run, verify) > 0
