"""Configuration keys: the whole wallbox lists, changes, keeps and hides them (R25, R29)."""

import base64
import json

import pytest
from csms import CallFailed
from installer_client import LiveClient

# OCPP 1.6, 9.1 to 9.4, its errata and the security whitepaper: what may be read, and what may be changed as well.
READ_ONLY = """
AdditionalRootCertificateCheck CertificateSignedMaxChainSize CertificateStoreMaxLength ChargeProfileMaxStackLevel
ChargingScheduleAllowedChargingRateUnit ChargingScheduleMaxPeriods ConnectorPhaseRotationMaxLength
ConnectorSwitch3to1PhaseSupported GetConfigurationMaxKeys LocalAuthListMaxLength MaxChargingProfilesInstalled
MeterValuesAlignedDataMaxLength MeterValuesSampledDataMaxLength NumberOfConnectors ReserveConnectorZeroSupported
SendLocalListMaxLength StopTxnAlignedDataMaxLength StopTxnSampledDataMaxLength SupportedFeatureProfiles
SupportedFeatureProfilesMaxLength SupportedFileTransferProtocols UnlockConnectorOnEVSideDisconnect
"""
# A value for each that is not the default. AuthorizationKey and SecurityProfile have tests of their own.
WRITABLE = {
    "AllowOfflineTxForUnknownId": "true",
    "AuthorizationCacheEnabled": "false",
    "AuthorizeRemoteTxRequests": "true",
    "ClockAlignedDataInterval": "900",
    "ConnectionTimeOut": "33",
    "ConnectorPhaseRotation": "1.RTS",
    "CpoName": "Stadtwerke Köln",
    "FreeChargingIdTag": "HOUSE",
    "HeartbeatInterval": "1234",
    "LocalAuthListEnabled": "false",
    "LocalAuthorizeOffline": "false",
    "LocalPreAuthorize": "true",
    "MaxEnergyOnInvalidId": "500",
    "MessageTimeout": "20",
    "MeterValueSampleInterval": "120",
    "MeterValuesAlignedData": "Energy.Active.Import.Register,Voltage.L1-N",
    "MeterValuesSampledData": "Current.Import.L1,Power.Active.Import",
    "MinimumStatusDuration": "2",
    "ResetRetries": "4",
    "StopTransactionOnInvalidId": "false",
    "StopTxnAlignedData": "Voltage",
    "StopTxnSampledData": "Energy.Active.Import.Register",
    "TransactionMessageAttempts": "5",
    "TransactionMessageRetryInterval": "7",
    "WebSocketPingInterval": "45",
}
PROFILES = {"Core", "FirmwareManagement", "LocalAuthListManagement", "Reservation", "SmartCharging", "RemoteTrigger"}
WRONG = [
    ("HeartbeatInterval", "-1"),
    ("HeartbeatInterval", "soon"),
    ("HeartbeatInterval", ""),
    ("HeartbeatInterval", "1.5"),
    ("WebSocketPingInterval", "-5"),
    ("ClockAlignedDataInterval", "-900"),
    ("MeterValueSampleInterval", "99999999999"),
    ("TransactionMessageAttempts", "three"),
    ("LocalPreAuthorize", "yes"),
    ("LocalPreAuthorize", "1"),
    ("ConnectorPhaseRotation", "1.LRT"),
    ("MeterValuesSampledData", "Energy.Active.Import.Register,SoC"),
    ("MeterValuesSampledData", "Energy.Active.Import.Register,Current.Export"),
    ("MeterValuesAlignedData", "Voltage.L4"),
    ("StopTxnSampledData", "Energy.Active.Import.Register.L1"),
    ("StopTxnAlignedData", "everything"),
]
KEY = "Xy7-secret_key-9z"
HEX_KEY = "00ff11223344556677889900aabbccddeeff0102"


