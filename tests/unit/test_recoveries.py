"""Residual current: recoveries are counted over any hour, time gaps and power cuts included (R9, R38)."""

from wallbox.protection.residual import ResidualCurrent

HOUR_MS = 3_600_000


class Hal:
    tripped = False
    dc_ua = ac_ua = 0

    def sample(self):
        pass


class Faults:
    def report(self, _fault, _present, _value, _now):
        pass


def watch():
    return ResidualCurrent(Hal(), Faults(), None)


def after_recoveries(*minutes):
    """A watch with recoveries at these minutes, stepped once a second as the control loop would."""
    residual = watch()
    for second in range(minutes[-1] * 60 + 1):
        residual.update(second * 1000)
        if second in [minute * 60 for minute in minutes]:
            assert residual.may_recover
            residual.recovered(second * 1000)
    return residual


def test_the_fourth_recovery_waits_until_the_first_is_an_hour_old():
    residual = after_recoveries(0, 10, 20)
    assert not residual.may_recover and residual.recoveries == 3
    residual.update(HOUR_MS - 1)
    assert not residual.may_recover
    residual.update(HOUR_MS)
    assert residual.may_recover and residual.recoveries == 2
    residual.recovered(HOUR_MS)
    assert not residual.may_recover
    residual.update(HOUR_MS + 10 * 60_000)
    assert residual.may_recover


def test_recoveries_of_long_ago_are_forgotten():
    """Ticks of a 32-bit port reach 6.2 days; a time older than that must not look like the future."""
    residual = after_recoveries(0, 1)
    residual.update(2 * HOUR_MS)
    now = 7 * 24 * HOUR_MS
    residual.update(now)
    residual.recovered(now)
    assert residual.may_recover and residual.recoveries == 1


def test_recoveries_before_a_power_cut_count_for_a_whole_hour_after_it():
    for recoveries in (0, 1, 2, 3):
        residual = watch()
        residual.restore(recoveries, 0)
        assert residual.recoveries == recoveries
        assert residual.may_recover == (recoveries < 3)
        residual.update(HOUR_MS - 1)
        assert residual.recoveries == recoveries
        residual.update(HOUR_MS)
        assert residual.recoveries == 0 and residual.may_recover


def test_a_strange_number_of_recoveries_is_no_way_round_the_limit():
    residual = watch()
    residual.restore(1000, 0)
    assert not residual.may_recover
