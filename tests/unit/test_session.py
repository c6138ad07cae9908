"""The one session: who may charge, since when, how much, and what is stored of it when (R2, R3, R7, R43)."""

import asyncio

from virtual_time import Log, VirtualTime

from wallbox.charging.session import POWER_LOSS, STOPPED_BY_CARD, STOPPED_REMOTELY, UNPLUGGED, UNSEEN, Session

WRAP_MWH = 1 << 30


class Clock:
    def __init__(self):
        self.now_ms = 0

    def ticks_ms(self):
        return self.now_ms

    def uptime_s(self):
        return self.now_ms // 1000

    def utc_s(self):
        return 1767225600


class Store:
    """Notes what it is told; `record` is what a power cut left."""

    def __init__(self, record=None):
        self.record = record
        self.calls = []

    def current(self):
        return self.record

    def open(self, record):
        self.calls.append(("open", record))
        return 41

    def checkpoint(self, wh, seconds, told=False):
        self.calls.append(("told" if told else "checkpoint", wh, seconds))

    def close(self, reason, wh, seconds):
        self.calls.append(("close", reason, wh, seconds))


class Rig:
    def __init__(self, access=False, record=None):
        self.clock = Clock()
        self.store = Store(record)
        self.log = Log()
        self.changes = 0
        settings = {"access_control": access, "authorisation_timeout_s": 60}
        self.session = Session(self.clock, settings, self.store, self.log, self._changed)
        self.counter = 500
        self.session.begin(0)

    def _changed(self):
        self.changes += 1

    def step(self, connected, ms=10, known=True, charging=False, mwh=0):
        """A control step so many ms later, with so much more energy."""
        self.clock.now_ms += ms
        self.counter = (self.counter + mwh) % WRAP_MWH
        self.changes = 0
        self.session.update(self.clock.now_ms, connected, known, self.counter, charging)
        return self

    def store_changes(self):
        self.session._store_changes()
        return self

    def ended(self):
        self.store_changes()
        return [call for call in self.store.calls if call[0] == "close"]


def flags(session):
    return (session.active, session.recorded, session.authorised, session.waiting)


def test_a_new_session_is_none():
    session = Rig().session
    assert flags(session) == (False, False, False, False)
    assert (session.id_tag, session.stop_reason, session.resumed, session.energy_mwh) == (None, None, False, 0)
    assert session.duration_s() == 0
    assert session.authorisation_left_s() is None
    assert not session.needs_card
    assert [timer.running for timer in session.timers] == [False, False, False]


def test_a_new_box_stores_nothing_and_waits_for_nothing():
    rig = Rig()
    rig.step(False).store_changes()
    assert rig.store.calls == [] and rig.log.entries == [] and rig.changes == 0


def test_without_access_control_plugging_in_opens_a_session_that_is_stored_before_it_counts():
    rig = Rig()
    rig.step(False)
    rig.step(True, ms=5000)
    assert flags(rig.session) == (True, False, True, False)
    assert rig.changes == 1
    assert rig.session._wake.is_set()
    assert not rig.session.needs_card
    rig.changes = 0
    rig.store_changes()
    assert rig.store.calls == [("open", {"id_tag": None, "start_utc": 1767225600})]
    assert rig.log.entries == [("info", "started", "session 41 started")]
    assert rig.session.recorded
    assert rig.changes == 1
    rig.store_changes()
    assert len(rig.store.calls) == 1


def test_energy_and_time_of_a_session_are_its_own():
    rig = Rig()
    rig.step(False, mwh=9999)
    rig.step(True, ms=5000, mwh=77)
    assert rig.session.energy_mwh == 0
    rig.step(True, ms=3000, mwh=2_000_000)
    rig.step(True, ms=4999, mwh=500_999)
    assert rig.session.energy_mwh == 2_500_999
    assert rig.session.duration_s() == 8
    rig.step(False, mwh=1)
    assert rig.ended() == [("close", UNPLUGGED, 2501, 8)]
    assert rig.log.entries[-1] == ("info", "ended", "session ended (unplugged): 2501 Wh in 8 s")
    assert flags(rig.session) == (False, False, False, False)
    assert rig.session.duration_s() == 0
    rig.step(True, ms=5000, mwh=6)
    assert rig.session.energy_mwh == 0
    assert rig.session.duration_s() == 0


