"""The wallbox as package `ocpp` sees a charging station: it translates and measures, and keeps no rule of OCPP."""

import json

from micropython import const

import hal.system
from wallbox import VERSION
from wallbox.backend import image, records
from wallbox.installer import identity
from wallbox.protection.faults import CATALOGUE, COUNT, PAUSE, RED, WARNING, text

_MIN_OFFER_MA = const(6_000)
_MWH_PER_WH = const(1000)
VENDOR = "wallbox"
_MODEL = "wallbox 32 A"
_SERIAL_CHARS = const(25)
_WHY = "why"
_OUT_OF_SERVICE = "the backend has taken the wallbox out of service"
_RESERVED = "the wallbox is reserved"

# Error code of OCPP 1.6 (7.6) for each row of the fault catalogue that has one of its own.
_CODES = {
    "residual_current": "GroundFailure",
    "weld": "PowerSwitchFailure",
    "no_close": "PowerSwitchFailure",
    "pe_lost": "GroundFailure",
    "over_voltage": "OverVoltage",
    "under_voltage": "UnderVoltage",
    "phase_loss": "UnderVoltage",
    "over_current": "OverCurrentFailure",
    "short_circuit": "OverCurrentFailure",
    "over_temperature": "HighTemperature",
    "temperature_sensor": "HighTemperature",
    "pilot_short": "EVCommunicationError",
    "pilot_level": "EVCommunicationError",
    "diode": "EVCommunicationError",
    "rcm_self_test": "InternalError",
    "pilot_feedback": "InternalError",
    "storage": "InternalError",
    "communication": "WeakSignal",
    "meter": "PowerMeterFailure",
    "contactor_worn": "PowerSwitchFailure",
    "pe_monitor": "GroundFailure",
}
# What ends a session, as OCPP names it (7.36); what is not here stands there by its own name already.
_REASONS = {
    "unplugged": "EVDisconnected",
    "unseen": "EVDisconnected",
    "card": "Local",
    "app": "Local",
    "remote": "Remote",
    "power_loss": "PowerLoss",
    "superseded": "Other",
}
MEASURANDS = (
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Import.Register",
    "Frequency",
    "Power.Active.Import",
    "Power.Offered",
    "Temperature",
    "Voltage",
)


def reason_of(stop_reason: str) -> str:
    """The OCPP reason of a session's `stop_reason`."""
    return _REASONS.get(stop_reason, stop_reason)


