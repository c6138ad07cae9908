"""What must hold after every control step, whatever happens: judged by the plant's truth, and never corrected.

Each invariant is a method or a row of a table with the requirement or clause it stands for. The simulator looks at
all of them after each step of the control loop, in every simulation, over restarts of the firmware.
"""

from micropython import const

from wallbox.charging import states
from wallbox.protection.faults import RCM_SELF_TEST, RESIDUAL_CURRENT, WELD

_LEAST_MA = const(6_000)  # IEC 61851-1 table A.8: no offer below 6 A
_LOAD_MA = const(1_000)  # below this nothing is opened under load (sequence 7)
_ASKED_MS = const(6_000)  # R8, sequence 10.2
# A step may come one period after the change it sees, and what it does shows at the next.
_STEP_MS = const(10)
_DAY_MS = const(24 * 3600 * 1000)
_HOUR_MS = const(3600 * 1000)
_RECOVERIES = const(3)  # R9
# R7: a cut costs what came since the last checkpoint: 500 Wh, and a minute at 22 kW until it is looked at.
_LOST_MWH = const(900_000)
_SLACK_MWH = const(100)
# In real time a busy host may hold a step up after its look at the counter: 300 ms at 22 kW.
_LATE_MWH = const(2_000)
_MWH_PER_WH = const(1_000)
_COUNTER_MASK = const((1 << 30) - 1)
# A latch counts as kept once housekeeping must have stored it.
_STORED_MS = const(1_000)
# R15: the bar follows within a look or two.
_LED_MS = const(1_500)
# A car that left is noticed after the pilot filter, and its session ended by the next step.
_LEFT_MS = const(500)
# After a start an interrupted session waits this long for its car.
_RESUME_MS = const(6_000)
# The 24 h test waits for a resting contactor, and for the end of a check that is under way.
_TEST_SLACK_MS = const(60_000)
# R40: state F without a fault wakes a car up, for as long as this; nobody's permission outlasts the longer one.
_WAKE_MS = const(4_000)
_LONG_WAKE_MS = const(30_000)
_FROM_C_MS = const(5_000)
_SHOWN = const(20)


class Broken:
    """One violation: name of the invariant, what was seen, and when."""

    def __init__(self, name: str, text: str, at_ms: int):
        self.name = name
        self.text = text
        self.at_ms = at_ms

    def as_dict(self) -> dict:
        """For reports."""
        return {"name": self.name, "text": self.text, "plant_ms": self.at_ms}


def _volts_beyond(plant, app, permille: int, above: bool) -> bool:
    """Whether a phase in use lies beyond a part of the nominal voltage."""
    nominal_mv = app.settings["nominal_v"] * 1000
    for phase in range(app.settings["phases"]):
        mv = plant.supply.volts_mv[phase]
        if mv * 1000 > nominal_mv * permille if above else mv * 1000 < nominal_mv * permille:
            return True
    return False


def _pe_lost(plant, app) -> bool:
    return not plant.supply.pe_ok and app.settings["pe_mode"] == "enable"


def _no_diode(plant, _app) -> bool:
    """A car without a diode, seen while the pilot is modulated."""
    return plant.vehicle.plugged and plant.vehicle.diode_mv == 0 and 0 < plant.pilot.set_permille < 1000


