"""Who may charge: list before cache, the central system before both, and the offline rules when it is silent."""

from ocpp_tags_help import LATER, NOW, PAST, Point, answering, entry, point
from storage_help import MOUNT, Flash, cut_everywhere

from ocpp.authorisation import Authorisation, masked, same
from ocpp.configuration import Configuration
from ocpp.errors import CallError, CallTimeout, NotConnected
from ocpp.tagstore import line, write_now

STATUSES = ("Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx")


def listed(point, *entries):
    """The Authorisation of a charge point whose local list has these entries."""
    auth = Authorisation(point)
    write_now(auth.list, 1, [line(one["idTag"], one["idTagInfo"]) for one in entries])
    return auth


async def decided(point, id_tag, *entries):
    return (await listed(point, *entries).decide(id_tag))["status"]


def test_the_keys_of_the_package_are_those_that_are_asked_for():
    one = point("auth")
    one.config = Configuration(one.stores("config"))
    auth = listed(one, entry("L"))
    auth.learn("C", {"status": "Accepted"})
    assert auth.list_supported() and auth.local("L") and auth.local("C")
    one.config.change("LocalAuthListEnabled", "false")
    one.config.change("AuthorizationCacheEnabled", "false")
    assert not auth.list_supported() and auth.local("L") is None
    one.config.change("AuthorizationCacheEnabled", "true")
    assert auth.local("C") is None, "a cache switched off forgets"


# -- what is known here ----------------------------------------------------------------------------------


def test_nobody_is_known_at_first():
    one = point("auth")
    assert Authorisation(one).local("A") is None
    assert one.log.entries == []


def test_list_beats_cache():
    one = point("auth")
    auth = Authorisation(one)
    auth.learn("A", {"status": "Accepted", "parentIdTag": "G"})
    assert auth.local("a") == {"status": "Accepted", "parentIdTag": "G"}
    write_now(auth.list, 1, [line("a", {"status": "Blocked"})])
    assert auth.local("A") == {"status": "Blocked"}


def test_a_list_switched_off_or_not_supported_is_not_asked_and_not_lost():
    for name, off in (("LocalAuthListEnabled", False), ("SupportedFeatureProfiles", ("Core",))):
        one = point("auth")
        auth = listed(one, entry("A", "Blocked"))
        on = one.config[name]
        one.config[name] = off
        assert auth.local("A") is None
        auth.learn("A", {"status": "Accepted"})
        assert auth.local("A") == {"status": "Accepted"}
        assert one.status.conflicts == 0
        one.config[name] = on
        assert auth.local("A") == {"status": "Blocked"}


def test_an_expired_entry_answers_expired_from_its_second_on():
    one = point("auth")
    auth = listed(one, entry("A", expiryDate=LATER))
    auth.learn("B", {"status": "Accepted", "expiryDate": LATER})
    for tag in "AB":
        assert auth.local(tag) == {"status": "Accepted", "expiryDate": LATER}, tag
    one.clock.utc = NOW + 1
    for tag in "AB":
        assert auth.local(tag) == {"status": "Expired"}, tag
    one.clock.utc = None
    for tag in "AB":
        assert auth.local(tag)["status"] == "Accepted", tag


# -- cache -----------------------------------------------------------------------------------------------


def test_the_cache_takes_every_status_and_keeps_it_over_a_restart():
    one = point("auth")
    auth = Authorisation(one)
    for number, status in enumerate(STATUSES):
        auth.learn("T%d" % number, {"status": status, "parentIdTag": "G", "expiryDate": LATER})
    for known in (auth, Authorisation(one)):
        for number, status in enumerate(STATUSES):
            assert known.local("t%d" % number) == {"status": status, "parentIdTag": "G", "expiryDate": LATER}


