"""What a firmware on trial is asked: what is wrong keeps it from being kept, what was wrong before does not."""

import asyncio
import json

from storage_help import scratch
from virtual_time import Record, VirtualTime

from journal import Journal
from loader import record as records
from wallbox.protection.faults import NO_CLOSE, PILOT_FEEDBACK, PILOT_LEVEL, RESIDUAL_CURRENT, STORAGE, WELD
from wallbox.storage.store import Store
from wallbox.update import health
from wallbox.update.health import Health


class Faults:
    def __init__(self, *active):
        self.active = 0
        for fault in active:
            self.active |= 1 << fault

    def is_active(self, fault):
        return bool(self.active & 1 << fault)


class Watch:
    name = "meter"
    restarts = 0
    is_late = False

    def late(self, _now):
        return self.is_late


class Rig:
    """A healthy firmware; `health.ill()` is asked after something is changed."""

    def __init__(self, *inherited):
        self.watch = Watch()
        self.entries = []
        self.app = Record(
            clock=Record(ticks_ms=lambda: 0),
            supervisor=Record(watches=[self.watch]),
            control=Record(late=7),
            faults=Faults(*inherited),
            snapshot=Record(starting=False, high_mv=12_000, low_mv=12_000, contactor_live=0, contactor_commanded=False),
            ble=Record(on_air=True),
            log=Record(since=lambda _sequence: self.entries, add=lambda *_, **__: None),
            folder="/no-flash",
            update=Record(record=Record(version="2")),
        )
        self.health = Health(self.app)
        self.saved = []

    def ill(self):
        save = Store.save
        Store.save = lambda _store, value: self.saved.append(value)
        try:
            return self.health.ill()
        finally:
            Store.save = save


def test_a_healthy_firmware_writes_to_flash_once_and_is_well():
    rig = Rig()
    assert [rig.ill() for _ in range(3)] == [None, None, None]
    assert rig.saved == ["2"]


def test_a_task_that_is_late_or_was_restarted_is_named_and_may_recover():
    rig = Rig()
    rig.watch.is_late = True
    assert rig.ill() == "task meter is late"
    rig.watch.is_late = False
    rig.watch.restarts = 1
    assert "died" in rig.ill()
    assert rig.ill() is None, "it has come back"


def test_a_loop_that_is_late_now_and_then_is_well_and_one_that_is_late_again_and_again_is_not():
    rig = Rig()
    for late, well in ((3, True), (4, False), (0, True)):
        rig.app.control.late += late
        assert (rig.ill() is None) == well, late


def test_faults_of_sensing_and_driving_count_unless_they_were_there_before():
    for fault in (PILOT_FEEDBACK, PILOT_LEVEL, NO_CLOSE, WELD):
        rig = Rig()
        rig.app.faults = Faults(fault)
        assert rig.ill(), fault
        rig = Rig(fault)
        assert rig.ill() is None, fault
    rig = Rig()
    rig.app.faults = Faults(RESIDUAL_CURRENT)
    assert rig.ill() is None, "a car or the house may leak at any time"


def test_what_is_measured_must_be_possible():
    for name, value, word in (
        ("high_mv", 14_000, "pilot"),
        ("low_mv", -14_000, "pilot"),
        ("high_mv", -13_600, "pilot"),
        ("contactor_live", 1, "live"),
        ("starting", True, "state"),
    ):
        rig = Rig()
        setattr(rig.app.snapshot, name, value)
        assert word in rig.ill(), name
    rig = Rig()
    rig.app.snapshot.contactor_live = 7
    rig.app.snapshot.contactor_commanded = True
    assert rig.ill() is None
    # A weld of before is live without a command.
    rig = Rig(WELD)
    rig.app.snapshot.contactor_live = 1
    assert rig.ill() is None


