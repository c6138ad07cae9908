"""The control loop on the drivers of the ESP32-S3 board: whole charges, the heap locked (R1, R8, R9).

What is behind the chip are circuits and registers; the car is a resistor behind a diode.
"""

import control_bench
from esp32s3_help import Board, machine, without_heap
from virtual_time import Record

# isort: split
import contactor
import parts
import supply
from pilot import Pilot
from rcm import Rcm
from temperature import Temperature

from wallbox.charging.control import Control

contactor.ticks_ms = machine.ticks_ms
supply.sleep_ms = machine.advance_ms
CAR = {"A": 0, "B": 2740, "C": 882}
# Time resolution of the circuits: a tenth of the pilot's period, which the smallest offer is high.
STEP_US = 100


class ChipClock(control_bench.Clock):
    """The chip's time."""

    def ticks_ms(self):
        return machine.ticks_ms()


class Session(control_bench.Session):
    """Keeps no books, which would take heap."""

    def update(self, _now, _connected, _known, counter_mwh, _charging):
        self.counter_mwh = counter_mwh


class Delay(control_bench.Delay):
    def update(self, _now):
        pass


control_bench.Clock = ChipClock
control_bench.Session = Session
control_bench.Delay = Delay


class Box(control_bench.Rig):
    """The real board's drivers in the rig of the control loop's tests."""

    def __init__(self, offer_ma):
        self.board = Board()
        self.monitor = parts.ResidualMonitor(10, 36)
        self.board.watchdog.satisfy()
        self.board.meter.volts_mv = [230_000] * 3
        self.board.meter.frequency_mhz = 50_000
        super().__init__(offer_ma=offer_ma, begin=False)
        self.hal = Record(
            pilot=Pilot(),
            contactor=contactor.Contactor(),
            rcm=Rcm(),
            supply=supply.Supply(),
            temperature=Temperature(),
        )
        self.control = Control(
            self.clock, self.hal, self.faults, self.offer, self.session, self.delay, self.snapshot, self.ring
        )
        self.control.configure(self.settings)
        self.control.begin()
        self.car("A")

    def _raised(self, fault, value):
        pass

    def _cleared(self, fault):
        pass

    def car(self, state):
        self.board.pilot.car_ohm = CAR[state]

    def run(self, ms):
        """The loop with its heap locked."""
        for _ in range(ms // 10):
            machine.advance_us(10_000, STEP_US)
            without_heap(self.control.step)
            while self.ring.get():
                pass

    def charge(self):
        self.run(1_500)
        self.car("B")
        self.run(2_500)
        assert self.state == "B2", (self.state, self.active)
        self.car("C")
        self.run(1_000)
        assert self.snapshot.charging and self.board.coil.closed, (self.state, self.active)


def test_a_charge_from_power_on_to_unplugging_with_the_smallest_and_the_largest_offer():
    for offer_ma, permille in ((6_000, 100), (32_000, 533)):
        box = Box(offer_ma)
        box.charge()
        assert box.board.pin(7).pwm_raw == permille * 8192 // 1000
        box.board.meter.current_ma = [offer_ma] * 3
        box.run(1_000)
        assert box.snapshot.charging
        assert list(box.snapshot.currents_ma) == [offer_ma] * 3
        box.car("A")
        box.run(300)
        assert not box.board.coil.closed and box.state == "A1"
        box.run(1_500)
        assert not box.active, box.active


def test_the_contactor_is_open_within_100_ms_of_the_cars_leaving_state_c():
    for offer_ma in (6_000, 32_000):
        for left in ("B", "A"):
            box = Box(offer_ma)
            box.charge()
            for late_us in (0, 3_300, 9_000):
                machine.advance_us(late_us, STEP_US)
                box.car(left)
                began_us = machine.chip.now_us
                box.run(150)
                assert not box.board.coil.closed
                assert box.board.coil.opened_us - began_us <= 100_000, (offer_ma, left, late_us)
                if left == "A":
                    break
                box.run(2_500)
                box.car("C")
                box.run(1_000)
                assert box.board.coil.closed, (box.state, box.active)


def test_a_leak_opens_in_hardware_and_the_firmware_latches_it():
    box = Box(16_000)
    box.charge()
    box.monitor.leak = True
    box.run(200)
    assert not box.board.coil.closed
    assert "residual_current" in box.active, box.active


def test_a_welded_pole_is_found_after_opening():
    box = Box(16_000)
    box.charge()
    box.board.coil.welded = 0b010
    box.car("B")
    box.run(2_000)
    assert "weld" in box.active, box.active


def test_losses_of_the_board_itself_open_the_contactor():
    for lose in (
        lambda board: setattr(board.expander, "powered", False),
        lambda board: setattr(board.meter, "powered", False),
        lambda board: setattr(board.pilot, "stuck", 1),
        lambda board: setattr(board.pin(4), "analog_uv", 0),
    ):
        box = Box(16_000)
        box.charge()
        lose(box.board)
        box.run(1_500)
        assert not box.board.coil.closed, box.active
        assert box.active