def test_the_counter_may_wrap():
    rig = Rig()
    rig.counter = WRAP_MWH - 10
    rig.step(True)
    rig.step(True, mwh=30)
    assert rig.session.energy_mwh == 30
    rig.step(True, mwh=WRAP_MWH - 1)
    assert rig.session.energy_mwh == WRAP_MWH + 29


def test_without_a_session_nothing_is_counted():
    rig = Rig(access=True)
    rig.step(True)
    rig.step(True, mwh=30)
    assert rig.session.energy_mwh == 0


def test_with_access_control_a_car_waits_for_its_card():
    rig = Rig(access=True)
    rig.step(True)
    assert flags(rig.session) == (False, False, False, False)
    assert rig.session.needs_card
    assert rig.session.authorise("04AA")
    assert flags(rig.session) == (True, False, True, False)
    assert rig.session.id_tag == "04AA"
    assert not rig.session.needs_card
    rig.store_changes()
    assert rig.store.calls[0][1]["id_tag"] == "04AA"
    assert not rig.session.authorise("04BB"), "one session at a time"
    assert rig.session.id_tag == "04AA"


def test_a_card_first_waits_60_s_for_the_car():
    rig = Rig(access=True)
    rig.step(False)
    rig.changes = 0
    assert rig.session.authorise("04AA")
    assert rig.changes == 1
    assert flags(rig.session) == (False, False, False, True)
    assert not rig.session.needs_card
    for ms, left in ((10, 60), (980, 60), (10, 59), (58_990, 1)):
        rig.step(False, ms=ms)
        assert rig.session.authorisation_left_s() == left, ms
    rig.step(True, ms=9)
    assert flags(rig.session) == (True, False, True, False)
    assert rig.session.authorisation_left_s() is None
    assert not rig.session.timers[0].running
    rig.step(True, ms=60_000)
    assert rig.session.id_tag == "04AA"


def test_an_unused_authorisation_expires_and_is_logged():
    rig = Rig(access=True)
    rig.session.authorise("04AA")
    rig.step(False, ms=59_990)
    assert rig.session.waiting
    assert rig.changes == 0
    rig.step(False, ms=10)
    assert not rig.session.waiting
    assert rig.session.id_tag is None
    assert rig.changes == 1
    rig.store_changes()
    assert rig.log.codes() == ["authorisation_expired"]
    rig.store_changes()
    assert len(rig.log.entries) == 1
    rig.step(True)
    assert rig.session.needs_card
    assert not rig.session.authorised


def test_who_authorises_may_say_how_long_the_car_may_take():
    rig = Rig(access=True)
    rig.step(False)
    assert rig.session.authorise("04AA", 5)
    assert rig.session.authorisation_left_s() == 5
    rig.step(False, ms=4_990)
    assert rig.session.waiting
    rig.step(False, ms=10)
    assert not rig.session.waiting and rig.session.id_tag is None


def test_held_back_no_session_begins():
    for access in (False, True):
        rig = Rig(access)
        rig.changes = 0
        rig.session.hold("out of service")
        assert rig.changes == 1 and rig.session._wake.is_set()
        rig.step(True)
        assert not rig.session.authorise("04AA")
        assert flags(rig.session) == (False, False, False, False)
        assert rig.session.id_tag is None
        rig.changes = 0
        rig.session.hold(None)
        assert flags(rig.session) == (not access, False, not access, False)
        assert rig.changes, "the loop has to look again"


def test_what_is_held_back_begins_once_when_it_may():
    rig = Rig()
    rig.session.hold(None)
    assert not rig.session.active, "without a car there is nothing to begin"
    rig.step(True).store_changes()
    rig.session.energy_mwh = 7
    rig.session.hold(None)
    assert rig.session.energy_mwh == 7, "a session that runs is not begun again"
    rig.session.hold("out of service")
    assert rig.session.active and rig.session.authorised, "it goes on"
    rig.step(False)
    rig.step(True).store_changes()
    assert not rig.session.active, "the next car has to wait"


