"""Configuration keys: types, ranges, access, what is kept and what is shown."""

import json

from ocpp import keys, rare
from ocpp.configuration import Configuration

MEASURANDS = ("Energy.Active.Import.Register", "Power.Active.Import", "Current.Import", "Voltage")
KEY = "0123456789ABCDEF"
NINE = ",".join(
    "%s.L%d" % (name, n) for name in ("Current.Import", "Power.Active.Import", "Voltage") for n in (1, 2, 3)
)
# OCPP 1.6, 9.1 to 9.4, column "required", after the errata.
REQUIRED = """
AuthorizeRemoteTxRequests ClockAlignedDataInterval ConnectionTimeOut ConnectorPhaseRotation GetConfigurationMaxKeys
HeartbeatInterval LocalAuthorizeOffline LocalPreAuthorize MeterValuesAlignedData MeterValuesSampledData
MeterValueSampleInterval NumberOfConnectors ResetRetries StopTransactionOnEVSideDisconnect StopTransactionOnInvalidId
StopTxnAlignedData StopTxnSampledData SupportedFeatureProfiles TransactionMessageAttempts
TransactionMessageRetryInterval UnlockConnectorOnEVSideDisconnect LocalAuthListEnabled LocalAuthListMaxLength
SendLocalListMaxLength ChargeProfileMaxStackLevel ChargingScheduleAllowedChargingRateUnit ChargingScheduleMaxPeriods
MaxChargingProfilesInstalled
"""


class Store:
    """Keeps one JSON value; `broken` makes flash refuse."""

    def __init__(self, value=None):
        self.value = value
        self.saves = 0
        self.broken = False

    def load(self):
        return json.loads(json.dumps(self.value))

    def save(self, value):
        if self.broken:
            raise OSError(28)
        self.saves += 1
        self.value = json.loads(json.dumps(value))


def made(value=None, extra=()):
    store = Store(value)
    return Configuration(store, extra, MEASURANDS), store


def refusal(config, wanted):
    try:
        config.preset(wanted)
    except ValueError as error:
        return str(error)
    return None


def test_values_have_the_type_of_their_key():
    config, _ = made()
    assert config["HeartbeatInterval"] == 3600
    assert config["LocalAuthorizeOffline"] is True
    assert config["LocalPreAuthorize"] is False
    assert config["FreeChargingIdTag"] == "FREE"
    assert config["CpoName"] == ""
    assert config["AuthorizationKey"] == ""
    assert config["StopTxnSampledData"] == ()
    assert config["MeterValuesSampledData"] == ("Energy.Active.Import.Register",)
    assert config["ChargingScheduleAllowedChargingRateUnit"] == ("Current", "Power")


def test_an_unknown_key_is_an_error():
    config, _ = made()
    for key in ("", "Heartbeat", "HeartbeatInterval w", "heartbeatInterval", "\n", "x" * 50):
        try:
            config[key]
            raise AssertionError(key)
        except KeyError:
            pass


def test_every_default_is_allowed_by_its_own_row():
    config, _ = made()
    values = rare.borrow("values")
    count = 0
    for key in list(config.keys()):
        row = config.row(key)
        assert row[0] == key and row[1] in "rwbs" and row[2][0] in "ibsmcpk"
        if row[1] != "s":
            assert values.normal(row[2], row[3], MEASURANDS) == row[3], key
        config[key]
        count += 1
    assert count == len(keys.TABLE.strip().split("\n")) > 45
    assert len(set(config.keys())) == count


def test_what_the_specification_requires_is_there():
    config, _ = made()
    for key in REQUIRED.split():
        assert config.row(key), key


