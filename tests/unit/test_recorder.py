"""The fault recorder: which samples make a trip, and what is left of it over power cuts (R34)."""

import gc

import micropython
from storage_help import Log, cut_everywhere, read, scratch, write
from virtual_time import Record

from wallbox.protection import recorder as module
from wallbox.protection.faults import DIODE, OVER_CURRENT, PE_LOST, SHORT_CIRCUIT, WELD
from wallbox.protection.recorder import FaultRecorder
from wallbox.storage.store import read_copy, write_copy

C2 = 5


class Clock:
    def __init__(self):
        self.ms = 50_000
        self.utc = 1_800_000_000

    def ticks_ms(self):
        return self.ms

    def uptime_ms(self):
        return self.ms

    def uptime_s(self):
        return self.ms // 1000

    def utc_s(self):
        return self.utc


class Rig:
    """A recorder and all that it looks at; the current of L1 counts the steps, so that a sample can be told."""

    def __init__(self, folder, log=None, red=0):
        self.clock = Clock()
        self.faults = Record(red=red)
        self.rcm = Record(dc_ua=1_230, ac_ua=4_560)
        self.view = Record(
            high_mv=6_010,
            low_mv=-11_990,
            currents_ma=[0, 16_000, 15_990],
            offered_ma=16_250,
            contactor_commanded=True,
            contactor_live=0b111,
        )
        self.log = log or Log()
        self.recorder = FaultRecorder(self.clock, self.rcm, self.faults, self.view)
        self.recorder.attach(folder, self.log)

    def steps(self, count, period_ms=10):
        for _ in range(count):
            self.clock.ms += period_ms
            self.view.currents_ma[0] += 10
            self.recorder.note(self.clock.ms, C2)

    def trip(self, fault):
        """The fault is raised in the next step, goes with the one after the trip, and housekeeping comes."""
        self.faults.red |= 1 << fault
        self.steps(1)
        self.steps(100)
        self.faults.red &= ~(1 << fault)
        self.steps(12)
        self.recorder.save()

    def faults_told(self):
        return [trip["fault"] for trip in self.recorder.status()]

    def rows(self, index=0):
        return list(self.recorder.samples(index))


def fresh(name, **options):
    return Rig(scratch("recorder-" + name), **options)


def test_a_trip_holds_2_s_before_and_1_s_after_in_steps_of_20_ms():
    rig = fresh("window")
    rig.steps(900)
    rig.view.contactor_commanded = False
    rig.trip(PE_LOST)
    rows = rig.rows()
    times = [row[0] for row in rows]
    assert -2_020 <= times[0] <= -2_000 and 1_000 <= times[-1] < 1_250, times
    assert 0 in times
    gaps = [after - before for before, after in zip(times, times[1:])]
    assert all(10 <= gap <= 20 for gap in gaps) and gaps.count(20) >= len(gaps) - 2, gaps
    trigger = rows[times.index(0)]
    assert trigger == (0, 6_010, -11_990, 1_230, 4_560, 9_010, 16_000, 15_990, 16_250, C2 << 4 | 7)
    for row in rows:
        assert row[5] - trigger[5] == row[0], "a sample has values of its own time"


def test_the_list_tells_fault_and_time_of_the_trigger():
    rig = fresh("list")
    rig.steps(10)
    rig.trip(DIODE)
    assert rig.recorder.status() == [
        {"sequence": 1, "utc": "2027-01-15T07:59:59Z", "uptime_ms": 50_110, "fault": "diode"}
    ]
    rig.clock.utc = None
    rig.trip(OVER_CURRENT)
    trips = rig.recorder.status()
    assert [trip["sequence"] for trip in trips] == [2, 1]
    assert trips[0]["utc"] is None and trips[0]["fault"] == "over_current"


def test_a_sample_stands_until_the_next_when_ticks_are_left_out():
    rig = fresh("rest")
    rig.steps(3, 45_000)
    rig.steps(1, 1_700)
    rig.steps(1, 30)
    rig.trip(PE_LOST)
    assert [row[0] for row in rig.rows()[:5]] == [-46_740, -1_740, -40, -10, 0]


