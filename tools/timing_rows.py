"""What `make timing` measures: one row for each sequence and each time limit that is the box's duty.

Every limit stands here with its source. Sources are labelled: [V] read in the source named, [X] an excerpt of it,
[K] general knowledge. IEC 61851-1 itself was not read; its table A.6 is quoted as others quote it. "own" is a figure
of this firmware, which its source gives a reason for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from reaction import LOOP_MS, Traced, charge, reaction_ms, ready

Trial = Callable[[Traced, int], int | None]
Act = Callable[[Traced], object]
Wanted = Callable[[Any], object]

# Without a meter nothing but what is being measured moves the offer.
INSTALLED = {"meter_model": "none", "load_optimisation": False, "connection_a": 40}
METERED: dict[str, Any] = {}  # the simulator's own installation: 3 x 25 A, meter, load optimisation
# Every moment between two ticks of the control loop; and of a task that looks once in 250 ms or in 1 s.
EVERY_MS = tuple(range(LOOP_MS))
EVERY_250_MS = tuple(range(0, 250, 17))
EVERY_SECOND = tuple(range(0, 1000, 67))
# The event loop may be kept by other tasks for up to 5 ms (CONTRIBUTING.md).
BUSY_MS = 5
BUSY_MOMENTS = EVERY_MS * 10


@dataclass(frozen=True)
class Row:
    """One figure: the worst of all trials.

    `limit_ms`: no trial may take longer; `floor_ms`: none may be shorter, and then the shortest is the worst. Rows
    without a trial are not the box's duty, `note` says whose. `rest` brings the box back to where `prepare` begins;
    without it each trial gets a box of its own. `excuse`: why the limit is not kept.
    """

    key: str
    what: str
    required: str
    limit_ms: int | None = None
    floor_ms: int | None = None
    trial: Trial | None = None
    prepare: Act = ready
    rest: Act | None = None
    settings: dict[str, Any] = field(default_factory=lambda: INSTALLED)
    moments: tuple[int, ...] = EVERY_MS
    late_ms: int | None = None
    unit: str = "ms"
    note: str = ""
    excuse: str = ""


# Trials


def takes(act: Act, terminal: str, wanted: Wanted, within_s: float = 1) -> Trial:
    """From the act to the terminal's change."""
    return lambda box, moment: reaction_ms(box, moment, act, terminal, wanted, within_s)


def between(act: Act, first: tuple[str, Wanted], last: tuple[str, Wanted], within_s: float) -> Trial:
    """From one terminal's change to that of another, or of the same, after it."""

    def trial(box: Traced, moment: int) -> int | None:
        reaction_ms(box, moment, act, *last, within_s)
        begin = box.times(*first)
        end = [ms for ms in box.times(*last) if begin and ms >= begin[0]]
        return end[0] - begin[0] if end else None

    return trial


def counts(act: Act, terminal: str, wanted: Wanted, within_s: float) -> Trial:
    """How often the terminal changes to what is wanted."""

    def trial(box: Traced, moment: int) -> int | None:
        reaction_ms(box, moment, act, terminal, wanted, within_s)
        return len(box.times(terminal, wanted))

    return trial


def off(value: int) -> bool:
    """The contactor's command, the coil, or the voltage behind it is gone."""
    return value == 0


def on(value: int) -> bool:
    """All three phases are live, or the one wire is high."""
    return value in (1, 7)


def steady(permille: int) -> bool:
    """The pilot offers nothing."""
    return permille == 1000


def offer(permille: int) -> bool:
    """The pilot offers a current."""
    return 0 < permille < 1000


def negative(permille: int) -> bool:
    """The pilot is at -12 V: state F."""
    return permille == 0


# Acts


def leave(box: Traced) -> None:
    """The car opens S2."""
    box.car(state="B")


def ask(box: Traced) -> None:
    """The car closes S2."""
    box.car(state="C")


def sleeps(box: Traced) -> None:
    """A car comes and takes no notice of the offer."""
    box.plug(asleep="never")


def fault(name: str, value: Any = None) -> Act:
    """A fault comes."""
    return lambda box: box.fault(name, value)


def rated(amps: int) -> Act:
    """The installer sets the rated current."""
    return lambda box: box.settings(rated_a=amps)


def draws(amps: int) -> Act:
    """The car draws so much on each phase from now on, whatever it is offered."""
    return lambda box: box.car(draw_a=amps)


