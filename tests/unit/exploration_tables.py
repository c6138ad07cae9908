"""What can be the case and what can happen: situations of the control loop, and events that meet them."""

from test_control import SETTINGS

from wallbox.charging import states as s
from wallbox.charging.contactor import CHECKING, CLOSED, CLOSING, IDLE
from wallbox.charging.pilot import INVALID, UNKNOWN
from wallbox.protection import faults as f

HOT_DECI_C = 850
WARM_DECI_C = 760


# -- events ---------------------------------------------------------------------------------------------


def _leaves(world):
    if world.plant.vehicle.plugged:
        world.plant.unplug()


def _shows(state):
    def event(world):
        if not world.plant.vehicle.plugged:
            world.plant.plug()
        world.plant.car(state=state)

    return event


def _car(**what):
    def event(world):
        if world.plant.vehicle.plugged:
            world.plant.car(**what)

    return event


def _breaks(name, value=None):
    return lambda world: world.plant.fault(name, value)


def _limit(name, ma, ms=None):
    def event(world):
        until = None if ms is None else world.plant.now_ms + ms
        world.rig.offer.set(name, ma, "test", "test", until)

    return event


def _no_limit(world):
    for name in ("meter", "backend", "temperature"):
        world.rig.offer.clear(name)


def _setting(**settings):
    def event(world):
        SETTINGS.update(settings)
        world.rig.control.configure(SETTINGS)

    return event


def _card(world):
    session = world.rig.session
    if session.active or session.waiting:
        session.stop("card")
    else:
        session.authorise("card")


def _heat(deci_c):
    def event(world):
        thermal = world.plant.thermal
        thermal._ambient_c = thermal._board_c = deci_c / 10
        thermal._since_ms = world.plant.now_ms
        thermal._steps = deci_c
        thermal._retarget()
        thermal._show()

    return event


def _app_reports(fault):
    return lambda world: world.rig.faults.report(fault, True, 0, world.plant.now_ms)


def _stall(world):
    world.tasks_stall = not world.tasks_stall


def _test_due(world):
    world.rig.control.residual._again.stop()
    world.rig.control.poke()


def mend(world):
    """Everything outside the box as it should be, but for the car."""
    plant = world.plant
    for name in tuple(plant.faults):
        plant.clear(name)
    plant.grid([230, 230, 230], 50)
    _heat(250)(world)
    _car(diode=True, draw_a="auto", ignore_pwm=False, asleep="no")(world)
    for fault in (f.COMMUNICATION, f.METER, f.STORAGE, f.CONTACTOR_WORN):
        world.rig.faults.report(fault, False, 0, plant.now_ms)
    world.tasks_stall = False
    world.rig.session._wake.set()
    _no_limit(world)
    _limit("installer", 32_000)(world)
    _setting(wizard_complete=True, phases=3, pe_mode="enable", access_control=False, wake_up=True)(world)