def test_a_step_within_20_ms_brings_the_newest_sample_up_to_date():
    rig = fresh("update")
    rig.steps(2, 5_000)
    rig.steps(1, 10)
    rig.steps(1, 3_000)
    rig.trip(PE_LOST)
    rows = rig.rows()
    assert [row[0] for row in rows[:3]] == [-3_010, -10, 0]
    assert rows[0][5] == 30


def test_a_second_red_fault_within_the_second_belongs_to_the_same_trip():
    rig = fresh("second")
    rig.steps(300)
    rig.faults.red = 1 << OVER_CURRENT
    rig.steps(50)
    rig.faults.red |= 1 << PE_LOST
    rig.steps(65)
    rig.recorder.save()
    assert rig.faults_told() == ["over_current"]
    rig.steps(300)
    rig.recorder.save()
    assert rig.faults_told() == ["over_current"], "a fault that stays is no new trip"


def test_a_red_fault_after_the_second_is_a_trip_of_its_own_even_before_the_first_is_taken_over():
    rig = fresh("soon")
    rig.steps(300)
    rig.faults.red = 1 << OVER_CURRENT
    rig.steps(105)
    rig.faults.red |= 1 << PE_LOST
    rig.steps(10)
    rig.recorder.save()
    rig.steps(100)
    rig.recorder.save()
    assert rig.faults_told() == ["pe_lost", "over_current"]
    for index in (0, 1):
        times = [row[0] for row in rig.rows(index)]
        assert times[0] <= -2_000 and 0 in times and times[-1] >= 1_000, times
    assert rig.recorder.status()[0]["uptime_ms"] - rig.recorder.status()[1]["uptime_ms"] == 1_050


def test_a_fault_that_comes_back_is_a_new_trip():
    rig = fresh("again")
    rig.steps(10)
    rig.trip(PE_LOST)
    rig.trip(PE_LOST)
    assert rig.faults_told() == ["pe_lost", "pe_lost"]


def test_a_fault_of_before_the_start_is_no_trip():
    rig = fresh("start", red=1 << WELD)
    rig.steps(200)
    rig.recorder.save()
    assert rig.faults_told() == []
    rig.trip(DIODE)
    assert rig.faults_told() == ["diode"]


def test_a_fault_in_the_first_step_is_recorded_without_a_past():
    rig = fresh("first")
    rig.trip(DIODE)
    assert rig.faults_told() == ["diode"]
    times = [row[0] for row in rig.rows()]
    assert times[0] == 0 and times[-1] >= 1_000


def test_values_beyond_16_bits_are_cut_and_negative_voltages_kept():
    rig = fresh("range")
    rig.view.high_mv = -12_345
    rig.view.currents_ma = [0, 700_000, 120_000]
    rig.rcm.dc_ua = 900_000
    rig.trip(SHORT_CIRCUIT)
    row = rig.rows()[0]
    assert row[1:5] == (-12_345, -11_990, 655_350, 4_560)
    assert row[6:8] == (655_350, 120_000)


def test_only_the_newest_four_trips_are_kept():
    folder = scratch("recorder-four")
    rig = Rig(folder)
    for count in range(11):
        rig.trip((PE_LOST, DIODE, WELD)[count % 3])
    assert [trip["sequence"] for trip in rig.recorder.status()] == [11, 10, 9, 8]
    again = Rig(folder)
    assert again.recorder.status() == rig.recorder.status()
    for index in range(4):
        assert again.rows(index) == rig.rows(index)
    try:
        again.rows(4)
    except IndexError:
        pass
    else:
        raise AssertionError("a fifth trip")
    again.trip(PE_LOST)
    assert again.recorder.status()[0]["sequence"] == 12


def test_a_damaged_record_is_reported_and_costs_itself_only():
    folder = scratch("recorder-damaged")
    rig = Rig(folder)
    for _ in range(3):
        rig.trip(PE_LOST)
    data = bytearray(read(folder + "/trip.2"))
    data[1000] ^= 1
    write(folder + "/trip.2", data)
    try:
        rig.rows(1)
    except ValueError as error:
        assert "damaged" in str(error)
    else:
        raise AssertionError("a damaged record was read")
    again = Rig(folder)
    assert again.log.codes() == ["copy_lost"]
    assert [trip["sequence"] for trip in again.recorder.status()] == [3, 1]
    assert len(again.rows(1)) > 50


