"""What a central system can make the flash write: nothing twice, and no more than so much in an hour."""

import asyncio

from ocpp_help import UTC_S
from ocpp_place import Place
from storage_help import MOUNT, Flash

from ocpp import schema
from ocpp.handlers import module_of
from ocpp.rare import borrow
from ocpp.timestamps import iso

MOST = 120
KEY = "0123456789abcdef"
TAGS = [{"idTag": "04AA%02d" % n, "idTagInfo": {"status": "Accepted", "parentIdTag": "GROUP"}} for n in range(3)]


def asked(point, action, **payload):
    """What a charge point answers, checked as it checks it -> the status."""

    async def ask():
        schema.check_request(action, payload)
        answer = await borrow("handlers." + module_of(action)).HANDLERS[action](point, payload)
        schema.check_response(action, answer)
        return answer["status"]

    return asyncio.run(ask())


def configure(point, key, value):
    return asked(point, "ChangeConfiguration", key=key, value=value)


def available(point, kind, connector=0):
    return asked(point, "ChangeAvailability", connectorId=connector, type=kind)


def reserve(point, number=7, tag="04AA", seconds=3600):
    expiry = iso(UTC_S + seconds)
    return asked(point, "ReserveNow", reservationId=number, connectorId=1, idTag=tag, expiryDate=expiry)


def listed(point, version, tags):
    entries = [dict(tag) for tag in tags]
    return asked(point, "SendLocalList", listVersion=version, updateType="Full", localAuthorizationList=entries)


def test_what_is_stored_already_is_not_written_again():
    with Flash() as flash:
        place = Place(MOUNT)
        point = place.made()

        def twice(change, *arguments):
            """The change writes, and once more it does not."""
            seen = flash.device.writes
            assert change(point, *arguments) == "Accepted", arguments
            assert flash.device.writes > seen, arguments
            seen = flash.device.writes
            for _ in range(3):
                assert change(point, *arguments) == "Accepted", arguments
            assert flash.device.writes == seen, arguments

        twice(configure, "HeartbeatInterval", "60")
        twice(configure, "HeartbeatInterval", "3600")
        twice(configure, "AuthorizationKey", KEY)
        twice(reserve)
        twice(reserve, 7, "04BB")
        twice(reserve, 7, "04BB", 7200)
        twice(listed, 1, TAGS)
        twice(listed, 1, TAGS[:2])
        twice(listed, 1, TAGS[1:])
        twice(listed, 2, TAGS[1:])
        twice(listed, 2, [dict(TAGS[1], idTagInfo={"status": "Blocked"}), TAGS[2]])
        twice(listed, 3, [])
        twice(available, "Inoperative")
        twice(available, "Operative", 1)
        twice(available, "Operative")
        # Nothing of it is forgotten in RAM alone.
        other = Place(MOUNT).made()
        assert other.config["AuthorizationKey"] == KEY and other.operative and other.whole_operative
        assert other.reservations.reserved_for(1)["expiry"] == UTC_S + 7200


def test_availability_that_waits_for_the_sessions_end_is_written_once():
    with Flash() as flash:
        point = Place(MOUNT).made()
        point.station.active = True
        assert available(point, "Inoperative") == "Scheduled"
        seen = flash.device.writes
        assert available(point, "Inoperative") == "Scheduled"
        assert flash.device.writes == seen
        # It is another thing for the connector alone, and another when it is taken back.
        for kind, status in (("Inoperative", "Scheduled"), ("Operative", "Accepted")):
            seen = flash.device.writes
            assert available(point, kind, 1) == status
            assert flash.device.writes > seen


def changes(point):
    """Functions of a number that have flash written, and the status for what is refused."""
    point.config.preset({"SendLocalListMaxLength": 100})
    many = [dict(TAGS[0], idTag="04AABBCCDDEE%02d" % n) for n in range(100)]
    return (
        (lambda n: configure(point, "CpoName", "me %d" % n), "Rejected"),
        (lambda n: configure(point, "AuthorizationKey", KEY[:-3] + "%03d" % n), "Rejected"),
        (lambda n: available(point, ("Inoperative", "Operative")[n % 2]), "Rejected"),
        (lambda n: reserve(point, 7, "04%02d" % n), "Rejected"),
        (lambda n: listed(point, 100 + n, many), "Failed"),
    )


def test_beyond_120_changes_in_an_hour_each_is_refused_and_the_log_says_so_once_an_hour():
    with Flash() as flash:
        place = Place(MOUNT)
        point = place.made()
        assert reserve(point) == "Accepted"
        for n in range(MOST - 1):
            assert configure(point, "HeartbeatInterval", str(60 + n)) == "Accepted", n
        assert place.logged("flash_spared") == []
        place.clock.now_ms += 600_000
        wanted = changes(point)
        seen = flash.device.writes
        for change, status in wanted:
            for n in (0, 2, 4):
                assert change(n) == status
        assert asked(point, "CancelReservation", reservationId=7) == "Rejected"
        assert asked(point, "ExtendedTriggerMessage", requestedMessage="SignChargePointCertificate") == "Rejected"
        assert flash.device.writes == seen
        assert place.logged("flash_spared") == [
            "flash is spared: the central system has changed 120 things within an hour; "
            "ChangeConfiguration is refused for 3000 s"
        ]
        # What changes nothing is what it always was.
        assert configure(point, "HeartbeatInterval", str(60 + MOST - 2)) == "Accepted"
        assert reserve(point) == "Accepted" and available(point, "Operative") == "Accepted"
        assert asked(point, "CancelReservation", reservationId=8) == "Rejected"
        assert configure(point, "HeartbeatInterval", "x") == "Rejected"
        place.clock.now_ms += 3_000_000
        assert asked(point, "CancelReservation", reservationId=7) == "Accepted"
        assert reserve(point, seconds=7200) == "Accepted" and listed(point, 1, TAGS) == "Accepted"
        for n in range(2 * MOST):
            configure(point, "HeartbeatInterval", str(300 + n))
        assert point.config["HeartbeatInterval"] == 300 + MOST - 4
        assert len(place.logged("flash_spared")) == 2


def test_who_is_refused_again_and_again_makes_20_warnings_in_an_hour():
    with Flash():
        place = Place(MOUNT)
        point = place.made()
        for hour in (1, 2):
            for _ in range(15):
                assert reserve(point, seconds=-1) == "Rejected"
                assert listed(point, -1, TAGS) == "Failed"
            levels = [entry[0] for entry in place.log.entries if entry[2].endswith("_refused")]
            assert levels == (["warning"] * 20 + ["info"] * 10) * hour
            place.clock.now_ms += 3_600_000


def test_what_the_hour_costs():
    """The figures of wear.py; all of an hour's changes are of one kind."""
    for number, most in enumerate((130, 140, 8, 16, 260)):
        with Flash() as flash:
            point = Place(MOUNT).made()
            change = changes(point)[number][0]
            before = flash.device.erases
            for n in range(MOST):
                assert change(n) == "Accepted", n
            erases = flash.device.erases - before
            print("kind", number, "erases", erases)
            assert erases <= most, (number, erases)
