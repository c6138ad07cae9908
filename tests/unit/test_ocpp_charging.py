"""Charging profiles: which limit holds at an instant, what is taken and refused, what is left after a restart."""

import sys

from ocpp_charging_bench import DAY, T0, Bench, Stores, profile
from storage_help import MOUNT, Flash, cut_everywhere
from storage_help import Log as StoreLog
from virtual_time import Record

from ocpp.errors import CallError
from ocpp.handlers.charging import HANDLERS
from ocpp.rare import borrow
from wallbox.storage.store import Store


def test_without_a_profile_nothing_limits():
    bench = Bench()
    assert bench.limit() == (None, None, None, "no charging profile limits")


# Purposes and stack levels


def test_the_smaller_of_maximum_and_default_counts():
    bench = Bench()
    bench.set(0, ident=1, purpose="ChargePointMaxProfile", periods=((0, 20),))
    assert bench.ma() == 20000
    bench.set(ident=2, periods=((0, 16),))
    assert bench.ma() == 16000
    bench.set(0, ident=1, purpose="ChargePointMaxProfile", periods=((0, 10),))
    assert bench.ma() == 10000


def test_a_transactions_own_profile_overrules_the_default_even_with_more():
    bench = Bench()
    bench.set(ident=2, periods=((0, 10),))
    bench.begin(7)
    assert bench.set(ident=3, purpose="TxProfile", transaction=7, periods=((0, 25),)) == "Accepted"
    assert bench.ma() == 25000
    bench.charging.transaction_ended()
    assert bench.ma() == 10000
    assert bench.ids() == [2]


def test_the_default_fills_the_gaps_of_a_transactions_profile():
    bench = Bench()
    bench.set(ident=2, periods=((0, 10),))
    bench.begin(7)
    bench.set(ident=3, purpose="TxProfile", kind="Relative", duration=60, periods=((0, 25),))
    assert bench.limit()[:3] == (25000, 3, 60)
    bench.pass_s(60)
    assert bench.limit()[:3] == (10000, 3, None)


def test_the_default_of_the_connector_replaces_that_of_all_whatever_the_levels():
    bench = Bench()
    bench.set(0, ident=1, level=5, periods=((0, 10),))
    assert bench.ma() == 10000
    bench.set(1, ident=2, level=0, duration=100, start=T0, periods=((0, 16),))
    assert bench.ma() == 16000
    bench.pass_s(100)
    assert bench.ma() == 10000


def test_a_new_default_holds_at_once_in_a_running_transaction():
    bench = Bench()
    calls = []
    bench.charging.listeners.append(lambda: calls.append(bench.ma()))
    bench.begin(7)
    bench.set(ident=2, periods=((0, 8),))
    assert calls == [None, 8000]


def test_the_highest_valid_level_wins_and_lower_ones_fill_its_gaps():
    bench = Bench()
    bench.set(ident=1, level=0, periods=((0, 6),))
    bench.set(ident=2, level=1, start=T0 + 10, duration=30, periods=((0, 8),))
    bench.set(ident=3, level=2, start=T0, valid=(T0 + 20, T0 + 25), periods=((0, 12),))
    for at, ma, change in ((0, 6000, 10), (10, 8000, 10), (20, 12000, 5), (25, 8000, 15), (40, 6000, None)):
        bench.utc = T0 + at
        assert bench.limit()[0] == ma, (at, bench.limit())
        assert bench.limit()[2] == change, (at, bench.limit())


# Kinds


def test_several_periods_follow_each_other_until_the_duration_ends():
    bench = Bench()
    bench.set(start=T0, duration=300, periods=((0, 16), (100, 10.5), (200, 0)))
    for at, ma in ((-1, None), (0, 16000), (99, 16000), (100, 10500), (199, 10500), (200, 0), (299, 0), (300, None)):
        bench.utc = T0 + at
        assert bench.ma() == ma, (at, bench.ma())


def test_the_last_period_of_a_schedule_without_duration_does_not_end():
    bench = Bench()
    bench.set(start=T0, periods=((0, 16), (100, 10)))
    bench.utc = T0 + 3000 * DAY
    assert bench.limit()[:3] == (10000, 3, None)


def test_a_relative_schedule_counts_from_the_start_of_the_transaction():
    bench = Bench()
    bench.set(kind="Relative", periods=((0, 16), (100, 10)))
    bench.pass_s(5000)
    assert bench.limit()[:3] == (16000, 3, None)
    bench.begin()
    assert bench.limit()[:3] == (16000, 3, 100)
    bench.pass_s(100)
    assert bench.ma() == 10000