def test_changes_are_accepted_within_type_and_range():
    for key, text, value in (
        ("HeartbeatInterval", "86400", 86400),
        ("HeartbeatInterval", "1", 1),
        ("HeartbeatInterval", "007", 7),
        ("LocalPreAuthorize", "true", True),
        ("LocalAuthorizeOffline", "FALSE", False),
        ("CpoName", "x" * 255, "x" * 255),
        ("FreeChargingIdTag", "A", "A"),
        ("StopTxnSampledData", "Voltage, Current.Import.L1,,Voltage", ("Voltage", "Current.Import.L1")),
        ("MeterValuesSampledData", "", ()),
        ("MeterValuesAlignedData", "Voltage.L1-N", ("Voltage.L1-N",)),
        ("MeterValuesAlignedData", NINE[: NINE.rindex(",")], tuple(NINE.split(",")[:-1])),
        ("ConnectorPhaseRotation", "0.Unknown,1.RTS", ("0.Unknown", "1.RTS")),
        ("AuthorizationKey", KEY, KEY),
        ("AuthorizationKey", "0a" * 20, "0a" * 20),
        ("AuthorizationKey", "correct horse batte".replace(" ", "-"), "correct-horse-batte"),
        ("SecurityProfile", "2", 2),
        ("heartbeatINTERVAL", "60", 60),
    ):
        config, _ = made()
        assert config.change(key, text) == "Accepted", (key, text)
        assert config[config.row(key)[0]] == value, (key, text)


def test_changes_are_rejected_otherwise_and_nothing_is_altered():
    for key, text in (
        ("HeartbeatInterval", "0"),
        ("HeartbeatInterval", "86401"),
        ("HeartbeatInterval", "-1"),
        ("HeartbeatInterval", ""),
        ("HeartbeatInterval", "-"),
        ("HeartbeatInterval", "+5"),
        ("HeartbeatInterval", " 5"),
        ("HeartbeatInterval", "5.0"),
        ("HeartbeatInterval", "1e3"),
        ("HeartbeatInterval", "9" * 500),
        ("WebSocketPingInterval", "-1"),
        ("LocalPreAuthorize", "1"),
        ("LocalPreAuthorize", ""),
        ("CpoName", "x" * 256),
        ("CpoName", "a\nb"),
        ("CpoName", "a\x7f"),
        ("FreeChargingIdTag", "\x1b[2J"),
        ("FreeChargingIdTag", ""),
        ("FreeChargingIdTag", "x" * 21),
        ("MeterValuesSampledData", "Voltage,SoC"),
        ("MeterValuesSampledData", "voltage"),
        ("MeterValuesSampledData", "Voltage.L4"),
        ("MeterValuesSampledData", "Voltage.L1.L2"),
        ("MeterValuesSampledData", "Voltage.N"),
        ("MeterValuesSampledData", "Voltage.L1-L2"),
        ("MeterValuesSampledData", "Energy.Active.Import.Register.L1"),
        ("MeterValuesSampledData", NINE),
        ("ConnectorPhaseRotation", "2.RST"),
        ("ConnectorPhaseRotation", "1.rst"),
        ("ConnectorPhaseRotation", "RST"),
        ("AuthorizationKey", "x" * 15),
        ("AuthorizationKey", "x" * 21),
        ("AuthorizationKey", "0a" * 21),
        ("AuthorizationKey", "with a space in it"),
        ("AuthorizationKey", "\u00e9" * 16),
        ("SecurityProfile", "4"),
        ("NumberOfConnectors", "1"),
        ("ChargingScheduleMaxPeriods", "10"),
    ):
        config, store = made()
        before = config.listing()
        assert config.change(key, text) == "Rejected", (key, text)
        assert config.listing() == before and store.saves == 0, (key, text)


def test_an_unknown_key_cannot_be_changed():
    config, store = made()
    for key in ("", "NoSuchKey", "HeartbeatInterval ", "HeartbeatInterval w i:1:86400"):
        assert config.change(key, "1") == "NotSupported", key
    assert store.saves == 0


def test_a_security_profile_is_only_raised_by_the_central_system_but_lowered_by_the_host():
    config, _ = made()
    assert config.change("SecurityProfile", "2") == "Accepted"
    for text in ("2", "1", "0"):
        assert config.change("SecurityProfile", text) == "Rejected"
    config.preset({"SecurityProfile": 1})
    assert config["SecurityProfile"] == 1


