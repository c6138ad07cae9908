"""What the wizard asks in each of its steps, in the words of an electrician; no answer is judged here."""

from collections.abc import Callable
from dataclasses import dataclass

# A step of the wallbox that is not here is asked with the settings of the group of its name.
Values = dict[str, object]


def always(_values: Values) -> bool:
    """Asked whatever was answered before."""
    return True


@dataclass(frozen=True)
class Question:
    """A setting, the words it is asked with, and whether it is asked after the answers so far."""

    key: str
    text: str
    when: Callable[[Values], bool] = always


def _has_meter(values: Values) -> bool:
    return values.get("meter_model") != "none"


def _optimises(values: Values) -> bool:
    return _has_meter(values) and values.get("load_optimisation") is True


def _wifi(values: Values) -> bool:
    return bool(values.get("wifi_ssid"))


def _apn(values: Values) -> bool:
    return bool(values.get("apn"))


def _backend(values: Values) -> bool:
    return bool(values.get("ocpp_url"))


STEPS: dict[str, tuple[Question, ...]] = {
    "electrical": (
        Question("phases", "Phases the wallbox is connected to"),
        Question("earthing", "System of the supply"),
        Question("pe_mode", "Supervision of the protective earth (off only where the system has none to measure)"),
        Question("nominal_v", "Voltage between phase and neutral"),
        Question("nominal_hz", "Frequency of the supply"),
        Question("connection_a", "Main fuse of the house, each phase"),
        Question(
            "rated_a", "Largest current of the wallbox: its breaker and cable (above the main fuse only after `meter`)"
        ),
        Question("unbalance_a", "Largest difference between phases, 0 for no limit"),
    ),
    "meter": (
        Question("meter_model", "Model of the meter at the house's connection, none when there is none"),
        Question("meter_address", "Modbus address of the meter", _has_meter),
        Question("meter_baud", "Baud rate of the meter", _has_meter),
        Question("meter_parity", "Parity of the meter", _has_meter),
        Question("load_optimisation", "Keep house and car together within the main fuse (stays on)", _has_meter),
        Question("rated_a", "Largest current of the wallbox, now that the house is watched", _optimises),
        Question("fallback_a", "Current when the meter falls silent", _optimises),
        Question("solar_mode", "Charge from the sun", _has_meter),
    ),
    "network": (
        Question("wifi_ssid", "Name of the Wi-Fi, empty for none"),
        Question("wifi_password", "Password of the Wi-Fi", _wifi),
        Question("apn", "Access point of the mobile network, empty for none"),
        Question("apn_user", "User of the mobile network", _apn),
        Question("apn_password", "Password of the mobile network", _apn),
        Question("sim_pin_password", "PIN of the SIM card, empty for none", _apn),
    ),
    "backend": (
        Question("ocpp_url", "Address of the backend, ws:// or wss://"),
        Question("charge_point_id", "Name of this wallbox there", _backend),
        Question("ocpp_password", "Password of this wallbox there", _backend),
    ),
    "cards": (Question("access_control", "Charge with registered cards only"),),
    "summary": (),
    "test": (),
}
# Step -> what is asked before it is gone through; no skips it.
SKIPPABLE = {
    "network": "Set up Wi-Fi or mobile network now?",
    "backend": "Set up a backend now?",
    "cards": "Set up charging cards now?",
}
# With `--answers` these go in one change, since a meter decides about currents and the other way round.
TOGETHER = ("electrical", "meter", "solar")
ACCESS_GROUP = "access"
