"""The stream of live data: an event now and then, the newest only; what finds no room is left out."""

import asyncio


def start(link, period_ms: int) -> None:
    """Send an event `live` every `period_ms`, in the place of the stream there was; 0 ends it."""
    if "live" in link.parts:
        link.parts.pop("live").cancel()
    elif period_ms:
        link.closers.append(lambda: start(link, 0))
    if period_ms:
        link.parts["live"] = asyncio.create_task(_run(link, period_ms))


async def _run(link, period_ms: int) -> None:
    try:
        while True:
            await link.event(_values(link.app))
            await asyncio.sleep_ms(period_ms)
    except OSError:
        # The app is gone; the connection's own task notices as well.
        return
    except Exception as error:
        link.report(error)


def _values(app) -> dict:
    """What is worth a look while the box works, in units as in `status`."""
    view = app.snapshot
    amps = [ma / 1000 for ma in view.currents_ma]
    volts = [mv / 1000 for mv in view.volts_mv]
    return {
        "event": "live",
        "t_ms": app.clock.uptime_ms(),
        "state": view.state,
        "currents_a": amps,
        "volts": volts,
        "power_w": sum([ma * mv for ma, mv in zip(view.currents_ma, view.volts_mv)]) // 1_000_000,
        "offered_a": view.offered_ma / 1000,
        "limited_by": app.offer.winner.name,
        "why": app.why.answer()["text"],
        "energy_wh": app.session.status()["energy_wh"],
        "meter_a": app.meter.status()["currents_a"],
        "temperature_c": view.temperature_deci_c / 10,
        "led": app.led.pattern,
    }