def volts(*phases: float) -> Act:
    """The supply changes to these voltages."""
    return lambda box: box.grid(volts=list(phases))


def frozen(act: Act, ms: int = 1_500) -> Act:
    """What happens while the event loop stands still for `ms`, shorter than the watchdog waits."""

    def both(box: Traced) -> None:
        act(box)
        box.pause(ms)

    return both


# Preparations and rests


def charging(box: Traced) -> None:
    """A charge of 10 s and more: the car follows, and sequence 12 asks for 5 s in C."""
    charge(box)
    box.advance(10)


def plugged(box: Traced) -> None:
    """State B2: an offer, and a car that does not take it yet."""
    ready(box)
    box.plug(wants=False)
    box.advance(5)
    box.until(lambda state: state["pilot"]["state"] == "B2", 5)


def not_ready(box: Traced) -> None:
    """State B1: a car, and a box that may not offer."""
    ready(box)
    box.settings(rated_a=0)
    box.plug(wants=False)
    box.advance(5)


def stopping(box: Traced) -> None:
    """State C1 with a closed contactor: the box has withdrawn its offer, and the car does not listen."""
    charging(box)
    box.car(ignore_pwm=True)
    box.settings(rated_a=0)
    box.advance(2)


def stopped_in_c(box: Traced) -> None:
    """State C1 with an open contactor, right after it was opened under load."""
    charging(box)
    box.car(state="C")
    box.settings(rated_a=0)
    box.advance(5.9)
    box.until(lambda state: not state["contactor"]["closed"], 1, step=0.01)


def resting_in_c(box: Traced) -> None:
    """The same some time later."""
    stopped_in_c(box)
    box.advance(30)


def ventilating(box: Traced) -> None:
    """State D asked for 0.1 s ago: the contactor is still closed."""
    charging(box)
    box.car(state="D")
    box.advance(0.1)


def just_left(box: Traced) -> None:
    """The contactor has just opened because the car left C: the guard between two closings runs."""
    charging(box)
    box.car(state="B")
    box.advance(0.1)


def lowered(box: Traced) -> None:
    """The offer has just been lowered: the next higher one has to wait."""
    charging(box)
    box.settings(rated_a=10)
    box.advance(0.05)


def welded(box: Traced) -> None:
    """A charge with one pole that will not open."""
    charging(box)
    box.fault("weld_l1")


def blocked(box: Traced) -> None:
    """A contactor that does not close, and a car that has an offer."""
    plugged(box)
    box.fault("no_close")


def earth_lost(box: Traced) -> None:
    """A charge that ended because the protective earth is missing."""
    charging(box)
    box.fault("pe")
    box.advance(5)


def calm(*faults: str) -> Act:
    """Mend, unplug, and wait until every fault that clears by itself has cleared: 30 s at most."""

    def rest(box: Traced) -> None:
        for name in faults:
            box.clear(name)
        if box.state()["car"]["plugged"]:
            box.unplug()
        box.grid(volts=[230, 230, 230], hz=50)
        box.settings(rated_a=32)
        box.advance(4)
        if box.state()["faults"]:
            box.advance(35)

    return rest


def unplugged(box: Traced) -> None:
    """Unplug: all that is needed when there was no fault and no setting was changed."""
    box.unplug()
    box.advance(3)


# The rows: table A.6


A6 = "table A.6"


def pulses(box: Traced) -> None:
    """Three toggles of a car that signals: 0.4 s in C, 0.2 s in B."""
    for _ in range(3):
        box.car(state="C")
        box.advance(0.4)
        box.car(state="B")
        box.advance(0.2)


def simplified(box: Traced) -> None:
    """A car without S2 is plugged in: it shows C at once."""
    box.plug()
    box.car(state="C")


