"""The smallest named limit wins, with its name, and expires when it should."""

from wallbox.charging.offer import UNLIMITED_MA, Offer


class Clock:
    def __init__(self):
        self.seconds = 0

    def uptime_s(self):
        return self.seconds


def made():
    changes = []
    return Offer(Clock(), lambda: changes.append(1)), changes


def test_the_smallest_limit_wins_and_is_named():
    offer, changes = made()
    offer.set("installer", 32000, "rated", "installer")
    offer.set("meter", 9500, "house", "load")
    assert offer.total_ma(0) == 9500
    assert offer.winner.name == "meter"
    assert offer.status() == {"installer": 32.0, "meter": 9.5}
    assert len(changes) == 2


def test_a_cleared_limit_says_nothing():
    offer, _ = made()
    offer.set("meter", 0, "house", "load")
    offer.set("installer", 16000, "rated", "installer")
    offer.clear("meter")
    assert offer.total_ma(0) == 16000
    assert offer.winner.name == "installer"


def test_a_limit_expires_at_its_time():
    offer, _ = made()
    offer.set("installer", 16000, "rated", "installer")
    offer.set("backend", 6000, "schedule", "backend", until=500)
    assert offer.total_ma(499) == 6000
    assert offer.due_ms(400, 1000) == 100
    assert offer.total_ma(500) == 16000
    assert offer.due_ms(501, 1000) == 1000


def test_without_any_limit_nothing_is_limited():
    offer, _ = made()
    assert offer.total_ma(0) == UNLIMITED_MA


def test_bad_limits_are_refused_by_name():
    offer, _ = made()
    for name, ma in (("meters", 6000), ("meter", -1)):
        try:
            offer.set(name, ma, "x", "y")
        except ValueError as error:
            assert name in str(error)
        else:
            raise AssertionError("%s %d was taken" % (name, ma))


def test_since_when_a_limit_stands_is_kept_while_it_does_not_change():
    offer, _ = made()
    offer.set("meter", 8000, "house", "load")
    offer._clock.seconds = 60
    offer.set("meter", 8000, "house", "load")
    assert offer.limit("meter").since_s == 0
    offer.set("meter", 7000, "house", "load")
    assert offer.limit("meter").since_s == 60


def test_a_new_limit_says_nothing():
    offer, _ = made()
    limit = offer.limit("solar")
    assert (limit.ma, limit.reason, limit.owner, limit.until, limit.since_s) == (UNLIMITED_MA, "", "", None, 0)
    assert limit.change_s is None
    assert offer.winner.name == "installer"
    assert offer.installer is offer.limit("installer")
    assert UNLIMITED_MA == 1 << 29


def test_a_limit_keeps_reason_owner_and_end():
    offer, _ = made()
    offer.set("backend", 0, "schedule", "company", until=700)
    limit = offer.limit("backend")
    assert (limit.ma, limit.reason, limit.owner, limit.until) == (0, "schedule", "company", 700)
    assert offer.total_ma(0) == 0


def test_a_limit_tells_when_its_owner_looks_again_until_it_is_set_without():
    offer, _ = made()
    offer.set("meter", 8000, "house", "load", change_s=90)
    assert offer.limit("meter").change_s == 90
    offer.set("meter", 8000, "house", "load")
    assert offer.limit("meter").change_s is None


def test_every_change_of_a_limit_is_told_and_clearing_nothing_is_not():
    offer, changes = made()
    offer.clear("meter")
    assert changes == []
    offer.set("meter", 8000, "house", "load", until=900)
    offer.set("meter", 8000, "house", "load", until=1900)
    assert len(changes) == 2
    offer.clear("meter")
    assert len(changes) == 3
    limit = offer.limit("meter")
    assert (limit.ma, limit.reason, limit.until) == (UNLIMITED_MA, "", None)


def test_another_reason_alone_is_a_change_too():
    offer, _ = made()
    offer.set("meter", 8000, "house", "load")
    offer._clock.seconds = 60
    offer.set("meter", 8000, "silent", "load")
    assert offer.limit("meter").since_s == 60
    assert offer.limit("meter").reason == "silent"


def test_of_two_equal_limits_the_first_named_wins():
    offer, _ = made()
    offer.set("temperature", 10000, "warm", "protection")
    offer.set("cable", 10000, "cable", "installer")
    assert offer.total_ma(0) == 10000
    assert offer.winner.name == "cable"


def test_an_expired_limit_is_unlimited_and_no_longer_due():
    offer, _ = made()
    offer.set("backend", 6000, "schedule", "backend", until=500)
    offer.set("solar", 9000, "sun", "solar", until=800)
    assert offer.due_ms(0, 1000) == 500
    assert offer.due_ms(450, 20) == 20
    assert offer.due_ms(500, 1000) == 0
    assert offer.due_ms(600, 1000) == 0
    assert offer.total_ma(600) == 9000
    assert offer.limit("backend").until is None
    assert offer.limit("backend").ma == UNLIMITED_MA
    assert offer.due_ms(600, 1000) == 200
    assert offer.due_ms(600, 0) == 0
