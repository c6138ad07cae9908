"""The control loop: every 10 ms it reads pilot and protection, steps the state table and drives the outputs.

Nothing else touches pilot and contactor. A step allocates nothing and never waits; what has to be written,
logged or shown is left in the snapshot and in a ring of events for the tasks.
"""

from micropython import const

from wallbox.charging import states
from wallbox.charging.contactor import CLOSED, IDLE, Contactor
from wallbox.charging.pilot import INVALID, MIN_OFFER_MA, STEADY_PERMILLE, UNKNOWN, Pilot, duty_permille
from wallbox.charging.wakeup import WakeUp
from wallbox.protection.faults import (
    DIODE,
    PILOT_FEEDBACK,
    PILOT_LEVEL,
    PILOT_SHORT,
    RCM_SELF_TEST,
    RESIDUAL_CURRENT,
    VENTILATION,
)
from wallbox.protection.overcurrent import OverCurrent
from wallbox.protection.recorder import FaultRecorder
from wallbox.protection.residual import ResidualCurrent
from wallbox.protection.supply import SupplyWatch
from wallbox.protection.temperature import TemperatureWatch
from wallbox.timer import Timer, next_due_ms

PERIOD_MS = const(10)
# A car that does not react to the end of the offer is disconnected under load after 6 s (sequence 10.2).
_C1_MS = const(6_000)
# State F at least this long after a fault, then +12 V again (EVerest, table A.5).
_STATE_F_MS = const(300)
# A higher offer at most every 5 s (EVerest); a lower one at once, for a fuse may depend on it.
_RAISE_MS = const(5_000)
# With nothing else due the loop looks at everything again after this long.
_HORIZON_MS = const(60_000)

# States in which a self-test may begin while the contactor is open; in B2 it withdraws the offer for its time.
_TESTABLE = (states.A1, states.B1, states.B2, states.C1)

# Codes in the event ring (code, a, b).
EVENT_STATE = const(1)  # old state, new state
EVENT_FAULT = const(2)  # fault, value
EVENT_CLEARED = const(3)  # fault
EVENT_SWITCH = const(4)  # closed, current in mA
EVENT_SELF_TEST = const(5)  # passed
EVENT_OFFER = const(6)  # mA
EVENT_DELAY = const(7)  # s
EVENT_WAKE = const(8)  # kind of wake-up, whether it worked (False: it begins)