def test_a_record_torn_in_the_writing_leaves_the_four_before_it():
    folder = scratch("recorder-torn")
    rig = Rig(folder)
    for _ in range(9):
        rig.trip(PE_LOST)
    write(folder + "/trip.4", read(folder + "/trip.4")[:1_000])
    assert [trip["sequence"] for trip in Rig(folder).recorder.status()] == [8, 7, 6, 5]


def test_a_flash_that_refuses_is_logged_once_and_the_trip_waits_in_ram():
    rig = Rig("/there/is/no/such/folder")
    rig.steps(300)
    rig.trip(DIODE)
    rows = rig.rows()
    for _ in range(1_000):
        rig.steps(25)
        rig.recorder.save()
    assert rig.log.codes() == ["flash_refused"]
    assert rig.faults_told() == ["diode"] and rig.rows() == rows
    folder = scratch("recorder-works-again")
    rig.recorder._path = folder + "/trip."
    for _ in range(4 * 61):
        rig.steps(25)
        rig.recorder.save()
    again = Rig(folder)
    assert again.faults_told() == ["diode"] and again.rows() == rows


def test_the_next_trip_replaces_one_that_flash_refused_and_none_of_those_on_flash():
    folder = scratch("recorder-replaced")
    rig = Rig(folder)
    for _ in range(4):
        rig.trip(PE_LOST)
    rig.recorder._path = "/there/is/no/such/folder"
    rig.trip(DIODE)
    rig.trip(OVER_CURRENT)
    assert rig.faults_told() == ["over_current"] + ["pe_lost"] * 4
    assert rig.rows()[0][0] < 0
    rig.recorder._path = folder + "/trip."
    rig.steps(6_100)
    rig.recorder.save()
    assert rig.faults_told() == ["over_current"] + ["pe_lost"] * 3
    assert Rig(folder).recorder.status() == rig.recorder.status()


def test_a_power_cut_at_any_write_loses_no_trip_that_was_written():
    def prepare(folder):
        rig = Rig(folder)
        for _ in range(6):
            rig.trip(PE_LOST)
        return {"rig": rig, "trips": rig.recorder.status(), "rows": [rig.rows(index) for index in range(4)]}

    def run(_folder, state):
        state["rig"].trip(DIODE)

    def check(folder, state):
        rig = Rig(folder)
        trips = rig.recorder.status()
        new = len([trip for trip in trips if trip["fault"] == "diode"])
        assert trips[new:] == state["trips"][: 4 - new], (trips, rig.log.text())
        for index in range(new, 4):
            assert rig.rows(index) == state["rows"][index - new]
        assert not new or len(rig.rows()) > 100
        assert not rig.log.entries, rig.log.text()

    assert cut_everywhere(prepare, run, check) > 10


def test_a_step_allocates_nothing():
    rig = fresh("locked")
    note = rig.recorder.note
    micropython.heap_lock()
    try:
        for tick in range(1_000):
            if tick == 300:
                rig.faults.red = 1
            note(tick * 10, C2)
    finally:
        micropython.heap_unlock()
    rig.recorder.save()
    assert len(rig.recorder.status()) == 1


def test_taking_over_and_writing_a_trip_needs_less_than_8_kb_of_heap():
    rig = fresh("heap")
    rig.steps(400)
    rig.faults.red = 1
    rig.steps(120)
    gc.collect()
    gc.disable()
    try:
        before = gc.mem_alloc()
        rig.recorder.save()
        taken = gc.mem_alloc() - before
    finally:
        gc.enable()
    assert 3_000 < taken < 8 * 1024, taken


def test_a_trip_is_complete_one_second_after_its_trigger():
    rig = fresh("complete")
    rig.steps(300)
    rig.faults.red = 1 << DIODE
    rig.steps(100)
    rig.recorder.save()
    assert rig.faults_told() == []
    rig.steps(1)
    rig.recorder.save()
    assert rig.faults_told() == ["diode"]
    times = [row[0] for row in rig.rows()]
    # The first sample is the newest that is 2 s old or more.
    assert (times[0], times[-1]) == (-2_010, 1_000), times


def test_a_sample_of_just_two_seconds_before_is_the_first_one():
    rig = fresh("exact")
    rig.steps(10)
    rig.steps(100, 1_000)
    rig.trip(DIODE)
    times = [row[0] for row in rig.rows()]
    assert times[0] == -2_010 and times[1] == -1_010, times[:3]
    rig = fresh("exact-2")
    rig.steps(10)
    rig.steps(100, 1_000)
    rig.faults.red = 1 << DIODE
    rig.steps(1, 1_000)
    rig.steps(101)
    rig.recorder.save()
    times = [row[0] for row in rig.rows()]
    assert times[:3] == [-2_000, -1_000, 0], times[:3]