# (name, the input it moves, what it does). Of events on one input only one can happen at a time.
EVENTS = (
    ("car leaves", "car", _leaves),
    ("car shows B", "car", _shows("B")),
    ("car shows C", "car", _shows("C")),
    ("car shows D", "car", _shows("D")),
    ("car decides", "car", _shows("auto")),
    ("car ignores the pilot", "ignore", _car(ignore_pwm=True)),
    ("car sleeps", "sleep", _car(asleep="never")),
    ("car draws 0 A", "draw", _car(draw_a=0)),
    ("car draws 100 A", "draw", _car(draw_a=100)),
    ("car draws too much", "overcurrent", _breaks("overcurrent")),
    ("diode shorted", "diode", _car(diode=False)),
    ("pilot short", "pilot", _breaks("pilot_short", 80)),
    ("pilot half shorted", "pilot", _breaks("pilot_short", 1500)),
    ("pilot at 15 V", "pilot", _breaks("pilot_voltage", 15)),
    ("pilot at -5 V", "pilot", _breaks("pilot_voltage", -5)),
    ("pilot stuck at +12 V", "output", _breaks("pilot_stuck", 1000)),
    ("pilot stuck at 32 A", "output", _breaks("pilot_stuck", 533)),
    ("DC leak", "leak", _breaks("residual_dc", 60)),
    ("small DC leak", "leak", _breaks("residual_dc", 6)),
    ("AC leak", "leak", _breaks("residual_ac", 300)),
    ("monitor deaf to its test", "monitor", _breaks("rcm_test_fails")),
    ("trip output sticks", "monitor", _breaks("rcm_stuck")),
    ("trip output high", "monitor", _breaks("rcm_stuck", True)),
    ("trip wire cut", "monitor", _breaks("rcm_wire")),
    ("L1 welds", "weld", _breaks("weld_l1")),
    ("L2 welds", "weld", _breaks("weld_l2")),
    ("L3 welded at rest", "weld", _breaks("weld_l3", True)),
    ("contactor does not close", "coil", _breaks("no_close")),
    ("contactor opens slowly", "coil", _breaks("slow_open", 300)),
    ("PE lost", "pe", _breaks("pe")),
    ("over-voltage", "grid", _breaks("overvoltage", 280)),
    ("under-voltage", "grid", _breaks("undervoltage", 170)),
    ("supply gone", "grid", _breaks("undervoltage", 0)),
    ("L1 lost", "grid", _breaks("phase_loss", 1)),
    ("L2 lost", "grid", _breaks("phase_loss", 2)),
    ("L3 lost", "grid", _breaks("phase_loss", 3)),
    ("only L1 there", "grid", lambda world: world.plant.grid([230, 0, 0])),
    ("45 Hz", "frequency", lambda world: world.plant.grid(hz=45)),
    ("too hot", "heat", _heat(HOT_DECI_C)),
    ("warm", "heat", _heat(WARM_DECI_C)),
    ("sensor open", "heat", _breaks("temperature_sensor", "open")),
    ("sensor shorted", "heat", _breaks("temperature_sensor", "short")),
    ("limit 0", "limit", _limit("meter", 0)),
    ("limit 5.9 A", "limit", _limit("meter", 5_900)),
    ("limit 10 A", "limit", _limit("meter", 10_000)),
    ("no limit", "limit", _no_limit),
    ("limit 0 for 0.7 s", "limit", _limit("backend", 0, 700)),
    ("rated 0 A", "rated", _limit("installer", 0)),
    ("wizard incomplete", "wizard", _setting(wizard_complete=False)),
    ("set up for one phase", "set-up", _setting(phases=1)),
    ("set up without PE watch", "PE watch", _setting(pe_mode="off")),
    ("set up to watch PE only", "PE watch", _setting(pe_mode="monitor")),
    ("set up to wake no car", "wake-up", _setting(wake_up=False)),
    ("access control on", "access", _setting(access_control=True)),
    ("card", "card", _card),
    ("tasks stall", "tasks", _stall),
    ("self-test due", "test", _test_due),
    ("module lost", "module", _app_reports(f.COMMUNICATION)),
    ("meter lost", "meter", _app_reports(f.METER)),
    ("flash refuses", "flash", _app_reports(f.STORAGE)),
    ("contactor worn", "health", _app_reports(f.CONTACTOR_WORN)),
    ("all mended", "all", mend),
)
# These differ from another event in phase, size or sign only, or do not show in the time of a pair: they meet
# every situation, but no second event.
VARIANTS = (
    "car sleeps",
    "under-voltage",
    "only L1 there",
    "set up to wake no car",
    "car decides",
    "pilot half shorted",
    "pilot at -5 V",
    "small DC leak",
    "AC leak",
    "L2 welds",
    "L2 lost",
    "L3 lost",
    "supply gone",
    "warm",
    "sensor shorted",
    "limit 5.9 A",
    "rated 0 A",
    "set up without PE watch",
    "meter lost",
    "flash refuses",
    "contactor worn",
    # It moves every input, so that nothing of a first event is left.
    "all mended",
)


# -- situations -----------------------------------------------------------------------------------------


def _restored(fault):
    return lambda world: world.rig.faults.restore(1 << fault)


