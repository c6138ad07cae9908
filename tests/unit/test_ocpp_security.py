"""Security events from flash to the central system, and credentials that come back when new ones do not work."""

import asyncio
import json
import os

from ocpp_help import UTC_S
from ocpp_security_help import Box
from storage_help import cut_everywhere

from ocpp import schema
from ocpp.errors import NOT_IMPLEMENTED, CallError, CallTimeout
from ocpp.rare import borrow
from ocpp.security import Security
from ocpp.security_events import CRITICAL
from ocpp.websocket import HandshakeError

OTHERS = (
    "FailedToAuthenticateAtCentralSystem CentralSystemFailedToAuthenticate ReconfigurationOfSecurityParameters "
    "InvalidMessages AttemptedReplayAttacks InvalidFirmwareSignature InvalidFirmwareSigningCertificate "
    "InvalidCentralSystemCertificate InvalidChargePointCertificate InvalidTLSVersion InvalidTLSCipherSuite"
)
ALL = (CRITICAL + " " + OTHERS).split()
KEY, NEW_KEY, HEX_KEY = "old-key-0123456789", "new-key-0123456789", "00112233445566778899aabbccddeeff00112233"


def refusal(status=401):
    return HandshakeError("HTTP status %d" % status, status)


async def until(condition, ms=200_000):
    for _ in range(ms // 100):
        if condition():
            return
        await asyncio.sleep_ms(100)
    raise AssertionError("it did not come to that")


def test_all_18_events_are_sent_in_their_order_as_the_schema_wants_them():
    box = Box("events-all")
    assert len(ALL) == len(set(ALL)) == 18 and len(CRITICAL.split()) == 7

    async def steps():
        await asyncio.sleep(1)
        for kind in ALL:
            box.security.event(kind, "info of " + kind)
        await until(lambda: len(box.told()) == 19)

    box.run(steps(), box.sender.run())
    assert box.kinds() == ["StartupOfTheDevice"] + ALL
    first, second = box.told()[:2]
    assert first == {"type": "StartupOfTheDevice", "timestamp": "2026-01-01T00:00:00Z"}
    assert second["techInfo"] == "info of " + ALL[0] and second["timestamp"] == "2026-01-01T00:00:01Z"


def test_events_wait_on_flash_while_offline_and_over_restarts():
    box = Box("events-offline")
    box.online = False

    async def offline():
        await asyncio.sleep(1)
        box.security.event("TamperDetectionActivated")
        box.security.event("InvalidMessages", "line\nbreak")
        await asyncio.sleep(100)

    box.run(offline(), box.sender.run())
    assert box.told() == []
    box = box.again()
    box.online = False

    async def later():
        await asyncio.sleep(500)
        box.online = True
        box.security.link_changed()
        await until(lambda: len(box.told()) == 4)
        await asyncio.sleep(5000)

    box.run(later(), box.sender.run())
    assert box.kinds() == ["StartupOfTheDevice", "TamperDetectionActivated", "InvalidMessages", "StartupOfTheDevice"]
    assert box.told()[2]["techInfo"] == "line break"
    assert box.recorded() == box.kinds()
    box = box.again()

    async def once_more():
        await until(lambda: len(box.told()) == 1)
        await asyncio.sleep(5000)

    box.run(once_more(), box.sender.run())
    assert box.kinds() == ["StartupOfTheDevice"], "what was delivered came again"


def test_no_event_is_lost_or_out_of_order_over_a_power_cut_at_any_write():
    def prepare(folder):
        return {"made": 0, "sent": []}

    def life(folder, state, count):
        box = Box("cut", folder=folder)
        box.sent = state["sent"]

        async def steps():
            await box.security.load()
            for _ in range(count):
                state["made"] += 1
                box.security.event("ResetOrReboot", "event %d" % state["made"])
            task = asyncio.create_task(box.sender.run())
            last = "event %d" % state["made"]
            await until(lambda: any(payload.get("techInfo") == last for _, _, payload in box.sent))
            task.cancel()

        box.run(steps())

    def run(folder, state):
        life(folder, state, 5)
        life(folder, state, 5)

    def check(folder, state):
        made = state["made"]
        life(folder, state, 2)
        told = []
        for _, _, payload in state["sent"]:
            text = payload.get("techInfo", "")
            if text and text not in told:
                told.append(text)
        # The one in whose write the power went may be there or not; what was told while power went may come twice.
        wanted = ["event %d" % number for number in range(1, made + 3)]
        assert told in (wanted, [text for text in wanted if text != "event %d" % made]), (told, state)

    cuts = cut_everywhere(prepare, run, check)
    assert cuts > 20, cuts


def test_a_flash_that_refuses_keeps_events_in_ram_and_they_are_sent_all_the_same():
    box = Box("events-refused")
    good = box.security._journal.append

    def refuse(record):
        raise OSError(28)

    async def steps():
        await until(lambda: len(box.told()) == 1)
        box.security._journal.append = refuse
        for number in range(3):
            box.security.event("ResetOrReboot", str(number))
        await until(lambda: len(box.told()) == 4)
        box.security._journal.append = good
        box.security.event("ResetOrReboot", "3")
        await until(lambda: len(box.told()) == 5)

    box.run(steps(), box.sender.run())
    assert [told.get("techInfo") for told in box.told()] == [None, "0", "1", "2", "3"]
    assert box.log.codes().count("not_stored") >= 3
    assert box.recorded() == ["StartupOfTheDevice"] + ["ResetOrReboot"] * 4


def test_times_are_found_out_when_the_clock_comes_later():
    box = Box("events-clock")
    box.clock.utc_base_s = None
    box.online = False

    async def unknown():
        await asyncio.sleep(10)
        box.security.event("ResetOrReboot", "known later in this boot")
        await asyncio.sleep(90)
        box.clock.set_utc_s(UTC_S + 1000)
        box.security.event("SettingSystemTime")

    box.run(unknown(), box.sender.run())
    box = box.again()
    box.clock.utc_base_s = None
    box.online = False

    async def never():
        await asyncio.sleep(5)
        box.security.event("ResetOrReboot", "never known")

    box.run(never(), box.sender.run())
    box = box.again()
    box.clock.utc_base_s = UTC_S + 5000

    async def tell():
        await until(lambda: len(box.told()) == 6)

    box.run(tell(), box.sender.run())
    times = [told["timestamp"][11:] for told in box.told()]
    # 100 s after the start it was 00:16:40. Of the second boot nothing is known: not before what came before.
    assert times == ["00:15:00Z", "00:15:10Z", "00:16:40Z", "00:16:40Z", "00:16:40Z", "01:23:20Z"], times


def test_a_peer_that_is_always_wrong_does_not_push_other_events_out():
    box = Box("events-flood")

    async def steps():
        await box.security.load()
        box.security.event("TamperDetectionActivated")
        for _ in range(500):
            box.security.event("InvalidMessages", "nonsense")
        assert box.recorded() == ["TamperDetectionActivated"] + ["InvalidMessages"] * 5
        for _ in range(7):
            box.security.event("ResetOrReboot")
        await asyncio.sleep(3601)
        box.security.event("InvalidMessages", "nonsense")
        assert len(box.recorded()) == 14, "critical events are not left out"
        assert list(box.security.log_pieces())[-1].endswith(b"495 more before. nonsense\n")

    box.run(steps())


def test_a_clock_that_jumps_all_the_time_does_not_wear_out_flash():
    box = Box("storm-critical")

    async def steps():
        await asyncio.sleep(1)
        for _ in range(200):
            box.security.event("SettingSystemTime", "set by the central system")
            box.security.event("ResetOrReboot", "SoftReset")
        await asyncio.sleep(3_601)
        box.security.event("SettingSystemTime", "once more")
        await until(lambda: len(box.told()) == 42)

    box.run(steps(), box.sender.run())
    assert box.kinds().count("ResetOrReboot") == 20
    assert box.told()[-1]["techInfo"] == "180 more before. once more"


def test_a_central_system_without_security_events_is_asked_once_a_connection():
    box = Box("events-unknown")
    box.answers["SecurityEventNotification"] = CallError(NOT_IMPLEMENTED)

    async def steps():
        await asyncio.sleep(1)
        for _ in range(5):
            box.security.event("ResetOrReboot")
            await asyncio.sleep(1000)
        assert len(box.told()) == 1, box.told()
        box.answers = {}
        box.security.link_changed()
        await until(lambda: len(box.told()) == 7)

    box.run(steps(), box.sender.run())
    assert box.kinds() == ["StartupOfTheDevice"] * 2 + ["ResetOrReboot"] * 5


def test_an_event_that_is_not_answered_is_sent_again_later_and_one_refused_thrice_is_given_up():
    box = Box("events-retry")
    box.answers["SecurityEventNotification"] = [CallTimeout(), CallError("InternalError"), {}] + [
        CallError("InternalError") for _ in range(3)
    ]

    async def steps():
        await until(lambda: len(box.sent) == 3)
        assert [ms // 1000 for ms, _, _ in box.sent] == [0, 60, 180]
        box.security.event("ResetOrReboot", "poison")
        await until(lambda: len(box.sent) == 6)
        box.answers = {}
        box.security.event("ResetOrReboot", "after it")
        await until(lambda: len(box.sent) == 7)

    box.run(steps(), box.sender.run())
    assert [told.get("techInfo") for told in box.told()] == [None] * 3 + ["poison"] * 3 + ["after it"]
    assert "event_refused" in box.log.codes()


def test_long_texts_fit_message_and_record():
    box = Box("events-long")
    texts = ("x" * 300, '"' * 300, "\0\t\n" * 100, "ä€" * 200, "\\" * 255)

    async def steps():
        await until(lambda: len(box.told()) == 1)
        for text in texts:
            box.security.event("TamperDetectionActivated", text)
        await until(lambda: len(box.told()) == 1 + len(texts))

    box.run(steps(), box.sender.run())
    for told in box.told()[1:]:
        schema.check_request("SecurityEventNotification", told)
        assert len(told["techInfo"]) in (127, 255)
    assert len(box.recorded()) == 6


def test_the_log_can_be_bounded_by_times_and_leaves_out_what_came_after_its_begin():
    box = Box("log")

    async def steps():
        await box.security.load()
        for number in range(5):
            box.security.event("ResetOrReboot", "at %d" % number)
            await asyncio.sleep(60)
        pieces = box.security.log_pieces(UTC_S + 60, UTC_S + 180)
        box.security.event("ResetOrReboot", "later")
        assert list(pieces) == [
            b"2026-01-01T00:01:00Z 2 ResetOrReboot at 1\n",
            b"2026-01-01T00:02:00Z 3 ResetOrReboot at 2\n",
            b"2026-01-01T00:03:00Z 4 ResetOrReboot at 3\n",
        ]
        pieces = box.security.log_pieces()
        box.security.event("ResetOrReboot", "latest")
        assert len(list(pieces)) == 6

    box.run(steps())


def test_a_start_up_is_not_told_when_a_central_system_is_set_up_later():
    box = Box("late")

    async def steps():
        await asyncio.sleep(61)
        task = asyncio.create_task(box.sender.run())
        await asyncio.sleep(10)
        box.security.event("ResetOrReboot")
        await until(lambda: len(box.told()) == 1)
        task.cancel()

    box.run(steps())
    assert box.kinds() == ["ResetOrReboot"]


# -- credentials -----------------------------------------------------------------------------------------


def with_key(name, **preset):
    """A box whose key was set by the central system and has worked."""
    box = Box(name, **preset)
    assert box.security.change("AuthorizationKey", KEY) == "Accepted"
    box.security.link_made()
    assert box.security.target().password == KEY.encode()
    return box


async def test_a_new_key_is_used_after_the_answer_and_proven_by_a_connection():
    box = with_key("key")
    before = box.reconnects
    assert box.security.change("AuthorizationKey", NEW_KEY) == "Accepted"
    assert box.reconnects == before
    await box.answered()
    assert box.reconnects > before
    assert box.security.target().password == NEW_KEY.encode()
    box.security.link_made()
    for _ in range(5):
        box.security.link_failed(refusal())
        assert box.security.target().password == NEW_KEY.encode(), "the former key came back"
    assert KEY not in str(box.flash.values), "the former key is still stored"


async def test_a_key_that_is_refused_gives_way_to_the_former_one_for_good():
    box = with_key("key-refused")
    box.security.change("AuthorizationKey", NEW_KEY)
    box.security.link_failed(refusal())
    assert box.security.target().password == KEY.encode()
    box.security.link_made()
    assert box.config["AuthorizationKey"] == KEY
    assert box.security.target().password == KEY.encode()
    assert NEW_KEY not in str(box.flash.values)
    assert "credentials_back" in box.log.codes()
    await box.security.load()
    assert box.recorded()[-1] == "ReconfigurationOfSecurityParameters"


async def test_both_keys_are_tried_in_turn_until_one_works_also_over_restarts():
    box = with_key("key-turns")
    box.security.change("AuthorizationKey", NEW_KEY)
    box = box.again()
    used = []
    for _ in range(4):
        used.append(box.security.target().password.decode())
        box.security.link_failed(refusal())
    assert used == [NEW_KEY, KEY, NEW_KEY, KEY], used
    box.security.link_made()
    assert box.again().security.target().password == NEW_KEY.encode()


async def test_a_lost_network_does_not_bring_the_former_key_back_at_once():
    box = with_key("key-network")
    box.security.change("AuthorizationKey", NEW_KEY)
    used = []
    for _ in range(6):
        used.append(box.security.target().password.decode())
        box.security.link_failed(OSError(111))
    assert used == [NEW_KEY] * 3 + [KEY] * 3, used


async def test_a_second_change_on_trial_goes_back_to_the_key_that_has_worked():
    box = with_key("key-twice")
    box.security.change("AuthorizationKey", NEW_KEY)
    box.security.change("AuthorizationKey", HEX_KEY)
    assert len(box.security.target().password) == 20
    box.security.link_failed(refusal())
    assert box.security.target().password == KEY.encode()


async def test_a_key_is_refused_when_it_is_none_or_flash_refuses_and_nothing_changes():
    box = with_key("key-none")
    for text in ("", "short", "x" * 21, "0" * 41):
        assert box.security.change("AuthorizationKey", text) == "Rejected", text
    box.flash.refuses = True
    assert box.security.change("AuthorizationKey", NEW_KEY) == "Rejected"
    box.flash.refuses = False
    for one in (box, box.again()):
        one.security.link_failed(refusal())
        assert one.security.target().password == KEY.encode()


async def test_a_power_cut_between_the_two_writes_of_a_key_change_leaves_a_box_that_connects():
    box = with_key("key-cut")
    saves = []
    store = box.security._store.save
    box.security._store.save = lambda value: (saves.append(1), store(value))

    class Cut(Exception):
        pass

    def cut(*_arguments):
        raise Cut

    box.config.change = cut
    try:
        box.security.change("AuthorizationKey", NEW_KEY)
        raise AssertionError("the power was not cut")
    except Cut:
        box = box.again()
    assert saves and box.security.target().password == KEY.encode()
    box.security.link_made()
    assert box.security.target().password == KEY.encode()


async def test_the_owners_password_is_used_first_then_the_central_systems_key_and_a_new_one_of_his_wins():
    target = {"url": "ws://c/", "identity": "S1", "password": "owner"}
    box = Box("owner", target=target)
    assert box.security.target().password == b"owner"
    box.security.change("AuthorizationKey", KEY)
    assert box.security.target().password == KEY.encode()
    box.security.link_failed(refusal())
    assert box.security.target().password == b"owner"
    box.security.link_made()
    assert box.again().security.target().password == b"owner"
    box.security.change("AuthorizationKey", KEY)
    box.security.link_made()
    box = box.again()
    assert box.security.target().password == KEY.encode()
    box = box.again(dict(target, password="new owner"))
    assert box.security.target().password == b"new owner"
    assert "owner" not in str(box.flash.values)


async def test_a_key_set_where_there_was_none_can_go_back_to_none():
    box = Box("first-key")
    assert box.security.target().password is None
    box.security.change("AuthorizationKey", KEY)
    box.security.link_failed(refusal())
    assert box.security.target().password is None
    box.security.link_made()
    assert box.again().security.target().password is None


def test_hexadecimal_keys_of_32_to_40_digits_stand_for_bytes():
    password_bytes = borrow("credentials").password_bytes
    assert password_bytes(HEX_KEY) == bytes.fromhex(HEX_KEY)
    assert password_bytes("ab" * 16) == b"\xab" * 16
    assert password_bytes("0123456789abcdef") == b"0123456789abcdef"
    assert password_bytes("a" * 39) == b"a" * 39


async def test_a_profile_is_only_ever_raised_and_only_with_what_it_needs():
    box = Box("profile")
    for text in ("0", "-1", "4", "x", "", "1", "2", "3"):
        assert box.security.change("SecurityProfile", text) == "Rejected", text
    box.security.change("AuthorizationKey", KEY)
    assert box.security.change("SecurityProfile", "2") == "Rejected"
    assert "no root certificate" in box.log.entries[-1][2]
    assert box.security.change("SecurityProfile", "1") == "Accepted"
    assert box.security.target().password == KEY.encode() and box.security.target().ssl is None
    for text in ("0", "1"):
        assert box.security.change("SecurityProfile", text) == "Rejected"
    assert box.config["SecurityProfile"] == 1


async def test_from_profile_2_on_no_spelling_of_the_address_leads_past_tls():
    for url in (
        "ws://csms.example/ocpp",
        "WS://csms.example/ocpp",
        "wss://csms.example/ocpp",
        "WSS://csms.example/ocpp",
    ):
        target = {"url": url, "identity": "S1", "password": KEY}
        found = Box("spelling", target=target, SecurityProfile=2).security.target()
        assert found.url == "wss://csms.example/ocpp" and found.ssl is not None, url
    found = Box("spelling-1", target=dict(target, url="Ws://csms.example/"), SecurityProfile=1).security.target()
    assert found.url == "ws://csms.example/" and found.ssl is None


async def test_a_profile_that_does_not_work_falls_back_and_one_that_does_stays():
    box = with_key("profile-back")
    assert box.security.change("SecurityProfile", "1") == "Accepted"
    await box.answered()
    assert box.reconnects and box.security.profile() == 1
    box.security.link_failed(refusal())
    assert box.security.profile() == 0
    box.security.link_made()
    assert box.config["SecurityProfile"] == 0 and box.again().security.profile() == 0
    box.security.change("SecurityProfile", "1")
    box.security.link_made()
    for _ in range(4):
        box.security.link_failed(OSError(111))
    assert box.security.profile() == 1


async def test_what_ends_a_handshake_is_told_by_its_event_without_secrets():
    box = with_key("told")
    await box.security.load()
    box.security.link_failed(refusal())

    class Untrusted(Exception):
        event = "InvalidTLSVersion"

    box.security.link_failed(Untrusted("the server speaks no TLS 1.2"))
    box.security.link_failed(OSError(111))
    assert box.recorded()[-2:] == ["FailedToAuthenticateAtCentralSystem", "InvalidTLSVersion"]
    box.security.change("AuthorizationKey", NEW_KEY)
    everything = b"".join(box.security.log_pieces()).decode() + str(box.log.entries)
    assert KEY not in everything and NEW_KEY not in everything
    for name in os.listdir(box.folder):
        with open(box.folder + "/" + name, "rb") as file:
            data = file.read()
        assert KEY.encode() not in data and NEW_KEY.encode() not in data


def test_a_damaged_store_is_no_reason_not_to_connect():
    box = Box("empty")
    box.flash.values["ocpp_link"] = json.dumps({})
    assert Security(box, box.given).target().password is None


def test_a_key_that_flash_refuses_leaves_the_owner_s_password_in_use():
    from test_ocpp_charge_point import Rig

    rig = Rig("key-refused")
    security = rig.point.security
    security.given["password"] = "the owner's password"
    borrow("credentials").restore(security)
    assert security.target().password == b"the owner's password"
    rig.store("ocpp_config").broken = True
    assert security.change("AuthorizationKey", "0123456789abcdef") == "Rejected"
    assert security.target().password == b"the owner's password" and security.proven == {}
    rig.boot()
    rig.point.security.given["password"] = "the owner's password"
    borrow("credentials").restore(rig.point.security)
    assert rig.point.security.target().password == b"the owner's password"
