"""SendLocalList and GetLocalListVersion: each rule of the update, and the old or the new list after a power cut."""

import asyncio
import json

from ocpp_tags_help import LATER, NOW, Point, entry, point, update
from storage_help import MOUNT, Flash, cut_everywhere

from ocpp.authorisation import Authorisation
from ocpp.handlers.local_list import HANDLERS
from ocpp.schema import check_request, check_response
from ocpp.tagstore import lines


def with_list(name, **config):
    one = point(name, **config)
    one.auth = Authorisation(one)
    return one


async def send(one, version, kind, *entries):
    answer = await HANDLERS["SendLocalList"](one, update(version, kind, *entries))
    check_response("SendLocalList", answer)
    return answer["status"]


async def version(one):
    answer = await HANDLERS["GetLocalListVersion"](one, {})
    check_response("GetLocalListVersion", answer)
    return answer["listVersion"]


def names(one):
    return sorted(json.loads(text)[0] for text in lines(one.auth.list))


def plain(count, first=0):
    return [entry("TAG%d" % i) for i in range(first, first + count)]


async def test_no_list_yet_has_version_0():
    one = with_list("list")
    assert await version(one) == 0


async def test_a_full_list_is_taken_and_kept_over_a_restart():
    one = with_list("list")
    entries = (entry("A"), entry("b", "Blocked"), entry("C", expiryDate=LATER, parentIdTag="G"))
    assert await send(one, 7, "Full", *entries) == "Accepted"
    for _restart in (1, 2):
        assert await version(one) == 7
        assert names(one) == ["A", "B", "C"]
        assert one.auth.local("B") == {"status": "Blocked"}
        assert one.auth.local("C") == {"status": "Accepted", "expiryDate": LATER, "parentIdTag": "G"}
        one.auth = Authorisation(one)


async def test_the_longest_entries_that_the_specification_allows_are_kept():
    one = with_list("list")
    status = "ConcurrentTx"
    entries = [entry("%020d" % i, status, expiryDate=LATER, parentIdTag='"' * 20) for i in range(100)]
    check_request("SendLocalList", update(2**31 - 1, "Full", *entries))
    assert await send(one, 2**31 - 1, "Full", *entries) == "Accepted"
    one.auth = Authorisation(one)
    assert await version(one) == 2**31 - 1
    for i in range(100):
        assert one.auth.local("%020d" % i) == entries[i]["idTagInfo"]


async def test_a_full_list_replaces_whatever_its_version():
    one = with_list("list")
    for number in (7, 8, 8, 3, 1):
        assert await send(one, number, "Full", entry("T%d" % number)) == "Accepted"
        assert await version(one) == number
        assert names(one) == ["T%d" % number]


async def test_a_full_list_without_entries_empties_it_and_its_version_is_0():
    for missing in (True, False):
        for number in (0, 1, 9):
            one = with_list("list")
            await send(one, 5, "Full", entry("A"))
            request = update(number, "Full")
            if missing:
                del request["localAuthorizationList"]
            assert await HANDLERS["SendLocalList"](one, request) == {"status": "Accepted"}
            assert await version(one) == 0
            assert names(one) == []


async def test_a_differential_update_adds_changes_and_removes():
    one = with_list("list")
    await send(one, 1, "Full", entry("A"), entry("B"), entry("C"), entry("D", parentIdTag="G"))
    changes = (entry("a", "Blocked"), {"idTag": "b"}, entry("E"), {"idTag": "unknown"}, entry("D"))
    assert await send(one, 2, "Differential", *changes) == "Accepted"
    assert await version(one) == 2
    assert names(one) == ["A", "C", "D", "E"]
    assert one.auth.local("A") == {"status": "Blocked"}
    assert one.auth.local("D") == {"status": "Accepted"}


async def test_a_differential_update_needs_a_higher_version():
    one = with_list("list")
    await send(one, 5, "Full", entry("A"))
    for number in (-1, 0, 4, 5):
        assert await send(one, number, "Differential", entry("B")) == "VersionMismatch", number
        assert (await version(one), names(one)) == (5, ["A"])
    assert await send(one, 6, "Differential", entry("B")) == "Accepted"
    assert (await version(one), names(one)) == (6, ["A", "B"])


async def test_a_differential_update_of_an_empty_list_starts_at_version_1():
    one = with_list("list")
    assert await send(one, 0, "Differential", entry("A")) == "VersionMismatch"
    assert await send(one, 1, "Differential", entry("A")) == "Accepted"
    assert (await version(one), names(one)) == (1, ["A"])


