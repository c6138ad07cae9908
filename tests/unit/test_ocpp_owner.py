"""Another central system: what the former one owned is dropped, whole, before a connection, and nothing else is."""

import asyncio
import json
import os

from ocpp_help import UTC_S
from ocpp_place import A, Place
from storage_help import cut_everywhere, read, scratch

from ocpp.certificates import Store as Certificates
from ocpp.handlers.local_list import HANDLERS as LISTS
from ocpp.owner import prepare

HIS, GUEST, BOOKED = "04AA11", "04BB22", "04CC33"
KEY = "0123456789abcdef"
B = {"url": "ws://b.example/ocpp", "identity": "CP-1", "password": ""}
PROFILE = {
    "chargingProfileId": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "ChargePointMaxProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": {
        "startSchedule": "2026-01-01T00:00:00Z",
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}],
    },
}


def use(point):
    """What a central system and its customers leave: 3 messages, and a transaction that runs."""
    entries = [{"idTag": HIS, "idTagInfo": {"status": "Accepted"}}]
    request = {"listVersion": 3, "updateType": "Full", "localAuthorizationList": entries}
    assert asyncio.run(LISTS["SendLocalList"](point, request)) == {"status": "Accepted"}
    point.auth.learn(GUEST, {"status": "Accepted"})
    assert point.charging.set(0, PROFILE) == "Accepted"
    point.config.change("HeartbeatInterval", "17")
    point.config.change("CpoName", "Operator A")
    assert point.security.change("AuthorizationKey", KEY) == "Accepted"
    Certificates(point.folder, point.log).add_root("c", b"root of A", True)
    assert point.change_availability(0, False) == "Accepted"
    point.stores("ocpp_upkeep").save(["of A"])
    point.stores("ocpp_time").save(UTC_S)
    point.transactions.begin(GUEST, 1000)
    point.transactions.end("Local", 2000)
    point.transactions.begin(HIS, 2000)
    point.transactions.expect_reset("SoftReset")
    reservation = {"reservationId": 7, "idTag": BOOKED, "connectorId": 1, "expiry": UTC_S + 3600}
    point.reservations.reserve(reservation)


def left(point):
    """What a charge point has of what `use` leaves."""
    config = point.config
    return [
        name
        for name, there in (
            ("list", point.auth.list.version or point.auth.local(HIS)),
            ("cache", point.auth.local(GUEST)),
            ("profile", point.charging.profiles),
            ("reservation", point.reservations.reserved_for(1)),
            ("key", config["AuthorizationKey"]),
            ("keys", config["CpoName"] or config["HeartbeatInterval"] == 17),
            ("credentials", point.security.proven),
            ("root", Certificates(point.folder, point.log).roots("c")),
            ("availability", not point.operative),
            ("update", point.stores("ocpp_upkeep").load()),
            ("time", point.stores("ocpp_time").load()),
            ("transaction", point.transactions.interrupted()),
            ("messages", point.transactions.queue.head()),
        )
        if there
    ]


ALL = ["list", "cache", "profile", "reservation", "key", "keys", "credentials"]
ALL += ["root", "availability", "update", "time", "transaction", "messages"]


def test_another_central_system_inherits_nothing_and_the_log_says_so_once():
    place = Place(scratch("owner-other"))
    use(place.made(A))
    assert left(place.made(A)) == ALL and place.logged("other_central") == []
    found = place.made(B)
    assert left(found) == []
    text = "3 undelivered messages and all data of a.example (as CP-1) dropped: now it is b.example (as CP-1)"
    assert place.logged("other_central") == [text]
    assert place.station.calls == [("operative", True)]
    assert asyncio.run(LISTS["GetLocalListVersion"](found, {})) == {"listVersion": 0}
    # Not one byte of what is the former's customers'.
    for name in os.listdir(place.folder):
        for tag in (HIS, GUEST, BOOKED):
            assert tag.encode() not in read(place.folder + "/" + name), (name, tag)
    writes = place.writes
    assert left(place.made(B)) == [] and len(place.logged("other_central")) == 1 and place.writes == writes
    # What it leaves itself is there again, and not the former's.
    use(found)
    assert left(place.made(B)) == ALL
    assert left(place.made(A)) == []