def test_a_trip_of_a_young_box_holds_its_own_samples_only():
    rig = fresh("young")
    rig.steps(4)
    rig.trip(DIODE)
    times = [row[0] for row in rig.rows()]
    assert times == sorted(times) and times[0] >= -40 and times[-1] == 1_120, times
    assert len(times) < 65


def test_a_trip_that_is_taken_over_late_holds_what_the_ring_still_has():
    rig = fresh("late")
    rig.steps(600)
    rig.faults.red = 1 << DIODE
    rig.steps(101)
    rig.steps(150)
    rig.recorder.save()
    rows = rig.rows()
    assert len(rows) == 166
    times = [row[0] for row in rows]
    assert times == sorted(times) and times[-1] == 2_500 and times[0] < -700, (times[0], times[-1])


def test_the_time_of_a_trip_is_that_of_its_trigger_however_late_it_is_taken_over():
    rig = fresh("utc")
    rig.steps(10)
    rig.faults.red = 1 << DIODE
    rig.steps(1)
    rig.steps(200)
    rig.recorder.save()
    assert rig.recorder.status()[0]["utc"] == "2027-01-15T07:59:58Z"
    assert rig.recorder.status()[0]["uptime_ms"] == 50_110


def test_an_unknown_time_stays_unknown_also_for_a_trip_that_is_taken_over_at_once():
    rig = fresh("no-utc")
    rig.clock.utc = None
    rig.steps(10)
    rig.faults.red = 1 << DIODE
    rig.steps(1)
    rig.steps(300)
    rig.recorder.save()
    assert rig.recorder.status()[0]["utc"] is None


def test_a_sample_tells_state_command_and_poles_apart():
    rig = fresh("bits")
    rig.view.contactor_live = 0b010
    rig.steps(1)
    rig.clock.ms += 10
    rig.faults.red = 1 << DIODE
    rig.recorder.note(rig.clock.ms, 4)
    rig.steps(101)
    rig.recorder.save()
    trigger = [row for row in rig.rows() if row[0] == 0][0]
    assert trigger[-1] == 4 << 4 | 8 | 0b010, trigger


def test_records_carry_their_version_and_those_of_another_are_left_alone():
    folder = scratch("recorder-version")
    rig = Rig(folder)
    rig.trip(DIODE)
    found = read_copy(folder + "/trip.1")
    assert found[:2] == (1, 1)
    write_copy(folder + "/trip.2", 2, 2, found[2])
    write_copy(folder + "/trip.3", 0, 3, found[2])
    again = Rig(folder)
    assert [trip["sequence"] for trip in again.recorder.status()] == [1]
    assert again.log.codes() == []


def test_a_refused_trip_is_tried_again_after_a_minute_and_a_later_refusal_is_logged_again():
    rig = fresh("retry")
    tries = []
    works = []

    def write(path, version, sequence, payload):
        tries.append(rig.clock.uptime_s())
        if not works:
            raise OSError(5)

    former = module.write_copy
    module.write_copy = write
    try:
        rig.trip(DIODE)
        for _ in range(240):
            rig.steps(50)
            rig.recorder.save()
        assert [second - tries[0] for second in tries] == [0, 60, 120], tries
        works.append(True)
        for _ in range(130):
            rig.steps(50)
            rig.recorder.save()
        assert len(tries) == 4 and rig.log.codes() == ["flash_refused"]
        works.clear()
        rig.trip(PE_LOST)
        assert rig.log.codes() == ["flash_refused", "flash_refused"]
    finally:
        module.write_copy = former


def test_while_the_newest_trip_waits_in_ram_older_ones_are_read_from_flash():
    folder = scratch("recorder-older")
    rig = Rig(folder)
    rig.steps(300)
    rig.trip(PE_LOST)
    rows = rig.rows()
    rig.recorder._path = "/there/is/no/such/folder"
    rig.trip(DIODE)
    rig.recorder._path = folder + "/trip."
    assert rig.rows(1) == rows and rig.rows(0) != rows