def test_the_newest_answer_replaces_what_the_cache_had():
    auth = Authorisation(point("auth"))
    for info in ({"status": "Accepted", "parentIdTag": "G"}, {"status": "Blocked"}, {"status": "Accepted"}):
        auth.learn("A", info)
        assert auth.local("A") == info
        assert auth.cache.count == 1


def test_the_same_answer_again_writes_nothing():
    with Flash() as flash:
        auth = Authorisation(Point(MOUNT))
        auth.learn("A", {"status": "Accepted"})
        writes = flash.device.writes
        auth.learn("a", {"status": "Accepted"})
        assert flash.device.writes == writes


def test_a_full_cache_gives_up_the_oldest_refused_tag_before_any_accepted_one():
    auth = Authorisation(point("auth"))
    for number in range(50):
        auth.learn("T%d" % number, {"status": "Invalid" if number in (7, 9) else "Accepted"})
    gone = []
    for number, expected in ((50, 7), (51, 9), (52, 0), (53, 1)):
        auth.learn("T%d" % number, {"status": "Accepted"})
        gone.append(expected)
        assert auth.cache.count == 50
        for other in range(number + 1):
            assert (auth.local("T%d" % other) is None) == (other in gone), (number, other)


def test_a_tag_called_accepted_is_still_one_that_is_refused():
    auth = Authorisation(point("auth"))
    for number in range(49):
        auth.learn("T%d" % number, {"status": "Accepted"})
    auth.learn('x, "Accepted"', {"status": "Blocked", "parentIdTag": ', "Accepted"'})
    auth.learn("T50", {"status": "Accepted"})
    assert auth.local('x, "Accepted"') is None
    assert auth.local("T0") is not None


def test_a_known_tag_in_a_full_cache_pushes_out_nobody():
    auth = Authorisation(point("auth"))
    for number in range(50):
        auth.learn("T%d" % number, {"status": "Accepted"})
    auth.learn("T20", {"status": "Blocked"})
    assert auth.cache.count == 50
    assert auth.local("T0") and auth.local("T20") == {"status": "Blocked"}


def test_the_cache_switched_off_is_neither_asked_nor_filled_and_forgets():
    one = point("auth")
    auth = Authorisation(one)
    auth.learn("A", {"status": "Accepted"})
    one.config.change("AuthorizationCacheEnabled", False)
    assert auth.local("A") is None
    auth.learn("B", {"status": "Accepted"})
    one.config.change("AuthorizationCacheEnabled", True)
    assert auth.local("A") is None and auth.local("B") is None


def test_another_key_changed_leaves_the_cache():
    one = point("auth")
    auth = Authorisation(one)
    auth.learn("A", {"status": "Accepted"})
    one.config.change("AllowOfflineTxForUnknownId", True)
    one.config.change("AuthorizationCacheEnabled", True)
    one.config["AuthorizationCacheEnabled"] = False
    one.config.change("LocalPreAuthorize", True)
    one.config["AuthorizationCacheEnabled"] = True
    assert auth.local("A") == {"status": "Accepted"}


def test_clear_cache_empties_the_cache_and_leaves_the_list():
    one = point("auth")
    auth = listed(one, entry("L"))
    auth.learn("A", {"status": "Accepted"})
    assert auth.clear_cache() is True
    for known in (auth, Authorisation(one)):
        assert known.local("A") is None and known.local("L") is not None
    auth.learn("A", {"status": "Accepted"})
    assert auth.local("A") is not None


def test_clear_cache_says_no_without_a_cache_and_when_flash_refuses():
    with Flash() as flash:
        one = Point(MOUNT, AuthorizationCacheEnabled=False)
        auth = Authorisation(one)
        assert auth.clear_cache() is False
        one.config.change("AuthorizationCacheEnabled", True)
        auth.learn("A", {"status": "Accepted"})
        flash.device.fails = True
        assert auth.clear_cache() is False
        assert one.log.codes() == ["cache_not_cleared"], one.log.entries
        assert auth.local("A") is not None


