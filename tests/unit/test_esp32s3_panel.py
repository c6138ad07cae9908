"""boards/esp32s3/hal/leds.py with a chain of WS2812B, and buzzer.py with the timers of the chip (R15, R16)."""

import s3_board

_LEDS_GPIO = 48
_BUZZER_GPIO = 35
_PILOT_GPIO = 7
_COLOURS = [(1, 2, 3), (40, 50, 60), (255, 0, 128), (0, 200, 0)]


def _bar():
    """The LED bar, and the chain that it lights."""
    machine, _ = s3_board.chip()
    from ws2812 import Chain

    chain = Chain(_LEDS_GPIO, len(_COLOURS))
    machine.bitstream = chain.bitstream
    leds = s3_board.load("leds")
    leds.time = chain
    return leds.Leds(), chain


def _bytes(colours):
    return bytes([part for colour in colours for part in colour])


# LEDs


def test_each_led_shows_its_colour():
    bar, chain = _bar()
    bar.write(_bytes(_COLOURS))
    assert chain.colours == _COLOURS
    chain.now_us += 20_000
    bar.write(memoryview(bytearray(12)))
    assert chain.colours == [(0, 0, 0)] * 4


def test_a_write_right_after_another_is_shown_too():
    bar, chain = _bar()
    bar.write(bytes(12))
    bar.write(_bytes(_COLOURS))
    assert chain.colours == _COLOURS


def test_the_first_write_does_not_have_to_wait_and_later_ones_seldom():
    bar, chain = _bar()
    before = chain.now_us
    bar.write(_bytes(_COLOURS))
    assert chain.now_us - before < 300
    chain.now_us += 300
    before = chain.now_us
    bar.write(_bytes(_COLOURS))
    assert chain.now_us - before < 400


def test_the_bits_take_no_longer_than_a_pilot_period_even_with_interrupts_off():
    bar, chain = _bar()
    bar.write(b"\xff" * 12)
    assert chain.busy_us <= 130
    chain.busy_us = 0
    bar.write(bytes(12))
    assert chain.busy_us <= 130


def test_another_number_of_bytes_is_refused_and_not_shown():
    bar, chain = _bar()
    for count in (0, 11, 13, 24):
        try:
            bar.write(bytes(count))
        except ValueError as error:
            assert str(count) in str(error)
        else:
            raise AssertionError("%d bytes were taken" % count)
    assert chain.colours is None


# Buzzer


def _buzzer():
    """The buzzer on a chip with control pilot and contactor, and the chip."""
    machine, _ = s3_board.chip()
    pilot = s3_board.load("pilot").Pilot()
    contactor = __import__("hal.contactor").contactor.Contactor()
    buzzer = __import__("hal.buzzer").buzzer.Buzzer()
    return buzzer, machine, (pilot, contactor)


def test_a_tone_has_its_pitch_and_half_duty_and_silence_no_current():
    buzzer, machine, _ = _buzzer()
    pin = machine.Pin(_BUZZER_GPIO)
    assert pin.level() == 0
    for hz in (350, 700, 2_700, 2_700, 1_200):
        buzzer.set(hz)
        assert pin.pwm_hz == hz
        assert pin.pwm_raw * 2 == 1 << pin.pwm_bits
        buzzer.set(0)
        assert pin.level() == 0
        buzzer.set(0)
        assert pin.level() == 0


def test_no_tone_takes_the_timer_of_pilot_or_contactor():
    buzzer, machine, _ = _buzzer()
    others = {number: hz for number, hz in machine.chip.channels.items() if number != _BUZZER_GPIO}
    assert others[_PILOT_GPIO] == 1_000
    for hz in range(50, 20_001, 50):
        buzzer.set(hz)
        now = dict(machine.chip.channels)
        assert abs(now.pop(_BUZZER_GPIO) - hz) <= 1
        assert now == others
        assert machine.chip.channels[_BUZZER_GPIO] not in others.values(), hz


def test_a_tone_changes_nothing_of_the_offer():
    buzzer, machine, (pilot, _) = _buzzer()
    pilot.set_duty(533)
    pin = machine.Pin(_PILOT_GPIO)
    before = (pin.use, pin.pwm_hz, pin.pwm_raw, pin.pwm_bits)
    for hz in (1_000, 450, 0, 20_000, 2_700):
        buzzer.set(hz)
        assert (pin.use, pin.pwm_hz, pin.pwm_raw, pin.pwm_bits) == before


def test_all_patterns_of_the_wallbox_can_be_sounded():
    from wallbox.panel.buzzer import _PATTERNS

    buzzer, machine, _ = _buzzer()
    for tones in _PATTERNS.values():
        for index in range(0, len(tones), 2):
            buzzer.set(tones[index] * 50)
            assert machine.Pin(_BUZZER_GPIO).pwm_hz == tones[index] * 50
