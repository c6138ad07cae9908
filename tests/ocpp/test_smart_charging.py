"""Charging profiles of a central system: what they do to pilot, contactor and limits, and what people read (R25, R32).

The scenarios are those of number 68. A board's minute lasts 6 s of the host's; what needs longer is passed by a clock
that the central system sets, as charge points have to follow that.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from bay import CARD, Bay
from csms import POLL_SECONDS, WAIT_SECONDS, CallFailed

DEFAULT, TX, MOST = "TxDefaultProfile", "TxProfile", "ChargePointMaxProfile"
DAY_S = 86_400


# A house without a meter, so that only rating and cable limit beside the central system.
ALONE = {"load_optimisation": False, "meter_model": "none", "connection_a": 63}


@pytest.fixture
def bay(bay: Callable[..., Bay]) -> Callable[..., Bay]:
    """Return the function `bay`, for wallboxes of 32 A that no house limits."""

    def start(settings: dict[str, Any] | None = None, ocpp: dict[str, Any] | None = None) -> Bay:
        return bay({**ALONE, **(settings or {})}, ocpp)

    return start


def schedule(*periods: tuple, unit: str = "A", **more: Any) -> dict:
    """A ChargingSchedule; a period is (seconds, limit) or (seconds, limit, numberPhases)."""
    names = ("startPeriod", "limit", "numberPhases")
    listed = [dict(zip(names, period, strict=False)) for period in periods]
    return {"chargingRateUnit": unit, "chargingSchedulePeriod": listed, **more}


def profile(
    purpose: str, amps_or_schedule: float | dict, number: int = 1, level: int = 0, kind: str = "Relative", **more: Any
) -> dict:
    """A ChargingProfile, of one limit in A for good or of a schedule."""
    plan = amps_or_schedule if isinstance(amps_or_schedule, dict) else schedule((0, amps_or_schedule))
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": plan,
        **more,
    }


def put(here: Bay, *arguments: Any, connector: int = 1, **more: Any) -> str:
    """Set a profile, its arguments as for `profile` -> the answer's status."""
    return here.say("SetChargingProfile", connectorId=connector, csChargingProfiles=profile(*arguments, **more))


def offers(here: Bay, amps: float, by: str = "backend") -> dict:
    """Wait until the pilot offers so much because of that limit; the box's state."""
    # IEC 61851-1, table A.8: 0.6 A a percent, of which the duty is the next lower step.
    duty = range(int(amps / 0.06) - 1, int(amps / 0.06) + 1)
    return here.until(
        lambda state: (
            state["offered_a"] == amps and state["limited_by"] == by and state["pilot"]["duty_permille"] in duty
        )
    )


def limits(here: Bay, amps: float) -> dict:
    """Wait until the profiles limit to so much, whatever the pilot offers, which rises at its leisure; the state."""
    return here.until(lambda state: state["limits"].get("backend") == amps)


def saw(here: Bay, *amps: int) -> list[dict]:
    """Wait until the pilot has offered these currents, one after the other, and no other; the log's entries."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        entries = here.box.log(code="offer")
        offered = [int(entry["text"].split()[0]) // 1000 for entry in entries]
        if len(offered) >= len(amps) or time.monotonic() > end:
            assert offered == list(amps)
            return entries
        time.sleep(POLL_SECONDS)


def time_passes(here: Bay, seconds: float) -> None:
    """Let the central system's clock go forward, and the box hear of it."""
    here.csms.shift_s += seconds
    assert here.say("TriggerMessage", requestedMessage="Heartbeat") == "Accepted"


def composite(here: Bay, seconds: int, connector: int = 1, **more: Any) -> tuple[datetime, list[tuple]]:
    """A composite schedule's start and its periods as (seconds, limit)."""
    answer = here.csms.call("GetCompositeSchedule", {"connectorId": connector, "duration": seconds, **more})
    assert answer["status"] == "Accepted" and answer["connectorId"] == connector
    plan = answer["chargingSchedule"]
    assert plan["startSchedule"] == answer["scheduleStart"]
    assert plan["chargingRateUnit"] == more.get("chargingRateUnit", "A")
    listed = [(one["startPeriod"], one["limit"]) for one in plan["chargingSchedulePeriod"]]
    return datetime.fromisoformat(plan["startSchedule"]), listed


# -- purposes ------------------------------------------------------------------------------------------