def test_flash_that_refuses_costs_a_cache_entry_and_no_session():
    with Flash() as flash:
        one = Point(MOUNT)
        auth = Authorisation(one)
        flash.device.fails = True
        auth.learn("12345678", {"status": "Accepted"})
        assert one.log.codes() == ["cache_not_kept"], one.log.entries
        assert "...5678" in one.log.text() and "12345678" not in one.log.text()
        flash.device.fails = False
        auth.learn("12345678", {"status": "Accepted"})
        assert auth.local("12345678") is not None


def test_an_expiry_that_is_no_date_is_not_cached():
    one = point("auth")
    auth = Authorisation(one)
    auth.learn("A", {"status": "Accepted", "expiryDate": "soon"})
    assert auth.local("A") is None
    assert one.log.codes() == ["cache_not_kept"]


def test_a_power_cut_at_any_write_of_the_cache_leaves_what_was_or_what_is():
    def prepare(folder):
        auth = Authorisation(Point(folder))
        for number in range(10):
            auth.learn("T%d" % number, {"status": "Accepted"})
        return {"auth": auth, "done": 0}

    def run(_folder, state):
        for number in range(1, 6):
            state["auth"].learn("T3", {"status": "Blocked", "parentIdTag": "P%d" % number})
            state["done"] = number

    def check(folder, state):
        one = Point(folder)
        auth = Authorisation(one)
        assert auth.cache.count == 10
        assert all(auth.local("T%d" % number) for number in range(10))
        parent = auth.local("T3").get("parentIdTag", "P0")
        assert int(parent[1:]) - state["done"] in (0, 1), (parent, state["done"])

    assert cut_everywhere(prepare, run, check) > 10


def test_an_answer_without_id_tag_info_teaches_nothing():
    auth = Authorisation(point("auth"))
    auth.learn("A", None)
    assert auth.cache.count == 0


# -- conflicts with the list -----------------------------------------------------------------------------


def test_a_listed_tag_never_enters_the_cache():
    auth = listed(point("auth"), entry("A"))
    auth.learn("a", {"status": "Accepted", "parentIdTag": "G"})
    assert auth.cache.count == 0
    assert auth.local("A") == {"status": "Accepted"}


def test_every_contradiction_to_the_list_and_nothing_else_is_reported():
    good = ("Accepted", "ConcurrentTx")
    for in_list in STATUSES:
        for answer in STATUSES:
            one = point("auth")
            listed(one, entry("12345678", in_list)).learn("12345678", {"status": answer})
            conflict = (in_list in good) != (answer in good)
            assert one.status.conflicts == conflict, (in_list, answer)
            assert one.log.codes() == ["local_list_conflict"] * conflict
            assert "12345678" not in one.log.text()


def test_what_has_expired_in_the_list_and_is_accepted_is_a_contradiction():
    one = point("auth")
    listed(one, entry("A", expiryDate=PAST)).learn("A", {"status": "Accepted"})
    assert one.status.conflicts == 1


def test_the_list_is_not_changed_by_an_answer():
    one = point("auth")
    auth = listed(one, entry("A"))
    auth.learn("A", {"status": "Blocked"})
    assert auth.local("A") == {"status": "Accepted"}
    assert auth.list.version == 1


# -- online ----------------------------------------------------------------------------------------------


async def test_online_the_central_system_is_asked_and_its_answer_cached():
    one = answering("auth", {"status": "Accepted", "parentIdTag": "G"})
    auth = Authorisation(one)
    assert await auth.decide("A") == {"status": "Accepted", "parentIdTag": "G"}
    assert one.asked == [("Authorize", {"idTag": "A"})]
    assert auth.local("A") == {"status": "Accepted", "parentIdTag": "G"}


async def test_online_every_refusal_of_the_central_system_counts():
    for status in STATUSES[1:]:
        one = answering("auth", {"status": status})
        assert await decided(one, "A", entry("A")) == status
        one = answering("auth", {"status": status}, AllowOfflineTxForUnknownId=True)
        assert await decided(one, "B") == status


