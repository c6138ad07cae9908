"""The configuration keys of OCPP 1.6 and its security whitepaper, as a table; it keeps no value.

A row is a key, its access (r read, w read and write, b as w but in effect after a restart, s secret: written, never
shown), a type with its range, and the default:

    i:LOW:HIGH   integer                                 s:LOW:HIGH  text of so many characters
    m:MAX        list of measurands that the station has c:MAX  other list of names
    p:MAX        list of connectors with their phase rotation
    b            true or false                           k      AuthorizationKey

Defaults are ours where the specification gives none. Intervals end at a day, since timers wrap after six; the heartbeat
has to come once a day at least (OCPP 1.6, 3.16 and 4.6).
"""

TABLE = """
AdditionalRootCertificateCheck r b false
AllowOfflineTxForUnknownId w b false
AuthorizationCacheEnabled w b true
AuthorizationKey s k
AuthorizeRemoteTxRequests w b false
CertificateSignedMaxChainSize r i:0:10000 10000
CertificateStoreMaxLength r i:0:20 4
ChargeProfileMaxStackLevel r i:0:100 8
ChargingScheduleAllowedChargingRateUnit r c:2 Current,Power
ChargingScheduleMaxPeriods r i:1:100 24
ClockAlignedDataInterval w i:0:86400 0
ConnectionTimeOut w i:1:86400 60
ConnectorPhaseRotation w p:2 1.Unknown
ConnectorPhaseRotationMaxLength r i:0:100 2
ConnectorSwitch3to1PhaseSupported r b false
CpoName w s:0:255
FreeChargingIdTag w s:1:20 FREE
GetConfigurationMaxKeys r i:1:100 60
HeartbeatInterval w i:1:86400 3600
LocalAuthListEnabled w b true
LocalAuthListMaxLength r i:1:1000 100
LocalAuthorizeOffline w b true
LocalPreAuthorize w b false
MaxChargingProfilesInstalled r i:1:100 10
MaxEnergyOnInvalidId w i:0:100000 0
MessageTimeout w i:5:300 30
MeterValueSampleInterval w i:0:86400 60
MeterValuesAlignedData w m:8 Energy.Active.Import.Register
MeterValuesAlignedDataMaxLength r i:0:100 8
MeterValuesSampledData w m:8 Energy.Active.Import.Register
MeterValuesSampledDataMaxLength r i:0:100 8
MinimumStatusDuration w i:0:3600 0
NumberOfConnectors r i:1:1 1
ReserveConnectorZeroSupported r b true
ResetRetries w i:0:10 2
SecurityProfile w i:0:3 0
SendLocalListMaxLength r i:1:1000 50
StopTransactionOnEVSideDisconnect r b true
StopTransactionOnInvalidId w b true
StopTxnAlignedData w m:8
StopTxnAlignedDataMaxLength r i:0:100 8
StopTxnSampledData w m:8
StopTxnSampledDataMaxLength r i:0:100 8
SupportedFeatureProfiles r c:8 Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger
SupportedFeatureProfilesMaxLength r i:0:100 8
SupportedFileTransferProtocols r c:8 FTP,HTTP,HTTPS
TransactionMessageAttempts w i:1:100 3
TransactionMessageRetryInterval w i:0:86400 60
UnlockConnectorOnEVSideDisconnect r b false
WebSocketPingInterval w i:0:86400 60
"""