def test_holding_back_drops_an_authorisation_in_waiting():
    rig = Rig(access=True)
    rig.step(False)
    rig.session.authorise("04AA")
    rig.session.hold("out of service")
    assert not rig.session.waiting and rig.session.id_tag is None
    rig.session.hold(None)
    rig.step(True)
    assert rig.session.needs_card


def test_while_an_end_is_being_stored_nothing_begins():
    rig = Rig()
    rig.step(True).store_changes()
    rig.session.hold("out of service")
    rig.step(False)
    rig.step(True)
    rig.session.hold(None)
    assert rig.session.id_tag is None and rig.session.stop_reason == UNPLUGGED
    assert rig.ended() == [("close", UNPLUGGED, 0, 0)]
    assert rig.session.active, "the car that came meanwhile"


def test_energy_that_is_told_outside_is_kept_first():
    rig = Rig()
    rig.session.keep_energy()
    rig.step(True).store_changes()
    rig.step(True, ms=3000, mwh=2_500_999)
    rig.session.keep_energy()
    assert rig.store.calls[1:] == [("told", 2500, 3)]
    rig.step(False)
    rig.session.keep_energy()
    assert len(rig.store.calls) == 2, "what ends is stored whole"


def test_it_expires_while_the_pilot_is_not_known_too():
    rig = Rig(access=True)
    rig.session.authorise("04AA")
    rig.step(False, ms=60_000, known=False)
    assert not rig.session.waiting


def test_while_the_pilot_is_not_known_no_car_comes_or_goes():
    rig = Rig()
    rig.step(True, known=False)
    assert not rig.session.active
    rig.step(True)
    rig.step(False, known=False)
    assert rig.session.authorised
    rig.step(False, known=False, mwh=500)
    assert rig.session.energy_mwh == 500


def test_unplugging_ends_the_session_and_its_authorisation():
    rig = Rig(access=True)
    rig.step(True)
    rig.session.authorise("04AA")
    rig.store_changes()
    rig.step(False)
    assert not rig.session.authorised
    assert rig.session.active, "until it is stored"
    assert rig.changes == 1
    for connected in (False, True, True, False, False):
        rig.step(connected)
        assert rig.changes == 0, "the end is told once"
    rig.changes = 0
    assert rig.ended() == [("close", UNPLUGGED, 0, 0)]
    assert rig.changes == 1
    assert rig.session.id_tag is None
    rig.step(True)
    assert rig.session.needs_card, "the next car never charges on the last one's card"


def test_a_car_that_comes_back_before_the_end_is_stored_gets_a_session_of_its_own():
    rig = Rig()
    rig.step(True).store_changes()
    rig.step(True, mwh=4000)
    rig.step(False)
    rig.step(True)
    assert not rig.session.authorised
    rig.session.authorise("04AA")
    assert rig.session.id_tag is None, "nothing is permitted while a session ends"
    rig.store_changes()
    assert rig.store.calls[-1] == ("close", UNPLUGGED, 4, 0)
    assert flags(rig.session) == (True, False, True, False)
    assert rig.session.energy_mwh == 0
    rig.store_changes()
    assert rig.store.calls[-1][0] == "open"


def test_with_access_control_a_car_that_comes_back_so_quickly_needs_a_card():
    rig = Rig(access=True)
    rig.step(True)
    rig.session.authorise("04AA")
    rig.store_changes()
    rig.step(False)
    rig.step(True)
    rig.store_changes()
    assert rig.store.calls[-1][1] == UNPLUGGED
    assert flags(rig.session) == (False, False, False, False)
    assert rig.session.needs_card
    rig.step(False)
    assert rig.session.stop_reason is None


def test_how_the_last_session_ended_is_kept_until_the_next_car():
    rig = Rig(access=True)
    rig.step(True)
    rig.session.authorise("04AA")
    rig.store_changes()
    rig.step(False).store_changes()
    rig.step(False)
    assert rig.session.stop_reason == UNPLUGGED
    rig.step(True)
    assert rig.session.stop_reason is None


