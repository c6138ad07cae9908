"""What a central system asks for, and the answers, as a table for `schema`; loaded for one check."""

TABLE = """
CancelReservation>reservationId:i
CancelReservation<status:=Accepted|Rejected
ChangeAvailability>connectorId:i type:=Inoperative|Operative
ChangeAvailability<status:=Accepted|Rejected|Scheduled
ChangeConfiguration>key:s50 value:s500
ChangeConfiguration<status:=Accepted|Rejected|RebootRequired|NotSupported
ClearCache>
ClearCache<status:=Accepted|Rejected
ClearChargingProfile>id?i connectorId?i chargingProfilePurpose?=ChargePointMaxProfile|TxDefaultProfile|TxProfile \
stackLevel?i
ClearChargingProfile<status:=Accepted|Unknown
GetCompositeSchedule>connectorId:i duration:i chargingRateUnit?=A|W
GetCompositeSchedule<status:=Accepted|Rejected connectorId?i scheduleStart?t chargingSchedule?{ChargingSchedule
GetConfiguration>key?*s50
GetConfiguration<configurationKey?*{KeyValue unknownKey?*s50
GetLocalListVersion>
GetLocalListVersion<listVersion:i
RemoteStartTransaction>connectorId?i idTag:s20 chargingProfile?{ChargingProfile
RemoteStartTransaction<status:=Accepted|Rejected
RemoteStopTransaction>transactionId:i
RemoteStopTransaction<status:=Accepted|Rejected
ReserveNow>connectorId:i expiryDate:t idTag:s20 parentIdTag?s20 reservationId:i
ReserveNow<status:=Accepted|Faulted|Occupied|Rejected|Unavailable
Reset>type:=Hard|Soft
Reset<status:=Accepted|Rejected
SendLocalList>listVersion:i localAuthorizationList?*{AuthorizationData updateType:=Differential|Full
SendLocalList<status:=Accepted|Failed|NotSupported|VersionMismatch
SetChargingProfile>connectorId:i csChargingProfiles:{ChargingProfile
SetChargingProfile<status:=Accepted|Rejected|NotSupported
TriggerMessage>requestedMessage:=BootNotification|DiagnosticsStatusNotification|FirmwareStatusNotification|Heartbeat|\
MeterValues|StatusNotification connectorId?i
TriggerMessage<status:=Accepted|Rejected|NotImplemented
UnlockConnector>connectorId:i
UnlockConnector<status:=Unlocked|UnlockFailed|NotSupported
{AuthorizationData idTag:s20 idTagInfo?{IdTagInfo
{ChargingProfile chargingProfileId:i transactionId?i stackLevel:i chargingProfilePurpose:=ChargePointMaxProfile|\
TxDefaultProfile|TxProfile chargingProfileKind:=Absolute|Recurring|Relative recurrencyKind?=Daily|Weekly validFrom?t \
validTo?t chargingSchedule:{ChargingSchedule
{ChargingSchedule duration?i startSchedule?t chargingRateUnit:=A|W chargingSchedulePeriod:+{Period minChargingRate?d
{IdTagInfo expiryDate?t parentIdTag?s20 status:=Accepted|Blocked|Expired|Invalid|ConcurrentTx
{KeyValue key:s50 readonly:b value?s500
{Period startPeriod:i limit:d numberPhases?i
"""
