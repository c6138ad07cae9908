"""Virtual time: the same seed and requests give the same run, byte for byte, on any host and with ticks left out."""

import json
import random
import time

from simulator import Simulator

SETUP_CARD = "04A1B2C3D4E5F6"
CARDS = ("01020304", "04AABBCCDDEEFF", "0102030405060708090A")
FAULTS = (
    ("residual_dc", None),
    ("residual_ac", 40),
    ("overvoltage", 280),
    ("undervoltage", 170),
    ("phase_loss", 2),
    ("overcurrent", None),
    ("pilot_short", None),
    ("temperature_sensor", "short"),
    ("meter_silent", None),
    ("meter_garbage", None),
    ("rcm_test_fails", None),
    ("flash_error", None),
    ("pe", None),
)
HOURS_S = 6 * 3600
MINUTES_S = 10 * 60


def raw_log(box: Simulator) -> bytes:
    """The whole event log as it comes over the wire."""
    with box.connect() as connection, connection.makefile("rwb") as stream:
        stream.write(b'{"id": 1, "do": "log"}\n')
        stream.flush()
        return stream.readline()


def car_comes_and_goes(box: Simulator, dice: random.Random) -> None:
    if box.state()["car"]["plugged"]:
        box.unplug()
    else:
        box.plug(phases=dice.choice((1, 3)), max_a=dice.choice((10, 16, 32)), soc_wh=dice.choice((None, 500, 20000)))


def card_is_held(box: Simulator, dice: random.Random) -> None:
    box.tap(dice.choice((SETUP_CARD, *CARDS)))


def fault_comes_and_goes(box: Simulator, dice: random.Random) -> None:
    name, value = dice.choice(FAULTS)
    box.fault(name, value)
    box.advance(dice.choice((0.03, 0.5, 7)))
    box.clear(name)


def surroundings_change(box: Simulator, dice: random.Random) -> None:
    box.house(amps=[round(dice.uniform(0, 24), 1) for _ in range(3)], pv_w=dice.choice((0, 3000, 9000)))
    box.ambient(dice.choice((-20, 10, 35, 55)))
    box.contact(dice.random() < 0.3)
    box.network(dice.random() < 0.8)


def settings_change(box: Simulator, dice: random.Random) -> None:
    # Refused when the supply fails in the middle of it, which is part of the tale.
    box.exchange(
        {"do": "settings", "set": {"access_control": dice.random() < 0.5, "rated_a": dice.choice((0, 6, 16, 32))}}
    )


def supply_fails(box: Simulator, dice: random.Random) -> None:
    if dice.random() < 0.5:
        box.power(on=False)
    else:
        box.power(at_write=dice.randint(1, 8))
    box.advance(dice.choice((0.02, 30)))
    box.power(on=True)


def firmware_restarts(box: Simulator, _dice: random.Random) -> None:
    if box.state()["power"]:
        box.reset()


EVENTS = (
    (car_comes_and_goes, 8),
    (card_is_held, 6),
    (fault_comes_and_goes, 4),
    (surroundings_change, 5),
    (settings_change, 2),
    (supply_fails, 1),
    (firmware_restarts, 1),
)


def play(box: Simulator, seconds: int, events: int, tale: int = 1, dawdle: float = 0.0) -> bytes:
    """Let `events` things happen within `seconds` of virtual time; return the event log."""
    dice = random.Random(tale)
    what, weights = zip(*EVENTS, strict=True)
    for _ in range(events):
        box.power(on=True)
        box.advance(round(dice.uniform(0, 2 * seconds / events), 3))
        time.sleep(dawdle)
        box.power(on=True)
        box.advance(0.1)
        dice.choices(what, weights)[0](box, dice)
    box.power(on=True)
    box.advance(60)
    return raw_log(box)


def assert_same(first: bytes, second: bytes) -> None:
    """Fail with the first entries that differ; a diff of whole logs takes pytest minutes."""
    if first == second:
        return
    for ours, theirs in zip(json.loads(first)["log"], json.loads(second)["log"], strict=False):
        assert ours == theirs
    raise AssertionError(f"one log goes on: {len(first)} and {len(second)} bytes")


def codes(log: bytes) -> set[str]:
    return {entry["code"] for entry in json.loads(log)["log"]}


def test_the_same_seed_gives_the_same_log_of_six_busy_hours_byte_for_byte(simulator):
    first = play(simulator(seed=7), HOURS_S, 60)
    second = play(simulator(seed=7), HOURS_S, 60)
    assert_same(first, second)
    entries = json.loads(first)["log"]
    assert len(entries) > 150
    # It was a day worth the name: restarts, charging, faults and cards.
    assert entries[-1]["boot"] > 5
    assert {"start", "closed", "opened", "started"} <= codes(first)
    assert [code for code in codes(first) if code.startswith("fault_")]


def test_another_seed_gives_another_log(simulator):
    assert play(simulator(seed=7), MINUTES_S, 30) != play(simulator(seed=8), MINUTES_S, 30)


def test_leaving_out_idle_ticks_changes_nothing(simulator):
    for tale in (1, 2):
        skipping = play(simulator(seed=3), MINUTES_S, 40, tale)
        exact = play(simulator(seed=3, options=("--exact",)), MINUTES_S, 40, tale)
        assert_same(skipping, exact)


def test_a_slow_client_and_a_small_heap_change_nothing(simulator):
    # An image in flash alone takes more than that heap.
    quick = play(simulator(seed=5, source=True), MINUTES_S, 30)
    slow = play(simulator(seed=5, heap="2M"), MINUTES_S, 30, dawdle=0.05)
    assert_same(quick, slow)


def test_the_size_of_the_steps_changes_nothing(simulator):
    logs = []
    for step in (300.0, 7.5, 0.25):
        box = simulator(seed=4)
        box.plug(soc_wh=900)
        for _ in range(round(600 / step)):
            box.advance(step)
        logs.append(raw_log(box))
    assert logs[0] == logs[1] == logs[2]
    assert "closed" in codes(logs[0])
