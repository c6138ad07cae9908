"""What connectors show, and when the central system hears of it (OCPP 1.6, 4.9)."""

import asyncio

from ocpp_help import Point
from virtual_time import Record

from ocpp import status as module
from ocpp.errors import CallError, CallTimeout
from ocpp.status import Status


def rig(**config):
    point = Point(**dict({"ConnectionTimeOut": 60, "MinimumStatusDuration": 0}, **config))
    point.reserved = None
    point.reservations = Record(reserved_for=lambda connector: point.reserved)
    status = point.status = Status(point)
    return point, point.station, status


def told(point):
    """The statuses that were sent of connector 1."""
    return [payload["status"] for _at, _action, payload in point.sent if payload["connectorId"] == 1]


def test_after_registering_both_connectors_are_told():
    point, _station, status = rig()

    async def steps():
        await asyncio.sleep_ms(100)

    point.run(steps(), point.sender.run())
    assert [(p["connectorId"], p["status"], p["errorCode"]) for _at, _action, p in point.sent] == [
        (0, "Available", "NoError"),
        (1, "Available", "NoError"),
    ]
    assert point.sent[0][2]["timestamp"] == "2026-01-01T00:00:00Z"


def test_what_else_is_to_be_sent_has_its_turn_between_two_statuses_and_status_comes_first():
    point, _station, _status = rig()
    point.answers["StatusNotification"] = CallTimeout("nothing")

    async def beat():
        await point.call("Heartbeat", {})

    point.sender.add(beat)

    async def steps():
        await asyncio.sleep_ms(30_500)
        point.answers = {}
        await asyncio.sleep_ms(10_000)

    point.run(steps(), point.sender.run())
    actions = [(ms // 1000, action, payload.get("connectorId")) for ms, action, payload in point.sent]
    status = [(second, "StatusNotification", 0) for second in (0, 10, 20, 30, 40)]
    assert actions == status[:1] + [(0, "Heartbeat", None)] + status[1:] + [(40, "StatusNotification", 1)]


def test_a_session_is_told_from_plug_to_plug():
    point, station, status = rig()

    async def steps():
        for change in (
            {"is_plugged": True},
            {"active": True, "is_permitted": True, "is_offered": True},
            {"is_charging": True, "has_charged": True},
            {"is_charging": False},
            {"is_offering": False, "is_offered": False},
            {"is_offering": True, "is_offered": True, "is_charging": True},
            {"is_permitted": False},
        ):
            for name, value in change.items():
                setattr(station, name, value)
            status.look()
            await asyncio.sleep_ms(50)
        station.active = station.is_charging = False
        status.ended()
        status.look()
        await asyncio.sleep_ms(50)
        station.is_plugged = False
        status.look()
        await asyncio.sleep_ms(50)

    point.run(steps(), point.sender.run())
    assert told(point) == [
        "Preparing",
        "Charging",
        "SuspendedEV",
        "SuspendedEVSE",
        "Charging",
        "Finishing",
        "Available",
    ]


def test_a_car_that_does_not_take_the_offer_is_suspended_after_3_s():
    point, station, status = rig()
    station.is_plugged = station.active = station.is_permitted = station.is_offered = True

    async def steps():
        status.look()
        await asyncio.sleep_ms(2_900)
        assert told(point) == ["Preparing"]
        await asyncio.sleep_ms(200)

    point.run(steps(), point.sender.run())
    assert told(point) == ["Preparing", "SuspendedEV"]


def test_a_pause_of_the_wallbox_lasts_until_the_car_has_gone_on_or_does_not():
    for begins_charging in (True, False):
        point, station, status = rig()
        station.is_plugged = station.active = station.is_permitted = True
        station.is_charging = station.has_charged = begins_charging

        async def steps(point=point, station=station, status=status):
            status.look()
            await asyncio.sleep_ms(50)
            station.is_charging = station.is_offering = False
            status.look()
            await asyncio.sleep_ms(50)
            station.is_offering = station.is_offered = True
            status.look()
            await asyncio.sleep_ms(2_900)
            assert told(point)[-1] == "SuspendedEVSE"
            station.is_charging = True
            status.look()
            await asyncio.sleep_ms(50)
            station.is_charging = False
            station.has_charged = True
            status.look()
            await asyncio.sleep_ms(50)
            assert told(point)[-3:] == ["SuspendedEVSE", "Charging", "SuspendedEV"], told(point)
            station.is_offering = station.is_offered = False
            status.look()
            await asyncio.sleep_ms(50)
            station.is_offering = station.is_offered = True
            status.look()
            await asyncio.sleep_ms(3_100)

        point.run(steps(), point.sender.run())
        assert told(point)[-3:] == ["SuspendedEV", "SuspendedEVSE", "SuspendedEV"]


def test_a_car_that_nobody_permits_is_finishing_after_connection_time_out():
    point, station, status = rig(ConnectionTimeOut=20)

    async def steps():
        station.is_plugged = True
        status.look()
        await asyncio.sleep_ms(19_900)
        assert told(point) == ["Preparing"]
        await asyncio.sleep_ms(200)
        assert told(point) == ["Preparing", "Finishing"]
        station.active = station.is_permitted = True
        status.look()
        await asyncio.sleep_ms(100)

    point.run(steps(), point.sender.run())
    assert told(point)[2:] == ["Preparing"]


def test_unplugged_in_mid_charge_is_finishing_for_a_moment():
    point, station, status = rig()
    station.is_plugged = station.active = station.is_permitted = station.is_charging = True

    async def steps():
        status.look()
        await asyncio.sleep_ms(50)
        station.is_plugged = station.active = station.is_charging = False
        status.ended()
        await asyncio.sleep_ms(900)
        assert told(point) == ["Charging", "Finishing"]
        await asyncio.sleep_ms(200)

    point.run(steps(), point.sender.run())
    assert told(point) == ["Charging", "Finishing", "Available"]


def test_a_fault_is_told_with_its_code_and_goes_back_to_what_was():
    point, station, status = rig()

    async def steps():
        await asyncio.sleep_ms(50)
        station.wrong = (
            "GroundFailure",
            "current leaks to earth; unplug the car and have it checked",
            "residual",
            True,
        )
        status.look()
        await asyncio.sleep_ms(50)
        station.wrong = ("PowerMeterFailure", "the meter", "meter", False)
        status.look()
        await asyncio.sleep_ms(50)
        station.wrong = None
        status.look()
        await asyncio.sleep_ms(50)

    point.run(steps(), point.sender.run())
    sent = [(p["status"], p["errorCode"], p.get("vendorErrorCode")) for _at, _a, p in point.sent if p["connectorId"]]
    assert sent == [
        ("Available", "NoError", None),
        ("Faulted", "GroundFailure", "residual"),
        ("Available", "PowerMeterFailure", "meter"),
        ("Available", "NoError", None),
    ]
    assert max(len(p.get("info", "")) for _at, _a, p in point.sent) == 50


def test_what_lasts_less_than_minimum_status_duration_is_not_told():
    point, station, status = rig(MinimumStatusDuration=5)

    async def steps():
        await asyncio.sleep_ms(100)
        for plugged in (True, False, True):
            station.is_plugged = plugged
            status.look()
            await asyncio.sleep_ms(2_000)
        assert told(point) == ["Available"]
        await asyncio.sleep_ms(3_100)

    point.run(steps(), point.sender.run())
    assert told(point) == ["Available", "Preparing"]


def test_without_a_link_nothing_is_told_and_after_it_only_what_is_new():
    point, station, status = rig()

    async def steps():
        await asyncio.sleep_ms(50)
        del point.sent[:]
        point.online = False
        for plugged in (True, False):
            station.is_plugged = plugged
            status.look()
            await asyncio.sleep_ms(1_000)
        point.online = True
        status.look()
        await asyncio.sleep_ms(50)
        assert point.sent == [], "it is what the central system knows"
        point.online = False
        station.is_plugged = True
        status.look()
        await asyncio.sleep_ms(1_000)
        point.online = True
        status.look()
        await asyncio.sleep_ms(50)

    point.run(steps(), point.sender.run())
    assert told(point) == ["Preparing"]


def of_a_chip(one, other):
    """ticks_diff where small integers have 31 bits: differences reach 6.2 days."""
    return ((one - other + (1 << 29)) & ((1 << 30) - 1)) - (1 << 29)


def weeks(steps, point, status):
    """Run for days in the ticks of a chip."""
    usual = module.ticks_diff
    module.ticks_diff = of_a_chip
    try:
        point.run(steps, point.sender.run())
    finally:
        module.ticks_diff = usual


def test_what_has_changed_is_told_also_after_a_week_without_link():
    point, station, status = rig()

    async def steps():
        await asyncio.sleep_ms(50)
        point.online = False
        station.is_plugged = True
        status.look()
        await asyncio.sleep(60)
        await asyncio.sleep(7 * 86400)
        del point.sent[:]
        point.online = True
        status.look()
        await asyncio.sleep(1)

    weeks(steps(), point, status)
    assert told(point) == ["Finishing"], "nobody has permitted the car within ConnectionTimeOut"


def test_a_car_that_stays_for_weeks_changes_no_status():
    for session in (False, True):
        point, station, status = rig()

        async def steps(point=point, station=station, status=status, session=session):
            station.is_plugged = True
            station.active = station.is_permitted = station.is_offered = session
            status.look()
            await asyncio.sleep(100)
            del point.sent[:]
            for _ in range(14):
                await asyncio.sleep(86400)
                status.look()

        weeks(steps(), point, status)
        assert told(point) == [], session


def test_a_notification_without_answer_is_sent_again():
    for failure in (CallTimeout("late"), CallError("InternalError", "")):
        point, _station, status = rig()
        point.answers["StatusNotification"] = [{}, failure, {}]

        async def steps(point=point):
            await asyncio.sleep_ms(9_900)
            assert len(point.sent) == 2
            await asyncio.sleep_ms(300)

        point.run(steps(), point.sender.run())
        assert told(point) == ["Available", "Available"]
        assert point.log.codes() == ["status_not_told"]


def test_availability_reservation_and_a_waiting_card_are_shown():
    point, station, status = rig()

    def shown():
        return status.connector()[0]

    point.reserved = object()
    assert shown() == "Reserved"
    station.is_plugged = True
    assert shown() == "Reserved", "a plug alone uses no reservation"
    station.is_plugged = False
    station.waiting = "04AA"
    assert shown() == "Preparing"
    station.waiting = None
    point.operative = False
    assert shown() == "Unavailable"
    assert status.whole() == "Available"
    point.whole_operative = False
    assert status.whole() == "Unavailable"
    station.active = station.is_permitted = station.is_charging = True
    assert shown() == "Charging", "what is scheduled waits for the end of the transaction"


def test_a_conflict_with_the_local_list_is_told_once_on_connector_0():
    point, _station, status = rig()

    async def steps():
        await asyncio.sleep_ms(50)
        del point.sent[:]
        status.local_list_conflict()
        await asyncio.sleep_ms(50)

    point.run(steps(), point.sender.run())
    assert [(p["connectorId"], p["errorCode"]) for _at, _action, p in point.sent] == [(0, "LocalListConflict")]


def test_a_trigger_tells_one_connector_or_both():
    point, _station, status = rig()
    point.online = False

    async def steps():
        await status.tell_again(None)
        await status.tell_again(1)

    point.run(steps())
    assert [payload["connectorId"] for _at, _action, payload in point.sent] == [0, 1, 1]