SEQUENCES = (
    Row(
        "1.1",
        "plug-in A -> B; here until the offer (self-test and stored session included)",
        "no limit for the box [V EVerest]",
        trial=takes(lambda box: box.plug(), "duty", offer, 3),
        rest=calm(),
    ),
    Row(
        "1.2",
        "plug-in A -> C without S2; here until the output is live",
        "no limit for the box, 10 A by the car [V EVerest]",
        trial=takes(simplified, "live", on, 6),
        rest=calm(),
    ),
    Row(
        "2.1",
        "unplug in B2; until the offer is gone",
        "no figure [V EVerest: A1, unlock]; see 9.3",
        trial=takes(lambda box: box.unplug(), "duty", steady),
        prepare=plugged,
        rest=calm(),
    ),
    Row(
        "2.2",
        "unplug in C2 -> output dead",
        f"<= 100 ms, {A6} [V OpenEVSE, EVerest]",
        limit_ms=100,
        trial=takes(lambda box: box.unplug(), "live", off),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "2.2 in C1",
        "unplug in C1, contactor still closed -> output dead",
        f"<= 100 ms, {A6} [V OpenEVSE, EVerest]",
        limit_ms=100,
        trial=takes(lambda box: box.unplug(), "live", off),
        prepare=stopping,
        rest=calm(),
    ),
    Row(
        "2.2 in D",
        "unplug in D, contactor still closed -> output dead",
        f"<= 100 ms, {A6} [V OpenEVSE, EVerest]",
        limit_ms=100,
        trial=takes(lambda box: box.unplug(), "live", off),
        prepare=ventilating,
        rest=calm(),
    ),
    Row(
        "2.2 busy",
        f"as 2.2, each tick late by 0..{BUSY_MS} ms",
        f"<= 100 ms, {A6} [V OpenEVSE, EVerest]",
        limit_ms=100,
        trial=takes(lambda box: box.unplug(), "live", off),
        prepare=charge,
        rest=lambda box: box.advance(3),
        late_ms=BUSY_MS,
        moments=BUSY_MOMENTS,
    ),
    Row(
        "3.1",
        "power available in B1 -> offer",
        "no limit [V list of sequences]",
        trial=takes(rated(16), "duty", offer, 4),
        prepare=not_ready,
        rest=calm(),
    ),
    Row(
        "3.2",
        "power available in C1, contactor long open -> output live",
        f"<= 3 s, {A6} [K, as 4]",
        limit_ms=3_000,
        trial=takes(rated(16), "live", on, 6),
        prepare=resting_in_c,
        rest=calm(),
    ),
    Row(
        "3.2 at once",
        "the same right after the contactor opened (2 s between two closings)",
        f"<= 3 s, {A6} [K, as 4]",
        limit_ms=3_000,
        trial=takes(rated(16), "live", on, 6),
        prepare=stopped_in_c,
        rest=calm(),
    ),
    Row(
        "4",
        "car ready, B2 -> C2; output live",
        f"<= 3 s, {A6} [V EVerest, WARP]",
        limit_ms=3_000,
        trial=takes(ask, "live", on, 5),
        prepare=plugged,
        rest=calm(),
    ),
    Row(
        "4 at once",
        "the same right after the car left C",
        f"<= 3 s, {A6} [V EVerest, WARP]",
        limit_ms=3_000,
        trial=takes(ask, "live", on, 5),
        prepare=just_left,
        rest=calm(),
    ),
    Row("5", "car starts to draw", "no limit [K]", note="the car's"),
    Row("6", "car follows a changed offer", f"<= 5 s, {A6} [V EVerest]", note="the car's; over-current waits 6 s"),
    Row(
        "6 lower",
        "the box's part: a lower limit -> lower offer",
        "own: in the next run of the loop",
        limit_ms=LOOP_MS,
        trial=takes(rated(10), "duty", lambda permille: permille == 166),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "6 higher",
        "a higher limit right after a lower one -> higher offer",
        "own: 5 s after the last change [V EVerest: 5 s]",
        limit_ms=5_000 + LOOP_MS,
        trial=takes(rated(16), "duty", lambda permille: permille == 266, 8),
        prepare=lowered,
        rest=calm(),
    ),
    Row("7", "car stops: below 1 A before S2 opens", "no figure [K]", note="the car's"),
    Row(
        "8.1",
        "car leaves C with an offer, C2 -> B2; output dead",
        f"<= 100 ms, {A6} [V EVerest, WARP]",
        limit_ms=100,
        trial=takes(leave, "live", off),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "8.1 busy",
        f"as 8.1, each tick late by 0..{BUSY_MS} ms",
        f"<= 100 ms, {A6} [V EVerest, WARP]",
        limit_ms=100,
        trial=takes(leave, "live", off),
        prepare=charge,
        rest=unplugged,
        late_ms=BUSY_MS,
        moments=BUSY_MOMENTS,
    ),
    Row(
        "8.2",
        "car leaves C without an offer, C1 -> B1; output dead",
        f"<= 100 ms, {A6} [8.2 named V, figure K]",
        limit_ms=100,
        trial=takes(leave, "live", off),
        prepare=stopping,
        rest=calm(),
    ),
    Row(
        "9.1",
        "box asks to stop, C2 -> C1",
        "no limit [V list of sequences]",
        trial=takes(rated(0), "duty", steady),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "9.2",
        "box withdraws its offer in B, B2 -> B1",
        "no limit [V list of sequences]",
        trial=takes(rated(0), "duty", steady),
        prepare=plugged,
        rest=calm(),
    ),
    Row(
        "9.3",
        "offer ends in A, A2 -> A1",
        f"about 2 s, {A6} [K, uncertain]",
        limit_ms=2_000,
        trial=takes(lambda box: box.unplug(), "duty", steady),
        prepare=charging,
        rest=calm(),
    ),
    Row("10.1", "car answers a stop: opens S2", f"<= 3 s, {A6} [V WARP]", note="the car's"),
    Row(
        "10.2",
        "car does not answer: from the end of the offer to coil off",
        f">= 6 s, {A6} [V EVerest, WARP, esp32-evse, SmartEVSE]",
        floor_ms=6_000,
        limit_ms=6_000 + 2 * LOOP_MS,
        trial=between(rated(0), ("duty", steady), ("coil", off), 8),
        prepare=lambda box: (charging(box), box.car(ignore_pwm=True)),
        rest=calm(),
    ),
    Row(
        "11",
        "car toggles C 0.4 s, B 0.2 s, three times: closings",
        "ISO 15118-3: 200..400 ms a state, 1..3 pulses [V EVerest]; not decoded here, so: none",
        limit_ms=0,
        trial=counts(pulses, "command", on, 2),
        prepare=plugged,
        rest=calm(),
        unit="closings",
    ),
    Row(
        "12",
        "80 ohm from CP to PE after 10 s in C2 -> output dead",
        f"<= 3 s, {A6}, test A.4.9 [V SmartEVSE]",
        limit_ms=3_000,
        trial=takes(fault("pilot_short", 80), "live", off),
        prepare=charging,
        rest=calm("pilot_short"),
    ),
    Row(
        "12 busy",
        f"as 12, each tick late by 0..{BUSY_MS} ms",
        f"<= 3 s, {A6}, test A.4.9 [V SmartEVSE]",
        limit_ms=3_000,
        trial=takes(fault("pilot_short", 80), "live", off),
        prepare=charge,
        late_ms=BUSY_MS,
    ),
    Row(
        "A.5",
        "state F after a fault while charging (lost earth), duration",
        ">= 300 ms, table A.5 [V EVerest]",
        floor_ms=300,
        limit_ms=300 + 2 * LOOP_MS,
        trial=between(fault("pe"), ("duty", negative), ("duty", steady), 2),
        prepare=charging,
        rest=calm("pe"),
    ),
    Row(
        "A.5.3",
        "wake-up of a car that does not take the offer: duration of state F",
        "once, 4 s [V EVerest, WARP]",
        floor_ms=4_000,
        limit_ms=4_000 + 2 * LOOP_MS,
        trial=between(sleeps, ("duty", negative), ("duty", steady), 40),
        rest=unplugged,
    ),
    Row(
        "A.5.3 before",
        "the same: from the offer to state F",
        "30 s in B2 [V EVerest]",
        floor_ms=30_000,
        limit_ms=30_000 + 2 * LOOP_MS,
        trial=between(sleeps, ("duty", offer), ("duty", negative), 40),
        rest=unplugged,
    ),
    Row(
        "A.5.3 after",
        "the same: +12 V before the offer comes back",
        ">= 750 ms [V EVerest]",
        floor_ms=750,
        trial=between(sleeps, ("duty", steady), ("duty", offer), 40),
        rest=unplugged,
    ),
)