def test_a_stop_asks_the_car_first_and_ends_when_the_charge_has():
    for stop, reason in ((lambda s: s.stop(), STOPPED_REMOTELY), (lambda s: s.stop(STOPPED_BY_CARD), STOPPED_BY_CARD)):
        rig = Rig()
        rig.step(True).store_changes()
        rig.changes = 0
        stop(rig.session)
        assert rig.changes == 1
        assert not rig.session.authorised
        assert rig.session.stop_reason == reason
        rig.step(True, charging=True)
        assert rig.ended() == []
        assert rig.session.active
        rig.step(True)
        assert rig.ended() == [("close", reason, 0, 0)]
        assert not rig.session.active
        rig.step(True)
        assert rig.ended() == [("close", reason, 0, 0)], "ended once"
        assert rig.session.stop_reason == reason
        assert rig.session.needs_card, "a stopped session does not begin again by itself"
        rig.step(False)
        assert rig.session.stop_reason is None
        rig.step(True)
        assert rig.session.active


def test_unplugged_after_a_stop_keeps_the_reason_of_the_stop():
    rig = Rig()
    rig.step(True).store_changes()
    rig.session.stop(STOPPED_BY_CARD)
    rig.step(False, charging=True)
    assert rig.ended() == [("close", STOPPED_BY_CARD, 0, 0)]


def test_a_second_stop_changes_no_reason():
    rig = Rig()
    rig.step(True)
    rig.session.stop(STOPPED_BY_CARD)
    rig.session.stop()
    assert rig.session.stop_reason == STOPPED_BY_CARD


def test_a_stop_takes_back_an_authorisation_in_waiting():
    rig = Rig(access=True)
    rig.session.authorise("04AA")
    rig.session.stop()
    assert not rig.session.waiting
    assert rig.session.id_tag is None
    assert not rig.session.timers[0].running
    assert rig.session.stop_reason is None
    rig.step(False, ms=60_000).store_changes()
    assert rig.log.entries == []


def test_a_new_session_forgets_how_the_last_one_stopped():
    rig = Rig(access=True)
    rig.step(True)
    rig.session.authorise("04AA")
    rig.store_changes()
    rig.session.stop(STOPPED_BY_CARD)
    rig.step(True)
    rig.store_changes()
    assert rig.session.authorise("04BB")
    assert rig.session.stop_reason is None
    assert rig.session.authorised
    rig.step(True)
    assert rig.session.authorised


RECORD = {"id_tag": "04AA", "energy_wh": 3000, "duration_s": 700}


def test_an_interrupted_session_goes_on_with_its_car():
    rig = Rig(access=True, record=RECORD)
    assert flags(rig.session) == (True, True, False, False)
    assert rig.session.resumed
    assert (rig.session.id_tag, rig.session.energy_mwh, rig.session.duration_s()) == ("04AA", 3_000_000, 700)
    assert rig.session.timers[1].running
    rig.step(True, ms=2000)
    assert flags(rig.session) == (True, True, True, False)
    assert rig.changes == 1
    assert not rig.session.timers[1].running
    rig.step(True, ms=8000, mwh=1000)
    assert rig.session.duration_s() == 710
    assert rig.session.energy_mwh == 3_001_000
    rig.store_changes()
    assert rig.store.calls == [], "neither opened twice nor closed"
    rig.step(False)
    assert rig.ended() == [("close", UNPLUGGED, 3001, 710)]
    rig.step(False)
    rig.session.authorise("04BB")
    rig.step(True)
    assert rig.session.duration_s() == 0


def test_an_interrupted_session_counts_its_time_from_its_start():
    rig = Rig(record=RECORD)
    rig.clock.now_ms = 30_000
    rig.session.begin(30_000)
    assert rig.session.duration_s() == 700


def test_an_interrupted_session_whose_car_left_ends_after_5_s():
    rig = Rig(record=RECORD)
    rig.step(False, ms=4990)
    assert rig.session.active and rig.ended() == []
    rig.step(False, ms=10)
    assert rig.ended() == [("close", POWER_LOSS, 3000, 705)]
    assert not rig.session.active
    rig.step(True, mwh=10)
    assert not rig.session.resumed


def test_an_interrupted_session_waits_for_a_known_pilot():
    rig = Rig(record=RECORD)
    rig.step(False, ms=9000, known=False)
    assert rig.session.active and rig.ended() == []
    rig.step(True)
    assert rig.session.authorised