class Control:
    """Composition of pilot, contactor and protection; `hal` is a bundle of the board's devices."""

    def __init__(self, clock, hal, faults, offer, session, delay, snapshot, ring):
        self._clock = clock
        self._faults = faults
        self._offer = offer
        self._session = session
        self._delay = delay
        self._snapshot = snapshot
        self._ring = ring
        snapshot.currents_ma = hal.supply.current_ma
        snapshot.volts_mv = hal.supply.volts_mv
        snapshot.power_w = hal.supply.power_w
        self.pilot = Pilot(hal.pilot)
        self.contactor = Contactor(hal.contactor, faults, self._on_switch)
        self.residual = ResidualCurrent(hal.rcm, faults, self._on_test)
        self.supply = SupplyWatch(hal.supply, faults)
        self.over_current = OverCurrent(faults)
        self.temperature = TemperatureWatch(hal.temperature, faults)
        self.recorder = FaultRecorder(clock, hal.rcm, faults, snapshot)
        self.wake = WakeUp(self._on_wake)
        # Turns that came a whole period too late, since the start.
        self.late = 0
        self._c1 = Timer()
        self._f = Timer()
        self._raise = Timer()
        self._timers = (
            (self._c1, self._f, self._raise)
            + self.pilot.timers
            + self.contactor.timers
            + self.residual.timers
            + self.supply.timers
            + self.over_current.timers
            + self.temperature.timers
            + (self.recorder.after,)
            + self.wake.timers
            + session.timers
            + delay.timers
        )
        self.state = states.A1
        self.enabled = False
        self.offered_ma = 0
        self._max_current_ma = 0
        self._connected = False
        self._known = False
        self._looked = False
        self._dirty = True
        self._progress = 0
        self._active = 0

    # -- requests from tasks --------------------------------------------------------------------------

    def poke(self) -> None:
        """Something a step depends on was changed from outside: the next tick must run."""
        self._dirty = True

    def next_due_ms(self) -> int:
        """Milliseconds until a step with unchanged inputs could do something; 0: at the next tick."""
        if self._dirty:
            return 0
        now = self._clock.ticks_ms()
        best = next_due_ms(self._timers, now, _HORIZON_MS)
        best = self._faults.due_ms(now, best)
        return self._offer.due_ms(now, best)

    def configure(self, settings) -> None:
        """Take over the installer's settings."""
        phases = settings["phases"]
        self.contactor.poles = 0b111 if phases == 3 else 0b001
        self.supply.configure(phases, settings["nominal_v"], settings["nominal_hz"], settings["pe_mode"])
        self.enabled = settings["wizard_complete"]
        self.wake.enabled = settings["wake_up"]
        self.poke()

    def begin(self) -> None:
        """Before the first step: outputs safe, contactor proven open, session of before a cut taken up."""
        now = self._clock.ticks_ms()
        self.pilot.hal.set_duty(STEADY_PERMILLE)
        self.contactor.begin(now)
        self.residual.begin(now)
        self._session.begin(now)
        self._delay.begin(now, self._session.active)
        self._note_delay()

    def safe_stop(self) -> None:
        """Open now and withdraw the pilot: for a supervisor that no longer trusts this loop."""
        self.contactor.hal.set(False)
        self.pilot.hal.set_duty(0)

    # -- one step -----------------------------------------------------------------------------------------

    def step(self) -> None:
        """Read everything, judge, step the table, drive the outputs."""
        now = self._clock.ticks_ms()
        self._dirty = False
        faults = self._faults
        self.supply.update(now)
        self.residual.update(now)
        self.contactor.update(now, self.supply.live_mask)
        self._update_temperature(now)
        self.pilot.update(now)
        currents = self.supply.hal.current_ma
        self._max_current_ma = max(currents[0], currents[1], currents[2])
        self.over_current.update(now, self.offered_ma, self._max_current_ma, self.contactor.commanded)
        self._judge_pilot(now)
        self._note_car(now)
        self._step_table(now)
        self._drive(now)
        self._self_test(now)
        if faults.red:
            # Too hot is no emergency: the car is asked first (state C1); a red fault opens at once (R8).
            self.contactor.open(now, self._max_current_ma)
        self._publish(now)
        self.recorder.note(now, self.state)
        self._note_progress()

    def _update_temperature(self, now: int) -> None:
        temperature = self.temperature
        temperature.update(now)
        if temperature.changed:
            temperature.changed = False
            self._offer.set("temperature", temperature.limit_ma, "the board is warm", "protection")

    def _judge_pilot(self, now: int) -> None:
        pilot = self.pilot
        faults = self._faults
        known = pilot.level != UNKNOWN
        faults.report(PILOT_SHORT, pilot.level == states.LEVEL_E, pilot.hal.high_mv, now)
        faults.report(PILOT_LEVEL, pilot.level == INVALID, pilot.hal.high_mv, now)
        faults.report(VENTILATION, pilot.level == states.LEVEL_D, 0, now)
        if known:
            faults.report(DIODE, pilot.diode_lost, pilot.hal.low_mv, now)
        faults.report(PILOT_FEEDBACK, pilot.feedback_wrong, pilot.hal.duty_permille, now)

    def _note_car(self, now: int) -> None:
        level = self.pilot.level
        self._known = level <= states.LEVEL_D
        if self._known:
            connected = level != states.LEVEL_A
            if not connected:
                # At every step: a fault may be found in the very step that sees the car go.
                self._faults.unplugged()
            if self._connected and not connected:
                self.residual.passed = False
            elif connected and not self._connected:
                self.residual.passed = False
                if not self._looked and not self._delay.running:
                    self._delay.car_at_start(now)
                    self._note_delay()
            self._looked = True
            self._connected = connected
        charging = self.contactor.commanded
        self._session.update(now, self._connected, self._known, self.supply.hal.energy_mwh, charging)
        self._delay.update(now)

    def _note_delay(self) -> None:
        if self._delay.running:
            self._ring.put(EVENT_DELAY, self._delay.drawn_s)

    def _step_table(self, now: int) -> None:
        if self._faults.take_f_request():
            self._f.start(now, _STATE_F_MS)
            self._enter(states.NEXT[self.state][states.FAULT], now)
        self._f.expired(now)
        self._raise.expired(now)
        level = self.pilot.level
        # While F is put out the level is that of before: it says nothing until +12 V is back.
        if level <= states.LEVEL_E and not self._held_in_f():
            self._enter(states.NEXT[self.state][level], now)
        permitted = self._may_offer(now)
        may_wake = self.contactor.ready and self.pilot.steady_at(states.LEVEL_B)
        if self.wake.update(now, self.state, permitted, may_wake):
            self._f.start(now, _STATE_F_MS)
            self._enter(states.NEXT[self.state][states.WAKE], now)
        wants_car = level == states.LEVEL_B or level == states.LEVEL_C
        offers = permitted and wants_car and not self.wake.under_way
        self._enter(states.NEXT[self.state][states.OFFER if offers else states.WITHDRAW], now)

    def _held_in_f(self) -> bool:
        return self.state == states.F and (self._f.running or self.wake.holds_f or self._faults.stay_f)

    def _may_offer(self, now: int) -> bool:
        """Whether everything but the car wants the offer."""
        return (
            self.enabled
            and self._session.authorised
            and self._session.recorded
            and not self._faults.blocking
            and self.residual.passed
            and not self._delay.running
            and self._offer.total_ma(now) >= MIN_OFFER_MA
        )

    def _enter(self, state: int, now: int) -> None:
        if state == self.state:
            return
        if state == states.C1 and self.contactor.commanded:
            self._c1.start(now, _C1_MS)
        else:
            self._c1.stop()
        self._ring.put(EVENT_STATE, self.state, state)
        self.state = state

    # -- outputs ------------------------------------------------------------------------------------------

    def _drive(self, now: int) -> None:
        wanted = states.CONTACTOR[self.state]
        if wanted == states.OPEN:
            self.contactor.open(now, self._max_current_ma)
        elif wanted == states.HOLD:
            if self._c1.expired(now):
                self.contactor.open(now, self._max_current_ma)
        elif self.pilot.diode_ok and not self._faults.blocking and self.pilot.steady_at(states.LEVEL_C):
            self.contactor.close(now)
        self._drive_pilot(now)

    def _drive_pilot(self, now: int) -> None:
        output = states.PILOT[self.state]
        offer_ma = 0
        if output == states.NEGATIVE:
            self.pilot.drive(0 if self._held_in_f() else STEADY_PERMILLE, now)
        elif output == states.STEADY:
            self.pilot.drive(STEADY_PERMILLE, now)
        else:
            offer_ma = self._ramped(now, self._offer.total_ma(now))
            self.pilot.drive(duty_permille(offer_ma), now)
        if offer_ma != self.offered_ma:
            self.offered_ma = offer_ma
            self._ring.put(EVENT_OFFER, offer_ma, 0)

    def _ramped(self, now: int, allowed_ma: int) -> int:
        """The offer for `allowed_ma`: down at once, up only some time after the last change."""
        offered = self.offered_ma
        if allowed_ma < MIN_OFFER_MA:
            return 0
        if offered == 0 or allowed_ma < offered or not self._raise.running:
            if allowed_ma != offered:
                self._raise.start(now, _RAISE_MS)
            return allowed_ma
        return offered

    def _self_test(self, now: int) -> None:
        """Residual current test: at start, before each session, every 24 h, and to end a latched trip (R9)."""
        residual = self.residual
        if residual.testing or self.contactor.phase != IDLE or self.contactor.closed:
            return
        latched = self._faults.is_active(RESIDUAL_CURRENT)
        if self._faults.is_active(RCM_SELF_TEST):
            return
        if latched:
            recover = self._known and not self._connected and not residual.hal.tripped
            if recover and not residual.passed and residual.may_recover:
                residual.start_test(now)
            return
        if self.state in _TESTABLE and (residual.test_due or (self._connected and not residual.passed)):
            residual.start_test(now)

    def _note_progress(self) -> None:
        """A step that moved anything may enable the next one: it must not be left out."""
        progress = (
            self.state
            | self.contactor.phase << 4
            | self.pilot.level << 6
            | self.pilot.diode_ok << 9
            | self.residual.testing << 10
            | self.residual.passed << 11
            | self.offered_ma << 12
        )
        if progress != self._progress or self._faults.active != self._active:
            self._progress = progress
            self._active = self._faults.active
            self._dirty = True

    # -- what others see ------------------------------------------------------------------------------

    def _on_switch(self, closed: bool, current_ma: int) -> None:
        self._ring.put(EVENT_SWITCH, closed, current_ma)

    def _on_wake(self, kind: int, woken: bool) -> None:
        self._ring.put(EVENT_WAKE, kind, woken)

    def _on_test(self, passed: bool) -> None:
        now = self._clock.ticks_ms()
        # A car that came back during the test has to go again: the trip may be its own.
        if passed and not self._connected and self._faults.is_active(RESIDUAL_CURRENT):
            self._faults.clear(RESIDUAL_CURRENT)
            self.residual.recovered(now)
        self._ring.put(EVENT_SELF_TEST, passed, 0)

    def _publish(self, now: int) -> None:
        view = self._snapshot
        pilot = self.pilot.hal
        contactor = self.contactor
        charging = self.state == states.C2 and contactor.phase == CLOSED
        faulted = self._faults.red != 0
        starting = view.starting and (contactor.phase != IDLE or self.residual.testing or not self._known)
        starting = starting and not self._faults.active
        out_of_use = not self.enabled or self._delay.running or self._paused()
        state = states.NAMES[self.state]
        moved = (
            view.state != state
            or view.car_connected != self._connected
            or view.charging != charging
            or view.faulted != faulted
            or view.starting != starting
            or view.out_of_use != out_of_use
            or view.offered_ma != self.offered_ma
        )
        view.state = state
        view.car_connected = self._connected
        view.charging = charging
        view.faulted = faulted
        view.starting = starting
        view.out_of_use = out_of_use
        view.contactor_commanded = contactor.commanded
        view.contactor_live = contactor.hal.live
        view.contactor_closed = contactor.closed
        view.high_mv = pilot.high_mv
        view.low_mv = pilot.low_mv
        view.duty_permille = pilot.duty_permille
        view.offered_ma = self.offered_ma
        view.allowed_ma = self._offer.total_ma(now)
        view.frequency_mhz = self.supply.hal.frequency_mhz
        view.energy_mwh = self.supply.hal.energy_mwh
        view.temperature_deci_c = self.temperature.deci_c
        view.self_testing = self.residual.testing
        if moved:
            view.changed.set()

    def _paused(self) -> bool:
        limit = self._offer.installer
        return self._faults.blocking & ~self._faults.red != 0 or limit.ma == 0 or self._session.held is not None

    async def run(self, beat) -> None:
        """The loop itself; a safety task: dying or being late opens the contactor (supervisor)."""
        ticker = self._clock.ticker(PERIOD_MS, self.next_due_ms)
        while True:
            await ticker.wait()
            if ticker.late_ms > PERIOD_MS:
                # When the contactor moved is not known.
                self.contactor.timed = False
                self.late += 1
            self.step()
            beat(ticker.deadline_ms)
