"""Reservations: when one is taken, whom it keeps out, how it ends, and that no restart loses or revives it."""

import asyncio

from ocpp_tags_help import LATER, NOW, PAST, Point, answering, entry, point, update
from storage_help import MOUNT, Flash, cut_everywhere
from virtual_time import VirtualTime

from ocpp.authorisation import Authorisation
from ocpp.errors import CallError
from ocpp.handlers.local_list import HANDLERS as LISTS
from ocpp.handlers.reservation import HANDLERS
from ocpp.reservation import Reservations
from ocpp.schema import check_response
from ocpp.timestamps import iso
from ocpp.together import Turns

IN_AN_HOUR = iso(NOW + 3600)


def ready(one):
    one.watch = Turns(lambda: one.clock.time.ticks_ms())
    one.auth = Authorisation(one)
    one.reservations = Reservations(one)
    return one


def fresh(**config):
    return ready(point("reservation", **config))


def again(one):
    """The same flash after a restart."""
    return ready(Point(one.folder))


async def reserve(one, number=1, tag="AB1", connector=1, expiry=IN_AN_HOUR, **more):
    request = dict(more, reservationId=number, idTag=tag, connectorId=connector, expiryDate=expiry)
    answer = await HANDLERS["ReserveNow"](one, request)
    check_response("ReserveNow", answer)
    return answer["status"]


async def cancel(one, number):
    answer = await HANDLERS["CancelReservation"](one, {"reservationId": number})
    check_response("CancelReservation", answer)
    return answer["status"]


def held(one, connector=1):
    reservation = one.reservations.reserved_for(connector)
    return reservation and reservation["reservationId"]


# -- ReserveNow ------------------------------------------------------------------------------------------


async def test_a_free_connector_is_reserved_and_the_status_told():
    one = fresh()
    assert await reserve(one, 7) == "Accepted"
    assert held(one) == 7
    assert one.status.looks == 1
    reservation = one.reservations.reserved_for(1)
    assert reservation == {"reservationId": 7, "idTag": "AB1", "connectorId": 1, "expiry": NOW + 3600}


async def test_whoever_listens_hears_at_once_when_a_reservation_begins_and_ends():
    one = fresh()
    heard = []
    one.reservations.listeners.append(lambda: heard.append(held(one)))
    await reserve(one, 7)
    assert heard == [7]
    await cancel(one, 7)
    assert heard == [7, None]


async def test_any_number_is_an_id():
    for number in (0, -5, 2**31, 2**40):
        one = fresh()
        assert await reserve(one, number) == "Accepted"
        assert held(again(one)) == number
        assert one.reservations.take("AB1", None) == number


async def test_faulted_unavailable_and_occupied_are_told_as_such():
    cases = (
        ("Faulted", "Available", "Faulted"),
        ("Unavailable", "Available", "Unavailable"),
        ("Available", "Unavailable", "Unavailable"),
        ("Faulted", "Unavailable", "Faulted"),
        ("Preparing", "Available", "Occupied"),
        ("Charging", "Available", "Occupied"),
        ("SuspendedEV", "Available", "Occupied"),
        ("SuspendedEVSE", "Available", "Occupied"),
        ("Finishing", "Available", "Occupied"),
    )
    for connector in (0, 1):
        for status, whole, expected in cases:
            one = fresh()
            one.status.one, one.status.zero = status, whole
            assert await reserve(one, connector=connector) == expected, (connector, status, whole)
            assert held(one) is None and held(again(one)) is None


async def test_a_second_reservation_is_occupied_even_for_the_same_tag():
    one = fresh()
    await reserve(one, 7)
    one.status.one = "Reserved"
    for tag in ("AB1", "OTHER"):
        for connector in (0, 1):
            assert await reserve(one, 8, tag, connector) == "Occupied"
    assert held(one) == 7


async def test_a_connector_whose_remote_start_is_being_decided_is_occupied():
    one = fresh()
    one.remote_tag = "CD2"
    assert await reserve(one, 7) == "Occupied" and held(one) is None
    one.remote_tag = None
    assert await reserve(one, 7) == "Accepted"


