"""The wallbox as a charging station of OCPP: what is told of it, and what it does when it is told (R25, R27)."""

import json
from array import array

from virtual_time import Log, Record

from ocpp import schema
from wallbox.backend.station import _CODES, MEASURANDS, Station, reason_of
from wallbox.charging.offer import Offer
from wallbox.protection import faults as f


class Clock:
    def ticks_ms(self):
        return 0

    def uptime_s(self):
        return 100


class Session:
    def __init__(self):
        self.active = self.waiting = self.authorised = False
        self.held = self.id_tag = None
        self.energy_mwh = 0
        self.calls = []
        self.willing = True

    def authorise(self, id_tag, timeout_s=None):
        self.calls.append(("authorise", id_tag, timeout_s, self.held))
        self.waiting = self.willing and self.held is None
        return self.waiting

    def stop(self, reason="remote"):
        self.calls.append(("stop", reason))

    def hold(self, reason):
        self.held = reason
        self.calls.append(("hold", reason))

    def keep_energy(self):
        self.calls.append(("keep",))


class Rig:
    def __init__(self, **settings):
        self.log = Log()
        self.session = Session()
        self.faults = f.Faults(Clock(), lambda fault, value: None, lambda fault: None)
        self.offer = Offer(Clock(), lambda: None)
        self.open = None
        self.app = Record(
            settings=dict({"phases": 3, "nominal_v": 230, "access_control": True, "meter_model": "none"}, **settings),
            session=self.session,
            faults=self.faults,
            offer=self.offer,
            delay=Record(running=False),
            control=Record(enabled=True),
            store=Record(totals=lambda: {"total_wh": 5000}, current=lambda: self.open),
            cards=Record(kind=lambda uid: "charging" if uid == "DEADBEEF" else "unknown"),
            why=Record(answer=lambda: {"code": "no_car"}),
            snapshot=Record(
                car_connected=False,
                charging=False,
                offered_ma=16_000,
                allowed_ma=16_000,
                currents_ma=array("i", (15_900, 15_800, 15_700)),
                volts_mv=array("i", (230_100, 229_900, 231_050)),
                power_w=array("i", (3600, 3500, 3400)),
                frequency_mhz=49_990,
                temperature_deci_c=-5,
            ),
        )
        self.station = Station(self.app, {"ConnectionTimeOut": 30})

    def limit(self):
        return self.offer.status().get("backend")


def test_each_fault_is_told_by_a_code_that_ocpp_knows():
    rig = Rig()
    assert all(name in [row[0] for row in f.CATALOGUE] for name in _CODES)
    for fault in range(f.COUNT):
        rig.faults.active = 1 << fault
        code, info, name, stops = rig.station.fault()
        assert name == f.CATALOGUE[fault][0] and info
        assert stops == (f.CATALOGUE[fault][1] == f.RED), name
        status = {"connectorId": 1, "errorCode": code, "status": "Faulted"}
        schema.check_request("StatusNotification", status)
    rig.faults.active = 0
    assert rig.station.fault() is None


def test_the_worst_of_several_faults_is_told():
    rig = Rig()
    rig.faults.active = 1 << f.METER | 1 << f.OVER_TEMPERATURE
    assert rig.station.fault()[2] == "over_temperature"
    rig.faults.active |= 1 << f.COMMUNICATION | 1 << f.WELD
    assert rig.station.fault()[2] == "weld"


def test_what_ends_a_session_has_a_reason_of_ocpp():
    stop = {"transactionId": 1, "meterStop": 1, "timestamp": "2026-01-01T00:00:00Z"}
    for reason in (
        "unplugged",
        "unseen",
        "card",
        "app",
        "remote",
        "power_loss",
        "superseded",
        "SoftReset",
        "DeAuthorized",
    ):
        schema.check_request("StopTransaction", dict(stop, reason=reason_of(reason)))
    assert reason_of("unplugged") == "EVDisconnected" and reason_of("card") == "Local"


def test_every_measurand_has_a_value_in_text():
    rig = Rig()
    measured = {(name, phase): rig.station.measurand(name, phase) for name in MEASURANDS for phase in (0, 1, 3)}
    expected = {
        ("Current.Import", 0): "15.900",
        ("Current.Import", 3): "15.700",
        ("Current.Offered", 0): "16.000",
        ("Energy.Active.Import.Register", 0): "5000",
        ("Energy.Active.Import.Register", 1): None,
        ("Frequency", 0): "49.990",
        ("Power.Active.Import", 0): "10500",
        ("Power.Active.Import", 1): "3600",
        ("Power.Offered", 0): "11040",
        ("Temperature", 0): "-0.5",
        ("Voltage", 1): "230.100",
        ("Voltage", 3): "231.050",
    }
    for key, value in expected.items():
        assert measured[key] == value, (key, measured[key])
    assert rig.station.measurand("SoC", 0) is None