# The rows: protection


def own(ms: int) -> int:
    """The limit of a filter of the firmware: its time and one run of the loop to see the beginning."""
    return ms + LOOP_MS


def leak(kind: str, milliamps: int, required: str, limit_ms: int | None, excuse: str = "") -> tuple[Row, Row]:
    """A residual current, with firmware and by the hardware path alone."""
    name = f"{kind.upper()} {milliamps} mA"
    act = fault(f"residual_{kind}", milliamps)
    whole = Row(
        f"leak {name}",
        f"{name} -> output dead",
        required,
        limit_ms=limit_ms,
        trial=takes(act, "live", off),
        prepare=charging,
    )
    alone = Row(
        f"leak {name} alone",
        "the same with the event loop frozen: monitor and interlock alone",
        required,
        limit_ms=limit_ms,
        trial=takes(frozen(act), "live", off),
        prepare=charge,
        late_ms=0,
        # Nothing here depends on the loop's ticks.
        moments=EVERY_MS[::4],
        excuse=excuse,
    )
    return whole, alone


RCD = "[X HT GSC53N, Benning IT120B]"
PROTECTION = (
    *leak("ac", 30, f"<= 300 ms {RCD}", 300),
    *leak("ac", 60, f"<= 150 ms {RCD}", 150),
    *leak("ac", 150, f"<= 40 ms {RCD}", 40),
    *leak("dc", 6, "<= 10 s, IEC 62955 [K]", 10_000),
    *leak("dc", 60, "<= 300 ms, IEC 62955 [K]", 300),
    *leak(
        "dc",
        200,
        "<= 100 ms, IEC 62955 [K]",
        100,
        "the simulated monitor follows the data sheet of the Bender RCMB104, which says 240 ms from 60 mA and 20 ms "
        "from 300 mA and nothing between",
    ),
    *leak("dc", 300, "no figure beyond 200 mA; monitor 20 ms [X Bender]", None),
    Row(
        "leak trip",
        "trip output of the monitor -> command off",
        "own: in the next run of the loop",
        limit_ms=LOOP_MS,
        # Above the trip level of the simulated monitor, below that of the firmware's own look at its value.
        trial=between(fault("residual_dc", 5.5), ("trip", on), ("command", off), 2),
        prepare=charging,
    ),
    Row(
        "leak test",
        "self-test: length of the test pulse, the longest",
        "30..1200 ms [X Bender RCMB104]",
        limit_ms=1_200,
        trial=between(lambda box: box.plug(), ("test", on), ("test", off), 3),
        rest=calm(),
    ),
    Row(
        "leak test short",
        "self-test: length of the test pulse, the shortest",
        "30..1200 ms [X Bender RCMB104]",
        floor_ms=30,
        trial=between(lambda box: box.plug(), ("test", on), ("test", off), 3),
        rest=calm(),
    ),
    Row(
        "diode",
        "diode shorted while charging -> command off",
        "own: 100 ms; before closing it must be proven (table A.4 [V SmartEVSE])",
        limit_ms=own(100),
        trial=takes(lambda box: box.car(diode=False), "command", off),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "diode at rest",
        "car with a shorted diode asks for current: closings",
        "none, table A.4 [V SmartEVSE]",
        limit_ms=0,
        trial=counts(lambda box: (box.plug(), box.car(diode=False, state="C")), "command", on, 10),
        rest=calm(),
        unit="closings",
    ),
    Row(
        "pilot output",
        "generator sticks at +12 V while charging -> command off",
        "own: 100 ms",
        limit_ms=own(100),
        trial=takes(lambda box: box.stick(1000), "command", off),
        prepare=charging,
    ),
    Row(
        "ventilation",
        "car asks for ventilation, C2 -> D2; command off",
        "no figure; own: 500 ms",
        limit_ms=own(500),
        trial=takes(lambda box: box.car(state="D"), "command", off),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "weld",
        "one pole welded at opening: from command off to state F",
        "no figure; own: within 1 s",
        limit_ms=own(1_000),
        trial=between(leave, ("command", off), ("duty", negative), 3),
        prepare=welded,
    ),
    Row(
        "weld at rest",
        "voltage behind open contacts -> state F",
        "no figure; own: 500 ms",
        limit_ms=own(500),
        trial=takes(fault("weld_l1", True), "duty", negative, 2),
    ),
    Row(
        "no close",
        "contactor does not close: from command on to command off",
        "no figure; own: 200 ms",
        limit_ms=own(200),
        trial=between(ask, ("command", on), ("command", off), 3),
        prepare=blocked,
        rest=calm("no_close"),
    ),
    Row(
        "earth",
        "protective earth lost while charging -> command off",
        "no figure [X evsetest: in operation too]; own: 100 ms",
        limit_ms=own(100),
        trial=takes(fault("pe"), "command", off),
        prepare=charging,
        rest=calm("pe"),
    ),
    Row(
        "earth back",
        "earth mended -> contactor closes again, the earliest",
        ">= 30 s [X UK practice]",
        floor_ms=30_000,
        trial=takes(lambda box: box.clear("pe"), "command", on, 60),
        prepare=earth_lost,
        rest=calm("pe"),
    ),
    Row(
        "over-voltage +20 %",
        "280 V -> command off",
        "no norm found; own: 200 ms",
        limit_ms=own(200),
        trial=takes(volts(280, 230, 230), "command", off),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "over-voltage +15 %",
        "270 V -> command off",
        "no norm found; own: 1 s",
        limit_ms=own(1_000),
        trial=takes(volts(270, 230, 230), "command", off, 3),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "under-voltage -20 %",
        "180 V -> command off",
        "no norm found; own: 2 s",
        limit_ms=own(2_000),
        trial=takes(volts(180, 230, 230), "command", off, 4),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "phase loss",
        "one of three phases gone -> command off",
        "no norm found; own: 1 s",
        limit_ms=own(1_000),
        trial=takes(volts(230, 0, 230), "command", off, 3),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "phase count",
        "two of three phases gone -> command off",
        "no norm found; own: 2 s",
        limit_ms=own(2_000),
        trial=takes(volts(230, 0, 0), "command", off, 4),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "frequency",
        "46 Hz -> command off",
        "no norm found; own: 1 s",
        limit_ms=own(1_000),
        trial=takes(lambda box: box.grid(hz=46), "command", off, 3),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "over-current",
        "car draws 37 A of 32 A offered -> command off",
        "own: 7 s [V EVerest: 7 s]",
        limit_ms=own(7_000),
        trial=takes(draws(37), "command", off, 10),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "over-current 25 %",
        "car draws 43 A -> command off",
        "no curve found; own: 3 s",
        limit_ms=own(3_000),
        trial=takes(draws(43), "command", off, 6),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "over-current 50 %",
        "car draws 52 A -> command off",
        "no curve found; own: 500 ms",
        limit_ms=own(500),
        trial=takes(draws(52), "command", off, 2),
        prepare=charging,
        rest=calm(),
    ),
    Row(
        "short circuit",
        "100 A -> command off",
        "the circuit breaker's duty; own: 10 ms",
        limit_ms=own(10),
        trial=takes(draws(100), "command", off),
        prepare=charging,
    ),
    Row(
        "temperature sensor",
        "sensor breaks -> command off (measured once a second)",
        "no figure; own: 1 s",
        limit_ms=own(1_000),
        trial=takes(fault("temperature_sensor"), "command", off, 3),
        prepare=charging,
        rest=calm("temperature_sensor"),
        moments=EVERY_SECOND,
    ),
    Row(
        "peak shaving",
        "contact PS closes -> lower offer (it must rest for 400 ms, looked at every 250 ms)",
        "reaction time not found (R22); own: two looks after it has rested",
        limit_ms=own(400 + 2 * 250),
        trial=takes(lambda box: box.contact(True), "duty", lambda permille: permille == 100),
        prepare=charging,
        # The offer comes back at 0.5 A a second.
        rest=lambda box: (box.contact(False), box.advance(60), calm()(box)),
        moments=EVERY_250_MS,
    ),
    Row(
        "house load",
        "house takes 10 A more -> lower offer (meter read every 250 ms while the car charges)",
        "no figure (R20); own: within two readings",
        limit_ms=500 + LOOP_MS,
        trial=takes(lambda box: box.house(amps=[10, 10, 10]), "duty", lambda permille: permille < 300, 5),
        prepare=charging,
        rest=lambda box: (box.house(amps=[0, 0, 0]), calm()(box)),
        settings=METERED,
        moments=EVERY_SECOND,
    ),
    Row(
        "meter lost",
        "meter falls silent -> fall-back current of 6 A",
        "no figure (R20); own: the setting of 8 s after the last answer, which takes up to 300 ms",
        limit_ms=own(8_300),
        trial=takes(fault("meter_silent"), "duty", lambda permille: permille == 100, 12),
        prepare=charging,
        rest=calm("meter_silent"),
        settings=METERED,
        moments=EVERY_SECOND,
    ),
    Row(
        "loop hangs",
        "event loop stands still while charging -> output dead by the watchdog",
        "own: 2 s after the last feed, and the contactor's 18 ms",
        limit_ms=2_000 + 18,
        trial=takes(lambda box: box.pause(3_000), "live", off, 4),
        prepare=charge,
        late_ms=0,
        # Over the period in which the watchdog is fed.
        moments=EVERY_250_MS,
    ),
)

ROWS = SEQUENCES + PROTECTION
