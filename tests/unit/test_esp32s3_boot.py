"""firmware/boot.py on the board: what it leaves at the pins, whatever the chip did before (R1, R14)."""

import sys

import s3_board

_BOOT = __file__[: -len("tests/unit/test_esp32s3_boot.py")] + "firmware/boot.py"
_SAFE_BUS = (21, 40, 47)
_EXPANDER_CS = 37
_CP_PWM = 7
_PUMP = 8
_HOLD = 9
_WATCHDOG = 38


class _Board:
    """The circuit with all that boot.py can reach, before the firmware has run."""

    def __init__(self):
        self.machine, _ = s3_board.chip()
        import parts

        self.expander = parts.Expander(*_SAFE_BUS, _EXPANDER_CS, 0b1001_0111)
        self.pilot = parts.ControlPilot(_CP_PWM, 1, 2)
        self.pin(10).resistor = 1
        self.pin(10).drive(0)
        self.coil = parts.Coil(_PUMP, _HOLD, 10, self.expander, (1, 2, 4), parts.WindowWatchdog(_WATCHDOG))

    def pin(self, number):
        return self.machine.Pin(number)

    def boot(self):
        for name in [name for name in sys.modules if name == "hal" or name.startswith("hal.")]:
            del sys.modules[name]
        with open(_BOOT) as file:
            exec(file.read(), {})

    def assert_safe(self):
        # No offer: steady +12 V, which is no PWM.
        assert self.pin(_CP_PWM).level() == 1
        assert self.pin(_PUMP).level() == 0
        assert self.pin(_HOLD).level() == 0
        self.machine.advance_ms(200)
        assert not self.coil.closed
        assert self.coil.permille() == 0
        assert self.pilot.level_mv() == 12_000


def test_after_a_power_on_nothing_is_offered_and_the_contactor_is_open():
    board = _Board()
    board.boot()
    board.assert_safe()


def test_a_restart_in_the_middle_of_a_charge_opens_and_takes_the_offer_back():
    board = _Board()
    board.boot()
    import hal

    contactor = hal.contactor.Contactor()
    pilot = hal.pilot.Pilot()
    __import__("hal.watchdog")
    hal.watchdog.Watchdog().feed()
    pilot.set_duty(266)
    contactor.set(True)
    for _ in range(60):
        contactor.sample()
        board.machine.advance_ms(10)
    assert board.coil.closed
    # The interpreter starts anew, the pins go on as they were.
    board.boot()
    board.assert_safe()


def test_an_expander_that_does_not_answer_keeps_nothing_from_being_safe():
    board = _Board()
    board.expander.powered = False
    board.boot()
    board.assert_safe()


def test_it_loads_nothing_that_could_fail_before_the_outputs_are_safe():
    board = _Board()
    # No flash, no radio, no card reader, no clock.
    board.boot()
    loaded = [name for name in sys.modules if name.startswith("hal.")]
    assert sorted(loaded) == ["hal.contactor", "hal.expander", "hal.pilot", "hal.pins", "hal.safe_bus"]