def test_another_identity_or_host_is_another_central_system_and_another_scheme_port_or_path_is_not():
    place = Place(scratch("owner-same"))
    use(place.made(A))
    for url in (
        "wss://a.example:8443/ocpp",
        "ws://A.EXAMPLE/other/path?x=1",
        "ws://a.example.:80",
        "WSS://user:word@a.example",
    ):
        assert left(place.made(dict(A, url=url))) == ALL, url
    # With this one no connection can be made.
    assert left(place.made(dict(A, url="http://b.example"))) == ALL
    assert place.logged("other_central") == []
    for target in (dict(A, identity="CP-2"), dict(A, url="ws://sub.a.example/ocpp", identity="CP-2")):
        assert left(place.made(target)) == [], target
        use(place.made(target))


def test_data_of_before_this_was_kept_belongs_to_the_first_that_comes():
    place = Place(scratch("owner-first"))
    use(place.made(A))
    for copy in "01":
        try:
            os.remove(place.folder + "/ocpp_owner." + copy)
        except OSError:
            assert copy == "1"
    assert left(place.made(B)) == ALL and place.logged("other_central") == []
    assert left(place.made(A)) == []


def test_what_the_owner_has_set_counts_for_the_next_central_system():
    place = Place(scratch("owner-presets"))
    place.config().preset({"HeartbeatInterval": 300, "AuthorizationKey": KEY, "SecurityProfile": 1})
    Certificates(place.folder, place.log).add_root("c", b"own root")
    point = place.made(A)
    point.config.change("HeartbeatInterval", "17")
    point.config.change("SecurityProfile", "2")
    assert point.security.change("AuthorizationKey", "anotherKeyOfTheirs") == "Accepted"
    found = place.made(B)
    assert found.config["HeartbeatInterval"] == 300 and found.config["AuthorizationKey"] == KEY
    assert found.security.profile() == 1 and found.security.proven == {} and found.security.own_key
    assert found.security.target().password == KEY.encode()
    assert Certificates(place.folder, place.log).roots("c") == [("c0", b"own root")]


def test_own_key_and_certificate_stay_only_where_the_owner_wants_profile_3():
    for profile, chain in ((3, [b"\x30\x01\x02"]), (2, [])):
        place = Place(scratch("owner-client"))
        place.config().preset({"SecurityProfile": profile})
        place.made(A)
        store = Certificates(place.folder, place.log)
        store.expect(b"\x30\x01\x01")
        store.keep_client([b"\x30\x01\x02"], False)
        place.made(B)
        assert store.chain() == chain, profile


def test_a_power_cut_amid_leaves_it_to_be_done_again_and_all_messages_are_counted():
    def fill(folder):
        place = Place(folder)
        use(place.made(A))
        place.log.entries.clear()
        return place

    def run(_folder, place):
        place.made(B)

    def check(folder, _place):
        place = Place(folder)
        stored = place.store("ocpp_owner").load()
        if stored == ["b.example", "CP-1"]:
            assert left(place.made(B)) == []
            return
        assert stored[:2] == ["a.example", "CP-1"]
        # The other way round counts too: it is half gone already.
        target = A if len(stored) > 2 and place.store("ocpp_point").load() is None else B
        assert left(place.made(target)) == [], stored
        assert [text.split()[0] for text in place.logged("other_central")] == ["3"]
        assert place.store("ocpp_owner").load() == [target["url"][5:14], "CP-1"]

    cuts = cut_everywhere(fill, run, check)
    assert cuts > 10, cuts


def test_while_flash_refuses_no_charge_point_is_made_for_another():
    place = Place(scratch("owner-refused"))
    use(place.made(A))
    place.refuses = True
    try:
        place.made(B)
        raise AssertionError("no error")
    except OSError:
        pass
    place.refuses = False
    assert left(place.made(B)) == []


def test_the_first_central_system_is_spoken_with_though_flash_refuses():
    place = Place(scratch("owner-first-refused"))
    place.refuses = True
    place.made(A)
    assert place.logged("not_stored") == ["whose data these are could not be stored: [Errno 5] EIO"], place.log.entries
    place.refuses = False
    place.made(A)
    assert place.store("ocpp_owner").load() == ["a.example", "CP-1"]


def test_it_can_be_prepared_in_steps_while_others_run():
    place = Place(scratch("owner-steps"))
    use(place.made(A))
    turns = []

    async def others():
        while True:
            turns.append(1)
            await asyncio.sleep_ms(0)

    async def both():
        task = asyncio.create_task(others())
        await prepare(place.config(), place.log, place.store, place.folder, B)
        task.cancel()

    asyncio.run(both())
    assert len(turns) > 20, len(turns)
    assert json.loads(json.dumps(place.store("ocpp_owner").load())) == ["b.example", "CP-1"]
    assert left(place.made(B)) == [] and len(place.logged("other_central")) == 1
