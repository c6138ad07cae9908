"""The LED bar: the pattern for each state (R15), its look, its sound, and its reading without colour (R42)."""

import asyncio

import micropython
from virtual_time import Record, VirtualTime

from wallbox.panel.led import LedBar, choose

STATES = ("faulted", "updating", "starting", "out_of_use", "communication_ok", "charging")
BREATHING = ("breathing_blue", "breathing_blue_s4_red")
PATTERNS = {
    "running_blue": {"starting": True},
    "blue": {},
    "breathing_blue": {"charging": True},
    "red": {"faulted": True},
    "blue_s4_red": {"communication_ok": False},
    "breathing_blue_s4_red": {"communication_ok": False, "charging": True},
    "running_blue_s4_red": {"communication_ok": False, "updating": True},
}


def view(**changes):
    state = dict.fromkeys(STATES, False)
    state.update(communication_ok=True, car_connected=False)
    state.update(changes)
    return Record(**state)


class Bar:
    """A bar on a snapshot; `frames` are (ms, 12 bytes) as written."""

    def __init__(self, brightness=80, **changes):
        self.time = VirtualTime()
        self.snapshot = view(**changes)
        self.settings = {"led_brightness_percent": brightness}
        self.frames = []
        self.sounds = []
        leds = Record(write=lambda buf: self.frames.append((self.time.now_ms, bytes(buf))))
        buzzer = Record(play=self.sounds.append)
        self.bar = LedBar(leds, self.snapshot, self.settings, buzzer, self.time)

    def set(self, **changes):
        for name, value in changes.items():
            setattr(self.snapshot, name, value)

    def show(self, *steps):
        """Run the bar; each step is a time in ms to wait, or a dict of changes."""

        async def run():
            task = asyncio.create_task(self.bar.run())
            for step in steps:
                if isinstance(step, dict):
                    self.set(**step)
                else:
                    await asyncio.sleep_ms(step)
            self.last = self.bar.status()
            self.shown = list(self.frames)
            task.cancel()
            await asyncio.sleep_ms(1)

        asyncio.run(run())
        return self.shown


def light(frame):
    """Brightest channel of each segment: what is left of a frame without colour."""
    return tuple(max(frame[i : i + 3]) for i in range(0, 12, 3))


# Which pattern.


def test_every_row_of_the_manual_has_its_pattern():
    for pattern, changes in PATTERNS.items():
        assert choose(view(**changes)) == pattern, pattern
    assert choose(view(out_of_use=True)) == "running_blue"
    assert choose(view(updating=True)) == "running_blue"


def test_priorities_hold_in_all_64_combinations():
    for bits in range(64):
        state = {name: bool(bits >> i & 1) for i, name in enumerate(STATES)}
        body = "breathing_blue" if state["charging"] else "blue"
        if state["faulted"]:
            expected = "red"
        elif state["updating"] and not state["communication_ok"]:
            expected = "running_blue_s4_red"
        elif state["updating"] or state["starting"] or state["out_of_use"]:
            expected = "running_blue"
        else:
            expected = body if state["communication_ok"] else body + "_s4_red"
        assert choose(view(**state)) == expected, state


# How it looks.


def test_standby_is_steady_blue_and_written_once():
    bar = Bar()
    frames = bar.show(60000)
    assert len(frames) == 1
    assert frames[0][1] == bytes((0, 0, frames[0][1][2])) * 4 and frames[0][1][2] > 0


def test_charging_breathes_in_blue_and_is_never_dark():
    frames = Bar(charging=True).show(8000)
    levels = [frame[2] for _, frame in frames]
    assert all(frame == bytes((0, 0, frame[2])) * 4 for _, frame in frames)
    assert min(levels) > 0 and max(levels) > 5 * min(levels), (min(levels), max(levels))
    steps = [levels[0]]
    steps += [levels[i] for i in range(1, len(levels)) if levels[i] != levels[i - 1]]
    tops = [i for i in range(1, len(steps) - 1) if steps[i - 1] < steps[i] > steps[i + 1]]
    assert len(tops) == 2, "two breaths in 8 s"
    assert max(abs(levels[i] - levels[i - 1]) for i in range(1, len(levels))) < max(levels) // 10, "smooth"


def test_charging_shows_20_frames_a_second():
    assert 199 <= len(Bar(charging=True).show(10000)) <= 201


def test_starting_runs_from_left_to_right():
    frames = Bar(starting=True).show(2900)
    heads = [light(frame).index(max(light(frame))) for _, frame in frames]
    assert heads == [0, 1, 2, 3] * 3, heads
    assert all(frame[i] == 0 for _, frame in frames for i in range(12) if i % 3 != 2), "nothing but blue"


def test_a_fault_is_all_red_and_moves():
    frames = Bar(faulted=True).show(3000)
    for _, frame in frames:
        assert all(frame[i] > 0 for i in (0, 3, 6, 9)), "no segment is dark"
        assert all(frame[i] == 0 for i in range(12) if i % 3), "nothing but red"
    assert len({frame for _, frame in frames}) == 2
    assert 5 <= len(frames) <= 7, "twice a second"


def test_a_lost_communication_module_turns_s4_alone_red():
    for pattern, changes in PATTERNS.items():
        if not pattern.endswith("_s4_red"):
            continue
        for _, frame in Bar(**changes).show(6000):
            assert frame[9] > 0 and frame[10] == frame[11] == 0, pattern
            assert all(frame[i] == 0 for i in range(9) if i % 3 != 2), pattern
    heads = [light(frame[:9] + bytes(3)) for _, frame in Bar(updating=True, communication_ok=False).show(1400)]
    heads = [head.index(max(head)) for head in heads]
    assert heads == [0, 1, 2, 0, 1, 2], heads