def test_a_default_profile_limits_the_running_charge_at_once_and_says_so(bay):
    here = bay()
    here.charge(CARD)
    assert offers(here, 32, "installer")["contactor"]["closed"]
    assert put(here, DEFAULT, 10) == "Accepted"
    state = offers(here, 10)
    assert state["limits"]["backend"] == 10 and state["contactor"]["closed"]
    why = state["why"]
    assert why["code"] == "charging_backend" and why["who"] == "backend"
    assert "charging profile 1 (TxDefaultProfile, level 0)" in why["text"]
    assert here.say("ClearChargingProfile", id=1) == "Accepted"
    state = offers(here, 32, "installer")
    assert "backend" not in state["limits"]


def test_a_default_profile_limits_the_next_charge_from_its_first_moment(bay):
    here = bay()
    assert put(here, DEFAULT, 13, connector=0) == "Accepted"
    here.charge(CARD)
    offers(here, 13)
    saw(here, 13)
    # That of the connector replaces the one of all connectors.
    assert put(here, DEFAULT, 9, 2) == "Accepted"
    offers(here, 9)


def test_a_transaction_profile_needs_its_transaction_and_ends_with_it(bay):
    here = bay()
    assert put(here, TX, 8) == "Rejected"
    number = here.charge(CARD)["id"]
    assert put(here, TX, 8, transactionId=number + 1) == "Rejected"
    assert put(here, TX, 8, connector=0) == "Rejected"
    saw(here, 32)
    assert put(here, TX, 8, transactionId=number) == "Accepted"
    assert "TxProfile" in offers(here, 8)["why"]["text"]
    here.leave()
    here.until(lambda state: "backend" not in state["limits"])
    here.charge(CARD)
    offers(here, 32, "installer")
    assert put(here, TX, 8, transactionId=number) == "Rejected"


def test_a_transaction_profile_counts_in_place_of_the_default_even_if_it_allows_more(bay):
    here = bay()
    assert put(here, DEFAULT, 10, 1) == "Accepted"
    number = here.charge(CARD)["id"]
    offers(here, 10)
    assert put(here, TX, 20, 2, transactionId=number) == "Accepted"
    offers(here, 20)
    assert here.say("ClearChargingProfile", id=2) == "Accepted"
    offers(here, 10)


def test_the_maximum_of_the_charge_point_caps_every_other_profile(bay):
    here = bay()
    number = here.charge(CARD)["id"]
    assert put(here, MOST, 12, 1) == "Rejected"
    assert put(here, MOST, 12, 1, connector=0) == "Accepted"
    offers(here, 12)
    assert put(here, TX, 20, 2, transactionId=number) == "Accepted"
    assert put(here, DEFAULT, 7, 3) == "Accepted"
    state = here.box.state()
    assert state["offered_a"] == 12 and "ChargePointMaxProfile" in state["why"]["text"]
    assert put(here, TX, 9, 2, transactionId=number) == "Accepted"
    assert "TxProfile" in offers(here, 9)["why"]["text"]


def test_a_profile_cannot_allow_more_than_the_installation(bay):
    here = bay({"rated_a": 16})
    assert put(here, DEFAULT, 63) == "Accepted"
    here.charge(CARD)
    assert offers(here, 16, "installer")["limits"]["backend"] == 63


# -- stack levels, kinds, times --------------------------------------------------------------------------


def test_the_highest_stack_level_that_is_valid_now_decides(bay):
    here = bay()
    here.charge(CARD)
    assert put(here, DEFAULT, 16, 1, 0) == "Accepted"
    begin, end = here.csms.in_seconds(3600), here.csms.in_seconds(7200)
    assert put(here, DEFAULT, 8, 2, 3, validFrom=begin, validTo=end) == "Accepted"
    assert put(here, DEFAULT, 10, 3, 1) == "Accepted"
    offers(here, 10)
    time_passes(here, 4000)
    assert "level 3" in offers(here, 8)["why"]["text"]
    time_passes(here, 4000)
    limits(here, 10)
    # The same level replaces, and so does the same id.
    assert put(here, DEFAULT, 12, 4, 1) == "Accepted"
    limits(here, 12)
    assert put(here, DEFAULT, 14, 4, 2) == "Accepted"
    limits(here, 14)
    assert here.say("ClearChargingProfile", id=3) == "Unknown"
    assert here.say("ClearChargingProfile", id=4) == "Accepted"
    limits(here, 16)