# While one of these is true the coil must be off after that time: (cause, predicate(plant, app), ms, source).
CAUSES = (
    ("car left C", lambda plant, app: plant.vehicle.state < "C", 100, "table A.6, 8.1 and 2.2"),
    ("ventilation", lambda plant, app: plant.vehicle.state == "D", 700, "R1; 500 ms filter into D"),
    ("trip output", lambda plant, app: plant.rcm.tripped, 20, "R9"),
    ("residual DC", lambda plant, app: plant.rcm.dc_ua >= 6_000, 20, "R9, IEC 62955"),
    ("residual AC", lambda plant, app: plant.rcm.ac_ua >= 30_000, 20, "R9"),
    ("pilot short", lambda plant, app: -1_000 < plant.pilot.high_mv < 1_000, 20, "R13"),
    ("no diode", _no_diode, 200, "R13"),
    ("PE", _pe_lost, 150, "R11"),
    ("over-voltage 20 %", lambda plant, app: _volts_beyond(plant, app, 1200, True), 250, "R11"),
    ("over-voltage 15 %", lambda plant, app: _volts_beyond(plant, app, 1150, True), 1_050, "R11"),
    ("under-voltage 20 %", lambda plant, app: _volts_beyond(plant, app, 800, False), 2_050, "R11"),
    ("short circuit", lambda plant, app: max(plant.supply.current_ma) > 96_000, 30, "R11"),
    ("too hot", lambda plant, app: plant.thermal.deci_c >= 830, 500 + _ASKED_MS + 100, "R12"),
    ("not authorised", lambda plant, app: not app.session.authorised, _ASKED_MS + 100, "R2, R3"),
    ("not set up", lambda plant, app: not app.settings["wizard_complete"], _ASKED_MS + 100, "R6"),
    ("rated 0", lambda plant, app: app.settings["rated_a"] == 0, _ASKED_MS + 100, "R4"),
    ("red fault", lambda plant, app: app.faults.red != 0, _STEP_MS - 1, "R8"),
)