def _interrupted(world):
    world.store.record = {"id_tag": None, "energy_wh": 100, "duration_s": 60}
    world.rig.session.begin(world.plant.now_ms)
    world.rig.control._delay.begin(world.plant.now_ms, True)


# What can only be the case before the first step.
AT_START = (
    ("weld on record", _restored(f.WELD)),
    ("trip on record", _restored(f.RESIDUAL_CURRENT)),
    ("session on record", _interrupted),
)

# What happens, by its name.
BY_NAME = {name: happens for name, _, happens in EVENTS}
BY_NAME.update(AT_START)

# What a situation may be told by besides state and contactor.
WHAT = {
    "": lambda c: True,
    "testing": lambda c: c.residual.testing,
    "delay": lambda c: c._delay.running,
    "testing, delay": lambda c: c.residual.testing and c._delay.running,
    "resumed": lambda c: c._session.active and c._session.resumed and not c._connected,
    "permitted": lambda c: c._session.waiting,
    "no card": lambda c: c._session.needs_card and c.residual.passed,
    "paused": lambda c: c._offer.total_ma(0) < 6_000 and c.residual.passed and c._session.authorised,
    "not set up": lambda c: not c.enabled and c.residual.passed,
    "not stored": lambda c: c._session.active and not c._session.recorded and c.residual.passed,
    "stopped": lambda c: c._connected and not c._session.active and not c._session.waiting,
    "pulse": lambda c: c.pilot._change.running and c.pilot._raw == s.LEVEL_C,
    "diode not proven": lambda c: not c.pilot.diode_ok and not c.pilot._settle.running,
    "no current": lambda c: c._max_current_ma == 0,
    "full current": lambda c: c._max_current_ma > 31_000,
    "ramp": lambda c: c._raise.running,
    "proven too soon": lambda c: c.contactor._reclose.running and c.pilot.diode_ok,
    "obeys": lambda c: c._session.authorised,
    "ending": lambda c: not c._session.authorised and c._session.active,
    "about to open": lambda c: 0 < c._c1.left_ms(c._clock.ticks_ms()) <= 20,
    "hot": lambda c: c._faults.is_active(f.OVER_TEMPERATURE),
    "no car": lambda c: not c._connected,
    "about to wake": lambda c: 0 < c.wake.left_ms(c._clock.ticks_ms()) <= 20,
    "pulse of F": lambda c: c.wake.holds_f and not c._f.running,
    "pause after F": lambda c: c.wake.under_way and not c.wake.holds_f,
    "woken once": lambda c: c.wake._attempts == 1 and not c.wake.under_way,
    "F held": lambda c: c._f.running,
    "F ends": lambda c: c.state == s.F and not c._f.running and not c._faults.stay_f,
    "waits to recover": lambda c: c._faults._clearing != 0,
    "unproven short": lambda c: c._faults.is_active(f.PILOT_SHORT),
    "invalid": lambda c: c.pilot.level == INVALID,
    "trip": lambda c: c._faults.is_active(f.RESIDUAL_CURRENT),
    "trip, testing": lambda c: c._faults.is_active(f.RESIDUAL_CURRENT) and c.residual.testing,
    "trip, no more recovery": lambda c: (
        c._faults.is_active(f.RESIDUAL_CURRENT) and not c._connected and not c.residual.may_recover
    ),
    "weld": lambda c: c._faults.is_active(f.WELD),
    "monitor failed": lambda c: c._faults.is_active(f.RCM_SELF_TEST),
    "no_close": lambda c: c._faults.is_active(f.NO_CLOSE),
    "over-current": lambda c: c._faults.is_active(f.OVER_CURRENT),
    "diode": lambda c: c._faults.is_active(f.DIODE),
    "output": lambda c: c._faults.is_active(f.PILOT_FEEDBACK),
    "short circuit": lambda c: c._faults.is_active(f.SHORT_CIRCUIT),
    "ventilation": lambda c: c._faults.is_active(f.VENTILATION),
    "one phase": lambda c: c.contactor.poles == 1 and not c._faults.active,
    "blind": lambda c: c.pilot.level == UNKNOWN,
}
POWER_ON = "power on"
_TRIP = (("car shows C", 4000), ("DC leak", 1000), ("all mended", 0), ("car leaves", 3000))