async def test_the_same_id_replaces_the_reservation():
    one = fresh()
    await reserve(one, 7, "AB1", parentIdTag="G")
    one.status.one = "Reserved"
    assert await reserve(one, 7, "CD2", expiry=LATER) == "Accepted"
    expected = {"reservationId": 7, "idTag": "CD2", "connectorId": 1, "expiry": NOW + 1}
    assert one.reservations.reserved_for(1) == expected
    assert again(one).reservations.reserved_for(1) == expected
    # A car may stand there and wait for its card.
    one.status.one = "Preparing"
    assert await reserve(one, 7) == "Accepted"


async def test_connector_0_only_where_it_is_supported():
    one = fresh(ReserveConnectorZeroSupported=False)
    assert await reserve(one, connector=0) == "Rejected"
    assert await reserve(one, connector=1) == "Accepted"
    one = fresh()
    assert await reserve(one, connector=0) == "Accepted"
    assert held(one, 0) == 1
    assert held(one, 1) == 1, "the only connector has to remain for the tag"


async def test_a_reservation_of_connector_1_leaves_connector_0_alone():
    one = fresh()
    await reserve(one)
    assert held(one, 0) is None


async def test_without_the_profile_reservations_are_rejected():
    one = fresh(SupportedFeatureProfiles=("Core",))
    assert await reserve(one) == "Rejected"


async def test_a_connector_that_is_not_there_is_an_error_naming_it():
    for connector in (-1, 2, 99):
        try:
            await reserve(fresh(), connector=connector)
            raise AssertionError("taken")
        except CallError as error:
            assert error.code == "PropertyConstraintViolation"
            assert "connectorId: %d" % connector in error.description


async def test_what_has_expired_already_is_rejected_unless_the_time_is_unknown():
    one = fresh()
    assert await reserve(one, expiry=PAST) == "Rejected"
    assert one.log.codes() == ["reservation_refused"]
    one.clock.utc = None
    assert await reserve(one, expiry=PAST) == "Accepted"


async def test_flash_that_refuses_rejects_and_keeps_what_was():
    with Flash() as flash:
        one = ready(Point(MOUNT))
        await reserve(one, 7, "AB1")
        flash.device.fails = True
        assert await reserve(one, 7, "CD2") == "Rejected"
        assert one.reservations.reserved_for(1)["idTag"] == "AB1"
        assert "reservation_refused" in one.log.codes()


# -- whom it keeps out -----------------------------------------------------------------------------------


async def test_without_a_reservation_everybody_may_charge():
    one = fresh()
    assert one.reservations.may_use("A", None)
    assert not one.reservations.excludes("A")
    assert await one.reservations.permits("A")
    assert one.reservations.take("A", None) is None


async def test_only_tag_and_parent_of_the_reservation_may_charge():
    for connector in (0, 1):
        one = fresh()
        await reserve(one, 7, "AB1", connector, parentIdTag="Group")
        for tag, parent, expected in (
            ("ab1", None, True),
            ("AB1", "other", True),
            ("CD2", "GROUP", True),
            ("CD2", None, False),
            ("CD2", "other", False),
            ("GROUP", None, False),
        ):
            assert one.reservations.may_use(tag, parent) is expected, (tag, parent)
            assert not one.reservations.excludes(tag)


async def test_a_tag_without_parent_is_not_kin_to_a_reservation_without_parent():
    one = fresh()
    await reserve(one)
    assert not one.reservations.may_use("CD2", None)


async def test_nobody_is_asked_about_a_wrong_tag_when_no_parent_could_help():
    one = ready(answering("reservation"))
    await reserve(one)
    assert one.reservations.excludes("CD2") and not one.reservations.excludes("ab1")
    assert not await one.reservations.permits("CD2")
    assert await one.reservations.permits("ab1")
    assert one.asked == []


async def test_the_parent_comes_from_list_or_cache_and_else_from_the_central_system():
    one = ready(answering("reservation", {"status": "Accepted", "parentIdTag": "g"}, {"status": "Accepted"}))
    await LISTS["SendLocalList"](one, update(1, "Full", entry("L", parentIdTag="G"), entry("W", parentIdTag="X")))
    one.auth.learn("C", {"status": "Accepted", "parentIdTag": "G"})
    await reserve(one, parentIdTag="G")
    for tag, expected in (("L", True), ("W", False), ("C", True)):
        assert await one.reservations.permits(tag) is expected, tag
    assert one.asked == []
    assert await one.reservations.permits("S") is True
    assert await one.reservations.permits("T") is False
    assert [request["idTag"] for _action, request in one.asked] == ["S", "T"]


