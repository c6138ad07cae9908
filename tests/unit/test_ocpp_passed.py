"""The latest time that has passed, as a charge point without the time knows it."""

from ocpp_security_help import Box
from virtual_time import Record

from ocpp import passed
from ocpp.rare import borrow

DAY = 86_400
NOW = 1_800_000_000
TODAY = Record(since_s=NOW - DAY, until_s=NOW + 90 * DAY)


def kept(box):
    return box.stores("ocpp_time").load()


def saves(box):
    """Count what is stored from now on."""
    found = []
    store = box.stores

    def counted(name):
        one = store(name)
        return Record(load=one.load, save=lambda value: (found.append(value), one.save(value)))

    box.stores = counted
    return found


def test_without_anything_known_no_time_has_passed():
    assert passed.least_s(Box("passed-none")) == 0


def test_the_newest_of_build_and_last_time_counts():
    box = Box("passed-newest")
    box.station.built_s = lambda: NOW
    assert passed.least_s(box) == NOW
    passed.keep(box, TODAY, NOW - 10)
    assert passed.least_s(box) == NOW
    passed.keep(box, TODAY, NOW + 2 * DAY)
    assert passed.least_s(box) == passed.least_s(box.again()) == NOW + 2 * DAY


def test_it_is_written_once_a_day_and_put_right_when_it_was_wrong():
    box = Box("passed-day")
    written = saves(box)
    for second in range(0, 3 * DAY, 3600):
        passed.keep(box, TODAY, NOW + second)
    assert written == [NOW, NOW + DAY, NOW + 2 * DAY]
    passed.keep(box, TODAY, NOW - 3600)
    assert written[3:] == [NOW - 3600]


def test_a_time_counts_only_over_tls_with_certificates_of_that_time():
    box = Box("passed-tls")
    for ssl in (
        None,
        Record(since_s=None, until_s=None),
        Record(since_s=NOW + 1, until_s=NOW + DAY),
        Record(since_s=NOW - DAY, until_s=NOW - 1),
    ):
        passed.keep(box, ssl, NOW)
        assert kept(box) is None
    passed.keep(box, Record(since_s=NOW, until_s=NOW), NOW)
    assert kept(box) == NOW


def test_flash_that_refuses_or_another_form_is_no_reason_not_to_connect():
    box = Box("passed-flash")
    box.flash.refuses = True
    passed.keep(box, TODAY, NOW)
    assert box.log.codes() == ["not_stored"] and passed.least_s(box) == 0
    box.flash.refuses = False
    box.stores("ocpp_time").save(["of", "another", "form"])
    assert passed.least_s(box) == 0


async def test_it_is_kept_when_certificates_are_looked_after_and_given_to_the_next_connection():
    box = Box("passed-used", target={"url": "wss://csms.example/", "identity": "S1", "password": "x"})
    box.link.ssl = TODAY
    box.clock.utc_base_s = NOW
    await box.security.load()
    borrow("renewal").look(box.security)
    assert kept(box) == NOW
    again = box.again()
    again.clock.utc_base_s = None
    credentials = borrow("credentials")
    given = []

    class Tls:
        def __init__(self, authorities, certificate=None, key=None, utc_s=None, least_s=0):
            given.append(least_s)

    lend = credentials.borrow
    credentials.borrow = lambda name: Record(Tls=Tls) if name == "tls" else lend(name)
    for profile in (2, 3):
        again.config.preset({"SecurityProfile": profile})
        credentials.target(again.security)
    assert given == [NOW, NOW]