def test_every_pattern_is_told_apart_without_seeing_colour():
    courses = {}
    for pattern, changes in PATTERNS.items():
        # What the light of each segment does in 12 s: which of them change, and how often.
        bar = Bar(**changes)
        frames = [light(frame) for _, frame in bar.show(12000)]
        course = []
        for i in range(4):
            own = [frame[i] for frame in frames]
            course.append((sum(own[j] != own[j - 1] for j in range(1, len(own))), min(own) > 0))
        courses[pattern] = tuple(course)
    assert len(set(courses.values())) == len(PATTERNS), courses


def test_a_change_is_shown_within_a_quarter_of_a_second():
    names = list(PATTERNS)
    for first in names:
        for second in names:
            bar = Bar(**PATTERNS[first])
            back = {"starting": False, "charging": False, "faulted": False, "updating": False}
            back["communication_ok"] = True
            back.update(PATTERNS[second])
            bar.show(1110, back, 260)
            assert bar.last["pattern"] == second, (first, second)


def test_brightness_rises_at_every_setting_and_reaches_full():
    last = 0
    for percent in range(5, 101, 5):
        level = Bar(brightness=percent).show(10)[0][1][2]
        assert level > last, percent
        last = level
    assert last == 255


def test_the_lowest_brightness_still_breathes():
    levels = {frame[2] for _, frame in Bar(brightness=5, charging=True).show(4000)}
    assert min(levels) >= 1 and len(levels) >= 5, levels


def test_a_new_brightness_shows_at_once():
    bar = Bar(brightness=20)

    async def run():
        task = asyncio.create_task(bar.bar.run())
        await asyncio.sleep_ms(500)
        before = bar.frames[-1][1][2]
        bar.settings["led_brightness_percent"] = 100
        await asyncio.sleep_ms(260)
        task.cancel()
        return before, bar.frames[-1][1][2]

    before, after = asyncio.run(run())
    assert after == 255 > before


def test_status_tells_pattern_brightness_segments_and_meaning():
    for pattern, changes in PATTERNS.items():
        bar = Bar(**changes)
        bar.show(300)
        status = bar.last
        assert status["pattern"] == pattern and status["brightness"] == 80
        assert len(status["segments"]) == 4 and all(len(segment) == 3 for segment in status["segments"])
        assert len(status["text"]) > 5
    texts = set()
    for changes in PATTERNS.values():
        bar = Bar(**changes)
        bar.show(10)
        texts.add(bar.last["text"])
    assert len(texts) == len(PATTERNS), "every code has its own words"


def test_the_bar_is_off_before_its_start_and_after_its_end():
    bar = Bar()
    assert bar.bar.status()["pattern"] == "off"
    bar.show(500)
    assert bar.frames[-1][1] == bytes(12) and bar.bar.status()["pattern"] == "off"


def test_a_frame_allocates_nothing():
    bar = Bar(charging=True, communication_ok=False)
    bar.bar._leds = Record(write=len)
    bar.bar._look()
    breathe, look, still = bar.bar._breathe, bar.bar._look, bar.bar._still

    def frames():
        breathe()
        look()
        still()

    frames()
    micropython.heap_lock()
    try:
        frames()
    finally:
        micropython.heap_unlock()
    assert bar.bar.pattern == "breathing_blue_s4_red"


# How it sounds.


def test_a_fault_sounds_at_once_and_once():
    bar = Bar()
    bar.show(1000, {"faulted": True}, 260)
    assert bar.sounds == ["fault"]
    bar = Bar()
    bar.show(1000, {"faulted": True}, 3600000)
    assert bar.sounds == ["fault"]


def test_a_fault_that_comes_back_sounds_again():
    bar = Bar()
    bar.show(1000, {"faulted": True}, 5000, {"faulted": False}, 5000, {"faulted": True}, 5000)
    assert bar.sounds == ["fault", "fault"]


def test_plugging_in_and_out_sounds_the_lights_that_follow():
    bar = Bar()
    bar.show(60000, {"car_connected": True}, 1000, {"charging": True}, 5000)
    assert bar.sounds == ["breathing_blue"], "a light that stays a second only is passed over"
    bar = Bar(car_connected=True, charging=True)
    bar.show(60000, {"car_connected": False, "charging": False}, 5000)
    assert bar.sounds == ["blue"]


def test_plugging_in_sounds_a_light_that_was_there_already():
    for pattern, changes in PATTERNS.items():
        if pattern == "red":
            continue
        bar = Bar(**changes)
        bar.show(60000, {"car_connected": True}, 5000)
        assert bar.sounds == [pattern]


def test_nothing_but_a_fault_sounds_while_nobody_is_there():
    bar = Bar(starting=True)
    bar.show(
        5000,
        {"starting": False},
        5000,
        {"charging": True},
        5000,
        {"communication_ok": False},
        5000,
        {"communication_ok": True, "charging": False},
        5000,
    )
    assert bar.sounds == []


def test_half_a_minute_after_the_cable_was_moved_it_is_quiet_again():
    bar = Bar()
    bar.show(1000, {"car_connected": True}, 31000, {"charging": True}, 5000)
    assert bar.sounds == ["blue"]


def test_moving_the_cable_does_not_repeat_the_fault():
    bar = Bar(car_connected=True)
    bar.show(1000, {"faulted": True}, 5000, {"car_connected": False}, 5000)
    assert bar.sounds == ["fault"]