def test_a_relative_schedule_counts_from_the_transaction_and_then_leaves_to_lower_levels(bay):
    here = bay()
    assert put(here, DEFAULT, 20, 1, 0) == "Accepted"
    plan = schedule((0, 10), (6, 12), (11, 0), duration=17)
    assert put(here, DEFAULT, plan, 2, 1) == "Accepted"
    since = here.csms.mark()
    here.charge(CARD)
    here.heard("SuspendedEVSE", since)
    state = here.until(lambda state: not state["contactor"]["closed"])
    assert state["why"]["until_s"] is not None
    offers(here, 20)
    saw(here, 10, 12, 0, 20)


def test_an_absolute_schedule_changes_the_pilot_when_its_periods_begin(bay):
    here = bay()
    here.charge(CARD)
    plan = schedule((0, 20), (1000, 11), (1010, 14), startSchedule=here.csms.in_seconds(-990))
    assert put(here, DEFAULT, plan, kind="Absolute") == "Accepted"
    # Without a clock that jumps: each at its second.
    offers(here, 14)
    first, second = saw(here, 32, 20, 11, 14)[2:]
    assert 9_000 <= second["uptime_ms"] - first["uptime_ms"] <= 15_000


@pytest.mark.parametrize(("every", "seconds"), [("Daily", DAY_S), ("Weekly", 7 * DAY_S)])
def test_a_recurring_schedule_begins_anew(bay, every, seconds):
    here = bay()
    here.charge(CARD)
    plan = schedule((0, 7), (3600, 16), startSchedule=here.csms.in_seconds(-1800 - 3 * seconds))
    assert put(here, DEFAULT, plan, kind="Recurring", recurrencyKind=every) == "Accepted"
    offers(here, 7)
    time_passes(here, 3600)
    limits(here, 16)
    time_passes(here, seconds - 3600)
    limits(here, 7)
    assert put(here, DEFAULT, plan, kind="Recurring") == "Rejected"


def test_a_power_in_watts_is_shared_among_the_phases(bay):
    here = bay()
    here.charge(CARD)
    assert put(here, DEFAULT, schedule((0, 11_040), unit="W")) == "Accepted"
    offers(here, 16)
    assert composite(here, 600)[1] == [(0, 16)]
    assert composite(here, 600, chargingRateUnit="W")[1] == [(0, 11_040)]
    # With a limit in A above it the smaller one wins, whatever their units.
    assert put(here, MOST, 20, 2, connector=0) == "Accepted"
    assert put(here, MOST, schedule((0, 6_900), unit="W"), 2, connector=0) == "Accepted"
    assert "ChargePointMaxProfile" in offers(here, 10)["why"]["text"]


def test_a_power_in_watts_is_that_of_the_one_phase_of_the_installation(bay):
    here = bay({"phases": 1})
    here.box.grid(volts=[230, 0, 0])
    here.plug(phases=1)
    here.tap(CARD)
    here.heard("Charging")
    assert put(here, DEFAULT, schedule((0, 3_680), unit="W")) == "Accepted"
    offers(here, 16)
    assert composite(here, 600, chargingRateUnit="W")[1] == [(0, 3_680)]


# -- pauses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("amps", [0, 5.9])
def test_below_6_a_the_charge_pauses_and_goes_on_from_6_a(bay, amps):
    here = bay()
    here.charge(CARD)
    since = here.csms.mark()
    assert put(here, DEFAULT, amps) == "Accepted"
    here.heard("SuspendedEVSE", since)
    state = here.until(lambda state: not state["contactor"]["closed"] and state["offered_a"] == 0)
    assert state["limits"]["backend"] == amps and state["limited_by"] == "backend"
    assert state["why"]["code"] == "limit_backend" and "below 6 A" in state["why"]["text"]
    assert state["session"]["active"] and not here.csms.seen("StopTransaction")
    assert put(here, DEFAULT, 6) == "Accepted"
    here.heard("Charging", since)
    assert offers(here, 6)["contactor"]["closed"]
    assert "Finishing" not in here.statuses(since)


def test_a_car_that_comes_during_a_pause_waits_for_its_end(bay):
    here = bay()
    assert put(here, MOST, 0, connector=0) == "Accepted"
    since = here.csms.mark()
    here.plug()
    here.tap(CARD)
    here.heard("SuspendedEVSE", since)
    assert here.started()["idTag"] == CARD and not here.box.state()["contactor"]["closed"]
    assert here.say("ClearChargingProfile", chargingProfilePurpose=MOST) == "Accepted"
    here.heard("Charging", since)
    offers(here, 32, "installer")


# -- composite schedules -----------------------------------------------------------------------------------