async def test_pre_authorisation_asks_nobody_about_a_good_tag():
    for tag in ("LIST", "CACHE"):
        one = answering("auth", LocalPreAuthorize=True)
        auth = listed(one, entry("LIST"))
        auth.learn("CACHE", {"status": "Accepted"})
        assert (await auth.decide(tag))["status"] == "Accepted"
        assert one.asked == []


async def test_pre_authorisation_asks_about_any_other_tag():
    for status in STATUSES[1:]:
        for place in ("list", "cache"):
            one = answering("auth", {"status": "Accepted"}, LocalPreAuthorize=True)
            auth = listed(one, *([entry("A", status)] if place == "list" else []))
            if place == "cache":
                auth.learn("A", {"status": status})
            assert (await auth.decide("A"))["status"] == "Accepted"
            assert len(one.asked) == 1, (status, place)
    one = answering("auth", {"status": "Accepted"}, LocalPreAuthorize=True)
    assert await decided(one, "A", entry("A", expiryDate=PAST)) == "Accepted"
    assert len(one.asked) == 1


async def test_a_good_tag_is_asked_about_without_pre_authorisation():
    one = answering("auth", {"status": "Blocked"})
    assert await decided(one, "A", entry("A")) == "Blocked"
    assert one.status.conflicts == 1


async def test_without_an_answer_the_offline_rules_decide():
    for error in (CallTimeout(), NotConnected(), CallError("InternalError", "broken")):
        for tag, status in (("GOOD", "Accepted"), ("BAD", "Blocked"), ("OTHER", "Invalid")):
            one = answering("auth", error)
            assert await decided(one, tag, entry("GOOD"), entry("BAD", "Blocked")) == status, (error, tag)
            assert one.log.codes() == ["authorize_failed"]
        one = answering("auth", error, AllowOfflineTxForUnknownId=True)
        assert await decided(one, "OTHER") == "Accepted"


async def test_cards_of_the_station_say_nothing_while_online():
    one = answering("auth", {"status": "Invalid"}, LocalPreAuthorize=True)
    one.station.registered = ("A",)
    assert await decided(one, "A") == "Invalid"
    assert len(one.asked) == 1


# -- offline ---------------------------------------------------------------------------------------------


async def test_offline_nobody_is_asked():
    one = point("auth", LocalPreAuthorize=True)
    for tag in "AB":
        await decided(one, tag, entry("A"))
    assert one.asked == []


async def test_offline_rules_for_every_place_and_status_of_a_tag():
    for permitted in (True, False):
        for unknown in (True, False):
            for place in ("list", "cache"):
                for status in STATUSES:
                    one = point("auth", LocalAuthorizeOffline=permitted, AllowOfflineTxForUnknownId=unknown)
                    auth = listed(one, *([entry("A", status)] if place == "list" else []))
                    auth.learn("A", {"status": status})
                    good = status == "Accepted" or (status == "ConcurrentTx" and place == "cache")
                    if not good:
                        expected = status
                    else:
                        expected = "Accepted" if permitted or unknown else "Invalid"
                    found = (await auth.decide("A"))["status"]
                    assert found == expected, (permitted, unknown, place, status, found)


async def test_offline_an_unknown_tag_charges_only_if_configured():
    for permitted in (True, False):
        for unknown, status in ((True, "Accepted"), (False, "Invalid")):
            one = point("auth", LocalAuthorizeOffline=permitted, AllowOfflineTxForUnknownId=unknown)
            assert await decided(one, "A", entry("B")) == status


async def test_offline_what_has_expired_is_refused_even_where_unknown_tags_may_charge():
    one = point("auth", AllowOfflineTxForUnknownId=True)
    auth = listed(one, entry("LIST", expiryDate=LATER))
    auth.learn("CACHE", {"status": "Accepted", "expiryDate": LATER})
    one.clock.utc = NOW + 1
    for tag in ("LIST", "CACHE"):
        assert (await auth.decide(tag))["status"] == "Expired"
    one.clock.utc = None
    for tag in ("LIST", "CACHE"):
        assert (await auth.decide(tag))["status"] == "Accepted"