# (name, situation it begins in, events with the ms after each, state, contactor, what else); the world is then
# stepped until it is so.
SITUATIONS = (
    ("first look", POWER_ON, (), s.A1, CHECKING, "blind"),
    ("test after the start", POWER_ON, (), s.A1, IDLE, "testing"),
    ("standby", POWER_ON, (("", 3000),), s.A1, IDLE, ""),
    ("car found at the start", POWER_ON, (("car shows B", 0),), s.B1, IDLE, "testing, delay"),
    ("delay in B", POWER_ON, (("car shows B", 2000),), s.B1, IDLE, "delay"),
    ("delay in C", POWER_ON, (("car shows C", 2000),), s.C1, IDLE, "delay"),
    ("session of before the cut", POWER_ON, (("session on record", 0), ("", 1000)), s.A1, IDLE, "resumed"),
    ("resumed, delay", POWER_ON, (("session on record", 0), ("car shows C", 2000)), s.C1, IDLE, "delay"),
    ("permitted, no car", "standby", (("access control on", 0), ("card", 20)), s.A1, IDLE, "permitted"),
    ("just plugged in", "standby", (("car shows B", 0),), s.B1, IDLE, "testing"),
    ("just plugged in, wants at once", "standby", (("car shows C", 0),), s.C1, IDLE, "testing"),
    ("waits for a card", "standby", (("access control on", 0), ("car shows B", 2000)), s.B1, IDLE, "no card"),
    ("wants, no card", "standby", (("access control on", 0), ("car shows C", 2000)), s.C1, IDLE, "no card"),
    ("paused in B", "standby", (("limit 0", 0), ("car shows B", 2000)), s.B1, IDLE, "paused"),
    ("paused in C", "standby", (("limit 5.9 A", 0), ("car shows C", 2000)), s.C1, IDLE, "paused"),
    ("rated 0", "standby", (("rated 0 A", 0), ("car shows C", 2000)), s.C1, IDLE, "paused"),
    ("not set up", "standby", (("wizard incomplete", 0), ("car shows C", 2000)), s.C1, IDLE, "not set up"),
    ("not stored", "standby", (("tasks stall", 0), ("car shows C", 2000)), s.C1, IDLE, "not stored"),
    ("offered", "standby", (("car shows B", 3000),), s.B2, IDLE, ""),
    ("test due while offered", "offered", (("self-test due", 0),), s.B1, IDLE, "testing"),
    ("about to wake the car", "offered", (("", 25_000),), s.B2, IDLE, "about to wake"),
    ("wakes the car", "about to wake the car", (), s.F, IDLE, "pulse of F"),
    ("woke the car", "wakes the car", (), s.B1, IDLE, "pause after F"),
    ("offered again", "woke the car", (), s.B2, IDLE, "woken once"),
    ("car pulses", "offered", (("car shows C", 400),), s.B2, IDLE, "pulse"),
    ("diode not proven", "paused in C", (("no limit", 50),), s.C2, IDLE, "diode not proven"),
    ("closing", "diode not proven", (), s.C2, CLOSING, ""),
    ("withdrawn while closing", "closing", (("limit 0", 0),), s.C1, CLOSING, ""),
    ("closed", "closing", (), s.C2, CLOSED, "no current"),
    ("charging", "closed", (("", 6000),), s.C2, CLOSED, "full current"),
    ("offer just lowered", "charging", (("limit 10 A", 20),), s.C2, CLOSED, "ramp"),
    ("asked to stop", "charging", (("limit 0", 0),), s.C1, CLOSED, "obeys"),
    ("asked by a card", "charging", (("card", 0),), s.C1, CLOSED, "ending"),
    ("stopped by a card", "charging", (("card", 3000), ("car shows B", 1000)), s.B1, IDLE, "stopped"),
    ("deaf to the stop", "charging", (("car ignores the pilot", 0), ("limit 0", 5900)), s.C1, CLOSED, "about to open"),
    ("cut off", "deaf to the stop", (), s.C1, CHECKING, ""),
    ("cut off, then permitted", "cut off", (("no limit", 0),), s.C2, CHECKING, ""),
    ("permitted too soon", "cut off, then permitted", (), s.C2, IDLE, "proven too soon"),
    ("too hot in C", "charging", (("too hot", 0),), s.C1, CLOSED, "hot"),
    ("too hot in B", "offered", (("too hot", 0),), s.B1, IDLE, "hot"),
    ("just left C", "charging", (("car shows B", 0),), s.B2, CHECKING, ""),
    ("left C as asked", "asked to stop", (("car decides", 0),), s.B1, CHECKING, ""),
    ("pulled while charging", "charging", (("car leaves", 0),), s.A1, CHECKING, ""),
    ("ventilation while charging", "charging", (("car shows D", 0),), s.D1, CHECKING, "ventilation"),
    ("ventilation", "standby", (("car shows D", 2000),), s.D1, IDLE, "ventilation"),
    ("shorted while charging", "charging", (("pilot short", 0),), s.E, CHECKING, ""),
    ("shorted with a car", "offered", (("pilot short", 0),), s.E, IDLE, ""),
    ("shorted without a car", "standby", (("pilot short", 0),), s.E, IDLE, "no car"),
    ("short over", "shorted with a car", (("all mended", 1000),), s.B1, IDLE, "unproven short"),
    ("impossible voltage", "charging", (("pilot at 15 V", 1000),), s.C1, IDLE, "invalid"),
    ("F while charging", "charging", (("PE lost", 0),), s.F, CHECKING, "F held"),
    ("F with a car", "offered", (("PE lost", 0),), s.F, IDLE, "F held"),
    ("F without a car", "standby", (("PE lost", 0),), s.F, IDLE, "F held"),
    ("F over, level unknown", "F with a car", (), s.F, IDLE, "F ends"),
    ("PE lost", "F with a car", (("", 2000),), s.B1, IDLE, ""),
    ("PE back", "PE lost", (("all mended", 500),), s.B1, IDLE, "waits to recover"),
    ("tripped", "charging", (("DC leak", 0),), s.F, CHECKING, "trip"),
    ("tripped, car still there", "tripped", (("all mended", 2000),), s.C1, IDLE, "trip"),
    ("tripped, unplugged", "tripped, car still there", (("car leaves", 0),), s.A1, IDLE, "trip, testing"),
    ("tripped for the fourth time", "standby", _TRIP * 4, s.A1, IDLE, "trip, no more recovery"),
    ("trip on record", POWER_ON, (("trip on record", 0), ("car shows C", 2000)), s.C1, IDLE, "trip"),
    ("welded", "just left C", (("L2 welds", 0),), s.F, IDLE, "weld"),
    ("welded at rest", "standby", (("L3 welded at rest", 0),), s.F, IDLE, "weld"),
    ("weld on record", POWER_ON, (("weld on record", 0), ("car shows C", 2000)), s.F, IDLE, "weld"),
    ("weld on record, checking", POWER_ON, (("weld on record", 0),), s.F, CHECKING, "weld"),
    ("monitor failed", "standby", (("trip wire cut", 0), ("car shows C", 0)), s.F, IDLE, "monitor failed"),
    ("does not close", "closing", (("contactor does not close", 0),), s.F, CHECKING, "no_close"),
    ("did not close", "does not close", (("", 2000),), s.C1, IDLE, "no_close"),
    ("drew too much", "charging", (("car draws too much", 20_000),), s.C1, IDLE, "over-current"),
    ("short circuit", "charging", (("car draws 100 A", 0),), s.F, CHECKING, "short circuit"),
    ("no diode", "offered", (("diode shorted", 2000),), s.B1, IDLE, "diode"),
    ("output broken", "charging", (("pilot stuck at 32 A", 0), ("limit 10 A", 0)), s.F, CHECKING, "output"),
    ("one phase, charging", "standby",
     (("only L1 there", 0), ("set up for one phase", 0), ("car shows C", 5000)), s.C2, CLOSED, "one phase"),
)  # fmt: skip