def test_a_composite_schedule_fills_gaps_with_what_the_box_can_do(bay):
    here = bay()
    begin = here.csms.in_seconds(600)
    plan = schedule((0, 10), (300, 8.5), startSchedule=begin, duration=600)
    assert put(here, DEFAULT, plan, kind="Absolute") == "Accepted"
    start, periods = composite(here, 1800)
    gap_s = int((datetime.fromisoformat(begin) - start).total_seconds())
    assert periods == [(0, 32), (gap_s, 10), (gap_s + 300, 8.5), (gap_s + 600, 32)]
    start, periods = composite(here, 1800, chargingRateUnit="W")
    gap_s = int((datetime.fromisoformat(begin) - start).total_seconds())
    assert [limit for _, limit in periods] == [22_080, 6_900, 5_865, 22_080]


def test_a_composite_schedule_is_the_minimum_of_all_purposes_at_each_moment(bay):
    here = bay()
    number = here.charge(CARD)["id"]
    begin = here.csms.in_seconds(-10)
    steps = schedule((0, 16), (600, 9), (1200, 25), startSchedule=begin)
    assert put(here, MOST, steps, 1, connector=0, kind="Absolute") == "Accepted"
    assert put(here, DEFAULT, 6, 2) == "Accepted"
    own = schedule((0, 12), (900, 20), startSchedule=begin)
    assert put(here, TX, own, 3, kind="Absolute", transactionId=number) == "Accepted"
    for connector in (0, 1):
        start, periods = composite(here, 3000, connector)
        passed_s = int((start - datetime.fromisoformat(begin)).total_seconds())
        assert periods == [(0, 12), (600 - passed_s, 9), (1200 - passed_s, 20)]
    offers(here, 12)


def test_a_composite_schedule_goes_on_from_where_a_running_charge_is(bay):
    here = bay()
    assert put(here, DEFAULT, schedule((0, 10), (600, 16), duration=1200)) == "Accepted"
    # Before the charge it is that of a charge which begins now.
    assert composite(here, 1800)[1] == [(0, 10), (600, 16), (1200, 32)]
    here.charge(CARD)
    begin_s = here.box.state()["session"]["duration_s"]
    first, second, third = composite(here, 1800)[1]
    end_s = here.box.state()["session"]["duration_s"]
    assert (first, second[1], third) == ((0, 10), 16, (second[0] + 600, 32))
    assert begin_s - 1 <= 600 - second[0] <= end_s + 1


def test_a_composite_schedule_of_what_is_not_there_is_refused(bay):
    here = bay(ocpp={"ChargingScheduleAllowedChargingRateUnit": "Current"})
    for payload in ({"duration": 0}, {"duration": 60, "chargingRateUnit": "W"}):
        assert here.say("GetCompositeSchedule", connectorId=1, **payload) == "Rejected"
    for action, payload in (
        ("GetCompositeSchedule", {"connectorId": 2, "duration": 60}),
        ("SetChargingProfile", {"connectorId": 2, "csChargingProfiles": profile(DEFAULT, 10)}),
    ):
        with pytest.raises(CallFailed) as refused:
            here.csms.call(action, payload)
        assert refused.value.code == "PropertyConstraintViolation"


# -- what is allowed, and clearing -------------------------------------------------------------------------


# What is named, and the profiles that are left then.
CLEARINGS = (
    ({"id": 2}, {1, 3, 4}),
    ({"chargingProfilePurpose": DEFAULT}, {4}),
    ({"stackLevel": 1}, {1, 2}),
    ({"connectorId": 0}, {2, 3}),
    ({"connectorId": 1, "chargingProfilePurpose": DEFAULT, "stackLevel": 1}, {1, 2, 4}),
    ({}, set()),
)


def test_profiles_are_cleared_by_each_filter(bay):
    here = bay()
    for criteria, left in CLEARINGS:
        assert put(here, DEFAULT, 11, 1, 0, connector=0) == "Accepted"
        assert put(here, DEFAULT, 12, 2, 0) == "Accepted"
        assert put(here, DEFAULT, 13, 3, 1) == "Accepted"
        assert put(here, MOST, 14, 4, 1, connector=0) == "Accepted"
        here.until(lambda state: state["limits"].get("backend") == 13)
        assert here.say("ClearChargingProfile", id=9) == "Unknown"
        assert here.say("ClearChargingProfile", connectorId=1, chargingProfilePurpose=MOST) == "Unknown"
        assert here.say("ClearChargingProfile", **criteria) == "Accepted"
        assert here.say("ClearChargingProfile", **criteria) == "Unknown"
        # What is left decides: the connector's defaults by level, else that of all connectors, and the maximum.
        amps = next((amps for number, amps in ((3, 13), (2, 12), (1, 11), (4, 14)) if number in left), 32)
        here.until(lambda state, amps=amps: state["limits"].get("backend", 32) == amps)
        assert composite(here, 60)[1] == [(0, amps)]
        cleared = {number for number in (1, 2, 3, 4) if here.say("ClearChargingProfile", id=number) == "Accepted"}
        assert cleared == left


