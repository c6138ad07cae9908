"""The link in virtual time: back-off, registration, pings, heartbeats, the clock (OCPP 1.6, 4.2, 4.6; OCPP-J, 5.3)."""

import asyncio

from ocpp_help import UTC_S, LinkPoint
from virtual_time import Record

from ocpp.errors import CallError, CallTimeout, NotConnected
from ocpp.joining import encoded
from ocpp.link import CONNECTED, OFF, WAITING
from ocpp.timestamps import iso
from ocpp.websocket import GOING_AWAY, HandshakeError

YEAR_S = 365 * 86_400
NOBODY = (OSError, (111,))


def boot(status, interval, utc_s=UTC_S):
    return {"status": status, "currentTime": iso(utc_s), "interval": interval}


def rig(*boots, **config):
    point = LinkPoint(**config)
    point.central.answers["BootNotification"] = list(boots) or boot("Accepted", 0)
    return point


def gaps(times):
    return [after - before for before, after in zip(times, times[1:])]


async def some_time(seconds):
    await asyncio.sleep(seconds)


# Back-off


def test_tries_are_doubled_up_to_a_minute_and_drawn_from_the_upper_half():
    for chance, part in ((0xFFFF, 2), (0, 1), (0x8000, None)):
        point = rig()
        point.chance = chance
        point.central.refusals = [NOBODY]
        point.live(some_time(400))
        whole = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
        waits = gaps(point.central.tries)[: len(whole)]
        if part is not None:
            assert waits == [wait * part // 2 for wait in whole], (chance, waits)
        assert all(wait // 2 <= found <= wait for wait, found in zip(whole, waits)), waits
        assert point.link.state == WAITING and not point.link.online


def test_a_link_that_held_for_half_a_minute_is_followed_by_a_quick_try_and_a_short_one_is_not():
    point = rig()
    point.central.refusals = [NOBODY]

    async def steps():
        await asyncio.sleep(20)
        point.central.refusals = []
        await asyncio.sleep(16)
        for held_s, wait_ms in ((5, 32_000), (5, 60_000), (31, 1_000), (5, 2_000)):
            assert point.link.state == CONNECTED
            await asyncio.sleep(held_s - 1)
            tries = len(point.central.tries)
            ended = point.clock.now_ms
            await point.central.sockets[-1].close()
            await asyncio.sleep_ms(wait_ms + 1_000)
            assert len(point.central.tries) == tries + 1
            assert wait_ms <= point.central.tries[-1] - ended <= wait_ms + 10, (held_s, point.central.tries[-1] - ended)

    point.live(steps())


def test_a_try_that_takes_long_to_fail_is_no_good_link():
    point = rig()
    point.central.refusals = [(OSError, (110,))]
    point.central.slow_s = 30
    point.live(some_time(500))
    assert gaps(point.central.tries)[:8] == [31_000, 32_000, 34_000, 38_000, 46_000, 62_000, 90_000, 90_000]


def test_a_link_that_held_for_longer_than_ticks_count_was_a_good_one():
    point = rig()

    async def steps():
        await asyncio.sleep(1)
        await point.central.sockets[-1].close()
        await asyncio.sleep(8 * 86_400)
        ended = point.clock.now_ms
        await point.central.sockets[-1].close()
        await asyncio.sleep(2)
        assert point.central.tries[-1] - ended <= 1_010

    point.live(steps())
    assert len(point.central.tries) == 3


def test_each_reason_is_told_once_in_a_row_and_every_error_is_survived():
    point = rig()
    not_found = (HandshakeError, ("HTTP 404", 404))
    errors = [NOBODY, NOBODY, not_found, not_found, (ValueError, ("a certificate is no good",))]
    errors += [(OSError, ("no network",)), NOBODY]
    point.central.refusals = list(errors)
    point.live(some_time(200))
    texts = [text for _level, code, text in point.log.entries if code == "no_link"]
    assert [text.rpartition(": ")[2] for text in texts] == [
        "OSError(111,)",
        "HTTP 404",
        "a certificate is no good",
        "no network",
        "OSError(111,)",
    ]
    assert point.failures[: len(errors)] == [kind for kind, _arguments in errors]
    assert point.link.reason == "OSError(111,)"


def test_no_error_at_all_ends_the_link_for_good_and_none_leaves_a_connection_open():
    for kind in (MemoryError, RuntimeError, KeyError):
        point = rig()
        point.central.refusals = [(kind, ("made up",))]

        async def steps(point=point, kind=kind):
            await asyncio.sleep(5)
            point.central.refusals = []

            def broken():
                raise kind("made up")

            point.security.link_made = broken
            await asyncio.sleep(50)
            assert not point.link.connected and len(point.central.sockets) > 1
            assert all(socket.code is not None for socket in point.central.sockets)
            point.security.link_made = lambda: None
            await asyncio.sleep(70)
            assert point.link.online

        point.live(steps())
        assert {"no_link", "failed"} <= set(point.log.codes())


def test_new_settings_are_tried_at_once_whether_it_waits_or_is_connected():
    point = rig()
    point.central.refusals = [NOBODY]

    async def steps():
        assert point.link.state == OFF
        await asyncio.sleep(100)
        tries = len(point.central.tries)
        point.central.refusals = []
        point.target.url = "ws://other"
        point.link.reconnect()
        await asyncio.sleep_ms(10)
        assert len(point.central.tries) == tries + 1 and point.link.state == CONNECTED
        point.target.identity = "box 2"
        point.link.reconnect()
        await asyncio.sleep_ms(10)
        assert len(point.central.tries) == tries + 2 and point.link.connected
        assert [url for url, _options in point.central.asked[-2:]] == ["ws://other/box%201", "ws://other/box%202"]
        await asyncio.sleep(100)
        assert len(point.central.tries) == tries + 2

    point.live(steps())


def test_before_a_restart_it_says_that_it_goes_away():
    point = rig()

    async def steps():
        await point.link.leave()
        assert point.central.tries == [], "there was no link"
        await asyncio.sleep(1)
        await point.link.leave()
        assert point.central.sockets[-1].code == GOING_AWAY
        await asyncio.sleep_ms(10)

    point.live(steps())
    texts = [text for _level, code, text in point.log.entries if code == "disconnected"]
    assert texts[0].endswith("the station restarts")


def test_address_login_and_tls_are_those_of_the_target():
    point = rig()
    point.target.password = b"secret"
    point.target.ssl = object()
    point.live(some_time(1))
    url, options = point.central.asked[0]
    assert url == "ws://central/ocpp/box%201"
    assert options["headers"] == (("Authorization", "Basic Ym94IDE6c2VjcmV0"),)
    assert options["ssl"] is point.target.ssl and options["max_bytes"] == 16_384


def test_an_identity_is_one_part_of_the_path():
    assert encoded("SIM-1_a.b~c") == "SIM-1_a.b~c"
    assert encoded("a b%c/d?e#f") == "a%20b%25c%2Fd%3Fe%23f"
    assert encoded("\u00fc\u20ac") == "%C3%BC%E2%82%AC"


# Registration


def test_accepted_it_is_online_and_registers_once_over_all_links():
    point = rig(boot("Accepted", 300))

    async def steps():
        await asyncio.sleep(1)
        assert point.link.online and point.told[0] == "made"
        assert ("registered", 300) in point.told and point.told[-1] == ("online", True)
        await point.central.sockets[-1].close()
        await asyncio.sleep_ms(500)
        assert not point.link.online and point.link.registration == "Accepted"
        await asyncio.sleep(60)
        assert point.link.online

    point.live(steps())
    assert point.central.times("BootNotification") == [0]


def test_pending_and_rejected_it_boots_again_after_the_interval_and_never_before():
    for status in ("Pending", "Rejected"):
        point = rig(boot(status, 100), boot(status, 7), boot("Accepted", 60))
        point.live(some_time(300))
        times = point.central.times("BootNotification")
        assert len(times) == 3, times
        assert 100 <= times[1] <= 102 and 7 <= times[2] - times[1] <= 9, times
        assert point.told.count(("registered", 60)) == 1


def test_without_an_interval_and_after_errors_it_waits_half_a_minute():
    wrong = {"status": "Maybe", "currentTime": iso(UTC_S), "interval": 1}
    for answer in (boot("Pending", 0), boot("Rejected", -5), "InternalError", wrong, {}):
        point = rig(answer, answer, boot("Accepted", 60))
        point.live(some_time(120))
        first, second, third = point.central.times("BootNotification")
        assert first == 0 and 30 <= second <= 32 and 30 <= third - second <= 32, (answer, second, third)
        assert len(point.central.tries) == 1


def test_an_interval_of_years_ends_after_a_day():
    point = rig(boot("Rejected", 10 * YEAR_S), boot("Accepted", 60))
    point.live(some_time(90_000))
    assert point.central.times("BootNotification") == [0, 86_401]


def test_the_interval_outlasts_the_link():
    point = rig(boot("Rejected", 1_000), boot("Accepted", 60))

    async def steps():
        for _ in range(8):
            await asyncio.sleep(90)
            assert point.link.registration == "Rejected"
            await point.central.sockets[-1].close()
        await asyncio.sleep(600)

    point.live(steps())
    first, second = point.central.times("BootNotification")
    assert first == 0 and 1_000 <= second <= 1_002
    assert len(point.central.tries) == 9


def test_an_interval_that_ended_before_the_link_came_back_holds_nothing_up_however_long_ago():
    for away_s in (2_000, 7 * 86_400):
        point = rig(boot("Pending", 1_000), boot("Accepted", 60))

        async def steps(away_s=away_s, point=point):
            await asyncio.sleep(1)
            point.central.refusals = [NOBODY]
            await point.central.sockets[-1].close()
            await asyncio.sleep(away_s)
            point.central.refusals = []
            await asyncio.sleep(61)
            assert point.link.online, away_s

        point.live(steps())


def test_a_boot_may_be_triggered_while_it_is_not_accepted():
    point = rig(boot("Pending", 1_000), boot("Pending", 1_000), boot("Accepted", 60))

    async def steps():
        for _ in range(2):
            await asyncio.sleep(50)
            point.link.boot()
        await asyncio.sleep(50)
        point.link.boot()
        await asyncio.sleep(2_000)

    point.live(steps())
    assert point.central.times("BootNotification") == [0, 50, 100]


def test_a_boot_without_any_answer_gives_the_link_up_and_is_sent_on_the_next():
    point = rig(None, None, boot("Accepted", 60), MessageTimeout=5)
    point.live(some_time(60))
    times = point.central.times("BootNotification")
    assert times == [0, 6, 13], times
    assert len(point.central.tries) == 3 and point.link.online
    endings = [text for _level, code, text in point.log.entries if code == "disconnected"]
    assert len(endings) == 2 and "BootNotification and all else was not answered" in endings[0]
    assert point.failures == []


def test_a_boot_without_answer_on_a_link_that_lives_is_sent_again_on_it():
    point = rig(None, boot("Accepted", 60), MessageTimeout=5)

    async def steps():
        await asyncio.sleep(3)
        point.central.sockets[-1].put([2, "c1", "GetConfiguration", {}])
        await asyncio.sleep(60)

    point.live(steps())
    first, second = point.central.times("BootNotification")
    assert first == 0 and 35 <= second <= 37
    assert len(point.central.tries) == 1


def test_what_the_notification_says_is_told_again_when_it_has_changed():
    point = rig(boot("Accepted", 60))

    async def steps():
        await asyncio.sleep(1)
        info = dict(point.station.boot_info(), firmwareVersion="2")
        point.station.boot_info = lambda: info
        await asyncio.sleep(10)
        for _ in range(2):
            await point.central.sockets[-1].close()
            await asyncio.sleep(10)

    point.live(steps())
    told = [payload.get("firmwareVersion") for _ms, action, payload in point.central.calls if action != "Heartbeat"]
    assert told == [None, "2"] and len(point.central.tries) == 3


def test_a_call_right_behind_the_answer_to_a_boot_finds_it_taken_in():
    for status in ("Accepted", "Rejected", "Pending"):
        point = rig(None)

        async def steps(point=point, status=status):
            heard = point.central.heard

            def both(socket, frame):
                heard(socket, frame)
                if frame[0] == 2:
                    socket.put([3, frame[1], boot(status, 1_000)])
                    socket.put([2, "c1", "Reset", {"type": "Soft"}])

            point.central.heard = both
            await asyncio.sleep(1)

        point.live(steps())
        assert point.handled == [("Reset", status)]


# Pings


def test_a_silent_link_is_pinged_at_half_the_interval():
    point = rig(WebSocketPingInterval=60)
    point.live(some_time(200))
    assert [ms // 1000 for ms in point.central.pings] == [30, 60, 90, 120, 150, 180]
    assert len(point.central.tries) == 1


def test_a_link_on_which_something_is_heard_is_not_pinged():
    point = rig(WebSocketPingInterval=60)

    async def steps():
        await asyncio.sleep(1)
        for number in range(20):
            await asyncio.sleep(20)
            point.central.sockets[-1].put([2, "c%d" % number, "GetConfiguration", {}])
        await asyncio.sleep(1)

    point.live(steps())
    assert point.central.pings == [] and len(point.handled) == 20


def test_a_link_that_answers_no_ping_ends_an_interval_after_it_was_last_heard():
    point = rig(WebSocketPingInterval=60)

    async def steps():
        await asyncio.sleep(45)
        point.central.pongs = False
        point.central.sockets[-1].put([2, "c1", "GetConfiguration", {}])
        await asyncio.sleep(59)
        assert point.link.connected
        await asyncio.sleep(1)
        assert not point.link.connected and point.link.reason == "no answer to a ping"

    point.live(steps())
    # The pong of the ping at 30 s had come.
    assert [ms // 1000 for ms in point.central.pings] == [30, 75]
    assert point.central.sockets[0].code is not None


def test_a_ping_interval_of_0_pings_never_and_another_takes_effect_within_10_s():
    point = rig()

    async def steps():
        await asyncio.sleep(5_000)
        assert point.central.pings == []
        point.config["WebSocketPingInterval"] = 60
        changed = point.clock.now_ms
        await asyncio.sleep(11)
        assert len(point.central.pings) == 1 and point.central.pings[0] - changed <= 10_000
        point.config["WebSocketPingInterval"] = 0
        await asyncio.sleep(500)
        assert len(point.central.pings) <= 2

    point.live(steps())


# Heartbeats and the clock


def test_heartbeats_come_in_the_interval_also_when_it_is_changed():
    point = rig(boot("Accepted", 100), HeartbeatInterval=100)

    async def steps():
        await asyncio.sleep(350)
        point.config["HeartbeatInterval"] = 10
        point.link.interval_changed()
        await asyncio.sleep(25)

    point.live(steps())
    assert point.central.times("Heartbeat") == [100, 200, 300, 360, 370]


def test_a_heartbeat_that_nothing_answers_gives_the_link_up_and_one_that_is_late_does_not():
    for other in (False, True):
        point = rig(HeartbeatInterval=100)
        point.central.answers["Heartbeat"] = None

        async def steps(point=point, other=other):
            await asyncio.sleep(110)
            if other:
                point.central.sockets[-1].put([2, "c1", "GetConfiguration", {}])
            await asyncio.sleep(25)

        point.live(steps())
        assert len(point.central.tries) == (1 if other else 2)
        assert "no_heartbeat" in point.log.codes()


def test_no_heartbeat_is_sent_before_the_registration():
    point = rig(boot("Pending", 1_000), HeartbeatInterval=10)
    point.live(some_time(500))
    assert point.central.times("Heartbeat") == []


def test_the_clock_is_set_when_it_is_unknown_or_off_and_a_jump_is_a_security_event():
    for off_s, is_set, events in (
        (None, True, ["SettingSystemTime"]),
        (0, False, []),
        (1, False, []),
        (-1, False, []),
        (2, True, []),
        (-9, True, []),
        (10, True, ["SettingSystemTime"]),
        (-3_600, True, ["SettingSystemTime"]),
        (10 * YEAR_S, True, ["SettingSystemTime"]),
    ):
        point = rig()
        point.clock.utc_base_s = None if off_s is None else UTC_S - off_s
        point.link.take_time(iso(UTC_S))
        assert ("time" in point.told) == is_set, off_s
        assert point.events == events, off_s
        if is_set:
            assert point.clock.utc_s() == UTC_S, off_s


def test_a_time_that_is_none_is_logged_and_sets_nothing():
    point = rig()
    bogus = ("0001-01-01T00:00:00Z", "1970-01-01T00:00:10Z", "2000-01-01T00:00:00Z")
    bogus += ("2100-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
    for text in ("", "now", "2026-13-01T00:00:00Z", "1767225600") + bogus:
        point.link.take_time(text)
    assert point.log.codes() == ["bad_time"] * 9 and point.told == [] and point.clock.utc_s() == UTC_S


def test_a_time_at_which_the_central_system_s_own_certificate_is_not_valid_is_ignored():
    for known, utc_s, is_set in (
        (True, UTC_S + YEAR_S, True),
        (True, UTC_S - 86_400, True),
        (True, 0, False),
        (None, 0, False),
        (True, UTC_S + 3 * YEAR_S, False),
        # It may have ended, as far as anybody can tell.
        (None, UTC_S + 3 * YEAR_S, True),
    ):
        point = rig(boot("Accepted", 0, utc_s))
        point.target.url = "wss://central/"
        point.target.ssl = Record(since_s=UTC_S - 86_400, until_s=UTC_S + 2 * YEAR_S)
        if not known:
            point.clock.utc_base_s = None
        point.live(some_time(2))
        assert point.link.registration == "Accepted"
        assert ("time" in point.told) == is_set, (known, utc_s)
        assert ("bad_time" in point.log.codes()) != is_set
        if not is_set:
            assert point.clock.utc_s() == (UTC_S + 2 if known else None) and point.events == []


def test_the_answers_to_boot_and_heartbeat_set_the_clock_while_the_link_s_own_timers_go_on():
    point = rig(boot("Accepted", 0, UTC_S + YEAR_S), HeartbeatInterval=100)
    point.central.answers["Heartbeat"] = {"currentTime": iso(UTC_S - YEAR_S)}

    async def steps():
        await asyncio.sleep(1)
        assert abs(point.clock.utc_s() - UTC_S - YEAR_S) <= 1
        await asyncio.sleep(100)
        assert abs(point.clock.utc_s() - UTC_S + YEAR_S) <= 1
        await asyncio.sleep(100)

    point.live(steps())
    assert point.central.times("Heartbeat") == [100, 200] and point.events == ["SettingSystemTime"] * 3


# Calls


def test_without_a_link_a_call_fails_at_once_and_nothing_waits_for_an_answer():
    point = rig()
    called = []

    async def steps():
        try:
            await point.link.call("Heartbeat", {})
            raise AssertionError("no error")
        except NotConnected:
            pass
        point.link.after_answer(lambda: called.append(1))
        point.link.drop("nothing to drop")
        point.link.timeout_changed()
        assert not point.link.connected and point.link.reason == ""

    point.run(steps())
    assert called == []


def test_a_message_timeout_that_is_changed_holds_from_the_next_call_on():
    point = rig()
    point.central.answers["Heartbeat"] = None
    waited = []

    async def steps():
        await asyncio.sleep(1)
        for seconds in (30, 5):
            point.config["MessageTimeout"] = seconds
            point.link.timeout_changed()
            began = point.clock.now_ms
            try:
                await point.link.call("Heartbeat", {})
            except CallTimeout:
                waited.append((point.clock.now_ms - began) // 1000)
            await asyncio.sleep(10)

    point.live(steps())
    assert waited == [30, 5]


def test_calls_that_the_central_system_refuses_leave_the_link_as_it_is():
    point = rig()
    point.central.answers["Authorize"] = "SecurityError"

    async def steps():
        await asyncio.sleep(1)
        try:
            await point.link.call("Authorize", {"idTag": "A"})
            raise AssertionError("no error")
        except CallError as error:
            assert error.code == "SecurityError"
        await asyncio.sleep(100)

    point.live(steps())
    assert len(point.central.tries) == 1 and point.link.online


# What the station knows better


def test_another_way_to_the_central_system_is_tried_at_once():
    point = rig()
    point.central.refusals = [NOBODY]

    async def steps():
        await asyncio.sleep(100)
        tries = len(point.central.tries)
        assert point.link.state == WAITING
        point.link.reachable()
        await asyncio.sleep_ms(10)
        assert len(point.central.tries) == tries + 1
        # And the next wait is a short one again.
        await asyncio.sleep_ms(1_100)
        assert len(point.central.tries) == tries + 2
        point.central.refusals = []
        await asyncio.sleep(60)
        assert point.link.state == CONNECTED
        point.link.reachable()
        await asyncio.sleep(60)
        assert len(point.central.sockets) == 1, "a link that works is left alone"

    point.live(steps())


def test_a_time_that_the_station_refuses_is_told_to_nobody():
    point = rig()
    point.clock.set_utc_s = lambda seconds: False
    point.link.take_time(iso(UTC_S + 86_400))
    assert point.told == [] and point.events == []
    point.clock.set_utc_s = lambda seconds: True
    point.link.take_time(iso(UTC_S + 86_400))
    assert point.told == ["time"] and point.events == ["SettingSystemTime"]