async def test_offline_a_card_of_the_station_charges_unless_list_or_cache_say_no():
    one = point("auth")
    one.station.registered = ("A", "B", "C")
    auth = listed(one, entry("B", "Blocked"))
    auth.learn("C", {"status": "Blocked"})
    assert (await auth.decide("A"))["status"] == "Accepted"
    assert (await auth.decide("B"))["status"] == "Blocked"
    assert (await auth.decide("C"))["status"] == "Blocked"
    assert (await auth.decide("D"))["status"] == "Invalid"
    one.config["LocalAuthorizeOffline"] = False
    assert (await auth.decide("A"))["status"] == "Invalid"


async def test_offline_parent_and_expiry_come_with_the_decision():
    one = point("auth")
    auth = listed(one, entry("A", parentIdTag="G", expiryDate=LATER))
    assert await auth.decide("A") == {"status": "Accepted", "parentIdTag": "G", "expiryDate": LATER}


# -- groups ----------------------------------------------------------------------------------------------


def test_the_same_tag_in_any_case_is_the_same_group():
    auth = Authorisation(point("auth"))
    assert auth.same_group("ab1", None, "AB1")
    assert not auth.same_group("ab1", None, "AB2")
    assert not auth.same_group("ab1", None, "AB2", "G")


def test_the_same_parent_is_the_same_group_in_any_case():
    auth = Authorisation(point("auth"))
    assert auth.same_group("A", "group", "B", "GROUP")
    assert not auth.same_group("A", "group", "B", "other")
    # The parent itself is no member.
    assert not auth.same_group("A", "group", "GROUP")


def test_a_parent_that_was_not_told_is_looked_up():
    one = point("auth")
    auth = listed(one, entry("L", parentIdTag="G"), entry("X", "Blocked", parentIdTag="G"), entry("N"))
    auth.learn("E", {"status": "Accepted", "parentIdTag": "g", "expiryDate": PAST})
    auth.learn("C", {"status": "ConcurrentTx", "parentIdTag": "g"})
    auth.learn("Z", {"status": "Accepted"})
    for tag, expected in (("L", True), ("C", True), ("X", False), ("N", False), ("E", False), ("?", False)):
        assert auth.same_group("A", "G", tag) is expected, tag


def test_the_parent_of_the_latest_answer_is_known_without_cache_and_beside_the_list():
    one = point("auth", AuthorizationCacheEnabled=False)
    auth = listed(one, entry("L"))
    for tag in ("A", "L"):
        assert auth.parent_of(tag) is None
        auth.learn(tag, {"status": "Accepted", "parentIdTag": "G"})
        assert auth.parent_of(tag.lower()) == "G"
        assert auth.same_group("X", "g", tag)
        auth.learn(tag, {"status": "Blocked", "parentIdTag": "G"})
        assert auth.parent_of(tag) is None
    auth.learn("B", {"status": "Accepted"})
    assert auth.parent_of("A") is None and auth.parent_of("B") is None


def test_the_same_answer_with_another_form_of_its_expiry_writes_nothing():
    with Flash() as flash:
        auth = Authorisation(Point(MOUNT))
        for expiry in ("2027-01-01T00:00:00Z", "2027-01-01T01:00:00.5+01:00"):
            writes = flash.device.writes
            auth.learn("A", {"status": "Accepted", "expiryDate": expiry})
        assert flash.device.writes == writes
        assert auth.cache.count == 1


def test_no_tag_is_like_none():
    assert not same(None, None) and not same(None, "A") and not same("A", None)
    assert same("a", "A") and not same("a", "b")
    assert masked("04A1B2C4") == "...B2C4"
