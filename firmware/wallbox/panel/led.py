"""Shows the state of the wallbox on the four segments of the LED bar; it only looks, and decides nothing."""

from time import ticks_diff

from micropython import const

from wallbox.timer import unwatched

_LOOK_MS = const(250)  # how often the state is looked at
_REST_MS = const(15000)
_FRAME_REST_MS = const(3000)
_FRAME_MS = const(50)  # breathing: 20 frames a second
_FRAMES = const(5)  # in one look
_RUN_FRAMES = const(5)  # 250 ms a segment, from left to right
_SWAP_FRAMES = const(10)  # red changes its shape every 500 ms
_HALF_BREATH = const(40)  # frames; in and out take 4 s
_PHASES = const(240)  # common multiple of all periods, in frames

# What S1..S3 do (and S4, unless it is red of its own).
_DARK = const(0)
_STEADY = const(1)
_BREATHE = const(2)
_RUN = const(3)
_RED = const(4)

# R15: pattern -> (body, S4 red, its meaning in words). R42: no two patterns differ by colour alone. Red
# swaps between its outer and inner segments, a red S4 pulses, charging breathes, starting travels.
_PATTERNS = {
    "off": (_DARK, False, "No power, or not started."),
    "running_blue": (_RUN, False, "Starting, or out of use for a while."),
    "blue": (_STEADY, False, "Standby, not charging."),
    "breathing_blue": (_BREATHE, False, "Charging."),
    "red": (_RED, False, "Fault. See the log; switch the power off, unplug the car, switch it on again."),
    "blue_s4_red": (_STEADY, True, "Standby; the communication module has failed."),
    "breathing_blue_s4_red": (_BREATHE, True, "Charging; the communication module has failed."),
    "running_blue_s4_red": (_RUN, True, "Firmware update; the communication module has failed."),
}

# Full light for a brightness of 0..100 %: 255 * ((p + 18) / 118) ** 2.2. The eye sees equal steps (gamma
# 2.2), and the offset leaves room to breathe at the lowest setting in 8 bits.
_PEAK = (
    b"\x04\x05\x05\x06\x06\x07\x08\x08\x09\x0a\x0b\x0c\x0d\x0d\x0e\x0f\x11\x12\x13\x14"
    b"\x15\x16\x18\x19\x1a\x1c\x1d\x1f\x20\x22\x23\x25\x27\x28\x2a\x2c\x2e\x30\x31\x33"
    b"\x35\x37\x3a\x3c\x3e\x40\x42\x45\x47\x49\x4c\x4e\x51\x53\x56\x59\x5b\x5e\x61\x64"
    b"\x67\x69\x6c\x6f\x72\x76\x79\x7c\x7f\x82\x86\x89\x8d\x90\x93\x97\x9b\x9e\xa2\xa6"
    b"\xa9\xad\xb1\xb5\xb9\xbd\xc1\xc5\xc9\xce\xd2\xd6\xdb\xdf\xe3\xe8\xec\xf1\xf6\xfa"
    b"\xff"
)
# Half a breath in 1/256 of full light: a cosine from 30 % to 100 % of what the eye sees, gamma 2.2.
_BREATH = (
    b"\x12\x12\x13\x14\x15\x17\x19\x1b\x1e\x21\x24\x29\x2d\x33\x39\x3f\x46\x4e\x56\x5f"
    b"\x68\x72\x7c\x86\x91\x9b\xa6\xb0\xbb\xc5\xcf\xd8\xe0\xe8\xee\xf4\xf9\xfc\xff\xff"
)

# The audible twin sounds for somebody who is there: this long after the cable was moved, and once a
# light has stood this long. A fault sounds at once, always.
_PRESENCE_MS = const(30000)
_SETTLED_MS = const(2000)
# One turn of the loop takes at most _FRAMES frames; a bar that stands still this long has hung.
_LATE_MS = const(60000)
# A brightness that was tried out gives way to the setting after this time (docs/installer-protocol.md).
_PREVIEW_MS = const(10000)


def choose(view) -> str:
    """Pattern for a snapshot, in the order of R15: fault, update, out of use, communication, charge."""
    if view.faulted:
        return "red"
    if view.updating and not view.communication_ok:
        return "running_blue_s4_red"
    if view.updating or view.starting or view.out_of_use:
        return "running_blue"
    if view.communication_ok:
        return "breathing_blue" if view.charging else "blue"
    return "breathing_blue_s4_red" if view.charging else "blue_s4_red"


