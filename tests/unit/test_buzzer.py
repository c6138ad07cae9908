"""The buzzer's patterns as an ear would hear them."""

import asyncio

from virtual_time import Record, VirtualTime

from wallbox.panel.buzzer import Buzzer

LIGHTS = (
    "running_blue",
    "blue",
    "breathing_blue",
    "fault",
    "blue_s4_red",
    "breathing_blue_s4_red",
    "running_blue_s4_red",
)
SIGNALS = ("registration_on", "card_registered", "registration_off", "reject", "accepted")


class Ear:
    """A buzzer, and what is heard of it: `tones` as (Hz, ms), `silences` in ms between them."""

    def __init__(self):
        self.time = VirtualTime()
        self.tones = []
        self.silences = []
        self._hz = 0
        self._since = 0
        self.buzzer = Buzzer(Record(set=self._set))

    def _set(self, hz):
        length = self.time.now_ms - self._since
        if self._hz:
            self.tones.append((self._hz, length))
        elif self.tones and hz:
            self.silences.append(length)
        if hz != self._hz:
            self._hz = hz
            self._since = self.time.now_ms

    def hear(self, *names, ms=20000):
        async def listen():
            task = asyncio.create_task(self.buzzer.run())
            for name in names:
                self.buzzer.play(name)
            await asyncio.sleep_ms(ms)
            task.cancel()
            await asyncio.sleep_ms(1)

        asyncio.run(listen())
        return self.tones


def test_registration_mode_begins_with_one_short_beep():
    tones = Ear().hear("registration_on")
    assert len(tones) == 1 and tones[0][1] <= 200, tones


def test_a_registered_card_gives_two_short_beeps():
    tones = Ear().hear("card_registered")
    assert len(tones) == 2 and tones[0] == tones[1] and tones[0][1] <= 200, tones


def test_registration_mode_ends_with_one_long_beep():
    tones = Ear().hear("registration_off")
    assert len(tones) == 1 and tones[0][1] >= 500, tones


def test_a_rejection_is_three_low_tones():
    tones = Ear().hear("reject")
    high = Ear().hear("registration_on")[0][0]
    assert len(tones) == 3 and max(hz for hz, _ in tones) < high // 2, tones


def test_every_light_code_and_signal_sounds_different():
    heard = [tuple(Ear().hear(name)) for name in LIGHTS + SIGNALS]
    assert all(heard)
    assert len(set(heard)) == len(LIGHTS) + len(SIGNALS)


def test_patterns_follow_each_other_with_a_longer_silence():
    ear = Ear()
    ear.hear("card_registered", "card_registered")
    assert len(ear.tones) == 4
    assert ear.silences[1] >= 3 * ear.silences[0], ear.silences


def test_what_does_not_fit_into_the_queue_is_dropped():
    assert len(Ear().hear(*["registration_on"] * 50)) == 4


def test_a_fault_goes_before_what_waits():
    tones = Ear().hear("registration_on", "registration_off", "fault")
    assert tones == Ear().hear("fault"), tones


def test_an_unknown_sound_is_refused_with_what_is_allowed():
    try:
        Ear().buzzer.play("song")
    except ValueError as error:
        assert "'song' is not allowed" in str(error) and "accepted, " in str(error)
    else:
        raise AssertionError("played")


def test_the_buzzer_is_silent_after_its_task_was_cancelled():
    ear = Ear()
    ear.hear("registration_off", ms=100)
    assert ear._hz == 0 and ear.tones == [(2700, 100)]


def test_playing_does_not_wait():
    ear = Ear()
    ear.buzzer.play("fault")
    assert ear.time.now_ms == 0 and ear.tones == []