async def test_a_differential_update_without_entries_changes_the_version_only():
    one = with_list("list")
    await send(one, 5, "Full", entry("A"))
    request = update(6, "Differential")
    del request["localAuthorizationList"]
    assert await HANDLERS["SendLocalList"](one, request) == {"status": "Accepted"}
    assert (await version(one), names(one)) == (6, ["A"])


async def test_the_last_entry_removed_makes_version_0():
    one = with_list("list")
    await send(one, 5, "Full", entry("A"))
    assert await send(one, 6, "Differential", {"idTag": "A"}) == "Accepted"
    assert (await version(one), names(one)) == (0, [])
    assert await send(one, 1, "Differential", entry("B")) == "Accepted"


async def refused(one, text, *request):
    before = (await version(one), names(one))
    assert await send(one, *request) == "Failed", request[:2]
    assert (await version(one), names(one)) == before
    assert one.log.codes()[-1] == "local_list_refused" and text in one.log.text(), one.log.entries
    one.log.entries.clear()


async def test_what_is_not_allowed_fails_and_leaves_the_list():
    one = with_list("list", SendLocalListMaxLength=5, LocalAuthListMaxLength=8)
    await send(one, 5, "Full", *plain(5))
    await refused(one, "entry 2", 6, "Full", entry("A"), entry("A"))
    await refused(one, "twice", 6, "Full", entry("A"), entry("B"), entry("a"))
    await refused(one, "twice", 6, "Differential", entry("A"), {"idTag": "a"})
    await refused(one, "idTagInfo: missing in entry 2", 6, "Full", entry("A"), {"idTag": "B"})
    await refused(one, "soon", 6, "Full", entry("A", expiryDate="soon"))
    await refused(one, "6 entries; allowed: up to 5", 6, "Full", *plain(6))
    await refused(one, "6 entries; allowed: up to 5", 6, "Differential", *plain(6))
    await refused(one, "9 entries; allowed: up to 8", 6, "Differential", *plain(4, 100))
    await refused(one, "listVersion: 0", 0, "Full", entry("A"))
    await refused(one, "listVersion: -1", -1, "Full", entry("A"))
    await refused(one, "listVersion: -1", -1, "Full")


async def test_the_length_of_the_result_counts_not_that_of_the_update():
    one = with_list("list", SendLocalListMaxLength=5, LocalAuthListMaxLength=8)
    await send(one, 5, "Full", *plain(5))
    assert await send(one, 6, "Differential", *plain(3, 100)) == "Accepted"
    # Full: three that are there, one that goes, one that comes.
    assert await send(one, 7, "Differential", *(plain(3) + [{"idTag": "TAG4"}, entry("NEW")])) == "Accepted"
    assert len(names(one)) == 8
    await refused(one, "9 entries", 8, "Differential", entry("MORE"))


async def test_a_list_switched_off_or_not_supported_is_told_as_such():
    for name, value in (("LocalAuthListEnabled", False), ("SupportedFeatureProfiles", ("Core", "Reservation"))):
        one = with_list("list")
        await send(one, 5, "Full", entry("A"))
        on = one.config[name]
        one.config[name] = value
        assert await version(one) == -1
        for kind in ("Full", "Differential"):
            assert await send(one, 6, kind, entry("B")) == "NotSupported"
        one.config[name] = on
        assert (await version(one), names(one)) == (5, ["A"])


async def test_what_is_listed_now_leaves_the_cache_and_the_rest_stays():
    one = with_list("list")
    for tag in ("A", "B", "C"):
        one.auth.learn(tag, {"status": "Accepted"})
    await send(one, 1, "Full", entry("a", "Blocked"), entry("X"))
    assert [json.loads(text)[0] for text in lines(one.auth.cache)] == ["B", "C"]
    await send(one, 2, "Differential", entry("b"), {"idTag": "C"}, {"idTag": "A"})
    assert [json.loads(text)[0] for text in lines(one.auth.cache)] == ["C"]
    assert one.auth.local("A") is None


async def test_a_cache_without_a_listed_tag_is_not_written():
    one = with_list("list")
    one.auth.learn("A", {"status": "Accepted"})
    number = one.auth.cache.sequence
    await send(one, 1, "Full", entry("B"))
    await send(one, 2, "Differential", {"idTag": "A"}, entry("C"))
    assert one.auth.cache.sequence == number
    await send(one, 3, "Differential", entry("A"))
    assert one.auth.cache.sequence == number + 1