def test_too_many_periods_too_high_levels_and_nonsense_are_rejected_and_change_nothing(bay):
    here = bay(ocpp={"ChargingScheduleAllowedChargingRateUnit": "Current"})
    assert put(here, DEFAULT, 10, 1) == "Accepted"
    keys = ("ChargeProfileMaxStackLevel", "ChargingScheduleMaxPeriods")
    listed = here.csms.call("GetConfiguration", {"key": list(keys)})["configurationKey"]
    level, periods = (int(one["value"]) for one in sorted(listed, key=lambda one: one["key"]))
    refused = [
        profile(DEFAULT, 8, 2, level + 1),
        profile(DEFAULT, schedule(*((60 * n, 6 + n) for n in range(periods + 1))), 2),
        profile(DEFAULT, schedule((5, 8)), 2),
        profile(DEFAULT, schedule((0, 8), (60, 9), (60, 10)), 2),
        profile(DEFAULT, schedule((0, -1)), 2),
        profile(DEFAULT, schedule((0, 8, 4)), 2),
        profile(DEFAULT, schedule((0, 4_000), unit="W"), 2),
        profile(DEFAULT, 8, 2, validFrom=here.csms.in_seconds(60), validTo=here.csms.in_seconds(30)),
    ]
    for one in refused:
        assert here.say("SetChargingProfile", connectorId=1, csChargingProfiles=one) == "Rejected"
    assert composite(here, DAY_S)[1] == [(0, 10)]
    many = schedule(*((60 * n, 6 + n) for n in range(periods)))
    assert put(here, DEFAULT, many, 2, level) == "Accepted"
    assert len(composite(here, DAY_S)[1]) == periods


def test_the_installed_profiles_are_counted(bay):
    here = bay(ocpp={"MaxChargingProfilesInstalled": 3})
    for level in range(3):
        assert put(here, DEFAULT, 10 + level, level, level) == "Accepted"
    assert put(here, DEFAULT, 20, 7, 7) == "Rejected"
    assert composite(here, 60)[1] == [(0, 12)]
    # One in the place of another is none more.
    assert put(here, DEFAULT, 20, 7, 2) == "Accepted"
    assert composite(here, 60)[1] == [(0, 20)]


# -- remote start ------------------------------------------------------------------------------------------


def test_a_remote_start_brings_its_profile_along(bay):
    here = bay()
    here.plug()
    status = here.say("RemoteStartTransaction", connectorId=1, idTag=CARD, chargingProfile=profile(TX, 9))
    assert status == "Accepted"
    here.heard("Charging")
    offers(here, 9)
    saw(here, 9)
    here.leave()
    here.charge(CARD)
    offers(here, 32, "installer")


@pytest.mark.parametrize("wrong", [profile(DEFAULT, 9), profile(TX, 9, transactionId=1), profile(TX, 9, 1, 9)])
def test_a_remote_start_with_a_profile_that_is_not_allowed_is_rejected(bay, wrong):
    here = bay()
    here.plug()
    assert here.say("RemoteStartTransaction", connectorId=1, idTag=CARD, chargingProfile=wrong) == "Rejected"
    state = here.box.state()
    assert not state["session"]["active"] and "backend" not in state["limits"]
    here.tap(CARD)
    here.heard("Charging")
    offers(here, 32, "installer")


def test_a_profile_of_a_remote_start_that_nobody_used_is_forgotten(bay):
    here = bay(ocpp={"ConnectionTimeOut": 3})
    start = {"connectorId": 1, "idTag": CARD, "chargingProfile": profile(TX, 9)}
    assert here.say("RemoteStartTransaction", **start) == "Accepted"
    here.heard("Preparing")
    here.logged("authorisation_expired")
    here.charge(CARD)
    saw(here, 32)


# -- power, link, and the house ----------------------------------------------------------------------------