def get(csms, *keys):
    """{key: (value, readonly)} of GetConfiguration, of all keys without any."""
    answer = csms.insist("GetConfiguration", {"key": list(keys)} if keys else {})
    return {one["key"]: (one.get("value"), one["readonly"]) for one in answer["configurationKey"]}


# 46: GetConfiguration


def test_every_key_is_listed_with_its_access_and_a_text_as_value(csms, station):
    station()
    csms.registered()
    found = get(csms)
    read_only = {key for key, (_value, readonly) in found.items() if readonly}
    assert read_only == {*READ_ONLY.split(), "StopTransactionOnEVSideDisconnect"}
    assert set(found) - read_only == {*WRITABLE, "SecurityProfile"}
    assert all(isinstance(value, str) for value, _readonly in found.values())
    assert len(found) <= int(found["GetConfigurationMaxKeys"][0])
    assert found["NumberOfConnectors"] == ("1", True)
    assert set(found["SupportedFeatureProfiles"][0].split(",")) == PROFILES
    assert found["ChargingScheduleAllowedChargingRateUnit"][0] == "Current,Power"
    assert found["MeterValuesSampledData"][0] == "Energy.Active.Import.Register"
    assert get(csms, *sorted(found)) == found, "all of them may be asked for by name at once"


def test_some_keys_are_listed_alone_and_unknown_ones_are_named(csms, station):
    station()
    csms.registered()
    answer = csms.call("GetConfiguration", {"key": ["HeartbeatInterval", "NoSuchKey", "numberofconnectors", "Heart"]})
    assert answer["configurationKey"] == [
        {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
        {"key": "NumberOfConnectors", "readonly": True, "value": "1"},
    ]
    assert answer["unknownKey"] == ["NoSuchKey", "Heart"]
    assert csms.call("GetConfiguration", {"key": ["Nothing"]})["unknownKey"] == ["Nothing"]
    most = int(get(csms, "GetConfigurationMaxKeys")["GetConfigurationMaxKeys"][0])
    assert len(csms.call("GetConfiguration", {"key": [f"k{n}" for n in range(most)]})["unknownKey"]) == most
    with pytest.raises(CallFailed) as failed:
        csms.call("GetConfiguration", {"key": [f"k{n}" for n in range(most + 1)]})
    assert failed.value.code == "OccurrenceConstraintViolation"
    assert get(csms, "NumberOfConnectors"), "it goes on"


# 47: ChangeConfiguration


def test_what_is_not_allowed_is_rejected_and_alters_nothing(csms, station):
    station()
    csms.registered()
    before = get(csms)
    for key, value in WRONG:
        assert csms.change(key, value) == "Rejected", (key, value)
    for key in [*READ_ONLY.split(), "StopTransactionOnEVSideDisconnect"]:
        assert csms.change(key, before[key][0]) == "Rejected", key
    for key in ("NoSuchKey", "", "HeartbeatInterval "):
        assert csms.change(key, "1") == "NotSupported", key
    assert get(csms) == before


def test_a_value_of_more_than_500_characters_is_an_error_of_the_call(csms, station):
    station()
    csms.registered()
    with pytest.raises(CallFailed) as failed:
        csms.call("ChangeConfiguration", {"key": "CpoName", "value": "x" * 501}, check=False)
    assert failed.value.code == "TypeConstraintViolation"
    assert get(csms, "CpoName")["CpoName"][0] == ""


def test_a_heartbeat_interval_that_is_changed_takes_effect_at_once(csms, station):
    station()
    csms.registered()
    assert csms.change("heartbeatinterval", "1") == "Accepted"
    csms.wait_for("Heartbeat", count=2)


# 48: power


def test_every_key_that_may_be_written_takes_a_value_and_keeps_it_over_a_power_cut(csms, station):
    csms.interval = 0
    box = station()
    csms.registered()
    for key, value in WRITABLE.items():
        assert csms.change(key, value) == "Accepted", key
    wanted = {key: (value, False) for key, value in WRITABLE.items()}
    assert get(csms, *WRITABLE) == wanted
    box.power(on=False)
    csms.wait_gone()
    box.power(on=True)
    csms.registered(2)
    assert get(csms, *WRITABLE) == wanted


def test_a_power_cut_in_a_change_leaves_the_old_value_or_the_new_one(csms, station):
    box = station(ocpp={"ConnectionTimeOut": 33, "CpoName": "me"})
    csms.registered()
    box.power(at_write=1)
    csms.send('[2,"cut","ChangeConfiguration",{"key":"ConnectionTimeOut","value":"44"}]')
    box.wait_for(lambda state: not state["power"], 10)
    csms.wait_gone()
    box.power(on=True)
    csms.registered(2)
    found = get(csms, "ConnectionTimeOut", "CpoName")
    assert found["CpoName"][0] == "me" and found["ConnectionTimeOut"][0] in ("33", "44")
    assert csms.change("ConnectionTimeOut", "55") == "Accepted"


def test_a_central_system_that_never_stops_changing_is_refused_in_the_end(csms, station):
    """120 changes that have flash written in an hour; what is there already is none of them."""
    box = station()
    csms.registered()
    for _ in range(3):
        assert csms.change("ConnectionTimeOut", "99") == "Accepted"
    answers = [csms.change("ConnectionTimeOut", str(100 + number)) for number in range(125)]
    assert answers == ["Accepted"] * 119 + ["Rejected"] * 6
    assert csms.change("ConnectionTimeOut", "218") == "Accepted"
    assert get(csms, "ConnectionTimeOut") == {"ConnectionTimeOut": ("218", False)}
    told = box.log(code="flash_spared")
    assert len(told) == 1 and "ChangeConfiguration is refused" in told[0]["text"]


def test_a_flash_that_refuses_rejects_the_change(csms, station):
    box = station()
    csms.registered()
    box.fault("flash_error")
    assert csms.change("ConnectionTimeOut", "44") == "Rejected"
    assert box.log(code="not_stored")
    box.clear("flash_error")
    assert get(csms, "ConnectionTimeOut")["ConnectionTimeOut"][0] == "60"
    assert csms.change("ConnectionTimeOut", "44") == "Accepted"


# 49: the key


@pytest.mark.parametrize(
    ("text", "password"), [(KEY, KEY.encode()), (HEX_KEY, bytes.fromhex(HEX_KEY))], ids=["text", "hex"]
)
def test_the_authorization_key_is_used_and_never_shown(csms, station, text, password):
    box = station()
    csms.registered()
    for wrong in ("short", "x" * 41, "with a blank in it"):
        assert csms.change("AuthorizationKey", wrong) == "Rejected"
    assert csms.change("authorizationKEY", text) == "Accepted"
    csms.wait_handshakes(2)
    login = base64.b64encode(b"SIM-1:" + password).decode()
    assert csms.handshakes[1].headers["Authorization"] == "Basic " + login
    csms.wait_for("SecurityEventNotification", lambda one: one["type"] == "ReconfigurationOfSecurityParameters")
    assert "AuthorizationKey" not in get(csms)
    answer = csms.call("GetConfiguration", {"key": ["AuthorizationKey"]})
    assert answer["configurationKey"] == [{"key": "AuthorizationKey", "readonly": False}]
    app = LiveClient(box)
    assert app.connect()
    app.login()
    shown = {
        "messages": json.dumps([one.payload for one in csms.messages if not one.out]),
        "log": json.dumps(box.log()),
        "state": json.dumps(box.state()),
        "output": "\n".join(box.output) + box.stderr(),
        "diagnostics": app.download("diagnostics.json").decode(),
        "backup": app.download("backup").decode("latin-1"),
    }
    assert all(shown[name] for name in ("messages", "log", "state", "diagnostics", "backup"))
    for name, content in shown.items():
        for secret in (text, password.hex(), login, "with a blank in it", "x" * 41):
            assert secret not in content, name
