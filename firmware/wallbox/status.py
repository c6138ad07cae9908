"""The status of the whole wallbox as one dict: what the control API, the apps and the panel show."""

from wallbox.clock import SOURCES


def status(app) -> dict:
    """JSON-ready snapshot; amperes, volts and degrees as numbers, pilot voltages in mV, duty in permille."""
    view = app.snapshot
    lifetime = app.store.totals()
    lifetime["contactor_ops"] = app.health.operations
    contactor = app.health.status()
    contactor.update(
        {
            "commanded": view.contactor_commanded,
            "closed": view.contactor_closed,
            "phases": [bool(view.contactor_live & (1 << i)) for i in range(3)],
            # All that was ever charged went through this contactor.
            "energy_wh": lifetime["total_wh"],
        }
    )
    return {
        "pilot": {
            "state": view.state,
            "duty_permille": view.duty_permille,
            "high_mv": view.high_mv,
            "low_mv": view.low_mv,
        },
        "contactor": contactor,
        "led": app.led.status(),
        "offered_a": view.offered_ma / 1000,
        "allowed_a": view.allowed_ma / 1000,
        "limits": app.offer.status(),
        "limited_by": app.offer.winner.name,
        "why": app.why.answer(),
        "faults": app.faults.status(),
        "trips": app.recorder.status(),
        "session": app.session.status(),
        "car_memory": app.habits.entry,
        "lifetime": lifetime,
        "cards": app.cards.status(),
        "meter": app.meter.status(),
        "meter_scan": app.jobs.status("scan"),
        "meter_check": app.jobs.status("selfcheck"),
        "load": app.load.status(),
        "solar": app.solar.status(),
        "peak_shaving": app.peak.status(),
        "backend": app.backend.status(),
        "network": app.network.status(),
        "update": app.update.status(),
        "currents_a": [ma / 1000 for ma in view.currents_ma],
        "volts": [mv / 1000 for mv in view.volts_mv],
        "temperature_c": view.temperature_deci_c / 10,
        "restarts": app.supervisor.status(),
        "uptime_ms": app.clock.uptime_ms(),
        "utc": app.clock.utc_iso(),
        "utc_source": SOURCES[app.clock.source],
    }
