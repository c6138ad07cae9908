"""The control API's request table, and the record of the event log that it reads from."""

import json

from commands import Commands
from record import Record


class FakeSettings:
    def __init__(self):
        self.values = {"rated_a": 16}

    def update(self, changes):
        for key in changes:
            if key not in self.values:
                raise ValueError("%s: unknown" % key)
        self.values.update(changes)

    def as_dict(self):
        return self.values


class FakePlant:
    """Remembers what it was told."""

    def __init__(self):
        self.calls = []
        self.flash_device = self
        self.cut_at_write = 0

    def __getattr__(self, name):
        def call(**arguments):
            self.calls.append((name, arguments))

        return call

    def tap(self, uid):
        self.calls.append(("tap", uid))


class FakeRecorder:
    """One trip with two samples, or none."""

    trips = [{"sequence": 7, "fault": "weld"}]

    def status(self):
        return self.trips

    def samples(self, index):
        assert index == 0
        yield (-20, 9000, -12000, 1, 2, 3, 4, 5, 16000, 0x58 | 7)
        yield (0, 6000, -12000, 1, 2, 3, 4, 5, 16000, 0x90 | 1)


class FakeBench:
    def __init__(self):
        self.recorder = FakeRecorder()
        self.plant = FakePlant()
        self.virtual = None
        self.settings = FakeSettings()
        self.record = Record()
        self.granted = []

    def firmware(self, what):
        return self

    def violations(self):
        return []

    def state(self):
        return {"power": True}

    def advance(self, ms, done):
        self.granted.append(ms)
        done()

    def power_on(self):
        self.plant.calls.append("on")

    def power_off(self):
        self.plant.calls.append("off")

    def reset(self):
        self.plant.calls.append("reset")

    def quit(self):
        self.plant.calls.append("quit")


class Desk:
    """Commands on a fake bench."""

    def __init__(self):
        self.bench = FakeBench()
        self.commands = Commands(self.bench)
        self.late = []

    def do(self, request, **arguments):
        fields, action = self.commands.handle(dict(arguments, do=request), self.late.append)
        if action:
            action()
        return fields

    def refusal(self, request, **arguments):
        try:
            self.commands.handle(dict(arguments, do=request), None)
        except ValueError as error:
            assert self.bench.plant.calls == [], "a refused request did something"
            return str(error)
        raise AssertionError("not refused: %s %r" % (request, arguments))


def test_requests_for_the_plant_reach_it_with_their_arguments():
    desk = Desk()
    for name, arguments in (
        ("plug", {"phases": 1, "max_a": 16, "wants": False, "soc_wh": 1000, "asleep": "f_4s"}),
        ("unplug", {}),
        ("car", {"state": "B", "draw_a": 5, "diode": False, "ignore_pwm": True, "asleep": "never"}),
        ("fault", {"name": "pe", "value": None}),
        ("clear", {"name": "pe"}),
        ("grid", {"volts": [230, 230, 0], "hz": 50}),
        ("house", {"amps": [1, 2, 3], "pv_w": 4000}),
        ("ambient", {"celsius": -5}),
        ("contact", {"closed": True}),
        ("network", {"up": False}),
    ):
        assert desk.do(name, id=1, **arguments) == {}
        assert desk.bench.plant.calls.pop() == (name, arguments)


def test_an_unknown_request_names_those_that_exist():
    desk = Desk()
    for wrong in ("explode", "", "State", "handle", "_power", None, 5, ["state"], {}):
        text = desk.refusal(wrong)
        assert "do: " in text and "advance, ambient, ble, car, check_meter, clear, contact" in text, text


def test_an_unknown_argument_is_named_together_with_those_allowed():
    desk = Desk()
    assert desk.refusal("plug", phase=3) == (
        "plug: argument 'phase' is not known; allowed: phases, max_a, wants, soc_wh, asleep, lag_ms, slope_a"
    )
    assert desk.refusal("unplug", now=True).endswith("allowed: none")
    assert "'value'" in desk.refusal("clear", name="pe", value=1)


def test_a_missing_argument_is_named():
    desk = Desk()
    for name, missing in (("tap", "uid"), ("ambient", "celsius"), ("advance", "seconds"), ("fault", "name")):
        assert desk.refusal(name) == "%s: argument '%s' is missing" % (name, missing)
    assert "allowed: on, at_write" in desk.refusal("power")


def test_a_card_is_given_as_4_7_or_10_bytes_in_hex():
    desk = Desk()
    for uid in ("01020304", "04a1b2c3d4e5f6", "0102030405060708090A"):
        desk.do("tap", uid=uid)
        name, data = desk.bench.plant.calls.pop()
        assert name == "tap" and data.hex() == uid.lower()
    for uid in ("", "0102", "0102030g", "01:02:03:04", "010203040", 1234, None, ["01020304"], "é1020304"):
        assert "uid: " in desk.refusal("tap", uid=uid)