def test_profiles_survive_a_power_cut_but_for_those_of_the_transaction(bay):
    here = bay()
    assert put(here, MOST, 20, 1, connector=0) == "Accepted"
    assert put(here, DEFAULT, 10, 2) == "Accepted"
    number = here.charge(CARD)["id"]
    assert put(here, TX, 15, 3, transactionId=number) == "Accepted"
    offers(here, 15)
    # The second came soon after the first: it is written a minute later.
    here.passes(61)
    # Before there is a link again, so that nothing else could have told it.
    here.go_offline()
    here.restart_offline()
    state = offers(here, 10)
    assert not state["backend"]["connected"] and state["session"]["resumed"]
    here.go_online()
    assert here.csms.wait_for("StopTransaction").payload["reason"] == "PowerLoss"
    assert here.say("ClearChargingProfile", id=3) == "Unknown"
    assert here.say("ClearChargingProfile", id=2) == "Accepted"
    offers(here, 20)


def test_profiles_that_come_one_after_the_other_count_at_once_and_outlive_a_reset(bay):
    """All but the first are written before the restart only."""
    here = bay()
    here.charge(CARD)
    for amperes in range(20, 9, -1):
        assert put(here, DEFAULT, amperes, 1) == "Accepted"
    offers(here, 10)
    since = here.csms.mark()
    assert here.say("Reset", type="Soft") == "Accepted"
    here.csms.registered(since=since)
    here.ready()
    here.tap(CARD)
    offers(here, 10)


def test_profiles_go_on_without_a_link(bay):
    here = bay()
    here.charge(CARD)
    plan = schedule((0, 12), (1000, 8), startSchedule=here.csms.in_seconds(-990))
    assert put(here, DEFAULT, plan, kind="Absolute") == "Accepted"
    here.go_offline()
    assert not offers(here, 8)["backend"]["connected"]
    saw(here, 32, 12, 8)
    here.leave_offline()
    here.plug()
    here.tap(CARD)
    offers(here, 8)


def test_a_profile_that_flash_refuses_is_rejected_and_the_old_one_holds(bay):
    here = bay()
    assert put(here, DEFAULT, 10) == "Accepted"
    # What comes sooner is written later.
    here.passes(61)
    here.box.fault("flash_error")
    assert put(here, DEFAULT, 16) == "Rejected"
    assert put(here, MOST, 16, 2, connector=0) == "Rejected"
    here.box.clear("flash_error")
    assert composite(here, 60)[1] == [(0, 10)]
    here.restart()
    assert composite(here, 60)[1] == [(0, 10)]


def test_the_smaller_of_house_and_profile_wins_and_is_named(bay):
    here = bay({"load_optimisation": True, "meter_model": "pro380", "connection_a": 25})
    here.charge(CARD)
    assert put(here, DEFAULT, 16) == "Accepted"
    state = offers(here, 16)
    assert state["limits"]["meter"] == 25 and state["why"]["who"] == "backend"
    here.box.house(amps=[15, 2, 3])
    state = here.until(lambda state: state["limited_by"] == "meter" and 9 <= state["offered_a"] <= 10.5)
    assert state["limits"]["backend"] == 16 and state["why"]["who"] == "load optimisation"
    assert put(here, DEFAULT, 7) == "Accepted"
    state = offers(here, 7)
    assert state["limits"]["meter"] > 7 and state["why"]["code"] == "charging_backend"
    # And what the central system asks for itself is what is offered, not what it allowed.
    assert here.say("ClearChargingProfile") == "Accepted"
    here.until(lambda state: state["limited_by"] == "meter" and "backend" not in state["limits"])


def test_meter_values_tell_what_a_profile_leaves(bay):
    here = bay(ocpp={"MeterValuesSampledData": "Current.Offered,Power.Offered", "MeterValueSampleInterval": 0})
    here.charge(CARD)
    assert put(here, DEFAULT, 10) == "Accepted"
    offers(here, 10)
    assert here.say("TriggerMessage", requestedMessage="MeterValues", connectorId=1) == "Accepted"
    sampled = here.csms.wait_for("MeterValues").payload["meterValue"][0]["sampledValue"]
    values = {one["measurand"]: float(one["value"]) for one in sampled}
    assert values["Current.Offered"] == 10 and values["Power.Offered"] == 6_900


def test_the_central_system_may_ask_why_a_charge_is_limited(bay):
    here = bay()
    here.charge(CARD)
    assert put(here, DEFAULT, 0) == "Accepted"
    here.heard("SuspendedEVSE")
    answer = here.csms.call("DataTransfer", {"vendorId": "wallbox", "messageId": "why"})
    assert answer["status"] == "Accepted" and "limit_backend" in answer["data"]