class LedBar:
    """The bar on `leds.write(buf)`, 12 bytes: red, green, blue of S1..S4.

    `settings` gives led_brightness_percent; `buzzer.play(pattern)` sounds the twins of the patterns.
    """

    def __init__(self, leds, snapshot, settings, buzzer, clock):
        self._leds = leds
        self._snapshot = snapshot
        self._settings = settings
        self._buzzer = buzzer
        self._clock = clock
        self._buf = bytearray(12)
        self._phase = 0
        self._peak = 0
        self._preview = None
        self._preview_at = 0
        self._shape = -1
        self._told = None
        self._since = self._moved = clock.ticks_ms()
        self._nobody = True
        self._car = snapshot.car_connected
        self.pattern = "off"

    def preview(self, percent) -> None:
        """Show a brightness of 5..100 % for 10 s in the place of the setting's; None ends it."""
        self._preview = percent
        self._preview_at = self._clock.ticks_ms()

    def _percent(self) -> int:
        if self._preview is not None and ticks_diff(self._clock.ticks_ms(), self._preview_at) >= _PREVIEW_MS:
            self._preview = None
        return self._settings["led_brightness_percent"] if self._preview is None else self._preview

    def status(self) -> dict:
        """{"pattern", "brightness" in %, "segments" as four [r, g, b], "text": the meaning in words}."""
        buf = self._buf
        return {
            "pattern": self.pattern,
            "brightness": self._percent(),
            "segments": [list(buf[i : i + 3]) for i in range(0, 12, 3)],
            "text": _PATTERNS[self.pattern][2],
        }

    async def run(self, beat=unwatched) -> None:
        """Show the state for ever; goes dark when it is cancelled."""
        try:
            while True:
                beat(_LATE_MS)
                self._look()
                if _PATTERNS[self.pattern][0] == _BREATHE:
                    for _ in range(_FRAMES):
                        self._breathe()
                        await self._clock.poll(_FRAME_MS, _FRAME_REST_MS)
                        self._phase += 1
                else:
                    self._still()
                    await self._clock.poll(_LOOK_MS, _REST_MS)
                    self._phase += _FRAMES
                self._phase %= _PHASES
        finally:
            self.pattern = "off"
            self._fill(0)
            self._leds.write(self._buf)

    def _look(self) -> None:
        now = self._clock.ticks_ms()
        pattern = choose(self._snapshot)
        if pattern != self.pattern:
            self.pattern = pattern
            self._phase = 0
            self._shape = -1
            self._since = now
        peak = _PEAK[self._percent()]
        if peak != self._peak:
            self._peak = peak
            self._shape = -1
        self._announce(now)

    # R42: the sounds.

    def _announce(self, now: int) -> None:
        if self._snapshot.car_connected != self._car:
            self._car = not self._car
            self._nobody = False
            self._moved = self._since = now
            # A red bar has been heard when it came.
            if self._told != "red":
                self._told = None
        if not self._nobody and ticks_diff(now, self._moved) >= _PRESENCE_MS:
            self._nobody = True
        if self.pattern == self._told:
            return
        if self.pattern != "red" and ticks_diff(now, self._since) < _SETTLED_MS:
            return
        self._told = self.pattern
        if self.pattern == "red":
            self._buzzer.play("fault")
        elif not self._nobody:
            self._buzzer.play(self.pattern)

    # The light.

    def _fill(self, blue: int) -> None:
        buf = self._buf
        for i in range(12):
            buf[i] = 0
        buf[2] = buf[5] = buf[8] = buf[11] = blue

    def _pulse_s4(self) -> None:
        # Bright and dim, never dark: position and movement tell it from a blue segment.
        self._buf[9] = self._peak >> 2 if self._phase // _SWAP_FRAMES & 1 else self._peak
        self._buf[11] = 0

    def _breathe(self) -> None:
        frame = self._phase % (2 * _HALF_BREATH)
        if frame >= _HALF_BREATH:
            frame = 2 * _HALF_BREATH - 1 - frame
        self._fill((self._peak * _BREATH[frame] >> 8) + 1)
        if _PATTERNS[self.pattern][1]:
            self._pulse_s4()
        self._leds.write(self._buf)

    def _still(self) -> None:
        """Draw a pattern that changes four times a second at most; writes only what is new."""
        body, s4_red, _ = _PATTERNS[self.pattern]
        shape = self._phase // _SWAP_FRAMES & 1 if s4_red or body == _RED else 0
        if body == _RUN:
            shape = self._phase // _RUN_FRAMES
        if shape == self._shape:
            return
        self._shape = shape
        self._fill(self._peak if body == _STEADY else 0)
        buf = self._buf
        if body == _RUN:
            # The trail tells the direction even when only one segment is seen.
            count = 3 if s4_red else 4
            buf[2 + 3 * (shape % count)] = self._peak
            buf[2 + 3 * ((shape - 1) % count)] = self._peak >> 2
        elif body == _RED:
            buf[0] = buf[9] = self._peak >> 2 * shape
            buf[3] = buf[6] = self._peak >> 2 - 2 * shape
        if s4_red:
            self._pulse_s4()
        self._leds.write(buf)