def test_the_task_stores_changes_at_once_and_looks_for_a_checkpoint_once_a_minute():
    time = VirtualTime()
    rig = Rig()
    beats = []

    async def story():
        task = asyncio.create_task(rig.session.run(beats.append))
        await asyncio.sleep_ms(10)
        rig.step(True)
        await asyncio.sleep_ms(10)
        assert rig.store.calls == [("open", {"id_tag": None, "start_utc": 1767225600})]
        assert not rig.session._wake.is_set()
        rig.step(True, ms=30_000, mwh=5_999)
        began = time.now_ms
        await asyncio.sleep_ms(59_900)
        assert len(rig.store.calls) == 1
        await asyncio.sleep_ms(200)
        assert rig.store.calls[1:] == [("checkpoint", 5, 30)]
        await asyncio.sleep_ms(120_000)
        assert len(rig.store.calls) == 4
        assert time.now_ms - began < 181_000
        rig.step(False)
        await asyncio.sleep_ms(10)
        assert rig.store.calls[-1][0] == "close"
        count = len(rig.store.calls)
        await asyncio.sleep_ms(130_000)
        assert len(rig.store.calls) == count, "no checkpoint without a session"
        task.cancel()

    asyncio.run(story())
    assert set(beats) == {120_000}


def test_no_checkpoint_while_a_session_ends():
    rig = Rig()
    rig.step(True).store_changes()
    rig.step(False)
    rig.session._checkpoint()
    assert rig.store.calls[-1][0] == "open"


def test_who_listens_hears_of_each_begin_and_end():
    rig = Rig()
    told = []
    rig.session.listeners.append(told.append)
    rig.step(True).store_changes()
    assert told == [True]
    rig.step(True, 5_000).step(False).store_changes()
    assert told == [True, False]


def test_who_listens_hears_of_a_session_taken_up_after_a_power_cut():
    record = {"id": 7, "id_tag": None, "energy_wh": 100, "duration_s": 60}
    rig = Rig(record=record)
    told = []
    session = Session(
        rig.clock, {"access_control": False, "authorisation_timeout_s": 60}, rig.store, rig.log, lambda: None
    )
    session.listeners.append(told.append)
    session.begin(0)
    assert told == [True]


def test_an_interrupted_session_waits_anew_for_each_time_that_the_pilot_is_not_known():
    rig = Rig(record=dict(RECORD, id_tag=None))
    for _ in range(3):
        rig.step(False, 5_500, known=False)
    # Known again, without a car: five seconds from the last time that it could not be told.
    rig.step(False, 4_990)
    assert rig.ended() == [] and rig.session.active
    rig.step(False, 10)
    assert rig.ended() == [("close", POWER_LOSS, 3000, 721)]


def test_an_interrupted_session_waits_no_longer_for_a_pilot_that_is_known_in_time():
    rig = Rig(record=RECORD)
    rig.step(False, 4_000, known=False)
    rig.step(False, 990)
    assert rig.ended() == []
    rig.step(False, 10)
    assert rig.ended() == [("close", POWER_LOSS, 3000, 705)]


def test_a_pilot_that_is_not_known_starts_no_wait_for_an_interrupted_session_where_there_is_none():
    rig = Rig()
    rig.step(False, known=False)
    assert not rig.session.timers[1].running
    rig.step(True).step(True, known=False)
    assert not rig.session.timers[1].running
    rig.step(True, 6_000)
    assert rig.ended() == [] and rig.session.authorised


def test_a_permission_ends_5_s_after_its_car_was_seen_last():
    rig = Rig(access=True)
    rig.step(True)
    rig.session.authorise("04AA")
    rig.store_changes()
    rig.step(True, known=False)
    rig.step(True, 4_990, known=False)
    assert rig.ended() == [] and rig.session.authorised
    rig.step(True, 10, known=False)
    assert rig.ended() == [("close", UNSEEN, 0, 5)]
    assert not rig.session.authorised


def test_a_permission_that_waits_for_its_car_outlasts_what_hides_the_plug_and_moves_nothing():
    rig = Rig(access=True)
    rig.step(False)
    rig.session.authorise("04AA")
    for _ in range(10):
        rig.step(False, 1_000, known=False)
        assert rig.changes == 0, "the loop may rest"
    rig.step(True)
    assert rig.session.authorised and rig.session.id_tag == "04AA"