def test_what_takes_effect_after_a_restart_is_said_to():
    config, _ = made(extra=("VendorKey b i:0:5 2", "VendorText w s:0:10 some text"))
    assert config["VendorKey"] == 2
    assert config["VendorText"] == "some text"
    assert config.change("VendorKey", "3") == "RebootRequired"
    assert config["VendorKey"] == 3
    assert config.listing(["vendorkey"])["configurationKey"] == [{"key": "VendorKey", "readonly": False, "value": "3"}]


def test_only_what_is_not_the_default_is_kept_and_comes_back():
    config, store = made()
    config.change("HeartbeatInterval", "60")
    config.change("StopTxnSampledData", "Voltage")
    config.change("LocalPreAuthorize", "false")
    assert store.value == {"HeartbeatInterval": "60", "StopTxnSampledData": "Voltage"}
    again, _ = made(store.value)
    assert again["HeartbeatInterval"] == 60
    assert again["StopTxnSampledData"] == ("Voltage",)
    assert again.refused == []
    again.change("HeartbeatInterval", "3600")
    again.change("StopTxnSampledData", "")
    assert again._store.value == {}


def test_the_same_value_is_not_written_again():
    config, store = made()
    assert config.change("HeartbeatInterval", "60") == "Accepted"
    assert config.change("HeartbeatInterval", "60") == "Accepted"
    assert store.saves == 1


def test_stored_values_that_are_not_allowed_any_more_are_given_up_by_name():
    config, _ = made({"HeartbeatInterval": "99999999", "Gone": "1", "MeterValuesSampledData": "SoC", "CpoName": "me"})
    assert sorted(config.refused) == ["Gone", "HeartbeatInterval", "MeterValuesSampledData"]
    assert config["HeartbeatInterval"] == 3600
    assert config["CpoName"] == "me"


def test_values_are_listed_in_their_usual_spelling():
    config, _ = made()
    for key, text, listed in (
        ("HeartbeatInterval", "007", "7"),
        ("LocalPreAuthorize", "True", "true"),
        ("StopTxnSampledData", " Voltage , Voltage.L1 ", "Voltage,Voltage.L1"),
    ):
        config.change(key, text)
        assert config.listing([key])["configurationKey"][0]["value"] == listed


def test_a_flash_that_refuses_changes_nothing():
    config, store = made()
    told = []
    config.listeners.append(told.append)
    store.broken = True
    for change in (lambda: config.change("HeartbeatInterval", "60"), lambda: config.preset({"HeartbeatInterval": 60})):
        try:
            change()
            raise AssertionError("no error")
        except OSError:
            pass
    assert (config["HeartbeatInterval"], told) == (3600, [])


def test_listeners_are_told_of_each_change_after_it():
    config, _ = made()
    told = []
    config.listeners.append(lambda key: told.append((key, config[key])))
    config.change("heartbeatinterval", "60")
    config.change("HeartbeatInterval", "60")
    config.change("HeartbeatInterval", "x")
    config.preset({"NumberOfConnectors": 1, "CpoName": "me"})
    assert told == [("HeartbeatInterval", 60), ("CpoName", "me")]


def test_the_host_may_set_read_only_keys():
    config, _ = made()
    config.preset(
        {
            "ConnectorSwitch3to1PhaseSupported": True,
            "ChargingScheduleAllowedChargingRateUnit": ("Current",),
            "SupportedFeatureProfiles": "Core,SmartCharging",
            "MaxChargingProfilesInstalled": 5,
        }
    )
    assert config["ConnectorSwitch3to1PhaseSupported"] is True
    assert config["ChargingScheduleAllowedChargingRateUnit"] == ("Current",)
    assert config["SupportedFeatureProfiles"] == ("Core", "SmartCharging")
    assert config["MaxChargingProfilesInstalled"] == 5