class Invariants:
    """The judge of one plant over all starts of its firmware; `broken` keeps the first violation of each kind."""

    def __init__(self, plant):
        self._plant = plant
        self._app = None
        self.broken = []
        self.steps = 0
        self._names = set()
        # The contactor.
        self._onset = [-1] * len(CAUSES)
        self._commanded = False
        self._offered = False
        self._offer_end_ms = 0
        self._negative = self._waking = False
        self._negative_ms = self._in_c_ms = 0
        # The car, and the monitor's test.
        self._plugged = False
        self._away_ms = self._gone_ms = 0
        self._tested_ms = self._boot_ms = self._rest_ms = 0
        self._residual = False
        self._clears_ms = []
        self._weld_ms = -1
        self._weld_stored_ms = 0
        # Energy: what really flowed, in all and while a session was open, and what the open session began at.
        self._counter = None
        self._true_mwh = 0
        # What has flowed since the step looked at the counter.
        self._late_mwh = 0
        self._session_mwh = 0
        self._base_mwh = None
        self._active = False
        self._recorded = False
        self._opened = 0
        self._lost_mwh = 0
        self._total_wh = 0
        self._shown = None
        self._shown_ms = 0

    def boot(self, app) -> None:
        """A firmware has started, and will take its first step."""
        self._app = app
        self._boot_ms = self._tested_ms = self._plant.now_ms
        self._commanded = self._offered = self._negative = self._waking = False
        self._shown = None
        self._residual = app.faults.is_active(RESIDUAL_CURRENT)
        if self._active:
            self._lost_mwh += _LOST_MWH
        self._active = self._recorded = False
        self._check_totals()

    def service(self) -> None:
        """Service has repaired the contactor."""
        self._weld_ms = -1

    def _break(self, name: str, text: str) -> None:
        if len(self.broken) < _SHOWN and name not in self._names:
            self._names.add(name)
            self.broken.append(Broken(name, text, self._plant.now_ms))

    def check(self) -> None:
        """Look at everything after a control step."""
        self.steps += 1
        plant = self._plant
        app = self._app
        now = plant.now_ms
        commanded = plant.contactor.commanded
        self._note_truth(app, now)
        if commanded and not self._commanded:
            self._check_closing(app)
        if self._commanded and not commanded:
            self._check_opening(app, now)
        self._check_closed(app, now, commanded)
        self._check_offer(app, now)
        self._check_wake_up(app, now)
        self._check_monitor(app, now, commanded)
        self._check_weld(app, now)
        self._check_session(app, now)
        self._check_led(app, now)
        self._commanded = commanded

    def _note_truth(self, app, now: int) -> None:
        plant = self._plant
        counter = plant.supply.energy_mwh()
        if self._counter is not None:
            late = (counter - app.board.supply.energy_mwh) & _COUNTER_MASK
            self._late_mwh = min(late, _LATE_MWH)
            flowed = (counter - self._counter) & _COUNTER_MASK
            self._true_mwh += flowed
            if self._active:
                self._session_mwh += flowed
        self._counter = counter
        # A resistor from pilot to PE looks like a car.
        plugged = plant.vehicle.plugged or "pilot_short" in plant.faults
        if not plugged:
            self._away_ms = now
            if self._plugged:
                self._gone_ms = now
        self._plugged = plugged
        if plant.rcm.test_input:
            self._tested_ms = now

    # -- the contactor ---------------------------------------------------------------------------------

    def _check_closing(self, app) -> None:
        """Closed only in C2 with everything proven (R1, R2, R3, R6, R9, R11, R13)."""
        plant = self._plant
        control = app.control
        conditions = (
            ("state C2", control.state == states.C2),
            ("a car in C", plant.vehicle.state == "C"),
            ("diode", plant.vehicle.diode_mv != 0 and control.pilot.diode_ok),
            ("monitor", not plant.rcm.tripped and control.residual.passed),
            ("self-test since the car came", self._tested_ms >= self._away_ms),
            ("absence of faults", app.faults.blocking == 0),
            ("authorisation", app.session.authorised and app.session.recorded),
            ("wizard", app.settings["wizard_complete"]),
            ("end of the restart delay", not app.delay.running),
            ("offer", app.offer.total_ma(app.clock.ticks_ms()) >= _LEAST_MA),
        )
        for name, holds in conditions:
            if not holds:
                self._break("closed without " + name, "the contactor was closed in vain of it")

    def _check_opening(self, app, now: int) -> None:
        """Under load only for a fault, a car that left C by itself, or one that was asked for 6 s (R8)."""
        plant = self._plant
        current = max(plant.supply.current_ma)
        if current <= _LOAD_MA or app.faults.red or plant.vehicle.state != "C":
            return
        asked_ms = now - self._offer_end_ms
        if self._offered or asked_ms < _ASKED_MS - _STEP_MS:
            self._break("opened under load", "%d mA, %d ms after the end of the offer" % (current, asked_ms))

    def _check_closed(self, app, now: int, commanded: bool) -> None:
        """Open within the time of every cause, and nothing but C1 and C2 keeps it closed."""
        onset = self._onset
        if not commanded:
            # Idle ticks are left out: the step that opens may be the first one after the time was up.
            for index in range(len(CAUSES)):
                if self._commanded:
                    self._check_time(index, now)
                onset[index] = -1
            return
        state = app.control.state
        if state != states.C2 and state != states.C1:
            self._break("closed outside C", "closed in state %s" % states.NAMES[state])
        if state == states.C1 and not self._offered and now - self._offer_end_ms > _ASKED_MS + 2 * _STEP_MS:
            self._break("C1 for too long", "closed %d ms after the end of the offer" % (now - self._offer_end_ms))
        for index in range(len(CAUSES)):
            cause = CAUSES[index]
            if not cause[1](self._plant, app):
                onset[index] = -1
            elif onset[index] < 0:
                onset[index] = now
            else:
                self._check_time(index, now)

    def _check_time(self, index: int, now: int) -> None:
        """One of CAUSES, while the contactor is closed or has just been opened."""
        name, _, allowed_ms, source = CAUSES[index]
        onset = self._onset[index]
        if onset >= 0 and now - onset > allowed_ms:
            self._break("open late: " + name, "closed for %d ms, allowed %d (%s)" % (now - onset, allowed_ms, source))

    # -- the offer -------------------------------------------------------------------------------------

    def _check_offer(self, app, now: int) -> None:
        """Never above any limit, never between 0 and 6 A (R4, R20, R22; table A.8)."""
        permille = self._plant.pilot.set_permille
        modulated = 0 < permille < 1000
        if self._offered and not modulated:
            self._offer_end_ms = now
        self._offered = modulated
        if not modulated:
            return
        offer = permille * 60
        if offer < _LEAST_MA:
            self._break("offer below 6 A", "%d permille" % permille)
        for limit in app.offer.limits:
            if offer > limit.ma:
                self._break("offer above limit", "%d mA, %s allows %d mA" % (offer, limit.name, limit.ma))
        if offer > app.settings["rated_a"] * 1000:
            self._break("offer above rating", "%d mA" % offer)

    def _check_wake_up(self, app, now: int) -> None:
        """State F without a fault is a wake-up: of a car that takes no offer, long after C, and short (R40)."""
        plant = self._plant
        negative = plant.pilot.set_permille == 0
        if app.control.state in (states.C1, states.C2):
            self._in_c_ms = now
        if negative and not self._negative:
            self._negative_ms = now
            self._waking = not app.faults.red
            if self._waking:
                self._check_wake_up_begins(app, now)
        elif self._waking and app.faults.red:
            self._waking = False
        longest_ms = _LONG_WAKE_MS if app.session.id_tag is None else _WAKE_MS
        if self._waking and now - self._negative_ms > longest_ms + _STEP_MS:
            # The step that ends it may be the first one after the time was up.
            self._break("wake-up too long", "state F for %d ms" % (now - self._negative_ms))
        self._negative = negative
        self._waking &= negative

    def _check_wake_up_begins(self, app, now: int) -> None:
        plant = self._plant
        conditions = (
            ("its setting", app.settings["wake_up"]),
            ("a permission", app.session.authorised and app.session.recorded),
            ("an open contactor", not plant.contactor.commanded and not app.control.contactor.closed),
            ("an end of the self-test", not plant.rcm.test_input),
            ("an end of the restart delay", not app.delay.running),
            ("a car in B", plant.vehicle.state == "B" or "pilot_short" in plant.faults),
            ("5 s since state C", now - self._in_c_ms >= _FROM_C_MS),
        )
        for name, holds in conditions:
            if not holds:
                self._break("woken without " + name, "state F was put out in vain of it")

    # -- residual current monitor, latches -------------------------------------------------------------

    def _check_monitor(self, app, now: int, commanded: bool) -> None:
        """Self-test with an open contactor only, and every 24 h at rest; 3 recoveries an hour (R9)."""
        faults = app.faults
        if self._plant.rcm.test_input and commanded:
            self._break("self-test while closed", "the test input is driven with a closed contactor")
        residual = faults.is_active(RESIDUAL_CURRENT)
        if self._residual and not residual:
            if self._plugged and now - self._away_ms > _LEFT_MS:
                self._break("residual latch", "cleared with the car plugged in")
            self._clears_ms = [ms for ms in self._clears_ms if now - ms < _HOUR_MS]
            self._clears_ms.append(now)
            if len(self._clears_ms) > _RECOVERIES:
                self._break("recoveries", "%d residual trips cleared in an hour" % len(self._clears_ms))
        self._residual = residual
        if app.control.state not in (states.A1, states.B1, states.B2) or commanded:
            # A charge may last longer than a day; the test comes when it has ended.
            self._rest_ms = now
        elif not residual and not faults.is_active(RCM_SELF_TEST):
            due_ms = max(self._tested_ms + _DAY_MS, self._rest_ms)
            if now - due_ms > _TEST_SLACK_MS:
                self._break("no test for 24 h", "the last one was %d h ago" % ((now - self._tested_ms) // _HOUR_MS))

    def _check_weld(self, app, now: int) -> None:
        """A weld survives everything but service (R10)."""
        weld = app.faults.is_active(WELD)
        if weld and self._weld_ms < 0:
            self._weld_ms = now
        elif not weld and self._weld_ms >= 0:
            if self._weld_stored_ms >= _STORED_MS and not self._plant.flash_device.refused:
                self._break("weld forgotten", "the latch of a weld is gone without service")
            self._weld_ms = -1
        self._weld_stored_ms = now - self._weld_ms if weld else 0

    # -- session and energy ----------------------------------------------------------------------------

    def _check_session(self, app, now: int) -> None:
        """An authorisation ends with its session (R43); energy is counted once and never lost (R7, R30)."""
        session = app.session
        gone = not self._plugged and now - self._gone_ms > _LEFT_MS and now - self._boot_ms > _RESUME_MS
        if gone and session.authorised and app.control.state != states.F:
            self._break("authorised without a car", "the session of the car that left is still authorised")
        if session.active and not self._active:
            self._opens(app, session)
        self._active = session.active
        if session.recorded and not self._recorded and not session.resumed:
            self._opened += 1
        self._recorded = session.recorded
        if session.active and self._base_mwh is not None:
            wrong = session.energy_mwh - (self._true_mwh - self._base_mwh)
            if not -_SLACK_MWH - self._late_mwh <= wrong <= _SLACK_MWH:
                self._break("session energy", "%d mWh counted too many" % wrong)
                self._base_mwh = self._true_mwh - session.energy_mwh

    def _opens(self, app, session) -> None:
        """A session begins, or goes on after a restart with what the last checkpoint knew."""
        if not session.resumed:
            self._base_mwh = self._true_mwh - session.energy_mwh
            if app.settings["access_control"] and session.id_tag is None:
                self._break("session without a card", "access control is on and nobody was authorised")
            if session.energy_mwh > _SLACK_MWH:
                self._break("new session with energy", "%d mWh" % session.energy_mwh)
            return
        if self._base_mwh is not None:
            lost = self._true_mwh - self._base_mwh - session.energy_mwh
            if lost < -_SLACK_MWH or lost > _LOST_MWH and not self._plant.flash_device.refused:
                self._break("session energy over a restart", "%d mWh lost" % lost)
        self._base_mwh = self._true_mwh - session.energy_mwh

    def _check_totals(self) -> None:
        """At each start: the lifetime counter holds what flowed, less what cuts may cost, and nothing twice."""
        totals = self._app.store.totals()
        total_wh = totals["total_wh"]
        refused = self._plant.flash_device.refused
        if total_wh * _MWH_PER_WH > self._true_mwh + _SLACK_MWH:
            self._break("energy counted twice", "%d Wh counted, %d mWh flowed" % (total_wh, self._true_mwh))
        # Each session is counted in whole watt-hours.
        least = self._session_mwh - self._lost_mwh - (totals["sessions"] + 1) * _MWH_PER_WH
        if total_wh * _MWH_PER_WH < least and not refused:
            self._break("energy lost", "%d Wh counted, %d mWh flowed" % (total_wh, self._session_mwh))
        known = totals["sessions"] + (self._app.store.current() is not None)
        # A session whose record was written as the supply failed was not seen to be recorded.
        self._opened = max(self._opened, known) if known - self._opened <= 1 else self._opened
        if known > self._opened:
            self._break("session counted twice", "%d counted, %d opened" % (known, self._opened))
        if known < self._opened and not refused:
            self._break("session lost", "%d counted, %d opened" % (known, self._opened))

    # -- the bar ---------------------------------------------------------------------------------------

    def _check_led(self, app, now: int) -> None:
        """The bar tells the truth: red for a fault, breathing for a live cable that charges (R15)."""
        if app.faults.red:
            wanted = "red"
        elif app.control.state == states.C2 and app.control.contactor.closed:
            wanted = "breathing_blue"
        else:
            wanted = "blue" if app.control.state == states.A1 and not app.snapshot.out_of_use else ""
        if wanted == "blue" and (app.snapshot.starting or app.snapshot.updating):
            wanted = ""
        if wanted != self._shown:
            self._shown = wanted
            self._shown_ms = now
        elif wanted and now - self._shown_ms > _LED_MS and not app.led.pattern.startswith(wanted):
            # A bar whose task has died is dark until it is started again.
            if [watch for watch in app.supervisor.watches if watch.name == "led" and watch.due is not None]:
                self._break("bar lies", "%s shown, %s is true" % (app.led.pattern, wanted))