async def test_flash_that_refuses_fails_the_update_and_leaves_the_list():
    with Flash() as flash:
        one = Point(MOUNT)
        one.auth = Authorisation(one)
        await send(one, 5, "Full", *plain(20))
        flash.device.fails = True
        for kind in ("Full", "Differential"):
            await refused(one, "SendLocalList failed", 6, kind, entry("B"))
        flash.device.fails = False
        assert await send(one, 6, "Differential", entry("B")) == "Accepted"
        assert len(names(one)) == 21


async def test_a_cache_that_flash_refuses_to_change_does_not_fail_the_list():
    with Flash() as flash:
        one = Point(MOUNT)
        one.auth = Authorisation(one)
        one.auth.learn("A", {"status": "Accepted"})

        def add(level, source, code, text, **_context):
            one.log.entries.append((level, source, code, text))
            # The list is safe by now, and the cache comes next.
            flash.device.fails = True

        one.log.add = add
        assert await send(one, 6, "Full", entry("A")) == "Accepted"
        assert one.log.codes() == ["local_list", "cache_not_kept"], one.log.entries
        assert one.auth.local("A") == {"status": "Accepted"}


async def test_others_run_and_look_up_the_old_list_while_a_long_one_is_written():
    one = with_list("list")
    await send(one, 1, "Full", *plain(100))
    looks = 0
    sending = asyncio.create_task(send(one, 2, "Full", *plain(100, 50)))
    while not sending.done():
        expected = one.auth.list.version == 1
        assert (one.auth.local("TAG0") is not None) is expected
        assert (one.auth.local("TAG120") is None) is expected
        looks += 1
        await asyncio.sleep_ms(0)
    assert await sending == "Accepted"
    assert looks > 20, looks


async def test_an_update_cancelled_leaves_the_list_and_the_next_goes_through():
    one = with_list("list")
    await send(one, 1, "Full", *plain(100))
    steps = 0
    while one.auth.list.version == 1:
        steps += 1
        sending = asyncio.create_task(send(one, 2, "Full", *plain(100, 50)))
        for _ in range(steps):
            await asyncio.sleep_ms(0)
        sending.cancel()
        try:
            await sending
        except asyncio.CancelledError:
            pass
        for auth in (one.auth, Restarted(one).auth):
            first = 0 if auth.list.version == 1 else 50
            assert (auth.local("TAG0") is None) is (first == 50), steps
            assert sorted(json.loads(text)[0] for text in lines(auth.list)) == sorted(
                "TAG%d" % (first + i) for i in range(100)
            )
    assert steps > 20, steps
    assert await send(one, 3, "Differential", {"idTag": "TAG60"}, entry("NEW")) == "Accepted"
    assert len(names(Restarted(one))) == 100


class Restarted:
    def __init__(self, one):
        self.auth = Authorisation(Point(one.folder))


def test_a_power_cut_at_any_write_of_an_update_leaves_the_old_or_the_new_list():
    updates = (
        (2, "Differential", plain(30, 90) + [{"idTag": "TAG%d" % i} for i in range(20)]),
        (3, "Full", plain(60, 300)),
        (4, "Full", []),
        (5, "Differential", plain(3, 700)),
    )
    results = {1: range(100), 2: range(20, 120), 3: range(300, 360), 0: (), 5: range(700, 703)}
    order = [1, 2, 3, 0, 5]

    def prepare(folder):
        one = Point(folder)
        one.auth = Authorisation(one)
        one.auth.learn("TAG95", {"status": "Accepted"})
        one.auth.learn("OTHER", {"status": "Accepted"})
        assert asyncio.run(send(one, 1, "Full", *plain(100))) == "Accepted"
        return {"one": one, "done": 0}

    def run(_folder, state):
        for number, (version, kind, entries) in enumerate(updates):
            assert asyncio.run(send(state["one"], version, kind, *entries)) == "Accepted"
            state["done"] = number + 1

    def check(folder, state):
        one = Point(folder, LocalAuthListMaxLength=101)
        one.auth = Authorisation(one)
        found = one.auth.list.version
        assert order.index(found) - state["done"] in (0, 1), (found, state["done"])
        assert names(one) == sorted("TAG%d" % i for i in results[found]), found
        assert one.auth.local("OTHER") == {"status": "Accepted"}
        assert "tags_lost" not in one.log.codes(), one.log.entries
        assert asyncio.run(send(one, 9, "Differential", entry("AGAIN"))) == "Accepted"
        assert Restarted(one).auth.list.find("AGAIN", NOW) is not None

    cuts = cut_everywhere(prepare, run, check)
    assert cuts > 20, cuts