def test_a_radio_that_is_silent_a_flash_that_refuses_and_settings_that_are_lost_count():
    rig = Rig()
    rig.app.ble.on_air = False
    assert "radio" in rig.ill()
    rig = Rig()
    rig.app.faults = Faults(STORAGE)
    assert rig.ill()
    rig = Rig()
    assert "refuses to write" in rig.health.ill(), "there is no such folder"
    for text, well in (("settings: copy 0 damaged", False), ("cards: no", False), ("cars: copy 0 damaged", True)):
        rig = Rig()
        rig.entries.append({"code": "value_lost", "text": text})
        assert (rig.ill() is None) == well, text


# -- how it ends --------------------------------------------------------------------------------------


def ended(state="idle", **fields):
    """What is told of an update that ended before this start -> (rig, entries of the security log, updates told)."""
    rig = Rig()
    record = records.Record()
    for name, value in fields.items():
        setattr(record, name, value)
    update = Record(state=state, record=record, slot=1)
    rig.app.security = Journal(scratch("health"), "security", 4)
    rig.app.clock.utc_iso = lambda: None
    rig.app.clock.uptime_s = lambda: 5
    updated = []
    rig.app.backend = Record(firmware_updated=updated.append)
    kept = []
    asyncio.run(health.run(rig.app, update, Record(save=kept.append), None))
    assert records.unpack(kept[-1]).told
    return [json.loads(entry) for entry in rig.app.security.records()], updated


def test_a_firmware_that_is_kept_or_given_up_stands_in_the_security_log_and_is_told_to_the_central_system():
    noted, updated = ended(ended=records.COMMITTED, version="2.0")
    assert [(entry["what"], entry["role"], entry["result"]) for entry in noted] == [("firmware", "wallbox", "kept 2.0")]
    assert updated == ["2.0 is healthy and stays"]
    noted, updated = ended(ended=records.ROLLED_BACK, version="2.0", reason="the radio cannot be found")
    assert noted[0]["result"] == "given up 2.0: the radio cannot be found" and updated == []


def test_a_record_that_cannot_be_read_is_a_reason_not_to_keep_the_firmware():
    rig = Rig()
    before, health.load_record = health.load_record, lambda: None
    try:
        assert "cannot be read" in health._commit(rig.app.update, None)
    finally:
        health.load_record = before


class Restarted(Exception):
    pass


def test_a_trial_ends_though_the_proof_itself_dies_again_and_again():
    rig = Rig()
    time = VirtualTime()
    rig.app.clock = Record(ticks_ms=time.ticks_ms, poll=time.poll, uptime_s=lambda: time.now_ms // 1_000)
    rig.app.backend = Record(keep=lambda: None)
    update = Record(state=health.TRIAL, record=records.Record(), slot=1)
    saved, deaths = [], []

    def restart(reason):
        raise Restarted(reason)

    rig.app.restart = restart
    ill, health.Health.ill = health.Health.ill, lambda _self: None
    before, health._commit = health._commit, lambda *_: {}["a mistake"]

    async def supervised():
        while True:
            try:
                await health.run(rig.app, update, Record(save=saved.append), lambda _ms: None)
            except KeyError:
                # As the supervisor does it.
                deaths.append(time.now_ms)
                await asyncio.sleep_ms(1_000)

    try:
        asyncio.run(supervised())
    except Restarted:
        assert 400_000 <= time.now_ms < 402_000, time.now_ms
        assert len(deaths) > 3 and "looked after" in records.unpack(saved[-1]).reason
    else:
        raise AssertionError("it never ended")
    finally:
        health.Health.ill, health._commit = ill, before


def test_a_header_that_cannot_be_read_any_more_is_a_reason_not_to_keep_the_firmware():
    before, health.load_record = health.load_record, records.Record

    def read(_slot, _offset, buf):
        buf[:] = bytes(len(buf))

    try:
        reason = health._commit(Record(slot=1), Record(read=read))
    finally:
        health.load_record = before
    assert "refuses" in reason and "WBX1" in reason
