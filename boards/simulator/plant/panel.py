"""LED bar and buzzer of the front panel: what a person would see and hear."""

from micropython import const

_LED_BYTES = const(12)
_LOG_LENGTH = const(200)  # finished tones kept for those who ask; the oldest go


class Panel:
    """`led_bytes` holds r, g, b of S1..S4, `beeps` the finished tones, `tone_hz` what sounds now."""

    def __init__(self, plant):
        self._plant = plant
        self.led_bytes = bytearray(_LED_BYTES)
        self.beeps = []
        self.tone_hz = 0
        self._since_ms = 0

    def light(self, colours) -> None:
        """Show 12 bytes on the bar; ValueError for another length."""
        if len(colours) != _LED_BYTES:
            raise ValueError("leds: %d bytes are not allowed; allowed: 12" % len(colours))
        if self._plant.powered:
            self.led_bytes[:] = colours

    def sound(self, hertz: int) -> None:
        """Sound a tone, 0 ends it."""
        if hertz == self.tone_hz or hertz and not self._plant.powered:
            return
        now = self._plant.now_ms
        if self.tone_hz:
            self.beeps.append({"hz": self.tone_hz, "ms": now - self._since_ms})
            if len(self.beeps) > _LOG_LENGTH:
                del self.beeps[0]
        self.tone_hz = hertz
        self._since_ms = now

    def dark(self) -> None:
        """The supply is gone."""
        self.sound(0)
        self.led_bytes[:] = bytes(_LED_BYTES)