def test_a_schedule_without_start_is_relative_and_a_relative_ones_start_does_not_matter():
    for fields in ({"kind": "Absolute"}, {"kind": "Relative", "start": T0 - 500}):
        bench = Bench()
        bench.set(periods=((0, 16), (100, 10)), **fields)
        bench.begin()
        assert bench.limit()[:3] == (16000, 3, 100), fields


def test_a_transaction_may_have_begun_before_the_restart():
    bench = Bench()
    bench.set(kind="Relative", periods=((0, 16), (100, 10)))
    bench.charging.transaction_began(Record(transaction_id=3), 70)
    assert bench.limit()[2] == 30


def test_the_same_transaction_told_twice_keeps_its_profiles():
    bench = Bench()
    transaction = Record(transaction_id=3)
    bench.charging.transaction_began(transaction)
    bench.set(purpose="TxProfile")
    bench.charging.transaction_began(transaction)
    assert bench.ids() == [1]


def test_a_daily_schedule_starts_again_each_day_at_the_time_of_its_start():
    bench = Bench()
    bench.set(kind="Recurring", every="Daily", start=T0 + 3600, duration=7200, periods=((0, 16), (3600, 10)))
    for day in (0, 1, 40):
        for hour, ma in ((0, None), (1, 16000), (2, 10000), (3, None)):
            bench.utc = T0 + day * DAY + hour * 3600
            assert bench.ma() == ma, (day, hour)


def test_a_weekly_schedule_starts_again_each_week():
    bench = Bench()
    bench.set(kind="Recurring", every="Weekly", start=T0, duration=7200, periods=((0, 16), (3600, 10)))
    for day, ma in ((0, 16000), (1, None), (6, None), (7, 16000), (70, 16000)):
        bench.utc = T0 + day * DAY
        assert bench.ma() == ma, day