def test_on_one_phase_there_is_no_other():
    rig = Rig(phases=1)
    assert rig.station.measurand("Voltage", 2) is None
    assert rig.station.measurand("Power.Offered", 0) == "3680"


def test_the_register_holds_all_sessions_and_the_one_that_runs():
    rig = Rig()
    assert rig.station.energy_wh() == 5000
    rig.open = {"energy_wh": 700}
    rig.session.energy_mwh = 1_234_567
    assert rig.station.energy_wh() == 5000 - 700 + 1234


def test_a_limit_a_suspension_and_their_end():
    rig = Rig()
    rig.station.set_limit(10_000, "profile 1", 160)
    assert rig.limit() == 10
    assert rig.offer.limit("backend").change_s == 160
    rig.station.suspend("the central system refuses the card")
    assert rig.limit() == 0
    rig.station.set_limit(8_000, "profile 1", None)
    assert rig.limit() == 0, "a profile does not let a refused card charge"
    rig.station.suspend(None)
    assert rig.limit() == 8
    rig.station.set_limit(None, "", None)
    assert rig.limit() is None


def test_out_of_service_and_reserved_hold_sessions_back():
    rig = Rig()
    rig.station.set_operative(True)
    rig.station.set_reserved(True)
    assert rig.session.calls == [], "with access control a card is asked for anyway"
    rig.station.set_operative(False)
    assert rig.session.held == "the backend has taken the wallbox out of service"
    rig.station.set_operative(True)
    assert rig.session.held is None
    rig.app.settings["access_control"] = False
    rig.station.set_reserved(True)
    assert rig.session.held == "the wallbox is reserved"
    assert rig.station.authorise("04AA"), "who may use the reservation was looked at before"
    rig.station.set_reserved(True)
    assert rig.session.held is None, "while the card waits for its car"
    rig.session.waiting = False
    rig.station.set_reserved(True)
    assert rig.session.held == "the wallbox is reserved"
    rig.station.set_reserved(False)
    assert rig.session.held is None


def test_who_waits_for_a_reserved_wallbox_waits_also_when_another_central_system_is_set_up():
    rig = Rig(access_control=False)
    rig.station.set_reserved(True)
    assert rig.session.held is not None
    later = Station(rig.app, {"ConnectionTimeOut": 30})
    later.set_operative(True)
    assert ("hold", None) not in rig.session.calls, "a car that is plugged in would charge at once"
    later.set_reserved(False)
    assert rig.session.held is None


def test_an_authorisation_lasts_for_connection_time_out():
    rig = Rig()
    rig.station.authorise("04AA")
    assert rig.session.calls == [("authorise", "04AA", 30, None)]
    rig.station.set_operative(False)
    assert not rig.station.authorise("04AA")


def test_who_has_stopped_a_session_is_told_with_its_end():
    rig = Rig()
    rig.session.authorised = True
    rig.station.stop("Local", "04AA")
    assert rig.station.stopped_by == "04AA" and rig.session.calls == [("stop", "Local")]
    rig.session.authorised = False
    rig.station.stop("Remote")
    assert rig.station.stopped_by == "04AA", "it was ending already"
    rig.station.began()
    assert rig.station.stopped_by is None


def test_a_session_has_charged_once_current_could_flow():
    rig = Rig()
    rig.station.began()
    assert not rig.station.charging() and not rig.station.was_charging()
    rig.app.snapshot.charging = True
    assert rig.station.charging()
    rig.app.snapshot.charging = False
    assert rig.station.was_charging()
    rig.station.began()
    assert not rig.station.was_charging()


def test_nothing_is_offered_in_fault_delay_pause_or_before_the_wizard():
    for change in ("faults", "delay", "pause", "wizard", None):
        rig = Rig()
        if change == "faults":
            rig.faults.active = 1 << f.WELD
        elif change == "delay":
            rig.app.delay.running = True
        elif change == "pause":
            rig.app.snapshot.allowed_ma = 5_999
        elif change == "wizard":
            rig.app.control.enabled = False
        assert rig.station.offers() == (change is None), change


def test_the_box_tells_why_and_cannot_unlock_its_cable():
    rig = Rig()
    assert json.loads(rig.station.data_transfer("why", "")) == {"code": "no_car"}
    assert rig.station.data_transfer("else", "") is None
    assert rig.station.unlock() == "NotSupported"
    assert rig.station.knows("deadbeef") and not rig.station.knows("04AA")
