"""Commands that only look: hello, status, why, live, faults."""

from argparse import Namespace
from collections.abc import Iterator

from installer.box import Box
from installer.errors import EXIT_DONE
from installer.schema import shown
from installer.terminal import Terminal

HELLO = ("product", "serial", "version", "protocol", "role", "mtu", "commissioned", "utc") + (
    "app_password_set",
    "expert_password_changed",
)


async def hello(box: Box, _options: Namespace, terminal: Terminal) -> int:
    """Tell what the wallbox is."""
    answer = await box.ask("hello")
    rows = [(name, answer[name]) for name in HELLO if name in answer]
    terminal.result(answer, (f"{name.replace('_', ' '):<26}{shown(value)}" for name, value in rows))
    return EXIT_DONE


async def status(box: Box, _options: Namespace, terminal: Terminal) -> int:
    """Tell what it does."""
    state = (await box.ask("status"))["status"]
    terminal.result(state, _status_lines(state))
    return EXIT_DONE


def _status_lines(state: dict) -> Iterator[str]:
    yield state["why"]["text"]
    rows = {
        "pilot": state["pilot"]["state"],
        "contactor": "closed" if state["contactor"]["closed"] else "open",
        "offered": f"{state['offered_a']:g} A, limited by {state['limited_by']}",
        "currents": amps(state["currents_a"]),
        "voltages": " ".join(f"{volts:.0f}" for volts in state["volts"]) + " V",
        "temperature": f"{state['temperature_c']:g} °C",
        "light": state["led"].get("pattern", "-"),
        "energy in all": f"{state['lifetime']['total_wh'] / 1000:.1f} kWh",
        "contactor operations": state["lifetime"]["contactor_ops"],
        "up for": f"{state['uptime_ms'] / 1000:.0f} s",
        "time": shown(state["utc"]),
    }
    meter = state["meter"]
    if meter.get("model") not in (None, "none"):
        rows["meter"] = f"{meter['model']}, {'lost' if meter.get('lost') else amps(meter.get('currents_a'))}"
    for name, value in rows.items():
        yield f"  {name:<22}{value}"
    for fault in state["faults"]:
        yield f"  fault                 {fault_text(fault)}"


def amps(values: list | None) -> str:
    """Currents of the phases, in A."""
    if not values:
        return "-"
    return " ".join(f"{value:.1f}" for value in values) + " A"


def fault_text(fault: dict) -> str:
    """A fault in words."""
    return f"{fault['name']}: {fault.get('text', '')}".rstrip(": ")


async def why(box: Box, _options: Namespace, terminal: Terminal) -> int:
    """Tell why it charges with this current, or not at all (R32)."""
    answer = (await box.ask("why"))["why"]
    lines = [answer["text"], f"  who    {answer['who']}", f"  code   {answer['code']}"]
    for name, words in (("since_s", "since"), ("until_s", "until")):
        if answer.get(name) is not None:
            lines.append(f"  {words}  {answer[name]} s after its start")
    terminal.result(answer, lines)
    return EXIT_DONE


async def faults(box: Box, _options: Namespace, terminal: Terminal) -> int:
    """List active faults, and which of them `service` ends."""
    answer = await box.ask("faults")
    clearable = answer.get("clearable", [])
    lines = [
        fault_text(fault) + ("  (ended by `service`)" if fault["name"] in clearable else "")
        for fault in answer["faults"]
    ]
    terminal.result(answer, lines or ["no faults"])
    return EXIT_DONE


async def live(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Show measured values until N have come or the person stops."""
    left = options.count
    events = box.client.live(options.period)
    try:
        async for event in events:
            terminal.result(event, [_live_line(event)])
            if left is not None:
                left -= 1
                if not left:
                    break
    finally:
        # The wallbox is asked to stop while the connection still stands.
        await events.aclose()
    return EXIT_DONE


def _live_line(event: dict) -> str:
    parts = [
        f"{event['t_ms'] / 1000:9.1f} s",
        f"{event['state']:<3}",
        f"{amps(event['currents_a']):<18}",
        f"{event['power_w']:6.0f} W",
        f"offer {event['offered_a']:g} A ({event['limited_by']})",
        f"{event['temperature_c']:g} °C",
        _reason(event.get("why")),
    ]
    return "  ".join(part for part in parts if part)


def _reason(why: object) -> str:
    return str(why.get("text", "")) if isinstance(why, dict) else str(why or "")


async def charge(box: Box, options: Namespace, terminal: Terminal) -> int:
    """Start or stop charging; a start without a car waits for the next one, as with a card."""
    await box.be("owner")
    answer = await box.ask("charge", on=options.what == "start")
    if options.what == "stop":
        said = "charging ends"
    else:
        said = "charging is permitted for the next car" if answer["waiting"] else "charging starts"
    terminal.result(answer, [said])
    return EXIT_DONE