def _thousandths(value: int) -> str:
    return "%s%d.%03d" % ("-" if value < 0 else "", abs(value) // 1000, abs(value) % 1000)


class Station:
    """`app` is the composition root; `changed` is called when the link's state has moved."""

    vendor = VENDOR

    def __init__(self, app, config):
        self._app = app
        self._config = config
        self._operative = True
        # As the one before has left it, until it is known.
        self._reserved = app.session.held == _RESERVED
        self._suspended = None
        self._limit = (None, "", None)
        self._charged = False
        # Who has stopped the session with a card.
        self.stopped_by = None

    # -- who it is ------------------------------------------------------------------------------------

    @property
    def serial(self) -> str:
        """The serial number of the label."""
        return identity.load(self._app.folder, self._app.log)["serial"]

    def boot_info(self) -> dict:
        """The fields of a BootNotification."""
        serial = self.serial[:_SERIAL_CHARS]
        info = {
            "chargePointVendor": VENDOR,
            "chargePointModel": _MODEL,
            "chargePointSerialNumber": serial,
            "chargeBoxSerialNumber": serial,
            "firmwareVersion": VERSION,
        }
        model = self._app.settings["meter_model"]
        if model != "none":
            info["meterType"] = model[:_SERIAL_CHARS]
        return info

    # -- what it does ---------------------------------------------------------------------------------

    def plugged(self) -> bool:
        """Whether a car is at the cable."""
        return self._app.snapshot.car_connected

    def session_active(self) -> bool:
        """Whether a session is there, one that is ending included."""
        return self._app.session.active

    def session_tag(self):
        """The idTag of the session, None without one or without access control."""
        return self._app.session.id_tag if self._app.session.active else None

    def waiting_tag(self):
        """The idTag that may charge as soon as a car is plugged in, or None."""
        session = self._app.session
        return session.id_tag if session.waiting else None

    def permitted(self) -> bool:
        """Whether the session goes on; False while it is ending."""
        return self._app.session.authorised

    def offers(self) -> bool:
        """Whether the box lets the car have energy, or is about to."""
        app = self._app
        return (
            app.snapshot.allowed_ma >= _MIN_OFFER_MA
            and app.control.enabled
            and not app.faults.blocking
            and not app.delay.running
        )

    def offered(self) -> bool:
        """Whether the pilot offers current now."""
        return self._app.snapshot.offered_ma > 0

    def charging(self) -> bool:
        """Whether current may flow: the contactor is closed and the car asks for energy."""
        if self._app.snapshot.charging:
            self._charged = True
            return True
        return False

    def was_charging(self) -> bool:
        """Whether current could flow at any time in this session."""
        return self._charged

    def fault(self):
        """The worst of what is wrong: (errorCode, text, name, whether it stops charging for good), or None."""
        faults = self._app.faults
        for severity in (RED, PAUSE, WARNING):
            for fault in range(COUNT):
                row = CATALOGUE[fault]
                if row[1] == severity and faults.is_active(fault):
                    return _CODES.get(row[0], "OtherError"), text(fault), row[0], severity == RED
        return None

    # -- what it measures -----------------------------------------------------------------------------

    def phases(self) -> int:
        """Phases of the installation: 1 or 3."""
        return self._app.settings["phases"]

    def volts(self) -> int:
        """Nominal voltage between phase and neutral in V."""
        return self._app.settings["nominal_v"]

    def max_ma(self) -> int:
        """The largest current of a phase that installer, cable and contactor allow, in mA."""
        return min(self._app.settings["rated_a"] * 1000, self._app.offer.limit("cable").ma)

    def energy_wh(self) -> int:
        """The register of all energy that was ever charged, in Wh; it survives restarts and never runs backwards."""
        app = self._app
        total_wh = app.store.totals()["total_wh"]
        opened = app.store.current()
        if opened is not None:
            total_wh += app.session.energy_mwh // _MWH_PER_WH - opened["energy_wh"]
        return total_wh

    def keep_energy(self) -> None:
        """Write the energy of the session to flash, since somebody outside is about to hear it."""
        self._app.session.keep_energy()

    def measurand(self, name: str, phase: int):
        """The value as text, in the unit of `ocpp.sampling`, None when there is none; `phase` 1 to 3, 0: all."""
        view = self._app.snapshot
        if phase > self.phases():
            return None
        if name == "Energy.Active.Import.Register":
            return str(self.energy_wh()) if not phase else None
        if name == "Power.Active.Import":
            return str(view.power_w[phase - 1] if phase else sum(view.power_w))
        if name == "Power.Offered":
            return str(view.offered_ma * self.phases() * self.volts() // 1000)
        if name == "Current.Import":
            return _thousandths(view.currents_ma[phase - 1] if phase else max(view.currents_ma))
        if name == "Current.Offered":
            return _thousandths(view.offered_ma)
        if name == "Voltage":
            return _thousandths(view.volts_mv[max(0, phase - 1)])
        if name == "Frequency":
            return _thousandths(view.frequency_mhz)
        if name == "Temperature":
            return _thousandths(view.temperature_deci_c * 100)[:-2]
        return None

    # -- what it is told ------------------------------------------------------------------------------

    def knows(self, id_tag: str) -> bool:
        """Whether the card is registered at the box itself."""
        return self._app.cards.kind(id_tag.upper()) == "charging"

    def authorise(self, id_tag: str) -> bool:
        """Permit one session: now if a car is there, else for the next within ConnectionTimeOut (9.1.8)."""
        session = self._app.session
        if session.held == _RESERVED:
            # Who may use the reservation was looked at already.
            session.held = None
        done = session.authorise(id_tag, max(1, self._config["ConnectionTimeOut"]))
        self._hold()
        return done

    def cancel(self) -> None:
        """Take back an authorisation that waits for a car."""
        self._app.session.stop()

    def stop(self, reason: str, id_tag=None) -> None:
        """End the session in the normal way, for an OCPP reason; one that is ending already was stopped by another."""
        if self.permitted():
            self.stopped_by = id_tag
        self._app.session.stop(reason)

    def suspend(self, reason) -> None:
        """Let no energy flow in this session for `reason`, in words; None ends that."""
        self._suspended = reason
        self._limit_again()

    def set_limit(self, ma, reason: str, change_s) -> None:
        """Bound the current of a phase to `ma` (None: no bound); `change_s`: uptime at which that may change."""
        self._limit = (ma, reason, change_s)
        self._limit_again()

    def _limit_again(self) -> None:
        offer = self._app.offer
        ma, reason, change_s = self._limit
        if self._suspended is not None:
            offer.set("backend", 0, self._suspended, "backend")
        elif ma is None:
            offer.clear("backend")
        else:
            offer.set("backend", ma, reason, "backend", None, change_s)

    def set_operative(self, operative: bool) -> None:
        """Whether sessions may begin at all."""
        self._operative = operative
        self._hold()

    def set_reserved(self, reserved: bool) -> None:
        """Whether the connector waits for one card; then none may begin without a card."""
        self._reserved = reserved
        self._hold()

    def _hold(self) -> None:
        app = self._app
        reason = None
        if not self._operative:
            reason = _OUT_OF_SERVICE
        elif self._reserved and not app.settings["access_control"] and not app.session.waiting:
            reason = _RESERVED
        if reason != app.session.held:
            app.session.hold(reason)

    def unlock(self) -> str:
        """The cable is fixed: there is nothing to unlock (7.46)."""
        return "NotSupported"

    def interruption(self) -> str:
        """The OCPP reason for the end of what the last restart has interrupted (7.36)."""
        return "PowerLoss" if hal.system.reset_cause() == "power_on" else "Reboot"

    def changed(self) -> None:
        """The state of the link has moved."""
        self._app.snapshot.changed.set()

    def data_transfer(self, message_id: str, _data: str):
        """The answer to a DataTransfer for this vendor, None for an unknown message; "why" asks for R32's answer."""
        return json.dumps(self._app.why.answer()) if message_id == _WHY else None

    def diagnostics(self, _oldest_s, _latest_s) -> tuple:
        """(name of a file, function that gives its content as an iterable of bytes): all there is, without secrets.

        The file holds status, settings and the event log as a whole, whatever times are asked for.
        """
        return records.NAME, records.collect(self._app)

    def firmware(self):
        """The place for a firmware that is about to come (see `backend.image`)."""
        return image.Place(self._app)

    def firmware_waits(self):
        """Why no firmware can be taken now, in words, or None; asked until it can."""
        return self._app.update.refusal()

    def firmware_result(self):
        """How the update before the last restart ended: (installed, reason), None while that is open."""
        return self._app.update.result()

    async def reset(self, hard: bool) -> None:
        """Restart the firmware; it does not return."""
        self._app.restart("hard reset by the backend" if hard else "soft reset by the backend")

    def began(self) -> None:
        """A session begins."""
        self._charged = False
        self._suspended = None
        self.stopped_by = None