def test_a_schedule_longer_than_its_recurrence_starts_again_all_the_same():
    bench = Bench()
    bench.set(kind="Recurring", every="Daily", start=T0, duration=10 * DAY, periods=((0, 16), (DAY // 2, 10)))
    bench.utc = T0 + DAY
    assert bench.limit()[:3] == (16000, 3, DAY // 2)
    bench.pass_s(DAY // 2)
    assert bench.limit()[:3] == (10000, 3, DAY // 2)
    bench.set(kind="Recurring", every="Daily", start=T0, duration=DAY, periods=((0, 16),))
    assert bench.limit()[:3] == (16000, 3, None)


def test_a_recurring_schedule_without_start_goes_by_valid_from_or_midnight():
    friday = T0 + DAY
    cases = (
        ({"every": "Daily"}, T0 + 3600, 16000, 3600),
        ({"every": "Daily", "valid": (T0 + 1800, None)}, T0 + 3600, 16000, 5400),
        # Periods of a week count from Monday: Friday is four days after it.
        ({"every": "Weekly", "periods": ((0, 16), (4 * DAY, 10))}, friday - 60, 16000, 60),
    )
    for fields, utc, ma, change in cases:
        bench = Bench()
        bench.utc = utc
        listed = {"periods": ((0, 16), (7200, 10))}
        listed.update(fields)
        assert bench.set(kind="Recurring", **listed) == "Accepted", fields
        assert bench.limit()[0] == ma, (fields, bench.limit())
        assert bench.limit()[2] == change, (fields, bench.limit())


def test_valid_from_and_to_bound_any_schedule():
    bench = Bench()
    bench.set(kind="Relative", valid=(T0 + 10, T0 + 20))
    for at, ma, change in ((0, None, 10), (10, 16000, 10), (19, 16000, 1), (20, None, None)):
        bench.utc = T0 + at
        assert bench.limit()[0] == ma, at
        assert bench.limit()[2] == change, at


# Units and phases


def test_power_is_shared_by_all_phases_that_may_flow_whatever_it_was_meant_for():
    cases = (
        (3, 11000, None, 15942, 3),
        (3, 11040, 3, 16000, 3),
        (3, 3680, 1, 5333, 1),
        (3, 11040, 1, 16000, 1),
        (3, 7360, 2, 10666, 2),
        (1, 3680, None, 16000, 1),
        (1, 3680, 3, 16000, 1),
        (3, 4140.5, None, 6000, 3),
    )
    for station, watts, phases, ma, of in cases:
        bench = Bench(phases=station)
        bench.set(unit="W", periods=((0, watts) if phases is None else (0, watts, phases),))
        assert bench.limit()[:2] == (ma, of), (station, watts, phases, bench.limit())


def test_limits_in_watts_and_amperes_are_compared_as_current():
    bench = Bench()
    bench.set(0, ident=1, purpose="ChargePointMaxProfile", unit="W", periods=((0, 11040),))
    bench.set(ident=2, periods=((0, 16.1),))
    assert bench.ma() == 16000
    bench.set(ident=2, periods=((0, 15.9),))
    assert bench.ma() == 15900
    bench.set(ident=2, periods=((0, 15.9, 1),))
    assert bench.limit()[:2] == (15900, 1)


def test_every_tenth_of_an_ampere_comes_out_as_it_went_in():
    bench = Bench()
    for tenths in range(330):
        bench.set(periods=((0, tenths / 10),))
        assert bench.ma() == tenths * 100, (tenths, bench.ma())


def test_a_limit_beyond_all_numbers_is_no_error():
    bench = Bench()
    assert bench.set(unit="W", periods=((0, 999999999.9),)) == "Accepted"
    assert bench.ma() > 1000000


def test_the_text_names_profile_and_pause():
    bench = Bench()
    bench.set(ident=41, level=2, periods=((0, 16.5),))
    assert bench.limit()[3] == "charging profile 41 (TxDefaultProfile, level 2) allows 16.5 A"
    for amperes, text in ((0, "0.0"), (5.9, "5.9")):
        bench.set(ident=41, level=2, periods=((0, amperes),))
        expected = "charging profile 41 (TxDefaultProfile, level 2) pauses the charge: %s A is below 6 A" % text
        assert bench.limit()[3] == expected, bench.limit()
    bench.set(ident=41, level=2, periods=((0, 6),))
    bench.set(0, ident=42, purpose="ChargePointMaxProfile", periods=((0, 6),))
    assert bench.limit()[3] == "charging profile 42 (ChargePointMaxProfile, level 0) allows 6.0 A"


# Time


def test_without_the_time_only_what_needs_none_counts():
    relative = {"kind": "Relative", "periods": ((0, 10), (100, 8))}
    for fields, ma in (
        (relative, 10000),
        ({"start": T0 - 10, "duration": 100}, None),
        ({"start": T0 + 10}, None),
        ({"start": T0 - 10, "periods": ((0, 10), (100, 8))}, None),
        ({"kind": "Recurring", "every": "Daily", "start": T0, "periods": ((0, 10), (100, 8))}, None),
        ({"kind": "Relative", "valid": (None, T0 + 10)}, None),
        ({"kind": "Relative", "valid": (T0 + 10, None)}, None),
    ):
        bench = Bench()
        bench.set(**fields)
        bench.begin()
        bench.utc = None
        assert bench.ma() == ma, fields
    bench = Bench()
    bench.set(**relative)
    bench.begin()
    bench.utc = None
    bench.uptime += 40
    assert bench.limit()[:3] == (10000, 3, 60)


def test_what_had_come_to_its_last_word_holds_after_a_restart_without_the_time():
    for fields in (
        {"start": T0},
        {"start": T0 - 200, "periods": ((0, 10), (100, 16))},
        {"start": T0, "kind": "Recurring", "every": "Daily"},
        {"kind": "Relative", "valid": (T0 - 10, None)},
    ):
        bench = Bench()
        bench.set(**fields)
        bench = bench.restart()
        bench.utc = None
        assert bench.limit()[:3] == (16000, 3, None), fields


def test_a_profile_received_without_the_time_waits_for_it():
    bench = Bench()
    bench.utc = None
    bench.set(start=T0)
    assert bench.ma() is None
    bench.utc = T0
    assert bench.ma() == 16000


def test_a_jump_of_the_clock_moves_dated_schedules_and_no_relative_ones():
    bench = Bench()
    bench.set(ident=1, level=1, start=T0, duration=3600, periods=((0, 16),))
    bench.set(ident=2, level=0, kind="Relative", periods=((0, 10), (100, 8)))
    bench.begin()
    bench.utc += 3600
    assert bench.limit()[:3] == (10000, 3, 100)
    bench.utc -= 3600
    assert bench.ma() == 16000
    bench.utc -= 10 * 365 * DAY
    assert bench.limit()[:3] == (10000, 3, 100)


# What is taken and refused


def test_the_same_id_replaces_whatever_the_purpose_and_the_same_place_replaces_whatever_the_id():
    bench = Bench()
    bench.set(0, ident=1, purpose="ChargePointMaxProfile", periods=((0, 10),))
    bench.set(1, ident=1, level=3, periods=((0, 20),))
    assert bench.ids() == [1] and bench.ma() == 20000
    bench.set(1, ident=2, level=3, periods=((0, 12),))
    assert bench.ids() == [2] and bench.ma() == 12000
    bench.set(0, ident=3, level=3, periods=((0, 8),))
    bench.set(1, ident=4, level=2, periods=((0, 9),))
    assert bench.ids() == [2, 3, 4]
    # Takes the id of one and the place of another.
    bench.set(1, ident=4, level=3, periods=((0, 11),))
    assert bench.ids() == [3, 4] and bench.ma() == 11000
    assert bench.restart().ids() == [3, 4]


def test_a_transactions_profile_needs_that_transaction():
    bench = Bench()
    assert bench.set(purpose="TxProfile", transaction=7) == "Rejected"
    assert bench.set(purpose="TxProfile") == "Rejected"
    bench.begin()
    assert bench.set(purpose="TxProfile", transaction=7) == "Rejected"
    bench.charging.transaction.transaction_id = 7
    assert bench.set(purpose="TxProfile", transaction=8) == "Rejected"
    assert bench.ids() == []
    assert bench.set(purpose="TxProfile", transaction=7) == "Accepted"
    assert bench.set(ident=2, level=1, purpose="TxProfile") == "Accepted"
    bench.begin(9, number=2)
    assert bench.ids() == []


def test_a_remote_starts_profile_waits_for_its_transaction():
    bench = Bench()
    periods = ((0, 10), (60, 8))
    assert bench.set(remote=True, ident=5, purpose="TxProfile", kind="Relative", periods=periods) == "Accepted"
    assert bench.ma() is None
    bench.pass_s(30)
    bench.begin(None)
    assert bench.limit()[:3] == (10000, 3, 60)
    bench.charging.transaction_ended()
    assert bench.ids() == []


def test_a_second_remote_start_takes_the_place_of_the_first_and_one_given_up_leaves_nothing():
    bench = Bench()
    bench.set(remote=True, ident=5, level=1, purpose="TxProfile", periods=((0, 10),))
    bench.set(remote=True, ident=6, level=2, purpose="TxProfile", periods=((0, 12),))
    assert bench.ids() == [6]
    bench.charging.forget_remote()
    bench.begin()
    assert bench.ids() == [] and bench.ma() is None


def test_a_remote_start_takes_none_but_a_free_transactions_profile():
    bench = Bench()
    assert bench.set(remote=True) == "Rejected"
    assert bench.set(remote=True, purpose="TxProfile", transaction=3) == "Rejected"
    bench.begin()
    assert bench.set(remote=True, purpose="TxProfile") == "Rejected"
    assert bench.ids() == []
    assert bench.log.codes() == ["profile_refused"] * 3


def test_what_is_out_of_range_is_refused_with_field_and_range_in_the_log():
    many = [(60 * i, i % 2 + 6) for i in range(25)]
    recurring = {"kind": "Recurring"}
    for connector, fields, text in (
        (1, {"level": 9}, "stackLevel: 9; allowed: 0 to 8"),
        (1, {"level": -1}, "stackLevel: -1; allowed: 0 to 8"),
        (1, {"purpose": "ChargePointMaxProfile"}, "connectorId: 1; allowed: 0 to 0"),
        (0, {"purpose": "TxProfile"}, "connectorId: 0; allowed: 1 to 1"),
        (1, {"periods": ()}, "chargingSchedulePeriod: entries: 0; allowed: 1 to 24"),
        (1, {"periods": many}, "chargingSchedulePeriod: entries: 25; allowed: 1 to 24"),
        (1, {"periods": ((1, 16),)}, "startPeriod: 1; allowed: 0 to 0"),
        (1, {"periods": ((0, 16), (60, 8), (60, 9))}, "startPeriod: 60; allowed: 61 to 1073741823"),
        (1, {"periods": ((0, 16), (60, 16), (50, 9))}, "startPeriod: 50; allowed: 61 to 1073741823"),
        (1, {"periods": ((0, -0.1),)}, "limit: -0.1; allowed: 0 and more"),
        (1, {"periods": ((0, 16, 0),)}, "numberPhases: 0; allowed: 1 to 3"),
        (1, {"periods": ((0, 16, 4),)}, "numberPhases: 4; allowed: 1 to 3"),
        (1, {"duration": 0}, "duration: 0; allowed: 1 to 1073741823"),
        (1, {"valid": (T0, T0)}, "validTo: 2026-01-01T00:00:00Z; allowed: later than validFrom"),
        (1, recurring, "recurrencyKind: none; allowed with Recurring: Daily, Weekly"),
    ):
        bench = Bench()
        assert bench.set(connector, **fields) == "Rejected", fields
        assert bench.ids() == [] and bench.stores.saves == 0
        assert bench.log.entries == [("warning", "profile_refused", "charging profile 1 refused: " + text)], fields


def test_more_profiles_than_allowed_are_refused_and_replacing_goes_on():
    bench = Bench()
    for level in range(9):
        assert bench.set(ident=level, level=level) == "Accepted"
    assert bench.set(0, ident=9, level=0) == "Accepted"
    assert bench.set(0, ident=10, level=1) == "Rejected"
    assert bench.log.entries[0][2] == "charging profile 10 refused: 10 profiles are installed; allowed: up to 10"
    assert bench.set(ident=10, level=8) == "Accepted"
    assert len(bench.ids()) == 10


def test_a_field_of_no_use_here_is_taken():
    bench = Bench()
    assert bench.set(least=6.0, transaction=3, every="Daily") == "Accepted"


# Clearing


def test_each_filter_and_combination_clears_what_matches():
    for criteria, left in (
        ({}, []),
        ({"id": 3}, [1, 2, 4, 5]),
        # An id names one profile, the rest does not matter then.
        ({"id": 3, "connectorId": 0, "stackLevel": 7}, [1, 2, 4, 5]),
        ({"connectorId": 0}, [3, 4, 5]),
        ({"connectorId": 1}, [1, 2]),
        ({"chargingProfilePurpose": "TxDefaultProfile"}, [1, 5]),
        ({"chargingProfilePurpose": "TxProfile"}, [1, 2, 3, 4]),
        ({"stackLevel": 0}, [2, 4]),
        ({"connectorId": 1, "stackLevel": 0}, [1, 2, 4]),
        ({"connectorId": 0, "chargingProfilePurpose": "TxDefaultProfile"}, [1, 3, 4, 5]),
        ({"stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile"}, [1, 2, 4, 5]),
        ({"connectorId": 1, "stackLevel": 2, "chargingProfilePurpose": "TxDefaultProfile"}, [1, 2, 3, 5]),
        ({"id": 9}, None),
        ({"connectorId": 7}, None),
        ({"stackLevel": 5}, None),
        ({"connectorId": 0, "chargingProfilePurpose": "TxProfile"}, None),
    ):
        bench = Bench()
        bench.begin(7)
        bench.set(0, ident=1, level=0, purpose="ChargePointMaxProfile")
        bench.set(0, ident=2, level=1)
        bench.set(1, ident=3, level=0)
        bench.set(1, ident=4, level=2)
        bench.set(1, ident=5, level=0, purpose="TxProfile")
        status = bench.clear(criteria)
        assert status == ("Unknown" if left is None else "Accepted"), (criteria, status)
        left = [1, 2, 3, 4, 5] if left is None else left
        assert bench.ids() == left, (criteria, bench.ids())
        assert bench.restart().ids() == [ident for ident in left if ident != 5], criteria


def test_a_flash_that_refuses_changes_nothing():
    bench = Bench()
    bench.set(ident=1, periods=((0, 10),))
    for refused in ("ocpp_profile", "ocpp_profiles"):
        bench.stores.refuse = (refused,)
        assert bench.set(ident=2, level=1, periods=((0, 8),)) == "Rejected", refused
        assert bench.ids() == [1] and bench.restart().ids() == [1], refused
        try:
            bench.clear({})
            raise AssertionError("cleared")
        except CallError as error:
            assert error.code == "InternalError"
        assert bench.ma() == 10000
    codes = bench.log.codes()
    assert codes == ["profile_refused", "profile_list"] * 2, codes
    assert all(entry[0] == "error" for entry in bench.log.entries)


def test_a_list_that_cannot_be_written_after_its_profile_leaves_the_new_state():
    bench = Bench()
    # Changed in its place and read again: what comes later must count as newer.
    for amperes in range(6, 12):
        bench.set(ident=1, level=0, periods=((0, amperes),))
    bench = bench.restart()
    bench.set(ident=2, level=1)
    bench.stores.refuse = ("ocpp_profiles",)
    assert bench.set(ident=2, level=0, periods=((0, 9),)) == "Accepted"
    assert bench.log.codes() == ["profile_list"]
    for each in (bench, bench.restart()):
        assert each.ids() == [2] and each.ma() == 9000


# Flash


def test_all_but_a_transactions_profiles_survive_a_restart():
    bench = Bench()
    bench.begin(7)
    kept = (
        {"ident": 1, "purpose": "ChargePointMaxProfile", "unit": "W", "periods": ((0, 9000, 2), (500, 8000.5))},
        {"ident": -2, "level": 3, "start": T0, "duration": 600, "valid": (T0 - 5, T0 + 900)},
        {"ident": 3, "level": 1, "kind": "Recurring", "every": "Weekly", "start": T0, "periods": ((0, 7), (9, 8))},
    )
    for fields in kept:
        assert bench.set(0, **fields) == "Accepted"
    bench.set(ident=4, purpose="TxProfile")
    other = bench.restart()
    assert other.ids() == [-2, 1, 3]
    bench.charging.transaction_ended()
    before = [(list(p[:12]), list(p[12]), p[13]) for p in bench.charging.profiles]
    assert [(list(p[:12]), list(p[12]), p[13]) for p in other.charging.profiles] == before


def test_a_profile_said_again_is_not_written_again():
    bench = Bench()
    bench.set(periods=((0, 10), (60, 8)))
    saves = bench.stores.saves
    bench.pass_s(60)
    assert bench.set(periods=((0, 10), (60, 8))) == "Accepted"
    assert bench.stores.saves == saves
    assert bench.set(periods=((0, 10), (60, 9))) == "Accepted"
    assert bench.stores.saves == saves + 1


def test_a_transactions_profile_takes_the_id_of_a_stored_one_for_good():
    bench = Bench()
    bench.set(ident=1)
    bench.begin(7)
    bench.set(ident=1, purpose="TxProfile", periods=((0, 20),))
    assert bench.ma() == 20000
    assert bench.restart().ids() == []


def limits(bench):
    """The ids and limits that a restart brings back."""
    return sorted((p[1], p[12][1] / 40) for p in bench.restart().charging.profiles)


def test_what_comes_within_a_minute_counts_at_once_and_is_written_after_it():
    bench = Bench()
    bench.busy = True
    bench.set(ident=1, periods=((0, 16),))
    saves = bench.stores.saves
    for second in range(10, 60, 10):
        bench.pass_s(10)
        assert bench.set(ident=1, periods=((0, 16 - second / 10),)) == "Accepted"
        assert bench.ma() == 16000 - 100 * second and bench.charging.unsaved
        assert borrow("profiles").save(bench.charging, False) == 60 - second
    assert bench.stores.saves == saves and limits(bench) == [(1, 16)]
    bench.pass_s(10)
    assert borrow("profiles").save(bench.charging, False) == 60
    assert bench.stores.saves == saves + 1 and limits(bench) == [(1, 11)] and not bench.charging.unsaved
    assert bench.ma() == 11000
    bench.pass_s(600)
    borrow("profiles").save(bench.charging, False)
    assert bench.stores.saves == saves + 1
    # After a while of silence the next is written at once.
    bench.set(ident=1, periods=((0, 9),))
    assert limits(bench) == [(1, 9)] and not bench.charging.unsaved


def test_before_a_restart_it_is_written_at_once():
    bench = Bench()
    bench.busy = True
    bench.set(ident=1)
    bench.set(ident=2, level=1, periods=((0, 9),))
    bench.clear({"id": 1})
    assert limits(bench) == [(1, 16)]
    borrow("profiles").save(bench.charging)
    assert limits(bench) == [(2, 9)] and not bench.charging.unsaved


def test_all_that_was_put_off_is_written_whatever_took_the_place_of_what():
    bench = Bench()
    for ident in (1, 2, 3):
        bench.set(ident=ident, level=ident)
    bench.busy = True
    bench.begin(7)
    bench.set(ident=4, level=1, periods=((0, 9),))
    bench.set(ident=2, level=3, periods=((0, 10),))
    bench.set(ident=5, level=2, periods=((0, 11),))
    bench.set(ident=6, level=6, periods=((0, 12),))
    bench.set(ident=7, level=7, periods=((0, 13),))
    bench.clear({"id": 6})
    bench.set(ident=7, purpose="TxProfile", periods=((0, 20),))
    assert limits(bench) == [(1, 16), (2, 16), (3, 16)]
    borrow("profiles").save(bench.charging)
    assert limits(bench) == [(2, 10), (4, 9), (5, 11)] and bench.ids() == [2, 4, 5, 7]
    bench.charging.transaction_ended()
    assert bench.restart().ids() == bench.ids()


def test_what_is_as_it_was_when_its_time_comes_is_not_written():
    bench = Bench()
    bench.set(ident=1, periods=((0, 16),))
    bench.set(ident=2, level=2)
    bench.busy = True
    saves = bench.stores.saves
    bench.set(ident=1, periods=((0, 9),))
    bench.set(ident=1, periods=((0, 16),))
    bench.set(ident=3, level=3)
    bench.clear({"id": 3})
    borrow("profiles").save(bench.charging)
    assert bench.stores.saves == saves and not bench.charging.unsaved
    assert limits(bench) == [(1, 16), (2, 16)] and bench.ids() == [1, 2]
    # Those of a transaction are not for flash: nothing waits.
    bench.begin(7)
    bench.set(ident=4, purpose="TxProfile")
    assert not bench.charging.unsaved


def test_a_flash_that_refuses_what_was_put_off_is_tried_again_after_a_minute():
    bench = Bench()
    bench.set(ident=1)
    bench.busy = True
    bench.set(ident=1, periods=((0, 9),))
    bench.pass_s(60)
    bench.stores.refuse = ("ocpp_profile",)
    assert borrow("profiles").save(bench.charging, False) == 60
    assert bench.log.codes() == ["not_stored"] and bench.charging.unsaved and bench.ma() == 9000
    bench.stores.refuse = ()
    bench.pass_s(59)
    borrow("profiles").save(bench.charging, False)
    assert limits(bench) == [(1, 16)]
    bench.pass_s(1)
    borrow("profiles").save(bench.charging, False)
    assert limits(bench) == [(1, 9)] and bench.log.codes() == ["not_stored"]


def test_a_power_cut_amid_what_was_put_off_leaves_each_place_as_it_was_or_as_it_is():
    def prepare(folder):
        bench = on_flash(folder)
        for ident in (1, 2):
            bench.set(ident=ident, level=ident)
        bench.busy = True
        for ident in (1, 2, 3):
            bench.set(ident=ident, level=ident, periods=((0, 9),))
        return {"bench": bench, "through": False}

    def run(_folder, notes):
        borrow("profiles").save(notes["bench"].charging)
        notes["through"] = True

    def check(folder, notes):
        bench = on_flash(folder)
        found = {p[1]: p[12][1] // 40 for p in bench.charging.profiles}
        assert found.get(1) in (9, 16) and found.get(2) in (9, 16) and found.get(3, 9) == 9, found
        assert not notes["through"] or found == {1: 9, 2: 9, 3: 9}, found
        assert bench.log.entries == []

    assert cut_everywhere(prepare, run, check) >= 3


def test_profiles_that_come_every_10_s_cost_an_erase_a_minute_at_most():
    for count, low, high in ((3, 1, 4), (24, 60, 66)):
        with Flash() as flash:
            bench = on_flash(MOUNT)
            bench.busy = True
            bench.set(ident=1)
            before = flash.device.erases
            for turn in range(6 * 60):
                bench.pass_s(10)
                # As those of load management: for the next hours from now on.
                periods = [(900 * period, 6 + (turn + period) % 26) for period in range(count)]
                bench.set(ident=1, start=bench.utc, duration=900 * count, periods=periods)
                borrow("profiles").save(bench.charging, False)
            erases = flash.device.erases - before
            print("profile of", count, "periods:", erases, "erases in an hour")
            assert low <= erases <= high, erases


def damaged(*values):
    """A bench of three profiles whose store 1 holds something else when it starts again."""
    for value in values:
        bench = Bench()
        for level in range(3):
            bench.set(ident=level, level=level)
        if value is None:
            del bench.stores.values["ocpp_profile1"]
        else:
            bench.stores("ocpp_profile1").save(value)
        yield bench.restart(), value


def test_a_damaged_profile_is_left_out_and_logged():
    whole = [4, 1, 1, 1, 1, 0, None, 0, None, None, None, T0, [0, 64]]
    wrong = []
    for place, value in ((0, 1), (1, "x"), (2, 2), (3, -1), (5, None), (6, "now"), (8, "x"), (11, None), (12, [])):
        wrong.append(whole[:place] + [value] + whole[place + 1 :])
    wrong.extend((whole[:12] + [periods]) for periods in ([0], [5, 64], [0, "x"], 5))
    for bench, value in damaged(None, 5, {}, [], whole[:12], *wrong):
        assert bench.ids() == [0, 2], value
        text = "charging profile in store 1 is damaged: it limits nothing any more"
        assert bench.log.entries == [("error", "profile_lost", text)], (value, bench.log.entries)
        assert bench.set(ident=7, level=7) == "Accepted"
        again = bench.restart()
        assert again.ids() == [0, 2, 7] and again.log.entries == []
    for bench, _value in damaged(whole):
        assert bench.ids() == [0, 1, 2] and bench.log.entries == []


def test_a_damaged_list_leaves_no_profile_and_no_dead_box():
    for value in (5, [], ["x"], [3, 4], [3, [1]], [3, [1, -2]]):
        stores = Stores()
        stores("ocpp_profiles").save(value)
        bench = Bench(stores)
        assert bench.ids() == [] and bench.log.codes() == ["profile_lost"], value
        assert bench.set(ident=7) == "Accepted"
        assert bench.restart().ids() == [7]


def test_what_was_cleared_does_not_come_back_from_an_older_copy():
    bench = Bench()
    bench.set(ident=1)
    old = bench.stores.values["ocpp_profile0"]
    bench.clear({})
    bench.set(ident=2)
    bench.stores.values["ocpp_profile0"] = old
    again = bench.restart()
    assert again.ids() == [] and again.log.codes() == ["profile_lost"]


def on_flash(folder):
    return Bench(lambda name: Store(folder, name, 1, StoreLog()))


def state(bench):
    return [(p[1], p[3], list(p[12])) for p in bench.charging.profiles]


def test_a_power_cut_at_any_write_leaves_the_old_profiles_or_the_new():
    def fill(bench):
        for level in range(3):
            bench.set(ident=level, level=level)

    changes = (
        lambda bench: bench.set(ident=7, level=7),
        lambda bench: bench.set(ident=1, level=1, periods=((0, 9),)),
        # Takes the id of one and the place of another.
        lambda bench: bench.set(ident=2, level=0, periods=((0, 9),)),
        lambda bench: bench.clear({"id": 1}),
        lambda bench: bench.clear({}),
    )
    for number, change in enumerate(changes):
        seen = []

        def prepare(folder):
            bench = on_flash(folder)
            fill(bench)
            return {"before": state(bench), "after": None}

        def run(folder, notes, change=change):
            bench = on_flash(folder)
            change(bench)
            notes["after"] = state(bench)

        def check(folder, notes, change=change, seen=seen):
            bench = on_flash(folder)
            left = state(bench)
            old, new = Bench(), Bench()
            fill(old)
            fill(new)
            change(new)
            assert notes["before"] == state(old)
            assert notes["after"] in (None, state(new))
            assert left in (state(old), state(new)), left
            assert notes["after"] is None or left == state(new)
            assert bench.log.entries == []
            seen.append(left == state(new))
            # And it works on: the next change is kept too.
            bench.set(ident=30, level=8)
            assert 30 in on_flash(folder).ids()

        cuts = cut_everywhere(prepare, run, check)
        assert cuts, number
        assert seen[0] is False and seen[-1] is True, (number, seen)


# Calls


async def test_the_handlers_answer_as_the_specification_says():
    bench = Bench()
    setting = {"connectorId": 1, "csChargingProfiles": profile(periods=((0, 10),))}
    assert await HANDLERS["SetChargingProfile"](bench, setting) == {"status": "Accepted"}
    answer = await HANDLERS["GetCompositeSchedule"](bench, {"connectorId": 1, "duration": 60})
    assert answer == {
        "status": "Accepted",
        "connectorId": 1,
        "scheduleStart": "2026-01-01T00:00:00Z",
        "chargingSchedule": {
            "duration": 60,
            "startSchedule": "2026-01-01T00:00:00Z",
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10, "numberPhases": 3}],
        },
    }, answer
    assert await HANDLERS["ClearChargingProfile"](bench, {"id": 1}) == {"status": "Accepted"}
    assert await HANDLERS["ClearChargingProfile"](bench, {}) == {"status": "Unknown"}
    assert await HANDLERS["ClearChargingProfile"](bench, {"connectorId": 2}) == {"status": "Unknown"}


async def test_a_connector_that_does_not_exist_is_a_property_violation():
    bench = Bench()
    for connector in (-1, 2):
        for action, fields in (
            ("SetChargingProfile", {"csChargingProfiles": profile()}),
            ("GetCompositeSchedule", {"duration": 60}),
        ):
            try:
                await HANDLERS[action](bench, dict(fields, connectorId=connector))
                raise AssertionError("taken")
            except CallError as error:
                assert error.code == "PropertyConstraintViolation"
                assert error.description == "connectorId: %d; allowed: 0 to 1" % connector


def test_the_code_of_calls_is_let_go_after_each():
    bench = Bench()
    bench.set()
    bench.clear({})
    assert "ocpp.profiles" not in sys.modules
    assert not hasattr(sys.modules["ocpp"], "profiles")