async def test_a_blocked_tag_of_the_right_parent_is_kept_out():
    one = ready(answering("reservation", {"status": "Blocked", "parentIdTag": "G"}))
    await reserve(one, parentIdTag="G")
    assert not await one.reservations.permits("S")


# -- how it ends -----------------------------------------------------------------------------------------


async def test_a_transaction_of_the_right_tag_uses_it_up_and_gets_its_id():
    for tag, parent in (("ab1", None), ("CD2", "g")):
        one = fresh()
        await reserve(one, 7, parentIdTag="G")
        for ask in (one.reservations.id_for, one.reservations.take):
            assert ask("CD2", "other") is None
        assert one.reservations.id_for(tag, parent) == 7
        assert held(one) == 7
        assert one.reservations.take(tag, parent) == 7
        assert one.status.looks == 2
        assert one.reservations.take(tag, parent) is None
        for _restart in (1, 2):
            assert held(one) is None
            one = again(one)


async def test_cancel_ends_the_one_with_that_id_only():
    one = fresh()
    assert await cancel(one, 7) == "Rejected"
    await reserve(one, 7)
    assert await cancel(one, 8) == "Rejected"
    assert held(one) == 7
    assert await cancel(one, 7) == "Accepted"
    assert held(one) is None and held(again(one)) is None
    assert one.status.looks == 2
    assert await cancel(one, 7) == "Rejected"


class Passing:
    """A clock whose UTC follows the virtual time."""

    def __init__(self, time, utc=NOW):
        self.time = time
        self.start = utc

    def utc_s(self):
        return None if self.start is None else self.start + self.time.now_ms // 1000

    def uptime_s(self):
        return self.time.now_ms // 1000


def passing(name="reservation", **config):
    time = VirtualTime()
    one = ready(point(name, **config))
    one.clock = Passing(time)
    return one, time


async def ended_at(one, time, until_ms):
    """Run until the reservation has ended -> ms, None if it never did."""
    running = asyncio.create_task(one.watch.run())
    while one.reservations.reserved_for(1) is not None and time.now_ms < until_ms:
        await asyncio.sleep_ms(100)
    running.cancel()
    return time.now_ms if one.reservations.reserved_for(1) is None else None


async def test_it_expires_at_its_second_and_the_status_is_told():
    one, time = passing()
    await reserve(one, expiry=iso(NOW + 3600))
    assert one.reservations.next_expiry_s() == 3600
    ended = await ended_at(one, time, 4000000)
    assert 3600000 <= ended <= 3600200, ended
    assert one.status.looks == 2
    assert one.reservations.next_expiry_s() is None
    assert held(again(one)) is None


async def test_it_does_not_expire_while_the_time_is_unknown_and_does_as_soon_as_it_is():
    one, time = passing()
    await reserve(one)
    one = again(one)
    one.clock = Passing(time, None)
    assert one.reservations.next_expiry_s() is None
    assert await ended_at(one, time, 2 * 3600000) is None
    assert not one.reservations.may_use("CD2", None)
    one.clock.start = NOW
    now = time.now_ms
    assert await ended_at(one, time, now + 60000) <= now + 10200


async def test_a_clock_that_jumps_ends_it_within_10_s_or_when_told():
    one, time = passing()
    await reserve(one)
    running = asyncio.create_task(one.watch.run())
    await asyncio.sleep_ms(500)
    one.clock.start += 10000
    await asyncio.sleep_ms(10000)
    assert held(one) is None
    one.clock.start = NOW
    await reserve(one, expiry=iso(one.clock.utc_s() + 3600))
    await asyncio.sleep_ms(500)
    one.clock.start += 10000
    assert held(one) == 1
    one.reservations.look()
    await asyncio.sleep_ms(0)
    await asyncio.sleep_ms(0)
    assert held(one) is None
    running.cancel()