def test_virtual_time_is_granted_in_seconds_and_refused_outside_its_range():
    desk = Desk()
    assert "real time" in desk.refusal("advance", seconds=1)
    desk.bench.virtual = desk.bench
    for seconds, ms in ((0, 0), (1, 1000), (0.001, 1), (0.1, 100), (2678400, 2678400000)):
        assert desk.do("advance", seconds=seconds) is None
        assert desk.bench.granted.pop() == ms and desk.late.pop() == {}
    for wrong in (-1, -0.001, 2678401, float("nan"), float("inf"), "5", True, None, [1]):
        assert "allowed: 0..2678400" in desk.refusal("advance", seconds=wrong)
    assert desk.bench.granted == []


def test_the_supply_goes_now_comes_back_or_goes_at_a_flash_write():
    desk = Desk()
    desk.do("power", on=False)
    desk.do("power", on=True)
    assert desk.bench.plant.calls == ["off", "on"]
    desk.do("power", on=False, at_write=3)
    assert desk.bench.plant.cut_at_write == 3 and desk.bench.plant.calls == ["off", "on"]
    desk.do("power", on=True, at_write=4)
    assert desk.bench.plant.cut_at_write == 4 and desk.bench.plant.calls[2:] == ["on"]
    desk = Desk()
    for wrong in (0, -1, 1.5, "3", True, 10_000_000):
        assert desk.refusal("power", at_write=wrong).startswith("at_write: ")
    for wrong in (0, 1, "on", [True]):
        assert desk.refusal("power", on=wrong).startswith("on: ")


def test_settings_are_read_and_written():
    desk = Desk()
    assert desk.do("settings") == {"settings": {"rated_a": 16}}
    assert desk.do("settings", set={"rated_a": 32}) == {"settings": {"rated_a": 32}}
    assert "speed: unknown" in desk.refusal("settings", set={"speed": 1})
    for wrong in ([], "rated_a", 5, True):
        assert desk.refusal("settings", set=wrong).startswith("set: ")


def test_a_recorded_trip_comes_as_rows_with_named_columns():
    desk = Desk()
    for arguments in ({}, {"index": 0}):
        trip = desk.do("trip", **arguments)["trip"]
        assert trip["sequence"] == 7 and trip["fault"] == "weld"
        first, second = [dict(zip(trip["columns"], row)) for row in trip["rows"]]
        assert len(trip["columns"]) == len(trip["rows"][0])
        assert (first["ms"], first["high_mv"], first["l3_ma"], first["offered_ma"]) == (-20, 9000, 5, 16000)
        assert (first["commanded"], first["live"], first["state"]) == (1, 7, "C2")
        assert (second["commanded"], second["live"], second["state"]) == (0, 1, "F")
    for wrong in (1, -1, "0", 0.0, True, None):
        assert desk.refusal("trip", index=wrong).startswith("index: ")
    desk.bench.recorder.trips = []
    assert desk.refusal("trip") == "trip: none is recorded"


def test_restart_and_end_are_actions_after_the_answer():
    desk = Desk()
    assert desk.do("reset") == {} and desk.do("quit") == {}
    assert desk.bench.plant.calls == ["reset", "quit"]


# The record of the event log


def entries(record, since=0):
    return json.loads(b"{" + b"".join(record.answer(since)))["log"]


def test_the_record_gives_the_entries_after_a_number_with_the_start_they_belong_to():
    record = Record()
    assert entries(record) == []
    for seq in range(1, 2001):
        record.boot = 1 + seq // 1000
        record.add({"seq": seq, "code": "x", "text": "é" * 50, "extra": [1, None, True]})
    assert [entry["seq"] for entry in entries(record)] == list(range(1, 2001))
    assert entries(record, 1999) == [
        {"seq": 2000, "code": "x", "text": "é" * 50, "extra": [1, None, True], "boot": 3},
    ]
    assert entries(record, 2000) == []
    assert len(entries(record, 500)) == 1500


def test_an_entry_made_while_an_answer_is_on_its_way_comes_with_the_next():
    record = Record()
    record.add({"seq": 1, "code": "x"})
    answer = record.answer(0)
    parts = [next(answer)]
    record.add({"seq": 2, "code": "x"})
    parts.extend(answer)
    assert len(json.loads(b"{" + b"".join(parts))["log"]) == 1
    assert len(entries(record)) == 2


def test_since_must_be_a_whole_number():
    desk = Desk()
    for wrong in (-1, 1.5, "0", True, None, 1 << 40):
        assert desk.refusal("log", since=wrong).startswith("since: ")