def test_what_the_host_has_set_counts_again_when_what_the_central_system_changed_is_forgotten():
    config, store = made()
    config.preset({"HeartbeatInterval": 300, "AuthorizationKey": KEY, "NumberOfConnectors": 1})
    config.change("HeartbeatInterval", "60")
    config.change("AuthorizationKey", "anotherOfTheirOwn")
    config.change("CpoName", "them")
    config.change("LocalPreAuthorize", "true")
    config, store = made(store.value)
    assert config.refused == [] and config["HeartbeatInterval"] == 60
    told = []
    config.listeners.append(told.append)
    config.forget()
    assert sorted(told) == ["AuthorizationKey", "CpoName", "HeartbeatInterval", "LocalPreAuthorize"]
    for one in (config, made(store.value)[0]):
        assert one["HeartbeatInterval"] == 300 and one["AuthorizationKey"] == KEY
        assert one["CpoName"] == "" and one["LocalPreAuthorize"] is False
    saves = store.saves
    config.forget()
    config.preset({"HeartbeatInterval": 300})
    assert store.saves == saves


def test_what_the_host_sets_to_the_default_or_what_the_central_system_has_set_already_is_his():
    config, store = made()
    config.preset({"HeartbeatInterval": 300, "ConnectionTimeOut": 90})
    config.change("CpoName", "me")
    config.preset({"CpoName": "me", "HeartbeatInterval": 3600})
    config.forget()
    assert (config["CpoName"], config["HeartbeatInterval"], config["ConnectionTimeOut"]) == ("me", 3600, 90)
    # What was allowed once may not be now.
    again, _ = made({"": {"ConnectionTimeOut": "never", "CpoName": "me"}, "HeartbeatInterval": "60"})
    again.forget()
    assert (again["CpoName"], again["HeartbeatInterval"], again["ConnectionTimeOut"]) == ("me", 3600, 60)


def test_what_the_host_may_not_set_is_named_and_nothing_is_altered():
    config, store = made()
    assert refusal(config, {"CpoName": "me", "HeartbeatInterval": 0}) == "HeartbeatInterval: '0'; allowed: 1 to 86400"
    assert refusal(config, {"NoSuchKey": 1}) == "NoSuchKey: no such key"
    assert refusal(config, {"LocalPreAuthorize": "yes"}) == "LocalPreAuthorize: 'yes'; allowed: true or false"
    assert "not 'SoC'" in refusal(config, {"StopTxnSampledData": ("Voltage", "SoC")})
    text = refusal(config, {"AuthorizationKey": "too short"})
    assert text.startswith("AuthorizationKey: secret; allowed:")
    assert config["CpoName"] == "" and store.saves == 0


def test_all_keys_are_listed_but_the_secret():
    config, _ = made()
    config.change("AuthorizationKey", KEY)
    listing = config.listing()
    assert list(listing) == ["configurationKey"]
    names = [entry["key"] for entry in listing["configurationKey"]]
    assert sorted(names + ["AuthorizationKey"]) == sorted(config.keys())
    assert KEY not in json.dumps(listing)
    assert all(isinstance(entry["value"], str) for entry in listing["configurationKey"])
    assert len(names) <= config["GetConfigurationMaxKeys"]


def test_keys_asked_for_are_listed_in_order_and_unknown_ones_named():
    config, _ = made()
    config.change("AuthorizationKey", KEY)
    listing = config.listing(["numberofconnectors", "Nope", "AuthorizationKey", "CpoName"])
    assert listing["configurationKey"] == [
        {"key": "NumberOfConnectors", "readonly": True, "value": "1"},
        {"key": "AuthorizationKey", "readonly": False},
        {"key": "CpoName", "readonly": False, "value": ""},
    ]
    assert listing["unknownKey"] == ["Nope"]


def test_what_is_loaded_for_one_use_is_let_go():
    import sys

    config, _ = made()
    config.change("HeartbeatInterval", "60")
    config.listing()
    assert "ocpp.values" not in sys.modules
    assert not hasattr(sys.modules["ocpp"], "values")