async def test_it_ends_when_the_connector_is_faulted_or_unavailable_and_by_no_other_status():
    for status in ("Faulted", "Unavailable"):
        one, time = passing()
        await reserve(one)
        one.status.one = status
        assert await ended_at(one, time, 60000) <= 200
        assert status in one.log.text()
        assert held(again(one)) is None
    for status in ("Reserved", "Preparing", "Charging", "Finishing", "Available"):
        one, time = passing()
        await reserve(one)
        one.status.one = status
        assert await ended_at(one, time, 60000) is None, status


async def test_a_task_that_waits_for_nothing_follows_a_reservation_that_comes():
    one, time = passing()
    running = asyncio.create_task(one.watch.run())
    await asyncio.sleep_ms(60000)
    await reserve(one, expiry=iso(NOW + 65))
    await asyncio.sleep_ms(4900)
    assert held(one) == 1
    await asyncio.sleep_ms(200)
    assert held(one) is None
    running.cancel()


async def test_without_a_reservation_nothing_wakes_up():
    one, time = passing()
    running = asyncio.create_task(one.watch.run())
    await asyncio.sleep_ms(0)
    looks = []
    one.status.connector = lambda: looks.append(1) or ("Available",)
    await asyncio.sleep_ms(3600000)
    assert looks == []
    running.cancel()


async def test_an_end_that_flash_refused_is_stored_later():
    with Flash() as flash:
        time = VirtualTime()
        one = ready(Point(MOUNT))
        one.clock = Passing(time)
        await reserve(one, 7)
        flash.device.fails = True
        assert one.reservations.take("AB1", None) == 7
        assert held(one) is None
        assert "reservation_not_stored" in one.log.codes()
        assert held(again(one)) == 7, "this is what a restart now would bring"
        running = asyncio.create_task(one.watch.run())
        await asyncio.sleep_ms(25000)
        flash.device.fails = False
        await asyncio.sleep_ms(10000)
        assert held(again(one)) is None
        writes = flash.device.writes
        await asyncio.sleep_ms(60000)
        assert flash.device.writes == writes
        running.cancel()


async def test_a_new_reservation_ends_the_wish_to_store_the_end_of_the_former():
    with Flash() as flash:
        time = VirtualTime()
        one = ready(Point(MOUNT))
        one.clock = Passing(time)
        await reserve(one, 7)
        flash.device.fails = True
        await cancel(one, 7)
        flash.device.fails = False
        assert await reserve(one, 8) == "Accepted"
        running = asyncio.create_task(one.watch.run())
        await asyncio.sleep_ms(25000)
        running.cancel()
        assert held(again(one)) == 8


# -- restart ---------------------------------------------------------------------------------------------


async def test_it_survives_a_restart_whole():
    one = fresh()
    await reserve(one, 7, "AB1", 0, parentIdTag="G")
    later = again(one)
    assert later.reservations.reserved_for(1) == one.reservations.reserved_for(1)
    assert later.reservations.next_expiry_s() == 3600
    assert later.reservations.take("CD2", "G") == 7


def test_a_power_cut_at_any_write_leaves_it_as_it_was_or_as_it_became():
    steps = (("reserve", 1), ("reserve", 1), ("take", None), ("reserve", 3), ("cancel", 3))
    after = [None, ("AB1", 1), ("CD2", 1), None, ("CD2", 3), None]

    def prepare(folder):
        return {"one": ready(Point(folder)), "done": 0}

    def run(_folder, state):
        one = state["one"]
        for number, (step, identity) in enumerate(steps):
            if step == "reserve":
                assert asyncio.run(reserve(one, identity, "CD2" if number else "AB1")) == "Accepted"
            elif step == "take":
                assert one.reservations.take("CD2", None) == 1
            else:
                assert asyncio.run(cancel(one, identity)) == "Accepted"
            state["done"] = number + 1

    def check(folder, state):
        one = ready(Point(folder))
        found = one.reservations.reserved_for(1)
        found = found and (found["idTag"], found["reservationId"])
        assert found in after[state["done"] : state["done"] + 2], (found, state["done"])

    cuts = cut_everywhere(prepare, run, check)
    assert cuts > 5, cuts
