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
